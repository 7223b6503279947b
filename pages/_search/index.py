"""Which images are searched, and the jobs that index them and embed them with CLIP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from odits.core.errors import OditsError
from odits.data import Dataset
from odits.data.records import Collection, collection_of_dataset, collection_of_folder
from odits.models.reading.reader import TextReader
from odits.search.index import DESCRIPTION, Index, build_index, index_folder, is_current, open_index, settings_of
from odits.search.ranking import Searcher
from pages._shared import jobs, serving, state
from pages._shared.datasets import collection_titles, split_of
from pages._shared.layout import complain, count_of, escape_markdown
from pages._shared.word_models import load

if TYPE_CHECKING:
    from odits.models.clip.model import ClipModel
    from odits.search.image_ranking import ImageEmbeddings


FOLDER = "folder"
_FRESH = 20  # seconds that a look at the files of a collection is good for


def choose_images(dataset: Dataset | None) -> Collection | None:
    """Ask for the images to search; None, and what to do, where there are none yet."""
    titles = collection_titles(dataset) | ({FOLDER: "A folder of mine"} if serving.paths_may_be_typed() else {})
    titles = {key: titles[key] for key in ("all", *titles) if key in titles}
    chosen = state.choose("Images", list(titles), "searched", lambda key: titles.get(key, key))
    if chosen == FOLDER:
        return _typed_folder()
    found = split_of(chosen, dataset)
    return collection_of_dataset(*found) if found is not None else None


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


def offer_index(collection: Collection) -> Searcher | None:
    """Offer to index the images that are new or changed; return the index as it is, None where there is none."""
    searcher = _searcher(collection)
    count = count_of(len(collection.records), "image")

    def work(job: jobs.Job) -> None:
        def progress(what: str, done: int, of: int) -> None:
            if job.title != what:
                job.begin(what)
            job.report(done, of)

        build_index(collection, progress=progress)

    if searcher is None:
        st.info(
            f"Nothing is indexed yet. The {count} of “{escape_markdown(collection.title)}” are read once; then every "
            "search takes a moment.",
            icon=":material/manage_search:",
        )
    current = searcher is not None and _current(collection, str(searcher.index.folder), searcher)
    task = jobs.Task(
        key=f"index-{collection.key}",
        button=f"Index {count}" if searcher is None else "Refresh the index",
        title="Reading images",
        run=work,
        note="Some 2 seconds an image. You can stop at any time and go on later."
        if searcher is None
        else _why(searcher),
        refresh=_current.clear,
        primary=searcher is None,
    )
    jobs.offer(task, needed=not current)
    return searcher


def _searcher(collection: Collection) -> Searcher | None:
    """Open the collection's index, once; None where there is none."""
    try:
        modified = (index_folder(collection.key) / DESCRIPTION).stat().st_mtime_ns
    except OSError:
        return None
    return _opened(collection.key, modified)


def _why(searcher: Searcher) -> str:
    """Say why an index is not as one would be that were made now."""
    if searcher.index.reader != settings_of(TextReader()):
        return "Another reader, or other settings of it, read these images."
    return "Images were added, changed or removed since these were indexed."


@st.cache_resource(max_entries=3, show_spinner="Opening the index …")
def _opened(key: str, modified: int) -> Searcher | None:
    index = open_index(key)
    return None if index is None else Searcher(index)


@st.cache_data(ttl=_FRESH, max_entries=8, show_spinner=False)
def _current(collection: Collection, folder: str, _searcher: Searcher) -> bool:
    return is_current(collection, _searcher.index, TextReader())


def clip_of(reference: str) -> ClipModel:
    """Load the CLIP model behind a reference. Raises OditsError where it is not to be had."""
    with st.spinner("Loading the model …", show_time=True):
        model: Any = load(reference, "clip")
    return cast("ClipModel", model)


def offer_embeddings(index: Index, model: ClipModel) -> ImageEmbeddings | None:
    """Return the images' embeddings by the model; offer to compute them, and return None, where they are missing."""
    from odits.search.image_ranking import embed_images, stored_embeddings

    found = stored_embeddings(index, model.checkpoint)
    count = count_of(len(index.images), "image")
    task = jobs.Task(
        key=f"embed-{index.folder.name}-{model.checkpoint[:16]}",
        button=f"Embed {count}",
        title=f"Embedding images with {model.name}",
        run=lambda job: embed_images(index, model, lambda _what, done, of: job.report(done, of)),
        note=f"{escape_markdown(model.name)} has not embedded these images yet. Once is enough.",
        icon=":material/visibility:",
        primary=False,
    )
    jobs.offer(task, needed=found is None)
    return found
