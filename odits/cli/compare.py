"""`odits compare`: ODITS, its ablations and its controls against CLIP, with confidence intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    Checkpoint,
    Data,
    Device,
    Json,
    Segmenter,
    load_data,
    print_json,
    print_table,
    say,
)
from odits.core.progress import open_reporter

if TYPE_CHECKING:
    import numpy as np

    from odits.data import Dataset
    from odits.evaluation.comparison import Row
    from odits.models.clip.model import ClipModel

FINETUNED_EPOCHS = 5


def compare(
    data: Data = None,
    checkpoint: Checkpoint = "embedded",
    finetuned: Annotated[
        str | None,
        typer.Option(help=f"A fine-tuned CLIP to compare with. Default: trained now, {FINETUNED_EPOCHS} epochs."),
    ] = None,
    segmenter: Segmenter = "embedded",
    view: Annotated[str, typer.Option(help="How CLIP sees an object: crop, blurred, removed or masked.")] = "crop",
    split: Annotated[str, typer.Option(help="Which images: eval or train.")] = "eval",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each row.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="Only these trained rows (repeat for several).")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train side by side.")] = 1,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Every metric of rows without an image, of CLIP, of ODITS and of what is left when its parts are taken away.

    Trainings are kept: repeated or interrupted comparisons go on where they were.
    """
    dataset = load_data(data)
    from odits.core.errors import OditsError
    from odits.evaluation.comparison import VARIANTS, Trial, baseline_tables, differences, make_row, run_trials
    from odits.evaluation.evaluate import Lexicons
    from odits.models.reading.spotter import WordSpotter
    from odits.models.registry import load

    names = list(VARIANTS) if not only else [*dict.fromkeys(only)]
    unknown = [name for name in names if name not in VARIANTS]
    if unknown:
        raise OditsError(f"There is no row '{unknown[0]}': choose of {'; '.join(VARIANTS)}.")
    lexicons = Lexicons(dataset.split(split), dataset.vocabulary())
    rows: list[Row] = [make_row(name, [table], lexicons) for name, table in baseline_tables(dataset, split).items()]
    clip = load(checkpoint, device, kind="clip")
    table, sharp, factor = _clip_tables(clip, dataset, split)
    rows += [
        make_row("CLIP", [table], lexicons),
        make_row(f"CLIP, sharpness chosen likewise ({factor:g} ×)", [sharp], lexicons),
    ]
    base = rows[2]
    better = load(finetuned, device, kind="clip") if finetuned else _finetuned(checkpoint, dataset, device)
    rows.append(make_row("CLIP fine-tuned", [_probabilities(better, dataset, split)], lexicons))
    trials = [
        Trial(name, checkpoint, segmenter, view, dataset.root, split, seed) for seed in range(seeds) for name in names
    ]
    with open_reporter() as report:
        tables = run_trials(trials, workers, report.phase("trainings", len(trials)))
    for name in names:
        rows.append(make_row(name, [t for t, trial in zip(tables, trials, strict=True) if trial.row == name], lexicons))
    rows.append(make_row("Word spotting", [_probabilities(WordSpotter(), dataset, split)], lexicons))
    found = [
        {
            "name": row.name,
            **row.groups,
            "seeds": row.seeds,
            "spread": row.spread,
            "ci": {} if row is base else differences(row, base),
        }
        for row in rows
    ]
    document = {
        "data": dataset.name,
        "split": split,
        "images": len(dataset.split(split)),
        "words": len(dataset.vocabulary()),
        "clip": clip.name,
        "checkpoint": clip.checkpoint,
        "rows": found,
    }
    if as_json:
        print_json(document)
        return
    print_rows(found)
    say("± is half of the 95 % interval of the difference to CLIP: paired bootstrap over images.")


SHOWN = {
    "P@10": "rank precision_at_10",
    "average precision": "rank average_precision",
    "confidence precision": "confidence precision",
    "confidence F1": "confidence f1",
}


def print_rows(rows: list[dict[str, Any]]) -> None:
    """A table for people: the metrics that decide, with half the width of the interval of their difference to CLIP."""
    lines = []
    for row in rows:
        cells = [row["name"]]
        for key in SHOWN.values():
            group, _, name = key.partition(" ")
            ci = row["ci"].get(key)
            cells.append(f"{row[group][name]:.3f}" + (f" ± {(ci['high'] - ci['low']) / 2:.3f}" if ci else ""))
        lines.append(cells)
    print_table(("model", *SHOWN), lines)


def _probabilities(model: Any, dataset: Dataset, split: str) -> np.ndarray:
    """A model's table (m, n), kept as any evaluation is."""
    from odits.evaluation.results import evaluate_and_store

    kept = evaluate_and_store(model, model.name, dataset, split, dataset.vocabulary(), lambda _, __: None)
    return kept.probabilities()


def _clip_tables(clip: ClipModel, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray, float]:
    """CLIP's probabilities (m, n), the same made sharper by ODITS's rule, and by how much."""
    import numpy as np

    from odits.evaluation.comparison import sharpened
    from odits.evaluation.evaluate import Lexicons

    tables = {name: np.asarray(_probabilities(clip, dataset, name)) for name in dict.fromkeys((split, "train"))}
    logs = {name: np.log(np.maximum(table, np.finfo(np.float32).tiny)) for name, table in tables.items()}
    train = Lexicons(dataset.split("train"), dataset.vocabulary()).relevant(slice(None))
    sharp, factor = sharpened(logs[split], logs["train"], train)
    return tables[split], sharp, factor


def _finetuned(checkpoint: str, dataset: Dataset, device: str) -> ClipModel:
    """The CLIP model after a few epochs of fine-tuning at the thesis's settings, trained once."""
    from odits.core.files import cache_home
    from odits.models.registry import load
    from odits.training.finetune import finetune
    from odits.training.finetune_config import FinetuneConfig
    from odits.training.lexicon_data import data_digest, usable_records
    from odits.training.lineage import inherited_metadata

    clip = load(checkpoint, device, kind="clip")
    config = FinetuneConfig(epochs=FINETUNED_EPOCHS)
    key = config.digest("auto", clip.checkpoint, data_digest(usable_records(dataset, "train")))
    folder: Path = cache_home() / "comparisons" / f"finetuned-{key}"
    origin = {"parent": checkpoint, **inherited_metadata(checkpoint), "name": clip.name}
    state = finetune(clip, dataset, folder, config, origin)
    return load(str(folder / state.checkpoints[-1]["file"]), device, kind="clip")
