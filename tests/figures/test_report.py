"""A report: what it holds, as one HTML file and as a PDF, and that it can be made again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.data import Dataset
from odits.evaluation.results import StoredEvaluation, evaluate_and_store
from odits.figures.report import Report, make_report, report_format
from odits.figures.report_files import report_html, report_pdf
from tests.evaluation.test_results import ByColour, write_data

COMMAND = "odits report one two --data 'my <signs>' --out report.html"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_data(tmp_path)


@pytest.fixture
def evaluations(dataset: Dataset) -> list[StoredEvaluation]:
    words = dataset.vocabulary()
    return [
        evaluate_and_store(ByColour(name, scale), name, dataset, "eval", words)
        for name, scale in (("One <b>", 20), ("Two", 300))
    ]


@pytest.fixture
def made(evaluations: list[StoredEvaluation], dataset: Dataset) -> Report:
    return make_report(evaluations, dataset, COMMAND)


def test_it_holds_what_was_measured(made: Report, evaluations: list[StoredEvaluation]) -> None:
    facts = dict(made.facts)
    assert evaluations[0].checkpoint in facts["checkpoint 1"] and evaluations[1].checkpoint in facts["checkpoint 2"]
    assert evaluations[0].vocabulary.digest[:16] in facts["words"] and facts["images"].startswith("10")
    metrics = made.tables[0]
    assert [row[0].split(" · ")[0] for row in metrics.rows] == ["One <b>", "Two", "uniform", "prior"]
    precision = metrics.rows[0][metrics.columns.index("confidence precision")]
    assert float(precision) == pytest.approx(evaluations[0].groups["confidence"]["precision"], abs=1e-4)
    assert "p (Holm)" in made.tables[1].columns
    assert len(made.slides) == 3 and len(made.drawings) == 2


def test_pictures_can_be_chosen(evaluations: list[StoredEvaluation], dataset: Dataset) -> None:
    found = make_report(evaluations[:1], dataset, COMMAND, ["5.png", "4.png"])
    assert [slide.title for slide in found.slides] == ["5.png", "4.png"]
    assert len(found.tables) == 1, "one checkpoint has no differences"
    with pytest.raises(OditsError, match="none of the 10"):
        make_report(evaluations, dataset, COMMAND, ["0.png"])


def test_the_html_file_stands_alone(made: Report) -> None:
    document = report_html(made).decode()
    assert "odits report one two --data &#x27;my &lt;signs&gt;&#x27;" in document
    assert "One &lt;b&gt;" in document and "<b>&lt;" not in document.replace("<b>One &lt;b&gt;", "")
    assert re.findall(r'(?:src|href)="(?!data:image/)', document) == []
    assert "default-src 'none'" in document and not re.search(r"@import|url\(", document)
    assert document.count("data:image/jpeg;base64,") == 3 and document.count("data:image/svg+xml;base64,") == 2


def test_the_pdf_has_a_page_for_each_part(made: Report) -> None:
    pages = len(re.findall(rb"/Type /Page\b", report_pdf(made)))
    assert pages == 1 + bool(made.remarks) + len(made.drawings) + len(made.tables) + len(made.slides)


def test_the_file_says_the_format() -> None:
    assert report_format(Path("a.PDF")) == "pdf"
    with pytest.raises(OditsError, match=r"\.html or \.pdf"):
        report_format(Path("a.doc"))
