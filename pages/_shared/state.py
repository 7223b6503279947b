"""What a link reopens: the state that all pages share, kept under keys of our own and mirrored in the URL.

Widgets lose their values when another page shows; so a widget's value is copied to our key as soon as it changes, and
put back into the widget before it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from odits.core.text import literal
from pages._shared.parameters import LONGEST, find, sort_address

PREFIX = "odits."
_PUBLISHED = "odits-url"
_ACTED = "odits-acted"
_PAGE = "odits-page"
_LINKED, _LEFT_OUT = "odits-linked", "odits-left-out"
_WAITING, _BY_HAND = "odits-waiting", "odits-by-hand"
SEPARATOR = ","
"""Stands between several options under one name."""


def get(name: str, default: Any = None) -> Any:
    """Return the value kept under a name, for every page of this session."""
    return st.session_state.get(PREFIX + name, default)


def put(name: str, value: Any) -> None:
    """Keep a value for every page of this session."""
    st.session_state[PREFIX + name] = value


def act(name: str, value: Any) -> None:
    """Keep a value that the user just chose: it goes before what the URL says, and may reach outside from now on."""
    st.session_state[_ACTED] = st.query_params.to_dict()
    parameter = find(name)
    if parameter is not None and parameter.reach is not None:
        _by_hand().add((name, str(value)))
    put(name, value)


def _by_hand() -> set[tuple[str, str]]:
    """Hold what this person chose or opened in this session that reaches outside, by name and value."""
    chosen: set[tuple[str, str]] = st.session_state.setdefault(_BY_HAND, set())
    return chosen


def number(name: str, last: int) -> int:
    """Return the number from 1 to `last` kept under a name: links hold text, and nonsense in them counts as 1."""
    asked = str(get(name) or "")
    return min(max(int(asked), 1), last) if asked.isdecimal() and len(asked) < 7 else 1


def adopt_url(page: str) -> None:
    """Take over what the URL says where the user, and not this app, changed it: a link, or the browser's back.

    An address only shows: what is no parameter, or not of its type, is left out (`left_out`), and what reaches beyond
    this server's offers waits until somebody opens it by hand (`waiting`).

    Args:
        page: the page that is drawn. What this page had said in its address and says no more is at its default again.
    """
    address = st.query_params.to_dict()
    # a choice goes before the address at which it was made, not before one that the user went to since then
    acted_at = st.session_state.pop(_ACTED, None)
    published_on, published = st.session_state.get(_PUBLISHED, ("", {}))
    st.session_state[_PAGE] = page
    if not _went_back() and (not address or address in (acted_at, published)):
        return
    for name in published if page == published_on else ():
        if name not in address:
            st.session_state.pop(PREFIX + name, None)
    found = sort_address(address, _by_hand())
    for name, value in found.shown.items():
        put(name, value)
    st.session_state[_LEFT_OUT], st.session_state[_WAITING] = found.left_out, found.waiting
    st.session_state[_LINKED] = dict(found.shown)


def _went_back() -> bool:
    """Return whether this run is there because the user went back or forward: that goes before a choice until then."""
    return bool(getattr(get_script_run_ctx(suppress_warning=True), "is_history_navigation", False))


def left_out() -> list[str]:
    """Return, once, the names of the address whose values were not taken over: nonsense, or not offered here."""
    names: list[str] = st.session_state.pop(_LEFT_OUT, [])
    return names


def waiting() -> dict[str, str]:
    """Return what the address asks for beyond this server's offers, by name, until it is opened or left."""
    asked: dict[str, str] = st.session_state.get(_WAITING, {})
    return asked


def open_waiting() -> None:
    """Open what the address asks for: the user said so."""
    for name, value in waiting().items():
        act(name, value)
    leave_waiting()


def leave_waiting() -> None:
    """Forget what the address asks for."""
    st.session_state.pop(_WAITING, None)


def _refuse(name: str, value: Any) -> None:
    """Note that a link asks for what is not among the options."""
    linked: dict[str, str] = st.session_state.get(_LINKED, {})
    if value and linked.pop(name, None) == value:
        st.session_state.setdefault(_LEFT_OUT, []).append(name)


def publish(*names: str) -> None:
    """Write the named values into the URL; empty and very long ones are left out."""
    values = {name: str(get(name)) for name in names if get(name) not in (None, "")}
    values = {name: value for name, value in values.items() if len(value) <= LONGEST}
    _, published = st.session_state.get(_PUBLISHED, ("", {}))
    # the browser may have got the last address after the user went back: it is told again (twice the same is no step)
    if values != st.query_params.to_dict() or values != published:
        st.query_params.from_dict(values)
    st.session_state[_PUBLISHED] = st.session_state.get(_PAGE, ""), values
    st.session_state.pop(_ACTED, None)


def bind(name: str, value: Any, version: str = "") -> dict[str, Any]:
    """Return `key`, `on_change` and `args` for a widget whose value is kept under a name and now is `value`.

    A value that something else changes too, such as a button, needs a `version` that changes with it: otherwise a
    browser that has not heard of the change yet would report its old value as the user's choice.
    """
    key = f"widget-{name}{version}"
    st.session_state[key] = value
    put(name, value)
    return {"key": key, "on_change": _keep, "args": (name, key)}


def _keep(name: str, key: str) -> None:
    act(name, st.session_state[key])


def choose(
    label: str,
    options: Sequence[str],
    name: str,
    title: Callable[[str], str] = str,
    default: str | None = None,
    **settings: Any,
) -> str:
    """Draw a select box that remembers its option, under a name, across pages and links; return the option.

    Args:
        label: above the box.
        options: what can be chosen; what a link asks for and is not among them gives way to the default.
        name: where it is kept, and what it is called in the URL.
        title: how an option is written.
        default: chosen at first; otherwise the first option.
        settings: of `st.selectbox`.
    """
    chosen = get(name)
    if chosen not in options:
        if chosen and settings.get("accept_new_options"):
            options = [*options, chosen]
        else:
            _refuse(name, chosen)
            chosen = default if default in options else options[0]
    shown = bind(name, chosen)
    found = st.selectbox(label, options, format_func=lambda option: literal(title(option)), **shown, **settings)
    return options[0] if found is None else found  # an option may be empty: none of the others


def choose_several(
    label: str,
    options: Sequence[str],
    name: str,
    title: Callable[[str], str] = str,
    default: Sequence[str] = (),
    **settings: Any,
) -> list[str]:
    """Draw a box that takes several options and remembers them, under a name, across pages and links.

    Args:
        label: above the box.
        options: what can be chosen; none of them holds the separator.
        name: where it is kept, and what it is called in the URL.
        title: how an option is written.
        default: chosen at first, and whenever nothing that was chosen is there any more.
        settings: of `st.multiselect`.

    Returns:
        The options chosen, in the order of `options`.
    """
    asked = get(name)
    chosen = [option for option in str(asked).split(SEPARATOR) if option in options] if asked is not None else []
    if asked is None or (asked and not chosen):
        chosen = list(default)
    key = f"widget-{name}"
    st.session_state[key] = chosen

    def keep() -> None:
        act(name, SEPARATOR.join(st.session_state[key]))

    found = st.multiselect(
        label, options, format_func=lambda option: literal(title(option)), key=key, on_change=keep, **settings
    )
    return [option for option in options if option in found]


def choose_part(label: str, titles: Mapping[str, str], name: str, default: str | None = None, **settings: Any) -> str:
    """Draw buttons of which one is pressed, remembered under a name across pages and links; return its key.

    Args:
        label: for those who can't see it.
        titles: how each option is written, by its key; the first is the default unless one is named.
        name: where it is kept, and what it is called in the URL.
        default: pressed at first.
        settings: of `st.segmented_control`.
    """
    fallback = default if default is not None and default in titles else next(iter(titles))
    asked = get(name)
    if asked not in titles:
        _refuse(name, asked)
    chosen = st.segmented_control(
        label,
        list(titles),
        format_func=titles.__getitem__,
        required=True,
        **{"label_visibility": "collapsed", **settings},
        **bind(name, asked if asked in titles else fallback),
    )
    return str(chosen or fallback)


def is_on(name: str, default: bool = False) -> bool:
    """Return whether a switch kept under a name is on: links hold "True"."""
    value = get(name)
    return default if value is None else str(value) == "True"


def fraction(name: str, default: float = 0.0, low: float = 0.0, high: float = 1.0) -> float:
    """Return the number from `low` to `high` kept under a name; the default where a link holds nonsense."""
    try:
        value = float(str(get(name, default)))
    except ValueError:
        return default
    return value if low <= value <= high else default
