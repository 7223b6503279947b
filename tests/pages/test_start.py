"""What must hold for the first page to show fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("torch", "open_clip", "rapidocr", "onnxruntime", "transformers", "mlflow", "segment_anything")


def test_no_page_needs_a_heavy_library_before_it_predicts() -> None:
    modules = [f"pages.{file.parent.name}.{file.stem}" for file in (REPOSITORY / "pages").glob("_*/[a-z]*.py")]
    assert "pages._explain.answers" in modules and "pages._shared.jobs" in modules
    code = f"import sys, {', '.join(modules)}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
