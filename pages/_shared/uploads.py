"""What uploads may take of a server's memory.

Streamlit itself takes in any number of files from anybody who connects, signed in or not, and holds them until the
session ends.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

_SESSIONS = 10_000  # that are known at a time; each run of a page makes its own known again


class _Bounded:
    """Takes a file in for a session that may hold it: `add_file` of Streamlit's manager of uploads.

    Attributes:
        most: bytes that a session may hold here.
    """

    def __init__(self, manager: Any, most: int) -> None:
        self.most = most
        self._manager, self._add = manager, manager.add_file
        self._lock = threading.Lock()
        self._refused: OrderedDict[str, list[str]] = OrderedDict()

    def __call__(self, session_id: str, file: UploadedFileRec) -> None:
        """Take a file in, or refuse it with a status of HTTP."""
        from starlette.exceptions import HTTPException  # deferred: for a server alone

        with self._lock:
            refused = self._refused.get(session_id)
            if refused is None:
                raise HTTPException(403, "Sign in first.")
            held = self._manager.file_storage.get(session_id, {})
            if sum(len(one.data) for key, one in held.items() if key != file.file_id) + len(file.data) > self.most:
                refused.append(file.name)
                raise HTTPException(413, "This session holds as much as it may.")
            self._add(session_id, file)

    def let_in(self, session_id: str) -> None:
        """Let a session upload from now on."""
        with self._lock:
            self._refused.setdefault(session_id, [])
            self._refused.move_to_end(session_id)
            if len(self._refused) > _SESSIONS:
                self._refused.popitem(last=False)

    def keep_out(self, session_id: str) -> None:
        """Let a session upload no longer."""
        with self._lock:
            self._refused.pop(session_id, None)

    def take_refused(self, session_id: str) -> list[str]:
        """Return, once, the names of files that were beyond what a session may hold."""
        with self._lock:
            names = self._refused.get(session_id, [])
            taken = names[:]
            names.clear()
            return taken


def bound(most: int, is_let_in: bool) -> None:
    """Hold the uploads of this server to what a session may hold, and let this session upload or not.

    Args:
        most: bytes that a session may hold before the page has taken them in.
        is_let_in: whether it may upload at all.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return
    manager: Any = context.uploaded_file_mgr
    if not isinstance(manager.add_file, _Bounded):
        manager.add_file = _Bounded(manager, most)
    manager.add_file.most = most
    change: Callable[[str], None] = manager.add_file.let_in if is_let_in else manager.add_file.keep_out
    change(context.session_id)


def release(files: Sequence[UploadedFile]) -> list[str]:
    """Let go of files that a page has taken in; return the names of those that were refused since the last time."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return []
    manager: Any = context.uploaded_file_mgr
    for file in files:
        manager.remove_file(context.session_id, file.file_id)
    return manager.add_file.take_refused(context.session_id) if isinstance(manager.add_file, _Bounded) else []
