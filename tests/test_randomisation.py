"""Randomisation inference against refits of every assignment, exactness by enumeration, and invariances."""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from did.errors import DidError
from did.estimators import Panel, estimate
from did.inference.assignments import near_orders
from did.inference.clustered import clustered_covariance, labels_of
from did.inference.confidence_set import accepted
from did.inference.methods import Question, infer
from did.inference.quartics import real_roots
from did.inference.randomisation import randomisation, randomisation_rows
from did.simulate.panels import panel as made_panel
from did.store import tables

N_PERIODS, ONSET = 12, 7


def panel_of(
    seed: int, *, sizes=(3, 1, 2, 4, 2, 3), onsets=(ONSET, ONSET), doses=None, effect: float = 0.0,
    varying: bool = False,
) -> Panel:
    """A panel of systems of these sizes; the first of them are treated from ``onsets``, the others never.

    Units differ in level and spread and share noise within a system, so that no two assignments tie.
    """
    generator = np.random.default_rng(seed)
    system = np.repeat(np.arange(len(sizes)), sizes)
    start = np.full(len(sizes), N_PERIODS)
    start[: len(onsets)] = onsets
    dose = np.where(start < N_PERIODS, 1.0, 0.0)
    dose[: len(onsets)] = 1.0 if doses is None else doses
    time = np.arange(N_PERIODS)
    spread = 1 + np.arange(len(system))[:, None] % 3
    noise = generator.normal(0, 2, (len(sizes), N_PERIODS))[system]
    noise = noise + generator.normal(0, spread, (len(system), N_PERIODS))
    treated = time >= start[system][:, None]
    level = generator.normal(50, 10, (len(system), 1))
    outcome = level + np.sin(time) + noise + effect * treated * dose[system][:, None]
    periods = pd.period_range("2016-03", periods=N_PERIODS, freq="M").astype(str)
    unit = pd.Index([f"u{number:03d}" for number in range(len(system))])
    weight = generator.uniform(0.5, 2, outcome.shape) if varying else None
    return Panel(outcome, unit, pd.Index(periods), "M", start[system], dose[system],
                 "binary" if doses is None else "intensity",
                 {"unit": unit.to_numpy(), "system": np.array([f"s{number}" for number in system])}, weight)


def refit(panel: Panel, estimator: str, statistic: str, outcome=None, **options) -> np.ndarray:
    """The statistic of every distinct assignment, the panel's own first, each by a full fit."""
    names, first, codes = np.unique(panel.clusters["system"], return_index=True, return_inverse=True)
    labels = list(zip(panel.treated_from[first].tolist(), panel.dose[first].tolist(), strict=True))
    found = []
    for order in [tuple(labels), *sorted(set(permutations(labels)) - {tuple(labels)})]:
        moved = dataclasses.replace(panel, treated_from=np.array([order[code][0] for code in codes]),
                                    dose=np.array([order[code][1] for code in codes]),
                                    outcome=panel.outcome if outcome is None else outcome)
        result = estimate(estimator, moved, **options)
        covariance = clustered_covariance(result.influence, labels_of(result, moved, "system"), result.n_obs,
                                          result.n_parameters)
        found.append(result.estimate[0] / (np.sqrt(covariance[0, 0]) if statistic == "studentised" else 1.0))
    return np.array(found)


def share(values: np.ndarray) -> float:
    return float((np.abs(values) >= abs(values[0]) * (1 - 1e-8)).mean())


def with_gaps(panel: Panel) -> Panel:
    outcome = panel.outcome.copy()
    outcome[0, 3] = outcome[4, 9] = outcome[4, 0] = outcome[9, 11] = np.nan
    return dataclasses.replace(panel, outcome=outcome)


CASES = {
    "one_wave": (panel_of(1, effect=1.0), 15),
    "two_waves": (panel_of(2, onsets=(5, 8)), 30),
    "doses": (panel_of(3, doses=(3.0, 8.0)), 30),
    "two_waves_with_doses": (panel_of(4, onsets=(5, 8, 5), doses=(3.0, 8.0, 5.0)), 120),
    "weights_by_unit": (dataclasses.replace(panel_of(5), weight=np.tile(np.arange(1.0, 16), (N_PERIODS, 1)).T), 15),
    "changing_weights": (panel_of(6, onsets=(5, 8), varying=True), 30),
}


@pytest.mark.parametrize("statistic", ["estimate", "studentised"])
@pytest.mark.parametrize("estimator", ["did", "ldv"])
@pytest.mark.parametrize("case", CASES)
def test_equals_a_full_fit_of_every_assignment(case, estimator, statistic):
    panel, n_assignments = CASES[case]
    options = {"lags": "last_3"} if estimator == "ldv" else {}
    values = refit(panel, estimator, statistic, **options)
    test = randomisation(panel, estimator=estimator, statistic=statistic, **options)
    assert (test.n_assignments, test.draws, test.enumerated) == (n_assignments, n_assignments, True)
    assert test.value == pytest.approx(values[0], rel=1e-8)
    assert test.p_value == share(values)
    assert test.smallest_p == pytest.approx(1 / n_assignments)
    assert test.estimate == pytest.approx(estimate(estimator, panel, **options).estimate[0], rel=1e-9)


@pytest.mark.parametrize("statistic", ["estimate", "studentised"])
def test_missing_outcomes_are_left_out_as_by_the_estimator(statistic):
    panel = with_gaps(panel_of(7, onsets=(5, 8)))
    for estimator, options in (("did", {}), ("ldv", {"lags": "last_2"})):
        values = refit(panel, estimator, statistic, **options)
        test = randomisation(panel, estimator=estimator, statistic=statistic, **options)
        assert test.value == pytest.approx(values[0], rel=1e-8)
        assert test.p_value == share(values)
    assert "without a needed lag" in test.note


def test_a_period_without_any_outcome_is_left_out():
    panel = panel_of(8)
    outcome = panel.outcome.copy()
    outcome[:, [2, 9]] = np.nan
    panel = dataclasses.replace(panel, outcome=outcome)
    for estimator in ("did", "ldv"):
        options = {"lags": "last_3"} if estimator == "ldv" else {}
        assert randomisation(panel, estimator=estimator, **options).p_value == share(
            refit(panel, estimator, "studentised", **options))


@pytest.mark.parametrize("statistic", ["estimate", "studentised"])
@pytest.mark.parametrize("onsets", [(ONSET, ONSET), (5, 8)])
def test_p_values_of_all_assignments_in_turn_are_exactly_uniform(onsets, statistic):
    panel = panel_of(9, onsets=onsets)
    names, first, codes = np.unique(panel.clusters["system"], return_index=True, return_inverse=True)
    found = []
    for order in set(permutations(panel.treated_from[first].tolist())):
        start = np.array(order)[codes]
        moved = dataclasses.replace(panel, treated_from=start, dose=(start < N_PERIODS).astype(float))
        found.append(randomisation(moved, statistic=statistic).p_value)
    assert np.allclose(sorted(found), np.arange(1, len(found) + 1) / len(found), rtol=1e-12, atol=0)


def test_p_values_are_uniform_over_simulated_panels_without_effect():
    # 15 equally likely values: a chi-squared test; and sampled draws reject as often as they should.
    exact = [randomisation(panel_of(100 + seed)).p_value for seed in range(150)]
    counts = np.bincount(np.rint(np.array(exact) * 15).astype(int), minlength=16)[1:]
    assert counts.sum() == 150 and stats.chisquare(counts).pvalue > 0.01
    many = dict(sizes=(2,) * 12, onsets=(ONSET,) * 4)
    drawn = [randomisation(panel_of(900 + seed, **many), draws=99, seed=seed).p_value for seed in range(150)]
    assert stats.binomtest(int((np.array(drawn) <= 0.1).sum()), 150, 0.1).pvalue > 0.01


def test_an_effect_is_found():
    panel = panel_of(10, sizes=(2,) * 12, onsets=(ONSET,) * 4, effect=20.0)
    test = randomisation(panel)
    assert test.enumerated and test.n_assignments == 495
    assert test.p_value == pytest.approx(1 / 495)
    assert test.ci_low < 20 < test.ci_high and test.ci_low > 10


@pytest.mark.parametrize("statistic", ["estimate", "studentised"])
@pytest.mark.parametrize("kind, estimator", [
    ("one_wave", "did"), ("two_waves", "did"), ("doses", "did"), ("one_wave", "ldv"), ("two_waves", "ldv")])
def test_the_interval_holds_the_effects_that_refits_do_not_reject(kind, estimator, statistic):
    onsets, doses = {"one_wave": ((7, 7), None), "two_waves": ((7, 9), None), "doses": ((7, 7), (2.0, 5.0))}[kind]
    panel = panel_of(11, onsets=onsets, doses=doses, effect=3.0)
    options = {"lags": "last_3"} if estimator == "ldv" else {}
    test = randomisation(panel, estimator=estimator, statistic=statistic, coverage=0.6, **options)
    assert np.isfinite([test.ci_low, test.ci_high]).all() and test.ci_low < test.estimate < test.ci_high
    exposed = panel.treated * panel.dose[:, None]
    width = test.ci_high - test.ci_low

    def p_of(effect: float) -> float:
        return share(refit(panel, estimator, statistic, outcome=panel.outcome - effect * exposed, **options))

    for inside in (test.ci_low + 1e-5 * width, test.ci_high - 1e-5 * width):
        assert p_of(inside) > 0.4
    for outside in (test.ci_low - 1e-5 * width, test.ci_high + 1e-5 * width, test.ci_high + 2 * width):
        assert p_of(outside) <= 0.4


def test_interval_and_p_value_agree_on_zero():
    for seed in range(15):
        panel = panel_of(200 + seed, sizes=(2,) * 9, onsets=(ONSET,) * 3, effect=seed / 8)
        for statistic in ("estimate", "studentised"):
            for draws in (9999, 60):
                test = randomisation(panel, statistic=statistic, coverage=0.8, draws=draws)
                if np.isfinite([test.ci_low, test.ci_high]).all() and not test.ci_low <= 0 <= test.ci_high:
                    assert test.p_value <= 0.2
                elif test.p_value <= 0.2:
                    assert not test.ci_low < 0 < test.ci_high


def test_interval_is_unbounded_where_no_p_value_is_small_enough():
    test = randomisation(panel_of(12))
    assert test.smallest_p > 0.05 and (test.ci_low, test.ci_high) == (-np.inf, np.inf)
    assert "unbounded" in test.note


@pytest.mark.parametrize("draws", [9999, 200])
@pytest.mark.parametrize("estimator", ["did", "ldv"])
def test_invariances(estimator, draws):
    panel = panel_of(13, sizes=(2, 1, 3, 2, 2, 1, 3, 2, 2), onsets=(6, 6, 8))
    options = {"estimator": estimator, "draws": draws, "lags": "last_3"}
    base = randomisation(panel, **options)
    assert base.enumerated == (draws == 9999) and base == randomisation(panel, **options)
    renamed = dataclasses.replace(panel, clusters=panel.clusters | {"system": np.array(
        [f"x{9 - int(name[1:])}" for name in panel.clusters["system"]])})
    assert randomisation(renamed, **options).p_value == base.p_value
    scaled = randomisation(dataclasses.replace(panel, outcome=-1000 * panel.outcome), **options)
    assert scaled.p_value == base.p_value
    assert (scaled.ci_low, scaled.ci_high) == pytest.approx((-1000 * base.ci_high, -1000 * base.ci_low), rel=1e-6)
    constant = np.arange(panel.n_units)[:, None] * 7.0 if estimator == "did" else 7.0
    shifted = randomisation(dataclasses.replace(panel, outcome=panel.outcome + constant), **options)
    assert shifted.p_value == base.p_value and shifted.value == pytest.approx(base.value, rel=1e-8)
    if draws == 9999:
        back = randomisation(panel.keep(np.arange(panel.n_units)[::-1]), **options)
        assert back.p_value == base.p_value


def test_the_order_of_rows_does_not_matter():
    panel = panel_of(14, sizes=(2,) * 9, onsets=(ONSET,) * 3)
    unit, period = np.indices(panel.outcome.shape)
    frame = pd.DataFrame({
        "unit": panel.units[unit.ravel()], "period": panel.periods[period.ravel()], "frequency": "M",
        "outcome": panel.outcome.ravel(), "system": panel.clusters["system"][unit.ravel()],
        "cohort": np.where(panel.never_treated[unit.ravel()], None, panel.periods[ONSET]),
    })
    shuffled = frame.sample(frac=1, random_state=1)
    one, two = (randomisation(Panel.from_frame(rows), draws=50) for rows in (frame, shuffled))
    assert one == two and not one.enumerated
    assert randomisation(Panel.from_frame(frame), draws=50, seed=2).p_value != one.p_value


def test_sampled_draws_come_near_the_exact_share():
    panel = panel_of(15, sizes=(2,) * 12, onsets=(6, 6, 8), effect=0.6)
    exact, drawn = randomisation(panel), randomisation(panel, draws=600)
    assert (exact.draws, drawn.draws, drawn.n_assignments) == (660, 600, 660)
    assert drawn.smallest_p == 1 / 601
    assert abs(exact.p_value - drawn.p_value) < 4 * np.sqrt(exact.p_value * (1 - exact.p_value) / 600)


def test_a_huge_number_of_assignments_is_only_counted():
    panel = panel_of(23, sizes=(1,) * 1500, onsets=(ONSET,) * 700)
    test = randomisation(panel, statistic="estimate", draws=99)
    assert test.n_assignments > 10**400 and test.note.startswith("99 draws of ")


def test_ties_count_as_extreme():
    # Equal systems, half of them treated: every assignment has a mirror image of the same size.
    panel = panel_of(16, sizes=(2,) * 6, onsets=(ONSET,) * 3)
    test = randomisation(panel)
    assert (test.p_value * 20) % 2 == pytest.approx(0) and test.smallest_p == pytest.approx(0.1)


def test_doses_that_differ_within_a_system_are_carried_as_their_mean():
    panel = panel_of(17, doses=(3.0, 8.0))
    dose = panel.dose.copy()
    dose[:3] = [2.0, 2.0, 5.0]
    uneven = dataclasses.replace(panel, dose=dose)
    test, mean = randomisation(uneven), randomisation(panel)
    assert (test.estimate, test.value, test.p_value) == pytest.approx((mean.estimate, mean.value, mean.p_value))
    own = estimate("did", uneven).estimate[0]
    assert "doses differ within s0 (2 to 5)" in test.note and f"{own:.6g}" in test.note
    assert "doses differ" not in mean.note


def test_assignments_without_an_estimate_count_as_extreme():
    panel = panel_of(18)
    outcome = panel.outcome.copy()
    outcome[np.ix_(np.isin(panel.clusters["system"], ["s4", "s5"]), np.arange(ONSET))] = np.nan
    test = randomisation(dataclasses.replace(panel, outcome=outcome))
    # s4 and s5 have no period before onset, so treating one adds nothing to its unit effects: there is no estimate if
    # both are the treated ones, and with any other system they are tied.
    assert "1 assignments without a statistic count as extreme" in test.note
    assert test.smallest_p == pytest.approx(3 / 15) and test.p_value >= 3 / 15


def test_skipped_with_the_reason():
    panel = panel_of(19)
    mixed = dataclasses.replace(panel, treated_from=np.where(panel.units == "u001", N_PERIODS, panel.treated_from))
    test = randomisation(mixed)
    assert (test.status, test.draws) == ("skipped", 0) and np.isnan(test.p_value)
    assert test.reason.startswith("system s0 is mixed, its units first treated in 2016-10, never")
    assert randomisation(mixed, level="unit", draws=99).status == "done"
    pair = panel_of(20, sizes=(3, 3), onsets=(ONSET,))
    assert "no clustered standard error by system (2 clusters)" in randomisation(pair).reason
    assert randomisation(pair, statistic="estimate").p_value == 1.0
    rows = randomisation_rows(mixed, lags="last_3")
    assert list(rows["status"]) == ["skipped"] * 2 and rows["reason"].str.contains("s0 is mixed").all()


def test_rows_fit_the_diagnostics_table():
    rows = randomisation_rows(panel_of(21), lags="last_3").assign(
        indicator="i", specification="r", sample="full", is_synthetic=True)
    checked = tables.check("diagnostics", rows[list(tables.SCHEMAS["diagnostics"].columns)])
    assert list(checked["estimator"]) == ["did", "ldv"] and set(checked["cluster"]) == {"system"}
    assert checked["p_value"].between(0, 1).all() and (checked["status"] == "done").all()
    assert list(checked["n_clusters"]) == [6, 6] and list(checked["n_treated_clusters"]) == [2, 2]
    assert checked["ci_low"].isna().all() and checked["reason"].str.contains("unbounded").all()


@pytest.mark.parametrize("options, words", [
    ({"estimator": "stacked"}, "expected one of did, ldv"),
    ({"statistic": "student"}, "did you mean 'studentised'"),
    ({"level": "region"}, "expected one of unit, system"),
    ({"draws": 0}, "expected 1 or more"),
    ({"coverage": 95}, "between 0 and 1"),
])
def test_usage_errors_are_one_line(options, words):
    with pytest.raises(DidError, match=words) as raised:
        randomisation(panel_of(22), **options)
    assert "\n" not in str(raised.value)


def test_near_in_size_only_clusters_of_like_size_change_places():
    """Sizes in three groups of six: the treated units of every assignment are as many as they were."""
    sizes = np.repeat([1, 4, 9], 6)
    observed = np.zeros(18, dtype=int)
    observed[[0, 6, 12]] = [1, 2, 3]
    generator = np.random.default_rng(2)
    drawn = near_orders(observed, np.array([False, True, True, True]), sizes, 400, generator)
    for label, size in ((1, 1), (2, 4), (3, 9)):
        assert (sizes[np.nonzero(drawn == label)[1]] == size).all()
    assert (np.sort(drawn, axis=1) == np.sort(observed)).all() and len(np.unique(drawn, axis=0)) > 80
    # Where clusters that are not treated differ in dose, size does not say whose place is taken.
    assert near_orders(np.array([0, 1, 2]), np.array([False, False, True]), np.ones(3), 5, generator) is None


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e6])
def test_real_roots_of_quartics_are_those_of_the_companion_matrix(scale):
    generator = np.random.default_rng(3)
    apart = generator.normal(size=(400, 4))
    near = np.column_stack([apart[:, 0], apart[:, 0] * (1 + 1e-7), apart[:, 2], 1e5 * apart[:, 3]])
    even = np.column_stack([apart[:, :2], -apart[:, :2]])
    powers = np.array([np.poly(scale * roots)[::-1] for roots in (*apart, *near, *even)])
    powers = np.concatenate([powers, generator.normal(size=(400, 5)) * 10.0 ** generator.integers(-9, 1, (400, 5))])
    found = np.sort(real_roots(powers), axis=1)
    for own, one in zip(found, powers, strict=True):
        roots = np.roots(one[::-1])
        expected = np.sort(roots[roots.imag == 0].real)
        own = own[np.isfinite(own)]
        if len(own) == len(expected):
            np.testing.assert_allclose(own, expected, rtol=1e-4 if len(own) == 4 else 1e-9,
                                       atol=1e-14 * np.abs(roots).max())
        else:   # two roots that are equal but for rounding are there or not
            assert np.abs(roots.imag).max() <= 1e-5 * np.abs(roots).max()


def test_what_rounding_leaves_of_the_first_coefficients_makes_no_end():
    """x^4 and x^3 are zero but for rounding, in squares of 0.006 x^2: no effect is told apart, however far."""
    powers = np.array([[1.9e-4, 1.9e-2, 5.9e-3, -7.7e-19, -1.4e-33], [2.3e-4, 2.1e-2, 7.2e-3, -8.8e-19, 1.4e-33]])
    found = accepted(powers, 1, 20, 0.05, centre=2.0, unit=1.0)
    assert (found.low, found.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("estimator", ["callaway_santanna", "imputation"])
@pytest.mark.parametrize("middle", [0.0, 5e6])
def test_a_constant_outcome_is_not_tested_by_fitting_again(estimator, middle):
    data = Panel.from_frame(made_panel(24, 8, {5: 4, 6: 4}, 1.0, seed=2, units_per_system=4)[0])
    flat = dataclasses.replace(data, outcome=np.full_like(data.outcome, middle + 0.1))
    row = infer("randomisation_estimate", Question(flat, estimator, "system", {}, draws=49)).iloc[0]
    assert np.isnan(row["p_value"]) and np.isnan(row["ci_low"]) and "beyond rounding" in row["note"]


@pytest.mark.parametrize("estimator", ["did", "ldv"])
def test_a_constant_outcome_is_not_tested(estimator):
    data = Panel.from_frame(made_panel(40, 8, {5: 12}, 1.0, seed=2, units_per_system=4)[0])
    flat = dataclasses.replace(data, outcome=np.full_like(data.outcome, 7.3))
    test = randomisation(flat, estimator=estimator, statistic="estimate")
    assert test.status == "skipped" and "beyond rounding" in test.reason
