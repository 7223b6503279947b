from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data.csv_tables import write_table
from odits.data.folder import is_folder, read_folder


def write(folder: Path, table: str, images: tuple[str, ...] = ("a.jpg", "b.png", "sub/c.jpg")) -> Path:
    for name in images:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10)).save(path)
    (folder / "lexicons.csv").write_text(table, encoding="utf-8")
    return folder


def test_words_separated_by_space_comma_or_semicolon(tmp_path: Path) -> None:
    table = 'file,words,split\nb.png,"BAR, GRILL,BAR",eval\na.jpg,HOTEL INN,train\n\nsub/c.jpg,CAFÉ;Deli; ,\n'
    dataset = read_folder(write(tmp_path, table))
    assert [(record.name, record.split, record.lexicon) for record in dataset.records] == [
        ("a.jpg", "train", ("HOTEL", "INN")),
        ("b.png", "eval", ("BAR", "GRILL", "BAR")),
        ("sub/c.jpg", "eval", ("CAFÉ", "Deli")),
    ]
    assert dataset.warnings == ()
    assert dataset.name == tmp_path.name
    assert dataset.find("sub/c").name == "sub/c.jpg"
    assert dataset.vocabulary().words == ("HOTEL", "INN", "BAR", "GRILL", "CAFÉ", "Deli")


@pytest.mark.parametrize(
    "table",
    [
        "file,words\na.jpg,BAR GRILL\n",
        "\ufeffFile , Words\r\na.jpg,BAR GRILL\r\n",
        "file;words\na.jpg;BAR,GRILL\n",
        "file\twords\na.jpg\tBAR;GRILL\n",
        "split,words,file\ntest,BAR GRILL,a.jpg\n",
        "file,words\na.jpg,BAR\na.jpg,GRILL\n",
    ],
)
def test_tables_that_mean_the_same(tmp_path: Path, table: str) -> None:
    dataset = read_folder(write(tmp_path, table))
    assert [(record.split, record.lexicon) for record in dataset.records] == [("eval", ("BAR", "GRILL"))]
    assert dataset.warnings == ()


@pytest.mark.parametrize(
    ("encoding", "table"),
    [
        ("utf-8-sig", "file;words\r\nmy café.jpg;BAR GRÜN\r\n"),  # Excel where the comma is the decimal sign
        ("cp1252", "file;words\r\nmy café.jpg;BAR GRÜN\r\n"),  # the same, "CSV (separated by lists)"
        ("utf-16", "file\twords\r\nmy café.jpg\tBAR GRÜN\r\n"),  # Excel's "Unicode text"
        ("utf-8", "sep=;\r\nfile;words\r\nmy café.jpg;BAR GRÜN\r\n"),
        ("utf-8-sig", '"sep=|"\r\nfile|words\r\nmy café.jpg|BAR GRÜN\r\n'),
        ("utf-8", '"file"\t"words"\n"my café.jpg"\t"BAR GRÜN"\n'),  # LibreOffice, all texts quoted
        ("utf-8", ",file,words\n0,my café.jpg,BAR GRÜN\n"),  # pandas with its index
        ("utf-8", 'file,words\rmy café.jpg,"BAR\rGRÜN"\r'),  # old Macs, and a line break in a cell
        ("utf-8", "file_name,text\nmy café.jpg,BAR GRÜN\n"),  # Hugging Face's metadata.csv
        ("utf-16-le", "\ufefffile,words\n.\\my café.jpg,BAR GRÜN\n"),
        ("utf-16-le", "file,words\nmy café.jpg,BAR GRÜN\n"),  # without a byte order mark
        ("utf-16-be", "file,words\nmy café.jpg,BAR GRÜN\n"),
        ("utf-8", "\ufeff\ufefffile,words\nmy café.jpg,BAR GRÜN\n"),
        ("cp1252", "file;words;;;\r\nmy café.jpg;BAR GRÜN;;;\r\n;;;;;\r\n"),  # Excel, cells once used
        ("cp1252", "file;words;split\r\nmy café.jpg;BAR GRÜN;;;;\r\n"),
        ("utf-8", "file;words;;\nmy café.jpg;BAR;GRÜN;\n"),  # a word a cell
        ("utf-8", "file;words\rmy café.jpg;BAR,GRÜN\r"),  # Excel's "CSV (Macintosh)"
        ("utf-8", 'file;"words, all of them";words\nmy café.jpg;x;BAR,GRÜN\n'),
        ("utf-8", '"","file","words"\n"1","my café.jpg","BAR GRÜN"\n'),  # R: write.csv
        ("utf-8", '"file"\t"words"\n"1"\t"my café.jpg"\t"BAR GRÜN"\n'),  # R: write.table
        ("utf-8", "file,words\nmy café.jpg,\"['BAR', 'GRÜN']\"\n"),  # pandas, a column of lists
        ("utf-8", 'file,words\nmy café.jpg,"[\'BAR\' ""GRÜN""]"\n'),  # and of arrays
        ("utf-8", 'file,words\nmy café.jpg,"[""BAR"", ""GR\\u00dcN""]"\n'),  # JSON
        ("utf-8", "Words;Split;FILE\nBAR GRÜN;Test;MY CAFÉ.JPG\n"),
        ("utf-8", "file,words\nmy cafe\u0301.jpg,BAR GRÜN\n"),  # macOS composes accents otherwise
    ],
)
def test_dialects_of_spreadsheets(tmp_path: Path, encoding: str, table: str) -> None:
    write(tmp_path, "", ("my café.jpg",))
    (tmp_path / "lexicons.csv").write_bytes(table.encode(encoding))
    dataset = read_folder(tmp_path)
    assert [(record.name, record.lexicon) for record in dataset.records] == [("my café.jpg", ("BAR", "GRÜN"))]
    assert dataset.warnings == ()
    assert dataset.reader == "images with lexicons.csv"


def test_what_pandas_writes_is_read(tmp_path: Path) -> None:
    write(tmp_path, "")
    frame = pd.DataFrame(
        {"file": ["a.jpg", "sub/c.jpg"], "words": ["BAR, GRILL", 'THE "INN"'], "split": ["train", "test"]}
    )
    for options in ({"index": False}, {"sep": ";"}, {"sep": "\t", "encoding": "utf-16"}, {"quoting": csv.QUOTE_ALL}):
        frame.to_csv(tmp_path / "lexicons.csv", **options)
        dataset = read_folder(tmp_path)
        assert [record.lexicon for record in dataset.records] == [("BAR", "GRILL"), ("THE", '"INN"')]
        assert dataset.splits == ("train", "eval")


def test_words_that_look_like_formulas_come_back_as_they_were(tmp_path: Path) -> None:
    words = ["=SUM(A1)", "+49", "-20%", "@home", "'=x", "it's"]
    rows = [(f"{number}.jpg", word, "eval") for number, word in enumerate(words)]
    write(tmp_path, "", tuple(name for name, _, _ in rows))
    content = write_table(("file", "words", "split"), rows)
    (tmp_path / "lexicons.csv").write_bytes(content)
    cells = [line.split(",")[1] for line in content.decode("utf-8-sig").splitlines()[1:]]
    assert all(cell[0] not in "=+-@" for cell in cells)
    assert [record.lexicon for record in read_folder(tmp_path).records] == [(word,) for word in words]


def test_a_row_may_leave_its_last_fields_out(tmp_path: Path) -> None:
    dataset = read_folder(write(tmp_path, "file,words,split\na.jpg,BAR\nb.png\nsub/c.jpg,INN,TRAIN\n"))
    assert [(record.name, record.split, record.lexicon) for record in dataset.records] == [
        ("sub/c.jpg", "train", ("INN",)),
        ("a.jpg", "eval", ("BAR",)),
        ("b.png", "eval", ()),
    ]


def test_a_row_that_is_wrong_costs_only_itself(tmp_path: Path) -> None:
    dataset = read_folder(write(tmp_path, "file,words,split\na.jpg,BAR,tarin\nb.png,BAR,eval,INN\nsub/c.jpg,INN\n"))
    assert [record.name for record in dataset.records] == ["sub/c.jpg"]
    assert dataset.warnings == (
        "lexicons.csv, line 2: the split is 'tarin', not train or eval; left out.",
        "lexicons.csv, line 3: more fields than columns; put words with commas into quotes. Left out.",
    )


def test_names_in_another_case_or_composition_are_found_unless_several_could_be_meant(tmp_path: Path) -> None:
    write(tmp_path, "file,words\nSUB/C.JPG,INN\nCafe\u0301/A.jpg,BAR\nd.JPG,X\n", ("sub/c.jpg", "café/a.jpg"))
    for name in ("D.jpg", "d.jpg"):
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    dataset = read_folder(tmp_path)
    assert [record.name for record in dataset.records] == ["sub/c.jpg", "café/a.jpg"]
    assert dataset.warnings == ("lexicons.csv, line 4: There is no image d.JPG. Left out.",)


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest(tmp_path: Path) -> None:
    with pytest.raises(OditsError, match=r"line 3: a quote opens here and is never closed"):
        read_folder(write(tmp_path, 'file,words\na.jpg,BAR 5" wide\nb.png,"INN\nsub/c.jpg,CAFE\n'))
    dataset = read_folder(write(tmp_path, 'file,words\na.jpg,BAR 5" wide\nb.png,INN\n'))
    assert [record.lexicon for record in dataset.records] == [("BAR", '5"', "wide"), ("INN",)]


def test_a_row_without_a_file_is_one_warning(tmp_path: Path) -> None:
    dataset = read_folder(write(tmp_path, "file,words\na.jpg,BAR\n,INN\n.,INN\n"))
    assert dataset.warnings == (
        "lexicons.csv, line 3: '' is not a path inside the data set; left out.",
        "lexicons.csv, line 4: '.' is not a path inside the data set; left out.",
    )


def test_paths_must_stay_inside_links_included(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.jpg")
    folder = tmp_path / "data"
    names = ["a.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), "link.jpg", "out/secret.jpg", "sub/../a.jpg"]
    write(folder, "file,words\n" + "".join(f"{name},BAR\n" for name in names))
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "out").symlink_to(tmp_path, target_is_directory=True)
    dataset = read_folder(folder)
    assert [record.name for record in dataset.records] == ["a.jpg"]
    assert len(dataset.warnings) == 4 and all("not a path inside" in warning for warning in dataset.warnings)


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    write(tmp_path, "file,words\nlink.jpg,BAR\n")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    assert len(read_folder(tmp_path).records) == 1


def test_missing_image_and_empty_lexicon_are_one_warning_each(tmp_path: Path) -> None:
    dataset = read_folder(write(tmp_path, "file,words\na.jpg,BAR\ngone.jpg,INN\nb.png,\n"))
    assert [record.name for record in dataset.records] == ["a.jpg", "b.png"]
    assert dataset.warnings == (
        "lexicons.csv, line 3: There is no image gone.jpg. Left out.",
        "lexicons.csv, line 4: the lexicon of b.png is empty.",
    )


def test_a_file_in_two_splits_stays_in_the_first(tmp_path: Path) -> None:
    dataset = read_folder(write(tmp_path, "file,words,split\na.jpg,BAR,train\na.jpg,INN,eval\n"))
    assert [(record.split, record.lexicon) for record in dataset.records] == [("train", ("BAR", "INN"))]
    assert dataset.warnings == ("lexicons.csv, line 3: a.jpg is in train already, and stays there.",)


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ("", "first line|No image"),
        ("a.jpg,BAR\n", "must name the columns"),
        ("file,words\n", "No image"),
        ("file,words,split\na.jpg,BAR,holdout\n", "line 2: the split is 'holdout'"),
        ("file,words\na.jpg,BAR,GRILL\n", "line 2: more fields"),
        ("file,words\na.jpg," + "X" * 200_000 + "\n", "line 2: field larger"),
    ],
)
def test_tables_that_are_wrong_are_one_sentence(tmp_path: Path, table: str, part: str) -> None:
    with pytest.raises(OditsError, match=part) as caught:
        read_folder(write(tmp_path, table))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_missing(tmp_path: Path) -> None:
    assert not is_folder(tmp_path)
    with pytest.raises(OditsError) as caught:
        read_folder(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'lexicons.csv'} can't be read: No such file or directory."
    (tmp_path / "lexicons.csv").mkdir()
    assert not is_folder(tmp_path)
    assert is_folder(write(tmp_path / "data", "file,words\n"))


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "lexicons.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(OditsError, match="UTF-8"):
        read_folder(tmp_path)
