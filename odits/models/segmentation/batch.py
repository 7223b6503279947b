"""Objects of many images, found by `odits.core.pool` and stored: an interrupted run goes on where it was.

What is found is stored image by image (`odits.objects.codec`, `odits.models.segmentation.candidates`), so whatever ends
a run costs at most the images that were at work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from odits.core.device import cores
from odits.core.errors import WriteError
from odits.core.pool import Function, Item, Task, Workers, default_processes, map_images, per_item
from odits.core.progress import Progress, no_progress
from odits.core.store import Store
from odits.data.images import ImageError, content_of
from odits.data.predictions import Segmenter
from odits.models.reference import EMBEDDED, from_settings, parse, to_settings
from odits.models.segmentation.candidates import CANDIDATES, compute_candidates, loosened
from odits.models.segmentation.parameters import Sam3Parameters, SamParameters, parameters_from_json, parameters_of
from odits.models.segmentation.segmenters import SegmenterIdentity, fetched_sam, identify_segmenter, load_segmenter
from odits.objects.codec import OBJECTS, compute_document, former_result, result_key

Kind = Literal["objects", "candidates"]


@dataclass(frozen=True)
class ObjectsRequest:
    """What is to be found in every image.

    Attributes:
        reference: of the segmenter, as `load_segmenter` takes it.
        parameters: SAM's.
        device: for SAM.
        kind: the objects, or SAM's candidates at loose thresholds.
    """

    reference: str
    parameters: SamParameters | None = None
    device: str = "auto"
    kind: Kind = "objects"

    @property
    def used_parameters(self) -> SamParameters | None:
        """SAM's parameters at which it is computed."""
        if self.kind == "objects":
            return self.parameters
        return loosened(self.parameters or parameters_of(parse(self.reference, "segmenter").family)())

    @property
    def has_candidates(self) -> bool:
        """Whether it is a SAM that finds objects by points: not where SAM 3 has a text."""
        by_text = isinstance(self.parameters, Sam3Parameters) and bool(self.parameters.phrases)
        ref = parse(self.reference, "segmenter")
        return ref.is_sam and not ref.layout and not by_text

    @property
    def store(self) -> Store[Any]:
        """Where the results are."""
        return OBJECTS if self.kind == "objects" else CANDIDATES

    def identity(self, download: Progress = no_progress) -> SegmenterIdentity:
        """Return the name and the key of the segmenter; `download` hears of weights that arrive. Raises OditsError."""
        return identify_segmenter(self.reference, self.used_parameters, self.device, download)

    def is_stored(self, content: bytes, key: str) -> bool:
        """Whether the result of an image file of this content is stored for the segmenter of this key, undamaged."""
        return self.store.get(result_key(content, key), former_result(self.store, content, key)) is not None

    def compute(self, content: bytes, name: str, segmenter: Segmenter) -> Any:
        """Compute what is to be stored for an image file of this content. Raises OditsError."""
        compute = compute_document if self.kind == "objects" else compute_candidates
        return compute(content, name, segmenter)

    def task(self) -> Task:
        """Return what the workers do: they find, store and return what is stored (`Found`)."""
        ref = parse(self.reference, "segmenter")
        if ref.is_sam:
            ref = fetched_sam(ref)
        parameters = None if self.parameters is None else asdict(self.parameters)
        settings = {"parameters": parameters, "device": self.device, "kind": self.kind, **to_settings(ref)}
        return Task("odits.models.segmentation.batch:finder", settings, files=["weights"] if ref.path else [])


class Found(NamedTuple):
    """What a worker found in an image.

    Attributes:
        key: in the store.
        data: as it is stored.
        is_new: whether it was computed now.
    """

    key: str
    data: bytes
    is_new: bool


def finder(
    model: Mapping[str, Any],
    kind: Kind,
    device: str,
    parameters: Mapping[str, Any] | None,
    weights: str | None = None,
    threads: int | None = None,
) -> Function:
    """Return a function for `odits.core.pool` that finds, stores and returns the objects of images (`Found`).

    Args:
        model: the segmenter, by `odits.models.reference.to_settings`.
        kind: objects, or SAM's candidates.
        device: for SAM.
        parameters: SAM's.
        weights: the segmenter's file.
        threads: of the embedded segmenter.

    Raises:
        OditsError: there is no such segmenter.
    """
    request = ObjectsRequest(model["reference"], read_settings(parameters), device, kind)
    ref = from_settings(model, weights)
    segmenter = load_segmenter(ref, request.used_parameters, device, threads=threads)
    store = request.store

    def find(item: Item) -> Found:
        content = content_of(item.source)
        key = result_key(content, segmenter.key)
        computed = []

        def compute() -> Any:
            computed.append(item.name)
            return request.compute(content, item.name, segmenter)

        result = store.get_or_compute(key, compute, former_result(store, content, segmenter.key))
        path = store.path(key)
        data = path.read_bytes() if path.is_file() else store.codec.encode(result)
        return Found(key, data, bool(computed))

    return per_item(find)


def read_settings(parameters: Mapping[str, Any] | None) -> SamParameters | None:
    """Return SAM's parameters from JSON, which has no tuples."""
    return None if parameters is None else parameters_from_json(parameters)


@dataclass(frozen=True)
class Precomputed:
    """What a run has done.

    Attributes:
        segmenter: its name and key.
        computed: how many images were computed now.
        stored: how many had been before, or were meanwhile by another process.
        problems: why an image could not be computed, by its place.
    """

    segmenter: SegmenterIdentity
    computed: int
    stored: int
    problems: dict[int, str]


def precompute(
    images: Sequence[Item],
    request: ObjectsRequest,
    workers: Workers | None = None,
    progress: Progress = no_progress,
    download: Progress = no_progress,
    must_store: bool = True,
) -> Precomputed:
    """Find the objects of images and store them; afterwards nothing is missing but what `problems` names.

    Args:
        images: the images.
        request: what is to be found.
        workers: where it is done; by default in as many processes as `default_count` says.
        progress: called with (images done, images in all); what it raises ends the work.
        download: called with (bytes here, bytes in all) while SAM's weights are downloaded.
        must_store: whether it is an error that nothing can be stored; else this process remembers what was found.

    Raises:
        OditsError: no such segmenter, nothing can be computed at all, the disk is full, or there is no such cluster.
    """
    identity = request.identity(download)
    places, problems = [], {}
    for place, item in enumerate(images):
        try:
            if not request.is_stored(content_of(item.source), identity.key):
                places.append(place)
        except ImageError as error:
            problems[place] = str(error)
    before, computed = len(images) - len(places), 0
    where = workers or Workers()
    if where.processes is None and where.ray is None:
        where = Workers(default_count(request.reference))
    if not places:
        progress(before, len(images))
        return Precomputed(identity, 0, before - len(problems), problems)
    unreadable = len(problems)
    missing = [images[place] for place in places]

    def report(done: int, _: int) -> None:
        progress(before + done, len(images))

    with closing(map_images(request.task(), missing, where, report)) as outcomes:
        for index, found, problem in outcomes:
            if problem is not None:
                problems[places[index]] = problem
                continue
            computed += found.is_new
            if not request.store.path(found.key).is_file():  # a cluster's machine has a store of its own
                try:
                    request.store.put_bytes(found.key, found.data)
                except WriteError:
                    if must_store:
                        raise
                    request.store.remember(found.key, found.data)
    failed = len(problems) - unreadable
    return Precomputed(identity, computed, before - unreadable + len(places) - failed - computed, problems)


def default_count(reference: str) -> int:
    """Return how many processes find objects: SAM takes gigabytes and uses several cores, so one for each four."""
    return default_processes() if reference == EMBEDDED else max(1, min(4, cores() // 4))
