"""Damage to the bytes of a file: bits, numbers, cuts, splices and the words of its format."""

from __future__ import annotations

import random
from collections.abc import Sequence

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutant(files: Sequence[bytes], place: int, words: Sequence[bytes], rng: random.Random) -> bytes:
    """Return a damaged copy of one of the files.

    Args:
        files: of one kind; splices are taken from all of them.
        place: of the file among them.
        words: of the format: markers, names of chunks, keys.
        rng: what is drawn from.
    """
    data = bytearray(files[place])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        _damage(data, files, words, rng)
    return bytes(data)


def _damage(data: bytearray, files: Sequence[bytes], words: Sequence[bytes], rng: random.Random) -> None:
    size = max(len(data), 1)
    # half of all damage meets the header, where a file says what it is
    at = rng.randrange(size if rng.random() < 0.5 else min(size, 256))
    kind = rng.randrange(8)
    if kind == 0:
        for _ in range(rng.randint(1, 16)):
            where = rng.randrange(size)
            data[where : where + 1] = bytes([(data[where] if data else 0) ^ 1 << rng.randrange(8)])
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        other = rng.choice(files)
        start = rng.randrange(len(other))
        data[at : at + rng.choice((0, rng.randrange(1, 512)))] = other[start : start + rng.randrange(1, 512)]
    elif kind == 3 and words:
        word = rng.choice(words)
        data[at : at + rng.choice((0, len(word)))] = word
    elif kind == 4:
        width = rng.choice((1, 2, 4, 8))
        number = rng.choice(_NUMBERS) if rng.random() < 0.8 else rng.randrange(1 << 32)
        data[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, rng.choice(("big", "little")))
    elif kind == 5:
        part = bytes(data[at : at + rng.randrange(1, 64)])
        data[at:at] = part * rng.choice((1, 2, 16, 256))
    elif kind == 6:
        del data[at : at + rng.randrange(1, 256)]
    else:
        data[at : at + rng.randrange(1, 64)] = rng.randbytes(rng.randrange(64))
