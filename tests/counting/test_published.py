"""The thesis's test of object counts beside one's own."""

from __future__ import annotations

import numpy as np
from scipy import stats

from odits.counting.published import CRITICAL, DISTRIBUTION, OLDER, compare_with_thesis
from odits.counting.statistics import anderson_darling
from odits.models.segmentation.parameters import PRESETS, SamParameters, changed_against

COUNTS = np.random.default_rng(0).poisson(60, 249).tolist()


def test_values_stand_beside_the_thesis() -> None:
    rows, sentences = compare_with_thesis(anderson_darling(COUNTS, DISTRIBUTION), 249, "regions", as_published=False)
    found = {row.what: (row.thesis, row.ours) for row in rows}
    theirs = stats.anderson(COUNTS, "expon", method="interpolate")
    assert found["A² against exponential"] == ("20.4421", f"{theirs.statistic:.4f}")
    assert found["A² for each 100 images"][1] == f"{theirs.statistic * 100 / 249:.4f}"
    assert found["Images"] == ("100", "249")
    assert found["Exponential (H₀)"] == ("rejected", "rejected")
    assert any("249 images" in one for one in sentences) and any("those of regions" in one for one in sentences)
    assert sentences[-1].startswith("Whichever table")


def test_where_the_older_critical_value_comes_from() -> None:
    assert round(OLDER / (1 + 0.6 / 100), 3) == CRITICAL
    rows, sentences = compare_with_thesis(anderson_darling(COUNTS[:100], DISTRIBUTION), 100, "SAM", as_published=True)
    assert {row.what: row.ours for row in rows}["Critical value (5 %)"] == "1.313"
    assert "1.313" in sentences[0] and not any("in proportion" in one for one in sentences)


def test_presets_are_told_by_what_differs() -> None:
    for name, preset in PRESETS.items():
        made = SamParameters(**preset.values)
        assert changed_against(made, name) == []
        assert {one for one, _, _ in changed_against(made, "thesis")} == set(preset.values)


def test_sams_default_is_the_librarys() -> None:
    import inspect

    from segment_anything import SamAutomaticMaskGenerator

    theirs = {
        name: parameter.default
        for name, parameter in inspect.signature(SamAutomaticMaskGenerator).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    ours = SamParameters(**PRESETS["default"].values).generator_arguments()
    assert {name: ours[name] for name in theirs} == theirs
