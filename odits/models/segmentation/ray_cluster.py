"""Objects of many images on a Ray cluster, by Ray Data; optional (requirements-ray.txt)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odits.core.errors import OditsError
from odits.core.pool import Question, cores, source_of
from odits.objects.codec import content_of

if TYPE_CHECKING:
    from odits.models.segmentation.precompute import Wanted


LOCAL = "local"
_AT_ONCE = 256  # images that are handed to the cluster together: their bytes lie in its memory
_SHARED_MEMORY = 512 * 2**20
_PATIENCE = 10  # seconds


def compute_on_ray(
    address: str, wanted: Wanted, questions: Sequence[Question], workers: int
) -> Generator[tuple[int, bytes, bytes | str], None, None]:
    """(place, the image's file, what is to be stored or a sentence that says what is wrong with it), as they come.

    Args:
        address: of the cluster ("host:port", "ray://host:port" or "auto"), or "local": one is started here and ended.
        wanted: what is computed. Weights files must lie on the cluster's machines at the same path.
        questions: name each image.
        workers: how many processes.

    Raises:
        OditsError: Ray is not installed, no such cluster answers, or nothing can be computed there.
    """
    ray = _import_ray()
    _connect(ray, address)
    try:
        for start in range(0, len(questions), _AT_ONCE):
            rows = [
                {"place": place, "name": question["name"], "content": content_of(source_of(question))}
                for place, question in enumerate(questions[start : start + _AT_ONCE], start)
            ]
            for place, result in _compute(ray, wanted, rows, min(workers, len(rows))):
                yield place, rows[place - start]["content"], result
    except ray.exceptions.RayError as error:
        raise OditsError(f"The Ray cluster gave up: {_last_line(error)}") from error
    finally:
        ray.shutdown()


class Computer:
    """One of the cluster's processes; a batch holds the columns `place`, `name` and `content`."""

    def __init__(self, wanted: str) -> None:
        from odits.models.segmentation.precompute import Wanted

        self._wanted, self._segmenter, self._fatal = Wanted.from_json(wanted), None, ""
        try:
            self._segmenter = self._wanted.load(threads=1)
        except OditsError as error:
            self._fatal = str(error)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """The columns `place`, `result`, `problem` (an image that cannot be opened) and `fatal`, empty where not so."""
        found: dict[str, list[Any]] = {"place": [], "result": [], "problem": [], "fatal": []}
        for place, name, content in zip(batch["place"], batch["name"], batch["content"], strict=True):
            result, problem, fatal = self._compute(str(name), bytes(content))
            for column, value in zip(found, (int(place), result, problem, fatal), strict=True):
                found[column].append(value)
        return found

    def _compute(self, name: str, content: bytes) -> tuple[bytes, str, str]:
        from odits.data.images import ImageError

        if self._segmenter is None:
            return b"", "", self._fatal
        try:
            return self._wanted.compute(content, name, self._segmenter), "", ""
        except ImageError as error:
            return b"", str(error), ""
        except OditsError as error:
            return b"", "", str(error)


def _compute(
    ray: Any, wanted: Wanted, rows: list[dict[str, Any]], workers: int
) -> Generator[tuple[int, bytes | str], None, None]:
    images = ray.data.from_items(rows, override_num_blocks=len(rows))
    results = images.map_batches(
        Computer,
        fn_constructor_args=[wanted.to_json()],
        batch_size=1,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=workers),
    )
    for row in results.iter_rows():
        if row["fatal"]:
            raise OditsError(row["fatal"])
        yield int(row["place"]), row["problem"] or bytes(row["result"])


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise OditsError("Ray is not installed: pip install -r requirements-ray.txt.") from error
    return ray


def _connect(ray: Any, address: str) -> None:
    """The driver is connected afterwards; machines of a cluster get this package's code."""
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    package = Path(__file__).parents[2]
    try:
        if address == LOCAL:
            path = os.pathsep.join(filter(None, (str(package.parent), os.environ.get("PYTHONPATH"))))
            here = {"env_vars": {"PYTHONPATH": path}}
            ray.init(
                LOCAL,
                num_cpus=cores(),
                include_dashboard=False,
                object_store_memory=_SHARED_MEMORY,
                runtime_env=here,
                **quiet,
            )
        else:
            _knock(address)
            ray.init(address, runtime_env={"py_modules": [str(package)]}, **quiet)
    except (OSError, RuntimeError, ValueError, AssertionError, ray.exceptions.RayError) as error:
        where = "Ray can't be started here" if address == LOCAL else f"No Ray cluster can be used at {address}"
        raise OditsError(f"{where}: {_last_line(error)}") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _knock(address: str) -> None:
    """Nothing; Ray itself would try for many minutes to reach a machine that does not answer. Raises OSError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
