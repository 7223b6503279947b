"""Results of an evaluation, logged into the tracked run of the checkpoint."""

from __future__ import annotations

from typing import Any

from odits.checkpoints.sources import open_store
from odits.checkpoints.store import StoredRun, StoreError
from odits.data import Dataset
from odits.evaluation_store import KeptEvaluation
from odits.tracking import NoTracker, Status, make_tracker

GROUPS = ("confidence", "threshold", "rank")


def track_evaluation(
    kept: KeptEvaluation, dataset: Dataset, reference: str = "mlflow", new_run: bool = True
) -> str | None:
    """The id of the run that has the results now; None where nothing is tracked.

    They are logged at the checkpoint's epoch into the newest run that keeps this very checkpoint; where there is none,
    into a new run "evaluate MODEL".

    Args:
        kept: the results.
        dataset: what was evaluated on.
        reference: "mlflow[:URI]", "neptune[:PROJECT]" or "none".
        new_run: whether a run is made where none keeps the checkpoint.

    Raises:
        TrackingError: the tracker can't be reached, or does not take everything.
    """
    tracker = make_tracker(reference)
    if isinstance(tracker, NoTracker):
        return None
    found = find_run(reference, kept.checkpoint)
    if found is None and not new_run:
        return None
    parameters = {"model": kept.model, "checkpoint": kept.checkpoint} if found is None else {}
    run = tracker.start(
        f"evaluate {kept.model}" if found is None else found.name,
        parameters,
        {"evaluated on": f"{kept.data}, {kept.split}, {len(kept.vocabulary)} words"},
        found.id if found else None,
    )
    run.metrics(flat_metrics(kept, prefix_of(kept, dataset)), epoch_of(kept))
    # how its training ended is still true of the run
    ended: dict[str, Status] = {"failed": "failed", "killed": "killed"}
    run.finish(ended.get(found.status, "finished") if found else "finished")
    return run.id


def find_run(reference: str, digest: str) -> StoredRun | None:
    """The newest run that keeps a checkpoint of that digest; None where there is none or the store can't be asked."""
    try:
        runs = open_store(reference).list().runs
    except StoreError:
        return None  # Neptune's offline and debug modes have nothing to list; a tracker that is down says so itself
    return next((run for run in runs if any(item.digest == digest for item in run.checkpoints)), None)


def prefix_of(kept: KeptEvaluation, dataset: Dataset) -> str:
    """What the metrics' names begin with: "eval", as in fine-tuning, where it is the same data and words, else more."""
    trained_on = kept.metadata.get("data", kept.data)
    prefix = kept.split if trained_on == kept.data else f"{kept.data} {kept.split}"
    same_words = kept.vocabulary.digest == dataset.vocabulary().digest
    return prefix if same_words else f"{prefix} over {len(kept.vocabulary)} words {kept.vocabulary.digest[:6]}"


def flat_metrics(kept: KeptEvaluation, prefix: str) -> dict[str, float]:
    """The averages by names such as "eval/confidence/precision"; those that no image has are left out."""
    flat: dict[str, Any] = {"uniformity": kept.groups["uniformity"]}
    for group in GROUPS:
        flat |= {f"{group}/{name}": value for name, value in kept.groups[group].items()}
    return {f"{prefix}/{name}": float(value) for name, value in flat.items() if value is not None}


def epoch_of(kept: KeptEvaluation) -> int:
    """The epoch after which the checkpoint was kept; 0 for a model that was not fine-tuned."""
    epoch = kept.metadata.get("epoch", "0")
    return int(epoch) if epoch.isdecimal() else 0
