"""Near-duplicates on the page Data: named, before anybody marks the same picture twice."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.pages.running import REPOSITORY, open_page

pytestmark = pytest.mark.slow
DEMO = REPOSITORY / "assets" / "demo"


def test_a_picture_that_is_there_twice_is_named(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cafe", "hotel"):
        shutil.copy(DEMO / f"{name}.jpg", tmp_path)
    with Image.open(DEMO / "cafe.jpg") as image:
        image.resize((512, 384)).save(tmp_path / "again.jpg", quality=60)
    (tmp_path / "lexicons.csv").write_text("file,words\nagain.jpg,CAFE\ncafe.jpg,CAFE\nhotel.jpg,HOTEL\n")
    monkeypatch.setenv("ODITS_DATA", str(tmp_path))
    page = open_page("data", tab="images")
    assert any("marked twice" in caption.value for caption in page.caption)
    next(button for button in page.button if button.label == "Look at 3 images").click().run()
    for _ in range(240):
        if page.warning:
            break
        time.sleep(0.5)
        page.run()
    assert [warning.value.partition(" look")[0] for warning in page.warning] == ["1 pair of images"]
    shown = {image.proto.imgs[0].caption for image in page.get("imgs") or page.get("image")}
    assert not page.exception and len(shown) == 2
