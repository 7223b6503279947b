"""`odits dataset`: Table 2.1 and the overlap counts."""

from __future__ import annotations

from odits.cli.common import Data, Json, load_data, print_json, print_table


def dataset(data: Data = None, as_json: Json = False) -> None:
    """Show how many words a data set's lexicons have, and how often they occur (thesis, Table 2.1)."""
    from odits.data.facts import dataset_facts

    facts = dataset_facts(load_data(data))
    if as_json:
        print_json(facts)
        return
    simple = [(key.replace("_", " "), value) for key, value in facts.items() if isinstance(value, int)]
    print_table(("fact", "value"), simple, "Words in the lexicons")
    print_table(("statistic", "value"), facts["frequency"].items(), "Word frequencies")
    print_table(("word", "occurrences"), dict(facts["most_common"]).items(), "Most frequent words")
