"""A process that computes images one after the other: `python -m odits.models.segmentation.precompute_worker THREADS
WANTED`.
"""

from __future__ import annotations

import sys
from functools import cache

from odits.core.pool import serve
from odits.data.predictions import Segmenter
from odits.models.segmentation.precompute import Wanted, answer_question


def main() -> None:
    """Serves on standard input and output."""
    threads, wanted = int(sys.argv[1]), Wanted.from_json(sys.argv[2])

    @cache
    def segmenter() -> Segmenter:  # loaded by the first question, whose answer can say what is wrong with it
        return wanted.load(threads)

    serve(lambda question: answer_question(question, wanted, segmenter()))


if __name__ == "__main__":
    main()
