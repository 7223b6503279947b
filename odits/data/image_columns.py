"""Which columns of a table with images hold what, found by their names and Arrow types, and what is in their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odits.core.documents import parse_json
from odits.data.records import SPLITS
from odits.data.vocabulary import clean_word, split_words

_IMAGE = ("image", "img", "picture", "jpg", "png")
_LEXICON = ("lexicon", "lexicons")
_WORDS = (
    "words", "texts", "text", "word", "transcriptions", "transcription", "utf8_string", "ocr_words", "labels", "label",
    "txt",
)  # fmt: skip
_CORNERS = ("polygons", "polygon", "quads", "quad", "points", "boxes", "xyxy")
_BOXES = ("bboxes", "bbox", "xywh")
_NAMES = ("file_name", "filename", "file", "name", "image_id", "id", "__key__")


@dataclass(frozen=True)
class Columns:
    """Which columns hold what; None where none does.

    Attributes:
        image: a struct of `bytes` and `path`, or bytes.
        lexicon: words.
        words: those that stand in the image.
        corners: x, y, x, y, … for each word.
        boxes: x, y, width, height for each word.
        name: of the image.
        split: it belongs to.
        nested: a column of which words, corners and boxes are fields.
        classes: the names of numbered classes, by column.
    """

    image: str
    lexicon: str | None = None
    words: str | None = None
    corners: str | None = None
    boxes: str | None = None
    name: str | None = None
    split: str | None = None
    nested: str | None = None
    classes: Mapping[str, Sequence[str]] | None = None

    @property
    def read(self) -> list[str]:
        """The columns that have to be read."""
        words = (self.nested,) if self.nested else (self.words, self.corners, self.boxes)
        found = (self.image, self.lexicon, *words, self.name, self.split)
        return [name for name in dict.fromkeys(found) if name]

    def image_of(self, row: Mapping[str, Any]) -> tuple[bytes | None, str, str]:
        """Return the content of a row's image, the path that stands for it or beside it, and its name."""
        cell = row.get(self.image)
        content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
        name = row.get(self.name) if self.name else None
        return content if isinstance(content, bytes) and content else None, str(path or ""), str(name or "")

    def split_of(self, row: Mapping[str, Any], default: str) -> str:
        """Return the split of a row; what the file tells where the row tells nothing."""
        told = str(row.get(self.split)).lower() if self.split else ""
        return told if told in SPLITS else "eval" if told in ("test", "validation", "val") else default

    def lexicon_of(self, row: Mapping[str, Any]) -> list[str]:
        """Return the lexicon of a row."""
        return _texts(row.get(self.lexicon)) if self.lexicon else []

    def words_of(self, row: Mapping[str, Any]) -> tuple[list[str], list[list[float]]]:
        """Return the words of a row's image, and x, y, x, y, … of the polygon or box of each, where there are such."""
        source = _fields(row.get(self.nested), (self.words, self.corners, self.boxes)) if self.nested else row
        names = (self.classes or {}).get(self.words or "")
        words = _names(source.get(self.words), names) if names and self.words else _texts(source.get(self.words or ""))
        return words, _corners(source.get(self.corners or self.boxes or ""), self.corners is not None)


def find_columns(schema: Any) -> Columns | None:
    """Find the columns of an Arrow schema by their names and types; None where none holds images.

    Columns that share their name are left out. Class names are read from the metadata of Hugging Face's `datasets`.
    """
    kinds = {name: schema.field(name).type for name in schema.names if schema.names.count(name) == 1}
    classes = _classes(schema.metadata or {})
    find = _finder(kinds)
    image = find(_IMAGE, _is_image) or next((name for name, kind in kinds.items() if _is_image(kind)), None)
    if image is None:
        return None
    name = find(_NAMES, lambda kind: _is_words(kind) or _is_number(kind))
    lexicon, split = find(_LEXICON, _is_words), find(("split",), _is_words)
    words = find(_WORDS, _is_words)
    if words is None:
        for column, kind in kinds.items():
            inner = _finder(_field_kinds(kind))
            if found := inner(_WORDS, _is_words):
                places = inner(_CORNERS), inner(_BOXES)
                return Columns(image, lexicon, found, *places, name, split, column)
        words = next((column for column in _WORDS if column in classes and column in kinds), None)
    return Columns(image, lexicon, words, find(_CORNERS), find(_BOXES), name, split, classes=classes)


def _finder(kinds: Mapping[str, Any]) -> Callable[..., str | None]:
    """Return what finds the first of some names among columns, in whatever case, whose type passes a test."""
    names = {name.lower(): name for name in kinds}

    def find(accepted: Iterable[str], test: Callable[[Any], bool] = lambda _: True) -> str | None:
        return next((names[name] for name in accepted if name in names and test(kinds[names[name]])), None)

    return find


def _is_image(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _is_bytes(field.type) for field in kind)
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_words(kind: Any) -> bool:
    """Return whether a type is text, or a list of texts; pandas' categories are dictionaries of texts."""
    import pyarrow as pa

    kind = _item(kind) or kind
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind))


def _item(kind: Any) -> Any:
    """Return the type of a list's items; None where it is no list."""
    import pyarrow as pa

    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return kind.value_type if is_list else None


def _field_kinds(kind: Any) -> dict[str, Any]:
    """Return the fields of a list of structs, or of a struct of lists, with the types of a word's share."""
    import pyarrow as pa

    item = _item(kind)
    if item is not None and pa.types.is_struct(item):
        return {field.name: field.type for field in item}
    if pa.types.is_struct(kind):
        return {field.name: _item(field.type) for field in kind if _item(field.type) is not None}
    return {}


def _classes(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Read the names of the classes of each column from the metadata that `datasets` writes."""
    try:
        features = parse_json(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        columns = list(features.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    found = {}
    for column, feature in columns:
        if isinstance(feature, list) and feature:
            feature = feature[0]
        if isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
            feature = feature["feature"]
        names = feature.get("names") if isinstance(feature, dict) else None
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            found[column] = names
    return found


def _fields(cell: Any, names: Iterable[str | None]) -> dict[str, list[Any]]:
    """Return the lists of some fields of a cell, a list of structs or a struct of lists."""
    wanted = [name for name in names if name]
    if isinstance(cell, dict):
        return {name: cell.get(name) or [] for name in wanted}
    entries = [entry for entry in cell if isinstance(entry, dict)] if isinstance(cell, list) else []
    return {name: [entry.get(name) for entry in entries] for name in wanted}


def _texts(cell: Any) -> list[str]:
    """Return the words of a cell: a list as it is, a text taken apart at spaces, commas and semicolons."""
    if isinstance(cell, str):
        return split_words(cell)
    parts = cell if isinstance(cell, list) else ()
    return [word for part in parts if isinstance(part, str) and (word := clean_word(part))]


def _names(cell: Any, names: Sequence[str]) -> list[str]:
    """Return the names of the classes whose number, or numbers, a cell holds; -1 means none."""
    numbers = cell if isinstance(cell, list) else [cell]
    return [clean_word(names[one]) for one in numbers if isinstance(one, int) and 0 <= one < len(names)]


def _corners(cell: Any, are_corners: bool) -> list[list[float]]:
    """Return x, y, x, y, … of each word's polygon or box."""
    if not isinstance(cell, list):
        return []
    if cell and isinstance(cell[0], int | float):  # of the only word
        cell = [cell]
    found = [_numbers(entry) for entry in cell]
    if are_corners:
        return found
    return [[x, y, x + width, y + height] for x, y, width, height in (one for one in found if len(one) == 4)]


def _numbers(entry: Any) -> list[float]:
    """Return the numbers of a polygon: of [x, y, …], [[x, y], …] or [{x, y}, …]; none where anything else is in it."""
    flat: list[Any] = []
    for value in entry if isinstance(entry, list) else []:
        if isinstance(value, dict):
            value = [value.get("x"), value.get("y")]
        flat += value if isinstance(value, list) else [value]
    good = all(isinstance(value, int | float) and not isinstance(value, bool) for value in flat)
    return [float(value) for value in flat] if good else []
