"""What bounds a row: the sums that its encoders must do, and the bytes it must read, against the machine's peaks.

A floor is the time that the encoders' matrix products alone would take at the measured peak of float32 products; the
share of the peak is that floor over the time that was measured. Sums are counted by PyTorch's own counter on one
input (a multiply-add is two), attention's softmax and everything elementwise left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks._report.rows import value_at

Documents = Mapping[str, Mapping[str, Any]]
"""The documents of the runs, by the runs' names."""
Figures = Mapping[str, float]


def encoder_gflop() -> dict[str, float]:
    """Count the GFLOP of one input of each encoder in the table."""
    import torch
    from segment_anything import sam_model_registry
    from torch.utils.flop_counter import FlopCounterMode

    from odits.models.clip.embedded import create_untrained, new_model

    def gflop(call: Callable[[], object]) -> float:
        with FlopCounterMode(display=False) as counter:  # with gradients: the fused attention is not counted
            call()
        return float(counter.get_total_flops()) / 1e9

    vit, embedded = create_untrained("ViT-B-32").eval(), new_model().eval()
    with torch.device("meta"):
        sam = sam_model_registry["vit_b"]().image_encoder
        pixels = torch.zeros(1, 3, 1024, 1024)
    context = torch.zeros(1, 77, dtype=torch.long)
    return {
        "vit_b_32_image": gflop(lambda: vit.encode_image(torch.zeros(1, 3, 224, 224))),
        "vit_b_32_token": gflop(lambda: vit.encode_text(context)) / 77,
        "embedded_image": gflop(lambda: embedded.encode_image(torch.zeros(1, 3, *_size(embedded)))),
        "sam_vit_b_image": gflop(lambda: sam(pixels)),
    }


def _size(model: Any) -> tuple[int, int]:
    """Return height and width of a model's images."""
    size = model.visual.image_size
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def shared_beginnings(sequences: Sequence[Sequence[int]]) -> int:
    """Count the tokens of sequences of which no beginning is counted twice: the nodes of their trie.

    Example:
        >>> shared_beginnings([[1, 2, 3], [1, 2, 4]])
        4
    """
    return len({tuple(tokens[: end + 1]) for tokens in sequences for end in range(len(tokens))})


def vocabulary_tokens(words: Sequence[str]) -> int:
    """Count the tokens of words, as ViT-B/32 reads them, that have to be encoded where beginnings are shared."""
    import open_clip

    rows = open_clip.get_tokenizer("ViT-B-32")(list(words)).tolist()
    return shared_beginnings([row[: row.index(max(row)) + 1] for row in rows])


def bound(name: str, documents: Documents, peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    """Say what bounds a run's rows.

    Args:
        name: of the run.
        documents: of all runs that have one.
        peaks: of the machine (`machine.peaks`).
        gflop: of one input of each encoder, and how many tokens a vocabulary has ("tokens").

    Returns:
        Figures and a sentence ("says"); empty where nothing can be computed.
    """
    document = documents.get(name)
    if document is None or name not in _BOUNDS:
        return {}
    try:
        return _BOUNDS[name](document, peaks, gflop)
    except (KeyError, TypeError, ZeroDivisionError):  # a document of another version
        return {}


def _floor(work: str, amount: float, seconds: float, peaks: Figures, reference: float = 0.0) -> dict[str, float | str]:
    """Hold seconds against the floor of an amount of work in GFLOP."""
    floor = amount / peaks["gemm_gflops"]
    share = floor / seconds
    says = (
        f"{work}: {amount:,.0f} GFLOP, at the measured peak of {peaks['gemm_gflops']:.0f} GFLOP/s {_short(floor)}; "
        f"the whole takes {_short(seconds)}, {100 * share:.0f} % of the peak"
    )
    found: dict[str, float | str] = {"gflop": amount, "floor_seconds": floor, "share_of_peak": share}
    if reference:
        found["ratio_at_peak"] = reference / floor
        says += f", and at the peak the ratio would be {reference / floor:.3g}"
    return found | {"says": f"{says}."}


def _short(seconds: float) -> str:
    """Write seconds in three digits."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _sam(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    whole, decoder = value_at(document, "whole_image_seconds.exact"), value_at(document, "decoder_seconds.exact")
    found = _floor("The image encoder", gflop["sam_vit_b_image"], whole, peaks)
    rest = whole - float(found["floor_seconds"]) - decoder
    says = f" The decoder takes {100 * decoder / whole:.0f} % of it, all else {100 * rest / whole:.0f} %"
    library = value_at(document, "whole_image_seconds.library")
    best = library / float(found["floor_seconds"])
    return found | {"says": f"{found['says']}{says}; without either the ratio would be {best:.3g}."}


def _vocabulary(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    tokens = gflop["tokens"]
    work = f"{tokens:,.0f} tokens once beginnings are shared"
    return _floor(
        work,
        tokens * gflop["vit_b_32_token"],
        document["short_context_seconds"],
        peaks,
        document["encode_text_seconds"],
    )


def _words(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    found = _floor("The image encoder", gflop["vit_b_32_image"], document["top10_seconds"], peaks)
    ratio = float(found["floor_seconds"]) / document["bare_seconds"]
    return found | {"says": f"{found['says']} The ratio at the peak: {ratio:.2g}."}


def _evaluate(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    work = f"The image encoder, {document['images']} times"
    found = _floor(work, document["images"] * gflop["embedded_image"], document["encode_images_seconds"], peaks)
    decoding = document["decode_seconds"] / document["evaluate_seconds"]
    return found | {
        "says": f"{found['says']} (That is PyTorch's own pass.) Decoding alone is {100 * decoding:.0f} % of the whole."
    }


def _odits(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    count, bare = document["objects"] + 1, document["vit_b_32_encoding_seconds"]
    whole = bare * document["vit_b_32_ratio"]
    found = _floor(f"The image encoder, {count} times", count * gflop["vit_b_32_image"], whole, peaks)
    ratio = float(found["floor_seconds"]) / bare
    return found | {"says": f"{found['says']} The ratio at the peak: {ratio:.2g}; preprocessing is in both."}


def _spotting(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    whole = document["rapidocr_seconds"]
    lines, words = document["detection_seconds"] / whole, document["recognition_seconds"] / whole
    says = (
        f"Finding lines at all scales takes {lines:.2g} times rapidocr's whole call (one scale), reading "
        f"{document['lines_an_image']:.0f} lines an image {words:.2g} times."
    )
    return {"detection_against_rapidocr": lines, "recognition_against_rapidocr": words, "says": says}


def _search(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    full = document["index_mb"] / 1024 / (peaks["copy_gb_per_s"] / 2) * 1e3
    share = document["lines_scored_exactly_most"] / document["lines"]
    says = (
        f"Reading the whole index once would take {full:.3g} ms at the measured bandwidth; the query that needs "
        f"most scores {document['lines_scored_exactly_most']:,} of {document['lines']:,} lines exactly "
        f"({100 * share:.2g} %)."
    )
    return {"full_scan_ms": full, "share_of_lines_scored": share, "says": says}


def _objects(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    return {
        "says": f"Two processes on two cores take at best half of what one takes; here it is {document['ratio']:.2f}, "
        f"each one's start and loading among {document['images']} pictures."
    }


def _start(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    rest = document["words_seconds"] - document["import_torch_seconds"]
    return {
        "says": f"Beyond importing PyTorch an answer takes {_short(rest)}: loading networks and reading the picture."
    }


def _app(document: Mapping[str, Any], peaks: Figures, gflop: Figures) -> dict[str, float | str]:
    hello = document["hello_first_page_seconds"]
    return {"says": f"Streamlit's own hello, which loads no library of ours, takes {_short(hello)} here."}


_BOUNDS: dict[str, Callable[[Mapping[str, Any], Figures, Figures], dict[str, float | str]]] = {
    "sam": _sam,
    "vocabulary": _vocabulary,
    "words": _words,
    "evaluate": _evaluate,
    "odits": _odits,
    "spotting": _spotting,
    "search": _search,
    "search-million": _search,
    "objects": _objects,
    "start": _start,
    "app": _app,
}
