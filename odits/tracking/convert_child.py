"""Conversion of a pickle of weights to safetensors: a script for a process of its own, under limits.

    python -I convert_child.py SOURCE TARGET MEMORY_BYTES SECONDS HEADER_JSON

It imports nothing of this package, so that it starts fast and holds no credentials. The last line on stdout
says why it refused, and its exit status is then 3.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

REFUSED = 3
WRAPPERS = ("state_dict", "model_state_dict", "model")


def limit(memory: int, seconds: int, target_bytes: int) -> None:
    """Bound what this process may take, beyond what the libraries it has loaded already have."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; the parent's time limit holds there
        return
    statm = Path("/proc/self/statm")
    mapped = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
    bounds = {"RLIMIT_AS": mapped + memory, "RLIMIT_CPU": seconds, "RLIMIT_FSIZE": target_bytes, "RLIMIT_CORE": 0}
    for name, value in bounds.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        limited = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limited, limited))


def weights(loaded: Any) -> dict[str, Any]:
    """Take the tensors of one model by name out of the usual wrappings; raise ValueError where there are none."""
    import torch

    for name in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(name), dict):
            loaded = loaded[name]
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError("it does not hold the weights of one model")
    found: dict[str, Any] = {}
    storages: set[int] = set()
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise ValueError("it does not hold the weights of one model")
        tensor = value.detach().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in storages or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()  # safetensors takes no two names for one memory
        storages.add(tensor.untyped_storage().data_ptr())
        found[name.removeprefix("module.")] = tensor
    return found


def convert(source: str, target: str, memory: int, seconds: int, header: dict[str, str]) -> None:
    """Write the target; raise what the loader raises."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    limit(memory, seconds, target_bytes=memory)
    loaded = torch.load(source, map_location="cpu", weights_only=True)
    save_file(weights(loaded), target, {"format": "pt", **header})


def main(arguments: list[str]) -> int:
    """Convert as the arguments say; return the exit status."""
    source, target, memory, seconds, header = arguments
    try:
        convert(source, target, int(memory), int(seconds), json.loads(header))
    except pickle.UnpicklingError:
        why = "it holds code, or more than weights"
    except MemoryError:
        why = "it needs too much memory"
    except ValueError as error:
        why = str(error) if str(error).startswith("it ") else "it is damaged"
    except (RuntimeError, OSError, EOFError, KeyError, AttributeError, TypeError, IndexError) as error:
        short = any(word in str(error) for word in ("memory", "allocate", "File too large"))
        code = any(word in str(error) for word in ("weights_only", "TorchScript"))
        why = "it needs too much memory" if short else "it holds code, not only weights" if code else "it is damaged"
    else:
        return 0
    sys.stdout.write(f"{why}\n")
    return REFUSED


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
