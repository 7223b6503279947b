"""The words that an evaluated model predicts, as files for other tools."""

from __future__ import annotations

from collections.abc import Sequence

from odits.data.exports import Files, Predictor, WordsOfImage
from odits.data.predictions import WordProbability
from odits.data.records import ImageRecord
from odits.data.word_exports import export_words
from odits.evaluation.results import StoredEvaluation


def exported_evaluation(
    evaluation: StoredEvaluation, records: Sequence[ImageRecord], top: int, format: str, prefix: str | None = None
) -> Files:
    """Write the most probable words of each image for another tool; see `odits.data.word_exports.export_words`.

    Args:
        evaluation: of a model on images of the data set.
        records: its images, in its order.
        top: how many words of an image.
        format: "label-studio", "cvat", "csv" or "parquet".
        prefix: what stands before each picture's name.
    """
    places, probabilities = evaluation.top(top)
    words = evaluation.vocabulary.words
    images = [
        WordsOfImage(
            record.name,
            record.size(),
            [WordProbability(words[place], float(value)) for place, value in zip(row, values, strict=True)],
        )
        for record, row, values in zip(records, places, probabilities, strict=True)
    ]
    by = Predictor(evaluation.data, evaluation.model, evaluation.checkpoint, evaluation.vocabulary.digest)
    return export_words(images, by, format, prefix)
