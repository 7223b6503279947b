"""One store of results: what was computed once is read from the disk, by whichever process asks next.

A result of a kind lies at ODITS_HOME/cache/KIND/vVERSION/KE/KEY.SUFFIX. Its key says everything that the result depends
on (`make_key`), its version which code computed it. Whatever ends a process leaves either a whole result or none;
its locks go with it, and its temporary files are recognised and removed. A disk that is full or can't be written costs
time, never the answer; nor does an entry that was damaged: it is computed again.
"""

from __future__ import annotations

import io
import json
import os
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from odits.core.errors import BusyError, StoreError, WriteError
from odits.core.files import cache_home, clear_leftovers, move_into_place, remove_tree, replacing, sha256_of
from odits.core.locks import locked, remove_unheld

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
WAIT_S = 600.0
"""How long a process waits for another that computes the same result, before it computes it as well."""
_BUSY = "Another process is at the same work; please wait for it to end."
_KEY = re.compile(r"[0-9A-Za-z_-]{8,64}")
_USED_EVERY_S = 3600.0  # how exactly is remembered when an entry was last used


def make_key(**inputs: Any) -> str:
    """Return the key of the result that these inputs have: the SHA-256 of their canonical JSON, hexadecimal.

    Args:
        inputs: everything that changes the result, by name: texts, numbers, truth values, None, bytes, and lists,
            tuples and mappings of these. Their order does not count, that of lists does.

    Raises:
        TypeError: an input of another type, such as a path, which says nothing of what it names.

    Example:
        >>> make_key(image="ab12", threshold=0.5) == make_key(threshold=0.5, image="ab12")
        True
        >>> make_key(image="ab12", threshold=0.5) == make_key(image="ab12", threshold=0.6)
        False
    """
    return sha256_of(json.dumps(inputs, sort_keys=True, separators=(",", ":"), default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"sha256": sha256_of(value)}
    raise TypeError(f"A key can't depend on a {type(value).__name__}: give what it says as text or numbers.")


# Codecs: results as bytes.


class Codec(Protocol[T]):
    """A result as the bytes of a file.

    Attributes:
        suffix: of the file, such as ".json".
    """

    @property
    def suffix(self) -> str:
        """The file's suffix with its dot."""
        ...

    def encode(self, value: T) -> bytes:
        """Return the bytes of a result."""
        ...

    def decode(self, data: bytes) -> T:
        """Return the result. Raise ValueError where the bytes are damaged."""
        ...


@dataclass(frozen=True)
class FunctionCodec(Generic[T]):
    """A codec of two functions; what `unpack` raises over damaged bytes becomes a ValueError.

    Attributes:
        suffix: of the file, with its dot.
        pack: a result as bytes.
        unpack: bytes as a result.

    Example:
        >>> codec = FunctionCodec(".txt", str.encode, bytes.decode)
        >>> codec.decode(codec.encode("sign"))
        'sign'
    """

    suffix: str
    pack: Callable[[T], bytes]
    unpack: Callable[[bytes], T]

    def encode(self, value: T) -> bytes:
        """Return the bytes of a result."""
        return self.pack(value)

    def decode(self, data: bytes) -> T:
        """Return the result.

        Raises:
            ValueError: the bytes are damaged.
        """
        try:
            return self.unpack(data)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, RecursionError) as error:
            raise ValueError(f"damaged: {error}") from error
        except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, TokenError, SyntaxError) as error:
            raise ValueError(f"damaged: {error}") from error


def _from_npy(data: bytes) -> np.ndarray:
    from odits.core.tables import load_array

    return load_array(io.BytesIO(data))


def _to_npy(value: np.ndarray) -> bytes:
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=False)
    return stream.getvalue()


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as a compressed .npz without pickles."""
    import numpy as np

    stream = io.BytesIO()
    np.savez_compressed(stream, **dict(arrays))  # type: ignore[arg-type]
    return stream.getvalue()


def unpack_arrays(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file. Raises what numpy and zipfile raise where it is damaged."""
    import numpy as np

    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


JSON: FunctionCodec[Any] = FunctionCodec(".json", lambda value: json.dumps(value, allow_nan=False).encode(), json.loads)
NPY: FunctionCodec[np.ndarray] = FunctionCodec(".npy", _to_npy, _from_npy)


def former_path(folder: str, model: str, digest: str, suffix: str) -> Path:
    """Return where versions before 0.2 stored what a model (its key) makes of an image (its digest), in `folder`."""
    return cache_home() / folder / sha256_of(model)[:24] / f"{digest[:24]}{suffix}"


# Stores.


def work_lock(name: str, sentence: str, wait_s: float = 0.0) -> AbstractContextManager[None]:
    """Hold a lock for a piece of work that has no store of its own, such as a pull; `name` tells it.

    Raises:
        BusyError: another process still holds it after `wait_s` seconds (the sentence).
        StoreError: the folder can't be written.
    """
    return locked(cache_home() / "cache" / "work" / f"{name}.lock", sentence, wait_s)


class Entries:
    """Where the entries of one kind lie, and who works at them.

    Use it as it is for entries that grow step by step, each a folder with files of its own: whoever holds an entry's
    lock may write there, and goes on with what it finds.

    Args:
        kind: a plain name, the same in every process, such as "evaluations".
        suffix: of an entry's file, with its dot; empty for folders.
        version: raised when the code computes something else from the same inputs, or writes it otherwise.

    Example:
        >>> tables = Entries("example-tables")
        >>> key = make_key(model="spotting")
        >>> with tables.lock(key):
        ...     tables.path(key).parent.parent.name
        'v1'
    """

    def __init__(self, kind: str, suffix: str = "", version: int = 1) -> None:
        if not re.fullmatch(r"[a-z][a-z-]*", kind):
            raise ValueError(f"{kind!r} is no kind of results")
        self.kind, self.suffix, self.version = kind, suffix, version
        self._cleared: set[Path] = set()

    @property
    def root(self) -> Path:
        """The folder of this kind, with all its versions."""
        return cache_home() / "cache" / self.kind

    @property
    def folder(self) -> Path:
        """The folder of this version."""
        return self.root / f"v{self.version}"

    def path(self, key: str) -> Path:
        """Return where the entry of this key lies, whether it is there or not."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key")
        return self.folder / key[:2] / f"{key}{self.suffix}"

    def all_keys(self) -> list[str]:
        """List the keys of all entries of this version, in no particular order."""
        found = (path.name.removesuffix(self.suffix) for path in self.folder.glob(f"??/*{self.suffix}"))
        return [key for key in found if _KEY.fullmatch(key)]

    @contextmanager
    def lock(self, key: str, sentence: str = _BUSY, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the entry of this key for a block: no other process, and no other thread, works at it meanwhile.

        Args:
            key: of the entry.
            sentence: what to say where another process holds it.
            wait_s: how long to wait for that process, in seconds.

        Raises:
            BusyError: another process still holds it.
            StoreError: the folder can't be written.
        """
        self.clear()
        with locked(self._lock_file(key), sentence, wait_s):
            if not self.suffix:  # whoever left temporary files in this folder can't live any more
                clear_leftovers(self.path(key), 0.0, deep=True)
            yield

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """Give the block a temporary file, which then becomes the entry of this key in one step.

        Raises:
            WriteError: the disk is full, or writing is not allowed.
        """
        self.clear()
        with replacing(self.path(key), self.root / ".tmp") as temporary:
            yield temporary

    def get_or_write(self, key: str, write: Callable[[Path], None], wait_s: float = WAIT_S) -> Path:
        """Return the file of this key, written now by `write` where it is missing: once, however many processes ask.

        Args:
            key: of the entry.
            write: fills the file whose path it is given.
            wait_s: how long to wait for another process that writes it, before writing it as well.

        Raises:
            WriteError: the disk is full, or writing is not allowed.
        """
        path = self.path(key)
        if path.exists():
            self.touch(key)
            return path
        try:
            with self.lock(key, wait_s=wait_s):
                if not path.exists():
                    self._write(key, write)
        except BusyError:
            self._write(key, write)
        return path

    def _write(self, key: str, write: Callable[[Path], None]) -> None:
        with self.writing(key) as temporary:
            write(temporary)

    def touch(self, key: str) -> None:
        """Remember that the entry of this key was used now: the least recently used are removed first."""
        with suppress(OSError):  # a read-only disk
            status = self.path(key).stat()
            if time.time() - status.st_atime > _USED_EVERY_S:
                os.utime(self.path(key), ns=(time.time_ns(), status.st_mtime_ns))

    def remove(self, key: str) -> None:
        """Remove the entry of this key, a file or a folder; do nothing where there is none."""
        remove_tree(self.path(key))

    def clear(self) -> None:
        """Remove what killed processes left of this kind, once in a process: a look into two small folders."""
        root = self.root
        if root in self._cleared:
            return
        self._cleared.add(root)
        clear_leftovers(root / ".tmp")
        for lock in (root / ".locks").glob("*.lock"):
            remove_unheld(lock)

    def _lock_file(self, key: str) -> Path:
        return self.root / ".locks" / f"v{self.version}-{self.path(key).name}.lock"


class Store(Entries, Generic[T]):
    """Results of one kind, each a file that is written whole.

    Args:
        kind: a plain name, the same in every process, such as "objects".
        codec: makes bytes of a result, and a result of bytes.
        version: raised when the code computes something else from the same inputs, or writes it otherwise.

    Example:
        >>> store = Store("example-sums", JSON)
        >>> store.get_or_compute(make_key(numbers=[1, 2]), lambda: sum([1, 2]))
        3
        >>> store.get(make_key(numbers=[1, 2]))
        3
    """

    def __init__(self, kind: str, codec: Codec[T], version: int = 1) -> None:
        super().__init__(kind, codec.suffix, version)
        self.codec = codec
        self._unwritten: dict[Path, bytes] = {}

    def get(self, key: str, former: Path | None = None) -> T | None:
        """Return the result of this key; None where there is none, or a damaged one.

        Args:
            key: by `make_key`.
            former: where an older version of this program stored the same result in the same format; from there it is
                moved to its new place.
        """
        found = self._read(self.path(key))
        if found is not None:
            self.touch(key)
        elif former is not None:
            found = self._read(former)
            if found is not None:
                with suppress(OSError):  # read-only, or another process was faster
                    move_into_place(former, self.path(key))
        return found

    def put(self, key: str, value: T) -> None:
        """Store the result of this key.

        Raises:
            WriteError: the disk is full, or writing is not allowed.
        """
        self.put_bytes(key, self.codec.encode(value))

    def put_bytes(self, key: str, data: bytes) -> None:
        """Store the result of this key as its codec's bytes, which another machine computed.

        Raises:
            WriteError: the disk is full, or writing is not allowed.
        """
        with self.writing(key) as temporary, temporary.open("wb") as stream:
            stream.write(data)

    def remember(self, key: str, data: bytes) -> None:
        """Hold the result of this key, as its codec's bytes, in this process's memory: where it can't be stored."""
        self._unwritten[self.path(key)] = data

    def get_or_compute(
        self, key: str, compute: Callable[[], T], former: Path | None = None, wait_s: float = WAIT_S
    ) -> T:
        """Return the result of this key, computed now where it is missing: once, however many processes ask.

        Args:
            key: by `make_key`.
            compute: computes the result; what it raises is raised.
            former: as `get` takes it.
            wait_s: how long to wait for another process that computes it, before computing it as well.
        """
        found = self.get(key, former)
        if found is not None:
            return found
        with self._lock_if_possible(key, wait_s):
            found = self.get(key)
            if found is None:
                found = compute()
                with suppress(WriteError):  # costs time later, not the answer now
                    self.put(key, found)
        return found

    def ensure(self, key: str, compute: Callable[[], T], former: Path | None = None, wait_s: float = WAIT_S) -> bool:
        """Compute and store the result of this key unless it is there; whether it was computed by this call.

        Args:
            key: by `make_key`.
            compute: computes the result; what it raises is raised.
            former: as `get` takes it.
            wait_s: how long to wait for another process that computes it, before computing it as well.

        Raises:
            WriteError: the disk is full, or writing is not allowed: for those who compute results for others.
        """
        if self.get(key, former) is not None:
            return False
        with self._lock_if_possible(key, wait_s):
            if self.get(key) is not None:
                return False
            self.put(key, compute())
        return True

    @contextmanager
    def _lock_if_possible(self, key: str, wait_s: float) -> Iterator[None]:
        lock = self.lock(key, wait_s=wait_s)
        try:
            lock.__enter__()
        except StoreError:  # a read-only disk, or a process that takes very long: computed here as well
            yield
            return
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def _read(self, path: Path) -> T | None:
        try:
            return self.codec.decode(self._unwritten.get(path) or path.read_bytes())
        except (OSError, ValueError):
            return None
