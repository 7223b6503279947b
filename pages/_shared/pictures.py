"""Where images come from: the data set, the demo images, or the user's own files."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import streamlit as st
from PIL import Image

from odits.core.errors import OditsError
from odits.core.files import asset
from odits.data import BoxedWord, Dataset, find_data_folder, image_digest, open_image, read_dataset
from pages._shared import state
from pages._shared.layout import complain, plain

DEMO = asset("demo")
FILE_TYPES = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "mpo"]
MAX_UPLOADED_BYTES = 512 * 2**20
_UPLOADS, _PROBLEMS, _ROUND = "odits-uploads", "odits-upload-problems", "odits-upload-round"

GET_SVT = (
    "The Street View Text data set (SVT) is not here. It is free for research: get the archive `svt.zip` of *The "
    "Street View Text Dataset* (UCSD; ICDAR lists it too) and unpack it so that `data/svt1` holds `train.xml`, "
    "`test.xml` and `img/`; or name its folder in the environment variable `ODITS_DATA`. Then start the app again."
)


@dataclass(frozen=True)
class Picture:
    """One image that can be looked at, with the words known to belong to it.

    Attributes:
        name: as shown to users and in links.
        source: its file, or its bytes.
        key: identifies the content without decoding it.
        lexicon: words true of it, where known.
        boxed: words visible in it, where known.
    """

    name: str
    source: Path | bytes
    key: str
    lexicon: tuple[str, ...] = ()
    boxed: tuple[BoxedWord, ...] = ()

    @property
    def visible(self) -> tuple[str, ...]:
        """The words that are boxed in it."""
        return tuple(item.word for item in self.boxed)


class Opened(NamedTuple):
    """A decoded picture and the digest that caches key on."""

    image: Image.Image
    digest: str


def open_picture(picture: Picture) -> Opened:
    """The decoded picture; the last few are kept. Raises ImageError."""
    return _opened(picture.key, picture)


@st.cache_resource(max_entries=4, show_spinner=False)
def _opened(key: str, _picture: Picture) -> Opened:
    image = open_image(_picture.source, _picture.name)
    return Opened(image, image_digest(image))


@st.cache_data(max_entries=64, show_spinner=False)
def preview(digest: str, _image: Image.Image, side: int = 1400) -> bytes:
    """A JPEG of the picture, at most `side` pixels long, for the browser."""
    small = _image.copy()
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def find_dataset() -> Dataset | None:
    """The data set, or None where there is none; raises OditsError where one is named and can't be read."""
    folder = find_data_folder(None)
    if folder is None:
        return None
    stamps = tuple((file.name, file.stat().st_mtime_ns) for file in sorted(folder.glob("*.[xc]*")))
    return _dataset(str(folder), stamps)


def dataset_or_none() -> Dataset | None:
    """The data set, or None where there is none or it can't be read; only then the mistake is told."""
    try:
        return find_dataset()
    except OditsError as error:
        complain(str(error))
        return None


@st.cache_resource(max_entries=2, show_spinner="Reading the data set …")
def _dataset(folder: str, stamps: tuple[tuple[str, int], ...]) -> Dataset:
    return read_dataset(Path(folder))


def demo_dataset() -> Dataset | None:
    """The demo images with their words, or None where they are missing."""
    return _dataset(str(DEMO), ()) if (DEMO / "lexicons.csv").is_file() else None


def choose_collection(dataset: Dataset | None) -> str:
    """What the user wants to look at: "train", "eval", "all", "demo" or "upload"; asks for files in the last case."""
    titles = {"demo": "Demo images", "upload": "My own images"}
    if dataset is not None:
        names = {"train": "training", "eval": "evaluation"}
        titles |= {key: f"{dataset.name}, {names[key]} images" for key in dataset.splits}
        titles["all"] = f"{dataset.name}, all images"
    options = [key for key in ("eval", "train", "all", "demo", "upload") if key in titles]
    collection = state.choose("Images", options, "images", lambda key: titles.get(key, key))
    if collection == "upload":
        _uploader()
    if dataset is None:
        with st.expander("Where is SVT?", icon=":material/help:"):
            st.caption(GET_SVT)
    return collection


def pictures_of(collection: str, dataset: Dataset | None) -> list[Picture]:
    """The pictures of a collection, in its order."""
    if collection == "upload":
        return list(st.session_state.get(_UPLOADS, ()))
    source = demo_dataset() if collection == "demo" else dataset
    if source is None:
        return []
    records = source.split("all" if collection == "demo" else collection)
    return [
        Picture(record.name, record.path, path_key(record.path), record.lexicon, record.boxed) for record in records
    ]


def path_key(path: Path) -> str:
    """Identifies the content of an image file without reading it."""
    try:
        status = os.stat(path)  # noqa: PTH116  (hundreds of them on every run: the plain call is the fast one)
        return f"{path}|{status.st_size}|{status.st_mtime_ns}"
    except OSError:
        return str(path)  # it vanished: opening it says so


def _uploader() -> None:
    """Takes files in; they stay until they are removed, whichever page shows."""
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
    for problem in st.session_state.pop(_PROBLEMS, ()):
        complain(problem)
    kept = st.session_state.get(_UPLOADS, ())
    if kept:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("1 image of yours" if len(kept) == 1 else f"{len(kept)} images of yours")
            st.button("Remove", on_click=_remove_all, icon=":material/delete:", type="tertiary")


def _take_in(key: str) -> None:
    kept: list[Picture] = list(st.session_state.get(_UPLOADS, ()))
    problems: list[str] = []
    names = {picture.name for picture in kept}
    known = {picture.key for picture in kept}
    size = sum(len(picture.source) for picture in kept if isinstance(picture.source, bytes))
    newest = None
    for file in st.session_state[key]:
        data = file.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        if digest in known:
            continue
        size += len(data)
        if size > MAX_UPLOADED_BYTES:
            problems.append(f"{file.name}: that would be more than {MAX_UPLOADED_BYTES // 2**20} MB of images in all.")
            break
        picture = Picture(_distinct(file.name, names), data, digest)
        try:
            open_picture(picture)
        except OditsError as error:
            problems.append(str(error))
            continue
        kept.append(picture)
        names.add(picture.name)
        known.add(digest)
        newest = newest or picture.name
    st.session_state[_UPLOADS] = kept
    st.session_state[_PROBLEMS] = problems
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    if newest:
        state.act("image", newest)


def _distinct(name: str, taken: set[str]) -> str:
    path, number = Path(name), 2
    while name in taken:
        name, number = f"{path.stem} ({number}){path.suffix}", number + 1
    return name


def _remove_all() -> None:
    st.session_state.pop(_UPLOADS, None)


def choose_picture(pictures: list[Picture]) -> Picture | None:
    """The picture to look at, with previous and next by button and arrow key; None, and what to do, where none is."""
    if not pictures:
        if state.get("images") == "upload":
            st.info("Add one or several images on the left to see what is found in them.", icon=":material/upload:")
        else:
            st.info("There are no images here. Choose others on the left.", icon=":material/image_search:")
        return None
    names = [picture.name for picture in pictures]
    asked = state.get("image")
    if asked not in names:
        asked = names[0]
    index = names.index(asked)
    with st.container(horizontal=True, vertical_alignment="center", key="stepper", gap="small"):
        st.button(
            "Previous",
            shortcut="Left",
            key="previous",
            disabled=index == 0,
            on_click=state.act,
            args=("image", names[max(index - 1, 0)]),
        )
        st.button(
            "Next",
            shortcut="Right",
            key="next",
            disabled=index == len(names) - 1,
            on_click=state.act,
            args=("image", names[min(index + 1, len(names) - 1)]),
        )
        chosen = st.selectbox(
            "Image",
            names,
            label_visibility="collapsed",
            width="stretch",
            format_func=plain_name,
            **state.bind("image", asked, f"-{asked}"),
        )
        st.caption(f"{index + 1} of {len(names)}", width="content")
    return pictures[names.index(chosen)]


def plain_name(name: str) -> str:
    """A file's name without its folder."""
    return name.rsplit("/", 1)[-1]


def show_picture(opened: Opened, picture: Picture, key: str) -> None:
    """The picture itself, never higher than the window."""
    with st.container(key=f"fit-{key}"):
        st.image(preview(opened.digest, opened.image), alt=f"The image {plain(picture.name)}")
