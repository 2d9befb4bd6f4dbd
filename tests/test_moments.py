"""Effects and errors from moments of cohorts equal those from each unit's own changes."""

import dataclasses
import importlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import DidError
from did.estimators import UnitShares, estimate
from did.estimators.aggregation import KINDS, aggregate
from did.estimators.base import Panel
from did.estimators.callaway_santanna import Asked, sample_of
from did.estimators.cohort_shares import CohortShares
from did.estimators.group_time import cohorts_of, effects
from did.estimators.moments import Rows
from did.estimators.within import two_way_fit
from did.inference.clustered import summarise

NUMBERS = ["estimate", "std_error", "ci_low", "ci_high", "p_value"]


def drawn(generator, *, n_units, n_periods, level=0.0, weighted=False, missing=0, never=True):
    """A panel of random walks: cohorts of any size from one unit on, clusters of a few units that cut across them."""
    onset = generator.integers(1, n_periods + 1, n_units)
    onset[:3] = generator.integers(1, n_periods), n_periods if never else n_periods - 1, 0
    outcome = level * (1 + generator.random((n_units, 1))) + generator.normal(size=(n_units, n_periods)).cumsum(axis=1)
    outcome += np.where(np.arange(n_periods) >= onset[:, None], generator.normal(size=(n_units, 1)), 0.0)
    outcome[generator.integers(0, n_units, missing), generator.integers(0, n_periods, missing)] = np.nan
    units = pd.Index([f"u{number:03}" for number in range(n_units)], dtype="str")
    weight = np.repeat(generator.uniform(0.2, 3.0, (n_units, 1)), n_periods, axis=1) if weighted else None
    clusters = {"unit": units.to_numpy(), "system": np.array([f"s{at}" for at in generator.integers(0, 4, n_units)])}
    return Panel(outcome, units, pd.Index([str(year) for year in range(2001, 2001 + n_periods)]), "Y", onset,
                 (onset < n_periods).astype(float), "binary", clusters, weight)


def by_units(result, panel, options):
    """The same result with the shares that each unit's own changes give."""
    never_only = options.get("control_group") == "never_treated"
    anticipation, window = options.get("anticipation", 0), options.get("base_window")
    asked = Asked("callaway_santanna", options.get("control_group", "not_yet_treated"), anticipation, (), True)
    kept, sample, firsts, _ = sample_of(panel, asked)
    cohorts = cohorts_of(sample, firsts, universal=options.get("base_period") == "universal",
                         anticipation=anticipation, window=None if window == "all" else window or 1)
    value, influence, treated, reasons = effects(sample, cohorts, never_treated_only=never_only,
                                                 method="unconditional")
    unidentified = result.parameters["state"] == "not_identified"
    assert result.parameters["note"][unidentified].tolist() == [word for word in reasons if word]
    return dataclasses.replace(result, estimate=value, shares=UnitShares(panel.units[kept], influence, treated))


def check_equal(ours, theirs, panel):
    rows, expected = summarise(ours, panel), summarise(theirs, panel)
    scale = np.nanmax(np.abs(expected[["estimate", "std_error"]].to_numpy()), initial=1e-300)
    for name in NUMBERS:
        np.testing.assert_allclose(rows[name], expected[name], rtol=1e-10, atol=1e-10 * scale, err_msg=name)
    np.testing.assert_allclose(rows["std_error"], expected["std_error"], rtol=1e-10)
    pd.testing.assert_frame_equal(rows.drop(columns=NUMBERS), expected.drop(columns=NUMBERS))
    np.testing.assert_allclose(ours.influence, theirs.influence, rtol=1e-10, atol=1e-12 * scale)
    pd.testing.assert_frame_equal(ours.treated, theirs.treated)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 40), st.integers(4, 9), st.sampled_from([0.0, 1e6]), st.booleans(),
       st.sampled_from([0, 2]), st.booleans(), st.fixed_dictionaries({}, optional={
           "control_group": st.just("never_treated"), "base_period": st.just("universal"),
           "anticipation": st.integers(1, 2), "base_window": st.sampled_from([2, "all"])}))
def test_moments_give_what_each_unit_gives(seed, n_units, n_periods, level, weighted, missing, never, options):
    panel = drawn(np.random.default_rng(seed), n_units=n_units, n_periods=n_periods, level=level, weighted=weighted,
                  missing=missing, never=never)
    try:
        found = estimate("callaway_santanna", panel, **options)
    except DidError:   # no control, or no period before: the same by either way, and nothing to compare
        return
    assert isinstance(found.shares, CohortShares)
    expected = by_units(found, panel, options)
    check_equal(found, expected, panel)
    for kind in KINDS:
        try:
            theirs = aggregate(expected, panel, kind)
        except DidError:
            continue
        check_equal(aggregate(found, panel, kind), theirs, panel)


@pytest.mark.parametrize("level, noise", [(1e9, 1e-3), (0.0, 1e-9), (1e5, 0.0)])
def test_a_small_change_on_a_large_level_keeps_its_error(level, noise):
    """Variances that are nearly all cancellation: each unit has a slope of its own, and one period's change hardly any
    variation, or none."""
    generator = np.random.default_rng(4)
    panel = drawn(generator, n_units=30, n_periods=8, level=level)
    outcome = level + np.outer(generator.normal(size=30) * 1e3, np.repeat(np.arange(4), 2))
    outcome[:, 1::2] += noise * generator.normal(size=(30, 4))
    panel = dataclasses.replace(panel, outcome=outcome)
    found = estimate("callaway_santanna", panel)
    rows, expected = (summarise(one, panel) for one in (found, by_units(found, panel, {})))
    assert rows["std_error"].isna().tolist() == expected["std_error"].isna().tolist()
    assert rows["note"].tolist() == expected["note"].tolist()
    # As far as the outcomes themselves have digits.
    np.testing.assert_allclose(rows["std_error"], expected["std_error"], rtol=1e-10,
                               atol=np.finfo(float).eps * np.abs(outcome).max())


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_parts_add_up(weighted):
    generator = np.random.default_rng(5)
    outcome, cohort = 1e4 + generator.normal(size=(300, 6)).cumsum(axis=1), generator.integers(0, 3, 300)
    weight = generator.uniform(0.5, 2.0, 300) if weighted else None
    whole = Rows(outcome, weight, cohort, 3).moments()
    parts = [Rows(outcome[one], None if weight is None else weight[one], cohort[one], 3).moments()
             for one in np.split(np.arange(300), [50, 51, 200])]
    added = parts[0] + parts[1] + parts[2] + parts[3]
    for name in ("units", "weight", "mean", "cross", "squares"):
        np.testing.assert_allclose(getattr(added, name), getattr(whole, name), rtol=1e-9, atol=1e-9, err_msg=name)
    own = np.ones(300) if weight is None else weight
    for number in range(3):
        free = (outcome - outcome.mean(axis=1, keepdims=True))[cohort == number]
        mean = np.average(free, axis=0, weights=own[cohort == number])
        about = own[cohort == number, None] * np.column_stack([np.ones(len(free)), free - mean])
        np.testing.assert_allclose(whole.mean[number], mean, atol=1e-9)
        np.testing.assert_allclose(whole.cross[number], about.T @ about, atol=1e-8)


def test_covariates_missing_outcomes_and_moving_weights_keep_each_unit():
    panel = drawn(np.random.default_rng(6), n_units=30, n_periods=6)
    gap = panel.outcome.copy()
    gap[5, 3] = np.nan
    moving = np.random.default_rng(1).uniform(1, 2, panel.outcome.shape)
    covariate = {"x": np.repeat(np.random.default_rng(2).normal(size=(30, 1)), 6, axis=1)}
    for change, options in (({"outcome": gap}, {"unbalanced": "pairwise"}), ({"weight": moving}, {}),
                            ({"covariates": covariate}, {"method": "reg"})):
        found = estimate("callaway_santanna", dataclasses.replace(panel, **change), **options)
        assert isinstance(found.shares, UnitShares)
    assert isinstance(estimate("callaway_santanna", dataclasses.replace(panel, outcome=gap)).shares, CohortShares)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(6, 40), st.integers(3, 9), st.sampled_from([0.0, 1e6]), st.booleans(),
       st.sampled_from([None, "cohort", "unit"]))
def test_the_two_way_regression_of_cohorts_is_that_of_units(seed, n_units, n_periods, level, weighted, dosed):
    generator = np.random.default_rng(seed)
    panel = drawn(generator, n_units=n_units, n_periods=n_periods, level=level, weighted=weighted)
    dose = {None: panel.dose, "cohort": panel.dose * (1.0 + panel.treated_from),
            "unit": panel.dose * generator.uniform(1.0, 2.0, n_units)}[dosed]
    panel = dataclasses.replace(panel, dose=dose, treatment="intensity" if dosed else "binary")
    try:
        found = estimate("did", panel)
    except DidError:
        return
    alike = all(len(set(dose[panel.treated_from == first])) == 1 for first in panel.treated_from)
    assert isinstance(found.shares, CohortShares if alike else UnitShares)
    fit = two_way_fit(panel.outcome, np.where(panel.treated, dose[:, None], 0.0)[:, :, None], panel.observed_weight)
    expected = dataclasses.replace(found, estimate=fit.coefficient, shares=UnitShares(
        panel.units, fit.influence, ~panel.never_treated[:, None]))
    assert found.n_parameters == 1 + fit.n_periods and found.n_obs == fit.n_obs
    check_equal(found, expected, panel)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 40), st.integers(4, 9), st.sampled_from([0.0, 1e6]), st.booleans(),
       st.booleans(), st.sampled_from([None, "cohort", "unit"]), st.sampled_from([
           ("event_study", {}), ("event_study", {"bin_width": 2}), ("event_study", {"reference": [-2, -1]}),
           ("sun_abraham", {}), ("sun_abraham", {"reference": -2}), ("stacked", {"n_leads": 1, "n_lags": 1}),
           ("stacked", {"static": True}), ("stacked", {"control_weights": "corrected", "n_leads": 2}),
           ("stacked", {"control_group": "never_treated"}), ("imputation", {}),
           ("imputation", {"estimands": ["overall", "event_time", "cohort", "calendar"]})]))
def test_regressions_of_cohorts_are_those_of_units(seed, n_units, n_periods, level, weighted, never, dosed, asked):
    name, options = asked
    generator = np.random.default_rng(seed)
    panel = drawn(generator, n_units=n_units, n_periods=n_periods, level=level, weighted=weighted, never=never)
    if dosed and name != "sun_abraham":
        dose = panel.dose * (1.0 + panel.treated_from if dosed == "cohort" else generator.uniform(1.0, 2.0, n_units))
        panel = dataclasses.replace(panel, dose=dose, treatment="intensity")
    module = importlib.import_module(f"did.estimators.{name}")
    found = []
    for way in (module.by_cohort, lambda *_: None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "by_cohort", way)
            try:
                found.append(estimate(name, panel, **options))
            except DidError as error:
                found.append(str(error))
    ours, theirs = found
    if isinstance(ours, str) or isinstance(theirs, str):
        assert ours == theirs
        return
    alike = all(len(set(panel.dose[panel.treated_from == first])) == 1 for first in panel.treated_from)
    assert isinstance(ours.shares, CohortShares) or not alike
    assert isinstance(theirs.shares, UnitShares)
    assert (ours.n_obs, ours.n_parameters, ours.note) == (theirs.n_obs, theirs.n_parameters, theirs.note)
    check_equal(ours, theirs, panel)
