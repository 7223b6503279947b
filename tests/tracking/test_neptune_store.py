"""What is made of a row of Neptune's runs table, with the client's own row and attribute types."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def _row(values: dict[str, tuple[str, Any]]) -> Any:
    from neptune.internal.backends.api_model import AttributeType, AttributeWithProperties
    from neptune.internal.backends.neptune_backend_mock import NeptuneBackendMock
    from neptune.internal.container_type import ContainerType
    from neptune.table import TableEntry

    attributes = [
        AttributeWithProperties(path, AttributeType(kind), {"last" if kind == "floatSeries" else "value": value})
        for path, (kind, value) in values.items()
    ]
    return TableEntry(NeptuneBackendMock(), ContainerType.RUN, "x", attributes)


def test_a_row_becomes_a_run_with_its_checkpoints(home: object) -> None:
    from odits.tracking.neptune_store import describe_row

    record = json.dumps({"sha256": "ab" * 32, "size": 7, "metadata": {"epoch": "3"}})
    run = describe_row(
        "neptune:team/signs",
        _row(
            {
                "sys/id": ("string", "SIGNS-12"),
                "sys/name": ("string", "clip"),
                "sys/failed": ("bool", True),
                "sys/creation_time": ("datetime", "2025-03-01T12:00:00.000Z"),
                "parameters/seed": ("int", 0),
                "evaluation/precision": ("float", 0.276),
                "loss/total": ("floatSeries", 0.5),
                "checkpoints/best": ("file", None),
                "checkpoint_records/best": ("string", record),
                "theirs/model.pt": ("file", None),
                "picture": ("file", None),
            }
        ),
    )
    assert (run.id, run.name, run.status) == ("SIGNS-12", "clip", "failed")
    assert run.started is not None and run.started.isoformat() == "2025-03-01T12:00:00+00:00"
    assert run.parameters["seed"] == "0" and run.metrics == {"evaluation/precision": 0.276, "loss/total": 0.5}
    best, theirs = run.checkpoints
    assert (best.name, best.size, best.digest) == ("checkpoints/best.safetensors", 7, "ab" * 32)
    assert best.metadata == {"epoch": "3", "attribute": "checkpoints/best"}
    assert (theirs.name, theirs.digest) == ("theirs/model.pt", None)
