"""Sensitivity to trends that are not parallel: HonestDiD's numbers, linear programmes, closed forms, coverage."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from did.diagnostics.sensitivity import COLUMNS, sensitivity_rows
from did.diagnostics.sensitivity.breakdown import (
    first_including_zero,
    relative_magnitudes_breakdown,
    smoothness_breakdown,
)
from did.diagnostics.sensitivity.conditional import least_favourable
from did.diagnostics.sensitivity.path import EventPath, original_interval
from did.diagnostics.sensitivity.relative_magnitudes import inequalities, relative_magnitudes_interval
from did.diagnostics.sensitivity.smoothness import (
    Frontier,
    folded_normal_quantile,
    slope_change_bounds,
    slope_change_unit,
    smoothness_conditional_interval,
)
from did.errors import DidError
from did.estimators import Panel, estimate
from did.estimators.aggregation import aggregate
from did.inference.clustered import summarise
from did.simulate.panels import panel as simulated
from golden_files import golden_file, golden_results

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10_000)


def published() -> EventPath:
    data = json.loads(golden_file("data", "BCdata_EventStudy.json").read_text())
    return EventPath(np.array(data["betahat"]), np.array(data["sigma"]), len(data["prePeriodIndices"]))


def target_of(identity: str) -> str:
    return "first" if "l_vec=first" in identity else "average"


def random_path(seed: int, n_pre: int | None = None, n_post: int | None = None) -> EventPath:
    generator = np.random.default_rng(seed)
    n_pre, n_post = n_pre or int(generator.integers(2, 6)), n_post or int(generator.integers(1, 5))
    size = n_pre + n_post
    root = generator.normal(size=(size, size + 3))
    return EventPath(generator.normal(0, 2, size), root @ root.T / size, n_pre)


# --- against published numbers --------------------------------------------------------------------


@pytest.mark.parametrize("case", golden_results("flci_exact_python"), ids=lambda case: f"{case['l_vec']}-{case['M']}")
def test_fixed_length_interval_is_the_exact_one(case):
    low, high = Frontier.of(published(), case["l_vec"]).interval(case["M"])
    assert low == pytest.approx(case["lb_exact"], abs=1e-8)
    assert high == pytest.approx(case["ub_exact"], abs=1e-8)
    assert low == pytest.approx(case["lb_honestdid"], abs=5e-4)
    assert high == pytest.approx(case["ub_honestdid"], abs=5e-4)


def test_original_interval_and_optimal_estimators_are_those_of_honestdid():
    path = published()
    for entry in golden_results("honestdid_BCdata"):
        identity, value = entry["id"], entry["value"]
        if identity.endswith("original CS"):
            low, high = original_interval(path, target_of(identity))
            assert (low, high) == pytest.approx((value["lb"][0], value["ub"][0]), abs=1e-12)
        if identity.endswith("bounds on M from pre-periods"):
            assert slope_change_bounds(path)[1] == pytest.approx(value["upper_bound_M"], abs=1e-10)
        if "findOptimalFLCI" in identity:
            low, high = Frontier.of(path, target_of(identity)).interval(value["M"])
            assert np.array(value["optimalVec"]) @ path.estimate == pytest.approx((low + high) / 2, abs=5e-4)
            assert (low, high) == pytest.approx(tuple(value["FLCI"]), abs=5e-4)


@pytest.mark.parametrize("case", [case for case in golden_results("honestdid_wide_grid") if case["id"][:2] == "BC"],
                         ids=lambda case: case["id"])
def test_hybrid_sets_are_those_of_honestdid_on_a_wide_grid(case):
    value, target, path = case["value"], target_of(case["id"]), published()
    if "relative magnitudes" in case["id"]:
        found = relative_magnitudes_interval(path, target, value["Mbar"][0])
    else:
        found = smoothness_conditional_interval(path, target, value["M"])
    wanted = np.ravel(value["lb"])[0], np.ravel(value["ub"])[0]
    assert found == pytest.approx(wanted, abs=2e-3 + 0.0025)


def test_relative_magnitudes_are_those_of_honestdid_on_its_own_grid():
    path, compared, others = published(), 0, ("bias", "monotone", "deviation")
    for entry in golden_results("honestdid_BCdata"):
        identity, value = entry["id"], entry["value"]
        if "relative magnitudes|C-LF" not in identity or any(word in identity for word in others):
            continue
        target = target_of(identity)
        weights = path.weights(target)
        sd = np.sqrt(weights @ path.covariance[path.n_pre:, path.n_pre:] @ weights)
        step = 40 * sd / 999
        for low, high, m_bar in zip(value["lb"], value["ub"], value["Mbar"], strict=True):
            found = relative_magnitudes_interval(path, target, m_bar)
            # That grid ends at 20 standard deviations, where its sets are cut off.
            wanted = np.array([low, high])
            inside = np.abs(wanted) < 20 * sd - step
            assert np.array(found)[inside] == pytest.approx(wanted[inside], abs=2e-3 + step)
            compared += int(inside.sum())
    assert compared >= 14


# --- against linear programmes and simulation -----------------------------------------------------


@few
@given(seeds)
def test_vertices_solve_the_linear_programme_of_the_test(seed):
    """The largest vertex is the least slack, in standard deviations, at which all inequalities hold."""
    path = random_path(seed)
    generator = np.random.default_rng(seed + 1)
    weights, m_bar = generator.normal(size=path.n_post), float(generator.uniform(0.1, 2))
    tested = inequalities(path, weights, m_bar)
    theta = float(weights @ path.estimate[path.n_pre:] + generator.normal(0, 3))
    moments = tested.coefficient @ np.stack([np.full(len(tested.bound), tested.centre - theta), tested.bound])
    moments = moments[np.arange(len(tested.bound)), :, np.arange(len(tested.bound))]
    before, after = path.differences(1)
    for number, bound in enumerate(m_bar * np.concatenate([before, -before])):
        rows = np.concatenate([after - bound, -after - bound])
        sd = np.sqrt(np.diag(rows @ path.covariance @ rows.T))
        solved = optimize.linprog(
            np.append(np.zeros(path.n_post), 1.0), method="highs", bounds=(None, None),
            A_ub=np.column_stack([np.concatenate([-after, after])[:, path.n_pre:], -sd]), b_ub=-rows @ path.estimate,
            A_eq=np.append(weights, 0.0)[None, :], b_eq=[theta])
        assert moments[number].max() == pytest.approx(solved.fun, abs=1e-7)


def test_least_favourable_critical_value_is_the_simulated_quantile():
    generator = np.random.default_rng(3)
    factor = generator.normal(size=(6, 4, 2))
    factor[0, 1:] = 0.0  # one vertex alone: a normal quantile
    found = least_favourable(factor, 0.005)
    assert found[0] == pytest.approx(stats.norm.isf(0.005) * np.hypot(*factor[0, 0]), rel=1e-4)
    draws = factor @ generator.normal(size=(2, 400_000))
    assert found == pytest.approx(np.quantile(draws.max(axis=1), 0.995, axis=1), rel=0.01)


@pytest.mark.parametrize("m_bar", [0.5, 1.0])
def test_hybrid_set_covers_the_truth_when_trends_are_at_the_bound(m_bar):
    path = random_path(4, 3, 2)
    step = np.array([1.0, -2.0, 1.5])  # changes before the reference; the largest is 2
    before = -np.cumsum(step[::-1])[::-1]
    for scale in (0.0, 3.0):
        trend = scale * np.concatenate([before, 2 * m_bar * np.array([1.0, 2.0])])
        draws = np.random.default_rng(5).multivariate_normal(trend, path.covariance, 500)
        covered = [inequalities(dataclasses.replace(path, estimate=draw), "average", m_bar).accepted(np.zeros(1)).any()
                   for draw in draws]
        assert np.mean(covered) > 0.93


@few
@given(seeds)
def test_fixed_length_interval_is_shorter_than_any_other_found_by_search(seed):
    """A direct minimisation over the weights of the leads, with the worst bias from a linear programme's dual norm."""
    path = random_path(seed, n_pre=3)
    m = float(np.random.default_rng(seed).uniform(0, 1))
    low, high = Frontier.of(path, "average").interval(m)
    weights = path.weights("average")
    before, after = path.differences(2)
    differences = np.concatenate([before, after])
    slope = np.concatenate([np.arange(-path.n_pre, 0), np.arange(1, path.n_post + 1)]).astype(float)

    def half_length(free: np.ndarray) -> float:
        # The first two weights are free, the one next to the reference makes the slope drop out.
        v = np.concatenate([free, [free @ slope[:2] + weights @ slope[path.n_pre:]], weights])
        bias = m * np.abs(np.linalg.lstsq(differences.T, v, rcond=None)[0]).sum()
        sd = np.sqrt(v @ path.covariance @ v)
        return sd * np.sqrt(stats.ncx2.ppf(0.95, 1, (bias / sd) ** 2))

    found = min((optimize.minimize(half_length, start, method="Nelder-Mead",
                                   options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000})
                 for start in (np.zeros(2), np.array([0.3, -0.2]))), key=lambda one: one.fun)
    assert (high - low) / 2 == pytest.approx(found.fun, rel=1e-5)
    assert (high - low) / 2 <= found.fun * (1 + 1e-9)


@pytest.mark.parametrize("shift", [0.0, 1e-8, 0.3, 1.0, 2.5, 6.0])
def test_folded_normal_quantile(shift):
    quantile = folded_normal_quantile(shift, 0.95)
    assert stats.norm.cdf(quantile - shift) - stats.norm.cdf(-quantile - shift) == pytest.approx(0.95, abs=1e-13)
    assert quantile == pytest.approx(np.sqrt(stats.ncx2.ppf(0.95, 1, shift**2)), rel=1e-8)


# --- closed forms and invariances -----------------------------------------------------------------


@few
@given(seeds)
def test_without_relative_magnitudes_the_set_is_the_original_interval(seed):
    path = random_path(seed)
    assert relative_magnitudes_interval(path, "average", 0.0) == pytest.approx(original_interval(path, "average"))


@few
@given(seeds)
def test_with_linear_trends_the_interval_is_generalised_least_squares(seed):
    """At M = 0 the leads estimate one slope, and effects are deviations from its continuation."""
    path = random_path(seed)
    time = np.concatenate([np.arange(-path.n_pre, 0), np.arange(1, path.n_post + 1)]).astype(float)
    design = np.column_stack([time, np.eye(len(time))[:, path.n_pre:]])
    precision = np.linalg.inv(path.covariance)
    covariance = np.linalg.inv(design.T @ precision @ design)
    weights = np.append(0.0, path.weights("average"))
    centre = weights @ covariance @ design.T @ precision @ path.estimate
    half_length = stats.norm.ppf(0.975) * np.sqrt(weights @ covariance @ weights)
    found = Frontier.of(path, "average").interval(0.0)
    assert found == pytest.approx((centre - half_length, centre + half_length), rel=1e-8, abs=1e-8)


@few
@given(seeds, st.floats(0.001, 1000))
def test_units_and_sign_carry_through(seed, scale):
    path = random_path(seed)
    mirrored = dataclasses.replace(path, estimate=-scale * path.estimate, covariance=scale**2 * path.covariance)
    for find, m in ((relative_magnitudes_interval, 1.0), (smoothness_conditional_interval, scale * 0.7)):
        low, high = find(path, "first", m if find is relative_magnitudes_interval else 0.7)
        if np.isfinite(low):
            wanted = (-scale * high, -scale * low)
            assert find(mirrored, "first", m) == pytest.approx(wanted, rel=1e-6, abs=1e-6 * scale)
    low, high = Frontier.of(path, "average").interval(0.7)
    assert Frontier.of(mirrored, "average").interval(0.7 * scale) == pytest.approx(
        (-scale * high, -scale * low), rel=1e-6, abs=1e-6 * scale)
    assert relative_magnitudes_breakdown(mirrored, "first") == pytest.approx(
        relative_magnitudes_breakdown(path, "first"), rel=1e-6)


@few
@given(seeds)
def test_intervals_grow_with_the_bound(seed):
    path = random_path(seed)
    frontier = Frontier.of(path, "first")
    lengths = [high - low for low, high in (frontier.interval(m) for m in (0.0, 0.1, 0.5, 2.0))]
    assert np.all(np.diff(lengths) > 0)
    sets = np.array([relative_magnitudes_interval(path, "first", m_bar) for m_bar in (0.0, 0.5, 1.0, 2.0)])
    assert np.all(np.diff(sets[:, 1] - sets[:, 0]) > 0)


def test_effects_on_a_straight_line_of_leads_are_deviations_from_it():
    path = random_path(1, 4, 3)
    time = np.concatenate([np.arange(-4, 0), np.arange(1, 4)])
    path = dataclasses.replace(path, estimate=1.5 * time + np.where(time > 0, 10.0, 0.0))
    low, high = Frontier.of(path, "first").interval(0.0)
    assert (low + high) / 2 == pytest.approx(10.0)
    assert slope_change_unit(path) == pytest.approx(0.0, abs=1e-12)
    assert slope_change_bounds(path)[0] == 0.0


# --- breakdown values -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["first", "average"])
def test_at_the_breakdown_value_the_interval_touches_zero(target):
    path = published()
    m_bar = relative_magnitudes_breakdown(path, target)
    assert relative_magnitudes_interval(path, target, m_bar)[0] == pytest.approx(0.0, abs=1e-5)
    frontier = Frontier.of(path, target)
    m = smoothness_breakdown(frontier, largest=1.0)
    assert frontier.interval(m)[0] == pytest.approx(0.0, abs=1e-7)


def test_breakdown_is_zero_or_infinite_where_it_is_not_crossed():
    assert first_including_zero(lambda m: True, 1.0) == 0.0
    assert first_including_zero(lambda m: False, 1.0) == np.inf
    assert first_including_zero(lambda m: m >= 0.3, 1.0) == pytest.approx(0.3, abs=1e-8)
    path = random_path(2, 3, 2)
    assert relative_magnitudes_breakdown(dataclasses.replace(path, estimate=0 * path.estimate), "first") == 0.0
    far = dataclasses.replace(path, estimate=path.estimate + np.where(np.arange(5) > 2, 1e6, 0.0))
    assert relative_magnitudes_breakdown(far, "first") == np.inf


# --- rows from panels -----------------------------------------------------------------------------


def panel_of(*, n_units: int = 120, n_periods: int = 72, cohorts: dict | None = None, units_per_system: int = 2,
             frequency: str = "M") -> Panel:
    frame, _ = simulated(n_units, n_periods, cohorts or {36: 40}, 20.0, seed=1, persistence=0.3,
                         units_per_system=units_per_system, frequency=frequency,
                         first="2010-01" if frequency == "M" else "2000")
    return Panel.from_frame(frame)


def test_rows_of_a_binned_event_study_hold_the_intervals_of_its_coefficients():
    panel = panel_of()
    result = estimate("event_study", panel, bin_width=12)
    rows = sensitivity_rows(result, panel, "system")
    assert list(rows.columns) == COLUMNS
    assert (rows["status"] == "done").all()
    assert rows.groupby(["target", "method"]).size().to_dict() == {
        (target, method): n for target in ("first", "average")
        for method, n in (("original", 1), ("relative_magnitudes", 4), ("smoothness", 3))}
    table = summarise(result, panel).query("cluster == 'system' and event_time == 0").iloc[0]
    first = rows.query("target == 'first'").set_index(["method", "m"])
    own = first.loc[("original", 0.0)]
    assert own["estimate"] == pytest.approx(table["estimate"])
    assert (own["ci_high"] - own["ci_low"]) / 2 == pytest.approx(stats.norm.ppf(0.975) * table["std_error"])
    assert first.loc[("relative_magnitudes", 0.0), "ci_low"] == pytest.approx(own["ci_low"])
    assert (rows.query("method != 'original'")["breakdown"] > 0).all()
    assert rows.equals(sensitivity_rows(result, panel, "system"))
    wider = sensitivity_rows(result, panel, "system", confidence=0.99)
    assert ((wider["ci_high"] - wider["ci_low"]) > (rows["ci_high"] - rows["ci_low"])).all()


def test_part_bins_are_left_out_before_onset_and_weigh_by_their_months_after():
    panel = panel_of(n_periods=69, cohorts={38: 40})
    result = estimate("event_study", panel, bin_width=12)
    rows = sensitivity_rows(result, panel, "system")
    # 38 = 3 x 12 + 2 months before onset, 31 = 2 x 12 + 7 from it on.
    assert rows["reason"].str.contains("the oldest bin holds 2 of 12 periods and is left out").all()
    assert rows["reason"].str.contains("that hold 7 of 12 periods weigh as much in the average").all()
    assert rows["reason"].str.contains("2 leads and 3 effects").all()
    average = rows.query("target == 'average' and method == 'original'").iloc[0]
    value = pd.Series(result.estimate, index=result.parameters["event_time"])
    by_month = (12 * value[0] + 12 * value[1] + 7 * value[2]) / 31
    assert average["estimate"] == pytest.approx(by_month)
    # With one onset and no gap, that is the mean of all months after onset less that of the last year before it.
    change = panel.outcome[:, 38:].mean(axis=1) - panel.outcome[:, 26:38].mean(axis=1)
    assert by_month == pytest.approx(change[~panel.never_treated].mean() - change[panel.never_treated].mean())
    # The two oldest months, whatever they hold, are no deviation any more.
    odd = panel.outcome.copy()
    odd[~panel.never_treated, :2] += 500
    changed = dataclasses.replace(panel, outcome=odd)
    again = sensitivity_rows(estimate("event_study", changed, bin_width=12), changed, "system")
    np.testing.assert_allclose(again["ci_low"], rows["ci_low"], rtol=1e-6)


def test_rows_of_group_time_effects_use_their_own_errors():
    panel = panel_of(n_periods=10, cohorts={5: 40}, units_per_system=1, frequency="Y")
    result = estimate("callaway_santanna", panel, base_period="universal")
    by_time = aggregate(result, panel, "event_time")
    rows = sensitivity_rows(by_time, panel, "unit", targets=["average"])
    assert (rows["status"] == "done").all()
    overall = by_time.parameters["estimand"] == "overall_event_time"
    own = rows.iloc[0]
    error = np.sqrt((by_time.influence.to_numpy()[:, overall] ** 2).sum())
    assert own["estimate"] == pytest.approx(by_time.estimate[overall][0])
    assert (own["ci_high"] - own["ci_low"]) / 2 == pytest.approx(stats.norm.ppf(0.975) * error)


def only_reason(rows) -> str:
    assert (rows["status"] == "skipped").all()
    assert rows[["m", "estimate", "ci_low", "ci_high", "breakdown"]].isna().all(axis=None)
    assert rows["reason"].nunique() == 1
    return rows["reason"].iloc[0]


def test_what_cannot_be_done_is_skipped_with_its_reason():
    panel = panel_of(n_periods=10, cohorts={5: 40}, units_per_system=1, frequency="Y")
    varying = aggregate(estimate("callaway_santanna", panel), panel, "event_time")
    assert "universal base" in only_reason(sensitivity_rows(varying, panel, "unit"))
    early = estimate("event_study", panel, reference=-2)
    assert only_reason(sensitivity_rows(early, panel, "unit")) == "reference: expected event time -1 alone; found -2"
    months = panel_of(n_units=40, units_per_system=4, cohorts={36: 12})
    monthly = estimate("event_study", months)
    assert only_reason(sensitivity_rows(monthly, months, "unit")).startswith("singular covariance: rank")
    short = panel_of(n_periods=6, cohorts={2: 40}, units_per_system=1, frequency="Y")
    rows = sensitivity_rows(estimate("event_study", short), short, "unit").set_index("method")
    assert (rows.loc["relative_magnitudes", "status"] == "done").all()
    assert (rows.loc["smoothness", "status"] == "skipped").all()
    assert "change of slope" in rows.loc["smoothness", "reason"].iloc[0]
    shorter = panel_of(n_periods=6, cohorts={1: 40}, units_per_system=1, frequency="Y")
    assert only_reason(sensitivity_rows(estimate("event_study", shorter), shorter, "unit")).startswith("0 coefficients")
    one = panel_of(n_periods=6, cohorts={3: 1}, units_per_system=1, frequency="Y")
    reason = only_reason(sensitivity_rows(estimate("event_study", one), one, "unit"))
    assert "one treated cluster" in reason
    three = panel_of(n_periods=8, cohorts={5: 3}, units_per_system=1, frequency="Y")
    rows = sensitivity_rows(estimate("event_study", three), three, "unit").set_index("method")
    assert rows.loc["smoothness", "reason"].iloc[0] == "3 treated clusters for 4 leads: the interval would be too short"
    assert rows.loc["smoothness", "covariance"].eq("").all()
    assert rows.loc["smoothness", ["df", "n_clusters"]].isna().to_numpy().all()
    assert rows.loc["relative_magnitudes", "reason"].str.contains("few clusters: covariance by CR3, t with").all()


@pytest.mark.parametrize(("settings_of", "words"), [
    ({"level": "region"}, "sensitivity: level: expected one of unit, system; found 'region'"),
    ({"targets": ["last"]}, "sensitivity: targets: expected one of first, average; found 'last'"),
    ({"m_bars": [-1.0]}, "sensitivity: m_bars: expected numbers, 0 or more; found -1.0"),
    ({"m_units": [np.nan]}, "sensitivity: m_units: expected numbers"),
    ({"confidence": 95}, "sensitivity: confidence: expected a share"),
])
def test_mistakes_are_refused_in_one_line(settings_of, words):
    panel = panel_of(n_periods=8, cohorts={5: 30}, frequency="Y")
    with pytest.raises(DidError) as caught:
        sensitivity_rows(estimate("event_study", panel), panel, settings_of.pop("level", "unit"), **settings_of)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_paths_and_weights_that_do_not_fit_are_refused():
    path = random_path(1, 3, 2)
    with pytest.raises(DidError, match="expected 5 x 5"):
        EventPath(path.estimate, path.covariance[:4, :4], 3)
    with pytest.raises(DidError, match="n_pre: expected 1 to 4"):
        EventPath(path.estimate, path.covariance, 5)
    with pytest.raises(DidError, match="missing values"):
        EventPath(np.full(5, np.nan), path.covariance, 3)
    with pytest.raises(DidError, match="positive definite"):
        EventPath(path.estimate, np.ones((5, 5)), 3)
    for weights in (np.zeros(2), np.ones(3)):
        with pytest.raises(DidError, match="expected 2 finite weights"):
            path.weights(weights)
    for find in (relative_magnitudes_interval, smoothness_conditional_interval):
        with pytest.raises(DidError, match="0 or more; found -1"):
            find(path, "first", -1)
    with pytest.raises(DidError, match="0 or more; found nan"):
        Frontier.of(path, "first").interval(np.nan)
    with pytest.raises(DidError, match="two or more coefficients"):
        slope_change_unit(random_path(1, 1, 2))
    panel = panel_of(n_periods=8, cohorts={5: 30}, frequency="Y")
    plain = estimate("did", panel)
    with pytest.raises(DidError, match="expected an event study"):
        sensitivity_rows(plain, panel, "unit")


def test_with_few_clusters_the_covariance_is_cr3_and_wide_enough_for_t():
    from did.diagnostics.sensitivity.few import corrected, working
    from did.estimators import design_of
    from did.inference.bias_reduced import bias_reduced
    from did.inference.clustered import labels_of

    panel = panel_of(n_units=60, n_periods=8, cohorts={5: 20}, units_per_system=4, frequency="Y")
    study = estimate("event_study", panel)
    known = bias_reduced(design_of("event_study", panel), "system", "CR3").set_index("name")
    df = known["df"].median()
    for confidence in (0.95, 0.8):
        rows = sensitivity_rows(study, panel, "system", confidence=confidence)
        first = rows[rows["method"].eq("original") & rows["target"].eq("first")].iloc[0]
        half = stats.t.ppf((1 + confidence) / 2, df) * known.loc["event_time 0", "std_error"]
        assert first["ci_high"] - first["estimate"] == pytest.approx(half, rel=1e-9)
        assert f"few clusters: covariance by CR3, t with {df:.1f} degrees of freedom" in first["reason"]
        assert rows["covariance"].eq("CR3").all() and rows["df"].to_numpy() == pytest.approx(df)
    # The whole covariance from fits without each cluster, which CR3 is without making them.
    kept = np.flatnonzero(study.parameters["event_time"].ne(-1))
    labels = labels_of(study, panel, "system")
    without = np.array([estimate("event_study", panel.keep(labels != one)).estimate[kept] for one in np.unique(labels)])
    moved = without - study.estimate[kept]
    covariance, _ = corrected(study, panel, "system", kept)
    wider = (stats.t.ppf(0.975, df) / stats.norm.ppf(0.975)) ** 2
    np.testing.assert_allclose(covariance, wider * moved.T @ moved, rtol=1e-7)
    influence = study.influence.to_numpy()[:, kept]
    chosen_by = working(covariance, influence, labels)
    assert np.trace(chosen_by / np.diag(covariance)) == pytest.approx(len(kept))
    assert np.linalg.eigvalsh(chosen_by)[0] > 0
    louder = influence * np.where(labels == labels[0], 50.0, 1.0)[:, None]   # no cluster adds more than another
    np.testing.assert_allclose(working(covariance, louder, labels), chosen_by, rtol=1e-10)
    many = sensitivity_rows(study, panel, "unit")   # 20 of 60 units: clustered, as published
    assert many["covariance"].eq("clustered").all() and many["df"].isna().all()
    assert not many["reason"].str.contains("CR3").any()
