from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from odits.figures.theme import INK, PALETTE, escape_html, faded, styled

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB
DEFICIENCIES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(color: str) -> np.ndarray:
    channels = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted((float(linear(one) @ weights), float(linear(other) @ weights)))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* under D65 of linear RGB."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = matrix @ np.clip(rgb, 0, 1) / (matrix @ np.ones(3))
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def backgrounds() -> list[str]:
    """The backgrounds that the app's two themes put figures on."""
    config = Path(__file__).parents[2] / ".streamlit" / "config.toml"
    theme = tomllib.loads(config.read_text(encoding="utf-8"))["theme"]
    return ["#FFFFFF", *(theme[mode]["backgroundColor"] for mode in ("light", "dark"))]


@pytest.mark.parametrize("background", backgrounds())
def test_colours_stand_out_from_every_background(background: str) -> None:
    assert all(contrast(color, background) >= 3 for color in PALETTE)
    assert contrast(INK, background) >= 4


@pytest.mark.parametrize("deficiency", [None, *DEFICIENCIES])
def test_colours_are_told_apart_by_every_eye(deficiency: str | None) -> None:
    matrix = np.eye(3) if deficiency is None else np.array(DEFICIENCIES[deficiency])
    seen = {color: lab(matrix @ linear(color)) for color in PALETTE}
    nearest = min(np.linalg.norm(seen[a] - seen[b]) for a, b in itertools.combinations(PALETTE, 2))
    assert nearest > 15


def test_styled_figures_are_transparent_with_the_legend_below() -> None:
    figure = styled(go.Figure(), height=333)
    assert figure.layout.height == 333
    assert figure.layout.template.layout.paper_bgcolor == figure.layout.template.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.template.layout.font.size >= 13
    legend = figure.layout.legend
    assert (legend.orientation, legend.y, legend.yref) == ("h", 0, "container")


def test_helpers() -> None:
    assert escape_html("A&B <b>") == "A&amp;B &lt;b&gt;"
    assert escape_html("$x$ %{y}") == "&#36;x&#36; %&#123;y}"
    assert escape_html("a\u202eb\n") == r"a\u202eb\n"
    assert faded("#0A14FF", 0.5) == "rgba(10, 20, 255, 0.5)"
