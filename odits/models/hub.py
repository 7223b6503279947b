"""Weights of open_clip's models by name, fetched once, with progress."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from open_clip.pretrained import get_pretrained_cfg

from odits.errors import OditsError

Progress = Callable[[int, int], None]

WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TIMEOUT = 3.0  # seconds: nobody waits longer for a network that is not there


def fetch_pretrained(architecture: str, tag: str, progress: Progress | None = None) -> Path:
    """The local file of open_clip's weights `tag` for `architecture`, downloaded into the hub's cache if need be.

    Raises:
        OditsError: they are neither in the cache nor to be had.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import hf_hub_download  # deferred: reads its settings from the environment when imported

    options = get_pretrained_cfg(architecture, tag)
    repository = str(options.get("hf_hub", "")).rstrip("/")
    if not repository:
        raise OditsError(
            f"open_clip names no hub for {architecture}/{tag}: download its file and use {architecture}@FILE."
        )
    for name in WEIGHT_FILES:
        kept = _attempt(hf_hub_download, repository, name, local_files_only=True)
        if kept is not None:
            return kept
    if hub_answers():
        bar = _reporting_bar(progress)
        for name in WEIGHT_FILES:
            found = _attempt(hf_hub_download, repository, name, etag_timeout=TIMEOUT, tqdm_class=bar)
            if found is not None:
                return found
    raise OditsError(
        f"The weights {architecture}/{tag} are not on this machine and could not be downloaded: check the network, "
        f"or name a file as {architecture}@FILE."
    )


def hub_answers() -> bool:
    """Whether the hub can be reached at all: the library itself would try for most of a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        with urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=TIMEOUT):
            return True
    except HTTPError:
        return True  # an answer, if not a friendly one
    except (OSError, ValueError):
        return False


def _attempt(download: Callable[..., str], repository: str, name: str, **options: Any) -> Path | None:
    """The file, or None where it is not there, not reachable, or does not fit on the disk."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(download(repository, name, **options))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError, RuntimeError):
        return None


def _reporting_bar(progress: Progress | None) -> type:
    """A tqdm class that also tells `progress` how far the download is."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):  # type: ignore[misc, valid-type]
        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if progress is not None and self.total:
                progress(int(self.n), int(self.total))
            return shown

    return Bar
