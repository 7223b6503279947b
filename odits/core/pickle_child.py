"""Conversion of a pickle of weights to safetensors: a script for a process of its own, under limits.

`odits.core.bounded_child` runs it with the arguments SOURCE TARGET HEADER_JSON. It imports nothing of this package. The
last line on stdout says why it refused, and its exit status is then 3. A TorchScript archive is read too: its tensors,
never its code.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

REFUSED = 3
WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "clip", "weights", "params")
"""Under which name trainers put the weights beside the optimizer's state and the like."""
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema", "params_ema")
"""The same for running averages of the weights, which are taken where there are no other ones."""
NO_WEIGHTS = "it does not hold the weights of one model"


def unwrapped(loaded: Any) -> Any:
    """Take the usual wrappings off: the weights lie in the dictionary of one of their names, maybe several deep."""
    while isinstance(loaded, dict):
        inner = next((loaded[name] for name in (*WRAPPERS, *AVERAGED) if isinstance(loaded.get(name), dict)), None)
        if inner is None:
            break
        loaded = inner
    return loaded


def weights(loaded: Any) -> dict[str, Any]:
    """Take the tensors of one model by name out of the usual wrappings; raise ValueError where there are none."""
    import torch

    loaded = unwrapped(loaded)
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError(NO_WEIGHTS)
    found: dict[str, Any] = {}
    storages: set[int] = set()
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise ValueError(NO_WEIGHTS)
        tensor = value.detach().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in storages or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()  # safetensors takes no two names for one memory
        storages.add(tensor.untyped_storage().data_ptr())
        found[name.removeprefix("module.")] = tensor
    return found


# TorchScript archives: a pickle of modules, whose classes are code in the archive.


class ScriptModule:
    """Stands for a module of a TorchScript archive: nothing but its attributes."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class TensorUnpickler(pickle.Unpickler):
    """Reads a TorchScript archive's pickle: tensors and plain values; every other class is refused.

    Args:
        data: the pickle.
        read: returns a storage by its name in the archive and its number of bytes.
    """

    def __init__(self, data: bytes, read: Callable[[str, int], Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._read = read

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name in the pickle may stand for."""
        import torch

        if module == "__torch__" or module.startswith("__torch__."):
            return ScriptModule
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch.jit._pickle":
            return lambda value, *_: value  # type tags of lists
        if module == "torch" and name.endswith("Storage") and name in torch.__dict__:
            return getattr(torch, name)
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, identity: Any) -> Any:
        """Return the storage that the pickle names."""
        import torch

        kind, storage, key, _device, count = identity
        if kind != "storage" or not isinstance(key, str) or not isinstance(count, int):
            raise pickle.UnpicklingError(str(kind))
        return self._read(key, count * torch._utils._element_size(storage.dtype)), storage.dtype


def _rebuild(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Any:
    import torch

    held, dtype = storage
    return torch.empty(0, dtype=dtype).set_(held, int(offset), tuple(size), tuple(stride))


def is_script(source: str) -> bool:
    """Return whether a file is a TorchScript archive: a ZIP with code beside its data."""
    try:
        with zipfile.ZipFile(source) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
    return any(name.endswith("/constants.pkl") for name in names) and any("/code/" in name for name in names)


def script_weights(source: str) -> dict[str, Any]:
    """Read the tensors of a TorchScript archive by the names that its modules give them; no code is compiled or run."""
    import torch

    reader = torch._C.PyTorchFileReader(source)

    def read(key: str, size: int) -> Any:
        return reader.get_storage_from_record(f"data/{key}", size, torch.UntypedStorage).untyped_storage()

    loaded = TensorUnpickler(reader.get_record("data.pkl"), read).load()
    found: dict[str, Any] = {}
    pending = [("", loaded)]
    while pending:
        prefix, module = pending.pop()
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                found[prefix + name] = value
            elif isinstance(value, ScriptModule):
                pending.append((f"{prefix}{name}.", value))
    return found


# The script.


def load(source: str) -> Any:
    """Read a file that torch saved: nothing in it is called but what puts tensors together."""
    import numpy as np
    import torch

    if is_script(source):
        return script_weights(source)
    # losses and metrics that a trainer wrote down beside the weights are numpy's numbers, its options a Namespace
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "?")]
    harmless: list[Any] = [Namespace, np.dtype, *kinds, scalar, (scalar, "numpy.core.multiarray.scalar")]
    with torch.serialization.safe_globals(harmless), Path(source).open("rb") as file:  # by its content, not its name
        return torch.load(file, map_location="cpu", weights_only=True)


def prepare() -> None:
    """Import what takes memory, before that is limited."""
    import numpy  # noqa: F401
    import safetensors.torch  # noqa: F401
    import torch

    torch.set_num_threads(1)


def main(arguments: list[str]) -> int:
    """Convert as the arguments say; return the exit status."""
    from safetensors.torch import save_file

    source, target, header = arguments
    try:
        save_file(weights(load(source)), target, {"format": "pt", **json.loads(header)})
    except pickle.UnpicklingError:
        why = "it holds code, or more than weights"
    except MemoryError:
        why = "it needs too much memory"
    except ValueError as error:
        why = str(error) if str(error).startswith("it ") else "it is damaged"
    except (RuntimeError, OSError, EOFError, KeyError, AttributeError, TypeError, IndexError) as error:
        short = any(word in str(error) for word in ("memory", "allocate", "File too large"))
        code = "weights_only" in str(error)
        why = "it needs too much memory" if short else "it holds code, not only weights" if code else "it is damaged"
    else:
        return 0
    sys.stdout.write(f"{why}\n")
    return REFUSED
