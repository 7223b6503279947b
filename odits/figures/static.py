"""Figures on paper: Matplotlib's canvas in the look of the others, saved as SVG, PDF or PNG without a browser.

What a figure shows comes from the same data as the interactive one; each kind has a module of its own (`static_words`,
`static_counts`, `static_models`), and `static_panels` draws what has dots, lines and bars alone.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from matplotlib import font_manager, ft2font, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from odits.core.errors import OditsError

Format = Literal["svg", "pdf", "png"]
FORMATS: tuple[Format, ...] = ("svg", "pdf", "png")
MIME = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}
DPI = 96
SCALE = 2
"""A PNG has so many pixels for each of the figure's."""
FAMILIES = (
    "Source Sans 3",
    "Noto Sans",
    "DejaVu Sans",
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "WenQuanYi Micro Hei", "IPAGothic"),
    *("Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Bengali"),
    *("Droid Sans Fallback", "Unifont"),
)
"""Fonts in the order in which a letter is looked for; those that this machine has not are passed over."""
_LOCK = threading.Lock()
"""Matplotlib's settings and fonts belong to the whole process."""


class Theme(NamedTuple):
    """Colours of a figure: of text, of its background, and of lines behind the data."""

    ink: str
    paper: str
    grid: str


THEMES = {"light": Theme("#16202A", "#FFFFFF", "#D9DEE3"), "dark": Theme("#E8EDF2", "#12171C", "#36404A")}
"""By name, as the pages have them."""


Draw = Callable[[Theme], Figure]


def canvas(width: int, height: int, theme: Theme, columns: int = 1, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty figure with its plots, in the look of a theme.

    Args:
        width: in pixels at 96 to the inch.
        height: likewise.
        theme: its colours.
        columns: plots side by side.
        rows: plots below each other.
    """
    figure = Figure((width / DPI, height / DPI), dpi=DPI, layout="constrained", facecolor=theme.paper)
    plots = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in plots:
        dress(axes, theme)
    return figure, plots


def dress(axes: Axes, theme: Theme) -> None:
    """Give a plot the look of a theme: no frame but the line below, and ticks without strokes."""
    axes.set_facecolor(theme.paper)
    axes.tick_params(which="both", colors=theme.ink, labelsize=10, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.grid)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    axes.set_axisbelow(True)


def legend(figure: Figure, axes: Axes, theme: Theme, columns: int = 3) -> None:
    """Write the legend of a plot below all plots; nothing where it has no entries."""
    handles, labels = axes.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    if named:
        figure.legend(
            list(named.values()),
            list(named),
            loc="outside lower center",
            ncols=min(columns, len(named)),
            frameon=False,
            fontsize=10,
            labelcolor=theme.ink,
        )


def literal_label(text: str) -> str:
    """Return text in which Matplotlib finds no formula."""
    from odits.core.text import spell_out

    return spell_out(text).replace("$", r"\$")


def save(draw: Draw, form: Format, theme: str = "light") -> bytes:
    """Draw a figure and return it as a file: letters as outlines (SVG), fonts embedded (PDF), or twice as large (PNG).

    Args:
        draw: draws it in a theme.
        form: of the file.
        theme: of `THEMES`.

    Raises:
        OditsError: there is no such format or theme.
    """
    if form not in FORMATS:
        raise OditsError(f"A figure can't be saved as {form}; there is {', '.join(FORMATS)}.")
    stream = io.BytesIO()
    with _drawing():
        figure = draw(theme_of(theme))
        # without the time of day, so that the same figure is the same file
        about = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
        figure.savefig(stream, format=form, dpi=DPI * SCALE, facecolor=figure.get_facecolor(), metadata=about)
    return stream.getvalue()


def save_pages(draws: Sequence[Draw], theme: str = "light", title: str = "") -> bytes:
    """Draw figures as the pages of one PDF, its fonts embedded.

    Args:
        draws: draw the pages.
        theme: of `THEMES`.
        title: of the document.
    """
    stream = io.BytesIO()
    with _drawing(), PdfPages(stream, metadata={"Title": title, "CreationDate": None}) as pages:
        for draw in draws:
            figure = draw(theme_of(theme))
            pages.savefig(figure, facecolor=figure.get_facecolor())
    return stream.getvalue()


class _drawing:  # noqa: N801  (a context, as rc_context is)
    """Matplotlib's settings while a figure is drawn and saved, for one thread at a time."""

    def __enter__(self) -> None:
        _LOCK.acquire()
        self._quiet = warnings.catch_warnings()
        self._quiet.__enter__()
        warnings.filterwarnings("ignore", r"Glyph .* missing")  # told by `missing_letters`
        self._settings = rc_context(
            {
                "font.family": list(families()),
                "svg.fonttype": "path",
                "svg.hashsalt": "odits",
                "pdf.fonttype": 42,
                "axes.unicode_minus": True,
            }
        )
        self._settings.__enter__()

    def __exit__(self, *error: object) -> None:
        self._settings.__exit__(None, None, None)
        self._quiet.__exit__(None, None, None)
        _LOCK.release()


def theme_of(name: str) -> Theme:
    """Return a theme by its name. Raises OditsError."""
    if name not in THEMES:
        raise OditsError(f"There is no theme “{name}” for figures; there is {', '.join(THEMES)}.")
    return THEMES[name]


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """Return the families of `FAMILIES` that this machine has; Matplotlib brings DejaVu Sans."""
    there = set(font_manager.get_font_names())
    return tuple(name for name in FAMILIES if name in there)


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    """Return the code points that the fonts have."""
    found: set[int] = set()
    for name in families():
        path = font_manager.findfont(font_manager.FontProperties(family=name), fallback_to_default=False)
        found |= set(ft2font.FT2Font(str(path)).get_charmap())
    return frozenset(found)


def missing_letters(texts: Iterable[str]) -> str:
    """Return the letters of texts that no font of this machine has, each once; "" where it has all."""
    letters = {letter for text in texts for letter in text if letter.isprintable() and not letter.isspace()}
    return "".join(sorted(letter for letter in letters if ord(letter) not in _letters()))


def missing_sentence(texts: Iterable[str]) -> str:
    """Say which letters of a figure no font has, and what helps; "" where none is missing."""
    missing = missing_letters(texts)
    if not missing:
        return ""
    shown = missing if len(missing) <= 12 else f"{missing[:12]}…"
    return (
        f"No font on this machine has the letters {shown}: boxes stand in their place; a font such as Noto Sans CJK "
        "or Noto Sans of that script has to be installed."
    )


def format_of(path: Path) -> Format:
    """Return the format that a file's name asks for by its ending. Raises OditsError."""
    for form in FORMATS:
        if path.suffix.lower() == f".{form}":
            return form
    raise OditsError(f"{path.name} says no format of a figure: its name ends in .svg, .pdf or .png.")
