"""The look that all figures share, legible on light and dark backgrounds and to colour-blind eyes, and a canvas.

The canvas is a picture that other things are drawn on: its axes are the picture's pixels, y downwards.
"""

from __future__ import annotations

import base64
import html
import io
from functools import lru_cache

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from odits.core.percent import percent
from odits.core.text import literal

# Okabe and Ito's hues, shaded so that each has at least 3:1 against white and against the dark theme's background, and
# that any two are well apart (CIE76 above 15) for ordinary eyes and under protanopia, deuteranopia and tritanopia.
BLUE = "#2A86C8"
VERMILION = "#D55E00"
GREEN = "#207343"
PURPLE = "#AC349B"
AMBER = "#D27F4A"
GREY = "#677B80"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, AMBER, GREY)

INK = "#717E8B"
"""Text: above 4:1 on white and on the dark theme alike. Streamlit's theme replaces it by the page's own."""

GRID = "rgba(128, 140, 152, 0.25)"
FONT = "'Source Sans Pro', 'Source Sans', 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
FONT_SIZE = 14
SMALL_SIZE = 13

SPLIT_TITLES = {"train": "Training", "eval": "Evaluation", "all": "Both"}
SPLIT_COLORS = {"train": BLUE, "eval": VERMILION, "all": GREEN}


@lru_cache(maxsize=1)
def template() -> go.layout.Template:
    """Return the plotly template of all figures: transparent, quiet grid, readable sizes, the legend below."""
    axis = {
        "gridcolor": GRID,
        "linecolor": GRID,
        "zerolinecolor": GRID,
        "zeroline": False,
        "ticks": "",
        "automargin": True,
        "title": {"standoff": 10, "font": {"size": FONT_SIZE}},
        "tickfont": {"size": SMALL_SIZE},
    }
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(PALETTE),
            "font": {"family": FONT, "size": FONT_SIZE, "color": INK},
            "hoverlabel": {"font": {"family": FONT, "size": FONT_SIZE}},
            "xaxis": {**axis, "showgrid": False, "showline": True},
            "yaxis": axis,
            "margin": {"l": 8, "r": 16, "t": 32, "b": 8},
            "bargap": 0.08,
            "separators": ".,",
        }
    )


def styled(figure: go.Figure, height: int = 400, legend: bool = True) -> go.Figure:
    """Give a figure the shared template, a height in pixels and, if wanted, its legend below the plot; return it."""
    return figure.update_layout(
        template=template(),
        height=height,
        showlegend=legend,
        legend={
            "orientation": "h",
            "x": 0.5,
            "xanchor": "center",
            # below the axis title, whatever the plot's height: y counts from the plot's bottom in its own height
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "font": {"size": FONT_SIZE},
        },
    )


def escape_html(text: str) -> str:
    """Return the text as plotly shows it literally: its labels are read as HTML, templates and formulas otherwise."""
    return html.escape(literal(text), quote=False).replace("%{", "%&#123;").replace("$", "&#36;")


def escaped_percent(share: float) -> str:
    """Write a share in 0..1 in percent, as plotly shows it literally."""
    return escape_html(percent(share))


def faded(color: str, opacity: float) -> str:
    """Return a colour "#rrggbb" as "rgba(...)" with an opacity in 0..1."""
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"


def hex_color(color: tuple[float, float, float]) -> str:
    """Write a colour of three shares in 0..1 as "#RRGGBB"."""
    return "#" + "".join(f"{round(255 * part):02X}" for part in color)


SHOWN_SIDE = 1280


def lay_out_picture(figure: go.Figure, image: Image.Image) -> None:
    """Put the image below what a figure draws, with its pixels as axes, and a legend above if there is one."""
    width, height = image.size
    hidden = {"visible": False, "constrain": "domain"}
    figure.update_layout(
        template=template(),
        images=[
            {
                "source": data_uri(jpeg(image, SHOWN_SIDE, quality=85)),
                "xref": "x",
                "yref": "y",
                "x": 0,
                "y": 0,
                "sizex": width,
                "sizey": height,
                "sizing": "stretch",
                "layer": "below",
            }
        ],
        xaxis={**hidden, "range": [0, width], "constraintoward": "left"},
        yaxis={**hidden, "range": [height, 0], "scaleanchor": "x", "scaleratio": 1, "constraintoward": "top"},
        height=int(np.clip(900 * height / width, 320, 760)),
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        hovermode="closest",
        hoverdistance=14,
        clickmode="event+select",
        dragmode="pan",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1, "x": 0, "itemsizing": "constant"},
    )


def note(figure: go.Figure, text: str) -> None:
    """Write a text in the middle of the picture."""
    figure.add_annotation(
        x=0.5,
        y=0.5,
        xref="paper",
        yref="paper",
        text=text,
        showarrow=False,
        font={"size": 18, "color": "#FFFFFF"},
        bgcolor="rgba(0,0,0,0.65)",
        borderpad=8,
    )


def jpeg(image: Image.Image, side: int, quality: int = 84) -> bytes:
    """Return the image as a JPEG, reduced to `side` pixels on its longer side where it is larger."""
    small = image.convert("RGB") if image.mode != "RGB" else image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def data_uri(content: bytes) -> str:
    """Return a JPEG as an address that holds its content."""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")
