"""Garbage collection of a server that runs many scripts.

Streamlit collects garbage after every run of a script. With the libraries and a model loaded that takes 0.2 s of a
processor and holds up every session; so what is there at the end of a run is left out ("frozen") before Streamlit
looks, and all of it is looked through now and then.
"""

from __future__ import annotations

import gc
import threading
import time

import streamlit as st

EVERY_S = 20.0
"""Seconds after which everything is looked through again: garbage among what was left out stays no longer."""


class _Settled:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.at = float("-inf")


@st.cache_resource(show_spinner=False)
def _settled() -> _Settled:
    return _Settled()


def leave_out() -> None:
    """Leave what is there out of the next collections, which costs nothing, until `settle` looks through it."""
    gc.freeze()


def settle(now: bool = False) -> None:
    """Collect all garbage, and leave what remains out of the next collections.

    Args:
        now: at once, as after loading a model; otherwise where `EVERY_S` have passed.
    """
    settled = _settled()
    if not (now or time.monotonic() - settled.at > EVERY_S) or not settled.lock.acquire(blocking=False):
        return
    try:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        settled.at = time.monotonic()
    finally:
        settled.lock.release()
