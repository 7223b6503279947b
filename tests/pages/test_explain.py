"""What the page "Explain" shows, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


def opened(**query: str) -> AppTest:
    page = AppTest.from_file(str(REPOSITORY / "pages" / "explain.py"), default_timeout=180)
    for name, value in query.items():
        page.query_params[name] = value
    return page.run()


def test_before_training_both_say_the_same_and_a_way_to_train_is_offered() -> None:
    page = opened(images="demo", image="cafe.jpg", vocabulary="demo", odits="untrained")
    assert not page.exception and not page.error
    shown = " ".join(item.value for item in (*page.markdown, *page.info))
    assert "Both have the same ten words." in shown
    assert "No object matters for this word" in shown
    trains = any(button.label.startswith("Train ODITS") for button in page.button)
    assert trains or any("no training images" in info.value for info in page.info)
    table = next(frame.value for frame in page.dataframe if "part" in frame.value)
    assert set(table["CLIP"]) == {"–"} and "Feature enhancer" in set(table["part"])


def test_a_checkpoint_that_is_gone_gives_way() -> None:
    page = opened(images="demo", image="cafe.jpg", vocabulary="demo", odits="/nowhere/best.safetensors")
    assert not page.exception and not page.error
