from __future__ import annotations

from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.data.vocabulary import MAX_WORDS, Vocabulary


def test_words_are_trimmed_and_taken_once_in_order() -> None:
    vocabulary = Vocabulary.from_words([" HOTEL", "bar ", "", "  ", "HOTEL", "Hotel", "ICE \t CREAM"], "mine")
    assert vocabulary.words == ("HOTEL", "bar", "ICE CREAM")
    assert len(vocabulary) == 3


def test_one_accent_written_in_two_ways_is_one_word() -> None:
    assert Vocabulary.from_words(["CAFE\u0301", "CAF\u00c9"], "x").words == ("CAF\u00c9",)


def test_text_with_lines_and_commas() -> None:
    assert Vocabulary.from_text("BAR, GRILL\r\nICE CREAM\n\n,BAR", "typed").words == ("BAR", "GRILL", "ICE CREAM")


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "shops.txt"
    path.write_bytes(b"\xef\xbb\xbfBAR\nCAF\xc3\x89\n")
    vocabulary = Vocabulary.from_file(path)
    assert vocabulary.words == ("BAR", "CAFÉ") and vocabulary.name == "shops"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"BAR\x00GRILL", b"", b" , \n"])
def test_files_that_are_no_vocabulary(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(OditsError, match="bad"):
        Vocabulary.from_file(tmp_path / "bad.txt")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.txt", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(OditsError) as caught:
            Vocabulary.from_file(path)
        assert str(caught.value) == f"The vocabulary {path} can't be read: {reason}."


def test_a_file_may_have_32_mib(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(b" " * (32 * 1024 * 1024 - 3) + b"BAR")
    assert Vocabulary.from_file(path).words == ("BAR",)
    path.write_bytes(b" " * (32 * 1024 * 1024 - 2) + b"BAR")
    with pytest.raises(OditsError, match=r"^large\.txt is larger than the 32 MiB a vocabulary may have\.$"):
        Vocabulary.from_file(path)


def test_at_most_100_000_words() -> None:
    words = [str(number) for number in range(MAX_WORDS)]
    assert len(Vocabulary.from_words(words, "full")) == 100_000
    with pytest.raises(OditsError, match="100,001 words"):
        Vocabulary.from_words([*words, "one more"], "over")


def test_digest_depends_on_words_and_order_only() -> None:
    digest = Vocabulary(("A", "B"), "x").digest
    assert digest == Vocabulary(("A", "B"), "y").digest
    assert len({digest, Vocabulary(("B", "A"), "x").digest, Vocabulary(("AB",), "x").digest}) == 3
    assert len(digest) == 64 and int(digest, 16) >= 0


def test_the_constructor_refuses_what_from_words_would_mend() -> None:
    for words, said in (((), "has no words"), (("A", "A"), "empty or a repeated"), (("B", ""), "empty or a repeated")):
        with pytest.raises(OditsError, match=f"The vocabulary x .*{said}"):
            Vocabulary(words, "x")
