"""The table of speed: rows of stored documents, failures as sentences, what is taken up, and the section in a file."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks._report import bounds, running
from benchmarks._report.curves import curve
from benchmarks._report.machine import machine, peaks
from benchmarks._report.paper import markdown, markers, text_table, write_section
from benchmarks._report.rates import rates
from benchmarks._report.rows import ROWS, RUNS, Run, is_met, value_at
from benchmarks._report.running import Result, do_run, stored_result
from odits.core.errors import OditsError

PEAKS = {"gemm_gflops": 100.0, "copy_gb_per_s": 10.0}
GFLOP = {"vit_b_32_image": 9.0, "vit_b_32_token": 0.075, "tokens": 16_000.0}
WORDS = {"words": 5363, "ratio": 24.0, "max_difference": 1e-7, "short_context_seconds": 24.0}
VOCABULARY = WORDS | {"encode_text_seconds": 576.0}


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the repository, whose benchmarks a test writes."""
    folder = tmp_path / "root" / "benchmarks"
    folder.mkdir(parents=True)
    monkeypatch.setattr(running, "ROOT", folder.parent)
    return folder


def test_every_row_has_its_run_and_every_run_its_script() -> None:
    names = {run.name for run in RUNS}
    assert {row.run for row in ROWS} == names
    there = Path(report.__file__).parent
    assert all((there / run.script).is_file() for run in (*RUNS, report.GROWTH))


def test_rows_of_documents_are_held_against_their_goals() -> None:
    results = {"vocabulary": Result("python x", 3.0, VOCABULARY), "words": Result("python y", 1.0, {}, "It fell over.")}
    vocabulary, words = report.table_rows(results, False, PEAKS, GFLOP)
    assert (vocabulary["measured"], vocabulary["goal"], vocabulary["met"]) == (24.0, "≥ 30 ×", False)
    # 16,000 tokens of 0.075 GFLOP at 100 GFLOP/s take 12 s: half of what was measured
    assert vocabulary["bound"]["share_of_peak"] == pytest.approx(0.5)
    assert vocabulary["bound"]["ratio_at_peak"] == pytest.approx(48.0)
    assert (words["measured"], words["met"], words["problem"]) == (None, None, "It fell over.")


def test_a_goal_is_met_only_with_its_accuracy_and_at_its_size() -> None:
    row = next(row for row in ROWS if row.run == "vocabulary")
    assert is_met(row, VOCABULARY | {"ratio": 31.0}, quick=True)
    assert is_met(row, VOCABULARY | {"ratio": 31.0, "max_difference": 1e-4}, quick=True) is False
    sized = next(row for row in ROWS if row.sized and row.run == "search")
    assert is_met(sized, {"worst_ms": 1.0}, quick=False) and is_met(sized, {"worst_ms": 1.0}, quick=True) is None
    assert value_at({"a": {"b": 1}}, "a.b") == 1 and value_at({"a": 1}, "a.b") is None


def test_failures_are_sentences_and_never_end_the_rest(scripts: Path) -> None:
    (scripts / "dies.py").write_text(f"import sys\nprint('x')\nsys.exit('{scripts.parent}/a is missing.')")
    (scripts / "chats.py").write_text("print('no document')")
    (scripts / "hangs.py").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    )
    assert do_run(Run("dies", "dies.py"), False).problem == "a is missing."
    assert do_run(Run("chats", "chats.py"), False).problem == "It printed no JSON document."
    start = time.monotonic()
    assert do_run(Run("hangs", "hangs.py"), False, limit=0.5).problem.startswith("It was ended after")
    assert time.monotonic() - start < 10
    assert (
        do_run(Run("no", "no.py", quick=None, without="It is long."), True).problem
        == "Not part of --quick: it is long."
    )
    assert "GB of free disk" in do_run(Run("big", "big.py", free_gb=10**9), False).problem


def test_a_stored_document_is_taken_up_and_a_problem_is_tried_again(scripts: Path, tmp_path: Path) -> None:
    out, run = tmp_path / "out", Run("one", "one.py", ("--size", "3"), ("--size", "1"))
    (scripts / "one.py").write_text("import sys\nsys.exit('Not yet.')")
    assert do_run(run, True, out).problem == "Not yet." and stored_result(out, run, True) is None
    (scripts / "one.py").write_text("import sys, json\nprint(json.dumps({'arguments': sys.argv[1:]}))")
    done = do_run(run, True, out)
    assert (
        done.document == {"arguments": ["--size", "1", "--json"]}
        and done.command == "python benchmarks/one.py --size 1"
    )
    assert stored_result(out, run, True) == done
    assert stored_result(out, run, False) is None  # another size
    assert json.loads((out / "one.json").read_text())["document"] == done.document


def test_the_whole_document_from_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = next(run for run in RUNS if run.name == "vocabulary")
    stored = Result(running.command_text(run, True), 5.0, VOCABULARY, date="2026-01-01 00:00")
    (tmp_path / "vocabulary.json").write_text(json.dumps(vars(stored)))
    about = machine() | {"load": 0.5, "peaks": PEAKS, "encoder_gflop": GFLOP, "tokens": 16_000}
    (tmp_path / "machine.json").write_text(json.dumps(about))
    monkeypatch.setattr(report, "peaks", lambda: PEAKS)
    document = report.measure([run], Namespace(out=tmp_path, resume=True, quick=True, growth=False))
    assert document["rows"][0]["measured"] == 24.0 and document["date"] == "2026-01-01 00:00"
    table, section = text_table(document), markdown(document)
    assert "24 ×" in table and "torch" in table
    assert "| 24 × | open_clip's encode_text | ≥ 30 × | no |" in section and "50 % of the peak" in section
    document["machine"] |= {"cores": 2, "load": 9.5}
    assert "9.5 processes wanted its 2 cores" in markdown(document) and "wanted" not in section
    (tmp_path / "machine.json").write_text(json.dumps(about | {"processor": "another"}))
    with pytest.raises(OditsError, match="another machine"):
        report.measure([run], Namespace(out=tmp_path, resume=True, quick=True, growth=False))


def test_a_section_is_replaced_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = markers("speed")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    write_section(page, "speed", "new")
    write_section(page, "speed", "newer")
    assert page.read_text() == f"before\n{begin}\nnewer\n{end}\nafter\n"
    with pytest.raises(OditsError, match="no section"):
        write_section(page, "growth", "x")


def test_files_get_the_tables_that_they_have_markers_for(tmp_path: Path) -> None:
    spotting = {"detection_seconds": 1.5, "recognition_seconds": 0.5}
    document = {
        "quick": True,
        "date": "2026-01-01 00:00",
        "seconds": 60.0,
        "machine": machine() | {"peaks": PEAKS},
        "rows": [],
        "rates": rates({"spotting": spotting, "evaluate": {}}, 2),
    }
    page = tmp_path / "scale.md"
    page.write_text("\n".join(markers("rates")))
    report.write_sections(page, document)
    # half a picture a second on two cores: four core-seconds each
    assert "| reading, all scales | 0.5 pictures | 1,111 |" in page.read_text()
    page.write_text("\n".join(markers("growth")))
    grown = curve("encoding words", "words", "s", (10, 100), (0.1, 1.0))
    document["growth"] = {"machine": machine() | {"load": 0.1}, "rows": [grown]}
    report.write_sections(page, document)
    assert "(growth.svg)" in page.read_text() and (tmp_path / "growth.svg").read_bytes().startswith(b"<?xml")
    page.write_text("nothing")
    with pytest.raises(OditsError, match="no place"):
        report.write_sections(page, document)


def test_peaks_and_the_machine_are_measured() -> None:
    assert all(value > 0 for value in peaks(0.05).values())
    assert machine()["cores"] >= 1 and machine()["versions"]["python"].startswith(f"{sys.version_info[0]}.")


def test_beginnings_that_words_share_are_counted_once() -> None:
    assert bounds.shared_beginnings([[1, 2, 9], [1, 2, 3, 9], [1, 2, 9]]) == 5
    assert bounds.vocabulary_tokens(["cafe"]) == 3 and bounds.vocabulary_tokens(["cafe", "cafe"]) == 3
