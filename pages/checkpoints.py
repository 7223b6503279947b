"""Checkpoints: what is here, what the stores hold, how good it is, and where two of them disagree."""

from __future__ import annotations

from pages._checkpoints import by_image, compare, local, runs
from pages._shared import state
from pages._shared.datasets import choose_dataset
from pages._shared.layout import page

VIEWS = {"here": local.view, "runs": runs.view, "compare": compare.view, "images": by_image.view}
TABS = {"here": "On this machine", "runs": "Runs", "compare": "Compare", "images": "Image by image"}


def main() -> None:
    """Draw the page."""
    with page("Checkpoints", "Trained models: where they come from, how good they are, and which one to use."):
        choose_dataset()
        VIEWS[state.choose_part("Part", TABS, "tab")]()


main()
