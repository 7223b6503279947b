"""The wheel, as somebody has it who installs it elsewhere and has no network."""

from __future__ import annotations

import json
import re
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import odits
from odits.core.files import asset
from tests.installing import REPOSITORY, Installed


def requirements(name: str) -> set[str]:
    """The names of the packages that a requirements file lists itself."""
    lines = (REPOSITORY / name).read_text().splitlines()
    return {re.split(r"[\[<>=~! ]", line)[0] for line in lines if line.strip() and line[0] not in "#-"}


def test_wheel_asks_for_what_the_requirements_files_say(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        (file,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        metadata = HeaderParser().parsestr(archive.read(file).decode())
    needed: dict[str, set[str]] = {"": set()}
    for line in metadata.get_all("Requires-Dist", []):
        extra = re.search(r"extra == '(\w+)'", line)
        needed.setdefault(extra[1] if extra else "", set()).add(re.split(r"[\[<>=~!; ]", line)[0])
    assert {name.replace("_", "-") for name in requirements("requirements.txt")} == needed[""]
    assert requirements("requirements-ray.txt") == needed["ray"]
    assert requirements("requirements-doctr.txt") == needed["doctr"]
    assert requirements("requirements-heic.txt") == needed["heic"]
    assert requirements("requirements-fast.txt") == needed["fast"]
    assert requirements("requirements-serve.txt") == needed["serve"]
    assert requirements("requirements-dev.txt") | needed["ray"] | needed["serve"] == needed["dev"]
    assert metadata["Version"] == odits.__version__
    assert metadata["License-Expression"] == "Apache-2.0"


def test_wheel_brings_one_package_with_the_explorer_inside(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"odits", f"odits-{odits.__version__}.dist-info"}
    pages = {path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("pages/**/*.py")}
    assert {f"odits/_app/{page}" for page in pages} <= set(names)
    assert {f"odits/_app/{name}" for name in ("app.py", ".streamlit/config.toml", "assets/icon.svg")} <= set(names)
    assert not [name for name in names if "test" in Path(name).name or name.endswith(".pyc")]


def test_package_is_found_where_it_was_installed_and_loads_nothing(installed: Installed) -> None:
    code = "import sys, odits; print(odits.__file__, odits.__version__, 'torch' in sys.modules, 'numpy' in sys.modules)"
    done = installed.run(installed.python, "-c", code)
    place, *rest = done.stdout.split()
    assert Path(place).is_relative_to(installed.folder)
    assert rest == [odits.__version__, "False", "False"]


@pytest.mark.slow
def test_words_and_objects_of_a_picture_without_network_and_data_set(installed: Installed, tmp_path: Path) -> None:
    picture = tmp_path / "street.jpg"
    picture.write_bytes(asset("demo/cafe.jpg").read_bytes())
    words = installed.run(installed.command, "words", picture, "--json")
    assert words.returncode == 0, words.stderr
    (found,) = json.loads(words.stdout)
    assert {"CAFE", "COFFEE"} & {item["word"] for item in found["words"][:5]}
    embedded = installed.run(installed.command, "words", picture, "--checkpoint", "embedded", "--json")
    assert embedded.returncode == 0, embedded.stderr
    objects = installed.run(installed.command, "objects", picture, "--json")
    assert objects.returncode == 0, objects.stderr
    (found,) = json.loads(objects.stdout)
    assert len(found["objects"]) > 5


@pytest.mark.slow
def test_workers_find_the_installed_package(installed: Installed, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("cafe.jpg", "hotel.jpg", "lexicons.csv"):
        (folder / name).write_bytes(asset(f"demo/{name}").read_bytes())
    done = installed.run(installed.command, "precompute", "--data", folder, "--workers", "2", "--json")
    document = json.loads(done.stdout)
    assert document["images"] == 2, done.stderr


@pytest.mark.parametrize("option", [["--port", "0"], ["--data", "nowhere"]])
def test_explorer_says_what_is_wrong_with_an_option(installed: Installed, option: list[str]) -> None:
    done = installed.run(installed.command, "app", *option)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
