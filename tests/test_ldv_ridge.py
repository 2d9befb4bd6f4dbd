"""Lagged dependent variables with shrunken lags, against regressions written out and refitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import Panel, estimate
from did.estimators.ldv_ridge import STRENGTHS, Paths, left_out_errors
from did.inference.clustered import summarise
from did.simulate.panels import ar1, panel
from test_estimators_properties import random_frame

few_lags = pytest.mark.parametrize("cohorts", [{14: 12}, {14: 7, 16: 6}], ids=["one onset", "two onsets"])


def made(cohorts: dict[int, int], seed: int = 3, **nature) -> Panel:
    return Panel.from_frame(panel(60, 20, cohorts, 4.0, seed=seed, **nature)[0])


def written_out(data: Panel, penalty: float, without: int | None = None) -> float:
    """The effect by least squares on all cells after onset with period dummies, the penalty as extra rows."""
    onset, kept = data.treated_from.min(), np.arange(data.n_units) != without
    lags = data.outcome[kept, :onset]
    mean = lags.mean(axis=1)
    n, n_post = len(lags), data.n_periods - onset
    rows = np.repeat(np.arange(n), n_post)
    treated = np.where(data.treated[kept, onset:], data.dose[kept, None], 0.0).ravel()
    columns = np.column_stack([treated, np.tile(np.eye(n_post), (n, 1)), mean[rows], (lags - mean[:, None])[rows]])
    extra = np.column_stack([np.zeros((onset, 2 + n_post)), np.sqrt(penalty) * np.eye(onset)])
    outcome = np.append(data.outcome[kept, onset:].ravel(), np.zeros(onset))
    return float(np.linalg.lstsq(np.vstack([columns, extra]), outcome, rcond=None)[0][0])


def mean_square(data: Panel) -> float:
    """Mean square of a lag's deviation over cells after onset, less what a constant and their mean explain."""
    onset = data.treated_from.min()
    lags = data.outcome[:, :onset]
    level = np.column_stack([np.ones(len(lags)), lags.mean(axis=1)])
    about = lags - lags.mean(axis=1, keepdims=True)
    left = about - level @ np.linalg.lstsq(level, about, rcond=None)[0]
    return float((left**2).sum() / (onset - 1) * (data.n_periods - onset))


@few_lags
def test_without_a_penalty_it_is_the_lagged_dependent_variable_and_with_an_endless_one_the_mean_before(cohorts):
    data = made(cohorts)
    assert estimate("ldv_ridge", data, strength=0).estimate == pytest.approx(estimate("ldv", data).estimate, rel=1e-9)
    onset = data.treated_from.min()
    mean = data.outcome[:, :onset].mean(axis=1)
    flat = Panel(np.column_stack([mean, data.outcome[:, onset:]]), data.units, data.periods[onset - 1:], "M",
                 data.treated_from - onset + 1, data.dose, "binary", data.clusters)
    expected = estimate("ldv", flat, lags="last_1").estimate
    assert estimate("ldv_ridge", data, strength=1e12).estimate == pytest.approx(expected, rel=1e-8)
    none = estimate("ldv_ridge", data, shrinkage="components", strength=0)
    assert none.estimate == pytest.approx(expected, rel=1e-9)


@few_lags
def test_effect_and_influence_are_those_of_the_regression_written_out_and_fitted_without_each_unit(cohorts):
    data = made(cohorts)
    penalty = 0.3 * mean_square(data)
    found = estimate("ldv_ridge", data, strength=0.3)
    whole = written_out(data, penalty)
    assert found.estimate[0] == pytest.approx(whole, rel=1e-9)
    moved = np.array([whole - written_out(data, penalty, without=unit) for unit in range(data.n_units)])
    np.testing.assert_allclose(found.influence.to_numpy()[:, 0], moved - moved.mean(), atol=1e-9)


def test_components_are_the_directions_in_which_paths_differ_most():
    data = made({14: 12})
    lags = data.outcome[:, :14]
    mean = lags.mean(axis=1)
    level = np.column_stack([np.ones(60), mean])
    about = lags - mean[:, None]
    about = about - level @ np.linalg.lstsq(level, about, rcond=None)[0]
    values, vectors = np.linalg.eigh(about.T @ about)
    scores = about @ vectors[:, np.argsort(values)[::-1][:3]]
    columns = np.column_stack([~data.never_treated, level, scores])
    expected = np.linalg.lstsq(columns, data.outcome[:, 14:].mean(axis=1), rcond=None)[0][0]
    found = estimate("ldv_ridge", data, shrinkage="components", strength=3)
    assert found.estimate[0] == pytest.approx(expected, rel=1e-9)
    assert "3 components (as asked), 14 lags count as 4.0 coefficients" in found.note


@pytest.mark.parametrize("shrinkage", ["ridge", "components"])
def test_errors_of_prediction_are_those_of_fitting_without_each_unit(shrinkage):
    generator = np.random.default_rng(4)
    lags, outcome = generator.normal(size=(15, 8)).cumsum(axis=1), generator.normal(size=15)
    weight = generator.uniform(1, 2, 15)
    errors = left_out_errors(lags, outcome, weight, shrinkage)
    tried = STRENGTHS if shrinkage == "ridge" else np.arange(8)
    assert errors.shape == (len(tried), 15)
    paths = Paths.of(lags, weight)
    _, singular, turn = paths.singular(weight)
    for place in (0, len(tried) // 2, len(tried) - 1):
        scores, penalty = paths.deviations @ turn.T, tried[place] * (singular**2).mean()
        if shrinkage == "components":
            scores, penalty = scores[:, :int(tried[place])], 0.0
        columns = np.column_stack([np.ones(15), paths.mean, scores])
        extra = np.sqrt(penalty) * np.eye(columns.shape[1])[2:]
        expected = []
        for unit in range(15):
            root = np.sqrt(weight)[np.arange(15) != unit]
            rows = np.vstack([np.delete(columns, unit, axis=0) * root[:, None], extra])
            target = np.append(np.delete(outcome, unit) * root, np.zeros(len(extra)))
            beta = np.linalg.lstsq(rows, target, rcond=None)[0]
            expected.append(weight[unit] * (outcome[unit] - columns[unit] @ beta) ** 2)
        np.testing.assert_allclose(errors[place], expected, rtol=1e-8, atol=1e-12)


def with_a_factor(seed: int) -> Panel:
    """50 units, 40 lags: a slow shock common to all, to which the treated react more strongly; their effect is 3."""
    generator = np.random.default_rng(seed)
    treated = np.arange(50) < 15
    load = generator.normal(np.where(treated, 1.5, 1.0), 0.3)
    shock = 6 * ar1(1, 46, 0.95, generator)
    outcome = 50 + generator.normal(0, 5, (50, 1)) + load[:, None] * shock + generator.normal(0, 2, (50, 46))
    outcome[treated, 40:] += 3.0
    periods = pd.period_range("2015-01", periods=46, freq="M").astype(str)
    return Panel.from_frame(pd.DataFrame({
        "unit": np.repeat([f"u{unit:02d}" for unit in range(50)], 46), "period": np.tile(periods, 50),
        "frequency": "M", "outcome": outcome.ravel(), "cohort": np.repeat(np.where(treated, periods[40], None), 46)}),
        cluster_columns=[])


def test_where_the_treated_react_more_to_a_shock_it_is_nearer_the_truth_than_its_neighbours():
    off = {"ridge": [], "components": [], "ldv": [], "did": []}
    for seed in range(40):
        data = with_a_factor(seed)
        for name, found in off.items():
            options = {"shrinkage": name} if name in ("ridge", "components") else {}
            found.append(estimate("ldv_ridge" if options else name, data, **options).estimate[0] - 3)
    root = {name: float(np.sqrt(np.mean(np.square(found)))) for name, found in off.items()}
    assert max(root["ridge"], root["components"]) < 0.85 * root["ldv"] < 0.5 * root["did"], root


def test_intervals_cover_where_nothing_is_left_for_the_lags_to_tell_apart():
    covered = []
    for seed in range(100):
        data = Panel.from_frame(panel(40, 30, {24: 12}, 3.0, seed=seed, persistence=0.0)[0], cluster_columns=[])
        row = summarise(estimate("ldv_ridge", data), data).iloc[0]
        covered.append(row["ci_low"] <= 3 <= row["ci_high"])
    assert 0.88 <= np.mean(covered) <= 0.99


def test_it_takes_more_lags_than_units_and_leaves_out_what_ldv_leaves_out():
    data = Panel.from_frame(panel(20, 40, {30: 6}, 5.0, seed=2, noise=1.0)[0])
    with pytest.raises(DidError, match="or ldv_ridge"):
        estimate("ldv", data)
    assert abs(estimate("ldv_ridge", data).estimate[0] - 5) < 1.5
    frame = random_frame(6)
    frame.loc[(frame["unit"] == "u03") & (frame["period"] == "2017-11"), "outcome"] = np.nan
    found = estimate("ldv_ridge", Panel.from_frame(frame))
    assert found.n_units == 13 and "u03" in found.note and found.n_parameters is None


@pytest.mark.parametrize(("options", "said"), [
    ({"shrinkage": "lasso"}, "expected one of ridge, components; found 'lasso'"),
    ({"strength": -1.0}, "expected a number of 0 or more; found -1.0"),
    ({"strength": 1.5, "shrinkage": "components"}, "expected a whole number of components, 0 or more; found 1.5"),
    ({"strength": 9, "shrinkage": "components"}, "expected at most the 3 components there are; found 9"),
    ({"lags": "last_1"}, "ldv_ridge: expected two lags or more to shrink; found 1; use ldv"),
    ({"lags": "last_9"}, "ldv_ridge: lags 'last_9': expected at most the 4 periods before onset"),
])
def test_what_cannot_be_asked_is_one_line(options, said):
    with pytest.raises(DidError) as caught:
        estimate("ldv_ridge", Panel.from_frame(random_frame(0)), **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_too_few_periods_to_choose_from_and_lags_that_explain_treatment_are_said():
    frame = random_frame(0, staggered=False)
    early = Panel.from_frame(frame[frame["period"] >= "2017-10"])
    with pytest.raises(DidError, match="expected 3 periods or more before onset 2017-12"):
        estimate("ldv_ridge", early)
    assert np.isfinite(estimate("ldv_ridge", early, strength=1).estimate[0])
    treated = frame["cohort"].notna()
    flat = frame.assign(outcome=np.where(frame["period"] < "2017-12", treated * 1.0, frame["outcome"]))
    with pytest.raises(DidError, match="explain it completely"):
        estimate("ldv_ridge", Panel.from_frame(flat))
