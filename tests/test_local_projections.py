"""Local projections against long-form least squares, other packages, the estimators they equal, and known truths."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from did.cli.commands import main
from did.errors import DidError
from did.estimators import Panel, Result, estimate
from did.estimators.aggregation import aggregate
from did.inference.clustered import summarise
from test_imputation import random_frame, spread
from test_stacked import exact_frame

few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 10_000)
# Of random_frame: cohorts at positions 3 (u00 to u03) and 5 (u04 to u07) of 9 periods, 8 units never treated.


def long_differences(panel: Panel, horizons: list[int], *, base: int | None, never: bool, until: int) -> pd.DataFrame:
    """One row per unit and period from the definition: clean controls untreated to ``until`` periods later."""
    rows = []
    for unit in range(panel.n_units):
        for t in range(1, panel.n_periods):
            first = 0 if base is None else t - base
            treated = panel.treated_from[unit] == t
            clean = panel.never_treated[unit] if never else panel.treated_from[unit] > t + until
            inside = first >= 0 and t + min(horizons) >= 0 and t + max(horizons) < panel.n_periods
            if not inside or not (treated or clean) or not np.isfinite(panel.outcome[unit, first:t]).any():
                continue
            outcome = np.mean([panel.outcome[unit, t + h] for h in horizons])
            weight = 1.0 if panel.weight is None else panel.weight[unit, t]
            rows.append((unit, t, outcome - np.nanmean(panel.outcome[unit, first:t]), float(treated), weight))
    return pd.DataFrame(rows, columns=["unit", "t", "y", "d", "w"]).dropna()


def regression(rows: pd.DataFrame, *, equal: bool) -> tuple[float, pd.Series]:
    """The coefficient of treatment with period effects, and each unit's influence on it, by statsmodels."""
    rows = rows[rows.groupby("t")["d"].transform("max") > rows.groupby("t")["d"].transform("min")].copy()
    if equal:
        share = rows["d"].mul(rows["w"]).groupby(rows["t"]).transform("sum") / rows.groupby("t")["w"].transform("sum")
        rows["w"] /= 1 - share
    fit = smf.wls("y ~ d + C(t)", rows, weights=rows["w"]).fit()
    scores = fit.model.exog * (rows["w"] * fit.resid).to_numpy()[:, None]
    place = fit.model.exog_names.index("d")
    influence = pd.Series(scores @ np.asarray(fit.normalized_cov_params)[:, place]).groupby(rows["unit"].to_numpy())
    return fit.params["d"], influence.sum()


@pytest.mark.parametrize("weighting", ["variance", "equal"])
@pytest.mark.parametrize("base_window", [1, 2, "all"])
@pytest.mark.parametrize("control_group", ["not_yet_treated", "never_treated"])
def test_each_event_time_and_both_pooled_effects_are_regressions_of_long_differences(weighting, base_window,
                                                                                    control_group):
    frame = random_frame(21)
    frame.loc[[3, 40, 130], "outcome"] = np.nan
    panel = Panel.from_frame(frame, weight_column="weight")
    result = estimate("local_projections", panel, weighting=weighting, base_window=base_window,
                      control_group=control_group)
    horizons = [[0, 1, 2, 3], [-3, -2], *([h] for h in range(-3, 4))]
    assert result.parameters["event_time"].dropna().tolist() == list(range(-3, 4))
    for row, over in enumerate(horizons):
        if over == [-1] and base_window == 1:
            assert result.estimate[row] == 0 and result.parameters["state"][row] == "reference"
            continue
        rows = long_differences(panel, over, base=None if base_window == "all" else base_window,
                                never=control_group == "never_treated", until=max(0, max(over)))
        expected, influence = regression(rows, equal=weighting == "equal")
        assert result.estimate[row] == pytest.approx(expected, rel=1e-9)
        ours = result.influence[row].set_axis(panel.units.get_indexer(result.influence.index))
        np.testing.assert_allclose(ours[influence.index], influence, atol=1e-10)


# Numbers of diff-diff 3.13.0's LPDiD(pre_window=3, post_window=2) on the table of `by_formula`: coefficients and errors
# of event times -3, -2, 0, 1 and 2, then the pooled effect after treatment, and observations of each regression. Where
# the composition is fixed, without event times before treatment, for which it keeps controls treated in the window.
DIFF_DIFF = {
    ("variance", 1, "changing"): (
        [-0.1230907732, -0.0425270633, 1.0647780912, 1.7773561602, 1.7871602292, 1.5850466818],
        [0.2762219808, 0.2947697010, 0.2461520702, 0.2317464773, 0.3022358854, 0.1750653095],
        [125, 149, 173, 149, 125, 125]),
    ("variance", 1, "fixed"): (
        [1.1086438320, 1.8593359842, 1.7871602292, 1.5850466818],
        [0.2267297205, 0.2174983112, 0.3022358854, 0.1750653095],
        [125, 125, 125, 125]),
    ("variance", "all", "changing"): (
        [-0.1225166331, -0.0419529232, 1.0653522313, 1.7809403270, 1.7369012769, 1.5347877295],
        [0.1975276723, 0.1968837438, 0.2526030778, 0.1952341151, 0.2687829238, 0.1574298583],
        [125, 149, 173, 149, 125, 125]),
    ("variance", "all", "fixed"): (
        [1.0583848797, 1.8090770319, 1.7369012769, 1.5347877295],
        [0.2487322412, 0.1958451353, 0.2687829238, 0.1574298583],
        [125, 125, 125, 125]),
    ("equal", 1, "changing"): (
        [-0.1258860023, -0.0435902956, 1.0632945591, 1.7849418090, 1.7786263433, 1.5797106723],
        [0.2756301211, 0.2941853866, 0.2467217569, 0.2327868090, 0.3066962278, 0.1766283180],
        [58, 58, 58, 55, 51, 51]),
    ("equal", 1, "fixed"): (
        [1.1013937071, 1.8591119667, 1.7786263433, 1.5797106723],
        [0.2306012579, 0.2137926495, 0.3066962278, 0.1766283180],
        [51, 51, 51, 51]),
    ("equal", "all", "changing"): (
        [-0.1246456597, -0.0423499530, 1.0645349016, 1.7923210083, 1.7307364597, 1.5318207887],
        [0.1969411500, 0.1965531863, 0.2532428065, 0.1957696454, 0.2709056958, 0.1597442898],
        [58, 58, 58, 55, 51, 51]),
    ("equal", "all", "fixed"): (
        [1.0535038235, 1.8112220831, 1.7307364597, 1.5318207887],
        [0.2524447264, 0.1969533029, 0.2709056958, 0.1597442898],
        [51, 51, 51, 51]),
}


def by_formula() -> pd.DataFrame:
    """24 units, 10 years, cohorts 2004, 2006 and 2007, without random numbers."""
    unit, t = (values.ravel() for values in np.meshgrid(np.arange(24), np.arange(10), indexing="ij"))
    start = np.select([unit < 5, unit < 9, unit < 12], [4, 6, 7], 99)
    since = np.where(t >= start, 1 + 0.2 * (t - start) * (1 + unit % 2), 0)
    cohort = pd.Series((2000 + start).astype(str)).where(start < 10)
    return pd.DataFrame({
        "unit": [f"u{number:02d}" for number in unit], "period": (2000 + t).astype(str), "frequency": "Y",
        "cohort": cohort, "outcome": np.sin(1.7 * unit * t + unit) + 0.3 * np.cos(2.3 * t) + 0.05 * unit + since})


@pytest.mark.parametrize("options", list(DIFF_DIFF))
def test_estimates_and_errors_equal_another_package(options):
    weighting, base_window, composition = options
    panel = Panel.from_frame(by_formula(), cluster_columns=[])
    rows = summarise(estimate("local_projections", panel, n_leads=3, n_lags=2, weighting=weighting,
                              base_window=base_window, composition=composition), panel)
    at = rows["event_time"].map({-3: 0, -2: 1, 0: 2, 1: 3, 2: 4}).where(rows["event_time"].notna(), np.nan)
    ours = pd.concat([rows[at.notna()], rows[rows["estimand"] == "overall"]])
    values, errors, n = (np.array(numbers) for numbers in DIFF_DIFF[options])
    ours = ours.tail(len(values))
    np.testing.assert_allclose(ours["estimate"], values, atol=2e-10)
    # Its errors have (N-1)/(N-K) of each regression alongside G/(G-1). K: treatment and the periods with rows, which
    # are the 3 onsets under equal weights, else all with a change over that event time: 9 for 0, 8 for -2 and 1, else
    # 7.
    n_periods = np.array([7, 8, 9, 8, 7, 7])[-len(values):]
    if composition == "fixed":
        n_periods = np.full(len(values), 7)
    k = 1 + (3 if weighting == "equal" else n_periods)
    np.testing.assert_allclose(ours["std_error"] * np.sqrt((n - 1) / (n - k)), errors, rtol=1e-8)


@few
@given(seeds, st.sampled_from(["not_yet_treated", "never_treated"]))
def test_equal_weights_are_the_group_time_effects_averaged_by_event_time(seed, control_group):
    panel = Panel.from_frame(random_frame(seed))
    ours = estimate("local_projections", panel, weighting="equal", n_leads=5, n_lags=5, control_group=control_group)
    cells = estimate("callaway_santanna", panel, base_period="universal", control_group=control_group)
    theirs = aggregate(cells, panel, "event_time")
    expected = dict(zip(theirs.parameters["event_time"], theirs.estimate, strict=True))
    if control_group == "not_yet_treated":
        # Before treatment `callaway_santanna` takes all units not treated by the base, lpdid those not treated in t.
        expected = {e: value for e, value in expected.items() if pd.notna(e) and e >= 0}
    found = dict(zip(ours.parameters["event_time"], ours.estimate, strict=True))
    for e, value in expected.items():
        if pd.notna(e):
            assert found[e] == pytest.approx(value, rel=1e-9, abs=1e-10)


@few
@given(seeds)
def test_a_fixed_composition_is_the_stacked_event_study(seed):
    panel = Panel.from_frame(random_frame(seed))
    for weighting, control_weights in (("variance", "equal"), ("equal", "corrected")):
        ours = estimate("local_projections", panel, weighting=weighting, composition="fixed", n_leads=3, n_lags=2)
        theirs = estimate("stacked", panel, control_weights=control_weights, n_leads=3, n_lags=2)
        np.testing.assert_allclose(ours.estimate[2:], theirs.estimate[1:], rtol=1e-8, atol=1e-10)
        assert ours.estimate[0] == pytest.approx(theirs.estimate[0], rel=1e-8)
        if weighting == "variance":
            assert (ours.treated.sum() == 8).all()


def test_planted_effects_are_found_by_either_weighting():
    panel = Panel.from_frame(exact_frame())
    first, second = 10.0 + 2 * np.arange(4), 1.0 + np.arange(4)
    equal = estimate("local_projections", panel, weighting="equal", base_window="all", n_lags=3)
    after = equal.parameters["event_time"].ge(0).fillna(False).to_numpy(dtype=bool)
    np.testing.assert_allclose(equal.estimate[after], (4 * first + 2 * second) / 6, rtol=1e-9)
    assert equal.estimate[0] == pytest.approx(((4 * first + 2 * second) / 6).mean(), rel=1e-9)
    np.testing.assert_allclose(equal.estimate[[1, 2, 3, 4]], 0, atol=1e-9)
    # Clean controls of the first cohort: the 8 never treated, and the later cohort until its own treatment.
    variance = estimate("local_projections", panel, n_lags=3)
    weight = [(4 * 10 / 14, 2 * 8 / 10)] * 2 + [(4 * 8 / 12, 2 * 8 / 10)] * 2
    expected = [(a * x + b * y) / (a + b) for (a, b), x, y in zip(weight, first, second, strict=True)]
    np.testing.assert_allclose(variance.estimate[after], expected, rtol=1e-9)


def test_the_interval_covers_a_planted_effect_at_its_level():
    generator = np.random.default_rng(8)
    panel = Panel.from_frame(random_frame(0, n_units=48))
    effect = np.where(panel.treated, 3.0 + 2 * panel.event_time, 0.0)
    covered = []
    for _ in range(150):
        noise = generator.normal(size=panel.outcome.shape).cumsum(axis=1)
        rows = summarise(estimate("local_projections", dataclasses.replace(panel, outcome=noise + effect)), panel)
        row = rows[(rows["cluster"] == "unit") & (rows["event_time"] == 2)].iloc[0]
        covered.append(row["ci_low"] <= 7 <= row["ci_high"])
    assert 0.88 <= np.mean(covered) <= 0.99


@few
@given(seeds, st.sampled_from(["variance", "equal"]), st.sampled_from([1, "all"]))
def test_invariances_to_order_labels_constants_and_scale(seed, weighting, base_window):
    frame = random_frame(seed)
    before = frame.copy(deep=True)

    def found(rows: pd.DataFrame) -> np.ndarray:
        result = estimate("local_projections", Panel.from_frame(rows), weighting=weighting, base_window=base_window)
        return np.vstack([result.estimate, spread(result)])

    ours = found(frame)
    np.testing.assert_array_equal(found(frame.sample(frac=1, random_state=seed)), ours)
    unit, month = frame["unit"].str[1:].astype(int), frame["period"].str[-2:].astype(int)
    shifted = frame.assign(outcome=frame["outcome"] + 1e4 * unit**2 - 300 * np.sin(month))
    np.testing.assert_allclose(found(shifted), ours, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found(frame.assign(unit="z" + (99 - unit).astype(str))), ours, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found(frame.assign(outcome=-1e6 * frame["outcome"])), [[-1e6], [1e6]] * ours,
                               rtol=1e-7, atol=1e-3)
    np.testing.assert_allclose(found(frame.assign(outcome=1e140 * frame["outcome"])), 1e140 * ours, rtol=1e-7,
                               atol=1e130)
    pd.testing.assert_frame_equal(frame, before)


def test_what_is_left_out_is_said():
    frame = random_frame(6)
    panel = Panel.from_frame(frame)
    longer = estimate("local_projections", panel, n_lags=5, composition="fixed")
    assert "without the whole window, left out: 2018-01" in longer.note
    changing = estimate("local_projections", panel, n_lags=5)
    assert "left out there: 2018-01" in changing.note
    assert changing.treated.sum().tolist()[-3:] == [8, 4, 4]
    gaps = frame.assign(outcome=frame["outcome"].where((frame["unit"] != "u09") | (frame["period"] != "2017-09")))
    assert "units with gaps in their base, which is then the mean of what was observed: 1" in estimate(
        "local_projections", Panel.from_frame(gaps), base_window="all").note
    early = frame.assign(cohort=frame["cohort"].where(frame["unit"] != "u15", "2017-08"))
    result = estimate("local_projections", Panel.from_frame(early))
    assert "treated from the first period, left out: u15" in result.note and "u15" not in result.influence.index
    exposed = dataclasses.replace(panel, dose=panel.dose / 2)
    assert "the dose is not used" in estimate("local_projections", exposed).note


def test_an_event_time_nobody_shows_is_not_identified_and_says_so():
    frame = random_frame(9)
    since = pd.PeriodIndex(frame["period"], freq="M").astype("int64") - pd.PeriodIndex(
        frame["cohort"].fillna("2030-01"), freq="M").astype("int64")
    panel = Panel.from_frame(frame.assign(outcome=frame["outcome"].where(since != 1)))
    rows = summarise(estimate("local_projections", panel), panel).query("cluster == 'unit'").set_index("event_time")
    assert np.isnan(rows.loc[1, "estimate"]) and rows.loc[1, "note"].startswith("not identified")
    assert np.isfinite(rows.loc[[0, 2], "estimate"]).all()


def test_cohorts_with_too_few_periods_for_the_base_are_named():
    frame = random_frame(0)
    starts = sorted(frame["cohort"].dropna().unique())
    panel = Panel.from_frame(frame)
    n_before = panel.periods.get_loc(starts[-1])
    note = estimate("local_projections", panel, base_window=n_before).note
    assert f"fewer than {n_before} periods before treatment, the base window, left out: {starts[0]}" in note


@pytest.mark.parametrize(("options", "words"), [
    ({"n_leads": 0}, ["n_leads", "1 or more", "found 0"]),
    ({"n_lags": -1}, ["n_lags", "0 or more", "found -1"]),
    ({"n_lags": True}, ["n_lags", "found True"]),
    ({"base_window": 0}, ["base_window", "or 'all'", "found '0'"]),
    ({"base_window": "al"}, ["base_window", "found 'al'"]),
    ({"base_window": 9}, ["base_window: expected no more periods than a cohort has before treatment", "found 9"]),
    ({"weighting": "equl"}, ["weighting", "did you mean 'equal'"]),
    ({"composition": "fix"}, ["composition", "fixed"]),
    ({"control_group": "not_yet"}, ["control_group", "did you mean 'not_yet_treated'"]),
])
def test_wrong_options_are_answered_in_one_line(options, words):
    with pytest.raises(DidError) as error:
        estimate("local_projections", Panel.from_frame(random_frame(0)), **options)
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


def test_nobody_clean_and_doses_are_answered_in_one_line():
    frame = random_frame(0)
    with pytest.raises(DidError, match="clean controls; found none .*2017-11, 2018-01"):
        estimate("local_projections", Panel.from_frame(frame.dropna(subset="cohort")), control_group="never_treated")
    with pytest.raises(DidError, match="binary"):
        estimate("local_projections", Panel.from_frame(frame, treatment="intensity"))


def test_the_command_line_takes_the_options(tmp_path):
    frame = random_frame(4).assign(cohort=lambda f: f["cohort"].fillna("never"))
    frame.to_csv(tmp_path / "panel.csv", index=False)
    words = ["estimate", str(tmp_path / "panel.csv"), "--outcome", "outcome", "--unit", "unit", "--period", "period",
             "--cohort", "cohort", "--estimator", "local_projections", "--output", str(tmp_path / "found.csv")]
    options = ["--weighting", "equal", "--base-window", "2", "--composition", "fixed", "--leads", "2",
               "--max-event-time", "1"]
    outcome = CliRunner().invoke(main, [*words, *options])
    assert outcome.exit_code == 0, outcome.output
    assert "weighting equal, base_window 2, composition fixed" in outcome.output
    expected: Result = estimate("local_projections", Panel.from_frame(random_frame(4)), weighting="equal",
                                base_window=2, composition="fixed", n_leads=2, n_lags=1)
    found = pd.read_csv(tmp_path / "found.csv").query("inference == 'clustered'")
    np.testing.assert_allclose(found["estimate"], expected.estimate, rtol=1e-12)
    outcome = CliRunner().invoke(main, [*words, "--base-window", "some"])
    assert outcome.exit_code == 1 and "'all'; found 'some'" in outcome.output and outcome.output.count("\n") == 1
