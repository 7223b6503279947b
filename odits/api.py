"""The public face of the package: load a model, predict words, find objects, explain, evaluate.

`import odits` offers these functions as `odits.predict_words` and so on. Every model is named by a reference as on the
command line ("spotting", "embedded", "ViT-B-32/openai", a file); a model that was loaded once is accepted in its place.
The examples run on the models and pictures that come with the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from PIL import Image

from odits.core.errors import OditsError
from odits.data import Dataset, Vocabulary, open_image, read_dataset
from odits.data.predictions import Segmenter, WordModel, WordPrediction
from odits.models.registry import DEFAULT_MODEL, DEFAULT_SEGMENTER, load

if TYPE_CHECKING:
    import supervision as sv

    from odits.models.fusion.model import OditsModel

ImageLike = str | Path | bytes | Image.Image
"""A picture: its path, the bytes of its file, or an image of Pillow."""
Words = Vocabulary | Path | str | Iterable[str]
"""Words to choose from: themselves, one text with commas or line breaks between them, or a text file (a `Path`)."""

_GAP, _RING = 3, 6  # pixels around a covered object that are covered too, and then those that give the colour


class ObjectContribution(NamedTuple):
    """What one object adds to a word.

    Attributes:
        number: of the object, from 1.
        kind: "mask", "region", "text" or "line".
        box: x0, y0, x1, y1 in pixels.
        contribution: what the word loses without the object; below 0 where it gains.
    """

    number: int
    kind: str
    box: tuple[float, float, float, float]
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """Which objects make a word likely.

    Attributes:
        word: the word that is explained.
        probability: of the word, in 0..1.
        model: the model's name.
        objects: the largest contributions first, whatever their sign.
    """

    word: str
    probability: float
    model: str
    objects: tuple[ObjectContribution, ...]


def load_model(reference: str | Path = DEFAULT_MODEL, device: str = "auto") -> WordModel:
    """Load a word model once, to hand it to the other functions.

    Args:
        reference: "spotting" reads what is written, "embedded" is the CLIP model that comes with the package; also
            open_clip's names ("ViT-B-32/openai", downloaded once) and checkpoint files, those of ODITS too.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        OditsError: there is no such model, or its weights can't be had.

    Examples:
        >>> import odits
        >>> odits.load_model("embedded", "cpu").name
        'ODITS Signs (embedded)'
    """
    return load(str(reference), device)


def predict_words(
    image: ImageLike, words: Words | None = None, model: WordModel | str | Path = DEFAULT_MODEL
) -> WordPrediction:
    """Predict how well each word describes a picture (thesis, 2.2.1).

    Args:
        image: the picture.
        words: the n words to choose from; by default the words read in the picture and the general list, some 20,000
            frequent English words and names. Those that were read and are in no list are `vocabulary.extra`.
        model: a loaded word model, or the reference of one.

    Returns:
        The probabilities float32 (n,), in 0..1; `top(k)` lists the k most probable words.

    Raises:
        OditsError: the picture can't be read, there are no words, or there is no such model.

    Examples:
        >>> import odits
        >>> from odits.core.files import asset
        >>> prediction = odits.predict_words(asset("demo/cafe.jpg"), ["PIZZA", "COFFEE", "HOTEL"])
        >>> [item.word for item in prediction.top(1)]
        ['COFFEE']
        >>> "CAFE" in [item.word for item in odits.predict_words(asset("demo/cafe.jpg")).top(10)]
        True
    """
    given = None if words is None else _vocabulary(words)
    opened = _open(image)
    loaded = _word_model(model)
    return loaded.predict(opened, given or _picture_vocabulary(opened, loaded))


def find_objects(
    image: ImageLike, segmenter: Segmenter | str = DEFAULT_SEGMENTER, texts: Sequence[str] = ()
) -> sv.Detections:
    """Find the objects of a picture.

    Args:
        image: the picture, W x H pixels.
        segmenter: a loaded segmenter, or a reference: "embedded" comes with the package, "sam:vit_b", "sam2:tiny" and
            "sam3" are Segment Anything, docs/models.md has them all.
        texts: what SAM 3 is to find, such as "sign"; everything by default.

    Returns:
        K objects, the largest first: `xyxy` float32 (K, 4) in pixels, `mask` bool (K, H, W), `confidence` float32 (K,)
        in 0..1, and in `data` "area" in pixels and "kind", and "text" where texts were given. K may be 0.

    Raises:
        OditsError: the picture can't be read, there is no such segmenter, or it takes no text.

    Examples:
        >>> import odits
        >>> from odits.core.files import asset
        >>> objects = odits.find_objects(asset("demo/cafe.jpg"))
        >>> len(objects) > 5, "text" in set(objects.data["kind"])
        (True, True)
    """
    opened = _open(image)
    finder = load(segmenter, kind="segmenter") if isinstance(segmenter, str) else segmenter
    if texts:
        from odits.models.segmentation.segmenters import with_texts

        finder = with_texts(finder, texts)
    return finder.segment(opened)


def explain(
    image: ImageLike,
    words: Words | None = None,
    word: str | None = None,
    model: WordModel | str | Path = DEFAULT_MODEL,
    objects: sv.Detections | None = None,
) -> Explanation:
    """Explain a word by the objects of a picture: what it loses without each of them.

    ODITS is asked again with an object left out of its input, and the loss is that of the word's logit. Any other model
    is asked again with the object painted over in the colour around it, and the loss is that of the logarithm of the
    word's probability.

    Args:
        image: the picture.
        words: the words to choose from; as `predict_words` has them by default.
        word: the one to explain; by default the most probable.
        model: a loaded word model, or the reference of one.
        objects: the objects to ask about, such as some of those that `find_objects` found; by default all. One
            prediction is made for each. ODITS finds its own.

    Raises:
        OditsError: the word is not among the words, the picture can't be read, or there is no such model.

    References:
        Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (occlusion).

    Examples:
        >>> import odits
        >>> from odits.core.files import asset
        >>> objects = odits.find_objects(asset("demo/hotel.jpg"))
        >>> signs = objects[objects.data["kind"] == "text"]
        >>> found = odits.explain(asset("demo/hotel.jpg"), "HOTEL, PIZZA, BANK", "HOTEL", "embedded", signs)
        >>> found.objects[0].kind, found.objects[0].contribution > 1
        ('text', True)
    """
    given = None if words is None else _vocabulary(words)
    opened = _open(image)
    loaded = _word_model(model)
    vocabulary = given or _picture_vocabulary(opened, loaded)
    if word is not None and vocabulary.find(word) is None:
        raise OditsError(f"'{word}' is not among the words to choose from.")
    if hasattr(loaded, "input_encoder"):
        return _explain_by_input(cast("OditsModel", loaded), opened, vocabulary, word)
    return _explain_by_covering(loaded, opened, vocabulary, word, find_objects(opened) if objects is None else objects)


def evaluate(
    data: Dataset | str | Path,
    model: str | Path = DEFAULT_MODEL,
    split: str = "eval",
    words: Words | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Evaluate a word model on a split of a data set (thesis, 2.3), beside two rows that see no image.

    The result is cached: the same question is answered at once, and an interrupted evaluation goes on.

    Args:
        data: a data set, or its folder: SVT's (train.xml, test.xml, img/) or images with a lexicons.csv.
        model: the reference of a word model.
        split: "train", "eval" or "all".
        words: the words to choose from; by default those of all the data set's lexicons.
        progress: called with (images done, images in all).

    Returns:
        "confidence", "threshold" and "rank" with their metrics (in 0..1; None where no image has a value),
        "uniformity", "images", "words", and "baselines" with the same for "uniform" and "prior".

    Raises:
        OditsError: the data set can't be read, the split has no images, or there is no such model.

    Examples:
        >>> import odits
        >>> from odits.core.files import asset
        >>> found = odits.evaluate(asset("demo"), "embedded")
        >>> found["images"], found["rank"]["precision_at_10"] > found["baselines"]["uniform"]["rank"]["precision_at_10"]
        (6, True)
    """
    from odits.evaluation.results import evaluate_and_store

    dataset = data if isinstance(data, Dataset) else read_dataset(Path(data))
    vocabulary = dataset.vocabulary() if words is None else _vocabulary(words)
    reference = str(model)
    return dict(evaluate_and_store(load(reference), reference, dataset, split, vocabulary, progress).groups)


def _word_model(model: WordModel | str | Path) -> WordModel:
    return load(str(model)) if isinstance(model, str | Path) else model


def _vocabulary(words: Words) -> Vocabulary:
    if isinstance(words, Vocabulary):
        return words
    if isinstance(words, Path):
        return Vocabulary.from_file(words)
    return Vocabulary.from_text(words, "words") if isinstance(words, str) else Vocabulary.from_words(words, "words")


def _picture_vocabulary(image: Image.Image, model: WordModel) -> Vocabulary:
    from odits.models.reading.read_words import PictureVocabularies

    return PictureVocabularies(model).of(image)


def _open(image: ImageLike) -> Image.Image:
    return image.convert("RGB") if isinstance(image, Image.Image) else open_image(image)


def _explain_by_input(model: OditsModel, image: Image.Image, vocabulary: Vocabulary, word: str | None) -> Explanation:
    """Leave each object out of the input of ODITS."""
    from odits.models.fusion.explanation import Explainer

    encoded = model.input_encoder.encode(image, vocabulary)
    prediction = model.predict_input(encoded, vocabulary)
    index = _index(prediction, word)
    explainer = Explainer(model, encoded, vocabulary)
    boxes = [(*group.corners.min(0).tolist(), *group.corners.max(0).tolist()) for group in explainer.groups]
    kinds = [group.kind for group in explainer.groups]
    return _explanation(prediction, index, kinds, boxes, explainer.contributions([index])[:, 0])


def _explain_by_covering(
    model: WordModel, image: Image.Image, vocabulary: Vocabulary, word: str | None, objects: sv.Detections
) -> Explanation:
    """Paint each object over."""
    from odits.objects.detections import kinds_of, masks_of

    prediction = model.predict(image, vocabulary)
    index = _index(prediction, word)
    pixels = np.asarray(image)
    without = [
        model.predict(Image.fromarray(_cover(pixels, mask)), vocabulary).probabilities[index]
        for mask in masks_of(objects)
    ]
    least = float(np.finfo(np.float32).tiny)  # a word that is not read at all has probability 0
    loss = np.log(max(prediction.probabilities[index], least)) - np.log(np.maximum(without, least))
    return _explanation(prediction, index, kinds_of(objects), objects.xyxy.tolist(), loss)


def _cover(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return uint8 (H, W, 3) with an object, bool (H, W), in the mean colour of a ring around it."""
    import cv2

    def widen(area: np.ndarray, by: int) -> np.ndarray:
        return cv2.dilate(area, np.ones((2 * by + 1, 2 * by + 1), np.uint8))

    inside = widen(mask.astype(np.uint8), _GAP)
    ring = (widen(inside, _RING) > 0) & (inside == 0)
    covered = pixels.copy()
    covered[inside > 0] = (pixels[ring] if ring.any() else pixels.reshape(-1, 3)).mean(0).round()
    return covered


def _index(prediction: WordPrediction, word: str | None) -> int:
    place = None if word is None else prediction.vocabulary.find(word)
    return int(prediction.probabilities.argmax()) if place is None else place


def _explanation(
    prediction: WordPrediction, index: int, kinds: list[str], boxes: list[Any], contributions: np.ndarray
) -> Explanation:
    order = np.argsort(-np.abs(contributions), kind="stable").tolist()
    objects = (ObjectContribution(i + 1, kinds[i], tuple(boxes[i]), float(contributions[i])) for i in order)
    return Explanation(
        prediction.vocabulary.words[index], float(prediction.probabilities[index]), prediction.model, tuple(objects)
    )
