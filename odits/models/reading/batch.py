"""Lines of many images, read by `odits.core.pool` and stored: an interrupted run goes on where it was."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from odits.core.pool import HERE, Function, Item, Outcome, Task, Workers, map_images, per_item
from odits.core.progress import Progress, no_progress
from odits.data.images import image_digest, open_image
from odits.models.reading.reader import (
    READINGS,
    ReadingSettings,
    TextLine,
    TextReader,
    reading_key,
    stored_digest_lines,
)


class ReadImage(NamedTuple):
    """An image with its lines.

    Attributes:
        digest: of its pixels.
        width, height: in pixels.
        lines: what was read.
    """

    digest: str
    width: int
    height: int
    lines: list[TextLine]


def reading_function(
    threads: int | None = None, reader: TextReader | None = None, settings: Mapping[str, Any] | None = None
) -> Function:
    """Return a function for `odits.core.pool` that reads and stores images (`ReadImage`).

    Args:
        threads: of each network; all cores by default.
        reader: what reads; by default one with these settings.
        settings: by the names of `ReadingSettings`.
    """
    used = reader or TextReader(ReadingSettings(**(settings or {})), threads)

    def read(item: Item) -> ReadImage:
        image = open_image(item.source, item.name)
        digest = image_digest(image)
        return ReadImage(digest, image.width, image.height, stored_digest_lines(digest, image, used))

    return per_item(read)


def read_images(
    items: Sequence[Item],
    reader: TextReader,
    workers: Workers = HERE,
    progress: Progress = no_progress,
) -> Generator[Outcome, None, None]:
    """Yield what is read in images (`ReadImage`), from the store or read now and stored.

    Args:
        items: the images.
        reader: reads them where this process does the work; workers have one of its settings.
        workers: where it is done.
        progress: called with (images done, images in all); what it raises ends the work.

    Raises:
        OditsError: nothing can be read at all: the reader is not installed, or there is no such cluster.
        WriteError: a reading can't be stored.
    """
    here = reading_function(reader=reader) if workers.is_here else None
    settings = asdict(replace(reader.settings, detector=reader.detector))
    task = Task("odits.models.reading.batch:reading_function", {"settings": settings}, here=here)
    for outcome in map_images(task, items, workers, progress):
        if outcome.problem is None:
            key = reading_key(outcome.value.digest, reader.key)
            if not READINGS.path(key).is_file():  # a cluster's machine has a store of its own
                READINGS.put(key, outcome.value.lines)
        yield outcome
