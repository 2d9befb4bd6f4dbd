"""What leads a page on an outcome: the estimate with an interval whose coverage was measured, and how far it moves.

The interval is that of the table `headline` (`did.inference.headline`): the first method of the evaluation's order that
holds its level on the outcome's own panel. Nothing is estimated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from did.errors import DidError
from did.report.content.facts import METHODS, Facts, averaged_by, estimator_name, only, own_dates_names
from did.report.content.notes import cluster_name, few_treated
from did.report.content.robustness_rows import leaves_out_zero
from did.report.content.robustness_tables import decimals_of, named
from did.words import count, decimals_for, interval, listed, markdown_cell, number, p_value, plural

LEVEL = 0.05
# Diagnostic -> the method whose interval it has, whether that leads or not.
OTHERS = {"wild_bootstrap": "wild_bootstrap", "bias_reduced_cr2": "CR2", "randomisation": "randomisation"}
NOT_MADE = "it is not among the diagnostics"


@dataclass(frozen=True)
class Finding:
    """What a method gives: 95% interval and p-value, NaN where there is none, or why it was skipped."""

    name: str
    low: float
    high: float
    p: float
    decimals: int
    skipped: str = ""

    @property
    def tells_apart(self) -> bool:
        """Is the estimate told apart from zero at 5%? Not if an interval that is there holds zero."""
        return self.p < LEVEL and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Measured:
    """Of the method that leads: whether it holds its level, and its measured coverage with simulation error, shares;
    NaN where it could not be measured."""

    holds: bool
    coverage: float
    error: float
    note: str


@dataclass(frozen=True)
class Tested:
    """An estimate by one estimator: the finding that leads (None: no method gives one), how its method was measured,
    and what the other methods give."""

    estimator: str
    value: float
    decimals: int
    headline: Finding | None
    measured: Measured
    others: Sequence[Finding]


@dataclass(frozen=True)
class Without:
    """The estimate without one treated cluster, which holds ``lost`` of the treated units."""

    cluster: str
    lost: int
    value: float


@dataclass(frozen=True)
class OwnDates:
    """An estimate with each wave from its own date, and whether its interval by the last clustering leaves out zero."""

    estimator: str
    value: float
    tells_apart: bool


@dataclass(frozen=True)
class Lead:
    """What is known of one headline: the outcome of ``facts`` under one treatment, first sample.

    others : by the other estimator, if there is one. few : what the indicator's settings say of few treated units.
    n_units, n_treated, n_clusters, n_treated_clusters : what ours rests on.
    moved : whether the two checks that follow were made for this treatment. without : the estimates without the treated
    clusters that hold most treated units (several if they hold as many); not_without : clusters that could not be left
    out, with the reason. own_dates : one per estimator.
    """

    facts: Facts
    treatment: str
    ours: Tested
    others: Sequence[Tested]
    few: str
    n_units: int
    n_treated: int
    n_clusters: int
    n_treated_clusters: int
    moved: bool
    without: Sequence[Without] = ()
    not_without: Sequence[tuple[str, str]] = ()
    own_dates: Sequence[OwnDates] = ()

    @property
    def page(self) -> str:
        """The page on what the estimate rests on."""
        return self.facts.page.replace("summary_", "robustness_")

    @property
    def text(self) -> str:
        """The sentences, as Markdown without links."""
        return sentences(self)


def leads(facts: Facts, estimates: pd.DataFrame, diagnostics: pd.DataFrame, headline: pd.DataFrame) -> list[Lead]:
    """Return what leads the page of ``facts``: one per treatment that its headline outcome is estimated for.

    ``estimates``, ``diagnostics`` and ``headline`` are those tables, of any indicators. A test that is not in the
    diagnostics counts as skipped. Raises DidError if the first treatment has no estimate by the published estimator, or
    an estimate that leads has no row in ``headline``.
    """
    first, sample = next(iter(facts.treatments)), next(iter(facts.samples))
    estimates, diagnostics = (table[table["indicator"].eq(facts.total) & table["sample"].eq(sample)
                                    & table["cluster"].isin(list(facts.clusters))]
                              for table in (estimates, diagnostics))
    estimates = estimates[estimates["estimand"].eq("overall")]
    headline = headline[headline["indicator"].eq(facts.total) & headline["sample"].eq(sample)
                        & headline["specification"].eq(facts.specification)]
    diagnostics = diagnostics[diagnostics["specification"].eq(facts.specification)]
    found = []
    for treatment in facts.treatments:
        rows = estimates[estimates["treatment"].eq(treatment)]
        own = rows[rows["specification"].eq(facts.specification)]
        tests = diagnostics[diagnostics["treatment"].eq(treatment)]
        # The first level of clustering sets the decimals, as everywhere; the last is that of the tests.
        least, last = (only(own, estimator=facts.estimator, cluster=list(facts.clusters)[end]) for end in (0, -1))
        if least is None or last is None:
            if treatment == first:
                raise DidError(f"estimates table: expected a {facts.estimator} estimate of {facts.total} ({treatment}, "
                               f"{sample}) under specification '{facts.specification}'; found none; run the fit stage "
                               f"for it")
            continue
        by = [_tested(row, tests, headline[headline["treatment"].eq(treatment)], list(facts.clusters)[-1])
              for name in dict.fromkeys([facts.estimator, facts.other_estimator])
              if (row := only(own, estimator=name, cluster=next(iter(facts.clusters)))) is not None]
        moves = {}
        if treatment == first:
            without, not_without = _without(tests, last)
            moves = {"without": without, "not_without": not_without, "own_dates": _own_dates(rows, facts)}
        found.append(Lead(facts=facts, treatment=treatment, ours=by[0], others=by[1:],
                          few=few_treated(last),
                          n_units=int(last["n_units"]), n_treated=int(last["n_treated"]),
                          n_clusters=int(last["n_clusters"]),
                          n_treated_clusters=int(last["n_treated_clusters"]), moved=treatment == first, **moves))
    return found


def _tested(row: pd.Series, diagnostics: pd.DataFrame, headline: pd.DataFrame, level: str) -> Tested:
    leading = only(headline, estimator=row["estimator"])
    if leading is None and row["headline"]:
        raise DidError(f"headline table: expected the {row['estimator']} estimate of {row['indicator']} "
                       f"({row['treatment']}); found none; run: did calibrate {row['indicator']}")
    first, measured = None, Measured(False, float("nan"), float("nan"), "no interval of known coverage is made for it")
    if leading is not None:
        measured = Measured(bool(leading["holds"]), float(leading["coverage"]), float(leading["simulation_error"]),
                            str(leading["note"]))
        if leading["method"]:
            first = _finding(leading["method"], leading, row)
    own = diagnostics[diagnostics["estimator"].eq(row["estimator"]) & diagnostics["cluster"].eq(level)]
    others = []
    for name, method in OTHERS.items():
        found = only(own, diagnostic=name)
        if leading is not None and method == leading["method"]:
            continue
        if found is None:
            others.append(Finding(METHODS[method], *[float("nan")] * 3, 0, NOT_MADE))
            continue
        skipped = (found["reason"] or "no reason is given") if found["status"] == "skipped" else ""
        others.append(_finding(method, found, row, skipped))
    return Tested(row["estimator"], float(row["estimate"]), decimals_for(row["std_error"]), first, measured, others)


def _finding(method: str, found: pd.Series, row: pd.Series, skipped: str = "") -> Finding:
    ends = {"std_error": row["std_error"], "ci_low": found["ci_low"], "ci_high": found["ci_high"]}
    return Finding(METHODS[method], float(found["ci_low"]), float(found["ci_high"]), float(found["p_value"]),
                   decimals_of(ends), skipped)


def _without(diagnostics: pd.DataFrame, reported: pd.Series) -> tuple[list[Without], list[tuple[str, str]]]:
    """The estimates without the treated clusters that hold most treated units, and those that could not be computed."""
    rows = diagnostics[diagnostics["diagnostic"].eq("leave_one_out") & diagnostics["cluster"].eq(reported["cluster"])
                       & diagnostics["estimator"].eq(reported["estimator"])]
    rows = rows.assign(what=[cluster_name(row) for row in rows.to_dict("records")])
    done = rows["status"].eq("done")
    lost = int(reported["n_treated"]) - rows.loc[done, "n_treated"].astype(int)
    largest = rows.loc[lost[lost.gt(0) & lost.eq(lost.max())].index]
    return ([Without(row.what, int(lost.max()), float(row.value)) for row in largest.itertuples()],
            [(row.what, row.reason) for row in rows[~done].itertuples()])


def _own_dates(rows: pd.DataFrame, facts: Facts) -> list[OwnDates]:
    rows = rows[rows["specification"].eq(facts.staggered) & rows["cluster"].eq(list(facts.clusters)[-1])
                & rows["estimate"].notna() & ~rows["estimator"].isin(list(averaged_by()))]
    if facts.staggered == facts.specification:
        rows = rows[~rows["estimator"].eq(facts.estimator)]
    apart = leaves_out_zero(rows)
    found = {row.estimator: OwnDates(row.estimator, float(row.estimate), bool(apart[row.Index]))
             for row in rows.itertuples()}
    return [found[name] for name in own_dates_names() if name in found]


def how_to_read(found: Sequence[Lead]) -> str:
    """Return what must be known to read ``found`` and the clustered intervals that follow it; they are of one page."""
    facts = found[0].facts
    more = " and with each wave from its own date" if facts.staggered else ""
    only_first = (f" Estimates without the largest of the treated {_clusters(facts)}{more} are made for the "
                  f"{next(iter(facts.treatments.values())).lower()} treatment only.")
    few = _clusters(facts)
    return ("The interval that leads is by the first method, in an order that the evaluation file declares, whose 95% "
            "intervals hold a true zero in about 95% of placebo assignments on the outcome's own panel: onsets and "
            f"doses of the treated {few} given to {few} where nothing was done (`docs/inference.md`). \"Not told "
            f"apart from zero\" is not \"no effect\". Further down, intervals are from errors clustered "
            f"{listed(facts.clusters.values())} alone. Where few {few} are treated, such intervals leave out zero too "
            "often: they do not overrule the one that leads."
            + ("" if all(lead.moved for lead in found) else only_first))


def sentences(lead: Lead) -> str:
    """Return what leads the page as Markdown: one sentence on the published estimator, one on each other."""
    facts, ours = lead.facts, lead.ours
    outcome = facts.outcomes[facts.total]
    name = outcome if outcome == facts.title else f"{facts.title} ({outcome})"
    per = "" if lead.treatment == "binary" else f", for each {facts.dose},"
    value = f"{number(ours.value, ours.decimals, signed=True)} {facts.effect_unit}{per}"
    verdict = _verdict(ours, f"the estimate of {markdown_cell(value)}")
    rests = (f"it rests on {count(lead.n_treated)} treated of {count(lead.n_units)} {facts.units}"
             + ("" if _clusters(facts) == facts.units else
                f", in {count(lead.n_treated_clusters)} of {count(lead.n_clusters)} {_clusters(facts)}"))
    parts = [f"**{markdown_cell(name)}, {facts.treatments[lead.treatment].lower()} treatment: {verdict}**"
             f"{_by(ours)}", rests, *_other_methods(ours), *_moves(lead)]
    said = ["; ".join(parts)]
    for other in lead.others:
        verdict = _verdict(other, number(other.value, other.decimals, signed=True))
        said.append("; ".join([f"By {estimator_name(other.estimator)}, {verdict}{_by(other)}", *_other_methods(other)]))
    if lead.few:
        said.append(f"The estimate {markdown_cell(lead.few)}")
    return f"{'. '.join(said)}."


def _clusters(facts: Facts) -> str:
    """What the last level of clustering is by: ``systems``, ``areas``."""
    level = list(facts.clusters)[-1]
    return facts.units if level == "unit" else f"{level}s"


def _verdict(tested: Tested, value: str) -> str:
    """``the estimate of +41.4 days is not told apart from zero``, by the finding that leads."""
    if tested.headline is None:
        return f"it is not known whether {value} can be told apart from zero"
    return f"{value} is {'' if tested.headline.tells_apart else 'not '}told apart from zero"


def _by(tested: Tested) -> str:
    """What follows the verdict: the interval that leads, by which method, and how often that is right."""
    if tested.headline is None:
        return f", because {markdown_cell(tested.measured.note or 'no method gives an interval')}"
    found = tested.headline
    return f": {_span(found)} ({p_value(found.p)}) by {found.name}, {measured_words(tested.measured)}"


def measured_words(measured: Measured) -> str:
    """What is said alongside an interval that leads: its measured coverage, or that none is known or holds."""
    if pd.isna(measured.coverage):
        return f"whose coverage is not known ({markdown_cell(measured.note)})"
    share = f"{100 * measured.coverage:.1f}% of placebo assignments (simulation error {100 * measured.error:.1f})"
    if measured.holds:
        return f"whose intervals hold a true zero in {share}"
    return f"whose intervals hold a true zero in {share}: no method holds its level here"


def _span(found: Finding) -> str:
    if pd.isna(found.low) or pd.isna(found.high):
        return "no interval"
    return f"95% interval {interval(found.low, found.high, found.decimals)}"


def _other_methods(tested: Tested) -> list[str]:
    """What the other methods give, each with its numbers; those that were skipped with the reason."""
    done = [f"{test.name} ({_span(test).removeprefix('95% interval ')}, {p_value(test.p)})" for test in tested.others
            if not test.skipped]
    return [*([f"by other methods: {listed(done)}"] if done else []),
            *(f"{test.name} was skipped ({markdown_cell(test.skipped)})" for test in tested.others if test.skipped)]


def _moves(lead: Lead) -> list[str]:
    """How far the estimate moves, as parts of a sentence."""
    facts, own_dates = lead.facts, "with each wave from its own date"
    without = f"without the largest of the treated {_clusters(facts)}"
    if not lead.moved:
        return []
    moved = []
    if lead.without:
        moved.append(f"{_range(lead, lead.without)} {_which(lead)}")
    if lead.own_dates:
        moved.append(f"{_range(lead, lead.own_dates)} {own_dates} ({_how_many(lead)})")
    parts = [f"it is {', and '.join(moved)}"] if moved else []
    if lead.not_without:
        who, why = zip(*lead.not_without, strict=True)
        parts.append(f"{markdown_cell(listed(who, at_most=3))} could not be left out "
                     f"({markdown_cell('; '.join(dict.fromkeys(why)))})")
    elif not lead.without:
        parts.append(f"the estimate {without} is not among the diagnostics")
    if facts.staggered and not lead.own_dates:
        parts.append(f"there is no estimate {own_dates}")
    return parts


def _which(lead: Lead) -> str:
    """``without Greater Manchester (QOP), which has 10 of the 30 treated areas``."""
    share = f"{count(lead.without[0].lost)} of the {count(lead.n_treated)} treated {lead.facts.units}"
    if len(lead.without) == 1:
        return f"without {markdown_cell(lead.without[0].cluster)}, which has {share}"
    return f"without one of the {count(len(lead.without))} largest treated {_clusters(lead.facts)}, with {share} each"


def _range(lead: Lead, found: Sequence[Without | OwnDates]) -> str:
    low, high = (number(end(one.value for one in found), lead.ours.decimals, signed=True) for end in (min, max))
    return low if low == high else f"between {low} and {high}"


def _how_many(lead: Lead) -> str:
    """``5 estimators; the 95% interval clustered by system leaves out zero for imputation only``."""
    names = [named(one.estimator, "staggered") for one in lead.own_dates if one.tells_apart]
    # Authors keep their capitals.
    names = [name if " and " in name else name.lower() for name in names]
    n = len(lead.own_dates)
    whom = "in every case" if len(names) == n else f"for {listed(names)} only" if names else "in no case"
    return (f"{plural(n, 'estimator')}; the 95% interval clustered {list(lead.facts.clusters.values())[-1]} leaves out "
            f"zero {whom}")
