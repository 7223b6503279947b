from __future__ import annotations

import json
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.data import Dataset, ImageRecord, read_dataset
from odits.data.facts import dataset_facts, lexicon_lengths, split_facts


def record(name: str, split: str, words: str) -> ImageRecord:
    return ImageRecord(name, Path(name), split, tuple(words.split()))


def small() -> Dataset:
    return Dataset("small", Path(), (record("a", "train", "BAR BAR INN"), record("b", "eval", "BAR CAFE")))


def test_facts_of_the_real_data_set(svt: Path) -> None:
    facts = dataset_facts(read_dataset(svt))
    frequency = facts.pop("frequency")
    assert facts == {
        "train_unique": 2545,
        "eval_unique": 4282,
        "common_unique": 1464,
        "all_unique": 5363,
        "at_most_20": 5265,
        "most_common": [
            ["RESTAURANT", 206],
            ["THE", 176],
            ["INC", 166],
            ["HOTEL", 141],
            ["CAFE", 139],
            ["CENTER", 136],
            ["BAR", 127],
            ["AND", 118],
        ],
    }
    assert list(frequency) == ["count", "mean", "std", "min", "25%", "50%", "75%", "max"]
    assert [round(value, 3) for value in frequency.values()] == [5363, 3.166, 8.099, 1, 1, 1, 3, 206]


def test_splits_of_the_real_data_set(svt: Path) -> None:
    rows = [tuple(row.values()) for row in split_facts(read_dataset(svt))]
    assert rows == [
        ("train", 100, 2545, 35, 59, 257),
        ("eval", 249, 4282, 37, 64, 647),
        ("all", 349, 5363, 35, 64, 904),
    ]


def test_repeats_count_for_frequencies_and_not_for_lengths() -> None:
    facts = dataset_facts(small())
    assert facts["most_common"] == [["BAR", 3], ["INN", 1], ["CAFE", 1]]
    assert (facts["train_unique"], facts["eval_unique"], facts["common_unique"], facts["all_unique"]) == (2, 2, 1, 3)
    assert lexicon_lengths(small().records) == [2, 2]
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_one_split_and_one_word() -> None:
    dataset = Dataset("one", Path(), (record("a", "eval", "BAR"),))
    facts = dataset_facts(dataset)
    assert facts["train_unique"] == 0 and facts["frequency"]["std"] is None
    assert [row["split"] for row in split_facts(dataset)] == ["eval"]


def test_no_word_at_all_is_one_sentence() -> None:
    with pytest.raises(OditsError, match="No lexicon of none has a word"):
        dataset_facts(Dataset("none", Path(), (record("a", "eval", ""),)))
