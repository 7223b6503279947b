"""Annotating by keys, as people do it: fast, with the server away, killed, in two tabs, and taken back."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect

from benchmarks._serving import free_port, wait_until_served
from odits.core.files import sha256_of
from odits.data import Vocabulary, read_dataset
from odits.data.annotations import history, read_marks
from odits.evaluation.results import evaluate_and_store
from odits.models.registry import load, parse
from tests.browser.conftest import REPOSITORY, WAIT, mistakes, visit

PICTURES = int(os.environ.get("ODITS_TEST_PICTURES", "12"))  # each is read first, which takes seconds
KEYS_A_PICTURE = 3.2
WORDS = ("BAKERY", "BANK", "BAR", "BOOKS", "CAFE", "DINER", "FLOWERS", "GRILL", "HOTEL", "INN", "OPTICS", "PIZZA")


@dataclass
class Server:
    """The app over a data set, which can be killed and started again at the same address."""

    home: Path
    data: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "app.py"]
        command += [f"--server.port={self.port}", "--server.headless=true"]
        variables = {"ODITS_HOME": str(self.home), "ODITS_DATA": str(self.data), "HF_HUB_OFFLINE": "1"}
        log = self.home / "server.log"
        with log.open("ab") as output:
            environment = os.environ | variables
            self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
        wait_until_served(self.address, self.process, log)

    def kill(self) -> None:
        """SIGKILL: nothing of the process gets to end in order."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None

    def view(self, model: str, annotator: str, **more: str) -> str:
        address = {"images": "eval", "vocabulary": "svt", "model": model, "annotator": annotator, "view": "annotate"}
        return f"{self.address}/browse?" + "&".join(f"{name}={value}" for name, value in (address | more).items())


class Dice:
    """A word model that throws dice: quick, and sure enough of some words to list several."""

    def __init__(self, checkpoint: str) -> None:
        self.name, self.checkpoint, self._random = "Dice", checkpoint, np.random.default_rng(7)

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary) -> np.ndarray:
        return self._random.dirichlet(np.full(len(vocabulary), 0.4), len(images)).astype(np.float32)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that this process shares with the server."""
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app over 40 small pictures that a model was evaluated on; not started yet."""
    place = tmp_path_factory.mktemp("annotating")
    home, data = place / "home", place / "streets"
    home.mkdir()
    data.mkdir()
    random = np.random.default_rng(3)
    with (data / "lexicons.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "words"])
        for number in range(40):
            pixels = random.integers(0, 255, (60, 80, 3), np.uint8)
            Image.fromarray(pixels).resize((640, 480)).save(data / f"{number:02}.jpg")
            rows.writerow([f"{number:02}.jpg", " ".join(WORDS[number % 6 :])])
    dataset = read_dataset(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ODITS_HOME", str(home))
        evaluate_and_store(Dice(parse("embedded").digest), "embedded", dataset, "eval", dataset.vocabulary())
    found = Server(home, data)
    yield found
    found.kill()


@pytest.fixture
def server(streets: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The app that all of these tests share, running; its home is this process's, and each test has an annotator."""
    monkeypatch.setenv("ODITS_HOME", str(streets.home))
    if streets.process is None:
        streets.start()
    return streets


@pytest.fixture
def anna(request: pytest.FixtureRequest) -> str:
    """The name of an annotator who has marked nothing yet."""
    return f"Anna-{sha256_of(request.node.name)[:8]}"


def begin(page: Page, address: str) -> None:
    """Opens the view and waits for the first picture."""
    visit(page, address)
    expect(page.locator(".annotate .word").first).to_be_visible()
    assert mistakes(page) == []


def heading(page: Page) -> Locator:
    return page.locator(".annotate .heading b")


def name_of(page: Page) -> str:
    return heading(page).inner_text()


def rows(page: Page) -> list[tuple[str, str]]:
    """The words in view with their verdicts."""
    found = page.locator(".annotate .word").evaluate_all(
        "rows => rows.map(row => [row.dataset.word, row.dataset.verdict])"
    )
    return [(word, verdict) for word, verdict in found]


def saved(page: Page) -> None:
    """Waits until the page shows that all marks are saved."""
    expect(page.locator(".annotate .status")).to_contain_text("all saved")


def go_on(page: Page, key: str = "Enter") -> None:
    """Presses a key that leads to another picture, and waits for it."""
    before = name_of(page)
    page.keyboard.press(key)
    expect(heading(page)).not_to_have_text(before)
    expect(page.locator(".annotate .word").first).to_be_visible()


def stored(annotator: str) -> dict[tuple[str, str], str]:
    """The marks on the disk: verdicts by picture and word."""
    return {(about.image, about.word): mark.verdict for about, mark in read_marks(annotator).items()}


# Three keys a picture.


@pytest.fixture(scope="session")
def spotted(svt: Path) -> Path:
    """A folder with some of SVT's first 50 evaluation pictures under "data", word spotting evaluated on them in "home".

    Reading them takes a minute; the folder stays for the next time.
    """
    whole = read_dataset(svt)
    model = load("spotting")
    place = Path(tempfile.gettempdir()) / f"odits-annotating-{sha256_of(f'{model.checkpoint} {svt} {PICTURES}')[:12]}"
    data = place / "data"
    data.mkdir(parents=True, exist_ok=True)
    training, *_ = whole.split("train")
    first = whole.split("eval")[:50]
    chosen = first[:: max(1, len(first) // PICTURES)][:PICTURES]  # from all over: the very first show many words
    with (data / "lexicons.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "words", "split"])
        # all words of SVT are chosen from, as with the whole data set
        table.writerow([Path(training.name).name, " ".join(whole.vocabulary().words), "train"])
        table.writerows([Path(record.name).name, " ".join(record.lexicon), "eval"] for record in chosen)
    for record in (training, *chosen):
        if not (data / Path(record.name).name).is_file():
            shutil.copy(record.path, data / Path(record.name).name)
    before = os.environ.get("ODITS_HOME")
    os.environ["ODITS_HOME"] = str(place / "home")
    try:
        dataset = read_dataset(data)
        evaluate_and_store(model, "spotting", dataset, "eval", dataset.vocabulary())
    finally:
        os.environ.pop("ODITS_HOME")
        os.environ |= {"ODITS_HOME": before} if before is not None else {}
    return place


@pytest.mark.slow
def test_a_perfect_annotator_needs_about_three_keys_a_picture(
    spotted: Path, home: Path, page: Page, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Truth is the picture's lexicon; every word that is listed gets its true verdict."""
    shutil.copytree(spotted / "home", home, dirs_exist_ok=True, ignore=shutil.ignore_patterns("annotations"))
    lexicons = {Path(one.name).name: set(one.lexicon) for one in read_dataset(spotted / "data").split("eval")}
    server = Server(home, spotted / "data")
    server.start()
    truth: dict[tuple[str, str], str] = {}
    keys, per_picture = 0, []
    try:
        begin(page, server.view("spotting", "Perfect"))
        for number in range(PICTURES):
            name, words = name_of(page), rows(page)
            before = keys
            for place, (word, verdict) in enumerate(words):
                truth[name, word] = "right" if word in lexicons[name] else "wrong"
                if verdict != truth[name, word]:
                    page.keyboard.press(str((place + 1) % 10))
                    keys += 1
            if number < PICTURES - 1:
                go_on(page)
            else:
                page.keyboard.press("Enter")
            keys += 1
            per_picture.append(keys - before)
        saved(page)
        expect(page.locator(".annotate .status")).to_contain_text(f"{PICTURES} of {PICTURES} pictures")
        expect(page.locator(".annotate .news")).to_contain_text("Every picture here is finished")
        took = page.evaluate("performance.getEntriesByName('odits-next-picture').map(entry => entry.duration)")
        record_testsuite_property("keys a picture", keys / PICTURES)
        record_testsuite_property("milliseconds to the next picture", [float(np.median(took)), max(took)])
        assert {name for name, _ in truth} == set(lexicons)
        assert keys / PICTURES <= KEYS_A_PICTURE
        assert stored("Perfect") == truth
    finally:
        server.kill()


# Nothing is lost, nothing is doubled.


def shown_as_saved(page: Page, given: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Of the marks that were given, those that the page does not count as unsaved."""
    entries = page.evaluate(
        "Object.keys(localStorage).filter(key => key.startsWith('odits-outbox/'))"
        ".map(key => JSON.parse(localStorage[key]))"
    )
    waiting = {(entry["image"], word) for entry in entries for word in entry["after"]}
    return {key: verdict for key, verdict in given.items() if key not in waiting}


def test_marks_shown_as_saved_outlive_a_killed_server(server: Server, page: Page, anna: str) -> None:
    begin(page, server.view("embedded", anna))
    given: dict[tuple[str, str], str] = {}
    for _ in range(25):
        name = name_of(page)
        given |= {(name, word): verdict for word, verdict in rows(page)}
        go_on(page)
    server.kill()
    safe = shown_as_saved(page, given)
    assert len(safe) > 10
    found = stored(anna)
    assert {key: found.get(key) for key in safe} == safe
    assert found.items() <= given.items()


def test_a_person_goes_on_while_the_server_is_away_and_nothing_is_doubled(
    server: Server, page: Page, anna: str
) -> None:
    begin(page, server.view("embedded", anna))
    saved(page)
    page.wait_for_timeout(500)  # the next pictures come
    server.kill()
    given: dict[tuple[str, str], str] = {}
    for _ in range(3):
        given |= {(name_of(page), word): verdict for word, verdict in rows(page)}
        go_on(page)
    expect(page.locator(".annotate .status")).to_contain_text(f"{len(given)} marks not saved yet")
    expect(page.locator(".annotate .status")).to_contain_text("the server does not answer")
    assert stored(anna) == {}
    server.start()
    saved(page)
    assert stored(anna) == given
    assert len(history(anna)) == len(given)


def test_the_outbox_of_a_browser_is_sent_after_a_reload(server: Server, page: Page, anna: str) -> None:
    begin(page, server.view("embedded", anna))
    server.kill()
    given = {(name_of(page), word): verdict for word, verdict in rows(page)}
    go_on(page)
    expect(page.locator(".annotate .status")).to_contain_text("not saved yet")
    server.start()
    begin(page, server.view("embedded", anna))
    saved(page)
    assert stored(anna) == given
    assert len(history(anna)) == len(given)


def test_two_tabs_of_one_annotator_on_one_picture(server: Server, page: Page, anna: str) -> None:
    context: BrowserContext = page.context
    other = context.new_page()
    other.set_default_timeout(WAIT)
    for tab in (page, other):
        begin(tab, server.view("embedded", anna))
    name, words = name_of(page), rows(page)
    assert (name_of(other), rows(other)) == (name, words)
    page.bring_to_front()
    page.keyboard.press("1")
    page.keyboard.press("Shift+Digit1")
    saved(page)
    other.bring_to_front()
    other.keyboard.press("Enter")  # its proposals: the first word is judged by the other tab meanwhile
    saved(other)
    saved(page)
    found = stored(anna)
    assert set(found) == {(name, word) for word, _ in words}
    kept = history(anna)
    assert len({(entry.batch, entry.about) for entry in kept}) == len(kept)
    assert [entry.mark.verdict for entry in kept if entry.about.word == words[0][0]][-1] == found[name, words[0][0]]


# What keys do.


def test_undo_and_redo_over_several_pictures(server: Server, page: Page, anna: str) -> None:
    begin(page, server.view("embedded", anna))
    first, words = name_of(page), rows(page)
    page.keyboard.press("1")
    toggled = rows(page)[0][1]
    assert toggled != words[0][1]
    go_on(page)
    go_on(page)
    saved(page)
    all_given = stored(anna)
    for _ in range(3):
        page.keyboard.press("Control+z")
    expect(heading(page)).to_have_text(first)
    assert rows(page) == words
    saved(page)
    assert stored(anna) == {}
    page.reload()
    expect(page.locator(".annotate .word").first).to_be_visible()
    for _ in range(3):
        page.keyboard.press("Control+Shift+Z")
    saved(page)
    assert stored(anna) == all_given
    assert len(history(anna)) == 3 * len(all_given)


def test_a_word_is_added_with_a_box_and_a_comment(server: Server, page: Page, anna: str) -> None:
    begin(page, server.view("embedded", anna))
    name = name_of(page)
    page.keyboard.press("a")
    page.keyboard.type("Theatre", delay=5)
    page.keyboard.press("Enter")
    expect(page.locator(".annotate .news")).to_contain_text("Draw a box around “Theatre”")
    frame = page.locator(".annotate .frame").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + frame["width"] * 0.25, frame["y"] + frame["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.5, frame["y"] + frame["height"] * 0.75, steps=4)
    page.mouse.up()
    page.keyboard.press("c")
    page.keyboard.type("half hidden", delay=5)
    page.keyboard.press("Enter")
    expect(page.locator(".annotate .word.chosen .note")).to_have_text("half hidden")
    saved(page)
    (mark,) = [mark for about, mark in read_marks(anna).items() if about.word == "Theatre"]
    assert (mark.verdict, mark.added, mark.note) == ("right", True, "half hidden")
    assert mark.box == pytest.approx((160, 120, 160, 240), abs=3)
    page.reload()
    expect(page.locator(".annotate .word", has_text="Theatre")).to_be_visible()
    assert name_of(page) == name


def test_skip_unfinished_and_a_key_of_ones_own(server: Server, page: Page, anna: str) -> None:
    begin(page, server.view("embedded", anna))
    first = name_of(page)
    go_on(page, "ArrowRight")
    second = name_of(page)
    go_on(page, "s")
    page.keyboard.press("u")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Accept the verdicts and go on")
    page.get_by_label("Change the key for: Accept the verdicts and go on").click()
    page.keyboard.press("g")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    third = name_of(page)
    go_on(page, "g")
    saved(page)
    assert set(stored(anna).values()) <= {"skipped", "right", "wrong"}
    assert {name for name, _ in stored(anna)} == {second, third}
    assert third not in (first, second)


@pytest.mark.parametrize("mode", ["shuffled", "typed"])
def test_blind_annotators_see_no_prediction(server: Server, page: Page, anna: str, mode: str) -> None:
    visit(page, server.view("embedded", anna, mode=mode))
    expect(page.locator(".annotate .heading")).to_contain_text("1 of 40")
    side = page.locator(".annotate .side").inner_text()
    assert "%" not in side
    assert all(verdict == "" for _, verdict in rows(page))
    if mode == "typed":
        assert rows(page) == []
        page.keyboard.press("a")
        page.keyboard.type("theatre")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
    else:
        page.keyboard.press("1")
    page.keyboard.press("Enter")
    saved(page)
    marks = read_marks(anna)
    assert sorted({mark.verdict for mark in marks.values()}) == ["right", "wrong"]
    assert {(mark.shown.model, mark.shown.probability) for mark in marks.values()} == {("", None)}


def test_it_fits_a_narrow_window_and_works_by_mouse(server: Server, page: Page, anna: str) -> None:
    page.set_viewport_size({"width": 800, "height": 1000})
    begin(page, server.view("embedded", anna))
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth - element.clientWidth") <= 1
    word, verdict = rows(page)[0]
    other = "wrong" if verdict == "right" else "right"
    page.get_by_label(re.compile(f"^{word}: {other}$")).click()
    page.get_by_role("toolbar", name="Annotating").get_by_role("button", name="Accept").click()
    saved(page)
    assert stored(anna)["00.jpg", word] == other
