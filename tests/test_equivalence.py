"""Equivalence of leads: closed forms, the duality of test and margin, size at the edge of the margin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from did.diagnostics.equivalence import equivalence_rows, equivalence_test
from did.errors import DidError
from did.estimators import Panel, did, event_study
from did.inference.clustered import summarise
from did.inference.joint_test import COLUMNS
from did.simulate.panels import panel as simulated


def test_each_lead_is_put_to_two_one_sided_tests_and_the_worst_counts():
    estimate, error, margin, df = np.array([0.4, -0.9, 0.1]), np.array([0.5, 0.3, 0.8]), 2.0, 11
    upper = stats.t.cdf((estimate - margin) / error, df)
    lower = stats.t.sf((estimate + margin) / error, df)
    found = equivalence_test(estimate, np.diag(error**2), margin, df=df)
    assert found.p_value == pytest.approx(np.maximum(upper, lower).max(), rel=1e-12)
    assert found.maximum == 0.9
    assert found.root_mean_square == pytest.approx(np.sqrt((0.16 + 0.81 + 0.01) / 3))
    # equal to asking whether every 90% interval lies within the margin
    reach = (np.abs(estimate) + stats.t.ppf(0.95, df) * error).max()
    assert found.smallest_margin == pytest.approx(reach)


@pytest.mark.parametrize("df", [5, np.inf, np.nan])
def test_at_the_smallest_margin_the_p_value_is_the_level(df):
    covariance = np.array([[1.0, 0.9], [0.9, 1.0]])
    smallest = equivalence_test([0.3, -0.2], covariance, 1.0, df=df, alpha=0.1).smallest_margin
    assert equivalence_test([0.3, -0.2], covariance, smallest, df=df).p_value == pytest.approx(0.1, rel=1e-9)
    assert equivalence_test([0.3, -0.2], covariance, smallest * 1.01, df=df).p_value < 0.1


def test_size_at_the_edge_and_power_inside_it():
    generator = np.random.default_rng(8)
    margin, draws = 1.0, 2000
    # one lead on the edge, the others at zero with small errors: the level is used up
    error = np.array([0.2, 0.02, 0.02])
    edge = np.array([margin, 0, 0]) + error * generator.standard_normal((draws, 3))
    accepted = np.mean([equivalence_test(lead, np.diag(error**2), margin).p_value < 0.05 for lead in edge])
    assert accepted == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / draws))
    inside = error * generator.standard_normal((300, 3))
    assert np.mean([equivalence_test(lead, np.diag(error**2), margin).p_value < 0.05 for lead in inside]) > 0.99


def made(effect: float = 6.0) -> Panel:
    frame, _ = simulated(60, 24, {12: 24}, effect, seed=5, units_per_system=2, system_share=0.3, noise=4.0)
    return Panel.from_frame(frame)


def test_rows_use_the_clustered_errors_of_the_estimates_table():
    panel = made()
    result = event_study.estimate(panel, bin_width=6)
    table = summarise(result, panel)
    rows = equivalence_rows(result, panel, "system", margin=8.0).set_index("diagnostic")
    leads = table.loc[(table["cluster"] == "system") & (table["event_time"] < -1)]
    after = table.loc[(table["cluster"] == "system") & (table["event_time"] >= 0), "estimate"]
    assert len(leads) == 1 and rows.loc["equivalence_effect_bin_6", "value"] == pytest.approx(after.mean())
    estimate, error, df = leads["estimate"].abs().iloc[0], leads["std_error"].iloc[0], 29
    assert rows.loc["leads_maximum_bin_6", "value"] == pytest.approx(estimate)
    assert rows.loc["leads_root_mean_square_bin_6", "value"] == pytest.approx(estimate)
    assert rows.loc["equivalence_smallest_margin_bin_6", "value"] == pytest.approx(
        estimate + stats.t.ppf(0.95, df) * error)
    stated = rows.loc["equivalence_stated_bin_6"]
    assert (stated["value"], stated["df_denominator"]) == (8.0, df)
    assert stated["p_value"] == pytest.approx(stats.t.sf((8.0 - estimate) / error, df))


def test_many_leads_and_few_clusters_are_no_obstacle():
    panel = made()
    rows = equivalence_rows(event_study.estimate(panel), panel, "system")
    assert list(rows.columns) == COLUMNS and (rows["status"] == "done").all()
    assert rows["reason"].str.startswith("11 leads with 12 treated of 30 clusters").all()


def test_a_given_effect_is_the_margin_whatever_its_sign():
    panel = made()
    result = event_study.estimate(panel)
    one, other = (equivalence_rows(result, panel, "unit", effect=effect) for effect in (-9.0, 9.0))
    assert one.to_csv() == other.to_csv()
    assert one.set_index("diagnostic").loc["equivalence_effect", "value"] == 9.0


def test_what_cannot_be_had_is_skipped():
    panel = made()
    static = equivalence_rows(did.estimate(panel), panel, "unit")
    assert (static["status"] == "skipped").all() and len(static) == 4
    zero = equivalence_rows(event_study.estimate(panel), panel, "unit", effect=0.0).set_index("diagnostic")
    assert zero.loc["equivalence_effect", "reason"] == "no estimated effect to take as the margin"
    assert zero.loc["equivalence_smallest_margin", "status"] == "done"


@pytest.mark.parametrize(("change", "message"), [
    ({"margin": 0.0}, "margin: expected a positive number in units of the outcome; found 0.0"),
    ({"margin": np.nan}, "margin: expected a positive number"),
    ({"estimate": []}, "found 0 leads"),
    ({"covariance": np.eye(3)}, r"found 2 leads and shape \(3, 3\)"),
    ({"covariance": np.zeros((2, 2))}, "found one without"),
    ({"alpha": 0.7}, "alpha: expected a level between 0 and 0.5; found 0.7"),
])
def test_mistakes_are_named(change, message):
    given = {"estimate": [0.1, 0.2], "covariance": np.eye(2), "margin": 1.0} | change
    with pytest.raises(DidError, match=message):
        equivalence_test(given.pop("estimate"), given.pop("covariance"), given.pop("margin"), **given)
