"""CVAT's XML for images, version 1.1 (https://docs.cvat.ai/docs/other/xml_format): pictures are referred to by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from odits.data.images import Size

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML can't hold
_NO_LABEL = "object"
_KINDS = {"box": "rectangle"}  # what CVAT calls a shape among the labels, where that is not its element's name


class CvatShape(NamedTuple):
    """A tag of an image, or a shape in it.

    Attributes:
        kind: the element: "tag", "box", "polygon" or "mask".
        label: what it is.
        place: the attributes that say where: xtl, ytl, xbr, ybr; points; or rle, left, top, width, height.
        attributes: what else is known of it, by name.
        group: shapes of one object share a number; 0 for none.
    """

    kind: str
    label: str
    place: Mapping[str, str]
    attributes: Mapping[str, str] = {}
    group: int = 0


class CvatImage(NamedTuple):
    """A picture with its shapes.

    Attributes:
        name: as the task in CVAT has it.
        size: width and height.
        shapes: in it.
    """

    name: str
    size: Size
    shapes: Sequence[CvatShape]


def cvat_document(images: Sequence[CvatImage], task: str) -> bytes:
    """Return the XML of these images; its labels are declared with all that their shapes need.

    Args:
        images: with their shapes.
        task: its name.
    """
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    _meta(SubElement(root, "meta"), images, task)
    for number, image in enumerate(images):
        width, height = image.size
        told = {"id": str(number), "name": _clean(image.name), "width": str(width), "height": str(height)}
        element = SubElement(root, "image", told)
        for order, shape in enumerate(image.shapes):
            _shape(element, shape, order)
    indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, "utf-8") + b"\n"


def _meta(meta: Element, images: Sequence[CvatImage], task: str) -> None:
    """Describe the task and its labels: a label's attributes, and its kind where all its shapes are of one."""
    kinds: dict[str, set[str]] = {}
    attributes: dict[str, dict[str, None]] = {}
    for image in images:
        for shape in image.shapes:
            kinds.setdefault(shape.label, set()).add(_KINDS.get(shape.kind, shape.kind))
            attributes.setdefault(shape.label, {}).update(dict.fromkeys(shape.attributes))
    if not kinds:  # FiftyOne fails over a task without labels
        kinds, attributes = {_NO_LABEL: set()}, {_NO_LABEL: {}}
    now = str(datetime.now(UTC))
    described = SubElement(meta, "task")
    for name, value in {
        "id": "0",
        "name": task,
        "size": str(len(images)),
        "mode": "annotation",
        "overlap": "0",
        "bugtracker": "",
        "created": now,
        "updated": now,
        "start_frame": "0",
        "stop_frame": str(max(len(images) - 1, 0)),
    }.items():
        SubElement(described, name).text = _clean(value)
    labels = SubElement(described, "labels")
    for label, found in kinds.items():
        element = SubElement(labels, "label")
        SubElement(element, "name").text = _clean(label)
        SubElement(element, "type").text = next(iter(found)) if len(found) == 1 else "any"
        declared = SubElement(element, "attributes")
        for name in attributes[label]:
            attribute = SubElement(declared, "attribute")
            for key, value in {
                "name": name,
                "mutable": "False",
                "input_type": "text",
                "default_value": "",
                "values": "",
            }.items():
                SubElement(attribute, key).text = value
    SubElement(meta, "dumped").text = now


def _shape(image: Element, shape: CvatShape, order: int) -> None:
    told = {"label": _clean(shape.label), "source": "auto"}
    if shape.kind != "tag":
        told |= {"occluded": "0", **shape.place, "z_order": str(order)}
    if shape.group:
        told["group_id"] = str(shape.group)
    element = SubElement(image, shape.kind, told)
    for name, value in shape.attributes.items():
        SubElement(element, "attribute", {"name": name}).text = _clean(value)


def _clean(text: str) -> str:
    """Return the text without the characters that XML can't hold."""
    return _FORBIDDEN.sub("�", text)
