"""What the page "Explain" shows, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from odits.figures.static import THEMES
from tests.pages.running import watch_menus

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
    assert not page.dataframe, "folded tables are made when they are unfolded"
    page.session_state["capabilities-box"] = True
    table = next(frame.value for frame in page.run().dataframe if "part" in frame.value)
    assert set(table["CLIP"]) == {"–"} and "Feature enhancer" in set(table["part"])


def test_a_checkpoint_that_is_gone_gives_way() -> None:
    page = opened(images="demo", image="cafe.jpg", vocabulary="demo", odits="/nowhere/best.safetensors")
    assert not page.exception and not page.error


def test_what_is_saved_is_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = watch_menus(monkeypatch, "pages._explain.results", "pages._shared.word_charts")
    page = opened(images="demo", image="cafe.jpg", vocabulary="demo", word="CAFE")
    assert not page.exception and not page.error
    html = "".join(str(item.proto.body) for item in page.get("html"))
    told = saved["explain-bars"].table
    assert len(told) and all(str(name) in html for name in told["object"])
    assert told["contribution"].abs().is_monotonic_decreasing
    widths = [bar.get_width() for bar in saved["explain-bars"].draw(THEMES["light"]).axes[0].patches]
    assert widths == pytest.approx(told["contribution"].tolist())
    every = saved["explain-picture"].table
    assert len(every) > len(told) and list(every) == ["object", "contribution", "attention"]
    picture, scale = saved["explain-picture"].draw(THEMES["dark"]).axes
    assert len(picture.patches) == len(every) and "adds to “CAFE”" in scale.get_title(loc="left")
    matrix = saved["explain-matrix"].table
    cells = saved["explain-matrix"].draw(THEMES["light"]).axes[0].collections[0].get_array()
    assert cells.shape == (len(matrix), len(matrix.columns) - 1)
    for key in ("explain-clip", "explain-odits"):
        words = saved[key].table["word"].tolist()
        assert len(words) == 10 and all(f"{word}</th>" in html for word in words)
