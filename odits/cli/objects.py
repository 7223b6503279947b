"""`odits objects`: the objects of images, as a table, as an overlay, with names, and as a COCO data set."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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
    report_problems,
    sam_parameters,
    say,
)
from odits.cli.exporting import Export, Format, Pictures, Shape, check_export, write_export
from odits.cli.figures import FigureFile, FigureTheme, check_figure, write_figure
from odits.core.errors import OditsError
from odits.core.progress import Reporter, open_reporter
from odits.models.reference import DEFAULT_SEGMENTER, EMBEDDED

if TYPE_CHECKING:
    import supervision as sv
    from PIL import Image

    from odits.core.pool import Problem
    from odits.data.predictions import Segmenter as SegmenterModel
    from odits.data.vocabulary import Vocabulary
    from odits.models.segmentation.naming import Namer, ObjectNames
    from odits.objects.coco import ExportedImage

_OPACITY = 0.45  # of what is drawn over an image

Points = Annotated[
    list[str] | None,
    typer.Option(
        help="X,Y in pixels: a SAM finds only the object there. Several points are of one object.", show_default=False
    ),
]
Corners = Annotated[
    str | None, typer.Option(help="X0,Y0,X1,Y1 in pixels: a SAM finds only the object in it.", show_default=False)
]


def objects(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    segmenter: Segmenter = DEFAULT_SEGMENTER,
    out: Annotated[Path | None, typer.Option(help="Folder for an overlay (PNG) of each image.")] = None,
    coco: Annotated[
        Path | None,
        typer.Option(help="Folder for a COCO data set of all images: data/, labels.json, masks/. FiftyOne opens it."),
    ] = None,
    export: Export = None,
    export_format: Format = None,
    shape: Shape = "polygon",
    pictures: Pictures = None,
    figure: FigureFile = None,
    figure_theme: FigureTheme = "light",
    names: Annotated[
        str | None,
        typer.Option(
            help="Who names the objects: imagenet, clip, grounding-dino, or grounding-dino:HUB-NAME-OR-FOLDER."
        ),
    ] = None,
    vocabulary: Annotated[str, typer.Option(help="The names to choose from: svt, or a text file of words.")] = "svt",
    model: AnyModel = EMBEDDED,
    data: Data = None,
    sam: SamValues = None,
    text: Texts = None,
    point: Points = None,
    box: Corners = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show which objects each image holds: masks with their boxes, areas, confidences and, if wanted, names."""
    from odits.core.pool import Problem
    from odits.models.registry import load
    from odits.objects.coco import ExportedImage, exported_files
    from odits.objects.codec import stored_objects
    from odits.objects.detections import object_table, texts_of

    problems: list[Problem] = []
    check_figure(figure, figure_theme, len(images))
    prompt = _read_prompt(point or (), box)
    form = check_export(export, export_format, ("label-studio", "cvat", "csv", "parquet", "coco"))
    opened = open_images(images, problems)
    words = _names_to_choose(names, vocabulary, data) if names else None
    with open_reporter() as report:
        find_model(segmenter, report, "segmenter")  # a wrong one ends before a model is loaded
        namer = _namer(names, model, device, report) if names else None
        parameters, progress = sam_parameters(sam, segmenter, text), download_progress(report)
        finder = load(segmenter, device, progress, kind="segmenter", parameters=parameters)
    documents, exported = [], []
    written: set[Path] = set()
    for path, image in opened:
        try:
            detections = _prompted(finder, image, prompt) if prompt else stored_objects(path, finder)
        except OditsError as error:
            if len(images) == 1:
                raise
            problems.append(Problem(str(path), f"{path}: {error}"))
            report_problems(problems[-1:])
            continue
        named = namer.names(image, detections, words) if namer and words else None
        called = named.names if named else texts_of(detections)
        if coco or form or figure:
            exported.append(ExportedImage(path.name, image, detections, called, path))
        if out:
            _write_overlay(_overlay_path(out, path, written), image, detections)
        scene = _scene(namer, image) if namer else {}
        documents.append({"image": str(path), "segmenter": finder.name, **scene, **_document(detections, named)})
        if not as_json:
            table = object_table(detections, called, named.scores if named else detections.confidence)
            title = f"{path}: {len(table)} objects by {_speakers(finder.name, named, scene)}"
            print_table(list(table.columns), table.values.tolist(), title)
    named_by = namer.name if namer else ""
    if export and form:
        write_export(export, exported_files(exported, form, shape, pictures, finder.name, named_by))
    if coco:
        _write_coco(coco, exported, finder.name, named_by)
    _draw(figure, figure_theme, exported)
    if as_json:
        print_json(documents)
    exit_after(problems)


def _write_coco(folder: Path, exported: Sequence[ExportedImage], segmenter: str, named_by: str) -> None:
    from odits.objects.coco import write_coco_folder

    try:
        write_coco_folder(folder, exported, segmenter, named_by)
    except OSError as error:
        raise OditsError(f"{folder} cannot be written: {error.strerror or error}.") from error
    say(f"wrote {folder / 'labels.json'}, with {len(exported)} images and their masks")


def _draw(figure: Path | None, theme: str, found: Sequence[ExportedImage]) -> None:
    """Draw the objects of the images over them, below each other, as the page Objects shows them at first."""
    if figure is None or not found:
        return
    from odits.figures.drawing import Look
    from odits.figures.object_drawings import object_paths, objects_drawing
    from odits.figures.static_pictures import Panel, pictures_figure

    panels = [
        Panel(one.image, objects_drawing(one.detections, object_paths(one.detections)), one.name, Look(_OPACITY))
        for one in found
    ]
    texts = [text for panel in panels for text in (panel.title, *panel.drawing.texts())]
    write_figure(figure, lambda at: pictures_figure(panels, at), theme, texts)


class _Prompt(NamedTuple):
    """Where the one object is: points that belong to it, and a box x0, y0, x1, y1 around it, in pixels."""

    points: list[tuple[float, float]]
    box: tuple[float, float, float, float] | None


def _read_prompt(points: Sequence[str], box: str | None) -> _Prompt | None:
    """Read `--point` and `--box`; None where neither was given."""
    if not points and box is None:
        return None
    pairs = [_numbers(text, 2, "--point", "X,Y") for text in points]
    corners = None if box is None else _numbers(box, 4, "--box", "X0,Y0,X1,Y1")
    return _Prompt([(x, y) for x, y in pairs], None if corners is None else (*corners[:3], corners[3]))  # type: ignore[arg-type]


def _numbers(text: str, count: int, option: str, form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise OditsError(f"{option} takes {form} in pixels, not '{text[:60]}'.")
    return numbers


def _prompted(finder: SegmenterModel, image: Image.Image, prompt: _Prompt) -> sv.Detections:
    """Return the object at the prompt, the best of SAM's candidates."""
    from odits.models.segmentation.segmenters import takes_prompts

    if not takes_prompts(finder):
        raise OditsError("--point and --box are for a SAM: choose one with --segmenter.")
    return finder.encode(image).predict(prompt.points, box=prompt.box).detection(0)


def _overlay_path(folder: Path, image: Path, written: set[Path]) -> Path:
    """Return where an image's overlay goes, and note it; images of one name in different folders are numbered."""
    from odits.core.files import clear_interrupted

    if not written:
        clear_interrupted(folder)
    path, number = folder / f"{image.stem}-objects.png", 2
    while path in written:
        path, number = folder / f"{image.stem}-{number}-objects.png", number + 1
    written.add(path)
    return path


def _write_overlay(path: Path, image: Image.Image, detections: sv.Detections) -> None:
    from odits.core.files import write_atomically
    from odits.objects.detections import overlay_image

    buffer = io.BytesIO()
    overlay_image(image, detections).save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
    say(f"wrote {path}")


def _document(detections: sv.Detections, named: ObjectNames | None) -> dict[str, Any]:
    """Return the objects of an image for JSON, with their names where they have any."""
    from odits.objects.codec import to_document

    document = to_document(detections)
    if named:
        document["named_by"] = named.model
        for item, name, score in zip(document["objects"], named.names, named.scores.tolist(), strict=True):
            item |= {"name": name, "name_score": score}
        for item, level in zip(document["objects"], named.levels, strict=False):  # of a namer that has levels
            item["name_level"] = level
    return document


def _names_to_choose(names: str, vocabulary: str, data: Path | None) -> Vocabulary:
    """Return the names that objects may get: ImageNet's are its own, the others' are the vocabulary's."""
    if names != "imagenet":
        return load_vocabulary(vocabulary, data)
    from odits.data.vocabulary import Vocabulary
    from odits.models.classification.eye import class_names

    return Vocabulary(class_names(), "ImageNet's classes")


def _speakers(segmenter: str, named: ObjectNames | None, scene: dict[str, Any]) -> str:
    """Say who found the objects and who named them, and what the picture is called where it was named."""
    who = f"{segmenter}, named by {named.model}" if named else segmenter
    return f"{who}; the picture: {scene['scene']['name'] or 'unnamed'}" if scene else who


def _scene(namer: Namer, image: Image.Image) -> dict[str, Any]:
    """Return the name of the whole picture for JSON, where the namer names pictures."""
    from odits.models.segmentation.naming import PhotoNamer

    if not isinstance(namer, PhotoNamer):
        return {}
    name, score = namer.scene(image)
    return {"scene": {"name": name, "score": score}}


def _namer(names: str, model: str, device: str, report: Reporter) -> Namer:
    """Load what names objects, by `--names`; CLIP where GroundingDINO's own weights are not here."""
    from odits.models.registry import WORD_MODELS, load
    from odits.models.segmentation.naming import WordNamer

    kind, _, reference = names.partition(":")
    if kind not in ("imagenet", "clip", "grounding-dino") or (kind != "grounding-dino" and reference):
        raise OditsError(
            f"Nobody called {names!r} names objects: use imagenet, clip, grounding-dino, or grounding-dino:PATH."
        )
    if kind == "imagenet":
        from odits.models.segmentation.naming import PhotoNamer

        return PhotoNamer(device)
    if kind == "grounding-dino":
        from odits.models.segmentation.naming import GROUNDING_DINO, GroundingDinoNamer

        try:
            return GroundingDinoNamer(reference or GROUNDING_DINO, device)
        except OditsError as error:
            if reference:
                raise
            say(f"{error} CLIP names the objects instead.")
    return WordNamer(load(find_model(model, report, *WORD_MODELS), device, download_progress(report)))
