"""JSON from outside: parsed under limits, and whatever is wrong with it is one kind of error."""

from __future__ import annotations

import json
from typing import Any

from odits.core.limits import LIMITS


def parse_json(content: bytes | str, most_bytes: int = LIMITS.json_bytes) -> Any:
    """Return the document.

    A value takes up to seventy bytes of memory, and two in the file: their number is limited before one is made.

    Args:
        content: of the file.
        most_bytes: that it may have.

    Raises:
        ValueError: it is no JSON, is nested too deeply, or has too many bytes or values.

    Example:
        >>> parse_json(b'[1, {"a": null}]')
        [1, {'a': None}]
    """
    if len(content) > most_bytes:
        raise ValueError("too large")
    if isinstance(content, str):
        values = sum(content.count(mark) for mark in ",[{")
    else:
        values = sum(content.count(mark) for mark in b",[{")
    if values > LIMITS.json_values:
        raise ValueError("too many values")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
