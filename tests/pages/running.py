"""What the tests of pages share: a page run without a browser, and no mistake on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from matplotlib.figure import Figure
from streamlit.testing.v1 import AppTest

REPOSITORY = Path(__file__).parents[2]


def open_page(name: str, **address: str) -> AppTest:
    """The page of that name, run once with the address of a link."""
    app = AppTest.from_file(str(REPOSITORY / "pages" / f"{name}.py"), default_timeout=180)
    for key, value in address.items():
        app.query_params[key] = value
    return run(app)


def opened_by_hand(app: AppTest) -> AppTest:
    """The page after a click on "Open", where its address asks for what is not offered; else as it is."""
    asked = [button for button in app.button if button.key == "link-open"]
    return asked[0].click().run() if asked else app


def run(app: AppTest) -> AppTest:
    """The page run once more, without an exception or an error box."""
    app.run()
    assert not app.exception
    assert not app.error, [item.value for item in app.error]
    return app


class Saved(NamedTuple):
    """What a figure's menu would save."""

    draw: Callable[[Any], Figure]
    table: pd.DataFrame
    texts: list[str]


def watch_menus(patch: pytest.MonkeyPatch, *modules: str) -> dict[str, Saved]:
    """What the menus of these modules would save, by their keys, as of the page's last run."""
    found: dict[str, Saved] = {}

    def menu(key: str, name: str, figure: Any, draw: Any, table: Any, texts: Any = ()) -> None:
        found[key] = Saved(draw, table() if callable(table) else table, list(texts))

    for module in modules:
        patch.setattr(f"{module}.figure_menu", menu)
    return found
