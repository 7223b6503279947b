"""A process that reads images one after the other: `python -m odits.search.worker THREADS`.

A line of JSON on its standard input names an image's file; a line of JSON on its standard output answers with the
image's digest, its size, and how many lines and frames its reading has. The reading itself is in the store of readings.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from odits.data import ImageError, image_digest, open_image
from odits.errors import OditsError
from odits.spotting.reader import TextReader
from odits.spotting.reading_store import load_lines, reading_file, stored_lines


def read_image(path: Path, name: str, reader: TextReader) -> dict[str, Any]:
    """What there is to say of an image: `digest`, `width`, `height`, `lines`, `frames`; or its `problem`.

    Raises:
        OditsError: no image can be read at all, as the reader is not installed or the disk is full.
    """
    try:
        image = open_image(path, name)
    except ImageError as error:
        return {"problem": str(error)}
    digest = image_digest(image)
    lines = stored_lines(image, reader)
    if load_lines(reading_file(digest, reader.key)) is None:
        raise OditsError(f"{reading_file(digest, reader.key).parent} can't be written, so no index can be made.")
    lengths = [len(line.frames) for line in lines if len(line.frames)]
    width, height = image.size
    return {"digest": digest, "width": width, "height": height, "lines": len(lengths), "frames": sum(lengths)}


def limit_threads(count: int) -> None:
    """Nothing; each of onnxruntime's sessions that this process opens from now on gets so many threads.

    By default each takes all cores, and several processes would stand in each other's way.
    """
    import onnxruntime

    class Limited(onnxruntime.SessionOptions):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.intra_op_num_threads = count

    onnxruntime.SessionOptions = Limited


def serve(questions: TextIO, answers: TextIO) -> None:
    """Answers each line of the questions with one; ends with them."""
    reader = TextReader()
    for line in questions:
        question = json.loads(line)
        try:
            answer = read_image(Path(question["path"]), question["name"], reader)
        except OditsError as error:
            answer = {"fatal": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main() -> None:
    """Serves on standard input and output; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with suppress(ImportError):  # reading the first image says in a sentence what is missing
        limit_threads(int(sys.argv[1]))
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
