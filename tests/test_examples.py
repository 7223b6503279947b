"""The examples in the docstrings: each is run as it stands."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.glob("odits/**/*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


LOADS_MODELS = {"odits.api"}


@pytest.mark.parametrize(
    "module",
    [pytest.param(module, marks=[pytest.mark.slow] if module in LOADS_MODELS else []) for module in WITH_EXAMPLES],
)
def test_examples_of(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(importlib.import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert done.attempted > 0
    assert done.failed == 0, f"doctest of {module}: see what it printed"


def test_public_functions_have_examples() -> None:
    import odits

    public = [getattr(odits, name) for name in odits.__all__ if name != "__version__"]
    assert len(public) == 5
    assert all(">>> " in (function.__doc__ or "") for function in public)


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import odits; "
        # None stands for a module that can't be imported from now on (odits.core.privacy)
        "loaded = {name for name, module in sys.modules.items() if module is not None}; "
        "new = {name.split('.')[0] for name in loaded - before}; print(sorted(new - {'odits'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.strip("[]\n").replace("'", "").split(", "))
    assert loaded <= sys.stdlib_module_names, loaded


def test_a_name_that_is_not_there() -> None:
    import odits

    with pytest.raises(AttributeError, match="no attribute 'predict'"):
        odits.predict  # noqa: B018
    assert "predict_words" in dir(odits)
