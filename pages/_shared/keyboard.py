"""Keys for a page that is worked on with one hand: every press counts, in the order in which they came.

Streamlit's own shortcuts press a button, and two presses while the page is busy become one; "R" they can't use at all.
So the browser keeps a numbered log of what was pressed and sends all of it; the page does what it has not done yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

_DONE = "odits-keys-done"
_LONGEST = 200  # presses that the browser sends at most; far more than a page ever lags behind

_SCRIPT = """
export default function (component) {
  const { data, parentElement, setStateValue } = component;
  // outlives the component being called again with new data
  const log = (parentElement.oditsLog ??= { id: Math.random().toString(36).slice(2), last: 0, pressed: [] });
  // a switch that has the focus takes no letters, only the space and the arrows
  const letter = (key) => key.length === 1 && key !== " ";
  const typing = (target, key) =>
    target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName)
      || (target.tagName === "INPUT" && !(["checkbox", "radio"].includes(target.type) && letter(key)));
  const onKey = (event) => {
    const action = data.actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const target = event.composedPath()[0] ?? event.target;
    if (!action || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing(target, event.key)) return;
    if (document.querySelector('[role="dialog"], [role="listbox"]')) return;
    // before Streamlit's own keys see it, and before the page scrolls
    event.preventDefault();
    event.stopImmediatePropagation();
    log.last += 1;
    log.pressed = [...log.pressed, [log.last, action]].slice(-data.longest);
    setStateValue("log", { id: log.id, pressed: log.pressed });
  };
  document.addEventListener("keydown", onKey, true);
  return () => document.removeEventListener("keydown", onKey, true);
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("odits_keys", js=_SCRIPT)


def keys(name: str, actions: Mapping[str, str], act: Callable[[str], None]) -> None:
    """Listen to keys while the page shows this.

    Keys are not taken while somebody types into a field, a list is open, or Ctrl, Alt or the command key is held.

    Args:
        name: the element's key.
        actions: what each key of the browser ("r", "ArrowUp") does.
        act: called with each action, in the order of the presses.
    """

    def pressed() -> None:
        for action in fresh(st.session_state[name].get("log"), st.session_state.setdefault(_DONE, {})):
            if action in actions.values():
                act(action)

    with st.container(key="keyboard", height=1, border=False):
        _component()(key=name, data={"actions": dict(actions), "longest": _LONGEST}, on_log_change=pressed)


def fresh(log: Any, done: dict[str, int]) -> list[str]:
    """Return the actions of a browser's log that were not done before; `done` is brought up to date.

    Args:
        log: {"id": of the browser's log, "pressed": [[number, action], ...]}; it comes from outside: what is not like
            this is passed over.
        done: the number of the last action done, by log.
    """
    if not isinstance(log, Mapping) or not isinstance(log.get("id"), str) or not isinstance(log.get("pressed"), list):
        return []
    last = done.get(log["id"], 0)
    found = []
    for item in log["pressed"]:
        match item:
            case [int() | float() as number, str() as action] if number > last:
                found.append(action)
                last = int(number)
    done.clear()  # one log at a time: an older one is of a view that is gone
    done[log["id"]] = last
    return found
