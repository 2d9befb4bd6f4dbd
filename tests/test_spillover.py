"""Effects on the treated and their neighbours, against regressions written out and imputation without spillovers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from click.testing import CliRunner

from did.cli.commands import main
from did.diagnostics.spillovers import spillover_rows
from did.errors import DidError
from did.estimators import Panel, estimate
from did.estimators.neighbours import beyond_border, steps, with_neighbours
from did.inference.clustered import summarise
from did.simulate.panels import panel
from did.store import tables
from test_estimators_properties import random_frame


def ladder(seed: int = 0, *, noise: float = 1.0, staggered: bool = False, n: int = 60,
           effects: tuple[float, ...] = (5.0, 2.0, 1.0)) -> Panel:
    """Units on a line, every twelfth treated in 2005 (or 2007): effects on it, its neighbours, and theirs."""
    generator = np.random.default_rng(seed)
    place, years = np.arange(n), np.arange(2001, 2011)
    start = np.where(place % 12 == 5, np.where(staggered & (place % 24 == 17), 2007, 2005), 9999)
    distance = np.abs(place[:, None] - place[None, :])
    outcome = 20 + place[:, None] % 7 + 0.5 * (years % 3) + generator.normal(0, noise, (n, len(years)))
    for column, year in enumerate(years):
        near = np.where(start[None, :] <= year, distance, 99).min(axis=1)
        for ring, effect in enumerate(effects):
            outcome[near == ring, column] += effect
    frame = pd.DataFrame({
        "unit": np.repeat([f"u{each:0{len(str(n - 1))}d}" for each in place], len(years)),
        "period": np.tile(years.astype(str), n),
        "frequency": "Y", "outcome": outcome.ravel(),
        "system": np.repeat([f"s{each // 6}" for each in place], len(years)),
        "cohort": np.repeat(np.where(start < 9999, start.astype(str), None), len(years))})
    data = Panel.from_frame(frame)
    return with_neighbours(data, zip(data.units[:-1], data.units[1:], strict=True))


def named(data: Panel, **options) -> dict[str, float]:
    found = estimate("spillover", data, **options)
    return dict(zip(found.parameters["estimand"], found.estimate, strict=True))


@pytest.mark.parametrize("staggered", [False, True])
def test_planted_effects_on_each_ring_are_found_where_did_is_off(staggered):
    data = ladder(noise=0.0, staggered=staggered)
    assert named(data, rings=2) == pytest.approx({"overall": 5.0, "neighbours_1": 2.0, "neighbours_2": 1.0})
    assert named(data, rings=2, border="left_out") == pytest.approx({"overall": 5.0})
    assert estimate("did", data).estimate[0] < 4.6
    assert named(data, rings=1)["neighbours_1"] < 2.0   # neighbours' neighbours are among its controls


def test_with_one_date_it_is_the_two_way_regression_with_a_dummy_for_each_ring():
    data = ladder(3)
    distance = steps(data, 2)
    cells = pd.DataFrame({"y": data.outcome.ravel(), "u": np.repeat(np.arange(60), 10), "t": np.tile(np.arange(10), 60),
                          "ring": distance.ravel()})
    fit = smf.ols("y ~ C(u) + C(t) + I(ring == 0) + I(ring == 1) + I(ring == 2)", cells).fit()
    expected = [fit.params[f"I(ring == {ring})[T.True]"] for ring in range(3)]
    np.testing.assert_allclose(list(named(data, rings=2).values()), expected, rtol=1e-9)


def test_with_several_dates_it_is_what_clean_cells_predict_averaged_over_the_others():
    data = ladder(4, staggered=True)
    distance = steps(data, 1)
    cells = pd.DataFrame({"y": data.outcome.ravel(), "u": np.repeat(np.arange(60), 10), "t": np.tile(np.arange(10), 60),
                          "ring": distance.ravel()})
    fit = smf.ols("y ~ C(u) + C(t)", cells[cells["ring"] > 1]).fit()
    left = (cells["y"] - fit.predict(cells)).groupby(cells["ring"]).mean()
    np.testing.assert_allclose(list(named(data).values()), left[[0, 1]], rtol=1e-9)


def test_without_spillovers_it_is_imputation_errors_and_all():
    frame = random_frame(5).assign(exposure=0.0)
    data = Panel.from_frame(frame, covariate_columns=["exposure"])
    ours = summarise(estimate("spillover", data, exposure="exposure"), data)
    theirs = summarise(estimate("imputation", data, estimands=["overall"]), data)
    for column in ("estimate", "std_error", "ci_low", "p_value", "n_obs", "n_treated"):
        np.testing.assert_allclose(ours[column].astype(float), theirs[column].astype(float), rtol=1e-9)


def test_left_out_border_controls_are_those_of_a_declared_sample():
    data = ladder(6, staggered=True)
    kept, near = beyond_border(data, 2)
    assert near.sum() == 20 and kept.n_units == 40
    ours = estimate("spillover", data, rings=2, border="left_out")
    theirs = estimate("imputation", kept, estimands=["overall"])
    np.testing.assert_allclose(ours.estimate, theirs.estimate, rtol=1e-9)
    np.testing.assert_allclose(ours.influence, theirs.influence, atol=1e-12)
    assert "left out: 20 units (" in ours.note


def test_an_exposure_has_an_effect_per_unit_of_it():
    data = ladder(noise=0.0, effects=(5.0,))
    near = (steps(data, 1) == 1) * np.linspace(0.2, 1.0, 60)[:, None]
    data = dataclasses.replace(data, outcome=data.outcome + 3 * near, covariates={"exposure": near}, neighbours=())
    assert named(data, exposure="exposure") == pytest.approx({"overall": 5.0, "neighbours": 3.0})
    assert named(data, exposure="exposure", border="left_out") == pytest.approx({"overall": 5.0})


def test_intervals_cover_the_effects_on_treated_and_neighbours():
    covered = []
    for seed in range(60):
        data = ladder(seed, staggered=True, n=240)
        rows = summarise(estimate("spillover", data, rings=2), data).query("cluster == 'unit'")
        covered.append((rows["ci_low"] <= [5, 2, 1]) & (rows["ci_high"] >= [5, 2, 1]))
    shares = np.mean(covered, axis=0)
    assert (shares >= 0.85).all() and shares.mean() <= 0.99, shares


def test_steps_are_shortest_paths_and_move_with_the_treated():
    data = ladder(staggered=True)
    found = steps(data, 30)
    place = np.arange(60)
    for column in (0, 4, 6, 9):
        treated = place[data.treated[:, column]]
        expected = np.abs(place[:, None] - treated[None, :]).min(axis=1) if len(treated) else np.full(60, 31)
        np.testing.assert_array_equal(found[:, column], np.minimum(expected, 31))
    without = data.keep(data.units != "u06")
    assert steps(without, 60)[:, -1][list(without.units).index("u07")] == 10   # round the gap there is no way but on


def test_order_labels_level_and_scale_do_not_matter():
    data = ladder(7, staggered=True)
    expected = summarise(estimate("spillover", data, rings=2), data)[["estimate", "std_error"]].to_numpy(float)
    for add, times in ((1e9, 1.0), (0.0, 1e-160), (0.0, 1e200)):
        moved = dataclasses.replace(data, outcome=data.outcome * times + add)
        found = summarise(estimate("spillover", moved, rings=2), moved)[["estimate", "std_error"]].to_numpy(float)
        np.testing.assert_allclose(found / times, expected, rtol=1e-6 + 2e-14 * add)
    turned = dataclasses.replace(data, neighbours=tuple((b, a) for a, b in reversed(data.neighbours)))
    np.testing.assert_allclose(estimate("spillover", turned, rings=2).estimate, expected[:3, 0], rtol=1e-12)


@pytest.mark.parametrize(("change", "options", "said"), [
    (lambda data: dataclasses.replace(data, neighbours=()), {}, "add --neighbours FILE.csv"),
    (lambda data: data, {"rings": 0}, "rings: expected a whole number of borders, 1 or more; found 0"),
    (lambda data: data, {"border": "kept"}, "expected one of estimated, left_out; found 'kept'"),
    (lambda data: data, {"exposure": "near"}, "expected one of"),
    (lambda data: data, {"rings": 80, }, "no clean|nobody treated is near to|clean cells|take fewer rings"),
])
def test_what_cannot_be_asked_is_one_line(change, options, said):
    data = change(ladder())
    if options.get("rings") == 80:
        data = dataclasses.replace(data, treated_from=np.where(data.treated_from < 99, 4, data.treated_from))
    with pytest.raises(DidError, match=said) as caught:
        estimate("spillover", data, **options)
    assert "\n" not in str(caught.value)


def test_bad_exposures_and_neighbours_are_named():
    data = dataclasses.replace(ladder(), neighbours=())
    near = np.zeros(data.outcome.shape)
    for value, said in ((np.nan, "unit u02, period 2006: expected a number; found nan"),
                        (-1.0, "unit u02, period 2006: expected 0 or more; found -1.0")):
        bad = near.copy()
        bad[2, 5] = value
        with pytest.raises(DidError, match=said):
            estimate("spillover", dataclasses.replace(data, covariates={"e": bad}), exposure="e")
    falls = near.copy()
    falls[2, 5] = 1.0
    with pytest.raises(DidError, match="unit u02, period 2007: expected an exposure that stays above 0"):
        estimate("spillover", dataclasses.replace(data, covariates={"e": falls}), exposure="e")
    for pairs, said in (([], "expected pairs of units"), ([("u01", "u99")], "expected units of the panel; found 'u99'"),
                        ([("u01", "u01")], "found 'u01' as its own neighbour")):
        with pytest.raises(DidError, match=said):
            with_neighbours(data, pairs)
    with pytest.raises(DidError, match="expected binary"):
        intensity = Panel.from_frame(panel(20, 6, {3: 5}, 1.0, seed=1, intensity=(2, 9))[0], treatment="intensity")
        estimate("spillover", intensity)


def test_the_command_line_takes_a_table_of_neighbours_and_an_exposure(tmp_path):
    data = ladder(8)
    frame = pd.DataFrame({"unit": np.repeat(data.units, 10), "year": np.tile(data.periods, 60),
                          "y": data.outcome.ravel(),
                          "g": np.repeat([data.periods[at] if at < 10 else "never" for at in data.treated_from], 10),
                          "near": (steps(data, 1) == 1).ravel() * 1.0})
    frame.to_csv(tmp_path / "panel.csv", index=False)
    pd.DataFrame(data.neighbours, columns=["unit", "neighbour"]).to_csv(tmp_path / "borders.csv", index=False)
    words = ["estimate", str(tmp_path / "panel.csv"), "--outcome", "y", "--unit", "unit", "--period", "year",
             "--cohort", "g", "--estimator", "spillover", "--output", str(tmp_path / "out.csv")]
    for more, options in ((["--neighbours", str(tmp_path / "borders.csv"), "--rings", "2"], {"rings": 2}),
                          (["--exposure", "near"], None)):
        found = CliRunner().invoke(main, [*words, *more])
        assert found.exit_code == 0, found.output
        rows = pd.read_csv(tmp_path / "out.csv").query("cluster == 'unit' and inference == 'clustered'")
        expected = named(data, **options) if options else named(data)
        np.testing.assert_allclose(rows["estimate"], list(expected.values()), rtol=1e-9)
    pd.DataFrame([("u01", "u77")], columns=["unit", "neighbour"]).to_csv(tmp_path / "borders.csv", index=False)
    wrong = CliRunner().invoke(main, [*words, "--neighbours", str(tmp_path / "borders.csv")])
    assert wrong.exit_code == 1 and "borders.csv: expected units of the panel; found 'u77'" in wrong.output


def test_a_table_of_borders_gives_effects_on_neighbours_and_estimates_without_border_controls():
    data = dataclasses.replace(ladder(9), neighbours=())
    pairs = pd.DataFrame({"unit": [*data.units[:-1], "u00"], "neighbour": [*data.units[1:], "elsewhere"]})
    rows = spillover_rows(data, pairs, ["did", "ldv"], {"ldv": {"lags": "last_2"}})
    tables.check("diagnostics", rows.assign(indicator="x", specification="default", sample="full", is_synthetic=True))
    own = rows[rows["diagnostic"].eq("spillover") & rows["cluster"].eq("unit")].set_index("part")
    expected = named(with_neighbours(data, zip(data.units[:-1], data.units[1:], strict=True)), rings=2)
    assert own["value"].to_dict() == pytest.approx(
        {"": expected["overall"], **{name: expected[name] for name in ("neighbours_1", "neighbours_2")}})
    assert set(own["n_left_out"]) == {1}
    beyond = rows[rows["variant"].eq("controls_beyond_border") & rows["cluster"].eq("unit")].set_index("estimator")
    kept = data.keep(~data.units.isin([f"u{at:02d}" for at in range(60) if at % 12 in (4, 6)]))
    assert beyond.loc["did", "value"] == pytest.approx(estimate("did", kept).estimate[0])
    assert beyond.loc["ldv", "n_left_out"] == 10
    nothing = spillover_rows(data, pairs.tail(1), ["did"], {})
    assert (nothing["status"] == "skipped").all() and "expected pairs of units" in nothing["reason"].iloc[0]
