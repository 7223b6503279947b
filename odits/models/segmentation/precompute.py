"""Objects of many images, computed by several processes or on a Ray cluster, and kept: a run resumes where it stopped.

What is computed is stored image by image (`odits.objects.codec`, `odits.models.segmentation.candidates`), so that
whatever ends a run
costs at most the images that were at work.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from odits.core.downloads import Progress as Download
from odits.core.downloads import no_progress
from odits.core.files import write_atomically
from odits.core.pool import Answer, Question, Source, ask_all, cores, question_about, source_of
from odits.data.images import ImageError
from odits.data.predictions import Segmenter
from odits.models.segmentation import candidates as candidate_store
from odits.models.segmentation.parameters import SamParameters
from odits.models.segmentation.segmenters import SegmenterIdentity, identify_segmenter, load_segmenter
from odits.objects import codec as object_store
from odits.objects.codec import content_of

Kind = Literal["objects", "candidates"]
Progress = Callable[[int, int], None]
WORKER = "odits.models.segmentation.precompute_worker"


@dataclass(frozen=True)
class Wanted:
    """What is to be computed of every image.

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

    def to_json(self) -> str:
        """For a process elsewhere."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Wanted:
        """What `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        given = values.pop("parameters")
        if given is not None and given["point_grids"] is not None:
            given["point_grids"] = tuple(tuple(map(tuple, grid)) for grid in given["point_grids"])
        return cls(**values, parameters=None if given is None else SamParameters(**given))

    @property
    def used_parameters(self) -> SamParameters | None:
        """SAM's parameters at which it is computed."""
        if self.kind == "objects":
            return self.parameters
        return candidate_store.loosened(self.parameters or SamParameters())

    def identity(self, download: Download = no_progress) -> SegmenterIdentity:
        """The name and the key of the segmenter; `download` is told of weights that arrive. Raises OditsError."""
        return identify_segmenter(self.reference, self.used_parameters, self.device, download)

    def load(self, threads: int | None = None) -> Segmenter:
        """The segmenter. Raises OditsError where there is none."""
        return load_segmenter(self.reference, self.used_parameters, self.device, threads=threads)

    def file(self, content: bytes, key: str) -> Path:
        """Where it is stored for an image file of this content."""
        place = object_store.objects_file if self.kind == "objects" else candidate_store.candidates_file
        return place(content, key)

    def is_stored(self, content: bytes, key: str) -> bool:
        """Whether it is stored, and not damaged."""
        if self.kind == "objects":
            return object_store.stored_count(content, key) is not None
        return zipfile.is_zipfile(self.file(content, key))  # False where there is no file

    def compute(self, content: bytes, name: str, segmenter: Segmenter) -> bytes:
        """What is to be stored for an image file of this content. Raises OditsError."""
        work = object_store.compute_objects if self.kind == "objects" else candidate_store.compute_candidates
        return work(content, name, segmenter)[1]


@dataclass(frozen=True)
class Precomputed:
    """What a run has done.

    Attributes:
        segmenter: its name and key.
        computed: how many images were computed now.
        kept: how many had been before.
        problems: why an image could not be computed, by its place.
    """

    segmenter: SegmenterIdentity
    computed: int
    kept: int
    problems: dict[int, str]


def precompute(
    images: Sequence[tuple[str, Source]],
    wanted: Wanted,
    workers: int | None = None,
    progress: Progress = lambda _done, _of: None,
    ray: str | None = None,
    download: Download = no_progress,
) -> Precomputed:
    """Nothing is missing in the store afterwards but what `problems` names.

    Args:
        images: the name of each image and the image.
        wanted: what is computed.
        workers: processes; by default as `default_workers` says.
        progress: called with (images done, images in all); what it raises ends the processes.
        ray: the address of a Ray cluster that does the work, or "local" to start one here.
        download: called with (bytes here, bytes in all) while SAM's weights are downloaded.

    Raises:
        OditsError: no such segmenter, no image can be computed at all, the disk is full, or there is no such cluster.
    """
    identity = wanted.identity(download)
    questions, places, problems = [], [], {}
    for place, (name, source) in enumerate(images):
        try:
            if not wanted.is_stored(content_of(source), identity.key):
                questions.append(question_about(name, source))
                places.append(place)
        except ImageError as error:
            problems[place] = str(error)
    unreadable, before = len(problems), len(images) - len(questions)
    progress(before, len(images))
    if questions:
        count = min(workers or default_workers(wanted.reference), len(questions))
        with closing(_answers(wanted, identity.key, questions, count, ray)) as answers:
            for done, (number, answer) in enumerate(answers, start=1):
                if "problem" in answer:
                    problems[places[number]] = answer["problem"]
                progress(before + done, len(images))
    failed = len(problems) - unreadable
    return Precomputed(identity, len(questions) - failed, before - unreadable, problems)


def default_workers(reference: str) -> int:
    """A process for each core, at most eight; SAM takes gigabytes and uses several cores: one for each four."""
    return max(1, min(8, cores()) if reference == "embedded" else min(4, cores() // 4))


def answer_question(question: Question, wanted: Wanted, segmenter: Segmenter) -> Answer:
    """What a process answers that has stored the result itself; an image that cannot be opened is its `problem`.

    Raises:
        OditsError: nothing can be stored, or computed at all.
    """
    try:
        content = content_of(source_of(question))
        result = wanted.compute(content, question["name"], segmenter)
    except ImageError as error:
        return {"problem": str(error)}
    write_atomically(wanted.file(content, segmenter.key), result)
    return {}


def _answers(
    wanted: Wanted, key: str, questions: Sequence[Question], workers: int, ray: str | None
) -> Generator[tuple[int, Answer], None, None]:
    if ray is None:
        yield from ask_all(WORKER, questions, workers, [wanted.to_json()])
        return
    from odits.models.segmentation.ray_cluster import compute_on_ray

    # the machines of a cluster have stores of their own: results come here and are stored here
    with closing(compute_on_ray(ray, wanted, questions, workers)) as results:
        for place, content, result in results:
            if isinstance(result, bytes):
                write_atomically(wanted.file(content, key), result)
            yield place, {} if isinstance(result, bytes) else {"problem": result}
