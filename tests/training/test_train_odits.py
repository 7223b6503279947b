"""Training of ODITS on a few small pictures, with the embedded CLIP model and segmenter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from odits.core.errors import OditsError
from odits.core.progress import Phase
from odits.data import Dataset, open_image, read_dataset
from odits.metrics.probabilities import confidence_metrics
from odits.models.clip.loading import load_clip
from odits.models.fusion.inputs import InputEncoder, ObjectEncoder, OditsInput, lexicon_table
from odits.models.fusion.model import load_odits
from odits.models.registry import read_metadata
from odits.models.segmentation.segmenters import load_segmenter
from odits.training.losses import (
    SHARPNESS,
    best_sharpness,
    confidence_f1,
    draw_words,
    multi_positive_loss,
    word_weights,
)
from odits.training.odits import make_input_encoder, origin_of, train_odits
from odits.training.odits_data import choose_objects, split_data
from odits.training.run import Listener, RunOptions
from odits.training.settings import ABLATIONS, OditsSettings

DEMO = Path(__file__).parents[2] / "assets" / "demo"
QUICK = OditsSettings(epochs=3, patience=3, batch=2, negatives=8, held_out=0.25)
ORIGIN = {"parent": "embedded", "name": "test", "clip_name": "test", "segmenter": "embedded"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("pictures")
    lines = ["file,words,split"]
    names = ("bakery", "cafe", "hotel", "market", "theater")
    for number, name in enumerate(names):
        image = open_image(DEMO / f"{name}.jpg")
        image.thumbnail((200, 200))
        image.save(folder / f"{name}.png")
        lines.append(
            f"{name}.png,{name.upper()} THE OPEN {names[number - 1].upper()},{'eval' if name == 'cafe' else 'train'}"
        )
    (folder / "lexicons.csv").write_text("\n".join(lines) + "\n")
    return read_dataset(folder)


@pytest.fixture(scope="module")
def input_encoder() -> InputEncoder:
    return InputEncoder(ObjectEncoder(load_clip("embedded", "cpu"), load_segmenter("embedded")))


@pytest.mark.slow
def test_it_learns_and_same_seed_means_same_bytes(data: Dataset, input_encoder: InputEncoder, tmp_path: Path) -> None:
    from odits.models.clip.embedded import ARCHITECTURE

    origin = ORIGIN | {"architecture": ARCHITECTURE}
    first = train_odits(input_encoder, data, tmp_path / "a", QUICK, origin)
    assert [line["epoch"] for line in first.history] == [1, 2, 3]
    assert first.history[-1]["held_out"] < first.start["held_out"]
    assert first.checkpoints[-1]["epoch"] == min(first.history, key=lambda line: line["held_out"])["epoch"]

    def interrupt(line: dict[str, float]) -> None:
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_odits(input_encoder, data, tmp_path / "b", QUICK, origin, RunOptions(listener=Listener(epoch=interrupt)))
    second = train_odits(input_encoder, data, tmp_path / "b", QUICK, origin)
    assert second.resumed_from == 2
    for name in ("initial.safetensors", "best.safetensors", "history.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    metadata = read_metadata(tmp_path / "a" / "best.safetensors")
    assert metadata["kind"] == "odits" and metadata["seed"] == "0"

    model = load_odits(tmp_path / "a" / "best.safetensors", "cpu")
    vocabulary = data.vocabulary()
    found = model.predict(open_image(data.split("eval")[0].path), vocabulary)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-4)
    before = load_odits(tmp_path / "a" / "initial.safetensors", "cpu").predict(
        open_image(data.split("eval")[0].path), vocabulary
    )
    clip = input_encoder.object_encoder.clip.predict(open_image(data.split("eval")[0].path), vocabulary)
    np.testing.assert_allclose(before.probabilities, clip.probabilities, atol=1e-6)

    with pytest.raises(OditsError, match="was made with another seed"):
        train_odits(input_encoder, data, tmp_path / "a", replace(QUICK, seed=1), origin)


@pytest.mark.slow
def test_a_run_that_is_cut_off_behind_its_last_epoch_ends_the_same(
    data: Dataset, input_encoder: InputEncoder, tmp_path: Path
) -> None:
    from odits.models.clip.embedded import ARCHITECTURE

    origin = ORIGIN | {"architecture": ARCHITECTURE}

    def cut(name: str) -> Phase:
        if name.startswith("choosing"):
            raise KeyboardInterrupt
        return Phase(name)

    best = "best.safetensors"
    whole = train_odits(input_encoder, data, tmp_path / "whole", QUICK, origin)
    assert whole.checkpoints[-1]["metadata"]["recall"] == "chosen"
    for name in ("before", "between"):  # before the file is written, between the file and the state
        with pytest.raises(KeyboardInterrupt):
            train_odits(input_encoder, data, tmp_path / name, QUICK, origin, RunOptions(listener=Listener(phase=cut)))
        assert read_metadata(tmp_path / name / best)["recall"] == "as trained"
    (tmp_path / "between" / best).write_bytes((tmp_path / "whole" / best).read_bytes())
    for name in ("before", "between"):
        again = train_odits(input_encoder, data, tmp_path / name, QUICK, origin)
        assert again.checkpoints == whole.checkpoints
        assert (tmp_path / name / best).read_bytes() == (tmp_path / "whole" / best).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("part", ["head", "full"])
def test_clip_can_learn_along(data: Dataset, tmp_path: Path, part: str) -> None:
    from odits.models.clip.embedded import ARCHITECTURE
    from odits.models.clip.state_dicts import read_tensors

    input_encoder = make_input_encoder("embedded", "embedded", device="cpu")
    before = {name: value.clone() for name, value in input_encoder.object_encoder.clip.model.state_dict().items()}
    config = replace(QUICK, clip=part, clip_rate=1e-3, epochs=1)
    train_odits(input_encoder, data, tmp_path, config, ORIGIN | {"architecture": ARCHITECTURE})
    after = {
        k.removeprefix("clip."): v for k, v in read_tensors(tmp_path / "best.safetensors").items() if k[:5] == "clip."
    }
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert any(name.startswith("visual.head") for name in moved)
    assert any(not name.startswith("visual.") for name in moved) == (part == "full")
    assert not any("locator" in name for name in moved)
    model = load_odits(tmp_path / "best.safetensors", "cpu")
    assert (
        model.clip.checkpoint != input_encoder.object_encoder.clip.checkpoint
    )  # its embeddings are others than those in the store
    found = model.predict(open_image(data.split("eval")[0].path), data.vocabulary())
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_clip_learns_from_an_images_own_objects_only(
    data: Dataset, input_encoder: InputEncoder, tmp_path: Path
) -> None:
    with pytest.raises(OditsError, match="own objects"):
        train_odits(input_encoder, data, tmp_path, replace(QUICK, clip="head", objects="shuffled"), ORIGIN)


@pytest.mark.slow
def test_controls_see_other_objects(data: Dataset, input_encoder: InputEncoder) -> None:
    inputs = [input_encoder.encode(record.path, data.vocabulary()) for record in data.records]
    alone = choose_objects(inputs, "image", 0)
    assert all(len(one.embeddings) == 1 and (one.embeddings.objects[0] == one.embeddings.image).all() for one in alone)
    shuffled = choose_objects(inputs, "shuffled", 0)
    own = {one.embeddings.image.tobytes(): one.embeddings.objects.tobytes() for one in inputs}
    assert all(own[one.embeddings.image.tobytes()] != one.embeddings.objects.tobytes() for one in shuffled)
    assert sorted(one.embeddings.objects.tobytes() for one in shuffled) == sorted(own.values())
    for one, lines, regions in zip(
        inputs, *(choose_objects(inputs, kind, 0) for kind in ("lines", "regions")), strict=True
    ):
        kinds = one.embeddings.kind.tolist()
        assert len(lines.embeddings) + len(regions.embeddings) == len(kinds)
        assert {"text", "word"} >= set(lines.embeddings.kind.tolist())
        assert set(regions.embeddings.kind.tolist()) <= {"region"}
    read = OditsInput(inputs[0].embeddings, np.zeros((1, 3), np.float16))
    assert choose_objects([read], "regions", 0)[0].is_read.tolist()[-1]  # what a spotter read stays


@pytest.mark.slow
def test_held_out_images_are_not_learned_from(data: Dataset, input_encoder: InputEncoder) -> None:
    inputs = [input_encoder.encode(record.path, data.vocabulary()) for record in data.split("train")]
    table = lexicon_table([record.lexicon for record in data.split("train")], data.vocabulary())
    split = split_data(inputs, torch.zeros(len(data.vocabulary()), 4), table, QUICK)
    assert set(split.train) | set(split.held_out) == set(range(len(inputs)))
    assert not set(split.train) & set(split.held_out) and len(split.held_out) == 1


def slow_loss(logits: Tensor, true: Tensor, weights: Tensor) -> float:
    total = 0.0
    for row, members in zip(logits.double(), true, strict=True):
        shares = torch.softmax(row, 0)
        weight = sum(float(weights[k]) for k in range(len(row)) if members[k])
        total -= sum(float(weights[k]) / weight * float(shares[k].log()) for k in range(len(row)) if members[k])
    return total / len(logits)


def test_the_loss_is_what_its_formula_says() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, true = torch.randn(3, 9, generator=generator), torch.rand(3, 9, generator=generator) < 0.4
    true[:, 0] = True
    weights = word_weights(torch.tensor([4.0, 1, 0, 9, 2, 1, 1, 1, 3]), 0.5)
    assert weights[:4].tolist() == [0.5, 1, 1, pytest.approx(1 / 3)]
    assert float(multi_positive_loss(logits, true, weights)) == pytest.approx(
        slow_loss(logits, true, weights), rel=1e-5
    )


def test_drawn_words_stand_for_all() -> None:
    true = torch.zeros(2, 400, dtype=torch.bool)
    true[0, 7] = true[1, 9] = True
    logits = torch.zeros(2, 400)
    asked, offset = draw_words(true, 40, np.random.default_rng(0))
    assert {7, 9} <= set(asked.tolist()) and len(asked) == 42
    ones = torch.ones(400)
    sampled = multi_positive_loss(logits[:, asked], true[:, asked], ones[asked], offset)
    assert float(sampled) == pytest.approx(float(multi_positive_loss(logits, true, ones)), rel=1e-5)
    everything, none = draw_words(true, 0, np.random.default_rng(0))
    assert len(everything) == 400 and (none == 0).all()


def test_sharpness_is_the_most_precise_that_keeps_the_f1() -> None:
    generator = torch.Generator().manual_seed(1)
    true = (torch.rand(8, 60, generator=generator) < 0.15).float()
    logits = 2 * true + torch.randn(8, 60, generator=generator)
    floor = confidence_f1(logits, true)
    found = best_sharpness(logits, true, floor)

    def scores(factor: float) -> tuple[float, float]:
        values = confidence_metrics(torch.softmax(factor * logits, 1).numpy(), true.numpy() > 0)
        return float(values["precision"].mean()), float(values["f1"].mean())

    assert scores(found)[1] >= floor
    assert scores(found)[0] == max(scores(factor)[0] for factor in SHARPNESS if scores(factor)[1] >= floor)
    assert best_sharpness(logits, true, 2.0) == max(SHARPNESS, key=lambda factor: scores(factor)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initializer": "zero"}, "no initialiser 'zero'"),
        ({"without": ("wheels",)}, "no part 'wheels'"),
        ({"objects": "some"}, "no kind of objects 'some'"),
        ({"held_out": 1.0}, "held out has to be above 0 and below 1, not 1"),
        ({"object_dropout": 1.0}, "below 1"),
    ],
)
def test_wrong_settings_are_told(change: dict[str, object], message: str) -> None:
    with pytest.raises(OditsError, match=message):
        OditsSettings(**change)  # type: ignore[arg-type]


def test_runs_differ_by_their_settings() -> None:
    digests = {
        OditsSettings(seed=seed, without=without).digest("x") for seed in (0, 1) for without in ((), ("recall",))
    }
    assert len(digests) == 4
    assert OditsSettings(without=("recall", "prior")).digest() == OditsSettings(without=("prior", "recall")).digest()
    assert set(ABLATIONS) >= {"object_attention", "feature_enhancer"}


@pytest.mark.slow
def test_what_a_checkpoint_says_of_its_origin() -> None:
    input_encoder = make_input_encoder("embedded", "embedded", "blurred")
    origin = origin_of("embedded", "embedded", input_encoder)
    assert origin["segmenter"] == "embedded" and json.dumps(origin)
    assert "blurred" in input_encoder.key
