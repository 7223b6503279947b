"""What stands beside every page's title: "Copy link", a tour in six steps, and the terms.

Link and tour live in the browser alone: neither draws the page anew. The tour offers itself on a first visit that was
not by a link, since who follows a link wants to see what it shows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st

from pages._shared.glossary import show_glossary


class Step(NamedTuple):
    """One step of the tour.

    Attributes:
        title: of the step.
        text: what there is to know, in a sentence or two.
        shows: CSS selector of what is outlined meanwhile, where the page has it.
    """

    title: str
    text: str
    shows: str


TOUR = (
    Step(
        "Choose a picture",
        "Click one of the demo pictures, or add your own: a file, the clipboard or the camera.",
        ".st-key-strip, .st-key-stepper",
    ),
    Step(
        "Read its words",
        "The most probable words come first, with their probability. Orange words are written in the picture, blue "
        "ones are in its lexicon.",
        ".st-key-pane-words",
    ),
    Step(
        "See which object carries a word",
        "Click a bar: the objects that make this word likely are brought out in the picture.",
        ".st-key-pane-overlay",
    ),
    Step(
        "Choose model and vocabulary",
        "On the left: which images, which model answers, and from which words. “Compare models” puts up to three side "
        "by side.",
        "[data-testid=stSidebarUserContent]",
    ),
    Step(
        "Go on to the other pages",
        "Browse marks words picture by picture, Search finds pictures, Explain and Checkpoints compare models.",
        "[data-testid=stSidebarNav]",
    ),
    Step(
        "Share what you see",
        "“Copy link” reopens this view, picture and settings included. “Tour” and “Terms” are always here.",
        ".st-key-page-guide",
    ),
)

_CSS = """
:host, .guide {font-family: var(--st-font); color: var(--st-text-color)}
.guide {display: flex; gap: .25rem}
button {
  font: inherit; font-size: .875rem; color: inherit; background: none; border: 1px solid transparent; cursor: pointer;
  border-radius: var(--st-base-radius); padding: .3rem .55rem; min-height: 2rem; white-space: nowrap;
}
button:hover {border-color: currentColor}
button:focus-visible {outline: 2px solid var(--st-primary-color); outline-offset: 1px}
.copy {min-width: 5.6rem; text-align: left}
.said {position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%)}
.card {
  position: fixed; right: .75rem; bottom: .75rem; z-index: 1000; width: min(22rem, calc(100vw - 1.5rem));
  box-sizing: border-box; padding: .8rem 1rem; background: var(--st-background-color); color: var(--st-text-color);
  border: 1px solid currentColor; border-radius: var(--st-base-radius); box-shadow: 0 6px 24px rgba(0, 0, 0, .28);
}
.card[hidden] {display: none}
.card h2 {font-size: 1.05rem; margin: 0 0 .35rem}
.card p {font-size: .9rem; line-height: 1.4; margin: 0 0 .75rem}
.card .row {display: flex; gap: .4rem; align-items: center}
.card .count {margin-right: auto; font-size: .8rem}
.card .next {background: var(--st-primary-color); color: light-dark(#FFFFFF, #0B1015)}
@media (forced-colors: active) {.card .next {border-color: ButtonText}}
"""

_SCRIPT = """
const SEEN = "odits-tour";
const remembered = () => { try { return localStorage.getItem(SEEN); } catch { return "unknown"; } };
const remember = () => { try { localStorage.setItem(SEEN, "seen"); } catch { /* then it offers itself again */ } };
const element = (name, text, className, parent) => {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  parent.append(made);
  return made;
};
const copied = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // without https there is no clipboard: the old way
    const area = element("textarea", text, "", document.body);
    area.style.cssText = "position:fixed;opacity:0";
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
};

function build(root, steps) {
  const guide = element("div", "", "guide", root);
  const copy = element("button", "Copy link", "copy", guide);
  const tour = element("button", "Tour", "tour", guide);
  const said = element("p", "", "said", root);
  said.setAttribute("role", "status");
  const card = element("section", "", "card", root);
  card.setAttribute("aria-label", "Tour");
  card.hidden = true;
  const title = element("h2", "", "", card);
  const text = element("p", "", "", card);
  const row = element("div", "", "row", card);
  const count = element("span", "", "count", row);
  const skip = element("button", "Skip", "skip", row);
  const back = element("button", "Back", "back", row);
  const next = element("button", "Next", "next", row);
  for (const button of [copy, tour, skip, back, next]) button.type = "button";
  let place = 0;
  let outlined = [];
  let waiting = 0;
  const plain = () => {
    clearTimeout(waiting);
    for (const [shown, before] of outlined) shown.style.outline = before;
    outlined = [];
  };
  const outline = (shows) => {
    const shown = document.querySelector(shows);
    if (shown) {
      outlined = [[shown, shown.style.outline]];
      shown.style.outline = `3px solid ${getComputedStyle(card.querySelector(".next")).backgroundColor}`;
      shown.scrollIntoView({ block: "nearest" });
    } else {
      // the page may still be drawing it
      waiting = setTimeout(() => outline(shows), 250);
    }
  };
  const show = () => {
    plain();
    const { title: heading, text: sentence, shows } = steps[place];
    title.textContent = heading;
    text.textContent = sentence;
    count.textContent = `${place + 1} / ${steps.length}`;
    back.disabled = place === 0;
    back.style.visibility = place === 0 ? "hidden" : "";
    next.textContent = place === steps.length - 1 ? "Done" : "Next";
    card.hidden = false;
    outline(shows);
    said.textContent = `Tour, step ${place + 1} of ${steps.length}: ${heading}. ${sentence}`;
  };
  const end = () => {
    const within = card.contains(root.activeElement);
    plain();
    card.hidden = true;
    said.textContent = "";
    remember();
    if (within) tour.focus();
  };
  tour.onclick = () => { place = 0; show(); next.focus(); };
  skip.onclick = end;
  back.onclick = () => { place -= 1; show(); if (place === 0) next.focus(); };
  next.onclick = () => { if (place === steps.length - 1) end(); else { place += 1; show(); } };
  card.onkeydown = (event) => { if (event.key === "Escape") { event.stopPropagation(); end(); } };
  copy.onclick = async () => {
    const done = await copied(window.location.href);
    copy.textContent = done ? "Copied" : "Not copied";
    said.textContent = done ? "Link copied" : "The link could not be copied: take it from the browser's address bar.";
    setTimeout(() => { copy.textContent = "Copy link"; }, 3000);
  };
  return { show, plain };
}

export default function ({ data, parentElement }) {
  // outlives the component being called again with new data
  const root = parentElement;
  if (!root.oditsGuide) {
    root.oditsGuide = build(root, data.steps);
    const opened = performance.getEntriesByType("navigation")[0]?.name ?? window.location.href;
    if (!remembered() && !new URL(opened).search && data.first) root.oditsGuide.show();
  }
  return () => root.oditsGuide.plain();
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("odits_guide", css=_CSS, js=_SCRIPT)


def show_guide(first: bool) -> None:
    """Draw link, tour and terms.

    Args:
        first: whether the tour may offer itself here, to somebody who has not seen it.
    """
    with st.container(key="page-guide", horizontal=True, gap="small", width="content", vertical_alignment="center"):
        steps = [{"title": step.title, "text": step.text, "shows": step.shows} for step in TOUR]
        _component()(key="guide", data={"steps": steps, "first": first}, width="content")
        show_glossary()
