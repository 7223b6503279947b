"""Pictures that look like a picture: the cosine of two embeddings, compared with every picture.

EfficientNet-Lite2 embeds them, or a CLIP model. By the former's embeddings pairs are similar above `SIMILAR`, and
near-duplicates above `DUPLICATE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np

from odits.core.errors import OditsError
from odits.core.pool import HERE, Item, Problem, Workers
from odits.core.progress import Progress, no_progress
from odits.data.records import ImageRecord
from odits.search.embeddings import PHOTO_KEY, Embedder, embed_items, stored_embedding

SIMILAR = 0.85
"""Cosine of EfficientNet-Lite2's embeddings from which on two pictures look alike.

Of the 60,726 pairs of different images of SVT one reaches it (a place that is there twice). Of 50 images all reach it
as a JPEG of quality 30, at half and a fifth of their size, and brighter; 98 % do when nine tenths of their sides are
left, 82 % when eight tenths are, 38 % when seven tenths are (`benchmarks/duplicates.py`). Drawn scenes with other words
in them may reach it.
"""
DUPLICATE = 0.92
"""Cosine from which on two pictures count as one.

No pair of different images of SVT reaches it; of 50 images all do at half and a fifth of their size, 98 % brighter by
40 %, 92 % as a JPEG of quality 30, 86 % cut to 0.95 of their sides, and 54 % to 0.9 (cut ones are similar).
"""
MOST_PAIRS = 1000
"""Pairs that are listed."""
_BLOCK = 1024  # pictures compared with all others at a time


class Likeness(NamedTuple):
    """The pictures that could be embedded.

    Attributes:
        records: the n pictures.
        table: float32 (n, d), their embeddings, of length 1.
        problems: the pictures that could not be read.
    """

    records: tuple[ImageRecord, ...]
    table: np.ndarray
    problems: tuple[Problem, ...]


class Alike(NamedTuple):
    """A picture, and the cosine in -1..1 of its embedding and another one's."""

    record: ImageRecord
    similarity: float


class Pair(NamedTuple):
    """Two pictures, and the cosine in -1..1 of their embeddings."""

    first: ImageRecord
    second: ImageRecord
    similarity: float

    @property
    def near(self) -> bool:
        """Whether they are near-duplicates, and not only similar."""
        return self.similarity >= DUPLICATE


class Pairs(NamedTuple):
    """Pictures that look alike.

    Attributes:
        closest: of all pairs, the most alike first; at most so many as were asked for.
        number: of all pairs.
        near: how many of all are near-duplicates.
    """

    closest: list[Pair]
    number: int
    near: int


def embed_records(
    records: Sequence[ImageRecord],
    workers: Workers = HERE,
    progress: Progress = no_progress,
    device: str = "auto",
    embedder: Embedder | None = None,
    reference: str = "",
) -> Likeness:
    """Embed pictures, those that are stored excepted.

    Args:
        records: the pictures.
        workers: where they are embedded.
        progress: called with (pictures done, pictures in all); what it raises ends the work.
        device: of the network.
        embedder: embeds them; None: EfficientNet-Lite2.
        reference: what other processes load the embedder's CLIP model by.

    Raises:
        OditsError: the package with the weights is missing, or none of the pictures can be read.
    """
    rows: dict[int, np.ndarray] = {}
    problems: dict[int, str] = {}
    items = [Item(record.name, record.source) for record in records]
    with closing(embed_items(items, workers, progress, device, embedder, reference)) as outcomes:
        for place, embedding, problem in outcomes:
            if problem is None:
                rows[place] = embedding
            else:
                problems[place] = problem
    if problems and not rows:
        raise OditsError(f"None of the {len(records)} images can be read: {problems[min(problems)]}")
    table = _table([rows[place] for place in sorted(rows)])
    named = tuple(Problem(records[place].name, problems[place]) for place in sorted(problems))
    return Likeness(tuple(records[place] for place in sorted(rows)), table, named)


def stored_likeness(records: Sequence[ImageRecord], embedder: str = PHOTO_KEY) -> Likeness | None:
    """Return the embeddings of pictures from the store alone; None where one of them is not there.

    Args:
        records: the pictures.
        embedder: the key of what embedded them.
    """
    rows = []
    for record in records:
        try:
            found = stored_embedding(record.digest, embedder)
        except OditsError:  # it can't be read: `embed_records` names it
            found = None
        if found is None:
            return None
        rows.append(found)
    return Likeness(tuple(records), _table(rows), ())


def _table(rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(rows).astype(np.float32, copy=False) if rows else np.empty((0, 0), np.float32)


def most_alike(likeness: Likeness, embedding: np.ndarray, count: int = 20) -> list[Alike]:
    """Return the pictures most like the one with this embedding float32 (d,), the most alike first."""
    similarities = likeness.table @ embedding
    order = np.argsort(-similarities, kind="stable")[:count]
    return [Alike(likeness.records[place], float(similarities[place])) for place in order]


def alike_pairs(likeness: Likeness, limit: float = SIMILAR, most: int = MOST_PAIRS) -> Pairs:
    """Return the pairs of pictures whose similarity is at least the limit.

    Args:
        likeness: the pictures.
        limit: of the cosine.
        most: pairs that are listed; a thousand copies of one picture are half a million pairs.
    """
    number, near = 0, 0
    similarities, firsts, seconds = np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64)
    for start in range(0, len(likeness.table), _BLOCK):
        block = likeness.table[start : start + _BLOCK] @ likeness.table[start:].T
        rows, columns = np.nonzero(np.triu(block >= limit, 1))
        number, near = number + len(rows), near + int((block[rows, columns] >= DUPLICATE).sum())
        similarities = np.concatenate([similarities, block[rows, columns]])
        firsts, seconds = np.concatenate([firsts, start + rows]), np.concatenate([seconds, start + columns])
        order = np.lexsort((seconds, firsts, -similarities))[:most]
        similarities, firsts, seconds = similarities[order], firsts[order], seconds[order]
    records = likeness.records
    found = zip(firsts.tolist(), seconds.tolist(), similarities.tolist(), strict=True)
    return Pairs([Pair(records[first], records[second], cosine) for first, second, cosine in found], number, near)


def repeated(likeness: Likeness, limit: float = DUPLICATE) -> dict[str, str]:
    """Choose which pictures stay where several count as one, the same ones for everybody.

    By file name, a picture stays unless it looks like one that stays already: of two that do not look alike both may
    stay, even where a third looks like either.

    Args:
        likeness: the pictures.
        limit: of the cosine.

    Returns:
        The names of the pictures that need not be marked, each with the one that stays in its place.
    """
    order = sorted(range(len(likeness.records)), key=lambda place: likeness.records[place].name)
    table = likeness.table[order]
    stays = np.ones(len(order), bool)
    found: dict[str, str] = {}
    for start in range(0, len(order), _BLOCK):
        like = table[start : start + _BLOCK] @ table[: start + _BLOCK].T >= limit
        for place, row in enumerate(like, start):
            earlier = np.flatnonzero(row[:place] & stays[:place])
            if len(earlier):
                stays[place] = False
                found[likeness.records[order[place]].name] = likeness.records[order[int(earlier[0])]].name
    return found
