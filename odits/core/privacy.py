"""No telemetry: what libraries would send, or leave in the home folder, is turned off before they are imported.

onnxruntime leaves an identifier of the machine under ~/.cache/Microsoft and sends what models it runs, MLflow an
identifier under ~/.config/mlflow, Streamlit and Ray report their use, the clients of Hugging Face name who downloads,
and OpenVINO leaves an identifier under ~/intel and says that it was imported.
"""

from __future__ import annotations

import os
import sys

TELEMETRY_OFF = {
    "ORT_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "true",
}
"""The variables by which each library is told; the last is a convention that several follow."""

REPORTER = "openvino_telemetry"
"""OpenVINO has no such variable; it does without the package that reports where that can't be imported."""


def disable_telemetry() -> None:
    """Turn the telemetry of all libraries off, in this process and those it starts.

    A variable that says otherwise is overruled: it was set for other programs, and the people whose pictures are looked
    at here were not asked.
    """
    os.environ.update(TELEMETRY_OFF)
    sys.modules[REPORTER] = None  # type: ignore[assignment]  # how Python is told that there is no such module
