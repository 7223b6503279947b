"""The terms, defined once."""

from __future__ import annotations

from pages._shared.glossary import TERMS, help_on
from pages._shared.guide import TOUR


def test_a_help_text_names_each_of_its_terms() -> None:
    text = help_on("lexicon", "probability", more="First.")
    assert text.startswith("First.\n\n**Lexicon**: ") and "**Probability**: " in text


def test_definitions_are_sentences_and_the_tour_has_six_steps() -> None:
    assert all(text[0].isupper() and text.endswith(".") for text in TERMS.values())
    assert {"lexicon", "vocabulary", "probability", "contribution", "uniformity"} <= set(TERMS)
    assert len(TOUR) == 6 and all(step.shows for step in TOUR)
