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


def test_case_and_accents_make_no_other_word_and_the_first_spelling_stays() -> None:
    words = ["Café", "CAFE", "cafe", "ＣＡＦＥ", "STRASSE", "Straße", "Ελλάδα", "ΕΛΛΑΔΑ"]
    assert Vocabulary.from_words(words, "x").words == ("Café", "STRASSE", "Ελλάδα")


def test_marks_that_make_other_letters_make_other_words() -> None:
    words = ("МОЙ", "МОИ", "かき", "がき", "กิน", "กัน")
    assert Vocabulary.from_words(words, "x").words == words


def test_a_word_is_found_however_it_is_spelled() -> None:
    vocabulary = Vocabulary(("CAFE", "Café", "Müller"), "of an older version")
    assert [vocabulary.find(word) for word in ("CAFE", "Café", "cafe", " MULLER ", "BAR")] == [0, 1, 0, 2, None]


def test_words_read_follow_the_list_and_only_those_that_are_in_none_of_it() -> None:
    base = Vocabulary.from_words(["CAFE", "MACY'S"], "list")
    found = base.with_read(["café", "Kranzler", "KRANZLER", "Macys", "東京", "!"], "with read")
    assert found.words == ("CAFE", "MACY'S", "Kranzler", "東京") and found.extra == ("Kranzler", "東京")
    assert found.base is base and found.digest == Vocabulary(found.words, "the same words").digest
    alone = base.with_read(["Cafe"], "with read")
    assert alone.digest == base.digest and alone.extra == () and alone.base is None


def test_a_full_list_takes_no_more_words() -> None:
    full = Vocabulary(tuple(f"w{number}" for number in range(MAX_WORDS)), "full")
    assert full.with_read(["KRANZLER"], "x").extra == ()


@pytest.mark.parametrize(
    ("content", "file"),
    [
        ("BAR\r\nCAFÉ\r\nBar".encode("utf-16"), "words.txt"),
        ("BAR\nCAFÉ\n".encode("utf-8-sig"), "words.txt"),
        ("BAR;CAFÉ\tbar".encode("cp1252"), "words.txt"),
        ("word,count\nBAR,3\nCAFÉ,1\n".encode(), "words.csv"),
        ("count;Words\n3;BAR\n\n1;CAFÉ\n2\n".encode("utf-16"), "words.CSV"),
        ('"BAR","CAFÉ"\n"bar"\n'.encode(), "words.csv"),
    ],
)
def test_files_as_programs_write_them(content: bytes, file: str) -> None:
    vocabulary = Vocabulary.from_bytes(content, file)
    assert vocabulary.words == ("BAR", "CAFÉ") and vocabulary.name == "words"


def test_a_list_may_begin_with_a_word_that_could_name_a_column() -> None:
    assert Vocabulary.from_bytes(b"word\nBAR\n", "list.txt").words == ("word", "BAR")


def test_many_words_in_one_line() -> None:
    line = ",".join(f"WORD{number}" for number in range(100_000))
    assert len(Vocabulary.from_bytes(line.encode(), "line.txt")) == len(Vocabulary.from_bytes(line.encode(), "a.csv"))
    with pytest.raises(OditsError, match=r"has a word of 988,889 letters, and 1,000 is the limit"):
        Vocabulary.from_text(line.replace(",", " "), "line")


def test_a_million_words_are_one_sentence() -> None:
    content = "\n".join(f"w{number}" for number in range(10**6)).encode()
    with pytest.raises(OditsError, match=r"^The vocabulary all has 1,000,000 words; at most 100,000 are accepted\.$"):
        Vocabulary.from_bytes(content, "all.txt")


def test_a_word_of_300_letters_is_a_word() -> None:
    assert Vocabulary.from_text("BAR\n" + "LONG" * 75, "x").words == ("BAR", "LONG" * 75)


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(OditsError, match="can't be read"):
        Vocabulary.from_file(Path("a\0b"))
