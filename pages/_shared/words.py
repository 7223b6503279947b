"""Words beside a picture as HTML: each with its mark, read out too (■ in it, ◆ in its neighbourhood: its lexicon)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from odits.core.percent import percents
from odits.data import ImageRecord
from odits.data.marks import Mark
from odits.figures.words import LEXICON, VISIBLE, WordMark, word_mark
from pages._shared.layout import escape_html

SIGNS = {"right": "✓", "wrong": "✗", "unsure": "?"}
"""How a verdict is written after a word."""

STYLE = f"""
<style>
.odits-words {{
  list-style: none; margin: .1rem 0 0 !important; padding: 0 !important; font-size: .82rem; line-height: 1.5
}}
.odits-words li {{display: inline-block; margin: 0 .6rem 0 0; padding: 0; overflow-wrap: anywhere}}
.odits-words .boxed {{font-weight: 650; text-decoration: underline 2px {VISIBLE.color}; text-underline-offset: 3px}}
.odits-words .lexicon {{font-weight: 650; text-decoration: underline dotted 2px {LEXICON.color};
  text-underline-offset: 3px}}
.odits-words .boxed i {{color: {VISIBLE.color}}} .odits-words .lexicon i {{color: {LEXICON.color}}}
.odits-words i {{font-style: normal}}
.odits-words .other {{opacity: .82}}
.odits-words b {{font-weight: 700; padding: 0 .2em; border-radius: 3px; background: rgba(128, 140, 152, .22)}}
.odits-note {{font-size: .8rem; opacity: .8; margin: 0}}
.odits-hidden {{
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap
}}
.odits-legend {{font-size: .85rem}}
.odits-top {{columns: 2; column-gap: 1rem; list-style: none; margin: .2rem 0 0 !important;
  padding: 0 !important; font-size: .85rem}}
.odits-top li {{display: grid; grid-template-columns: 1.1rem minmax(0, auto) 1fr; gap: .15rem; margin: 0 !important;
  padding: 0; break-inside: avoid; line-height: 1.45; overflow-wrap: anywhere}}
.odits-top small {{opacity: .75; padding-left: .3rem; white-space: nowrap}}
</style>
"""


def words_in_a_row(words: Sequence[str], picture: ImageRecord, marks: Mapping[str, Mark]) -> str:
    """Return words one after the other, each with an annotator's mark where it has one."""
    return f'<ul class="odits-words">{"".join(_item(word, picture, marks.get(word)) for word in words)}</ul>'


def _item(word: str, picture: ImageRecord, mark: Mark | None) -> str:
    known = word_mark(word, picture.lexicon, picture.visible)
    sign = f'<i aria-hidden="true">{known.sign}</i> ' if known.sign else ""
    spoken = f'<span class="odits-hidden"> ({known.title})</span>' if known.sign else ""
    verdict = ""
    if mark is not None:
        verdict = (
            f' <b aria-hidden="true">{SIGNS[mark.verdict]}</b>'
            f'<span class="odits-hidden"> marked {escape_html(mark.verdict)}</span>'
        )
    return f'<li class="{_css_class(known)}">{sign}{escape_html(word)}{spoken}{verdict}</li> '


def _css_class(mark: WordMark) -> str:
    return "boxed" if mark is VISIBLE else "lexicon" if mark is LEXICON else "other"


def legend_with_verdicts() -> str:
    """Return the legend of `words_in_a_row`: what colours, lines and signs mean, in one line."""
    signs = ", ".join(f"<b>{sign}</b> marked {verdict}" for verdict, sign in SIGNS.items())
    return (
        f'<ul class="odits-words odits-legend" aria-label="Legend">'
        f'<li class="boxed"><i aria-hidden="true">{VISIBLE.sign}</i> {VISIBLE.title}</li>'
        f'<li class="lexicon"><i aria-hidden="true">{LEXICON.sign}</i> {LEXICON.title}</li>'
        f'<li class="other">no sign: any other word</li><li>{signs}</li></ul>'
    )


def word_list(
    words: Sequence[str], probabilities: Sequence[float], lexicon: Collection[str] = (), visible: Collection[str] = ()
) -> str:
    """Return a list of words, best first, each with its mark and its probability."""
    items = []
    for word, share in zip(words, percents(probabilities), strict=True):
        mark = word_mark(word, lexicon, visible)
        sign = (
            f'<span style="color:{mark.color}" title="{mark.title}" aria-label="{mark.title}">{mark.sign}</span>'
            if mark.sign
            else '<span aria-hidden="true">·</span>'
        )
        strong = "b" if mark.sign else "span"
        spoken = f"<{strong}>{escape_html(word)}</{strong}><small>{escape_html(share)}</small>"
        items.append(f"<li>{sign}{spoken}</li>")
    return f'<ol class="odits-top">{"".join(items)}</ol>'


def legend() -> str:
    """Return the legend of `word_list` as text."""
    return f"{VISIBLE.sign} {VISIBLE.title}, {LEXICON.sign} {LEXICON.title}"
