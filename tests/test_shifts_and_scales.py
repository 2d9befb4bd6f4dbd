"""What a constant, a unit of measure and rounding may not change, and what a side without rows may not give."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest

from did.diagnostics.alternatives import jackknife, without_each_cluster
from did.diagnostics.estimate_rows import estimate_rows
from did.diagnostics.few_clusters import few_cluster_rows
from did.diagnostics.group_time_pretest import pretest
from did.diagnostics.imputation_leads import imputation_leads
from did.diagnostics.pretest_power import event_path
from did.diagnostics.pretrends import pretrend_rows
from did.errors import DidError
from did.estimators import estimate
from did.estimators.aggregation import KINDS, aggregate
from did.estimators.base import Panel, root_sum_squares
from did.estimators.within import identified_columns, independent_columns
from did.inference.clustered import summarise
from did.inference.randomisation import randomisation
from did.readers.panel_columns import Columns
from did.stages.estimate import run
from test_estimators_properties import random_frame

BOTH = {"covariates": ["x", "z"]}
METHODS = [("callaway_santanna", {"method": method}) for method in ("reg", "ipw", "dr")]
FITS = [("did", {}), ("did", BOTH), ("event_study", {}), ("event_study", BOTH), ("ldv", {"lags": "all"}),
        ("ldv_ridge", {}), ("ldv_ridge", {"shrinkage": "components", "strength": 1}),
        ("callaway_santanna", {}), *METHODS, ("sun_abraham", {"covariates": []}), ("sun_abraham", BOTH),
        ("imputation", {}), ("imputation", BOTH), ("imputation_leads", {}), ("stacked", {}),
        ("rolling", {}), ("rolling", {"transformation": "detrend"}), ("rolling", BOTH),
        ("local_projections", {}), ("local_projections", {"weighting": "equal", "base_window": "all"}), ("etwfe", {}),
        ("etwfe", {"effects": "cohort"}), ("dechaisemartin_dhaultfoeuille", {})]
SHIFTS, SCALES = (1e6, 1e10, 1e12), (1e-160, 1e-12, 1e12, 1e200)
fits = pytest.mark.parametrize(("name", "options"), FITS, ids=lambda value: str(value))
gaps = pytest.mark.parametrize("with_gaps", [False, True])


def panel_of(*, with_gaps: bool) -> Panel:
    """24 units, two covariates that vary freely; with gaps also weights and 15 outcomes that are missing."""
    generator = np.random.default_rng(0)
    frame = random_frame(3, n_units=24)
    frame["x"] = generator.normal(size=len(frame))
    frame["z"] = generator.normal(size=len(frame)) + 0.1 * frame["x"]
    if not with_gaps:
        return Panel.from_frame(frame, covariate_columns=["x", "z"])
    frame.loc[generator.choice(len(frame), 15, replace=False), "outcome"] = np.nan
    frame["w"] = frame["unit"].str[1:].astype(int) % 3 + 1.0
    return Panel.from_frame(frame, covariate_columns=["x", "z"], weight_column="w")


def moved(panel: Panel, *, add: float = 0.0, times: float = 1.0, covariates: tuple[str, ...] = ()) -> Panel:
    """The panel with the outcome, or the covariates named, times a number plus a number."""
    if not covariates:
        return dataclasses.replace(panel, outcome=panel.outcome * times + add)
    return dataclasses.replace(panel, covariates={
        name: values * times + add if name in covariates else values for name, values in panel.covariates.items()})


def numbers(panel: Panel, name: str, options: dict, unit: float = 1.0) -> np.ndarray:
    """Estimates and errors in units of ``unit``, and p-values."""
    if name == "callaway_santanna" and panel.weight is not None:
        options = options | {"unbalanced": "pairwise"}
    rows = summarise(estimate(name, panel, **options), panel)[["estimate", "std_error", "p_value"]]
    return rows.to_numpy(float) / [unit, unit, 1.0]


def close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-3 * tolerance)


@fits
@gaps
def test_a_constant_added_to_outcome_or_covariates_changes_nothing(name, options, with_gaps):
    panel = panel_of(with_gaps=with_gaps)
    expected = numbers(panel, name, options)
    for add in SHIFTS:
        # Numbers this large are themselves rounded to about 1e-16 of their size.
        close(numbers(moved(panel, add=add), name, options), expected, 2e-14 * add)
        close(numbers(moved(panel, add=add, covariates=("x", "z")), name, options), expected, 2e-14 * add)


@fits
@gaps
def test_the_unit_of_measure_of_outcome_and_covariates_does_not_matter(name, options, with_gaps):
    panel = panel_of(with_gaps=with_gaps)
    expected = numbers(panel, name, options)
    for times in SCALES:
        both = moved(moved(panel, times=times), times=1 / times, covariates=("x", "z"))
        close(numbers(moved(panel, times=times), name, options, times), expected, 1e-7)
        close(numbers(moved(panel, times=times, covariates=("x",)), name, options), expected, 1e-7)
        close(numbers(both, name, options, times), expected, 1e-7)


def test_intensities_and_weights_of_any_size_give_effects_per_unit_of_them():
    frame = random_frame(3, n_units=24).assign(w=1.0)
    panel = Panel.from_frame(frame, treatment="intensity", weight_column="w")
    for name in ("did", "event_study", "imputation", "stacked", "dechaisemartin_dhaultfoeuille"):
        expected = numbers(panel, name, {})
        for times in SCALES:
            close(numbers(dataclasses.replace(panel, dose=panel.dose * times), name, {}, 1 / times), expected, 1e-7)
            close(numbers(dataclasses.replace(panel, weight=panel.weight * times), name, {}), expected, 1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("add", "times"), [(1e12, 1.0), (0.0, 1e200), (0.0, 1e-160)])
def test_averages_of_group_time_effects_follow_shifts_and_scales(kind, add, times):
    def averaged(panel: Panel) -> np.ndarray:
        rows = summarise(aggregate(estimate("callaway_santanna", panel), panel, kind), panel)
        return rows[["estimate", "std_error"]].to_numpy(float)

    panel = panel_of(with_gaps=False)
    close(averaged(moved(panel, add=add, times=times)) / times, averaged(panel), 1e-7 + 2e-14 * add)


def diagnosed(panel: Panel) -> pd.DataFrame:
    """p-values, statistics and reasons of every test of a panel that is not built on variances themselves."""
    options = {"did": {}, "ldv": {"lags": "last_2"}}
    variants = without_each_cluster(panel, "unit", {})
    left_out = estimate_rows("leave_one_out", variants, original=panel, estimators=["did"], options=options)
    by_unit = left_out[left_out["cluster"] == "unit"]
    return pd.concat([
        pretrend_rows(panel, bin_width=2),
        imputation_leads(panel, n_leads=2),
        pretest(estimate("callaway_santanna", panel), panel),
        few_cluster_rows(panel, "unit", estimators=["did", "ldv"], options=options, draws=99, seed=1),
        jackknife(by_unit.to_dict("records"), float(estimate("did", panel).estimate[0]), panel, "unit"),
    ], ignore_index=True)


@pytest.mark.parametrize(("add", "times"), [(1e12, 1.0), (0.0, 1e200), (0.0, 1e-160)])
def test_diagnostics_follow_shifts_and_scales(add, times):
    panel = panel_of(with_gaps=False)
    expected, found = diagnosed(panel), diagnosed(moved(panel, add=add, times=times))
    assert (expected["status"] == "done").sum() > 8
    pd.testing.assert_series_equal(found["status"], expected["status"])
    for column, unit in {"p_value": 1.0, "statistic": 1.0, "value": times, "std_error": times, "ci_low": times}.items():
        # wild bootstrap intervals are found by halving
        close(found[column].to_numpy(float) / unit, expected[column].to_numpy(float), 1e-5 + 1e-12 * add)


@pytest.mark.parametrize("statistic", ["studentised", "estimate"])
@pytest.mark.parametrize("estimator", ["did", "ldv"])
def test_randomisation_follows_shifts_and_scales(statistic, estimator):
    panel = panel_of(with_gaps=False)
    options = {"estimator": estimator, "statistic": statistic, "level": "unit", "draws": 99, "lags": "last_2"}
    expected = randomisation(panel, **options)
    for add, times in ((1e12, 1.0), (0.0, 1e200), (0.0, 1e-160)):
        found = randomisation(moved(panel, add=add, times=times), **options)
        assert found.p_value == expected.p_value
        assert found.estimate / times == pytest.approx(expected.estimate, rel=1e-7 + 2e-14 * add)
        assert found.ci_low / times == pytest.approx(expected.ci_low, rel=1e-6 + 2e-14 * add)
        assert found.value / (times if statistic == "estimate" else 1) == pytest.approx(
            expected.value, rel=1e-7 + 2e-14 * add)


def test_variances_that_no_number_holds_are_said_to_be_so():
    panel = moved(panel_of(with_gaps=False), times=1e200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = event_path(estimate("event_study", panel), panel, "unit")
    assert "change the unit of the outcome" in path.problem


def test_a_large_mean_is_not_taken_for_one_value_per_unit_nor_hides_one():
    panel = panel_of(with_gaps=True)
    level = np.arange(panel.n_units)[:, None] / 10 + np.arange(panel.n_periods)[None, :] / 10
    for add in (0.0, *SHIFTS):
        flat = dataclasses.replace(panel, covariates={"x": level + add})
        for name in ("did", "event_study", "imputation"):
            with pytest.raises(DidError, match="covariate 'x'"):
                estimate(name, flat, covariates=["x"])
        assert "left out: x" in estimate("sun_abraham", flat).note
        twice = dataclasses.replace(panel, covariates={
            "x": panel.covariates["x"] + add, "z": 3 * (panel.covariates["x"] + add) + 7})
        with pytest.raises(DidError, match="collinear"):
            estimate("callaway_santanna", twice, method="reg", unbalanced="pairwise")


def alike(level: float) -> Panel:
    """Every unit of a cohort follows one path, in tenths, most of which no float holds."""
    frame = random_frame(1, n_units=18)
    unit, cohort = frame["unit"].str[1:].astype(int), frame["cohort"].fillna("none")
    month = frame.groupby("unit").cumcount()
    path = (month * month) % 7 + month * cohort.map({"2017-12": 3, "2018-02": 5, "none": 2})
    return Panel.from_frame(frame.assign(outcome=level + (path + 3 * unit) / 10))


@pytest.mark.parametrize("level", [0.0, 1000.0, 1e6])
@pytest.mark.parametrize("name", ["did", "event_study", "callaway_santanna", "sun_abraham", "imputation_leads",
                                  "stacked"])
def test_rounding_is_no_standard_error(level, name):
    panel = alike(level)
    if name in ("did", "event_study", "stacked", "imputation_leads"):  # one slope for cohorts that differ is an error
        panel = panel.keep(panel.treated_from != 6)
    options = {"control_group": "never_treated"} if name == "callaway_santanna" else {}
    rows = summarise(result := estimate(name, panel, **options), panel)
    assert rows[["std_error", "p_value", "ci_low"]].isna().all(axis=None)
    own = rows[rows["state"].eq("estimated")]
    assert own["note"].str.contains("no variation between clusters").all() and len(own)
    if name == "callaway_santanna":
        assert (pretest(result, panel)["status"] == "skipped").all()
        for kind in KINDS:
            average = summarise(aggregate(result, panel, kind), panel)
            of_one_effect = average["n_treated"] < 7
            assert average.loc[of_one_effect, "std_error"].isna().all()


def test_rounding_is_no_error_in_tests_for_few_clusters_and_before_treatment():
    panel = alike(1000.0)
    panel = panel.keep(panel.treated_from != 6)
    line = np.arange(panel.n_units)[:, None] * 0.3 + np.arange(panel.n_periods)[None, :] / 7
    panel = dataclasses.replace(panel, outcome=1000.0 + line + 0.1 * panel.treated)
    rows = diagnosed(panel)
    rows = rows[rows["estimator"].ne("ldv")]
    assert (rows["status"] == "skipped").all() and rows["p_value"].isna().all()
    assert rows["reason"].str.contains("no variation between clusters|rank|no cell before|no lead besides").all()
    test = randomisation(panel, level="unit", draws=49)
    assert test.status == "skipped" and "no clustered standard error" in test.reason


def trimmed(**columns) -> pd.DataFrame:
    """Six periods, cohorts in the third and fourth, every effect 2; the never-treated lack the first period."""
    units = np.arange(12)
    frame = pd.DataFrame({"unit": np.repeat([f"u{unit:02d}" for unit in units], 6), "frequency": "Y",
                          "period": np.tile([str(year) for year in range(2001, 2007)], 12)})
    year = frame["period"].astype(int) - 2001
    start = np.repeat(np.where(units % 3 == 0, 99, units % 3 + 1), 6)
    frame["cohort"] = np.where(start < 99, (2001 + start).astype(str), None)
    frame["outcome"] = 10.0 * year + np.repeat(units, 6) % 5 + 2.0 * (year >= start)
    frame["w"] = 1.0 + np.repeat(units, 6) % 2
    frame["x"] = np.random.default_rng(1).normal(size=len(frame))
    frame.loc[(start == 99) & (year == 0), "outcome"] = np.nan
    return frame.assign(system="s", **columns)


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("method", ["unconditional", "reg", "ipw", "dr"])
@pytest.mark.parametrize("base_period", ["varying", "universal"])
def test_cells_without_a_control_have_no_estimate_whatever_the_method_and_the_weights(weight, method, base_period):
    panel = Panel.from_frame(trimmed(), weight_column=weight, covariate_columns=["x"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = estimate("callaway_santanna", panel, method=method, base_period=base_period)
    cells = result.parameters.assign(value=result.estimate)
    without = cells["period"] >= "2004"  # the later cohort is treated, and nobody is left
    later = (cells["cohort"] == "2003") & without | (cells["cohort"] == "2004") & (cells["period"] >= "2003")
    lost = later & (cells["state"] != "reference")
    assert cells.loc[lost, "value"].isna().all() and lost.any()
    assert cells.loc[lost, "note"].str.contains("no treated unit or no control").all()
    found = cells.loc[~later & (cells["event_time"] >= 0) & cells["value"].notna(), "value"]
    if method == "unconditional":
        np.testing.assert_allclose(found, 2.0)
        assert aggregate(result, panel, "simple").estimate[0] == pytest.approx(2.0)


def test_never_treated_that_are_all_dropped_are_named_as_the_reason():
    panel = Panel.from_frame(trimmed())
    with pytest.raises(DidError) as error:
        estimate("callaway_santanna", panel, control_group="never_treated")
    message = str(error.value)
    assert "no never-treated unit is left after 4 units with a missing outcome were dropped" in message
    assert "--unbalanced pairwise" in message and "\n" not in message and len(message) < 300
    assert estimate("callaway_santanna", panel, control_group="never_treated", unbalanced="pairwise").estimate.size


@pytest.mark.parametrize("group", ["not_yet_treated", "never_treated"])
def test_the_screen_counts_the_units_that_were_used(group, tmp_path):
    path = tmp_path / "panel.csv"
    trimmed().to_csv(path, index=False)
    columns = Columns("outcome", "unit", "period", "cohort")
    options = {"control_group": group, "aggregation": ["simple"]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if group == "never_treated":
            with pytest.raises(DidError, match="no never-treated unit is left"):
                run(path, columns, estimators=["callaway_santanna"], options=options)
            return
        text = run(path, columns, estimators=["callaway_santanna"], options=options)
        both = run(path, columns, estimators=["did", "callaway_santanna"], options=options)
    assert "used: 8 units treated, cohorts 2003, 2004; 0 never treated" in text and "4 never treated" not in text
    assert "8 units treated, cohorts 2003, 2004; 4 never treated" in both
    assert "  used: 8 units treated; 0 never treated" in both


def test_the_default_estimators_say_in_a_line_which_is_refused(tmp_path):
    path = tmp_path / "panel.csv"
    frame = unobserved(lambda f: f["cohort"].isna())
    frame.to_csv(path, index=False)
    text = run(path, Columns("outcome", "unit", "period", "cohort"))
    assert "event_study is not fitted: event_study: expected never-treated units" in text
    assert "event_time" not in text.split("note:")[0]


def unobserved(rows) -> pd.DataFrame:
    frame = random_frame(4, n_units=20)
    return frame.assign(outcome=frame["outcome"].where(~rows(frame)))


def test_event_times_without_outcomes_of_the_never_treated_are_refused():
    frame = unobserved(lambda f: f["cohort"].isna())
    with pytest.raises(DidError, match="event_study: expected never-treated units with outcomes; found no outcome"):
        estimate("event_study", Panel.from_frame(frame))
    weighted = random_frame(4, n_units=20).assign(w=lambda f: f["cohort"].notna().astype(float))
    with pytest.raises(DidError, match="no weight of any"):
        estimate("event_study", Panel.from_frame(weighted, weight_column="w"))


@pytest.mark.parametrize("side", ["everybody", "treated", "controls"])
@pytest.mark.parametrize("name", ["event_study", "stacked", "sun_abraham"])
def test_a_reference_period_that_one_side_lacks_is_refused(name, side):
    frame = random_frame(4, n_units=20, staggered=False)
    lacking = {"everybody": True, "treated": frame["cohort"].notna(), "controls": frame["cohort"].isna()}[side]
    frame.loc[lacking & (frame["period"] == "2017-11"), "outcome"] = np.nan
    with pytest.raises(DidError, match=name) as error:
        estimate(name, Panel.from_frame(frame))
    assert "\n" not in str(error.value)


def test_event_times_that_hang_together_apart_from_the_reference_are_not_estimated():
    # Some treated units have only the first two periods, the others only the rest: no unit links the two.
    frame = random_frame(4, n_units=20, staggered=False)
    early, treated = frame["period"] < "2017-10", frame["cohort"].notna()
    first = frame["unit"].isin(["u00", "u01", "u02"])
    frame.loc[treated & (first != early), "outcome"] = np.nan
    panel = Panel.from_frame(frame)
    for name in ("event_study", "stacked"):
        result = estimate(name, panel)
        time = result.parameters["event_time"]
        lost = (time < -2).fillna(False).to_numpy(dtype=bool)
        assert np.isnan(result.estimate[lost]).all() and lost.sum() == 2
        assert result.parameters.loc[lost, "state"].eq("not_identified").all()
        there = (time >= -2).fillna(False).to_numpy(dtype=bool)
        assert np.isfinite(result.estimate[there]).all()


def test_columns_that_a_dropped_one_is_made_of_have_no_coefficient_of_their_own():
    columns = np.random.default_rng(2).normal(size=(30, 4))
    columns[:, 3] = columns[:, 0] - 2 * columns[:, 2]
    gram, rounding = columns.T @ columns, np.full(4, 1e-20)
    kept = independent_columns(gram, rounding)
    assert kept.tolist() == [True, True, True, False]
    assert identified_columns(gram, kept, rounding).tolist() == [False, True, False, False]


def test_root_of_the_sum_of_squares_neither_overflows_nor_vanishes():
    for times in (1e-300, 1.0, 1e300):
        assert root_sum_squares(times * np.array([3.0, 4.0])) == pytest.approx(5 * times)
    np.testing.assert_allclose(root_sum_squares(np.array([[3.0, 0], [4, 0]]), axis=0), [5, 0])
    assert root_sum_squares(np.array([])) == 0
