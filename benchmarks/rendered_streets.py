"""Rendered Streets: what was put into drawn scenes, what of it anyone could find, and what ODITS finds.

The scenes are those of `odits render --neighbourhoods`: signs show words of lexicons that follow a known law, so the
truth of every claim is known. Another scene's objects say nothing of a scene's words: what a model gains by them is an
error. Nothing is shipped; the digest tells whether the same bytes were drawn again.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.possible import METRICS, boxed, choose_sharpness, lexicons, rows_of_law
from benchmarks.possible import rows as rows_of_annotations
from benchmarks.reporting import parser, report
from odits.cli.common import print_table
from odits.core.files import file_digest, sha256_of
from odits.core.progress import Reporter, open_reporter
from odits.core.store import Entries, make_key
from odits.data import Dataset, read_dataset
from odits.evaluation.comparison import FINETUNED, SHARPENED, compared_rows, evaluated_table, make_row
from odits.evaluation.settings import ComparisonRequest
from odits.metrics.paired import RESAMPLES, mean_interval
from odits.metrics.probabilities import rank_metrics
from odits.metrics.scoring import Lexicons
from odits.models.model_ref import STREET
from odits.models.reference import EMBEDDED
from odits.models.registry import load
from odits.training.neighbourhoods import Law
from odits.training.rendering import FONT_FOLDERS, usable_fonts
from odits.training.settings import RenderSettings
from odits.training.streets import render

SCENES = Entries("rendered-streets")
"""Drawn data sets, each a folder."""
LAST = "test.xml"
"""The file that is written when all scenes are drawn."""
HELD_OUT = 0.3
"""Share of the scenes that nothing is trained on."""
QUICK_IMAGES, QUICK_NEIGHBOURHOODS, QUICK_RESAMPLES = 20, 2, 1_000

CHANCE, FREQUENT, ALONE, OWN = "a random order", "prior", "CLIP + learned prior", "ODITS without recalled lexicons"
SHUFFLED, REGIONS, READ = (
    "ODITS, another image's objects",
    "ODITS, regions only",
    "ODITS, signs read by the spotter too",
)
TRAINED = (ALONE, "ODITS", "ODITS without the objects' own words", OWN, SHUFFLED, REGIONS, READ)
QUICK_TRAINED = (ALONE, "ODITS", OWN)
ODITS_STREET = "ODITS Street"

LAW, SIGNS = "the law, nothing known", "boxed words, then the law"
BY_LAW, CEILING = "the law and the boxed words", "the law, the neighbourhood and the boxed words"

Scores = dict[str, np.ndarray]
"""Each image's value of the metrics (m,)."""


class Ingredient(NamedTuple):
    """Something that was put into the scenes, by what its absence costs.

    Attributes:
        name: for people.
        possible: the rows with and without it of those who know the law; None: by construction it says nothing.
        found: the models' rows with and without it.
    """

    name: str
    possible: tuple[str, str] | None
    found: tuple[str, str]


INGREDIENTS = (
    Ingredient("some words are frequent", (LAW, CHANCE), (FREQUENT, CHANCE)),
    Ingredient("signs show words", (SIGNS, LAW), (OWN, FREQUENT)),
    Ingredient("words shown tell the neighbourhood, and it tells others", (BY_LAW, SIGNS), ("ODITS", OWN)),
    Ingredient("both, by ODITS", (BY_LAW, LAW), ("ODITS", FREQUENT)),
    Ingredient("both, by ODITS with read signs", (BY_LAW, LAW), (READ, FREQUENT)),
    Ingredient("signs show words, by ODITS Street, which learned elsewhere", (SIGNS, CHANCE), (ODITS_STREET, CHANCE)),
    Ingredient("both, by regions alone, boards with words among them", (BY_LAW, LAW), (REGIONS, FREQUENT)),
    Ingredient("both, by the picture as a whole", (BY_LAW, LAW), (ALONE, FREQUENT)),
    Ingredient("another scene's objects", None, (SHUFFLED, FREQUENT)),
)


def main() -> None:
    """Draw the scenes, and report what is possible on them and what is found."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--images", type=int, default=1_000, help="scenes; three in ten are held out")
    arguments.add_argument("--neighbourhoods", type=int, default=8)
    arguments.add_argument("--seed", type=int, default=0, help="of the scenes and their law")
    arguments.add_argument("--seeds", type=int, default=1, help="trainings of each row")
    arguments.add_argument("--workers", type=int, default=1, help="processes that train side by side")
    arguments.add_argument("--fonts", type=Path, nargs="+", help="font folders; default: the system's")
    arguments.add_argument("--without-models", action="store_true", help="only what is possible: no model is run")
    arguments.add_argument("--quick", action="store_true", help="few scenes, few rows")
    options = arguments.parse_args()
    if options.quick:
        options.images, options.neighbourhoods = QUICK_IMAGES, QUICK_NEIGHBOURHOODS
    with open_reporter() as progress:
        document, dataset = draw(options, progress)
        rows = possible_rows(dataset, document)
        document["possible"] = list(rows)
        if not options.without_models:
            rows |= found_rows(dataset, options, progress)
    resamples = QUICK_RESAMPLES if options.quick else RESAMPLES
    document["rows"] = {name: described(scores, resamples) for name, scores in rows.items()}
    document["put in"] = [gains(one, rows, resamples) for one in INGREDIENTS if set(one.found) <= set(rows)]
    if options.json:
        report(document, as_json=True)
    else:
        print_document(document)


def draw(options: Namespace, progress: Reporter) -> tuple[dict[str, Any], Dataset]:
    """Draw the scenes where they are not there yet; return what is said of them, and the data set."""
    held_out = round(HELD_OUT * options.images)
    settings = RenderSettings(options.images - held_out, held_out, options.neighbourhoods, options.seed)
    folders = options.fonts or FONT_FOLDERS
    fonts = [file_digest(path) for path in usable_fonts(folders)]
    key = make_key(settings=asdict(settings), fonts=fonts)
    with SCENES.lock(key):
        folder = SCENES.path(key)
        if not (folder / LAST).is_file():
            render(settings, folder, folders, progress.phase("drawing scenes"))
        found = read_dataset(folder)
        document = {
            "train": settings.scenes,
            "held out": settings.held_out,
            "neighbourhoods": settings.neighbourhoods,
            "seed": settings.seed,
            "fonts": len(fonts),
            "digest": digest_of(folder),
            "words": len(found.vocabulary()),
        }
    return document, found


def digest_of(folder: Path) -> str:
    """Return the hexadecimal SHA-256 of a folder's files and their names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return sha256_of(*(part for path in files for part in (path.relative_to(folder).as_posix(), file_digest(path))))


def possible_rows(dataset: Dataset, document: dict[str, Any]) -> dict[str, Scores]:
    """Return what the annotations and the law allow, and say in the document what the scenes hold."""
    vocabulary, records = dataset.vocabulary(), dataset.split("eval")
    relevant, shown = lexicons(records, vocabulary), boxed(records, vocabulary)
    by_law = rows_of_law(Law.load(dataset.root), dataset, vocabulary)
    sharpness = choose_sharpness(dataset, vocabulary)
    tables = {
        CHANCE: np.random.default_rng(0).random(relevant.shape),  # equal probabilities would keep the first-seen order
        LAW: by_law[LAW],
        SIGNS: np.where(shown, 1.0, by_law[LAW]),
        **rows_of_annotations(dataset, vocabulary, sharpness),
        BY_LAW: by_law[BY_LAW],
        CEILING: by_law[CEILING],
    }
    tables["frequent words of the training lexicons"] = tables.pop("prior")
    document |= {
        "words in a lexicon": float(relevant.sum(1).mean()),
        "words on a scene's signs": float(shown.sum(1).mean()),
        "scenes without a word": float((shown.sum(1) == 0).mean()),
    }
    return {name: rank_scores(table, relevant) for name, table in tables.items()}


def rank_scores(table: np.ndarray, relevant: np.ndarray) -> Scores:
    """Return each image's metrics."""
    found = rank_metrics(table, relevant)
    return {metric: found[metric] for metric in METRICS}


def found_rows(dataset: Dataset, options: Namespace, progress: Reporter) -> dict[str, Scores]:
    """Return what models reach on the held-out scenes, those of `odits compare` and ODITS Street."""
    trained = QUICK_TRAINED if options.quick else TRAINED
    request = ComparisonRequest(
        finetuned=EMBEDDED,  # not the question here: CLIP itself stands in, and its row is left out
        seeds=options.seeds,
        rows=trained,
        workers=options.workers,
    )
    clip = load(request.checkpoint, request.device, kind="clip")
    rows = compared_rows(dataset, request, clip, progress)
    held_out = Lexicons(dataset.split("eval"), dataset.vocabulary())
    street = load(STREET, kind="odits")
    rows.append(make_row(ODITS_STREET, [evaluated_table(street, dataset, "eval", progress)], held_out))
    return {
        row.name: {metric: row.per_image[f"rank {metric}"] for metric in METRICS}
        for row in rows
        if row.name not in ("uniform", FINETUNED) and not row.name.startswith(SHARPENED)  # which has CLIP's order
    }


def described(scores: Scores, resamples: int) -> dict[str, Any]:
    """Return the mean of each metric and its 95 % interval over images."""
    return {
        metric: {"mean": float(np.nanmean(values)), "interval": mean_interval(values, resamples)}
        for metric, values in scores.items()
    }


def gains(one: Ingredient, rows: Mapping[str, Scores], resamples: int) -> dict[str, Any]:
    """Return by how much average precision rises with an ingredient, as far as possible and as found."""
    ways = {"possible": one.possible, "found": one.found}
    metric = METRICS[1]
    changes = {
        way: np.zeros(1) if pair is None else rows[pair[0]][metric] - rows[pair[1]][metric]
        for way, pair in ways.items()
    }
    return {
        "what": one.name,
        **{way: float(np.nanmean(values)) for way, values in changes.items()},
        "interval": mean_interval(changes["found"], resamples),
    }


def print_document(document: dict[str, Any]) -> None:
    """Print it as tables."""
    tables = ("rows", "put in", "possible")
    report({name: value for name, value in document.items() if name not in tables}, as_json=False)

    def cell(found: Mapping[str, Any]) -> str:
        low, high = found["interval"]
        return f"{found['mean']:.3f} ({low:.3f} to {high:.3f})"

    for title, known in (("possible", True), ("found", False)):
        names = [name for name in document["rows"] if (name in document["possible"]) is known]
        if names:
            print_table(
                ("row", "precision@10", "average precision"),
                [(name, *(cell(document["rows"][name][metric]) for metric in METRICS)) for name in names],
                title,
            )
    if document["put in"]:
        lines = [
            (
                one["what"],
                f"{one['possible']:+.3f}",
                "{:+.3f} ({:+.3f} to {:+.3f})".format(one["found"], *one["interval"]),
            )
            for one in document["put in"]
        ]
        print_table(("what was put in", "possible", "found"), lines, "gain in average precision")


if __name__ == "__main__":
    main()
