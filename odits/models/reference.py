"""What a model reference stands for, found out in one place and without loading a model.

| reference | stands for |
|---|---|
| `spotting`, `spotting:vitstr`, `spotting:vitstr:FILE` | word spotting; with docTR's ViTSTR as its recogniser |
| `embedded` | the CLIP model in assets/; as a segmenter: text lines and regions of one colour |
| `ARCHITECTURE/TAG` | open_clip's pretrained weights, such as `ViT-B-32/openai` |
| `ARCHITECTURE@FILE` | a weights file that names no architecture |
| `FILE.safetensors` | a checkpoint: CLIP or ODITS, as its header says |
| `RUN/NAME`, `runs:/RUN/NAME` | a checkpoint that was pulled from a store, as `odits checkpoints list` prints it |
| `sam:vit_b`, `sam:vit_l`, `sam:vit_h`, `sam:FILE` | Segment Anything |
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from safetensors import SafetensorError, safe_open

from odits.core.errors import OditsError
from odits.core.files import asset, cache_home, expand_home, file_digest, safe_name, sha256_of

Kind = Literal["clip", "odits", "spotting", "segmenter"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WORD_MODELS: tuple[Kind, ...] = ("clip", "odits", "spotting")

EMBEDDED = "embedded"
"""Reference of the CLIP model, and of the segmenter, that need no download."""
SPOTTING = "spotting"
"""Reference of the model that reads words in the picture."""
VITSTR = f"{SPOTTING}:vitstr"
"""Reference of the same with docTR's ViTSTR as recogniser; a colon and a weights file may follow."""
DEFAULT_MODEL = SPOTTING
"""The word model of every page and command where no other one is named."""
DEFAULT_SEGMENTER = EMBEDDED

EMBEDDED_ARCHITECTURE = "odits-signs"
EMBEDDED_WEIGHTS = asset("odits-signs/model.safetensors")
EMBEDDED_NAME = "ODITS Signs (embedded)"
CLIP_CONFIGS = Path(__file__).parent / "clip" / "configs"
"""Our own architectures, in open_clip's format."""

CLIP_FORMS = "embedded, an open_clip model such as ViT-B-32/openai, or a safetensors file"
MODEL_FORMS = f"spotting (it reads), {CLIP_FORMS}"
ODITS_FORMS = "an ODITS checkpoint (safetensors)"
SEGMENTER_FORMS = "embedded, sam:vit_b, sam:vit_l, sam:vit_h, or sam:FILE"

_KIND_NAMES = {
    "clip": "a CLIP model",
    "odits": "an ODITS checkpoint",
    "spotting": "word spotting",
    "segmenter": "a segmenter",
}
# MLflow's and Neptune's run ids, and MLflow's own references
_STORED = re.compile(r"(runs:/|models:/|[0-9a-f]{32}(/|$)|([^/]+/){0,2}[A-Z][A-Z0-9]*-\d+/)")


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

    @property
    def digest(self) -> str:
        """SHA-256 of its file, hexadecimal; "" where it has none on this machine."""
        try:
            return file_digest(self.path) if self.path is not None else ""
        except OSError:
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
        named = self.path is not None and not self.tag and self.path != EMBEDDED_WEIGHTS
        return self.weights.stem if named else self.reference

    @property
    def is_sam(self) -> bool:
        """Whether it is a SAM, with SAM's parameters and weights."""
        return self.kind == "segmenter" and self.path is not None

    @property
    def ready(self) -> bool:
        """Whether it works without a download; open_clip's weights by name are asked for when they are loaded."""
        return self.path.is_file() if self.path is not None else not self.tag

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


SAM_WEIGHTS = {
    "vit_b": ("SAM ViT-B", "sam_vit_b_01ec64.pth", 375, "Segment Anything, the smallest model."),
    "vit_l": ("SAM ViT-L", "sam_vit_l_0b3195.pth", 1250, "Segment Anything, the middle model."),
    "vit_h": ("SAM ViT-H", "sam_vit_h_4b8939.pth", 2564, "Segment Anything, the largest model."),
}
"""Name, official file, megabytes and a sentence for each of SAM's published weights."""
EMBEDDED_SEGMENTER = "Text regions + colour regions (not SAM)"
_EMBEDDED_SEGMENTER_NOTE = (
    "Works offline: lines of text by rapidocr's detector, and regions of one colour by classical image processing."
)


_SPOTTING_NOTE = "Reads what is written in the picture: a word that stands nowhere gets next to no probability."


class NotPulledError(OditsError):
    """A checkpoint of a store that is not on this machine yet."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"'{reference}' lies in a store and not on this machine: bring it here with "
            f"python -m odits checkpoints pull '{reference}' (--source names its store)."
        )
        self.reference = reference


def parse(reference: str | Path | ModelRef, *kinds: Kind) -> ModelRef:
    """Find out what a reference stands for; nothing is loaded or downloaded.

    Args:
        reference: one of the forms of the table above; a reference that is parsed already is only checked.
        kinds: what is wanted; every kind by default. "embedded" is the segmenter where no CLIP model is wanted.

    Raises:
        OditsError: it stands for nothing, for a file that is damaged, or for another kind of model. The sentence is
            the same wherever the reference was given.

    Examples:
        >>> parse("spotting").kind, parse("embedded").architecture, parse("sam:vit_b").megabytes
        ('spotting', 'odits-signs', 375)
        >>> parse("embedded", "segmenter").name
        'Text regions + colour regions (not SAM)'
    """
    wanted = kinds or KINDS
    ref = reference if isinstance(reference, ModelRef) else _parse(str(reference).strip(), wanted)
    if ref.kind not in wanted:
        needed = "a word model" if wanted == WORD_MODELS else " or ".join(_KIND_NAMES[kind] for kind in wanted)
        raise OditsError(f"'{_short(ref.reference)}' is not {needed}: it is {_KIND_NAMES[ref.kind]}.")
    return ref


def available(kind: Kind | None = None) -> list[ModelRef]:
    """List the models that can be chosen without naming a file: word models, then segmenters.

    Those are word spotting, the embedded CLIP model, every readable checkpoint in ODITS_HOME/checkpoints by file name,
    the embedded segmenter and SAM.
    """
    found = [_spotting(SPOTTING), *([_spotting(VITSTR)] if find_spec("doctr") else [])]
    if EMBEDDED_WEIGHTS.is_file():
        found.append(_embedded())
    for path in sorted((cache_home() / "checkpoints").glob("**/*.safetensors")):
        try:
            found.append(_checkpoint(str(path), path))
        except OditsError:
            continue  # an unreadable file is named when it is asked for; it must not hide the others
    found += [_embedded_segmenter(), *(_sam(f"sam:{name}") for name in SAM_WEIGHTS)]
    return [ref for ref in found if kind in (None, ref.kind)]


def read_metadata(path: Path) -> dict[str, str]:
    """Read the text metadata of a safetensors file's header.

    Raises:
        OditsError: the file is no safetensors file.
    """
    try:
        with safe_open(path, framework="numpy") as tensors:
            return dict(tensors.metadata() or {})
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise OditsError(f"{path.name} is not a safetensors checkpoint, or it is damaged.") from error


def pulled_path(source: str, run: str, name: str) -> Path:
    """Return where a store's checkpoint lies on this machine once pulled: always the same place, one for each.

    Args:
        source: the store's reference, without credentials.
        run: the id of its run.
        name: its path inside the run.
    """
    unique = sha256_of(f"{source}\n{run}/{name}")[:8]
    return cache_home() / "checkpoints" / f"{_pulled_stem(run, name)}-{unique}.safetensors"


def _pulled_stem(run: str, name: str) -> str:
    return f"{safe_name(run.rpartition('/')[2])[:24]}-{safe_name(Path(name).stem)}"


def architectures() -> frozenset[str]:
    """Return the names of open_clip's architectures, those that a program has added to it too, and of our own."""
    loaded = sys.modules.get("open_clip")
    return _architecture_files() | frozenset(loaded.list_models() if loaded else ())


@lru_cache(maxsize=1)
def _architecture_files() -> frozenset[str]:
    """Read the names from open_clip's files: importing it takes seconds."""
    spec = find_spec("open_clip")
    folders = [Path(place) / "model_configs" for place in (spec.submodule_search_locations or ())] if spec else []
    return frozenset(path.stem for folder in (*folders, CLIP_CONFIGS) for path in folder.glob("*.json"))


def _parse(text: str, wanted: tuple[Kind, ...]) -> ModelRef:
    if text == EMBEDDED:
        return _embedded_segmenter() if "clip" not in wanted and "segmenter" in wanted else _embedded()
    scheme = text.partition(":")[0]
    if scheme == SPOTTING and (text in (SPOTTING, VITSTR) or text.startswith(f"{VITSTR}:")):
        return _spotting(text)
    if scheme == "sam":
        return _sam(text)
    found = _by_architecture(text) or _by_file(text) or _by_store(text)
    if found is None:
        if wanted == ("segmenter",):
            raise OditsError(f"There is no segmenter '{_short(text)}': use {SEGMENTER_FORMS}.")
        raise OditsError(f"There is no checkpoint '{_short(text)}': name {MODEL_FORMS}.")
    return found


def _spotting(reference: str) -> ModelRef:
    file = reference[len(VITSTR) + 1 :]
    if reference == SPOTTING:
        return ModelRef(reference, "spotting", "Word spotting", note=_SPOTTING_NOTE)
    path = expand_home(file) if file else None
    return ModelRef(reference, "spotting", "Word spotting with ViTSTR", "vitstr", path, note=_SPOTTING_NOTE)


def _embedded() -> ModelRef:
    header = read_metadata(EMBEDDED_WEIGHTS)
    return ModelRef(EMBEDDED, "clip", EMBEDDED_NAME, EMBEDDED_ARCHITECTURE, EMBEDDED_WEIGHTS, header=header)


def _embedded_segmenter() -> ModelRef:
    return ModelRef(EMBEDDED, "segmenter", EMBEDDED_SEGMENTER, note=_EMBEDDED_SEGMENTER_NOTE)


def _sam(reference: str) -> ModelRef:
    named = reference.removeprefix("sam:")
    if named in SAM_WEIGHTS:
        name, file, megabytes, note = SAM_WEIGHTS[named]
        place = cache_home() / "weights" / file
        return ModelRef(reference, "segmenter", name, named, place, named, megabytes=megabytes, note=note)
    path = _file(named) if named else None
    if path is None:
        raise OditsError(f"There is no segmenter '{_short(reference)}': use {SEGMENTER_FORMS}.")
    return ModelRef(reference, "segmenter", f"SAM ({path.name})", path=path)


def _by_architecture(text: str) -> ModelRef | None:
    """Parse ARCHITECTURE@FILE and ARCHITECTURE/TAG."""
    architecture, separator, file = text.partition("@")
    if separator and architecture in architectures():
        path = _file(file)
        if path is None:
            raise OditsError(f"There is no file '{_short(file)}'.")
        return ModelRef(text, "clip", f"{architecture} ({path.name})", architecture, path)
    architecture, separator, tag = text.partition("/")
    if not separator or architecture not in architectures():
        return None
    import open_clip  # deferred: seconds

    known = open_clip.list_pretrained_tags_by_model(architecture)
    if tag not in known:
        raise OditsError(
            f"open_clip knows no weights '{tag}' for {architecture}; it knows {', '.join(known) or 'none'}."
        )
    return ModelRef(text, "clip", text, architecture, tag=tag)


def _by_file(text: str) -> ModelRef | None:
    """Parse the path of a checkpoint."""
    path = _file(text)
    if path is None:
        return None
    return _known_architecture(
        _checkpoint(text, path) if path.suffix == ".safetensors" else ModelRef(text, "clip", path.stem, path=path)
    )


def _known_architecture(ref: ModelRef) -> ModelRef:
    """Refuse a CLIP checkpoint whose architecture nobody knows."""
    if ref.kind == "clip" and ref.architecture not in architectures():
        name = ref.weights.name
        raise OditsError(f"{name} names no architecture: write it in front, as in ViT-B-32@{name}.")
    return ref


def _by_store(text: str) -> ModelRef | None:
    """Parse a reference of a store whose checkpoint was pulled."""
    run, separator, name = text.removeprefix("runs:/").partition("/")
    while separator and run:
        stem = re.compile(re.escape(_pulled_stem(run, name)) + r"-[0-9a-f]{8}\.safetensors")
        pulled = [path for path in (cache_home() / "checkpoints").glob("*.safetensors") if stem.fullmatch(path.name)]
        if len(pulled) > 1:
            raise OditsError(f"Checkpoints of several stores are called '{text}': name one of their files.")
        if pulled:
            return replace(_known_architecture(_checkpoint(str(pulled[0]), pulled[0])), store=text)
        first, separator, name = name.partition("/")
        run = f"{run}/{first}"
    if _STORED.match(text):
        raise NotPulledError(text)
    return None


def _checkpoint(reference: str, path: Path) -> ModelRef:
    header = read_metadata(path)
    kind: Kind = "odits" if header.get("kind") == "odits" else "clip"
    name = header.get("name", path.stem)
    return ModelRef(reference, kind, name, header.get("architecture", ""), path, header=header)


def _file(text: str) -> Path | None:
    """Find the file of that name."""
    try:
        path = expand_home(text)
        return path if path.is_file() else None
    except (OSError, ValueError):  # a name too long, or a NUL in it
        return None


def _short(text: str) -> str:
    """Cut what a message quotes: a text that was pasted by mistake may be a book."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:200])
    return shown if len(text) <= 200 else f"{shown}…"


# References on the way to another process or machine.


def to_settings(ref: ModelRef) -> dict[str, Any]:
    """Return a reference as settings of a task of `odits.core.pool`: "model", and "weights" where it has a file.

    A file that this program carries is named, for every machine has it; another one is to travel.
    """
    described = {item.name: getattr(ref, item.name) for item in fields(ref) if item.name != "path"}
    described["header"] = dict(ref.header)
    carried = ref.path is None or ref.path == EMBEDDED_WEIGHTS
    return {"model": described} if carried else {"model": described, "weights": str(ref.path)}


def from_settings(model: Mapping[str, Any], weights: str | None = None) -> ModelRef:
    """Return the reference that `to_settings` described; `weights` is where its file lies on this machine."""
    if weights is None:
        return parse(model["reference"], model["kind"])
    return ModelRef(**model, path=Path(weights))
