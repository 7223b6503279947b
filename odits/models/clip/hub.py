"""Weights from the Hugging Face hub, or a mirror of it (HF_ENDPOINT): downloaded once, checked, never waited for long.

huggingface_hub knows the hub's files and lays its cache out. It forgets what has arrived when a download is stopped or
its process ends (since 1.x), and compares lengths alone; so the bytes of a large file are fetched by
`odits.core.downloads`, which goes on after both and compares the SHA-256 that the hub names in `X-Linked-ETag`. The
cache calls the file by it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import open_clip
from open_clip.pretrained import get_pretrained_cfg

from odits.core import downloads
from odits.core.errors import OditsError
from odits.core.files import file_digest
from odits.core.model_folders import CONFIG, CONFIGS, cached_file, part_names
from odits.core.progress import Progress, no_progress
from odits.models.clip_references import HUB, cached_snapshot
from odits.models.folders import read_folder
from odits.models.layouts import HF_CONFIG, HF_FILES, OPEN_CLIP_CONFIG, WEIGHT_FILES, read_config

PRETRAINED_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
BESIDE = ("preprocessor_config.json",)
TOKENIZER_FILES = (
    "tokenizer_config.json",
    "tokenizer.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
TIMEOUT = 3.0  # seconds: nobody waits longer for a network that is not there
RETRIES = 5  # of a connection that breaks off, without anything new
_LOGIN = "`hf auth login` or HF_TOKEN"
_NETWORK = ("httpx", "httpx2", "httpcore", "requests", "urllib3", "hf_xet")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _AbsentError(Exception):
    """The repository holds no such file."""


# open_clip's pretrained tags.


def cached_pretrained(architecture: str, tag: str) -> Path | None:
    """Return the file of open_clip's weights in the hub's cache; None where they have to be downloaded.

    Raises:
        OditsError: open_clip names no place to get them from.
    """
    repository, names = pretrained_files(architecture, tag)
    return next((path for name in names if (path := cached_file(repository, name)) is not None), None)


def fetch_pretrained(architecture: str, tag: str, progress: Progress | None = None) -> Path:
    """Return the local file of open_clip's weights, downloaded into the hub's cache if need be.

    Args:
        architecture: of open_clip, such as "ViT-B-32".
        tag: which of its weights, such as "openai".
        progress: called with (bytes here, bytes in all) during the download.

    Raises:
        OditsError: they are neither in the cache nor to be had, in a sentence that says why.
    """
    repository, names = pretrained_files(architecture, tag)
    return _fetch_first(repository, names, f"{architecture}/{tag}", progress)


def pretrained_size(architecture: str, tag: str) -> int:
    """Ask the hub how large open_clip's weights are, in bytes.

    Raises:
        OditsError: it can't be asked, or does not have them, in a sentence that says why.
    """
    repository, names = pretrained_files(architecture, tag)
    return weights_size(repository, names, f"{architecture}/{tag}")


def pretrained_files(architecture: str, tag: str) -> tuple[str, tuple[str, ...]]:
    """Return the repository of open_clip's weights, and what their file may be called.

    Raises:
        OditsError: open_clip names no place to get them from.
    """
    place = str(get_pretrained_cfg(architecture, tag).get("hf_hub", ""))
    repository, _, file = place.rpartition("/")
    if not repository:
        raise OditsError(
            f"open_clip names no hub for {architecture}/{tag}: download its file and use {architecture}@FILE."
        )
    if not file:
        return repository, PRETRAINED_FILES
    return repository, (f"{Path(file).stem}.safetensors", file)


# Repositories: hf-hub:ORG/NAME.


def fetch_repository(hub: str, progress: Progress | None = None) -> Path:
    """Return the folder of a CLIP model of the hub in the hub's cache, downloaded if need be.

    Args:
        hub: ORG/NAME, with "@REVISION" where it is not the main one.
        progress: called with (bytes here, bytes in all) during the download.

    Raises:
        OditsError: it is neither in the cache nor to be had, in a sentence that says why.
    """
    config = _fetch_first(hub, (OPEN_CLIP_CONFIG, HF_CONFIG), hub, None)
    names = WEIGHT_FILES if config.name == OPEN_CLIP_CONFIG else HF_FILES
    described = read_config(config).get("model_cfg") or {}
    others = TOKENIZER_FILES if described.get("text_cfg", {}).get("hf_tokenizer_name") else BESIDE
    for name in others:
        with suppress(_AbsentError):
            _fetch(hub, name, hub, None)
    _fetch_weights(hub, names, hub, progress)
    return config.parent


def fetch_folder(
    hub: str, names: Sequence[str], what: str, progress: Progress | None = None, beside: Sequence[str] = CONFIGS
) -> Path:
    """Return the folder of a model in transformers' layout in the hub's cache, downloaded if need be.

    Args:
        hub: ORG/NAME, with "@REVISION" where it is not the main one.
        names: what its weights may be called, or the index of their parts, the preferred one first.
        what: how the model is called in a message.
        progress: called with (bytes here, bytes in all) during the download.
        beside: the small files that are fetched too, as far as there are such.

    Raises:
        OditsError: it is neither in the cache nor to be had, in a sentence that says why.
    """
    _fetch_first(hub, (CONFIG,), what, None)
    for name in beside:
        with suppress(_AbsentError):
            if name != CONFIG:
                _fetch(hub, name, what, None)
    return _fetch_weights(hub, names, what, progress).parent


def _fetch_weights(hub: str, names: Sequence[str], what: str, progress: Progress | None) -> Path:
    """Return the first of these files that there is; the parts that an index names are fetched with it."""
    weights = _fetch_first(hub, names, what, progress)
    for part in part_names(weights):
        _fetch_first(hub, (part,), what, progress)
    return weights


# One file.


def _fetch_first(hub: str, names: Sequence[str], what: str, progress: Progress | None) -> Path:
    """Return the first of these files that there is: of those in the cache, else of those of the hub."""
    for name in names:
        cached = cached_file(hub, name)
        if cached is not None:
            return _verified(cached, what)
    for name in names:
        with suppress(_AbsentError):
            return _fetch(hub, name, what, progress)
    raise OditsError(f"{what} can't be loaded: {hub} holds none of {', '.join(names)}.")


def weights_size(hub: str, names: Sequence[str], what: str) -> int:
    """Ask the hub how large the first of these files is that there is, in bytes.

    Args:
        hub: ORG/NAME, with "@REVISION" where it is not the main one.
        names: of the files.
        what: how the model is called in a message.

    Raises:
        OditsError: it can't be asked, or has none of them, in a sentence that says why.
    """
    for name in names:
        with suppress(_AbsentError), _sentences(hub, what):
            return int(_describe(hub, name, what).size or 0)
    raise OditsError(f"{what} can't be loaded: {hub} holds none of {', '.join(names)}.")


def file_url(hub: str, name: str) -> str:
    """Return the address of a file on the hub."""
    from huggingface_hub import constants, hf_hub_url

    repository, _, revision = hub.partition("@")
    return hf_hub_url(repository, name, revision=revision or None, endpoint=constants.ENDPOINT)


def _describe(hub: str, name: str, what: str) -> Any:
    """Ask the hub about a file: its size, its digest, and where it lies.

    Raises:
        OditsError: the hub can't be asked; whatever else huggingface_hub raises.
    """
    from huggingface_hub import constants, get_hf_file_metadata

    if constants.HF_HUB_OFFLINE:
        raise OditsError(f"{what} is not on this machine and could not be downloaded: HF_HUB_OFFLINE forbids it.")
    if not hub_answers():
        raise OditsError(
            f"{what} is not on this machine and could not be downloaded: {constants.ENDPOINT} can't be reached; check "
            "the network, name a mirror in HF_ENDPOINT, or name a file that is here."
        )
    return get_hf_file_metadata(file_url(hub, name), timeout=TIMEOUT)


def _fetch(hub: str, name: str, what: str, progress: Progress | None) -> Path:
    """Download a file into the hub's cache, and check its digest.

    Raises:
        _AbsentError: there is no such file.
        OditsError: it can't be had, in a sentence that says why.
    """
    from huggingface_hub import constants, hf_hub_download

    repository, _, revision = hub.partition("@")
    with _sentences(hub, what):
        described = _describe(hub, name, what)
        if _SHA256.fullmatch(described.etag or ""):
            _fetch_large(repository, name, what, described, progress)
        found = hf_hub_download(
            repository, name, revision=revision or None, etag_timeout=TIMEOUT, endpoint=constants.ENDPOINT
        )
    return _verified(Path(found), what, described.etag or "")


def _fetch_large(repository: str, name: str, what: str, described: Any, progress: Progress | None) -> None:
    """Download a large file to where the hub's cache expects it; what has arrived of it before is gone on with."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import build_hf_headers

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    headers = build_hf_headers()
    if urlsplit(described.location).netloc != urlsplit(constants.ENDPOINT).netloc:
        headers.pop("authorization", None)  # the login is the hub's, and large files lie elsewhere
    try:
        downloads.fetch(
            described.location,
            folder / described.etag,
            f"{downloads.SHA256}{described.etag}",
            progress or no_progress,
            name=f"{what} ({name})",
            headers=headers,
            retries=RETRIES,
        )
    except downloads.DamagedError as error:
        raise OditsError(_damaged(what, name, described.etag)) from error


def hub_answers() -> bool:
    """Return whether the hub can be reached at all: the library itself would try for most of a minute."""
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


def _verified(path: Path, what: str, etag: str = "") -> Path:
    """Return a file of the cache, once its digest is what the hub said it is; one that is damaged is removed.

    Small files have no SHA-256: the hub names them by git's digest.
    """
    blob = path.resolve()
    expected = etag if _SHA256.fullmatch(etag) else blob.name
    if _SHA256.fullmatch(expected) and file_digest(path) != expected:
        for file in (blob, path):
            file.unlink(missing_ok=True)
        raise OditsError(_damaged(what, path.name, expected))
    return path


def _damaged(what: str, name: str, expected: str) -> str:
    return (
        f"{what} arrived damaged: the SHA-256 of {name} does not begin with {expected[:12]}, as the hub says; "
        "it was removed, please ask for it again."
    )


@contextmanager
def _sentences(hub: str, what: str) -> Iterator[None]:
    """Say in a sentence why a file of the hub can't be had."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        yield
    except EntryNotFoundError as error:
        if isinstance(error, LocalEntryNotFoundError):  # what huggingface_hub makes of a network that failed
            raise OditsError(_sentence(error, hub, what)) from error
        raise _AbsentError from error
    except Exception as error:
        # the errors of the HTTP library below huggingface_hub, another one in each of its versions
        network = type(error).__module__.partition(".")[0] in _NETWORK
        if not network and not isinstance(error, OSError | ValueError | RuntimeError):
            raise
        raise OditsError(_sentence(error, hub, what)) from error


def _sentence(error: Exception, hub: str, what: str) -> str:
    """Say why a file of the hub can't be had."""
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    repository, _, revision = hub.partition("@")
    if isinstance(error, GatedRepoError):
        return (
            f"{what} is gated: accept its conditions at {constants.ENDPOINT}/{repository}, then log in with {_LOGIN}."
        )
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{constants.ENDPOINT} has no repository {repository}, or it is private: check the name, or log in with "
            f"{_LOGIN}."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{repository} has no revision '{revision or 'main'}'."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{what} does not fit: the disk that holds {constants.HF_HUB_CACHE} is full."
    if isinstance(error, PermissionError):
        return f"{what} can't be written to {constants.HF_HUB_CACHE}."
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "response", None) is not None:
            return f"{what} could not be downloaded: {_answer(cause)}."
        cause = cause.__cause__
    return f"{what} could not be downloaded: the connection broke off; ask for it again."


def _answer(error: Any) -> str:
    """Say what the hub answered."""
    from huggingface_hub import constants

    status = getattr(error.response, "status_code", 0)
    if status in (401, 403):
        return f"{constants.ENDPOINT} does not allow it ({status}); log in with {_LOGIN}"
    if status == 404:
        return f"{constants.ENDPOINT} does not have it (404)"
    return f"{constants.ENDPOINT} answered {status}"


# What is here.


def cached_references() -> list[str]:
    """List references of the CLIP models whose weights lie in the hub's cache: open_clip's tags, then repositories."""
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = sorted(
            found.repo_id for found in scan_cache_dir(constants.HF_HUB_CACHE).repos if found.repo_type == "model"
        )
    except (CacheNotFound, OSError, ValueError):
        return []
    if not repositories:
        return []
    tags = [
        f"{architecture}/{tag}"
        for architecture, tag in open_clip.list_pretrained()
        if get_pretrained_cfg(architecture, tag).get("hf_hub", "").rpartition("/")[0] in repositories
        and cached_pretrained(architecture, tag) is not None
    ]
    return [*tags, *(f"{HUB}{name}" for name in repositories if _is_clip(name))]


def _is_clip(hub: str) -> bool:
    folder = cached_snapshot(hub)
    try:
        return folder is not None and bool(read_folder(folder, hub))
    except OditsError:
        return False
