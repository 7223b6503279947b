"""Results of evaluations on the disk: nothing is computed twice, and interrupted evaluations resume.

A folder in their store holds `probabilities.npy` (float32 (m, n)) and, written last, `evaluation.json`. A folder
without the latter is an evaluation that was interrupted; its key tells everything that the result depends on.
"""

from __future__ import annotations

import atexit
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from odits.core.documents import parse_json
from odits.core.errors import BusyError, OditsError, StoreError
from odits.core.files import file_digest, write_atomically
from odits.core.pool import HERE, Problem, Workers
from odits.core.progress import Progress, no_progress
from odits.core.store import Entries, make_key
from odits.core.tables import load_array
from odits.data import Dataset, ImageRecord, Vocabulary
from odits.data.predictions import WordModel
from odits.evaluation.evaluate import fill_probabilities, prediction_task, records_of, report
from odits.models.registry import parse
from odits.tracking.sources import make_tracker, open_store
from odits.tracking.store import NoTracker, Status, StoredRun

TABLE, RESULT = "probabilities.npy", "evaluation.json"
EVALUATIONS = Entries("evaluations")
"""Evaluations by `evaluation_key`, each a folder; raise the version when what is stored changes its meaning."""


@dataclass(frozen=True, eq=False)
class StoredEvaluation:
    """One evaluation with all that can be asked of it.

    Attributes:
        key: tells checkpoint, images, words and lexicons.
        folder: where it is stored.
        model: its name, as shown to users.
        checkpoint: digest of its weights.
        reference: what it was loaded by.
        data: name of the data set.
        split: "train", "eval" or "all".
        vocabulary: the n words.
        images: names of the m images.
        created: when, in ISO 8601, UTC.
        groups: what `odits.evaluation.evaluate.report` says on average.
        per_image: the same for each image (m,), as `odits.metrics.scoring.score_images` names it.
        question: tells images, words and lexicons: evaluations that share it can be compared.
        metadata: of the checkpoint: "epoch", "parent_digest", ...
        problems: images of the split that could not be read.
    """

    key: str
    folder: Path
    model: str
    checkpoint: str
    reference: str
    data: str
    split: str
    vocabulary: Vocabulary
    images: tuple[str, ...]
    created: str
    groups: dict[str, Any]
    per_image: dict[str, np.ndarray]
    question: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def probabilities(self) -> np.ndarray:
        """Map the table float32 (m, n) into memory.

        Raises:
            OditsError: it has been removed meanwhile.
        """
        try:
            found = load_array(self.folder / TABLE)
        except (OSError, ValueError) as error:
            raise OditsError(f"The evaluation of {self.model} is no longer there: evaluate it again.") from error
        return found

    def top(self, count: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Rank each image's most probable words, ties in the vocabulary's order; once for each evaluation and count.

        Returns:
            Their indices int64 (m, count) and probabilities float32 (m, count), best first.
        """
        if count not in self._tops:
            table = self.probabilities()
            places = np.stack([np.argsort(-row, kind="stable")[:count] for row in table])
            self._tops[count] = places, np.take_along_axis(table, places, axis=1)
        return self._tops[count]

    @cached_property
    def _tops(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        return {}


def evaluation_key(
    checkpoint: str, dataset: Dataset, records: Sequence[ImageRecord], vocabulary: Vocabulary
) -> tuple[str, str]:
    """Return (key, question): what tells an evaluation, and the part of it that does not depend on the checkpoint."""
    question = make_key(
        vocabulary=vocabulary.digest,
        images=[(record.name, _digest(record), record.lexicon) for record in records],
        prior=[record.lexicon for record in dataset.split("train")],  # they make the row "prior"
    )
    return make_key(checkpoint=checkpoint, question=question), question


def _digest(record: ImageRecord) -> str:
    try:
        return file_digest(record.path)
    except OSError:  # it has no rows then, and gets some as soon as it can be read
        return ""


def evaluate_and_store(
    model: WordModel,
    reference: str,
    dataset: Dataset,
    split: str,
    vocabulary: Vocabulary,
    progress: Progress = no_progress,
    workers: Workers = HERE,
    device: str = "auto",
) -> StoredEvaluation:
    """Evaluate a model on a split and store the result, or return the stored one.

    Args:
        model: what is evaluated.
        reference: what it was loaded by.
        dataset: its split's images and lexicons, and the training lexicons for the row "prior".
        split: "train", "eval" or "all".
        vocabulary: the words asked about.
        progress: called with (images done, images in all); what it raises ends the evaluation, and the images that are
            done are not computed again the next time.
        workers: where it is done.
        device: for workers that load the model by its reference.

    Raises:
        OditsError: the split has no images, none can be read, the disk is full, or somebody else is at the same work.
    """
    records = records_of(dataset, split)
    key, question = evaluation_key(model.checkpoint, dataset, records, vocabulary)
    with _entry(key) as folder:
        stored = read_evaluation(folder)
        if stored is not None:
            progress(len(records), len(records))
            return stored
        task = prediction_task(model, reference if workers != HERE else "", vocabulary, device)
        evaluated = fill_probabilities(folder / TABLE, task, records, len(vocabulary), workers, progress)
        groups, per_image = report(evaluated.table, dataset, evaluated.records, vocabulary)
        document = {
            "model": model.name,
            "checkpoint": model.checkpoint,
            "reference": reference,
            "data": dataset.name,
            "split": split,
            "vocabulary": {"name": vocabulary.name, "words": vocabulary.words},
            "images": [record.name for record in evaluated.records],
            "problems": [problem._asdict() for problem in evaluated.problems],
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "groups": groups,
            "per_image": {name: [_number(value) for value in values] for name, values in per_image.items()},
            "question": question,
            "metadata": _metadata(reference, model.checkpoint),
        }
        write_atomically(folder / RESULT, json.dumps(document, allow_nan=False).encode())
    stored = read_evaluation(folder)
    if stored is None:
        raise OditsError(f"The evaluation of {model.name} can't be read back from {folder}.")
    return stored


@contextmanager
def _entry(key: str) -> Iterator[Path]:
    """Give the block the folder of an evaluation, for this process alone.

    Raises:
        BusyError: another process is at it.
    """
    sentence = "This evaluation is being made already; please wait for it to end."
    with ExitStack() as stack:
        folder = EVALUATIONS.path(key)
        try:
            stack.enter_context(EVALUATIONS.lock(key, sentence))
        except BusyError:
            raise
        except StoreError:  # a read-only disk costs time, not the answer: it lasts as long as this process
            elsewhere = tempfile.TemporaryDirectory(prefix="odits-")
            atexit.register(elsewhere.cleanup)
            folder = Path(elsewhere.name) / key
        yield folder


def read_evaluation(folder: Path) -> StoredEvaluation | None:
    """Read the evaluation in a folder; None where there is none, or a damaged one."""
    try:
        document = parse_json((folder / RESULT).read_bytes())
        words = document.pop("vocabulary")
        images = tuple(document.pop("images"))
        problems = tuple(Problem(**problem) for problem in document.pop("problems", []))
        per_image = {name: np.array(values, np.float64) for name, values in document.pop("per_image").items()}
        stored = StoredEvaluation(
            key=folder.name,
            folder=folder,
            vocabulary=Vocabulary(tuple(words["words"]), words["name"]),
            images=images,
            per_image=per_image,
            problems=problems,
            **document,
        )
        whole = stored.probabilities().shape == (len(images), len(stored.vocabulary))
        whole = whole and all(len(values) == len(images) for values in per_image.values())
        return stored if whole and {"confidence", "threshold", "rank", "uniformity"} <= set(stored.groups) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OditsError):
        return None


def stored_evaluations() -> list[StoredEvaluation]:
    """Return all evaluations that are complete, newest first; interrupted and damaged ones are left out."""
    found = [read for key in EVALUATIONS.all_keys() if (read := read_evaluation(EVALUATIONS.path(key))) is not None]
    return sorted(found, key=lambda one: (one.created, one.key), reverse=True)


def evaluation_stamps() -> tuple[tuple[str, int], ...]:
    """Return the key and the time of change of each evaluation, sorted: other stamps, other evaluations."""
    stamps = []
    for key in EVALUATIONS.all_keys():
        with suppress(OSError):  # interrupted, or removed meanwhile
            stamps.append((key, (EVALUATIONS.path(key) / RESULT).stat().st_mtime_ns))
    return tuple(sorted(stamps))


def remove_evaluation(key: str) -> None:
    """Remove an evaluation, whether complete or not; do nothing where there is none."""
    with suppress(ValueError, OSError):  # no key
        (EVALUATIONS.path(key) / RESULT).unlink(missing_ok=True)  # first: what is left is an interrupted one then
        EVALUATIONS.remove(key)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _metadata(reference: str, digest: str) -> dict[str, str]:
    """Return what the checkpoint's header says, where its reference names a safetensors file."""
    try:
        ref = parse(reference)
    except OditsError:
        return {}
    return dict(ref.header) if ref.describes(digest) else {}


# Results of an evaluation, logged into the tracked run of the checkpoint.


GROUPS = ("confidence", "threshold", "rank")


def track_evaluation(
    stored: StoredEvaluation, dataset: Dataset, reference: str = "mlflow", new_run: bool = True
) -> str | None:
    """Log results into a tracked run and return its id; None where nothing is tracked.

    They are logged at the checkpoint's epoch into the newest run that has this very checkpoint; where there is none,
    into a new run "evaluate MODEL".

    Args:
        stored: the results.
        dataset: what was evaluated on.
        reference: "mlflow[:URI]", "neptune[:PROJECT]" or "none".
        new_run: whether a run is made where none has the checkpoint.

    Raises:
        TrackingError: the tracker can't be reached, or does not take everything.
    """
    tracker = make_tracker(reference)
    if isinstance(tracker, NoTracker):
        return None
    found = find_run(reference, stored.checkpoint)
    if found is None and not new_run:
        return None
    parameters = {"model": stored.model, "checkpoint": stored.checkpoint} if found is None else {}
    run = tracker.start(
        f"evaluate {stored.model}" if found is None else found.name,
        parameters,
        {"evaluated on": f"{stored.data}, {stored.split}, {len(stored.vocabulary)} words"},
        found.id if found else None,
    )
    run.metrics(flat_metrics(stored, prefix_of(stored, dataset)), epoch_of(stored))
    # how its training ended is still true of the run
    ended: dict[str, Status] = {"failed": "failed", "killed": "killed"}
    run.finish(ended.get(found.status, "finished") if found else "finished")
    return run.id


def find_run(reference: str, digest: str) -> StoredRun | None:
    """Return the newest run with a checkpoint of that digest; None where there is none or the store can't be asked."""
    try:
        runs = open_store(reference).list().runs
    except StoreError:
        return None  # Neptune's offline and debug modes have nothing to list; a tracker that is down says so itself
    return next((run for run in runs if any(item.digest == digest for item in run.checkpoints)), None)


def prefix_of(stored: StoredEvaluation, dataset: Dataset) -> str:
    """Return how the metrics' names begin: "eval", as in fine-tuning, for the same data and words, else more."""
    trained_on = stored.metadata.get("data", stored.data)
    prefix = stored.split if trained_on == stored.data else f"{stored.data} {stored.split}"
    same_words = stored.vocabulary.digest == dataset.vocabulary().digest
    return prefix if same_words else f"{prefix} over {len(stored.vocabulary)} words {stored.vocabulary.digest[:6]}"


def flat_metrics(stored: StoredEvaluation, prefix: str) -> dict[str, float]:
    """Return the averages by names such as "eval/confidence/precision"; those that no image has are left out."""
    flat: dict[str, Any] = {"uniformity": stored.groups["uniformity"]}
    for group in GROUPS:
        flat |= {f"{group}/{name}": value for name, value in stored.groups[group].items()}
    return {f"{prefix}/{name}": float(value) for name, value in flat.items() if value is not None}


def epoch_of(stored: StoredEvaluation) -> int:
    """Return the epoch after which the checkpoint was saved; 0 for a model that was not fine-tuned."""
    epoch = stored.metadata.get("epoch", "0")
    return int(epoch) if epoch.isdecimal() else 0
