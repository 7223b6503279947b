"""The command line. Each command reads its options, makes one call into the package, and prints the result."""

from __future__ import annotations

import errno
import io
import sys

import typer

from odits.cli import app as explorer
from odits.cli import (
    benchmark,
    cache,
    calibration,
    checkpoints,
    compare,
    counts,
    crops,
    dataset,
    differences,
    evaluate,
    explain,
    finetune,
    marks,
    marks_analysis,
    models,
    objects,
    precompute,
    pretrain,
    report,
    search,
    spotting,
    street,
    train,
    words,
)
from odits.core.errors import OditsError

_INTERRUPTED = 130
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)

app = typer.Typer(
    name="odits",
    help="Which words describe a street view, which objects it holds, and which object makes which word likely.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("dataset")(dataset.dataset)
app.command("words")(words.words)
app.command("objects")(objects.objects)
app.command("counts")(counts.counts)
app.command("precompute")(precompute.precompute)
app.command("evaluate")(evaluate.evaluate)
app.command("calibration")(calibration.calibration)
app.command("retrieval")(spotting.retrieval)
app.command("spot")(spotting.spot)
app.command("search")(search.search)
app.command("finetune")(finetune.finetune)
app.command("train")(train.train)
app.command("compare")(compare.compare)
app.command("differences")(differences.differences)
app.command("report")(report.report)
app.command("explain")(explain.explain)
marks_analysis.add_to(marks.app)
app.add_typer(marks.app, name="annotations")
app.command("models")(models.models)
app.add_typer(checkpoints.app, name="checkpoints")
app.command("benchmark")(benchmark.benchmark)
app.command("evaluate-crops")(crops.evaluate_crops)
app.command("pretrain")(pretrain.pretrain)
app.command("render")(street.render)
app.command("train-street")(street.train_street)
app.command("cache")(cache.cache)
app.command("app", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(explorer.app)


def main() -> None:
    """Run the command line: a user's mistake is one line on stderr and exit status 2, an interruption 130.

    So is a disk that is full, read-only or broken, wherever that is met.
    """
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper) and (stdout.errors == "strict" or stdout.encoding.lower() != "utf-8"):
        stdout.reconfigure(errors="backslashreplace")  # a terminal that has no sign for a letter of a name
    try:
        app()
    except OditsError as error:
        sys.stderr.write(f"odits: {error}\n")
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        named = f"{error.filename} can't be used" if error.filename else "A file can't be written"
        sys.stderr.write(f"odits: {named}: {error.strerror}.\n")
        raise SystemExit(2) from None
    except (KeyboardInterrupt, SystemExit) as ended:
        status = getattr(ended, "code", _INTERRUPTED)
        if status != _INTERRUPTED:  # typer turns Ctrl-C into this status, and says nothing
            raise
        sys.stderr.write("odits: interrupted; what is done is stored\n")
        raise SystemExit(_INTERRUPTED) from None
