"""Every method of inference against another way to the same number: by hand, by enumeration, by another package."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from linearmodels.panel import PanelOLS
from scipy import stats
from statsmodels.regression.linear_model import OLS

from did.errors import DidError
from did.estimators import design_of, estimate, names, overall_of
from did.estimators.base import Panel
from did.estimators.neighbours import with_neighbours
from did.estimators.unit_means import unit_means
from did.inference.clustered import summarise
from did.inference.conley_taber import few_treated
from did.inference.few_clusters import headline, measured
from did.inference.methods import METHODS, Question, available, infer
from did.inference.randomisation import randomisation
from did.inference.refit import jackknife, randomise
from did.inference.two_way import summarise_two_way
from did.simulate.panels import panel as simulated


def made(cohorts: dict[int, int], n_units: int = 32, n_periods: int = 8, seed: int = 3, effect: float = 0.0,
         per_cluster: int = 4, **options) -> Panel:
    frame, _ = simulated(n_units, n_periods, cohorts, effect, seed=seed, units_per_system=per_cluster, system_share=0.4,
                         persistence=0.5, **options)
    return Panel.from_frame(frame)


def bordered(panel: Panel) -> Panel:
    """The panel with three of the never treated, of three clusters, bordering a treated unit each."""
    pairs = ((0, 20), (8, 24), (12, 28))
    return with_neighbours(panel, [(panel.units[one], panel.units[other]) for one, other in pairs])


def without(panel: Panel, label: str) -> Panel:
    return panel.keep(panel.clusters["system"] != label)


# Wild bootstrap -----------------------------------------------------------------------------------------------

def test_the_wild_bootstrap_of_eight_clusters_is_the_full_enumeration():
    """All 256 sign vectors, each a regression by dummy variables of its own: p, and the ends of the set."""
    panel = made({4: 12})
    n, t = panel.outcome.shape
    treated = np.where(panel.treated, panel.dose[:, None], 0.0).ravel()
    dummies = np.column_stack([np.kron(np.eye(n), np.ones((t, 1))), np.kron(np.ones((n, 1)), np.eye(t))[:, 1:]])
    cluster = np.repeat(pd.factorize(panel.clusters["system"])[0], t)
    annihilate = np.eye(n * t) - dummies @ np.linalg.pinv(dummies)
    column = annihilate @ treated

    def t_of(outcome: np.ndarray, null: float) -> float:
        left = annihilate @ outcome
        found = column @ left / (column @ column)
        score = np.bincount(cluster, weights=column * (left - found * column))
        return (found - null) / np.sqrt((score**2).sum())

    def p_of(null: float) -> float:
        outcome = panel.outcome.ravel()
        restricted = annihilate @ (outcome - null * treated)
        observed, fitted = abs(t_of(outcome, null)), outcome - restricted
        drawn = [abs(t_of(fitted + restricted * np.array(signs)[cluster], null))
                 for signs in product((-1.0, 1.0), repeat=8)]
        return float(np.mean(np.array(drawn) > observed * (1 + 1e-9)))

    row = infer("wild_bootstrap", Question(panel, "did", "system")).iloc[0]
    assert row["n_clusters"] == 8
    assert row["p_value"] == pytest.approx(p_of(0.0), abs=1e-12)
    for end, outside in (("ci_low", -1), ("ci_high", 1)):
        step = 1e-4 * (row["ci_high"] - row["ci_low"])
        assert p_of(row[end] - outside * step) > 0.05 >= p_of(row[end] + outside * step)


# Randomisation ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("statistic", ["studentised", "estimate"])
@pytest.mark.parametrize("name", ["did", "imputation"])
def test_p_values_over_all_assignments_are_uniform(name, statistic):
    """Each of the 28 ways to treat two of eight clusters in turn is the observed one: no p comes up too often."""
    panel = made({4: 8}, n_units=32)
    codes, labels = pd.factorize(panel.clusters["system"])
    p_values = []
    for chosen in ((a, b) for a in range(8) for b in range(a)):
        assigned = np.isin(codes, chosen)
        other = dataclasses.replace(panel, treated_from=np.where(assigned, 4, panel.n_periods),
                                    dose=assigned.astype(float))
        found = randomise(lambda one: [estimate(name, one)], other, "system", statistic=statistic, draws=28)
        assert found["draws"].iloc[0] == 28
        p_values.append(found["p_value"].iloc[0])
    p_values = np.array(p_values)
    np.testing.assert_allclose(np.sort(p_values), np.arange(1, 29) / 28, atol=1e-12)


@pytest.mark.parametrize("statistic", ["studentised", "estimate"])
def test_refitting_gives_what_linear_algebra_gives(statistic):
    panel = made({4: 8, 6: 4}, effect=4.0)
    again = randomise(lambda one: [estimate("did", one)], panel, "system", statistic=statistic, draws=200).iloc[0]
    direct = randomisation(panel, statistic=statistic, draws=200)
    assert direct.enumerated and again["draws"] == direct.draws == 168
    assert (again["p_value"], again["shape"]) == (pytest.approx(direct.p_value), direct.shape)
    np.testing.assert_allclose([again["ci_low"], again["ci_high"]], [direct.ci_low, direct.ci_high], rtol=1e-8)


def test_the_set_of_an_effect_over_event_time_inverts_its_test():
    """p of the outcome less a constant effect is above 5% just inside each end, and not just outside."""
    panel = made({4: 8}, effect=4.0)
    question = Question(panel, "event_study", "system", draws=28)
    rows = infer("randomisation_estimate", question).set_index("event_time")
    row = rows.loc[1]
    assert row["interval_shape"] == "interval"

    def p_of(effect: float) -> float:
        less = panel.outcome - effect * np.where(panel.treated, panel.dose[:, None], 0.0)
        tested = Question(dataclasses.replace(panel, outcome=less), "event_study", "system", draws=28)
        return infer("randomisation_estimate", tested).set_index("event_time").loc[1, "p_value"]

    step = 1e-5 * (row["ci_high"] - row["ci_low"])
    assert p_of(row["ci_low"] + step) > 0.05 >= p_of(row["ci_low"] - step)
    assert p_of(row["ci_high"] - step) > 0.05 >= p_of(row["ci_high"] + step)
    leads = rows.loc[-3]
    assert np.isfinite(leads["p_value"]) and np.isnan(leads["ci_low"])
    assert "a constant effect does not move it" in leads["note"]


# Jackknife ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [name for name in names() if name != "ldv"])
def test_the_jackknife_is_leaving_out_by_hand(name):
    panel = bordered(made({4: 12, 6: 8}, n_units=40, effect=2.0))
    rows = infer("jackknife", Question(panel, name, "system"))
    full = estimate(name, panel)
    labels = sorted(set(panel.clusters["system"]))
    results = [estimate(name, without(panel, label)) for label in labels]
    assert all(result.parameters.drop(columns="note").equals(full.parameters.drop(columns="note"))
               for result in results)
    moves = np.array([result.estimate - full.estimate for result in results])
    expected = np.sqrt(9 / 10 * (moves**2).sum(axis=0))
    known = rows["std_error"].notna().to_numpy()
    assert known.any()
    np.testing.assert_allclose(rows["std_error"][known], expected[known], rtol=1e-9)
    p_value = 2 * stats.t.sf(np.abs(full.estimate[known] / expected[known]), 9)
    np.testing.assert_allclose(rows["p_value"][known], p_value, rtol=1e-9)


def test_the_jackknife_of_a_regression_is_the_cr3_of_its_leverage():
    from did.inference.bias_reduced import bias_reduced

    panel = made({4: 12}, n_units=40)
    ours = infer("jackknife", Question(panel, "ldv", "system", {"lags": "last_2"}))
    theirs = bias_reduced(design_of("ldv", panel, lags="last_2"), "system", "CR3_jackknife")
    np.testing.assert_allclose(ours["std_error"], theirs["std_error"], rtol=1e-8)


def test_many_untreated_clusters_are_left_out_by_their_influence_close_to_by_hand():
    panel = made({4: 6}, n_units=140, per_cluster=1)
    found = jackknife(lambda one: [estimate("did", one)], panel, "unit").iloc[0]
    assert "6 treated clusters by unit left out by fitting again, 134 others by their influence" in found["note"]
    full = estimate("did", panel).estimate[0]
    moves = [estimate("did", panel.keep(panel.units != unit)).estimate[0] - full for unit in panel.units]
    assert found["std_error"] == pytest.approx(np.sqrt(139 / 140 * np.square(moves).sum()), rel=1e-3)


# Combinations -------------------------------------------------------------------------------------------------

WEIGHTS = {0: 0.5, 1: 0.25, 3: 0.25}


def test_a_combination_by_its_regression_is_that_of_the_coefficients():
    panel = made({4: 12}, n_units=40, effect=3.0)
    question = Question(panel, "event_study", "system", combination=("mean", WEIGHTS))
    study = estimate("event_study", panel)
    factors = study.parameters["event_time"].map(lambda time: WEIGHTS.get(time, 0.0)).to_numpy(dtype=float)
    for method in ("clustered", "CR2", "CR3", "jackknife", "wild_bootstrap"):
        row = infer(method, question).iloc[0]
        assert row["estimand"] == "mean"
        assert row["estimate"] == pytest.approx(study.estimate @ factors, rel=1e-9)
    from did.inference.bias_reduced import leverages

    covariance = leverages(design_of("event_study", panel), "system").covariance("CR2")
    weights = factors[~study.parameters["state"].eq("reference").to_numpy()]
    row = infer("CR2", question).iloc[0]
    assert row["std_error"] == pytest.approx(np.sqrt(weights @ covariance @ weights), rel=1e-8)


@pytest.mark.parametrize("name", names(over_time=True))
def test_combinations_of_every_estimator_over_event_time(name):
    if name == "callaway_santanna":
        from did.estimators.aggregation import aggregate

        finish = lambda result, panel: [aggregate(result, panel, "event_time")]   # noqa: E731
    else:
        finish = None
    question = Question(made({4: 12}, n_units=40, effect=3.0), name, "system", finish=finish,
                        combination=("first", {0: 0.5, 1: 0.5}))
    assert np.isfinite(infer("jackknife", question)["std_error"].iloc[0])


# Two ways -----------------------------------------------------------------------------------------------------

def test_two_way_clusters_equal_linearmodels():
    frame, _ = simulated(60, 8, {4: 20}, 1.0, seed=4, units_per_system=5, system_share=0.4)
    units = sorted(frame["unit"].unique())
    frame["region"] = frame["unit"].map({unit: f"R{position % 7}" for position, unit in enumerate(units)})
    panel = Panel.from_frame(frame, cluster_columns=("system", "region"))
    row = summarise_two_way(estimate("did", panel), panel, ("system", "region")).iloc[0]
    data = frame.assign(period=pd.PeriodIndex(frame["period"], freq="M").to_timestamp()).set_index(["unit", "period"])
    data["d"] = ((data["cohort"].notna()) & (data.index.get_level_values(1) >= pd.to_datetime(data["cohort"]))) * 1.0
    clusters = data[["system", "region"]].apply(lambda column: pd.factorize(column)[0])
    model = PanelOLS(data["outcome"], data[["d"]], entity_effects=True, time_effects=True)
    parts = [model.fit(cov_type="clustered", clusters=clusters[names], debiased=False, group_debias=True).cov.iloc[0, 0]
             for names in (["system"], ["region"])]
    both = clusters["system"] * 100 + clusters["region"]
    parts.append(model.fit(cov_type="clustered", clusters=both.to_frame("both"), debiased=False,
                           group_debias=True).cov.iloc[0, 0])
    # Their factor for N and K counts unit effects; ours, the same in all three, is taken from the one-way error.
    one_way = summarise(estimate("did", panel), panel).set_index("cluster")["std_error"] ** 2
    assert one_way["system"] / parts[0] == pytest.approx(one_way["region"] / parts[1], rel=1e-9)
    expected = (parts[0] + parts[1] - parts[2]) * one_way["system"] / parts[0]
    assert row["std_error"] ** 2 == pytest.approx(expected, rel=1e-6)
    assert (row["df"], row["n_clusters"]) == (6, 7)


def test_two_way_clusters_that_are_nested_are_the_coarser():
    panel = made({4: 12}, n_units=40)
    result = estimate("did", panel)
    rows = summarise(result, panel).set_index("cluster")
    both = summarise_two_way(result, panel, ("unit", "system")).iloc[0]
    assert both["std_error"] == pytest.approx(rows.loc["system", "std_error"], rel=1e-12)
    with pytest.raises(DidError, match="two different"):
        summarise_two_way(result, panel, ("unit", "unit"))


# Unit means of the lagged dependent variable regression --------------------------------------------------------

def test_unit_means_equal_statsmodels():
    panel = made({6: 20}, n_units=60, n_periods=10, per_cluster=1)
    x = np.column_stack([panel.outcome[:, 3:6], np.where(panel.never_treated, 0.0, 1.0), np.ones(60)])
    theirs = OLS(panel.outcome[:, 6:].mean(axis=1), x).fit()
    for kind in ("HC2", "HC3"):
        row = infer(kind, Question(panel, "ldv", options={"lags": "last_3"})).iloc[0]
        robust = theirs.get_robustcov_results(kind, use_t=True)
        assert row["estimate"] == pytest.approx(theirs.params[3], rel=1e-9)
        assert row["std_error"] == pytest.approx(robust.bse[3], rel=1e-9)
        assert row["p_value"] == pytest.approx(robust.pvalues[3], rel=1e-7)
        assert row["df"] == theirs.df_resid == 55
    means = unit_means(design_of("ldv", panel, lags="last_3"))
    np.testing.assert_allclose(means.leverage, theirs.get_influence().hat_matrix_diag, rtol=1e-9)
    note = estimate("ldv", panel, lags="last_3").note
    assert "55 degrees of freedom" in note and "N - K = 232" in note
    assert f"leverage {means.leverage.mean():.2f} on average, {means.leverage.max():.2f} at most" in note


def test_later_cohorts_have_no_unit_means():
    panel = made({4: 12, 6: 8}, n_units=40)
    assert "a regression of unit means" not in estimate("ldv", panel, lags="last_2").note
    row = infer("HC2", Question(panel, "ldv", options={"lags": "last_2"})).iloc[0]
    assert np.isnan(row["p_value"]) and row["note"].startswith("no errors of unit means")


# Few treated clusters -----------------------------------------------------------------------------------------

def test_conley_taber_by_dummy_variables_and_loops():
    """Two treated clusters of unequal size and date: all pairs of untreated residuals, from the definition."""
    panel = made({4: 4, 6: 8}, n_units=48)
    panel = panel.keep(panel.units != panel.units[~panel.never_treated][0])
    row = few_treated(panel, "system").iloc[0]
    names = list(pd.unique(panel.clusters["system"]))
    members = [panel.clusters["system"] == name for name in names]
    means = np.array([panel.outcome[own].mean(axis=0) for own in members])
    dose = np.array([panel.treated[own][0] * panel.dose[own][0] for own in members], dtype=float)
    size = np.array([own.sum() for own in members], dtype=float)
    g, t = means.shape
    x = np.column_stack([dose.ravel(), np.kron(np.eye(g), np.ones((t, 1))), np.kron(np.ones((g, 1)), np.eye(t))[:, 1:]])
    root = np.sqrt(np.repeat(size, t))
    coefficient = np.linalg.lstsq(x * root[:, None], means.ravel() * root, rcond=None)[0]
    assert row["estimate"] == pytest.approx(coefficient[0], rel=1e-9)
    assert row["estimate"] == pytest.approx(estimate("did", panel).estimate[0], rel=1e-9)
    residual = (means.ravel() - x @ coefficient).reshape(g, t)
    path = dose - dose.mean(axis=1, keepdims=True)
    treated = np.flatnonzero(np.ptp(dose, axis=1) > 0)
    others = [cluster for cluster in range(g) if cluster not in treated]
    below = sum(size[one] * (path[one] ** 2).sum() for one in treated)
    drawn = np.array([abs(sum(size[one] * path[one] @ residual[other]
                              for one, other in zip(treated, chosen, strict=True))) / below
                      for chosen in product(others, repeat=len(treated))])
    assert (row["draws"], row["enumerated"]) == (len(others) ** len(treated), True)
    n_larger = (drawn >= abs(coefficient[0]) * (1 - 1e-9)).sum()
    assert row["p_value"] == pytest.approx((1 + n_larger) / (1 + len(drawn)), abs=1e-12)
    for end in ("ci_low", "ci_high"):
        reach = abs(row[end] - row["estimate"])
        inside, outside = (drawn >= reach * (1 - 1e-9)).sum(), (drawn > reach * (1 + 1e-9)).sum()
        assert (1 + inside) / (1 + len(drawn)) > 0.05 >= (1 + outside) / (1 + len(drawn))


def sized(generator: np.random.Generator, sizes: list[int]) -> Panel:
    """Clusters of ``sizes`` units without effect, the first treated in the second half; noise is each unit's own."""
    n, t = sum(sizes), 6
    label = np.repeat([f"C{number:02d}" for number in range(len(sizes))], sizes)
    treated = label == "C00"
    return Panel(generator.normal(size=(n, t)), pd.Index([f"u{number:04d}" for number in range(n)]),
                 pd.Index([str(2000 + year) for year in range(t)]), "Y", np.where(treated, 3, t), treated.astype(float),
                 "binary", {"unit": np.arange(n).astype(str), "system": label})


def test_ferman_pinto_holds_its_level_where_the_treated_cluster_is_small_and_conley_taber_does_not():
    """Ferman and Pinto 2019, section II: sizes decide the variance, and a small treated cluster is rejected too often.

    49 untreated clusters of 40 to 60 units and a treated one of 4: its noise is some three times theirs.
    """
    generator = np.random.default_rng(8)
    sizes = [4, *generator.integers(5, 100, size=49)]
    rejected = {"conley_taber": 0, "ferman_pinto": 0}
    n = 100
    for _ in range(n):
        panel = sized(generator, sizes)
        for kind in rejected:
            rejected[kind] += few_treated(panel, "system", kind, draws=199).iloc[0]["p_value"] <= 0.05
    assert rejected["conley_taber"] / n > 0.2
    assert stats.binom.sf(rejected["ferman_pinto"] - 1, n, 0.05) > 0.001


def test_the_ferman_pinto_set_inverts_its_test():
    panel = sized(np.random.default_rng(2), [3, *[6] * 10, *[20] * 10])
    row = few_treated(panel, "system", "ferman_pinto", draws=499).iloc[0]
    effect = np.where(panel.treated, panel.dose[:, None], 0.0)

    def p_of(value: float) -> float:
        less = dataclasses.replace(panel, outcome=panel.outcome - value * effect)
        return few_treated(less, "system", "ferman_pinto", draws=499).iloc[0]["p_value"]

    step = 1e-4 * (row["ci_high"] - row["ci_low"])
    assert p_of(row["ci_low"] + step) > 0.05 >= p_of(row["ci_low"] - step)
    assert p_of(row["ci_high"] - step) > 0.05 >= p_of(row["ci_high"] + step)


# The registry and the headline --------------------------------------------------------------------------------

@pytest.mark.parametrize("name", names())
def test_every_method_of_an_estimator_gives_its_parameters_or_says_why_not(name):
    panel = bordered(made({4: 12, 6: 8}, n_units=40, effect=2.0))
    options = {"lags": "last_2"} if name == "ldv" else {}
    question = Question(panel, name, "system", options, draws=5)
    expected = estimate(name, panel, **options).estimate
    for method in available(name):
        rows = infer(method, question)
        np.testing.assert_allclose(rows["estimate"], expected, rtol=1e-9, atol=1e-12)
        given = rows["p_value"].notna()
        assert (given | (rows["note"] != "")).all()
        assert ((rows["p_value"] >= 0) & (rows["p_value"] <= 1))[given].all()
        bounded = rows["ci_low"].notna()
        assert (rows["ci_low"] <= rows["ci_high"])[bounded].all() and (rows["interval_shape"][bounded] != "").all()
    missing = [method for method in METHODS if method not in available(name)]
    for method in missing:
        with pytest.raises(DidError, match=f"expected a method for {name}"):
            infer(method, question)


def test_three_treated_clusters_one_all_and_two_in_all():
    three = headline(Question(made({4: 12}, n_units=60, n_periods=30), "did", "system"))
    assert np.isfinite(three.rows["p_value"]).all() and "3 treated of 15 by system" in three.sentence
    one = headline(Question(made({4: 4}, n_units=60), "did", "system"))
    assert one.method == "conley_taber" and "smallest p is about 1 in 15" in one.sentence
    assert one.rows["p_value"].iloc[0] >= 1 / 15 - 1e-12 and one.rows["interval_shape"].iloc[0] == "unbounded"
    timed = headline(Question(made({4: 4}, n_units=60), "event_study", "system"))
    assert timed.method == "randomisation_estimate" and timed.rows["p_value"].min() == pytest.approx(1 / 15, abs=0.1)
    some = made({4: 16, 6: 16}, n_units=36)
    every = headline(Question(some.keep(~some.never_treated), "did", "system"))
    assert "all 8 by system are treated" in every.sentence and np.isfinite(every.rows["p_value"]).all()
    two = headline(Question(made({4: 4}, n_units=8), "did", "system"))
    assert two.method == "" and np.isfinite(two.rows["estimate"]).all()
    assert two.rows[["std_error", "p_value", "ci_low"]].isna().all(axis=None)
    assert "2 clusters by system: no method can tell" in two.sentence


@pytest.mark.parametrize("estimator", ["did", "callaway_santanna"])
def test_few_clusters_are_measured_where_that_can_be_and_say_what_cannot(estimator):
    def of(panel, **given):
        question = Question(panel, estimator, "system", finish=lambda result, own: [overall_of(result, own)], **given)
        return headline(question, measured(question, 99, 20))

    three = of(made({40: 12}, n_units=60, n_periods=54))
    assert np.isfinite(three.rows["p_value"]).all() and "3 treated of 15 by system" in three.sentence
    assert 0.8 < three.coverage <= 1 and f"{100 * three.coverage:.1f}% of the time, measured on this" in three.sentence
    one = of(made({40: 4}, n_units=60, n_periods=54))
    assert one.sentence.startswith("one treated cluster of 15 by system") and one.rows["p_value"].iloc[0] >= 1 / 15
    some = made({30: 16, 40: 16}, n_units=36, n_periods=54)
    every = of(some.keep(~some.never_treated))
    assert "all 8 by system are treated, and earlier ones are compared with later ones" in every.sentence
    assert "could not be measured: expected at least 11 clusters never treated" in every.sentence
    assert every.rows["std_error"].notna().all()
    two = of(made({40: 4}, n_units=8, n_periods=54))
    assert two.method == "" and "2 clusters by system: no method can tell" in two.sentence


def test_methods_load_no_statistics_before_they_are_asked():
    code = ("import sys, did.inference.methods; "
            "print([name for name in ('scipy.stats', 'statsmodels', 'matplotlib') if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_headline_is_the_first_that_was_measured_to_hold():
    panel = made({50: 20}, n_units=80, n_periods=60, per_cluster=4)
    found = headline(Question(panel, "did", "system"))
    assert found.method in ("wild_bootstrap", "CR2", "randomisation", "CR3")
    assert found.coverage == pytest.approx(0.95, abs=0.02) or "none in order" in found.sentence
    assert f"{100 * found.coverage:.1f}%" in found.sentence
    assert (found.rows["measured_coverage"] == found.coverage).all()
    assert found.sentence == headline(Question(panel, "did", "system")).sentence


def test_permuting_the_names_of_clusters_changes_nothing():
    panel = made({4: 12, 6: 8}, n_units=40)
    names = sorted(set(panel.clusters["system"]))
    turned = dict(zip(names, next(iter(permutations(reversed(names)))), strict=True))
    other = dataclasses.replace(panel, clusters=panel.clusters | {
        "system": np.array([turned[name] for name in panel.clusters["system"]])})
    for method in ("jackknife", "wild_bootstrap_webb", "randomisation", "ferman_pinto"):
        one, two = (infer(method, Question(each, "did", "system", draws=199)) for each in (panel, other))
        np.testing.assert_allclose(one[["p_value", "ci_low", "ci_high"]], two[["p_value", "ci_low", "ci_high"]])


def test_no_interval_where_the_estimate_is_not_linear_in_the_outcome():
    panel = made({4: 8}, n_units=24, effect=2.0)
    for name in ("randomisation", "randomisation_estimate"):
        rows = infer(name, Question(panel, "synthetic_did", "system", draws=9))
        tested = rows["p_value"].notna()
        assert tested.any() and rows.loc[tested, ["ci_low", "ci_high"]].isna().all(axis=None)
        assert rows.loc[tested, "note"].str.contains("not linear in the outcome").all()


def test_clusters_near_in_size_are_not_reassigned_by_fitting_again():
    panel = dataclasses.replace(made({4: 12}, n_units=40))
    panel = dataclasses.replace(panel, covariates={"x": np.random.default_rng(1).normal(size=panel.outcome.shape)})
    with pytest.raises(DidError, match="randomisation_near: expected did without options"):
        infer("randomisation_near", Question(panel, "did", "system", {"covariates": ["x"]}, draws=9))
    with pytest.raises(DidError, match="statistic"):
        randomise(lambda one: [estimate("did", one)], panel, "system", statistic="studentised_near")


@pytest.mark.parametrize("kind", ["conley_taber", "ferman_pinto"])
def test_cluster_means_are_not_taken_for_units_with_gaps(kind):
    panel = made({4: 4}, n_units=60)
    gap = panel.outcome.copy()
    gap[7, 2] = np.nan
    found = few_treated(dataclasses.replace(panel, outcome=gap), "system", kind)
    assert found["p_value"].isna().all() and f"unit {panel.units[7]} has no outcome" in found["note"].item()
    # A period in which nobody has an outcome is no gap of a unit.
    gap[:, 2] = np.nan
    assert few_treated(dataclasses.replace(panel, outcome=gap), "system", kind)["p_value"].notna().all()
