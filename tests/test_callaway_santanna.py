"""Group-time effects against R's did 2.5.1, closed forms, invariances, and what cannot be estimated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.diagnostics.group_time_pretest import pretest
from did.diagnostics.pretest_power import event_path
from did.diagnostics.pretrends import leads_of
from did.errors import DidError
from did.estimators import Panel, Result, estimate
from did.estimators.aggregation import aggregate
from did.inference.clustered import clustered_covariance, labels_of, summarise
from golden_files import golden_file, golden_results

CONTROLS = {"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}
POINT, ERROR = 1e-8, 1e-6
few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 10_000)
OPTIONS = [{}, {"base_period": "universal"}, {"control_group": "never_treated"}, {"anticipation": 1},
           {"method": "reg"}, {"method": "ipw"}, {"method": "dr"}]
options = st.sampled_from(OPTIONS)


def golden_frame(data: str, variant: str = "") -> pd.DataFrame:
    """A golden file as a panel table: period t is the year 2000 + t; ``variant`` as the golden ids name it."""
    raw = pd.read_csv(golden_file("data", f"{data}.csv")).rename(
        columns={"year": "time", "year_treated": "g", "x1": "x"})
    raw["g"] = raw["g"].where(raw["g"] < 10_000, 0)
    if variant.startswith("no never"):
        raw = raw[raw["g"] > 0]
    if variant.startswith("g2"):
        raw["g"] = raw["g"].replace({5: 1})
    if variant.startswith("gaps"):
        raw.loc[raw["time"].isin([4, 8]), "y"] = np.nan
    return pd.DataFrame({
        "unit": raw["id"].map("u{:04d}".format), "period": (2000 + raw["time"]).astype(str), "frequency": "Y",
        "outcome": raw["y"], "cohort": (2000 + raw["g"]).astype(str).where(raw["g"] > 0), "x": raw["x"],
        "w": raw.get("w", 1.0),
    })


def golden_cases() -> list:
    """Every result of did in the golden files: file, position, identity."""
    return [
        pytest.param(data, number, id=f"{data}-{entry['id']}")
        for data in ("sim_40x12", "base_stagg", "sim_149x107")
        for number, entry in enumerate(golden_results(f"{data}_did"))
    ]


def golden_result(data: str, number: int) -> tuple[Panel, Result, dict]:
    """Our result of the settings a golden identity names, and R's."""
    entry = golden_results(f"{data}_did")[number]
    parts = entry["id"].split("|")
    variant = "" if parts[0].startswith("x=") else parts.pop(0)
    setting = dict(part.split("=") for part in parts)
    panel = Panel.from_frame(golden_frame(data, variant), cluster_columns=(), covariate_columns=["x"],
                             weight_column="w" if variant.startswith("weighted") else None)
    result = estimate("callaway_santanna", panel, control_group=CONTROLS[setting["control"]],
                      base_period=setting["base"], anticipation=int(setting["anticip"]),
                      method="unconditional" if setting["x"] == "none" else setting["est"])
    return panel, result, entry["value"]


def errors(result: Result) -> np.ndarray:
    """Errors by R's rule, NaN for a reference."""
    size = np.sqrt((result.influence.to_numpy() ** 2).sum(axis=0))
    return np.where(size > 0, size, np.nan)


@pytest.mark.parametrize(("data", "number"), golden_cases())
def test_group_time_effects_and_errors_equal_r(data, number):
    panel, result, theirs = golden_result(data, number)
    cells = theirs["att_gt"]
    assert [int(text) - 2000 for text in result.parameters["cohort"]] == cells["group"]
    assert [int(text) - 2000 for text in result.parameters["period"]] == cells["t"]
    np.testing.assert_allclose(result.estimate, np.array(cells["att"], float), rtol=POINT, atol=1e-11)
    np.testing.assert_allclose(errors(result), np.array(cells["se"], float), rtol=ERROR)
    assert result.n_units == theirs["n"]
    assert list(result.parameters["event_time"]) == [t - g for g, t in zip(cells["group"], cells["t"],
                                                                            strict=True)]


def test_the_covariance_of_all_cells_equals_r():
    panel, result, theirs = golden_result("sim_40x12", 0)
    influence = result.influence.to_numpy()
    np.testing.assert_allclose(influence.T @ influence, np.array(theirs["V_analytical_over_n"], float),
                               rtol=ERROR, atol=1e-12)


def test_intervals_are_normal_without_a_small_sample_factor_as_r():
    panel, result, theirs = golden_result("sim_40x12", 0)
    rows = summarise(result, panel)
    half = theirs["crit_val"] * np.array(theirs["att_gt"]["se"])
    np.testing.assert_allclose(rows["ci_high"] - rows["estimate"], half, rtol=ERROR)
    np.testing.assert_allclose(rows["std_error"], theirs["att_gt"]["se"], rtol=ERROR)
    assert rows["df"].isna().all() and rows["n_parameters"].isna().all()


def random_frame(seed: int, *, n_units: int = 30, n_periods: int = 8) -> pd.DataFrame:
    """Months over New Year: cohorts 2017-11 and 2018-01, never treated, covariate x, 6 systems."""
    generator = np.random.default_rng(seed)
    periods = pd.period_range("2017-08", periods=n_periods, freq="M").astype(str)
    cohorts = [[periods[3], periods[5], None][unit % 3] for unit in range(n_units)]
    return pd.concat([
        pd.DataFrame({
            "unit": f"u{unit:02d}", "period": periods, "frequency": "M", "cohort": cohorts[unit],
            "outcome": generator.normal(50, 10) + generator.normal(0, 2, n_periods).cumsum(),
            "x": generator.normal(), "system": f"s{unit % 6}",
        })
        for unit in range(n_units)
    ], ignore_index=True)


def panel_of(frame: pd.DataFrame, **more) -> Panel:
    return Panel.from_frame(frame, covariate_columns=["x"], **more)


def panel_of_outcomes(outcome: np.ndarray, starts: np.ndarray) -> Panel:
    """The (units, months) ``outcome``, treated from the position ``starts``; the number of months for never."""
    n_units, n_periods = outcome.shape
    periods = pd.period_range("2017-01", periods=n_periods, freq="M").astype(str)
    cohorts = np.append(periods.to_numpy(dtype=object), None)[starts]
    return Panel.from_frame(pd.DataFrame({
        "unit": np.repeat([f"u{unit:03d}" for unit in range(n_units)], n_periods), "frequency": "M",
        "period": np.tile(periods, n_units), "outcome": outcome.ravel(), "cohort": np.repeat(cohorts, n_periods),
    }), cluster_columns=())


def numbers(frame: pd.DataFrame, option: dict, **more) -> np.ndarray:
    panel = panel_of(frame, **more)
    rows = summarise(estimate("callaway_santanna", panel, **option), panel)
    return rows[["estimate", "std_error", "p_value"]].to_numpy(float)


@few
@given(seeds, options)
def test_order_of_rows_does_not_matter_and_input_is_not_changed(seed, option):
    frame = random_frame(seed)
    before = frame.copy(deep=True)
    expected = numbers(frame, option)
    np.testing.assert_array_equal(numbers(frame.sample(frac=1, random_state=seed), option), expected)
    pd.testing.assert_frame_equal(frame, before)


@few
@given(seeds, options)
def test_estimating_does_not_change_the_panel(seed, option):
    panel = panel_of(random_frame(seed))
    outcome, x, first = panel.outcome.copy(), panel.covariates["x"].copy(), panel.treated_from.copy()
    estimate("callaway_santanna", panel, **option)
    np.testing.assert_array_equal(panel.outcome, outcome)
    np.testing.assert_array_equal(panel.covariates["x"], x)
    np.testing.assert_array_equal(panel.treated_from, first)


@few
@given(seeds, options)
def test_relabelling_units_changes_nothing(seed, option):
    frame = random_frame(seed)
    other = frame.assign(unit="z" + (99 - frame["unit"].str[1:].astype(int)).astype(str))
    np.testing.assert_allclose(numbers(other, option), numbers(frame, option), rtol=1e-7, atol=1e-10)


@few
@given(seeds, options, st.floats(-1e3, 1e3))
def test_unit_and_period_constants_change_nothing(seed, option, constant):
    frame = random_frame(seed)
    shift = constant * frame["unit"].str[1:].astype(int) + constant * frame["period"].str[-2:].astype(int)
    shifted = frame.assign(outcome=frame["outcome"] + shift)
    np.testing.assert_allclose(numbers(shifted, option), numbers(frame, option), rtol=1e-5, atol=1e-7)


@few
@given(seeds, options, st.sampled_from([-3.0, 1e-6, 1e6]))
def test_scaling_the_outcome_scales_estimates_and_errors(seed, option, scale):
    frame = random_frame(seed)
    ours, scaled = numbers(frame, option), numbers(frame.assign(outcome=scale * frame["outcome"]), option)
    np.testing.assert_allclose(scaled[:, 0], scale * ours[:, 0], rtol=1e-7)
    np.testing.assert_allclose(scaled[:, 1], abs(scale) * ours[:, 1], rtol=1e-7)


@few
@given(seeds, options)
def test_a_cohort_far_in_the_future_is_never_treated_in_the_window(seed, option):
    frame = random_frame(seed)
    later = frame.assign(cohort=frame["cohort"].fillna("2031-05"))
    np.testing.assert_array_equal(numbers(later, option, later_cohorts="never_treated_in_window"),
                                  numbers(frame, option))
    with pytest.raises(DidError, match="2031-05"):
        panel_of(later)


@few
@given(seeds)
def test_varying_and_universal_base_agree_after_treatment_and_differ_before(seed):
    panel = panel_of(random_frame(seed))
    varying, universal = (estimate("callaway_santanna", panel, base_period=base)
                          for base in ("varying", "universal"))

    def series(result):
        return pd.Series(result.estimate, index=pd.MultiIndex.from_frame(
            result.parameters[["cohort", "period", "event_time"]]))

    both = pd.concat([series(varying), series(universal)], axis=1, join="inner")
    after = both.index.get_level_values("event_time") >= 0
    np.testing.assert_array_equal(both[after][0], both[after][1])
    assert (both[~after][0] != both[~after][1]).any()


def test_one_cell_is_the_difference_of_mean_changes():
    frame = random_frame(1)
    wide = frame.pivot(index="unit", columns="period", values="outcome")
    cohort = frame.groupby("unit")["cohort"].first()
    change = wide["2018-02"] - wide["2017-10"]
    expected = change[cohort == "2017-11"].mean() - change[cohort.isna()].mean()
    result = estimate("callaway_santanna", panel_of(frame), control_group="never_treated")
    chosen = (result.parameters["cohort"] == "2017-11") & (result.parameters["period"] == "2018-02")
    assert result.estimate[chosen.to_numpy()] == pytest.approx([expected], rel=1e-12)


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
def test_a_covariate_of_copies_gives_the_difference_within_its_values_reweighted(method):
    """With a saturated (0/1) covariate every method is the cell-by-cell difference, weighted by the treated."""
    frame = random_frame(3, n_units=60)
    frame["x"] = (frame["unit"].str[1:].astype(int) // 3 % 2).astype(float)
    wide = frame.pivot(index="unit", columns="period", values="outcome")
    one = frame.groupby("unit")[["cohort", "x"]].first()
    change = wide["2017-12"] - wide["2017-10"]
    treated, control = one["cohort"] == "2017-11", one["cohort"].isna()
    share = one.loc[treated, "x"].value_counts(normalize=True)
    expected = sum(share[v] * (change[treated & (one["x"] == v)].mean() - change[control & (one["x"] == v)].mean())
                   for v in share.index)
    result = estimate("callaway_santanna", panel_of(frame), control_group="never_treated", method=method)
    chosen = (result.parameters["cohort"] == "2017-11") & (result.parameters["period"] == "2017-12")
    assert result.estimate[chosen.to_numpy()] == pytest.approx([expected], rel=1e-6)


def test_weights_equal_to_copies_of_units_give_the_estimates_of_the_copies():
    frame = random_frame(4)
    copies = frame["unit"].str[1:].astype(int) % 3 + 1
    many = pd.concat([frame[copies > k].assign(unit=frame["unit"] + f"_{k}") for k in range(3)])
    for method in ("unconditional", "reg", "dr"):
        weighted = estimate("callaway_santanna", panel_of(frame.assign(w=copies), weight_column="w"),
                            method=method)
        copied = estimate("callaway_santanna", panel_of(many), method=method)
        np.testing.assert_allclose(weighted.estimate, copied.estimate, rtol=1e-6)


def test_errors_above_the_unit_are_sums_of_influence():
    panel = panel_of(random_frame(5))
    result = estimate("callaway_santanna", panel)
    rows = summarise(result, panel)
    sums = result.influence.groupby(labels_of(result, panel, "system")).sum().to_numpy()
    np.testing.assert_allclose(rows.loc[rows["cluster"] == "system", "std_error"],
                               np.sqrt((sums**2).sum(axis=0)), rtol=1e-12)
    covariance = clustered_covariance(result.influence, labels_of(result, panel, "unit"), result.n_obs, None)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance) * 29 / 30), errors(result), rtol=1e-12)


def test_a_missing_outcome_is_trimmed_with_its_unit_or_used_pairwise():
    frame = random_frame(6)
    hole = (frame["unit"] == "u04") & (frame["period"] == "2018-03")
    holed = frame.assign(outcome=frame["outcome"].mask(hole))
    trimmed = estimate("callaway_santanna", panel_of(holed))
    assert "1 unit without an outcome" in trimmed.note and "u04" in trimmed.note
    without = estimate("callaway_santanna", panel_of(frame[frame["unit"] != "u04"]))
    np.testing.assert_array_equal(trimmed.estimate, without.estimate)
    for method in ("unconditional", "dr"):
        pairwise = estimate("callaway_santanna", panel_of(holed), unbalanced="pairwise", method=method)
        full, reduced = (estimate("callaway_santanna", panel_of(one), method=method)
                         for one in (frame, frame[frame["unit"] != "u04"]))
        at_hole = (pairwise.parameters["period"] == "2018-03").to_numpy()
        cohort_of_hole = frame.loc[hole, "cohort"].iloc[0]
        mine = (pairwise.parameters["cohort"] == cohort_of_hole).to_numpy()
        np.testing.assert_allclose(pairwise.estimate[at_hole & mine], reduced.estimate[at_hole & mine], rtol=1e-9)
        np.testing.assert_allclose(pairwise.estimate[~at_hole], full.estimate[~at_hole], rtol=1e-9)
        assert pairwise.n_obs == trimmed.n_obs + 7


def test_a_gap_in_the_periods_is_refused_and_an_empty_period_is_bridged_by_the_one_before():
    frame = random_frame(7)
    with pytest.raises(DidError, match="add 2017-10"):
        panel_of(frame[frame["period"] != "2017-10"])
    result = estimate("callaway_santanna",
                      panel_of(frame.assign(outcome=frame["outcome"].mask(frame["period"] == "2017-10"))))
    assert "no outcome in 2017-10" in result.note
    assert "2017-10" not in set(result.parameters["period"])
    assert -1 not in set(result.parameters.loc[result.parameters["cohort"] == "2017-11", "event_time"])


def test_two_periods_one_cohort_is_the_two_by_two_difference():
    frame = random_frame(8)
    two = frame[frame["period"].isin(["2017-10", "2017-11"])].assign(
        cohort=frame["cohort"].where(frame["cohort"] == "2017-11"))
    result = estimate("callaway_santanna", panel_of(two))
    regression = estimate("did", panel_of(two))
    assert len(result.estimate) == 1
    assert result.estimate[0] == pytest.approx(regression.estimate[0], rel=1e-10)


def test_a_cohort_of_one_unit_is_estimated_and_noted():
    frame = random_frame(9)
    alone = frame[(frame["cohort"] != "2018-01").fillna(True) | (frame["unit"] == "u01")]
    result = estimate("callaway_santanna", panel_of(alone))
    of_one = result.parameters["cohort"] == "2018-01"
    assert result.parameters.loc[of_one, "note"].str.startswith("one treated unit").all()
    assert (result.parameters.loc[~of_one, "note"] == "").all()


def test_a_covariate_constant_within_the_controls_leaves_regression_cells_unidentified():
    frame = random_frame(10)
    flat = frame.assign(x=frame["x"].where(frame["cohort"].notna(), 1.0))
    result = estimate("callaway_santanna", panel_of(flat), method="reg")
    cells = result.parameters
    # The other cohort is a control too, and varies, until it is treated.
    late = (cells["period"] >= "2018-01") | ((cells["cohort"] == "2018-01") & (cells["period"] >= "2017-11"))
    assert np.isnan(result.estimate[late.to_numpy()]).all()
    assert (result.parameters.loc[late, "note"]
            == "covariate x is constant (collinear) among the controls").all()
    average = aggregate(result, panel_of(flat))
    assert average.note == (f"{late.sum()} of {len(late)} cells not identified and left out of averages (covariate x "
                            "is constant (collinear) among the controls)")
    assert np.isfinite(result.estimate[~late.to_numpy()]).all()
    rows = summarise(result, panel_of(flat))
    assert rows.loc[rows["estimate"].isna(), "std_error"].isna().all()


def test_units_treated_too_early_are_left_out_by_name():
    frame = random_frame(11)
    early = frame.assign(cohort=frame["cohort"].replace("2017-11", "2017-08"))
    result = estimate("callaway_santanna", panel_of(early))
    assert "no period before treatment, left out: cohort 2017-08 (u00, u03, " in result.note
    assert set(result.parameters["cohort"]) == {"2018-01"}


@pytest.mark.parametrize(("change", "option", "words"), [
    ({}, {"control_group": "nevr_treated"}, "did you mean 'never_treated'"),
    ({}, {"base_period": "first"}, "base_period"),
    ({}, {"method": "ols"}, "method"),
    ({}, {"anticipation": -1}, "anticipation: expected a whole number"),
    ({"cohort": lambda f: f["cohort"].fillna("2018-03")}, {"control_group": "never_treated"},
     "expected units never treated"),
    ({"x": lambda f: f["cohort"].notna() * 1e3 + f["x"]}, {"method": "ipw", "control_group": "never_treated"},
     "covariate x separates the treated"),
    ({"cohort": lambda f: f["cohort"].where(f["cohort"].isna(), "2017-08")}, {}, "period before treatment"),
    ({"cohort": "2017-11"}, {}, "all 30 units first treated"),
    ({"cohort": lambda f: f["cohort"].where(f["period"] < "2018-01", "2018-01")}, {}, "same value in every"),
    ({"outcome": lambda f: f["outcome"].mask(f["period"] == f["unit"].str[1:].astype(int).map(
        lambda n: f["period"].unique()[n % 8]))}, {}, "expected a treated unit"),
])
def test_what_cannot_be_estimated_is_one_line(change, option, words):
    frame = random_frame(12).assign(**change)
    with pytest.raises(DidError, match=words) as caught:
        estimate("callaway_santanna", panel_of(frame), **option)
    assert "\n" not in str(caught.value)


def test_duplicates_and_doses_are_refused():
    frame = random_frame(13)
    with pytest.raises(DidError, match="more than one"):
        panel_of(pd.concat([frame, frame.iloc[[3]]]))
    dosed = panel_of(frame.assign(intensity=frame["cohort"].notna() * 3.0), treatment="intensity")
    with pytest.raises(DidError, match="treatment: expected binary"):
        estimate("callaway_santanna", dosed)


FLAT = {
    "one value": lambda f: 0.1 + 0 * f["x"],
    "one value a period": lambda f: f["period"].str[-2:].astype(float),
    "one value a cohort": lambda f: f["cohort"].map({"2017-11": 1.1, "2018-01": -2.3}).fillna(0.1),
    "one value a cohort and period": lambda f: (f["cohort"].notna() + 0.1) * f["period"].str[-2:].astype(float),
}


@pytest.mark.parametrize("shape", list(FLAT))
@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
@pytest.mark.parametrize("control_group", ["not_yet_treated", "never_treated"])
def test_a_covariate_without_variation_within_cohorts_is_named(shape, method, control_group):
    frame = random_frame(14, n_units=90)
    with pytest.raises(DidError, match="^callaway_santanna: covariate 'x': expected values that differ") as caught:
        estimate("callaway_santanna", panel_of(frame.assign(x=FLAT[shape])), method=method,
                 control_group=control_group)
    assert ("one value per cohort" in str(caught.value)) == shape.startswith("one value a cohort")


def test_a_covariate_constant_in_the_treated_cohorts_alone_is_used():
    frame = random_frame(14)
    result = estimate("callaway_santanna", panel_of(frame.assign(x=frame["x"].where(frame["cohort"].isna(), 0.0))),
                      method="reg", control_group="never_treated")
    assert np.isfinite(result.estimate).all()


@pytest.mark.parametrize("method", ["reg", "ipw", "dr"])
def test_a_covariate_collinear_with_others_is_named(method):
    frame = random_frame(15).assign(z=lambda f: 3 * f["x"] - 1e3)
    with pytest.raises(DidError, match="covariate z is collinear with x; leave one out"):
        estimate("callaway_santanna", Panel.from_frame(frame, covariate_columns=["x", "z"]), method=method)


def test_cells_with_too_few_controls_for_the_covariates_say_so():
    frame = random_frame(16, n_units=12).assign(z=lambda f: f["unit"].str[1:].astype(int) ** 2.0)
    few = frame[frame["cohort"].notna() | frame["unit"].isin(["u02", "u05"])]
    with pytest.raises(DidError, match="2 units among the controls are too few for a constant and covariates x, z"):
        estimate("callaway_santanna", Panel.from_frame(few, covariate_columns=["x", "z"]), method="reg",
                 control_group="never_treated")


def test_a_covariate_far_from_zero_counts_as_one():
    frame = random_frame(17)
    for method in ("reg", "dr"):
        near, far = (estimate("callaway_santanna", panel_of(frame.assign(x=frame["x"] + shift)), method=method)
                     for shift in (0, 1e6))
        np.testing.assert_allclose(far.estimate, near.estimate, rtol=1e-4)


@pytest.mark.parametrize("anticipation", [0, 1, 2, 3])
@pytest.mark.parametrize("gap", [None, 4])
def test_periods_of_anticipation_have_the_base_of_those_from_treatment_on(anticipation, gap):
    """Varying from before the anticipation, else the last period before it: there both bases give the same cells."""
    starts, outcome = np.repeat([6, 8, 12], 10), np.random.default_rng(5).normal(size=(30, 12))
    observed = [at for at in range(12) if at != gap]
    outcome[:, [at for at in range(12) if at not in observed]] = np.nan
    panel = panel_of_outcomes(outcome, starts)
    varying = estimate("callaway_santanna", panel, control_group="never_treated", anticipation=anticipation)
    for row, value in zip(varying.parameters.itertuples(), varying.estimate, strict=True):
        at = panel.periods.get_loc(row.period)
        last = at if row.event_time < -anticipation else at - row.event_time - anticipation
        base = max(earlier for earlier in observed if earlier < last)
        change = outcome[:, at] - outcome[:, base]
        assert value == pytest.approx(change[starts == at - row.event_time].mean() - change[starts == 12].mean())


def test_declared_anticipation_is_found_and_does_not_fail_the_pretest():
    """An effect of 1 in the two periods before treatment and of 2 from it on, parallel trends otherwise."""
    rejected = 0
    for seed in range(20):
        generator, n_units, n_periods, start = np.random.default_rng(seed), 60, 8, 5
        event_time = np.arange(n_periods) - start
        effect = np.select([event_time >= 0, event_time >= -2], [2.0, 1.0], 0.0)
        treated = np.arange(n_units) < 30
        outcome = generator.normal(scale=0.2, size=(n_units, n_periods)) + treated[:, None] * effect
        panel = panel_of_outcomes(outcome, np.where(treated, start, n_periods))
        result = estimate("callaway_santanna", panel, anticipation=2)
        found = aggregate(result, panel, "event_time")
        at = dict(zip(found.parameters["event_time"].dropna(), found.estimate, strict=False))
        assert [at[time] for time in (-2, -1, 0)] == pytest.approx([1, 1, 2], abs=0.25)
        tested = pretest(result, panel).iloc[0]
        rejected += tested["p_value"] < 0.05
        # What is not declared is detected by the same effects.
        assert pretest(estimate("callaway_santanna", panel), panel).iloc[0]["p_value"] < 0.001
    assert rejected <= 4


def test_cohorts_that_anticipation_leaves_without_a_base_or_an_effect_are_listed():
    frame = random_frame(18)
    early = frame.assign(cohort=frame["cohort"].replace("2017-11", "2017-09"))
    result = estimate("callaway_santanna", panel_of(early), anticipation=1)
    assert ("no period before treatment and 1 of anticipation, left out: cohort 2017-09 (u00, u03, u06, u09, u12 and 5 "
            "more)") in result.note
    assert set(result.parameters["cohort"]) == {"2018-01"}
    late = frame.assign(cohort=frame["cohort"].fillna("2018-02"))
    result = estimate("callaway_santanna", panel_of(late), anticipation=1)
    assert "cohort 2018-02 serves as control and 2018-01 and later are left out" in result.note
    assert "no period from treatment on is left, effects before it only: cohort 2018-01 (u01, u04, " in result.note
    assert (result.parameters.query("cohort == '2018-01'")["event_time"] < 0).all()


@pytest.mark.parametrize("name", ["callaway_santanna", "sun_abraham"])
def test_shares_of_exposure_are_not_used_and_said(name):
    frame = random_frame(19).assign(share=lambda f: f["cohort"].notna() * 0.5)
    whole = estimate(name, Panel.from_frame(frame))
    shares = estimate(name, Panel.from_frame(frame, exposure_column="share"))
    np.testing.assert_array_equal(shares.estimate, whole.estimate)
    said = "the dose is not used: effects are per treated unit"
    assert said in shares.note and said not in whole.note


@pytest.mark.parametrize("name", ["did", "event_study", "imputation", "stacked"])
def test_other_estimators_give_effects_per_unit_of_dose(name):
    frame = random_frame(19).assign(share=lambda f: f["cohort"].notna() * 0.5)
    whole, shares = (estimate(name, Panel.from_frame(frame, exposure_column=column)) for column in (None, "share"))
    np.testing.assert_allclose(shares.estimate, 2 * whole.estimate, rtol=1e-10, atol=1e-12)


def test_two_units_have_estimates_and_no_error():
    frame = random_frame(20, n_units=3)
    panel = Panel.from_frame(frame[frame["unit"] != "u01"], cluster_columns=())
    cells = estimate("callaway_santanna", panel)
    for result in (cells, aggregate(cells, panel), estimate("imputation", panel)):
        rows = summarise(result, panel)
        assert np.isfinite(rows["estimate"]).all() and rows["std_error"].isna().all()


# The pre-test -------------------------------------------------------------------------------------------------


# R's did 2.5.1 tests the anticipated cells too, later releases do not: the test after this one is of those.
@pytest.mark.parametrize(("data", "number"), [case for case in golden_cases() if "anticip=0" in case.id])
def test_the_pretest_equals_r_and_is_skipped_where_r_has_none(data, number):
    panel, result, theirs = golden_result(data, number)
    row, expected = pretest(result, panel).iloc[0], theirs["pretest"]
    if expected["wald"] is None:
        assert row["status"] == "skipped" and np.isnan(row["statistic"])
        assert f"{expected['df']} cells" in row["reason"]
    else:
        assert row["status"] == "done" and row["df"] == expected["df"]
        assert row["statistic"] == pytest.approx(expected["wald"], rel=ERROR)
        assert row["p_value"] == pytest.approx(expected["p"], rel=ERROR)


@pytest.mark.parametrize("anticipation", [0, 1, 2])
def test_with_anticipation_the_pretest_is_that_of_r_cells_before_it(anticipation):
    """Against never-treated controls a change from one period to the next does not depend on the anticipation."""
    panel, _, theirs = golden_result("sim_40x12", 0)
    result = estimate("callaway_santanna", panel, control_group="never_treated", anticipation=anticipation)
    cells = theirs["att_gt"]
    before = np.array(cells["t"]) - np.array(cells["group"]) < -anticipation
    effect, covariance = np.array(cells["att"])[before], np.array(theirs["V_analytical_over_n"])[np.ix_(before, before)]
    row = pretest(result, panel).iloc[0]
    assert (row["status"], row["df"]) == ("done", before.sum())
    assert row["statistic"] == pytest.approx(effect @ np.linalg.solve(covariance, effect), rel=ERROR)


def test_a_pretest_of_no_fewer_cells_than_treated_clusters_is_skipped():
    """As of the leads of the event study: the covariance holds the noise of the controls alone in some directions."""
    outcome = np.random.default_rng(3).normal(size=(60, 9))
    for n_treated, status in ((6, "skipped"), (7, "skipped"), (8, "done")):
        panel = panel_of_outcomes(outcome, np.where(np.arange(60) < n_treated, 8, 9))
        row = pretest(estimate("callaway_santanna", panel), panel).iloc[0]
        assert row["status"] == status
        if status == "skipped":
            assert row["reason"] == f"{n_treated} treated clusters for 7 cells: the joint test would over-reject"


def test_the_pretest_of_one_cell_is_its_squared_z():
    frame = random_frame(21)
    two = frame[frame["period"].isin(["2017-09", "2017-10", "2017-11"])].assign(
        cohort=frame["cohort"].where(frame["cohort"] == "2017-11"))
    panel = panel_of(two)
    result = estimate("callaway_santanna", panel)
    rows = summarise(result, panel).query("event_time == -1").reset_index(drop=True)
    tested = pretest(result, panel)
    assert list(tested["diagnostic"]) == ["group_time_pretest"] * 2 and (tested["df"] == 1).all()
    np.testing.assert_allclose(tested["statistic"], (rows["estimate"] / rows["std_error"]) ** 2)
    np.testing.assert_allclose(tested["p_value"], rows["p_value"])


def test_the_pretest_without_cells_or_clusters_is_skipped_with_its_reason():
    frame = random_frame(22)
    panel = panel_of(frame)
    by_unit, by_system = pretest(estimate("callaway_santanna", panel), panel).itertuples()
    assert by_unit.status == "done" and by_unit.caveat == "few_treated_clusters"
    assert by_system.status == "skipped"
    assert by_system.reason == "6 cells and 6 clusters: no joint test of more cells than clusters"
    short = panel_of(frame[frame["period"].between("2017-10", "2017-12")].assign(
        cohort=frame["cohort"].where(frame["cohort"] == "2017-11")))
    rows = pretest(estimate("callaway_santanna", short), short)
    assert (rows["reason"] == "no cell before treatment has an error").all()
    with pytest.raises(DidError, match="att_gt"):
        pretest(estimate("did", panel), panel)


@pytest.mark.parametrize("anticipation", [0, 1, 2])
@pytest.mark.parametrize("base_period", ["varying", "universal"])
def test_anticipated_periods_are_no_leads_in_any_test(anticipation, base_period):
    outcome = np.random.default_rng(8).normal(size=(80, 10))
    panel = panel_of_outcomes(outcome, np.repeat([7, 10], 40))
    result = estimate("callaway_santanna", panel, base_period=base_period, anticipation=anticipation)
    averages = aggregate(result, panel, "event_time")
    first = -7 if base_period == "universal" else -6
    # `leads_of` counts from the reference period that a universal base has
    leads = range(first, -1 - anticipation)
    row = leads_of(averages, panel).iloc[0]
    assert (row["diagnostic"], row["df"]) == ("joint_leads_callaway_santanna", len(leads))
    path = event_path(averages, panel, "unit")
    last = -1 - anticipation if base_period == "universal" else -anticipation
    assert path.event_time[path.leads].tolist() == list(range(first, last))
    assert path.event_time[~path.leads].tolist() == [0, 1, 2]
