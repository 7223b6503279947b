"""docTR's ViTSTR (Atienza, 2021) as a second recogniser; optional (requirements-doctr.txt).

ViTSTR names a whole word's letters one after the other, up to 32, and then its end; it has no frames. Its distributions
are laid out as a CTC recogniser would have them, a blank between any two letters, so that words are scored alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.core.weights import read_tensors, require_finite
from odits.models.reading.alphabet import BLANK, SPACE, SYMBOLS, Folding
from odits.models.reading.text_windows import gaps

_WIDEST = 4.0
"""A crop that is so many times as wide as high fills ViTSTR's input; a wider one is cut between its words."""
_BATCH = 32
_SURE, _WRONG = 0.98, 1e-4


class Vitstr:
    """Reads crops of lines; satisfies `odits.models.reading.reader.Recogniser`.

    Args:
        weights: a file of ViTSTR-Small's state dict as docTR has it; without one docTR's own are taken, from its cache
            or, where there is a network, downloaded.

    Attributes:
        name: as shown to users.
        key: identifies the weights; caches key on it.

    Raises:
        OditsError: docTR is not installed, or the weights cannot be had.
    """

    name = "ViTSTR-Small (docTR)"

    def __init__(self, weights: Path | None = None) -> None:
        self._model = _load(weights)
        config = self._model.cfg
        self._mean, self._std = (np.array(config[name], np.float32)[:, None, None] for name in ("mean", "std"))
        self._size: tuple[int, int] = (config["input_shape"][1], config["input_shape"][2])
        self._characters: str = self._model.vocab
        # the end of a word is to ViTSTR what a blank is to CTC: no letter stands here
        self._fold = Folding(["", *self._characters])
        weights_in_order = sorted(self._model.state_dict().items())
        digest = sha256_of(*(name.encode() + value.cpu().numpy().tobytes() for name, value in weights_in_order))
        self.key = f"vitstr-small {digest[:16]} v1"

    def frames(self, crops: Sequence[np.ndarray]) -> list[tuple[np.ndarray, str]]:
        """Recognise crops, BGR uint8 (H, W, 3): log-probabilities float32 (T, SYMBOLS), and the text."""
        words = [(owner, word) for owner, crop in enumerate(crops) for word in _words(crop)]
        frames: list[list[np.ndarray]] = [[] for _ in crops]
        texts: list[list[str]] = [[] for _ in crops]
        for start in range(0, len(words), _BATCH):
            batch = words[start : start + _BATCH]
            for (owner, _), (values, text) in zip(batch, self._read([word for _, word in batch]), strict=True):
                frames[owner] += [_certain_frame(SPACE), values] if frames[owner] else [values]
                texts[owner].append(text)
        return [(np.concatenate(values), " ".join(read)) for values, read in zip(frames, texts, strict=True)]

    def _read(self, crops: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, str]]:
        """Recognise crops of one word each."""
        import torch

        pixels = np.stack([(self._fitted(crop) - self._mean) / self._std for crop in crops])
        with torch.inference_mode():
            logits = self._model(torch.from_numpy(pixels), return_model_output=True)["out_map"]
        probabilities = torch.softmax(logits.float(), -1).numpy()
        for row in np.roll(probabilities, 1, axis=-1):  # ViTSTR's end is the last output, CTC's blank the first
            best = row.argmax(-1)
            ends = np.flatnonzero(best == BLANK)
            length = int(ends[0]) if len(ends) else len(row)
            frames = np.concatenate([_certain_frame(BLANK), np.repeat(self._fold(row[:length]), 2, axis=0)])
            frames[2::2] = _certain_frame(BLANK)
            yield frames, "".join(self._characters[place - 1] for place in best[:length])

    def _fitted(self, crop: np.ndarray) -> np.ndarray:
        """Fit a crop into ViTSTR's size, unstretched, black to the right: RGB float32 (3, h, w) in 0..1."""
        height, width = self._size
        scale = min(height / crop.shape[0], width / crop.shape[1])
        size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
        target = np.zeros((height, width, 3), np.float32)
        small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        target[: size[1], : size[0]] = small[..., ::-1].astype(np.float32) / 255
        return np.ascontiguousarray(target.transpose(2, 0, 1))


def _words(crop: np.ndarray) -> Iterator[np.ndarray]:
    """Cut a line's crop, BGR uint8 (H, W, 3), at its gaps where it is too wide for one word."""
    height, width = crop.shape[:2]
    cuts = gaps(crop[..., ::-1]) if width > _WIDEST * height else []
    for start, stop in zip([0, *cuts], [*cuts, width], strict=True):
        yield crop[:, start:stop]


def _certain_frame(symbol: int) -> np.ndarray:
    """Return the log-probabilities float32 (1, SYMBOLS) of a frame that shows this symbol."""
    frame = np.full((1, SYMBOLS), _WRONG, np.float32)
    frame[0, symbol] = _SURE
    found: np.ndarray = np.log(frame / frame.sum())
    return found


def _load(weights: Path | None) -> Any:
    """Load docTR's model in evaluation mode."""
    try:
        from doctr.models import vitstr_small
    except (ImportError, OSError) as error:
        raise OditsError("ViTSTR needs docTR: pip install -r requirements-doctr.txt.") from error
    model = vitstr_small(pretrained=False)
    if weights is None:
        from doctr.utils.data import download_from_url

        try:
            weights = Path(download_from_url(model.cfg["url"], cache_subdir="models"))  # checked by its digest
        except Exception as error:  # urllib's, ssl's and docTR's own errors: all mean that the weights are not here
            raise OditsError(
                "ViTSTR's weights are not on this machine and can't be downloaded: name a file, spotting:vitstr:FILE."
            ) from error
    if not weights.is_file():
        raise OditsError(f"There are no weights of ViTSTR at {weights}.")
    state = read_tensors(weights)
    require_finite(state, weights.name)
    try:
        model.load_state_dict(state)
    except (RuntimeError, KeyError) as error:
        raise OditsError(f"{weights.name} does not hold the weights of docTR's ViTSTR-Small.") from error
    return model.eval()
