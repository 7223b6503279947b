"""The page Explain in a real browser, with a checkpoint that was really trained, if only for a moment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from odits.data import open_image, read_dataset
from odits.models.fusion.inputs import InputEncoder
from odits.training.odits import make_input_encoder, origin_of, train_odits
from odits.training.settings import OditsSettings
from tests.browser.conftest import REPOSITORY, Serve, mistakes, visit

DEMO = Path(__file__).parents[2] / "assets" / "demo"


@pytest.fixture(scope="module")
def explained(browser: Browser, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of an app that has a checkpoint, trained on small demo pictures for a few epochs."""
    home = tmp_path_factory.mktemp("home")
    folder = tmp_path_factory.mktemp("pictures")
    rows = ["file,words,split"]
    for name in ("bakery", "cafe", "hotel", "market"):
        image = open_image(DEMO / f"{name}.jpg")
        image.thumbnail((480, 480))
        image.save(folder / f"{name}.png")
        rows.append(f"{name}.png,{name.upper()} BOOKS LUNA OPEN,train")
    (folder / "lexicons.csv").write_text("\n".join(rows) + "\n")
    input_encoder: InputEncoder = make_input_encoder("embedded", "embedded", device="cpu")
    target = home / "checkpoints" / "odits-test"
    config = OditsSettings(epochs=8, patience=8, batch=2, gate_rate=0.2)
    train_odits(input_encoder, read_dataset(folder), target, config, origin_of("embedded", "embedded", input_encoder))
    return serve(REPOSITORY, home)


def test_a_word_is_explained_on_the_picture(explained: str, page: Page) -> None:
    visit(page, f"{explained}/explain?images=demo&image=cafe.jpg&vocabulary=demo")
    expect(page.get_by_text("ODITS, from the picture and its objects")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^ODITS on ODITS Signs")).first).to_be_visible()
    expect(page.get_by_label(re.compile(r"objects coloured by what the word loses"))).to_be_visible()
    expect(page.get_by_label(re.compile(r"^Object-text matrix of"))).to_be_visible()
    page.get_by_text("What ODITS has and CLIP has not").click()
    expect(page.get_by_text("Table 3.4 of the thesis")).to_be_visible()
    assert mistakes(page) == []
    page.set_viewport_size({"width": 800, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
