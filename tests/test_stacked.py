"""Stacked event studies against long-form least squares, the estimators they contain, and known truths."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import DidError
from did.estimators import Panel, estimate
from did.inference.clustered import summarise
from test_imputation import random_frame, spread

few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 10_000)
# Of random_frame: cohorts at positions 3 and 5 of 9 periods, so all have 3 leads and 3 lags.


def one_cohort(seed: int) -> pd.DataFrame:
    frame = random_frame(seed)
    return frame[frame["cohort"] != "2018-01"]


def same_rows(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    columns = ["estimate", "std_error", "ci_low", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
               "n_treated_clusters", "n_parameters", "df"]
    np.testing.assert_allclose(ours[columns].astype(float), theirs[columns].astype(float), rtol=1e-7, atol=1e-10)


@few
@given(seeds, st.integers(0, 10), st.sampled_from(["binary", "intensity"]), st.booleans())
def test_one_cohort_and_the_whole_window_is_the_event_study_and_did(seed, n_missing, treatment, weighted):
    frame = one_cohort(seed).reset_index(drop=True)
    frame.loc[np.random.default_rng(seed).choice(len(frame), n_missing, replace=False), "outcome"] = np.nan
    panel = Panel.from_frame(frame, treatment=treatment, weight_column="weight" if weighted else None)
    ours = summarise(estimate("stacked", panel), panel)
    same_rows(ours[ours["estimand"] == "event_time"], summarise(estimate("event_study", panel), panel))
    same_rows(summarise(estimate("stacked", panel, static=True), panel), summarise(estimate("did", panel), panel))


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("control_weights", ["equal", "corrected"])
def test_stacks_equal_one_long_regression_with_dummies(static, control_weights):
    frame = random_frame(21)
    frame.loc[[3, 40, 130], "outcome"] = np.nan
    panel = Panel.from_frame(frame, weight_column="weight")
    result = estimate("stacked", panel, static=static, control_weights=control_weights, n_leads=3, n_lags=2)
    # position 3 with controls treated after 5 (never only: the other cohort starts at 5) and 5 with never
    long = []
    when = {period: position for position, period in enumerate(panel.periods)}
    rows = frame.dropna(subset="outcome").assign(
        t=lambda f: f["period"].map(when), g=lambda f: f["cohort"].map(when).fillna(99))
    for start in (3, 5):
        stack = rows[((rows["g"] == start) | (rows["g"] > start + 2)) & rows["t"].between(start - 3, start + 2)]
        long.append(stack.assign(stack=start, e=stack["t"] - start, treated=stack["g"] == start))
    long = pd.concat(long, ignore_index=True)
    if control_weights == "corrected":
        total = long.groupby(["treated", "stack"])["weight"].sum()
        share = total / total.groupby("treated").transform("sum")
        factor = share[True] / share[False]
        long["weight"] *= np.where(long["treated"], 1.0, long["stack"].map(factor))
    names = long["stack"].astype(str)
    dummies = pd.get_dummies(pd.DataFrame({"p": names + long["period"], "u": names + long["unit"]}), dtype=float)
    estimated = [e for e in range(-3, 3) if e != -1]
    shown = [long["treated"] & (long["e"] >= 0)] if static else [long["treated"] & (long["e"] == e) for e in estimated]
    design = np.column_stack([*shown, dummies]).astype(float)
    # Period dummies sum to unit dummies within each stack: one of each stack's is dropped.
    design = np.delete(design, [len(shown), len(shown) + 6], axis=1)
    fit = sm.WLS(long["outcome"], design, weights=long["weight"]).fit()
    scores = pd.DataFrame(design * (long["weight"] * fit.resid).to_numpy()[:, None]).groupby(long["unit"]).sum()
    expected = scores.to_numpy() @ np.asarray(fit.normalized_cov_params)[:, :len(shown)]
    ours = 0 if static else [1 + i for i, e in enumerate(range(-3, 3)) if e != -1]
    np.testing.assert_allclose(np.ravel(result.estimate[ours]), fit.params.iloc[:len(shown)], rtol=1e-8)
    np.testing.assert_allclose(result.influence.to_numpy()[:, np.atleast_1d(ours)], expected, atol=1e-9)
    assert result.n_obs == len(long) and result.n_parameters == len(shown) + 12
    if not static:
        assert result.estimate[0] == pytest.approx(fit.params.iloc[2:5].mean(), rel=1e-8)
        np.testing.assert_allclose(result.influence[0], expected[:, 2:].mean(axis=1), atol=1e-9)


def exact_frame() -> pd.DataFrame:
    """No noise; effects 10 + 2e in cohort 2017-11 (4 units) and 1 + e in 2018-01 (2 units)."""
    frame = random_frame(1)
    frame = frame[~frame["unit"].isin(["u06", "u07"])]
    unit, month = frame["unit"].str[1:].astype(int), pd.PeriodIndex(frame["period"], freq="M").astype("int64")
    start = pd.PeriodIndex(frame["cohort"].fillna("2030-01"), freq="M").astype("int64")
    since = np.asarray(month - start)
    effect = np.where(frame["cohort"] == "2017-11", 10.0 + 2 * since, 1.0 + since)
    return frame.assign(outcome=1000 * unit + 40 * np.sin(month) + np.where(since >= 0, effect, 0.0))


def test_corrected_weights_find_the_mean_over_treated_units_and_equal_ones_the_variance_weighted():
    panel = Panel.from_frame(exact_frame())
    first, second = 10.0 + 2 * np.arange(3), 1.0 + np.arange(3)
    corrected = estimate("stacked", panel, n_leads=3, n_lags=2, control_weights="corrected")
    rows = corrected.parameters["event_time"].ge(0).fillna(False).to_numpy(dtype=bool)
    np.testing.assert_allclose(corrected.estimate[rows], (4 * first + 2 * second) / 6, rtol=1e-9)
    assert corrected.estimate[0] == pytest.approx(((4 * first + 2 * second) / 6).mean(), rel=1e-9)
    # Least squares weighs a stack by n_treated n_control / n: 8 never-treated controls in both
    equal, h = estimate("stacked", panel, n_leads=3, n_lags=2), (4 * 8 / 12, 2 * 8 / 10)
    np.testing.assert_allclose(equal.estimate[rows], (h[0] * first + h[1] * second) / sum(h), rtol=1e-9)
    before = corrected.parameters["event_time"].lt(-1).fillna(False).to_numpy(dtype=bool)
    np.testing.assert_allclose(corrected.estimate[before], 0, atol=1e-9)


def test_the_interval_covers_a_common_effect_that_grows_where_two_way_did_fails():
    generator = np.random.default_rng(8)
    panel = Panel.from_frame(random_frame(0, n_units=48))
    effect = np.where(panel.treated, 3.0 + 2 * panel.event_time, 0.0)
    covered = []
    for _ in range(150):
        noise = generator.normal(size=panel.outcome.shape).cumsum(axis=1)
        rows = summarise(estimate("stacked", dataclasses.replace(panel, outcome=noise + effect)), panel)
        row = rows[(rows["cluster"] == "unit") & (rows["event_time"] == 2)].iloc[0]
        covered.append(row["ci_low"] <= 7 <= row["ci_high"])
    assert 0.88 <= np.mean(covered) <= 0.99


def test_not_yet_treated_controls_stay_until_their_own_treatment_and_can_be_left_out():
    frame = random_frame(5)
    panel = Panel.from_frame(frame)
    never = estimate("stacked", panel, n_leads=3, n_lags=1, control_group="never_treated")
    later = estimate("stacked", panel, n_leads=3, n_lags=1)
    assert later.n_obs - never.n_obs == 4 * 5  # the later cohort in the earlier one's stack
    assert (never.influence.index == panel.units).all() and never.n_units == 16
    only = Panel.from_frame(frame.dropna(subset="cohort"))
    result = estimate("stacked", only, n_leads=3, n_lags=1)
    assert "1 stack of event times -3 to 1" in result.note
    assert "without clean controls or outcomes, left out: 2018-01" in result.note
    gap = only.outcome[:4, 3] - only.outcome[:4, 2], only.outcome[4:, 3] - only.outcome[4:, 2]
    assert result.estimate[4] == pytest.approx(gap[0].mean() - gap[1].mean(), rel=1e-9)


def test_cohorts_without_the_window_are_named_and_the_default_window_is_common():
    panel = Panel.from_frame(random_frame(6))
    default = estimate("stacked", panel)
    assert default.parameters["event_time"].dropna().tolist() == list(range(-3, 4))
    assert default.treated.sum().tolist() == [8] * 8
    longer = estimate("stacked", panel, n_lags=4)
    assert "without the whole window, left out: 2018-01" in longer.note
    assert longer.treated.sum().tolist() == [4] * 9
    assert default.parameters.loc[3, ["event_time", "state"]].tolist() == [-1, "reference"]
    assert default.estimate[3] == 0 and (default.influence[3] == 0).all()


@few
@given(seeds, st.booleans())
def test_invariances_to_order_labels_constants_and_scale(seed, static):
    frame = random_frame(seed)
    before = frame.copy(deep=True)

    def found(rows: pd.DataFrame) -> np.ndarray:
        result = estimate("stacked", Panel.from_frame(rows), static=static)
        return np.vstack([result.estimate, spread(result)])

    ours = found(frame)
    np.testing.assert_array_equal(found(frame.sample(frac=1, random_state=seed)), ours)
    unit, month = frame["unit"].str[1:].astype(int), frame["period"].str[-2:].astype(int)
    shifted = frame.assign(outcome=frame["outcome"] + 1e4 * unit**2 - 300 * np.sin(month))
    np.testing.assert_allclose(found(shifted), ours, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found(frame.assign(unit="z" + (99 - unit).astype(str))), ours, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found(frame.assign(outcome=-1e6 * frame["outcome"])), [[-1e6], [1e6]] * ours,
                               rtol=1e-7, atol=1e-3)
    pd.testing.assert_frame_equal(frame, before)


def test_an_event_time_nobody_shows_is_not_identified_and_says_so():
    frame = random_frame(9)
    since = pd.PeriodIndex(frame["period"], freq="M").astype("int64") - pd.PeriodIndex(
        frame["cohort"].fillna("2030-01"), freq="M").astype("int64")
    panel = Panel.from_frame(frame.assign(outcome=frame["outcome"].where(since != 1)))
    rows = summarise(estimate("stacked", panel), panel).query("cluster == 'unit'").set_index("event_time")
    assert np.isnan(rows.loc[1, "estimate"]) and rows.loc[1, "note"].startswith("not identified")
    assert np.isfinite(rows.loc[[0, 2], "estimate"]).all()
    assert rows["estimate"].isna().sum() == 2 and rows["note"].iloc[0].startswith("not identified: an event time")


@pytest.mark.parametrize(("options", "words"), [
    ({"n_leads": 0}, ["n_leads", "1 or more", "found 0"]),
    ({"n_lags": -1}, ["n_lags", "0 or more", "found -1"]),
    ({"control_group": "not_yet"}, ["control_group", "did you mean 'not_yet_treated'"]),
    ({"control_weights": "wing"}, ["control_weights", "corrected"]),
    ({"n_leads": 7}, ["event times -7 to 3", "shorter window"]),
])
def test_wrong_options_are_answered_in_one_line(options, words):
    with pytest.raises(DidError) as error:
        estimate("stacked", Panel.from_frame(random_frame(0)), **options)
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


def test_nobody_clean_or_nobody_treated_is_answered_in_one_line():
    frame = random_frame(0)
    with pytest.raises(DidError, match="never_treated.*found none"):
        estimate("stacked", Panel.from_frame(frame.dropna(subset="cohort")), control_group="never_treated")
    after = frame["period"] >= frame["cohort"].fillna("9")
    hidden = Panel.from_frame(frame.assign(outcome=frame["outcome"].where(~after)))
    with pytest.raises(DidError, match="no variation among"):
        estimate("stacked", hidden, static=True)
