"""Words: the pictures beside the one shown are answered before somebody turns to them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import streamlit as st

from odits.core.files import asset
from odits.data import ImageRecord
from pages._shared.answers import held
from pages._shared.pictures import open_picture
from pages._words.answer import _PREPARED
from tests.pages.running import open_page

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _forget()  # what tests before this one had answered
    yield
    _forget()


def _forget() -> None:
    held().plan("", [])
    st.cache_resource.clear()


def prepared(name: str) -> bool:
    opened = open_picture(ImageRecord(name, asset("demo") / name))
    return held().kept(_PREPARED, (opened.digest, "embedded")) is not None


def test_the_next_and_the_previous_picture_are_answered_ahead() -> None:
    assert not prepared("cafe.jpg")
    open_page("words", images="demo", image="hotel.jpg", vocabulary="demo", model="embedded")
    until = time.monotonic() + 60
    while not (prepared("bakery.jpg") and prepared("cafe.jpg")):
        assert time.monotonic() < until, "the pictures beside hotel.jpg"
        time.sleep(0.1)
    assert prepared("hotel.jpg") and not prepared("theater.jpg")
