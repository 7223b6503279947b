"""Models: which ones are here, how good each is, when to choose which, and real weights from elsewhere."""

from __future__ import annotations

from pages._models import calibration, comparison, weights
from pages._shared.layout import guarded, page


def main() -> None:
    """Draw the page."""
    with page("Models", "Which model to believe: what was measured of each, when to choose it, and where to get more."):
        with guarded():
            comparison.view()
        with guarded():
            weights.view()
        with guarded():
            calibration.view()


main()
