"""`odits annotations agreement|queue|evaluate|dataset`: what marks say of annotators and of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    AnyModel,
    Data,
    Device,
    Json,
    Ray,
    Split,
    Words,
    Workers,
    chosen_workers,
    exit_after,
    load_data,
    print_json,
    print_table,
    report_problems,
    say,
    vocabulary_for,
)
from odits.cli.evaluations import evaluate_reference
from odits.core.errors import OditsError
from odits.core.progress import open_reporter
from odits.models.reference import DEFAULT_MODEL

if TYPE_CHECKING:
    from odits.data import ImageRecord
    from odits.data.adjudication import Resolved
    from odits.evaluation.marks import AgainstMarks, Rate, Recalibrated
    from odits.metrics.inter_annotator import Interval

DataName = Annotated[
    str | None, typer.Option("--data-set", help="Only marks in the data set of this name.", show_default=False)
]
Whose = Annotated[
    list[str] | None,
    typer.Option("--annotator", help="Only this annotator's marks; again for more. Default: everybody's."),
]
Limit = Annotated[float, typer.Option(min=0.0, max=1.0, help="The probability from which a word counts as said.")]


def add_to(group: typer.Typer) -> None:
    """Add the commands to `odits annotations`."""
    for command in (agreement, queue, evaluate, dataset):
        group.command()(command)


def _resolved(data: str | None, whose: list[str] | None) -> Resolved:
    """Return the verdict of each word by some annotators, or all, with the decisions of everybody."""
    from odits.data.adjudication import read_everybody, resolve
    from odits.data.marks import fold_name

    marks, decisions = read_everybody(data)
    if whose:
        named = {fold_name(name): name for name in whose}
        if missing := named.keys() - {fold_name(name) for name in marks}:
            raise OditsError(f"There are no marks of {named[min(missing)]} here.")
        marks = {name: given for name, given in marks.items() if fold_name(name) in named}
    return resolve(marks, decisions)


def agreement(
    data: DataName = None,
    resamples: Annotated[int, typer.Option(min=1, max=100_000, help="Resamples of the bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    as_json: Json = False,
) -> None:
    """Say how far annotators agree: Krippendorff's alpha, Fleiss' and Cohen's kappa, with 95 % intervals.

    Also the words that they judge differently, and what was decided on them.
    """
    from odits.data.adjudication import disputes, read_everybody
    from odits.metrics.inter_annotator import inter_annotator

    marks, decisions = read_everybody(data)
    if len(marks) < 2:
        raise OditsError("Two people have to mark the same words before their agreement can be told.")
    verdicts = {name: {about: mark.verdict for about, mark in given.items()} for name, given in marks.items()}
    found = inter_annotator(verdicts, resamples, seed)
    differing = disputes(marks, decisions)
    rows = [
        {
            **one.about.__dict__,
            "verdicts": {name: mark.verdict for name, mark in one.marks.items()},
            "decision": one.decision[1].verdict if one.decision else None,
            "decided_by": one.decision[0] if one.decision else None,
        }
        for one in differing
    ]
    if as_json:
        coefficients = [one._asdict() for one in found.coefficients]
        print_json({**found._asdict(), "coefficients": coefficients, "disagreements": rows})
        return
    say(f"{found.both:,} words were judged by two or more of {', '.join(found.annotators)}; {found.same:,} alike.")
    columns = ("coefficient", "annotators", "words", "value", "95 % over pictures", "95 % over words")
    print_table(
        columns,
        [
            (
                one.name,
                ", ".join(one.annotators),
                one.items,
                "undefined" if one.value is None else f"{one.value:.3f}",
                _between(one.by_picture),
                _between(one.by_word),
            )
            for one in found.coefficients
        ],
    )
    if rows:
        print_table(
            ("image", "word", "verdicts", "decision"),
            [
                (
                    row["image"],
                    row["word"],
                    ", ".join(f"{name}: {verdict}" for name, verdict in row["verdicts"].items()),
                    f"{row['decision']} ({row['decided_by']})" if row["decision"] else "open",
                )
                for row in rows
            ],
            "Words that are judged differently",
        )


def _between(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def queue(
    data: Data = None,
    split: Split = "eval",
    annotator: Annotated[
        list[str] | None, typer.Option(help="Who marks; again for more people. The pictures are divided among them.")
    ] = None,
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the pictures that two people mark.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the division and of the order.")] = 0,
    once: Annotated[
        bool, typer.Option("--once", help="Leave near-duplicates out: of pictures that look alike the first stays.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Divide pictures among annotators, a share of them to two, each list in an order by chance.

    Says also how many of their pictures each has begun, how fast, and which marks are of pictures that are gone.
    """
    from odits.data.annotations import history, read_marks
    from odits.evaluation.annotation_queue import assigned, left_over, ordered, pace
    from odits.evaluation.evaluate import records_of

    dataset = load_data(data)
    if not annotator:
        raise OditsError("Name who marks, with --annotator.")
    records = records_of(dataset, split)
    names = _without_duplicates(records, device) if once else [record.name for record in records]
    everything = [record.name for record in dataset.split("all")]
    rows: list[dict[str, Any]] = []
    for person, theirs in assigned(names, annotator, share, seed).items():
        marks = read_marks(person, dataset.name)
        begun = {about.image for about in marks}
        changes = [(entry.about.image, entry.mark.time) for entry in history(person, dataset.name)]
        rows.append(
            {
                "annotator": person,
                "pictures": ordered(theirs, "chance", seed=seed),
                "begun": sum(name in begun for name in theirs),
                "pictures_a_minute": pace(changes),
                "removed_pictures": sorted({about.image for about in left_over(marks, everything)}),
            }
        )
    if as_json:
        print_json(rows)
        return
    for row in rows:
        minute = row["pictures_a_minute"]
        speed = f", {minute:.1f} a minute" if isinstance(minute, float) else ""
        print_table(
            ("picture",),
            [(name,) for name in row["pictures"]],
            f"{row['annotator']}: {len(row['pictures'])} pictures, {row['begun']} of them begun{speed}",
        )
        for name in row["removed_pictures"]:
            say(f"{row['annotator']} marked {name}, which is no longer in {dataset.name}; the marks are kept.")


def _without_duplicates(records: Sequence[ImageRecord], device: str) -> list[str]:
    """Return the names of pictures, of those that look alike only the first; one that can't be read stays."""
    from odits.search.likeness import embed_records, repeated

    with open_reporter() as report:
        likeness = embed_records(records, progress=report.phase("looking at images", len(records)), device=device)
    report_problems(likeness.problems)
    left_out = repeated(likeness)
    for name, staying in left_out.items():
        say(f"{name} is left out: it looks like {staying}.")
    return [record.name for record in records if record.name not in left_out]


def evaluate(
    data: Data = None,
    checkpoint: AnyModel = DEFAULT_MODEL,
    split: Split = "eval",
    vocabulary: Words = "svt",
    annotator: Whose = None,
    limit: Limit = 0.5,
    limits_to: Annotated[
        Path | None, typer.Option("--limits", help="Write the limits that the marks suggest to this JSON file.")
    ] = None,
    use: Annotated[
        bool, typer.Option("--use-limits", help="Browse proposes verdicts by these limits from now on.")
    ] = False,
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Compute precision and recall of a checkpoint against marks in the place of lexicons, with 95 % intervals.

    Words on which annotators differ count where somebody decided. Also the limit with which the fewest verdicts had to
    be corrected, of all words and of each that was judged often.
    """
    loaded = load_data(data)
    resolved = _resolved(loaded.name, annotator)
    if not resolved.verdicts:
        raise OditsError(f"There are no marks in {loaded.name} here.")
    words = vocabulary_for(loaded, vocabulary)
    from odits.core.files import write_atomically
    from odits.evaluation.limits import Limits, keep_limits, limits_document
    from odits.evaluation.marks import against_marks, judged_words, recalibrate

    with open_reporter() as report:
        where = chosen_workers(workers, ray, 0)
        _, stored = evaluate_reference(checkpoint, loaded, split, words, where, device, report)
    problems = report_problems(stored.problems)
    judged = judged_words(stored, {about: one.mark.verdict for about, one in resolved.verdicts.items()})
    before = Limits(limit)
    found = against_marks(judged, before)
    better = recalibrate(judged, before)
    improved = against_marks(judged, better.limits)
    if limits_to is not None:
        write_atomically(limits_to, limits_document(better.limits, stored))
    if use:
        say(f"Browse proposes by these limits, from {keep_limits(better.limits, stored)}.")
    for sentence in judged.problems:
        say(sentence)
    if as_json:
        print_json(
            {
                "model": stored.model,
                "checkpoint": stored.checkpoint,
                "data": stored.data,
                "limit": limit,
                **found.to_document(),
                "open_disputes": len(resolved.open),
                "recalibrated": {
                    "limit": better.limits.general,
                    "words": dict(better.limits.words),
                    "corrected_before": better.corrected_before,
                    "corrected_after": better.corrected_after,
                    "on_the_same_marks": improved.to_document(),
                },
                "problems": problems,
            }
        )
    else:
        _print_against(stored.model, limit, (found, improved), better, len(resolved.open))
    exit_after(problems)


def _print_against(
    model: str, limit: float, results: tuple[AgainstMarks, AgainstMarks], better: Recalibrated, undecided: int
) -> None:
    """Print precision and recall with the limit as it was, and with those that the marks suggest."""
    found, fitted = results
    say(
        f"{found.judged:,} judged words of {found.images:,} pictures, {found.right:,} of them right; "
        f"{found.unjudged:,} words that {model} says were not judged; {undecided:,} wait for a decision."
    )
    rows = [(name, _rate(getattr(found, name)), _rate(getattr(fitted, name))) for name in ("precision", "recall", "f1")]
    print_table(("against marks", f"limit {limit:g}", f"limit {better.limits.general:.3f}, fitted"), rows)
    say(
        f"With limits from the other pictures {better.corrected_after:,} verdicts need correction in the place of "
        f"{better.corrected_before:,}; {len(better.limits.words):,} words have a limit of their own."
    )


def _rate(rate: Rate) -> str:
    return "undefined" if rate.value is None else f"{rate.value:.3f} ({_between(rate.interval)})"


def dataset(
    folder: Annotated[Path, typer.Argument(help="A new folder.", show_default=False)],
    data: Data = None,
    annotator: Whose = None,
    split: Annotated[
        str, typer.Option(help="keep leaves each picture in its split; train or eval puts all there.")
    ] = "keep",
    as_json: Json = False,
) -> None:
    """Write the pictures with their right words as a data set, which finetune, train and evaluate take with --data."""
    from odits.evaluation.marks import write_dataset

    loaded = load_data(data)
    resolved = _resolved(loaded.name, annotator)
    verdicts = {about: one.mark.verdict for about, one in resolved.verdicts.items()}
    done = write_dataset(folder, loaded, verdicts, split)
    for sentence in done.problems:
        say(sentence)
    if as_json:
        print_json({"folder": str(folder), **done._asdict(), "open_disputes": len(resolved.open)})
    else:
        counts = ", ".join(f"{count:,} {name}" for name, count in done.images.items() if count)
        say(f"{folder} holds {counts} pictures with {done.words:,} words; {len(resolved.open):,} disputes are open.")
    exit_after(done.problems)
