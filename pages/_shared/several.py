"""Choosing several things at once, remembered across pages and links."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from pages._shared import state

SEPARATOR = ","


def kept(name: str, options: Sequence[str]) -> list[str] | None:
    """What was chosen under a name and is among the options; None where nothing was ever chosen."""
    value = state.get(name)
    if value is None:
        return None
    return [option for option in str(value).split(SEPARATOR) if option in options]


def choose(
    label: str,
    options: Sequence[str],
    name: str,
    title: Callable[[str], str] = str,
    default: Sequence[str] = (),
    help: str | None = None,
) -> list[str]:
    """The options chosen in a box that takes several, in the order of the options.

    Args:
        label: above the box.
        options: what can be chosen; none of them holds a comma.
        name: where it is kept, and what it is called in the URL.
        title: how an option is written.
        default: chosen at first, and whenever nothing that was chosen is there any more.
        help: behind the question mark.
    """
    chosen = kept(name, options)
    if chosen is None or (not chosen and state.get(name)):
        chosen = list(default)
    key = f"widget-{name}"
    st.session_state[key] = chosen

    def keep() -> None:
        state.act(name, SEPARATOR.join(st.session_state[key]))

    found = st.multiselect(label, options, format_func=title, key=key, on_change=keep, help=help)
    return [option for option in options if option in found]
