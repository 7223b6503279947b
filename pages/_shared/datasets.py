"""Which images a page looks at: a data set's, the demo images, or files that the user adds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from odits.core.errors import OditsError
from odits.core.files import asset, expand_home
from odits.core.serving import require_confined, served
from odits.core.text import literal
from odits.data import Dataset, ImageRecord, find_data_folder, read_dataset
from odits.data.images import image_facts
from odits.data.records import SUFFIXES
from pages._shared import serving, state, uploads
from pages._shared.layout import complain, count_of, escape_markdown
from pages._shared.pictures import open_picture

FILE_TYPES = sorted(suffix[1:] for suffix in SUFFIXES)
MAX_UPLOADED_BYTES = 512 * 2**20
SPLIT_NAMES = {"eval": "evaluation images", "train": "training images", "all": "all images"}
"""How the splits of a data set are called, in the order in which they are offered."""

_UPLOADS, _PROBLEMS, _ROUND = "odits-uploads", "odits-upload-problems", "odits-upload-round"
_FOLDER = "odits-data-folder"  # not under a name that links can set: an address never names a folder

GET_SVT = (
    "The Street View Text data set (SVT) is free for research. Get the archive `svt.zip` of *The Street View Text "
    "Dataset* (UCSD; ICDAR lists it too), unpack it, and type its folder here: the one with `train.xml`, `test.xml` "
    "and `img/`. A folder of your own works too: images and a `lexicons.csv` with the columns `file`, `words` and, if "
    "you like, `split`; so do ICDAR 2013 and 2015, Total-Text, COCO-Text, TextOCR, IIIT 5K-Word and IIIT-STR as they "
    "unpack, and Parquet or Arrow files with images. To have it at every start, name the folder in `ODITS_DATA`, or "
    "put it at `data/svt1`."
)


def choose_dataset() -> Dataset | None:
    """Draw, in the sidebar, which data set is open, with a field for another folder; return it, or None without one."""
    dataset, problem = _current()
    title = f"Data set: {escape_markdown(dataset.name)}" if dataset is not None else "Data set: none"
    with st.sidebar, st.expander(title, icon=":material/database:", expanded=problem is not None):
        _ask_for_folder(dataset)
        if problem is not None:
            complain(problem)
        elif dataset is None and not serving.paths_may_be_typed():
            st.caption("This server offers no data set.")
        elif dataset is None:
            st.caption(GET_SVT)
        else:
            read_as = f", read as {dataset.reader}" if dataset.reader != dataset.name else ""
            place = str(dataset.root) if serving.paths_may_be_typed() else dataset.root.name
            st.caption(f"{count_of(len(dataset.records), 'image')} in {escape_markdown(place + read_as)}")
    return dataset


def _ask_for_folder(dataset: Dataset | None) -> None:
    """Draw a field for a folder; on a server a choice of those that it offers."""
    if serving.paths_may_be_typed():
        st.session_state["widget-data-folder"] = st.session_state.get(_FOLDER, "")
        st.text_input(
            "Folder of the data set",
            key="widget-data-folder",
            placeholder=str(dataset.root) if dataset is not None else "for example ~/data/svt1",
            on_change=_name_folder,
            help="On the machine that runs the explorer; a Parquet or Arrow file works too. All pages use it until "
            "this tab is closed.",
        )
    elif len(offered := _offered()) > 1:
        st.session_state["widget-data-folder"] = _chosen(offered)
        st.selectbox(
            "Data set",
            offered,
            format_func=lambda folder: literal(Path(folder).name),
            key="widget-data-folder",
            on_change=_name_folder,
        )


def _offered() -> list[str]:
    """List the folders that a server offers."""
    settings = served()
    return [] if settings is None else [str(folder) for folder in settings.folders]


def _chosen(offered: Sequence[str]) -> str:
    named = str(st.session_state.get(_FOLDER, ""))
    return named if named in offered else next(iter(offered), "")


def current_dataset() -> Dataset | None:
    """Return the data set that is open; None where there is none or it can't be read, which `choose_dataset` says."""
    return _current()[0]


def demo_dataset() -> Dataset | None:
    """Return the demo images with their words, or None where they are missing."""
    folder = asset("demo")
    return _read(str(folder), ()) if (folder / "lexicons.csv").is_file() else None


def _current() -> tuple[Dataset | None, str | None]:
    """Read the data set of the folder typed, else of ODITS_DATA or data/svt1; or say what is wrong with it."""
    typed = str(st.session_state.get(_FOLDER, "")).strip()
    try:
        if not serving.paths_may_be_typed() and not (typed := _chosen(_offered())):
            return None, None
        folder = find_data_folder(expand_home(typed) if typed else None)
        if folder is None:
            return None, None
        stamps = tuple((file.name, file.stat().st_mtime_ns) for file in _annotation_files(folder))
        return _read(str(folder), stamps), None
    except OditsError as error:
        return None, str(error)


def _annotation_files(folder: Path) -> list[Path]:
    """List what tells that a data set has changed: its tables, the folders beside them, or the one file it is."""
    suffixes = (".xml", ".csv", ".json", ".mat", ".txt", ".parquet", ".arrow")
    within = [path for path in folder.glob("*") if path.suffix.lower() in suffixes or path.is_dir()]
    return [folder, *sorted(within)[:1000]]


def _name_folder() -> None:
    st.session_state[_FOLDER] = st.session_state["widget-data-folder"]


@st.cache_resource(max_entries=3, show_spinner="Reading the data set …")
def _read(folder: str, stamps: tuple[tuple[str, int], ...]) -> Dataset:
    require_confined(Path(folder))
    return read_dataset(Path(folder))


def collection_titles(dataset: Dataset | None) -> dict[str, str]:
    """Return how the images that can be looked at are called: "eval", "train", "all" of the data set, then "demo"."""
    titles: dict[str, str] = {}
    if dataset is not None:
        splits = [split for split in SPLIT_NAMES if split in dataset.splits or split == "all"]
        titles |= {split: f"{dataset.name}, {SPLIT_NAMES[split]}" for split in splits}
    return titles | ({"demo": "Demo images"} if demo_dataset() is not None else {})


def choose_collection(dataset: Dataset | None, default: str | None = None, uploads: bool = True) -> str:
    """Ask what to look at: "train", "eval", "all", "demo" or "upload"; in the last case take in files.

    Args:
        dataset: the data set that is open.
        default: what is looked at first.
        uploads: whether files are taken in here; the page does it elsewhere otherwise, with `offer_uploads`.
    """
    titles = collection_titles(dataset) | {"upload": "My own images"}
    collection = state.choose("Images", list(titles), "images", lambda key: titles.get(key, key), default)
    if collection == "upload":
        if uploads:
            offer_uploads()
            show_upload_problems()
        _show_uploads()
    return collection


def split_of(collection: str, dataset: Dataset | None) -> tuple[Dataset, str] | None:
    """Return the data set and its split behind a collection; None for the user's own files and without a data set."""
    if collection == "demo":
        demo = demo_dataset()
        return (demo, "all") if demo is not None else None
    return (dataset, collection) if dataset is not None and collection in SPLIT_NAMES else None


def pictures_of(collection: str, dataset: Dataset | None) -> list[ImageRecord]:
    """Return the pictures of a collection, in its order."""
    if collection == "upload":
        return list(st.session_state.get(_UPLOADS, ()))
    found = split_of(collection, dataset)
    return [] if found is None else list(found[0].split(found[1]))


def offer_uploads() -> None:
    """Take files in; they stay until they are removed, whichever page shows."""
    key = f"odits-upload-{st.session_state.get(_ROUND, 0)}"
    st.file_uploader(
        "Add images",
        FILE_TYPES,
        accept_multiple_files=True,
        key=key,
        on_change=_take_in,
        args=(key,),
        label_visibility="collapsed",
    )


def show_upload_problems() -> None:
    """Say which of the files just added could not be taken in."""
    for problem in st.session_state.pop(_PROBLEMS, ()):
        complain(problem)


def _show_uploads() -> None:
    """Say how many files there are; all can be removed."""
    uploaded = st.session_state.get(_UPLOADS, ())
    if uploaded:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{count_of(len(uploaded), 'image')} of yours")
            st.button("Remove", on_click=_remove_all, icon=":material/delete:", type="tertiary")


def _take_in(key: str) -> None:
    files = st.session_state[key]
    add_uploads([(file.name, file.getvalue()) for file in files])
    refused = [f"{name}: this session holds as many files as it may." for name in uploads.release(files)]
    st.session_state[_PROBLEMS] = [*st.session_state.get(_PROBLEMS, ()), *refused]
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1


def add_uploads(files: Sequence[tuple[str, bytes]]) -> None:
    """Take files in, by name and content, and look at the first of them; what is no picture is named."""
    pictures: list[ImageRecord] = list(st.session_state.get(_UPLOADS, ()))
    problems: list[str] = []
    names = {picture.name for picture in pictures}
    known = {picture.digest for picture in pictures}
    size = sum(len(picture.source) for picture in pictures if isinstance(picture.source, bytes))
    first = None
    for name, data in files:
        picture = ImageRecord(_distinct(name, names), data)
        if picture.digest in known:
            first = first or next(one.name for one in pictures if one.digest == picture.digest)
            continue
        if size + len(data) > (most := serving.held_bytes(MAX_UPLOADED_BYTES)):
            problems.append(f"{name}: that would be more than {most // 2**20} MB of images in all.")
            continue
        try:
            open_picture(picture)
            if image_facts(data, picture.name).several:
                problems.append(f"{picture.name} holds several frames or pages; the first is shown.")
        except OditsError as error:
            problems.append(str(error))
            continue
        pictures.append(picture)
        size += len(data)
        names.add(picture.name)
        known.add(picture.digest)
        first = first or picture.name
    st.session_state[_UPLOADS] = pictures
    st.session_state[_PROBLEMS] = problems
    if first:
        state.act("images", "upload")
        state.act("image", first)


def _distinct(name: str, taken: set[str]) -> str:
    path, number = Path(name), 2
    while name in taken:
        name, number = f"{path.stem} ({number}){path.suffix}", number + 1
    return name


def _remove_all() -> None:
    st.session_state.pop(_UPLOADS, None)
