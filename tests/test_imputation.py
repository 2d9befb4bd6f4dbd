"""Imputation against R (didimputation), long-form least squares, closed forms and known truths."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.diagnostics.imputation_leads import imputation_leads
from did.errors import DidError
from did.estimators import Panel, Result, estimate
from did.inference.clustered import cluster_sums, small_sample_factor, summarise
from golden_files import golden_file, golden_results

POINT = 1e-8
ERROR = 1e-6
NAMES = {"sim_40x12": ("time", "g"), "base_stagg": ("year", "year_treated"), "sim_149x107": ("time", "g")}
few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10_000)


def golden_panel(data: str, *, drop: bool = False, weighted: bool = False) -> Panel:
    """The golden file as a panel of years 2000 + t, clustered by unit and by blocks of four units."""
    time, cohort = NAMES[data]
    raw = pd.read_csv(golden_file("data", f"{data}.csv"))
    treated = raw[cohort].between(raw[time].min(), raw[time].max())
    frame = pd.DataFrame({
        "unit": raw["id"].map("u{:04d}".format), "period": (2000 + raw[time]).astype(str), "frequency": "Y",
        "outcome": raw["y"], "cohort": (2000 + raw[cohort]).astype(str).where(treated),
        "weight": raw["w"] if weighted else 1.0, "block": (raw["id"] // 4).astype(str),
    })
    if drop:
        frame = frame[(np.arange(1, len(frame) + 1) * 7919) % 23 != 0]
    return Panel.from_frame(frame, cluster_columns=("block",), weight_column="weight" if weighted else None)


@pytest.mark.parametrize(("estimand", "identity"), [("overall", "static"), ("event_time", "horizon")])
def test_a_covariate_in_the_first_stage_equals_didimputation(estimand, identity):
    raw = pd.read_csv(golden_file("data", "base_stagg.csv")).sort_values(["id", "year"])
    panel = golden_panel("base_stagg")
    panel = dataclasses.replace(panel, covariates={"x1": raw["x1"].to_numpy().reshape(panel.outcome.shape)})
    expected = golden("base_stagg", f"{identity}|first stage x")
    result = estimate("imputation", panel, estimands=estimand, covariates=["x1"])
    np.testing.assert_allclose(result.estimate, expected["estimate"], rtol=POINT)
    np.testing.assert_allclose(spread(result), expected["std.error"], rtol=ERROR)
    constant = dataclasses.replace(panel, covariates={"x": np.ones_like(panel.outcome)})
    with pytest.raises(DidError, match="covariate 'x': expected variation over time"):
        estimate("imputation", constant, covariates=["x"])


def golden(data: str, identity: str) -> dict:
    results = golden_results(f"{data}_imputation")
    return next(entry["value"] for entry in results if entry["id"] == f"did_imputation|{identity}")


def spread(result: Result) -> np.ndarray:
    return np.sqrt((result.influence.to_numpy() ** 2).sum(axis=0))


def random_frame(seed: int, n_units: int = 16, n_periods: int = 9) -> pd.DataFrame:
    """Months over New Year: cohorts 2017-11 and 2018-01 and never treated, 5 systems, doses and weights."""
    generator = np.random.default_rng(seed)
    periods = pd.period_range("2017-08", periods=n_periods, freq="M").astype(str)
    cohorts = [periods[3]] * 4 + [periods[5]] * 4 + [None] * (n_units - 8)
    return pd.concat([
        pd.DataFrame({
            "unit": f"u{unit:02d}", "period": periods, "frequency": "M",
            "outcome": generator.normal(50, 10) + generator.normal(0, 2, n_periods).cumsum(),
            "cohort": cohorts[unit], "intensity": float(unit % 3 + 1) if cohorts[unit] else 0.0,
            "system": f"s{unit % 5}", "weight": generator.uniform(0.5, 2, n_periods),
        })
        for unit in range(n_units)
    ], ignore_index=True)


CASES = [(data, {}) for data in NAMES] + [
    ("sim_40x12", {"drop": True}), ("base_stagg", {"drop": True}), ("sim_149x107", {"drop": True}),
]


@pytest.mark.parametrize(("data", "options"), CASES)
def test_effects_by_horizon_and_their_errors_equal_didimputation(data, options):
    expected = golden(data, "horizon" + ("|unbalanced" if options else ""))
    result = estimate("imputation", golden_panel(data, **options), estimands="event_time")
    assert result.parameters["event_time"].tolist() == [int(term) for term in expected["term"]]
    np.testing.assert_allclose(result.estimate, expected["estimate"], rtol=POINT)
    np.testing.assert_allclose(spread(result), expected["std.error"], rtol=ERROR)
    panel = golden_panel(data, **options)
    rows = summarise(result, panel).query("cluster == 'unit'")
    np.testing.assert_allclose(rows["std_error"], expected["std.error"], rtol=ERROR)
    # R's intervals take 1.96 for the normal quantile
    np.testing.assert_allclose(rows["ci_high"] - rows["estimate"], 1.959964 / 1.96 * (
        np.array(expected["conf.high"]) - expected["estimate"]), rtol=ERROR)


@pytest.mark.parametrize("data", list(NAMES))
def test_the_static_effect_and_its_error_equal_didimputation(data):
    expected = golden(data, "static")
    result = estimate("imputation", golden_panel(data), estimands="overall")
    assert result.estimate[0] == pytest.approx(expected["estimate"][0], rel=POINT)
    assert spread(result)[0] == pytest.approx(expected["std.error"][0], rel=ERROR)


@pytest.mark.parametrize("data", ["sim_40x12", "sim_149x107"])
@pytest.mark.parametrize(("estimand", "identity"), [("overall", "static"), ("event_time", "horizon")])
def test_weighted_effects_equal_didimputation_and_so_do_errors_by_its_rule(data, estimand, identity):
    expected = golden(data, f"{identity}|weights")
    panel = golden_panel(data, weighted=True)
    exact = estimate("imputation", panel, estimands=estimand)
    theirs = estimate("imputation", panel, estimands=estimand, error_weights="didimputation")
    np.testing.assert_allclose(exact.estimate, expected["estimate"], rtol=POINT)
    np.testing.assert_allclose(theirs.estimate, expected["estimate"], rtol=POINT)
    np.testing.assert_allclose(spread(theirs), expected["std.error"], rtol=ERROR)
    # The rules differ by up to an eighth here: the note in docs/methods.md
    assert 0.001 < np.abs(spread(exact) / spread(theirs) - 1).max() < 0.15


@pytest.mark.parametrize("data", list(NAMES))
@pytest.mark.parametrize(("n_leads", "identity"), [(None, "horizon+pretrends"), (3, "pretrends -3:-1")])
def test_leads_and_their_errors_equal_didimputation(data, n_leads, identity):
    expected = pd.DataFrame(golden(data, identity)).astype({"term": int}).query("term < 0")
    panel = golden_panel(data)
    rows = summarise(estimate("imputation_leads", panel, n_leads=n_leads), panel).query("cluster == 'unit'")
    rows = rows[~rows["note"].str.startswith("reference")]
    assert rows["event_time"].tolist() == expected["term"].tolist()
    np.testing.assert_allclose(rows["estimate"], expected["estimate"], rtol=POINT)
    np.testing.assert_allclose(rows["std_error"], expected["std.error"], rtol=ERROR)


def long_form(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit and period positions of the observed cells, their dummies, and which cells are treated."""
    unit, period = np.nonzero(panel.observed_weight > 0)
    dummies = np.hstack([np.eye(panel.n_units)[unit], np.eye(panel.n_periods)[period]])
    return (unit, period), dummies, panel.treated[unit, period]


@few
@given(seeds, st.integers(0, 12), st.sampled_from(["overall", "event_time", "cohort", "calendar"]))
def test_estimates_and_influence_equal_long_form_least_squares(seed, n_missing, estimand):
    frame = random_frame(seed)
    # Not in the first period, so that every unit keeps an untreated cell.
    hidden = np.random.default_rng(seed).choice(np.flatnonzero(frame["period"] > "2017-08"), n_missing, replace=False)
    frame.loc[hidden, "outcome"] = np.nan
    panel = Panel.from_frame(frame, weight_column="weight")
    result = estimate("imputation", panel, estimands=estimand)
    cells, dummies, treated = long_form(panel)
    weight, outcome = panel.weight[cells], panel.outcome[cells]
    first = dummies[~treated] * np.sqrt(weight[~treated])[:, None]
    effects = np.linalg.lstsq(first, outcome[~treated] * np.sqrt(weight[~treated]), rcond=None)[0]
    residual = outcome - dummies @ effects
    cohort = panel.treated_from[cells[0]]
    event_time = cells[1] - cohort
    for column, row in result.parameters.iterrows():
        part = treated & {
            "overall": True,
            "event_time": event_time == row["event_time"],
            "cohort": panel.periods[np.minimum(cohort, 8)] == row["cohort"],
            "calendar": panel.periods[cells[1]] == row["period"],
        }[estimand]
        v = np.where(part, weight, 0.0) / weight[part].sum()
        assert result.estimate[column] == pytest.approx(v @ residual, rel=1e-8, abs=1e-9)
        v -= np.where(treated, 0, weight * (dummies @ np.linalg.lstsq(first.T @ first, dummies.T @ v, rcond=None)[0]))
        # v is what the estimate does to each outcome: the estimate is linear in them
        assert result.estimate[column] == pytest.approx(v @ outcome, rel=1e-8, abs=1e-8)
        centred = residual.copy()
        for g, e in {(g, e) for g, e in zip(cohort[part], event_time[part], strict=True)}:
            cell = part & (cohort == g) & (event_time == e)
            centred[cell] -= (v[cell] ** 2 @ residual[cell]) / (v[cell] ** 2).sum()
        expected = np.bincount(cells[0], v * centred, minlength=panel.n_units)
        np.testing.assert_allclose(result.influence.to_numpy()[:, column], expected, atol=1e-9)


@few
@given(seeds)
def test_one_cohort_of_a_balanced_panel_has_the_did_estimate(seed):
    frame = random_frame(seed)
    panel = Panel.from_frame(frame[frame["cohort"] != "2017-11"])
    ours = estimate("imputation", panel, estimands=["overall", "cohort"])
    expected = estimate("did", panel).estimate[0]
    np.testing.assert_allclose(ours.estimate, [expected, expected], rtol=1e-9, atol=1e-10)


def exact_frame(seed: int = 3) -> tuple[pd.DataFrame, pd.Series]:
    """Unit and period effects and an effect of its own in every treated cell: no noise."""
    frame = random_frame(seed)
    unit, month = frame["unit"].str[1:].astype(int), pd.PeriodIndex(frame["period"], freq="M").astype("int64")
    treated = frame["cohort"].notna() & (frame["period"] >= frame["cohort"].fillna("9"))
    effect = np.where(treated, 1.0 + unit + np.sqrt(month), 0.0)
    return frame.assign(outcome=1000 * unit + 40 * np.sin(month) + effect), pd.Series(effect).where(treated)


def test_every_effect_is_found_exactly_where_nothing_else_varies():
    frame, effect = exact_frame()
    result = estimate("imputation", Panel.from_frame(frame), estimands=["overall", "calendar", "cohort"])
    means = [effect.mean(), *effect.groupby(frame["period"]).mean().dropna(),
             *effect.groupby(frame["cohort"]).mean()]
    np.testing.assert_allclose(result.estimate, means, rtol=1e-10)
    assert result.parameters["estimand"].tolist() == ["overall"] + ["calendar"] * 6 + ["cohort"] * 2
    # The effects vary by unit within a cohort and period: that is all the error there is.
    influence = result.influence[0].to_numpy()
    n_treated = int(effect.notna().sum())
    centred = (effect - effect.groupby([frame["cohort"], frame["period"]]).transform("mean")).fillna(0)
    np.testing.assert_allclose(influence, centred.groupby(frame["unit"]).sum() / n_treated, atol=1e-10)


def test_the_interval_covers_the_truth_at_its_level():
    generator = np.random.default_rng(5)
    panel, covered = Panel.from_frame(random_frame(0, n_units=48)), []
    for _ in range(300):
        noise = generator.normal(size=panel.outcome.shape).cumsum(axis=1)
        simulated = dataclasses.replace(panel, outcome=noise + 4.0 * panel.treated)
        result = estimate("imputation", simulated, estimands="overall")
        covered.append(abs(result.estimate[0] - 4) <= 1.96 * spread(result)[0])
    assert 0.88 <= np.mean(covered) <= 0.99


def numbers(result: Result) -> np.ndarray:
    return np.vstack([result.estimate, spread(result)])


ALL = {"estimands": ["overall", "event_time", "cohort", "calendar"]}


@few
@given(seeds, st.sampled_from(["imputation", "imputation_leads"]), st.sampled_from(["binary", "intensity"]))
def test_invariances_to_order_labels_constants_and_scale(seed, name, treatment):
    frame, options = random_frame(seed), ALL if name == "imputation" else {}
    before = frame.copy(deep=True)

    def found(rows: pd.DataFrame) -> np.ndarray:
        return numbers(estimate(name, Panel.from_frame(rows, treatment=treatment), **options))

    ours = found(frame)
    np.testing.assert_array_equal(found(frame.sample(frac=1, random_state=seed)), ours)
    unit, month = frame["unit"].str[1:].astype(int), frame["period"].str[-2:].astype(int)
    shifted = frame.assign(outcome=frame["outcome"] + 1e4 * unit**2 - 300 * np.sin(month))
    np.testing.assert_allclose(found(shifted), ours, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found(frame.assign(unit="z" + (99 - unit).astype(str))), ours, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found(frame.assign(outcome=-1e6 * frame["outcome"])), [[-1e6], [1e6]] * ours,
                               rtol=1e-6, atol=1e-3)
    pd.testing.assert_frame_equal(frame, before)


def test_a_constant_dose_divides_the_binary_effect_and_doses_weigh_the_mean():
    frame = random_frame(1)
    doubled = frame.assign(intensity=np.where(frame["cohort"].notna(), 4.0, 0.0))
    binary = estimate("imputation", Panel.from_frame(frame), **ALL)
    dose = estimate("imputation", Panel.from_frame(doubled, treatment="intensity"), **ALL)
    np.testing.assert_allclose(numbers(dose), numbers(binary) / 4, rtol=1e-9)
    effect = np.where(frame["cohort"].notna() & (frame["period"] >= frame["cohort"].fillna("9")),
                      7.0 * frame["intensity"], 0.0)
    exact = Panel.from_frame(frame.assign(outcome=effect), treatment="intensity")
    result = estimate("imputation", exact, **ALL)
    np.testing.assert_allclose(result.estimate, 7.0, rtol=1e-10)
    np.testing.assert_allclose(result.influence, 0.0, atol=1e-10)


def test_clusters_above_the_unit_sum_the_influence_of_their_units():
    panel = Panel.from_frame(random_frame(2))
    result = estimate("imputation", panel)
    labels = panel.clusters["system"]
    sums = pd.DataFrame(result.influence.to_numpy()).groupby(labels).sum()
    np.testing.assert_allclose(cluster_sums(result.influence.to_numpy(), labels), sums)
    assert result.n_parameters is None and len(sums) == 5
    one_each = estimate("imputation", panel, estimands=["cohort"]).treated
    assert one_each.sum().tolist() == [4, 4] and result.treated.sum().tolist() == [8, 8, 8, 8, 8, 4, 4]


def test_units_and_cells_without_an_untreated_comparison_are_left_out_and_named():
    frame = random_frame(4)
    frame.loc[frame["unit"] == "u00", "cohort"] = "2017-08"
    frame.loc[(frame["unit"] == "u05") & (frame["period"] < "2018-01"), "outcome"] = np.nan
    result = estimate("imputation", Panel.from_frame(frame))
    assert "no untreated observation, left out: u00, u05" in result.note
    without = estimate("imputation", Panel.from_frame(frame[~frame["unit"].isin(["u00", "u05"])]))
    np.testing.assert_allclose(numbers(result), numbers(without), rtol=1e-10)
    everyone = random_frame(4).dropna(subset="cohort")
    late = estimate("imputation", Panel.from_frame(everyone), estimands="calendar")
    assert late.parameters["period"].tolist() == ["2017-11", "2017-12"]
    assert "32 treated unit-periods without a comparison" in late.note
    assert "left out, in 2018-01, 2018-02, 2018-03, 2018-04" in late.note
    pair = Panel.from_frame(everyone[everyone["period"] < "2018-01"].assign(
        cohort=lambda rows: rows["cohort"].where(rows["cohort"] == "2017-11")))
    assert late.estimate.mean() == pytest.approx(estimate("did", pair).estimate[0], rel=1e-9)


def test_a_cohort_of_one_unit_says_that_its_error_is_too_small():
    frame = random_frame(7)
    result = estimate("imputation", Panel.from_frame(frame[~frame["unit"].isin(["u05", "u06", "u07"])]), **ALL)
    notes = result.parameters.set_index("cohort")["note"]
    assert notes["2018-01"] == "4 of 4 effects are of a unit alone in its cohort: standard error too small"
    assert notes["2017-11"] == "" and "4 of 28 effects" in result.parameters["note"][0]


def test_two_periods_and_two_units_are_enough_for_a_point_estimate():
    frame = random_frame(9)
    frame = frame[frame["unit"].isin(["u00", "u15"]) & frame["period"].isin(["2017-10", "2017-11"])]
    panel = Panel.from_frame(frame)
    result = estimate("imputation", panel)
    gap = np.diff(panel.outcome, axis=1)[:, 0]
    np.testing.assert_allclose(result.estimate, gap[0] - gap[1], rtol=1e-10)


@pytest.mark.parametrize(("name", "options", "words"), [
    ("imputation", {"estimands": ["dynamic"]}, ["estimands", "event_time", "'dynamic'"]),
    ("imputation", {"estimands": []}, ["estimands", "overall"]),
    ("imputation", {"error_weights": "exakt"}, ["error_weights", "did you mean 'exact'"]),
    ("imputation_leads", {"n_leads": 0}, ["n_leads", "1 or more", "found 0"]),
    ("imputation_leads", {"bin_width": 1.5}, ["bin_width", "1.5"]),
    ("imputation_leads", {"n_leads": 5}, ["5 leads", "fewer leads"]),
])
def test_wrong_options_are_answered_in_one_line(name, options, words):
    with pytest.raises(DidError) as error:
        estimate(name, Panel.from_frame(random_frame(0)), **options)
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


def test_nothing_to_impute_or_to_test_is_answered_in_one_line():
    frame = random_frame(0)
    onset = frame["cohort"].fillna("9")
    hidden = frame.assign(outcome=frame["outcome"].where(frame["period"] < "2017-11"))
    with pytest.raises(DidError, match="expected a treated unit-period with untreated observations"):
        estimate("imputation", Panel.from_frame(hidden))
    short = frame[frame["period"].isin(["2017-10", "2017-11"]) & (onset != "2018-01")]
    with pytest.raises(DidError, match="imputation_leads: expected treated units observed in periods before"):
        estimate("imputation_leads", Panel.from_frame(short))


def test_joint_test_of_leads_is_the_wald_test_of_its_regression():
    panel = Panel.from_frame(random_frame(12, n_units=40))
    rows = imputation_leads(panel, n_leads=2)
    fitted = estimate("imputation_leads", panel, n_leads=2)
    influence = fitted.influence.to_numpy()
    factor = small_sample_factor(40, fitted.n_obs, fitted.n_parameters)
    assert fitted.n_obs == int((~panel.treated).sum()) and fitted.n_parameters == 2 + 9
    expected = fitted.estimate @ np.linalg.solve(factor * influence.T @ influence, fitted.estimate) / 2
    unit = rows.iloc[0]
    assert (unit["diagnostic"], unit["treatment"], unit["cluster"]) == ("imputation_leads_2", "binary", "unit")
    assert (unit["status"], unit["df"], unit["df_denominator"]) == ("done", 2, 39)
    assert unit["statistic"] == pytest.approx(expected, rel=1e-9)
    assert rows["caveat"][0] == "few_treated_clusters"
    few_systems = random_frame(12).assign(system=lambda rows: "s" + (rows["unit"].str[1:].astype(int) // 4).astype(str))
    every = imputation_leads(Panel.from_frame(few_systems))
    assert every["status"].tolist() == ["done", "skipped"] and "4 clusters" in every["reason"][1]


def test_effects_of_treatment_cannot_leak_into_the_leads():
    frame = random_frame(13, n_units=40)
    jump = np.where(frame["period"] >= frame["cohort"].fillna("9"), 1e3 * np.arange(len(frame)), 0.0)
    ours = imputation_leads(Panel.from_frame(frame))
    pd.testing.assert_frame_equal(imputation_leads(Panel.from_frame(frame.assign(outcome=frame["outcome"] + jump))),
                                  ours)


def test_joint_test_says_why_it_cannot_be_done():
    frame = random_frame(14)
    onset = frame["cohort"].fillna("9")
    short = frame[frame["period"].isin(["2017-10", "2017-11"]) & (onset != "2018-01")]
    rows = imputation_leads(Panel.from_frame(short))
    assert set(rows["status"]) == {"skipped"} and "periods before" in rows["reason"][0]


def test_a_missing_covariate_leaves_its_cell_out_and_is_counted():
    frame = random_frame(0).assign(x=lambda f: np.random.default_rng(4).normal(size=len(f)))
    holed = frame.assign(x=frame["x"].mask(frame.index == 5))
    result = estimate("imputation", Panel.from_frame(holed, covariate_columns=["x"]), covariates=["x"])
    assert f"1 of {len(frame)} unit-periods have no outcome, weight or covariate and are left out" in result.note
    without = frame.assign(outcome=frame["outcome"].mask(frame.index == 5))
    other = estimate("imputation", Panel.from_frame(without, covariate_columns=["x"]), covariates=["x"])
    np.testing.assert_array_equal(result.estimate, other.estimate)
