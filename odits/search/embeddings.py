"""Embeddings of many pictures, by `odits.core.pool` and stored: an interrupted run goes on where it was.

They are stored one by one, by what a picture holds and which weights embedded it: a collection that changes, or another
one with some of the same pictures, costs what is new in it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from odits.core.errors import WriteError
from odits.core.pool import HERE, Function, Item, Outcome, Task, Workers, map_images
from odits.core.progress import Progress, no_progress
from odits.core.store import NPY, Store, make_key
from odits.core.tasks import per_batch
from odits.data.records import ImageRecord
from odits.models.classification.eye import PhotoNetwork

if TYPE_CHECKING:
    from odits.models.clip.model import ClipModel

PICTURE_EMBEDDINGS: Store[np.ndarray] = Store("photo-embeddings", NPY)
"""Embeddings float32 (d,) of whole pictures, of length 1; keys by `embedding_key`."""
PHOTO_KEY = PhotoNetwork.key
"""Tells the embeddings of EfficientNet-Lite2 from those of other networks."""
_BATCH = 8


class Embedder(Protocol):
    """Embeds pictures: `PhotoNetwork`, or a CLIP model as a `ClipEmbedder`."""

    @property
    def name(self) -> str:
        """As shown to users."""
        ...

    @property
    def key(self) -> str:
        """Tells its embeddings from another one's."""
        ...

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embed m RGB pictures, float32 (m, d), each of length 1."""
        ...


class ClipEmbedder:
    """A CLIP model's image tower as an `Embedder`.

    Args:
        model: the model.

    Attributes:
        name: of the model.
        key: tells the embeddings of its weights from others.
    """

    def __init__(self, model: ClipModel) -> None:
        self.name, self.key = model.name, f"clip {model.checkpoint} v1"
        self._model = model

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Embed m RGB pictures as whole scenes, float32 (m, d), each of length 1."""
        found: np.ndarray = self._model.encode_images(images).numpy()
        return found


class _Opened(NamedTuple):
    """A picture: the digest of its file, and either its embedding, where that is stored, or its pixels."""

    digest: str
    embedding: np.ndarray | None
    image: Image.Image | None


def embedding_key(digest: str, embedder: str = PHOTO_KEY) -> str:
    """Return the key of the embedding of a picture whose file has this digest, by an embedder with this key."""
    return make_key(content=digest, network=embedder)


def stored_embedding(digest: str, embedder: str = PHOTO_KEY) -> np.ndarray | None:
    """Return the embedding of a picture whose file has this digest, float32 (d,); None where it is not stored.

    Args:
        digest: of the file.
        embedder: the key of what embedded it.
    """
    found = PICTURE_EMBEDDINGS.get(embedding_key(digest, embedder))
    if found is None or found.ndim != 1 or found.dtype != np.float32:
        return None
    return found if abs(float(np.linalg.norm(found)) - 1) < 1e-2 else None


def embedding_function(
    device: str = "auto",
    threads: int | None = None,
    model: Mapping[str, Any] | None = None,
    weights: str | None = None,
    embedder: Embedder | None = None,
) -> Function:
    """Return a function for `odits.core.pool` that embeds and stores pictures: float32 (d,) of each.

    Args:
        device: of the network.
        threads: makes no difference; the workers' environment says how many there are.
        model: a CLIP model, by `odits.models.reference.to_settings`; None: EfficientNet-Lite2.
        weights: the model's file.
        embedder: embeds them, where this process has it already.

    Raises:
        OditsError: there is no such model, or its weights are missing.
    """
    del threads
    used = embedder or _embedder(device, model, weights)

    def opened(item: Item) -> _Opened:
        record = ImageRecord(item.name, item.source)
        embedding = stored_embedding(record.digest, used.key)
        return _Opened(record.digest, embedding, record.open() if embedding is None else None)

    def embedded(batch: list[_Opened]) -> list[np.ndarray]:
        new = iter(used.embed([one.image for one in batch if one.image is not None]))
        found = []
        for one in batch:
            embedding = next(new) if one.embedding is None else one.embedding
            if one.embedding is None:
                with suppress(WriteError):  # costs time later, not the answer now
                    PICTURE_EMBEDDINGS.put(embedding_key(one.digest, used.key), embedding)
            found.append(embedding)
        return found

    return per_batch(opened, embedded)


def _embedder(device: str, model: Mapping[str, Any] | None, weights: str | None) -> Embedder:
    if model is None:
        return PhotoNetwork(device)
    from odits.models.registry import from_settings, load

    return ClipEmbedder(load(from_settings(model, weights), device, kind="clip"))


def embed_items(
    items: Sequence[Item],
    workers: Workers = HERE,
    progress: Progress = no_progress,
    device: str = "auto",
    embedder: Embedder | None = None,
    reference: str = "",
) -> Generator[Outcome, None, None]:
    """Yield the embeddings of pictures, float32 (d,) of length 1, from the store or computed now and stored.

    Args:
        items: the pictures.
        workers: where they are embedded; best this process, whose threads the network uses.
        progress: called with (pictures done, pictures in all); what it raises ends the work.
        device: of the network.
        embedder: embeds them; None: EfficientNet-Lite2.
        reference: what other processes load the embedder's CLIP model by.

    Raises:
        OditsError: the package with the weights is missing, or there is no such device or cluster.
    """
    settings: dict[str, Any] = {"device": device}
    if reference:
        from odits.models.registry import parse, to_settings

        settings |= to_settings(parse(reference))
    here = embedding_function(device, embedder=embedder) if workers.is_here else None
    files = [key for key in ("weights",) if key in settings]
    task = Task("odits.search.embeddings:embedding_function", settings, _BATCH, files, here)
    yield from map_images(task, items, workers, progress)
