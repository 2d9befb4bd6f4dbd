"""The entries of the estimators of this package, in the order in which tables and figures show them.

Formulas and sources in full are in each module's docstrings and in docs/methods.md.
"""

from __future__ import annotations

import numpy as np

from did.estimators.base import PERIODS_PER_YEAR, Panel
from did.estimators.registry import (
    BEFORE,
    BINARY,
    COHORT_PERIOD,
    EVENT_TIME,
    LAGS,
    NEIGHBOURS,
    ONE_EFFECT,
    Estimator,
    Option,
    Words,
    register,
)

COVARIATES = Option("covariates", list[str], "columns that enter linearly, with one slope each", metavar="COLUMNS")
BIN_WIDTH = Option("bin_width", int, "pool event times, K periods to a bin; --reference and --leads then count bins",
                   at_least=1, metavar="K")
CONTROL_GROUP = Option("control_group", str, "whom to compare with", choices=("not_yet_treated", "never_treated"))
ANTICIPATION = Option("anticipation", int, "periods before treatment with an effect", at_least=0, metavar="K")
LAGS_TAKEN = Option("lags", str, "outcomes before treatment to take: all, last_N or yearly_means", metavar="LAGS")
REFERENCE = "event time that effects are relative to"


def unobserved_before(panel: Panel) -> int:
    """How many periods directly before treatment no unit has an outcome in, as where figures of several years hold the
    onset: effects are measured against the period before them."""
    observed = np.isfinite(panel.outcome).any(axis=0)
    starts = np.unique(panel.treated_from[~panel.never_treated & ~panel.always_treated])
    gap = 0
    while len(starts) and starts.min() - gap > 1 and not observed[(starts - 1 - gap).astype(int)].any():
        gap += 1
    return gap


def _with_lags(panel: Panel, lags: str) -> list[dict[str, object]]:
    return [{"lags": lags}]


def _by_period_and_year(panel: Panel, lags: str) -> list[dict[str, object]]:
    """By period and, of shorter periods than years, in bins of a year."""
    gap, per_year = unobserved_before(panel), PERIODS_PER_YEAR[panel.frequency]
    if gap:
        return [{"reference": -1 - gap}]
    return [{}, {"bin_width": per_year}] if per_year > 1 else [{}]


def _universal(panel: Panel, lags: str) -> list[dict[str, object]]:
    """The universal base: every event time against the same period, so that leads can be read alongside the others."""
    gap = unobserved_before(panel)
    return [{"base_period": "universal", **({"anticipation": gap} if gap else {})}]


register(Estimator(
    name="did", label="Difference-in-differences (two-way fixed effects)", kind=ONE_EFFECT,
    fit="did.estimators.did:estimate", design="did.estimators.did:design",
    repeated="did.estimators.did:repeated", parts="did.estimators.did:parts",
    own_options=(COVARIATES,), is_additive=True, defaults=("estimate", "sweep"),
    words=Words(
        summary="The outcome regressed on an effect of each {unit}, an effect of each period, and treatment. It takes "
        "the treated and the comparison {units} to have moved alike but for the treatment.",
        source="Stata's xtdidregress; on waves treated at different dates see Goodman-Bacon 2021, J. Econometrics "
        "225:254-277",
        short="DiD", running="difference-in-differences", own_dates="Two-way fixed effects",
        whom="than if it had changed as that of the comparison {units} did"), base="all"))

register(Estimator(
    name="ldv", label="Lagged dependent variable", kind=ONE_EFFECT,
    fit="did.estimators.ldv:estimate", design="did.estimators.ldv:design",
    repeated="did.estimators.ldv:repeated", parts="did.estimators.ldv:parts", doses="did.estimators.ldv:doses",
    own_options=(LAGS_TAKEN,),
    needs=(LAGS,), own_dates=False, tests=("randomisation", "bias_reduced_cr2", "wild_bootstrap"), in_run=_with_lags,
    words=Words(
        summary="The outcome after onset regressed on all outcomes before it, an effect of each period, and treatment. "
        "It takes {units} with the same past to have gone on alike, which these data cannot test.",
        source="O'Neill, Kreif, Grieve, Sutton and Sekhon 2016, Health Serv. Outcomes Res. Method. 16:1-21",
        short="LDV", running="lagged dependent variable",
        whom="than that of comparison {units} with the same outcomes before then",
        cells="those from the onset on")))

register(Estimator(
    name="ldv_ridge", label="Lagged dependent variable, shrunken lags", kind=ONE_EFFECT,
    fit="did.estimators.ldv_ridge:estimate",
    own_options=(LAGS_TAKEN,
                 Option("shrinkage", str, "how the lags are kept from being too many: a ridge, or their principal "
                        "components", choices=("ridge", "components")),
                 Option("strength", float, "of a ridge its penalty, 0 for none, of components their number; chosen by "
                        "prediction before treatment unless named", at_least=0, metavar="S")),
    needs=(LAGS,), own_dates=False, tests=("randomisation", "jackknife"), in_run=_with_lags,
    words=Words(
        summary="As the lagged dependent variable, with the outcomes before onset shrunk towards their mean by as much "
        "as predicts best before onset. It takes {units} with much the same past to have gone on alike, which these "
        "data cannot test.",
        source="Hoerl and Kennard 1970, Technometrics 12:55-67; O'Neill, Kreif, Grieve, Sutton and Sekhon 2016, Health "
        "Serv. Outcomes Res. Method. 16:1-21",
        short="LDV, ridge", running="lagged dependent variable with shrunken lags",
        whom="than that of comparison {units} with much the same outcomes before then",
        cells="those from the onset on")))

register(Estimator(
    name="event_study", label="Event study", kind=EVENT_TIME,
    fit="did.estimators.event_study:estimate", design="did.estimators.event_study:design",
    own_options=(Option("reference", list[int], f"{REFERENCE}; several, as -1,-5", metavar="E"), BIN_WIDTH,
                 COVARIATES),
    overall=False, averaged_by="did", is_additive=True, defaults=("estimate",), in_run=_by_period_and_year,
    words=Words(
        summary="As difference-in-differences, with an effect for each period before and after onset, from that of the "
        "last period before it.",
        source="Two-way fixed effects with leads and lags", running="event study",
        own_dates="Two-way fixed effects by event time")))

register(Estimator(
    name="callaway_santanna", label="Callaway and Sant'Anna", kind=COHORT_PERIOD,
    fit="did.estimators.callaway_santanna:estimate",
    own_options=(
        CONTROL_GROUP,
        Option("base_period", str, "what effects before treatment are relative to: the last period before it, or the "
               "one before each", choices=("universal", "varying")),
        ANTICIPATION,
        Option("base_window", str, "what is taken off: the mean of the last N periods before treatment, of all, or "
                                   "(season) "
               "the same season of the year before; the last period unless named", metavar="N"),
        Option("method", str, "how covariates enter: by regression, inverse probability weights or both; with "
               "--covariates dr unless another is named", choices=("unconditional", "reg", "ipw", "dr")),
        Option("unbalanced", str, "drop units with gaps, or use what each comparison has",
               choices=("trim", "pairwise")),
        Option("data", str, "units compared with themselves, or those of one period with those of another, as in a "
               "survey that asks others each time", choices=("panel", "repeated_cross_sections")),
        Option("covariates", list[str], "columns that units are compared by, see --method", keyword=None,
               metavar="COLUMNS")),
    needs=(BINARY,), defaults=("sweep",), in_run=_universal,
    seen_once=("data", "repeated_cross_sections"),
    words=Words(
        summary="The effect on each wave in each period, against {units} not treated by then, from the last period "
        "before the wave's own date; then averaged.",
        source="Callaway and Sant'Anna 2021, J. Econometrics 225:200-230"), base="last"))

register(Estimator(
    name="sun_abraham", label="Sun and Abraham", kind=EVENT_TIME, fit="did.estimators.sun_abraham:estimate",
    own_options=(Option("reference", list[int], REFERENCE, metavar="E"), COVARIATES),
    needs=(BINARY,),
    words=Words(
        summary="A regression with an effect for each wave and event time, averaged by the waves' shares.",
        source="Sun and Abraham 2021, J. Econometrics 225:175-199"), base="last"))

register(Estimator(
    name="imputation", label="Imputation (Borusyak, Jaravel and Spiess)", kind=EVENT_TIME,
    fit="did.estimators.imputation:estimate",
    own_options=(Option("aggregation", list[str], "the averages to give: simple, event_time, cohort, calendar",
                        keyword="estimands", metavar="KINDS"), COVARIATES),
    words=Words(
        summary="What treated {units} would have had is predicted from all untreated outcomes; the effects are what is "
        "left, averaged.",
        source="Borusyak, Jaravel and Spiess 2024, Rev. Econ. Stud. 91:3253-3285", running="imputation"), base="all"))

register(Estimator(
    name="imputation_leads", label="Imputation, leads alone", kind=BEFORE,
    fit="did.estimators.imputation_leads:estimate",
    own_options=(Option("leads", int, "how many leads, against all earlier periods", keyword="n_leads", at_least=1,
                        metavar="K"), BIN_WIDTH),
    overall=False,
    words=Words(
        summary="Differences between treated and comparison {units} before treatment, from untreated outcomes alone: "
        "a test of what imputation takes for granted, and no effect.",
        source="Borusyak, Jaravel and Spiess 2024, Rev. Econ. Stud. 91:3253-3285", running="imputation leads")))

register(Estimator(
    name="stacked", label="Stacked", kind=EVENT_TIME, fit="did.estimators.stacked:estimate",
    own_options=(
        Option("leads", int, "periods before treatment in its window", keyword="n_leads", at_least=1, metavar="K"),
        Option("max_event_time", int, "last event time of its window", keyword="n_lags", metavar="E"),
        CONTROL_GROUP,
        Option("control_weights", str, "how it weighs controls", choices=("equal", "corrected"))),
    words=Words(
        summary="Each wave with its comparison {units} in a data set of its own, all of them in one regression.",
        source="Cengiz, Dube, Lindner and Zipperer 2019, Q. J. Econ. 134:1405-1454", running="stacked"), base="last"))

register(Estimator(
    name="synthetic_did", label="Synthetic difference-in-differences", kind=EVENT_TIME, is_linear=False,
    fit="did.estimators.synthetic_did:estimate",
    own_options=(
        Option("variant", str, "weights: its own, those of the synthetic control, or equal ones",
               choices=("synthetic_did", "synthetic_control", "did")),
        Option("level", str, "a --cluster column whose clusters it takes in place of units", metavar="COLUMN"),
        Option("combine", str, "what it makes of the units of a cluster of --level",
               choices=("mean", "sum", "weighted_mean")),
        Option("aggregation", list[str], "the averages to give: simple, event_time, cohort, calendar",
               keyword="estimands", metavar="KINDS"), COVARIATES),
    needs=(BINARY,),
    words=Words(
        summary="Each wave against a weighted mean of {units} never treated and of periods before its date, with "
        "weights that make the two go alike before then.",
        source="Arkhangelsky, Athey, Hirshberg, Imbens and Wager 2021, Am. Econ. Rev. 111:4088-4118; Clarke, Pailanir, "
        "Athey and Imbens 2023, arXiv 2301.11859", running="synthetic difference-in-differences",
        whom="than a weighted mean of {units} never treated")))

register(Estimator(
    name="rolling", label="Rolling (Lee and Wooldridge)", kind=EVENT_TIME, fit="did.estimators.rolling:estimate",
    own_options=(
        Option("transformation", str, "what is taken off: a unit's mean before treatment, its line, or either with "
               "seasons", choices=("demean", "detrend", "demean_seasonal", "detrend_seasonal")),
        Option("errors", str, "errors by unit: the last two are those of its cross-section, for few units",
               choices=("clustered", "homoskedastic", "hc3")),
        CONTROL_GROUP, ANTICIPATION,
        Option("method", str, "how covariates enter; with --covariates reg unless another is named",
               choices=("reg", "ipw", "dr")),
        Option("covariates", list[str], "columns that units are compared by, see --method", metavar="COLUMNS"),
        Option("aggregation", list[str], "the averages to give: simple, event_time, cohort, calendar",
               keyword="estimands", metavar="KINDS")),
    needs=(BINARY,),
    words=Words(
        summary="What is left of the outcome of each {unit} after its own mean or line before treatment, compared "
        "between waves and {units} not treated by then.",
        source="Lee and Wooldridge 2023, SSRN 4516518; 2025, SSRN 5325686", running="rolling"), base="all"))

register(
    Estimator(
        name="local_projections",
        label="Local projections",
        kind=EVENT_TIME,
        fit="did.estimators.local_projections:estimate",
        own_options=(
            Option("leads", int, "periods before treatment in its window", keyword="n_leads", at_least=1, metavar="K"),
            Option("max_event_time", int, "last event time of its window", keyword="n_lags", metavar="E"),
            Option(
                "weighting",
                str,
                "cohorts weighed by their variance, or by their treated units",
                choices=("variance", "equal"),
            ),
            Option(
                "base_window",
                str,
                "what effects are measured against: the mean of the last N periods before treatment, "
                "or of all; 1 unless named",
                metavar="N",
            ),
            Option(
                "composition",
                str,
                "all units that an event time has, or those that every one has",
                choices=("changing", "fixed"),
            ),
            CONTROL_GROUP,
        ),
        needs=(BINARY,),
        words=Words(
            summary="For each period since onset a regression of its own of the change in the outcome, on {units} "
                    "newly "
            "treated and {units} not treated by then.",
            source="Dube, Girardi, Jorda and Taylor 2023, NBER working paper 31184",
            running="local projections",
        ),
        base="last",
    )
)

register(Estimator(
    name="etwfe", label="Extended two-way fixed effects (Wooldridge)", kind=EVENT_TIME, is_linear=False,
    fit="did.estimators.etwfe:estimate",
    own_options=(
        Option("family", str, "what is fitted: poisson for counts, logit for outcomes from 0 to 1",
               choices=("linear", "poisson", "logit")),
        Option("effects", str, "fixed effects; unit unless named, with logit cohort", choices=("unit", "cohort")),
        Option("weight_use", str, "what --weights are: weights, or the exposure of counts, such as population",
               choices=("weight", "exposure")),
        Option("scale", str, "effects in units of the outcome, or log ratios (poisson) and log odds ratios (logit)",
               choices=("outcome", "link")),
        Option("aggregation", list[str], "the averages to give: simple, event_time, cohort, calendar",
               keyword="estimands", metavar="KINDS"), COVARIATES),
    needs=(BINARY,),
    words=Words(
        summary="One regression with an effect for each wave and treated period, linear or of counts, averaged over "
        "the treated.",
        source="Wooldridge 2021, SSRN 3906345; 2023, Econometrics J. 26:C31-C66",
        running="extended two-way fixed effects"), base="all"))

register(Estimator(
    name="spillover", label="Effects on the treated and on their neighbours", kind=ONE_EFFECT,
    fit="did.estimators.spillover:estimate",
    own_options=(
        Option("neighbours", str, "which units border each other: a CSV file with columns unit and neighbour, each "
               "pair once or in both orders", keyword=None, metavar="FILE.csv"),
        Option("rings", int, "how many borders away treatment may reach", at_least=1, metavar="N"),
        Option("exposure", str, "in place of neighbours: how exposed an untreated unit is to treated ones, 0 if not",
               metavar="COLUMN"),
        Option("border", str, "units near treated ones: their own effect, or left out of the controls",
               choices=("estimated", "left_out"))),
    needs=(BINARY, NEIGHBOURS), tests=("jackknife", "randomisation"),
    words=Words(
        summary="The effect on treated {units} and that on {units} near them, by how many borders away, each against "
        "{units} that no treatment is near to.",
        source="Butts 2021, arXiv 2105.03737; Borusyak, Jaravel and Spiess 2024, Rev. Econ. Stud. 91:3253-3285",
        short="Spillovers", running="imputation with spillovers",
        whom="than that of {units} that no treatment is near to"), base="all"))

register(Estimator(
    name="dechaisemartin_dhaultfoeuille", label="de Chaisemartin and D'Haultfoeuille", kind=EVENT_TIME,
    fit="did.estimators.dechaisemartin_dhaultfoeuille:estimate",
    own_options=(
        Option("leads", int, "periods before treatment in its window", keyword="n_leads", at_least=1, metavar="K"),
        Option("max_event_time", int, "last event time of its window", keyword="n_lags", metavar="E"),
        Option("normalise", str, "what effects by event time are per unit of: the dose, the dose added up over "
               "periods, or nothing", choices=("dose", "cumulative", "none"))),
    words=Words(
        summary="The change of each newly treated {unit} since the period before, less that of {units} untreated "
        "until then, averaged by event time and divided by the dose.",
        source="de Chaisemartin and D'Haultfoeuille 2024, Rev. Econ. Stat., NBER working paper 29873"), base="last"))
