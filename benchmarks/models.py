"""Every model that comes with the project, on SVT's evaluation images and on drawn scenes that nothing was trained on.

SVT: 249 images over its 5,363 words. Scenes: those that `odits render` holds out, over the default vocabulary, with
the calibration of models that tell the probability of each word by itself (`odits.evaluation.calibration`).
`--write` stores the figures where the pages find them, assets/model_figures.json.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.core.errors import OditsError
from odits.core.files import asset
from odits.core.progress import open_reporter
from odits.data import Dataset, ImageRecord, Vocabulary, open_image, read_dataset
from odits.data.general_words import general_vocabulary
from odits.data.predictions import WordModel
from odits.evaluation.calibration import CalibrationQuality, CalibrationRequest, measure_calibration
from odits.evaluation.evaluate import evaluate
from odits.evaluation.model_figures import FILE, ModelFigures, model_figures, write_model_figures
from odits.evaluation.reading_tasks import match_words, spot_lexicon
from odits.models.fusion.model import OditsModel
from odits.models.model_ref import STREET
from odits.models.reading.read_words import PictureVocabularies
from odits.models.reading.spotter import WordSpotter
from odits.models.registry import EMBEDDED, SPOTTING, VITSTR, WORD_MODELS, ModelRef, available, load, parse

WHEN = {
    STREET: "Choose it for any picture and any words: it says how probable it is that each word is in the picture, and "
    "which place carries it.",
    SPOTTING: "Choose it to find words of a list in many pictures: it reads, and shares out 100 % among the words.",
    EMBEDDED: "Choose it to see what a CLIP model believes of the picture as a whole, and to fine-tune it; it mistakes "
    "words that look alike.",
}
READ = 0.8
"""Probability from which the spotter reads a boxed word among its image's lexicon: F is highest there on SVT's training
images (`calibrate_spotting.py`)."""
PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def main() -> None:
    """Measure the models one after the other."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--scenes", type=Path, help="folder that `odits render` made; its held-out scenes are taken")
    arguments.add_argument("--only", nargs="+", metavar="MODEL", help="references; default: all that come with it")
    arguments.add_argument("--write", action="store_true", help=f"store the figures in assets/{FILE}")
    arguments.add_argument("--no-text", type=Path, metavar="DIR", help="pictures without text, to be told as such")
    arguments.add_argument("--images", type=int, default=0, help="only so many images of each kind")
    options = arguments.parse_args()
    dataset = needed_data(options)
    vocabulary = dataset.vocabulary()
    scenes: Sequence[ImageRecord] = read_dataset(options.scenes).split("eval") if options.scenes else ()
    if options.images:
        scenes, few = scenes[: options.images], dataset.split("eval")[: options.images]
        dataset = replace(dataset, records=dataset.split("train") + few)
    figures: dict[str, ModelFigures] = {}
    document: dict[str, Any] = {}
    for ref in [parse(one, *WORD_MODELS) for one in options.only or ()] or shipped():
        model = load(ref)
        figures[ref.reference] = measure(model, ref, dataset, vocabulary, scenes)
        document[ref.reference] = figures[ref.reference].document
        if options.no_text and tells_presence(model):
            document[ref.reference]["without_text"] = without_text(model, options.no_text, dataset.split("eval"))
    if options.write:
        write_model_figures(model_figures() | figures, asset(FILE))
    if options.json:
        report(document, as_json=True)
        return
    for reference, found in document.items():
        lines = {f"{reference} {kind}": found[kind] for kind in ("svt", "scenes", "without_text") if kind in found}
        report(lines, as_json=False)


def shipped() -> list[ModelRef]:
    """Return the word models that come with the project, without those that other packages or people bring."""
    own = asset("")
    models = [ref for ref in available() if ref.kind in WORD_MODELS and ref.reference != VITSTR]
    return [ref for ref in models if ref.path is None or ref.path.is_relative_to(own)]


def tells_presence(model: WordModel) -> TypeGuard[OditsModel]:
    """Return whether a model tells the probability of each word by itself, and so when none is there."""
    return isinstance(model, OditsModel) and model.network.config.presence


def measure(
    model: WordModel, ref: ModelRef, dataset: Dataset, vocabulary: Vocabulary, scenes: Sequence[ImageRecord]
) -> ModelFigures:
    """Measure a model.

    Args:
        model: the model.
        ref: its reference.
        dataset: SVT.
        vocabulary: its words.
        scenes: drawn scenes; none: those figures stay out.
    """
    records = dataset.split("eval")
    with open_reporter() as progress:
        found = evaluate(
            lambda images: model.probabilities(images, vocabulary),
            dataset,
            "eval",
            vocabulary,
            progress.phase(f"{ref.name}: SVT", len(records)),
        )
        svt = {
            "images": found["images"],
            "words": found["words"],
            "precision@10": found["rank"]["precision_at_10"],
            "average precision": found["rank"]["average_precision"],
            "confidence precision": found["confidence"]["precision"],
        }
        request = CalibrationRequest(ref.reference, general_vocabulary())
        measured: dict[str, CalibrationQuality] = {}
        for name, pictures in (("scenes", scenes), ("svt", records if tells_presence(model) else ())):
            if pictures:
                phase = progress.phase(f"{ref.name}: {name}, default vocabulary", len(pictures))
                measured[name] = measure_calibration(model, pictures, request, phase)
    drawn: dict[str, float] = {}
    if "scenes" in measured:
        written, in_top = measured["scenes"].written
        drawn = {"images": len(scenes), "written words": written, "in the top ten": in_top / written}
    reliability = {}
    if tells_presence(model):
        for name, quality in measured.items():
            reliability[name] = quality.reliability["shown"]
            if name == "scenes":
                drawn["calibration error"] = reliability[name].error
            elif "in_lexicon" in quality.reliability:
                reliability[f"{name} lexicon"] = quality.reliability["in_lexicon"]
    return ModelFigures(model.name, model.checkpoint, WHEN.get(ref.reference, ref.note), svt, drawn, reliability)


def reads_a_boxed_word(spotter: WordSpotter, record: ImageRecord) -> bool:
    """Return whether the spotter finds one of the boxed words of an image where it stands."""
    found = spot_lexicon(spotter, spotter.lines_of(record), record, READ)
    return bool(match_words(found, record.boxed).found)


def without_text(model: OditsModel, folder: Path, records: Sequence[ImageRecord]) -> dict[str, Any]:
    """Count pictures of which a model says that none of the words is there, over the default vocabulary.

    Args:
        model: the model.
        folder: of pictures without text: all of them should be.
        records: of SVT: none should be in which the spotter reads a boxed word.

    Raises:
        OditsError: the folder holds no pictures.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES)
    if not paths:
        raise OditsError(f"{folder} holds no pictures.")
    vocabularies = PictureVocabularies(model)

    def is_empty(image: Image.Image) -> bool:
        return model.predict(image, vocabularies.of(image)).is_empty

    spotter = load(SPOTTING, kind="spotting")
    wrong = [path.name for path in paths if not is_empty(open_image(path))]
    legible = [one for one in records if reads_a_boxed_word(spotter, one)]
    silenced = [record.name for record in legible if is_empty(record.open())]
    return {
        "pictures": len(paths),
        "no_readable_words": 1 - len(wrong) / len(paths),
        "words_seen_in": wrong,
        "svt_images_with_a_word_read": len(legible),
        "svt_no_readable_words": len(silenced) / max(1, len(legible)),
        "svt_silenced": silenced,
    }


if __name__ == "__main__":
    main()
