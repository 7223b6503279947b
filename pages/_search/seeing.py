"""The ranking by a CLIP checkpoint: it needs every image to be seen once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from odits.search.index import Index
from pages._shared import jobs
from pages._shared.layout import plain
from pages._shared.word_models import load

if TYPE_CHECKING:
    from odits.models.clip.model import ClipModel
    from odits.search.image_ranking import Seen

_ASKED = "odits-search-see"


def clip_of(reference: str) -> ClipModel | None:
    """The CLIP model behind a reference. Raises OditsError where it is not to be had."""
    from odits.models.clip.model import ClipModel

    with st.spinner("Getting the model ready …", show_time=True):
        model = load(reference)
    return model if isinstance(model, ClipModel) else None


def seen_by(index: Index, model: ClipModel) -> Seen | None:
    """How the model sees the images; None, and a button that has it look at them, where it has not yet."""
    from odits.search.image_ranking import embed_images, kept_embeddings

    key = f"see-{index.folder.name}-{model.checkpoint[:16]}"
    count = len(index.images)
    if st.session_state.pop(_ASKED, None) == key:

        def work(job: jobs.Job) -> None:
            embed_images(index, model, lambda _what, done, of: job.report(done, of))

        jobs.start(key, f"{model.name} looks at the images", work)
    jobs.show(key, "Stopped. What was looked at stays, and the button goes on from there.")
    if jobs.running(key):
        return None
    found = kept_embeddings(index, model.checkpoint)
    if found is None:
        with st.container(horizontal=True, vertical_alignment="center", key="offer-seeing"):
            st.button(
                f"Let it look at {count:,} images",
                icon=":material/visibility:",
                key="see-images",
                on_click=_ask,
                args=(key,),
            )
            st.caption(f"{plain(model.name)} has not seen these images yet. Once is enough; you can stop and go on.")
    return found


def _ask(key: str) -> None:
    st.session_state[_ASKED] = key
