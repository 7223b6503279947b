"""Object-driven image-text similarity on street views: models, metrics and an explorer.

Five lines give a picture's words; the first call loads the models, `import odits` alone loads nothing:

    import odits

    prediction = odits.predict_words("street.jpg", ["hotel", "bakery", "pharmacy"])
    for word, probability in prediction.top(3):
        print(f"{word}: {probability:.1%}")

The method and its evaluation follow Mokhtari and Mahdid, "Image Text Similarity using Deep Learning Object Detection
and Word Spotting Approach", end-of-studies project, ESTIN, 2024/2025. Elsewhere it is "the thesis", with an equation.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from odits.core.privacy import disable_telemetry

if TYPE_CHECKING:
    from odits.api import evaluate, explain, find_objects, load_model, predict_words

disable_telemetry()  # read when a library is imported, so before any of them

__version__ = "0.2.0"

__all__ = ["__version__", "evaluate", "explain", "find_objects", "load_model", "predict_words"]


def __getattr__(name: str) -> Any:
    """Load the public functions when they are first used (PEP 562), and torch with them no earlier."""
    if name.startswith("_") or name not in __all__:
        raise AttributeError(f"module 'odits' has no attribute {name!r}")
    return getattr(importlib.import_module("odits.api"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
