"""Label Studio: tasks in which predicted words are marked, and the marks of its exports.

A word is right, wrong, unsure or skipped by being chosen in one of four lists (`Choices`), which have the predicted
words of the task. What a mark is about (data set, model, weights, vocabulary) goes along in the task's data and comes
back in the export (https://labelstud.io/guide/task_format).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.data.annotation_imports import Conflict, conflicts_of
from odits.data.annotation_tables import MAX_BYTES
from odits.data.annotations import put_marks, read_marks
from odits.data.exports import LOCAL_FILES, Files, Predictor, WordsOfImage, picture_address
from odits.data.marks import MAX_FIELD, VERDICTS, ImageWord, Mark, Shown, check_mark, clean_name, now

ABOUT = "odits"
"""The field of a task's data that says what its marks are about, and which model proposed the words."""
_ABOUT = ("data", "image", "model", "checkpoint", "vocabulary")

CONFIG = ".config.xml"
"""How the file with the labelling configuration is called, after the one with the tasks."""

WORDS_CONFIG = f"""<View>
  <Image name="image" value="$image" zoom="true"/>
{
    "".join(
        f'''  <Header value="{verdict.capitalize()}"/>
  <Choices name="{verdict}" toName="image" choice="multiple" value="$words"/>
'''
        for verdict in VERDICTS
    )
}</View>
"""
"""The labelling configuration of word tasks."""


def word_tasks(images: Sequence[WordsOfImage], by: Predictor, prefix: str | None = None) -> Files:
    """Write a task an image, the predicted words chosen as right, and the labelling configuration beside them.

    Args:
        images: with their words.
        by: who predicted them.
        prefix: what stands before each picture's name; default: files on Label Studio's machine.
    """
    tasks = []
    for one in images:
        words = [word for word, _ in one.words]
        about = dict(zip(_ABOUT, (by.data, one.image, by.model, by.checkpoint, by.vocabulary), strict=True))
        result = {
            "id": region_id(one.image, by.checkpoint),
            "from_name": VERDICTS[0],
            "to_name": "image",
            "type": "choices",
            "value": {"choices": words},
        }
        total = sum(probability for _, probability in one.words)
        tasks.append(
            {
                "data": {
                    "image": picture_address(one.image, prefix, LOCAL_FILES),
                    "words": [{"value": word} for word in words],
                    "probabilities": {word: round(float(probability), 6) for word, probability in one.words},
                    ABOUT: about,
                },
                "predictions": [
                    {
                        "model_version": by.model,
                        "score": round(float(total / len(words)), 6) if words else 0.0,
                        "result": [result] if words else [],
                    }
                ],
            }
        )
    return {".json": dump(tasks), CONFIG: WORDS_CONFIG.encode()}


def dump(document: Any) -> bytes:
    """Return a JSON document as UTF-8."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def region_id(*parts: str) -> str:
    """Return an id as Label Studio gives them: ten characters, the same for the same parts."""
    return sha256_of("\0".join(parts))[:10]


def label_tags(labels: Sequence[str]) -> str:
    """Return the `<Label>` tags of a labelling configuration."""
    return "".join(f"<Label value={quoteattr(label)}/>" for label in labels)


# Marks that come back.


class TakenMarks(NamedTuple):
    """What came out of an export.

    Attributes:
        name: the annotator.
        read: marks in the file.
        new: of these, how many were written.
        conflicts: words that are marked otherwise here.
        replaced: whether the file's marks took the place of those here.
        remarks: one sentence for each task or word that could not be used.
    """

    name: str
    read: int
    new: int
    conflicts: tuple[Conflict, ...]
    replaced: bool
    remarks: tuple[str, ...]


def import_tasks(
    content: bytes, annotator: str, file: str = "The file", replace: bool = False, done_by: str | None = None
) -> TakenMarks:
    """Take over the marks of an export of Label Studio (JSON or JSON-MIN), under an annotator's name.

    Where a word is marked otherwise here, the mark here stays, unless `replace` says so; both are returned.

    Args:
        content: of the file.
        annotator: under whose name.
        file: what messages call it.
        replace: the file's marks take the place of those here.
        done_by: only annotations that this user of Label Studio made (number or e-mail); default: of everybody.

    Raises:
        OditsError: it is no such export, holds annotations of several users and none is named, or marks can't be
            written; nothing was taken over.
    """
    name = clean_name(annotator)
    remarks: list[str] = []
    marks: dict[ImageWord, Mark] = {}
    people: dict[str, None] = {}
    for place, task in _tasks(content, file):
        about = _about(task)
        if about is None:
            remarks.append(f"{place}: it is not about words that this program predicted; left out.")
            continue
        for annotation in _annotations(task):
            person = _person(annotation)
            if done_by is not None and person != done_by:
                continue
            people.setdefault(person)
            for mark, words in _verdicts(annotation):
                shown = Shown(about["model"], about["checkpoint"], about["vocabulary"])
                for word in words:
                    _add(marks, _word(about, word), mark._replace(shown=shown), place, remarks)
    if len(people) > 1:
        raise OditsError(
            f"{file} holds annotations of {len(people)} people ({', '.join(list(people)[:5])}): say whose to take."
        )
    if not marks:
        raise OditsError(
            f"{file} holds no marks{f' of {done_by}' if done_by else ''}." + (f" {remarks[0]}" if remarks else "")
        )
    here = read_marks(name)
    conflicts = conflicts_of(here, marks.items())
    taken = {about: mark for about, mark in marks.items() if about not in here}
    if replace:
        taken |= {one.about: one.there._replace(note=one.here.note) for one in conflicts}
    written = put_marks(name, taken.items()) if taken else 0
    return TakenMarks(name, len(marks), written, tuple(conflicts), replace, tuple(remarks))


def _tasks(content: bytes, file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the tasks of an export with the words that name each in messages."""
    if len(content) > MAX_BYTES:
        raise OditsError(f"{file} is larger than {MAX_BYTES // 2**20} MiB.")
    try:
        document = parse_json(content.decode("utf-8-sig"))
    except ValueError as error:
        raise OditsError(f"{file} is no JSON file.") from error
    if not isinstance(document, list) or not all(isinstance(task, dict) for task in document):
        raise OditsError(f"{file} is no export of Label Studio: it is not a list of tasks.")
    for number, task in enumerate(document, 1):
        yield f"{file}, task {number}", task


def _about(task: Mapping[str, Any]) -> dict[str, str] | None:
    """Return what the task's marks are about, without the word; None where it does not say, or says nonsense."""
    data = task.get("data")
    found = data.get(ABOUT) if isinstance(data, dict) else task.get(ABOUT)
    if not isinstance(found, dict):
        return None
    about = {column: found.get(column) for column in _ABOUT}
    good = all(
        isinstance(value, str) and value and len(value) <= MAX_FIELD and "\0" not in value for value in about.values()
    )
    return {column: str(value) for column, value in about.items()} if good else None


def _annotations(task: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the annotations of a task; a task of JSON-MIN is its own, older exports call them completions."""
    if "data" not in task:
        yield dict(task)
        return
    found = task.get("annotations", task.get("completions"))
    for annotation in found if isinstance(found, list) else ():
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            yield annotation


def _person(annotation: Mapping[str, Any]) -> str:
    """Return who made an annotation: number or e-mail."""
    person = annotation.get("completed_by", annotation.get("annotator"))
    if isinstance(person, dict):
        person = person.get("email") or person.get("id")
    return str(person)


def _verdicts(annotation: Mapping[str, Any]) -> Iterator[tuple[Mark, list[Any]]]:
    """Yield a mark for each list of an annotation, with the words that were chosen in it."""
    time = _time(annotation)
    result = annotation.get("result")
    if isinstance(result, list):
        for entry in result:
            if isinstance(entry, dict) and entry.get("from_name") in VERDICTS and isinstance(entry.get("value"), dict):
                yield Mark(str(entry["from_name"]), "", time), _listed(entry["value"])
        return
    for verdict in VERDICTS:
        if annotation.get(verdict):
            yield Mark(verdict, "", time), _listed(annotation[verdict])


def _listed(value: Any) -> list[Any]:
    """Return the chosen words: of {"choices": [...]}, of a list, or the only one."""
    if isinstance(value, dict):
        value = value.get("choices")
    return value if isinstance(value, list) else [value]


def _time(annotation: Mapping[str, Any]) -> str:
    """Return when an annotation was made, in UTC; now where it does not say, or says the future."""
    for key in ("updated_at", "created_at"):
        try:
            time = datetime.fromisoformat(str(annotation.get(key)))
            aware = time if time.tzinfo else time.replace(tzinfo=UTC)
            return min(aware.astimezone(UTC), datetime.now(UTC)).isoformat(timespec="microseconds")
        except (ValueError, OverflowError):
            continue
    return now()


def _word(about: Mapping[str, str], word: Any) -> ImageWord | None:
    good = isinstance(word, str) and word and len(word) <= MAX_FIELD and "\0" not in word
    return ImageWord(about["data"], about["image"], word) if good else None


def _add(marks: dict[ImageWord, Mark], about: ImageWord | None, mark: Mark, place: str, remarks: list[str]) -> None:
    """Add a mark; a word under two verdicts is unsure, and that is said."""
    if about is None:
        remarks.append(f"{place}: a chosen word is empty or too long; left out.")
        return
    check_mark(mark)
    earlier = marks.get(about)
    if earlier is not None and earlier.verdict != mark.verdict:
        remarks.append(f"{place}: {about.word[:40]!r} is both {earlier.verdict} and {mark.verdict}; taken as unsure.")
        mark = mark._replace(verdict="unsure")
    marks[about] = mark
