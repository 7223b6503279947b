"""`odits dataset`: the layout of a data set, Table 2.1 and the overlap counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from odits.cli.common import Data, Device, Json, exit_after, load_data, print_json, print_table, report_problems, say
from odits.cli.exporting import Export, Format, Pictures, check_export, write_export
from odits.core.progress import open_reporter

if TYPE_CHECKING:
    from odits.data import Dataset


def dataset(
    data: Data = None,
    export: Export = None,
    export_format: Format = None,
    pictures: Pictures = None,
    layouts: Annotated[bool, typer.Option("--layouts", help="List the layouts that are read, and end.")] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="List pairs of images that look alike, and end.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show how a data set was read, how many words its lexicons have, and how often they occur (thesis, Table 2.1)."""
    from odits.data.facts import dataset_facts, split_facts

    if layouts:
        _print_layouts(as_json)
        return
    form = check_export(export, export_format)
    found = load_data(data)
    if duplicates:
        _print_duplicates(found, device, as_json)
        return
    if export and form:
        from odits.objects.exports import export_boxes

        write_export(export, export_boxes(found, form, pictures))
    facts, splits = dataset_facts(found), split_facts(found)
    if as_json:
        print_json({"name": found.name, "reader": found.reader, "splits": splits, **facts})
        return
    columns = {key: key.replace("_", " ") for key in splits[0]}
    title = found.name if found.name == found.reader else f"{found.name}, read as {found.reader}"
    print_table(list(columns.values()), [list(row.values()) for row in splits], title)
    simple = [(key.replace("_", " "), value) for key, value in facts.items() if isinstance(value, int)]
    print_table(("fact", "value"), simple, "Words in the lexicons")
    print_table(("statistic", "value"), facts["frequency"].items(), "Word frequencies")
    print_table(("word", "occurrences"), dict(facts["most_common"]).items(), "Most frequent words")


def _print_duplicates(found: Dataset, device: str, as_json: bool) -> None:
    """Print the pairs of images of a data set that look alike, and which of them look like the same one."""
    from odits.search.likeness import alike_pairs, embed_records

    with open_reporter() as report:
        phase = report.phase("looking at images", len(found.records))
        likeness = embed_records(found.records, progress=phase, device=device)
    problems = report_problems(likeness.problems)
    found_pairs = alike_pairs(likeness)
    pairs = [
        {
            "first": pair.first.name,
            "first_split": pair.first.split,
            "second": pair.second.name,
            "second_split": pair.second.split,
            "similarity": pair.similarity,
            "kind": "near-duplicate" if pair.near else "similar",
        }
        for pair in found_pairs.closest
    ]
    if as_json:
        print_json(
            {
                "name": found.name,
                "images": len(likeness.records),
                "pairs": found_pairs.number,
                "duplicates": pairs,
                "problems": problems,
            }
        )
    elif pairs:
        columns = [name.replace("_", " ") for name in pairs[0]]
        print_table(columns, [list(pair.values()) for pair in pairs], f"{found.name}: images that look alike")
        if found_pairs.number > len(pairs):
            say(f"These are the closest {len(pairs):,} of {found_pairs.number:,} pairs.")
    else:
        say(f"{found.name}: no two of its {len(likeness.records):,} images look alike.")
    exit_after(problems)


def _print_layouts(as_json: bool) -> None:
    from odits.data.datasets import READERS

    if as_json:
        print_json([{"name": reader.name, "needs": reader.needs} for reader in READERS])
    else:
        print_table(("layout", "what its folder holds"), [(reader.name, reader.needs) for reader in READERS])
