"""Options of a command from the dataclass of its settings, and what the commands that train share."""

from __future__ import annotations

import inspect
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from odits.cli.common import say
from odits.core.errors import OditsError
from odits.core.settings import option_of
from odits.models.fusion.settings import OBJECT_VIEWS
from odits.tracking.connections import send_login_to
from odits.tracking.sources import TRACKER_FORMS, make_tracker

if TYPE_CHECKING:
    from odits.core.progress import Reporter
    from odits.training.run import RunOptions, RunState

Out = Annotated[
    Path | None, typer.Option(help="Folder of the run. Default: one in ODITS_HOME/checkpoints, named after it.")
]
Restart = Annotated[bool, typer.Option(help="Start over instead of resuming the run in the folder.")]


def tracked_at(reference: str) -> str:
    """Take the server that a command names as the one that its login is for; callback of options."""
    send_login_to(reference)
    return reference


Track = Annotated[str, typer.Option(help=f"{TRACKER_FORMS}.", callback=tracked_at)]

View = Annotated[
    str,
    typer.Option(
        help="How CLIP is shown an object. " + "; ".join(f"{name}: {text}" for name, text in OBJECT_VIEWS.items()) + "."
    ),
]


def with_settings(settings_class: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every field of a settings dataclass, in the place of its parameter `settings`.

    Args:
        settings_class: a dataclass of `odits.core.settings.setting` fields; its errors are the command's.
    """
    hints = get_type_hints(settings_class)
    names = [one.name for one in fields(settings_class)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name == "settings":
                parameters += [_parameter(settings_class, name, hints[name]) for name in names]
            else:
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

        def run(**values: Any) -> None:
            given = {name: _value(hints[name], values.pop(name)) for name in names}
            command(settings=settings_class(**given), **values)

        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


def _parameter(settings_class: type[Any], name: str, kind: Any) -> inspect.Parameter:
    option = option_of(settings_class, name)
    default: Any = next(one.default for one in fields(settings_class) if one.name == name)
    flag = f"--{(option.flag or name).replace('_', '-')}"
    bounds: dict[str, Any] = {}
    if kind in (int, float):
        bounds = {"min": option.low if option.above is None else option.above, "max": option.high or option.below}
    if kind == tuple[str, ...]:
        kind, default = list[str] | None, list(default) or None
    elif kind == tuple[int, ...]:
        kind, default = str, ",".join(map(str, default))
    annotation = Annotated[kind, typer.Option(flag, help=option.text or None, **bounds)]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _value(kind: Any, value: Any) -> Any:
    """Turn what typer read into what the field holds."""
    if kind == tuple[int, ...]:
        try:
            return tuple(sorted({int(part) for part in value.replace(",", " ").split()}))
        except ValueError:
            raise OditsError(f"'{value}' is not a list of numbers such as 1,2,5.") from None
    return tuple(value or ()) if kind == tuple[str, ...] else value


def run_options(report: Reporter, track: str, restart: bool, data: str) -> RunOptions:
    """Return the options of a run: reported on stderr, and tracked.

    Args:
        report: shows the phases.
        track: reference of the tracker.
        restart: whether the run in the folder is removed.
        data: name of the data set.
    """
    from odits.training.run import Listener, RunOptions
    from odits.training.saving import code_version

    tags = {"code version": code_version(), "data set": data}
    listener = Listener(say if is_first_process() else lambda _: None, report.phase)
    return RunOptions(make_tracker(track), tags, restart, listener=listener)


def is_first_process() -> bool:
    """Return whether this is the process that reports, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def resumable() -> Iterator[None]:
    """Print the command that resumes an interrupted run."""
    try:
        yield
    except KeyboardInterrupt:
        if is_first_process():
            say(f"To go on: {resume_command(sys.argv[1:])}")
        raise


def resume_command(arguments: list[str]) -> str:
    """Return the command that resumes a run.

    Args:
        arguments: of the command that began it.

    Example:
        >>> resume_command(["train", "--data", "my signs", "--restart"])
        "odits train --data 'my signs'"
    """
    remaining = [argument for argument in arguments if argument != "--restart"]
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    launcher = ["torchrun", "--nproc-per-node", str(processes), "-m"] if processes > 1 else []
    return shlex.join([*launcher, "odits", *remaining])


def run_document(folder: Path, state: RunState) -> dict[str, Any]:
    """Return what `--json` says of a run: where it is, its losses and its checkpoints."""
    return {
        "folder": str(folder),
        "tracker": state.tracker,
        "run": state.run,
        "resumed_from": state.resumed_from,
        "epochs": state.epoch,
        "start": state.start,
        "history": state.history,
        "checkpoints": [{k: v for k, v in one.items() if k != "metadata"} for one in state.checkpoints],
        "problems": state.problems,
    }
