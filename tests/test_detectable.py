"""Minimum detectable effects against closed forms, and the power curve against its own promises."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from did.diagnostics.detectable import detectable_by_interval, minimum_detectable, minimum_detectable_rows, power_curve
from did.errors import DidError
from did.estimators import Panel, did, event_study
from did.inference.clustered import summarise
from did.inference.joint_test import COLUMNS
from did.simulate.panels import panel as simulated

ROOT = Path(__file__).resolve().parents[1]


def made(n_units: int = 80, n_periods: int = 16, n_treated: int = 40, *, treatment: str = "binary", **options) -> Panel:
    frame, _ = simulated(n_units, n_periods, {n_periods // 2: n_treated}, 3.0,
                         **({"seed": 11, "persistence": 0.4} | options))
    return Panel.from_frame(frame, treatment=treatment)


def test_bloom_multiplier():
    assert minimum_detectable(1.0, np.nan) == pytest.approx(2.8016, abs=1e-4)
    assert minimum_detectable(0.5, 41) == pytest.approx(0.5 * (stats.t.ppf(0.975, 41) + stats.t.ppf(0.8, 41)))
    assert np.isnan(minimum_detectable(np.nan, 41))
    # an interval by t with these degrees of freedom gives what the error behind it gives
    half = 0.5 * stats.t.ppf(0.975, 41)
    assert detectable_by_interval(3 - half, 3 + half, 41) == pytest.approx(minimum_detectable(0.5, 41))
    assert np.isnan(detectable_by_interval(np.nan, 3.0, 41))
    # an estimate at that distance from zero is found with the power asked for (normal)
    effect = minimum_detectable(1.0, np.nan, power=0.9, alpha=0.1)
    assert stats.norm.sf(stats.norm.ppf(0.95) - effect) == pytest.approx(0.9)


def test_rows_per_cluster_level_from_the_clustered_error():
    panel = made(units_per_system=2, system_share=0.4)
    result = did.estimate(panel)
    rows = minimum_detectable_rows(result, panel)
    assert list(rows.columns) == COLUMNS and list(rows["cluster"]) == ["unit", "unit", "system", "system"]
    table = summarise(result, panel).set_index("cluster")
    treated = panel.treated_from < panel.n_periods
    before = panel.outcome[treated, : panel.n_periods // 2].mean()
    for level, df in (("unit", 79), ("system", 39)):
        effect, share = rows.loc[rows["cluster"] == level, "value"]
        expected = (stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df)) * table.loc[level, "std_error"]
        assert effect == pytest.approx(expected)
        assert share == pytest.approx(expected / before)


def test_intensity_share_is_at_the_mean_dose_and_weights_count():
    panel = made(treatment="intensity", intensity=(2, 9))
    weight = np.random.default_rng(1).uniform(1, 3, panel.outcome.shape)
    panel = dataclasses.replace(panel, weight=weight)
    effect, share = minimum_detectable_rows(did.estimate(panel), panel)["value"][:2]
    treated = panel.dose > 0
    before = np.average(panel.outcome[treated, :8], weights=weight[treated, :8])
    assert share == pytest.approx(effect * panel.dose[treated].mean() / before)


def test_no_overall_effect_no_error_or_no_base_is_skipped():
    panel = made()
    path = minimum_detectable_rows(event_study.estimate(panel), panel)
    assert (path["status"] == "skipped").all() and path["reason"].str.contains("0 parameters of estimand overall").all()
    one = dataclasses.replace(panel, clusters={"region": np.full(panel.n_units, "R")})
    assert "1 cluster" in minimum_detectable_rows(did.estimate(one), one)["reason"][0]
    below = dataclasses.replace(panel, outcome=panel.outcome - 1000)
    rows = minimum_detectable_rows(did.estimate(below), below)
    assert list(rows["status"][:2]) == ["done", "skipped"] and "no share of it" in rows["reason"][1]


def test_power_curve_starts_at_the_level_and_reaches_80_percent_at_the_detectable_effect():
    panel = made()
    effect = minimum_detectable_rows(did.estimate(panel), panel)["value"][0]
    curve = power_curve(panel, [0, 0.25 * effect, 0.5 * effect, effect, 2 * effect], draws=2000, level="unit")
    share = curve["share_rejected"].to_numpy()
    assert share[0] == pytest.approx(0.05, abs=0.02)
    assert (np.diff(share) > 0).all()
    assert share[3] == pytest.approx(0.8, abs=0.07)
    assert share[4] > 0.99
    assert (curve["n_clusters"] == 80).all() and (curve["n_treated_clusters"] == 40).all()
    np.testing.assert_allclose(curve["simulation_error"], np.sqrt(share * (1 - share) / 2000))


def test_a_draw_is_the_regression_of_the_shifted_panel():
    """Every draw can be made the long way: build the panel it speaks of, estimate it, cluster it."""
    from did.diagnostics.detectable import _dealt, _placebo_estimates

    panel = made(24, 10, 9, units_per_system=3, system_share=0.3, intensity=(1, 4), treatment="intensity")
    outcome = panel.outcome.copy()
    outcome[3, 2] = outcome[17, 8] = np.nan
    weight = np.random.default_rng(2).uniform(0.5, 2, outcome.shape)
    panel = dataclasses.replace(panel, outcome=outcome, weight=weight)
    labels = panel.clusters["system"]
    estimate, error = _placebo_estimates(panel, labels, 7, 5, None)
    donors = _dealt(panel, labels, 7, np.random.default_rng(5))
    observed = did.estimate(panel).estimate[0]
    cleaned = outcome - observed * np.where(panel.treated, panel.dose[:, None], 0.0)
    for draw in range(7):
        dealt = dataclasses.replace(panel, outcome=cleaned, treated_from=panel.treated_from[donors[draw]],
                                    dose=panel.dose[donors[draw]])
        found = summarise(did.estimate(dealt), dealt).set_index("cluster").loc["system"]
        assert estimate[draw] == pytest.approx(found["estimate"], abs=1e-9)
        assert error[draw] == pytest.approx(found["std_error"], rel=1e-9)


def test_dealing_keeps_clusters_whole_and_only_moves_them():
    from did.diagnostics.detectable import _dealt

    panel = made(30, 8, 12, units_per_system=3)
    labels = np.array([f"s{i}" for i in np.repeat(np.arange(8), [1, 2, 3, 4, 5, 5, 5, 5])])
    start = np.where(np.isin(labels, ["s0", "s3", "s7"]), 4, 8)
    panel = dataclasses.replace(panel, clusters={"system": labels}, treated_from=start,
                                dose=(start < 8).astype(float))
    donors = _dealt(panel, labels, 200, np.random.default_rng(0))
    dealt = panel.treated_from[donors]
    for label in np.unique(labels):
        assert (dealt[:, labels == label] == dealt[:, labels == label][:, :1]).all()
    first = np.array([np.flatnonzero(labels == label)[0] for label in np.unique(labels)])
    assert ((dealt[:, first] == 4).sum(axis=1) == 3).all()
    # every cluster gets its turn
    assert ((dealt[:, first] == 4).mean(axis=0) > 0.2).all()


def test_same_seed_same_bytes_and_progress_is_told():
    panel, told = made(), []
    one = power_curve(panel, [0, 2], draws=50, seed=3, progress=lambda done, total: told.append((done, total)))
    assert one.to_csv() == power_curve(panel, [0, 2], draws=50, seed=3).to_csv()
    assert one.to_csv() != power_curve(panel, [0, 2], draws=50, seed=4).to_csv()
    assert told[-1] == (50, 50)


def test_adding_an_effect_to_the_treated_does_not_change_the_curve():
    panel = made()
    shifted = dataclasses.replace(panel, outcome=panel.outcome + 7 * (panel.treated & (panel.dose[:, None] > 0)))
    one, other = (power_curve(which, [0, 3, 6], draws=100) for which in (panel, shifted))
    np.testing.assert_allclose(one["share_rejected"], other["share_rejected"])


def test_hundreds_of_draws_on_the_size_of_the_monthly_panel_take_seconds():
    panel = made(149, 107, 30, units_per_system=4, system_share=0.3)
    began = time.process_time()
    curve = power_curve(panel, np.linspace(0, 5, 11), draws=300)
    assert time.process_time() - began < 10
    assert curve["share_rejected"].is_monotonic_increasing


@pytest.mark.parametrize(("change", "message"), [
    ({"estimator": "ldv"}, "power curve: estimator: expected one of did; found 'ldv'"),
    ({"level": "sytem"}, "did you mean 'system'"),
    ({"draws": 0}, "draws: expected 1 or more; found 0"),
    ({"effects": [1, np.nan]}, "effects: expected finite numbers"),
    ({"alpha": 0}, "alpha: expected a level between 0 and 1; found 0"),
])
def test_mistakes_are_named(change, message):
    with pytest.raises(DidError, match=message):
        power_curve(made(), **({"effects": [0.0], "draws": 5} | change))


def test_a_power_that_is_no_probability_is_named():
    with pytest.raises(DidError, match="power: expected a probability between 0 and 1; found 80"):
        minimum_detectable(1.0, 10, power=80)


def test_power_on_request(tmp_path, monkeypatch):
    """The stage tries multiples of the minimum detectable effect, and says the same as the curve itself."""
    from did.project.loading import load_evaluation
    from did.project.paths import Paths
    from did.stages import power
    from did.stages.fit import panel_of
    from did.store import tables

    monkeypatch.chdir(ROOT)
    evaluation = load_evaluation("config/ics.yaml")
    paths = Paths(data=tmp_path / "data", results=tmp_path / "results")
    frame, _ = simulated(60, 12, {6: 20}, 1.0, seed=3, frequency="Y", first="2001", units_per_system=3)
    tables.write("panel", frame.assign(indicator="visits"), paths.panel("visits"))
    words = power.run("visits", evaluation=evaluation, paths=paths, draws=99, output=str(tmp_path / "power.csv"))
    table = pd.read_csv(tmp_path / "power.csv")
    assert words.startswith("SYNTHETIC DATA. visits") and len(table) == 4 and table["effect"].iloc[0] == 0
    assert table["share_rejected"].iloc[-1] > table["share_rejected"].iloc[0]
    panel = panel_of(frame.assign(indicator="visits"), "full", "binary", evaluation)
    expected = power_curve(panel, list(table["effect"]), "did", 99, evaluation.seed)
    np.testing.assert_allclose(table["share_rejected"], expected["share_rejected"], rtol=1e-12)
    chosen = power.run("visits", evaluation=evaluation, paths=paths, effects=[0.0, 5.0], draws=49)
    assert chosen.count("\n") == 3
