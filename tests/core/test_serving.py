"""The settings of served mode: who is let in, what may be read, and what is refused in one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.core.serving import ServeSettings, ServingError, read_settings, require_confined, require_readable, served
from odits.data import ImageRecord
from odits.data.images import ImageError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A readable folder of a server, with a picture."""
    folder = tmp_path / "streets"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "outside.png")
    file = tmp_path / "serve.toml"
    file.write_text(f'address = "https://x.example"\nroots = ["{folder}"]\nannotators = ["a@x.example"]\n')
    monkeypatch.setenv("ODITS_SERVE", str(file))
    return folder


def test_only_what_lies_in_a_root_is_read(root: Path) -> None:
    assert ImageRecord("a.png", root / "a.png").open().size == (8, 8)
    for path in (root.parent / "outside.png", root / ".." / "outside.png", Path("/etc/passwd")):
        with pytest.raises(ServingError, match="outside of the folders"):
            require_readable(path)
        with pytest.raises(ImageError, match="outside of the folders"):
            ImageRecord("x.png", path).read()
        with pytest.raises(ImageError, match="outside of the folders"):
            ImageRecord("x.png", path).open()


def test_a_folder_with_a_link_that_leaves_is_not_served(root: Path) -> None:
    require_confined(root)
    (root / "inside.png").symlink_to(root / "a.png")
    require_confined(root)
    (root / "below").mkdir()
    (root / "below" / "leaves.png").symlink_to(root.parent / "outside.png")
    with pytest.raises(ServingError, match="leads out of the folders"):
        require_confined(root)
    with pytest.raises(ImageError, match="outside of the folders"):
        ImageRecord("leaves.png", root / "below" / "leaves.png").open()


def test_without_served_mode_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ODITS_SERVE", raising=False)
    assert served() is None
    require_readable(Path("/etc/passwd"))
    require_confined(tmp_path)


def test_settings_that_are_gone_serve_nothing(root: Path) -> None:
    Path(os.environ["ODITS_SERVE"]).unlink()
    with pytest.raises(OditsError, match="can't be read"):
        ImageRecord("a.png", root / "a.png").open()


def test_roles_come_from_lists_and_claims() -> None:
    settings = ServeSettings(annotators=("*@uni.example",), reviewers=("bo@uni.example",), owners=("ada@uni.example",))
    asked = {
        "ADA@uni.example": "owner",
        "bo@uni.example": "reviewer",
        "eve@uni.example": "annotator",
        "eve@other.example": None,
        "@uni.example": None,
        "eve@other.example@uni.example.evil": None,
        "": None,
        "*@uni.example": "annotator",
    }
    assert {who: settings.role_of(who) for who in asked} == asked
    assert settings.role_of("eve@other.example", ["reviewer", "else"]) == "reviewer"
    assert settings.role_of("eve@other.example", {"owner": 1}) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "no TOML file"),
        ('adress = "https://x.example"', "unknown entry 'adress'"),
        ('owners = "a@x.example"', "list of texts"),
        ('upload_megabytes = "9"', "a whole number"),
        ("upload_megabytes = 0", "at least 1"),
        ("allow_imports = 1", "true or false"),
        ('owners = ["a@x.example"]', "address of the explorer"),
        ('address = "https://x.example"', "lets nobody in"),
        ('address = "https://x.example"\nowners = ["a@x.example"]\nroots = ["relative"]', "no folder"),
    ],
)
def test_wrong_settings_are_told_in_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "serve.toml").write_text(text)
    with pytest.raises(OditsError, match=sentence):
        read_settings(tmp_path / "serve.toml")
