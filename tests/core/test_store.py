"""The store of results: one computation however many ask, whatever ends a process, whatever lies on the disk."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from odits.core.errors import BusyError, OditsError, StoreError, WriteError
from odits.core.files import sha256_of
from odits.core.store import (
    JSON,
    NPY,
    Entries,
    FunctionCodec,
    Store,
    former_path,
    make_key,
    pack_arrays,
    unpack_arrays,
    work_lock,
)

NPZ = FunctionCodec(".npz", pack_arrays, unpack_arrays)
SUMS: Store[int] = Store("sums", JSON)
KEY = make_key(numbers=[1, 2])


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def run(code: str, *arguments: str, **options: object) -> subprocess.Popen[str]:
    """A process of its own with the same ODITS_HOME."""
    return subprocess.Popen([sys.executable, "-c", code, *arguments], text=True, stdout=subprocess.PIPE, **options)


def test_keys_depend_on_every_input_and_on_nothing_else() -> None:
    assert make_key(b=1, a="x") == make_key(a="x", b=1) == sha256_of('{"a":"x","b":1}')
    different = [
        make_key(a=value)
        for value in (None, False, 0, "0", 0.5, "", b"", b"0", [], ["0"], [[0]], {"0": 1}, {"0": 2}, math.inf, "\udc80")
    ]
    different += [make_key(), make_key(b=None), make_key(a=None, b=None), make_key(a=[1, 2]), make_key(a=[2, 1])]
    assert len(set(different)) == len(different)
    assert make_key(a=(1, 2)) == make_key(a=[1, 2])
    for wrong in (Path("x"), object(), {1, 2}, np.float32(1)):
        with pytest.raises(TypeError, match="can't depend on a"):
            make_key(a=wrong)


def test_a_result_is_computed_once_and_lies_where_it_says(home: Path) -> None:
    calls = []

    def compute() -> int:
        calls.append(1)
        return 3

    assert SUMS.get(KEY) is None
    assert SUMS.get_or_compute(KEY, compute) == SUMS.get_or_compute(KEY, compute) == SUMS.get(KEY) == 3
    assert len(calls) == 1
    assert SUMS.path(KEY) == home / "cache" / "sums" / "v1" / KEY[:2] / f"{KEY}.json"
    assert files(home) == [f"cache/sums/v1/{KEY[:2]}/{KEY}.json"], "no lock and no temporary file is left"
    assert SUMS.all_keys() == [KEY]
    assert SUMS.ensure(KEY, compute) is False and SUMS.ensure(make_key(numbers=[3]), compute) is True
    assert len(calls) == 2
    SUMS.remove(KEY)
    assert SUMS.get(KEY) is None and len(SUMS.all_keys()) == 1
    SUMS.remove(KEY)


@pytest.mark.parametrize("key", ["", "short", "../../../etc/passwd", "a/b/c/d/e/f", "x" * 65, "........"])
def test_no_key_leads_out_of_the_store(key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        SUMS.path(key)


@pytest.mark.parametrize("kind", ["", "Upper", "../x", ".tmp", "v 1"])
def test_kinds_are_plain_names(kind: str) -> None:
    with pytest.raises(ValueError, match="no kind"):
        Entries(kind)


def test_another_version_is_another_store() -> None:
    SUMS.put(KEY, 3)
    newer: Store[int] = Store("sums", JSON, version=2)
    assert newer.get(KEY) is None
    newer.put(KEY, 4)
    assert (SUMS.get(KEY), newer.get(KEY)) == (3, 4)


def pickled(kind: str) -> bytes:
    """Arrays that run code when they are read carelessly."""
    stream, objects = io.BytesIO(), np.array([{}], object)
    np.savez(stream, a=objects) if kind == "npz" else np.save(stream, objects)
    return stream.getvalue()


@pytest.mark.parametrize(("codec", "value"), [(NPY, np.arange(6.0)), (NPZ, {"a": np.arange(3), "b": np.array(["x"])})])
def test_arrays_come_back_and_damaged_ones_do_not(codec: FunctionCodec[object], value: object) -> None:
    data = codec.encode(value)
    back = codec.decode(data)
    for one, other in zip(*((v.values() if isinstance(v, dict) else [v]) for v in (back, value)), strict=True):
        np.testing.assert_array_equal(one, other)
    damages = [b"", data[:20], data[:-5], b"PK\x03\x04 nothing", b"\x93NUMPY"]
    if codec is NPZ:  # it has checksums
        damages.append(bytes(byte ^ 0xFF if place == len(data) // 3 else byte for place, byte in enumerate(data)))
    damages.append(pickled("npz" if codec is NPZ else "npy"))
    for damaged in damages:
        with pytest.raises(ValueError):
            codec.decode(damaged)


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_entry_is_computed_again(damage: bytes) -> None:
    SUMS.put(KEY, 3)
    SUMS.path(KEY).write_bytes(damage)
    assert SUMS.get(KEY) is None
    assert SUMS.get_or_compute(KEY, lambda: 3) == SUMS.get(KEY) == 3


def test_a_folder_in_the_place_of_an_entry_costs_no_answer() -> None:
    SUMS.path(KEY).mkdir(parents=True)
    assert SUMS.get(KEY) is None
    assert SUMS.get_or_compute(KEY, lambda: 3) == 3
    with pytest.raises(WriteError, match="can't be written"):
        SUMS.put(KEY, 3)


def test_what_an_older_version_stored_is_read_and_moved(home: Path) -> None:
    former = former_path("sums", "a model", sha256_of("an image"), ".json")
    assert former == home / "sums" / sha256_of("a model")[:24] / f"{sha256_of('an image')[:24]}.json"
    assert SUMS.get(KEY, former) is None
    former.parent.mkdir(parents=True)
    former.write_text("{")
    assert SUMS.get(KEY, former) is None and former.exists(), "a damaged one stays where it is"
    former.write_text("3")
    assert SUMS.get_or_compute(KEY, lambda: pytest.fail("computed"), former) == 3
    assert not former.exists() and SUMS.get(KEY) == 3


def test_what_a_computation_raises_is_raised_and_lets_go_of_the_lock(home: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        SUMS.get_or_compute(KEY, lambda: 1 // 0)
    assert files(home) == []
    assert SUMS.get_or_compute(KEY, lambda: 3, wait_s=0) == 3


COMPUTE = """
import os, sys, time
from odits.core.store import JSON, Store, make_key
store = Store("sums", JSON)
def compute(number):
    with open(sys.argv[1], "a") as log:
        log.write(f"{number}\\n")
    time.sleep(0.02)
    return number
for number in range(20):
    assert store.get_or_compute(make_key(number=number), lambda: compute(number)) == number
"""


def test_four_processes_compute_each_result_once(tmp_path: Path, home: Path) -> None:
    log = tmp_path / "log"
    processes = [run(COMPUTE, str(log)) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert sorted(map(int, log.read_text().split())) == list(range(20))
    assert len(files(home)) == 20, "no lock and no temporary file is left"


def test_threads_of_one_process_compute_once() -> None:
    calls: list[int] = []

    def compute() -> int:
        calls.append(1)
        time.sleep(0.1)
        return 3

    threads = [threading.Thread(target=SUMS.get_or_compute, args=(KEY, compute)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_of_those_who_ensure_a_result_one_says_that_it_computed_it() -> None:
    said: list[bool] = []

    def compute() -> int:
        time.sleep(0.1)
        return 3

    threads = [threading.Thread(target=lambda: said.append(SUMS.ensure(KEY, compute))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == [False, False, False, True]


HOLD = """
import sys, time
from odits.core.store import JSON, Store
with Store("sums", JSON).lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_goes_with_its_process_and_nobody_waits_for_ever() -> None:
    holder = run(HOLD, KEY)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match="mine, please wait"), SUMS.lock(KEY, "mine, please wait"):
            pytest.fail("two hold it")
        began = time.monotonic()
        assert SUMS.get_or_compute(KEY, lambda: 3, wait_s=0.2) == 3, "computed here too after the time"
        assert 0.2 <= time.monotonic() - began < 5
        SUMS.remove(KEY)
        waiting: list[int] = []
        thread = threading.Thread(target=lambda: waiting.append(SUMS.get_or_compute(KEY, lambda: 4)))
        thread.start()
        time.sleep(0.2)
        assert waiting == []
    finally:
        holder.kill()
        holder.wait()
    thread.join(10)
    assert waiting == [4], "the next one goes on as soon as the process is gone"


WRITE_SLOWLY = """
import sys, time
from odits.core.store import JSON, Store
store = Store("sums", JSON)
with store.lock(sys.argv[1]), store.writing(sys.argv[1]) as temporary:
    temporary.write_bytes(b"[1, 2")
    print("half", flush=True)
    time.sleep(60)
"""


def test_a_process_killed_while_it_writes_leaves_nothing_that_lasts(home: Path) -> None:
    writer = run(WRITE_SLOWLY, KEY)
    assert writer.stdout is not None and writer.stdout.readline() == "half\n"
    (temporary,) = (home / "cache" / "sums" / ".tmp").iterdir()
    hours_ago = time.time() - 7200
    os.utime(temporary, (hours_ago, hours_ago))
    assert Store("sums", JSON).clear() is None and temporary.exists(), "its process lives"
    writer.kill()
    writer.wait()
    assert SUMS.get(KEY) is None
    os.utime(temporary, None)
    Store("sums", JSON).clear()
    assert temporary.exists(), "too young to be removed by the way"
    os.utime(temporary, (hours_ago, hours_ago))
    fresh: Store[int] = Store("sums", JSON)
    assert fresh.get_or_compute(KEY, lambda: 3, wait_s=0) == 3
    assert files(home) == [f"cache/sums/v1/{KEY[:2]}/{KEY}.json"]


def test_where_nothing_can_be_written_the_answer_comes_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "file" / "home"))
    assert SUMS.get_or_compute(KEY, lambda: 3) == 3
    for action in (lambda: SUMS.put(KEY, 3), lambda: SUMS.ensure(KEY, lambda: 3)):
        with pytest.raises(WriteError, match="can't be written"):
            action()
    with pytest.raises(StoreError, match="can't be written"), SUMS.lock(KEY):
        pytest.fail("locked")
    assert SUMS.get(KEY) is None
    store: Store[int] = Store("sums", JSON)
    store.remember(KEY, store.codec.encode(3))
    assert store.get(KEY) == 3 and SUMS.get(KEY) is None, "by this one, in this process"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_costs_time_only(home: Path) -> None:
    SUMS.put(KEY, 3)
    for folder in [home, *(path for path in home.rglob("*") if path.is_dir())]:
        folder.chmod(0o500)
    try:
        assert SUMS.get(KEY) == 3
        assert SUMS.get_or_compute(make_key(), lambda: 4) == 4
    finally:
        for folder in [home, *(path for path in home.rglob("*") if path.is_dir())]:
            folder.chmod(0o700)


FULL = """
import resource, signal, sys
from odits.core.store import JSON, Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
store = Store("sums", JSON)
print(store.get_or_compute(sys.argv[1], lambda: "x" * 5000) == "x" * 5000)
try:
    store.put(sys.argv[1], "x" * 5000)
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of files")
def test_a_full_disk_costs_time_only(home: Path) -> None:
    said, _ = run(FULL, KEY).communicate()
    assert said.splitlines()[0] == "True" and "can't be written" in said.splitlines()[1]
    assert files(home) == [], "what could be written of it is gone"


def test_files_are_written_once_by_a_function(home: Path) -> None:
    store = Entries("tables", ".npy")
    written = []

    def write(path: Path) -> None:
        written.append(path)
        table = np.lib.format.open_memmap(path, "w+", np.float32, (3, 2))
        table[:] = 5

    path = store.get_or_write(KEY, write)
    assert store.get_or_write(KEY, write) == path == store.path(KEY)
    assert len(written) == 1 and written[0] != path
    assert np.load(path, mmap_mode="r").sum() == 30
    assert files(home) == [f"cache/tables/v1/{KEY[:2]}/{KEY}.npy"]

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OditsError("an image is missing")

    with pytest.raises(OditsError, match="an image is missing"):
        store.get_or_write(make_key(), fail)
    assert len(files(home)) == 1


def test_folders_that_grow_are_locked_and_cleared(home: Path) -> None:
    tables = Entries("tables")
    folder = tables.path(KEY)
    folder.mkdir(parents=True)
    (folder / ".result.json.0123.tmp").write_bytes(b"half of it, from a killed process")
    (folder / "rows").write_bytes(b"what it finished")
    with tables.lock(KEY):
        assert files(folder) == ["rows"]
    tables.remove(KEY)
    assert not folder.exists()


def test_uses_are_remembered_without_a_write_each_time() -> None:
    SUMS.put(KEY, 3)
    path = SUMS.path(KEY)
    written = path.stat().st_mtime_ns
    days_ago = time.time_ns() - 10**9 * 86400 * 3
    os.utime(path, ns=(days_ago, written))
    assert SUMS.get(KEY) == 3
    used = path.stat().st_atime_ns
    assert used > days_ago and path.stat().st_mtime_ns == written
    minutes_ago = time.time_ns() - 10**9 * 600
    os.utime(path, ns=(minutes_ago, minutes_ago - 1))
    SUMS.touch(KEY)
    assert path.stat().st_atime_ns == minutes_ago


def test_work_without_a_store_is_locked_by_name(home: Path) -> None:
    with work_lock("pull-x", "somebody pulls it"):
        began = time.monotonic()
        with pytest.raises(BusyError, match="somebody pulls it"), work_lock("pull-x", "somebody pulls it"):
            pytest.fail("two hold it")
        assert time.monotonic() - began < 0.9, "nobody waits who did not ask to"
        with work_lock("pull-y", "another"):
            pass
    assert files(home) == []


def test_a_hundred_stored_results_are_read_at_once() -> None:
    code = (
        "import sys, time, json\n"
        "began = time.perf_counter()\n"
        "from odits.core.store import JSON, Store, make_key\n"
        "store = Store('sums', JSON)\n"
        "for number in range(100):\n    assert store.get(make_key(number=number)) == number\n"
        "print(json.dumps([time.perf_counter() - began, [m for m in ('numpy', 'torch', 'scipy') if m in sys.modules]]))"
    )
    for number in range(100):
        SUMS.put(make_key(number=number), number)
    said, _ = run(code).communicate()
    seconds, heavy = json.loads(said)
    assert seconds < 0.5 and heavy == []


def test_an_entry_that_is_held_is_not_waited_for_unless_asked(home: Path) -> None:
    grown = Entries("grown")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with grown.lock(KEY):
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    threading.Timer(0.7, release.set).start()
    with pytest.raises(BusyError, match="at work"), grown.lock(KEY, "It is at work."):
        pass
    with grown.lock(KEY, "It is at work.", wait_s=30.0):
        assert release.is_set()
    holder.join()
