"""`odits objects`: the objects of images, as a table, as an overlay, with names, and as a COCO data set."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from odits.cli.common import (
    AnyModel,
    Data,
    Device,
    Json,
    SamValues,
    Segmenter,
    Texts,
    download_progress,
    exit_after,
    find_model,
    load_vocabulary,
    open_images,
    print_json,
    print_table,
    sam_parameters,
    say,
)
from odits.core.errors import OditsError
from odits.core.progress import Reporter, open_reporter
from odits.models.reference import DEFAULT_SEGMENTER, EMBEDDED

if TYPE_CHECKING:
    from odits.core.pool import Problem
    from odits.models.segmentation.naming import Namer


def objects(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    segmenter: Segmenter = DEFAULT_SEGMENTER,
    out: Annotated[Path | None, typer.Option(help="Folder for an overlay (PNG) of each image.")] = None,
    coco: Annotated[
        Path | None,
        typer.Option(help="Folder for a COCO data set of all images: data/, labels.json, masks/. FiftyOne opens it."),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option(help="Who names the objects: clip, grounding-dino, or grounding-dino: and a hub name or folder."),
    ] = None,
    vocabulary: Annotated[str, typer.Option(help="The names to choose from: svt, or a text file of words.")] = "svt",
    model: AnyModel = EMBEDDED,
    data: Data = None,
    sam: SamValues = None,
    text: Texts = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show which objects each image holds: masks with their boxes, areas, confidences and, if wanted, names."""
    from odits.core.files import write_atomically
    from odits.models.registry import load
    from odits.objects.coco import ExportedImage, write_coco_folder
    from odits.objects.codec import stored_objects, to_document
    from odits.objects.detections import object_table, overlay_image, texts_of

    problems: list[Problem] = []
    opened = open_images(images, problems)
    words = load_vocabulary(vocabulary, data) if names else None
    with open_reporter() as report:
        find_model(segmenter, report, "segmenter")  # a wrong one ends before a model is loaded
        namer = _namer(names, model, device, report) if names else None
        parameters, progress = sam_parameters(sam, segmenter, text), download_progress(report)
        finder = load(segmenter, device, progress, kind="segmenter", parameters=parameters)
    documents, exported = [], []
    written: set[Path] = set()
    for path, image in opened:
        detections = stored_objects(path, finder)
        named = namer.names(image, detections, words) if namer and words else None
        called = named.names if named else texts_of(detections)
        if coco:
            exported.append(ExportedImage(path.name, image, detections, called, path))
        if out:
            overlay = _overlay_path(out, path, written)
            written.add(overlay)
            buffer = io.BytesIO()
            overlay_image(image, detections).save(buffer, "PNG")
            write_atomically(overlay, buffer.getvalue())
            say(f"wrote {overlay}")
        document = {"image": str(path), "segmenter": finder.name, **to_document(detections)}
        if named:
            document["named_by"] = named.model
            for item, name, score in zip(document["objects"], named.names, named.scores.tolist(), strict=True):
                item |= {"name": name, "name_score": score}
        documents.append(document)
        if not as_json:
            table = object_table(detections, called, named.scores if named else detections.confidence)
            who = f"{finder.name}, named by {named.model}" if named else finder.name
            print_table(list(table.columns), table.values.tolist(), f"{path}: {len(table)} objects by {who}")
    if coco:
        try:
            write_coco_folder(coco, exported, finder.name, namer.name if namer else "")
        except OSError as error:
            raise OditsError(f"{coco} cannot be written: {error.strerror or error}.") from error
        say(f"wrote {coco / 'labels.json'}, with {len(exported)} images and their masks")
    if as_json:
        print_json(documents)
    exit_after(problems)


def _overlay_path(folder: Path, image: Path, written: set[Path]) -> Path:
    """Return where an image's overlay goes; images of the same name in different folders are numbered."""
    path, number = folder / f"{image.stem}-objects.png", 2
    while path in written:
        path, number = folder / f"{image.stem}-{number}-objects.png", number + 1
    return path


def _namer(names: str, model: str, device: str, report: Reporter) -> Namer:
    """Load what names objects, by `--names`; CLIP where GroundingDINO's own weights are not here."""
    from odits.models.registry import WORD_MODELS, load
    from odits.models.segmentation.naming import WordNamer

    kind, _, reference = names.partition(":")
    if kind not in ("clip", "grounding-dino") or (kind == "clip" and reference):
        raise OditsError(f"Nobody called {names!r} names objects: use clip, grounding-dino, or grounding-dino:PATH.")
    if kind == "grounding-dino":
        from odits.models.segmentation.naming import GROUNDING_DINO, GroundingDinoNamer

        try:
            return GroundingDinoNamer(reference or GROUNDING_DINO, device)
        except OditsError as error:
            if reference:
                raise
            say(f"{error} CLIP names the objects instead.")
    return WordNamer(load(find_model(model, report, *WORD_MODELS), device, download_progress(report)))
