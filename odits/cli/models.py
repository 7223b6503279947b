"""`odits models`: what references stand for, which models are here, and which architectures can be built."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import typer

from odits.cli.common import Json, download_progress, exit_after, print_json, print_table, say
from odits.core.errors import OditsError
from odits.models.reference import ModelRef, available, parse


def models(
    references: Annotated[
        list[str] | None,
        typer.Argument(help="References to look up; without one, the models on this machine.", show_default=False),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Build every architecture of open_clip, without weights and without a network."),
    ] = False,
    get: Annotated[
        list[str] | None,
        typer.Option(
            help="Download weights: ViT-B-32/openai, sam:vit_b, grounding-dino or any other published ones. What was "
            "stopped or broke off goes on. The option may be repeated.",
            metavar="REFERENCE",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the models on this machine, say what references stand for, get weights, or check architectures."""
    if get:
        if references or check:
            raise OditsError("--get downloads and does nothing else: name what to look up or to check by itself.")
        _get(get, as_json)
        return
    if check:
        if references:
            raise OditsError("--check takes no references: it goes through every architecture.")
        _check(as_json)
        return
    problems: list[dict[str, str]] = []
    if references:
        found = list(_looked_up(references, problems))
    else:
        from odits.models.clip.hub import cached_references

        found = [ref for ref in available() if ref.ready]
        found += _looked_up(cached_references(), problems)
    if as_json:
        print_json({"models": [_row(ref) for ref in found], "problems": problems})
    else:
        columns = ("reference", "kind", "name", "architecture")
        print_table(columns, [[_row(ref)[name] or "" for name in columns] for ref in found], whole=("reference",))
        for ref in found if references else ():
            if ref.note:
                typer.echo(f"{ref.reference}: {ref.note}")
    exit_after(problems)


def _looked_up(references: list[str], problems: list[dict[str, str]]) -> Iterator[ModelRef]:
    for reference in references:
        try:
            yield parse(reference)
        except OditsError as error:
            problems.append({"reference": reference, "problem": str(error)})
            say(f"{reference}: {error}")


def _row(ref: ModelRef) -> dict[str, Any]:
    from odits.models.registry import is_here

    return {
        "reference": ref.reference,
        "kind": ref.kind,
        "name": ref.name,
        "architecture": ref.architecture or None,
        "file": str(ref.path) if ref.path is not None else None,
        "digest": ref.digest or None,
        "here": is_here(ref),
        "note": ref.note or None,
    }


def _get(references: list[str], as_json: bool) -> None:
    """Download weights, one after the other; those that can't be had are named with the way to bring them by hand."""
    from odits.core.downloads import free_bytes
    from odits.core.progress import open_reporter
    from odits.models.published import by_hand, fetch, is_here, place_of, size_of

    got: list[dict[str, Any]] = []
    problems: list[dict[str, str]] = []
    with open_reporter() as report:
        for reference in references:
            try:
                if not is_here(reference):
                    free = free_bytes(place_of(reference))
                    say(f"{reference}: {size_of(reference) / 1e6:,.1f} MB to download, {free / 1e9:,.1f} GB are free.")
                path = fetch(reference, download_progress(report, f"downloading {reference}"))
                got.append({"reference": reference, "file": str(path)})
            except OditsError as error:
                problem = str(error)
                with suppress(OditsError):
                    problem += f" By hand: {by_hand(reference)}"
                problems.append({"reference": reference, "problem": problem})
                say(f"{reference}: {problem}")
    if as_json:
        print_json({"models": got, "problems": problems})
    elif got:
        print_table(("reference", "file"), [[one["reference"], one["file"]] for one in got], whole=("reference",))
    exit_after(problems)


def _check(as_json: bool) -> None:
    """Build every architecture; a line for each, as soon as it is known."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the libraries below are imported
    import open_clip

    from odits.models.clip.building import check_architecture
    from odits.models.clip.embedded import register_architecture

    register_architecture()
    found = []
    for name in open_clip.list_models():
        one = check_architecture(name)
        found.append(one)
        if not as_json:
            built = f"{one.parameters:,} parameters" if one.parameters else "not built"
            typer.echo(f"{name}: {built}{f'. {one.problem}' if one.problem else ''}")
    counts = {
        "ready": sum(not one.problem for one in found),
        "without a tokenizer": sum(bool(one.parameters and one.problem) for one in found),
        "not built": sum(not one.parameters for one in found),
    }
    if as_json:
        rows = [
            {
                "architecture": one.architecture,
                "parameters": one.parameters or None,
                "built": bool(one.parameters),
                "problem": one.problem or None,
            }
            for one in found
        ]
        print_json({"architectures": rows, **{name.replace(" ", "_"): count for name, count in counts.items()}})
    else:
        say(f"{len(found)} architectures: {', '.join(f'{count} {name}' for name, count in counts.items())}.")
