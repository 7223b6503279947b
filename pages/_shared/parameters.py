"""What an address may say: every parameter of every page, its type, and what it reaches beyond what is offered here.

An address only shows. A parameter is one of a few types, read by one function; what is nonsense, or unknown, is left
out and told. What reaches outside (a host, a path, a model that is not offered) waits until somebody opens it by hand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

from odits.models.registry import DEFAULT_MODEL, EMBEDDED, SPOTTING, available
from odits.tracking.connections import has_login_for, host_of, redact

BY_NAME = ("ViT-B-32/openai", "ViT-B-32/laion2b_s34b_b79k", "ViT-B-16/openai", "ViT-L-14/openai")
"""open_clip's weights that are offered by name; any other can be typed."""
OLDER_MODELS = {"odits-signs": EMBEDDED, **{name.partition("/")[0]: name for name in reversed(BY_NAME)}}
"""What links of before call models."""

LONGEST = 1500
"""Characters of one value that an address carries; browsers and proxies cut longer addresses."""
_SHORT = 400


class Parameter(NamedTuple):
    """A parameter of an address.

    Attributes:
        reads: whether a text is of its type.
        reach: what opening a value reaches, to follow "This link wants to"; "" where that is offered anyway. None: the
            parameter chooses among what is offered, and reaches nothing.
    """

    reads: Callable[[str], bool]
    reach: Callable[[str], str] | None = None


def _is_line(text: str) -> bool:
    """Whether it is a short line: one of several options, a name, a word."""
    return len(text) <= _SHORT and text.isprintable()


def _is_text(text: str) -> bool:
    """Whether it is text of several lines, or several names."""
    return len(text) <= LONGEST and all(letter.isprintable() or letter in "\n\r\t" for letter in text)


def _is_number(text: str) -> bool:
    """Whether it is a finite number as people write it."""
    return bool(re.fullmatch(r"-?\d{1,12}(\.\d{1,18})?(e-?\d{1,3})?", text, re.ASCII)) and math.isfinite(float(text))


def _is_count(text: str) -> bool:
    return bool(re.fullmatch(r"\d{1,6}", text, re.ASCII))


def _is_switch(text: str) -> bool:
    return text in ("True", "False")


def _is_range(text: str) -> bool:
    return bool(re.fullmatch(r"[\d.]{1,8}-[\d.]{1,8}", text, re.ASCII))


def _model(text: str) -> str:
    """Say what a model's reference reaches that is none of the models offered."""
    offered = {"untrained", *BY_NAME, *OLDER_MODELS, DEFAULT_MODEL, EMBEDDED, SPOTTING}
    if text in offered or text in {ref.reference for ref in available()}:
        return ""
    return f"load the model {text}"


def _detector(text: str) -> str:
    from odits.models.segmentation.naming import GROUNDING_DINO

    return "" if text == GROUNDING_DINO else f"name objects with the weights {text}"


def _server(text: str) -> str:
    """Say which store is asked, and whether a login goes with it."""
    shown = redact(text)
    host = host_of(text)
    if host is None:
        return f"open the MLflow store {shown}"
    login = "this server's MLflow login is sent along" if has_login_for(text) else "no login is sent to it"
    return f"ask the MLflow server {shown} for runs, at the host {host} ({login})"


def _project(text: str) -> str:
    return f"ask Neptune for the project {text} (this server's Neptune token is sent along)"


LINE, TEXT, NUMBER = Parameter(_is_line), Parameter(_is_text), Parameter(_is_number)
COUNT, SWITCH, RANGE = Parameter(_is_count), Parameter(_is_switch), Parameter(_is_range)
MODEL = Parameter(_is_line, _model)


def _path(what: str) -> Parameter:
    return Parameter(_is_line, lambda text: f"{what} {text}")


PARAMETERS = {
    # what is looked at
    **dict.fromkeys(("images", "image", "searched", "like", "on", "object-of"), LINE),
    "folder": _path("read the images in the folder"),
    # who answers, from which words
    **dict.fromkeys(("model", "model2", "model3", "model4", "crop-model", "like-model", "clip", "odits"), MODEL),
    **dict.fromkeys(("checkpoint", "crop-checkpoint", "checkpoint2", "checkpoint3"), MODEL),  # links of before
    "compare": SWITCH,
    "vocabulary": LINE,
    "words": TEXT,
    "over": LINE,
    # objects
    "segmenter": LINE,
    "weights": _path("load weights from"),
    "dino": Parameter(_is_line, _detector),
    **dict.fromkeys(("do", "look", "namer", "distribution", "scale", "sam-output_mode", "sam-preset"), LINE),
    **dict.fromkeys(("kinds", "names", "sam-text"), TEXT),
    **dict.fromkeys(("object", "row", "sheet", "page", "shares"), COUNT),
    "size": RANGE,
    "confident": NUMBER,
    # words and searches
    **dict.fromkeys(("word", "view", "place", "spot", "wrong", "ranking", "query"), LINE),
    **dict.fromkeys(("lines", "part-of"), SWITCH),
    "sure": NUMBER,
    "show": LINE,
    # browsing
    **dict.fromkeys(("part", "annotator", "first", "second", "against", "sort", "order", "marked", "opened"), LINE),
    **dict.fromkeys(("mode", "queue", "only", "decided", "people", "among", "limits"), LINE),
    **dict.fromkeys(("least", "limit", "twice"), NUMBER),
    **dict.fromkeys(("seed", "dispute"), COUNT),
    "once": SWITCH,
    # checkpoints
    **dict.fromkeys(("tab", "question", "family", "shown", "base", "other", "by-metric", "cut", "report-form"), LINE),
    # the stage
    "list": TEXT,
    **dict.fromkeys(("large", "beneath"), SWITCH),
    **dict.fromkeys(("evaluate", "compared", "side", "runs"), TEXT),
    **dict.fromkeys(("published", "published-anyway"), SWITCH),
    "source": LINE,
    "place-mlflow-at": Parameter(_is_line, _server),
    "place-neptune": Parameter(_is_line, _project),
    "place-neptune-export": _path("read the Neptune export in"),
    "files-neptune-export": _path("read the files of a Neptune export in"),
}
"""By name. Parameters of segmenters and of filters are numbers, by their prefix."""


def find(name: str) -> Parameter | None:
    """Return the parameter of a name; None where no page has one of this name."""
    found = PARAMETERS.get(name)
    return NUMBER if found is None and re.fullmatch(r"(sam|filter)-[a-z_]{1,40}", name) else found


def reach_of(name: str, value: str) -> str:
    """Say what a value would reach that this server does not offer by itself; "" where it reaches nothing."""
    found = find(name)
    return found.reach(value) if found is not None and found.reach is not None and value.strip() else ""


class Address(NamedTuple):
    """What an address says, sorted.

    Attributes:
        shown: values that are taken over, by name.
        waiting: values that reach beyond what is offered here, by name: they wait until somebody opens them.
        left_out: names that no page has, or whose values are nonsense.
    """

    shown: dict[str, str]
    waiting: dict[str, str]
    left_out: list[str]


def sort_address(values: Mapping[str, str], by_hand: Container[tuple[str, str]] = ()) -> Address:
    """Sort what an address says.

    Args:
        values: by name.
        by_hand: names and values that this person chose in this session.

    Example:
        >>> sort_address({"image": "cafe.jpg", "folder": "/etc", "row": "many"})
        Address(shown={'image': 'cafe.jpg'}, waiting={'folder': '/etc'}, left_out=['row'])
    """
    found = Address({}, {}, [])
    for name, value in values.items():
        parameter = find(name)
        if parameter is None or (value and not parameter.reads(value)):
            found.left_out.append(name)
        elif (name, value) not in by_hand and reach_of(name, value):
            found.waiting[name] = value
        else:
            found.shown[name] = value
    return found
