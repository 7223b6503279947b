"""A hook of the build: the dependencies of the wheel and its extras are those of the requirements files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

EXTRAS = ("ray", "doctr", "heic", "fast", "serve", "dev")


def read_requirements(path: Path) -> list[str]:
    """List the requirements of a file; lines that include another file stand for that file's, `requirements.txt` apart.

    Args:
        path: of a requirements file.

    Returns:
        Requirements as PEP 508 writes them, in the file's order.
    """
    requirements: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split(" #")[0].strip()
        if text.startswith("-r"):
            included = path.parent / text.removeprefix("-r").strip()
            # an extra adds to the package's own requirements and does not say them again
            requirements += [] if included.name == "requirements.txt" else read_requirements(included)
        elif text and not text.startswith("#"):
            requirements.append(text)
    return requirements


class RequirementsHook(MetadataHookInterface):
    """Fill in `dependencies` and `optional-dependencies`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Read the requirements files beside pyproject.toml into `metadata`."""
        root = Path(self.root)
        metadata["dependencies"] = read_requirements(root / "requirements.txt")
        metadata["optional-dependencies"] = {
            extra: read_requirements(root / f"requirements-{extra}.txt") for extra in EXTRAS
        }
