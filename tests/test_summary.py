"""The summary pages: numbers from the tables, fixed wording, escaped text, honest labels."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.inference.joint_test import BLANK
from did.report.content.answer import Answer, Line
from did.report.content.facts import (
    DAGGER,
    Facts,
    Front,
    LargestDose,
    few_treated_note,
    own_dates_names,
)
from did.report.content.identities import additivity, sum_to_zero
from did.report.content.notes import FEW_TREATED, WEIGHTED_RATE, annotated
from did.report.content.staggered_text import (
    DOSE_ASSUMES,
    agreement,
    before_treatment,
    calendar_table,
    dose_sentence,
    estimator_notes,
    intensity_table,
    other_specifications_table,
    waves_table,
)
from did.report.content.summary_tables import (
    area_audit_table,
    beside_table,
    comparison_table,
    trend_tests_table,
    years_table,
)
from did.report.pages.front import front_markdown
from did.report.pages.summary import answer, direction_sentence, overview, summary_markdown, where_zero_lies
from did.store.tables import SCHEMAS, check
from did.words import singular

PARTS = {"days_nhs": 10.0, "days_care": 25.0, "days_both": 5.0}
FACTS = Facts(
    estimator="ldv", other_estimator="did",
    title="Integrated systems", question="Did outcomes change?", total="days_total", parts=tuple(PARTS),
    outcomes={"days_total": "All causes", "days_nhs": "NHS", "days_care": "Social care", "days_both": "Both"},
    measure="delayed days per 100,000 adults per month", dose="additional organisation", first="2011-04",
    last="2020-02", onset="2017-06", n_published=36, n_published_numbers=6, page="summary_days.md",
    published_conclusion="no significant link", data="mirror", context=("Reviews began in July 2017 | in some areas.",),
    directions=dict.fromkeys(["days_total", *PARTS], "lower_better"),
    sources=("A publisher, Open Government Licence v3.0.",), figures=(("figures/a.png", "A chart [of] effects"),),
)


def estimate_row(indicator, treatment, sample, estimator, cluster, value, error, specification="default"):
    whole = estimator == "did"
    return dict(
        indicator=indicator, specification=specification, sample=sample, treatment=treatment, estimator=estimator,
        estimand="overall", cohort=None, period=None, event_time=None, cluster=cluster, estimate=value,
        std_error=error, ci_low=value - 2 * error, ci_high=value + 2 * error, band_low=np.nan, band_high=np.nan,
        p_value=0.0084 if cluster == "unit" else 0.0498, p_adjusted=np.nan, n_obs=15943 if whole else 4917,
        n_units=149, n_treated=30, n_clusters=149 if cluster == "unit" else 42,
        n_treated_clusters=30 if cluster == "unit" else 8, n_parameters=108, df=148.0,
        state="estimated", few_treated=False, minimum_treated=1,
        headline=specification == "default" and sample == "full", note="", is_synthetic=False)


@pytest.fixture
def estimates():
    """DiD effects add up exactly; lagged-dependent-variable effects of the total do not."""
    rows = []
    for indicator, treatment, sample, estimator, cluster in itertools.product(
            FACTS.outcomes, FACTS.treatments, FACTS.samples, ("did", "ldv"), FACTS.clusters):
        scale = 1.0 if treatment == "binary" else 0.05
        value = PARTS.get(indicator, sum(PARTS.values())) * scale
        if estimator == "ldv":
            value = 41.4 * scale if indicator == "days_total" else 0.5 * value
        error = scale * (15.3 if cluster == "unit" else 25.3)
        rows.append(estimate_row(indicator, treatment, sample, estimator, cluster, value, error))
    rows.append(rows[0] | {"estimator": "event_study", "event_time": -1})
    for cluster, treatment in itertools.product(FACTS.clusters, FACTS.treatments):
        rows.append(estimate_row("days_total", treatment, "full", "ldv", cluster, 31.6, 13.0, "lags_last_12"))
    return check("estimates", pd.DataFrame(rows)[list(SCHEMAS["estimates"].columns)])


@pytest.fixture
def reproduction(estimates):
    """Two claims with a number, one with a band only, one with nothing printed."""
    claims = [("D1", "days_total", "binary", "full", 40.0, "+", "p<0.01", 4917, "about 40, p < 0.01"),
              ("D2", "days_nhs", "binary", "full", np.nan, "", "not significant", 4917, "no | effect"),
              ("D4", "days_total", "binary", "wave_two_removed", np.nan, "", "", np.nan, "not stated"),
              ("D8", "days_nhs", "intensity", "full", -0.3, "-", "not significant", 4917, "-0.3")]
    ours = estimates.set_index(["indicator", "treatment", "sample", "estimator", "specification", "cluster"])
    rows = []
    for (claim, indicator, treatment, sample, value, sign, band, n, text), cluster in itertools.product(
            claims, FACTS.clusters):
        own = ours.loc[(indicator, treatment, sample, "ldv", "default", cluster)]
        rows.append(dict(
            claim=claim, figure="6", pane="", indicator=indicator, outcome=indicator, estimator="ldv",
            treatment=treatment, sample=sample, published_value=value, published_sign=sign,
            published_significance=band, published_n=n, as_printed=text, specification="default", cluster=cluster,
            **own[["estimate", "std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units", "n_treated",
                   "n_clusters", "few_treated", "note", "is_synthetic"]].to_dict(),
            p_tested=own["p_value"], p_method="clustered", p_size=np.nan,
            p_holm=min(1.0, 4 * own["p_value"]), difference=own["estimate"] - value,
            value_agrees="not printed" if np.isnan(value) else "no",
            sign_agrees={"": "not printed", "+": "yes", "-": "no"}[sign],
            significance_agrees="not printed" if not band else "yes" if cluster == "unit" else "no",
            n_agrees="not printed" if np.isnan(n) else "yes", status="printed" if band else "not printed"))
    return pd.DataFrame(rows)


@pytest.fixture
def diagnostics():
    rows = []
    for indicator, sample, treatment, cluster in itertools.product(
            FACTS.outcomes, FACTS.samples, FACTS.treatments, FACTS.clusters):
        base = BLANK | dict(indicator=indicator, specification="default", sample=sample, treatment=treatment,
                            cluster=cluster, value=1.69, is_synthetic=False)
        unit = cluster == "unit"
        rows += [base | dict(diagnostic="linear_pretrend", statistic=3.8, df=1.0,
                             df_denominator=148.0 if unit else 41.0, p_value=0.0531, status="done", reason=""),
                 base | dict(diagnostic="joint_leads", statistic=np.nan, df=np.nan, df_denominator=np.nan,
                             p_value=np.nan, status="skipped", reason="covariance of rank 40 for 73 leads"),
                 base | dict(diagnostic="joint_leads_bin_12", statistic=1.7, df=6.0, p_value=0.12, status="done",
                             df_denominator=148.0 if unit else 41.0,
                             reason="rank 6 for 6 leads", caveat="" if unit else "few_treated_clusters")]
    return check("diagnostics", pd.DataFrame(rows).reindex(columns=list(SCHEMAS["diagnostics"].columns)))


@pytest.fixture
def area_audit():
    rows = [("E06000028", "Bournemouth", "merged", "E1+E2", 97, 500.0, "reorganised in 2019"),
            ("E06000029", "Poole", "merged", "E1+E2", 97, 250.0, "reorganised in 2019"),
            ("9900", "Wales | Cymru", "set_aside", None, 105, 3000.0, "residents of elsewhere"),
            ("E06000053", "Isles of Scilly", "excluded", None, 0, np.nan, "no counts")]
    rows += [(f"E{code}", f"Area {code}", "kept", f"E{code}", 107, 10.0, "same boundary") for code in range(148)]
    frame = pd.DataFrame(rows, columns=["area_code", "area_name", "fate", "unit", "n_periods", "total", "reason"])
    frame = frame.assign(indicator="days_total", specification="default", not_compared=False, is_synthetic=False)
    return check("area_audit", frame[list(SCHEMAS["area_audit"].columns)])


@pytest.fixture
def specifications(estimates):
    static = estimates[estimates["event_time"].isna()].assign(design="one_at_a_time", choices="", n_choices=0)
    return static.reindex(columns=list(SCHEMAS["specifications"].columns))


def headline_of(estimates, **values):
    """A headline for every estimate that is marked as one, from 50 below it to 60 above."""
    rows = estimates[estimates["headline"] & estimates["cluster"].eq("system") & estimates["event_time"].isna()]
    rows = rows.assign(
        lags="all", ci_low=rows["estimate"] - 50, ci_high=rows["estimate"] + 60, p_value=0.1956, n_draws=1998,
        method="wild_bootstrap", holds=True, coverage=0.944, simulation_error=0.005, coverage_least=0.93,
        coverage_most=0.958, minimum_detectable=77.0, **values)
    return check("headline", rows[list(SCHEMAS["headline"].columns)])


@pytest.fixture
def tables(reproduction, estimates, diagnostics, area_audit, specifications):
    return dict(reproduction=reproduction, estimates=estimates, diagnostics=diagnostics, area_audit=area_audit,
                specifications=specifications, headline=headline_of(estimates))


@pytest.fixture
def ours(estimates):
    return estimates[estimates["event_time"].isna() & (estimates["specification"] == "default")]


def test_page_is_the_same_twice_and_every_table_is_whole(tables):
    page = summary_markdown(facts=FACTS, **tables)
    assert page == summary_markdown(facts=FACTS, **{name: table.copy() for name, table in tables.items()})
    assert page.endswith("\n") and not page.endswith("\n\n") and "nan" not in page.lower().replace("finance", "")
    blocks = re.findall(r"(?:^\|.*\n)+", page, flags=re.M)
    assert len(blocks) == 6
    for block in blocks:
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(counts) == 1, block


def test_inputs_are_left_as_they_were(tables):
    before = {name: table.copy(deep=True) for name, table in tables.items()}
    summary_markdown(facts=FACTS, **tables)
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, before[name])


def test_answer_states_estimate_intervals_counts_and_comparison(ours, reproduction):
    text = answer(ours, FACTS, reproduction, "binary")
    assert "From June 2017 on, the outcome of the 30 treated areas was 41.4 delayed days per 100,000 adults per " \
           "month higher than that of comparison areas with the same outcomes before then (119 comparison areas; " \
           "lagged dependent variable; N = 4,917)" in text
    assert "10.8 to 72.0 (p = 0.008) clustered by area (149 clusters, 30 treated)" in text
    assert "−9.2 to 92.0 (p = 0.0498) clustered by system (42 clusters, 8 treated)" in text
    assert "Clustered by area the interval lies above zero; clustered by system it includes zero." in text
    assert "The report prints +40: ours differs by +1.4" in text
    assert "By difference-in-differences the estimate is 40.0" in text
    assert "for each additional organisation" in answer(ours, FACTS, reproduction, "intensity")


def test_no_result_is_called_significant(ours, reproduction, tables):
    for treatment in FACTS.treatments:
        assert "significant" not in answer(ours, FACTS, reproduction, treatment)
    page = summary_markdown(facts=dataclasses.replace(FACTS, published_conclusion=""), **tables)
    assert "significant" not in page.split("## Alongside what was printed")[0]
    assert "***" not in page


def test_a_negative_estimate_is_lower_and_below_zero(ours, reproduction):
    lower = ours.assign(estimate=-ours["estimate"], ci_low=-ours["ci_high"], ci_high=-ours["ci_low"])
    text = answer(lower, FACTS, reproduction, "binary")
    assert "41.4 delayed days per 100,000 adults per month lower than" in text
    assert "Clustered by area the interval lies below zero" in text
    rows = [row for _, row in ours.head(2).assign(ci_low=np.nan).iterrows()]
    assert where_zero_lies(rows, FACTS) == "Clustered by area and by system the interval is not available."


def test_overview_counts_estimates_and_intervals(ours):
    text = overview(ours, FACTS)
    assert text.startswith("All causes: 8 of 8 estimates")
    assert "clustered by area in 8 and clustered by system in 0" in text


def test_comparison_says_what_agrees_and_escapes(tables, reproduction):
    table = comparison_table(reproduction, FACTS).set_index("Cell")
    assert table.loc["D1", "Agrees"] == "value no; sign yes; significance yes by area, no by system; N yes"
    assert table.loc["D4", "Agrees"] == "nothing printed" and table.loc["D4", "Printed"] == "not stated"
    assert table.loc["D1", "95% interval by area"] == "10.8 to 72.0 (p = 0.008; adjusted p = 0.034)"
    page = summary_markdown(facts=FACTS, **tables)
    assert "no \\| effect" in page and "Wales \\| Cymru" in page and "A chart \\[of\\] effects" in page
    assert "0 of 2 values (to the digits printed), 1 of 2 signs, 3 of 3 statements of significance and 3 of 3 " \
           "numbers of observations" in page


def test_printed_cell_without_its_words(reproduction):
    table = comparison_table(reproduction.drop(columns=["as_printed", "p_holm"]), FACTS).set_index("Cell")
    assert table.loc["D1", "Printed"] == "+40, p<0.01"
    assert table.loc["D8", "Printed"] == "−0.3, not significant"
    assert table.loc["D4", "Printed"] == "not stated"
    assert table.loc["D1", "95% interval by area"] == "10.8 to 72.0 (p = 0.008)"


def test_both_estimators_and_clusterings_stand_side_by_side(ours):
    table = beside_table(ours, FACTS)
    assert len(table) == 16
    assert list(table.columns) == ["Outcome", "Treatment, sample", "LDV", "LDV 95% by area", "LDV 95% by system",
                                   "DiD", "DiD 95% by area", "DiD 95% by system"]
    assert table.iloc[0].tolist()[2:] == ["41.4", "10.8 to 72.0", "−9.2 to 92.0", "40.0", "9.4 to 70.6",
                                          "−10.6 to 90.6"]
    gone = beside_table(ours[ours["indicator"] != "days_both"], FACTS)
    assert gone.iloc[-1]["LDV"] == "not estimated"


def test_effects_add_up_where_they_must(ours):
    text = additivity(ours, FACTS)
    assert "By difference-in-differences the effects add up: 10.00 + 25.00 + 5.00 = 40.00" in text
    assert "By lagged dependent variable the effects do not add up: 5.00 + 12.50 + 2.50 = 20.00, the total's is " \
           "41.40 (largest gap of 4 cells: 21.40)" in text
    wrong = ours.assign(estimate=ours["estimate"].where(ours["indicator"] != "days_nhs", 11.0))
    assert "difference-in-differences the effects do not add up" in additivity(wrong, FACTS)
    assert "check was not possible" in additivity(ours[ours["indicator"] != "days_nhs"], FACTS)


def test_trend_tests_with_reasons(diagnostics, tables):
    table = trend_tests_table(diagnostics, FACTS)
    assert len(table) == 8 and not any("All leads" in column for column in table.columns)
    assert table.iloc[0]["Linear trend test, by area"] == "F(1, 148) = 3.80, p = 0.053"
    assert table.iloc[0]["Difference in slope"] == "+1.69"
    page = summary_markdown(facts=FACTS, **tables)
    assert "- All leads jointly, 16 tests skipped: covariance of rank 40 for 73 leads." in page
    assert "- Leads in bins of 12 months, 8 tests done: few treated clusters: rejects too often." in page


def test_data_facts_and_printed_facts(tables):
    page = summary_markdown(facts=FACTS, **tables)
    assert "149 areas and 107 months: 15,943 rows, none missing. 33 months from onset on, 4,917 rows." in page
    assert "| merged into E1+E2 | 2 | Bournemouth; Poole | 750 | reorganised in 2019 |" in page
    assert "| kept | 148 |  | 1,480 | same boundary |" in page
    assert "| excluded | 1 | Isles of Scilly | not available | no counts |" in page
    assert "prints 6 of its 36 coefficients as numbers, 2 of the 4 here (D1 and D8)" in page
    assert 'concludes "no significant link", and prints otherwise for 1 cell here: All causes, binary, full sample ' \
           "(p < 0.01)" in page
    assert "The report makes 36 tests" in page and "would fall below p = 0.05 by chance" in page
    assert "Reviews began in July 2017 \\| in some areas." in page
    assert "| lags_last_12 | 31.6 |" in page


def test_synthetic_data_are_announced_first(tables):
    assert "SYNTHETIC" not in summary_markdown(facts=FACTS, **tables)
    for name, table in tables.items():
        page = summary_markdown(facts=FACTS, **tables | {name: table.assign(is_synthetic=True)})
        assert page.split("\n")[2].startswith("> **SYNTHETIC DATA.**"), name


def test_page_without_the_extras(tables):
    bare = dataclasses.replace(FACTS, parts=(), figures=(), sources=(), context=(), published_conclusion="", data="")
    estimates = tables["estimates"]
    page = summary_markdown(facts=bare, **tables | {"estimates": estimates[estimates["specification"] == "default"],
                                                    "specifications": tables["specifications"].iloc[:0],
                                                    "diagnostics": tables["diagnostics"].iloc[:0]})
    assert "add up" not in page and "open choices" not in page and "![" not in page


def test_errors_name_what_is_missing(tables, ours, reproduction):
    with pytest.raises(DidError, match="specification 'other'.*found default and lags_last_12"):
        summary_markdown(facts=dataclasses.replace(FACTS, specification="other"), **tables)
    with pytest.raises(DidError, match="reproduction table: expected rows of specification 'default'; found other"):
        summary_markdown(facts=FACTS, **tables | {"reproduction": reproduction.assign(specification="other")})
    with pytest.raises(DidError, match="indicator 'days_total'"):
        summary_markdown(facts=FACTS, **tables | {"area_audit": tables["area_audit"].assign(indicator="x")})
    with pytest.raises(DidError, match="expected a ldv estimate of days_total"):
        answer(ours[ours["estimator"] == "did"], FACTS, reproduction, "binary")
    with pytest.raises(DidError, match="expected one row"):
        answer(pd.concat([ours, ours]), FACTS, reproduction, "binary")


# --- several families ------------------------------------------------------------------------------------


SHARES = {"met": -1.25, "partly": 0.5, "not_met": 0.75}


@pytest.fixture
def shares():
    """Effects on three answers that exhaust one base, by year: zero in sum by DiD and not by the other."""
    rows = [estimate_row(name, treatment, sample, estimator, cluster, value + 0.25 * (estimator == "ldv"), 0.3)
            for (name, value), treatment, sample, estimator, cluster in itertools.product(
                SHARES.items(), FACTS.treatments, FACTS.samples, ("did", "ldv"), FACTS.clusters)]
    rows += [estimate_row("met", "binary", "full", "event_study", cluster, float(time + 1), 0.3)
             | {"estimand": "event_time", "event_time": time, "state": "reference" if time == -1 else "estimated"}
             for cluster in FACTS.clusters for time in (-2, -1, 0)]
    return check("estimates", pd.DataFrame(rows)[list(SCHEMAS["estimates"].columns)])


SURVEY = dataclasses.replace(
    FACTS, title="Survey", outcomes={"met": "Met", "partly": "Partly", "not_met": "Not met"}, total="met", parts=(),
    sum_to_zero=tuple(SHARES), measure="% of patients", effect="percentage points", first="2012", last="2018",
    onset="2018", frequency="Y", directions={"met": "higher_better", "not_met": "lower_better"}, estimator="did",
    other_estimator="ldv", page="summary_survey.md", context=("The questionnaire was redesigned.",))
REASON = "No file is at hand; put it into data/raw/survey/."
FRONT = Front(
    title="Integrated systems", question="Did outcomes change?", place="England", onset="2017-06", families=[FACTS],
    n_published=6, n_published_numbers=2, published_conclusion="no significant link", citation="A report, 2022.",
    context=("Waves were | not drawn by lot.",), unavailable=[("Survey", "Met and Not met", REASON)])

ANSWER = Answer([Line("D1", "days", "All | causes", "", "+40", "+41", "days", "close", "not_shown", (
    "We get nearly the same number. ", "It is not shown to be an effect", "."))], "Not run: 2 printed numbers.", [])


def cannot_run(reproduction):
    """The claims, and two on an indicator that this run has no files for."""
    lost = reproduction[reproduction["claim"].isin(["D1", "D2"])].copy()
    numbers = ["estimate", "std_error", "ci_low", "ci_high", "p_value", "p_holm", "n_obs", "n_units", "n_treated",
               "n_clusters", "difference"]
    lost[numbers] = np.nan
    lost = lost.assign(claim=lost["claim"].str.replace("D", "G"), indicator="met", outcome="Survey: met",
                       status="cannot run", note=REASON, published_value=np.nan,
                       **dict.fromkeys([f"{fact}_agrees" for fact in ("value", "sign", "significance", "n")],
                                       "cannot run"))
    return pd.concat([lost, reproduction], ignore_index=True)


def test_front_page_has_answers_every_cell_and_what_is_not_there(tables):
    rows = cannot_run(tables["reproduction"])
    given = {"reproduction": rows} | {name: tables[name] for name in ("estimates", "diagnostics", "headline")}
    page = front_markdown(front=FRONT, answer=ANSWER, **given)
    assert page == front_markdown(front=FRONT, answer=ANSWER, **{name: table.copy() for name, table in given.items()})
    assert "### [Integrated systems](summary_days.md)" in page and "SYNTHETIC" not in page
    said = r"- All \| causes: printed +40, ours +41 days. We get nearly the same number. It is not shown"
    assert page.index(said) < page.index("- Not run: 2 printed numbers.") < page.index("## The headline estimates")
    own = tables["estimates"].query("event_time.isna() and specification == 'default'")
    assert answer(own, FACTS, tables["reproduction"], "binary") in page
    table = re.search(r"(?:^\|.*\n)+", page, flags=re.M)[0].splitlines()
    assert len(table) == 2 + rows["claim"].nunique() == 8
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert table[2] == "| G1 | Survey: met | LDV | Binary, full sample | about 40, p < 0.01 | cannot run |  |  |  |"
    assert table[4].startswith("| D1 | days_total | LDV | Binary, full sample | about 40, p < 0.01 | 41.4 | 10.8 to ")
    assert f"- **Survey** (Met and Not met). {REASON}" in page
    assert "prints 2 of its 6 coefficients as numbers (D1 and D8)" in page and "of the 6 here" not in page
    assert "Waves were \\| not drawn by lot." in page and "nan" not in page
    assert "Of the 4 published cells estimated here" in page and "2 cells cannot be run with the files at hand." in page


def test_agreement_counts_leave_out_what_cannot_run(tables):
    with_lost = front_markdown(front=FRONT, answer=ANSWER, reproduction=cannot_run(tables["reproduction"]),
                               **{name: tables[name] for name in ("estimates", "diagnostics", "headline")})
    assert "0 of 2 values (to the digits printed), 1 of 2 signs, 3 of 3 statements of significance and 3 of 3 " \
           "numbers of observations" in with_lost


@pytest.mark.parametrize("page_of", ["front", "family"])
def test_a_page_leads_with_the_interval_of_measured_coverage(tables, page_of):
    """No sentence on where a clustered interval lies stands before it, and each links to what it rests on."""
    given = {name: tables[name] for name in ("reproduction", "estimates", "diagnostics", "headline")}
    page = (front_markdown(front=FRONT, answer=ANSWER, **given) if page_of == "front"
            else summary_markdown(facts=FACTS, **tables))
    lines = [line for line in page.splitlines() if line.startswith("- **")][:2]
    for line, treatment in zip(lines, ("binary", "intensity"), strict=True):
        assert line.startswith(f"- **Integrated systems (All causes), {treatment} treatment: the estimate of +")
        assert "is not told apart from zero**: 95% interval " in line
        assert ("(p = 0.196) by the wild cluster bootstrap, whose intervals hold a true zero in 94.4% of placebo "
                "assignments (simulation error 0.5); it rests on 30 treated of 149 areas, in 8 of 42 systems") in line
        assert line.endswith(" [Is it real?](robustness_days.md)")
    before = page[:page.index(lines[-1])]
    assert "above zero" not in before and "below zero" not in before and "clustered" not in before
    assert "they do not overrule the one that leads" in page[:page.index("above zero")]


@pytest.mark.parametrize("name", ["reproduction", "estimates", "diagnostics", "headline"])
def test_front_page_announces_synthetic_data(tables, name):
    given = {name: tables[name] for name in ("reproduction", "estimates", "diagnostics", "headline")}
    page = front_markdown(front=FRONT, answer=ANSWER, **given | {name: given[name].assign(is_synthetic=True)})
    assert page.split("\n")[2].startswith("> **SYNTHETIC DATA.**")


def test_shares_of_one_base_sum_to_zero(shares):
    own = shares[shares["event_time"].isna()]
    text = sum_to_zero(own, SURVEY)
    assert "By difference-in-differences the effects add up to zero: (−1.250) + 0.500 + 0.750 = 0.000 (largest sum " \
           "of 4 cells: below a millionth of the largest effect)" in text
    assert "By lagged dependent variable the effects do not add up to zero: (−1.000) + 0.750 + 1.000 = 0.750" in text
    assert text.index("difference-in-differences") < text.index("lagged")
    wrong = own.assign(estimate=own["estimate"].where(own["indicator"] != "met", 0.0))
    assert "By difference-in-differences the effects do not add up" in sum_to_zero(wrong, SURVEY)
    assert "check was not possible" in sum_to_zero(own[own["indicator"] != "met"], SURVEY)


def test_page_of_a_yearly_family_without_claims(tables, shares, area_audit, diagnostics):
    survey = dict(reproduction=tables["reproduction"], estimates=pd.concat([tables["estimates"], shares]),
                  diagnostics=pd.concat([diagnostics, diagnostics.assign(indicator="met").drop_duplicates(
                      ["specification", "sample", "diagnostic", "treatment", "cluster"])]),
                  area_audit=area_audit.assign(indicator="met"), specifications=tables["specifications"],
                  headline=pd.concat([tables["headline"], headline_of(shares)]))
    page = summary_markdown(facts=SURVEY, **survey)
    assert "Alongside what was printed" not in page and "[All families](summary.md)" in page
    assert "From 2018 on, the outcome of the 30 treated areas was 1.25 percentage points lower than if it had changed" \
           in page
    assert "149 areas and 7 years: 15,943 rows" in page and "1 year from onset on" in page
    assert "per year (F(1, 148)" in page and "bins of 12" not in page.lower().replace("**", "")
    assert "| Years since onset | Difference |" in page and "| −1 | 0 (reference) |" in page
    assert "A positive effect is better for Met; worse for Not met; neither for Partly." in page
    assert "The questionnaire was redesigned." in page and "(−1.250) + 0.500 + 0.750 = 0.000" in page


def test_years_table_of_yearly_figures(shares):
    table = years_table(shares, SURVEY).splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == ["−2", "−1", "0"]
    assert table[-1].startswith("| 0 | +1.00 | 0.40 to 1.60 |")


def test_direction_in_words():
    assert direction_sentence(FACTS) == "A positive effect is the worse outcome."
    assert direction_sentence(dataclasses.replace(FACTS, directions={})) == ""


def few_below(estimates, **minimum):
    """The estimates with a minimum number of treated units for these outcomes, as the fit stage sets it."""
    least = estimates["indicator"].map(minimum).fillna(1).astype(int)
    return estimates.assign(minimum_treated=least, few_treated=estimates["n_treated"] < least)


def test_estimates_on_few_treated_units_are_noted_and_marked(estimates, reproduction, tables):
    few = annotated(few_below(estimates, days_nhs=31, days_total=30), weighted=["days_both"])
    marked = few["note"].str.contains(FEW_TREATED)
    assert marked.equals(few["indicator"] == "days_nhs") and "30, fewer than 31" in few.loc[marked, "note"].iloc[0]
    assert few["note"].str.contains(WEIGHTED_RATE).equals(few["indicator"] == "days_both")
    page = summary_markdown(facts=FACTS, **tables | {"estimates": few})
    assert few_treated_note(few["few_treated"], "areas") in page
    own = few[few["event_time"].isna() & (few["specification"] == "default")]
    table = beside_table(own, FACTS).set_index("Outcome")
    assert table.loc["NHS", "LDV"].str.endswith(DAGGER).all()
    assert not table.loc["Social care", "LDV"].str.endswith(DAGGER).any()
    head = answer(few.query("event_time.isna() and specification == 'default'"),
                  dataclasses.replace(FACTS, total="days_nhs"), reproduction, "binary")
    assert "The estimate rests on few treated units: 30, fewer than 31." in head
    assert few_treated_note(estimates["few_treated"], "areas") == ""


def test_an_estimate_beside_a_printed_value_has_its_decimals(reproduction):
    rows = reproduction.assign(published_value=reproduction["published_value"].where(
        reproduction["claim"] != "D1", 40.123))
    table = comparison_table(rows, FACTS).set_index("Cell")
    assert table.loc["D1", "Ours"] == "41.400" and table.loc["D2", "Ours"] == "5.0"


def test_many_mergers_stand_in_one_row_and_rates_have_no_total(area_audit):
    merged = area_audit[area_audit["fate"] == "merged"]
    many = pd.concat([area_audit, *(merged.assign(area_code=merged["area_code"] + str(n), unit=f"U{n}", reason=f"on "
        f"{n}")
                                 for n in range(6))], ignore_index=True)
    table = area_audit_table(many, FACTS).set_index("What became of it")
    assert table.loc["merged into 7 areas", "Areas"] == "14" and table.loc["merged into 7 areas", "Total"] == "5,250"
    assert "area_audit.csv" in table.loc["merged into 7 areas", "Why"] and len(table) == 4
    rates = area_audit.assign(total=area_audit["total"].where(area_audit["fate"] == "set_aside"))
    assert "Total" not in area_audit_table(rates, FACTS)


# --- each wave from its own date, and the dose -------------------------------------------------------------


WAVES = dataclasses.replace(FACTS, staggered="waves")
AVERAGES = {"did": 50.0, "callaway_santanna": 45.0, "sun_abraham": 44.0, "imputation": 60.0, "stacked": 40.0}


def staggered_rows(averages=AVERAGES, specification="waves", error=10.0, **columns):
    """Averages, effects by wave and by month, and two-way leads by year, every interval estimate -+ 2 errors."""
    rows = []
    for cluster in FACTS.clusters:
        wider = error * (1.5 if cluster == "system" else 1)

        def row(estimator, value, cluster=cluster, wider=wider, **where):
            return estimate_row("days_total", "binary", "full", estimator, cluster, value, wider, specification) | where

        rows += [row(estimator, value) for estimator, value in averages.items()]
        rows += [row("callaway_santanna", value, estimand="cohort", cohort=cohort, n_treated=n)
                 for cohort, value, n in (("2017-06", 40.0, 30), ("2018-05", 70.0, 9))]
        rows += [row("callaway_santanna", value, estimand="calendar", period=period, n_treated=n)
                 for period, value, n in (("2017-11", 10.0, 30), ("2017-12", 20.0, 30), ("2018-01", -6.0, 39))]
        rows += [row("event_study", value, estimand="event_bin_12", event_time=time)
                 for time, value in ((-3, -80.0), (-2, 5.0), (0, 40.0))]
        rows.append(row("event_study", 0.0, estimand="event_bin_12", event_time=-1, state="reference")
                    | dict.fromkeys(["std_error", "ci_low", "ci_high"], np.nan))
    frame = pd.DataFrame(rows)[list(SCHEMAS["estimates"].columns)].assign(**columns)
    return check("estimates", frame)


def leads(p_value, status="done", reason="rank 7 for 7 leads", caveat=""):
    """The joint test of the imputation estimator's leads, at both levels of clustering."""
    rows = [BLANK | dict(indicator="days_total", specification="waves", sample="full", is_synthetic=False,
                         diagnostic="imputation_leads_bin_12", treatment="binary", cluster=cluster, value=-5.0,
                         statistic=4.36, df=7.0, df_denominator=41.0, p_value=p_value, status=status, reason=reason,
                         caveat=caveat) for cluster in FACTS.clusters]
    return check("diagnostics", pd.DataFrame(rows).reindex(columns=list(SCHEMAS["diagnostics"].columns)))


def test_agreement_counts_intervals_by_system_and_sides_of_zero(reproduction):
    text = agreement(staggered_rows(), reproduction, WAVES)
    assert text.startswith("The report prints +40 (lagged dependent variable, one date for all): it lies inside the "
                           "95% interval clustered by system of all 5.")
    assert "Two-way fixed effects give 50.0; the other 4 estimates run from 40.0 to 60.0, and the interval of " \
           "two-way fixed effects overlaps that of all 4." in text
    assert "the 5 estimates and the printed number, all lie above zero; the interval leaves out zero in 5 of 5." in text
    assert "**By these rules the printed number, the two-way estimate and the staggered ones agree**" in text
    assert "significant" not in text


@pytest.mark.parametrize(("averages", "words", "differ"), [
    (AVERAGES | {"imputation": 75.0}, "clustered by system of 4 of the 5 (not Imputation).", "the printed number"),
    (AVERAGES | {"imputation": 111.0, "stacked": 19.5, "did": 50.0}, "overlaps that of 3 of the 4 (not Imputation).",
     "the printed number, size and leaving out zero"),
    (AVERAGES | {"did": 29.0, "stacked": -1.0}, "5 lie above zero and 1 below",
     "the printed number, sign and leaving out zero"),
    (AVERAGES | {"stacked": 28.0}, "the interval leaves out zero in 4 of 5.", "leaving out zero"),
    (dict.fromkeys(AVERAGES, 140.0), "of none of the 5.", "the printed number"),
])
def test_one_broken_rule_is_enough_to_disagree(reproduction, averages, words, differ):
    text = agreement(staggered_rows(averages), reproduction, WAVES)
    assert words in text and f"do not all agree (on {differ})**" in text


def test_agreement_without_a_printed_number_or_two_way_estimate(reproduction):
    nothing = reproduction[reproduction["claim"] == "D2"]
    text = agreement(staggered_rows(), nothing, WAVES)
    assert text.startswith("The report prints no number for this cell. Two-way")
    assert "Of the 5 estimates, all lie above zero" in text
    assert "rules the two-way estimate and the staggered ones agree**" in text
    robust = agreement(staggered_rows({"imputation": -5.0, "stacked": -6.0}), nothing, WAVES)
    assert "Two-way" not in robust and "Of the 2 estimates, all lie below zero" in robust
    assert agreement(staggered_rows({"did": 1.0}), nothing, WAVES) == ""


@pytest.mark.parametrize(("p_value", "words"), [
    (0.001, "**In 2 of 4 tests p is below 0.05: the treated areas may not have moved as the others did before"),
    (0.2, "**In none of 4 tests is p below 0.05**; with few treated systems"),
])
def test_before_treatment_follows_from_the_tests(diagnostics, p_value, words):
    text = before_treatment(staggered_rows(), pd.concat([diagnostics, leads(p_value)]), WAVES)
    assert words in text and "significant" not in text
    assert "Their joint test: F(7, 41) = 4.36, p " in text
    assert "Linear trend test, with one date for all: F(1, 148) = 3.80, p = 0.053 clustered by area; F(1, 41)" in text
    assert "run from −80.0 to +5.0; the 95% interval clustered by system leaves out zero in 1 of 2." in text


def test_before_treatment_when_all_or_none_of_the_tests_say_something(diagnostics):
    low = pd.concat([diagnostics.assign(p_value=0.01), leads(0.01, caveat="few_treated_clusters")])
    text = before_treatment(staggered_rows(), low, WAVES)
    assert "**In all 4 tests p is below 0.05: the treated areas did not move as the others did" in text
    assert "clustered by system (few treated clusters: rejects too often)." in text
    why = "8 treated clusters for 9 leads: x | y"
    text = before_treatment(staggered_rows(), leads(np.nan, "skipped", why), WAVES)
    assert "skipped clustered by system (8 treated clusters for 9 leads: x \\| y)" in text
    assert "None of these tests could be run" in text
    assert before_treatment(staggered_rows().iloc[:0], diagnostics.iloc[:0], WAVES) == ""


def test_effects_by_wave_carry_both_intervals_and_the_mark_of_few():
    rows = annotated(few_below(staggered_rows(), days_total=10), weighted=[])
    first, second = waves_table(rows, WAVES).splitlines()[2:]
    assert first == "| June 2017 | 40.0 | 20.0 to 60.0 | 10.0 to 70.0 | 149 (30) | 8 |"
    assert second.startswith(f"| May 2018 | 70.0{DAGGER} | 50.0 to 90.0 | 40.0 to 100.0 | 149 (9) |")
    assert waves_table(rows[rows["estimand"] != "cohort"], WAVES) == ""


def test_effects_by_calendar_year_are_means_of_months_or_the_years_themselves():
    lines = calendar_table(staggered_rows(), WAVES).splitlines()
    assert lines[0] == "| Year | Months | Mean effect | Least to largest month | Treated areas |"
    assert lines[2:] == ["| 2017 | 2 | 15.0 | 10.0 to 20.0 | 30 |", "| 2018 | 1 | −6.0 | −6.0 to −6.0 | 39 |"]
    rows = staggered_rows()
    yearly = rows[rows["period"].eq("2018-01")].assign(period="2018")
    lines = calendar_table(yearly, dataclasses.replace(WAVES, frequency="Y")).splitlines()
    assert lines[2:] == ["| 2018 | −6.0 | −26.0 to 14.0 | −36.0 to 24.0 | 149 (39) | 8 |"]


def test_other_specifications_are_one_table_without_the_one_reported(estimates):
    rows = pd.concat([estimates, staggered_rows(), staggered_rows(specification="record"),
                      staggered_rows({"did": 9.0}, "x")])
    rows = rows[rows["indicator"].eq("days_total") & rows["sample"].eq("full") & rows["treatment"].eq("binary")]
    lines = other_specifications_table(rows, WAVES).splitlines()[2:]
    # A specification with the two-way estimate alone, as the reported one, is not one with dates of its own.
    assert [line[2:].split(" | ")[:2] for line in lines] == [["record", own_dates_names()[name]] for name in AVERAGES]
    assert lines[0].endswith("| 50.0 | 30.0 to 70.0 | 20.0 to 80.0 | 149 (30) | 8 |")
    assert other_specifications_table(estimates, WAVES) == ""


def test_notes_of_some_averages_only():
    rows = staggered_rows(note=WEIGHTED_RATE)
    rows.loc[rows["estimator"] == "stacked", "note"] += "; 2 stacks | of event times"
    assert estimator_notes(rows) == "Stacked: 2 stacks \\| of event times."


def test_dose_beside_the_binary_effect(estimates):
    own = estimates.query("specification == 'default' and event_time.isna()")
    within = own[own["treatment"].eq("intensity") & own["estimator"].eq("did")].assign(
        treatment="intensity_within_treated", n_units=30)
    lines = intensity_table(pd.concat([own, within]), FACTS).splitlines()
    assert len(lines) == 2 + 6
    assert lines[2] == "| Binary: treated or not | full sample | 40.0 | 9.4 to 70.6 | −10.6 to 90.6 | 149 (30) | 8 |"
    assert lines[4].startswith("| Dose × post, for each additional organisation | full sample | 2.00 | 0.47 to 3.53 |")
    assert lines[7].startswith("| Dose, among the treated only, for each additional organisation | wave two removed |")
    assert "| 30 (30) |" in lines[7]
    assert intensity_table(own[own["treatment"] == "binary"], FACTS) == ""


def test_what_must_be_known_of_the_dose():
    facts = dataclasses.replace(FACTS, dose_counted="Counted later.",
                                largest_dose=LargestDose(["North | West"], 32.0, 10, 30))
    assumed = DOSE_ASSUMES.format(units="areas")
    assert dose_sentence(facts) == ("Counted later. The largest dose (32) is that of North \\| West: 10 of the 30 "
                                    f"treated areas (33%), which weigh accordingly. {assumed}")
    assert dose_sentence(FACTS) == assumed


def test_page_with_waves_of_their_own_dates_and_a_dose_among_the_treated(tables):
    within = tables["estimates"].query("treatment == 'intensity' and estimator == 'did'").assign(
        treatment="intensity_within_treated")
    given = tables | {"estimates": pd.concat([tables["estimates"], within, staggered_rows()]),
                      "diagnostics": pd.concat([tables["diagnostics"], leads(0.001)])}
    page = summary_markdown(facts=WAVES, **given)
    for words in ("## Each wave from its own date", "**By these rules", "**In 2 of 4 tests", "By wave (Callaway",
                  "plain means of the months", "## By dose", "Sun and Abraham with the last one before it"):
        assert words in page, words
    assert "significant" not in page.split("## Each wave from its own date")[1].split("## Trends before")[0]
    assert "***" not in page and "Other dates" not in page
    before = summary_markdown(facts=WAVES, **given | {"estimates": pd.concat([tables["estimates"], staggered_rows()])})
    for heading in ("## Answer", "## Both estimators, both clusterings"):
        assert page.split(heading)[1].split("## ")[0] == before.split(heading)[1].split("## ")[0]


@pytest.mark.parametrize(("many", "one"), [
    ("areas", "area"), ("authorities", "authority"), ("districts", "district"), ("ICBs", "ICB"), ("branches", "branch"),
    ("boxes", "box"), ("classes", "class"), ("practices", "practice"), ("people", "people"), ("class", "class")])
def test_one_of_what_units_are_called(many, one):
    assert singular(many) == one
