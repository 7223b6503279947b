"""Rendered Streets: scenes whose lexicons follow a known law, so that it is known what objects and reading can add.

A scene lies in one of some neighbourhoods. Each word has, in each neighbourhood, a probability of being in the lexicons
of its scenes, independently of the other words: common kinds of shops have much the same everywhere, names belong to
one neighbourhood. Signs show words of the scene's lexicon. From this law follows how well anyone could rank words who
knows nothing, the words on the signs, or the neighbourhood (`Law`): bounds that no model passes but by chance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from odits.core.errors import OditsError
from odits.core.files import write_atomically
from odits.training.sign_texts import KINDS, invented_name

LAW_FILE = "law.json"
KIND_SHARE, KIND_DECAY = 0.75, 0.55
"""Probability of the most common kind, and how it falls with the rank of the others."""
NAMES, NAMED, ELSEWHERE = 40, 0.7, 0.01
"""Names of a neighbourhood, how probable each is in its scenes, and in those of others."""
VARIES = 0.8
"""How much kinds differ between neighbourhoods: the deviation of their log-odds."""
_LINES = (0.45, 0.35, 0.2)  # one, two or three lines


@dataclass(frozen=True, eq=False)
class Law:
    """What words' lexicons follow.

    Attributes:
        words: N, in upper case.
        probabilities: float64 (G, N) in 0..1, of each word in the lexicons of each neighbourhood's scenes.
    """

    words: tuple[str, ...]
    probabilities: np.ndarray

    @classmethod
    def draw(cls, count: int, frequent: Sequence[str], seed: int) -> Law:
        """Draw the law of some neighbourhoods.

        Args:
            count: of neighbourhoods.
            frequent: words that names are made of, beside invented ones.
            seed: the same one draws the same law.
        """
        rng = np.random.default_rng((seed, count))
        kinds = tuple(kind.upper() for kind in KINDS)
        names: dict[str, None] = {}
        while len(names) < count * NAMES:
            name = frequent[int(rng.integers(len(frequent)))] if rng.random() < 0.5 else invented_name(rng)
            if len(name) > 2 and name.upper() not in kinds:
                names.setdefault(name.upper())
        common = KIND_SHARE / (1 + np.arange(len(kinds))) ** KIND_DECAY
        odds = np.log(common / (1 - common)) + rng.normal(0, VARIES, (count, len(kinds)))
        own = np.full((count, count * NAMES), ELSEWHERE)
        for place in range(count):
            own[place, place * NAMES : (place + 1) * NAMES] = NAMED
        probabilities = np.concatenate([1 / (1 + np.exp(-odds)), own], axis=1).round(4).clip(0.001, 0.999)
        return cls((*kinds, *names), probabilities)

    def draw_lexicon(self, rng: np.random.Generator) -> tuple[int, list[str]]:
        """Draw a scene's neighbourhood and its lexicon, in an order drawn too."""
        place = int(rng.integers(len(self.probabilities)))
        held = np.flatnonzero(rng.random(len(self.words)) < self.probabilities[place])
        return place, [self.words[word] for word in rng.permutation(held)]

    def save(self, folder: Path) -> None:
        """Write it into a data set's folder.

        Raises:
            WriteError: the folder can't be written.
        """
        document = {"words": self.words, "probabilities": self.probabilities.tolist()}
        write_atomically(folder / LAW_FILE, json.dumps(document).encode())

    @classmethod
    def load(cls, folder: Path) -> Law:
        """Read it from a data set's folder.

        Raises:
            OditsError: there is none, or it is not one.
        """
        try:
            document = json.loads((folder / LAW_FILE).read_bytes())
            law = cls(tuple(map(str, document["words"])), np.array(document["probabilities"], np.float64))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OditsError(f"{folder / LAW_FILE} says of no law that the lexicons follow.") from error
        if law.probabilities.ndim != 2 or law.probabilities.shape[1] != len(law.words):
            raise OditsError(f"{folder / LAW_FILE} has other words than probabilities.")
        return law

    def marginal(self) -> np.ndarray:
        """Return the probability of each word in a scene of which nothing is known, float64 (N,)."""
        mean: np.ndarray = self.probabilities.mean(0)
        return mean

    def given_shown(self, shown: np.ndarray) -> np.ndarray:
        """Return the probability of each word in scenes of which only the words on the signs are known, by Bayes' rule.

        Args:
            shown: bool (m, N), the words on the signs; they are drawn from the lexicon evenly.

        Returns:
            float64 (m, N); 1 for the words that are shown.
        """
        likelihood = shown.astype(np.float64) @ np.log(self.probabilities).T
        posterior = np.exp(likelihood - likelihood.max(1, keepdims=True))
        posterior /= posterior.sum(1, keepdims=True)
        return np.where(shown, 1.0, posterior @ self.probabilities)

    def in_neighbourhood(self, held: np.ndarray) -> np.ndarray:
        """Return the probability of each word in the neighbourhood that scenes with these lexicons most likely lie in.

        Args:
            held: bool (m, N), the words of the lexicons.

        Returns:
            float64 (m, N).
        """
        likelihood = held @ np.log(self.probabilities).T + ~held @ np.log1p(-self.probabilities).T
        found: np.ndarray = self.probabilities[likelihood.argmax(1)]
        return found


@dataclass(frozen=True)
class LexiconTexts:
    """Draws what signs say from a scene's lexicon; each word stands on one sign.

    Attributes:
        words: of the lexicon, those that are drawn first at its beginning.
    """

    words: list[str]

    def lines(self, rng: np.random.Generator) -> list[list[str]]:
        """Draw the words of a sign's one to three lines."""
        return [[self.word(rng)] for _ in range(int(rng.choice((1, 2, 3), p=_LINES)))]

    def word(self, rng: np.random.Generator) -> str:
        """Draw the next word."""
        if len(self.words) > 1:
            self.words.append(self.words.pop(0))
        return self.words[-1]

    def kind(self, rng: np.random.Generator) -> str:
        """Draw the next word: kinds are words like others here."""
        return self.word(rng)


@dataclass(frozen=True)
class Neighbourhoods:
    """What the signs of scenes say whose lexicons follow a law."""

    law: Law

    def for_scene(self, rng: np.random.Generator) -> tuple[LexiconTexts, list[str]]:
        """Draw a scene's texts and its lexicon."""
        _, lexicon = self.law.draw_lexicon(rng)
        lexicon = lexicon or [self.law.words[0]]
        return LexiconTexts(list(lexicon)), lexicon
