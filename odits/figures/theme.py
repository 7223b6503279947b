"""The look that all figures share, legible on light and on dark backgrounds and to colour-blind eyes."""

from __future__ import annotations

import html

import plotly.graph_objects as go

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


def template() -> go.layout.Template:
    """The plotly template of all figures: transparent, quiet grid, readable sizes, the legend below."""
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
    """The same figure, with the shared template, a height in pixels and, if wanted, its legend below the plot."""
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


def plain(text: str) -> str:
    """The text as plotly shows it literally: its labels are read as HTML otherwise."""
    return html.escape(text, quote=False)


def faded(color: str, opacity: float) -> str:
    """A colour "#rrggbb" as "rgba(...)" with an opacity in 0..1."""
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"
