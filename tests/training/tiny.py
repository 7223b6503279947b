"""A model and a data set small enough to be fine-tuned in a test, and `odits finetune` on them in a process of its own.

    python -m tests.training.tiny [--die FUNCTION CALL] OPTIONS...

With --die the process kills itself (SIGKILL) at the named call of a function of the training; "interrupt" is Ctrl-C
within a step.
"""

import io
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import typer
from PIL import Image
from safetensors.torch import save_file

ARCHITECTURE = "odits-test-tiny"
LEXICONS = ("BAR CAFE THE", "HOTEL THE INN", "PIZZA BAR", "BANK the ATM CITY", "BOOKS CAFE", "MARKET PIZZA")


def register() -> None:
    """Makes the tiny architecture known to open_clip."""
    if ARCHITECTURE in open_clip.list_models():
        return
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{ARCHITECTURE}.json").write_text(json.dumps(config))
        open_clip.add_model_config(folder)


def write_weights(path: Path) -> str:
    """A reference to a file of random weights."""
    register()
    torch.manual_seed(0)
    model: Any = open_clip.create_model(ARCHITECTURE)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path, {"format": "pt"})
    return f"{ARCHITECTURE}@{path}"


def write_data(folder: Path) -> Path:
    """A folder of six training images and two others."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["file,words,split"]
    for number, words in enumerate((*LEXICONS, "BAR BOOKS", "THE HOTEL")):
        pixels = rng.integers(0, 255, (4, 4, 3), np.uint8)
        Image.fromarray(pixels).resize((40, 36), Image.Resampling.NEAREST).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{words},{'train' if number < len(LEXICONS) else 'eval'}")
    (folder / "lexicons.csv").write_text("\n".join(lines) + "\n")
    return folder


def _die(function: str, call: int) -> None:
    """Arranges that this process is killed at the call-th call of the function."""
    from odits.training import finetune as loop

    calls = 0

    def deadly(before: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGINT if function == "interrupt" else signal.SIGKILL)
        return before(*arguments, **options)

    if function in ("step", "interrupt"):  # in the middle of an epoch: losses are there, weights have not moved
        step = torch.optim.Adam.step
        torch.optim.Adam.step = lambda *a, **k: deadly(step, *a, **k)  # type: ignore[method-assign]
    elif function == "checkpoint":  # before the epoch's checkpoint
        save_checkpoint = loop.Checkpoints.save
        loop.Checkpoints.save = lambda *a, **k: deadly(save_checkpoint, *a, **k)  # type: ignore[method-assign]
    else:  # when half of the state is on the disk
        save = torch.save

        def half(value: Any, file: Any) -> None:
            buffer = io.BytesIO()
            save(value, buffer)
            file.write(buffer.getvalue()[: len(buffer.getvalue()) // 2])
            file.flush()
            deadly(lambda: (file.seek(0), file.write(buffer.getvalue())))

        torch.save = half  # type: ignore[assignment]


def main() -> None:
    """Runs the command."""
    from odits.cli.finetune import finetune

    register()
    arguments = sys.argv[1:]
    if arguments[:1] == ["--die"]:
        _die(arguments[1], int(arguments[2]))
        arguments = arguments[3:]
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(finetune)
    app(arguments)


if __name__ == "__main__":
    main()
