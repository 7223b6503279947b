"""`odits app`: the explorer, in the browser, for one person or served to many."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from odits.cli.common import Data, say
from odits.core.errors import OditsError
from odits.core.files import app_folder
from odits.core.serving import VARIABLE, ServeSettings, default_file, read_settings

_SHORTEST_SECRET = 32
_FIXED = (
    *("server.enable", "server.cors", "server.allowed", "server.trusted", "server.max", "server.cookie"),
    *("secrets.", "client.", "global."),
)


def app(
    context: typer.Context,
    data: Data = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where the explorer answers.")] = 8501,
    serve: Annotated[
        bool, typer.Option("--serve", help="For annotators over a network: sign-in, roles, configured folders only.")
    ] = False,
    settings: Annotated[
        Path | None,
        typer.Option(help="File of the settings of --serve; default serve.toml in ODITS_HOME.", show_default=False),
    ] = None,
) -> None:
    """Start the explorer; further options go to `streamlit run`, such as --server.headless=true."""
    from odits.data.annotation_files import damaged_files

    if data is not None and not data.is_dir():
        raise OditsError(f"{data} is not a folder.")
    if settings is not None and not serve:
        raise OditsError("--settings goes with --serve.")
    script = app_folder() / "app.py"
    if not script.is_file():
        raise OditsError("The explorer is not here: install odits with pip, or start this in a checkout.")
    if serve:
        if data is not None:
            raise OditsError("With --serve the folders stand in the file of the settings, as roots.")
        options = _served(settings or default_file(), context.args)
    else:
        options = list(context.args)
        if data is not None:
            os.environ["ODITS_DATA"] = str(data.resolve())
    for sentence in damaged_files():
        say(sentence)
    command = [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}", *options]
    sys.stdout.flush()
    # the server takes this process's place: a signal to it ends the server itself
    os.execv(sys.executable, command)


def _served(file: Path, given: Sequence[str]) -> list[str]:
    """Check the settings and what signing in needs, set the environment, and return Streamlit's options."""
    settings = read_settings(file.absolute())
    if find_spec("authlib") is None:
        raise OditsError("Signing in needs Authlib: pip install 'odits[serve]'.")
    if fixed := next((one for one in given if one.lstrip("-").startswith(_FIXED)), None):
        raise OditsError(f"{fixed.partition('=')[0]} is set by --serve and can't be changed.")
    secrets = file.absolute().with_name("secrets.toml")
    _check_secrets(secrets, settings)
    os.environ[VARIABLE] = str(file.absolute())
    os.environ.pop("ODITS_DATA", None)  # the folders are those of the settings
    if not settings.allow_downloads:
        os.environ["HF_HUB_OFFLINE"] = "1"
    return [
        "--server.headless=true",
        f"--server.maxUploadSize={settings.upload_megabytes}",
        "--server.enableXsrfProtection=true",
        "--server.enableCORS=true",
        f"--server.corsAllowedOrigins={settings.address.rstrip('/')}",
        f"--server.allowedHosts={urlsplit(settings.address).hostname}",
        "--server.enableStaticServing=false",
        "--server.enableAgentApi=false",
        f"--secrets.files={secrets}",
        "--client.toolbarMode=viewer",
        *given,
    ]


def _check_secrets(file: Path, settings: ServeSettings) -> None:
    """Refuse secrets without a provider to sign in at, with a weak cookie's secret, or readable to others."""
    import tomllib

    try:
        auth = tomllib.loads(file.read_text(encoding="utf-8")).get("auth", {})
        others = file.stat().st_mode & 0o077
    except OSError as error:
        raise OditsError(f"{file} can't be read: {error.strerror or error}. docs/serving.md has an example.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OditsError(f"{file} is no TOML file.") from error
    if os.name == "posix" and others:
        raise OditsError(f"{file} can be read by others on this machine: chmod 600 {file}")
    needed = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
    if missing := [name for name in needed if not isinstance(auth, dict) or not isinstance(auth.get(name), str)]:
        raise OditsError(f"{file} needs {missing[0]} under [auth].")
    if len(auth["cookie_secret"]) < _SHORTEST_SECRET:
        raise OditsError(f"cookie_secret in {file} needs at least {_SHORTEST_SECRET} characters, drawn at random.")
    if auth["redirect_uri"] != f"{settings.address.rstrip('/')}/oauth2callback":
        raise OditsError(f"redirect_uri in {file} has to be {settings.address.rstrip('/')}/oauth2callback.")
