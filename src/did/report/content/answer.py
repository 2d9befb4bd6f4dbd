"""The answer in a minute: for each printed number one line of plain words, made from the columns of the verdicts.

A sentence is a template found by the codes of a verdict, with numbers and names put in; no page writes its own. What
cannot be told apart from zero is "not shown", which is never said as "no effect".
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from did.evidence.comparison import REASONS
from did.report.content.facts import Facts, having, mappings
from did.words import decimals_for, listed, number, short_decimals, singular

# Word for the number -> what is said of it.
NUMBER = {
    "exact": "We get the same number.", "close": "We get nearly the same number.",
    "differs": "We get a different number.", "agrees": "We find what was printed.", "not_printed": "", "cannot_run": "",
}
# Where the number is that printed, and something else differs.
SAME_BUT = {"band_differs": "We get the same number, with another margin of error.",
            "n_differs": "We get the same number, from another number of observations."}
OPPOSITE = {True: "We get a rise, not a fall.", False: "We get a fall, not a rise."}
# Word for the claim -> what is said of it, in three parts: the one in the middle is the answer, the last says why.
# {apart}: how few there are to go by; {but}, {and_but}: what the checks say.
CLAIM = {
    "holds": ("", "The effect holds", ": it is unlikely to be chance, and no check undoes it."),
    "fragile": ("It is unlikely to be chance, but ", "it is fragile", ": {but}."),
    "not_shown": ("", "It is not shown to be an effect", ": {apart} it could be chance{and_but}."),
    "not_shown_as_published": ("The authors found no clear effect; ", "nor do we", "."),
    "shown_here": ("The authors found no clear effect; ", "our figures show one", "{and_but}."),
    "contradicted": ("", "It is contradicted", ": our figures point the other way."),
    "cannot_run": ("", "", ""),
}
# Word for the claim -> the answer where it stands alone, over the figure.
IN_SHORT = {
    "holds": "the effect holds",
    "fragile": "the effect is fragile",
    "not_shown": "not shown to be an effect",
    "not_shown_as_published": "no clear effect",
    "shown_here": "an effect, where none was published",
    "contradicted": "the printed effect is contradicted",
    "cannot_run": "could not be run",
}
# Where the line above is on the same outcome and was not shown for the same reason.
AGAIN = {"not_shown": ("", "It is not shown to be an effect", " either{and_but}."),
         "not_shown_as_published": ("", "Again no clear effect", ", theirs or ours.")}
# Code of what decides, or of what a step found -> what is said of it after "but" or "and".
CHECKS = {
    "rests_on": "without {rests_on} it is {without}",
    "detrended_turns_round": "allowing for earlier trends it reverses",
    "detrended_holds_zero": "allowing for earlier trends it fades",
    "placebo_onsets_as_large": "changes as large happened before anything was done",
    "estimators_differ_in_sign": "methods that give each wave its own date differ on its direction",
    "intervals_hold_zero": "it fades where each wave has its own date",
    "sign_turns_round": "it reverses when other choices are made",
    "intervals_change": "it comes and goes with the choices that are made",
}
# Why something cannot be run or judged.
NOT_RUN = REASONS | {"not_calibrated": "no method of inference could be tried on it",
                     "no_method_gives_an_interval": "no method gives it an interval"}
NOT_SHOWN = "“Not shown” is not “no effect”."
PRINTED = "“Printed” is from the published evaluation, “ours” from publishers' files; plus means a rise."
# Verdict -> what is counted under it, one and many; every other counts as not shown.
COUNTED = {"holds": ("holds", "hold"), "fragile": ("is fragile", "are fragile"),
           "contradicted": ("is contradicted", "are contradicted"),
           "shown_here": ("shows an effect where none was published", "show an effect where none was published")}
MADE_UP = "These verdicts are of made-up data, not of any real place."
SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# Printed statements about p-values, the strongest first: what a publication stands on comes first.
STRENGTH = ("p<0.001", "p<0.01", "p<0.05", "", "not significant")


@dataclass(frozen=True)
class Line:
    """One printed number, or one headline, as a reader meets it.

    target : its name in the tables; indicator : the outcome, with its ``heading``; detail : what sets it apart from
    other lines on the outcome, "" if nothing; printed, ours : the numbers with their sign ("" where none was printed);
    unit : theirs; number, verdict : the words of the table; parts : what to make of it in plain words, in three parts,
    of which the second is the answer.
    """

    target: str
    indicator: str
    heading: str
    detail: str
    printed: str
    ours: str
    unit: str
    number: str
    verdict: str
    parts: tuple[str, str, str]

    @property
    def sentence(self) -> str:
        """The parts as one text."""
        return "".join(self.parts)


@dataclass(frozen=True)
class Answer:
    """The first screen: in short, its lines, in one line what cannot be run, the sentences that must stand beside them,
    and whether its data are made up."""

    lines: Sequence[Line]
    cannot_run: str
    beside: Sequence[str]
    is_synthetic: bool = False

    def ordered(self, families: Mapping[str, Facts]) -> dict[str, Facts]:
        """Families in the order of the answer, as everywhere: by the first line on an outcome, those without one last.
        """
        places = [line.indicator for line in self.lines]
        return dict(sorted(families.items(), key=lambda each: min(map(places.index, each[1].outcomes.keys() & places),
                                                                  default=len(places))))

    @property
    def groups(self) -> list[list[Line]]:
        """The lines, those on one outcome that follow each other together."""
        return [list(group) for _, group in itertools.groupby(self.lines, key=lambda line: line.indicator)]

    @property
    def texts(self) -> list[str]:
        """The lines as running text, for a terminal or a sheet: ``Delays (wave one): printed +40, ours +41 days. ...``.
        """
        said = [f"{line.heading}{f' ({line.detail})' if line.detail else ''}: "
                f"{f'printed {line.printed}, ' if line.printed else ''}ours {line.ours} {line.unit}. {line.sentence}"
                for line in self.lines]
        return [*filter(None, [MADE_UP if self.is_synthetic else "", self.short, *said, self.cannot_run]), *self.beside]

    @property
    def short(self) -> str:
        """How many of the printed numbers hold, and what "printed" and "ours" are; "" where nothing was printed, and of
        made-up data. ``None of the 5 printed numbers checked here is shown to be an effect. ...``"""
        printed = [line for line in self.lines if line.printed]
        if not printed or self.is_synthetic:
            return ""
        counts = Counter(line.verdict if line.verdict in COUNTED else "rest" for line in printed)
        found = [f"{_small(counts[verdict])} {words[counts[verdict] > 1]}" for verdict, words in
                 (COUNTED | {"rest": ("is not shown", "are not shown")}).items() if counts[verdict]]
        numbers = f"{_small(len(printed))} printed numbers" if len(printed) > 1 else "one printed number"
        counted = f"Of {numbers} checked here, {listed(found)}." if counts["rest"] < len(printed) else (
            f"None of the {numbers} checked here is shown to be an effect." if len(printed) > 1 else
            "The printed number checked here is not shown to be an effect.")
        return f"{counted} {PRINTED}"


@dataclass(frozen=True)
class Names:
    """What outcomes and doses are called.

    outcomes : indicator -> its title; families : indicator -> its family; units : indicator -> unit of its effect;
    headlines : indicators that families are answered by; dose : what one more unit of it is; areas : what units are
    called; sample : the sample that need not be named, with the names of the others.
    """

    outcomes: Mapping[str, str]
    families: Mapping[str, str]
    units: Mapping[str, str]
    headlines: Sequence[str]
    dose: str
    areas: str
    samples: Mapping[str, str]


def answer(verdicts: pd.DataFrame, evidence: pd.DataFrame, names: Names) -> Answer:
    """Return the first screen of an evaluation, from its ``verdicts`` and ``evidence`` tables. A line for each printed
    number that is estimated, those that the publication calls significant first, outcome by outcome; where no number
    was printed, for the headline of each family. Raises nothing."""
    printed = verdicts.loc[verdicts["published_value"].notna()]
    shown = printed.loc[printed["verdict"].ne("cannot_run")]
    if shown.empty:
        shown = verdicts.loc[verdicts["indicator"].isin(list(names.headlines)) & verdicts["verdict"].ne("cannot_run")]
        shown = shown.drop_duplicates("indicator")
    strength = shown["published_significance"].map({word: place for place, word in enumerate(STRENGTH)})
    family = shown["indicator"].map(names.families)
    order = pd.DataFrame({"family": strength.groupby(family).transform("min"),
                          "place": family.map(list(dict.fromkeys(family)).index)}, index=shown.index)
    shown = shown.loc[order.sort_values(["family", "place"], kind="stable").index]
    same = shown[["indicator", "verdict"]].eq(shown[["indicator", "verdict"]].shift()).all(axis=1)
    lines = [_line(row, evidence, names, again=again)
             for row, again in zip(shown.to_dict("records"), same, strict=True)]
    beside = [NOT_SHOWN] if shown["verdict"].isin(["not_shown", "not_shown_as_published"]).any() else []
    lost = _cannot_run(printed if len(printed) else verdicts, names)
    return Answer(lines, lost, beside, bool(len(verdicts) and verdicts["is_synthetic"].any()))


def _line(row: Mapping, evidence: pd.DataFrame, names: Names, *, again: bool) -> Line:
    detail = [f"for each {names.dose}" if row["treatment"] == "intensity" else "", names.samples.get(row["sample"], "")]
    return Line(row["target"], row["indicator"], names.outcomes[row["indicator"]], ", ".join(filter(None, detail)),
                _printed(row), number(row["estimate"], decimals_of(row), signed=True), names.units[row["indicator"]],
                row["number"], row["verdict"], sentence(row, evidence, names.areas, again=again))


def _printed(row: Mapping) -> str:
    value = row["published_value"]
    return number(value, short_decimals(value), signed=True) if pd.notna(value) else ""


def sentence(row: Mapping, evidence: pd.DataFrame, areas: str, *, again: bool = False) -> tuple[str, str, str]:
    """Return what to make of one row of the verdicts, in plain words and three parts, of which the second is the
    answer. ``evidence`` has its steps, ``areas`` is what units are called; ``again``: the line above on the same
    outcome has the same verdict."""
    steps = mappings(having(evidence[["target", "step", "answer", "reason"]], target=row["target"]))
    buts = _checks(row, steps)
    clusters = areas if row["cluster"] in ("", "unit") else f"{row['cluster']}s"
    n = row["n_treated_clusters"] if clusters != areas else row["n_treated"]
    only = "only " if pd.notna(n) and n < len(SMALL) else ""
    apart = f"with {only}{_small(n)} {clusters if n != 1 else singular(clusters)}" if pd.notna(n) else "here"
    template = (AGAIN if again and row["verdict"] in AGAIN else CLAIM)[row["verdict"]]
    before, middle, after = (part.format(apart=apart, but=" and ".join(buts[:2]) or "a check says no",
                                         and_but=f", and {buts[0]}" if buts else "") for part in template)
    first = NUMBER[row["number"]]
    if row["number"] == "differs":
        why = next((step["reason"] for step in steps if step["step"] == 1), "")
        if row["published_value"] * row["estimate"] < 0:
            first = OPPOSITE[row["estimate"] > 0]
        if row["not_comparable"]:
            first = f"{first[:-1]}; {row['not_comparable']}."
        first = SAME_BUT.get(why, first)
    return f"{first} {before}".lstrip(), middle, after


def _checks(row: Mapping, steps: Sequence[Mapping]) -> list[str]:
    """What the checks that say no found: first the system that the answer hangs on, then trends, dates and choices."""
    found = []
    failed = sorted((step["step"], step["reason"]) for step in steps if step["answer"] == "no" and step["step"] > 2)
    if row["rests_on"] and any(step == 5 for step, _ in failed):
        without = number(row["rests_on_estimate"], decimals_of(row), signed=True)
        found.append(CHECKS["rests_on"].format(rests_on=row["rests_on_called"] or row["rests_on"], without=without))
    for step, reason in failed:
        if reason in CHECKS and not (step == 5 and found and reason == "intervals_change"):
            found.append(CHECKS[reason])
    return found


def _cannot_run(rows: pd.DataFrame, names: Names) -> str:
    """One line for everything that cannot be run, with the first reason."""
    lost = rows.loc[rows["verdict"].eq("cannot_run")]
    if lost.empty:
        return ""
    labels = []
    for row in lost.to_dict("records"):
        printed = f"{_printed(row)} {names.units.get(row['indicator'], '')}".strip() if _printed(row) else ""
        label = names.outcomes.get(row["indicator"], row["indicator"])
        labels.append(f"{label} (printed {printed})" if printed else label)
    why = NOT_RUN.get(lost["reason"].iloc[0], "it cannot be judged")
    return f"Not run, as {why}: {listed(dict.fromkeys(labels), at_most=3)}."


def decimals_of(row: Mapping) -> int:
    """No more than the printed number has, and one where both would look the same though they are not; of a number that
    nothing was printed about by its interval."""
    if pd.isna(row["published_value"]):
        half = (row["ci_high"] - row["ci_low"]) / 4
        return max(decimals_for(half) - 1, 0) if pd.notna(half) else 1
    decimals = short_decimals(row["published_value"])
    same = f"{row['estimate']:.{decimals}f}" == f"{row['published_value']:.{decimals}f}"
    return decimals if same or decimals or row["number"] in ("exact", "close") else decimals + 1


def margin_decimals(row: Mapping) -> int:
    """As many decimals as `decimals_of`, and no fewer than a tenth of the interval's width needs."""
    width = row["ci_high"] - row["ci_low"]
    if not width > 0:
        return decimals_of(row)
    return max(decimals_of(row), min(6, -math.floor(math.log10(width / 10))))


def _small(n: int) -> str:
    return SMALL[int(n)] if int(n) < len(SMALL) else str(int(n))
