"""The two conditions of Ding and Li (2019), on panels where they hold, where they fail, and where nothing is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from did.diagnostics.bracketing import bracketing_rows, gaps
from did.estimators import Panel, estimate
from did.simulate.panels import panel


def made(slope: float, shift: float, *, n: int = 200, noise: float = 1.0, seed: int = 1) -> Panel:
    """Two periods before and two after; the treated lie ``shift`` higher before, the outcome after has that slope."""
    generator = np.random.default_rng(seed)
    treated = np.arange(n) % 2 == 0
    before = generator.normal(50 + shift * treated, 5, n)
    after = 20 + slope * before + generator.normal(0, noise, n) + 3 * treated
    outcome = np.column_stack([before - 1, before + 1, after - 2, after + 2])
    return Panel.from_frame(pd.DataFrame({
        "unit": np.repeat([f"u{unit:03d}" for unit in range(n)], 4), "period": np.tile([2001, 2002, 2003, 2004], n),
        "frequency": "Y", "outcome": outcome.ravel(), "cohort": np.repeat(np.where(treated, "2003", None), 4),
        "system": np.repeat([f"s{unit // 4 * 2 + unit % 2}" for unit in range(n)], 4)}).astype({"period": "str"}))


def conditions(rows: pd.DataFrame, level: str = "unit") -> dict[str, str]:
    own = rows[rows["cluster"].eq(level) & rows["variant"].ne("bracket_slope_third")]
    return own.groupby("variant")["condition"].first().to_dict()


@pytest.mark.parametrize("level", ["unit", "system"])
@pytest.mark.parametrize(("shift", "greater"), [(-6.0, "did"), (6.0, "ldv")])
def test_where_both_conditions_hold_the_two_estimates_are_in_the_order_they_imply(shift, greater, level):
    data = made(0.5, shift)
    rows = bracketing_rows(data)
    assert conditions(rows, level) == {"bracket_slope": "met", "bracket_order": "met", "bracket": "met"}
    row = rows[rows["variant"].eq("bracket") & rows["cluster"].eq(level)].iloc[0]
    assert row["part"] == greater and (row["value"] > row["statistic"]) == (greater == "did")
    assert row["ci_low"] < 3 < row["ci_high"] or abs(row["statistic"] - 3) < 0.5
    # With one lag the two differ by (slope - 1) x the gap before onset, of the slope with treatment in the regression.
    before, after = data.outcome[:, :2].mean(axis=1), data.outcome[:, 2:].mean(axis=1)
    fit = smf.ols("after ~ before + treated", pd.DataFrame({
        "after": after, "before": before, "treated": 1.0 * ~data.never_treated})).fit()
    gap = before[~data.never_treated].mean() - before[data.never_treated].mean()
    assert row["statistic"] == pytest.approx(fit.params["treated"], rel=1e-9)
    assert row["value"] - row["statistic"] == pytest.approx((fit.params["before"] - 1) * gap, rel=1e-9)
    assert row["value"] == pytest.approx(estimate("did", data).estimate[0], rel=1e-9)


def test_slopes_of_one_or_more_are_told_and_so_is_a_slope_that_is_steep_in_one_third():
    assert conditions(bracketing_rows(made(1.5, -6)))["bracket_slope"] == "not_met"
    near = bracketing_rows(made(0.95, -6, noise=8.0))
    assert conditions(near)["bracket_slope"] == conditions(near)["bracket"] == "not_told_apart"
    data = made(0.5, -6, noise=0.3)
    steep = data.outcome.copy()
    steep[:, 2:] += 2 * np.maximum(steep[:, :2].mean(axis=1, keepdims=True) - 54, 0)
    bent = bracketing_rows(Panel(steep, data.units, data.periods, "Y", data.treated_from, data.dose, "binary",
                                 data.clusters))
    thirds = bent[bent["variant"].eq("bracket_slope_third") & bent["cluster"].eq("unit")].set_index("part")
    assert thirds["condition"].to_dict() == {"lowest": "met", "middle": "met", "highest": "not_met"}
    assert conditions(bent)["bracket"] == "not_met"


def test_the_slope_and_its_error_are_those_of_a_regression_clustered_by_system():
    data = made(0.6, -6)
    rows = bracketing_rows(data)
    row = rows[rows["variant"].eq("bracket_slope") & rows["cluster"].eq("system")].iloc[0]
    controls = data.never_treated
    frame = pd.DataFrame({"before": data.outcome[controls, :2].mean(axis=1),
                          "after": data.outcome[controls, 2:].mean(axis=1)})
    groups = pd.factorize(data.clusters["system"][controls])[0]
    fit = smf.ols("after ~ before", frame).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    assert row["value"] == pytest.approx(fit.params["before"], rel=1e-9)
    assert row["std_error"] == pytest.approx(fit.bse["before"], rel=1e-9)
    np.testing.assert_allclose(row[["ci_low", "ci_high"]].astype(float), fit.conf_int().loc["before"], rtol=1e-9)


def test_groups_that_cross_have_no_order_and_groups_alike_are_not_told_apart():
    data = made(0.5, 0)
    assert conditions(bracketing_rows(data))["bracket_order"] == "not_told_apart"
    wide = data.outcome.copy()
    treated = ~data.never_treated
    wide[treated, :2] = 50 + 5 * (wide[treated, :2] - 50)
    crossed = Panel(wide, data.units, data.periods, "Y", data.treated_from, data.dose, "binary", data.clusters)
    assert conditions(bracketing_rows(crossed))["bracket_order"] == "not_met"
    assert conditions(bracketing_rows(crossed))["bracket"] == "not_met"


def test_gaps_of_distributions_are_those_of_kolmogorov_and_smirnov_with_ties_and_weights():
    generator = np.random.default_rng(2)
    values, treated = generator.integers(0, 9, 60).astype(float), generator.uniform(size=60) < 0.4
    lower, higher = gaps(values, np.ones(60), treated[None])[0]
    assert lower == pytest.approx(stats.ks_2samp(values[treated], values[~treated], alternative="greater").statistic)
    assert higher == pytest.approx(stats.ks_2samp(values[treated], values[~treated], alternative="less").statistic)
    copies = generator.integers(1, 4, 60)
    repeated = gaps(np.repeat(values, copies), np.ones(copies.sum()), np.repeat(treated, copies)[None])
    np.testing.assert_allclose(gaps(values, copies.astype(float), treated[None]), repeated)


def test_it_moves_with_neither_level_nor_scale_nor_names_and_its_false_alarms_are_few():
    data = made(0.8, -2, noise=4.0)
    rows = bracketing_rows(data)
    moved = Panel(1e9 + 1e-3 * data.outcome[::-1], data.units, data.periods, "Y", data.treated_from[::-1],
                  data.dose[::-1], "binary", {level: labels[::-1] for level, labels in data.clusters.items()})
    other = bracketing_rows(moved)
    assert other["condition"].tolist() == rows["condition"].tolist()
    slopes = rows["variant"].str.startswith("bracket_slope")
    np.testing.assert_allclose(other["value"].where(slopes, 0), rows["value"].where(slopes, 0), rtol=1e-3)
    told = [bracketing_rows(made(0.5, 0, n=40, seed=seed)).query("variant == 'bracket_order'")["condition"].iloc[0]
            for seed in range(60)]
    assert np.mean([word != "not_told_apart" for word in told]) < 0.2


def test_what_cannot_be_checked_is_skipped_with_its_reason():
    frame = panel(30, 8, {5: 10}, 1.0, seed=1, intensity=(5, 30))[0]
    assert "for a binary treatment" in bracketing_rows(Panel.from_frame(frame, treatment="intensity"))["reason"].iloc[0]
    few = bracketing_rows(Panel.from_frame(panel(30, 8, {5: 3}, 1.0, seed=1)[0]))
    assert "3 treated and 27 never treated" in few["reason"].iloc[0] and len(few) == 2
    mixed = Panel.from_frame(panel(60, 8, {5: 20}, 1.0, seed=1)[0].assign(system=lambda f: f["unit"].str[-1:]))
    rows = bracketing_rows(mixed)
    assert rows.loc[rows["variant"].eq("bracket_order") & rows["cluster"].eq("system"), "status"].eq("skipped").all()
    every = Panel.from_frame(panel(31, 8, {5: 15, 7: 15}, 1.0, seed=1)[0].dropna(subset="cohort"))
    assert bracketing_rows(every)["reason"].iloc[0] == "no unit never treated"
