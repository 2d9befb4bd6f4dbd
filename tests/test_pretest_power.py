"""Power of pre-tests against the R package pretrends, closed forms in one dimension and rejection sampling."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from did.diagnostics.pretest_power import (
    event_path,
    normal_box,
    pretest_power,
    pretest_power_rows,
    slope_for_power,
)
from did.errors import DidError
from did.estimators import Panel, did, event_study
from did.inference.clustered import clustered_covariance
from did.inference.joint_test import COLUMNS
from did.simulate.panels import panel as simulated
from golden_files import golden_file, golden_results

DATA = {"HeAndWang": "HeAndWangResults.json", "BCdata": "BCdata_EventStudy.json"}


def golden(case: str) -> dict:
    results = golden_results("pretrends")
    return {one["id"].removeprefix(f"{case}|"): one["value"] for one in results if one["id"].startswith(f"{case}|")}


def inputs(case: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    data = json.loads(golden_file("data", DATA[case]).read_text())
    given = golden(case)["input"]
    estimate = np.array(data.get("betahat", data.get("beta")), dtype=float)
    covariance = np.array(data["sigma"], dtype=float)
    assert np.allclose(estimate, given["betahat"]) and np.allclose(covariance, given["sigma"])
    return estimate, covariance, np.array(given["tVec"], dtype=float), float(given["referencePeriod"])


@pytest.mark.parametrize("case", DATA)
def test_power_of_a_given_trend_is_that_of_the_normal_integral(case):
    estimate, covariance, times, reference = inputs(case)
    expected = golden(case)["power by mvtnorm::pmvnorm (unit slope = sd of the last pre-period)"]
    found = pretest_power(estimate, covariance, times, reference, violation=expected["slope"] * (times - reference))
    assert found.power == pytest.approx(expected["power"], abs=5e-6)


@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize("power", [0.5, 0.8])
def test_slopes_equal_the_r_package_within_its_root_search(case, power):
    _, covariance, times, reference = inputs(case)
    slope = slope_for_power(covariance, times, power=power, reference=reference)
    # R stops its search within eps^0.25 of the root
    assert slope == pytest.approx(golden(case)[f"slope_for_power|{power}"], abs=np.finfo(float).eps ** 0.25)
    exact = pretest_power(np.zeros(len(times)), covariance, times, reference, violation=slope * (times - reference))
    assert exact.power == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize("violation", ["linear slope at power 0.5", "linear slope at power 0.8",
                                       "quadratic 0.01 t^2 scaled"])
def test_bias_after_pretesting_and_odds_equal_the_r_package(case, violation):
    estimate, covariance, times, reference = inputs(case)
    expected = golden(case)[f"pretrends|{violation}"]
    plotted = pd.DataFrame(expected["df_eventplot"]).set_index("t").drop(index=reference)
    trend = plotted["deltatrue"].loc[times].to_numpy()
    found = pretest_power(estimate, covariance, times, reference, violation=trend)
    power = {name: values[0] for name, values in expected["df_power"].items()}
    size = 1 - (1 - power["Power"]) / power["Bayes.Factor"]
    # the R package integrates to an absolute error of 0.001, so the integral is also had from scipy
    assert found.power == pytest.approx(power["Power"], abs=2e-4)
    leads = times < reference
    half_width = 1.96 * np.sqrt(np.diag(covariance)[leads])
    exact = stats.multivariate_normal(trend[leads], covariance[np.ix_(leads, leads)], maxpts=200_000, abseps=1e-8,
                                      releps=1e-8, seed=1).cdf(half_width, lower_limit=-half_width)
    assert found.power == pytest.approx(1 - exact, abs=1e-5)
    assert found.size == pytest.approx(size, abs=5e-4)
    assert found.bayes_factor == pytest.approx(power["Bayes.Factor"], abs=5e-4)
    assert found.likelihood_ratio == pytest.approx(power["Likelihood.Ratio"], rel=1e-10)
    expected_mean = plotted["meanAfterPretesting"].astype(float).loc[times].to_numpy()
    np.testing.assert_allclose(found.mean_if_passed, expected_mean, atol=5e-5)
    np.testing.assert_allclose(found.violation, trend)


def test_one_lead_has_a_closed_form():
    error, mean = 2.0, 3.0
    low, high = (-1.96 * error - mean) / error, (1.96 * error - mean) / error
    passing = stats.norm.cdf(high) - stats.norm.cdf(low)
    passed_mean = mean - error * (stats.norm.pdf(high) - stats.norm.pdf(low)) / passing
    covariance = np.array([[error**2, 1.0], [1.0, 5.0]])
    # the trend is 3 at the lead e = -2 and -3 at e = 0
    found = pretest_power([0.5, 0.0], covariance, [-2, 0], violation=[mean, -mean])
    assert found.power == pytest.approx(1 - passing, abs=1e-12)
    assert found.mean_if_passed[0] == pytest.approx(passed_mean, abs=3e-5)
    assert found.mean_if_passed[1] == pytest.approx(-mean + (passed_mean - mean) / error**2, abs=3e-5)
    assert found.size == pytest.approx(2 * stats.norm.sf(1.96), abs=1e-12)
    density = stats.norm.pdf(0.5, mean, error) / stats.norm.pdf(0.5, 0, error)
    assert found.likelihood_ratio == pytest.approx(density, rel=1e-12)


def test_box_of_correlated_coordinates_agrees_with_scipy_and_with_sampling():
    generator = np.random.default_rng(4)
    loadings = generator.normal(size=(6, 6))
    covariance = loadings @ loadings.T + np.eye(6)
    mean, half_width = generator.normal(size=6), 1.96 * np.sqrt(np.diag(covariance))
    probability, inside_mean = normal_box(mean, covariance, half_width)
    exact = stats.multivariate_normal(mean, covariance, maxpts=300_000, abseps=1e-6, seed=1).cdf(
        half_width, lower_limit=-half_width)
    assert probability == pytest.approx(exact, abs=2e-5)
    sample = generator.multivariate_normal(mean, covariance, size=200_000)
    inside = sample[(np.abs(sample) <= half_width).all(axis=1)]
    tolerance = 4 * inside.std(axis=0) / np.sqrt(len(inside))
    assert (np.abs(inside.mean(axis=0) - inside_mean) < tolerance).all()
    again = normal_box(mean, covariance, half_width)
    assert again[0] == probability and (again[1] == inside_mean).all()


def test_independent_leads_multiply():
    times, covariance = np.array([-4, -3, -2, 0]), np.diag([1.0, 4.0, 9.0, 1.0])
    slope = 0.7
    z = slope * (times[:3] + 1) / np.array([1.0, 2.0, 3.0])
    passing = np.prod(stats.norm.cdf(1.96 - z) - stats.norm.cdf(-1.96 - z))
    found = pretest_power(np.zeros(4), covariance, times, violation=slope * (times + 1))
    assert found.power == pytest.approx(1 - passing, abs=1e-9)
    # leads that are independent of the rest leave its bias alone
    assert found.mean_if_passed[3] == pytest.approx(slope)


def made(onset: int = 20, *, cohorts: dict | None = None, **options) -> Panel:
    frame, _ = simulated(60, 36, cohorts or {onset: 24}, 4.0, seed=3, units_per_system=2, system_share=0.3, **options)
    return Panel.from_frame(frame)


def test_rows_are_the_numbers_of_the_arrays_for_a_short_monthly_path():
    panel = made(onset=5)
    result = event_study.estimate(panel)
    rows = pretest_power_rows(result, panel, "system").set_index("diagnostic")
    times = result.parameters["event_time"].to_numpy(dtype=int)
    kept = times != -1
    covariance = clustered_covariance(result.influence, panel.clusters["system"], result.n_obs, result.n_parameters)
    estimate, covariance, times = result.estimate[kept], covariance[np.ix_(kept, kept)], times[kept]
    for power in (0.5, 0.8):
        slope = slope_for_power(covariance, times, power=power)
        let_through = pretest_power(estimate, covariance, times, power=power)
        at = round(100 * power)
        assert rows.loc[f"pretest_slope_{at}", "value"] == pytest.approx(slope)
        assert rows.loc[f"pretest_bias_{at}", "value"] == pytest.approx(slope * (times[times >= 0] + 1).mean())
        assert rows.loc[f"pretest_bias_passed_{at}", "value"] == pytest.approx(
            let_through.mean_if_passed[times >= 0].mean())
    effect = estimate[times >= 0].mean()
    trend = effect / (times[times >= 0] + 1).mean() * (times + 1)
    assert rows.loc["pretest_slope_effect", "value"] * (times[times >= 0] + 1).mean() == pytest.approx(effect)
    assert rows.loc["pretest_power_effect", "value"] == pytest.approx(
        pretest_power(estimate, covariance, times, violation=trend).power)
    assert (rows["status"] == "done").all() and (rows["n_treated_clusters"] == 12).all()


def test_bins_measure_a_trend_per_period():
    panel = made(onset=20)
    result = event_study.estimate(panel, bin_width=6)
    rows = pretest_power_rows(result, panel, "unit")
    assert list(rows.columns) == COLUMNS and rows["diagnostic"].str.endswith("_bin_6").all()
    # middles of the bins of events -20..-19, -18..-13, -12..-7, (-6..-1), 0..5, 6..11, 12..15
    distance = np.array([-19.5, -15.5, -9.5, 2.5, 8.5, 13.5]) + 3.5
    path = event_path(result, panel, "unit")
    slope = slope_for_power(path.covariance, distance, reference=0)
    found = rows.set_index("diagnostic")["value"]
    assert found["pretest_slope_50_bin_6"] == pytest.approx(slope, rel=1e-6)
    assert found["pretest_bias_50_bin_6"] == pytest.approx(slope * distance[3:].mean(), rel=1e-6)


def test_rows_follow_the_unit_of_measure_and_are_the_same_bytes_twice():
    panel = made(cohorts={14: 10, 20: 14})
    result = event_study.estimate(panel, bin_width=6)
    rows = pretest_power_rows(result, panel, "unit")
    frame, _ = simulated(60, 36, {14: 10, 20: 14}, 4.0, seed=3, units_per_system=2, system_share=0.3)
    tenfold = Panel.from_frame(frame.assign(outcome=10 * frame["outcome"]))
    larger = pretest_power_rows(event_study.estimate(tenfold, bin_width=6), tenfold, "unit")
    scale = np.where(rows["diagnostic"].str.contains("size|power"), 1, 10)
    np.testing.assert_allclose(larger["value"], scale * rows["value"], rtol=1e-6)
    again = pretest_power_rows(result, panel, "unit")
    assert again.to_csv() == rows.to_csv()


def test_what_cannot_be_had_is_skipped_with_its_reason():
    panel = made(onset=13)
    monthly = pretest_power_rows(event_study.estimate(panel), panel, "unit").set_index("diagnostic")
    assert monthly.loc["pretest_bias_passed_80", "status"] == "done"
    systems = pretest_power_rows(event_study.estimate(panel), panel, "system").set_index("diagnostic")
    assert "12 treated clusters for 12 leads" in systems.loc["pretest_bias_passed_80", "reason"]
    assert systems.loc["pretest_slope_80", "status"] == "done"
    regions = dataclasses.replace(panel, clusters={"unit": panel.units.to_numpy(),
                                                   "region": np.arange(panel.n_units) % 8})
    rank = pretest_power_rows(event_study.estimate(regions), regions, "region")
    assert (rank["status"] == "skipped").all() and rank["reason"].str.contains("rank 7 for 12 leads with 8").all()
    static = pretest_power_rows(did.estimate(panel), panel, "unit")
    assert (static["status"] == "skipped").all() and static["reason"].str.contains("no path over event time").all()
    late = made(onset=1)
    none = pretest_power_rows(event_study.estimate(late), late, "unit")
    assert (none["reason"] == "no lead besides the reference").all()


def test_a_pretest_of_many_leads_may_reject_without_any_trend():
    times = np.append(np.arange(-31, -1), 0)
    covariance = np.eye(31)
    assert np.isnan(slope_for_power(covariance, times, power=0.5))
    assert slope_for_power(covariance, times, power=0.9) > 0
    with pytest.raises(DidError, match="rejects as often without a violation"):
        pretest_power(np.zeros(31), covariance, times)


@pytest.mark.parametrize(("change", "message"), [
    ({"power": 1.0}, "power: expected a probability between 0 and 1; found 1.0"),
    ({"event_times": [0, 1, 2]}, "expected some before the reference"),
    ({"event_times": [-3, -1, 0]}, "the reference itself left out"),
    ({"covariance": np.eye(2)}, r"expected 3 x 3 .* found shape \(2, 2\)"),
    ({"covariance": np.ones((3, 3))}, "full rank for 2 leads"),
    ({"trend": [0, 0, 1]}, "shows before the reference"),
])
def test_mistakes_are_named(change, message):
    given = {"covariance": np.eye(3), "event_times": [-3, -2, 0]} | change
    with pytest.raises(DidError, match=message):
        slope_for_power(given.pop("covariance"), given.pop("event_times"), **given)


def test_a_violation_of_another_length_is_named():
    with pytest.raises(DidError, match="violation: expected one number for each of 3"):
        pretest_power(np.zeros(3), np.eye(3), [-3, -2, 0], violation=[1.0])
