"""Synthetic difference-in-differences: R's synthdid, what must hold whatever the data, planted truth, bad input."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from did.errors import DidError
from did.estimators import Panel, estimate
from did.estimators.frank_wolfe import simplex_weights
from did.estimators.within import two_way_fit
from did.inference.clustered import summarise
from did.inference.synthetic_errors import COLUMNS, METHODS, synthetic_errors
from did.report.content.outcome_tables import weights_table
from golden_files import golden_file, golden_results

VARIANTS = {"synthetic_did": "synthdid", "synthetic_control": "sc", "did": "did"}
variants = pytest.mark.parametrize("variant", list(VARIANTS))
OVERALL = {"estimands": ["overall"]}


def california() -> Panel:
    raw = pd.read_csv(golden_file("data", "california_prop99.csv"))
    return Panel.from_frame(pd.DataFrame({
        "unit": raw["State"], "period": raw["Year"].astype(str), "frequency": "Y", "outcome": raw["PacksPerCapita"],
        "cohort": raw["Year"].astype(str).where(raw["treated"] == 1).groupby(raw["State"]).transform("min")}),
        cluster_columns=())


def base_did() -> Panel:
    raw = pd.read_csv(golden_file("data", "base_did.csv"))
    return Panel.from_frame(pd.DataFrame({
        "unit": raw["id"].astype(str), "period": (2000 + raw["period"]).astype(str), "frequency": "Y",
        "outcome": raw["y"], "cohort": np.where(raw["treat"] == 1, "2006", None)}), cluster_columns=())


def golden(data: str, variant: str) -> dict:
    results = golden_results("synthdid")
    return next(one["value"] for one in results if one["id"] == f"{data}|{VARIANTS[variant]}_estimate")


def frame_of(seed: int = 0, *, n_units: int = 24, n_periods: int = 12, cohorts=((7, 4), (9, 3)), effect: float = 0.0,
             factor: float = 0.0) -> pd.DataFrame:
    """Units in systems of two; with ``factor`` the treated ones, and half of the others, follow a common path more."""
    generator = np.random.default_rng(seed)
    first = np.full(n_units, n_periods)
    start = 0
    for onset, size in cohorts:
        first[start:start + size] = onset
        start += size
    loading = np.where(first < n_periods, 1.0, np.arange(n_units) % 2) + generator.normal(0, 0.05, n_units)
    path = factor * (np.arange(n_periods) / n_periods) ** 2
    outcome = (generator.normal(50, 10, n_units)[:, None] + generator.normal(0, 1, n_periods)
               + loading[:, None] * path + generator.normal(0, 0.5, (n_units, n_periods)))
    outcome += effect * (np.arange(n_periods) >= first[:, None])
    periods = np.arange(2000, 2000 + n_periods).astype(str)
    unit = np.repeat(np.arange(n_units), n_periods)
    cohort = np.append(periods, [None])[first]
    return pd.DataFrame({
        "unit": [f"u{one:02d}" for one in unit], "period": np.tile(periods, n_units), "frequency": "Y",
        "outcome": outcome.ravel(), "cohort": cohort[unit], "system": [f"s{one // 2:02d}" for one in unit],
        "w": 1.0 + unit % 3, "x": generator.normal(size=len(unit))})


def panel_of(frame: pd.DataFrame | None = None, **options) -> Panel:
    return Panel.from_frame(frame_of() if frame is None else frame, **options)


def numbers(panel: Panel, **options) -> np.ndarray:
    rows = summarise(estimate("synthetic_did", panel, **options), panel)
    return rows[["estimate", "std_error"]].to_numpy(float)


# Against R ----------------------------------------------------------------------------------------------------


@variants
def test_california_is_that_of_r_with_its_path_and_its_weights(variant):
    expected = golden("california_prop99", variant)
    result = estimate("synthetic_did", california(), variant=variant)
    printed = {"synthetic_did": -15.6038, "synthetic_control": -19.6197, "did": -27.3491}[variant]
    assert round(result.estimate[0], 4) == printed
    assert result.estimate[0] == pytest.approx(expected["att"], rel=1e-10)
    np.testing.assert_allclose(result.estimate[1:], expected["effect_curve"], rtol=1e-9)
    table = result.weights.set_index("label")
    unit, when = (table.loc[table["kind"] == kind, "weight"] for kind in ("unit", "time"))
    np.testing.assert_allclose(unit[expected["controls"]], expected["omega"], atol=1e-10)
    if variant != "synthetic_control":
        np.testing.assert_allclose(when[expected["pre_periods"]], expected["lambda"], atol=1e-10)


def test_california_has_no_jackknife_and_a_placebo_error_as_large_as_rs():
    panel = california()
    row = summarise(estimate("synthetic_did", panel, **OVERALL), panel).iloc[0]
    assert np.isnan(row["std_error"]) and "one treated unit in cohort 1989" in row["note"]
    for method in ("jackknife", "bootstrap"):
        refused = synthetic_errors(panel, method, options=OVERALL).iloc[0]
        assert refused["status"] == "skipped" and "one treated cluster by unit in cohort 1989" in refused["reason"]
    found = synthetic_errors(panel, "placebo", options=OVERALL).iloc[0]
    # Both are standard deviations of 200 draws, each known to 5% where draws are normal, and less well here.
    assert found["std_error"] == pytest.approx(golden("california_prop99", "synthetic_did")["se_placebo_seed1"],
                                               rel=0.25)
    assert found["p_value"] == pytest.approx((1 + 199 * 1 / 38) / 200, abs=0.03)   # one state of 38 is beyond it


@variants
def test_many_treated_units_are_those_of_r_with_its_jackknife(variant):
    panel, expected = base_did(), golden("base_did", variant)
    row = summarise(estimate("synthetic_did", panel, variant=variant, **OVERALL), panel).iloc[0]
    assert row["estimate"] == pytest.approx(expected["att"], rel=1e-10)
    assert row["std_error"] == pytest.approx(expected["se_jackknife"], rel=1e-10)
    found = synthetic_errors(panel, "jackknife", options={"variant": variant, **OVERALL}).iloc[0]
    assert found["std_error"] == pytest.approx(expected["se_jackknife"], rel=1e-10)
    drawn = synthetic_errors(panel, "bootstrap", options={"variant": variant, **OVERALL}).iloc[0]
    assert drawn["std_error"] == pytest.approx(expected["se_bootstrap_seed1"], rel=0.2)


# The weights ---------------------------------------------------------------------------------------------------


def test_weights_come_near_the_minimum_that_another_optimiser_finds():
    generator = np.random.default_rng(3)
    a, b, ridge = generator.normal(size=(12, 6)), generator.normal(size=12), 2.0

    def value(x):
        return ((a @ x - b) ** 2).sum() + ridge * (x**2).sum()

    exact = minimize(value, np.full(6, 1 / 6), bounds=[(0, 1)] * 6, tol=1e-14, method="SLSQP",
                     constraints={"type": "eq", "fun": lambda x: x.sum() - 1})
    found = simplex_weights(a.T @ a, (a.T @ b)[None], np.full((1, 6), ridge), np.full((1, 6), 1 / 6),
                            smallest=np.zeros(1), rounds=20_000)[0]
    assert found.sum() == pytest.approx(1, abs=1e-12) and (found >= 0).all()
    assert value(found) == pytest.approx(exact.fun, rel=1e-4)   # the steps near the minimum are small
    assert np.abs(found - exact.x).max() < 1e-3


def test_a_problem_does_not_depend_on_those_solved_with_it_and_closed_weights_stay_zero():
    generator = np.random.default_rng(4)
    gram = (lambda a: a.T @ a)(generator.normal(size=(12, 6)))
    target, ridge = generator.normal(size=(8, 6)), np.ones((8, 6))
    ridge[:, 2] = np.inf
    start = np.where(np.isinf(ridge), 0.0, 0.2)
    settings = {"smallest": np.geomspace(1e-9, 1e-2, 8), "rounds": 300}
    together = simplex_weights(gram, target, ridge, start, **settings)
    own = np.repeat(gram[None], 8, axis=0)
    np.testing.assert_allclose(together, simplex_weights(own, target, ridge, start, **settings), atol=1e-12)
    for one in range(8):
        alone = simplex_weights(gram, target[[one]], ridge[[one]], start[[one]], rounds=300,
                                smallest=settings["smallest"][[one]])
        np.testing.assert_allclose(together[[one]], alone, atol=1e-12)
    assert (together[:, 2] == 0).all()


# What must hold whatever the data ------------------------------------------------------------------------------


@variants
def test_shifts_scales_order_and_labels(variant):
    frame, options = frame_of(1), {"variant": variant}
    expected = numbers(panel_of(frame), **options)
    # Other paths common to all change the noise level, a pooled spread of changes, and the ridge with it.
    for common in (1e6, 30.0 * frame["period"].astype(int)):
        np.testing.assert_allclose(numbers(panel_of(frame.assign(outcome=frame["outcome"] + common)), **options),
                                   expected, rtol=1e-5)
    for scale in (1e-160, 1e-9, -1.0, 1e12, 1e200):
        times = numbers(panel_of(frame.assign(outcome=frame["outcome"] * scale)), **options)
        np.testing.assert_allclose(times / scale, expected * [1, np.sign(scale)], rtol=1e-6)
    np.testing.assert_allclose(numbers(panel_of(frame.sample(frac=1, random_state=1)), **options), expected,
                               rtol=1e-12)
    renamed = frame.assign(unit="z" + (99 - frame["unit"].str[1:].astype(int)).astype(str))
    np.testing.assert_allclose(numbers(panel_of(renamed), **options), expected, rtol=1e-6)
    if variant != "synthetic_control":   # which follows levels, and not changes
        own = frame["unit"].str[1:].astype(int) ** 3.0
        np.testing.assert_allclose(numbers(panel_of(frame.assign(outcome=frame["outcome"] + own)), **options),
                                   expected, rtol=1e-6)


def test_did_variant_of_one_cohort_is_the_two_way_estimate():
    panel = panel_of(frame_of(2, cohorts=((7, 6),), effect=3.0))
    found = estimate("synthetic_did", panel, variant="did", **OVERALL).estimate[0]
    assert found == pytest.approx(estimate("did", panel).estimate[0], rel=1e-12)


def test_cohorts_are_fitted_alone_and_averaged_by_treated_cells():
    panel = panel_of(frame_of(5, effect=2.0))
    both = estimate("synthetic_did", panel, estimands=["overall", "cohort", "event_time", "calendar"])
    alone = [estimate("synthetic_did", panel.keep(panel.never_treated | (panel.treated_from == first)))
             for first in (7, 9)]
    rows = both.parameters.assign(value=both.estimate).set_index("estimand")["value"]
    np.testing.assert_allclose(rows["cohort"], [one.estimate[0] for one in alone], rtol=1e-10)
    assert rows["overall"] == pytest.approx(np.average(rows["cohort"], weights=[4 * 5, 3 * 3]), rel=1e-12)
    first, second = (one.estimate[1:] for one in alone)
    np.testing.assert_allclose(rows["event_time"], [*((4 * first[:3] + 3 * second) / 7), *first[3:]], rtol=1e-10)
    np.testing.assert_allclose(rows["calendar"], [*first[:2], *((4 * first[2:] + 3 * second) / 7)], rtol=1e-10)
    assert both.treated.sum().tolist() == [7, 4, 3, 7, 7, 7, 4, 4, 4, 4, 7, 7, 7]


def test_an_interactive_factor_misleads_did_and_not_synthetic_did():
    bias = {name: [] for name in ("did", "synthetic_did")}
    for seed in range(5):
        panel = panel_of(frame_of(seed, n_units=60, n_periods=40, cohorts=((30, 10),), effect=2.0, factor=20.0))
        for variant, found in bias.items():
            found.append(estimate("synthetic_did", panel, variant=variant, **OVERALL).estimate[0] - 2.0)
    assert np.mean(bias["did"]) > 5.0   # half of the donors do not follow the factor
    assert abs(np.mean(bias["synthetic_did"])) < 0.5   # the ridge keeps a little weight on those


def test_covariates_are_taken_out_by_untreated_cells():
    frame = frame_of(6)
    panel = panel_of(frame.assign(outcome=frame["outcome"] + 7.0 * frame["x"]), covariate_columns=["x"])
    untreated = (~panel.treated).astype(float)
    slope = two_way_fit(panel.outcome, panel.covariates["x"][:, :, None], untreated).coefficient[0]
    manual_download = dataclasses.replace(panel, outcome=panel.outcome - slope * panel.covariates["x"])
    np.testing.assert_allclose(numbers(panel, covariates=["x"]), numbers(manual_download), rtol=1e-9)
    assert slope == pytest.approx(7.0, abs=0.3)
    with pytest.raises(DidError, match="covariates: expected values that vary .* found x"):
        estimate("synthetic_did", dataclasses.replace(panel, covariates={"x": np.ones(panel.outcome.shape)}),
                 covariates=["x"])


@pytest.mark.parametrize(("combine", "how"), [
    ("mean", lambda rows: rows["outcome"].mean()), ("sum", lambda rows: rows["outcome"].sum()),
    ("weighted_mean", lambda rows: np.average(rows["outcome"], weights=rows["w"]))])
def test_a_level_above_the_unit_is_the_panel_of_its_clusters(combine, how):
    frame = frame_of(7, cohorts=((7, 4), (9, 4)))
    panel = panel_of(frame, weight_column="w")
    manual_download = frame.groupby(["system", "period", "frequency"], as_index=False).apply(
        lambda rows: pd.Series({"outcome": how(rows), "cohort": rows["cohort"].iloc[0]}), include_groups=False)
    expected = panel_of(manual_download.rename(columns={"system": "unit"}), cluster_columns=())
    found = estimate("synthetic_did", panel, level="system", combine=combine)
    wanted = estimate("synthetic_did", expected)
    np.testing.assert_allclose(found.estimate, wanted.estimate, rtol=1e-9)
    np.testing.assert_allclose(found.influence, wanted.influence, rtol=1e-6, atol=1e-9)
    pd.testing.assert_frame_equal(found.weights, wanted.weights)
    assert "by system" in found.note
    rows = summarise(found, panel)
    assert rows["n_clusters"].unique().tolist() == [12] and rows["n_treated"].max() == 4


# Errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", ["unit", "system"])
def test_errors_are_of_the_size_of_the_spread_of_estimates(method, level):
    options = {"variant": "did", **OVERALL}
    panels = [panel_of(frame_of(seed, n_units=40, cohorts=((7, 8),))) for seed in range(40)]
    spread = np.std([estimate("synthetic_did", panel, **options).estimate[0] for panel in panels])
    rows = pd.concat([synthetic_errors(panel, method, level=level, draws=99, options=options)
                      for panel in panels[:8]])
    assert list(rows.columns) == COLUMNS and (rows["status"] == "done").all()
    assert rows["std_error"].mean() == pytest.approx(spread, rel=0.35)
    assert rows["n_treated_clusters"].unique().tolist() == [8 if level == "unit" else 4]
    again = synthetic_errors(panels[7], method, level=level, draws=99, options=options)
    pd.testing.assert_frame_equal(rows.tail(1), again)


def test_a_level_of_system_means_is_drawn_by_systems_near_in_size():
    frame = frame_of(8, cohorts=((7, 4),))
    small = frame["unit"].isin(["u05", "u07", "u09"])   # three systems of one unit: never in the place of one of two
    found = synthetic_errors(panel_of(frame[~small]), "placebo", level="system", draws=99,
                             options={"level": "system", "variant": "did", **OVERALL}).iloc[0]
    assert (found["n_clusters"], found["n_treated_clusters"], found["n_units"]) == (12, 2, 12)
    assert found["size_mismatch"] == 0


def test_149_units_by_107_months_with_199_placebo_assignments_take_less_than_ten_seconds(capsys):
    raw = pd.read_csv(golden_file("data", "sim_149x107.csv"))
    first = np.array([60, 66, 72])[np.arange(150) % 3]   # its own has too few never treated for placebo assignments
    panel = Panel.from_frame(pd.DataFrame({
        "unit": raw["id"].map("u{:03d}".format), "period": (2000 + raw["time"]).astype(str), "frequency": "Y",
        "outcome": raw["y"], "cohort": pd.Series((2000 + first[raw["id"]]).astype(str)).where(raw["id"] <= 30)}),
        cluster_columns=())
    began = time.process_time()
    found = synthetic_errors(panel, "placebo", options=OVERALL).iloc[0]
    took = time.process_time() - began
    with capsys.disabled():
        print(f"\n199 placebo assignments of 149 x 107, three cohorts: {took:.1f} s of one core")
    assert found["status"] == "done" and found["n_treated"] == 30
    assert took < 10


# Bad input ------------------------------------------------------------------------------------------------------


def without(units: str) -> pd.DataFrame:
    """No outcome of the treated, or of the donors, in 2003."""
    frame = frame_of()
    hit = frame["cohort"].notna() if units == "treated" else frame["cohort"].isna()
    return frame.assign(outcome=frame["outcome"].mask(hit & (frame["period"] == "2003")))


def of_one_before() -> pd.DataFrame:
    return frame_of(cohorts=((1, 4),))


@pytest.mark.parametrize(("frame", "options", "words"), [
    (lambda: frame_of().dropna(subset="cohort"), {}, ["never treated", "all 7 treated by 2009", "add some"]),
    (lambda: without("donors"), {}, ["donor (never treated)", "u07", "12 periods"]),
    (lambda: without("treated"), {}, ["treated unit", "u00", "12 periods"]),
    (of_one_before, {}, ["cohort 2001 has 1 period before treatment, where 2 are needed", "variant did"]),
    (frame_of, {"combine": "weighted_mean", "level": "system"}, ["weighted_mean", "weights", "found none"]),
    (frame_of, {"level": "region"}, ["level", "unit, system", "region"]),
    (frame_of, {"level": "system"}, ["start together", "s03", "2009, never"]),
    (frame_of, {"variant": "sdid"}, ["variant", "synthetic_control", "sdid"]),
    (frame_of, {"covariates": ["z"]}, ["covariates", "z"]),
    (frame_of, {"estimands": ["att"]}, ["estimands", "event_time", "att"]),
])
def test_what_cannot_be_estimated_is_told_in_one_line(frame, options, words):
    with pytest.raises(DidError) as error:
        estimate("synthetic_did", panel_of(frame()), **options)
    message = str(error.value)
    assert "\n" not in message and len(message) < 320
    for word in words:
        assert word in message


def test_weights_that_add_to_nothing_are_named():
    frame = frame_of(cohorts=((7, 4),))
    frame.loc[(frame["system"] == "s05") & (frame["period"] == "2003"), "w"] = 0.0
    with pytest.raises(DidError, match="found 0 in all of s05, 2003"):
        estimate("synthetic_did", panel_of(frame, weight_column="w"), level="system", combine="weighted_mean")


def test_a_dose_is_refused():
    frame = frame_of().assign(intensity=2.0)
    with pytest.raises(DidError, match="synthetic_did: treatment: expected binary"):
        estimate("synthetic_did", panel_of(frame, treatment="intensity"))


def test_what_is_left_out_is_named():
    frame = frame_of(cohorts=((0, 1), (1, 2), (7, 3)))
    frame.loc[(frame["unit"] == "u20") & (frame["period"] == "2003"), "outcome"] = np.nan
    frame.loc[frame["period"] == "2004", "outcome"] = np.nan
    panel = panel_of(frame)
    result = estimate("synthetic_did", panel, **OVERALL)
    assert "1 unit without an outcome in a period, left out: u20" in result.note
    assert "no outcome in 2004: skipped" in result.note
    assert "cohort 2000 has 0 periods before treatment" in result.note and "u01, u02" in result.note
    kept = panel.keep(~np.isin(panel.units, ["u00", "u01", "u02", "u20"]))
    assert result.estimate[0] == pytest.approx(estimate("synthetic_did", kept, **OVERALL).estimate[0], rel=1e-12)
    assert estimate("synthetic_did", panel, variant="did", **OVERALL).treated.sum().item() == 5


def test_one_donor_with_all_weight_has_no_jackknife():
    frame = frame_of(cohorts=((7, 23),))
    row = summarise(estimate("synthetic_did", panel_of(frame), **OVERALL), panel_of(frame)).iloc[0]
    assert np.isfinite(row["estimate"]) and np.isnan(row["std_error"])
    assert "one donor has all the weight in a cohort of 2007" in row["note"]


@pytest.mark.parametrize(("method", "options", "words"), [
    ("sandwich", {}, "expected one of placebo, bootstrap, jackknife"), ("placebo", {"level": "region"}, "level"),
    ("placebo", {"draws": 5}, "19 or more; found 5"), ("placebo", {"confidence": 95}, "between 0 and 1; found 95")])
def test_settings_of_errors_are_checked(method, options, words):
    with pytest.raises(DidError, match=words):
        synthetic_errors(panel_of(), method, **options)


def test_placebo_says_why_it_is_skipped():
    options = {"variant": "did", **OVERALL}
    few = synthetic_errors(panel_of(frame_of(cohorts=((7, 16),))), "placebo", options=options).iloc[0]
    assert few["status"] == "skipped" and few["reason"].startswith("8 never-treated clusters by unit for the places")
    assert np.isfinite(few["estimate"]) and np.isnan(few["std_error"])
    frame = frame_of(cohorts=((7, 3), (9, 3)))   # the second system has a unit of each cohort
    mixed = synthetic_errors(panel_of(frame), "placebo", level="system", options=options).iloc[0]
    assert mixed["reason"].startswith("system s01 has units of several cohorts")


# The table -----------------------------------------------------------------------------------------------------


def test_the_table_shows_the_largest_weights_and_sums_the_rest():
    weights = estimate("synthetic_did", panel_of(frame_of(9, n_units=30, cohorts=((7, 4),)))).weights
    rows = list(weights_table(weights.assign(level="unit")).texts())
    units = [line for line in rows if line[1] == "unit"]
    assert len(units) == 16 and len([line for line in rows if line[1] == "period"]) == 7
    largest = weights[weights["kind"] == "unit"].nlargest(1, "weight").iloc[0]
    assert units[0] == ["2007", "unit", largest["label"], f"{100 * largest['weight']:.1f}%"]
    assert units[-1][2] == "11 others"
    assert sum(float(line[3][:-1]) for line in units) == pytest.approx(100, abs=1)
    assert not weights_table(weights.assign(level="unit").iloc[:0])
