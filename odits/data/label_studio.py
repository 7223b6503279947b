"""Label Studio: tasks in which predicted words are marked, and the marks of its exports.

A word is right, wrong, unsure or skipped by being chosen in one of four lists (`Choices`), which have the predicted
words of the task. What a mark is about (data set, model, weights, vocabulary) goes along in the task's data and comes
back in the export (https://labelstud.io/guide/task_format).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import quoteattr

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.data.annotation_imports import REFUSE, TakenMarks, take_over
from odits.data.annotation_tables import MAX_BYTES
from odits.data.exports import LOCAL_FILES, Files, Predictor, WordsOfImage, picture_address
from odits.data.marks import (
    ANNOTATION,
    MARK_COLUMNS,
    MAX_FIELD,
    VERDICTS,
    ImageWord,
    Mark,
    Shown,
    check_mark,
    clean_name,
    mark_of,
    now,
    to_row,
)

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


def import_tasks(
    content: bytes, annotator: str, file: str = "The file", mode: str = REFUSE, done_by: str | None = None
) -> TakenMarks:
    """Take over the marks of an export of Label Studio (JSON or JSON-MIN), under an annotator's name.

    Args:
        content: of the file.
        annotator: under whose name.
        file: what messages call it.
        mode: what becomes of words that are marked otherwise here; see `odits.data.annotation_imports.take_over`.
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
        before = _details(task)
        shown = Shown(about["model"], about["checkpoint"], about["vocabulary"])
        for annotation in _annotations(task):
            person = _person(annotation)
            if done_by is not None and person != done_by:
                continue
            people.setdefault(person)
            for mark, words in _verdicts(annotation):
                for word in words:
                    _add(marks, _word(about, word), mark._replace(shown=shown), place, remarks)
        for word, detail in before.items():
            given = marks.get(ImageWord(about["data"], about["image"], word))
            if given is not None and given.verdict == detail.verdict:
                marks[ImageWord(about["data"], about["image"], word)] = detail
    if len(people) > 1:
        raise OditsError(
            f"{file} holds annotations of {len(people)} people ({', '.join(list(people)[:5])}): say whose to take."
        )
    if not marks:
        raise OditsError(
            f"{file} holds no marks{f' of {done_by}' if done_by else ''}." + (f" {remarks[0]}" if remarks else "")
        )
    return take_over(name, list(marks.items()), mode, remarks)


def mark_tasks(name: str, marks: Iterable[tuple[ImageWord, Mark]], prefix: str | None = None) -> Files:
    """Write a task a picture with an annotator's marks as its annotation, and the labelling configuration beside it.

    What Label Studio has no place for (notes, boxes, probabilities) is in the task's data, and comes back for words
    whose verdict nobody changed there. Decisions between others are left out: there they could not be told from marks.

    Args:
        name: the annotator.
        marks: of the annotator.
        prefix: what stands before each picture's name; default: files on Label Studio's machine.
    """
    pictures: dict[tuple[str, str], dict[str, Mark]] = {}
    for about, mark in marks:
        if mark.role == ANNOTATION:
            pictures.setdefault((about.data, about.image), {})[about.word] = mark
    tasks: list[dict[str, Any]] = []
    for (data, image), given in pictures.items():
        shown = next(iter(given.values())).shown
        described = dict(zip(_ABOUT, (data, image, shown.model, shown.checkpoint, shown.vocabulary), strict=True))
        details = {word: dict(zip(MARK_COLUMNS, to_row(mark), strict=True)) for word, mark in given.items()}
        results = [
            {
                "id": region_id(data, image, verdict),
                "from_name": verdict,
                "to_name": "image",
                "type": "choices",
                "value": {"choices": words},
            }
            for verdict in VERDICTS
            if (words := [word for word, mark in given.items() if mark.verdict == verdict])
        ]
        last = max(mark.time for mark in given.values())
        tasks.append(
            {
                "data": {
                    "image": picture_address(image, prefix, LOCAL_FILES),
                    "words": [{"value": word} for word in given],
                    ABOUT: dict[str, Any](described) | {"annotator": name, "marks": details},
                },
                "annotations": [{"result": results, "created_at": last, "updated_at": last}],
            }
        )
    return {".json": dump(tasks), CONFIG: WORDS_CONFIG.encode()}


def _details(task: Mapping[str, Any]) -> dict[str, Mark]:
    """Return the marks that a task brings along, by word; what is none is left out."""
    data = task.get("data")
    found = data.get(ABOUT) if isinstance(data, dict) else task.get(ABOUT)
    details = found.get("marks") if isinstance(found, dict) else None
    marks: dict[str, Mark] = {}
    for word, values in details.items() if isinstance(details, dict) else ():
        if isinstance(values, dict) and all(isinstance(value, str) for value in values.values()):
            with suppress(OditsError):
                marks[word] = mark_of(values)
    return marks


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
        # nothing may have been on screen, but a picture there was
        isinstance(value, str) and len(value) <= MAX_FIELD and "\0" not in value and (value or column in _ABOUT[2:])
        for column, value in about.items()
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
