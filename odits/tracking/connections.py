"""What every remote store needs: time limits, errors in one sentence, and credentials that are not shown."""

from __future__ import annotations

import os
import queue
import re
import socket
import threading
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from odits.core.errors import OditsError, StoreError

CONNECT_S = 3.0
ANSWER_S = 6.0

CREDENTIALS = ("NEPTUNE_API_TOKEN", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
LOGIN_FOR = "ODITS_MLFLOW_LOGIN_FOR"
"""Addresses of the servers, beside that of MLFLOW_TRACKING_URI, to which the MLflow login is sent; apart by commas."""
SETTINGS = (
    *CREDENTIALS,
    *("NEPTUNE_PROJECT", "NEPTUNE_MODE", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", LOGIN_FOR),
)
_PORTS = {"http": 80, "https": 443}

Answer = TypeVar("Answer")


def read_secrets() -> None:
    """Put the names of `SETTINGS` that `.streamlit/secrets.toml` holds into the environment.

    What the environment says already wins. Streamlit does the same with its secrets; the clients read nothing else.
    """
    for folder in (Path.home(), Path.cwd()):
        try:
            secrets: dict[str, Any] = tomllib.loads((folder / ".streamlit" / "secrets.toml").read_text("utf-8"))
        except (OSError, ValueError):
            continue
        for name in SETTINGS:
            if isinstance(secrets.get(name), str):
                os.environ.setdefault(name, secrets[name])


def has_login_for(address: str) -> bool:
    """Return whether the MLflow login of the environment goes with questions to an address.

    It goes to the servers that it was configured for, and to no other: those of $MLFLOW_TRACKING_URI and $`LOGIN_FOR`.
    """
    origin = _origin(address)
    return origin is not None and origin in _login_origins()


def send_login_to(reference: str) -> None:
    """Take the MLflow server that a command names as the one that its login is for, where none was configured.

    Not for pages: there the address is a visitor's, and the login the owner's.

    Args:
        reference: of a store or tracker, such as "mlflow:https://host:5000".
    """
    kind, _, address = reference.partition(":")
    if kind == "mlflow" and _origin(address) is not None and not _login_origins():
        os.environ[LOGIN_FOR] = address


def _login_origins() -> set[tuple[str, str, int | None]]:
    named = (os.environ.get("MLFLOW_TRACKING_URI", ""), *os.environ.get(LOGIN_FOR, "").split(","))
    return {origin for origin in map(_origin, named) if origin is not None}


def host_of(address: str) -> str | None:
    """Return the host of an http or https address; None of any other text."""
    origin = _origin(address)
    return None if origin is None else origin[1]


def _origin(address: str) -> tuple[str, str, int | None] | None:
    """Return scheme, host and port of an http or https address; None of any other text."""
    try:
        parts = urlsplit(address.strip())
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.scheme in _PORTS and parts.hostname else None


def redact(text: str) -> str:
    """Take users and passwords of addresses, and every credential of the environment, out of a text."""
    for name in CREDENTIALS:
        if value := os.environ.get(name, ""):
            text = text.replace(value, "***")
    return re.sub(r"(?<=://)[^/\s]*@", "***@", text)


def reason(error: BaseException) -> str:
    """Return the first line of an error, short and without credentials."""
    text = redact(str(error)).strip() or type(error).__name__
    return text.splitlines()[0][:200]


@contextmanager
def client_errors(title: str) -> Iterator[None]:
    """Turn every failure of a store's client inside the block into one sentence without credentials.

    Raises:
        StoreError: the client failed; an OditsError is passed on.
    """
    try:
        yield
    except OditsError:
        raise
    except Exception as error:
        # "from None", here and below: the client's own error can hold the address with its password
        raise StoreError(f"{title} did not do what was asked: {reason(error)}") from None


def require_reachable(address: str, title: str) -> None:
    """Check that the server behind an http or https address takes connections (a proxy is left to the client).

    Asked before a client is even imported: that alone takes seconds.

    Args:
        address: of any scheme; others than http and https pass.
        title: what sentences call the server.

    Raises:
        StoreError: it doesn't within `CONNECT_S` seconds, name resolution included.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return
    host, scheme = parts.hostname, parts.scheme
    if scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return
    try:
        port = parts.port or _PORTS[scheme]
    except ValueError:
        raise StoreError(f"{title} has no valid port in its address.") from None
    answer_within(
        CONNECT_S,
        lambda: socket.create_connection((host, port), timeout=CONNECT_S).close(),
        f"{title} cannot be reached; what is on this machine can still be used.",
    )


def answer_within(seconds: float, question: Callable[[], Answer], sentence: str) -> Answer:
    """Return what `question` answers within a time limit.

    The question runs in a thread: clients retry on their own terms, and a name's resolution has no time limit at all.

    Raises:
        StoreError: the sentence, where the question fails or takes longer; a StoreError of its own is passed on.
    """
    answers: queue.SimpleQueue[tuple[Answer | None, Exception | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put((question(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise StoreError(sentence) from None
    if isinstance(error, StoreError):
        raise error
    if error is not None:
        raise StoreError(f"{sentence} ({reason(error)})") from None
    return answer  # type: ignore[return-value]
