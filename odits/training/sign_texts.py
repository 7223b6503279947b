"""What the signs of drawn scenes say: kinds of shops and places, frequent words, and names that nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_KINDS = """
    restaurant cafe hotel bar market shop center store pizza salon coffee bank pharmacy bakery grill deli inn theater
    school church library museum parking hospital gallery studio books shoes cleaners grocery liquor dental furniture
    jewelry flowers music hardware auto tires repair insurance travel lounge club plaza tower building house services
    company inc international american new world city garden house park art design photo hair nails beauty spa barber
    boutique fashion clothing tailor laundry supermarket drugstore clinic dentist doctor optical optician eye care
    medical center office law attorney notary tax loans realty estate insurance mortgage post mail print copy signs
    computers electronics phones mobile camera video games toys gifts cards records guitars piano dance yoga gym fitness
    sports bikes bicycle golf tennis bowling cinema theatre tickets tours bus taxi gas station fuel oil car cars parts
    garage rental motors sales service glass paint tools kitchen bath carpet lighting mattress antiques nursery pets pet
    veterinary motel hostel apartments condos rooms suites pub tavern brewery wine beer spirits tobacco smoke tea juice
    ice cream donuts bagels burger burgers sandwich subs tacos sushi noodle thai chinese indian italian mexican seafood
    steak steakhouse bbq chicken fish buffet diner catering pizzeria bistro express super fresh organic discount outlet
    warehouse storage supply college university academy temple chapel embassy college town hall police fire public open
    closed sale entrance exit push pull welcome special free now hours daily
"""
KINDS = tuple(dict.fromkeys(_KINDS.split()))
"""What shops and places call themselves and say, the commonest first; written by hand."""


class Texts(Protocol):
    """Draws what the signs of one scene say."""

    def lines(self, rng: np.random.Generator) -> list[list[str]]:
        """Draw the words of a sign's lines."""
        ...

    def word(self, rng: np.random.Generator) -> str:
        """Draw a word."""
        ...

    def kind(self, rng: np.random.Generator) -> str:
        """Draw what a shop or a place calls itself."""
        ...


class SceneTexts(Protocol):
    """Draws for each scene what its signs say."""

    def for_scene(self, rng: np.random.Generator) -> tuple[Texts, list[str] | None]:
        """Draw a scene's texts, and its lexicon where that is more than what its signs say."""
        ...


@dataclass(frozen=True)
class SignTexts:
    """Draws what signs say.

    Attributes:
        words: frequent words, the most frequent first.
        kinds: what shops and places call themselves, the most common first.
    """

    words: Sequence[str]
    kinds: Sequence[str] = KINDS

    def for_scene(self, rng: np.random.Generator) -> tuple[Texts, list[str] | None]:
        """Return these texts: they are the same for all scenes."""
        return self, None

    def lines(self, rng: np.random.Generator) -> list[list[str]]:
        """Draw the words of a sign's one to four lines."""
        draw = rng.random()
        if draw < 0.4:
            words = [*self._name(rng), self.kind(rng)]
        elif draw < 0.55:
            words = [self.kind(rng) for _ in range(rng.integers(1, 3))]
        elif draw < 0.68:
            words = [
                *self._name(rng),
                str(rng.choice(("ST", "AVE", "ROAD", "STREET", "BLVD", "LANE", "WAY", "SQUARE"))),
            ]
        elif draw < 0.78:
            words = [self._number(rng) for _ in range(rng.integers(1, 3))]
        else:
            words = [self.word(rng) for _ in range(rng.integers(1, 9))]
        lines, start = [], 0
        while start < len(words):
            count = int(rng.choice((1, 2, 3), p=(0.45, 0.35, 0.2)))
            lines.append(words[start : start + count])
            start += count
        return lines[:4]

    def word(self, rng: np.random.Generator) -> str:
        """Draw one of the frequent words, more often a more frequent one."""
        return self.words[int(len(self.words) * rng.random() ** 2)]

    def kind(self, rng: np.random.Generator) -> str:
        """Draw one of the kinds of shops and places, more often a more common one."""
        return self.kinds[int(len(self.kinds) * rng.random() ** 2)]

    def _name(self, rng: np.random.Generator) -> list[str]:
        names = []
        for _ in range(rng.choice((1, 2), p=(0.7, 0.3))):
            name = self.word(rng) if rng.random() < 0.55 else invented_name(rng)
            names.append(f"{name}'s" if rng.random() < 0.12 else name)
        return names if rng.random() < 0.85 else [*names, "&", self.word(rng)]

    def _number(self, rng: np.random.Generator) -> str:
        form = rng.integers(4)
        if form == 0:
            return f"{rng.integers(100, 999)}-{rng.integers(1000, 9999)}"
        return str(rng.integers(1, (10, 100, 1000, 10000)[int(form)]))


def invented_name(rng: np.random.Generator) -> str:
    """Draw a name that no word list has, of two or three syllables."""
    starts = (
        "b",
        "br",
        "c",
        "ch",
        "d",
        "f",
        "g",
        "gr",
        "h",
        "j",
        "k",
        "l",
        "m",
        "n",
        "p",
        "r",
        "s",
        "st",
        "t",
        "tr",
        "v",
        "z",
    )
    middles = ("a", "e", "i", "o", "u", "ai", "ee", "ou")
    ends = ("", "n", "r", "l", "s", "tt", "ng", "ck", "rd", "x")
    syllables = (
        "".join(str(rng.choice(part)) for part in (starts, middles, ends)) for _ in range(int(rng.integers(2, 4)))
    )
    return "".join(syllables)[:12]
