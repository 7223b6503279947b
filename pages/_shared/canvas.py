"""A picture under shapes that the browser draws: hovering names a shape, a click picks it, buttons and Ctrl zoom in.

The picture is a file of its own that the browser keeps, and the shapes are a few kilobytes: drawing them anew costs
what a line of text costs. How strongly they are drawn is up to `set_look`, which sends one rule of style.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.runtime import get_instance

from odits.core.text import literal
from odits.figures.drawing import Drawing, Look
from pages._shared.pictures import Opened, preview

_HTML = """
<figure>
  <div class="above"></div>
  <div class="stage">
    <div class="world"><img alt="" draggable="false"><svg role="img"></svg><div class="labels"></div></div>
    <div class="note" hidden></div>
    <div class="tip" hidden></div>
    <div class="zoom">
      <button type="button" aria-label="Zoom in" title="Zoom in; or Ctrl and the wheel">+</button>
      <button type="button" aria-label="Zoom out" title="Zoom out">−</button>
      <button type="button" aria-label="Whole picture" title="The whole picture">⤢</button>
    </div>
  </div>
  <div class="scale" hidden><span class="title"></span><i></i><span class="ends"><b></b><b></b></span></div>
</figure>
"""
_CSS = """
figure {margin: 0; font-family: var(--st-font); color: var(--st-text-color); font-size: .875rem}
.above {display: flex; flex-wrap: wrap; gap: 0 1rem; min-height: 0}
.above:not(:empty) {padding-bottom: .3rem}
.above i {display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .35rem}
.stage {position: relative; overflow: hidden; border-radius: 6px; max-width: 100%; touch-action: pan-y}
.stage.near {touch-action: none; cursor: grab}
.world {position: absolute; inset: 0; transform-origin: 0 0}
.world img, .world svg {position: absolute; inset: 0; width: 100%; height: 100%; user-select: none}
path {
  vector-effect: non-scaling-stroke; fill-rule: evenodd; pointer-events: all; stroke-linejoin: round;
  opacity: var(--odits-shapes, 1);
  fill-opacity: max(var(--least), calc(var(--share) * var(--odits-opacity, 1)));
  stroke-width: calc(1px * var(--line) * var(--odits-lines, 1));
}
path.picked {stroke-width: calc(1px * var(--line))}
.pick path {cursor: pointer}
.labels span {
  position: absolute; transform: translate(-50%, -100%); padding: 0 .3rem; font-size: .8rem; line-height: 1.3;
  white-space: nowrap; color: #000; opacity: var(--odits-shapes, 1); pointer-events: none;
}
.labels span.below {transform: translate(-50%, 0)}
.note {
  position: absolute; inset: 0; margin: auto; width: fit-content; height: fit-content; padding: .4rem .6rem;
  background: rgba(0, 0, 0, .7); color: #fff;
}
.tip {
  position: absolute; z-index: 2; pointer-events: none; padding: .25rem .5rem; border-radius: 4px; max-width: 18rem;
  background: #16202A; color: #fff; font-size: .8rem; line-height: 1.35; border: 1px solid rgba(255, 255, 255, .5);
}
.tip div:first-child {font-weight: 600}
.note[hidden], .tip[hidden], .scale[hidden] {display: none}
.zoom {position: absolute; right: .4rem; top: .4rem; display: flex; gap: .2rem; opacity: 0}
.stage:hover .zoom, .zoom:focus-within {opacity: 1}
@media (hover: none) {.zoom {opacity: 1}}
.zoom button {
  width: 1.75rem; height: 1.75rem; padding: 0; font: inherit; line-height: 1; cursor: pointer; border-radius: 4px;
  background: rgba(0, 0, 0, .72); color: #fff; border: 1px solid rgba(255, 255, 255, .6);
}
.zoom button:focus-visible {outline: 2px solid #fff}
.scale {display: grid; width: min(100%, 26rem); padding-top: .45rem; font-size: .8rem}
.scale i {height: .6rem; border-radius: 2px}
.scale .ends {display: flex; justify-content: space-between}
.scale b {font-weight: 400}
"""
_SCRIPT = """
const SVG = "http://www.w3.org/2000/svg";
const MOST = 12;

function made(name, text, parent) {
  const element = document.createElement(name);
  element.textContent = text;
  parent.append(element);
  return element;
}

function draw(root, data) {
  const find = (selector) => root.querySelector(selector);
  const [stage, svg, labels] = [find(".stage"), find("svg"), find(".labels")];
  stage.style.aspectRatio = `${data.width} / ${data.height}`;
  stage.style.width = `min(100%, ${(data.most * data.width) / data.height}px)`;
  stage.classList.toggle("pick", data.picks);
  const image = find("img");
  if (image.getAttribute("src") !== data.source) image.src = data.source;
  svg.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-label", data.alt);
  svg.replaceChildren(...data.shapes.map((shape) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape.path);
    path.setAttribute("fill", shape.fill);
    path.setAttribute("stroke", shape.stroke);
    path.classList.toggle("picked", shape.picked);
    path.style.setProperty("--share", shape.share);
    path.style.setProperty("--least", shape.least);
    path.style.setProperty("--line", shape.line);
    path.oditsShape = shape;
    return path;
  }));
  labels.replaceChildren();
  for (const shape of data.shapes.filter((one) => one.label)) {
    const label = made("span", shape.label, labels);
    const across = Math.min(Math.max(shape.at[0] / data.width, 0.12), 0.88);
    label.style.cssText = `left:${100 * across}%;top:${(100 * shape.at[1]) / data.height}%`;
    label.style.background = shape.stroke;
    label.classList.toggle("below", shape.at[1] > shape.at[2]);
  }
  const above = find(".above");
  above.replaceChildren();
  for (const [color, title] of data.legend) {
    const entry = made("span", "", above);
    made("i", "", entry).style.background = color;
    entry.append(title);
  }
  find(".note").textContent = data.note;
  find(".note").hidden = !data.note;
  find(".scale").hidden = !data.scale;
  if (data.scale) {
    find(".scale .title").textContent = data.scale.title;
    find(".scale i").style.background = `linear-gradient(to right, ${data.scale.colors.join(", ")})`;
    const [low, high] = root.querySelectorAll(".scale b");
    low.textContent = data.scale.low;
    high.textContent = data.scale.high;
  }
}

function listen(root) {
  const [stage, world, tip] = [".stage", ".world", ".tip"].map((one) => root.querySelector(one));
  const place = { scale: 1, x: 0, y: 0 };
  const shift = (x, y) => {
    place.x = Math.min(0, Math.max(x, stage.clientWidth * (1 - place.scale)));
    place.y = Math.min(0, Math.max(y, stage.clientHeight * (1 - place.scale)));
    world.style.transform = `translate(${place.x}px, ${place.y}px) scale(${place.scale})`;
    stage.classList.toggle("near", place.scale > 1);
  };
  const zoom = (factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
    const before = place.scale;
    place.scale = Math.min(MOST, Math.max(1, before * factor));
    const grown = place.scale / before;
    shift(x - (x - place.x) * grown, y - (y - place.y) * grown);
  };
  const at = (event) => {
    const area = stage.getBoundingClientRect();
    return [event.clientX - area.left, event.clientY - area.top];
  };
  // not the event's own target: while a pointer is captured, that is the stage
  const shapeAt = (event) => stage.getRootNode().elementFromPoint(event.clientX, event.clientY)?.oditsShape;
  let from = null;
  stage.onpointerdown = (event) => {
    if (event.button === 0 && !event.target.closest(".zoom")) from = { at: at(event), x: place.x, y: place.y };
  };
  stage.onpointermove = (event) => {
    const [x, y] = at(event);
    if (from && place.scale > 1) {
      stage.setPointerCapture(event.pointerId);
      shift(from.x + x - from.at[0], from.y + y - from.at[1]);
    }
    const shape = event.target.closest(".zoom") ? null : shapeAt(event);
    tip.hidden = !shape?.tip.length;
    if (tip.hidden) return;
    if (tip.oditsShape !== shape) {
      tip.replaceChildren();
      for (const line of shape.tip) made("div", line, tip);
      tip.oditsShape = shape;
    }
    tip.style.left = `${Math.min(x + 14, Math.max(0, stage.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(4, y - tip.offsetHeight - 10)}px`;
  };
  stage.onpointerleave = () => { tip.hidden = true; };
  stage.onpointercancel = () => { from = null; };
  stage.onpointerup = (event) => {
    if (!from) return;
    const [x, y] = at(event);
    const still = Math.hypot(x - from.at[0], y - from.at[1]) < 5;
    from = null;
    if (still && stage.classList.contains("pick")) root.oditsTell(shapeAt(event)?.number ?? -1);
  };
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 300), ...at(event));
  }, { passive: false });
  const [nearer, farther, whole] = root.querySelectorAll(".zoom button");
  nearer.onclick = () => zoom(1.5);
  farther.onclick = () => zoom(1 / 1.5);
  whole.onclick = () => zoom(1 / MOST);
}

export default function (component) {
  const { data, parentElement: root, setTriggerValue } = component;
  root.oditsTell = (number) => setTriggerValue("picked", number);
  if (!root.oditsListens) { listen(root); root.oditsListens = true; }
  const shown = JSON.stringify(data);
  if (root.oditsShown === shown) return;
  root.oditsShown = shown;
  draw(root, data);
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("odits_canvas", html=_HTML, css=_CSS, js=_SCRIPT)


def set_look(look: Look) -> None:
    """Set how strongly the shapes of all pictures of the page are drawn."""
    st.html(
        f"<style>[data-testid=stMain] {{--odits-opacity: {look.opacity:.3f}; --odits-lines: {int(look.outlines)}; "
        f"--odits-shapes: {int(look.shown)}}}</style>"
    )


def show_canvas(
    key: str,
    opened: Opened,
    drawing: Drawing,
    alt: str,
    most: int,
    pick: Callable[[int], None] | None = None,
) -> None:
    """Draw a picture under shapes.

    Args:
        key: tells it from others on the page.
        opened: the picture.
        drawing: what is drawn over it.
        alt: says in words what it shows.
        most: pixels that it may be high.
        pick: called with the number of the shape that was clicked, -1 beside all of them.
    """
    width, height = opened.image.size
    data = {
        "source": _address(key, opened),
        "width": width,
        "height": height,
        "most": most,
        "alt": literal(alt),
        "note": drawing.note,
        "picks": pick is not None,
        "legend": [[color, literal(title)] for color, title in drawing.legend],
        "scale": None if (scale := drawing.scale) is None else {**scale._asdict(), "title": literal(scale.title)},
        "shapes": [
            {**vars(shape), "label": literal(shape.label), "tip": [literal(line) for line in shape.tip]}
            for shape in drawing.shapes
        ],
    }

    def picked() -> None:
        number = st.session_state[key].get("picked")
        if pick is not None and isinstance(number, int | float):
            pick(int(number))

    _component()(key=key, data=data, on_picked_change=picked)


def _address(key: str, opened: Opened) -> str:
    """Return the address of the picture's file, as seen from any page of the explorer."""
    place = get_instance().media_file_mgr.add(preview(opened.digest, opened.image), "image/jpeg", f"canvas-{key}")
    return place.removeprefix("/")  # below whatever path a proxy serves the explorer at
