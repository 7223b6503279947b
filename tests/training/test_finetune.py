"""Fine-tuning: the same seed gives the same bytes, whatever happened on the way."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from odits.core.errors import OditsError
from odits.core.files import cache_home
from odits.data import read_dataset
from odits.models.clip.loading import load_clip
from odits.models.registry import read_metadata
from odits.training.finetune import finetune
from odits.training.run import Listener, RunOptions, RunState
from odits.training.saving import inherited_metadata
from odits.training.settings import FinetuneSettings
from tests.training import tiny

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
CONFIG = FinetuneSettings(epochs=5, batch=3, draws=2, learning_rate=1e-3, named_epochs=(2, 3))
OPTIONS = (
    "--epochs",
    "5",
    "--batch",
    "3",
    "--draws",
    "2",
    "--learning-rate",
    "1e-3",
    "--keep",
    "2,3",
    "--track",
    "none",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny data set and weights."""
    folder = tmp_path_factory.mktemp("finetune")
    tiny.write_data(folder / "data")
    tiny.write_weights(folder / "weights.safetensors")
    return folder


def run(place: Path, out: Path, config: FinetuneSettings = CONFIG, **options: Any) -> RunState:
    reference = f"{tiny.ARCHITECTURE}@{place / 'weights.safetensors'}"
    clip = load_clip(reference, "cpu")
    origin = {"parent": "weights", **inherited_metadata(reference), "name": clip.name}
    evaluate = options.pop("evaluate", None)
    return finetune(clip, read_dataset(place / "data"), out, config, origin, RunOptions(**options), evaluate)


def child(
    place: Path, out: Path, *more: str, die: tuple[str, ...] = (), launcher: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """`odits finetune` in a process of its own, with the settings of CONFIG."""
    reference = f"{tiny.ARCHITECTURE}@{place / 'weights.safetensors'}"
    where = ("--data", str(place / "data"), "--checkpoint", reference, "--out", str(out), "--device", "cpu", "--json")
    command = (sys.executable, *launcher, "-m", "tests.training.tiny", *die, *OPTIONS, *where, *more)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    """As in the processes that the tests start: sums in another order are other bytes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_same_seed_gives_the_same_bytes_and_the_loss_falls(place: Path, tmp_path: Path) -> None:
    first, again = run(place, tmp_path / "a"), run(place, tmp_path / "b")
    files = {path.name: path.read_bytes() for path in (tmp_path / "a").glob("*.safetensors")}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "b").glob("*.safetensors")}
    assert first.history == again.history
    assert first.history[-1]["total"] < first.history[0]["total"]
    other = run(place, tmp_path / "c", dataclasses.replace(CONFIG, seed=1))
    assert other.history != first.history
    for line in first.history:
        assert line["total"] == pytest.approx((line["image"] + line["text"]) / 2)


def test_checkpoints_are_kept_at_new_lows_named_epochs_and_the_end(place: Path, tmp_path: Path) -> None:
    state = run(place, tmp_path / "run", dataclasses.replace(CONFIG, learning_rate=0.3, epochs=6, named_epochs=(2,)))
    lowest, expected = float("inf"), {}
    for line in state.history:
        epoch = int(line["epoch"])
        reasons = ["new low"] * (line["total"] < lowest) + ["named"] * (epoch == 2) + ["last"] * (epoch == 6)
        lowest = min(lowest, line["total"])
        if reasons:
            expected[epoch] = reasons
    assert {kept["epoch"]: kept["reasons"] for kept in state.checkpoints} == expected
    assert 1 in expected
    assert len(expected) < 6  # such a learning rate does not only go down
    assert {path.name for path in (tmp_path / "run").glob("*.safetensors")} == {k["file"] for k in state.checkpoints}
    metadata = read_metadata(tmp_path / "run" / "epoch-002.safetensors")
    assert (metadata["architecture"], metadata["epoch"], metadata["parent"]) == (tiny.ARCHITECTURE, "2", "weights")
    assert float(metadata["total_loss"]) == state.history[1]["total"]
    assert len(metadata["parent_digest"]) == len(metadata["data_digest"]) == 64
    tuned = load_clip(str(tmp_path / "run" / "epoch-006.safetensors"), "cpu")
    assert tuned.name == f"{tiny.ARCHITECTURE} (weights.safetensors) (+6)"


@pytest.mark.parametrize(("function", "call"), [("step", 10), ("checkpoint", 3), ("state", 4)])
def test_killed_and_resumed_equals_uninterrupted(place: Path, tmp_path: Path, function: str, call: int) -> None:
    """Killed in the third epoch: within it, before its checkpoint, and when its state is half written."""
    whole = run(place, tmp_path / "whole")
    killed = child(place, tmp_path / "cut", die=("--die", function, str(call)))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    said: list[str] = []
    resumed = run(place, tmp_path / "cut", listener=Listener(said.append))
    assert resumed.resumed_from == 2
    assert said[0].startswith("resumed after epoch 2 of 5")
    assert resumed.history == whole.history
    names = sorted(path.name for path in (tmp_path / "whole").glob("*.safetensors"))
    assert "epoch-005.safetensors" in names
    for name in names:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_finished_run_is_extended_or_left_alone(place: Path, tmp_path: Path) -> None:
    whole = run(place, tmp_path / "whole")
    run(place, tmp_path / "longer", dataclasses.replace(CONFIG, epochs=3))
    longer = run(place, tmp_path / "longer")
    assert (longer.resumed_from, longer.history) == (3, whole.history)
    stamp = (tmp_path / "longer" / "state.pt").stat().st_mtime_ns
    assert run(place, tmp_path / "longer").resumed_from == 5
    assert (tmp_path / "longer" / "state.pt").stat().st_mtime_ns == stamp
    with pytest.raises(OditsError, match="another seed"):
        run(place, tmp_path / "longer", dataclasses.replace(CONFIG, seed=3))
    (tmp_path / "longer" / "mine.txt").write_text("stays")
    assert run(place, tmp_path / "longer", dataclasses.replace(CONFIG, seed=3, epochs=1), restart=True).epoch == 1
    assert len(list((tmp_path / "longer").glob("*.safetensors"))) == 1
    assert (tmp_path / "longer" / "mine.txt").exists()
    (tmp_path / "longer" / "state.pt").write_bytes(b"no")
    with pytest.raises(OditsError, match="damaged"):
        run(place, tmp_path / "longer")


def test_two_processes_learn_what_one_does(place: Path, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    done = child(place, tmp_path / "two", "--batch", "6", launcher=launcher)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)  # one document: the second process is silent
    one = run(place, tmp_path / "one", dataclasses.replace(CONFIG, batch=6))
    assert [line["total"] for line in found["history"]] == pytest.approx([line["total"] for line in one.history])
    weights, others = (load_file(tmp_path / name / "epoch-005.safetensors") for name in ("one", "two"))
    for name, value in weights.items():
        if name.endswith("in_proj_bias"):  # a softmax does not feel the keys' bias: its gradient is rounding error
            value, others[name] = (torch.cat(bias.chunk(3)[::2]) for bias in (value, others[name]))
        assert torch.allclose(value, others[name], atol=2e-5), name


@pytest.mark.parametrize("train", ["head", "text"])
def test_frozen_parts_stay(place: Path, tmp_path: Path, train: str) -> None:
    fixed = "fixed" if train == "head" else "learned"
    run(place, tmp_path / "run", dataclasses.replace(CONFIG, train=train, epochs=1, draws=1, temperature=fixed))
    before = load_file(place / "weights.safetensors")
    after = load_file(tmp_path / "run" / "epoch-001.safetensors")
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    visual = {name for name in changed if name.startswith("visual.")}
    assert visual == ({"visual.proj"} if train == "head" else set())
    assert "token_embedding.weight" in changed
    assert ("logit_scale" in changed) == (fixed == "learned")


def test_low_rank_updates_are_all_that_is_trained(place: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, lora_rank=3, temperature="fixed")
    state = run(place, tmp_path / "run", config)
    assert state.history[-1]["total"] < state.history[0]["total"]
    before = load_file(place / "weights.safetensors")
    after = load_file(tmp_path / "run" / "epoch-005.safetensors")
    assert set(before) == set(after)  # a checkpoint like any other
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert "visual.transformer.resblocks.0.attn.in_proj_weight" in changed
    assert "transformer.resblocks.0.mlp.c_fc.weight" in changed
    for name in changed:
        assert name.endswith(("in_proj_weight", "out_proj.weight", "c_fc.weight", "c_proj.weight")), name
        assert torch.linalg.matrix_rank(after[name] - before[name], rtol=1e-4) == 3, name
    tuned = load_clip(str(tmp_path / "run" / "epoch-005.safetensors"), "cpu")
    assert set(tuned.model.state_dict()) == set(before)


def test_low_rank_updates_are_taken_up_and_end_in_the_model(place: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, lora_rank=2)
    run(place, tmp_path / "whole", config)
    run(place, tmp_path / "cut", dataclasses.replace(config, epochs=2))
    run(place, tmp_path / "cut", config)
    whole, cut = ((tmp_path / name / "epoch-005.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut
    with pytest.raises(OditsError, match="another lora rank"):
        run(place, tmp_path / "cut", dataclasses.replace(config, lora_rank=4))
    reference = f"{tiny.ARCHITECTURE}@{place / 'weights.safetensors'}"
    clip = load_clip(reference, "cpu")
    origin = {"parent": "weights", **inherited_metadata(reference), "name": clip.name}
    finetune(clip, read_dataset(place / "data"), tmp_path / "in place", config, origin, RunOptions())
    saved = load_file(tmp_path / "in place" / "epoch-005.safetensors")
    assert saved.keys() == clip.model.state_dict().keys()
    assert all(torch.equal(value, saved[name]) for name, value in clip.model.state_dict().items())
    former = FinetuneSettings(lora_rank=0)
    assert "lora_rank" not in former.identity()  # runs of former versions are taken up


def test_images_are_decoded_once(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(place, tmp_path / "first", dataclasses.replace(CONFIG, epochs=1))
    assert len(list((cache_home() / "cache" / "features").rglob("*.npy"))) == len(tiny.LEXICONS)
    monkeypatch.setattr("odits.training.data.open_image", lambda path, name: pytest.fail(f"{name} decoded again"))
    run(place, tmp_path / "second", dataclasses.replace(CONFIG, epochs=2, seed=5))


class Notebook:
    """A tracker that writes everything down."""

    name = "notebook"

    def __init__(self) -> None:
        self.id = "7"
        self.resumed: list[str | None] = []
        self.values: dict[str, dict[int, float]] = {}
        self.files: dict[str, str] = {}
        self.status = ""
        self.parameters: dict[str, Any] = {}

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> "Notebook":
        self.resumed.append(resume)
        self.parameters = dict(parameters)
        return self

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.values.setdefault(name, {})[step] = value

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        assert read_metadata(path)["epoch"] == metadata["epoch"]
        self.files[name] = metadata["epoch"]

    def finish(self, status: str) -> None:
        self.status = status


def test_a_run_is_tracked(place: Path, tmp_path: Path) -> None:
    book = Notebook()
    state = run(place, tmp_path / "run", dataclasses.replace(CONFIG, epochs=2), tracker=book, evaluate="eval")
    assert (state.tracker, state.run, book.status, book.resumed) == ("notebook", "7", "finished", [None])
    assert book.parameters["learning_rate"] == 1e-3
    assert book.values["loss/total"] == {int(line["epoch"]): line["total"] for line in state.history}
    assert set(book.values["eval/confidence/precision"]) == {0, 2}  # the start, and the named epoch
    assert state.start["eval/confidence/precision"] == book.values["eval/confidence/precision"][0]
    assert book.files["epoch-002"] == "2"
    run(place, tmp_path / "run", tracker=book)
    assert book.resumed == [None, "7"]
    assert set(book.values["loss/total"]) == {1, 2, 3, 4, 5}


def test_what_goes_wrong_is_said_and_tracked(place: Path, tmp_path: Path) -> None:
    book = Notebook()
    with pytest.raises(OditsError, match="no longer a number in epoch"):
        run(place, tmp_path / "run", dataclasses.replace(CONFIG, learning_rate=1e30), tracker=book)
    assert book.status == "failed"
    with pytest.raises(OditsError, match="no loss 'best'"):
        FinetuneSettings(loss="best")
    with pytest.raises(OditsError, match="no part 'tail'"):
        run(place, tmp_path / "other", dataclasses.replace(CONFIG, train="tail"))
    with pytest.raises(OditsError, match="can't be trained alone"):
        run(place, tmp_path / "other", dataclasses.replace(CONFIG, train="reader"))
