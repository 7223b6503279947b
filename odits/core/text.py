"""Text from outside as people see it: what does not show by itself, or turns what stands around it, is spelled out."""

from __future__ import annotations

import re
import unicodedata

_ISOLATE, _END = "\u2068", "\u2069"
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, marks of the writing direction, spaces without width, line separators, and lone surrogates.

Joiners stay (U+200C, U+200D): words of some languages, and composed emoji, need them.
"""


def spell_out(text: str, keep: str = "") -> str:
    r"""Return text with every character that does not show by itself written as its code.

    Args:
        text: from outside.
        keep: characters that stay as they are.

    Example:
        >>> print(spell_out("a\x1b[2J\u202eb"))
        a\x1b[2J\u202eb
    """
    return _UNSEEN.sub(lambda match: match[0] if match[0] in keep else ascii(match[0])[1:-1], text)


def literal(text: str) -> str:
    """Return text as it is to be seen on a page: letter by letter, and without a hold on what stands beside it.

    What does not show is spelled out, a name of nothing but spaces becomes visible, spaces at the ends and beside each
    other stay, and what is written from right to left turns only itself.

    Example:
        >>> literal(" ")
        '␣'
    """
    shown = spell_out(text)
    if shown and not shown.strip():
        return "␣" * len(shown)
    shown = re.sub("^ | $| (?= )", "\u00a0", shown)
    turns = any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in shown)
    return f"{_ISOLATE}{shown}{_END}" if turns else shown
