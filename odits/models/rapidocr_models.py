"""rapidocr with the models that its wheel carries, and no other: nothing is looked for elsewhere or downloaded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from odits.errors import OditsError


def load_rapidocr(recognises: bool, threads: int | None = None, **settings: Any) -> Any:
    """A rapidocr engine that detects lines of text, and recognises them if wanted.

    Args:
        recognises: whether the recogniser is needed too.
        threads: how many each network uses, all cores by default; several processes would stand in each other's way.
        settings: of rapidocr's detector, such as `box_thresh`.

    Raises:
        OditsError: rapidocr is not installed, or without these models.
    """
    try:
        import rapidocr
    except ImportError as error:
        raise OditsError("Finding text needs rapidocr: pip install rapidocr onnxruntime.") from error
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    folder = Path(rapidocr.__file__).parent / "models"
    # naming the files keeps rapidocr from looking for, and downloading, any other
    files: dict[str, Any] = {}
    for part, kind, needed in (("Det", "det", True), ("Rec", "rec", recognises)):
        found = sorted(folder.glob(f"*_{kind}_*.onnx"))
        if needed and not found:
            raise OditsError("rapidocr is installed without its models: install it again (pip install rapidocr).")
        if needed:
            files[f"{part}.model_path"] = str(found[-1])
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.use_rec": recognises,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads or -1,
            **files,
            **{f"Det.{name}": value for name, value in settings.items()},
        }
    )
