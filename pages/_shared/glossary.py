"""The terms of the explorer, each defined once: as help beside what is called so, and all of them under "Terms"."""

from __future__ import annotations

import streamlit as st

TERMS = {
    "word model": "Takes a picture and a vocabulary, and gives each word a probability: CLIP, word spotting or ODITS.",
    "vocabulary": "The words that a model may answer with, in a fixed order. Probabilities compare only within one.",
    "lexicon": "The words that may be in one picture, such as the names of businesses nearby; most are not in it.",
    "probability": "How sure a model is of a word, from 0 to 100 %. Of words given 80 %, about eight in ten are right "
    "where the model is calibrated.",
    "object": "A part of the picture that a segmenter found, with its outline: a sign, a window, a line of text.",
    "segmenter": "Finds the objects of a picture: SAM, or the one that comes with the explorer.",
    "contribution": "What one object adds to a word's log-odds: without the object the word would be that much less "
    "likely.",
    "checkpoint": "The stored weights of a trained model. Its digest names it: the same digest, the same answers.",
    "word spotting": "Reads the lines of text in a picture and compares what it read with each word.",
    "ODITS": "Weighs the words of each object in the picture: Object-Driven Image-Text Similarity.",
    "precision at 10": "The share of a picture's ten most probable words that are right.",
    "average precision": "How far up the right words of a picture stand in the ranking, from 0 to 1.",
    "calibration": "Whether probabilities keep what they promise: of words given 30 %, three in ten are right.",
    "agreement": "How often two people gave the same verdict, beyond what chance alone would make (Cohen's kappa).",
    "uniformity": "Whether counts spread evenly over their range: the Anderson-Darling statistic is small where they "
    "do.",
    "near-duplicates": "Pictures that look like the same one, at another size, crop or quality.",
}
"""Definitions by term, in one or two sentences each."""


def help_on(*terms: str, more: str = "") -> str:
    """Return the text of `help=` for something that is called by these terms.

    Args:
        terms: names in `TERMS`.
        more: said before them.

    Example:
        >>> help_on("lexicon")[:30]
        '**Lexicon**: The words that may'
    """
    lines = [f"**{term[0].upper()}{term[1:]}**: {TERMS[term]}" for term in terms]
    return "\n\n".join([more, *lines] if more else lines)


def show_glossary() -> None:
    """Draw a button that opens all terms."""
    with st.popover("Terms", icon=":material/menu_book:", type="tertiary"):
        st.markdown("\n\n".join(help_on(term) for term in sorted(TERMS, key=str.casefold)))
