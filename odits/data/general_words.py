"""The general list: what a sign may say where nobody has named a vocabulary.

The 20,000 most frequent English words of the package wordfreq (Speer, 2022; its data under CC BY-SA 4.0), and a list of
this project's own: kinds of shops, notices and street names in several languages, and well-known names. It knows no
data set's lexicons, and leaves vulgar words out: a model's wrong guess should offend nobody.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from odits.core.errors import OditsError
from odits.data.vocabulary import Vocabulary, bare_word

FREQUENT = 20_000
NAME = "general list"
_FILE = Path(__file__).with_name("general_words.txt")
_ASKED = 23_000  # some of the list's entries are signs, parts of numbers, or one word written in several ways
_SPELLED = re.compile(r"[a-z0-9]+(?:['’.&-][a-z0-9]+)*\.?")
_PLACEHOLDER = re.compile(r"\d*0{2,}|[a-z]+0+")  # in wordfreq zeros stand for any digits of longer numbers
_ALONE = frozenset("ai&")
_VULGAR = re.compile(
    r"fuck|shit(?!ake)|cunt|nigg(?:a|er)|bitch|whore|slut|faggot|wank|jizz|cocksuck|dickhead|porn|pussy|milf"
)
"""What is not offered to people whose picture does not say it; where it is read, it is shown."""


@lru_cache(maxsize=1)
def general_vocabulary() -> Vocabulary:
    """Return the general list, most frequent words first, in capitals as signs are written.

    Raises:
        OditsError: the package wordfreq is not installed.

    Example:
        >>> words = general_vocabulary()
        >>> words.find("Bakery") is not None, words.find("apotheke") is not None, len(words) > 20_000
        (True, True, True)
    """
    try:
        from wordfreq import top_n_list
    except ImportError as error:
        raise OditsError("The general list needs the package wordfreq: pip install -r requirements.txt.") from error
    distinct: dict[str, str] = {}
    for word in top_n_list("en", _ASKED):
        if len(distinct) < FREQUENT and _is_word(word):
            distinct.setdefault(bare_word(word), word)
    for word in own_words():
        distinct.setdefault(bare_word(word), word)
    return Vocabulary.from_words((word.upper() for word in distinct.values()), NAME)


def own_words() -> list[str]:
    """Return this project's own words: shops, notices, streets, and names."""
    lines = (line for line in _FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return [word.strip() for line in lines for word in line.split(",") if word.strip()]


def _is_word(word: str) -> bool:
    """Return whether an entry of wordfreq is a word of two letters or more, or one of the few of one."""
    if len(word) < 2:
        return word in _ALONE
    return bool(_SPELLED.fullmatch(word)) and not _PLACEHOLDER.fullmatch(word) and not _VULGAR.search(word)
