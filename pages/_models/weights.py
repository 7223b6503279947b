"""Real weights from elsewhere: how large they are, their download, and how to bring them by hand.

An address alone asks no server anything: a size is looked up, and weights are downloaded, by a button.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from odits.core.errors import OditsError
from odits.models.published import (
    DINO,
    OFFERED,
    PublishedModel,
    by_hand,
    fetch,
    is_here,
    is_offline,
    place_of,
    size_of,
    use_of,
)
from pages._models.comparison import cached_models
from pages._shared import jobs, serving, state
from pages._shared.layout import code, escape_markdown, guarded, panes

_PAGES = {
    "words": ("Words", ":material/text_fields:", "pages/words.py", "model"),
    "objects": ("Objects", ":material/category:", "pages/objects.py", "segmenter"),
    "names": ("Objects", ":material/category:", "pages/objects.py", "namer"),
}
"""Where weights are used, by their use: the page, its icon and file, and under which name it keeps the choice."""


def view() -> None:
    """Draw this part of the page."""
    st.subheader("Get weights", anchor=False)
    st.caption(
        "Published weights that nobody else may ship. They are downloaded once, go on after a stop or a broken "
        "connection, and are checked by their SHA-256."
    )
    st.html("<style>.st-key-panes-weights > div {flex-basis: 17rem}</style>")  # three in a row on a laptop
    with st.spinner("Looking for weights …"), panes("weights") as row:
        for model in OFFERED:
            with row.container(border=True, key=f"pane-weights-{model.reference}"), guarded():
                show(model)
    if not serving.paths_may_be_typed():
        return
    with st.expander("Other weights", icon=":material/more_horiz:"), guarded():
        reference = st.text_input(
            "Reference",
            key="weights-other",  # not in the address: a link must not name what is looked up
            placeholder="hf-hub:ORG/NAME",
            help="ViT-L-14/openai or other weights of open_clip, hf-hub:ORG/NAME for a CLIP model of the Hugging Face "
            "hub, sam:vit_h, sam2:tiny, sam3.",
        ).strip()
        if reference:
            show(PublishedModel(reference, reference, 0, ""))


def show(model: PublishedModel) -> None:
    """Show weights: those that are here with the page that uses them, and how to get others."""
    st.markdown(f"**{escape_markdown(model.name)}**  \n:small[{escape_markdown(model.when)}]")
    if is_here(model.reference):
        _show_use(model)
        jobs.offer(_download(model, 0), needed=False)
        return
    if not serving.weights_may_be_downloaded():
        st.caption("Not on this server; its owner can bring them.")
        return
    folder = place_of(model.reference)
    if is_offline(model.reference):
        st.caption("HF_HUB_OFFLINE is set: nothing is downloaded from the hub.")
        st.caption(escape_markdown(by_hand(model.reference)))
        return
    size = jobs.result_of(_size_key(model))
    if size is None:
        about = f"About {model.megabytes:,} MB. " if model.megabytes else ""
        ended = jobs.offer(_lookup(model, f"{about}The server is asked first."))
    else:
        free = _free(folder)
        st.caption(f"{written(size)} to download; {written(free)} are free in {code(_short(folder))}.")
        if size > free:
            st.error("The disk has no room for it.", icon=":material/disc_full:")
        ended = jobs.offer(_download(model, size), disabled=size > free)
    failed = ended is not None and ended.state == "failed"
    with st.expander("Without a network", expanded=failed):
        st.caption(escape_markdown(by_hand(model.reference)))


def _show_use(model: PublishedModel) -> None:
    """Say that weights are here, and lead to the page that uses them."""
    title, icon, file, name = _PAGES[use_of(model.reference)]
    st.caption(f":material/check_circle: On this machine. Everywhere it is called {code(model.reference)}.")
    if st.button(f"Open {title} with it", icon=icon, key=f"weights-open-{model.reference}"):
        state.act(name, DINO if model.reference == DINO else model.reference)
        st.switch_page(file)


def _size_key(model: PublishedModel) -> str:
    return f"weights-size-{model.reference}"


def _lookup(model: PublishedModel, note: str) -> jobs.Task:
    """Return the task that asks the server for the size."""
    return jobs.Task(
        key=_size_key(model),
        button="Look up the size",
        title=f"Asking for the size of {model.name}",
        run=lambda _: size_of(model.reference),
        note=note,
        icon=":material/cloud_download:",
        primary=False,
    )


def _download(model: PublishedModel, size: int) -> jobs.Task:
    """Return the task that downloads weights; the same as that of the pages that need them."""

    def work(job: jobs.Job) -> Path | None:
        def report(done: int, of: int) -> None:
            job.report(done, of)
            job.title = f"{written(done)} of {written(of or size)}" if of or size else written(done)

        try:
            return fetch(model.reference, report)
        finally:
            job.title = f"Downloading {model.name}"

    return jobs.Task(
        key=f"download-{model.reference}",
        button=f"Download {written(size)}",
        title=f"Downloading {model.name}",
        run=work,
        done="Downloaded and checked.",
        stopped="Stopped. What has arrived is kept: the button goes on from there.",
        refresh=cached_models.clear,
        icon=":material/download:",
    )


def written(size: int) -> str:
    """Write a number of bytes for people, as disks and hubs count: "605 MB".

    Example:
        >>> written(605_143_316), written(23_400_000_000), written(0)
        ('605 MB', '23.4 GB', '0.0 MB')
    """
    if size >= 1e9:
        return f"{size / 1e9:,.1f} GB"
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def _free(folder: Path) -> int:
    from odits.core.downloads import free_bytes

    try:
        return free_bytes(folder)
    except OSError as error:
        raise OditsError(f"{folder} can't be read: {error.strerror or error}.") from error


def _short(folder: Path) -> str:
    return str(folder).replace(str(Path.home()), "~", 1)
