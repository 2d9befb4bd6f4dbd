"""Adjusted p-values: by hand, by a plain step-down, and between the bounds that theory gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from did.errors import DidError
from did.estimators import Panel
from did.inference.clustered import summarise
from did.inference.multiplicity import benjamini_hochberg, holm, romano_wolf
from did.inference.multiplier import multiplier_draws


def test_holm_and_benjamini_hochberg_by_hand_with_a_missing_one():
    p = [0.01, np.nan, 0.04, 0.03]
    np.testing.assert_allclose(holm(p), [0.03, np.nan, 0.06, 0.06])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.03, np.nan, 0.04, 0.04])
    assert np.isnan(holm([np.nan, None])).all() and len(holm([])) == 0


def test_holm_serves_a_grouped_column_of_a_table():
    table = pd.DataFrame({"figure": [1, 1, 2, 2], "p": [0.01, 0.04, 0.02, np.nan]})
    np.testing.assert_allclose(table.groupby("figure")["p"].transform(holm), [0.02, 0.04, 0.02, np.nan])


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_a_p_value_outside_0_to_1_is_named(adjust):
    with pytest.raises(DidError, match="found 1.2 at position 2"):
        adjust([0.5, 1.2])


def step_down(statistic: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The definition, one hypothesis at a time."""
    adjusted, left, floor = np.empty(len(statistic)), list(range(len(statistic))), 0.0
    while left:
        worst = max(left, key=lambda j: statistic[j])
        reached = sum(max(row[j] for j in left) >= statistic[worst] for row in draws)
        floor = max(floor, (1 + reached) / (1 + len(draws)))
        adjusted[worst] = floor
        left.remove(worst)
    return adjusted


def raw(estimate: np.ndarray, error: np.ndarray, draws: np.ndarray) -> np.ndarray:
    return (1 + (np.abs(draws / error) >= np.abs(estimate / error)).sum(axis=0)) / (1 + len(draws))


@pytest.mark.parametrize("seed", range(5))
def test_romano_wolf_is_the_step_down_done_one_by_one(seed):
    generator = np.random.default_rng(seed)
    error = generator.uniform(0.5, 3, 6)
    draws = generator.normal(size=(99, 6)) @ generator.normal(size=(6, 6)) / 2 * error
    estimate = generator.normal(0, 2, 6) * error
    adjusted = romano_wolf(estimate, error, draws)
    np.testing.assert_allclose(adjusted, step_down(np.abs(estimate / error), np.abs(draws / error)))
    unadjusted = raw(estimate, error, draws)
    assert (adjusted >= unadjusted).all()
    order = np.argsort(-np.abs(estimate / error))
    assert (np.diff(adjusted[order]) >= 0).all()
    # order of the outcomes, signs and units of measure do not matter
    shuffled, scale = generator.permutation(6), generator.uniform(1, 9, 6)
    np.testing.assert_allclose(romano_wolf(-scale * estimate, scale * error, scale * draws), adjusted)
    np.testing.assert_allclose(romano_wolf(estimate[shuffled], error[shuffled], draws[:, shuffled]), adjusted[shuffled])


def test_dependence_is_rewarded_and_independence_is_holm():
    generator = np.random.default_rng(1)
    n, n_draws = 8, 40_000
    estimate = np.linspace(3.2, 1.2, n)
    error = np.ones(n)
    own, common = generator.standard_normal((n_draws, n)), generator.standard_normal((n_draws, 1))
    together = romano_wolf(estimate, error, 0.99 * common + np.sqrt(1 - 0.99**2) * own)
    apart = romano_wolf(estimate, error, own)
    p = 2 * stats.norm.sf(estimate)
    assert (together <= holm(p)).all() and together[1] < 0.5 * holm(p)[1]
    # independent: 1 - (1 - p)^k in place of k p, step by step
    sidak = np.maximum.accumulate(1 - (1 - p) ** np.arange(n, 0, -1))
    np.testing.assert_allclose(apart, sidak, atol=4 * np.sqrt(0.25 / n_draws))
    assert (apart <= holm(p) + 0.01).all() and abs(apart[0] - holm(p)[0]) < 0.003
    # the same outcome eight times is one test
    copies = romano_wolf(np.full(n, 2.0), error, np.repeat(own[:, :1], n, axis=1))
    np.testing.assert_allclose(copies, raw(np.array([2.0]), np.ones(1), own[:, :1])[0])


def test_family_wise_error_is_kept_where_all_are_null():
    generator = np.random.default_rng(2)
    root = np.linalg.cholesky(0.6 + 0.4 * np.eye(5))
    draws = generator.standard_normal((9999, 5)) @ root.T
    wrong = [(romano_wolf(generator.standard_normal(5) @ root.T, np.ones(5), draws) < 0.05).any() for _ in range(1000)]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.022)


def test_outcomes_without_an_error_do_not_count():
    draws = np.random.default_rng(3).standard_normal((50, 4))
    draws[:, 3] = np.nan
    adjusted = romano_wolf([2.0, np.nan, 1.0, 5.0], [1.0, 1.0, 1.0, 1.0], draws)
    assert np.isnan(adjusted[[1, 3]]).all()
    np.testing.assert_allclose(adjusted[[0, 2]], romano_wolf([2.0, 1.0], [1.0, 1.0], draws[:, [0, 2]]))
    assert np.isnan(romano_wolf([1.0], [0.0], draws[:, :1])).all()


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(DidError, match=r"expected draws x outcomes deviations for \(2,\) estimates"):
        romano_wolf([1.0, 2.0], [1.0, 1.0], np.zeros((10, 3)))


def test_families_of_a_table_are_adjusted_together():
    """The shares of the influence table give the draws that the results themselves give."""
    from did.estimators import estimate
    from did.inference.clustered import cluster_shares
    from did.inference.multiplicity import family_tests
    from did.simulate.panels import panel as made

    names, estimates, shares, scaled = ["a", "b", "c"], [], [], []
    for seed, name in enumerate(names):
        frame, _ = made(24, 12, {6: 8}, 0.5 * seed, seed=seed, frequency="Y", first="2001", units_per_system=2)
        panel = Panel.from_frame(frame)
        result = estimate("did", panel)
        keys = {"indicator": name, "sample": "full"}
        rows = summarise(result, panel).assign(**keys, is_synthetic=True)
        estimates.append(rows)
        shares.append(cluster_shares(result, panel).assign(**keys, treatment="binary", estimator="did"))
        own = shares[-1].groupby("cluster")["value"].apply(lambda value: np.sqrt((value**2).sum()))
        np.testing.assert_allclose(own[rows["cluster"]], rows["std_error"], rtol=1e-12)
        sums = result.influence[0].groupby(panel.clusters["system"]).sum()
        scaled.append(sums * own["system"] / np.linalg.norm(sums))
    led = pd.DataFrame({"indicator": names, "sample": "full", "treatment": "binary", "estimator": "did",
                        "p_value": [0.2, 0.04, 0.001], "method": ["CR2", "wild_bootstrap", "CR2"],
                        "coverage": [0.94, 0.96, 0.95]})
    tables = pd.concat(estimates), pd.concat(shares)
    table = family_tests(*tables, led.head(0), {"family": names}, draws=499, seed=3)
    assert table["n_tests"].eq(3).all() and len(table) == 6
    here = table.loc[table["cluster"] == "system"]
    sums = pd.concat(scaled, axis=1)
    draws = multiplier_draws(sums.to_numpy(), sums.index.to_numpy(), draws=499, seed=3)
    expected = romano_wolf(here["estimate"], here["std_error"], draws)
    np.testing.assert_allclose(here["p_romano_wolf"], expected, rtol=1e-12)
    np.testing.assert_allclose(here["p_holm"], holm(here["p_value"]), rtol=1e-12)
    assert (here["p_romano_wolf"] >= here["p_value"] - 0.05).all()
    assert (here["p_adjusted"] == here["p_romano_wolf"]).all() and here["p_method"].eq("clustered").all()
    # where headlines are known, Holm and Benjamini-Hochberg are of their p-values, at every level of clustering
    for _, each in family_tests(*tables, led, {"family": names}, draws=499, seed=3).groupby("cluster"):
        assert each["p_tested"].tolist() == [0.2, 0.04, 0.001] and each["p_method"].tolist() == led["method"].tolist()
        np.testing.assert_allclose(each["p_size"], [0.06, 0.04, 0.05])
        np.testing.assert_allclose(each["p_holm"], [0.2, 0.08, 0.003])
        np.testing.assert_allclose(each["p_benjamini_hochberg"], [0.2, 0.06, 0.003])
        assert each["p_romano_wolf"].isna().all() and (each["p_adjusted"] == each["p_holm"]).all()
    # one headline p-value is missing: that outcome's clustered p-value is adjusted with the others
    mixed = family_tests(*tables, led.assign(p_value=[np.nan, 0.04, 0.001]), {"family": names}, draws=499, seed=3)
    mixed = mixed.loc[mixed["cluster"] == "system"]
    assert mixed["p_method"].tolist() == ["clustered", "wild_bootstrap", "CR2"]
    np.testing.assert_allclose(mixed["p_holm"], holm([here["p_value"].iloc[0], 0.04, 0.001]), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_adjusted_p_values_are_those_of_statsmodels(n):
    from statsmodels.stats.multitest import multipletests

    p = np.round(np.random.default_rng(n).random(n) ** 3, 3)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-14)
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], rtol=1e-14)


def test_step_down_by_reassignment_is_that_done_one_by_one_and_holds_its_level():
    from did.inference.joint_reassignment import step_down

    generator = np.random.default_rng(3)
    t = np.abs(generator.standard_normal((200, 4)) @ np.linalg.cholesky(0.5 * np.eye(4) + 0.5).T) * [1.0, 5.0, 1.0, 1.0]
    t[0, 1] = 14.0
    own = (t[None, :, :] >= t[:, None, :]).mean(axis=1)   # by definition
    order, expected, left = np.argsort(own[0], kind="stable"), np.empty(4), 0.0
    for place, outcome in enumerate(order):
        smallest = own[:, order[place:]].min(axis=1)
        left = max(left, (smallest <= own[0, outcome] + 1e-12).mean())
        expected[outcome] = left
    np.testing.assert_allclose(step_down(t), expected, rtol=1e-12)
    scaled = t * [3.0, 0.01, 1.0, 100.0]   # how much each t varies does not matter
    np.testing.assert_allclose(step_down(scaled), expected, rtol=1e-12)
    every = np.array([step_down(np.roll(t, -row, axis=0)).min() for row in range(len(t))])
    assert (every <= 0.05).mean() <= 0.055   # each row in turn is what was observed: nothing is there
    missing = np.column_stack([t, np.full(200, np.nan)])
    assert np.isnan(step_down(missing)[4]) and not np.isnan(step_down(missing)[:4]).any()


def test_joint_statistics_are_each_outcome_s_own_under_the_same_assignments():
    from did.estimators import estimate
    from did.inference.clustered import cluster_shares
    from did.inference.joint_reassignment import joint_statistics, step_down
    from did.inference.multiplicity import family_tests
    from did.simulate.panels import panel as made

    panels = {name: Panel.from_frame(made(48, 12, {6: 12}, effect, seed=seed, frequency="Y", first="2001",
                                          units_per_system=3, system_share=0.4)[0])
              for seed, (name, effect) in enumerate({"a": 0.0, "b": 25.0, "c": 0.0}.items())}
    t = joint_statistics(panels, "did", {}, "system", draws=299, seed=4)
    for name, panel in panels.items():
        row = summarise(estimate("did", panel), panel).set_index("cluster").loc["system"]
        n, k = row["n_obs"], row["n_parameters"]
        factor = np.sqrt(16 / 15 * (n - 1) / (n - k))
        assert t[name].iloc[0] == pytest.approx(abs(row["estimate"] / row["std_error"]) * factor, rel=1e-8)
    twice = joint_statistics({"one": panels["a"], "two": panels["a"]}, "did", {}, "system", draws=99)
    np.testing.assert_array_equal(twice["one"], twice["two"])   # the same assignments
    rows, shares = [], []
    for name, panel in panels.items():
        result = estimate("did", panel)
        keys = {"indicator": name, "sample": "full"}
        rows.append(summarise(result, panel).assign(**keys, is_synthetic=True))
        shares.append(cluster_shares(result, panel).assign(**keys, treatment="binary", estimator="did"))
    led = pd.DataFrame({"indicator": list(panels), "sample": "full", "treatment": "binary", "estimator": "did",
                        "p_value": [0.6, 0.05, 0.9], "method": "randomisation_near", "coverage": 0.95})
    table = family_tests(pd.concat(rows), pd.concat(shares), led, {"family": list(panels)}, draws=99,
                         reassigned={("full", "binary", "did"): t})
    stepped = np.maximum(step_down(t.to_numpy()), led["p_value"])
    for _, each in table.groupby("cluster"):
        np.testing.assert_allclose(each["p_romano_wolf"], stepped)
        assert (each["p_adjusted"] == each["p_romano_wolf"]).all()
    other = dataclasses.replace(panels["c"], dose=panels["c"].dose[::-1], treated_from=panels["c"].treated_from[::-1])
    with pytest.raises(DidError, match="expected outcomes with the same treated clusters and doses; found others in c"):
        joint_statistics(panels | {"c": other}, "did", {}, "system", draws=99)
