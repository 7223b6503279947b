"""A process that reads images one after the other, for `odits.core.pool`: `python -m odits.search.worker THREADS`.

It answers with the image's digest, its size, and how many lines and frames its reading has. The reading itself is in
the store of readings.
"""

from __future__ import annotations

import sys

from odits.core.errors import OditsError
from odits.core.pool import Answer, Source, serve, source_of
from odits.data import ImageError, image_digest, open_image
from odits.models.reading.reader import TextReader, load_lines, reading_file, stored_lines


def read_image(source: Source, name: str, reader: TextReader) -> Answer:
    """What there is to say of an image: `digest`, `width`, `height`, `lines`, `frames`; or its `problem`.

    Raises:
        OditsError: no image can be read at all, as the reader is not installed or the disk is full.
    """
    try:
        image = open_image(source, name)
    except ImageError as error:
        return {"problem": str(error)}
    digest = image_digest(image)
    lines = stored_lines(image, reader)
    if load_lines(reading_file(digest, reader.key)) is None:
        raise OditsError(f"{reading_file(digest, reader.key).parent} can't be written, so no index can be made.")
    lengths = [len(line.frames) for line in lines if len(line.frames)]
    width, height = image.size
    return {"digest": digest, "width": width, "height": height, "lines": len(lengths), "frames": sum(lengths)}


def main() -> None:
    """Serves on standard input and output."""
    reader = TextReader(threads=int(sys.argv[1]))
    serve(lambda question: read_image(source_of(question), question["name"], reader))


if __name__ == "__main__":
    main()
