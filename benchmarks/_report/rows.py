"""The table of speed: which benchmarks are run, and which of their figures are held against which goal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Run:
    """A benchmark with its sizes; several rows may come of one.

    Attributes:
        name: of the run.
        script: the file in `benchmarks/`.
        arguments: at full size.
        quick: at a size of a minute or less on two cores; None where there is none.
        free_gb: gigabytes that must be free on the disk.
        without: why --quick leaves it out, a sentence; for runs without a quick size.
        named_only: whether it runs only where --only names it.
    """

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()
    free_gb: int = 0
    without: str = ""
    named_only: bool = False

    def command(self, quick: bool) -> tuple[str, ...]:
        """Return the script and its arguments, without --json."""
        chosen = self.quick if quick and self.quick is not None else self.arguments
        return (f"benchmarks/{self.script}", *chosen)


@dataclass(frozen=True)
class Row:
    """A figure of a run beside its goal.

    Attributes:
        name: the work, as the table says it.
        run: name of the `Run`.
        key: of the figure in the run's document, with dots between levels.
        against: what it is measured against.
        goal: None where there is none.
        better: whether more or less than the goal meets it.
        unit: of the figure.
        scale: what the document's figure is multiplied with to have that unit.
        extra: further figures of the document to show.
        accuracy: figures that must be at least ("more") or at most ("less") something for the goal to be met.
        sized: whether the goal is one of the full size alone, so that a quick run can't meet it.
        bounded: whether what bounds its run (`bounds.bound`) bounds this figure.
    """

    name: str
    run: str
    key: str
    against: str
    goal: float | None = None
    better: Literal["more", "less"] = "less"
    unit: str = "×"
    scale: float = 1.0
    extra: tuple[str, ...] = ()
    accuracy: tuple[tuple[str, Literal["more", "less"], float], ...] = ()
    sized: bool = False
    bounded: bool = True

    @property
    def goal_text(self) -> str:
        """The goal as the table shows it; "" where there is none."""
        if self.goal is None:
            return ""
        return f"{'≥' if self.better == 'more' else '≤'} {self.goal:g} {self.unit}"


RUNS: tuple[Run, ...] = (
    Run("start", "start.py", quick=("--rounds", "3")),
    Run("words", "words.py", quick=("--rounds", "5", "--street-rounds", "0")),
    Run("odits", "odits.py", quick=("--rounds", "3")),
    Run(
        "vocabulary",
        "vocabulary.py",
        ("--words", "5363"),
        ("--words", "5363", "--reference-words", "128", "--rounds", "1"),
    ),
    Run("evaluate", "evaluate.py", quick=("--images", "12", "--no-memory")),
    Run("spotting", "spotting.py", quick=("--images", "2")),
    Run("objects", "objects.py", quick=("--images", "6")),
    Run("sam", "sam.py", quick=("--points", "8", "--no-memory")),
    Run("app", "app.py", quick=("--views", "0")),
    Run(
        "search", "search.py", ("--lines", "23"), ("--images", "2000", "--lines", "23", "--readings", "12"), free_gb=20
    ),
    Run("pages", "pages.py", (), ("--quick", "--only", "data")),
    Run(
        "search-million",
        "search.py",
        ("--images", "1000000", "--lines", "23"),
        None,
        free_gb=100,
        without="It simulates an index of a million images.",
        named_only=True,
    ),
    Run(
        "comparison", "comparison.py", (), None, without="It trains for a quarter of an hour and more.", named_only=True
    ),
)
"""In the order in which they run: what a cut quick run is to have done comes first."""

_SAM = (("min_iou", "more", 0.9999), ("max_logit_difference", "less", 1e-3))

ROWS: tuple[Row, ...] = (
    Row(
        "SAM ViT-B, all masks of an image, exact",
        "sam",
        "whole_image_ratio",
        "segment-anything on the same weights",
        12,
        "more",
        extra=("points", "whole_image_seconds.exact", "whole_image_seconds.library", "min_iou", "max_logit_difference"),
        accuracy=_SAM,  # type: ignore[arg-type]
    ),
    Row(
        "SAM's decoder",
        "sam",
        "decoder_ratio",
        "segment-anything's",
        16,
        "more",
        extra=("decoder_seconds.exact", "decoder_seconds.library"),
        accuracy=_SAM,  # type: ignore[arg-type]
    ),
    Row(
        "vocabulary of 5,363 words, ViT-B/32",
        "vocabulary",
        "ratio",
        "open_clip's encode_text",
        30,
        "more",
        extra=("words", "short_context_seconds", "encode_text_seconds", "max_difference"),
        accuracy=(("max_difference", "less", 1e-5),),
    ),
    Row(
        "top ten of a picture, ViT-B/32, warm",
        "words",
        "ratio",
        "preprocessing and PyTorch's encoder alone",
        0.6,
        extra=("top10_seconds", "bare_seconds", "street_against_reading"),
    ),
    Row(
        "evaluation, 249 images × 5,363 words",
        "evaluate",
        "ratio",
        "encoder calls and decoding alone",
        0.65,
        extra=(
            "images",
            "words",
            "evaluate_seconds",
            "encode_images_seconds",
            "encode_words_seconds",
            "decode_seconds",
        ),
    ),
    Row(
        "memory of that, 5,363 words",
        "evaluate",
        "peak_megabytes_5363_words",
        "",
        1.0,
        unit="GB",
        scale=1e-3,
        sized=True,
    ),
    Row(
        "memory of that, 100,000 words",
        "evaluate",
        "peak_megabytes_100000_words",
        "",
        1.1,
        unit="GB",
        scale=1e-3,
        sized=True,
    ),
    Row(
        "reading a picture with all scales",
        "spotting",
        "reading_against_rapidocr",
        "rapidocr's own call",
        1.3,
        extra=("images", "lines_an_image", "detection_seconds", "recognition_seconds", "rapidocr_seconds"),
    ),
    Row(
        "search, 100,000 images × 23 lines, slowest of 200",
        "search",
        "worst_ms",
        "",
        40,
        unit="ms",
        extra=("images", "lines", "median_ms", "lines_scored_exactly_most"),
        sized=True,
    ),
    Row("its index", "search", "index_mb", "", 1.5, unit="GB", scale=1 / 1024, extra=("frames",), sized=True),
    Row(
        "memory while it is built",
        "search",
        "building_peak_mb",
        "",
        3.0,
        unit="GB",
        scale=1 / 1024,
        extra=("build_seconds",),
        sized=True,
    ),
    Row(
        "search, 1,000,000 images (simulated), slowest",
        "search-million",
        "worst_ms",
        "",
        250,
        unit="ms",
        extra=("images", "lines", "median_ms", "memory_mb", "index_mb"),
        sized=True,
    ),
    Row(
        "ODITS with 50 objects, ViT-B/32",
        "odits",
        "vit_b_32_ratio",
        "the 51 encodings alone, by PyTorch",
        0.7,
        extra=("objects", "vit_b_32_encoding_seconds", "embedded_ratio", "growth_exponent"),
    ),
    Row(
        "objects of 100 pictures, two processes",
        "objects",
        "two_processes_seconds_per_100",
        "one process; 71 s when the goal was set",
        35,
        unit="s",
        extra=("images", "one_process_seconds_per_100", "ratio"),
    ),
    Row("odits --help", "start", "help_seconds", "", 0.4, unit="s", extra=("help_against_import",), bounded=False),
    Row(
        "odits words PICTURE (spotting, warm disk)",
        "start",
        "words_against_import",
        'python -c "import torch"',
        1.2,
        extra=("words_seconds", "import_torch_seconds"),
    ),
    Row(
        "first page after streamlit run",
        "app",
        "first_page_seconds",
        "hello's first page in the same run",
        2.5,
        unit="s",
        extra=("hello_first_page_seconds", "first_page_against_hello"),
    ),
    Row(
        "slowest warm page",
        "pages",
        "slowest_page_over_trivial",
        "a trivial Streamlit app",
        extra=("trivial_ready_ms",),
    ),
    Row(
        "odits compare --seeds 5 --workers 2, from nothing",
        "comparison",
        "minutes",
        "24 min for one seed when the goal was set",
        15,
        unit="min",
        sized=True,
    ),
)


def value_at(document: Mapping[str, Any], key: str) -> Any:
    """Return a figure of a document by its key with dots; None where it is not there.

    Example:
        >>> value_at({"seconds": {"exact": 2.0}}, "seconds.exact")
        2.0
    """
    found: Any = document
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def is_met(row: Row, document: Mapping[str, Any], quick: bool) -> bool | None:
    """Say whether a run's document meets the goal of a row; None where it can't be said."""
    measured = value_at(document, row.key)
    if row.goal is None or measured is None or (quick and row.sized):
        return None
    conditions = [(measured * row.scale, row.better, row.goal)]
    conditions += [(value_at(document, key), better, limit) for key, better, limit in row.accuracy]
    return all(
        value is not None and (value >= limit if better == "more" else value <= limit)
        for value, better, limit in conditions
    )
