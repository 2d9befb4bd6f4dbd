"""Estimates on changed panels: what is left out is left out, and what is found is what a refit finds."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from did.diagnostics import alternatives, heterogeneity
from did.diagnostics.estimate_rows import estimate_rows
from did.diagnostics.few_clusters import event_wild_rows, few_cluster_rows
from did.diagnostics.pretrends import leads_of, pretrend_rows, recommendation
from did.estimators import Panel, design_of, doses_of, estimate, parts_of
from did.estimators.aggregation import aggregate
from did.inference.bias_reduced import bias_reduced
from did.inference.change import Change
from did.inference.clustered import by_cluster, summarise
from did.inference.joint_test import COLUMNS
from did.inference.parts import by_cluster_of_parts
from did.report.content.notes import change
from did.simulate.panels import panel as simulated
from did.store import tables

OPTIONS = {"ldv": {"lags": "last_2"}}
COMMON = {"estimators": ["did", "ldv"], "options": OPTIONS}


@pytest.fixture
def frame():
    made, _ = simulated(60, 16, {8: 15}, 3.0, seed=4, frequency="Y", first="2001", units_per_system=5,
                        intensity=(7, 32))
    return made


@pytest.fixture
def panel(frame):
    return Panel.from_frame(frame)


def cell(rows, **where):
    for column, value in where.items():
        rows = rows.loc[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_rows_of_a_variant_are_the_estimates_of_its_panel(panel):
    variants = [(Change("as_it_is"), panel), (Change("not"), "it cannot be")]
    rows = estimate_rows("x", iter(variants), original=panel, **COMMON)
    assert list(rows.columns) == COLUMNS
    for name in ("did", "ldv"):
        expected = summarise(estimate(name, panel, **OPTIONS.get(name, {})), panel).set_index("cluster")
        for level in ("unit", "system"):
            found = cell(rows, estimator=name, cluster=level, variant="as_it_is")
            for ours, theirs in (("value", "estimate"), ("std_error", "std_error"), ("ci_low", "ci_low"),
                                 ("p_value", "p_value"), ("n_units", "n_units"),
                                 ("n_treated_clusters", "n_treated_clusters")):
                assert found[ours] == expected.loc[level, theirs], ours
    skipped = rows.loc[rows["status"] == "skipped"]
    assert len(skipped) == 4 and set(skipped["reason"]) == {"it cannot be"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cohorts", [{8: 15}, {8: 10, 11: 8}])
def test_parts_found_together_are_each_as_fitted_by_itself(seed, cohorts):
    frame, _ = simulated(60, 16, cohorts, 3.0, seed=seed, frequency="Y", first="2001", units_per_system=4)
    panel = Panel.from_frame(frame)
    labels, generator = panel.clusters["system"], np.random.default_rng(seed)
    masks = [labels != label for label in np.unique(labels)] + [panel.never_treated | (labels == label) for label in
                                                                np.unique(labels[~panel.never_treated])]
    masks += [generator.random(60) < share for share in (0.9, 0.6, 0.3)] + [~panel.never_treated]
    variants = [(Change("part", part=str(number)), panel.keep(mask)) for number, mask in enumerate(masks)]
    rows = estimate_rows("x", iter(variants), original=panel, **COMMON)
    alone = pd.concat([estimate_rows("x", iter([each]), original=panel, **COMMON) for each in variants],
                      ignore_index=True)
    pd.testing.assert_frame_equal(rows, alone, check_dtype=False, rtol=1e-9, atol=1e-12)
    for name in ("did", "ldv"):
        together = parts_of(name, panel, np.stack(masks, axis=1), **OPTIONS.get(name, {}))
        # ldv has no way to with cohorts that start later.
        assert together is None if len(cohorts) > 1 and name == "ldv" else together.found.sum() >= len(masks) - 2


def test_treatments_found_together_are_each_as_fitted_by_itself():
    frame, _ = simulated(60, 16, {8: 15}, 3.0, seed=3, frequency="Y", first="2001", units_per_system=4)
    panel, generator = Panel.from_frame(frame), np.random.default_rng(3)
    dose = np.column_stack([panel.dose, np.where(generator.random(60) < 0.3, generator.uniform(1, 5, 60), 0.0),
                            panel.dose * generator.integers(1, 4, 60)])
    columns = np.column_stack([dose, np.ones(60), np.zeros(60), panel.outcome[:, 2]])
    options = {"lags": "last_3"}
    together = doses_of("ldv", panel, columns, **options)
    assert together.found.tolist() == [True, True, True, False, False, True]
    assert not doses_of("ldv", panel, columns, lags="all").found[5]   # a lag itself
    blocks = by_cluster_of_parts(together, panel)
    for place, each in enumerate(dose.T):
        own = dataclasses.replace(panel, dose=each, treatment="intensity", treated_from=np.where(each > 0, 8, 16))
        for block, alone in zip(blocks, by_cluster(estimate("ldv", own, **options), own), strict=True):
            assert block.keys() == alone.keys()
            for name, column in alone.items():
                found, known = block[name][place], column[0]
                assert found == (known if isinstance(known, str) else pytest.approx(known, rel=1e-9)), name
    late = dataclasses.replace(panel, treated_from=np.where(panel.units == panel.units[panel.never_treated][0], 12,
                                                            panel.treated_from))
    assert doses_of("ldv", late, dose, **options) is None   # its treatment changes after the first onset
    assert doses_of("ldv", panel, dose * 1e40, **options) is None and doses_of("did", panel, dose) is None


def test_each_system_is_left_out_treated_ones_first(panel):
    variants = list(alternatives.without_each_cluster(panel, "system", {"S01": "One"}))
    labels = panel.clusters["system"]
    treated = sorted(set(labels[~panel.never_treated]))
    assert len(variants) == len(set(labels))
    left_out = [what.left_out for what, _ in variants]
    assert left_out[: len(treated)] == treated
    for label, (_, kept) in zip(left_out, variants, strict=True):
        assert set(labels) - set(kept.clusters["system"]) == {label}
    # A system is called by its code where it has no name.
    assert all(what.called == ("One" if what.left_out == "S01" else what.left_out) for what, _ in variants)


def test_the_jackknife_is_that_of_refits_and_of_the_design(panel):
    """MacKinnon, Nielsen and Webb's CV3 around the full estimate, twice: from refits and from the hat matrix."""
    rows = estimate_rows("leave_one_out", alternatives.without_each_cluster(panel, "system", {}), original=panel,
                         **COMMON)
    for name in ("did", "ldv"):
        options = OPTIONS.get(name, {})
        own = rows.loc[(rows["estimator"] == name) & (rows["cluster"] == "system")]
        value = float(estimate(name, panel, **options).estimate[0])
        found = alternatives.jackknife(own.to_dict("records"), value, panel, "system").iloc[0]
        expected = bias_reduced(design_of(name, panel, **options), "system", "CR3_jackknife").iloc[0]
        assert found["std_error"] == pytest.approx(expected["std_error"], rel=1e-6)
        assert found["n_clusters"] == 12 and found["df_denominator"] == 11
        lost = own.assign(status=["skipped", *own["status"][1:]], reason="why")
        assert alternatives.jackknife.records(lost.to_dict("records"), value, panel, "system")[0]["status"] == "skipped"


def test_years_and_ends_leave_out_outcomes_only(panel):
    for what, kept in alternatives.without_each_year(panel):
        gone = np.isnan(kept.outcome).all(axis=0)
        assert list(panel.periods[gone]) == [what.left_out]
    ((what, kept), (_, nothing)) = alternatives.left_out(panel, {}, {"early": "2010-04", "late": "2016"})
    assert list(panel.periods[~np.isnan(kept.outcome).all(axis=0)]) == [str(year) for year in range(2001, 2011)]
    assert "nothing to leave out" in nothing


def test_a_panel_without_a_year_is_fitted_as_the_regression_it_is(panel):
    for _, kept in alternatives.without_each_year(panel):
        fit, found = design_of("did", kept).fit(), estimate("did", kept)
        assert found.estimate[0] == pytest.approx(fit.coefficient[0], rel=1e-11)
        np.testing.assert_allclose(found.influence, fit.influence, rtol=1e-8, atol=1e-12)
        assert (found.n_obs, found.n_parameters) == (fit.n_obs, 1 + fit.n_periods) == (60 * 15, 16)
        assert found.note == "60 of 960 unit-periods have no outcome or no weight and are left out"


def test_placebos_see_nothing_after_onset(panel):
    variants = list(alternatives.placebo_onsets(panel))
    assert [what.period for what, _ in variants] == [str(year) for year in range(2008, 2002, -1)]
    for what, early in variants:
        assert early.n_periods == 8 and (early.never_treated == panel.never_treated).all()
        assert early.periods[early.treated_from[~early.never_treated][0]] == what.period
    changed = alternatives.placebo_onsets(
        Panel.from_frame(pd.DataFrame({"unit": np.repeat(panel.units, panel.n_periods)}).assign(
            period=np.tile(panel.periods, panel.n_units), frequency="Y",
            outcome=np.where(panel.treated, 1e6, panel.outcome).ravel(),
            cohort=np.repeat([panel.periods[t] if t < panel.n_periods else None for t in panel.treated_from],
                             panel.n_periods),
            system=np.repeat(panel.clusters["system"], panel.n_periods))))
    for (_, one), (_, other) in zip(variants, changed, strict=True):
        assert estimate("did", one).estimate == pytest.approx(estimate("did", other).estimate)


def test_groups_that_leave_nothing_are_said(panel):
    treated = list(panel.units[~panel.never_treated])
    (every, nobody), (none, unknown) = alternatives.left_out(panel, {"all": treated, "none": ["zz"]}, {})
    assert (every.n_left_out, every.n_left_out_treated, nobody) == (15, 15, "no treated unit is left")
    assert (none.n_left_out, unknown) == (None, "none of its areas is in the panel")


def test_other_controls_keep_every_treated_unit(panel, frame):
    region = {unit: ("North" if number < 30 else "South") for number, unit in enumerate(panel.units)}
    made = alternatives.other_controls(panel, frame.assign(region=frame["unit"].map(region)))
    variants = {what.variant: kept for what, kept in made}
    near = variants["controls_in_regions"]
    regions = {region[unit] for unit in panel.units[~panel.never_treated]}
    assert {region[unit] for unit in near.units[near.never_treated]} <= regions
    for kept in variants.values():
        assert (~kept.never_treated).sum() == 15


def test_parts_of_the_treated_make_up_the_whole(panel, frame):
    """With one onset and a balanced panel, did is a difference of means: parts weighted by their units give it."""
    whole = float(estimate("did", panel).estimate[0])
    for variants in (heterogeneity.by_cluster(panel, "system", {}),
                     heterogeneity.by_dose(panel, np.where(panel.never_treated, 0, np.arange(60.0))),
                     heterogeneity.by_wave(panel, frame)):
        parts = [kept for _, kept in variants]
        weights = [int((~kept.never_treated).sum()) for kept in parts]
        assert sum(weights) == 15
        values = [float(estimate("did", kept).estimate[0]) for kept in parts]
        assert np.average(values, weights=weights) == pytest.approx(whole)
    (what, why), = heterogeneity.by_dose(panel, panel.dose)
    assert what == Change("terciles", part_of="intensity")
    assert why == "the treated units' intensity takes fewer than three values"


def test_thirds_of_a_covariate_hold_every_known_unit_once(panel):
    values = pd.Series(np.arange(60.0), index=panel.units).iloc[:-3]
    variants = list(heterogeneity.by_covariate(panel, values, "wealth"))
    words = [change({"n_left_out": None, "n_left_out_treated": None} | what.columns()) for what, _ in variants]
    assert words == ["lowest third of wealth, 3 units unknown", "middle third of wealth", "highest third of wealth"]
    seen = [unit for _, kept in variants if not isinstance(kept, str) for unit in kept.units]
    assert len(seen) == len(set(seen)) and not set(seen) & set(panel.units[-3:])
    assert list(heterogeneity.by_covariate(panel, None, "wealth"))[0][1] == "no table of wealth for these areas"


def test_few_cluster_rows_fit_the_table(panel):
    rows = few_cluster_rows(panel, "system", draws=399, seed=1, **COMMON)
    assert len(rows) == 8 and (rows["status"] == "done").all() and set(rows["n_treated_clusters"]) == {3}
    checked = tables.check("diagnostics", rows.assign(indicator="i", specification="r", sample="s", is_synthetic=True))
    assert checked["p_value"].between(0, 1).all()
    events = event_wild_rows(panel, "system", bin_width=1, draws=399, seed=1)
    study = estimate("event_study", panel)
    kept = study.parameters["event_time"] != -1
    assert events["value"].tolist() == pytest.approx(list(study.estimate[kept]))


def test_leads_of_any_estimator(panel):
    cells = estimate("callaway_santanna", panel, base_period="universal")
    rows = leads_of(aggregate(cells, panel, "event_time"), panel)
    unit = cell(rows, cluster="unit")
    assert unit["diagnostic"] == "joint_leads_callaway_santanna" and unit["status"] == "done" and unit["df"] == 7
    # One onset and no covariate: the leads are those of the event study, whatever the estimator.
    study = leads_of(estimate("event_study", panel), panel)
    assert unit["value"] == pytest.approx(cell(study, cluster="unit")["value"])


def test_the_recommendation_is_the_published_rule(panel):
    tests = pretrend_rows.records(panel, bin_width=1)
    for p_value, published, words in ((0.2, "did", "did: .*not told apart.*the estimator reported first"),
                                      (0.01, "did", "ldv: .*differ.*reported first is did")):
        changed = [row | {"p_value": p_value} if row["diagnostic"] == "linear_pretrend" else row for row in tests]
        row = recommendation(changed, panel, published).iloc[0]
        assert row["reason"].startswith(words[:3]) and row["p_value"] == p_value
        assert re.search(words, row["reason"])
