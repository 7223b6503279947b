"""A picture that other things are drawn on: axes are its pixels, y downwards."""

from __future__ import annotations

import base64
import io

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from odits.figures.theme import template

SHOWN_SIDE = 1280


def lay_out_picture(figure: go.Figure, image: Image.Image) -> None:
    """Nothing; the figure gets the image below what is drawn, pixels as axes, and a legend above if there is one."""
    width, height = image.size
    hidden = {"visible": False, "constrain": "domain"}
    figure.update_layout(
        template=template(),
        images=[
            {
                "source": jpeg_uri(image),
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
        xaxis={**hidden, "range": [0, width]},
        yaxis={**hidden, "range": [height, 0], "scaleanchor": "x", "scaleratio": 1},
        height=int(np.clip(900 * height / width, 320, 760)),
        margin={"l": 0, "r": 0, "t": 34, "b": 0},
        hovermode="closest",
        hoverdistance=14,
        clickmode="event+select",
        dragmode="pan",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1, "x": 0, "itemsizing": "constant"},
    )


def note(figure: go.Figure, text: str) -> None:
    """Nothing; the text stands in the middle of the picture."""
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


def jpeg_uri(image: Image.Image, side: int = SHOWN_SIDE) -> str:
    """The image as a JPEG data URI, reduced to `side` pixels on its longer side."""
    small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
