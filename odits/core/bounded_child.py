"""What a process under limits begins with: a script that runs another one.

    python -I bounded_child.py SCRIPT MEMORY_BYTES MORE_MEMORY_BYTES CPU_SECONDS WRITTEN_BYTES FOLDERS ARGUMENT…

It imports nothing of this package, so that it starts fast and holds no credentials. The other script has `prepare()`,
which imports what it needs, and `main(arguments)`, which returns the exit status and runs under the limits.
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def limit(memory: int, more_memory: int, seconds: int, written: int) -> None:
    """Bound what this process may take, beyond what the libraries it has loaded already have.

    Args:
        memory: bytes.
        more_memory: bytes that the script may add by itself.
        seconds: of CPU, since it began.
        written: bytes of a file.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limits; the parent's time limit holds there
        return
    statm = Path("/proc/self/statm")
    mapped = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
    bounds = {
        "RLIMIT_AS": (mapped + memory, more_memory),
        "RLIMIT_CPU": (seconds, 1),  # first a signal that tells why, then the end
        "RLIMIT_FSIZE": (written, 0),
        "RLIMIT_CORE": (0, 0),
    }
    for name, (value, more) in bounds.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        most = soft + more if hard == resource.RLIM_INFINITY else min(soft + more, hard)
        resource.setrlimit(kind, (soft, most))


def main(arguments: list[str]) -> int:
    """Run the script under the limits that the arguments say; return its exit status."""
    script, memory, more_memory, seconds, written, folders, *rest = arguments
    sys.path.extend(folder for folder in folders.split(os.pathsep) if folder and folder not in sys.path)
    spec = spec_from_file_location("bounded_task", script)
    if spec is None or spec.loader is None:
        return 1
    task = module_from_spec(spec)
    sys.modules[spec.name] = task
    spec.loader.exec_module(task)
    task.prepare()
    limit(int(memory), int(more_memory), int(seconds), int(written))
    status: int = task.main(rest)
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
