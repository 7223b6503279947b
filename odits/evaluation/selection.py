"""Model selection: the checkpoint with the highest confidence precision that does not lose to the unmodified model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Candidate(NamedTuple):
    """An evaluated checkpoint.

    Attributes:
        key: tells it from the others.
        name: as shown to users.
        checkpoint: digest of its weights.
        parent: digest of the weights it was fine-tuned from; empty for an unmodified model.
        precision: the confidence metric; None where no image has one.
        f1: likewise.
    """

    key: str
    name: str
    checkpoint: str
    parent: str
    precision: float | None
    f1: float | None


class Selection(NamedTuple):
    """The result of model selection.

    Attributes:
        best: the best checkpoint; None where none qualifies.
        reason: why, in words.
    """

    best: Candidate | None
    reason: str


def select_best(candidates: Sequence[Candidate]) -> Selection:
    """Select the highest precision, F1 breaking ties, among those not worse than the unmodified model on both.

    Args:
        candidates: measured on the same images and words. The unmodified model of a checkpoint, what it was fine-tuned
            from, back to a model that was not, has to be among them.

    Example:
        >>> clip = Candidate("0", "CLIP", "digest 0", "", 0.19, 0.065)
        >>> tuned = [Candidate(str(n), f"CLIP (+{n})", f"digest {n}", "digest 0", 0.2 + n, 0.065) for n in (1, 2)]
        >>> select_best([clip, *tuned]).best.name
        'CLIP (+2)'
    """
    measured = [one for one in candidates if one.precision is not None and one.f1 is not None]
    tuned = [one for one in measured if one.parent]
    if not tuned:
        return Selection(None, "No fine-tuned checkpoint has been evaluated here, so there is nothing to choose yet.")
    by_checkpoint = {one.checkpoint: one for one in measured}
    origins = {one.key: _origin(one, by_checkpoint) for one in tuned}
    compared = [one for one in tuned if origins[one.key] is not None]
    if not compared:
        return Selection(
            None,
            "The unmodified model that these checkpoints were fine-tuned from has not been evaluated on the same "
            "images and words. Evaluate it too: only what is not worse than it can be chosen.",
        )
    qualified = [one for one in compared if not _worse(one, origins[one.key])]
    unknown = len(tuned) - len(compared)
    left_out = f" {_count(unknown)} could not be compared: the unmodified model was not evaluated." if unknown else ""
    names = list(dict.fromkeys(origin.name for origin in origins.values() if origin is not None))
    unmodified = " or ".join(names)
    if not qualified:
        return Selection(
            None,
            f"{_none_of(len(compared))} as good as the unmodified {unmodified} in "
            f"both precision and F1: keep the unmodified model.{left_out}",
        )
    best = max(qualified, key=lambda one: (one.precision, one.f1))  # the first of equals
    origin = origins[best.key]
    ties = [one for one in qualified if one is not best and one.precision == best.precision]
    return Selection(best, _reason(best, origin, len(qualified), len(compared), bool(ties)) + left_out)


def _origin(candidate: Candidate, by_checkpoint: dict[str, Candidate]) -> Candidate | None:
    """Return the unmodified model at the beginning of a candidate's line; None where that has a gap or is a circle."""
    visited: set[str] = set()
    ancestor = candidate
    while ancestor.parent:
        if ancestor.parent not in by_checkpoint or ancestor.parent in visited:
            return None
        visited.add(ancestor.parent)
        ancestor = by_checkpoint[ancestor.parent]
    return ancestor


def _worse(one: Candidate, other: Candidate | None) -> bool:
    if other is None or one.precision is None or one.f1 is None or other.precision is None or other.f1 is None:
        return True
    return one.precision < other.precision or one.f1 < other.f1


def _reason(best: Candidate, origin: Candidate | None, qualified: int, compared: int, tied: bool) -> str:
    if origin is None or best.precision is None or best.f1 is None or origin.precision is None or origin.f1 is None:
        return ""  # such a candidate does not qualify
    gain = 100 * (best.precision - origin.precision)
    if compared == 1:
        reason = f"It is not worse than the unmodified {origin.name} in precision and in F1"
    elif qualified == 1:
        reason = (
            f"It is the only one of {_count(compared, 'fine-tuned checkpoint')} that is not worse than the unmodified "
            f"{origin.name} in both precision and F1"
        )
    else:
        reason = (
            f"Of {_count(compared, 'fine-tuned checkpoint')}, {qualified} are not worse than the unmodified "
            f"{origin.name} in both precision and F1; among these it has the highest precision"
        )
        reason += ", and F1 broke the tie" if tied else ""
    return (
        f"{reason}. Precision {best.precision:.4f} against {origin.precision:.4f} ({gain:+.2f} points), "
        f"F1 {best.f1:.4f} against {origin.f1:.4f}."
    )


def _count(number: int, thing: str = "other checkpoint") -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _none_of(number: int) -> str:
    return "The one fine-tuned checkpoint is not" if number == 1 else f"None of the {number} fine-tuned checkpoints is"
