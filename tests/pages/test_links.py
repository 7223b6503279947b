"""An address only shows: it contacts no host, opens no path, and what it asks beyond that needs a click."""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages._shared.parameters import PARAMETERS, find, reach_of
from tests.loopback import serving
from tests.pages.running import REPOSITORY, open_page, opened_by_hand


class Recorder(BaseHTTPRequestHandler):
    """A host that notes who asks, and answers nothing that MLflow understands."""

    asked: ClassVar[list[str]] = []

    def _answer(self) -> None:
        self.asked.append(self.headers.get("Authorization", ""))
        self.send_error(404)

    do_GET = do_POST = do_HEAD = do_PUT = _answer  # noqa: N815  (the names that http.server calls)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Recorder, "asked", [])
    for name in ("MLFLOW_TRACKING_URI", "ODITS_MLFLOW_LOGIN_FOR", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "owner")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of-this-server")
    with serving(Recorder) as address:
        yield address


def asks(app: object) -> str:
    text = "\n".join(item.value for item in app.markdown if "This link wants to" in item.value)  # type: ignore[attr-defined]
    return text.replace("\u2060", "")  # what keeps Streamlit from drawing a shortcode


def test_a_link_to_another_server_contacts_nobody_until_it_is_opened_and_sends_no_login(host: str) -> None:
    app = open_page("checkpoints", tab="runs", source="mlflow-at", **{"place-mlflow-at": host})
    assert Recorder.asked == []
    assert "127.0.0.1" in asks(app) and "no login is sent" in asks(app)
    opened_by_hand(app)
    assert Recorder.asked and set(Recorder.asked) == {""}


def test_leaving_what_a_link_asks_for_forgets_it(host: str) -> None:
    app = open_page("checkpoints", tab="runs", source="mlflow-at", **{"place-mlflow-at": host})
    next(button for button in app.button if button.key == "link-leave").click().run()
    assert asks(app) == "" and Recorder.asked == [] and "place-mlflow-at" not in app.query_params


def test_what_was_opened_by_hand_opens_again_in_the_same_session(host: str) -> None:
    app = open_page("checkpoints", tab="runs", source="mlflow-at", **{"place-mlflow-at": host})
    opened_by_hand(app)
    app.query_params["tab"] = "here"
    app.run()
    app.query_params["tab"], app.query_params["place-mlflow-at"] = "runs", host
    app.run()
    assert asks(app) == ""


def test_a_database_that_a_link_names_is_not_touched(tmp_path: Path) -> None:
    foreign = tmp_path / "theirs.db"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE things (name TEXT)")
    before = foreign.read_bytes()
    absent = tmp_path / "absent.db"
    for place in (foreign, absent):
        app = open_page("checkpoints", tab="runs", source="mlflow-at", **{"place-mlflow-at": f"sqlite:///{place}"})
        assert str(place.name) in asks(app)
    assert foreign.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.db"]


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ("search", {"searched": "folder", "folder": "/etc"}),
        ("objects", {"images": "demo", "segmenter": "sam:file", "weights": "/etc/passwd"}),
        ("words", {"images": "demo", "model": "/etc/passwd"}),
        ("words", {"images": "demo", "model": "hf-hub:somebody/else"}),
        ("words", {"images": "demo", "checkpoint": "/etc/passwd"}),
        ("checkpoints", {"tab": "runs", "source": "neptune-export", "place-neptune-export": "/etc"}),
    ],
)
def test_paths_and_models_that_are_not_offered_wait(page: str, address: dict[str, str]) -> None:
    app = open_page(page, **address)
    assert list(address.values())[-1].replace("_", "\\_").replace(":", "\\:") in asks(app)
    assert any(button.key == "link-open" for button in app.button)


def test_what_is_offered_needs_no_click() -> None:
    app = open_page("words", images="demo", image="cafe.jpg", model="spotting")
    assert asks(app) == "" and not [button for button in app.button if button.key == "link-open"]


@pytest.mark.parametrize(
    "address",
    [
        {"row": "many"},
        {"images": "nowhere"},
        {"compare": "perhaps"},
        {"no-such-thing": "1"},
        {"sam-mode": "approximate"},  # of a former version
        {"image": "two\nlines"},
        {"vocabulary": "x" * 5000},
    ],
)
def test_nonsense_falls_back_to_the_default_and_is_told(address: dict[str, str]) -> None:
    app = open_page("words", **address)
    (name,) = address
    assert any(name in item.value and "not offered here" in item.value for item in app.info)
    app.run()
    assert not any("not offered here" in item.value for item in app.info)


def test_an_address_that_is_none_waits_too() -> None:
    assert reach_of("place-mlflow-at", "http://[") == "open the MLflow store http://["


@given(st.sampled_from(sorted(PARAMETERS)), st.text(max_size=2000))
def test_any_text_is_read_or_refused(name: str, value: str) -> None:
    parameter = find(name)
    assert parameter is not None
    if parameter.reads(value):
        assert isinstance(reach_of(name, value), str)


def _names_read() -> set[str]:
    """Every name that a page reads or publishes, as far as it stands there as text."""
    found: set[str] = set()
    for path in (REPOSITORY / "pages").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if getattr(node.func.value, "id", "") == "state" and node.func.attr == "publish":
                found |= {
                    one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    return found


def test_every_name_that_a_page_publishes_is_declared() -> None:
    names = _names_read()
    assert len(names) > 15
    assert {name for name in names if find(name) is None} == set()


def test_one_place_reads_addresses() -> None:
    files = [path for path in (REPOSITORY / "pages").rglob("*.py") if "query_params" in path.read_text("utf-8")]
    assert [path.name for path in files] == ["state.py"]
