"""One drawn street scene, read once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from odits.data import open_image
from odits.models.reading.reader import TextLine, TextReader

DEMO = Path(__file__).parents[3] / "assets" / "demo"


@pytest.fixture(scope="session")
def scene() -> Image.Image:
    """A drawn scene with signs."""
    return open_image(sorted(DEMO.glob("*.jpg"))[0])


@pytest.fixture(scope="session")
def lines(scene: Image.Image) -> list[TextLine]:
    """What the reader finds in it."""
    return TextReader().read(scene)
