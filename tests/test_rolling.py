"""Rolling transformations against statsmodels, lwdid 0.2.3 and planted truth; invariances; what cannot be estimated."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from did.errors import DidError
from did.estimators import Panel, Result, estimate
from did.inference.clustered import summarise

YEARS = np.arange(2001, 2011)
COHORT = {0: 2006, 1: 2006, 2: 2006, 3: 2008, 4: 2008, 5: 2008, 6: 2008}
DEGREE = {"demean": 0, "detrend": 1}


def made(*, common: bool = False) -> pd.DataFrame:
    """14 units x 10 years by a formula, two cohorts (``common``: the first alone) and a fixed covariate."""
    rows = []
    for unit in range(14):
        start = COHORT.get(unit)
        if common and start == 2008:
            continue
        for year in YEARS:
            k = year - 2001
            effect = 2 + 0.3 * (year - start) if start and year >= start else 0.0
            outcome = (10 + 1.3 * unit + 0.2 * k * (1 + 0.5 * np.sin(1.7 * unit))
                       + np.sin(3.1 * unit + 1.9 * k + 0.7 * unit * k) + effect)
            rows.append((f"u{unit:02d}", str(year), "Y", str(start) if start else None, outcome, np.cos(2.3 * unit),
                         f"s{unit // 2}"))
    return pd.DataFrame(rows, columns=["unit", "period", "frequency", "cohort", "outcome", "x", "system"])


def panel_of(frame: pd.DataFrame, **more) -> Panel:
    return Panel.from_frame(frame, covariate_columns=["x"], **more)


def rows_of(panel: Panel, **options) -> pd.DataFrame:
    rows = summarise(estimate("rolling", panel, **options), panel)
    return rows[rows["cluster"] == "unit"].reset_index(drop=True)


def transformed(outcome: np.ndarray, start: int, transformation: str) -> np.ndarray:
    """Each unit's outcomes less its own polynomial before the column ``start``."""
    left = np.empty_like(outcome)
    for row, values in enumerate(outcome):
        time = np.arange(len(values))
        seen = (time < start) & np.isfinite(values)
        left[row] = values - np.polyval(np.polyfit(time[seen], values[seen], DEGREE[transformation]), time)
    return left


def regression(outcome: np.ndarray, treated: np.ndarray, x: np.ndarray | None = None):
    """statsmodels' cross-section regression, interactions about the mean of the treated."""
    columns = [np.ones(len(outcome)), treated]
    if x is not None:
        centred = x - x[treated].mean()
        columns += [centred, centred * treated]
    return sm.OLS(outcome, np.column_stack(columns).astype(float)).fit()


@pytest.mark.parametrize("transformation", DEGREE)
@pytest.mark.parametrize("errors", ["homoskedastic", "hc3"])
@pytest.mark.parametrize("with_covariate", [False, True])
def test_one_cohort_equals_the_regression_of_post_period_averages(transformation, errors, with_covariate):
    panel = panel_of(made(common=True))
    rows = rows_of(panel, transformation=transformation, errors=errors, covariates=["x"] if with_covariate else [])
    left, treated = transformed(panel.outcome, 5, transformation), ~panel.never_treated
    x = panel.covariates["x"][:, 0] if with_covariate else None
    for label, outcome in [("overall", left[:, 5:].mean(axis=1))] + [(e, left[:, 5 + e]) for e in range(5)]:
        here = rows["estimand"] == label if label == "overall" else rows["event_time"].eq(label).fillna(False)
        row = rows[here].iloc[0]
        fit = regression(outcome, treated, x)
        used = fit.get_robustcov_results("HC3", use_t=True) if errors == "hc3" else fit
        low, high = used.conf_int()[1]
        np.testing.assert_allclose(
            row[["estimate", "std_error", "p_value", "ci_low", "ci_high", "df"]].astype(float),
            [used.params[1], used.bse[1], used.pvalues[1], low, high, fit.df_resid], rtol=1e-9)


@pytest.mark.parametrize("transformation", DEGREE)
def test_the_overall_effect_of_two_cohorts_is_one_regression_too(transformation):
    panel = panel_of(made())
    parts = {start: transformed(panel.outcome, start, transformation)[:, start:].mean(axis=1) for start in (5, 7)}
    outcome = 3 / 7 * parts[5] + 4 / 7 * parts[7]
    for start, own in parts.items():
        outcome = np.where(panel.treated_from == start, own, outcome)
    fit = regression(outcome, ~panel.never_treated)
    row = rows_of(panel, transformation=transformation, control_group="never_treated", errors="homoskedastic").iloc[0]
    np.testing.assert_allclose(row[["estimate", "std_error", "df"]].astype(float),
                               [fit.params[1], fit.bse[1], 12], rtol=1e-9)


# lwdid 0.2.3 (PyPI) on `made()`: cells of cohort 2006, with vce=None and include_pretreatment=True.
LWDID = {
    ("demean", "never_treated"): {
        "2001": (-0.3411130144, 0.4172154900), "2004": (-1.7014735747, 0.7222448947),
        "2006": (1.4390976777, 0.3556860165), "2010": (2.7092631988, 0.8083322123)},
    ("demean", "not_yet_treated"): {
        "2001": (-0.2943180720, 0.3545370469), "2004": (-1.8451053696, 0.5838122643),
        "2006": (1.8446813137, 0.4439733779), "2007": (2.2232200995, 0.4775542522),
        "2008": (2.6370915078, 0.7191318872)},
}
# Its aggregate="overall" with vce None and hc3, demean; and, of cohort 2006 and the never treated, d and post: att and
# se_att of vce None and hc3, without and with controls=["x"].
LWDID_OVERALL = (2.241995907341314, 0.28630378790392313, 0.30924343506288104)
LWDID_COMMON = {
    ("demean", "homoskedastic", True): (2.3667720307774185, 0.27306318597901186, 6),
    ("demean", "hc3", False): (2.363923914518546, 0.35872450510576076, 8),
    ("demean", "hc3", True): (2.3667720307774185, 0.6586493578514228, 6),
    ("detrend", "homoskedastic", False): (1.2643071782943625, 0.49715724046396115, 8),
    ("detrend", "homoskedastic", True): (1.2618372917266467, 0.5780289899241846, 6),
    ("detrend", "hc3", False): (1.2643071782943625, 0.34234189643668644, 8),
    ("detrend", "hc3", True): (1.2618372917266467, 0.36488676323108227, 6),
}


@pytest.mark.parametrize(("transformation", "control_group"), LWDID)
def test_cells_equal_lwdid(transformation, control_group):
    rows = rows_of(panel_of(made()), transformation=transformation, control_group=control_group, errors="homoskedastic",
                   estimands="att_gt").query("cohort == '2006'").set_index("period")
    for period, numbers in LWDID[transformation, control_group].items():
        np.testing.assert_allclose(rows.loc[period, ["estimate", "std_error"]].astype(float), numbers, rtol=1e-8)


def test_overall_effects_equal_lwdid():
    panel, common = panel_of(made()), panel_of(made(common=True))
    for errors, error in zip(("homoskedastic", "hc3"), LWDID_OVERALL[1:], strict=True):
        row = rows_of(panel, control_group="never_treated", errors=errors).iloc[0]
        np.testing.assert_allclose([row["estimate"], row["std_error"]], [LWDID_OVERALL[0], error], rtol=1e-9)
    for (transformation, errors, with_covariate), numbers in LWDID_COMMON.items():
        row = rows_of(common, transformation=transformation, errors=errors,
                      covariates=["x"] if with_covariate else []).iloc[0]
        np.testing.assert_allclose(row[["estimate", "std_error", "df"]].astype(float), numbers, rtol=1e-9)


def test_weighting_by_the_odds_equals_lwdid():
    common = panel_of(made(common=True))
    for transformation, number in (("demean", 2.3652817098299415), ("detrend", 1.258035679956631)):
        result = estimate("rolling", common, transformation=transformation, covariates=["x"], method="ipw")
        assert result.estimate[0] == pytest.approx(number, rel=1e-6)


def test_clustered_errors_of_one_cohort_are_those_of_the_cross_section():
    panel = panel_of(made(common=True))
    rows = summarise(estimate("rolling", panel), panel)
    left, treated = transformed(panel.outcome, 5, "demean")[:, 5:].mean(axis=1), ~panel.never_treated
    fit = regression(left, treated)
    for level in ("unit", "system"):
        groups = pd.factorize(panel.clusters[level])[0]
        n_groups, n = groups.max() + 1, len(left)
        theirs = fit.get_robustcov_results("cluster", groups=groups).bse[1] * np.sqrt((n - 2) / (n - 1))
        row = rows[(rows["cluster"] == level) & (rows["estimand"] == "overall")].iloc[0]
        assert row["std_error"] == pytest.approx(theirs) and row["df"] == n_groups - 1


def diverging(seed: int, *, seasons: bool = False) -> Panel:
    """60 units x 36 months, a unit's slope larger if treated from the 25th on, with an effect of 5."""
    generator = np.random.default_rng(seed)
    n, periods = 60, pd.period_range("2015-01", periods=36, freq="M").astype(str)
    treated, month = np.arange(n) < 20, np.arange(36)
    outcome = (generator.normal(0, 10, (n, 1)) + (generator.normal(0, 0.2, (n, 1)) + 0.5 * treated[:, None]) * month
               + generator.normal(0, 1, (n, 36)) + 5.0 * (treated[:, None] & (month >= 24)))
    if seasons:
        outcome += generator.normal(0, 3, (n, 1)) * (month % 12 == 1)
    return Panel.from_frame(pd.DataFrame({
        "unit": np.repeat([f"u{unit:02d}" for unit in range(n)], 36), "period": np.tile(periods, n), "frequency": "M",
        "outcome": outcome.ravel(), "cohort": np.repeat(np.where(treated, periods[24], None), 36)}), cluster_columns=())


def test_detrending_recovers_the_effect_where_lines_diverge_and_did_does_not():
    panel = diverging(1)
    detrended = summarise(estimate("rolling", panel, transformation="detrend", estimands="overall"), panel).iloc[0]
    two_way = summarise(estimate("did", panel), panel).iloc[0]
    assert detrended["ci_low"] < 5 < detrended["ci_high"] and abs(detrended["estimate"] - 5) < 0.8
    assert two_way["ci_low"] > 5 + 3


def test_own_lines_and_own_seasons_are_taken_out_to_the_last_digit():
    panel = diverging(2, seasons=True)
    month = np.arange(36)
    slopes = np.random.default_rng(0).normal(size=(60, 1))
    moves = {"demean": 0 * month + slopes, "detrend": slopes * month,
             "demean_seasonal": slopes * np.sin(month % 12), "detrend_seasonal": slopes * (np.cos(month % 12) + month)}
    for transformation, course in moves.items():
        moved = dataclasses.replace(panel, outcome=panel.outcome + course)
        for option in ({}, {"anticipation": 2}):
            found, usual = (estimate("rolling", one, transformation=transformation, **option) for one in (moved, panel))
            np.testing.assert_allclose(found.estimate, usual.estimate, atol=1e-9)
            np.testing.assert_allclose(found.influence, usual.influence, atol=1e-9)


@pytest.mark.parametrize("transformation", ["demean", "detrend"])
def test_a_missing_outcome_leaves_the_fit_to_the_periods_a_unit_has(transformation):
    panel = panel_of(made(common=True))
    outcome = panel.outcome.copy()
    outcome[0, [1, 6]] = outcome[4, 3] = np.nan
    rows = rows_of(dataclasses.replace(panel, outcome=outcome), transformation=transformation, estimands="event_time")
    left, treated = transformed(outcome, 5, transformation), ~panel.never_treated
    for e in range(5):
        value = np.nanmean(left[treated, 5 + e]) - np.nanmean(left[~treated, 5 + e])
        assert rows[rows["event_time"] == e]["estimate"].iloc[0] == pytest.approx(value)
    assert "units with a missing period are used with the periods they have" in rows["note"].iloc[0]


def same(found: Result, expected: Result, unit: float = 1.0) -> None:
    np.testing.assert_allclose(found.estimate / unit, expected.estimate, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.influence.to_numpy() / unit, expected.influence.to_numpy(), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.unit_errors[:, 0] / unit, expected.unit_errors[:, 0], rtol=1e-6)


@pytest.mark.parametrize("transformation", ["demean", "detrend"])
def test_shifts_scales_order_and_labels(transformation):
    frame = made()
    options = {"transformation": transformation, "errors": "hc3", "control_group": "never_treated", "covariates": ["x"]}
    usual = estimate("rolling", panel_of(frame), **options)
    for shift, scale in ((1e6, 1.0), (0.0, 1e12), (0.0, 1e-150), (0.0, 1e200)):
        moved = frame.assign(outcome=frame["outcome"] * scale + shift)
        same(estimate("rolling", panel_of(moved), **options), usual, scale)
    same(estimate("rolling", panel_of(frame.assign(x=frame["x"] * 1e9 + 4)), **options), usual)
    same(estimate("rolling", panel_of(frame.sample(frac=1, random_state=1)), **options), usual)
    same(estimate("rolling", panel_of(frame.assign(unit="z" + frame["unit"])), **options), usual)


def one_treated() -> pd.DataFrame:
    frame = made(common=True)
    return frame[~frame["unit"].isin(["u01", "u02"])]


def test_one_treated_unit_has_an_exact_error_but_no_hc3():
    panel = panel_of(one_treated())
    row = rows_of(panel, errors="homoskedastic").iloc[0]
    left = transformed(panel.outcome, 5, "demean")[:, 5:].mean(axis=1)
    assert row["std_error"] == pytest.approx(regression(left, ~panel.never_treated).bse[1]) and row["df"] == 6
    row = rows_of(panel, errors="hc3").iloc[0]
    assert np.isnan(row["std_error"]) and "no hc3 error: one unit alone on a side, which fits itself" in row["note"]
    assert "one treated cluster by unit" in rows_of(panel).iloc[0]["note"]


def test_exact_inference_covers_as_it_says_with_one_treated_unit():
    generator = np.random.default_rng(5)
    panel = panel_of(one_treated())
    covered = 0
    for _ in range(200):
        drawn = dataclasses.replace(panel, outcome=generator.normal(size=panel.outcome.shape))
        result = estimate("rolling", drawn, transformation="detrend", errors="homoskedastic", estimands="overall")
        error, df = result.unit_errors[0]
        covered += abs(result.estimate[0]) < stats.t(df).ppf(0.975) * error
    # Three simulation errors about 95%.
    assert abs(covered / 200 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 200)


def test_where_there_is_no_cross_section_the_row_says_why():
    panel = panel_of(made())
    assert "the cells averaged have different controls" in rows_of(panel, errors="hc3").iloc[0]["note"]
    weighted = panel_of(made().assign(w=1.0), weight_column="w")
    assert "no hc3 error: weights" in rows_of(weighted, errors="hc3", control_group="never_treated").iloc[0]["note"]
    assert "no hc3 error: --method ipw" in rows_of(panel, errors="hc3", method="ipw", covariates=["x"]).iloc[0]["note"]


def test_a_covariate_missing_in_a_cohort_that_is_not_averaged_changes_no_error():
    frame = made()
    late = frame["unit"].isin(["u07", "u08"])
    frame.loc[late, "cohort"] = "2010"
    options = {"errors": "homoskedastic", "control_group": "never_treated", "covariates": ["x"],
               "estimands": "event_time"}
    usual = estimate("rolling", panel_of(frame), **options)
    frame.loc[late & frame["period"].isin(["2005", "2007"]), "x"] = np.nan
    found = estimate("rolling", panel_of(frame), **options)
    row = usual.parameters["event_time"].tolist().index(1)
    assert found.parameters["event_time"].iloc[row] == 1 and np.isfinite(usual.unit_errors[row]).all()
    np.testing.assert_allclose(found.unit_errors[row], usual.unit_errors[row], rtol=1e-9)


def test_a_line_through_fewer_than_two_periods_is_refused_or_its_cohort_named():
    frame = made()
    with pytest.raises(DidError, match="rolling: expected a treated unit with 2 periods before treatment; found none"):
        estimate("rolling", panel_of(frame[(frame["period"] >= "2005") & (frame["cohort"] != "2008")]),
                 transformation="detrend")
    late = estimate("rolling", panel_of(frame[frame["period"] >= "2005"]), transformation="detrend")
    assert "fewer than 2 periods before treatment, left out: cohort 2006 (u00, u01, u02)" in late.note


@pytest.mark.parametrize(("options", "message"), [
    ({"transformation": "demeaned"}, "rolling: transformation: expected one of .*; found 'demeaned'"),
    ({"transformation": "detrend_seasonal"}, "expected months or quarters, .*; found years; use detrend"),
    ({"method": "unconditional"}, "rolling: method"),
    ({"errors": "hc1"}, "rolling: errors"),
    ({"covariates": ["z"]}, "rolling: covariates"),
    ({"estimands": []}, "rolling: estimands"),
    ({"anticipation": -1}, "rolling: anticipation: expected a whole number of periods, 0 or more; found -1"),
])
def test_wrong_options_are_refused(options, message):
    with pytest.raises(DidError, match=message):
        estimate("rolling", panel_of(made()), **options)


def test_no_control_and_a_dose_are_refused():
    frame = made()
    treated = panel_of(frame[frame["cohort"].notna()])
    with pytest.raises(DidError, match="rolling: control_group never_treated: expected units never treated"):
        estimate("rolling", treated, control_group="never_treated")
    with pytest.raises(DidError, match="rolling: treatment: expected binary"):
        estimate("rolling", panel_of(frame.assign(intensity=2.0), treatment="intensity"))


def test_one_estimand_of_several_keeps_its_own_errors():
    panel = panel_of(made())
    result = estimate("rolling", panel, errors="hc3")
    alone = result.only("overall")
    columns = ["estimate", "std_error", "df", "p_value"]
    whole = summarise(result, panel)
    pd.testing.assert_frame_equal(summarise(alone, panel)[columns].reset_index(drop=True),
                                  whole.loc[whole["estimand"].eq("overall"), columns].reset_index(drop=True))
