"""The words that an evaluated model predicts, as files for other tools."""

from __future__ import annotations

from odits.data.exports import Files, Predictor, WordsOfImage
from odits.data.predictions import WordProbability
from odits.data.records import Dataset
from odits.data.word_exports import export_words
from odits.evaluation.results import StoredEvaluation


def exported_evaluation(
    evaluation: StoredEvaluation, dataset: Dataset, top: int, format: str, prefix: str | None = None
) -> Files:
    """Write the most probable words of each image for another tool; see `odits.data.word_exports.export_words`.

    Args:
        evaluation: of a model on images of the data set.
        dataset: whose images they are; marks that come back name it.
        top: how many words of an image.
        format: "label-studio", "cvat", "csv" or "parquet".
        prefix: what stands before each picture's name.
    """
    places, probabilities = evaluation.top(top)
    words = evaluation.vocabulary.words
    images = [
        WordsOfImage(
            name,
            dataset.find(name).size(),
            [WordProbability(words[place], float(value)) for place, value in zip(row, values, strict=True)],
        )
        for name, row, values in zip(evaluation.images, places, probabilities, strict=True)
    ]
    by = Predictor(evaluation.data, evaluation.model, evaluation.checkpoint, evaluation.vocabulary.digest)
    return export_words(images, by, format, prefix)
