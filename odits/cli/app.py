"""`odits app`: the explorer, in the browser."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from odits.cli.common import Data
from odits.core.errors import OditsError
from odits.core.files import app_folder


def app(
    context: typer.Context,
    data: Data = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the explorer answers.")] = 8501,
) -> None:
    """Start the explorer; further options go to `streamlit run`, such as --server.headless=true."""
    if data is not None and not data.is_dir():
        raise OditsError(f"{data} is not a folder.")
    script = app_folder() / "app.py"
    if not script.is_file():
        raise OditsError("The explorer is not here: install odits with pip, or start this in a checkout.")
    if data is not None:
        os.environ["ODITS_DATA"] = str(data.resolve())
    command = [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}", *context.args]
    sys.stdout.flush()
    # the server takes this process's place: a signal to it ends the server itself
    os.execv(sys.executable, command)
