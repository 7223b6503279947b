"""The command line, run as users run it: a process, its output, its exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "odits", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def refused(*arguments: str | Path) -> str:
    """The single line a mistake is answered with."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "Traceback" not in line
    return line


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    file = tmp_path / "words.txt"
    file.write_text("hotel\ncafe\nbar\nparking\nbooks\n")
    return file


@pytest.mark.slow
def test_words_of_images(svt: Path) -> None:
    image = svt / "img" / "00_03.jpg"
    done = run("words", image, "--vocabulary", "svt", "--data", svt, "--top", "10", "--json")
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(done.stdout)
    assert set(entry) == {"image", "model", "checkpoint", "vocabulary_size", "none", "readable", "words"}
    assert entry["vocabulary_size"] == 5363 and entry["readable"] is True
    probabilities = [word["probability"] for word in entry["words"]]
    assert len(probabilities) == 10
    assert probabilities == sorted(probabilities, reverse=True)
    assert min(probabilities) >= 0 and max(probabilities) <= 1  # of each word by itself


@pytest.mark.slow
def test_shapley_values_of_objects() -> None:
    image = ROOT / "assets" / "demo" / "bakery.jpg"
    done = run("explain", image, "--checkpoint", "street", "--top", "1000", "--shapley", "--json")
    assert done.returncode == 0, done.stderr
    objects = json.loads(done.stdout)["objects"]
    assert len(objects) > 12
    first = max(objects, key=lambda one: one["shapley"])
    assert first["shapley"] > 1 and first["shapley_error"] >= 0
    assert first is max(objects, key=lambda one: one["contribution"])  # one sign carries the word, others nothing
    plain = run("explain", image, "--checkpoint", "street", "--top", "3")
    assert "shapley" not in plain.stdout and "contribution" in plain.stdout


def test_dataset(svt: Path) -> None:
    done = run("dataset", "--data", svt, "--json")
    facts = json.loads(done.stdout)
    assert (facts["train_unique"], facts["eval_unique"], facts["common_unique"], facts["all_unique"]) == (
        2545,
        4282,
        1464,
        5363,
    )
    assert run("dataset", "--data", svt).stdout.count("RESTAURANT") == 1


@pytest.mark.slow
def test_words_and_objects_of_a_demo_image(vocabulary: Path, tmp_path: Path) -> None:
    image = sorted((ROOT / "assets" / "demo").glob("*.jpg"))[0]
    done = run("words", image, "--vocabulary", vocabulary, "--top", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)[0]["words"]) == 3
    done = run("objects", image, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)
    assert document["objects"]
    with Image.open(image) as original, Image.open(tmp_path / "out" / f"{image.stem}-objects.png") as overlay:
        assert overlay.size == original.size
        assert document["size"] == [original.height, original.width]


@pytest.mark.slow
def test_words_that_are_read_join_the_general_list(tmp_path: Path) -> None:
    sign = Image.new("RGB", (700, 160), (240, 235, 220))
    ImageDraw.Draw(sign).text((40, 40), "CAFE Kranzler", (30, 30, 60), ImageFont.truetype("DejaVuSans-Bold.ttf", 60))
    sign.save(tmp_path / "sign.png")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    done = run("words", tmp_path / "sign.png", tmp_path / "dot.png", "--json")
    assert done.returncode == 0, done.stderr
    read, blank = json.loads(done.stdout)
    assert read["vocabulary_size"] == blank["vocabulary_size"] + 1 > 20_000
    assert {word["word"]: word["in_list"] for word in read["words"][:2]} == {"CAFE": True, "Kranzler": False}
    assert read["none"] < 0.2 and blank["none"] > 0.9 and (read["readable"], blank["readable"]) == (True, False)
    table = run("words", tmp_path / "sign.png", "--top", "2")
    assert "Kranzler" in table.stdout and "read, in no list" in table.stdout
    nothing = run("words", tmp_path / "dot.png", "--vocabulary", "CAFE, bar")
    assert (nothing.returncode, nothing.stdout) == (0, "") and "none of these words" in nothing.stderr


def test_vocabularies_that_are_none(tmp_path: Path) -> None:
    image = sorted((ROOT / "assets" / "demo").glob("*.jpg"))[0]
    for content, sentence in (
        (b" ,\n", "has no words"),
        (b"BAR\0GRILL", "not a text file"),
        (b"\n".join(b"w%d" % number for number in range(10**6)), "has 1,000,000 words; at most 100,000 are accepted"),
        (b"BAR " * 1000, "words are separated by line breaks or commas"),
    ):
        (tmp_path / "words.txt").write_bytes(content)
        assert sentence in refused("words", image, "--vocabulary", tmp_path / "words.txt")
    assert "has no words" in refused("words", image, "--vocabulary", " , ")
    assert "No such file" in refused("words", image, "--vocabulary", "nowhere.txt")


def test_a_broken_jpeg(vocabulary: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    Image.new("RGB", (300, 200), "red").save(broken)
    broken.write_bytes(broken.read_bytes()[:700])
    assert "broken.jpg" in refused("words", broken, "--vocabulary", vocabulary)


def test_a_huge_png(vocabulary: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge.png"
    Image.new("1", (30_000, 30_000)).save(huge)
    assert "megapixels" in refused("words", huge, "--vocabulary", vocabulary)


@pytest.mark.slow
def test_a_text_named_jpg(vocabulary: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    assert "text.jpg" in refused("objects", text)


def test_an_xml_that_expands_entities(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    bomb = '<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><tagset>&b;</tagset>'
    for name in ("train.xml", "test.xml"):
        (tmp_path / name).write_text(bomb)
    assert "xml" in refused("dataset", "--data", tmp_path).lower()


@pytest.mark.slow
def test_mistakes_in_options(vocabulary: Path, tmp_path: Path) -> None:
    image = sorted((ROOT / "assets" / "demo").glob("*.jpg"))[0]
    assert "no word model" in refused("words", image, "--vocabulary", vocabulary, "--model", "oracle")
    assert "no checkpoint" in refused("words", image, "--vocabulary", vocabulary, "--checkpoint", "nowhere")
    assert "nowhere" in refused("words", tmp_path / "nowhere.jpg", "--vocabulary", vocabulary)
    assert "nowhere" in refused("dataset", "--data", tmp_path / "nowhere")
    assert "segmenter" in refused("objects", image, "--segmenter", "oracle").lower()
