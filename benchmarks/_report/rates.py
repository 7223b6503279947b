"""What one machine does in a second, and the core-hours of a million pictures, from the table's own documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks._report.paper import busy_note, table

MILLION = 1_000_000

STAGES: tuple[tuple[str, str, str, Callable[[Mapping[str, Any]], float]], ...] = (
    ("decoding", "pictures", "evaluate", lambda found: found["images"] / found["decode_seconds"]),
    ("objects, embedded segmenter", "pictures", "objects", lambda found: 100 / found["two_processes_seconds_per_100"]),
    (
        "reading, all scales",
        "pictures",
        "spotting",
        lambda found: 1 / (found["detection_seconds"] + found["recognition_seconds"]),
    ),
    (
        "embedding, embedded model",
        "pictures",
        "evaluate",
        lambda found: found["images"] / found["encode_images_seconds"],
    ),
    (
        "embedding, ViT-B/32",
        "pictures or objects",
        "odits",
        lambda found: (found["objects"] + 1) / (found["vit_b_32_encoding_seconds"] * found["vit_b_32_ratio"]),
    ),
    (
        "simulating an index, 23 lines a picture",
        "pictures",
        "search",
        lambda found: found["images"] / found["build_seconds"],
    ),
    ("searching it", "queries", "search", lambda found: 1e3 / found["median_ms"]),
)
"""Stage, what is counted, run, and the rate a second on all cores."""


def rates(documents: Mapping[str, Mapping[str, Any]], cores: int) -> list[dict[str, Any]]:
    """Compute the rates of the stages whose runs have a document.

    Args:
        documents: by the runs' names.
        cores: that were at work.
    """
    found = []
    for stage, unit, run, rate in STAGES:
        try:
            each = rate(documents[run])
        except (KeyError, TypeError, ZeroDivisionError):  # not run, or not with this figure
            continue
        hours = cores * MILLION / each / 3600
        found.append({"stage": stage, "unit": unit, "per_second": each, "core_hours_per_million": hours})
    return found


def markdown(document: Mapping[str, Any]) -> str:
    """Write the section on rates."""
    about = document["machine"]
    rows = [
        (row["stage"], f"{row['per_second']:.3g} {row['unit']}", f"{row['core_hours_per_million']:,.0f}")
        for row in document["rates"]
    ]
    quick = ", at the sizes of `--quick`" if document["quick"] else ""
    return "\n".join(
        [
            f"`benchmarks/report.py --write docs/scale.md`{quick}, {document['date']} UTC, {about['processor']}, "
            f"{about['cores']} cores, all of them at work:",
            *busy_note(about),
            "",
            table(("stage", "a second", "core-hours for a million"), rows),
        ]
    )
