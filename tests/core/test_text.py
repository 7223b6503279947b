"""Text from outside, spelled out."""

from __future__ import annotations

import pytest

from odits.core.text import literal, spell_out


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("café.jpg", "café.jpg"),
        ("a\x00b\x1b[2J\x7f\x9f", r"a\x00b\x1b[2J\x7f\x9f"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\u200bb\ufeff\u2028", r"a\u200bb\ufeff\u2028"),
        ("\udcff.jpg", r"\udcff.jpg"),
        ("\U000e0041", r"\U000e0041"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_what_does_not_show_is_spelled_out(text: str, shown: str) -> None:
    assert spell_out(text) == shown
    spell_out(text).encode()  # what cannot be written is written as its code


def test_what_is_to_stay_stays() -> None:
    assert spell_out("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        (" ", "␣"),
        ("\u3000 ", "␣␣"),
        (" a  b ", "\u00a0a\u00a0 b\u00a0"),
        ("a\nb", r"a\nb"),
        ("a" * 300, "a" * 300),
        ("שלום.jpg", "\u2068שלום.jpg\u2069"),
    ],
)
def test_names_are_seen_letter_by_letter(text: str, shown: str) -> None:
    assert literal(text) == shown
