"""Models in memory: each once for all sessions, and let go in the order of their last use.

At most `MOST` of them stay, together with at most `SHARE` of the memory that this process may use (by the size of their
files), and none that nobody used for `IDLE_S`. The one that is being used always fits.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from odits.core.device import memory_bytes
from odits.models import registry
from odits.models.registry import ModelRef
from pages._shared import answers, memory

MOST = 6
"""Models that stay in memory."""
SHARE = 0.5
"""Of the memory of this process, for all models."""
IDLE_S = 1800.0
"""Seconds after its last use for which a model stays."""
_LOOK_S = 60.0

Key = tuple[str, str, str]


@dataclass
class Held:
    """A model in memory.

    Attributes:
        model: the model.
        size: bytes of its file; 0 of one without a file of its own.
        used: when it was used last, by `time.monotonic`.
    """

    model: Any
    size: int
    used: float


class Models:
    """The models of a server.

    Args:
        most_bytes: that their files may have together.
        let_go: called after models were let go: whatever else holds on to them is to do the same.
    """

    def __init__(self, most_bytes: int, let_go: Callable[[], None]) -> None:
        self._most_bytes, self._let_go = most_bytes, let_go
        self._held: OrderedDict[Key, Held] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[Key, threading.Lock] = {}

    def get(self, ref: ModelRef) -> Any:
        """Return the model of a reference, loaded by one of those who ask at the same time.

        Raises:
            OditsError: it can't be loaded.
        """
        key = ref.kind, ref.reference, ref.digest
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            if (found := self._found(key)) is not None:
                return found.model
            model = registry.load(ref, kind=ref.kind)
            with self._lock:
                self._held[key] = Held(model, _size(ref), time.monotonic())
                self._loading.pop(key, None)
            self.sweep()
            memory.settle(now=True)  # also what was let go
            return model

    def _found(self, key: Key) -> Held | None:
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                found.used = time.monotonic()
                self._held.move_to_end(key)
                self._loading.pop(key, None)
            return found

    def sweep(self) -> bool:
        """Let go of the models that are too many, too large together, or were not used for long; whether any was."""
        gone = 0
        with self._lock:
            idle = time.monotonic() - IDLE_S
            while self._held:
                key, oldest = next(iter(self._held.items()))
                last = len(self._held) == 1
                crowded = len(self._held) > MOST or sum(one.size for one in self._held.values()) > self._most_bytes
                if oldest.used > idle and (last or not crowded):
                    break
                del self._held[key], oldest
                gone += 1
        if gone:
            self._let_go()
        return gone > 0

    def watch(self) -> None:
        """Sweep now and then, in a thread of its own: nobody may be there to do it."""

        def work() -> None:
            while True:
                time.sleep(_LOOK_S)
                if self.sweep():
                    memory.settle(now=True)

        threading.Thread(target=work, name="models", daemon=True).start()


def _size(ref: ModelRef) -> int:
    try:
        return ref.weights.stat().st_size if ref.path is not None and ref.path.is_file() else ref.megabytes << 20
    except OSError:
        return 0


@st.cache_resource(show_spinner=False)
def _models() -> Models:
    models = Models(int(SHARE * memory_bytes()), lambda: answers.held().forget())
    models.watch()
    return models


def loaded(ref: ModelRef) -> Any:
    """Return the model of a reference, from memory or loaded now.

    Raises:
        OditsError: it can't be loaded.
    """
    return _models().get(ref)
