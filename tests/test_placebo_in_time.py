"""Onsets before the true one: each estimate by hand, what was planted, and what must not matter."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from did.diagnostics.placebo_in_time import placebo_in_time, windows
from did.estimators import Panel, estimate

EVERY = ("did", "callaway_santanna", "sun_abraham", "imputation", "stacked")


def panel_of(outcome: np.ndarray, starts: list[int], first: str = "2001", freq: str = "Y") -> Panel:
    periods = pd.period_range(first, periods=outcome.shape[1], freq=freq).astype(str)
    cohorts = np.append(periods.to_numpy(dtype=object), None)[np.minimum(starts, len(periods))]
    return Panel.from_frame(pd.DataFrame({
        "unit": np.repeat([f"u{unit:02d}" for unit in range(len(outcome))], len(periods)), "frequency": freq,
        "period": np.tile(periods, len(outcome)), "outcome": outcome.ravel(),
        "cohort": np.repeat(cohorts, len(periods)),
    }), cluster_columns=())


def walks(n_units: int = 9, n_periods: int = 12, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_units, n_periods)).cumsum(axis=1)


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["diagnostic"] == "placebo_in_time_share"].set_index("estimator")


def test_every_onset_is_tried_and_each_estimate_is_that_of_four_means():
    """One date: the change of the treated from the mean of two years to the third, less that of the others."""
    outcome, starts = walks(), [9] * 4 + [12] * 5

    def by_hand(onset: int) -> float:
        change = outcome[:, onset] - outcome[:, onset - 2:onset].mean(axis=1)
        return change[:4].mean() - change[4:].mean()

    rows = placebo_in_time(panel_of(outcome, starts), ["did"], {})
    tried = rows[rows["diagnostic"] == "placebo_in_time"].set_index("period")["value"]
    # 2003 leaves two years before it; 2009 one before the true onset, 2010.
    assert sorted(tried.index) == [str(year) for year in range(2003, 2010)]
    expected = {str(2001 + onset): by_hand(onset) for onset in range(2, 9)}
    np.testing.assert_allclose(tried[list(expected)], list(expected.values()), rtol=1e-12)
    share = shares(rows).loc["did"]
    assert share["statistic"] == pytest.approx(by_hand(9))
    assert share["value"] == np.mean([abs(each) >= abs(by_hand(9)) for each in expected.values()])
    # Nine years before onset hold three windows of three years.
    assert (share["period"], share["n_tried"], share["n_apart"]) == ("2010", 7, 3)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_after_any_units_own_onset_enters_a_placebo(name):
    outcome, starts = walks(12, 14), [8] * 3 + [10] * 4 + [14] * 5
    changed = outcome.copy()
    for unit, start in enumerate(starts):
        changed[unit, start:] += 1000.0
    before, after = (placebo_in_time(panel_of(each, starts), [name], {}) for each in (outcome, changed))
    tried = before["diagnostic"].eq("placebo_in_time")
    assert tried.sum() == 6 and before.loc[tried, "status"].eq("done").all()
    np.testing.assert_array_equal(before.loc[tried, "value"], after.loc[tried, "value"])
    # What was planted is larger than anything before it.
    assert shares(after).loc[name, "value"] == 0.0 and shares(after).loc[name, "statistic"] > 900


def test_the_order_of_a_roll_out_is_kept():
    starts = np.array([8] * 3 + [10] * 4 + [14] * 5)
    made = list(windows(panel_of(walks(12, 14), list(starts))))
    for back, one in made:
        dates = np.array([one.periods[start] if start < one.n_periods else "" for start in one.treated_from])
        assert dates.tolist() == [str(2001 + start - back) if start < 14 else "" for start in starts]
        seen = np.isfinite(one.outcome).sum(axis=1)
        # Two years before the first date and one after each unit's own.
        assert seen.tolist() == [3] * 3 + [5] * 4 + [5] * 5


@pytest.mark.parametrize("name", EVERY)
def test_shifts_scales_and_order_do_not_matter(name):
    outcome, starts = walks(12, 12), [8] * 3 + [9] * 4 + [12] * 5
    panel = panel_of(outcome, starts)
    rows = placebo_in_time(panel, [name], {})
    units = np.random.default_rng(1).normal(size=(12, 1))
    periods = np.random.default_rng(2).normal(size=12)
    moved = placebo_in_time(panel_of(-8 * (outcome + units + periods), starts), [name], {})
    tried = rows["diagnostic"].eq("placebo_in_time")
    np.testing.assert_allclose(moved.loc[tried, "value"], -8 * rows.loc[tried, "value"], rtol=1e-9, atol=1e-9)
    assert shares(moved)["value"].equals(shares(rows)["value"])
    order = np.random.default_rng(3).permutation(12)
    other = placebo_in_time(dataclasses.replace(panel, outcome=panel.outcome[order], units=panel.units[order],
                                                treated_from=panel.treated_from[order], dose=panel.dose[order],
                                                clusters={"unit": panel.clusters["unit"][order]}), [name], {})
    np.testing.assert_allclose(other["value"], rows["value"], rtol=1e-9, atol=1e-12)


def test_an_effect_of_nothing_is_no_larger_than_others_and_ties_count():
    outcome, starts = np.zeros((8, 9)), [7] * 3 + [9] * 5
    share = shares(placebo_in_time(panel_of(outcome, starts), ["did"], {})).loc["did"]
    assert share["value"] == 1.0 and share["statistic"] == 0.0


def test_ldv_takes_the_lags_of_the_window():
    panel = panel_of(walks(20, 12), [9] * 8 + [12] * 12)
    rows = placebo_in_time(panel, ["ldv"], {"ldv": {"lags": "all"}})
    placebo = panel_of(panel.outcome[:, 1:4], [2] * 8 + [3] * 12, first="2002")
    found = rows.loc[rows["variant"].eq("placebo_onset") & rows["period"].eq("2004"), "value"].item()
    assert found == pytest.approx(estimate("ldv", placebo).estimate[0])


def test_a_short_panel_is_skipped_with_its_reason():
    rows = placebo_in_time(panel_of(walks(9, 40), [35] * 4 + [40] * 5, "2001-01", "M"), ["did", "stacked"], {})
    assert rows["status"].tolist() == ["skipped"] * 2
    assert set(rows["reason"]) == {"35 periods before onset: an earlier one needs 36, 24 before and 12 after it"}
    rows = placebo_in_time(panel_of(walks(9, 41), [36] * 4 + [41] * 5, "2001-01", "M"), ["did"], {})
    assert shares(rows)["n_tried"].tolist() == [1]


def test_an_estimator_that_fails_says_why():
    rows = placebo_in_time(panel_of(walks(), [9] * 4 + [12] * 5), ["ldv"], {"ldv": {"lags": "last_5"}})
    assert rows["status"].eq("skipped").all() and rows["reason"].str.contains("last_5").all()


@pytest.mark.parametrize("starts", [[9] * 4 + [12] * 5, [8] * 2 + [9] * 3 + [12] * 4])
@pytest.mark.parametrize("name", ["did", "ldv"])
def test_every_onset_is_estimated_as_by_itself(name, starts):
    panel, options = panel_of(walks(), starts), {"lags": "last_2"} if name == "ldv" else {}
    rows = placebo_in_time(panel, [name], {name: options})
    rows = rows[rows["diagnostic"] == "placebo_in_time"]
    alone = [estimate(name, moved, **options) for _, moved in windows(panel)][1:]
    np.testing.assert_allclose(rows["value"].astype(float), [one.estimate[0] for one in alone], rtol=1e-11)
    assert rows["n_obs"].tolist() == [one.n_obs for one in alone]
    assert rows["n_units"].tolist() == [one.n_units for one in alone]
