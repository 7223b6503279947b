"""Word models on the pages: one reference in the box, in links and in jobs, for CLIP, ODITS and word spotting alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from odits.core.errors import OditsError
from odits.core.files import asset
from odits.data import Vocabulary, read_dataset
from odits.models.clip.embedded import ARCHITECTURE, new_model
from odits.models.fusion.inputs import InputEncoder, ObjectEncoder
from odits.models.fusion.model import untrained
from odits.models.registry import available, load, parse
from odits.training.saving import save_odits
from pages._checkpoints.local import words_link
from pages._shared import jobs, word_models
from pages._shared.evaluations import evaluation_task, find_evaluation, stored_now
from pages._shared.layout import escape_markdown
from tests.pages.running import open_page, opened_by_hand

WORDS = Vocabulary.from_words(["BAKERY", "CAFE", "HOTEL", "MARKET"], "signs")


@pytest.fixture
def trained(home: Path) -> Path:
    """An ODITS checkpoint and a fine-tuned CLIP model in ODITS_HOME: neither has learned anything."""
    folder = home / "checkpoints" / "run"
    folder.mkdir(parents=True)
    clip = load("embedded", "cpu", kind="clip")
    encoder = InputEncoder(ObjectEncoder(clip, load("embedded", kind="segmenter")))
    header = {"name": "mine", "epoch": "2", "architecture": ARCHITECTURE, "parent_digest": clip.checkpoint}
    save_odits(folder / "odits.safetensors", untrained(encoder).network, encoder, [["CAFE"]], header)
    save_file(new_model().state_dict(), folder / "clip.safetensors", {"architecture": ARCHITECTURE, "name": "Tuned"})
    return folder


def says_who(app: AppTest, name: str) -> bool:
    """Whether a model of that name predicts on the page Words."""
    return any(f"**{escape_markdown(name)}**" in item.value for item in app.markdown)


@pytest.mark.slow
def test_words_and_browse_start_with_odits_street_and_say_so() -> None:
    words = open_page("words", images="demo", image="cafe.jpg", vocabulary="demo")
    assert words.selectbox(key="widget-model").value == "street"
    assert says_who(words, "ODITS Street")
    assert any("Reads each place where a word is written" in item.value for item in words.caption)
    browse = open_page("browse", images="demo", vocabulary="demo")
    assert browse.selectbox(key="widget-model").value == "street"
    assert any("Reads each place where a word is written" in item.value for item in browse.caption)


@pytest.mark.slow
def test_every_row_reads_words_with_its_own_model(trained: Path) -> None:
    rows = [ref for ref in available() if ref.kind != "segmenter"]
    assert {ref.kind for ref in rows} == {"spotting", "clip", "odits"} and len(rows) == 5
    for ref in rows:
        address = dict(parse_qsl(urlsplit(words_link(ref)).query))
        app = open_page("words", images="demo", image="cafe.jpg", vocabulary="demo", **address)
        model = load(ref, "cpu")
        assert says_who(app, model.name.replace(" (embedded)", ""))
        assert any(f"`{model.checkpoint[:12]}`" in item.value for item in app.markdown)


@pytest.mark.parametrize(
    ("address", "reference"),
    [
        ({"model": "odits-signs"}, "embedded"),
        ({"model": "odits-signs", "checkpoint": "embedded"}, "embedded"),
        ({"model": "spotting", "checkpoint": "embedded"}, "spotting"),
        ({"model": "ViT-B-32", "checkpoint": "ViT-B-32/laion2b_s34b_b79k"}, "ViT-B-32/laion2b_s34b_b79k"),
        ({"model": "ViT-B-16"}, "ViT-B-16/openai"),
    ],
)
def test_links_of_before_still_work(address: dict[str, str], reference: str) -> None:
    """They named a model's architecture and its checkpoint apart."""
    app = AppTest.from_function(_chosen, default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception and app.text[0].value == reference


def _chosen() -> None:
    import streamlit as st

    from pages._shared import state
    from pages._shared.word_models import choose_model

    state.adopt_url("")
    st.text(choose_model())


@pytest.mark.slow
def test_checkpoints_of_every_kind_are_evaluated_together(trained: Path) -> None:
    dataset = read_dataset(asset("demo"))
    dataset = replace(dataset, records=dataset.records[:2])
    references = ["spotting", str(trained / "odits.safetensors"), "embedded"]
    task = evaluation_task("evaluate-test", references, {}, (dataset, "eval"), WORDS, "")
    job = jobs.Job(task.title, task.run)
    job._thread.join(300)
    assert (job.state, job.message) == ("done", "")
    assert {stored.reference for stored in stored_now()} == set(references)
    for reference in references:
        found = find_evaluation(reference, dataset.name, dataset.split("eval"), WORDS)
        assert found is not None and found.reference == reference


@pytest.mark.parametrize("reference", ["nowhere", "ViT-B-32/nothing", "spotting:oracle", "sam:vit_b"])
def test_a_wrong_reference_gives_the_same_sentence_as_in_the_commands(reference: str) -> None:
    with pytest.raises(OditsError) as expected:
        parse(reference, *word_models.WORD_MODELS)
    for use in (word_models.load, word_models.load_quietly, word_models.need_weights):
        with pytest.raises(OditsError) as found:
            use(reference)
        assert str(found.value) == str(expected.value)
    assert not word_models.reads(reference)
    app = AppTest.from_file(str(Path(__file__).parents[2] / "pages" / "words.py"), default_timeout=60)
    app.query_params["images"], app.query_params["model"] = "demo", reference
    opened_by_hand(app.run())
    assert not app.exception
    assert [item.value for item in app.error] == [escape_markdown(str(expected.value))]


def test_a_page_of_clip_alone_refuses_another_model() -> None:
    with pytest.raises(OditsError, match="'spotting' is not a CLIP model: it is word spotting"):
        word_models.load("spotting", "clip")
