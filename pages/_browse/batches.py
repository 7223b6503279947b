"""What a browser sends of an annotator's marks: read with closed types, and written once however often it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from odits.core.errors import OditsError
from odits.data.annotations import change_marks, revert
from odits.data.marks import Box, Change, ImageWord, Shown
from pages._shared import serving

MOST_BATCHES, MOST_CHANGES = 100, 500
"""In one message, and in one batch."""
_BAD = "This browser sent marks that can't be read. Reload the page; nothing marked before is lost."


class Batch(NamedTuple):
    """Marks that were given together.

    Attributes:
        id: chosen by the browser.
        session: names the tab in which undo goes back.
        image: name of the picture.
        reverts: the batch that is taken back; "" for new marks.
        changes: the new marks; none where a batch is taken back.
    """

    id: str
    session: str
    image: str
    reverts: str
    changes: tuple[Change, ...]


class Outcome(NamedTuple):
    """What became of a message.

    Attributes:
        saved: ids of the batches that are on the disk now.
        refused: (id, sentence) of those that are not.
        remarks: sentences for the annotator.
        images: pictures whose marks may have changed.
    """

    saved: list[str]
    refused: list[tuple[str, str]]
    remarks: list[str]
    images: list[str]


def save_outbox(annotator: str, data: str, outbox: Any) -> Outcome:
    """Write the batches of a browser's outbox, in their order; each is on the disk before it counts as saved.

    Args:
        annotator: who marks.
        data: name of the data set in view; batches of another stay in the browser.
        outbox: as the browser sent it: it comes from outside.
    """
    outcome = Outcome([], [], [], [])
    for item in outbox[:MOST_BATCHES] if isinstance(outbox, list) else []:
        if not isinstance(item, Mapping) or not isinstance(item.get("id"), str) or item.get("data") != data:
            continue
        try:
            serving.require_part(annotator)
            batch = read_batch(item)
            changed = (
                revert(annotator, batch.reverts, batch.id, batch.session)
                if batch.reverts
                else change_marks(annotator, batch.changes, batch.id, batch.session)
            )
        except OditsError as error:
            outcome.refused.append((item["id"], str(error)))
            continue
        outcome.saved.append(batch.id)
        outcome.images.append(batch.image)
        if changed.kept:
            words = ", ".join(about.word for about in changed.kept[:5])
            outcome.remarks.append(f"Marked again since, and left as it is: {words}.")
    return outcome


def read_batch(item: Mapping[str, Any]) -> Batch:
    """Read a batch from outside.

    Raises:
        OditsError: it is none.
    """
    match item:
        case {
            "id": str() as batch,
            "session": str() as session,
            "data": str() as data,
            "image": str() as image,
            "reverts": str() as reverts,
            "after": Mapping() as after,
        } if batch and len(after) <= MOST_CHANGES:
            shown = read_shown(item.get("shown"))
            changes = () if reverts else tuple(_change(ImageWord(data, image, w), m, shown) for w, m in after.items())
            return Batch(batch, session, image, reverts, changes)
    raise OditsError(_BAD)


def read_shown(value: Any) -> Shown:
    """Read what was on screen. Raises OditsError."""
    match value:
        case {"version": str() as version, **more}:
            given = [one for one in map(more.get, ("model", "checkpoint", "vocabulary")) if isinstance(one, str)]
            model, checkpoint, vocabulary = given if len(given) == 3 else ("", "", "")
            return Shown(model, checkpoint, vocabulary, None, version)
    raise OditsError(_BAD)


def _change(about: ImageWord, mark: Any, shown: Shown) -> Change:
    if mark is None:
        return Change(about, None, shown=shown)
    match mark:
        case {"verdict": str() as verdict, "note": str() as note, "added": bool() as added}:
            probability, box = mark.get("probability"), mark.get("box")
            if probability is None or _is_number(probability):
                shown = shown._replace(probability=None if probability is None else float(probability))
                return Change(about, verdict, note, shown, added, _box(box))
    raise OditsError(_BAD)


def _box(value: Any) -> Box | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 4 and all(map(_is_number, value)):
        left, top, width, height = map(float, value)
        return left, top, width, height
    raise OditsError(_BAD)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
