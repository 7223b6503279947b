"""What signs are written with: fonts that have all Latin letters, and words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError
from PIL import ImageFont

from odits.core.errors import OditsError

FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "/Library/Fonts", "C:/Windows/Fonts")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789&'"


def usable_fonts(folders: Iterable[str | Path] = FONT_FOLDERS) -> list[Path]:
    """Font files that draw all Latin letters and digits, one of each distinct drawing, sorted by path."""
    seen: set[str] = set()
    fonts: list[Path] = []
    files = sorted(
        path
        for folder in folders
        for pattern in ("*.ttf", "*.otf", "*.TTF", "*.OTF")
        for path in Path(folder).expanduser().rglob(pattern)
    )
    for path in files:
        try:
            covered = TTFont(path, lazy=True).getBestCmap() or {}
            if any(ord(letter) not in covered for letter in _LETTERS):
                continue
            font = ImageFont.truetype(str(path), 24)
            glyphs = {letter: bytes(font.getmask(letter)) for letter in "ABEHaeg"}
            drawing = hashlib.sha256(bytes(font.getmask("Hamburg RESTAURANT 2"))).hexdigest()
        except (OSError, TTLibError, ValueError, KeyError, AssertionError):
            continue
        if len(set(glyphs.values())) == len(glyphs) and all(glyphs.values()) and drawing not in seen:
            seen.add(drawing)
            fonts.append(path)
    return fonts


def read_words(files: Iterable[Path]) -> list[str]:
    """Distinct lower-case words of 2 to 16 Latin letters from word lists, in order.

    Raises:
        OditsError: a list cannot be read, or there are fewer than 1000 words.
    """
    words: dict[str, None] = {}
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise OditsError(f"The word list {file} cannot be read.") from error
        words |= dict.fromkeys(word for word in text.lower().split() if re.fullmatch("[a-z]{2,16}", word))
    if len(words) < 1000:
        raise OditsError(f"Only {len(words)} usable words in the word lists: at least 1000 are needed.")
    return list(words)
