"""The sentence that leads a page: what it says follows from small made tables, in both directions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.inference.change import Change
from did.report.content.facts import Facts
from did.report.content.lead import how_to_read, leads
from did.report.content.notes import FEW_TREATED
from did.store import tables

FACTS = Facts(
    estimator="ldv", other_estimator="did",
    title="Waiting", question="Did waits change?", total="waits", outcomes={"waits": "Long waits"}, dose="extra nurse",
    measure="days per 1,000", first="2010", last="2019", onset="2016", n_published=1, n_published_numbers=1,
    frequency="Y", staggered="by_date", page="summary_waiting.md")
SIZES = {"n_obs": 400, "n_units": 40, "n_treated": 12, "n_clusters": 10, "n_treated_clusters": 4}
TESTS = ("wild_bootstrap", "bias_reduced_cr2", "randomisation")
MEASURED = {"lags": "", "method": "CR3", "holds": True, "coverage": 0.944, "simulation_error": 0.005,
            "coverage_least": 0.94, "coverage_most": 0.95, "n_draws": 1998}
ABOVE, ACROSS, BELOW = (2.0, 18.0, 0.02), (-4.0, 24.0, 0.2), (-18.0, -2.0, 0.02)


def row(schema: str, **values) -> dict:
    empty = {"float64": np.nan, "int64": 0, "Int64": pd.NA, "bool": False}
    always = {"indicator": "waits", "sample": "full", "treatment": "binary", "specification": "default",
              "cluster": "system"} | ({"state": "estimated"} if schema == "estimates" else {})
    columns = tables.SCHEMAS[schema].columns
    return {name: empty.get(str(column.dtype), "") for name, column in columns.items()} | always | values


def estimated(value, estimator="ldv", **values) -> list[dict]:
    """An estimate whose clustered intervals leave out zero, as they do where few clusters are treated."""
    known = {"std_error": 2.0, "ci_low": value - 4, "ci_high": value + 4, "p_value": 0.001, "cohort": None,
             "period": None, "event_time": pd.NA, "estimand": "overall", "headline": True} | SIZES
    return [row("estimates", estimator=estimator, estimate=value, cluster=cluster, **known | values)
            for cluster in ("unit", "system")]


def result_of(name, found, estimator="ldv", treatment="binary") -> dict:
    """A test's row: found is (low, high, p), or why it was skipped."""
    item = {"diagnostic": name, "estimator": estimator, "treatment": treatment}
    if isinstance(found, str):
        return row("diagnostics", **item, status="skipped", reason=found)
    low, high, p = found
    return row("diagnostics", **item, status="done", ci_low=low, ci_high=high, p_value=p)


def without(called, label, lost, value, estimator="ldv") -> dict:
    """The estimate without one cluster; without a value it was skipped."""
    done = {"status": "done", "value": value, **SIZES} if value is not None else {
        "status": "skipped", "reason": "it is the only treated system"}
    return row("diagnostics", diagnostic="leave_one_out", estimator=estimator,
               **Change("without_cluster", left_out=label, called=called).columns(),
               **done | ({"n_treated": 12 - lost} if value is not None else {}))


LEFT_OUT = [without("North, and beyond", "N1", 8, 4.0), without("South", "S1", 3, 13.0), without("East", "E1", 1, 11.0),
            without("Other", "O1", 0, -50.0), without("North, and beyond", "N1", 8, 99.0, "did")]


def leading(found, estimator="ldv", treatment="binary", value=10.0, **values) -> dict:
    """A headline: found is (low, high, p), or why no method gives an interval."""
    about = {"estimator": estimator, "treatment": treatment, "estimate": value} | MEASURED | SIZES
    if isinstance(found, str):
        return row("headline", **about | {"method": "", "holds": False, "note": found,
                                         **dict.fromkeys(("coverage", "simulation_error"), np.nan)})
    low, high, p = found
    return row("headline", **about | {"ci_low": low, "ci_high": high, "p_value": p} | values)


def led(found=ACROSS, *, value=10.0, facts=FACTS, left_out=LEFT_OUT, more=(), estimates=(), headlines=(), others=None,
        **values):
    """Leads of made tables: an estimate by lagged dependent variable with a headline, and ``others`` by `TESTS`."""
    rows = [result_of(name, each) for name, each in zip(TESTS, others or (ACROSS,) * 3, strict=True)]
    frames = {"estimates": [*estimated(value), *estimates], "diagnostics": [*rows, *left_out, *more],
              "headline": [leading(found, value=value, **values), *headlines]}
    made = {name: tables.check(name, pd.DataFrame(each)) for name, each in frames.items()}
    return leads(facts, **made)


@pytest.mark.parametrize(("value", "found", "bold"), [
    (10.0, ACROSS, "the estimate of +10.0 days per 1,000 is not told apart from zero"),
    (10.0, ABOVE, "the estimate of +10.0 days per 1,000 is told apart from zero"),
    (-10.0, BELOW, "the estimate of \N{MINUS SIGN}10.0 days per 1,000 is told apart from zero"),
    (10.0, "one cluster", "it is not known whether the estimate of +10.0 days per 1,000 can be told apart from zero")])
def test_the_verdict_is_that_of_the_interval_that_leads(value, found, bold):
    lead, = led(found, value=value, others=[ABOVE, BELOW, ACROSS])
    assert f"**Waiting (Long waits), binary treatment: {bold}**" in lead.text
    assert "no effect" not in lead.text and "significant" not in lead.text and "nan" not in lead.text


def test_interval_method_coverage_and_sizes_stand_beside_it():
    lead, = led((-3.0, 25.0, 0.15))
    assert ("is not told apart from zero**: 95% interval \N{MINUS SIGN}3.0 to 25.0 (p = 0.150) by CR3, whose intervals "
            "hold a true zero in 94.4% of placebo assignments (simulation error 0.5); it rests on 12 treated of 40 "
            "areas, in 4 of 10 systems; ") in lead.text
    assert lead.page == "robustness_waiting.md"


def test_where_none_holds_or_none_could_be_measured_it_is_said():
    lead, = led(ACROSS, holds=False, coverage=0.999)
    assert "in 99.9% of placebo assignments (simulation error 0.5): no method holds its level here; " in lead.text
    lead, = led(ACROSS, holds=False, coverage=np.nan, note="2 | clusters")
    assert "by CR3, whose coverage is not known (2 \\| clusters); " in lead.text
    assert "**, because one cluster; it rests on" in led("one cluster")[0].text


def test_the_other_methods_have_their_numbers_and_the_one_that_leads_has_them_once():
    lead, = led(ACROSS, others=[(-4.0, 24.0, 0.2), (-5.0, 25.0, 0.3), (-6.0, 26.0, 0.4)])
    assert ("; by other methods: the wild cluster bootstrap (\N{MINUS SIGN}4.0 to 24.0, p = 0.200), CR2 "
            "(\N{MINUS SIGN}5.0 to 25.0, p = 0.300) and randomisation of whole clusters by t (\N{MINUS SIGN}6.0 to "
            "26.0, p = 0.400); ") in lead.text
    lead, = led(ACROSS, method="CR2")
    assert lead.text.count("CR2 (") == 0 and [other.name for other in lead.ours.others] == [
        "the wild cluster bootstrap", "randomisation of whole clusters by t"]


def test_an_interval_that_holds_zero_or_a_large_p_value_does_not_tell_apart():
    tests = led(others=[(-1.0, 9.0, 0.04), (1.0, 9.0, 0.06), (np.nan, np.nan, 0.04)])[0].ours.others
    assert [test.tells_apart for test in tests] == [False, False, True]


def test_a_skipped_or_missing_test_is_said_with_its_reason():
    lead, = led(others=[ACROSS, "no | variation", ACROSS])
    assert "; CR2 was skipped (no \\| variation); it is " in lead.text
    lead, = leads(FACTS, pd.DataFrame(estimated(10.0)), tables.check(
        "diagnostics", pd.DataFrame([result_of("randomisation", ACROSS)])), pd.DataFrame([leading(ACROSS)]))
    assert "CR2 was skipped (it is not among the diagnostics)" in lead.text
    assert "the estimate without the largest of the treated systems is not among the diagnostics" in lead.text
    assert "there is no estimate with each wave from its own date" in lead.text


def test_without_the_system_that_holds_most_treated_units():
    lead, = led()
    assert "; it is +4.0 without North, and beyond (N1), which has 8 of the 12 treated areas" in lead.text
    same = [without(name, name, 4, value) for name, value in (("A", 7.0), ("B", 12.0), ("C", 9.0))]
    assert ("; it is between +7.0 and +12.0 without one of the 3 largest treated systems, with 4 of the 12 treated "
            "areas each") in led(left_out=same)[0].text
    alone, = led(left_out=[without("North", "North", 12, None), without("Other", "Other", 0, 10.0)])
    assert "; North could not be left out (it is the only treated system)" in alone.text and "it is +" not in alone.text


def test_each_wave_from_its_own_date_is_a_range_that_names_who_leaves_out_zero():
    wide = {"ci_low": -9.0, "ci_high": 20.0}
    by_date = [
        *estimated(3.0, "stacked", specification="by_date", **wide),
        *estimated(12.0, "imputation", specification="by_date"),
        *estimated(50.0, "event_study", specification="by_date"),
        *estimated(90.0, "stacked", specification="other"),
        *estimated(70.0, "stacked", specification="by_date", sample="wave_two_removed"),
    ]
    lead, = led(estimates=by_date)
    assert (", and between +3.0 and +12.0 with each wave from its own date (2 estimators; the 95% interval clustered "
            "by system leaves out zero for imputation only).") in lead.text
    apart, = led(estimates=[*estimated(12.0, "sun_abraham", specification="by_date")])
    assert "and +12.0 with each wave from its own date (1 estimator;" in apart.text
    assert "leaves out zero in every case)" in apart.text
    one_date, = led(facts=dataclasses.replace(FACTS, staggered=""))
    assert "own date" not in one_date.text + how_to_read([one_date])


def test_dose_has_a_sentence_of_its_own():
    binary, intensity = led(estimates=estimated(0.5, treatment="intensity", std_error=0.2),
                            headlines=[leading((0.1, 0.9, 0.01), treatment="intensity", value=0.5)])
    assert "binary treatment: the estimate of +10.0 days per 1,000 is not told apart from zero**" in binary.text
    assert ("intensity treatment: the estimate of +0.50 days per 1,000, for each extra nurse, is told apart from "
            "zero**") in intensity.text
    assert "largest" not in intensity.text
    assert how_to_read([binary, intensity]).endswith("are made for the binary treatment only.")
    assert "binary treatment only" not in how_to_read([binary])


@pytest.mark.parametrize(("found", "said"), [
    ((-4.0, 24.0, 0.4), "+12.0 is not told apart from zero: 95% interval \N{MINUS SIGN}4.0 to 24.0 (p = 0.400) by CR3"),
    ((2.0, 18.0, 0.0001), "+12.0 is told apart from zero: 95% interval 2.0 to 18.0 (p < 0.001) by CR3")])
def test_the_other_estimator_has_its_own_verdict(found, said):
    lead, = led(ABOVE, estimates=estimated(12.0, "did"), headlines=[leading(found, "did", value=12.0)])
    assert f". By difference-in-differences, {said}, whose intervals hold" in lead.text


def test_an_estimate_that_is_marked_needs_its_headline():
    with pytest.raises(DidError, match="headline table: expected the did estimate of waits .*run: did calibrate"):
        led(ABOVE, estimates=estimated(12.0, "did"))


def test_few_treated_units_are_said():
    few = estimated(10.0, few_treated=True, minimum_treated=20, note="a remark of its own")
    lead, = leads(FACTS, pd.DataFrame(few), tables.check(
        "diagnostics", pd.DataFrame([result_of("randomisation", ACROSS)])), pd.DataFrame([leading(ACROSS)]))
    assert lead.text.endswith(f" The estimate {FEW_TREATED}: 12, fewer than 20.")


def test_one_level_of_clustering_is_called_what_units_are():
    facts = dataclasses.replace(FACTS, clusters={"unit": "by authority"}, units="authorities")
    rows = [each | {"cluster": "unit"}
            for each in [result_of("randomisation", ACROSS), without("North", "North", 8, 4.0)]]
    lead, = leads(facts, pd.DataFrame(estimated(10.0)), tables.check("diagnostics", pd.DataFrame(rows)),
                  pd.DataFrame([leading(ACROSS, cluster="unit")]))
    assert "it rests on 12 treated of 40 authorities; " in lead.text and "8 of the 12 treated authorities" in lead.text
    assert "Where few authorities are treated" in how_to_read([lead])


def test_a_missing_estimate_is_an_error():
    diagnostics = tables.check("diagnostics", pd.DataFrame([result_of("randomisation", ACROSS)]))
    with pytest.raises(DidError, match="expected a ldv estimate of waits"):
        leads(FACTS, pd.DataFrame(estimated(10.0, "did")), diagnostics, pd.DataFrame([leading(ACROSS)]))
