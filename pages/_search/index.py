"""Which images are searched, and whether their index is there and up to date."""

from __future__ import annotations

from pathlib import Path
import streamlit as st
from odits.core.errors import OditsError
from odits.data import Dataset
from odits.data.records import Collection, collection_of_dataset, collection_of_folder
from odits.models.reading.reader import TextReader
from odits.search.index import DESCRIPTION, build_index, index_folder, is_current, open_index
from odits.search.ranking import Searcher
from pages._shared import jobs, state
from pages._shared.layout import complain, escape_markdown
from pages._shared.pictures import demo_dataset
from typing import TYPE_CHECKING
from odits.search.index import Index
from pages._shared import jobs
from pages._shared.layout import escape_markdown
from pages._shared.word_models import load

if TYPE_CHECKING:
    from odits.models.clip.model import ClipModel
    from odits.search.image_ranking import Seen


FOLDER = "folder"
_ASKED = "odits-search-build"
_FRESH = 20  # seconds that a look at the files of a collection is good for


def choose_images(dataset: Dataset | None) -> Collection | None:
    """The collection that the user chose; None, and what to do, where there is none yet."""
    titles: dict[str, str] = {}
    if dataset is not None:
        names = {"train": "training", "eval": "evaluation"}
        titles |= {"all": f"{dataset.name}, all images"}
        titles |= {key: f"{dataset.name}, {names[key]} images" for key in dataset.splits}
    titles |= {"demo": "Demo images", FOLDER: "A folder of mine"}
    chosen = state.choose("Images", list(titles), "searched", lambda key: titles.get(key, key))
    if chosen == FOLDER:
        return _typed_folder()
    source = demo_dataset() if chosen == "demo" else dataset
    if source is None:
        complain("The demo images are missing from this installation.")
        return None
    return collection_of_dataset(source, "all" if chosen == "demo" else chosen)


def _typed_folder() -> Collection | None:
    typed = st.text_input(
        "Folder",
        placeholder="for example ~/Pictures/streets",
        help="A folder on the machine that runs the explorer. Its subfolders are searched too.",
        **state.bind("folder", str(state.get("folder") or "")),
    )
    if not typed.strip():
        st.caption("Type where your images are.")
        return None
    try:
        return _listed(typed.strip())
    except OditsError as error:
        complain(str(error))
        return None


@st.cache_data(ttl=_FRESH, max_entries=4, show_spinner="Looking into the folder …")
def _listed(folder: str) -> Collection:
    return collection_of_folder(Path(folder))


def searcher_of(collection: Collection) -> Searcher | None:
    """The collection's index, opened once; None where there is none."""
    try:
        modified = (index_folder(collection.key) / DESCRIPTION).stat().st_mtime_ns
    except OSError:
        return None
    return _opened(collection.key, modified)


@st.cache_resource(max_entries=3, show_spinner="Opening the index …")
def _opened(key: str, modified: int) -> Searcher | None:
    index = open_index(key)
    return None if index is None else Searcher(index)


def offer_index(collection: Collection, searcher: Searcher | None) -> None:
    """What the index still needs: a button that builds or refreshes it; while that runs, its progress and a Stop."""
    key = f"index-{collection.key}"
    count = len(collection.records)
    images = f"{count:,} {'image' if count == 1 else 'images'}"
    if st.session_state.pop(_ASKED, None) == key:

        def work(job: jobs.Job) -> None:
            def progress(what: str, done: int, of: int) -> None:
                if job.title != what:
                    job.begin(what)
                job.report(done, of)

            index = build_index(collection, progress=progress)
            if index.problems:
                left_out = len(index.problems)
                job.message = f"{left_out} of {images} could not be read; they are named below the results."

        jobs.start(key, "Reading images", work)
        _current.clear()
    if jobs.show(key, "Stopped. What was read stays, and the button goes on from there.") is not None:
        _current.clear()
        st.rerun()  # the index that is shown was looked for before the job ended
    if jobs.running(key):
        return
    if searcher is None:
        st.info(
            f"Nothing is indexed yet. The {images} of “{escape_markdown(collection.title)}” are read once; then every search "
            "takes a moment.",
            icon=":material/manage_search:",
        )
        with st.container(horizontal=True, vertical_alignment="center", key="offer-index"):
            _button(f"Index {images}", key, True)
            st.caption("Some 2 seconds an image. You can stop at any time and go on later.")
    elif not _current(collection, str(searcher.index.folder), searcher):
        with st.container(horizontal=True, vertical_alignment="center", key="offer-index"):
            _button("Refresh the index", key, False)
            st.caption("Images were added, changed or removed since these were indexed.")


def _button(title: str, key: str, first: bool) -> None:
    kind = "primary" if first else "secondary"
    st.button(title, type=kind, icon=":material/play_circle:", key="build-index", on_click=_ask, args=(key,))


def _ask(key: str) -> None:
    st.session_state[_ASKED] = key


@st.cache_data(ttl=_FRESH, max_entries=8, show_spinner=False)
def _current(collection: Collection, folder: str, _searcher: Searcher) -> bool:
    return is_current(collection, _searcher.index, TextReader())


_ASKED = "odits-search-see"


def clip_of(reference: str) -> ClipModel | None:
    """The CLIP model behind a reference. Raises OditsError where it is not to be had."""
    from odits.models.clip.model import ClipModel

    with st.spinner("Getting the model ready …", show_time=True):
        model = load(reference, "clip")
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
            st.caption(f"{escape_markdown(model.name)} has not seen these images yet. Once is enough; you can stop and go on.")
    return found


def _ask(key: str) -> None:
    st.session_state[_ASKED] = key
