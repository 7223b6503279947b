"""How far a long piece of work is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (done so far, all there is), in bytes or items; the second is 0 where nobody knows."""
