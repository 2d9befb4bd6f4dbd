"""Calibration: its algebra against the methods it measures, and its coverage where the truth is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.estimators import design_of, estimate, overall
from did.estimators.base import Panel
from did.inference import few_clusters, placebo, refit
from did.inference.assignments import near_in_size
from did.inference.bias_reduced import bias_reduced
from did.inference.calibration import Settings, calibrate
from did.inference.clustered import small_sample_factor, summarise
from did.inference.headline import headline, methods_by_rule
from did.inference.methods import Question, infer
from did.inference.names import METHODS
from did.inference.randomisation import randomisation
from did.inference.schemes import schemes
from did.inference.trials import Asked, GroupTimeTrial, RefitTrial
from did.inference.wild import wild_bootstrap
from did.simulate.panels import panel as simulated


def panel_of(seed: int = 1, *, sizes=(5, 4, 3, 3, 2, 2, 2, 1, 1, 4), n_treated=3, n_periods=60, onset=48, shared=0.3,
             gaps: bool = False, dose: bool = False) -> Panel:
    """A panel with no effect; noise is correlated over time and within a cluster."""
    random = np.random.default_rng(seed)
    system = np.repeat([f"s{i:02d}" for i in range(len(sizes))], sizes)
    codes = pd.factorize(system)[0]
    own, common = random.normal(size=(len(system), n_periods)), random.normal(size=(len(sizes), n_periods))
    for t in range(1, n_periods):
        own[:, t] += 0.6 * own[:, t - 1]
        common[:, t] += 0.6 * common[:, t - 1]
    outcome = 50 + np.sqrt(1 - shared) * own + np.sqrt(shared) * common[codes]
    if gaps:
        outcome[random.uniform(size=outcome.shape) < 0.03] = np.nan
    treated = codes < n_treated
    units = pd.Index([f"u{i:03d}" for i in range(len(system))])
    return Panel(outcome, units, pd.period_range("2015-01", periods=n_periods, freq="M").astype(str), "M",
                 np.where(treated, onset, n_periods), np.where(treated, 1.0 + 2.0 * dose * codes, 0.0),
                 "intensity" if dose else "binary", {"unit": units.to_numpy(), "system": system})


@pytest.mark.parametrize("dose", [False, True])
@pytest.mark.parametrize(("estimator", "lags", "gaps"), [("did", "all", False), ("did", "all", True),
                                                         ("ldv", "last_6", False)])
def test_one_assignment_has_the_numbers_of_the_methods_themselves(estimator, lags, gaps, dose):
    panel = panel_of(3, gaps=gaps, dose=dose)
    options = {"lags": lags} if estimator == "ldv" else {}
    codes = pd.factorize(panel.clusters["system"])[0]
    model, available = placebo.regression(panel, codes, estimator, lags, np.array([48]))
    z = np.zeros((1, len(available)))
    z[0, :3] = [panel.dose[codes == code][0] for code in range(3)]
    compact = placebo.compact(model)
    simple = placebo.simple(compact, z)
    result = estimate(estimator, panel, **options)
    table = summarise(result, panel).set_index("cluster")
    assert simple.estimate[0] == pytest.approx(result.estimate[0], rel=1e-9)
    factor = {level: small_sample_factor(n, model.n_obs, model.n_parameters)
              for level, n in (("system", 10), ("unit", panel.n_units))}
    assert np.sqrt(factor["system"]) * simple.spread[0] == pytest.approx(table.loc["system", "std_error"], rel=1e-8)
    unit = np.sqrt(factor["unit"]) * placebo.unit_spread(model, z, simple)[0]
    assert unit == pytest.approx(table.loc["unit", "std_error"], rel=1e-8)
    design = design_of(estimator, panel, **options)
    corrected = placebo.leverage_corrected(compact, z, simple, ["CR2", "CR3"])
    for kind in ("CR2", "CR3"):
        own = bias_reduced(design, "system", kind).iloc[0]
        assert corrected[kind][0][0] == pytest.approx(own["std_error"], rel=1e-7)
        assert corrected[kind][1][0] == pytest.approx(own["df"], rel=1e-6)
    signs = np.array([[1.0, *(1.0 - 2.0 * np.array(list(np.binary_repr(number, 9)), dtype=int))]
                      for number in range(2**9)])
    drawn, _ = placebo.wild(compact, z, simple, signs, 0.95)
    assert drawn[0] == pytest.approx(wild_bootstrap(design, "system").iloc[0]["p_value"], abs=1e-12)
    assert simple.t[0] / np.sqrt(factor["system"]) == pytest.approx(
        abs(randomisation(panel, estimator=estimator, **options).value), rel=1e-8)


def test_places_are_taken_by_clusters_near_in_size_and_each_once():
    panel = panel_of(2, sizes=(8, 3, 1, *([1] * 6), *([3] * 6), *([8] * 6)))
    places = next(schemes(panel, "system", "never_treated", one_onset=False))
    available = np.bincount(places.codes)
    chosen = near_in_size(places.sizes, available, 500, np.random.default_rng(1))
    assert all(len(set(row)) == 3 for row in chosen.tolist())
    assert (available[chosen] == places.sizes).all()   # six of each size are there: none is off
    assert len({tuple(row) for row in chosen.tolist()}) > 50


def test_a_place_is_taken_by_one_of_the_five_nearest_that_are_left():
    """Of unequal sizes with ties; written out draw by draw."""
    available, sizes = np.array([1, 9, 4, 4, 4, 6, 2, 2, 7, 4, 4, 3]), np.array([3, 8, 4, 4, 1])
    chosen = near_in_size(sizes, available, 400, np.random.default_rng(3))
    for row in chosen:
        left = set(range(len(available)))
        for place in np.argsort(-sizes, kind="stable"):
            nearest = sorted(abs(available[one] - sizes[place]) for one in left)[:5]
            assert row[place] in left and abs(available[row[place]] - sizes[place]) <= nearest[-1]
            left.remove(row[place])
    # Five are as near to the last place as any: each is as likely, whichever has been taken before.
    share = np.bincount(near_in_size(np.array([4]), available, 20_000, np.random.default_rng(4))[:, 0]) / 20_000
    assert share[[2, 3, 4, 9, 10]] == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("estimator", ["did", "ldv"])
def test_a_bootstrap_from_the_basis_is_that_from_pairs_of_signs(estimator):
    panel = panel_of(3, sizes=(5, 4, 3, *([3] * 20)), dose=True)
    model, available = placebo.regression(panel, pd.factorize(panel.clusters["system"])[0], estimator, "last_3",
                                          np.array([48]))
    compact, generator = placebo.compact(model), np.random.default_rng(1)
    z = np.where(generator.uniform(size=(20, len(available))) < 0.2, 1.5, 0.0)
    z[:, 0] = 1.0
    found = placebo.simple(compact, z)
    v = 1.0 - 2.0 * generator.integers(0, 2, size=(len(available), 99))
    size = (found.spread * found.square)[:, None]
    parts = found.product.T / size, found.own_square.T / found.square[:, None], size
    assert placebo._by_basis(compact, z, parts, parts[0] @ v, v) == pytest.approx(
        placebo._by_pairs(compact, z, parts, parts[0] @ v, v), rel=1e-9)


def test_methods_that_hold_their_level_are_told_from_those_that_do_not():
    """Strong common shocks: errors by unit must fail and the wild bootstrap must not (500 panels in one)."""
    panel = panel_of(11, sizes=(6, 4, 4, 3, 3, *([4] * 15), *([3] * 15)), n_treated=5, shared=0.7)
    table = calibrate(panel, only=["never_treated"], settings=Settings(draws=499, wild_draws=199)).set_index("method")
    assert table["status"].eq("done").all()
    assert table.loc["clustered_unit", "coverage"] < 0.85
    assert table.loc["wild_bootstrap", "coverage"] == pytest.approx(0.95, abs=0.03)
    assert table.loc["randomisation", "coverage"] == pytest.approx(0.95, abs=0.03)
    assert table.loc["CR3", "mean_width"] > table.loc["clustered", "mean_width"]


def test_shifts_scales_and_order_change_nothing_and_the_seed_decides():
    panel = panel_of(5, sizes=(4, 3, 2, *([3] * 12)))
    few = Settings(draws=99, wild_draws=99)
    table = calibrate(panel, settings=few)
    pd.testing.assert_frame_equal(table, calibrate(panel, settings=few))
    assert not table.equals(calibrate(panel, settings=dataclasses.replace(few, seed=5)))
    moved = calibrate(dataclasses.replace(panel, outcome=panel.outcome * 1e6 + 3e7), settings=few)
    assert moved["rejected"].tolist() == table["rejected"].tolist()
    assert moved["mean_width"].to_numpy() == pytest.approx(table["mean_width"].to_numpy() * 1e6, rel=1e-6)


def test_before_onset_uses_no_outcome_after_it():
    panel = panel_of(7, sizes=(4, 3, 2, *([3] * 12)), n_periods=72, onset=60)
    later = panel.outcome.copy()
    later[:, 60:] = 1e6
    options = {"only": ["before_onset"], "settings": Settings(draws=99, wild_draws=99)}
    pd.testing.assert_frame_equal(calibrate(panel, **options),
                                  calibrate(dataclasses.replace(panel, outcome=later), **options))


def test_a_panel_too_small_for_placebos_says_so():
    few = calibrate(panel_of(1, sizes=(3, 3, 3, 2, 2), n_treated=3), only=["never_treated"])
    assert few["status"].eq("skipped").all() and list(few["method"]) == list(METHODS)
    assert few["reason"][0] == ("expected at least 6 clusters never treated to take the places of 3 treated ones; "
                                "found 2")
    short = calibrate(panel_of(1, n_periods=30, onset=24), only=["before_onset"])
    assert "three years before the first onset" in short["reason"][0]
    with pytest.raises(DidError, match="calibration: draws: expected 99 or more; found 5"):
        calibrate(panel_of(), settings=Settings(draws=5))
    with pytest.raises(DidError, match="calibration: estimator"):
        calibrate(panel_of(), estimator="event_study")
    with pytest.raises(DidError, match="lags: expected one of .*; found 'latest'"):
        calibrate(panel_of(), estimator="ldv", options={"lags": "latest"})


def test_the_headline_is_the_first_method_in_order_that_holds_in_every_scheme():
    table = pd.DataFrame({"method": ["wild_bootstrap", "CR2", "CR3"] * 2, "scheme": ["a"] * 3 + ["b"] * 3,
                          "coverage": [0.94, 0.955, 0.99, 0.92, 0.945, 0.99], "n_draws": 1000, "status": "done"})
    table["rejected"] = ((1 - table["coverage"]) * 1000).round().astype(int)
    settings = Settings(order=("wild_bootstrap", "CR2", "CR3", "randomisation_near"))
    first, *others = methods_by_rule(table, settings)
    assert (first.method, first.holds, first.n_draws) == ("CR2", True, 2000)
    assert (first.coverage, first.coverage_least, first.coverage_most) == pytest.approx((0.95, 0.945, 0.955))
    assert first.simulation_error == pytest.approx(np.sqrt(0.95 * 0.05 / 2000))
    # The others as their coverage is: the bootstrap holds in one scheme of two, and the last was not tried.
    assert [(each.method, each.holds) for each in others] == [("CR3", False), ("wild_bootstrap", False),
                                                              ("randomisation_near", False)]
    assert methods_by_rule(table.assign(status="skipped"), settings)[0].n_draws == 0


def test_at_the_limit_a_method_has_to_be_seen_to_hold():
    table = pd.DataFrame({"method": ["wild_bootstrap", "CR2"], "scheme": "a", "status": "done", "n_draws": 999,
                          "coverage": [0.934, 0.94]})
    settings, by_order = Settings(order=("wild_bootstrap", "CR2")), ["wild_bootstrap", "CR2"]
    # 0.934 is within two points, and by 0.0078 of simulation error not within; 0.94 is.
    rules = methods_by_rule(table.assign(rejected=[66, 60]), settings)
    assert [(each.method, each.holds, each.may_hold) for each in rules] == [
        ("CR2", True, True), ("wild_bootstrap", False, True)]
    many = table.assign(n_draws=39960, rejected=[2637, 2398])
    assert [each.method for each in methods_by_rule(many, settings) if each.holds] == by_order
    narrow = table.assign(coverage=[0.934, 0.98], rejected=[66, 20])
    assert [each.method for each in methods_by_rule(narrow, settings)] == by_order   # it may hold; CR2 is too wide


def test_methods_near_the_limit_are_tried_in_more_assignments():
    panel = panel_of(11, sizes=(6, 4, 4, 3, 3, *([4] * 15), *([3] * 15)), n_treated=5, shared=0.7)
    table = calibrate(panel, only=["never_treated"], settings=Settings(draws=199, wild_draws=99, tolerance=0.02))
    error, off = table["simulation_error"], (table["coverage"] - 0.95).abs()
    more = table["n_draws"] > np.where(table["method"].str.startswith(("random", "clustered")), 995, 199)
    assert more.any() and not more[table["method"].eq("clustered_unit")].any()   # it fails whatever is added
    assert error[more].max() < 0.013 and (off + error)[~more].notna().all()


def test_coverage_varies_from_seed_to_seed_by_its_simulation_error():
    found = pd.concat([calibrate(panel_of(), only=["never_treated"], settings=Settings(
        draws=199, wild_draws=99, order=("clustered",), seed=seed)) for seed in range(60)]).groupby("method")
    # By reassignment the error of the critical value, which all share, is as large as theirs.
    for method in ("clustered", "CR3", "randomisation"):
        own = found.get_group(method)
        assert 0.7 < own["coverage"].std() / own["simulation_error"].mean() < 1.4, method
        last = own.tail(1)
        used, = methods_by_rule(last, Settings(order=(method,)))
        assert used.simulation_error == pytest.approx(last["simulation_error"].item(), rel=1e-12)


def test_nothing_after_a_bootstrap_that_holds_is_tried_again():
    panel = panel_of(11, sizes=(6, 4, 4, 3, 3, *([4] * 15), *([3] * 15)), n_treated=5, shared=0.7)
    few = Settings(draws=199, wild_draws=99, order=("wild_bootstrap", "CR2", "CR3", "jackknife"))
    found = {tolerance: calibrate(panel, only=["never_treated"], settings=dataclasses.replace(few, tolerance=tolerance))
             .set_index("method")["n_draws"] for tolerance in (0.9, 0.001)}
    assert (found[0.9] == found[0.001]).all() and found[0.9]["CR2"] == 199   # all hold, none can
    table = calibrate(panel, only=["never_treated"], settings=dataclasses.replace(few, tolerance=0.03))
    bootstrap, *others = table.set_index("method").loc[list(few.order), ["coverage", "simulation_error", "n_draws"]
                                                       ].itertuples(index=False)
    assert abs(bootstrap.coverage - 0.95) + bootstrap.simulation_error <= 0.03
    assert {other.n_draws for other in others} == {199}


def test_a_method_with_too_few_degrees_of_freedom_is_passed_over():
    """Intensity, one large cluster with the largest dose: two degrees of freedom, whatever placebos say of CR2."""
    panel = panel_of(4, sizes=(8, 2, 1, *([3] * 12)), dose=True)
    panel = dataclasses.replace(panel, dose=np.where(panel.clusters["system"] == "s00", 30.0, panel.dose))
    table = pd.DataFrame({"method": ["CR2", "randomisation"], "scheme": "a", "status": "done", "n_draws": 999,
                          "coverage": 0.95, "rejected": 50, "reason": ""})
    settings = Settings(order=("CR2", "randomisation"), own_draws=199)
    row = headline(panel, table, settings=settings)
    assert row["method"] == "randomisation" and row["holds"]
    df = infer("CR2", Question(panel, "did", "system"))["df"].item()
    assert df < 4 and row["note"].startswith(f"CR2 has {df:.1f} degrees of freedom, fewer than 4; ")
    alone = headline(panel, table, settings=dataclasses.replace(settings, order=("CR2",)))
    assert alone["method"] == "CR2" and "not to be relied on" in alone["note"]


STAGGERED_OPTIONS = [{}, {"control_group": "never_treated"}, {"base_period": "universal", "base_window": 12},
                     {"base_window": "season", "anticipation": 2}]


@pytest.mark.parametrize("options", STAGGERED_OPTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_over_clusters_give_group_time_averages_and_their_errors(options, weighted):
    """One placebo assignment against the estimator fitted to it, its clustered errors and its jackknife."""
    panel = panel_of(5, sizes=(5, 4, 3, 3, 2, 2, 2, 1, 1, 4, 2), n_treated=4)
    onset = np.select([panel.clusters["system"] < "s02", panel.clusters["system"] < "s04"], [40, 48], 60)
    panel = dataclasses.replace(panel, treated_from=onset, dose=(onset < 60).astype(float))
    if weighted:
        weight = np.random.default_rng(1).uniform(0.5, 3, size=(panel.n_units, 1)) * np.ones(panel.n_periods)
        panel = dataclasses.replace(panel, weight=weight)
    scheme = next(schemes(panel, "system", "never_treated", one_onset=False))
    scheme = dataclasses.replace(scheme, panel=panel, codes=pd.factorize(panel.clusters["system"])[0])
    asked = Asked(["clustered_unit", "jackknife"], 0.95, 99)
    chosen = np.array([[9, 0, 5, 3]])   # cohort 40 to clusters 9 and 0, cohort 48 to 5 and 3
    quick, refitted = GroupTimeTrial.of(scheme, options), RefitTrial.of(scheme, "callaway_santanna", options)
    own, known = quick.quick(chosen), refitted.quick(chosen)
    assert own.estimate == pytest.approx(known.estimate, rel=1e-10)
    assert own.error == pytest.approx(known.error, rel=1e-10)
    others = quick.others(chosen, asked, np.random.default_rng(1))
    refits = refitted.others(chosen, asked, np.random.default_rng(1))
    assert others["clustered_unit"][1] == pytest.approx(refits["clustered_unit"][1], rel=1e-10)
    # Where assignments are fitted again, untreated clusters are left out by their influence: close, not the same.
    assert others["jackknife"][1] == pytest.approx(refits["jackknife"][1], rel=0.15)
    place = np.full(11, 60)
    place[chosen[0]] = [40, 40, 48, 48]
    given = dataclasses.replace(panel, treated_from=place[scheme.codes], dose=(place < 60)[scheme.codes] * 1.0)
    exact = refit.jackknife(lambda one: [overall("callaway_santanna", one, **options)], given, "system")
    half = np.diff(exact[["ci_low", "ci_high"]].to_numpy()[0])
    assert others["jackknife"][1] == pytest.approx(half, rel=1e-9)


def test_a_group_time_average_is_reassigned_as_by_fitting_again():
    panel = panel_of(5, sizes=(4, 3, 3, 2, 2, 2, 1, 1), n_treated=3, n_periods=30, onset=20)
    onset = np.where(panel.clusters["system"] == "s00", 16, panel.treated_from)
    panel = dataclasses.replace(panel, treated_from=onset, outcome=panel.outcome + 2.0 * (np.arange(30) >= 20))
    question = Question(panel, "callaway_santanna", "system", draws=999,
                        finish=lambda result, own: [overall("callaway_santanna", own)])
    for method, statistic in (("randomisation", "studentised"), ("randomisation_estimate", "estimate")):
        found = infer(method, question).iloc[0]
        known = refit.randomise(question.fit, panel, "system", statistic=statistic, draws=999).iloc[0]
        assert found["note"].startswith("all 168 assignments") and known["draws"] == 168
        for name in ("p_value", "ci_low", "ci_high"):
            assert found[name] == pytest.approx(known[name], rel=1e-7)
    # The jackknife too, also where units of a cluster differ in onset.
    mixed = np.where(panel.units == panel.units[0], 20, panel.treated_from)
    for own in (panel, dataclasses.replace(panel, treated_from=mixed)):
        asked = dataclasses.replace(question, panel=own)
        row, fitted = infer("jackknife", asked).iloc[0], refit.jackknife(asked.fit, own, "system").iloc[0]
        assert [row[name] for name in ("std_error", "ci_low", "p_value", "df")] == pytest.approx(
            [fitted[name] for name in ("std_error", "ci_low", "p_value", "df")], rel=1e-9)
    near = infer("randomisation_near", dataclasses.replace(question, draws=499)).iloc[0]
    assert near["p_value"] > 1 / 500 and near["ci_low"] < near["estimate"] < near["ci_high"]


@pytest.mark.parametrize("estimator", ["callaway_santanna", "imputation"])
def test_any_estimator_of_one_effect_is_measured(estimator):
    panel = panel_of(9, sizes=(4, 3, 2, *([3] * 12)), n_periods=20, onset=12)
    few = Settings(draws=99, refits=20)
    table = calibrate(panel, estimator=estimator, only=["never_treated"], settings=few)
    assert table["status"].eq("done").all() and table["coverage"].between(0.5, 1).all()
    assert table.loc[table["method"].eq("jackknife"), "n_draws"].item() >= (20 if estimator == "imputation" else 99)
    if estimator == "imputation":
        none = calibrate(panel, estimator=estimator, only=["never_treated"], settings=Settings(refits=0))
        assert none["reason"].unique().tolist() == [
            "imputation has to be fitted again for each placebo, and refits is 0; set it to 199 or more"]
    with pytest.raises(DidError, match="callaway_santanna: expected binary treatment"):
        calibrate(panel_of(dose=True), estimator="callaway_santanna")


def test_placebo_onsets_keep_their_distance_where_there_is_room():
    panel = panel_of(7, sizes=(4, 3, 2, *([3] * 12)), n_periods=84, onset=60)
    later = dataclasses.replace(panel, treated_from=np.where(panel.clusters["system"] == "s00", 66,
                                                             panel.treated_from))
    found = list(schemes(later, "system", "before_onset", one_onset=False))
    assert [each.onset.tolist() for each in found] == [[at + 6, at, at] for at in (24, 28, 33, 38, 42)]
    assert all(each.panel.n_periods == 60 and each.onset.max() <= 48 for each in found)
    assert {tuple(each.onset) for each in schemes(later, "system", "before_onset", one_onset=True)} == {
        (at,) * 3 for at in (24, 30, 36, 42, 48)}


@pytest.mark.parametrize(("estimator", "lags"), [("did", "all"), ("ldv", "last_6")])
def test_each_method_gives_the_headline_its_own_numbers(estimator, lags):
    panel = panel_of(4, sizes=(5, 4, 3, *([3] * 12)))
    options = {"lags": lags} if estimator == "ldv" else {}
    settings = Settings(draws=99, wild_draws=99, own_draws=499)
    rows = {method: headline(panel, pd.DataFrame({"status": [], "method": [], "reason": []}), estimator=estimator,
                             options=options, settings=dataclasses.replace(settings, order=(method,)))
            for method in ("wild_bootstrap", "CR2", "CR3", "randomisation", "clustered")}
    design, table = design_of(estimator, panel, **options), summarise(estimate(estimator, panel, **options), panel)
    clustered = table.set_index("cluster").loc["system"]
    tested = randomisation(panel, estimator=estimator, draws=499, seed=settings.seed, **options)
    result = estimate(estimator, panel, **options)
    booted = wild_bootstrap(design, "system", draws=499, seed=settings.seed, fitted=result).iloc[0]
    ends = ["ci_low", "ci_high", "p_value"]
    for method, known in {"CR2": bias_reduced(design, "system", "CR2").iloc[0][ends],
                          "CR3": bias_reduced(design, "system", "CR3").iloc[0][ends], "wild_bootstrap": booted[ends],
                          "clustered": clustered[ends],
                          "randomisation": (tested.ci_low, tested.ci_high, tested.p_value)}.items():
        assert [rows[method][name] for name in ends] == pytest.approx(list(known), rel=1e-9), method
    assert {row["n_treated_clusters"] for row in rows.values()} == {3}
    assert all(not row["holds"] and "could not be measured" in row["note"] for row in rows.values())


def test_a_headline_of_one_treated_cluster_says_what_it_cannot():
    panel = panel_of(3, sizes=(4, *([3] * 9)), n_treated=1)
    row = headline(panel, calibrate(panel, settings=Settings(draws=99, wild_draws=99)),
                   settings=Settings(draws=99, own_draws=499))
    assert (row["n_treated_clusters"], row["method"], row["holds"]) == (1, "conley_taber", False)
    assert row["note"].startswith("one treated cluster of 10: errors, bootstrap and jackknife say nothing of it")
    assert row["note"].endswith("the interval has no lower end; the interval has no upper end")
    # The command and the workflow lead with the same.
    asked = few_clusters.headline(Question(panel, "did", "system"))
    assert (asked.method, asked.rows["p_value"].item()) == (row["method"], row["p_value"])


def test_one_treated_cluster_of_a_lagged_regression_is_reassigned_by_its_estimate():
    panel = panel_of(3, sizes=(4, *([3] * 9)), n_treated=1)
    options = {"lags": "last_12"}
    settings = Settings(draws=99, wild_draws=99, own_draws=499)
    row = headline(panel, calibrate(panel, estimator="ldv", options=options, settings=settings), estimator="ldv",
                   options=options, settings=settings)
    assert (row["method"], row["p_value"]) == ("randomisation_estimate", pytest.approx(row["p_value"]))
    assert row["p_value"] * 10 == pytest.approx(round(row["p_value"] * 10)) and row["n_draws"] > 0


def test_an_outcome_without_variation_is_never_rejected():
    data = Panel.from_frame(simulated(60, 8, {5: 12}, 1.0, seed=2, units_per_system=4)[0])
    flat = dataclasses.replace(data, outcome=np.full_like(data.outcome, 7.3))
    table = calibrate(flat, estimator="did", level="system", settings=Settings(draws=99))
    done = table.loc[table["status"].eq("done") & table["method"].eq("wild_bootstrap")]
    assert len(done) and (done["rejected"] == 0).all()
