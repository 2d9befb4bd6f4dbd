"""Leads held against other assignments: the statistic is the event study's, and p is right where nothing is amiss."""

import dataclasses
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from did.diagnostics.reassigned_leads import reassigned_leads
from did.estimators import estimate
from did.estimators.aggregation import aggregate
from did.estimators.base import Panel
from did.inference.clustered import summarise
from did.simulate.panels import panel as made_up


def made(seed: int = 1, *, cohorts=None, diverging: float = 0.0, **nature) -> Panel:
    cohorts = cohorts or {8: 12}
    frame, _ = made_up(48, 12, cohorts, 0.0, seed=seed, units_per_system=4, diverging=diverging, persistence=0.5,
                       **nature)
    return Panel.from_frame(frame, treatment="intensity" if "intensity" in nature else "binary")


@pytest.mark.parametrize("nature", [{}, {"intensity": (2, 9)}])
@pytest.mark.parametrize("width", [1, 3])
def test_the_statistic_is_that_of_the_event_study(width, nature):
    panel = made(3, system_share=0.3, **nature)
    dose = pd.Series(panel.dose).groupby(panel.clusters["system"]).transform("mean").to_numpy()
    panel = dataclasses.replace(panel, dose=dose)
    row = reassigned_leads(panel, "system", bin_width=width).iloc[0]
    study = summarise(estimate("event_study", panel, bin_width=width), panel)
    leads = study[study["cluster"].eq("system") & study["event_time"].lt(-1)]
    assert row["value"] == pytest.approx(leads["estimate"].mean(), rel=1e-9)
    assert row["n_tried"] == len(leads)
    # The event study's error has a small-sample factor, the same for all leads and assignments.
    t = (leads["estimate"] / leads["std_error"]).abs().max()
    factor = 12 / 11 * (panel.outcome.size - 1) / (panel.outcome.size - study["n_parameters"].iloc[0])
    assert row["statistic"] == pytest.approx(t * np.sqrt(factor), rel=1e-9)


def test_the_p_value_is_the_share_of_all_assignments():
    panel = made(5, system_share=0.5)
    row = reassigned_leads(panel, "system", bin_width=4).iloc[0]   # one lead
    change = panel.outcome[:, :4].mean(axis=1) - panel.outcome[:, 4:8].mean(axis=1)
    system = pd.factorize(panel.clusters["system"])[0]

    def t_of(treated) -> float:
        side = np.isin(system, treated)
        score = np.where(side, (change - change[side].mean()) / side.sum(),
                         -(change - change[~side].mean()) / (~side).sum())
        return abs(change[side].mean() - change[~side].mean()) / np.sqrt((np.bincount(system, score) ** 2).sum())

    every = np.array([t_of(chosen) for chosen in combinations(range(12), 3)])
    own = t_of(np.unique(system[~panel.never_treated]))
    assert row["statistic"] == pytest.approx(own, rel=1e-9)
    assert row["p_value"] == pytest.approx((every >= own * (1 - 1e-8)).mean(), abs=1e-12)
    assert row["reason"] == "the largest of 1 leads in |t|, all 220 assignments of clusters by system"


def test_leads_of_several_onsets_are_averages_of_group_time_effects():
    panel = made(4, cohorts={6: 8, 9: 8}, system_share=0.3)
    row = reassigned_leads(panel, "system").iloc[0]
    effects = aggregate(estimate("callaway_santanna", panel, base_period="universal"), panel, "event_time")
    rows = summarise(effects, panel)
    rows = rows[rows["cluster"].eq("system") & rows["estimand"].eq("event_time") & rows["event_time"].between(-6, -2)]
    assert row["n_tried"] == len(rows) == 5
    assert row["value"] == pytest.approx(rows["estimate"].mean(), rel=1e-9)
    assert row["statistic"] == pytest.approx((rows["estimate"] / rows["std_error"]).abs().max(), rel=1e-9)


def test_it_finds_trends_that_part_with_more_leads_than_treated_clusters():
    apart, alike = (reassigned_leads(made(7, diverging=slope), "system").iloc[0] for slope in (6.0, 0.0))
    assert apart["n_tried"] == 7 > apart["n_treated_clusters"] == 3
    assert apart["p_value"] < 0.02 < alike["p_value"]


def test_shifts_scales_and_order_change_nothing():
    panel = made(6, system_share=0.3)
    row = reassigned_leads(panel, "system").iloc[0]
    moved = dataclasses.replace(panel, outcome=panel.outcome * 1e-6 + 40.0)
    order = np.random.default_rng(1).permutation(panel.n_units)
    for other, scale in ((moved, 1e-6), (panel.keep(order), 1.0)):
        again = reassigned_leads(other, "system").iloc[0]
        assert again["statistic"] == pytest.approx(row["statistic"], rel=1e-6)
        assert again["value"] == pytest.approx(row["value"] * scale, rel=1e-6)
        assert again["p_value"] == row["p_value"]


def test_what_does_not_apply_says_why():
    panel = made(2)
    few = panel.keep(~panel.never_treated)
    assert "one onset and dose" in reassigned_leads(few, "system").iloc[0]["reason"]
    assert reassigned_leads(panel, "system", bin_width=8).iloc[0]["reason"] == (
        "no lead besides the reference (bins of 8 periods)")
    staggered = dataclasses.replace(panel, treatment="intensity", treated_from=np.where(
        panel.clusters["system"] == "S000", 5, panel.treated_from))
    assert "several onsets with doses" in reassigned_leads(staggered, "system").iloc[0]["reason"]
