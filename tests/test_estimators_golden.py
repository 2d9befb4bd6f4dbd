"""Estimates and clustered errors against R (fixest, plm), against long-form statsmodels, and closed forms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from did.diagnostics.pretrends import joint_leads
from did.errors import DidError
from did.estimators import Panel, did, estimate, event_study, ldv
from did.inference.clustered import clustered_covariance, small_sample_factor, summarise
from golden_files import golden_file, golden_results

NAMES = {
    "sim_40x12": ("id", "time", "g", "w"),
    "base_stagg": ("id", "year", "year_treated", None),
}
POINT = 1e-8
ERROR = 1e-6


def frame_of(data: str, drop: bool = False) -> pd.DataFrame:
    """The golden file as a panel table: period t becomes the year 2000 + t; never treated becomes missing."""
    unit, time, cohort, weight = NAMES[data]
    raw = pd.read_csv(golden_file("data", f"{data}.csv"))
    year = 2000 + raw[time]
    treated = raw[cohort].between(raw[time].min(), raw[time].max())
    frame = pd.DataFrame({
        "unit": raw[unit].map("u{:03d}".format),
        "period": year.astype(str),
        "frequency": "Y",
        "outcome": raw["y"],
        "cohort": (2000 + raw[cohort]).astype(str).where(treated),
        "weight": raw[weight] if weight else 1.0,
        "x": raw["x" if "x" in raw else "x1"],
        "region": ((raw[unit] - 1) % 10 + 1 if data == "base_stagg" else (raw[unit] - 1) // 4 +
        1).astype(str), "group": raw["cluster"].astype(str) if "cluster" in raw else "1",
    })
    row = np.arange(1, len(frame) + 1)
    return frame[(row * 7919) % 23 != 0] if drop else frame


def golden(data: str, identity: str) -> dict:
    results = golden_results(f"{data}_fixest")
    return next(entry["value"] for entry in results if entry["id"] == identity)


def panel_of(data: str, *, drop: bool = False, weighted: bool = False, levels: tuple = ()) -> Panel:
    return Panel.from_frame(frame_of(data, drop), cluster_columns=levels, covariate_columns=("x",),
                            weight_column="weight" if weighted else None)


CASES = [
    ("sim_40x12", "twfe", {}),
    ("sim_40x12", "twfe|weighted", {"weighted": True}),
    ("sim_40x12", "twfe|unbalanced", {"drop": True}),
    ("base_stagg", "twfe", {}),
    ("base_stagg", "twfe|unbalanced", {"drop": True}),
]


@pytest.mark.parametrize(("data", "identity", "options"), CASES)
def test_two_way_estimate_and_unit_clustered_error_equal_fixest(data, identity, options):
    panel = panel_of(data, **options)
    expected = golden(data, identity)
    result = estimate("did", panel)
    row = summarise(result, panel).iloc[0]
    ours = expected["cluster_default_ssc"]
    assert row["estimate"] == pytest.approx(ours["coef"]["estimate"][0], rel=POINT)
    assert row["std_error"] == pytest.approx(ours["coef"]["se"][0], rel=ERROR)
    assert row["p_value"] == pytest.approx(ours["coef"]["p"][0], rel=ERROR)
    assert row["df"] == ours["df_t"]
    assert row["n_obs"] == expected["fit"]["nobs"]
    # fixest counts unit and period effects less one; K leaves out the unit effects, nested in the clusters
    assert row["n_parameters"] == expected["fit"]["nparams"] - panel.n_units + 1


@pytest.mark.parametrize(("data", "identity", "options"), CASES)
def test_other_small_sample_rules_are_the_same_covariance_times_another_factor(data, identity, options):
    panel = panel_of(data, **options)
    expected = golden(data, identity)
    result = estimate("did", panel)
    sandwich = float((result.influence.to_numpy() ** 2).sum())
    n_clusters, n_obs, k_full = result.n_units, result.n_obs, expected["fit"]["nparams"]
    factors = {
        "cluster_no_ssc": 1.0,
        "cluster_G_only": n_clusters / (n_clusters - 1),
        "cluster_K_none": small_sample_factor(n_clusters, n_obs, 1),
        "cluster_K_full": n_clusters / (n_clusters - 1) * (n_obs - 1) / (n_obs - k_full),
    }
    for rule, factor in factors.items():
        assert np.sqrt(factor * sandwich) == pytest.approx(expected[rule]["coef"]["se"][0], rel=ERROR), rule


@pytest.mark.parametrize("data", list(NAMES))
def test_plm_rules_relate_to_ours_as_documented(data):
    panel = panel_of(data)
    result = estimate("did", panel)
    expected = golden(data, "plm|within twoways y ~ D")
    sandwich = float((result.influence.to_numpy() ** 2).sum())
    n_clusters, n_obs = result.n_units, result.n_obs
    assert np.sqrt(sandwich) == pytest.approx(expected["arellano_HC0_group"]["se"][0], rel=ERROR)
    # plm applies its own K to demeaned data: the slope only
    plm = small_sample_factor(n_clusters, n_obs, 1)
    assert np.sqrt(plm * sandwich) == pytest.approx(expected["stata_sss_group"]["se"][0], rel=ERROR)


def test_clustering_above_the_unit_equals_the_published_crv1():
    results = golden_results("wild_bootstrap")
    expected = next(entry["value"] for entry in results if entry["id"].endswith("|CRV1"))
    panel = panel_of("sim_40x12", levels=("region",))
    row = summarise(estimate("did", panel), panel).set_index("cluster").loc["region"]
    assert row["n_clusters"] == 10
    assert row["estimate"] == pytest.approx(expected["point"], rel=POINT)
    assert row["std_error"] == pytest.approx(expected["se"], rel=ERROR)
    assert row["p_value"] == pytest.approx(expected["p"], rel=ERROR)


@pytest.mark.parametrize("options", [{}, {"drop": True}, {"weighted": True}])
def test_clusters_of_unequal_size_equal_a_dummy_variable_regression(options):
    panel = panel_of("sim_40x12", levels=("group",), **options)
    frame = frame_of("sim_40x12", options.get("drop", False)).sort_values(["unit", "period"])
    dummies = pd.get_dummies(frame[["unit", "period"]], dtype=float).drop(columns="period_2001")
    treated = (frame["cohort"].notna() & (frame["period"] >= frame["cohort"].fillna("9999"))).astype(float)
    weights = frame["weight"].to_numpy() if options.get("weighted") else np.ones(len(frame))
    fit = sm.WLS(frame["outcome"], pd.concat([treated.rename("d"), dummies], axis=1), weights=weights).fit()
    scores = pd.DataFrame(fit.model.exog * (weights * np.asarray(fit.resid))[:, None])
    sums = scores.groupby(frame["group"].to_numpy()).sum().to_numpy() @ fit.normalized_cov_params.to_numpy()
    row = summarise(estimate("did", panel), panel).set_index("cluster").loc["group"]
    factor = 15 / 14 * (len(frame) - 1) / (len(frame) - 13)
    assert row["n_clusters"] == 15
    assert row["estimate"] == pytest.approx(fit.params["d"], rel=POINT)
    assert row["std_error"] == pytest.approx(np.sqrt(factor * (sums[:, 0] ** 2).sum()), rel=ERROR)


EVENT_CASES = [
    ("sim_40x12", "event_study", {}, -1),
    ("sim_40x12", "event_study|weighted", {"weighted": True}, -1),
    ("sim_40x12", "event_study|reference -1 and the earliest", {}, (-1, -8)),
    ("base_stagg", "event_study", {}, -1),
    ("base_stagg", "event_study|reference -1 and the earliest", {}, (-1, -9)),
]


@pytest.mark.parametrize(("data", "identity", "options", "reference"), EVENT_CASES)
def test_event_study_equals_fixest(data, identity, options, reference):
    panel = panel_of(data, **options)
    expected = golden(data, identity)
    result = estimate("event_study", panel, reference=reference)
    rows = summarise(result, panel).set_index("event_time")
    theirs = expected["cluster_default_ssc"]["coef"]
    times = [int(term.rpartition("::")[2]) for term in theirs["term"]]
    ours = rows.loc[times]
    np.testing.assert_allclose(ours["estimate"].to_numpy(float), theirs["estimate"], rtol=POINT, atol=1e-12)
    np.testing.assert_allclose(ours["std_error"].to_numpy(float), theirs["se"], rtol=ERROR)
    np.testing.assert_allclose(ours["p_value"].to_numpy(float), theirs["p"], rtol=ERROR)
    labels = panel.units.to_numpy()
    columns = [rows.index.get_loc(time) for time in times]
    covariance = clustered_covariance(result.influence, labels, result.n_obs, result.n_parameters)
    tested = covariance[np.ix_(columns, columns)]
    np.testing.assert_allclose(tested, expected["vcov_cluster"], rtol=ERROR, atol=1e-10)
    references = [reference] if isinstance(reference, int) else list(reference)
    assert set(rows.index) == set(times) | set(references)
    normalised = rows.loc[references]
    assert (normalised["estimate"] == 0).all() and normalised["std_error"].isna().all()
    assert (normalised["note"].str.startswith("reference")).all()


@pytest.mark.parametrize(("name", "identity"), [("did", "twfe+x"), ("event_study", "event_study+x")])
def test_a_covariate_that_varies_equals_fixest(name, identity):
    panel = panel_of("base_stagg")
    expected = golden("base_stagg", identity)
    theirs = expected["cluster_default_ssc"]["coef"]
    result = estimate(name, panel, covariates=("x",))
    ours = summarise(result, panel)
    ours = ours[~ours["note"].str.startswith("reference")]
    keep = [place for place, term in enumerate(theirs["term"]) if term != ".x"]
    np.testing.assert_allclose(ours["estimate"], np.take(theirs["estimate"], keep), rtol=POINT)
    np.testing.assert_allclose(ours["std_error"], np.take(theirs["se"], keep), rtol=ERROR)
    np.testing.assert_allclose(ours["p_value"], np.take(theirs["p"], keep), rtol=ERROR)
    assert (ours["n_obs"] == expected["fit"]["nobs"]).all()
    assert (ours["n_parameters"] == expected["fit"]["nparams"] - result.n_units + 1).all()


@pytest.mark.parametrize(("name", "identity"), [("did", "twfe"), ("event_study", "event_study")])
def test_a_covariate_of_the_unit_is_refused_where_fixest_drops_it(name, identity):
    """R's result is that without the covariate, under the name of one with it."""
    panel = panel_of("sim_40x12")
    with_x, without = (golden("sim_40x12", one)["cluster_default_ssc"]["coef"] for one in (f"{identity}+x", identity))
    assert with_x["term"] == without["term"]
    np.testing.assert_allclose(with_x["se"], without["se"], rtol=1e-8)
    with pytest.raises(DidError, match=f"{name}: covariate 'x': expected changes over time .* one value per unit"):
        estimate(name, panel, covariates=("x",))


@pytest.mark.parametrize("name", ["did", "event_study"])
def test_cells_without_a_covariate_are_those_left_out(name):
    """A missing covariate and a missing outcome leave out the same cell, and the note counts each."""
    panel = panel_of("base_stagg")
    hole = np.zeros(panel.outcome.shape, dtype=bool)
    hole[3, 2] = hole[40, 5] = hole[60, 0] = True
    without_x = dataclasses.replace(panel, covariates={"x": np.where(hole, np.nan, panel.covariates["x"])})
    without_y = dataclasses.replace(panel, outcome=np.where(hole, np.nan, panel.outcome))
    ours, same = (estimate(name, one, covariates=("x",)) for one in (without_x, without_y))
    np.testing.assert_allclose(ours.estimate, same.estimate, rtol=1e-10)
    np.testing.assert_allclose(ours.influence, same.influence, atol=1e-12)
    assert (ours.n_obs, ours.n_parameters) == (same.n_obs, same.n_parameters)
    assert "3 of " in ours.note and "unit-periods have an outcome but no x and are left out" in ours.note
    assert "3 of " in same.note and "have no outcome or no weight and are left out" in same.note


@pytest.mark.parametrize("name", ["did", "event_study"])
def test_covariates_without_a_coefficient_are_refused_by_name(name):
    panel = panel_of("base_stagg")
    x = panel.covariates["x"]
    year, unit = np.arange(10.0)[None, :], np.arange(len(x), dtype=float)[:, None]
    onset = np.where(panel.treated & ~panel.always_treated[:, None], 1.0, 0.0)
    wrong = {"year": (year + 0 * x, "one value per period"), "unit": (unit + 0 * x, "one value per unit"),
             "both": (unit + year, "a value per unit plus one per period"), "double": (2 * x + unit, "before it"),
             "onset": (onset, "expected variation beyond treatment"), "empty": (x * np.nan, "no cell")}
    for word, (values, found) in wrong.items():
        given = dataclasses.replace(panel, covariates={"x": x, word: values})
        with pytest.raises(DidError, match=f"{name}: covariate '(x|{word})'.*{found}"):
            estimate(name, given, covariates=("x", word))
    with pytest.raises(DidError, match="covariates: expected one of x; found 'X'"):
        estimate(name, panel, covariates=("X",))


@pytest.mark.parametrize(("name", "options"), [
    ("did", {}), ("did", {"covariates": ("x",)}), ("event_study", {}), ("event_study", {"bin_width": 3}),
    ("event_study", {"reference": (-1, -9), "covariates": ("x",)}), ("ldv", {"lags": "last_1"})])
def test_design_is_the_regression_behind_the_estimate(name, options):
    panel = panel_of("base_stagg")
    result = estimate(name, panel, **options)
    design = {"did": did, "event_study": event_study, "ldv": ldv}[name].design(panel, **options)
    fit = design.fit()
    wanted = list(design.wanted)
    shown = (result.parameters["state"] != "reference").to_numpy()
    np.testing.assert_allclose(fit.coefficient[wanted], result.estimate[shown], rtol=1e-10, atol=1e-13)
    used = (design.weight > 0).any(axis=1)
    assert design.units[used].tolist() == result.influence.index.tolist()
    np.testing.assert_allclose(fit.influence[used][:, wanted], result.influence.to_numpy()[:, shown], rtol=1e-10,
                               atol=1e-13)
    assert len(design.names) == design.regressors.shape[2]
    if name == "event_study":
        times = [int(label.split()[1]) for label in np.take(design.names, wanted)]
        assert times == result.parameters["event_time"][shown].tolist()


@pytest.mark.parametrize(("data", "options"), [("sim_40x12", {}), ("sim_40x12", {"weighted": True}),
                                               ("base_stagg", {})])
def test_joint_test_of_leads_equals_fixest_wald(data, options):
    expected = golden(data, "event_study|weighted" if options else "event_study")["wald_pre"]
    row = joint_leads(panel_of(data, **options)).iloc[0]
    assert row["status"] == "done"
    assert (row["df"], row["df_denominator"]) == (expected["df1"], expected["df2"])
    assert row["statistic"] == pytest.approx(expected["stat"], rel=ERROR)
    assert row["p_value"] == pytest.approx(expected["p"], rel=ERROR)


@pytest.mark.parametrize("data", list(NAMES))
def test_clustered_covariance_equals_fixest_on_a_lagged_outcome_regression(data):
    """Another model (the outcome's own last period), the same covariance from its scores by unit."""
    expected = golden(data, "ldv|y ~ lag(y) + D | time")
    frame = frame_of(data).sort_values(["unit", "period"])
    frame["lag"] = frame.groupby("unit")["outcome"].shift()
    frame = frame.dropna(subset=["lag"])
    treated = (frame["cohort"].notna() & (frame["period"] >= frame["cohort"].fillna("9999"))).astype(float)
    periods = pd.get_dummies(frame["period"], dtype=float)
    fit = sm.OLS(frame["outcome"], pd.concat([frame["lag"], treated.rename("d"), periods], axis=1)).fit()
    scores = pd.DataFrame(fit.model.exog * np.asarray(fit.resid)[:, None])
    scores = scores.groupby(frame["unit"].to_numpy()).sum()
    influence = scores.to_numpy() @ fit.normalized_cov_params.to_numpy()
    covariance = clustered_covariance(influence, scores.index.to_numpy(), len(frame), len(fit.params))
    theirs = expected["cluster_default_ssc"]["coef"]
    np.testing.assert_allclose(fit.params[:2], theirs["estimate"], rtol=POINT)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)[:2]), theirs["se"], rtol=ERROR)


def simulated_frame(seed: int, *, doses: bool = False, staggered: bool = False) -> pd.DataFrame:
    """60 units x 30 months, 20 treated from month 21 (and 8 of them from month 25 if staggered)."""
    generator = np.random.default_rng(seed)
    months = pd.period_range("2015-01", periods=30, freq="M").astype(str)
    rows = []
    for unit in range(60):
        cohort = None if unit >= 20 else months[24] if staggered and unit < 8 else months[20]
        level = generator.normal(100, 20)
        rows.append(pd.DataFrame({
            "unit": f"u{unit:02d}", "period": months, "frequency": "M",
            "outcome": level + generator.normal(0, 5, 30).cumsum() + generator.normal(0, 3, 30),
            "cohort": cohort, "system": f"s{unit // 4:02d}",
            "intensity": float(unit % 5 + 7) if doses and unit < 20 else float(unit < 20),
        }))
    return pd.concat(rows, ignore_index=True)


def long_form_ldv(frame: pd.DataFrame, lags: pd.DataFrame, cluster: str):
    """The lagged dependent variable regression as one would type it: OLS with dummies, statsmodels errors."""
    after = frame[frame["period"] >= "2016-09"].sort_values(["unit", "period"])
    dose = after["intensity"] * (after["cohort"].notna() & (after["period"] >= after["cohort"].fillna("9999")))
    design = pd.concat([
        dose.rename("d").reset_index(drop=True),
        lags.loc[after["unit"]].reset_index(drop=True),
        pd.get_dummies(after["period"], dtype=float).reset_index(drop=True),
    ], axis=1)
    codes = pd.factorize(after[cluster])[0]
    return sm.OLS(after["outcome"].to_numpy(), design.astype(float).rename(columns=str)).fit(
        cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)


@pytest.mark.parametrize("lags", ["all", "last_12", "last_3", "yearly_means"])
@pytest.mark.parametrize("options", [{}, {"doses": True}, {"staggered": True}])
def test_ldv_equals_long_form_regression_with_clustered_errors(lags, options):
    frame = simulated_frame(3, **options)
    before = frame[frame["period"] < "2016-09"].pivot(index="unit", columns="period", values="outcome")
    chosen = {
        "all": before, "last_12": before.iloc[:, -12:], "last_3": before.iloc[:, -3:],
        "yearly_means": before.iloc[:, -12:].mean(axis=1).to_frame(),
    }[lags]
    panel = Panel.from_frame(frame, treatment="intensity" if options.get("doses") else "binary")
    rows = summarise(estimate("ldv", panel, lags=lags), panel).set_index("cluster")
    for cluster, n_clusters in (("unit", 60), ("system", 15)):
        expected = long_form_ldv(frame, chosen, cluster)
        row = rows.loc[cluster]
        assert row["estimate"] == pytest.approx(expected.params["d"], rel=POINT)
        assert row["std_error"] == pytest.approx(expected.bse["d"], rel=ERROR)
        assert row["p_value"] == pytest.approx(expected.pvalues["d"], rel=ERROR)
        assert (row["n_obs"], row["n_clusters"]) == (600, n_clusters)
        assert row["n_parameters"] == 1 + chosen.shape[1] + 10
        low, high = expected.conf_int().loc["d"]
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), rel=ERROR)


def test_ldv_of_one_cohort_is_the_regression_of_the_mean_after_onset():
    panel = Panel.from_frame(simulated_frame(5))
    lags, mean = panel.outcome[:, 8:20], panel.outcome[:, 20:].mean(axis=1)
    design = np.column_stack([panel.dose, np.ones(60), lags])
    expected = np.linalg.lstsq(design, mean, rcond=None)[0][0]
    assert estimate("ldv", panel, lags="last_12").estimate[0] == pytest.approx(expected, rel=POINT)


def test_did_of_one_cohort_is_the_difference_of_mean_changes():
    panel = Panel.from_frame(simulated_frame(7))
    change = panel.outcome[:, 20:].mean(axis=1) - panel.outcome[:, :20].mean(axis=1)
    treated = ~panel.never_treated
    expected = change[treated].mean() - change[~treated].mean()
    row = summarise(estimate("did", panel), panel).iloc[0]
    assert row["estimate"] == pytest.approx(expected, rel=POINT)
    residual = change - np.where(treated, change[treated].mean(), change[~treated].mean())
    n_treated = treated.sum()
    variance = ((residual[treated] ** 2).sum() / n_treated**2
                + (residual[~treated] ** 2).sum() / (60 - n_treated) ** 2)
    factor = 60 / 59 * (1800 - 1) / (1800 - 31)
    assert row["std_error"] == pytest.approx(np.sqrt(factor * variance), rel=ERROR)


@pytest.mark.parametrize("drop", [0, 7])
def test_two_way_fit_equals_linearmodels(drop: int) -> None:
    """Balanced and unbalanced, estimates and errors clustered by unit, against PanelOLS."""
    from linearmodels.panel import PanelOLS

    rng = np.random.default_rng(drop)
    units, periods = np.meshgrid(np.arange(30), np.arange(9), indexing="ij")
    treated = (units < 10) & (periods >= 5)
    y = rng.normal(size=treated.shape) + treated + units / 10
    y.ravel()[rng.choice(y.size, drop, replace=False)] = np.nan
    frame = pd.DataFrame({"unit": [f"u{unit:02d}" for unit in units.ravel()],
                          "period": [str(2001 + period) for period in periods.ravel()], "frequency": "Y",
                          "outcome": y.ravel(), "system": "s",
                          "cohort": np.where(units.ravel() < 10, "2006", None), "treated": treated.ravel() * 1.0})
    panel = Panel.from_frame(frame)
    ours = summarise(estimate("did", panel), panel).query("cluster == 'unit'").iloc[0]
    long = frame.assign(year=frame["period"].astype(int)).dropna(subset="outcome").set_index(["unit", "year"])
    theirs = PanelOLS(long["outcome"], long[["treated"]], entity_effects=True, time_effects=True).fit(
        low_memory=True, cov_type="clustered", cluster_entity=True, debiased=False, group_debias=False,
        auto_df=False, count_effects=False)
    n, k, groups = ours["n_obs"], ours["n_parameters"], 30
    factor = groups / (groups - 1) * (n - 1) / (n - k)
    assert ours["estimate"] == pytest.approx(theirs.params["treated"], rel=1e-8)
    assert ours["std_error"] == pytest.approx(theirs.std_errors["treated"] * factor**0.5, rel=1e-6)


@pytest.mark.parametrize("case", ["complete", "gaps and weights"])
def test_indicators_written_out_or_not_give_one_fit(case):
    """The fit by sums over cells is the fit on the columns themselves."""
    from did.estimators.indicator_fit import indicator_fit
    from did.estimators.within import two_way_fit

    generator = np.random.default_rng(5)
    outcome, value = generator.normal(size=(30, 14)), generator.uniform(0.5, 2, (30, 14))
    column = np.arange(14)[None, :] - generator.integers(4, 10, 30)[:, None] + 9
    column[20:] = -1
    column[column == 8] = -1
    weight = np.ones((30, 14))
    if case != "complete":
        outcome[generator.random((30, 14)) < 0.1] = np.nan
        weight = generator.uniform(0, 2, (30, 14)) * (generator.random((30, 14)) < 0.95)
    written = (column[:, :, None] == np.arange(column.max() + 1)) * value[:, :, None]
    ours = indicator_fit(outcome, column, value, weight, column.max() + 1)
    dense = two_way_fit(outcome, written, weight)
    np.testing.assert_array_equal(ours.kept, dense.kept)
    for name in ("coefficient", "influence", "residual"):
        np.testing.assert_allclose(getattr(ours, name), getattr(dense, name), rtol=1e-9, atol=1e-11, err_msg=name)
    assert (ours.n_obs, ours.n_units, ours.n_periods) == (dense.n_obs, dense.n_units, dense.n_periods)
