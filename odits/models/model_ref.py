"""A model reference once it was parsed, and what all ways of writing one share."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from safetensors import SafetensorError, safe_open

from odits.core.errors import OditsError
from odits.core.files import asset, expand_home, sha256_of
from odits.core.formats import file_format
from odits.core.weights import weights_digest
from odits.models.layouts import config_files

Kind = Literal["clip", "odits", "spotting", "segmenter"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WORD_MODELS: tuple[Kind, ...] = ("clip", "odits", "spotting")

EMBEDDED = "embedded"
"""Reference of the CLIP model, and of the segmenter, that need no download."""
SPOTTING = "spotting"
"""Reference of the model that reads words in the picture."""
VITSTR = f"{SPOTTING}:vitstr"
"""Reference of the same with docTR's ViTSTR as recogniser; a colon and a weights file may follow."""
SPOTTING_V6 = f"{SPOTTING}:v6"
"""Reference of the same with PP-OCRv6's own detector of lines in place of PP-OCRv5's."""
SPOTTING_V4 = f"{SPOTTING}:v4"
"""Reference of the same with PP-OCRv4's networks, where their package is installed."""
SPOTTING_JOINT = f"{SPOTTING}:joint"
"""Reference of word spotting by all readers that are installed: more is found, in a multiple of the time."""
SPOTTING_QUICK = f"{SPOTTING}:quick"
"""Reference of word spotting that looks for lines less often: less is found, in a fraction of the time."""
STREET = "street"
"""Reference of ODITS Street, which reads places and says which words are in a picture."""
DEFAULT_MODEL = STREET
"""The word model of every page and command where no other one is named."""
DEFAULT_SEGMENTER = EMBEDDED
LAYOUTS = {"random": "Boxes at random", "grid": "Boxes in a grid"}
"""Controls: how boxes of the sizes of a segmenter's objects are laid instead of them, and what that is called."""

EMBEDDED_ARCHITECTURE = "odits-signs"
EMBEDDED_WEIGHTS = asset("odits-signs/model.safetensors")
EMBEDDED_NAME = "ODITS Signs (embedded)"
STREET_WEIGHTS = asset("odits-street/model.safetensors")
CARRIED = (EMBEDDED_WEIGHTS, STREET_WEIGHTS)
"""Files that this program carries: every machine has them."""


@dataclass(frozen=True)
class ModelRef:
    """A model reference, parsed once.

    Attributes:
        reference: as it can be pasted into any command or page.
        kind: "clip", "odits", "spotting" or "segmenter".
        name: as shown to users.
        architecture: open_clip's, or that of SAM; the recogniser's for word spotting; "" where nothing names it.
        path: where its weights lie, or will lie once fetched; None for a model without a file of its own.
        tag: of open_clip's or SAM's published weights.
        store: the reference of the checkpoint in the store that it was pulled from.
        header: how a checkpoint was made, from its file's header.
        megabytes: the size of the download where there is one.
        note: a sentence that says what it is.
        hub: the repository on the Hugging Face hub, with "@REVISION" where one was asked for.
    """

    reference: str
    kind: Kind
    name: str
    architecture: str = ""
    path: Path | None = None
    tag: str = ""
    store: str = ""
    header: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    megabytes: int = 0
    note: str = field(default="", compare=False, repr=False)
    hub: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of its file, hexadecimal, or of its parts'; "" where it has none on this machine."""
        try:
            return weights_digest(self.path) if self.path is not None else ""
        except (OSError, OditsError):
            return ""

    @property
    def weights(self) -> Path:
        """Its file.

        Raises:
            OditsError: it has none.
        """
        if self.path is None:
            raise OditsError(f"{self.name} has no file of weights.")
        return self.path

    @property
    def stem(self) -> str:
        """The reference for the name of a folder or run: a file's without its folders and ending."""
        named = self.path is not None and not self.published and self.path not in CARRIED
        return self.weights.stem if named else self.reference

    @property
    def is_sam(self) -> bool:
        """Whether it is a SAM, with SAM's parameters and weights."""
        return self.kind == "segmenter" and self.family != EMBEDDED

    @property
    def family(self) -> str:
        """What stands before the reference's first colon: of segmenters "embedded", "sam", "sam2" or "sam3"."""
        return split_layout(self.reference)[0].partition(":")[0]

    @property
    def layout(self) -> str:
        """How boxes of the sizes of a segmenter's objects are laid instead of them, of `LAYOUTS`; "": they are not."""
        return split_layout(self.reference)[1] if self.kind == "segmenter" else ""

    def without_layout(self) -> ModelRef:
        """Return the segmenter whose boxes are laid anew; itself where none are."""
        return replace(self, reference=split_layout(self.reference)[0])

    @property
    def published(self) -> bool:
        """Whether its weights are published ones, which can be downloaded."""
        return bool(self.tag or self.hub)

    @property
    def ready(self) -> bool:
        """Whether it works without a download; open_clip's weights by name are asked for when they are loaded."""
        return self.path.is_file() if self.path is not None else not self.published

    def clip_checkpoint(self, digest: str) -> str:
        """Return the `checkpoint` of the CLIP model whose file has this digest; results key on it.

        It is the digest. Where the reference names the architecture and the file does not (ARCHITECTURE@FILE), the last
        24 digits are the architecture's: the same weights give other results with, say, another activation.
        """
        if self.tag or self.header.get("architecture") == self.architecture:
            return digest
        return f"{digest[:40]}{sha256_of(self.architecture)[:24]}"

    def describes(self, checkpoint: str) -> bool:
        """Whether a word model with this `checkpoint` was loaded from this file, with this architecture.

        ODITS adds what its objects are found with to the first 40 digits of its file's digest.
        """
        digest = self.digest
        if self.kind == "odits":
            return bool(digest) and checkpoint[:40] == digest[:40]
        return bool(digest) and checkpoint == self.clip_checkpoint(digest)


class NotPulledError(OditsError):
    """A checkpoint of a store that is not on this machine yet."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"'{reference}' lies in a store and not on this machine: bring it here with "
            f"python -m odits checkpoints pull '{reference}' (--source names its store)."
        )
        self.reference = reference


def read_metadata(path: Path) -> dict[str, str]:
    """Read the text metadata of a safetensors file's header.

    Raises:
        OditsError: the file is no safetensors file.
    """
    try:
        if file_format(path) != "safetensors":  # also where its header claims more than is read
            raise OditsError(f"{path.name} is not a safetensors checkpoint, or it is damaged.")
        with safe_open(path, framework="numpy") as tensors:
            return dict(tensors.metadata() or {})
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise OditsError(f"{path.name} is not a safetensors checkpoint, or it is damaged.") from error


def architectures() -> frozenset[str]:
    """Return the names of open_clip's architectures, those that a program has added to it too, and of our own."""
    loaded = sys.modules.get("open_clip")
    return _architecture_files() | frozenset(loaded.list_models() if loaded else ())


@lru_cache(maxsize=1)
def _architecture_files() -> frozenset[str]:
    """Read the names from open_clip's files: importing it takes seconds."""
    return frozenset(path.stem for path in config_files())


def checkpoint_reference(reference: str, path: Path) -> ModelRef:
    """Return the reference of a safetensors checkpoint, as its header describes it."""
    header = read_metadata(path)
    kind: Kind = "odits" if header.get("kind") == "odits" else "clip"
    name = header.get("name", path.stem)
    return ModelRef(reference, kind, name, header.get("architecture", ""), path, header=header)


def find_file(text: str) -> Path | None:
    """Find the file of that name."""
    try:
        path = expand_home(text)
        return path if path.is_file() else None
    except (OSError, ValueError):  # a name too long, or a NUL in it
        return None


def split_layout(reference: str) -> tuple[str, str]:
    """Split a segmenter's reference and the layout, of `LAYOUTS`, that stands behind it; "" where none does.

    Example:
        >>> split_layout("sam:vit_b#grid"), split_layout("sam:run#2/weights.pth")
        (('sam:vit_b', 'grid'), ('sam:run#2/weights.pth', ''))
    """
    base, _, layout = reference.rpartition("#")
    return (base, layout) if layout in LAYOUTS else (reference, "")


def with_layout(reference: str, layout: str) -> str:
    """Return the reference of a control of a segmenter, as `split_layout` takes it apart; itself for no layout."""
    return f"{reference}#{layout}" if layout else reference


def shortened(text: str) -> str:
    """Cut what a message quotes: a text that was pasted by mistake may be a book."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:200])
    return shown if len(text) <= 200 else f"{shown}…"
