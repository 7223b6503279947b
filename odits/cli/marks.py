"""`odits annotations`: the marks of annotators, to and from other machines and Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from odits.cli.common import Json, load_data, print_json, print_table, say
from odits.cli.exporting import Pictures, write_export
from odits.core.errors import OditsError

if TYPE_CHECKING:
    from odits.data.images import Size

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
    file: Annotated[
        Path,
        typer.Argument(help="A .csv or .parquet file, or .json (Label Studio, or with --format coco)."),
    ],
    named: Annotated[
        str | None,
        typer.Option("--format", help="csv, parquet, coco or label-studio, where the ending doesn't tell."),
    ] = None,
    pictures: Pictures = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The data set's folder, from which COCO gets the sizes of pictures.", show_default=False),
    ] = None,
) -> None:
    """Write the marks of an annotator, their decisions between others too; import brings them back."""
    from odits.data.annotation_imports import all_marks
    from odits.data.exports import format_of
    from odits.data.mark_files import FORMATS, export_marks

    form = format_of(file, named, FORMATS)
    marks = all_marks(annotator)
    if not marks:
        raise OditsError(f"There are no marks of {annotator} here.")
    sizes = _sizes(data, {about.image for about, _ in marks}) if data is not None and form == "coco" else None
    write_export(file, export_marks(annotator, marks, form, pictures, sizes))


def _sizes(data: Path, names: set[str]) -> dict[str, Size]:
    """Return width and height of the pictures that can be read."""
    from odits.data.images import ImageError

    sizes = {}
    for record in load_data(data).split("all"):
        if record.name in names:
            try:
                sizes[record.name] = record.size()
            except ImageError as error:
                say(str(error))
    return sizes


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="A file that export wrote, CSV, Parquet or COCO, or an export of Label Studio (JSON).",
            show_default=False,
        ),
    ],
    annotator: Annotated[
        str | None, typer.Option(help="Under whose name the marks of Label Studio are stored.", show_default=False)
    ] = None,
    done_by: Annotated[
        str | None,
        typer.Option(help="Whose annotations to take: number or e-mail of a user of Label Studio.", show_default=False),
    ] = None,
    conflicts: Annotated[
        str,
        typer.Option(
            help="Which mark counts where a word is marked otherwise here: mine (it stays), newer, or theirs (the "
            "file's). refuse: nothing is taken over, and the words are listed."
        ),
    ] = "refuse",
    as_json: Json = False,
) -> None:
    """Take over marks. Where words are marked otherwise here they are listed, and nothing is taken over by default."""
    from odits.data.annotation_imports import MODES
    from odits.data.annotation_tables import MAX_BYTES
    from odits.data.mark_files import import_file

    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise OditsError(f"{file} can't be read: {error.strerror or error}.") from error
    done = import_file(content, file.name, conflicts, annotator, done_by)
    for remark in done.remarks:
        say(remark)
    if as_json:
        told = [
            {"image": one.about.image, "word": one.about.word, "here": one.here.verdict, "file": one.there.verdict}
            for one in done.conflicts
        ]
        print_json({**done._asdict(), "conflicts": told, "annotator": done.name})
    else:
        if done.conflicts:
            rows = [(one.about.image, one.about.word, one.here.verdict, one.there.verdict) for one in done.conflicts]
            title = f"Words that are marked otherwise: {MODES[done.mode]}"
            print_table(("image", "word", "here", "in the file"), rows, title)
        if done.refused:
            say("Say which of the two counts, with --conflicts mine, newer or theirs.")
        say(f"{file.name} holds {done.read} marks of {done.name}; {done.new} of them were written here.")
    if done.remarks or done.refused:
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
