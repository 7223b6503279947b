from __future__ import annotations

import csv
import io

import pytest

from odits.core.errors import OditsError
from odits.data.annotation_files import annotation_file, annotators
from odits.data.annotation_imports import NEWER, TakenMarks
from odits.data.annotation_tables import COLUMNS, marks_csv
from odits.data.annotations import put_marks, read_marks, set_mark
from odits.data.mark_files import import_file
from odits.data.marks import ImageWord, Mark

EARLY, LATE = "2026-01-01T10:00:00.000000+00:00", "2026-01-02T10:00:00.000000+00:00"


def image_word(word: str) -> ImageWord:
    return ImageWord("demo", "a.jpg", word)


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def import_marks(content: bytes, file: str = "The file") -> TakenMarks:
    """Take over a file; of two marks of one word the newer counts."""
    return import_file(content, file, NEWER)


def row(**changes: str) -> bytes:
    values = dict.fromkeys(COLUMNS, "") | {"data": "x", "image": "x", "word": "x", "model": "x"}
    values |= {"annotator": "Ben", "verdict": "right", "time": EARLY} | changes
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    writer.writerow([values[column] for column in COLUMNS])
    return stream.getvalue().encode()


def test_a_row_a_mark() -> None:
    set_mark("Anna", image_word("HOTEL"), "right", 'über, "dem" Tor\nzweite Zeile')
    set_mark("Anna", image_word("BAR"), "wrong")
    rows = table(marks_csv("Anna", read_marks("Anna").items()))
    assert [(found["annotator"], found["word"], found["verdict"]) for found in rows] == [
        ("Anna", "BAR", "wrong"),
        ("Anna", "HOTEL", "right"),
    ]
    assert rows[1]["note"] == 'über, "dem" Tor\nzweite Zeile'
    assert tuple(rows[0]) == COLUMNS


NASTY = ["=1+1", "+A1", "-2", "@SUM(A1)", "\t=1", "'=x", "''=x", "'plain", "＝1", "it's", "'"]


def test_no_field_is_a_formula_and_all_come_back_as_they_were() -> None:
    marks = {image_word(word): Mark("right", word, EARLY) for word in NASTY}
    content = marks_csv("Anna", marks.items())
    for found in table(content):
        assert not any(value.startswith(("=", "+", "-", "@", "\t", "＝")) for value in found.values())
    assert import_marks(content).read == len(NASTY)
    assert read_marks("Anna") == dict(sorted(marks.items(), key=lambda item: item[0].word))


def test_an_import_makes_the_annotator_known_here() -> None:
    done = import_marks(marks_csv("Ben", [(image_word("BAR"), Mark("unsure", "dark", EARLY))]))
    assert done[:3] == ("Ben", 1, 1)
    assert annotators() == ["Ben"]
    assert read_marks("Ben") == {image_word("BAR"): Mark("unsure", "dark", EARLY)}


def test_importing_twice_changes_nothing_and_the_newer_mark_stays() -> None:
    put_marks("Ben", [(image_word("BAR"), Mark("wrong", "here", LATE)), (image_word("INN"), Mark("wrong", "", EARLY))])
    content = marks_csv(
        "Ben", [(image_word("BAR"), Mark("right", "", EARLY)), (image_word("INN"), Mark("right", "", LATE))]
    )
    assert import_marks(content)[:3] == ("Ben", 2, 1)
    assert import_marks(content)[:3] == ("Ben", 2, 0)
    assert {key.word: mark.verdict for key, mark in read_marks("Ben").items()} == {"BAR": "wrong", "INN": "right"}


def test_a_time_in_the_future_does_not_win_for_ever() -> None:
    import_marks(row(time="9999-01-01T00:00:00+00:00"))
    found = next(iter(read_marks("Ben")))
    assert set_mark("Ben", found, "wrong").time > "2026"
    assert import_marks(row(time="2026-01-01T00:00:00+00:00")).new == 0
    assert read_marks("Ben")[found].verdict == "wrong"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column 'annotator'"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"a,b\n1,2\n", "no column 'annotator'"),
        (",".join(COLUMNS).encode() + b"\n", "holds no marks"),
        (row(verdict="maybe"), "line 2: There is no verdict 'maybe'"),
        (row(time="yesterday"), "'yesterday' is no time"),
        (row(time="2026-01-01T00:00:00"), "without its zone"),
        (row(time="0001-01-01T00:00:00+23:00"), "is no time"),
        (row(word=""), "word is empty"),
        (row(word="w" * 5000), "word is empty or too long"),
        (row(note="n" * 1001), "1,000 characters"),
        (row(annotator=""), "needs a name"),
        (row() + b"only,three,fields\n", "line 3: 3 fields instead of 15"),
        (row() + row(annotator="Carl").split(b"\n", 1)[1], "marks of 2 annotators"),
        (b'"annotator\n', "no CSV file"),
    ],
)
def test_bad_files_get_one_sentence_and_nothing_is_taken_over(content: bytes, message: str) -> None:
    with pytest.raises(OditsError, match=message) as caught:
        import_marks(content, "ben.csv")
    assert str(caught.value).startswith("ben.csv")
    assert "\n" not in str(caught.value)
    assert annotators() == []


def test_the_limits_of_a_file_are_inclusive() -> None:
    assert import_marks(row(word="w" * 4000, note="n" * 1000)).new == 1
    with pytest.raises(OditsError, match="word is empty or too long"):
        import_marks(row(word="w" * 4001))
    with pytest.raises(OditsError, match=r"^marks\.csv is larger than 32 MiB\.$"):
        import_marks(b"x" * (32 * 1024 * 1024 + 1), "marks.csv")
    with pytest.raises(OditsError, match="no CSV file"):
        import_marks(b"x" * (32 * 1024 * 1024), "marks.csv")


def test_what_is_wrong_is_quoted_shortly() -> None:
    long = "t" * 99
    with pytest.raises(OditsError, match=f"line 2: '{'t' * 40}' is no time"):
        import_marks(row(time=long))
    with pytest.raises(OditsError, match=r"'2026-01-01T00:00:00\.1234567' is a time without its zone"):
        import_marks(row(time="2026-01-01T00:00:00.1234567"))


def test_times_of_other_zones_are_compared_in_utc() -> None:
    import_marks(row(verdict="right", time="2026-01-01T12:00:00+02:00"))
    assert [mark.time for mark in read_marks("Ben").values()] == ["2026-01-01T10:00:00.000000+00:00"]
    assert import_marks(row(verdict="wrong", time="2026-01-01T11:00:00+02:00")).new == 0
    assert import_marks(row(verdict="wrong", time="2026-01-01T10:00:01Z")).new == 1


def test_other_columns_blank_lines_and_another_order_do_no_harm() -> None:
    reader = csv.reader(io.StringIO(row().decode(), newline=""))
    header, values = next(reader), next(reader)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    for line in (["mine", *header[::-1]], [""] * 16, [], ["x", *values[::-1]]):
        writer.writerow(line)
    assert import_marks(stream.getvalue().encode("utf-8-sig"))[:3] == ("Ben", 1, 1)
    assert next(iter(read_marks("Ben"))) == ImageWord("x", "x", "x")


def test_a_nul_in_a_field_is_refused() -> None:
    with pytest.raises(OditsError, match=r"image is empty or too long|no CSV file"):
        import_marks(row(image="a\0b"))


def test_a_name_in_a_file_cannot_climb_out() -> None:
    import_marks(row(annotator="../../up"))
    assert annotation_file("../../up").is_file()
    assert annotators() == ["../../up"]
