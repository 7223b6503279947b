"""Neptune's client, opened: quiet, patient for seconds only, its own files under ODITS_HOME."""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from odits.core.errors import OditsError, StoreError
from odits.core.files import cache_home
from odits.tracking.connections import ANSWER_S, answer_within, read_secrets, reason, redact, require_reachable

MODES = ("async", "sync", "offline", "debug")
LOCAL_MODES = ("offline", "debug")

Opened = TypeVar("Opened")


def mode() -> str:
    """How runs are logged: $NEPTUNE_MODE, else "async".

    Raises:
        StoreError: there is no such mode.
    """
    read_secrets()
    found = os.environ.get("NEPTUNE_MODE", "").strip() or "async"
    if found not in MODES:
        raise StoreError(f"NEPTUNE_MODE is '{found}': use {', '.join(MODES)}.")
    return found


def project_name(place: str) -> str:
    """The project, as WORKSPACE/NAME.

    Raises:
        StoreError: none is named.
    """
    read_secrets()
    found = place or os.environ.get("NEPTUNE_PROJECT", "").strip()
    if not found:
        raise StoreError("Name the Neptune project: neptune:WORKSPACE/NAME, or set NEPTUNE_PROJECT.")
    return found


def server_address() -> str:
    """The server that the token is for.

    Raises:
        StoreError: there is no token, or it is none.
    """
    read_secrets()
    token = os.environ.get("NEPTUNE_API_TOKEN", "").strip()
    if not token:
        raise StoreError(
            "Neptune needs NEPTUNE_API_TOKEN in the environment or in .streamlit/secrets.toml "
            "(or NEPTUNE_MODE=offline to log without a server)."
        )
    try:
        read = json.loads(base64.b64decode(token.encode()).decode("utf-8"))
        return str(read.get("api_url") or read["api_address"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreError("NEPTUNE_API_TOKEN is no token of Neptune's.") from None


def prepare() -> None:
    """Nothing; what Neptune keeps on the disk goes under ODITS_HOME, and what it says goes to stderr."""
    os.environ.setdefault("NEPTUNE_DATA_DIRECTORY", str(cache_home() / "neptune"))
    os.environ.setdefault("NEPTUNE_RETRIES_TIMEOUT", "5")  # its own is a minute, at every question
    import neptune  # noqa: F401  (sets up its loggers, which write to stdout)

    for name in ("neptune", "neptune_no_prefix", "neptune-client"):
        logger = logging.getLogger(name)
        if any(type(handler).__name__ == "GrabbableStdoutHandler" for handler in logger.handlers):
            logger.handlers = [logging.StreamHandler(sys.stderr)]
            logger.setLevel(logging.WARNING)


def open_neptune(opener: Callable[[], Opened]) -> Opened:
    """What `opener` opens on the server, which is known to be there.

    Raises:
        StoreError: the server does not answer within 10 s, or refuses.
    """
    address = server_address()
    title = f"The Neptune server {redact(address)}"
    require_reachable(address, title)
    prepare()
    return answer_within(ANSWER_S, opener, f"{title} does not answer as it should.")


@contextmanager
def speaking() -> Iterator[None]:
    """Turns every failure of Neptune's client inside the block into one sentence without credentials."""
    try:
        yield
    except OditsError:
        raise
    except Exception as error:
        # "from None": nobody knows what the client's own error holds
        raise StoreError(f"Neptune did not do what was asked: {reason(error)}") from None
