"""What must hold whatever the data: invariances, known truths, and one-line answers to what cannot be done."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import DidError
from did.estimators import Panel, Result, entries, entry, estimate, estimates_of
from did.estimators.neighbours import with_neighbours
from did.estimators.within import within
from did.inference.clustered import COLUMNS, clustered_covariance, small_sample_factor, summarise
from did.store import tables

OPTIONS = {"did": {}, "ldv": {"lags": "last_2"}, "event_study": {}}
few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10_000)
names = st.sampled_from(list(OPTIONS))


def random_frame(seed: int, *, n_units: int = 14, n_periods: int = 9, staggered: bool = True) -> pd.DataFrame:
    """A panel table of months over New Year: cohorts 2017-12 and 2018-02 and never treated, 5 systems."""
    generator = np.random.default_rng(seed)
    periods = pd.period_range("2017-08", periods=n_periods, freq="M").astype(str)
    cohorts = [periods[4]] * 4 + [periods[6] if staggered else periods[4]] * 3 + [None] * (n_units - 7)
    rows = [
        pd.DataFrame({
            "unit": f"u{unit:02d}", "period": periods, "frequency": "M",
            "outcome": generator.normal(50, 10) + generator.normal(0, 2, n_periods).cumsum(),
            "cohort": cohorts[unit], "intensity": float(unit + 2) if cohorts[unit] else 0.0,
            "system": f"s{unit % 5}", "wave": None,
        })
        for unit in range(n_units)
    ]
    return pd.concat(rows, ignore_index=True)


def with_chain(panel: Panel) -> Panel:
    """The panel with units in a row, each bordering the next, for estimators that need neighbours."""
    return with_neighbours(panel, zip(panel.units[:-1], panel.units[1:], strict=True))


def rows_of(frame: pd.DataFrame, name: str, treatment: str = "binary") -> pd.DataFrame:
    panel = Panel.from_frame(frame, treatment=treatment)
    panel = with_chain(panel) if entry(name).needs[-1:] == ("neighbours",) else panel
    return summarise(estimate(name, panel, **OPTIONS.get(name, {})), panel)


def numbers(rows: pd.DataFrame) -> np.ndarray:
    return rows[["estimate", "std_error", "ci_low", "ci_high", "p_value"]].to_numpy(float)


@few
@given(seeds, names, st.sampled_from(["binary", "intensity"]))
def test_order_of_rows_does_not_matter_and_input_is_not_changed(seed, name, treatment):
    frame = random_frame(seed)
    before = frame.copy(deep=True)
    shuffled = frame.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(rows_of(frame, name, treatment), rows_of(shuffled, name, treatment))
    pd.testing.assert_frame_equal(frame, before)


@few
@given(seeds, names)
def test_relabelling_units_and_systems_changes_nothing(seed, name):
    frame = random_frame(seed)
    other = frame.assign(unit="z" + (99 - frame["unit"].str[1:].astype(int)).astype(str),
                         system=frame["system"].map({"s0": "e", "s1": "d", "s2": "c", "s3": "b", "s4": "a"}))
    np.testing.assert_allclose(numbers(rows_of(frame, name)), numbers(rows_of(other, name)), rtol=1e-7)


@few
@given(seeds, st.sampled_from(["did", "event_study"]), st.floats(-1e3, 1e3))
def test_unit_and_period_constants_change_nothing(seed, name, constant):
    frame = random_frame(seed)
    unit, month = frame["unit"].str[1:].astype(int), frame["period"].str[-2:].astype(int)
    shifted = frame.assign(outcome=frame["outcome"] + constant * unit**2 - constant * np.sin(month))
    expected = numbers(rows_of(frame, name))
    np.testing.assert_allclose(numbers(rows_of(shifted, name)), expected, rtol=1e-5, atol=1e-7)


@few
@given(seeds, st.floats(-1e3, 1e3))
def test_period_constants_do_not_change_the_lagged_dependent_variable_estimate(seed, constant):
    frame = random_frame(seed)
    shifted = frame.assign(outcome=frame["outcome"] + constant * frame["period"].str[-2:].astype(int))
    np.testing.assert_allclose(numbers(rows_of(shifted, "ldv")), numbers(rows_of(frame, "ldv")), rtol=1e-5)


@few
@given(seeds, names, st.sampled_from([-3.0, 1e-6, 0.5, 1e6]))
def test_scaling_the_outcome_scales_estimates_and_errors(seed, name, scale):
    frame = random_frame(seed)
    ours, scaled = rows_of(frame, name), rows_of(frame.assign(outcome=scale * frame["outcome"]), name)
    np.testing.assert_allclose(scaled["estimate"], scale * ours["estimate"], rtol=1e-8)
    np.testing.assert_allclose(scaled["std_error"], abs(scale) * ours["std_error"], rtol=1e-7)
    np.testing.assert_allclose(scaled["p_value"], ours["p_value"], rtol=1e-6)


@few
@given(seeds, st.sampled_from(["binary", "intensity"]))
def test_did_coefficients_of_the_parts_add_up_to_that_of_the_total(seed, treatment):
    parts = [random_frame(seed + shift) for shift in range(3)]
    total = parts[0].assign(outcome=sum(part["outcome"] for part in parts))
    added = sum(rows_of(part, "did", treatment)["estimate"][0] for part in parts)
    assert rows_of(total, "did", treatment)["estimate"][0] == pytest.approx(added, rel=1e-9, abs=1e-10)


@few
@given(seeds, names)
def test_a_constant_dose_divides_the_binary_effect(seed, name):
    frame = random_frame(seed)
    doubled = frame.assign(intensity=np.where(frame["cohort"].notna(), 4.0, 0.0))
    binary, dose = rows_of(frame, name), rows_of(doubled, name, "intensity")
    np.testing.assert_allclose(dose["estimate"], binary["estimate"] / 4, rtol=1e-8)
    np.testing.assert_allclose(dose["std_error"], binary["std_error"] / 4, rtol=1e-7)


@few
@given(seeds)
def test_weights_equal_to_copies_of_units_give_the_estimate_of_the_copies(seed):
    frame = random_frame(seed)
    copies = frame["unit"].str[1:].astype(int) % 3 + 1
    weighted = Panel.from_frame(frame.assign(copies=copies), weight_column="copies")
    repeated = pd.concat([
        frame[copies > copy].assign(unit=lambda rows, copy=copy: rows["unit"] + f"-{copy}") for copy in range(3)
    ])
    for name, options in OPTIONS.items():
        ours = estimate(name, weighted, **options)
        theirs = estimate(name, Panel.from_frame(repeated), **options)
        np.testing.assert_allclose(ours.estimate, theirs.estimate, rtol=1e-8, atol=1e-10)


@few
@given(seeds, st.integers(1, 40), st.booleans())
def test_within_transform_equals_residuals_of_a_dummy_regression(seed, n_missing, weighted):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(9, 7))
    weight = generator.uniform(0.5, 2, size=values.shape) if weighted else np.ones_like(values)
    weight.flat[generator.choice(values.size, n_missing, replace=False)] = 0
    values[weight == 0] = np.nan
    unit, period = np.nonzero(weight)
    root = np.sqrt(weight[unit, period])[:, None]
    dummies = np.hstack([np.eye(9)[unit], np.eye(7)[period]])
    fitted = dummies @ np.linalg.lstsq(root * dummies, root[:, 0] * values[unit, period], rcond=None)[0]
    ours = within(values, weight)
    np.testing.assert_allclose(ours[unit, period], values[unit, period] - fitted, atol=1e-10)
    assert (ours[weight == 0] == 0).all()


def exact_frame(effect) -> pd.DataFrame:
    """Unit + period effects and nothing else but ``effect(event time)`` for the treated: no noise."""
    frame = random_frame(1)
    when = pd.PeriodIndex(frame["period"], freq="M").astype("int64")
    start = pd.PeriodIndex(frame["cohort"].fillna("2030-01"), freq="M").astype("int64")
    since = np.asarray(when - start)
    unit = frame["unit"].str[1:].astype(int)
    return frame.assign(outcome=100 + 7.3 * unit + 3 * np.cos(when) + np.where(since >= 0, effect(since), 0.0))


def test_known_constant_effect_without_noise_is_found_and_gets_no_standard_error():
    row = rows_of(exact_frame(lambda since: 5.0), "did").iloc[0]
    assert row["estimate"] == pytest.approx(5, rel=1e-10)
    assert np.isnan(row["std_error"]) and np.isnan(row["p_value"])
    assert "no variation" in row["note"]


def test_known_path_of_effects_without_noise_is_found_across_new_year():
    rows = rows_of(exact_frame(lambda since: 2.0 + since), "event_study").drop_duplicates("event_time")
    expected = {time: 2.0 + time if time >= 0 else 0.0 for time in range(-6, 5)}
    assert dict(zip(rows["event_time"], rows["estimate"], strict=True)) == pytest.approx(expected, abs=1e-9)


def test_binned_event_study_pools_whole_blocks_before_and_after_onset():
    rows = summarise(estimate("event_study", panel := Panel.from_frame(random_frame(2, staggered=False)), bin_width=2),
                     panel)
    assert set(rows["estimand"]) == {"event_bin_2"}
    unit = rows[rows["cluster"] == "unit"].set_index("event_time")
    assert list(unit.index) == [-2, -1, 0, 1, 2]
    treated = ~panel.never_treated
    gap = panel.outcome[treated].mean(axis=0) - panel.outcome[~treated].mean(axis=0)
    expected = [gap[0:2].mean(), gap[2:4].mean(), gap[4:6].mean(), gap[6:8].mean(), gap[8]] - gap[2:4].mean()
    np.testing.assert_allclose(unit["estimate"].to_numpy(float), expected, atol=1e-10)
    assert unit.loc[2, "note"] == "event times 4 to 4"
    assert unit.loc[-1, "note"].startswith("reference")


def test_lagged_dependent_variable_finds_a_known_effect_where_parallel_trends_fail():
    generator = np.random.default_rng(11)
    n_units, periods = 600, pd.period_range("2017-08", periods=9, freq="M").astype(str)
    before = generator.normal(size=(n_units, 4)).cumsum(axis=1)
    treated = generator.uniform(size=n_units) < 1 / (1 + np.exp(before[:, 3]))  # those low before onset
    after = 0.2 * before[:, 3:] + generator.normal(0, 0.5, (n_units, 5)) + 3.0 * treated[:, None]
    frame = pd.DataFrame({
        "unit": np.repeat([f"u{unit:03d}" for unit in range(n_units)], 9), "period": np.tile(periods, n_units),
        "frequency": "M", "outcome": np.hstack([before, after]).ravel(),
        "cohort": np.repeat(np.where(treated, periods[4], None), 9), "system": "s",
    })
    panel = Panel.from_frame(frame)
    ldv = summarise(estimate("ldv", panel), panel).iloc[0]
    assert abs(ldv["estimate"] - 3) < 3.5 * ldv["std_error"] < 0.4
    assert estimate("did", panel).estimate[0] > 3.5  # the low rebound: regression to the mean


def test_unit_clustered_interval_covers_a_null_effect_at_its_level():
    generator = np.random.default_rng(17)
    frame, covered = random_frame(0, n_units=40, staggered=False), []
    for _ in range(200):
        noise = generator.normal(size=(40, 9)).cumsum(axis=1).ravel()
        row = rows_of(frame.assign(outcome=noise), "did").iloc[0]
        covered.append(row["ci_low"] <= 0 <= row["ci_high"])
    assert 0.88 <= np.mean(covered) <= 0.99


def test_rows_fit_the_estimates_table_and_count_treated_units_and_clusters():
    rows = pd.concat([rows_of(random_frame(4), name) for name in entries()], ignore_index=True)
    assert list(rows.columns) == COLUMNS
    named = rows.assign(indicator="x", specification="default", sample="full", few_treated=False, minimum_treated=1,
                        headline=False, is_synthetic=True)
    tables.check("estimates", named)
    did = rows[rows["estimator"] == "did"].set_index("cluster")
    assert did.loc["unit", ["n_units", "n_treated", "n_clusters", "n_treated_clusters"]].tolist() == [14, 7, 14, 7]
    assert did.loc["system", ["n_clusters", "n_treated_clusters"]].tolist() == [5, 5]
    last = rows[(rows["estimator"] == "event_study") & (rows["event_time"] == 4)]
    assert set(last["n_treated"]) == {4}  # the later cohort is not observed so long after its onset


def test_missing_outcomes_are_left_out_counted_and_named():
    frame = random_frame(6)
    frame.loc[(frame["unit"] == "u03") & (frame["period"] == "2017-11"), "outcome"] = np.nan
    frame = frame[~((frame["unit"] == "u09") & (frame["period"] == "2018-02"))]
    frame.loc[frame["unit"] == "u13", "outcome"] = np.nan
    did = rows_of(frame, "did").iloc[0]
    assert (did["n_obs"], did["n_units"]) == (14 * 9 - 11, 13)
    assert "11 of 126 unit-periods" in did["note"] and "u13" in did["note"]
    ldv = rows_of(frame, "ldv").iloc[0]
    assert ldv["n_units"] == 11 and "3 units" in ldv["note"] and "u03, u09, u13" in ldv["note"]
    assert rows_of(frame, "event_study")["n_obs"].unique().tolist() == [115]


def test_units_treated_from_the_first_period_stay_in_did_and_leave_the_others():
    frame = random_frame(8)
    frame.loc[frame["unit"] == "u00", "cohort"] = "2017-08"
    assert "u00" in rows_of(frame, "did")["note"][0] and rows_of(frame, "did")["n_units"][0] == 14
    for name in ("ldv", "event_study"):
        rows = rows_of(frame, name)
        assert rows["n_units"][0] == 13 and "u00" in rows["note"].iloc[-1]
        without = rows_of(frame[frame["unit"] != "u00"], name)
        np.testing.assert_allclose(numbers(rows), numbers(without), rtol=1e-9)


@pytest.mark.parametrize(("labels", "note"), [
    (lambda unit, treated: "one", "1 cluster"),
    (lambda unit, treated: np.where(treated, "t", "c"), "no variation between clusters"),
    (lambda unit, treated: np.where(treated, "t", unit), "one treated cluster"),
])
def test_cluster_levels_that_cannot_carry_an_error_say_so(labels, note):
    frame = random_frame(9, staggered=False)
    rows = rows_of(frame.assign(system=labels(frame["unit"], frame["cohort"].notna())), "did").set_index("cluster")
    assert note in rows.loc["system", "note"]
    assert np.isnan(rows.loc["system", "std_error"]) == (note != "one treated cluster")
    assert rows.loc["unit", "std_error"] > 0


def test_covariance_is_the_sum_of_squared_cluster_sums_times_the_factor():
    influence = np.array([[1.0, 2], [3, -1], [-4, 0], [0, 5]])
    expected = 2 / 1 * 9 / 7 * np.array([[16 + 16, 4 - 20], [4 - 20, 1 + 25.0]])
    np.testing.assert_allclose(clustered_covariance(influence, np.array(["a", "a", "b", "b"]), 10, 3), expected)
    assert small_sample_factor(2, 10, None) == 2
    assert np.isnan(small_sample_factor(1, 10, 3)) and np.isnan(small_sample_factor(5, 3, 3))


def broken(change) -> pd.DataFrame:
    frame = random_frame(10).astype({"cohort": object, "system": object, "outcome": object, "frequency": object})
    return change(frame)


def put(column: str, value: object, unit: str | None = None, period: str | None = None):
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        rows = pd.Series(True, index=frame.index)
        rows &= True if unit is None else frame["unit"] == unit
        rows &= True if period is None else frame["period"] == period
        frame.loc[rows, column] = value
        return frame
    return change


BAD_PANELS = {
    "missing column": (lambda f: f.drop(columns="cohort"), ["cohort"]),
    "no rows": (lambda f: f.head(0), ["found no row"]),
    "two specifications": (lambda f: f.assign(specification=["a", "b"] * (len(f) // 2)), ["specification", "'a', 'b'"]),
    "two frequencies": (put("frequency", "Y", "u02"), ["frequency", "M, Y"]),
    "unknown frequency": (put("frequency", "W"), ["frequency", "'W'"]),
    "bad period": (put("period", "2017/08", period="2017-08"), ["'2017/08'", "2017-06"]),
    "period as a number": (put("period", "201708", period="2017-08"), ["'201708'"]),
    "gap": (lambda f: f[f["period"] != "2018-01"], ["gap", "2017-12", "2018-02", "2018-01"]),
    "duplicate": (lambda f: pd.concat([f, f.iloc[[30]]]), ["u03", "2017-11", "more than one"]),
    "cohort varies": (put("cohort", "2018-01", "u02", "2018-03"), ["cohort", "u02", "2018-01"]),
    "cohort late": (put("cohort", "2025-01", "u02"), ["u02", "2025-01", "2018-04"]),
    "cohort early": (put("cohort", "2011-01", "u02"), ["u02", "2011-01"]),
    "cohort not a period": (put("cohort", "soon", "u02"), ["u02", "'soon'"]),
    "cluster varies": (put("system", "s9", "u05", "2018-03"), ["system", "u05", "s9"]),
    "cluster missing": (put("system", None, "u05"), ["system", "u05"]),
    "unit missing": (put("unit", None, "u05"), ["unit", "row 46"]),
    "text outcome": (put("outcome", "n/a", "u05", "2018-01"), ["outcome", "u05", "2018-01", "'n/a'"]),
    "infinite outcome": (put("outcome", np.inf, "u05", "2018-01"), ["outcome", "u05", "inf"]),
    "no treated": (put("cohort", None), ["treated unit", "none"]),
    "no control": (put("cohort", "2018-01"), ["control", "2018-01"]),
    "no period before": (lambda f: put("cohort", "2017-08")(f[f["unit"] < "u07"]).pipe(
        lambda treated: pd.concat([treated, f[f["unit"] >= "u07"]])), ["before treatment", "2017-08"]),
}


@pytest.mark.parametrize("case", list(BAD_PANELS))
def test_a_panel_that_cannot_be_read_is_refused_in_one_line(case):
    change, words = BAD_PANELS[case]
    with pytest.raises(DidError) as error:
        Panel.from_frame(broken(change), where="dtoc.parquet")
    message = str(error.value)
    assert message.startswith("dtoc.parquet: ") and "\n" not in message and len(message) < 300
    for word in words:
        assert word in message


@pytest.mark.parametrize(("change", "options", "words"), [
    (put("intensity", 0.0, "u03"), {"treatment": "intensity"}, ["intensity", "u03", "0.0"]),
    (put("intensity", 99.0, "u03", "2018-01"), {"treatment": "intensity"}, ["intensity", "u03", "99.0"]),
    (put("wave", -1.0, "u03"), {"weight_column": "wave"}, ["weight", "u00", "2017-08"]),
    (lambda f: f, {"treatment": "dose"}, ["treatment", "binary, intensity", "'dose'"]),
])
def test_bad_doses_weights_and_treatments_are_refused(change, options, words):
    with pytest.raises(DidError) as error:
        Panel.from_frame(broken(change), **options)
    assert all(word in str(error.value) for word in words)


def only(**outcomes) -> pd.DataFrame:
    frame = random_frame(12)
    return frame.assign(**{name: value(frame) for name, value in outcomes.items()})


@pytest.mark.parametrize(("name", "options", "frame", "words"), [
    ("dif", {}, None, ["did", "'dif'", "did you mean 'did'"]),
    ("ldv", {"lag": "all"}, None, ["'lag'", "did you mean 'lags'"]),
    ("ldv", {"lags": "last_9"}, None, ["last_9", "4 periods", "2017-12"]),
    ("ldv", {"lags": "last12"}, None, ["'last12'", "did you mean 'last_12'"]),
    ("ldv", {"lags": "yearly_means"}, None, ["12 periods", "found 4"]),
    ("ldv", {}, random_frame(1).query("unit < 'u03' or unit > 'u10'"), ["more units", "found 6"]),
    ("ldv", {}, random_frame(1, staggered=False).assign(
        outcome=lambda f: f["outcome"].where(f["cohort"].notna())), ["control units", "7 of 14"]),
    ("ldv", {}, only(outcome=lambda f: f["outcome"].where(f["cohort"].isna())), ["treated units", "7 of 14"]),
    ("did", {}, only(outcome=lambda f: f["outcome"].where(f["cohort"].isna())), ["no variation", "63"]),
    ("event_study", {"bin_width": 0}, None, ["bin_width", "0"]),
    ("event_study", {"reference": -9}, None, ["reference", "-6 to 4", "-9"]),
    ("event_study", {}, random_frame(1).query("cohort.notna()"), ["never-treated"]),
])
def test_an_estimate_that_cannot_be_made_is_refused_in_one_line(name, options, frame, words):
    panel = Panel.from_frame(random_frame(12) if frame is None else frame)
    with pytest.raises(DidError) as error:
        estimate(name, panel, **options)
    message = str(error.value)
    assert "\n" not in message and len(message) < 300
    for word in words:
        assert word in message


def test_results_are_the_same_object_type_for_every_name_in_the_registry():
    panel = with_chain(Panel.from_frame(random_frame(13)))
    for name in entries():
        result = estimate(name, panel, **OPTIONS.get(name, {}))
        assert isinstance(result, Result) and result.estimator == name
        assert result.influence.index.equals(panel.units)
        assert result.influence.shape == (14, len(result.parameters)) == result.treated.shape
        np.testing.assert_allclose(result.influence.sum(), 0, atol=1e-9)


@pytest.mark.parametrize("name", ["did", "ldv"])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_estimates_of_many_outcomes_are_those_of_each_fitted_by_itself(name, holes, weighted):
    frame = random_frame(5, n_units=24, staggered=False)
    frame["w"] = frame.groupby("unit")["outcome"].transform("mean").abs() + 1.0
    panel = Panel.from_frame(frame, weight_column="w" if weighted else None)
    outcomes = panel.outcome + np.random.default_rng(1).normal(size=(7, *panel.outcome.shape))
    if holes:
        outcomes[:, 2, 3] = outcomes[:, 20, 8] = np.nan
        panel = dataclasses.replace(panel, outcome=outcomes[0])
    one_by_one = [estimate(name, dataclasses.replace(panel, outcome=outcome), **OPTIONS[name]).estimate
                  for outcome in outcomes]
    assert entry(name).call_repeated(panel, outcomes, **OPTIONS[name]) is not None
    np.testing.assert_allclose(estimates_of(name, panel, outcomes, **OPTIONS[name]), one_by_one, rtol=1e-11)
