"""`odits annotations`: the marks of annotators, to and from other machines and Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odits.cli.common import Json, print_json, print_table, say
from odits.cli.exporting import write_export
from odits.core.errors import OditsError

app = typer.Typer(no_args_is_help=True, help="The marks of annotators: list, export, import, back up, restore.")


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the annotators who marked words here, and how many."""
    from odits.data.annotation_files import annotators, damaged_files
    from odits.data.annotations import read_marks
    from odits.data.marks import VERDICTS

    rows = []
    for name in annotators():
        verdicts = [mark.verdict for mark in read_marks(name).values()]
        rows.append({"annotator": name, "marks": len(verdicts), **{key: verdicts.count(key) for key in VERDICTS}})
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        say("Nobody has marked a word here yet: the page Browse does that, and import brings marks from elsewhere.")
    if damaged := damaged_files():
        for sentence in damaged:
            say(sentence)
        raise typer.Exit(1)


@app.command("export")
def export(
    annotator: Annotated[str, typer.Argument(help="Whose marks.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="A CSV file, which the explorer on another machine can add.")],
) -> None:
    """Write the marks of an annotator as CSV."""
    from odits.data.annotation_tables import marks_csv
    from odits.data.annotations import read_marks

    marks = read_marks(annotator)
    if not marks:
        raise OditsError(f"There are no marks of {annotator} here.")
    write_export(file, {".csv": marks_csv(annotator, marks.items())})


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="A CSV file of marks, or an export of Label Studio (JSON).", show_default=False)
    ],
    annotator: Annotated[
        str | None, typer.Option(help="Under whose name the marks of Label Studio are stored.", show_default=False)
    ] = None,
    done_by: Annotated[
        str | None,
        typer.Option(help="Whose annotations to take: number or e-mail of a user of Label Studio.", show_default=False),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Where a word is marked otherwise here, take the file's mark.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take over marks; words that are marked otherwise here are named, and stay as they are."""
    from odits.data.annotation_imports import differing_marks, import_marks
    from odits.data.annotation_tables import MAX_BYTES
    from odits.data.label_studio import import_tasks

    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise OditsError(f"{file} can't be read: {error.strerror or error}.") from error
    if file.suffix.lower() != ".json":
        conflicts = differing_marks(content, file.name)
        done = import_marks(content, file.name)
        name, read, new, remarks = done.name, done.read, done.new, []
        stays = "the newer mark counts"
    else:
        if annotator is None:
            raise OditsError("Name the annotator under whom the marks are stored, with --annotator.")
        taken = import_tasks(content, annotator, file.name, replace, done_by)
        name, read, new, remarks = taken.name, taken.read, taken.new, list(taken.remarks)
        conflicts = list(taken.conflicts)
        stays = "the file's marks were taken" if taken.replaced else "those here stay (--replace takes the file's)"
    for remark in remarks:
        say(remark)
    if as_json:
        told = [
            {"image": one.about.image, "word": one.about.word, "here": one.here.verdict, "file": one.there.verdict}
            for one in conflicts
        ]
        print_json({"annotator": name, "read": read, "new": new, "conflicts": told, "remarks": remarks})
    else:
        if conflicts:
            rows = [(one.about.image, one.about.word, one.here.verdict, one.there.verdict) for one in conflicts]
            print_table(("image", "word", "here", "in the file"), rows, f"Words that are marked otherwise: {stays}")
        say(f"{file.name} holds {read} marks of {name}; {new} of them were written here.")
    if remarks:
        raise typer.Exit(1)


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="A ZIP file; one that is there is replaced.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Write a back-up of everybody's marks, also while people mark."""
    from odits.data.backups import back_up

    counts = back_up(file)
    if as_json:
        print_json([{"annotator": name, "marks": count} for name, count in counts.items()])
    else:
        say(f"{file} holds {sum(counts.values()):,} marks of {len(counts):,} annotators.")


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A file that backup wrote.", show_default=False)], as_json: Json = False
) -> None:
    """Take over the marks of a back-up; newer marks here stay, and each file is copied beside itself before."""
    from odits.data import backups

    done = backups.restore(file)
    for problem in done.problems:
        say(problem)
    if as_json:
        rows = [{**one._asdict(), "kept": str(one.kept) if one.kept else None} for one in done.files]
        print_json({"files": rows, "problems": done.problems})
    else:
        for one in done.files:
            copied = f"; the marks as they were: {one.kept.name}" if one.kept else ""
            say(f"{one.name}: {one.read:,} marks in the back-up, {one.new:,} of them written here{copied}.")
    if done.problems:
        raise typer.Exit(1)
