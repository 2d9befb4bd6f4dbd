"""Averages of group-time effects against R's did 2.5.1, bands against the analytic error, and refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import estimate
from did.estimators.aggregation import aggregate
from did.estimators.base import Panel
from did.inference.clustered import cluster_sums, labels_of, summarise
from did.inference.multiplier import add_bands, banded, multiplier_draws, uniform_critical_value
from did.simulate.panels import panel as made_panel
from test_callaway_santanna import (
    ERROR,
    POINT,
    errors,
    golden_cases,
    golden_result,
    panel_of,
    random_frame,
)

KIND = {"simple": "simple", "dynamic": "event_time", "group": "cohort", "calendar": "calendar"}
LIMITS = {"balance_e0": {"balance_event_time": 0}, "balance_e1": {"balance_event_time": 1},
          "min_e_m2_max_e_1": {"min_event_time": -2, "max_event_time": 1}, "max_e1": {"max_event_time": 1}, "": {}}


@pytest.mark.parametrize(("data", "number"), golden_cases())
def test_every_average_and_its_error_equals_r(data, number):
    panel, result, theirs = golden_result(data, number)
    for name, expected in theirs["aggte"].items():
        if name == "simple_min_e1":   # ignored by R's did 2.5.1, which is why the next tests are there
            continue
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


@pytest.mark.parametrize(("data", "number"), golden_cases())
def test_at_a_single_event_time_every_overall_average_is_that_of_r_by_event_time(data, number):
    panel, result, theirs = golden_result(data, number)
    table = theirs["aggte"]["dynamic"]["table"]
    for event_time, value, error in zip(table["egt"], table["att"], table["se"], strict=True):
        if event_time < 0:
            continue
        for kind in ("simple", "cohort"):
            ours = aggregate(result, panel, kind, min_event_time=event_time, max_event_time=event_time)
            assert ours.estimate[-1] == pytest.approx(value, rel=POINT, abs=1e-11), kind
            if error is not None:
                assert errors(ours)[-1] == pytest.approx(error, rel=ERROR), kind


@pytest.mark.parametrize("window", [{"min_event_time": 2}, {"min_event_time": 1, "max_event_time": 3}])
def test_every_kind_averages_r_cells_of_the_window_and_no_other(window):
    panel, result, theirs = golden_result("sim_40x12", 0)
    size = {int(panel.periods[at]) - 2000: (panel.treated_from == at).sum() for at in np.unique(panel.treated_from)
            if at < panel.n_periods}
    cells = pd.DataFrame({name: theirs["att_gt"][name] for name in ("group", "t", "att")})
    cells = cells[(cells["t"] - cells["group"]).between(window["min_event_time"], window.get("max_event_time", 99))]
    cells["size"] = cells["group"].map(size)
    cells["sized"] = cells["att"] * cells["size"]
    by_cohort = cells.groupby("group")["att"].mean()
    by_period = cells.groupby("t")[["sized", "size"]].sum()
    by_period = by_period["sized"] / by_period["size"]
    sizes = by_cohort.index.map(size).to_numpy()
    for kind, expected in {
        "simple": [cells["sized"].sum() / cells["size"].sum()],
        "cohort": [*by_cohort, by_cohort @ sizes / sizes.sum()],
        "calendar": [*by_period, by_period.mean()],
    }.items():
        np.testing.assert_allclose(aggregate(result, panel, kind, **window).estimate, expected, rtol=POINT)


def test_a_cohort_that_the_window_leaves_out_is_named():
    panel = panel_of(random_frame(2))
    result = estimate("callaway_santanna", panel)
    longest = result.parameters.groupby("cohort")["event_time"].max()
    limit = int(longest.max())
    lost = ", ".join(longest.index[longest < limit])
    for kind in ("simple", "event_time", "cohort", "calendar"):
        note = aggregate(result, panel, kind, min_event_time=limit).note
        assert "no effect within the event times asked for, left out: cohort" in note and note.endswith(f" {lost}")
        assert "asked for" not in aggregate(result, panel, kind).note


def event_study():
    panel = panel_of(random_frame(2))
    return panel, aggregate(estimate("callaway_santanna", panel, base_period="universal"), panel, "event_time")


@pytest.mark.parametrize("multiplier", ["rademacher", "mammen"])
def test_the_spread_of_the_draws_is_the_analytic_error_within_simulation_error(multiplier):
    panel, result = event_study()
    draws = multiplier_draws(result.influence, labels_of(result, panel, "unit"), draws=20_000,
                             multiplier=multiplier)
    varies = np.isfinite(errors(result))
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


@pytest.mark.parametrize("name", ["callaway_santanna", "event_study", "sun_abraham", "imputation"])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_band_holds_95_per_cent_of_the_draws_it_is_made_of(name, seed):
    """Draws are put on the scale of the error, whose small-sample factor is the same for all effects."""
    panel = panel_of(random_frame(2))
    result = estimate(name, panel)
    if name == "callaway_santanna":
        result = aggregate(result, panel, "event_time")
    every = add_bands(summarise(result, panel), result, panel, seed=seed)
    for level, estimand in itertools.product(panel.clusters, result.parameters["estimand"].unique()):
        rows = every[every["cluster"] == level].reset_index(drop=True)
        banded = (rows["band_low"].notna() & (rows["estimand"] == estimand)).to_numpy()
        if not banded.any():
            continue
        rows = rows[banded]
        influence = result.influence.to_numpy()[:, banded]
        labels = labels_of(result, panel, level)
        spread = np.sqrt((cluster_sums(influence, labels) ** 2).sum(axis=0))
        draws = multiplier_draws(influence, labels, seed=seed) * (rows["std_error"].to_numpy() / spread)
        half = (rows["band_high"] - rows["band_low"]).to_numpy() / 2
        inside = (np.abs(draws) <= half * (1 + 1e-9)).all(axis=1).mean()
        assert inside >= 0.95
        if level == "unit":   # with few clusters draws repeat, and the pointwise interval may be the wider
            assert inside == pytest.approx(0.95, abs=0.002)


def test_the_band_of_independent_parameters_is_that_of_their_largest():
    """Of 5 independent normals the 95% quantile of the largest |z| is 2.569 (0.95^(1/5) two-sided)."""
    size = np.random.default_rng(0).uniform(0.5, 1.5, size=(200, 1))
    influence = np.kron(np.eye(5), size)
    draws = multiplier_draws(influence, np.arange(1000), draws=20_000)
    error = np.full(5, np.sqrt((size**2).sum()))
    assert uniform_critical_value(draws, error) == pytest.approx(2.569, abs=0.08)


@pytest.mark.parametrize(("kind", "limits", "words"), [
    ("event", {}, "did you mean 'event_time'"),
    ("cohort", {"balance_event_time": 1}, "balance_event_time"),
    ("event_time", {"max_event_time": -1}, "at or after treatment"),
    ("cohort", {"min_event_time": 40}, "found none"),
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


@pytest.mark.parametrize("fewest, level", [(20, 0.95), (10, 0.9)])
def test_a_band_needs_draws_enough_to_have_its_quantile(fewest, level):
    data = Panel.from_frame(made_panel(40, 8, {5: 12}, 1.0, seed=2, units_per_system=4)[0])
    result = estimate("event_study", data)
    assert np.isfinite(banded(result, data, level=level, draws=fewest)[0]["band_low"]).any()
    with pytest.raises(DidError, match=f"bands: draws: expected {fewest} or more"):
        banded(result, data, level=level, draws=fewest - 1)
