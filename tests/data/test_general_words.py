"""The general list: what a sign may say where nobody has named a vocabulary."""

from odits.data.general_words import FREQUENT, general_vocabulary, own_words
from odits.data.vocabulary import bare_word


def test_it_has_frequent_words_kinds_of_shops_and_names() -> None:
    vocabulary = general_vocabulary()
    assert FREQUENT < len(vocabulary) < FREQUENT + 2000
    for word in (
        "restaurant",
        "pharmacy",
        "bakery",
        "salon",
        "Starbucks",
        "McDonald's",
        "Apotheke",
        "Café",
        "ATM",
        "I",
    ):
        assert vocabulary.find(word) is not None, word


def test_it_has_each_word_once_and_nothing_that_is_none() -> None:
    words = general_vocabulary().words
    assert len({bare_word(word) for word in words}) == len(words)
    assert all(bare_word(word) for word in words)
    assert {word for word in words if len(word) == 1} == {"A", "I"}
    assert not [word for word in words if word != word.upper()]
    assert not {"A000", "00"} & set(words)


def test_nobody_is_insulted_by_a_wrong_guess() -> None:
    words = " ".join(general_vocabulary().words).lower()
    assert not [word for word in ("fuck", "bitch", "whore") if word in words]
    assert general_vocabulary().find("cocktail") is not None


def test_our_own_words_are_many() -> None:
    assert len({bare_word(word) for word in own_words()}) > 1000
