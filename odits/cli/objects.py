"""`odits objects`: the objects of images, as a table and an overlay."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import typer

from odits.cli.common import Device, Json, Segmenter, print_json, print_table, say


def objects(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    segmenter: Segmenter = "embedded",
    out: Annotated[Path | None, typer.Option(help="Folder for an overlay (PNG) of each image.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Which objects each image holds: masks with their boxes, areas and confidences."""
    from odits.data.images import open_image
    from odits.files import write_atomically
    from odits.models.segmenters import load_segmenter
    from odits.object_store import stored_objects, to_document
    from odits.objects import object_table, overlay_image

    opened = [open_image(path) for path in images]
    finder = load_segmenter(segmenter, device=device)
    documents = []
    for path, image in zip(images, opened, strict=True):
        detections = stored_objects(path, finder)
        overlay = out / f"{path.stem}-objects.png" if out else None
        if overlay:
            overlay.parent.mkdir(parents=True, exist_ok=True)
            buffer = io.BytesIO()
            overlay_image(image, detections).save(buffer, "PNG")
            write_atomically(overlay, buffer.getvalue())
            say(f"wrote {overlay}")
        documents.append({"image": str(path), "segmenter": finder.name, **to_document(detections)})
        if not as_json:
            table = object_table(detections)
            print_table(list(table.columns), table.values.tolist(), f"{path}: {len(table)} objects by {finder.name}")
    if as_json:
        print_json(documents)
