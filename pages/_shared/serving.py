"""Served mode as the pages keep to it: who signed in, what they may do, and how much of it in a minute.

Where the explorer runs for one person on their own machine, everything here says yes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from odits.core.errors import OditsError
from odits.core.serving import ROLES, Role, ServeSettings, ServingError, served
from odits.data.marks import clean_name
from odits.models.registry import ModelRef, available
from pages._shared import uploads

PAGES: dict[Role, tuple[str, ...]] = {
    "annotator": ("Browse", "Words", "Search", "Objects", "Explain", "Data"),
    "reviewer": ("Browse", "Words", "Search", "Objects", "Explain", "Stage", "Data", "Object counts", "Models"),
    "owner": (
        *("Browse", "Words", "Search", "Objects", "Explain", "Stage", "Data", "Object counts", "Models"),
        "Checkpoints",
    ),
}
"""The pages of each role where the explorer is served."""

_ANSWERS, _MINUTE = "odits-answers", 60.0
_ADMITTED = "odits-admitted"  # to which page, at its last whole run
_Arguments = ParamSpec("_Arguments")


@dataclass(frozen=True)
class Person:
    """Who signed in.

    Attributes:
        name: the e-mail address, under which marks are stored.
        role: what they may do.
    """

    name: str
    role: Role


def person() -> Person | None:
    """Return who signed in, with a role here; None where the explorer is not served, or for anybody else."""
    settings = served()
    if settings is None or not st.user.is_logged_in:
        return None
    claims = st.user.to_dict()
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") is False:
        return None
    claimed = claims.get(settings.role_claim, ()) if settings.role_claim else ()
    role = settings.role_of(email, claimed)
    try:
        return None if role is None else Person(clean_name(email.strip().casefold()), role)
    except OditsError:  # an address that is no name for marks
        return None


def admit(title: str) -> None:
    """Let those in who signed in and may see the page; everybody else gets one sentence and nothing of the page.

    Args:
        title: of the page.
    """
    settings = served()
    if settings is None:
        return
    someone = person()
    st.session_state[_ADMITTED] = title
    uploads.bound(settings.held_megabytes * 2**20, is_let_in=someone is not None)
    if someone is None:
        _ask_to_sign_in()
        st.stop()
    elif title not in PAGES[someone.role]:
        st.info(f"The page {title} is not for {someone.role}s.", icon=":material/lock:")
        st.stop()
    else:
        with st.sidebar, st.container(horizontal=True, vertical_alignment="center", key="signed-in"):
            st.text(f"{someone.name} ({someone.role})", width="stretch")
            st.button("Sign out", on_click=st.logout, key="sign-out", type="tertiary")
        if not _one_more_answer(settings):
            st.warning(
                f"That was more than {settings.answers_per_minute} answers in a minute: wait a moment, then go on. "
                "No mark is lost.",
                icon=":material/hourglass_top:",
            )
            st.stop()


def fragment(function: Callable[_Arguments, None], run_every: float | None = None) -> Callable[_Arguments, None]:
    """Make a part of a page that runs alone, as `st.fragment` does, for whoever may still see the page.

    Such a run passes by `admit`: without this a tab that stays open would go on when its person has lost their part.
    """

    @wraps(function)
    def run(*arguments: _Arguments.args, **settings: _Arguments.kwargs) -> None:
        if _runs_alone() and not is_shown(st.session_state.get(_ADMITTED, "")):
            st.rerun()
        function(*arguments, **settings)

    made: Callable[_Arguments, None] = st.fragment(run, run_every=run_every)
    return made


def _runs_alone() -> bool:
    """Whether this run is one of a fragment, not of the whole page."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and bool(context.fragment_ids_this_run)


def require_part(name: str, role: Role = "annotator") -> None:
    """Refuse to write marks of somebody who is not, or no longer, who signed in here: callbacks run before `admit`.

    Args:
        name: under which the marks would be stored.
        role: the least that it takes.

    Raises:
        ServingError: they have no part here any more, or not that one.
    """
    if served() is None:
        return
    someone = person()
    if someone is None or someone.name != name or not is_at_least(role):
        raise ServingError("You have no such part here any more, so this was not saved: ask the owner.")


def is_shown(title: str) -> bool:
    """Whether a page is listed for this session; before somebody has signed in the first one is."""
    if served() is None:
        return True
    someone = person()
    return title in PAGES[someone.role] if someone else title == "Words"


def _ask_to_sign_in() -> None:
    if not st.user.is_logged_in:
        st.info("Sign in to look at images and to mark words.", icon=":material/login:")
        st.button("Sign in", on_click=st.login, type="primary", key="sign-in")
        return
    st.error("You are signed in, but have no part here yet: ask the owner to add your e-mail address.")
    st.button("Sign out", on_click=st.logout, key="sign-out")


def _one_more_answer(settings: ServeSettings) -> bool:
    """Count an answer of this session; return whether the last minute had room for it."""
    given: deque[float] = st.session_state.setdefault(_ANSWERS, deque())
    now = time.monotonic()
    while given and now - given[0] > _MINUTE:
        given.popleft()
    if len(given) >= settings.answers_per_minute:
        return False
    given.append(now)
    return True


def is_at_least(role: Role) -> bool:
    """Whether this session may do what a role may; everything where the explorer is not served."""
    if served() is None:
        return True
    someone = person()
    return someone is not None and ROLES.index(someone.role) >= ROLES.index(role)


def paths_may_be_typed() -> bool:
    """Whether a path or an address of the person's own may be opened: never on a server."""
    return served() is None


def files_may_be_imported() -> bool:
    """Whether files of marks, and results of other models, may be added."""
    settings = served()
    return settings is None or (settings.allow_imports and is_at_least("owner"))


def require_offered(ref: ModelRef) -> None:
    """Refuse a model that a server does not offer: a path or a name that did not come from its lists.

    Raises:
        ServingError: it is none of those on this machine, nor published where weights may be downloaded.
    """
    if served() is None or ref.reference in {one.reference for one in available()}:
        return
    if ref.path is not None or not (ref.published and weights_may_be_downloaded()):
        raise ServingError("This server does not offer that model.")


def weights_may_be_downloaded() -> bool:
    """Whether weights may be fetched from a network."""
    settings = served()
    return settings is None or (settings.allow_downloads and is_at_least("owner"))


def long_jobs_may_be_started() -> bool:
    """Whether long work over many images may be started."""
    return is_at_least("owner")


def held_bytes(otherwise: int) -> int:
    """Return how many bytes of its own images a session may hold."""
    settings = served()
    return otherwise if settings is None else settings.held_megabytes * 2**20


def jobs_at_once(otherwise: int) -> int:
    """Return how many long jobs run at a time."""
    settings = served()
    return otherwise if settings is None else settings.jobs_at_once
