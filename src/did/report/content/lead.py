"""The sentence that leads a page: whether the headline estimate is told apart from zero, and how far it moves.

Facts are taken from the tables first; the words come after. Which tests are read, in which order, is what
docs/few_clusters.md recommends for an estimator and a treatment. Nothing is estimated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from did.errors import DidError
from did.estimators import entry
from did.report.content.facts import Facts, averaged_by, estimator_name, only, own_dates_names, rests_on_few
from did.report.content.notes import cluster_name
from did.report.content.robustness_rows import leaves_out_zero
from did.report.content.robustness_tables import decimals_of, named
from did.words import count, decimals_for, interval, listed, markdown_cell, number, p_value, plural

LEVEL = 0.05
NAMES = {"wild_bootstrap": "the wild bootstrap", "bias_reduced_cr2": "CR2", "randomisation": "randomisation"}
# The tests to read of effects by dose, first the one to believe first: randomisation rejects too often. Those of a
# binary treatment are in each estimator's entry.
INTENSITY = ("wild_bootstrap", "bias_reduced_cr2")
NOT_MADE = "it is not among the diagnostics"


@dataclass(frozen=True)
class Finding:
    """What a test of an estimate gives: 95% interval and p-value, NaN where there is none, or why it was skipped."""

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
class Tested:
    """An estimate by one estimator, with the tests to read."""

    estimator: str
    value: float
    decimals: int
    tests: Sequence[Finding]


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
    moved : whether the two checks that follow were made for this treatment. without : the estimates without the treated
    clusters that hold most treated units (several if they hold as many); not_without : clusters that could not be left
    out, with the reason. own_dates : one per estimator.
    """

    facts: Facts
    treatment: str
    ours: Tested
    others: Sequence[Tested]
    few: str
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


def leads(facts: Facts, estimates: pd.DataFrame, diagnostics: pd.DataFrame) -> list[Lead]:
    """Return what leads the page of ``facts``: one per treatment that its headline outcome is estimated for.

    ``estimates`` and ``diagnostics`` are those tables, of any indicators. A test that is not in the table counts as
    skipped. Raises DidError if the first treatment has no estimate by the published estimator.
    """
    first, sample = next(iter(facts.treatments)), next(iter(facts.samples))
    estimates, diagnostics = (table[table["indicator"].eq(facts.total) & table["sample"].eq(sample)
                                    & table["cluster"].isin(list(facts.clusters))]
                              for table in (estimates, diagnostics))
    estimates = estimates[estimates["estimand"].eq("overall")]
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
        by = [_tested(row, tests, list(facts.clusters)[-1], treatment)
              for name in dict.fromkeys([facts.estimator, facts.other_estimator])
              if (row := only(own, estimator=name, cluster=next(iter(facts.clusters)))) is not None]
        moves = {}
        if treatment == first:
            without, not_without = _without(tests, last)
            moves = {"without": without, "not_without": not_without, "own_dates": _own_dates(rows, facts)}
        found.append(Lead(facts=facts, treatment=treatment, ours=by[0], others=by[1:],
                          few=str(last["note"]) if rests_on_few(last["few_treated"]) else "",
                          n_treated=int(last["n_treated"]), n_clusters=int(last["n_clusters"]),
                          n_treated_clusters=int(last["n_treated_clusters"]), moved=treatment == first, **moves))
    return found


def _tested(row: pd.Series, diagnostics: pd.DataFrame, level: str, treatment: str) -> Tested:
    recommended = INTENSITY if treatment != "binary" else entry(row["estimator"]).tests
    own = diagnostics[diagnostics["estimator"].eq(row["estimator"]) & diagnostics["cluster"].eq(level)]
    tests = []
    for name in recommended:
        found = only(own, diagnostic=name)
        if found is None:
            tests.append(Finding(NAMES[name], *[float("nan")] * 3, 0, NOT_MADE))
            continue
        ends = {"std_error": row["std_error"], "ci_low": found["ci_low"], "ci_high": found["ci_high"]}
        skipped = (found["reason"] or "no reason is given") if found["status"] == "skipped" else ""
        tests.append(Finding(NAMES[name], float(found["ci_low"]), float(found["ci_high"]), float(found["p_value"]),
                             decimals_of(ends), skipped))
    return Tested(row["estimator"], float(row["estimate"]), decimals_for(row["std_error"]), tests)


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
    return ("The interval alongside each test holds the effects that it does not rule out; what the tests are, and how "
            "often each is wrong, is in `docs/few_clusters.md`. Further down, intervals are from errors clustered "
            f"{listed(facts.clusters.values())} alone. Where few {_clusters(facts)} are treated, such intervals leave "
            "out zero too often: they do not overrule these tests."
            + ("" if all(lead.moved for lead in found) else only_first))


def sentences(lead: Lead) -> str:
    """Return what leads the page as Markdown: one sentence on the published estimator, one on each other."""
    facts, ours = lead.facts, lead.ours
    outcome = facts.outcomes[facts.total]
    name = outcome if outcome == facts.title else f"{facts.title} ({outcome})"
    per = "" if lead.treatment == "binary" else f", for each {facts.dose},"
    value = f"{number(ours.value, ours.decimals, signed=True)} {facts.effect_unit}{per}"
    where = (f"the tests fit for few treated {_clusters(facts)} ({count(lead.n_treated_clusters)} of "
             f"{count(lead.n_clusters)})")
    verdict = _verdict(ours, f"the estimate of {markdown_cell(value)}")
    parts = [f"**{markdown_cell(name)}, {facts.treatments[lead.treatment].lower()} treatment: {verdict}**"
             f"{_by(ours, where)}", *_skipped(ours), *_moves(lead)]
    said = ["; ".join(parts)]
    for other in lead.others:
        verdict = _verdict(other, number(other.value, other.decimals, signed=True))
        said.append("; ".join([f"By {estimator_name(other.estimator)}, {verdict}{_p_values(other)}", *_skipped(other)]))
    if lead.few:
        said.append(f"The estimate {markdown_cell(lead.few)}")
    return f"{'. '.join(said)}."


def _clusters(facts: Facts) -> str:
    """What the last level of clustering is by: ``systems``, ``areas``."""
    level = list(facts.clusters)[-1]
    return facts.units if level == "unit" else f"{level}s"


def _verdict(tested: Tested, value: str) -> str:
    """``the estimate of +41.4 days is not told apart from zero``; with tests that disagree, that they do."""
    apart = {test.tells_apart for test in tested.tests if not test.skipped}
    if not apart:
        return f"it is not known whether {value} can be told apart from zero"
    if len(apart) == 2:
        return f"the tests disagree on whether {value} can be told apart from zero"
    return f"{value} is {'' if apart.pop() else 'not '}told apart from zero"


def _by(tested: Tested, where: str) -> str:
    """What follows the verdict: each test with its numbers, by what it says where they disagree."""
    done = [test for test in tested.tests if not test.skipped]
    no, yes = ([_numbers(test) for test in done if test.tells_apart == apart] for apart in (False, True))
    if not done:
        return f", because none of {where} could be made"
    if no and yes:
        return f": of {where}, {listed(no)} {_say(no)} no and {listed(yes)} {_say(yes)} yes"
    return f" by {where}: {listed(no or yes)}"


def _p_values(tested: Tested) -> str:
    """`` (p from 0.070 to 0.131)``; "" where no test was done."""
    found = sorted(test.p for test in tested.tests if not test.skipped)
    if not found:
        return ""
    low, high = (p_value(found[end]).removeprefix("p = ") for end in (0, -1))
    return f" ({p_value(found[0])})" if low == high else f" (p from {low.removeprefix('p ')} to {high})"


def _say(tests: Sequence[str]) -> str:
    return "say" if len(tests) > 1 else "says"


def _numbers(test: Finding) -> str:
    span = "no interval" if pd.isna(test.low) or pd.isna(test.high) else interval(test.low, test.high, test.decimals)
    return f"{test.name} ({span}, {p_value(test.p)})"


def _skipped(tested: Tested) -> list[str]:
    return [f"{test.name} was skipped ({markdown_cell(test.skipped)})" for test in tested.tests if test.skipped]


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
