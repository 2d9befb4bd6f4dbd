"""The tables and sentences of the report: each number from the stages' tables, said once, text left for the writers."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from did.errors import DidError
from did.inference.joint_test import BLANK
from did.report.content.facts import Facts, Front, few_treated_note, reported
from did.report.content.family_text import DOSE_ASSUMES, dose_sentences, headline_sentences, terms, trend_sentences
from did.report.content.names import Names
from did.report.content.notes import FEW_TREATED, WEIGHTED_RATE, annotated
from did.report.content.outcome_tables import (
    area_audit_table,
    diagnostics_by_topic,
    evidence_tables,
    fates,
    outcome_tables,
    panel_sentence,
)
from did.report.content.published import agreement_table, claims_table, layout_table, lost_lines, printed_facts
from did.report.content.result_tables import (
    calendar_table,
    diagnostics_table,
    effects_table,
    headline_table,
    identity_tables,
    over_time_table,
)
from did.report.content.table import Column, Table, row_decimals, text_table
from did.report.writers.html import html_of
from did.report.writers.markdown import table_text
from did.store.tables import SCHEMAS, check
from did.words import singular

PARTS = {"days_nhs": 10.0, "days_care": 25.0, "days_both": 5.0}
FACTS = Facts(
    estimator="ldv", other_estimator="did",
    title="Integrated systems", total="days_total", parts=tuple(PARTS),
    outcomes={"days_total": "All causes", "days_nhs": "NHS", "days_care": "Social care", "days_both": "Both"},
    measure="delayed days per 100,000 adults per month", dose="additional organisation", first="2011-04",
    last="2020-02", onset="2017-06", n_published=36, n_published_numbers=6,
    published_conclusion="no significant link", context=("Reviews began in July 2017 | in some areas.",),
    direction="lower_better",
    sources=("A publisher, Open Government Licence v3.0.",),
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
    rows.append(rows[0] | {"estimator": "event_study", "estimand": "event_time", "event_time": -1})
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
            n_agrees="not printed" if np.isnan(n) else "yes", status="printed" if band else "not printed",
            estimand="overall", unit="days", not_comparable="", reasons="value_differs",
            number="differs" if band else "not_printed", n_treated_clusters=own["n_treated_clusters"]))
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
    sum_to_zero=tuple(SHARES), measure="% of patients", effects={"met": "percentage points"}, first="2012", last="2018",
    onset="2018", frequency="Y", direction="higher_better", estimator="did",
    other_estimator="ldv", context=("The questionnaire was redesigned.",))
def few_below(estimates, **minimum):
    """The estimates with a minimum number of treated units for these outcomes, as the fit stage sets it."""
    least = estimates["indicator"].map(minimum).fillna(1).astype(int)
    return estimates.assign(minimum_treated=least, few_treated=estimates["n_treated"] < least)



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
                    | dict.fromkeys(["std_error", "ci_low", "ci_high", "p_value"], np.nan))
    frame = pd.DataFrame(rows)[list(SCHEMAS["estimates"].columns)].assign(**columns)
    return check("estimates", frame)




FRONT = Front(title="Integrated systems", question="Did outcomes change?", place="England", onset="2017-06",
              families={"systems": FACTS}, n_published=6, n_published_numbers=2, citation="A report, 2022.")


def shown(table: Table) -> pd.DataFrame:
    """A table as a reader of text sees it."""
    return pd.DataFrame(list(table.texts()), columns=[column.heading for column in table.shown])


NAMES = Names([dataclasses.replace(FACTS, effects=dict.fromkeys(FACTS.outcomes, "days"))])


def test_a_table_is_data_and_its_cells_are_words():
    rows = pd.DataFrame({"a": ["x", None], "low": [-1.0, np.nan], "high": [2.0, np.nan], "p": [0.0004, np.nan],
                         "n": [1200, 3], "treated": [7, 1], "share": [0.5, np.nan]})
    table = Table("t", "T", [Column("a", "A"), Column(("low", "high", "p"), "Interval (p)", "interval"),
                             Column(("n", "treated"), "Areas (treated)", "of"), Column("share", "Share", "share"),
                             Column("n", "N", "count", in_text=False)], rows, [1, 1])
    assert list(table.texts()) == [["x", "\N{MINUS SIGN}1.0 to 2.0 (< 0.001)", "1,200 (7)", "50.0%"],
                                   ["", "", "3 (1)", ""]]
    assert table and not Table("t", "T", table.columns, rows.iloc[:0])


def test_columns_that_say_the_same_in_each_row_become_a_note_and_long_remarks_footnotes():
    table = text_table("t", "T", [{"A": "one", "B": "x", "Remarks": "why | so"}, {"A": "one", "B": "y", "Remarks": ""}])
    slim = table.slim().footnoted("Remarks")
    assert [column.heading for column in slim.shown] == ["B", "Remarks"] and slim.notes == ["A: one.", "[1] why | so"]
    assert list(slim.texts()) == [["x", "[1]"], ["y", ""]]
    assert [column.heading for column in table.slim(keep={"A"}).shown] == ["A", "B", "Remarks"]


def test_an_end_next_to_zero_keeps_its_side():
    near = pd.DataFrame({"estimate": [-2.0] * 4, "std_error": [1.4, 1.4, np.nan, 1.4],
                         "ci_low": [-5.6, -5.6, -30.0, 0.0], "ci_high": [-0.04, -0.5, 90.0, 1e-9]})
    assert row_decimals(near) == [2, 1, 1, 4]  # no further than three more


@pytest.mark.parametrize("writer", ["markdown", "html"])
def test_text_is_escaped_by_the_writer(writer):
    table = text_table("t", "A | <b>caption</b>", [{"A": "<script>x</script> | *b*"}], notes=["a < b | c"])
    if writer == "markdown":
        text = table_text(table)
        assert "&lt;script>x&lt;/script> \\| \\*b\\*" in text and "a < b \\| c" in text
    else:
        text = html_of("published.html.j2", front=FRONT, synthetic=False, claims=table,
                       facts=["<i> is 1.2"], reasons={}, those=[], defaults=[])
        assert "<script>x" not in text and "&lt;script&gt;x&lt;/script&gt; | *b*" in text
        assert "&lt;i&gt; is 1.2" in text


# Estimates ----------------------------------------------------------------------------------------------------------


def test_every_overall_estimate_is_in_one_row_with_each_clustering(estimates):
    table = shown(effects_table(estimates, NAMES))
    assert len(table) == 4 * 2 * 2 * 2 + 2
    first = table.iloc[0]
    assert first[["Outcome", "Estimator", "Treatment", "Sample", "Estimate"]].tolist() == [
        "All causes", "LDV", "Binary", "full sample", "+41.4"]  # the published one first
    assert first["95% interval by area (p)"] == "10.8 to 72.0 (0.008)"
    assert first["95% interval by system (p)"] == "\N{MINUS SIGN}9.2 to 92.0 (0.0498)"
    assert first[["Areas (treated)", "Systems (treated)", "Observations"]].tolist() == ["149 (30)", "42 (8)", "4,917"]
    assert table["Unit of the effect"].unique().tolist() == ["days", "days per additional organisation"]
    assert "lags_last_12" in set(table["Specification"])


def test_the_headline_has_its_interval_method_and_coverage(estimates):
    headline = headline_of(estimates)
    table = shown(headline_table(headline[headline["indicator"].eq("days_total")], NAMES))
    assert table["Estimator"].tolist() == ["LDV", "DiD"] * 2 and table["Treatment"].tolist() == ["Binary"] * 2 + [
        "Intensity"] * 2
    assert table.iloc[0][["Estimate", "95% interval (p)", "Method", "Measured coverage"]].tolist() == [
        "+41.4", "\N{MINUS SIGN}8.6 to 101.4 (0.196)", "wild cluster bootstrap", "94.4%"]
    assert table.iloc[0]["Smallest effect that would be found"] == "77.0"
    assert table.iloc[0]["Systems (treated)"] == "42 (8)"


def test_the_headline_effect_as_a_share_of_the_mean_is_in_proportion(estimates, diagnostics):
    found = [BLANK | dict(indicator="days_total", specification="default", sample="full", treatment="binary",
                          estimator="ldv", cluster="system", diagnostic=name, value=value, status="done", reason="",
                          is_synthetic=False) for name, value in (("minimum_detectable", 38.5),
                                                                 ("minimum_detectable_share", 0.2))]
    tests = check("diagnostics", pd.DataFrame(found).reindex(columns=list(SCHEMAS["diagnostics"].columns)))
    headline = headline_of(estimates)
    table = shown(headline_table(headline[headline["indicator"].eq("days_total")], NAMES, tests))
    assert table["of the mean"].tolist()[:2] == ["40.0%", ""]


def test_what_is_said_of_a_headline_follows_from_its_row(estimates, diagnostics):
    tables = {"headline": headline_of(estimates), "diagnostics": diagnostics}
    effect, margin, trend = map(str, headline_sentences(FACTS, tables))
    assert effect == (
        "From June 2017 on, the outcome of the 30 treated areas, in 8 of 42 systems, was 41 delayed days per 100,000 "
        "adults per month higher than that of comparison areas with the same outcomes before then (119 of them). This "
        "is by lagged dependent variable, as published.")
    assert margin == (
        "The margin of error runs from \N{MINUS SIGN}9 to 101 (95% interval, p = 0.196), found by drawing the data "
        "again by whole systems (wild cluster bootstrap), which on these data was right 94.4% of the time where "
        "nothing was done. It includes zero: the difference could be chance. More is worse.")
    assert trend.startswith("Before June 2017 the treated areas moved away from the others by +1.69 each month (p = ")
    assert trend.endswith(", errors clustered by system); difference-in-differences takes this to be none.")
    assert "significant" not in effect + margin + trend and "no effect" not in margin


@pytest.mark.parametrize(("changes", "words"), [
    (dict(ci_low=2.0), "It leaves out zero: the difference is unlikely to be chance alone."),
    (dict(holds=False), ": too far from 95%, as is every other method here."),
    (dict(coverage=np.nan, note="2 clusters"), "how often such intervals are right could not be measured here (2 clus"),
    (dict(ci_low=np.nan, ci_high=np.nan, note="one cluster"), "No method gives it a margin of error: one cluster.")])
def test_the_margin_of_error_says_what_is_known_of_it(estimates, diagnostics, changes, words):
    headline = headline_of(estimates).assign(**changes)
    assert words in str(headline_sentences(FACTS, {"headline": headline, "diagnostics": diagnostics})[1])


def test_a_small_effect_does_not_read_as_nothing(estimates, diagnostics):
    headline = headline_of(estimates.assign(estimate=-0.04, ci_low=-9.0, ci_high=9.0))
    text = str(headline_sentences(FACTS, {"headline": headline, "diagnostics": diagnostics})[0])
    assert "was 0.04 delayed days per 100,000 adults per month lower than" in text


def test_without_a_headline_or_a_test_nothing_is_said(estimates, diagnostics):
    headline = headline_of(estimates)
    assert headline_sentences(FACTS, {"headline": headline.iloc[:0], "diagnostics": diagnostics}) == []
    assert trend_sentences(diagnostics.assign(status="skipped"), FACTS) == []


def test_words_that_are_used_are_explained():
    found = {word: str(text) for word, text in terms(FACTS, published=True)}
    assert "the diamond is the printed number" in found["The figures"] and "additional organisation" in found[
        "Binary, intensity"]
    one = dataclasses.replace(FACTS, treatments={"binary": "Binary"}, clusters={"unit": "by authority"},
                              units="authorities")
    alone = {word: str(text) for word, text in terms(one, published=False)}
    assert "Binary, intensity" not in alone and "diamond" not in alone["The figures"]
    assert "one authority" in alone["Clustered by"] and not any("{" in text for text in alone.values())


def test_few_treated_units_and_weighted_rates_are_remarked(estimates):
    few = annotated(few_below(estimates, days_nhs=31, days_total=30), weighted=["days_both"])
    marked = few["note"].str.contains(FEW_TREATED)
    assert marked.equals(few["indicator"] == "days_nhs") and "30, fewer than 31" in few.loc[marked, "note"].iloc[0]
    assert few["note"].str.contains(WEIGHTED_RATE).equals(few["indicator"] == "days_both")
    table = shown(effects_table(few, NAMES)).set_index("Outcome")
    assert table.loc["NHS", "Remarks"].str.contains("30, fewer than 31").all()
    assert few_treated_note(estimates["few_treated"], "areas") == ""


# By wave and over time ----------------------------------------------------------------------------------------------


def test_effects_by_wave_and_by_time_carry_both_intervals():
    rows = staggered_rows()
    waves = shown(over_time_table(rows, NAMES, ["cohort"]))
    assert waves["When"].tolist() == ["treated from June 2017", "treated from May 2018"]
    assert waves.iloc[0][["Estimate", "95% interval by area (p)", "Areas (treated)"]].tolist() == [
        "+40.0", "20.0 to 60.0 (0.008)", "149 (30)"]
    bins = shown(over_time_table(rows, NAMES, ["event_bin"]))
    assert bins["When"].tolist() == ["months \N{MINUS SIGN}36 to \N{MINUS SIGN}25 since onset",
                                     "months \N{MINUS SIGN}24 to \N{MINUS SIGN}13 since onset",
                                     "months 0 to 11 since onset",
                                     "months \N{MINUS SIGN}12 to \N{MINUS SIGN}1 since onset (reference)"]
    assert bins.iloc[3]["95% interval by area (p)"] == ""


def test_effects_by_calendar_year_are_means_of_their_periods():
    table = shown(calendar_table(staggered_rows(), NAMES)).set_index("Year")
    assert table.loc["2017", ["Periods", "Mean effect", "Least to largest"]].tolist() == ["2", "+15.0", "10.0 to 20.0"]
    assert table.loc["2018", "Treated areas, least (most)"] == "39 (39)"


def test_averages_of_staggered_estimators_say_over_what():
    rows = staggered_rows({"callaway_santanna": 45.0})
    more = rows[rows["estimand"].eq("overall")].assign(estimand="overall_cohort", estimate=50.0)
    table = shown(effects_table(pd.concat([rows, more]), Names([WAVES])))
    assert table["Estimator"].tolist() == ["Callaway and Sant'Anna", "Callaway and Sant'Anna, average over cohorts"]


# What was published -------------------------------------------------------------------------------------------------


def test_the_published_layout_has_printed_and_ours_in_their_places(estimates, reproduction):
    table = shown(layout_table(estimates, reproduction, FACTS))
    assert len(table) == 4 * 2
    assert table.iloc[0].tolist() == ["All causes", "Binary", "about 40, p < 0.01", "+41.4", "not stated", "+41.4"]
    assert table.iloc[1]["Treatment"] == "Intensity, per additional organisation"
    assert table.iloc[2]["Printed, full sample"] == "no | effect"
    alone = shown(layout_table(estimates, reproduction.iloc[:0], FACTS))
    assert list(alone.columns) == ["Outcome", "Treatment", "Ours, full sample", "Ours, wave two removed"]


def test_claims_say_what_agrees_with_as_many_decimals_as_were_printed(reproduction):
    table = shown(claims_table(reproduction, FACTS)).set_index("Cell")
    assert table.loc["D1", "Agrees"] == "value no; sign yes; significance yes by area, no by system; N yes"
    assert table.loc["D4", "Agrees"] == "nothing printed"
    assert table.loc["D1", "95% interval by area (p)"] == "10.8 to 72.0 (0.008)"
    assert table.loc["D1", "p by area, adjusted by Holm"] == "0.034"
    finer = reproduction.assign(published_value=reproduction["published_value"].where(
        reproduction["claim"] != "D1", 40.123))
    table = shown(claims_table(finer, FACTS)).set_index("Cell")
    assert table.loc["D1", "Ours"] == "+41.400" and table.loc["D2", "Ours"] == "+5.0"


def cannot_run(reproduction):
    """The claims, and two on an indicator that this run has no files for."""
    lost = reproduction[reproduction["claim"].isin(["D1", "D2"])].copy()
    numbers = ["estimate", "std_error", "ci_low", "ci_high", "p_value", "p_holm", "n_obs", "n_units", "n_treated",
               "n_clusters", "difference", "p_tested"]
    lost[numbers] = np.nan
    lost = lost.assign(claim=lost["claim"].str.replace("D", "G"), indicator="met", outcome="Survey: met",
                       status="cannot run", number="cannot_run", note="No file is at hand.", published_value=np.nan,
                       **dict.fromkeys([f"{fact}_agrees" for fact in ("value", "sign", "significance", "n")],
                                       "cannot run"))
    return pd.concat([lost, reproduction], ignore_index=True)


def test_what_cannot_run_is_in_the_table_and_counts_nowhere(reproduction):
    rows = cannot_run(reproduction)
    table = shown(claims_table(rows, FACTS)).set_index("Cell")
    assert table.loc["G1", ["Outcome", "Ours", "Agrees"]].tolist() == ["Survey: met", "", "cannot run"]
    counted = shown(agreement_table(rows, FACTS)).set_index(["Errors", "What"])
    for what, numbers in {"values, to the digits printed agree": ["0", "2"], "signs agree": ["1", "2"],
                          "statements of significance agree": ["3", "3"], "numbers of observations agree": ["3", "3"],
                          "95% intervals leave out zero": ["2", "4"]}.items():
        assert counted.loc[("by area", what), ["Number", "Of"]].tolist() == numbers, what
    assert [str(line) for line in lost_lines(rows)] == ["G1 and G2 cannot run: No file is at hand."]


def test_what_must_be_known_of_what_was_published(reproduction):
    lines = [str(line) for line in printed_facts(reproduction, FACTS)]
    assert lines[0].startswith("The report prints 6 of its 36 coefficients as numbers (D1 and D8 here).")
    assert "“no significant link”, and prints otherwise in D1 (All causes, p < 0.01)" in lines[1]
    assert "0.2 of our 4 tests of these findings would fall below p = 0.05 by chance" in lines[2]
    with pytest.raises(DidError, match="reproduction table: expected rows of specification 'default'; found other"):
        reported(reproduction.assign(specification="other"), FACTS)


# The data and the checks --------------------------------------------------------------------------------------------


def test_the_panel_and_its_areas_are_counted(estimates, area_audit):
    assert str(panel_sentence(estimates, FACTS)) == ("The panel has 149 areas and 107 months, 33 of them from the "
                                                     "onset on: 15,943 figures.")
    fewer = estimates.assign(n_obs=estimates["n_obs"] - 3)
    assert str(panel_sentence(fewer, FACTS)).endswith("15,940 figures, 3 missing.")
    assert fates(area_audit, FACTS) == [("kept", 148), ("merged", 2), ("left out", 1),
                                        ("set aside (totals and residents of elsewhere)", 1)]
    table = shown(area_audit_table(area_audit, FACTS))
    assert ["merged into E1+E2", "2", "Bournemouth; Poole", "750", "reorganised in 2019"] in table.to_numpy().tolist()
    assert ["excluded", "1", "Isles of Scilly", "", "no counts"] in table.to_numpy().tolist()


def test_many_mergers_stand_in_one_row_and_rates_have_no_total(area_audit):
    merged = area_audit[area_audit["fate"] == "merged"]
    many = pd.concat([area_audit, *(merged.assign(area_code=merged["area_code"] + str(n), unit=f"U{n}",
                                                  reason=f"on {n}") for n in range(6))], ignore_index=True)
    table = shown(area_audit_table(many, FACTS)).set_index("What became of it")
    assert table.loc["merged into 7 areas", "Areas"] == "14" and table.loc["merged into 7 areas", "Total"] == "5,250"
    assert "area_audit.csv" in table.loc["merged into 7 areas", "Why"] and len(table) == 4
    rates = area_audit.assign(total=area_audit["total"].where(area_audit["fate"] == "set_aside"))
    assert "Total" not in shown(area_audit_table(rates, FACTS))


def test_each_diagnostic_that_was_made_is_under_one_topic_and_skipped_ones_say_why(diagnostics):
    own = diagnostics[diagnostics["indicator"].eq("days_total")]
    found = dict(diagnostics_by_topic(own, NAMES))
    done = own[own["status"].eq("done")]
    assert sum(len(table.rows) for heading, tables in found.items() if heading != "Not done, and why"
               for table in tables) == len(done)
    before = shown(found["Before treatment"][0])
    assert before.iloc[0][["Diagnostic", "Value", "p-value", "Test"]].tolist() == [
        "Linear pretrend", "1.69", "0.053", "F(1, 148) = 3.80"]
    assert before["Remarks or why skipped"].str.contains("few treated clusters: rejects too often").sum() == 4
    skipped = shown(found["Not done, and why"][0])
    assert skipped.to_numpy().tolist() == [["Joint leads", "8", "covariance of rank 40 for 73 leads"]]
    assert len(diagnostics_table(own, NAMES).rows) == len(own)


def test_the_annex_of_an_outcome_has_every_row_of_its_tables(estimates, reproduction, diagnostics, specifications):
    own = {"estimates": estimates, "diagnostics": diagnostics, "specifications": specifications,
           "headline": headline_of(estimates), "reproduction": reproduction}
    own = {name: table[table["indicator"].eq("days_total")] for name, table in own.items()}
    own["weights"] = pd.DataFrame(columns=["cohort", "kind", "level", "label", "weight"])
    alone = dataclasses.replace(FACTS, outcomes={"days_total": "All causes"}, parts=())
    found = dict(outcome_tables(alone, own))
    headline, effects, counts = found["The estimate"]
    overall = own["estimates"][own["estimates"]["estimand"].eq("overall") & own["estimates"]["event_time"].isna()]
    assert len(effects.rows) == len(overall) / 2 and len(headline.rows) == len(own["headline"])
    assert counts.notes[0].startswith("In delayed days per 100,000") and "the printed +40." in counts.notes[-1]
    names = [table.name for tables in found.values() for table in tables]
    assert len(names) == len(set(names))
    checks = shown(counts).set_index(["Check", "By"])
    assert checks.loc[("Ours", "LDV"), "Intervals wholly above zero, by area"] == "1 of 1"
    assert checks.loc[("Ours", "LDV"), "Intervals wholly above zero, by system"] == "0 of 1"


def test_each_verdict_has_its_questions():
    evidence = pd.DataFrame([dict(target="D1", step=2, question="apart_from_zero", answer="no", reason="holds_zero",
                                  estimate=41.4, ci_low=-9.0, ci_high=92.0, smallest=np.nan, largest=np.nan,
                                  share=np.nan, n_tried=pd.NA, n_met=pd.NA)])
    verdicts = pd.DataFrame([dict(target=target, claim=target, verdict=verdict, treatment="binary", sample="full",
                                  estimator="ldv", estimate=41.4, ci_low=-9.0, ci_high=92.0, published_value=40.0,
                                  number="close") for target, verdict in (("D1", "not_shown"), ("D2", "cannot_run"))])
    table, = evidence_tables(FACTS, {"evidence": evidence, "verdicts": verdicts}).values()
    assert table.caption == "All causes. D1: binary, full sample, LDV: not shown"
    assert shown(table).iloc[0].tolist()[:2] == ["Can it be told apart from no change?", "no"]


def test_effects_add_up_where_they_must(estimates):
    own = estimates[estimates["event_time"].isna() & (estimates["specification"] == "default")]
    table, = identity_tables(own, FACTS)
    found = shown(table).set_index(["Estimator", "Treatment", "Sample"])
    assert found.loc[("DiD", "Binary", "full sample")].tolist() == ["+40.00", "+40.00", "0.00", "yes", "yes"]
    assert found.loc[("LDV", "Binary", "full sample")].tolist()[-1] == "no" and len(found) == 8
    assert "Counts of NHS, Social care and Both add up to those of All causes." in table.notes
    wrong = own.assign(estimate=own["estimate"].where(own["indicator"] != "days_nhs", 11.0))
    assert set(shown(identity_tables(wrong, FACTS)[0])["They add up"]) == {"no"}
    assert identity_tables(own[own["indicator"] != "days_nhs"], FACTS) == []


def test_shares_of_one_base_sum_to_zero(shares):
    table, = identity_tables(shares[shares["event_time"].isna()], SURVEY)
    found = shown(table).set_index(["Estimator", "Treatment", "Sample"])
    assert found.loc[("DiD", "Binary", "full sample"), "They add up"] == "yes"
    assert found.loc[("LDV", "Binary", "full sample"), ["Gap", "They add up"]].tolist() == ["+0.750", "no"]


def test_what_must_be_known_of_the_dose():
    facts = dataclasses.replace(FACTS, dose_counted="Counted later.", largest_dose="The largest dose is 32.")
    assert [str(line) for line in dose_sentences(facts)] == [
        "Counted later.", "The largest dose is 32.", DOSE_ASSUMES.format(units="areas")]
    assert len(dose_sentences(FACTS)) == 1


@pytest.mark.parametrize(("many", "one"), [
    ("areas", "area"), ("authorities", "authority"), ("districts", "district"), ("ICBs", "ICB"), ("branches", "branch"),
    ("boxes", "box"), ("classes", "class"), ("practices", "practice"), ("people", "people"), ("class", "class")])
def test_one_of_what_units_are_called(many, one):
    assert singular(many) == one
