"""Which words a page asks about: those read in the picture and a general list, or others that a person names."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.running import open_page


def caption(app: AppTest) -> str:
    """What stands above the chart: the model and the vocabulary."""
    return next(item.value for item in app.markdown if "words)" in item.value)


@pytest.mark.slow
def test_the_page_words_opens_on_what_is_read_and_a_general_list() -> None:
    app = open_page("words", images="demo", image="pharmacy.jpg")
    assert "words read in the picture, and the general list" in caption(app)
    assert app.selectbox(key="widget-vocabulary").value == "picture"


@pytest.mark.slow
def test_a_model_that_does_not_read_is_asked_about_the_words_read_too() -> None:
    app = open_page("words", images="demo", image="cafe.jpg", vocabulary="picture", model="embedded")
    assert "words read in the picture, and the general list" in caption(app)


@pytest.mark.slow
def test_the_general_list_alone_and_typed_words_are_one_choice_away() -> None:
    app = open_page("words", images="demo", image="cafe.jpg", vocabulary="general")
    assert "general list" in caption(app) and "read in the picture" not in caption(app)
    app = open_page("words", images="demo", image="cafe.jpg", vocabulary="typed", words="Café, CAFE, books")
    assert "typed words (2 words)" in caption(app).replace("\\", "")


@pytest.mark.slow
def test_a_page_without_one_picture_has_its_own_default_and_leaves_the_choice() -> None:
    app = open_page("browse", images="demo", vocabulary="picture")
    assert app.selectbox(key="widget-vocabulary").value in ("svt", "demo")
    assert app.session_state["odits.vocabulary"] == "picture"
