"""Wild cluster bootstrap against fwildclusterboot, refits of every sign vector, and simulation."""

from __future__ import annotations

import dataclasses
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import Panel, did, ldv
from did.estimators.design import Design
from did.inference.clustered import summarise
from did.inference.wild import COLUMNS, wild_bootstrap
from golden_files import golden_file, golden_results


def design_of(outcome, regressors, clusters, *, weight=None, effects="two_way", wanted=(0,)) -> Design:
    units = pd.Index([f"u{number:03d}" for number in range(len(outcome))])
    regressors = regressors.reshape(*outcome.shape, -1)
    names = tuple(f"x{number}" for number in range(regressors.shape[2]))
    weight = np.ones(outcome.shape) if weight is None else weight
    return Design(outcome, regressors, names, wanted, weight, effects, units, {"system": np.asarray(clusters)})


def staggered(seed: int, *, n_units=24, n_periods=7, n_clusters=8, n_treated=3, effect=0.0, outcome=None) -> Design:
    """Whole clusters treated in two waves, cluster shocks that persist, and one control column."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n_units) % n_clusters
    onset = np.where(labels < n_treated, 3 + labels % 2, n_periods)
    treatment = (np.arange(n_periods) >= onset[:, None]).astype(float)
    control = generator.normal(size=treatment.shape)
    if outcome is None:
        outcome = generator.normal(size=treatment.shape) + effect * treatment + 0.3 * control
        outcome += generator.normal(size=(n_clusters, n_periods)).cumsum(axis=1)[labels]
    return design_of(outcome, np.stack([treatment, control], axis=2), [f"s{label}" for label in labels])


def uneven(seed: int) -> Design:
    """The same with weights and cells left out, one of them by weight."""
    design = staggered(seed, effect=0.5)
    generator = np.random.default_rng(seed + 100)
    outcome, weight = design.outcome.copy(), generator.uniform(0.5, 2, size=design.outcome.shape)
    outcome[generator.random(outcome.shape) < 0.1] = np.nan
    weight[4, 2] = 0.0
    return dataclasses.replace(design, outcome=outcome, weight=weight)


def lagged(seed: int) -> Design:
    """Two periods after onset on lags and a treatment of whole clusters, period effects only."""
    generator = np.random.default_rng(seed)
    labels = np.arange(30) % 8
    lags = generator.normal(size=(30, 3)) + labels[:, None] / 4
    treatment = (labels < 4).astype(float)
    outcome = lags.sum(axis=1, keepdims=True) + generator.normal(size=(30, 2)) + 0.5 * treatment[:, None]
    columns = np.broadcast_to(np.column_stack([lags, treatment])[:, None, :], (30, 2, 4))
    return design_of(outcome, columns.copy(), labels, effects="period", wanted=(3,))


def refits(design: Design, column: int, vectors, impose_null: bool, null: float = 0.0):
    """Return t and every t*, each from its own least squares with all dummies."""
    used = np.isfinite(design.outcome) & (design.weight > 0)
    unit, period = np.nonzero(used)
    dummies = [pd.get_dummies(period, dtype=float)]
    dummies += [pd.get_dummies(unit, dtype=float)] if design.effects == "two_way" else []
    others = np.column_stack([np.delete(design.regressors[used], column, axis=1), *dummies])
    root = np.sqrt(design.weight[used])
    tested = design.regressors[used][:, column]
    codes = pd.factorize(design.clusters["system"][unit], sort=True)[0]
    everything = np.column_stack([tested, others]) * root[:, None]
    inverse = np.linalg.pinv(everything)
    reduced = inverse[0] / (inverse[0] @ inverse[0])

    def fit(outcome):
        coefficient = inverse @ (outcome * root)
        residual = outcome * root - everything @ coefficient
        scores = np.bincount(codes, weights=reduced * residual) / (reduced @ reduced)
        return coefficient, residual / root, np.sqrt((scores**2).sum())

    outcome = design.outcome[used]
    coefficient, residual, spread = fit(outcome)
    centre, fitted = coefficient[0], outcome - residual
    if impose_null:
        centre = null
        restricted = np.linalg.lstsq(others * root[:, None], (outcome - null * tested) * root, rcond=None)[0]
        fitted = others @ restricted + null * tested
    statistics = []
    for vector in vectors:
        again, _, again_spread = fit(fitted + (outcome - fitted) * vector[codes])
        statistics.append((again[0] - centre) / again_spread)
    return (coefficient[0] - null) / spread, np.abs(statistics)


@pytest.mark.parametrize("weights", ["rademacher", "webb", "normal"])
@pytest.mark.parametrize("impose_null", [True, False])
def test_equals_fwildclusterboot(weights, impose_null):
    frame = pd.read_csv(golden_file("data", "sim_40x12.csv"))
    outcome, treatment = (frame.pivot(index="id", columns="time", values=name).to_numpy(dtype=float)
                          for name in ("y", "treat"))
    design = design_of(outcome, treatment, np.arange(40) // 4)
    entries = golden_results("wild_bootstrap")
    theirs = next(entry["value"] for entry in entries if entry["value"].get("type") == weights.replace("normal", "norm")
                  and entry["value"]["impose_null"] is impose_null)
    row = wild_bootstrap(design, "system", weights=weights, impose_null=impose_null, draws=99_999,
                         fitted=SimpleNamespace(n_obs=480, n_parameters=1)).iloc[0]
    assert row["estimate"] == pytest.approx(theirs["point"], rel=1e-10)
    assert row["t_statistic"] == pytest.approx(theirs["t_stat"], rel=1e-10)
    assert (row["n_clusters"], row["draws"], row["enumerated"]) == (10, theirs["boot_iter"], theirs["enumerated"])
    # Their interval ends are found to 1e-4; simulated ones differ by the noise of 99,999 draws.
    assert row["p_value"] == pytest.approx(theirs["p"], abs=0 if theirs["enumerated"] else 0.005)
    tolerance = 1e-4 if theirs["enumerated"] else 0.01
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(theirs["conf_int"], abs=tolerance)


def test_the_statistic_has_the_factor_of_the_estimates_table():
    frame = pd.read_csv(golden_file("data", "sim_40x12.csv"))
    outcome, treatment = (frame.pivot(index="id", columns="time", values=name).to_numpy(dtype=float)
                          for name in ("y", "treat"))
    row = wild_bootstrap(design_of(outcome, treatment, np.arange(40) // 4), "system").iloc[0]
    assert row["t_statistic"] == pytest.approx(1.3480038913404593, rel=1e-10)


@pytest.mark.parametrize("estimator", [did, ldv])
def test_designs_of_estimators_give_their_estimate_and_statistic(estimator):
    generator = np.random.default_rng(2)
    labels, units = np.arange(60) % 20, pd.Index([f"u{number:02d}" for number in range(60)])
    treated_from = np.where(labels < 8, 6, 9)
    panel = Panel(generator.normal(size=(60, 9)) + generator.normal(size=(20, 9))[labels], units,
                  pd.Index([str(year) for year in range(2010, 2019)]), "Y", treated_from,
                  (treated_from < 9).astype(float), "binary", {"unit": units.to_numpy(), "system": labels})
    result = estimator.estimate(panel)
    table = summarise(result, panel).set_index("cluster")
    for level in ("unit", "system"):
        row = wild_bootstrap(estimator.design(panel), level, fitted=result, draws=199).iloc[0]
        estimate, std_error = table.loc[level, ["estimate", "std_error"]]
        assert row["estimate"] == pytest.approx(estimate, rel=1e-10)
        assert row["t_statistic"] == pytest.approx(estimate / std_error, rel=1e-9)
        assert row["n_treated_clusters"] == table.loc[level, "n_treated_clusters"]


@pytest.mark.parametrize("impose_null", [True, False])
@pytest.mark.parametrize("design", [staggered(1), uneven(2), lagged(3)], ids=["balanced", "uneven", "period"])
def test_equals_a_refit_of_every_sign_vector(design, impose_null):
    vectors = np.array(list(product([1.0, -1.0], repeat=8)))
    columns = range(design.regressors.shape[2])
    rows = wild_bootstrap(dataclasses.replace(design, wanted=tuple(columns)), "system", impose_null=impose_null)
    for column, row in zip(columns, rows.to_dict("records"), strict=True):
        value, others = refits(design, column, vectors, impose_null)
        n_cells = int((np.isfinite(design.outcome) & (design.weight > 0)).sum())
        n_parameters = design.regressors.shape[2] + design.outcome.shape[1]
        factor = 8 / 7 * (n_cells - 1) / (n_cells - n_parameters)
        assert row["t_statistic"] == pytest.approx(value / np.sqrt(factor), rel=1e-8)
        # Where none is larger, the share of the two vectors that repeat the data.
        assert row["p_value"] == ((others > abs(value) * (1 + 1e-8)).mean() or 2 / 256)
        assert row["draws"] == 256 and row["enumerated"]
        # p crosses 5% at both ends.
        for end, outwards in ((row["ci_low"], -1), (row["ci_high"], 1)):
            for step, rejected in ((-1e-6, False), (1e-6, True)):
                null = end + outwards * step * (row["ci_high"] - row["ci_low"])
                value, others = refits(design, column, vectors, impose_null, null)
                assert ((others > abs(value) * (1 + 1e-8)).mean() <= 0.05) == rejected


@pytest.mark.parametrize("weights", ["rademacher", "webb", "normal"])
def test_drawn_weights_agree_with_refits_up_to_noise(weights):
    """With 14 clusters signs are drawn too; p is within the noise of an independent bootstrap by refits."""
    design = staggered(5, n_units=28, n_clusters=14, n_treated=5)
    generator = np.random.default_rng(8)
    draw = {
        "rademacher": lambda size: generator.choice([-1.0, 1.0], size=size),
        "webb": lambda size: generator.choice([-1.0, 1.0], size) * np.sqrt(generator.choice([0.5, 1.0, 1.5], size)),
        "normal": lambda size: generator.standard_normal(size),
    }[weights]
    value, others = refits(design, 0, draw((4000, 14)), True)
    row = wild_bootstrap(design, "system", weights=weights, draws=9999).iloc[0]
    share = (others > abs(value)).mean()
    assert not row["enumerated"] and row["draws"] == 9999
    assert abs(row["p_value"] - share) < 4 * np.sqrt(0.25 / 4000 + 0.25 / 9999)


def test_the_interval_inverts_the_test_with_drawn_weights():
    design = staggered(6, n_units=28, n_clusters=14, n_treated=5, effect=1.0)
    row = wild_bootstrap(design, "system", weights="webb", draws=999, confidence=0.9).iloc[0]
    width = row["ci_high"] - row["ci_low"]
    for null, rejected in ((row["ci_low"] - 1e-6 * width, True), (row["ci_low"] + 1e-6 * width, False),
                           (row["ci_high"] - 1e-6 * width, False), (row["ci_high"] + 1e-6 * width, True)):
        shifted = dataclasses.replace(design, outcome=design.outcome - null * design.regressors[:, :, 0])
        p_value = wild_bootstrap(shifted, "system", weights="webb", draws=999, confidence=None).iloc[0]["p_value"]
        assert (p_value <= 0.1) == rejected


def test_rejects_at_its_level_with_equal_clusters():
    template = staggered(0, n_units=20, n_clusters=10, n_treated=5)
    labels = np.arange(20) % 10
    rejected = []
    for seed in range(400):
        generator = np.random.default_rng(seed)
        outcome = generator.normal(size=(20, 7)) + generator.normal(size=(10, 7)).cumsum(axis=1)[labels]
        design = dataclasses.replace(template, outcome=outcome)
        rejected.append(wild_bootstrap(design, "system", confidence=None)["p_value"].iloc[0] <= 0.05)
    # Four standard errors of a rate of 5% in 400 panels are 4.4 points.
    assert 0.01 < np.mean(rejected) < 0.094


def test_with_one_treated_cluster_both_kinds_fail_and_the_note_says_so():
    template = staggered(0, n_units=20, n_clusters=10, n_treated=1)
    labels = np.arange(20) % 10
    rejected = {True: [], False: []}
    for seed in range(60):
        generator = np.random.default_rng(seed)
        outcome = generator.normal(size=(20, 7)) + generator.normal(size=(10, 7)).cumsum(axis=1)[labels]
        for impose_null, found in rejected.items():
            row = wild_bootstrap(dataclasses.replace(template, outcome=outcome), "system", confidence=None,
                                 impose_null=impose_null).iloc[0]
            found.append(row["p_value"] <= 0.05)
            assert row["n_treated_clusters"] == 1 and "MacKinnon and Webb 2017" in row["note"]
    assert np.mean(rejected[True]) < 0.02 and np.mean(rejected[False]) > 0.3


@pytest.mark.parametrize(("weights", "n_clusters"), [("rademacher", 8), ("rademacher", 14), ("webb", 8), ("normal", 8)])
def test_order_names_and_units_of_measure_do_not_matter(weights, n_clusters):
    design = staggered(9, n_units=28, n_clusters=n_clusters)
    plain = wild_bootstrap(design, "system", weights=weights, draws=499)
    order = np.random.default_rng(1).permutation(28)
    labels = design.clusters["system"]
    renamed = {label: f"z{99 - number}" for number, label in enumerate(np.unique(labels))}
    shuffled = dataclasses.replace(
        design, outcome=design.outcome[order], regressors=design.regressors[order], weight=design.weight[order] * 3,
        units=design.units[order], clusters={"system": np.array([renamed[label] for label in labels[order]])})
    numbers = ["estimate", "t_statistic", "p_value", "ci_low", "ci_high"]
    np.testing.assert_allclose(wild_bootstrap(shuffled, "system", weights=weights, draws=499)[numbers].astype(float),
                               plain[numbers].astype(float), rtol=1e-8)
    scaled = dataclasses.replace(design, outcome=1e6 * design.outcome + 5, regressors=design.regressors / 100)
    np.testing.assert_allclose(
        wild_bootstrap(scaled, "system", weights=weights, draws=499)[numbers].astype(float),
        plain[numbers].astype(float) * [1e8, 1, 1, 1e8, 1e8], rtol=1e-7)


def test_the_seed_decides_draws_and_nothing_when_all_are_used():
    drawn = staggered(4, n_units=28, n_clusters=14)
    first = wild_bootstrap(drawn, "system", draws=999, seed=1)
    pd.testing.assert_frame_equal(first, wild_bootstrap(drawn, "system", draws=999, seed=1))
    assert (first["ci_low"] != wild_bootstrap(drawn, "system", draws=999, seed=2)["ci_low"]).all()
    every = staggered(4)
    pd.testing.assert_frame_equal(wild_bootstrap(every, "system", seed=1), wild_bootstrap(every, "system", seed=2))
    assert "all 256 sign vectors, the seed does not matter" in wild_bootstrap(every, "system")["note"].iloc[0]


def test_columns_together_and_one_by_one_are_the_same():
    design = uneven(7)
    both = wild_bootstrap(dataclasses.replace(design, wanted=(0, 1)), "system")
    assert list(both.columns) == COLUMNS and list(both["column"]) == ["x0", "x1"]
    pd.testing.assert_frame_equal(both.iloc[[0]], wild_bootstrap(design, "system"))
    second = wild_bootstrap(dataclasses.replace(design, wanted=(1,)), "system")
    pd.testing.assert_frame_equal(both.iloc[[1]].reset_index(drop=True), second)
    bare = wild_bootstrap(design, "system", confidence=None)
    assert bare[["ci_low", "ci_high"]].isna().all(axis=None) and bare["p_value"].iloc[0] == both["p_value"].iloc[0]


def test_an_interval_that_does_not_close_is_infinite():
    # Two controls at +1 and -1: signs that make them equal leave no residual, so half the draws have no t*.
    design = design_of(np.array([[3.0], [1.0], [-1.0]]), np.array([[1.0], [0.0], [0.0]]), ["a", "b", "c"],
                       effects="period")
    row = wild_bootstrap(design, "system", impose_null=False).iloc[0]
    assert (row["ci_low"], row["ci_high"]) == (-np.inf, np.inf) and row["p_value"] >= 0.5
    assert "ci_low and ci_high: none within 10,000 standard errors" in row["note"]
    assert "4 draws without a statistic" in row["note"] and "too few for a test at 0.05" in row["note"]


def test_what_cannot_be_tested_is_missing_with_its_reason():
    design = staggered(3)
    one = dataclasses.replace(design, clusters={"system": np.full(24, "s")})
    row = wild_bootstrap(one, "system").iloc[0]
    assert np.isnan(row["p_value"]) and np.isfinite(row["estimate"])
    assert row["note"] == "no bootstrap: 1 cluster by system"
    flat = dataclasses.replace(design, outcome=2 * design.regressors[:, :, 0])
    row = wild_bootstrap(flat, "system").iloc[0]
    assert row["estimate"] == pytest.approx(2) and np.isnan(row["ci_low"])
    assert row["note"] == "no bootstrap: no variation between clusters by system"
    twice = dataclasses.replace(design, regressors=design.regressors[:, :, [0, 0]], wanted=(0, 1))
    rows = wild_bootstrap(twice, "system")
    assert rows["note"].str.startswith("not identified").all() and rows[["estimate", "p_value"]].isna().all(axis=None)


@pytest.mark.parametrize(("options", "message"), [
    ({"level": "sytem"}, "wild bootstrap: level: expected one of system; found 'sytem'; did you mean 'system'?"),
    ({"weights": "mammen"}, "wild bootstrap: weights: expected one of rademacher, webb, normal; found 'mammen'"),
    ({"draws": 0}, "draws: expected 1 or more; found 0"),
    ({"confidence": 95}, "confidence: expected a share between 0 and 1; found 95"),
])
def test_mistakes_are_named_in_one_line(options, message):
    with pytest.raises(DidError) as caught:
        wild_bootstrap(staggered(0), **({"level": "system"} | options))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_unit_without_a_label_and_a_panel_without_outcomes_are_refused():
    design = staggered(0)
    labels = design.clusters["system"].astype(object)
    labels[3] = None
    with pytest.raises(DidError, match="level 'system', unit u003: expected a cluster label; found none"):
        wild_bootstrap(dataclasses.replace(design, clusters={"system": labels}), "system")
    with pytest.raises(DidError, match="expected cells with an outcome"):
        wild_bootstrap(dataclasses.replace(design, outcome=np.full((24, 7), np.nan)), "system")


# wildboottest 0.3.2 (numpy 1.26.4): wildboottest(OLS on the regressors and dummies of units and periods, param=
# "x1", B=99999, bootstrap_type="11", seed=12341); Webb's with eight clusters the mean of seeds 0 to 3.
WILDBOOTTEST = {
    ("eight", "rademacher", True): 0.359375, ("eight", "rademacher", False): 0.359375,
    ("eight", "webb", True): 0.353329, ("twenty", "rademacher", True): 0.153272,
    ("twenty", "rademacher", False): 0.148691, ("twenty", "webb", True): 0.154622, ("twenty", "webb", False): 0.148951,
}


@pytest.mark.parametrize(("design", "weights", "impose_null"), list(WILDBOOTTEST))
def test_p_values_are_those_of_wildboottest(design, weights, impose_null):
    made = {"eight": staggered(11, effect=1.0), "twenty": staggered(11, n_units=60, n_clusters=20, n_treated=6,
                                                                    effect=0.8)}[design]
    found = wild_bootstrap(made, "system", weights=weights, impose_null=impose_null, draws=29_999, confidence=None)
    known = WILDBOOTTEST[design, weights, impose_null]
    if found["enumerated"].item():   # all 256 sign vectors, in both
        assert found["p_value"].item() == known
    else:   # simulation errors of 29,999 and of 99,999 draws
        error = np.sqrt(known * (1 - known) * (1 / 29_999 + 1 / 99_999))
        assert abs(found["p_value"].item() - known) < 4 * error
