"""Every page over names and words made of Markdown, HTML, formulas, shortcodes and control characters."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from google.protobuf.message import Message
from PIL import Image
from safetensors.numpy import load_file, save_file
from streamlit.testing.v1 import AppTest

from odits.data import Dataset, Vocabulary, read_dataset
from odits.data.annotations import set_mark
from odits.data.marks import ImageWord
from odits.data.predictions import View
from odits.evaluation.results import StoredEvaluation, evaluate_and_store
from odits.models.reference import EMBEDDED_WEIGHTS
from odits.models.registry import parse
from odits.tracking.mlflow_client import open_mlflow
from pages._shared.layout import escape_html, escape_markdown
from tests.pages.running import REPOSITORY, open_page

pytestmark = pytest.mark.slow

STEMS = (
    "*bold* _em_ ~~gone~~",
    "[a](b) $x$",
    "<img src=x onerror=y>",
    "&lt;b&gt; %{y}",
    ":smile: :red[x]",
    ":material_home:",
    "# head",
    "1. one",
    "a  b",
    "\u202egpj",
    "a\x1b[2J",
    "www.a.example",
    "n" * 240,
    "שלום",
)
NAMES = [f"{stem}.png" for stem in STEMS]
WORDS = ("*BOLD*", "[A](B)", "<B>X</B>", "$X$", ":SMILE:", "W" * 300, "%{Y}", "שלום")
ANNOTATORS = ("*anna* $x$", "<b>bob</b>")
MODEL = "<i>model</i> *x* $y$ :smile:"
CARD = "# Card\n![seen](http://127.0.0.1:9/seen.png) <script>1</script> $x$\n"
PLAIN = frozenset(
    {"id", "key", "url", "alt", "placeholder", "default", "value", "raw_value", "raw_values", "set_value", "json"}
)
"""Fields that Streamlit shows as they are, or does not show."""
PLAIN_OPTIONS = ("Selectbox", "MultiSelect")
_SEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


class Dice:
    """A word model that throws dice, with a name from outside."""

    def __init__(self, name: str, checkpoint: str) -> None:
        self.name, self.checkpoint, self._random = name, checkpoint, np.random.default_rng(1)

    def probabilities(self, images: list[Image.Image], vocabulary: Vocabulary, view: View | None = None) -> np.ndarray:
        return self._random.dirichlet(np.full(len(vocabulary), 0.1), len(images)).astype(np.float32)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    st.cache_data.clear()
    st.cache_resource.clear()
    yield


@pytest.fixture
def data(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The data set of the whole app: small pictures whose names and words are traps."""
    folder = tmp_path / "*set* $x$ <b>"
    folder.mkdir()
    with Image.open(REPOSITORY / "assets" / "demo" / "cafe.jpg") as image:
        scene = image.convert("RGB").resize((160, 120))
    for number, name in enumerate(NAMES):
        scene.rotate(number).save(folder / name)
    with (folder / "lexicons.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "words", "split"])
        for number, name in enumerate(NAMES):
            rows.writerow([name, " ".join(WORDS), "train" if number % 2 else "eval"])
    monkeypatch.setenv("ODITS_DATA", str(folder))
    found = read_dataset(folder)
    assert {record.name for record in found.records} == set(NAMES)
    return found


@pytest.fixture
def stored(data: Dataset) -> StoredEvaluation:
    """Evaluations of the default CLIP model and of one whose name is a trap, and marks by annotators who are."""
    words = data.vocabulary()
    first = evaluate_and_store(Dice(MODEL, parse("embedded").digest), "embedded", data, "eval", words)
    evaluate_and_store(Dice(f"{MODEL} 2", "b" * 64), "other", data, "eval", words)
    for annotator, verdict in zip(ANNOTATORS, ("right", "wrong"), strict=True):
        for word in words.words[:3]:
            about = ImageWord(first.data, first.images[0], word)
            set_mark(annotator, about, verdict, "<b>note</b> *x* $y$ :smile:")
    return first


@pytest.fixture
def checkpoint(home: Path) -> str:
    """A checkpoint of somebody else's, with a card, both made of traps."""
    folder = home / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "x*y*.safetensors"
    metadata = {"architecture": parse("embedded").architecture, "name": MODEL, "note": MODEL}
    save_file(load_file(parse("embedded").path or EMBEDDED_WEIGHTS), path, metadata)
    path.with_suffix(".md").write_text(CARD, encoding="utf-8")
    return str(path)


def traps() -> list[str]:
    """All texts of the fixtures that would be formatted."""
    known = [*STEMS[:8], *WORDS[:5], *ANNOTATORS, MODEL, "<b>note</b> *x* $y$ :smile:"]
    return [text for text in known if escape_markdown(text) != text]


def strings(message: Message, kind: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield every text of an element: its kind, its field and itself."""
    kind = message.DESCRIPTOR.name
    for field, value in message.ListFields():
        several = value if field.is_repeated else [value]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        for one in several:
            if isinstance(one, Message):
                yield from strings(one)
            elif isinstance(one, str):
                yield kind, field.name, one


def protos(app: AppTest) -> Iterator[Message]:
    for root in (app.main, app.sidebar):
        for node in root:
            proto: Any = getattr(node, "proto", None)
            if isinstance(proto, Message):
                yield proto


def words_of(document: Any) -> Iterator[str]:
    """Yield every text of a JSON document."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, list | dict):
        for one in document.values() if isinstance(document, dict) else document:
            yield from words_of(one)


def is_plain(kind: str, field: str) -> bool:
    return field in PLAIN or (field == "options" and kind in PLAIN_OPTIONS)


def check(app: AppTest, *shown: str) -> None:
    """Check that no text of a page is formatted, and that these texts are shown letter by letter."""
    assert not app.exception, [item.value for item in app.exception]
    texts = [found for proto in protos(app) for found in strings(proto)]
    assert len(texts) > 10
    for kind, field, text in texts:
        where = f"{kind}.{field}: {text[:300]!r}"
        if kind in ("Code", "Arrow", "Text") or is_plain(kind, field):
            continue
        if kind in ("PlotlyChart", "Html"):
            read = "<&$%" if kind == "PlotlyChart" else "<&"
            within = "\n".join(words_of(json.loads(text))) if field == "spec" else text
            found = [trap for trap in traps() if trap in within and set(trap) & set(read)]
        else:
            found = [trap for trap in traps() if trap in text.replace(escape_markdown(trap), "")]
            assert not _SEEN.search(text.replace("\n", "")), where
        assert not found, f"{found} in {where}"
    everything = "\n".join(text for _, _, text in texts)
    for text in shown:
        assert escape_markdown(text) in everything or escape_html(text) in everything, text


@pytest.mark.parametrize("tab", ["overview", "words", "images"])
def test_data(data: Dataset, tab: str) -> None:
    check(open_page("data", tab=tab), *([WORDS[0]] if tab == "overview" else []))


def test_words(data: Dataset) -> None:
    for name in NAMES[1:3]:
        check(open_page("words", images="all", image=name, vocabulary="all"))
    check(open_page("words", images="all", image=NAMES[0], vocabulary="lexicon", compare="True", model2="embedded"))


def test_browse(stored: StoredEvaluation) -> None:
    address = {"images": "eval", "vocabulary": "eval", "model": "embedded", "annotator": ANNOTATORS[0]}
    check(open_page("browse", **address), *[name for name in stored.images if "\x1b" not in name])
    check(open_page("browse", **address, view="image", opened=stored.images[0]), stored.images[0])
    check(open_page("browse", **address, part="agreement"), *ANNOTATORS)


def test_search(data: Dataset) -> None:
    check(open_page("search", searched="all", query="*x* <b> $y$ :smile:", like=NAMES[0]))


def test_objects_and_counts(data: Dataset) -> None:
    check(open_page("objects", images="all", image=NAMES[0], vocabulary="all"))
    check(open_page("counts", images="eval"))


def test_explain(data: Dataset) -> None:
    check(open_page("explain", images="all", image=NAMES[2], vocabulary="all", odits="untrained"))


def test_models(checkpoint: str) -> None:
    check(open_page("models", model=checkpoint), MODEL)


def test_checkpoints(stored: StoredEvaluation, checkpoint: str) -> None:
    check(open_page("checkpoints", tab="here", shown=checkpoint), MODEL)
    check(open_page("checkpoints", tab="compare"), f"{MODEL} 2")
    check(open_page("checkpoints", tab="images"))


def test_runs(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = open_mlflow().client
    experiment = client.create_experiment("signs", artifact_location=(tmp_path / "files").as_uri())
    runs = []
    for name in (MODEL, ANNOTATORS[1]):
        run = client.create_run(experiment, run_name=name).info.run_id
        for step in range(3):
            client.log_metric(run, "loss/total", 1.0 / (step + 1), step=step)
        client.log_artifact(run, str(EMBEDDED_WEIGHTS))
        runs.append(run)
    page = open_page("checkpoints", tab="runs", source="mlflow", runs="|".join(runs))
    check(page)
    table = next(frame.value for frame in page.dataframe if "Started" in frame.value)
    assert set(table["Run"]) == {MODEL, ANNOTATORS[1]}
    assert any(proto.DESCRIPTOR.name == "PlotlyChart" for proto in map(inner, protos(page)))


def inner(proto: Message) -> Message:
    """Return the element within what holds it."""
    for _, value in proto.ListFields():
        if isinstance(value, Message) and value.DESCRIPTOR.name == "PlotlyChart":
            return value
    return proto
