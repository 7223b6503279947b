"""Many people at once: half mark words, half look at pictures, and none waits much longer than in a trivial app.

The driver speaks Streamlit's own protocol over a websocket on loopback, as browsers do: an answer's time runs from the
message that asks for it to the one that says the script has finished. The trivial app (a title, a select box, a picture
and a chart) is driven in the same way, with the same pauses, just before and just after the explorer.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import psutil
from PIL import Image

from benchmarks._reliability.kills import DEMO, REPOSITORY, store_evaluation
from benchmarks._reliability.part import Part, PartProgress
from benchmarks._serving import free_port, wait_until_served
from benchmarks.reporting import own_home
from odits.core.files import cache_home
from odits.data.annotations import read_marks
from odits.models.registry import DEFAULT_MODEL

TRIVIAL = """
import plotly.graph_objects as go
import streamlit as st

st.title("Trivial")
name = st.selectbox("Image", ["a", "b"])
st.image(st.query_params.get("picture", PICTURE))
st.plotly_chart(go.Figure(go.Bar(x=list(range(10)), y=list(range(10)))))
st.button("Mark", key="right-0")
"""
RATIO = 2.0
"""How much longer than in the trivial app the 95th percentile of answers may take."""
PAUSES = {"marking": (1.0, 5.0), "looking": (3.0, 9.0)}
"""Seconds between an answer and the next question, uniform."""
ANSWER_S, FIRST_S = 60.0, 300.0
"""Seconds after which nobody waits for an answer any longer; the very first one loads libraries and models."""
FINISHED_EARLY = 2


@dataclass
class Figures:
    """What came of driving one app.

    Attributes:
        seconds: of each answer.
        kinds: of each answer: "marking" or "looking".
        errors: what went wrong, a sentence each.
        acknowledged: verdicts that the page showed, by person and word.
        bytes: sent by the server.
        memory: of the server in the end.
    """

    seconds: list[float] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    acknowledged: dict[str, dict[str, str]] = field(default_factory=dict)
    bytes: int = 0
    memory: int = 0

    def percentile(self, share: float, kind: str = "") -> float:
        """Return the seconds within which this share of the answers came; infinite where there are none."""
        chosen = [second for second, own in zip(self.seconds, self.kinds, strict=True) if not kind or own == kind]
        return float(np.quantile(chosen, share)) if chosen else float("inf")


class Session:
    """One browser tab: its connection, and what the page it shows offers."""

    def __init__(self, connection: Any, figures: Figures) -> None:
        self._connection, self._figures = connection, figures
        self._cached: set[str] = set()
        self._page = ""
        self.buttons: dict[str, tuple[str, str, str, bool]] = {}
        """Id, fragment, label and whether it is pressed of each button, by key."""

    async def ask(self, address: dict[str, str], page: str = "", press: str = "", patience: float = ANSWER_S) -> float:
        """Ask for a run of the page and return the seconds until it has finished.

        Args:
            address: the query parameters.
            page: its name, where another one than before is asked for.
            press: the key of a button to press.
            patience: seconds after which the answer counts as missing.
        """
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ClientState_pb2 import ClientState
        from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates

        button, fragment, *_ = self.buttons[press] if press else ("", "")
        states = [WidgetState(id=button, trigger_value=True)] if press else []
        message = BackMsg(
            rerun_script=ClientState(
                query_string=urlencode(address),
                page_name=page,
                page_script_hash="" if page else self._page,
                fragment_id=fragment,
                widget_states=WidgetStates(widgets=states),
                cached_message_hashes=sorted(self._cached),
            )
        )
        if not fragment:
            self.buttons.clear()
        began = time.perf_counter()
        await self._connection.send(message.SerializeToString())
        await asyncio.wait_for(self._finish(), patience)
        return time.perf_counter() - began

    async def _finish(self) -> None:
        """Take messages in until a run has come to its end."""
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        while True:
            content = await self._connection.recv()
            self._figures.bytes += len(content)
            message = ForwardMsg()
            message.ParseFromString(content)
            kind = message.WhichOneof("type")
            if message.hash and message.metadata.cacheable:
                self._cached.add(message.hash)
            if kind == "new_session":
                self._page = message.new_session.page_script_hash
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                self._see(message.delta)
            elif kind == "script_finished" and message.script_finished != FINISHED_EARLY:
                return

    def _see(self, delta: Any) -> None:
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "button":
            button = element.button
            key = button.id.rsplit("-", 2)
            self.buttons["-".join(key[-2:])] = (button.id, delta.fragment_id, button.label, button.type == "primary")
        elif kind == "exception":
            self._figures.errors.append(f"an exception on the page: {element.exception.message[:200]}")
        elif kind == "alert" and element.alert.format == element.alert.ERROR:
            self._figures.errors.append(f"an error on the page: {element.alert.body[:200]}")


async def person(
    number: int, address: str, trivial: bool, until: float, figures: Figures, seed: int, model: str
) -> None:
    """Open a tab and go on until the time is over: every other person marks, the others look at pictures."""
    from websockets.asyncio.client import connect

    rng = random.Random(f"{seed}-{number}")
    kind = "marking" if number % 2 else "looking"
    name = f"person {number}"
    names = sorted(path.name for path in DEMO.glob("*.jpg"))
    base = {"images": "demo", "model": model}
    if kind == "marking":
        base |= {"annotator": name, "model": "embedded", "vocabulary": "demo", "view": "image", "opened": "cafe.jpg"}
    await asyncio.sleep(rng.uniform(0, PAUSES[kind][1]))
    try:
        stream = f"{address.replace('http', 'ws')}/_stcore/stream"
        async with connect(stream, subprotocols=["streamlit"], max_size=None, ping_interval=None) as connection:  # type: ignore[list-item]
            session = Session(connection, figures)
            await session.ask(base, page="browse" if kind == "marking" and not trivial else "")
            while time.monotonic() < until:
                await asyncio.sleep(rng.uniform(*PAUSES[kind]))
                if kind == "marking":
                    row, verdict = rng.randrange(5), rng.choice(("right", "wrong", "unsure"))
                    press = "right-0" if trivial else f"{verdict}-{row}"
                    if press not in session.buttons:
                        figures.errors.append(f"{name} sees no button {press}")
                        return
                    taken_back = session.buttons[press][3]
                    seconds = await session.ask(base, press=press)
                    if not trivial:
                        shown = session.buttons[press][3]
                        if shown == taken_back:
                            figures.errors.append(f"{name} pressed {press} and the page does not show it")
                        marks = figures.acknowledged.setdefault(name, {})
                        marks.pop(str(row), None)
                        if shown:
                            marks[str(row)] = verdict
                else:
                    base["image"] = rng.choice(names)
                    seconds = await session.ask(base)
                figures.seconds.append(seconds)
                figures.kinds.append(kind)
    except (OSError, TimeoutError) as error:
        figures.errors.append(f"{name} ({kind}) got no answer: {type(error).__name__} {error}")
    except Exception as error:  # a closed connection is what this part looks for
        figures.errors.append(f"{name} ({kind}): {type(error).__name__} {error}"[:200])


async def drive(
    address: str, sessions: int, seconds: float, seed: int, model: str = "", trivial: bool = False
) -> Figures:
    """Let so many people use an app at the same time; those who look at pictures ask this model."""
    figures = Figures()
    until = time.monotonic() + seconds
    await asyncio.gather(*(person(number, address, trivial, until, figures, seed, model) for number in range(sessions)))
    return figures


@contextmanager
def server(script: Path, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Serve an app on loopback for a block; yield its address and its process."""
    port = free_port()
    options = [f"--server.port={port}", "--server.headless=true", "--server.address=127.0.0.1"]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_served(address, process)
        yield address, psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def warm(address: str, model: str) -> list[str]:
    """Let one person of each kind open the explorer: models are loaded and pictures answered once, for all."""

    async def go() -> list[str]:
        from websockets.asyncio.client import connect

        figures = Figures()
        stream = f"{address.replace('http', 'ws')}/_stcore/stream"
        async with connect(stream, subprotocols=["streamlit"], max_size=None, ping_interval=None) as connection:  # type: ignore[list-item]
            session = Session(connection, figures)
            for path in sorted(DEMO.glob("*.jpg")):
                await session.ask({"images": "demo", "model": model, "image": path.name}, patience=FIRST_S)
        return figures.errors

    return asyncio.run(go())


def lost_marks(acknowledged: dict[str, dict[str, str]], words: list[str]) -> list[str]:
    """Say which marks that a page showed are not stored as it showed them."""
    problems = []
    for name, shown in acknowledged.items():
        stored = {key.word: mark.verdict for key, mark in read_marks(name).items()}
        expected = {words[int(row)]: verdict for row, verdict in shown.items()}
        if stored != expected:
            problems.append(f"{name}: {stored} is stored, {expected} was shown")
    return problems


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Drive the trivial app, the explorer, and the trivial app again."""
    sessions, seconds = (8, 14.0) if quick else (40, 600.0)
    model = "embedded" if quick else DEFAULT_MODEL  # the default reads, which takes a while for the first who asks
    raise_file_limit()
    with own_home():
        words = store_evaluation()
        script = cache_home() / "trivial.py"
        script.write_text(
            TRIVIAL.replace("PICTURE", repr(str(smaller(DEMO / "cafe.jpg", cache_home() / "picture.jpg"))))
        )
        with server(REPOSITORY / "app.py", REPOSITORY) as (explorer, process):
            problems = warm(explorer, model)
            progress(1, 4)
            with server(script, cache_home()) as (trivial, _):
                problems += warm(trivial, model)
                first = asyncio.run(drive(trivial, sessions, seconds / 4, seed, trivial=True))
                progress(2, 4)
                found = asyncio.run(drive(explorer, sessions, seconds, seed, model))
                found.memory = process.memory_info().rss
                progress(3, 4)
                second = asyncio.run(drive(trivial, sessions, seconds / 4, seed + 1, trivial=True))
        lost = lost_marks(found.acknowledged, words)
    plain = Figures(first.seconds + second.seconds, first.kinds + second.kinds)
    ratio = found.percentile(0.95) / plain.percentile(0.95)
    problems += found.errors
    notes = [
        f"{sessions} sessions: p95 {milliseconds(found, 0.95)}, in a trivial app {milliseconds(plain, 0.95)}: "
        f"{ratio:.2f} times (at most {RATIO:g})",
        *(
            f"{kind}: median {milliseconds(found, 0.5, kind)}, p95 {milliseconds(found, 0.95, kind)}; "
            f"trivial {milliseconds(plain, 0.5, kind)} and {milliseconds(plain, 0.95, kind)}"
            for kind in PAUSES
        ),
        f"{found.bytes / max(len(found.seconds), 1) / 1000:.0f} kB an answer, memory {found.memory / 1e6:,.0f} MB",
        *problems[:10],
        *lost[:10],
    ]
    over = int(not quick and ratio > RATIO)
    return Part(
        "sessions",
        len(found.seconds),
        lost=len(lost),
        let_in=over,
        crashed=len(problems) + len(first.errors) + len(second.errors),
        worst_seconds=max(found.seconds, default=0.0),
        worst_bytes=found.memory,
        notes=tuple(notes),
    )


def milliseconds(figures: Figures, share: float, kind: str = "") -> str:
    """Write a percentile for people."""
    return f"{1000 * figures.percentile(share, kind):,.0f} ms"


def smaller(picture: Path, target: Path) -> Path:
    """Write a picture as large as the explorer shows one."""
    with Image.open(picture) as image:
        image.thumbnail((1400, 1400))
        image.save(target, quality=90)
    return target


def raise_file_limit() -> None:
    """Allow as many open connections as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
