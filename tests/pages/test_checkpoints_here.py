"""The weights on this machine: our own cards are formatted, those of others stand as they were written."""

from __future__ import annotations

import shutil
from pathlib import Path

from odits.models.reference import CARRIED
from tests.pages.running import open_page


def test_our_own_card_is_formatted() -> None:
    page = open_page("checkpoints", tab="here")
    card = next(item.value for item in page.markdown if "How it was made" in item.value)
    assert card.lstrip().startswith("**ODITS Signs**") and "**How it was made**" in card
    assert not any("How it was made" in item.value for item in page.code)


def test_the_card_of_somebody_else_stands_as_it_is(home: Path) -> None:
    folder = home / "checkpoints" / "theirs"
    folder.mkdir(parents=True)
    shutil.copy(CARRIED[0], folder / "model.safetensors")
    (folder / "README.md").write_text("# Theirs\n![a picture](http://127.0.0.1:9/x.png)\n")
    page = open_page("checkpoints", tab="here", shown=str(folder / "model.safetensors"))
    assert any("Theirs" in item.value for item in page.code)
    assert not any("127.0.0.1:9" in item.value for item in page.markdown)
