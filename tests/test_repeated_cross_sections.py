"""Repeated cross-sections: R's DRDID on the same observations, regressions written out, and panels taken as such."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from click.testing import CliRunner

from did.cli.commands import main
from did.errors import DidError
from did.estimators import Panel, drdid_rc, estimate
from did.estimators.aggregation import aggregate
from did.estimators.drdid import propensity
from did.inference.clustered import summarise
from test_estimators_properties import random_frame

SHARED = Path(__file__).resolve().parents[2] / "shared" / "golden"
SECTIONS = {"data": "repeated_cross_sections"}
NAMES = ["x1", "x2", "x3", "x4"]


@pytest.fixture(scope="module")
def golden():
    if not SHARED.exists():
        pytest.skip("without ../shared")
    frame = pd.read_csv(SHARED / "data/sim_rc.csv")
    results = {each["id"]: each["value"] for each in json.loads((SHARED / "r/drdid.json").read_text())["results"]}
    return frame, results


def of(frame: pd.DataFrame) -> Panel:
    return Panel.from_frame(pd.DataFrame({
        "unit": "i" + frame["id"].astype(str), "period": (2000 + frame["post"]).astype(str), "frequency": "Y",
        "outcome": frame["y"], "cohort": np.where(frame["d"] == 1, "2001", None), **{x: frame[x] for x in NAMES}}),
        cluster_columns=[], covariate_columns=NAMES)


@pytest.mark.parametrize(("method", "key"), [("reg", "rc|reg_did_rc"), ("ipw", "rc|std_ipw_did_rc"),
                                             ("dr", "rc|drdid_rc")])
def test_estimates_and_errors_are_those_of_drdid(golden, method, key):
    frame, results = golden
    panel = of(frame)
    row = summarise(estimate("callaway_santanna", panel, method=method, **SECTIONS), panel).iloc[0]
    assert row["estimate"] == pytest.approx(results[key]["att"], rel=1e-8)
    if method == "dr":
        assert row["std_error"] == pytest.approx(results[key]["se"], rel=0.01)  # see the next test
    else:
        assert row["std_error"] == pytest.approx(results[key]["se"], rel=1e-8)


def test_the_doubly_robust_error_differs_from_drdid_by_the_sign_of_one_term_and_the_jackknife_is_on_our_side(golden):
    """DRDID 1.2.3 adds what estimating the regressions before treatment does to the means before, which are taken
    off."""
    frame, results = golden
    design = np.column_stack([np.ones(len(frame)), frame[NAMES]])
    data = drdid_rc.Sections(frame["y"].to_numpy(), frame["post"].to_numpy() == 1, frame["d"].to_numpy() == 1, design,
                             np.ones(len(frame)), NAMES)
    _, ours, _ = drdid_rc.doubly_robust(data)
    scores = drdid_rc._fitted(data, treated=False)[1]
    score = propensity(data.treated, design, data.weight, NAMES)[0]
    odds = np.where(data.treated | data.after | (score >= 0.995), 0.0, score / (1 - score))
    # -(before) enters the effect with a minus, and its own derivative is minus the design: together a plus.
    before = scores[False] @ (data.share(True, False) @ design - odds / odds.sum() @ design)
    theirs = np.sqrt(((ours - 2 * before) ** 2).sum())
    assert theirs == pytest.approx(results["rc|drdid_rc"]["se"], rel=1e-8)
    kept = ~np.eye(len(frame), dtype=bool)[::5]
    left_out = [drdid_rc.doubly_robust(drdid_rc.Sections(
        *(each[rows] for each in (data.outcome, data.after, data.treated, design, data.weight)), NAMES))[0]
        for rows in kept]
    jackknife = np.sqrt(5 * ((left_out - np.mean(left_out)) ** 2).sum())
    own = np.sqrt((ours**2).sum())
    assert abs(own - jackknife) < abs(theirs - jackknife)


def sections(seed: int = 0, n: int = 900, effect: float = 2.0) -> pd.DataFrame:
    """Respondents seen once in five years, in three regions' cohorts, older in some, and older ones change faster."""
    generator = np.random.default_rng(seed)
    cohort, year = generator.choice([0, 2003, 2004], n), generator.integers(2001, 2006, n)
    age = generator.normal(40 + 3 * (cohort > 0), 5)
    outcome = (cohort / 500 + (year - 2000) + 0.1 * (year - 2000) * age + effect * ((cohort > 0) & (year >= cohort))
               + generator.normal(0, 1, n))
    return pd.DataFrame({
        "unit": [f"r{each:04d}" for each in range(n)], "period": year.astype(str), "frequency": "Y", "outcome": outcome,
        "cohort": np.where(cohort > 0, cohort.astype(str), None), "age": age, "w": generator.uniform(0.5, 2, n),
        "system": [f"s{each}" for each in generator.integers(0, 30, n)]})


@pytest.mark.parametrize("weighted", [False, True])
def test_a_cell_is_a_two_by_two_regression_with_errors_clustered_by_respondent(weighted):
    frame = sections()
    panel = Panel.from_frame(frame, cluster_columns=[], weight_column="w" if weighted else None)
    result = estimate("callaway_santanna", panel, control_group="never_treated", **SECTIONS)
    rows = summarise(result, panel)
    row = rows[rows["cohort"].eq("2004") & rows["period"].eq("2005")].iloc[0]
    two = frame[frame["period"].isin(["2003", "2005"]) & (frame["cohort"].isna() | frame["cohort"].eq("2004"))]
    two = two.assign(after=1.0 * two["period"].eq("2005"), treated=1.0 * two["cohort"].notna())
    fit = smf.wls("outcome ~ after * treated", two, weights=two["w"] if weighted else np.ones(len(two))).fit(
        cov_type="HC0")
    assert row["estimate"] == pytest.approx(fit.params["after:treated"], rel=1e-9)
    assert row["std_error"] == pytest.approx(fit.bse["after:treated"], rel=1e-9)
    assert row["n_treated"] == int(two["treated"].sum())


@pytest.mark.parametrize("base_period", ["varying", "universal"])
@pytest.mark.parametrize("control_group", ["never_treated", "not_yet_treated"])
def test_a_balanced_panel_taken_as_cross_sections_gives_the_numbers_of_the_panel(base_period, control_group):
    panel = Panel.from_frame(random_frame(3))
    options = {"base_period": base_period, "control_group": control_group}
    ours = estimate("callaway_santanna", panel, **options, **SECTIONS)
    theirs = estimate("callaway_santanna", panel, **options)
    pd.testing.assert_frame_equal(ours.parameters, theirs.parameters)
    np.testing.assert_allclose(ours.estimate, theirs.estimate, atol=1e-10)
    np.testing.assert_allclose(ours.influence, theirs.influence, atol=1e-10)
    for kind in ("simple", "event_time", "cohort"):
        np.testing.assert_allclose(aggregate(ours, panel, kind).influence, aggregate(theirs, panel, kind).influence,
                                   atol=1e-10)


def test_planted_effects_are_found_once_age_is_taken_into_account_and_intervals_cover():
    without = [aggregate(estimate("callaway_santanna", panel, **SECTIONS), panel, "simple").estimate[0]
               for panel in (Panel.from_frame(sections(seed), cluster_columns=[]) for seed in range(10))]
    assert np.mean(without) > 2.3
    covered = {"reg": [], "ipw": [], "dr": []}
    for seed in range(30):
        panel = Panel.from_frame(sections(seed), cluster_columns=[], covariate_columns=["age"])
        for method, found in covered.items():
            row = summarise(aggregate(estimate("callaway_santanna", panel, method=method, **SECTIONS), panel,
                                      "simple"), panel).iloc[0]
            assert abs(row["estimate"] - 2) < 4 * row["std_error"]
            found.append(row["ci_low"] <= 2 <= row["ci_high"])
    assert all(np.mean(found) >= 0.8 for found in covered.values()), covered


@pytest.mark.parametrize("method", ["unconditional", "reg", "ipw", "dr"])
def test_level_scale_and_order_do_not_matter(method):
    panel = Panel.from_frame(sections(1), covariate_columns=["age"])
    expected = summarise(estimate("callaway_santanna", panel, method=method, **SECTIONS), panel)
    for add, times in ((1e9, 1.0), (0.0, 1e-160), (0.0, 1e200)):
        moved = dataclasses.replace(panel, outcome=panel.outcome * times + add)
        found = summarise(estimate("callaway_santanna", moved, method=method, **SECTIONS), moved)
        for column in ("estimate", "std_error"):
            np.testing.assert_allclose(found[column] / times, expected[column], rtol=1e-6 + 1e-13 * add, atol=1e-7)
    shuffled = Panel.from_frame(sections(1).sample(frac=1, random_state=1), covariate_columns=["age"])
    np.testing.assert_allclose(estimate("callaway_santanna", shuffled, method=method, **SECTIONS).estimate,
                               expected["estimate"][:len(expected) // 2], rtol=1e-12)


def test_cells_without_one_of_the_four_groups_say_so_and_bad_requests_are_one_line():
    frame = sections(2)
    frame = frame[~(frame["cohort"].eq("2004") & frame["period"].eq("2005"))]
    result = estimate("callaway_santanna", Panel.from_frame(frame, cluster_columns=[]), **SECTIONS)
    cells = result.parameters.assign(value=result.estimate)
    lost = cells["cohort"].eq("2004") & cells["period"].eq("2005")
    assert cells.loc[lost, "value"].isna().all()
    assert cells.loc[lost, "note"].str.contains("one of the two periods").all()
    assert cells.loc[~lost, "value"].notna().all()
    panel = Panel.from_frame(frame, cluster_columns=[])
    with pytest.raises(DidError, match="base_window: expected none with repeated cross-sections"):
        estimate("callaway_santanna", panel, base_window=2, **SECTIONS)
    for name, options in (("did", {}), ("callaway_santanna", {}), ("event_study", {})):
        with pytest.raises(DidError, match=f"{name}: expected units .* use callaway_santanna with --data repeated"):
            estimate(name, panel, **options)


def test_the_command_line_takes_a_survey(tmp_path):
    frame = sections(3)
    frame.assign(cohort=frame["cohort"].fillna("never")).to_csv(tmp_path / "survey.csv", index=False)
    arguments = ["estimate", str(tmp_path / "survey.csv"), "--outcome", "outcome", "--unit", "unit", "--period",
                 "period", "--cohort", "cohort", "--cluster", "system", "--covariates", "age", "--estimator",
                 "callaway_santanna", "--aggregation", "simple"]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1 and "--data repeated_cross_sections" in refused.output
    found = CliRunner().invoke(main, [*arguments, "--data", "repeated_cross_sections"])
    assert found.exit_code == 0 and "data repeated_cross_sections" in found.output, found.output
