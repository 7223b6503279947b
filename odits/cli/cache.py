"""`odits cache`: what the stores of results hold, and making room in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import Json, print_json, print_table, say
from odits.core.errors import OditsError

if TYPE_CHECKING:
    from odits.core.inventory import Item, KindSummary, Tally

_DAY_S = 86400.0


def cache(
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove what killed processes left, and what only older versions of odits read."),
    ] = False,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Remove what was not used for so many days.", show_default=False),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Remove the least recently used until no more than SIZE is left, such as 500MB or 2GB.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only results of this kind, as the table names it; can be repeated.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what the stores of computed results hold, or make room; checkpoints, marks and weights are not touched.

    What is in use by a running process stays. Results that are removed are computed again when they are asked for.
    """
    from odits.core.files import cache_home
    from odits.core.inventory import prune as remove
    from odits.core.inventory import read_size, summarise, take_inventory

    limit = None if max_size is None else read_size(max_size)
    kinds = kind or []
    items = take_inventory()
    unknown = sorted(set(kinds) - {item.kind for item in items})
    if unknown:
        known = ", ".join(sorted({item.kind for item in items})) or "nothing at all"
        raise OditsError(f"There are no results of the kind {unknown[0]!r}: there are {known}.")
    items = [item for item in items if not kinds or item.kind in kinds]
    removed = remove(items, prune, None if older_than is None else older_than * _DAY_S, limit, kinds)
    if removed:
        items = take_inventory(kinds)
    summaries = summarise(items)
    if as_json:
        print_json(_document(str(cache_home()), summaries, removed))
        return
    if removed:
        say(f"Removed {_count(len(removed))}, {_size(sum(item.size for item in removed))}.")
    _show(str(cache_home()), summaries)


def _document(home: str, summaries: dict[str, KindSummary], removed: list[Item]) -> dict[str, Any]:
    def numbers(tally: Tally) -> dict[str, int]:
        return {"count": tally.count, "bytes": tally.bytes}

    return {
        "home": home,
        "kinds": {
            kind: {
                **numbers(summary.current),
                "older_versions": numbers(summary.older),
                "former_place": numbers(summary.former),
                "leftovers": numbers(summary.left),
                "in_use": summary.held,
            }
            for kind, summary in summaries.items()
        },
        "bytes": sum(summary.bytes for summary in summaries.values()),
        "removed": {"count": len(removed), "bytes": sum(item.size for item in removed)},
    }


def _show(home: str, summaries: dict[str, KindSummary]) -> None:
    rows = [
        (
            kind,
            summary.current.count,
            _size(summary.current.bytes),
            _cell(summary.former),
            _cell(summary.older),
            _cell(summary.left),
            summary.held or "",
        )
        for kind, summary in summaries.items()
    ]
    columns = ("kind", "entries", "size", "former place", "older", "left over", "in use")
    print_table(columns, rows, f"{home}: {_size(sum(summary.bytes for summary in summaries.values()))}")
    if any(summary.left.count or summary.older.count for summary in summaries.values()):
        say("odits cache --prune removes what killed processes left and what only older versions read.")
    if any(summary.former.count for summary in summaries.values()):
        say("What lies in its former place is moved when it is asked for.")


def _cell(tally: Tally) -> str:
    return _size(tally.bytes) if tally.count else ""


def _count(number: int) -> str:
    return f"{number:,} {'entry' if number == 1 else 'entries'}"


def _size(count: int) -> str:
    """Return bytes for people, in powers of ten as disks are sold."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count} B"
