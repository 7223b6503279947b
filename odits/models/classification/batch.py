"""Embeddings of many pictures, by `odits.core.pool` and stored: an interrupted run goes on where it was."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from PIL import Image

from odits.core.errors import WriteError
from odits.core.pool import HERE, Function, Item, Outcome, Task, Workers, map_images
from odits.core.progress import Progress, no_progress
from odits.core.store import NPY, Store, make_key
from odits.core.tasks import per_batch
from odits.data.records import ImageRecord
from odits.models.classification.eye import DIMENSION, PhotoNetwork

PHOTO_EMBEDDINGS: Store[np.ndarray] = Store("photo-embeddings", NPY)
"""Embeddings float32 (1280,) of whole pictures, of length 1; keys by `embedding_key`."""
_BATCH = 8


class _Opened(NamedTuple):
    """A picture: the digest of its file, and either its embedding, where that is stored, or its pixels."""

    digest: str
    embedding: np.ndarray | None
    image: Image.Image | None


def embedding_key(digest: str) -> str:
    """Return the key of the embedding of a picture whose file has this digest."""
    return make_key(content=digest, network=PhotoNetwork.key)


def embedding_function(
    device: str = "auto", threads: int | None = None, network: PhotoNetwork | None = None
) -> Function:
    """Return a function for `odits.core.pool` that embeds and stores pictures: float32 (1280,) of each.

    Args:
        device: of the network.
        threads: makes no difference; the workers' environment says how many there are.
        network: embeds them; a new one by default.
    """
    del threads
    used = network or PhotoNetwork(device)

    def opened(item: Item) -> _Opened:
        record = ImageRecord(item.name, item.source)
        embedding = stored_embedding(record.digest)
        return _Opened(record.digest, embedding, record.open() if embedding is None else None)

    def embedded(batch: list[_Opened]) -> list[np.ndarray]:
        new = iter(used.embed([one.image for one in batch if one.image is not None]))
        found = []
        for one in batch:
            embedding = next(new) if one.embedding is None else one.embedding
            if one.embedding is None:
                with suppress(WriteError):  # costs time later, not the answer now
                    PHOTO_EMBEDDINGS.put(embedding_key(one.digest), embedding)
            found.append(embedding)
        return found

    return per_batch(opened, embedded)


def stored_embedding(digest: str) -> np.ndarray | None:
    """Return the embedding of a picture whose file has this digest, float32 (1280,); None where it is not stored."""
    found = PHOTO_EMBEDDINGS.get(embedding_key(digest))
    return found if found is not None and found.shape == (DIMENSION,) and found.dtype == np.float32 else None


def embed_images(
    items: Sequence[Item], workers: Workers = HERE, progress: Progress = no_progress, device: str = "auto"
) -> Generator[Outcome, None, None]:
    """Yield the embeddings of pictures, float32 (1280,) of length 1, from the store or computed now and stored.

    Args:
        items: the pictures.
        workers: where they are embedded; best this process, whose threads the network uses.
        progress: called with (pictures done, pictures in all); what it raises ends the work.
        device: of the network.

    Raises:
        OditsError: the package with the weights is missing, or there is no such device or cluster.
    """
    here = embedding_function(device) if workers.is_here else None
    task = Task("odits.models.classification.batch:embedding_function", {"device": device}, _BATCH, here=here)
    yield from map_images(task, items, workers, progress)
