"""Predicted words as files for other tools."""

from __future__ import annotations

from collections.abc import Sequence

from odits.data.cvat import CvatImage, CvatShape, cvat_document
from odits.data.exports import Files, Predictor, WordsOfImage, picture_address, table
from odits.data.label_studio import word_tasks


def export_words(images: Sequence[WordsOfImage], by: Predictor, format: str, prefix: str | None = None) -> Files:
    """Write predicted words for another tool.

    Label Studio gets a task an image, in which every word is to be marked right, wrong or unsure, and the labelling
    configuration beside it; CVAT gets a tag a word.

    Args:
        images: with their words.
        by: who predicted them.
        format: "label-studio", "cvat", "csv" or "parquet".
        prefix: what stands before each picture's name; see `picture_address`.
    """
    if format == "label-studio":
        return word_tasks(images, by, prefix)
    if format == "cvat":
        pictures = [
            CvatImage(
                picture_address(one.image, prefix),
                one.size,
                [CvatShape("tag", word, {}, {"probability": f"{probability:.6g}"}) for word, probability in one.words],
            )
            for one in images
        ]
        return {".xml": cvat_document(pictures, f"Words by {by.model}")}
    columns = ("data", "image", "rank", "word", "probability", "model", "checkpoint", "vocabulary")
    rows = [
        (by.data, one.image, rank, word, probability, *by[1:])
        for one in images
        for rank, (word, probability) in enumerate(one.words, 1)
    ]
    return table(columns, rows, format)
