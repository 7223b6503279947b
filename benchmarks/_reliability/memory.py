"""A server's memory while one person goes on for long: it grows neither with what they looked at nor with how often.

A line is fitted to the memory over the second half of the answers; before that, what is kept for a while fills up. It
counts as growth where the line rises by more than `NOISE_BYTES` for a thousand answers, and surely so.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil
from PIL import Image

from benchmarks._reliability.kills import DEMO, REPOSITORY
from benchmarks._reliability.part import Part, PartProgress
from benchmarks._reliability.sessions import FIRST_S, Figures, Session, server
from benchmarks.reporting import own_home
from odits.models.registry import DEFAULT_MODEL, EMBEDDED

PICTURES, RERUNS = 1_000, 500
QUICK_PICTURES, QUICK_RERUNS = 60, 60
NOISE_BYTES = 20e6
_LONGEST = 320  # pixels of a picture's longer side: they are to be many, not large
_EVERY = 5


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Look at many pictures, then at two of them many times."""
    pictures, reruns = (QUICK_PICTURES, QUICK_RERUNS) if quick else (PICTURES, RERUNS)
    model = EMBEDDED if quick else DEFAULT_MODEL
    figures = Figures()
    with (
        tempfile.TemporaryDirectory(prefix="odits-memory-") as folder,
        own_home(),
        patch.dict(os.environ, ODITS_DATA=folder),
    ):
        names = write_pictures(Path(folder), pictures, seed)
        base = {"images": "eval", "model": model}
        looked = [base | {"image": name} for name in names]
        two = (base | {"image": names[0], "lines": "on"}, base | {"image": names[1], "lines": "off"})
        again = [two[number % 2] for number in range(reruns)]
        with server(REPOSITORY / "app.py", REPOSITORY) as (address, process):

            def told(done: int) -> None:
                progress(done, pictures + reruns)

            grown = [
                growth(asyncio.run(walk(address, process, addresses, figures, told))) for addresses in (looked, again)
            ]
            memory = process.memory_info().rss
    what = (f"{pictures:,} pictures", f"{reruns:,} reruns")
    notes = [
        f"{model}, second half of {one}: {1000 * slope / 1e6:+.1f} ± {1000 * error / 1e6:.1f} MB for a thousand answers"
        for one, (slope, error) in zip(what, grown, strict=True)
    ]
    grows = 0 if quick else sum(1000 * (slope - 2 * error) > NOISE_BYTES for slope, error in grown)
    return Part(
        "memory",
        pictures + reruns,
        let_in=grows,
        crashed=len(figures.errors),
        worst_seconds=max(figures.seconds, default=0.0),
        worst_bytes=memory,
        notes=(*notes, *figures.errors[:10]),
    )


async def walk(
    address: str,
    process: psutil.Process,
    addresses: Sequence[Mapping[str, str]],
    figures: Figures,
    told: Callable[[int], None],
) -> list[tuple[int, int]]:
    """Ask for one address after the other; return how many answers there were and the memory in bytes, now and then."""
    from websockets.asyncio.client import connect

    found = []
    stream = f"{address.replace('http', 'ws')}/_stcore/stream"
    async with connect(stream, subprotocols=["streamlit"], max_size=None, ping_interval=None) as connection:  # type: ignore[list-item]
        session = Session(connection, figures)
        for number, asked in enumerate(addresses):
            figures.seconds.append(await session.ask(dict(asked), patience=FIRST_S))
            if number % _EVERY == _EVERY - 1:
                found.append((number + 1, process.memory_info().rss))
                told(number + 1)
    return found


def growth(measured: list[tuple[int, int]]) -> tuple[float, float]:
    """Return by how many bytes the memory grows with an answer over the second half, and that figure's standard error.

    Args:
        measured: numbers of answers, and bytes.
    """
    answers, held = np.array(measured[len(measured) // 2 :], float).T
    (slope, _), covariance = np.polyfit(answers, held, 1, cov=True)
    return float(slope), float(np.sqrt(covariance[0, 0]))


def write_pictures(folder: Path, count: int, seed: int) -> list[str]:
    """Write a data set of so many pictures, each a cut of a demo picture; return their names."""
    demo = [Image.open(path).convert("RGB") for path in sorted(DEMO.glob("*.jpg"))]
    rng = random.Random(seed)
    rows = ["file,words,split"]
    for number in range(count):
        whole = rng.choice(demo)
        width, height = (round(rng.uniform(0.6, 0.95) * side) for side in whole.size)
        left, top = rng.randrange(whole.width - width), rng.randrange(whole.height - height)
        cut = whole.crop((left, top, left + width, top + height))
        cut.thumbnail((_LONGEST, _LONGEST))
        cut.save(folder / f"{number:04}.jpg", quality=85)
        rows.append(f"{number:04}.jpg,CAFE BAKERY HOTEL,eval")
    (folder / "lexicons.csv").write_text("\n".join(rows) + "\n")
    return [f"{number:04}.jpg" for number in range(count)]
