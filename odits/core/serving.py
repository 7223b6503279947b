"""Served mode: who may do what where people mark over a network, stated by its owner in one file.

`odits app --serve` reads the file, checks it and names it in ODITS_SERVE; without that variable nothing here limits
anything. The package itself only keeps to the readable folders; the pages keep to the rest.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from odits.core.errors import OditsError
from odits.core.files import asset, cache_home, expand_home
from odits.core.settings import check_settings, setting

VARIABLE = "ODITS_SERVE"
"""Names the file of the settings, for the server that `odits app --serve` starts."""

Role = Literal["annotator", "reviewer", "owner"]
ROLES: tuple[Role, ...] = ("annotator", "reviewer", "owner")
"""From the one who may do least to the one who may do most."""

_LINKS_LOOKED_AT = 500_000


class ServingError(OditsError):
    """Something that is not allowed where the explorer is served."""


@dataclass(frozen=True)
class ServeSettings:
    """What is offered to whom.

    Example:
        >>> settings = ServeSettings(reviewers=("*@uni.example",), owners=("ada@uni.example",))
        >>> [settings.role_of(who) for who in ("Ada@Uni.example", "bo@uni.example", "eve@other.example")]
        ['owner', 'reviewer', None]
    """

    address: str = setting("", "Address under which people reach the explorer, such as https://marks.uni.example.")
    roots: tuple[str, ...] = setting((), "Folders of data sets that may be read; nothing outside of them is.")
    annotators: tuple[str, ...] = setting((), "E-mail addresses of those who mark; *@uni.example for all of a domain.")
    reviewers: tuple[str, ...] = setting((), "E-mail addresses of those who also see and compare everyone's marks.")
    owners: tuple[str, ...] = setting((), "E-mail addresses of those who also compute, and look at checkpoints.")
    role_claim: str = setting("", "Claim of the sign-in that lists roles, where the provider hands them out.")
    allow_imports: bool = setting(False, "Whether owners may add files of marks.")
    allow_downloads: bool = setting(False, "Whether owners may download weights.")
    upload_megabytes: int = setting(16, "The largest file that is taken in.", low=1, high=512)
    held_megabytes: int = setting(64, "What one session may hold of its own images.", low=1, high=4096)
    answers_per_minute: int = setting(240, "Answers that one session gets in a minute.", low=10, high=100_000)
    jobs_at_once: int = setting(1, "Long jobs that run at a time; further ones wait in a queue.", low=1, high=64)

    def role_of(self, email: str, claimed: object = ()) -> Role | None:
        """Return what a person may do: the most of what the lists and the sign-in's claim say; None for nothing."""
        who = email.strip().casefold()
        listed = {"annotator": self.annotators, "reviewer": self.reviewers, "owner": self.owners}
        told = [claimed] if isinstance(claimed, str) else list(claimed) if isinstance(claimed, list | tuple) else []
        for role in reversed(ROLES):
            if role in told or any(_is(who, entry.strip().casefold()) for entry in listed[role]):
                return role
        return None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The readable folders, as they lie on the disk."""
        return tuple(Path(os.path.realpath(expand_home(root))) for root in self.roots)


def _is(who: str, entry: str) -> bool:
    """Whether an address is the one of an entry, or of the domain that it names."""
    local, at, domain = who.rpartition("@")
    return bool(at and local and domain) and (who == entry or (entry.startswith("*@") and domain == entry[2:]))


def default_file() -> Path:
    """Return the file of the settings where none is named."""
    return cache_home() / "serve.toml"


def read_settings(path: Path) -> ServeSettings:
    """Read and check a file of settings.

    Raises:
        OditsError: it can't be read, has an entry that is none, or a value that it can't have.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OditsError(f"{path} can't be read: {error.strerror or error}. docs/serving.md has an example.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OditsError(f"{path} is no TOML file: {error}.") from error
    settings = ServeSettings(**_checked(given, path))
    check_settings(settings)
    parts = urlsplit(settings.address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise OditsError(f"{path} has to name the address of the explorer, such as https://marks.uni.example.")
    if not (settings.annotators or settings.reviewers or settings.owners or settings.role_claim):
        raise OditsError(f"{path} lets nobody in: list annotators, reviewers or owners.")
    for root, folder in zip(settings.roots, settings.folders, strict=True):
        if not expand_home(root).is_absolute() or not folder.is_dir():
            raise OditsError(f"{path}: {root} is no folder with its whole path.")
    return settings


def _checked(given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the entries as the settings take them; refuse what is unknown or of another kind."""
    defaults = {one.name: one.default for one in fields(ServeSettings)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in defaults:
            raise OditsError(f"{path} has an unknown entry {name[:40]!r}: there are {', '.join(defaults)}.")
        if isinstance(defaults[name], tuple):
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise OditsError(f'{path}: {name} has to be a list of texts, such as {name} = ["…"].')
            value = tuple(value)
        elif type(value) is not type(defaults[name]):
            raise OditsError(f"{path}: {name} has to be {_kind(defaults[name])}.")
        values[name] = value
    return values


def _kind(value: object) -> str:
    return {bool: "true or false", int: "a whole number"}.get(type(value), "a text")


def served() -> ServeSettings | None:
    """Return the settings of this server; None where it is not in served mode.

    Raises:
        OditsError: the file of the settings is gone or wrong: then nothing is served.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        return None
    path = Path(named)
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise OditsError(f"{path} can't be read: {error.strerror or error}.") from error
    return _read(path, changed)


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> ServeSettings:
    return read_settings(path)


def require_readable(path: Path, name: str = "") -> None:
    """Refuse a file outside of the readable folders of a server, also one that a symbolic link leads to.

    Args:
        path: of the file.
        name: what messages call it.

    Raises:
        ServingError: it is outside.
    """
    settings = served()
    if settings is not None and not _within(path, settings):
        raise ServingError(f"{name or path.name} is outside of the folders that this server may read.")


def _within(path: Path, settings: ServeSettings) -> bool:
    real = Path(os.path.realpath(path))
    allowed = (*settings.folders, Path(os.path.realpath(asset("demo"))))
    return any(real == folder or folder in real.parents for folder in allowed)


def require_confined(folder: Path) -> None:
    """Refuse a folder outside of the readable ones, or one that a symbolic link in it leads out of.

    Raises:
        ServingError: it is outside, or a link leaves; the link is named.
    """
    settings = served()
    if settings is None:
        return
    require_readable(folder)
    looked = 0
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            looked += 1
            if looked > _LINKS_LOOKED_AT:
                raise ServingError(f"{folder.name} holds more than {_LINKS_LOOKED_AT:,} files: it is not served.")
            path = Path(parent) / name
            if path.is_symlink() and not _within(path, settings):
                raise ServingError(
                    f"{folder.name} is not served: its {name} leads out of the folders that may be read."
                )
