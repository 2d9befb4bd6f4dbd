"""Pre-trend tests and the numbers of the trends figure, against closed forms and dummy-variable regressions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from did.diagnostics.group_trends import group_trends
from did.diagnostics.pretrends import joint_leads, linear_pretrend, pretrend_rows
from did.estimators import Panel
from did.inference.joint_test import COLUMNS
from did.store import tables

N_UNITS, N_TREATED, N_PERIODS, ONSET = 60, 24, 30, 18


def frame_of(seed: int, *, slope: float = 0.0, staggered: bool = False, n_units: int = N_UNITS) -> pd.DataFrame:
    """Months over two New Years; the treated drift apart by ``slope`` a month, effect 5 from onset."""
    generator = np.random.default_rng(seed)
    periods = pd.period_range("2015-10", periods=N_PERIODS, freq="M").astype(str)
    time = np.arange(N_PERIODS)
    rows = []
    for unit in range(n_units):
        onset = N_PERIODS if unit >= N_TREATED else ONSET + 4 if staggered and unit < 10 else ONSET
        treated = unit < N_TREATED
        outcome = (generator.normal(200, 30) + 10 * np.sin(time / 3) + treated * slope * time
                   + 5.0 * (time >= onset) + generator.normal(0, 4, N_PERIODS) + generator.normal(0, 0.2) * time)
        rows.append(pd.DataFrame({
            "unit": f"u{unit:02d}", "period": periods, "frequency": "M", "outcome": outcome,
            "cohort": periods[onset] if treated else None, "intensity": float(unit % 4 + 5) if treated else 0.0,
            "system": f"s{unit // 3:02d}",
        }))
    return pd.concat(rows, ignore_index=True)


def by_level(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.set_index("cluster", drop=False)


def test_linear_test_is_the_difference_of_mean_unit_slopes_before_onset():
    panel = Panel.from_frame(frame_of(1))
    time = np.arange(ONSET) - (ONSET - 1) / 2
    slopes = panel.outcome[:, :ONSET] @ time / (time @ time)
    treated = ~panel.never_treated
    difference = slopes[treated].mean() - slopes[~treated].mean()
    share = np.where(treated, (slopes - slopes[treated].mean()) / treated.sum(),
                     -(slopes - slopes[~treated].mean()) / (~treated).sum())
    n_obs, k = N_UNITS * N_PERIODS, 3 + N_PERIODS
    rows = by_level(linear_pretrend(panel))
    for level in ("unit", "system"):
        sums = pd.Series(share).groupby(panel.clusters[level]).sum()
        factor = len(sums) / (len(sums) - 1) * (n_obs - 1) / (n_obs - k)
        statistic = difference**2 / (factor * (sums**2).sum())
        row = rows.loc[level]
        assert row["value"] == pytest.approx(difference, rel=1e-9)
        assert row["statistic"] == pytest.approx(statistic, rel=1e-8)
        assert (row["df"], row["df_denominator"], row["status"]) == (1, len(sums) - 1, "done")
        assert row["p_value"] == pytest.approx(stats.f.sf(statistic, 1, len(sums) - 1), rel=1e-8)


@pytest.mark.parametrize("treatment", ["binary", "intensity"])
@pytest.mark.parametrize("staggered", [False, True])
def test_linear_test_equals_the_augmented_regression_with_all_dummies(treatment, staggered):
    frame = frame_of(2, slope=0.1, staggered=staggered).drop(index=[5, 700, 1300])
    dose = frame["intensity"] if treatment == "intensity" else frame["cohort"].notna().astype(float)
    post = (frame["cohort"].notna() & (frame["period"] >= frame["cohort"].fillna("9999"))).astype(float)
    time = pd.PeriodIndex(frame["period"], freq="M").astype("int64") - 500
    design = pd.DataFrame({"d": dose * post, "before": dose * (1 - post) * time, "after": dose * post * time})
    dummies = pd.get_dummies(frame[["unit", "period"]], dtype=float).drop(columns="period_2015-10")
    design = pd.concat([design, dummies], axis=1)
    fit = sm.OLS(frame["outcome"], design).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(frame["system"])[0]}, use_t=True)
    # statsmodels counts the unit dummies among K; they are nested in the clusters
    n, k_theirs, k_ours = len(frame), design.shape[1], 3 + N_PERIODS
    variance = fit.bse["before"] ** 2 * (n - k_theirs) / (n - k_ours)
    row = by_level(linear_pretrend(Panel.from_frame(frame, treatment=treatment))).loc["system"]
    assert row["value"] == pytest.approx(fit.params["before"], rel=1e-7)
    assert row["statistic"] == pytest.approx(fit.params["before"] ** 2 / variance, rel=1e-6)
    assert (row["treatment"], row["cluster"]) == (treatment, "system")


def test_linear_test_finds_a_slope_that_is_there_and_keeps_its_size_when_it_is_not():
    diverging = linear_pretrend(Panel.from_frame(frame_of(3, slope=1.0)))
    assert abs(diverging["value"][0] - 1) < 0.3 and (diverging["p_value"] < 1e-4).all()
    rejected = [linear_pretrend(Panel.from_frame(frame_of(seed)))["p_value"][0] < 0.05 for seed in range(120)]
    assert np.mean(rejected) < 0.15


def test_joint_test_of_binned_leads_equals_a_wald_test_of_a_dummy_regression():
    frame = frame_of(4, slope=0.2)
    panel = Panel.from_frame(frame)
    row = by_level(joint_leads(panel, bin_width=6)).loc["unit"]
    treated = ~panel.never_treated
    # one cohort, balanced: a lead is a difference of mean changes since the last six months before onset
    blocks = panel.outcome[:, :ONSET].reshape(N_UNITS, 3, 6).mean(axis=2)
    change = blocks[:, :2] - blocks[:, 2:]
    mean = {group: change[members].mean(axis=0) for group, members in ((1, treated), (0, ~treated))}
    share = np.where(treated[:, None], (change - mean[1]) / treated.sum(), (change - mean[0]) / (~treated).sum())
    n_obs, k = N_UNITS * N_PERIODS, 4 + N_PERIODS  # leads -3, -2 and lags 0, 1; reference bin -1
    factor = N_UNITS / (N_UNITS - 1) * (n_obs - 1) / (n_obs - k)
    leads = mean[1] - mean[0]
    statistic = leads @ np.linalg.inv(factor * share.T @ share) @ leads / 2
    assert row["diagnostic"] == "joint_leads_bin_6" and row["status"] == "done"
    assert row["statistic"] == pytest.approx(statistic, rel=1e-8)
    assert row["value"] == pytest.approx(leads.mean(), rel=1e-9)
    assert (row["df"], row["df_denominator"]) == (2, N_UNITS - 1)
    assert row["reason"] == "rank 2 for 2 leads with 24 treated of 60 clusters"


def test_joint_test_that_cannot_be_trusted_is_skipped_with_its_numbers():
    rows = by_level(joint_leads(Panel.from_frame(frame_of(5))))
    assert rows.loc["unit", "status"] == "done" and "17 leads" in rows.loc["unit", "reason"]
    assert rows.loc["unit", "caveat"] == "few_treated_clusters"
    assert rows.loc["system", "status"] == "skipped"
    assert rows.loc["system", "reason"] == "8 treated clusters for 17 leads: the joint test would over-reject"
    assert rows.loc["system", ["statistic", "p_value", "df"]].isna().all()
    wide = Panel.from_frame(frame_of(5).assign(system=lambda rows: "s" + rows["unit"].str[2:]))
    skipped = by_level(joint_leads(wide)).loc["system"]
    assert skipped["status"] == "skipped" and "rank 9 for 17 leads with 10 clusters" in skipped["reason"]


@pytest.mark.parametrize(("keep", "reason"), [
    (lambda rows: rows[rows["period"] >= "2017-03"], "fewer than two periods before onset"),
    (lambda rows: rows.assign(system="all"), "1 cluster"),
    (lambda rows: rows.assign(system=np.where(rows["cohort"].notna(), "t", "c")), "no variation"),
])
def test_linear_test_that_cannot_be_done_is_skipped_with_its_reason(keep, reason):
    row = by_level(linear_pretrend(Panel.from_frame(keep(frame_of(6))))).loc["system"]
    assert row["status"] == "skipped" and reason in row["reason"] and np.isnan(row["p_value"])


def test_joint_test_without_leads_or_controls_is_skipped_with_its_reason():
    one_lead = frame_of(7).query("period >= '2017-03'")
    no_control = frame_of(7, staggered=True).query("cohort.notna()")
    for frame, reason in ((one_lead, "no lead besides the reference"), (no_control, "no never-treated unit")):
        rows = joint_leads(Panel.from_frame(frame))
        assert set(rows["status"]) == {"skipped"} and rows["reason"].str.contains(reason).all()


def test_all_rows_fit_the_diagnostics_table():
    rows = pretrend_rows(Panel.from_frame(frame_of(8)), bin_width=6)
    assert list(rows.columns) == COLUMNS
    assert rows["diagnostic"].unique().tolist() == ["linear_pretrend", "joint_leads", "joint_leads_bin_6"]
    tables.check("diagnostics", rows.assign(indicator="x", specification="default", sample="full", is_synthetic=True))


def test_group_trends_are_group_means_whose_fitted_gap_is_linear_before_and_after():
    frame = frame_of(9, slope=0.3)
    trends = group_trends(Panel.from_frame(frame, treatment="intensity"))
    assert list(trends.columns) == ["period", "group", "observed_mean", "linear_trend", "n_units"]
    wide = trends.pivot(index="period", columns="group")
    means = frame.groupby(["period", frame["cohort"].notna()])["outcome"].mean().unstack()
    np.testing.assert_allclose(wide["observed_mean"]["treated"], means[True], rtol=1e-12)
    np.testing.assert_allclose(wide["observed_mean"]["control"], means[False], rtol=1e-12)
    assert (wide["n_units"]["treated"] == N_TREATED).all() and (wide["n_units"]["control"] == 36).all()
    observed = (means[True] - means[False]).to_numpy()
    fitted = (wide["linear_trend"]["treated"] - wide["linear_trend"]["control"]).to_numpy()
    time = np.arange(N_PERIODS)
    for part in (slice(0, ONSET), slice(ONSET, None)):
        line = np.polyval(np.polyfit(time[part], observed[part], 1), time[part])
        np.testing.assert_allclose(fitted[part], line, atol=1e-9)
    # the two groups' fitted means average to the observed mean of all units in every period
    both = (24 * wide["linear_trend"]["treated"] + 36 * wide["linear_trend"]["control"]) / 60
    np.testing.assert_allclose(both, frame.groupby("period")["outcome"].mean(), rtol=1e-12)


def test_group_trends_count_only_observed_units():
    frame = frame_of(10)
    frame.loc[(frame["unit"] < "u05") & (frame["period"] == "2016-02"), "outcome"] = np.nan
    trends = group_trends(Panel.from_frame(frame)).set_index(["group", "period"])
    assert trends.loc[("treated", "2016-02"), "n_units"] == N_TREATED - 5
    expected = frame[(frame["period"] == "2016-02") & frame["cohort"].notna()]["outcome"].mean()
    assert trends.loc[("treated", "2016-02"), "observed_mean"] == pytest.approx(expected)
