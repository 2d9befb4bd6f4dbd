"""Averages of group-time effects against R's did 2.5.1, bands against the analytic error, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from did.errors import DidError
from did.estimators import estimate
from did.estimators.aggregation import aggregate
from did.inference.clustered import labels_of, summarise
from did.inference.multiplier import add_bands, bootstrap_error, multiplier_draws, uniform_critical_value
from test_callaway_santanna import (
    ERROR,
    POINT,
    errors,
    golden_cases,
    golden_result,
    needs_golden,
    panel_of,
    random_frame,
)

KIND = {"simple": "simple", "dynamic": "event_time", "group": "cohort", "calendar": "calendar"}
LIMITS = {"balance_e0": {"balance_event_time": 0}, "balance_e1": {"balance_event_time": 1},
          "min_e_m2_max_e_1": {"min_event_time": -2, "max_event_time": 1}, "min_e1": {"min_event_time": 1},
          "max_e1": {"max_event_time": 1}, "": {}}


@needs_golden
@pytest.mark.parametrize(("data", "number"), golden_cases())
def test_every_average_and_its_error_equals_r(data, number):
    panel, result, theirs = golden_result(data, number)
    for name, expected in theirs["aggte"].items():
        word, _, limit = name.partition("_")
        ours = aggregate(result, panel, KIND[word], **LIMITS[limit])
        assert ours.estimate[-1] == pytest.approx(expected["overall_att"], rel=POINT, abs=1e-11), name
        assert errors(ours)[-1] == pytest.approx(expected["overall_se"], rel=ERROR), name
        if "table" in expected:
            table = expected["table"]
            np.testing.assert_allclose(ours.estimate[:-1], np.array(table["att"], float), rtol=POINT, atol=1e-11)
            np.testing.assert_allclose(errors(ours)[:-1], np.array(table["se"], float), rtol=ERROR)
            labels = ours.parameters[{"dynamic": "event_time", "group": "cohort", "calendar": "period"}[word]]
            offset = 0 if word == "dynamic" else 2000
            assert [int(label) - offset for label in labels[:-1]] == table["egt"]


def event_study():
    panel = panel_of(random_frame(2))
    return panel, aggregate(estimate("callaway_santanna", panel, base_period="universal"), panel, "event_time")


@pytest.mark.parametrize("multiplier", ["rademacher", "mammen"])
def test_bootstrap_errors_are_the_analytic_ones_within_simulation_error(multiplier):
    panel, result = event_study()
    draws = multiplier_draws(result.influence, labels_of(result, panel, "unit"), draws=20_000,
                             multiplier=multiplier)
    varies = np.isfinite(errors(result))
    np.testing.assert_allclose(bootstrap_error(draws)[varies], errors(result)[varies], rtol=0.1)
    np.testing.assert_allclose(draws.std(axis=0)[varies], errors(result)[varies], rtol=0.03)


def test_bands_hold_intervals_are_repeatable_and_skip_the_reference():
    panel, result = event_study()
    rows = summarise(result, panel)
    banded, again = (add_bands(rows, result, panel, seed=5) for _ in range(2))
    np.testing.assert_array_equal(banded["band_low"], again["band_low"])
    assert rows["band_low"].isna().all()
    many = (rows["estimand"] == "event_time") & rows["std_error"].notna()
    # With six clusters the draws are few and lumpy: there the pointwise interval may be the wider.
    by_unit = many & (rows["cluster"] == "unit")
    assert (banded.loc[by_unit, "band_low"] < rows.loc[by_unit, "ci_low"]).all()
    assert (banded.loc[by_unit, "band_high"] > rows.loc[by_unit, "ci_high"]).all()
    assert (banded.loc[many, "band_low"] <= rows.loc[many, "ci_low"]).all()
    assert banded.loc[~many, "band_low"].isna().all() and rows["note"].str.startswith("reference").any()


def test_the_band_of_independent_parameters_is_that_of_their_largest():
    """Of 5 independent normals the 95% quantile of the largest |z| is 2.569 (0.95^(1/5) two-sided)."""
    size = np.random.default_rng(0).uniform(0.5, 1.5, size=(200, 1))
    influence = np.kron(np.eye(5), size)
    draws = multiplier_draws(influence, np.arange(1000), draws=20_000)
    assert uniform_critical_value(draws) == pytest.approx(2.569, abs=0.08)


@pytest.mark.parametrize(("kind", "limits", "words"), [
    ("event", {}, "did you mean 'event_time'"),
    ("cohort", {"balance_event_time": 1}, "balance_event_time"),
    ("event_time", {"max_event_time": -1}, "at or after treatment"),
    ("event_time", {"balance_event_time": 40}, "found none"),
])
def test_an_average_that_cannot_be_made_is_refused(kind, limits, words):
    panel = panel_of(random_frame(3))
    with pytest.raises(DidError, match=words):
        aggregate(estimate("callaway_santanna", panel), panel, kind, **limits)


def test_only_group_time_effects_are_aggregated():
    panel = panel_of(random_frame(3))
    with pytest.raises(DidError, match="att_gt"):
        aggregate(estimate("did", panel), panel)
