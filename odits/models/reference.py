"""What a model reference stands for, found out in one place and without loading a model.

| reference | stands for |
|---|---|
| `spotting`, `spotting:v6` | word spotting; with PP-OCRv6's detector of lines in place of PP-OCRv5's |
| `spotting:v4` | the same with PP-OCRv4's networks, where their package is installed |
| `spotting:joint` | word spotting by all readers that are installed |
| `spotting:quick` | word spotting that looks for lines less often |
| `spotting:vitstr`, `spotting:vitstr:FILE` | word spotting with docTR's ViTSTR as its recogniser |
| `street` | ODITS Street in assets/: ODITS whose objects are the places where words are written |
| `embedded` | the CLIP model in assets/; as a segmenter: text lines and regions of one colour |
| `ARCHITECTURE/TAG` | open_clip's pretrained weights, such as `ViT-B-32/openai` |
| `ViT-B/32` | the same by OpenAI's own names |
| `hf-hub:ORG/NAME` | a CLIP model of the Hugging Face hub, open_clip's or transformers'; `@REVISION` may follow |
| `FOLDER`, `local-dir:FOLDER` | a folder in one of these layouts |
| `ARCHITECTURE@FILE` | a weights file that names no architecture |
| `FILE.safetensors` | a checkpoint: CLIP or ODITS, as its header says, or else its shapes |
| `RUN/NAME`, `runs:/RUN/NAME` | a checkpoint that was pulled from a store, as `odits checkpoints list` prints it |
| `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/m-ID` | the same by MLflow's registry |
| `sam:vit_b`, `sam:vit_l`, `sam:vit_h`, `sam:FILE` | Segment Anything, in Meta's files |
| `sam2:tiny`, `sam2:small`, `sam2:base-plus`, `sam2:large` | Segment Anything 2.1 of the hub |
| `sam3` | Segment Anything 3 of the hub, which takes text prompts |
| `sam:`, `sam2:` or `sam3:` with FOLDER or OWNER/NAME | the same, in the hub's layout |
| a segmenter with `#random` or `#grid` behind it | a control: boxes of the sizes of its objects, laid blindly |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from odits.core.errors import OditsError
from odits.core.files import cache_home, expand_home, safe_name, sha256_of
from odits.core.model_folders import cached_weights, configs_beside, is_repository, read_config, weights_at
from odits.models.clip_references import HUB, by_architecture, by_file, by_folder, by_hub, known_architecture
from odits.models.model_ref import (
    CARRIED,
    DEFAULT_MODEL,
    DEFAULT_SEGMENTER,
    EMBEDDED,
    EMBEDDED_ARCHITECTURE,
    EMBEDDED_NAME,
    EMBEDDED_WEIGHTS,
    KINDS,
    LAYOUTS,
    SPOTTING,
    SPOTTING_JOINT,
    SPOTTING_QUICK,
    SPOTTING_V4,
    SPOTTING_V6,
    STREET,
    STREET_WEIGHTS,
    VITSTR,
    WORD_MODELS,
    Kind,
    ModelRef,
    NotPulledError,
    architectures,
    checkpoint_reference,
    find_file,
    read_metadata,
    shortened,
    split_layout,
)
from odits.models.pulled import recall

__all__ = [
    "CLIP_FORMS",
    "DEFAULT_MODEL",
    "DEFAULT_SEGMENTER",
    "EMBEDDED",
    "EMBEDDED_ARCHITECTURE",
    "EMBEDDED_NAME",
    "EMBEDDED_WEIGHTS",
    "HUB_SAMS",
    "KINDS",
    "MODEL_FORMS",
    "ODITS_FORMS",
    "SAM_WEIGHTS",
    "SEGMENTER_FORMS",
    "SPOTTING",
    "SPOTTING_JOINT",
    "SPOTTING_QUICK",
    "SPOTTING_V4",
    "SPOTTING_V6",
    "VITSTR",
    "WORD_MODELS",
    "Kind",
    "ModelRef",
    "NotPulledError",
    "architectures",
    "available",
    "from_settings",
    "parse",
    "pulled_path",
    "read_metadata",
    "to_settings",
]

CLIP_FORMS = "embedded, an open_clip model such as ViT-B-32/openai, hf-hub:ORG/NAME, a folder, or a safetensors file"
MODEL_FORMS = f"street (ODITS Street), spotting (it reads), {CLIP_FORMS}"
ODITS_FORMS = "street, or an ODITS checkpoint (safetensors)"

SEGMENTER_FORMS = (
    "embedded, sam:vit_b, sam:vit_l, sam:vit_h, sam2:tiny, sam2:small, sam2:base-plus, sam2:large, sam3, "
    "or sam:, sam2: or sam3: with a file or folder"
)

_KIND_NAMES = {
    "clip": "a CLIP model",
    "odits": "an ODITS checkpoint",
    "spotting": "word spotting",
    "segmenter": "a segmenter",
}
# MLflow's and Neptune's run ids, and MLflow's own references
_STORED = re.compile(r"(runs:/|models:/|[0-9a-f]{32}(/|$)|([^/]+/){0,2}[A-Z][A-Z0-9]*-\d+/)")


SAM_WEIGHTS = {
    "vit_b": ("SAM ViT-B", "sam_vit_b_01ec64.pth", 375, "Segment Anything, the smallest model."),
    "vit_l": ("SAM ViT-L", "sam_vit_l_0b3195.pth", 1250, "Segment Anything, the middle model."),
    "vit_h": ("SAM ViT-H", "sam_vit_h_4b8939.pth", 2564, "Segment Anything, the largest model."),
}
"""Name, official file, megabytes and a sentence for each of SAM's published weights."""
HUB_SAMS = {
    "sam2:tiny": ("SAM 2.1 tiny", "facebook/sam2.1-hiera-tiny", 156, "Segment Anything 2.1, the smallest model."),
    "sam2:small": ("SAM 2.1 small", "facebook/sam2.1-hiera-small", 184, "Segment Anything 2.1, a small model."),
    "sam2:base-plus": ("SAM 2.1 base+", "facebook/sam2.1-hiera-base-plus", 323, "Segment Anything 2.1, the middle."),
    "sam2:large": ("SAM 2.1 large", "facebook/sam2.1-hiera-large", 898, "Segment Anything 2.1, the largest model."),
    "sam3": (
        "SAM 3",
        "facebook/sam3",
        3440,
        "Segment Anything 3: finds what a text names, such as a sign. The hub gives its weights to who asked for them.",
    ),
}
"""Name, repository on the hub, megabytes and a sentence for each of the published SAM 2.1 and SAM 3."""
_HUB_TYPES = {
    "sam": ("SAM", ("sam",)),
    "sam2": ("SAM 2", ("sam2", "sam2_video")),
    "sam3": ("SAM 3", ("sam3", "sam3_tracker", "sam3_video")),
}
"""What the models of a family are called, and what their config.json may call them."""
_SPOTTERS = {
    SPOTTING_V6: ("Word spotting on PP-OCRv6's lines", "v6"),
    SPOTTING_V4: ("Word spotting with PP-OCRv4", "v4"),
    SPOTTING_JOINT: ("Word spotting by several readers", "joint"),
    SPOTTING_QUICK: ("Word spotting, quick", "quick"),
}
EMBEDDED_SEGMENTER = "Text regions + colour regions (not SAM)"
_EMBEDDED_SEGMENTER_NOTE = (
    "Works offline: lines of text by rapidocr's detector, and regions of one colour by classical image processing."
)


STREET_NAME = "ODITS Street"
_STREET_NOTE = (
    "Reads each place where a word is written, and says how probable it is that the word is there, "
    "with any vocabulary; trained on rendered scenes."
)
_CONTROL_NOTE = "A control: boxes as many and as large as the objects, laid without a look at the picture."
_SPOTTING_NOTE = "Reads what is written in the picture: a word that stands nowhere gets next to no probability."


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
        raise OditsError(f"'{shortened(ref.reference)}' is not {needed}: it is {_KIND_NAMES[ref.kind]}.")
    return ref


def available(kind: Kind | None = None) -> list[ModelRef]:
    """List the models that can be chosen without naming a file: word models, then segmenters.

    Those are ODITS Street, word spotting, the embedded CLIP model, every readable checkpoint in ODITS_HOME/checkpoints
    by file name, the embedded segmenter, SAM, SAM 2.1 and SAM 3.
    """
    street = [_street()] if STREET_WEIGHTS.is_file() else []
    found = [*street, _spotting(SPOTTING), *([_spotting(VITSTR)] if find_spec("doctr") else [])]
    if EMBEDDED_WEIGHTS.is_file():
        found.append(_embedded())
    for path in sorted((cache_home() / "checkpoints").glob("**/*.safetensors")):
        try:
            found.append(checkpoint_reference(str(path), path))
        except OditsError:
            continue  # an unreadable file is named when it is asked for; it must not hide the others
    found += [_embedded_segmenter(), *(_sam(f"sam:{name}") for name in SAM_WEIGHTS), *map(_hub_sam, HUB_SAMS)]
    return [ref for ref in found if kind in (None, ref.kind)]


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


def _parse(text: str, wanted: tuple[Kind, ...]) -> ModelRef:
    if text == EMBEDDED:
        return _embedded_segmenter() if "clip" not in wanted and "segmenter" in wanted else _embedded()
    segmenter, layout = split_layout(text)
    if layout and "segmenter" in wanted and not find_file(text):
        ref = parse(segmenter, "segmenter")
        return replace(ref, reference=text, name=f"{LAYOUTS[layout]}, sizes of: {ref.name}", note=_CONTROL_NOTE)
    if text == STREET:
        return _street()
    scheme = text.partition(":")[0]
    if scheme == SPOTTING and (text in (SPOTTING, *_SPOTTERS, VITSTR) or text.startswith(f"{VITSTR}:")):
        return _spotting(text)
    if scheme == "sam":
        return _sam(text)
    if scheme in ("sam2", "sam3"):
        return _hub_sam(text)
    if text.startswith(HUB):
        return by_hub(text)
    found = by_architecture(text) or by_file(text) or by_folder(text) or _by_store(text)
    if found is None:
        if wanted == ("segmenter",):
            raise OditsError(f"There is no segmenter '{shortened(text)}': use {SEGMENTER_FORMS}.")
        raise OditsError(f"There is no checkpoint '{shortened(text)}': name {MODEL_FORMS}.")
    return found


def _spotting(reference: str) -> ModelRef:
    file = reference[len(VITSTR) + 1 :]
    if reference == SPOTTING:
        return ModelRef(reference, "spotting", "Word spotting", note=_SPOTTING_NOTE)
    if reference in _SPOTTERS:
        name, architecture = _SPOTTERS[reference]
        return ModelRef(reference, "spotting", name, architecture, note=_SPOTTING_NOTE)
    path = expand_home(file) if file else None
    return ModelRef(reference, "spotting", "Word spotting with ViTSTR", "vitstr", path, note=_SPOTTING_NOTE)


def _embedded() -> ModelRef:
    header = read_metadata(EMBEDDED_WEIGHTS)
    return ModelRef(EMBEDDED, "clip", EMBEDDED_NAME, EMBEDDED_ARCHITECTURE, EMBEDDED_WEIGHTS, header=header)


def _street() -> ModelRef:
    header = read_metadata(STREET_WEIGHTS)
    return ModelRef(STREET, "odits", STREET_NAME, "", STREET_WEIGHTS, header=header, note=_STREET_NOTE)


def _embedded_segmenter() -> ModelRef:
    return ModelRef(EMBEDDED, "segmenter", EMBEDDED_SEGMENTER, note=_EMBEDDED_SEGMENTER_NOTE)


def _sam(reference: str) -> ModelRef:
    named = reference.removeprefix("sam:")
    if named in SAM_WEIGHTS:
        name, file, megabytes, note = SAM_WEIGHTS[named]
        place = cache_home() / "weights" / file
        return ModelRef(reference, "segmenter", name, named, place, named, megabytes=megabytes, note=note)
    path = find_file(named) if named else None
    if path is None:
        return _hub_sam(reference)
    return ModelRef(reference, "segmenter", f"SAM ({path.name})", path=path)


def _hub_sam(reference: str) -> ModelRef:
    """Parse a SAM in the hub's layout: of the hub itself, or in a folder."""
    family, _, named = reference.partition(":")
    title, types = _HUB_TYPES[family]
    pickles = family == "sam"
    path = weights_at(named, pickles) if named else None
    if path is not None:
        repository, name, megabytes, note = "", f"{title} ({path.parent.name})", 0, ""
    elif reference in HUB_SAMS:
        name, repository, megabytes, note = HUB_SAMS[reference]
    elif is_repository(named) and not expand_home(named).exists():
        repository, name, megabytes, note = named, f"{title} ({named})", 0, ""
    else:
        raise OditsError(f"There is no segmenter '{shortened(reference)}': use {SEGMENTER_FORMS}.")
    path = path or cached_weights(repository, pickles)
    header = configs_beside(path) if path is not None else {}
    if path is not None and read_config(header).get("model_type") not in types:
        raise OditsError(
            f"{shortened(named or repository)} is not {title} in the hub's layout: "
            "that is a folder whose config.json says so, with model.safetensors."
        )
    return ModelRef(reference, "segmenter", name, "", path, repository, "", header, megabytes, note)


def _by_store(text: str) -> ModelRef | None:
    """Parse a reference of a store whose checkpoint was pulled."""
    if found := recall(text):
        return replace(known_architecture(checkpoint_reference(str(found.path), found.path)), store=text)
    run, separator, name = text.removeprefix("runs:/").partition("/")
    while separator and run:
        stem = re.compile(re.escape(_pulled_stem(run, name)) + r"-[0-9a-f]{8}\.safetensors")
        pulled = [path for path in (cache_home() / "checkpoints").glob("*.safetensors") if stem.fullmatch(path.name)]
        if len(pulled) > 1:
            raise OditsError(f"Checkpoints of several stores are called '{text}': name one of their files.")
        if pulled:
            return replace(known_architecture(checkpoint_reference(str(pulled[0]), pulled[0])), store=text)
        first, separator, name = name.partition("/")
        run = f"{run}/{first}"
    if _STORED.match(text):
        raise NotPulledError(text)
    return None


# References on the way to another process or machine.


def to_settings(ref: ModelRef) -> dict[str, Any]:
    """Return a reference as settings of a task of `odits.core.pool`: "model", and "weights" where it has a file.

    A file that this program carries is named, for every machine has it; another one is to travel.
    """
    described = {item.name: getattr(ref, item.name) for item in fields(ref) if item.name != "path"}
    described["header"] = dict(ref.header)
    carried = ref.path is None or ref.path in CARRIED
    return {"model": described} if carried else {"model": described, "weights": str(ref.path)}


def from_settings(model: Mapping[str, Any], weights: str | None = None) -> ModelRef:
    """Return the reference that `to_settings` described; `weights` is where its file lies on this machine."""
    if weights is None:
        return parse(model["reference"], model["kind"])
    return ModelRef(**model, path=Path(weights))
