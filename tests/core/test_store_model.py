"""A store of results against a plain dictionary: whatever is done in whatever order, nothing else is ever read."""

from __future__ import annotations

import os
import tempfile
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from odits.core.inventory import prune, take_inventory
from odits.core.store import JSON, Store, make_key

NUMBERS = st.integers(0, 5)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text("ab", max_size=3), inner, max_size=3)),
    max_leaves=8,
)


class Storing(RuleBasedStateMachine):
    """What processes do with a store; `model` is a dictionary of what has to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[int, object] = {}
        self.folder = tempfile.TemporaryDirectory()
        self.before = os.environ["ODITS_HOME"]
        os.environ["ODITS_HOME"] = self.folder.name
        self.store = Store("modelled", JSON)

    def teardown(self) -> None:
        os.environ["ODITS_HOME"] = self.before
        self.folder.cleanup()

    @rule(number=NUMBERS, value=VALUES)
    def put(self, number: int, value: object) -> None:
        self.store.put(make_key(number=number), value)
        self.model[number] = value

    @rule(number=NUMBERS, value=VALUES)
    def compute(self, number: int, value: object) -> None:
        found = self.store.get_or_compute(make_key(number=number), lambda: value)
        assert found == self.model.setdefault(number, value)

    @rule(number=NUMBERS, value=VALUES)
    def ensure(self, number: int, value: object) -> None:
        assert self.store.ensure(make_key(number=number), lambda: value) == (number not in self.model)
        self.model.setdefault(number, value)

    @rule(number=NUMBERS, value=VALUES)
    def fail_to_compute(self, number: int, value: object) -> None:
        def fail() -> object:
            raise ValueError("no result")

        if number in self.model:
            assert self.store.get_or_compute(make_key(number=number), fail) == self.model[number]
        else:
            with pytest.raises(ValueError, match="no result"):
                self.store.get_or_compute(make_key(number=number), fail)

    @rule(number=NUMBERS)
    def remove(self, number: int) -> None:
        self.store.remove(make_key(number=number))
        self.model.pop(number, None)

    @rule(number=NUMBERS, data=st.binary(max_size=40))
    def damage(self, number: int, data: bytes) -> None:
        path = self.store.path(make_key(number=number))
        if path.exists():
            path.write_bytes(b"\xff" + data)  # no text in UTF-8
            self.model.pop(number, None)

    @rule()
    def start_another_process(self) -> None:
        self.store = Store("modelled", JSON, version=self.store.version)

    @rule(data=st.binary(max_size=40))
    def leave_something_temporary(self, data: bytes) -> None:
        folder = self.store.root / ".tmp"
        folder.mkdir(parents=True, exist_ok=True)
        left = folder / ".result.0123456789ab.tmp"
        left.write_bytes(data)
        os.utime(left, (0, time.time() - 7200))

    @rule()
    def prune_what_is_stale(self) -> None:
        prune(take_inventory(), stale=True)
        assert not list(self.store.root.glob(".tmp/.*"))

    @rule()
    def raise_the_version_and_prune(self) -> None:
        newer = Store("modelled", JSON, version=self.store.version + 1)
        newer.put(make_key(number=0), "newer")
        prune(take_inventory(), stale=True)
        self.store, self.model = newer, {0: "newer"}

    @invariant()
    def the_store_holds_what_the_dictionary_does(self) -> None:
        for number in range(6):
            assert self.store.get(make_key(number=number)) == self.model.get(number)
        readable = [key for key in self.store.all_keys() if self.store.get(key) is not None]
        assert sorted(readable) == sorted(make_key(number=number) for number in self.model)


Storing.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestStoring = pytest.mark.slow(Storing.TestCase)
