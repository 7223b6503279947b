"""How an object can be shown to CLIP, by name."""

from __future__ import annotations

from odits.core.errors import OditsError
from odits.data.predictions import View

OBJECT_VIEWS = {
    "crop": "the object's box, with its background",
    "blurred": "the object's box, its background blurred",
    "removed": "the object's box, its background grey",
    "masked": "the object on the whole image, all else black (thesis, 3.1)",
}
"""How an object can be shown to CLIP, with what each is for people; the first is the default, for it does best."""


def how_clip_looks(view: str) -> View:
    """Whether pictures of an object view are whole scenes or crops.

    Raises:
        OditsError: there is no such view.
    """
    if view not in OBJECT_VIEWS:
        raise OditsError(f"There is no object view '{view}': choose {', '.join(OBJECT_VIEWS)}.")
    return "scene" if view == "masked" else "crop"
