"""Served mode as the pages keep to it: who signed in, what they may do, and how much of it in a minute.

Where the explorer runs for one person on their own machine, everything here says yes.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

import streamlit as st

from odits.core.errors import OditsError
from odits.core.serving import ROLES, Role, ServeSettings, ServingError, served
from odits.data.marks import clean_name
from odits.models.registry import ModelRef, available

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
