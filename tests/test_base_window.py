"""Averaged and seasonal bases of group-time effects against means taken by hand, and the spread over bases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from did.diagnostics.base_periods import base_period_rows, base_period_spread
from did.errors import DidError
from did.estimators import Panel, estimate
from did.estimators.aggregation import aggregate
from did.inference.clustered import summarise

STARTS = np.array([14, 14, 14, 17, 17, 17, 17, 20, 20, 20, 20, 20])  # 20 = never


def outcomes(seed: int = 3) -> np.ndarray:
    """12 units x 20 months."""
    return np.random.default_rng(seed).normal(size=(12, 20)).cumsum(axis=1)


def panel_of(outcome: np.ndarray, starts: np.ndarray = STARTS, first: str = "2016-01", freq: str = "M") -> Panel:
    periods = pd.period_range(first, periods=outcome.shape[1], freq=freq).astype(str)
    cohorts = np.append(periods.to_numpy(dtype=object), None)[np.minimum(starts, len(periods))]
    return Panel.from_frame(pd.DataFrame({
        "unit": np.repeat([f"u{unit:02d}" for unit in range(len(outcome))], len(periods)), "frequency": freq,
        "period": np.tile(periods, len(outcome)), "outcome": outcome.ravel(),
        "cohort": np.repeat(cohorts, len(periods)),
    }), cluster_columns=())


def manual_download(outcome: np.ndarray, start: int, period: int, base: list[int], last: int) -> tuple[float, float]:
    """ATT(g, t) and its error: mean change of the cohort less that of units not treated by ``last``."""
    change = outcome[:, period] - outcome[:, base].mean(axis=1)
    own = start == STARTS
    sides = change[own], change[(last < STARTS) & ~own]
    return sides[0].mean() - sides[1].mean(), float(np.sqrt(sum(side.var() / len(side) for side in sides)))


def bases(start: int, period: int, window: int | str, universal: bool) -> list[int]:
    end = start - 1 if universal or period >= start else period - 1
    if window == "season":
        return [next(one for one in range(end, -1, -1) if (period - one) % 12 == 0)]
    return list(range(0 if window == "all" else max(end - window + 1, 0), end + 1))


@pytest.mark.parametrize("universal", [True, False])
@pytest.mark.parametrize("window", [2, 5, "all", "season"])
def test_cells_are_differences_from_the_mean_of_the_window(window, universal):
    outcome = outcomes()
    panel = panel_of(outcome)
    result = estimate("callaway_santanna", panel, base_window=window,
                      base_period="universal" if universal else "varying")
    errors = np.sqrt((result.influence.to_numpy() ** 2).sum(axis=0))
    n_checked = 0
    for row, estimated, error in zip(result.parameters.itertuples(), result.estimate, errors, strict=True):
        period = panel.periods.get_loc(row.period)
        start = period - row.event_time
        last = max(period, start - 1) if universal else period
        base = bases(start, period, window, universal)
        value, spread = manual_download(outcome, start, period, base, last)
        np.testing.assert_allclose([estimated, error], [value, spread], atol=1e-12)
        assert (row.state == "reference") == (base == [period])
        n_checked += 1
    # The varying base has no first period; of the season, none in the first year.
    assert n_checked == 40 - (0 if universal else 2 * (12 if window == "season" else 1))


def test_one_period_is_the_default_to_the_last_digit():
    panel = panel_of(outcomes())
    for option in ({}, {"base_period": "universal"}, {"anticipation": 2}, {"control_group": "never_treated"}):
        one = estimate("callaway_santanna", panel, base_window=1, **option)
        usual = estimate("callaway_santanna", panel, **option)
        assert np.array_equal(one.estimate, usual.estimate) and one.influence.equals(usual.influence)


def test_anticipated_periods_are_no_base():
    outcome = outcomes()
    result = estimate("callaway_santanna", panel_of(outcome), base_window=3, anticipation=2)
    row = result.parameters.query("cohort == '2017-03' and event_time == 1").index[0]
    assert result.estimate[row] == pytest.approx(manual_download(outcome, 14, 15, [9, 10, 11], 17)[0])


def test_averages_follow_the_window():
    outcome = outcomes()
    panel = panel_of(outcome)
    result = estimate("callaway_santanna", panel, base_window="all", control_group="never_treated")
    averaged = aggregate(result, panel, "event_time")
    row = averaged.parameters.query("event_time == 2").index[0]
    parts = [manual_download(outcome, start, start + 2, list(range(start)), 19)[0] for start in (14, 17)]
    assert averaged.estimate[row] == pytest.approx((3 * parts[0] + 4 * parts[1]) / 7)


def test_a_season_that_all_units_share_by_cohort_leaves_the_seasonal_base_alone():
    month = np.arange(36) % 12
    starts = np.array([24] * 5 + [36] * 5)
    level = np.where(starts[:, None] == 24, np.sin(month) * 9, 0.0)
    noise = np.random.default_rng(0).normal(size=(10, 36)) * 0.01
    panel = panel_of(level + noise + 4.0 * (np.arange(36) >= starts[:, None]), starts)
    usual, seasonal = (aggregate(estimate("callaway_santanna", panel, base_window=window), panel).estimate[0]
                       for window in (None, "season"))
    assert abs(seasonal - 4) < 0.05 < 1 < abs(usual - 4)


def test_missing_periods_of_a_window_leave_the_mean_of_the_others():
    outcome = outcomes()
    gap = outcome.copy()
    gap[0, 12] = np.nan
    result = estimate("callaway_santanna", panel_of(gap), base_window=3, unbalanced="pairwise",
                      control_group="never_treated")
    row = result.parameters.query("cohort == '2017-03' and event_time == 0").index[0]
    change = outcome[:, 14] - outcome[:, [11, 12, 13]].mean(axis=1)
    change[0] = outcome[0, 14] - outcome[0, [11, 13]].mean()
    assert result.estimate[row] == pytest.approx(change[:3].mean() - change[7:].mean())


def test_shifts_scales_and_labels_change_nothing_else():
    outcome = outcomes()
    options = {"base_window": 4}
    usual = summarise(estimate("callaway_santanna", panel_of(outcome), **options), panel_of(outcome))
    for shift, scale in ((1e6, 1.0), (0.0, 1e12), (0.0, 1e-150)):
        panel = panel_of(outcome * scale + shift)
        rows = summarise(estimate("callaway_santanna", panel, **options), panel)
        for column in ("estimate", "std_error"):
            np.testing.assert_allclose(rows[column] / scale, usual[column], rtol=1e-7, atol=1e-8)


def test_a_cohort_with_too_few_periods_uses_those_it_has_and_says_so():
    result = estimate("callaway_santanna", panel_of(outcomes()), base_window=15)
    assert "cohort 2017-03 has 14 of the 15 periods of its base" in result.note
    early = estimate("callaway_santanna", panel_of(outcomes()[:, 6:], STARTS - 6), base_window="season")
    assert "cohort 2016-09: no period of the season before treatment for 2016-09" in early.note


@pytest.mark.parametrize(("window", "message"), [
    (0, "base_window: expected a whole number of periods, 1 or more; found 0"),
    (True, "base_window: expected a whole number of periods, 1 or more; found True"),
    ("al", "expected a whole number of periods, all or season; found 'al'; did you mean 'all'"),
])
def test_a_wrong_window_is_refused(window, message):
    with pytest.raises(DidError, match=message):
        estimate("callaway_santanna", panel_of(outcomes()), base_window=window)


def test_years_have_no_season():
    with pytest.raises(DidError, match="base_window season: expected months or quarters"):
        estimate("callaway_santanna", panel_of(outcomes(), first="2000", freq="Y"), base_window="season")


def test_the_spread_is_the_overall_effect_against_each_base():
    outcome = outcomes()
    panel = panel_of(outcome)
    found = base_period_spread(panel)
    assert found["base_event_time"].tolist() == list(range(-1, -15, -1))
    usual = aggregate(estimate("callaway_santanna", panel), panel)
    error = np.sqrt((usual.influence.to_numpy() ** 2).sum())
    np.testing.assert_allclose(found.loc[0, ["estimate", "std_error"]].astype(float), [usual.estimate[0], error])
    sizes, cells = [], []
    for start in (14, 17):
        for period in range(start, 20):
            cells.append(manual_download(outcome, start, period, [start - 9], period)[0])
            sizes.append((start == STARTS).sum())
    assert found.set_index("base_event_time").loc[-9, "estimate"] == pytest.approx(np.average(cells, weights=sizes))


def test_the_spread_leaves_out_what_is_anticipated():
    assert base_period_spread(panel_of(outcomes()), anticipation=2)["base_event_time"].tolist()[0] == -3


def test_rows_are_the_three_bases_and_the_range_over_all():
    panel = panel_of(outcomes())
    rows = base_period_rows(panel).set_index("variant")
    assert rows["status"].eq("done").all()

    def by_hand(base) -> float:
        """Mean over cells from treatment on, by cohort size; ``base`` (start, period) -> columns taken off."""
        found = [(manual_download(outcomes(), start, period, base(start, period), period)[0], (start == STARTS).sum())
                 for start in (14, 17) for period in range(start, 20)]
        return float(np.average([value for value, _ in found], weights=[size for _, size in found]))

    expected = {
        "base_last": by_hand(lambda start, period: [start - 1]),
        "base_mean": by_hand(lambda start, period: list(range(start - 12, start))),
        "base_season": by_hand(lambda start, period: bases(start, period, "season", True)),
    }
    for variant, value in expected.items():
        assert rows.loc[variant, "value"] == pytest.approx(value), variant
    every = {-back: by_hand(lambda start, period, back=back: [start - back]) for back in range(1, 15)}
    for variant, end in (("base_smallest", min), ("base_largest", max)):
        at = end(every, key=every.get)
        assert (rows.loc[variant, "value"], rows.loc[variant, "event_time"]) == (pytest.approx(every[at]), at)
    same = np.sign(list(every.values())) == np.sign(expected["base_last"])
    assert rows.loc["base_sign", ["value", "n_tried"]].tolist() == [same.mean(), 14]


def test_shifts_of_units_and_periods_and_scales_leave_the_share(seed=6):
    shifted = -4 * (outcomes() + np.random.default_rng(seed).normal(size=(12, 1)) + np.arange(20.0) ** 2)
    one, other = (base_period_rows(panel_of(each)).set_index("variant")["value"] for each in (outcomes(), shifted))
    three = ["base_last", "base_mean", "base_season"]
    np.testing.assert_allclose(other[three], -4 * one[three])
    assert other["base_sign"] == one["base_sign"]
    np.testing.assert_allclose(other["base_smallest"], -4 * one["base_largest"])


def test_figures_by_year_have_the_last_year_alone():
    rows = base_period_rows(panel_of(outcomes(), first="2001", freq="Y")).set_index("variant")
    assert rows.loc[["base_mean", "base_season"], "status"].eq("skipped").all()
    assert rows.loc[["base_last", "base_sign"], "status"].eq("done").all()
