"""Leverage-corrected errors against R (clubSandwich, summclust), literal refits and dense matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import Panel, did, estimate, event_study, ldv
from did.estimators.design import Design
from did.inference.bias_reduced import bias_reduced, leverages
from golden_files import golden_file, golden_results

SE, DF = 1e-9, 1e-7
COHORT = {"sim_40x12": ("id", "time", "g"), "base_stagg": ("id", "year", "year_treated")}


def raw(data: str) -> pd.DataFrame:
    unit, time, cohort = COHORT[data]
    frame = pd.read_csv(golden_file("data", f"{data}.csv")).rename(columns={unit: "id", time: "t", cohort: "g"})
    frame["treat"] = ((frame["g"] > 0) & (frame["t"] >= frame["g"]) & (frame["g"] < 10_000)).astype(float)
    return frame.sort_values(["id", "t"]).reset_index(drop=True)


def golden_panel(data: str) -> Panel:
    frame = raw(data)
    ever = frame["g"].between(frame["t"].min(), frame["t"].max())
    return Panel.from_frame(pd.DataFrame({
        "unit": frame["id"].map("u{:03d}".format), "period": (2000 + frame["t"]).astype(str), "frequency": "Y",
        "outcome": frame["y"], "cohort": (2000 + frame["g"]).astype(str).where(ever),
        "region": ((frame["id"] - 1) // 4 + 1).astype(str),
    }), cluster_columns=("region",))


def golden(file: str, identity: str) -> dict:
    results = golden_results(f"{file}")
    return next(entry["value"] for entry in results if entry["id"].endswith(identity))


def simulated(seed: int, *, missing: bool = False, weighted: bool = False, doses: bool = False) -> Panel:
    """30 units x 8 years in 6 systems of unequal size, cohorts of year 5 and 6, covariate x."""
    rng = np.random.default_rng(seed)
    unit, period = (values.ravel() for values in np.meshgrid(np.arange(30), np.arange(8), indexing="ij"))
    cohort = np.select([unit % 5 == 0, unit % 7 == 1], ["2005", "2006"], None)
    frame = pd.DataFrame({
        "unit": [f"u{one:02d}" for one in unit], "period": [str(2001 + one) for one in period], "frequency": "Y",
        "outcome": rng.normal(size=unit.size) + unit / 10, "cohort": cohort, "x": rng.normal(size=unit.size),
        "system": [f"s{one}" for one in np.searchsorted([3, 9, 14, 16, 22], unit, side="right")],
        "weight": rng.uniform(0.5, 3, unit.size) if weighted else 1.0,
        "intensity": np.where(cohort == None, 0.0, 1.0 + unit % 3),  # noqa: E711
    })
    if missing:
        frame.loc[rng.choice(len(frame), 25, replace=False), "outcome"] = np.nan
    return Panel.from_frame(frame, weight_column="weight" if weighted else None, covariate_columns=("x",),
                            treatment="intensity" if doses else "binary")


def dense(design: Design, level: str, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates, covariance and degrees of freedom from matrices of all cells, with a dummy for every effect."""
    used = np.isfinite(design.outcome) & (design.weight > 0)
    unit, period = np.nonzero(used)
    blocks = [design.regressors[used], np.eye(used.shape[1])[period]]
    blocks += [np.eye(used.shape[0])[unit]] if design.effects == "two_way" else []
    root = np.sqrt(design.weight[used])
    x, y = np.hstack(blocks) * root[:, None], design.outcome[used] * root
    inverse = np.linalg.pinv(x)
    beta, annihilator = inverse @ y, np.eye(len(y)) - x @ inverse
    residual, cluster = y - x @ beta, design.clusters[level][unit]
    adjusted = []
    for label in np.unique(cluster):
        rows = cluster == label
        values, vectors = np.linalg.eigh(annihilator[np.ix_(rows, rows)])
        power = np.where(values > 1e-9, np.abs(values) ** (-0.5 if kind == "CR2" else -1), 0)
        half = (vectors * power) @ vectors.T @ inverse[list(design.wanted)][:, rows].T
        column = np.zeros((len(y), len(design.wanted)))
        column[rows] = half
        adjusted.append(column)
    scores = np.array([column.T @ residual for column in adjusted])
    df = []
    for one in range(len(design.wanted)):
        b = np.array([column[:, one] for column in adjusted]).T
        p = b.T @ annihilator @ b
        df.append(np.trace(p) ** 2 / np.sum(p**2))
    return beta[list(design.wanted)], scores.T @ scores, np.array(df)


@pytest.mark.parametrize("data", list(COHORT))
@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_two_way_errors_and_degrees_of_freedom_equal_clubsandwich(data, kind):
    expected = golden(f"{data}_fixest", "clubSandwich (unit effects absorbed)")[kind]
    row = bias_reduced(did.design(golden_panel(data)), "unit", kind).iloc[0]
    assert row["estimate"] == pytest.approx(expected["estimate"][0], rel=1e-10)
    assert row["std_error"] == pytest.approx(expected["se"][0], rel=SE)
    assert row["df"] == pytest.approx(expected["df_satt"][0], rel=DF)
    assert row["p_value"] == pytest.approx(expected["p_satt"][0], rel=1e-6)
    assert (row["name"], row["note"]) == ("treatment", "")


@pytest.mark.parametrize("data", list(COHORT))
@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_regression_on_the_lagged_outcome_equals_clubsandwich(data, kind):
    """Its lag moves with the period, unlike that of our ldv: the design is written out here."""
    expected = golden(f"{data}_fixest", "lm ldv|clubSandwich")[kind]
    y, treat = (raw(data).pivot(index="id", columns="t", values=name) for name in ("y", "treat"))
    present, units = np.ones(y.iloc[:, 1:].shape), y.index
    design = Design(y.to_numpy()[:, 1:], np.stack([y.to_numpy()[:, :-1], treat.to_numpy()[:, 1:]], axis=2),
                    ("lag", "treat"), (0, 1), present, "period", units, {"unit": units.to_numpy()})
    rows = bias_reduced(design, "unit", kind)
    np.testing.assert_allclose(rows["estimate"], expected["estimate"][1:], rtol=1e-10)
    np.testing.assert_allclose(rows["std_error"], expected["se"][1:], rtol=SE)
    np.testing.assert_allclose(rows["df"], expected["df_satt"][1:], rtol=DF)
    np.testing.assert_allclose(rows["p_value"], expected["p_satt"][1:], rtol=1e-6)


def test_jackknife_by_region_equals_summclust():
    expected = golden("wild_bootstrap", "(2^10)|CRV3 jackknife")
    row = bias_reduced(did.design(golden_panel("sim_40x12")), "region", "CR3_jackknife").iloc[0]
    assert row["estimate"] == pytest.approx(expected["point"], rel=1e-10)
    assert row["std_error"] == pytest.approx(expected["se"], rel=SE)
    assert row["n_clusters"] == 10


def test_jackknife_of_a_regression_with_period_effects_only_equals_summclust():
    expected = golden("wild_bootstrap", "lm|CRV3 jackknife region")
    y, treat, x = (raw("sim_40x12").pivot(index="id", columns="t", values=name) for name in ("y", "treat", "x"))
    design = Design(y.to_numpy(), np.stack([treat, x], axis=2), ("treat", "x"), (0, 1), np.ones(y.shape), "period",
                    y.index, {"region": (y.index.to_numpy() - 1) // 4})
    rows = bias_reduced(design, "region", "CR3_jackknife")
    np.testing.assert_allclose(rows["estimate"], expected["estimate"][1:], rtol=1e-10)
    np.testing.assert_allclose(rows["std_error"], expected["se"][1:], rtol=SE)


MODELS = {
    "did": lambda panel: did.design(panel),
    "did with a covariate": lambda panel: did.design(panel, covariates=("x",)),
    "event_study": lambda panel: event_study.design(panel),
    "event_study with a covariate": lambda panel: event_study.design(panel, covariates=("x",)),
    "ldv": lambda panel: ldv.design(panel, lags="last_2"),
}
PANELS = {"balanced": {}, "unbalanced": {"missing": True}, "weighted": {"weighted": True},
          "weighted, unbalanced, doses": {"weighted": True, "missing": True, "doses": True}}


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("options", list(PANELS))
@pytest.mark.parametrize("model", list(MODELS))
def test_low_rank_equals_matrices_of_all_cells(model, options, kind):
    design = MODELS[model](simulated(11, **PANELS[options]))
    for level in ("unit", "system"):
        value, covariance, df = dense(design, level, kind)
        rows = bias_reduced(design, level, kind)
        np.testing.assert_allclose(rows["estimate"], value, rtol=1e-8)
        np.testing.assert_allclose(rows["std_error"], np.sqrt(np.diag(covariance)), rtol=1e-7)
        np.testing.assert_allclose(rows["df"], df, rtol=1e-6)
        np.testing.assert_allclose(leverages(design, level).covariance(kind), covariance, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("options", ["balanced", "weighted, unbalanced, doses"])
def test_jackknife_equals_refits_without_each_cluster(options):
    """Whatever the weights and the missing cells: the jackknife needs no working model."""
    panel = simulated(12, **PANELS[options])
    systems = panel.clusters["system"]
    refits = [estimate("did", panel.keep(systems != one)).estimate[0] for one in np.unique(systems)]
    full = estimate("did", panel).estimate[0]
    expected = np.sqrt(5 / 6 * np.sum((np.array(refits) - full) ** 2))
    design = did.design(panel)
    assert bias_reduced(design, "system", "CR3_jackknife")["std_error"][0] == pytest.approx(expected, rel=1e-9)
    assert bias_reduced(design, "system", "CR3")["std_error"][0] == pytest.approx(expected * 1.2**0.5, rel=1e-9)


def test_means_after_onset_have_the_error_of_all_cells():
    """The ldv of one cohort is fitted to unit means; cell by cell it has the same errors and degrees of freedom."""
    panel = simulated(13)
    panel = panel.keep((panel.treated_from == 4) | panel.never_treated)
    short = ldv.design(panel, lags="last_2")
    assert short.outcome.shape[1] == 1
    cells = panel.outcome[:, 4:]
    long = Design(cells, np.repeat(short.regressors, 4, axis=1), short.names, short.wanted, np.ones(cells.shape),
                  "period", panel.units, panel.clusters)
    for kind in ("CR2", "CR3"):
        means, full = (bias_reduced(one, "system", kind) for one in (short, long))
        np.testing.assert_allclose(means.iloc[0, 1:7].astype(float), full.iloc[0, 1:7].astype(float), rtol=1e-8)


def test_two_groups_of_unit_clusters_have_welch_error_and_degrees_of_freedom():
    """Before and after for two groups: CR2 is the unequal-variance error of the difference of mean changes."""
    panel = simulated(14)
    panel = panel.keep((panel.treated_from == 4) | panel.never_treated)
    change = panel.outcome[:, 4:].mean(axis=1) - panel.outcome[:, :4].mean(axis=1)
    treated, control = change[~panel.never_treated], change[panel.never_treated]
    a, b = len(treated), len(control)
    row = bias_reduced(did.design(panel), "unit").iloc[0]
    assert row["std_error"] == pytest.approx(np.sqrt(treated.var(ddof=1) / a + control.var(ddof=1) / b), rel=1e-10)
    df = (1 / a + 1 / b) ** 2 / (1 / (a**2 * (a - 1)) + 1 / (b**2 * (b - 1)))
    assert row["df"] == pytest.approx(df, rel=1e-8)


def test_variance_is_unbiased_and_intervals_cover_where_plain_clustering_fails():
    """Four treated units of 30, independent errors: mean CR2 variance is the true one, coverage about 95%."""
    panel = simulated(15)
    panel = panel.keep((panel.treated_from == 5) | panel.never_treated)
    design, rng = did.design(panel), np.random.default_rng(1)
    rows = pd.concat([bias_reduced(Design(**(vars(design) | {"outcome": rng.normal(size=panel.outcome.shape)})), "unit")
                      for _ in range(400)])
    x = design.without_effects(design.regressors)
    assert (rows["std_error"] ** 2).mean() == pytest.approx(1 / (x**2).sum(), rel=0.1)
    assert 0.92 < ((rows["ci_low"] < 0) & (rows["ci_high"] > 0)).mean() < 0.98
    assert rows["df"].max() < 10


def test_one_treated_cluster_is_said_to_have_leverage_one():
    panel = simulated(16)
    treated_system = panel.clusters["system"] == "s1"
    panel = panel.keep(panel.never_treated | treated_system)
    row = bias_reduced(did.design(panel), "system").iloc[0]
    assert "1 of 6 clusters by system have leverage one" in row["note"]
    assert "not identified without one of them" in row["note"]


def test_errors_that_do_not_exist_are_missing_with_the_reason():
    panel = simulated(17)
    one = bias_reduced(Design(**(vars(did.design(panel)) | {"clusters": {"all": np.repeat("a", 30)}})), "all").iloc[0]
    assert np.isnan(one["std_error"]) and one["note"] == "no standard error: 1 cluster by all"
    base = did.design(panel)
    other = np.random.default_rng(18).normal(size=base.regressors.shape)
    twice = Design(**(vars(base) | {"regressors": np.concatenate([base.regressors, base.regressors, other], axis=2),
                                    "names": ("a", "b", "c"), "wanted": (0, 1, 2)}))
    rows = bias_reduced(twice, "unit")
    assert rows["std_error"].notna().tolist() == [False, False, True]
    assert rows["note"].tolist() == ["not identified: collinear with the others"] * 2 + [""]
    covariance = leverages(twice, "unit").covariance("CR2")
    assert np.isnan(covariance).tolist() == [[True] * 3, [True] * 3, [True, True, False]]
    exact = Design(**(vars(base) | {"outcome": 3 * base.regressors[:, :, 0]}))
    row = bias_reduced(exact, "unit").iloc[0]
    assert row["estimate"] == pytest.approx(3) and np.isnan(row["std_error"]) and "no variation" in row["note"]


def test_few_degrees_of_freedom_are_said():
    panel = simulated(19)
    panel = panel.keep(panel.never_treated | np.isin(panel.clusters["system"], ["s0", "s1"]))
    rows = [bias_reduced(did.design(panel), level).iloc[0] for level in ("system", "unit")]
    assert [row["df"] < 4 for row in rows] == ["fewer than 4 degrees of freedom" in row["note"] for row in rows]
    assert rows[0]["df"] < 4


@pytest.mark.parametrize(("options", "words"), [
    ({"kind": "CR1"}, "kind: expected one of CR2"), ({"level": "regoin"}, "level: expected one of unit, system"),
    ({"columns": [3]}, "expected positions 0 to 0"), ({"coverage": 95}, "coverage: expected a share")])
def test_wrong_options_are_refused(options, words):
    with pytest.raises(DidError, match=words):
        bias_reduced(did.design(simulated(18)), **({"level": "unit"} | options))
