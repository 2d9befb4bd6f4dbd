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
             "period": None, "event_time": pd.NA, "estimand": "overall"} | SIZES
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


def led(found=(ACROSS,) * 3, *, value=10.0, facts=FACTS, left_out=LEFT_OUT, more=(), estimates=()):
    """Leads of made tables: an estimate by lagged dependent variable with ``found`` by each of `TESTS`."""
    rows = [result_of(name, each) for name, each in zip(TESTS, found, strict=True)]
    frames = {"estimates": [*estimated(value), *estimates], "diagnostics": [*rows, *left_out, *more]}
    made = {name: tables.check(name, pd.DataFrame(each)) for name, each in frames.items()}
    return leads(facts, **made)


@pytest.mark.parametrize(("value", "found", "bold"), [
    (10.0, [ACROSS] * 3, "the estimate of +10.0 days per 1,000 is not told apart from zero"),
    (10.0, [ABOVE] * 3, "the estimate of +10.0 days per 1,000 is told apart from zero"),
    (-10.0, [BELOW] * 3, "the estimate of \N{MINUS SIGN}10.0 days per 1,000 is told apart from zero"),
    (10.0, [ABOVE, ACROSS, ABOVE],
     "the tests disagree on whether the estimate of +10.0 days per 1,000 can be told apart from zero"),
    (10.0, ["one cluster"] * 3, "it is not known whether the estimate of +10.0 days per 1,000 can be told apart "
                                "from zero")])
def test_the_verdict_is_that_of_the_tests_for_few_clusters(value, found, bold):
    lead, = led(found, value=value)
    assert f"**Waiting (Long waits), binary treatment: {bold}**" in lead.text
    assert "no effect" not in lead.text and "significant" not in lead.text and "nan" not in lead.text


def test_every_test_has_its_interval_and_p_value_in_the_recommended_order():
    lead, = led([ACROSS, (-5.0, 25.0, 0.3), (-6.0, 26.0, 0.4)])
    assert (" by the tests fit for few treated systems (4 of 10): randomisation (\N{MINUS SIGN}6.0 to 26.0, "
            "p = 0.400), CR2 (\N{MINUS SIGN}5.0 to 25.0, p = 0.300) and the "
            "wild bootstrap (\N{MINUS SIGN}4.0 to 24.0, p = 0.200); "
            in lead.text)
    assert lead.page == "robustness_waiting.md"


def test_tests_that_disagree_are_both_given():
    lead, = led([ACROSS, ABOVE, ABOVE])
    assert ("**: of the tests fit for few treated systems (4 of 10), the wild bootstrap (\N{MINUS SIGN}4.0 to 24.0, "
            "p = 0.200) says no and randomisation (2.0 to 18.0, p = 0.020) and CR2 (2.0 to 18.0, p = 0.020) say yes; "
            in lead.text)


def test_an_interval_that_holds_zero_or_a_large_p_value_does_not_tell_apart():
    tests = led([(-1.0, 9.0, 0.04), (1.0, 9.0, 0.06), (np.nan, np.nan, 0.04)])[0].ours.tests
    assert {test.name: test.tells_apart for test in tests} == {
        "the wild bootstrap": False, "CR2": False, "randomisation": True}


def test_a_skipped_or_missing_test_is_said_with_its_reason():
    lead, = led([ACROSS, "no | variation", ACROSS])
    assert "is not told apart from zero** by" in lead.text
    assert "; CR2 was skipped (no \\| variation); it is " in lead.text
    lead, = leads(FACTS, pd.DataFrame(estimated(10.0)), tables.check(
        "diagnostics", pd.DataFrame([result_of("randomisation", ACROSS)])))
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


def test_dose_has_a_sentence_of_its_own_without_randomisation():
    """By dose, randomisation rejects too often (docs/few_clusters.md)."""
    dose = [result_of(name, ABOVE if name == "bias_reduced_cr2" else ACROSS, treatment="intensity") for name in TESTS]
    binary, intensity = led(more=dose, estimates=estimated(0.5, treatment="intensity", std_error=0.2))
    assert "binary treatment: the estimate of +10.0 days per 1,000 is not told apart from zero**" in binary.text
    assert ("intensity treatment: the tests disagree on whether the estimate of +0.50 days per 1,000, for each extra "
            "nurse, can be told apart from zero**") in intensity.text
    assert "randomisation" in binary.text and "randomisation" not in intensity.text
    assert "largest" not in intensity.text
    assert how_to_read([binary, intensity]).endswith("are made for the binary treatment only.")
    assert "binary treatment only" not in how_to_read([binary])


@pytest.mark.parametrize(("found", "said"), [
    ([ACROSS, ACROSS, (-4.0, 24.0, 0.4)], "+12.0 is not told apart from zero (p from 0.200 to 0.400)."),
    ([ABOVE, ABOVE, (2.0, 18.0, 0.0001)], "+12.0 is told apart from zero (p from < 0.001 to 0.020)."),
    ([ABOVE] * 3, "+12.0 is told apart from zero (p = 0.020)."),
    ([ABOVE, ACROSS, ABOVE],
     "the tests disagree on whether +12.0 can be told apart from zero (p from 0.020 to 0.200)."),
    ([ABOVE, "one cluster", ABOVE], "+12.0 is told apart from zero (p = 0.020); CR2 was skipped (one cluster).")])
def test_the_other_estimator_has_its_own_verdict(found, said):
    more = [result_of(name, each, "did") for name, each in zip(TESTS, found, strict=True)]
    lead, = led([ABOVE, ACROSS, ACROSS], more=more, estimates=estimated(12.0, "did"))
    assert lead.text.endswith(f" By difference-in-differences, {said}")


def test_few_treated_units_are_said():
    few = estimated(10.0, few_treated=True, note=f"{FEW_TREATED}: 12, fewer than 20")
    lead, = leads(FACTS, pd.DataFrame(few), tables.check(
        "diagnostics", pd.DataFrame([result_of("randomisation", ACROSS)])))
    assert lead.text.endswith(f" The estimate {FEW_TREATED}: 12, fewer than 20.")


def test_one_level_of_clustering_is_called_what_units_are():
    facts = dataclasses.replace(FACTS, clusters={"unit": "by authority"}, units="authorities")
    rows = [each | {"cluster": "unit"}
            for each in [result_of("randomisation", ACROSS), without("North", "North", 8, 4.0)]]
    lead, = leads(facts, pd.DataFrame(estimated(10.0)), tables.check("diagnostics", pd.DataFrame(rows)))
    assert "for few treated authorities (4 of 10)" in lead.text and "8 of the 12 treated authorities" in lead.text
    assert "Where few authorities are treated" in how_to_read([lead])


def test_a_missing_estimate_is_an_error():
    diagnostics = tables.check("diagnostics", pd.DataFrame([result_of("randomisation", ACROSS)]))
    with pytest.raises(DidError, match="expected a ldv estimate of waits"):
        leads(FACTS, pd.DataFrame(estimated(10.0, "did")), diagnostics)
