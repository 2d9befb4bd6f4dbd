"""What is asked of an estimator: its options as the command line and Python name them, and what is made of its
result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from did.api.judged import Inference
from did.errors import DidError, one_of
from did.estimators import entries, entry, estimate, names
from did.estimators.base import Panel, Result
from did.estimators.registry import COHORT_PERIOD
from did.inference.methods import Question
from did.report.content.notes import said

GROUP_TIME_KIND = "group_time"
# What an aggregation is called by the estimators that make it: of group-time effects, and of imputed ones.
AGGREGATIONS = {"simple": "overall", "event_time": "event_time", "cohort": "cohort", "calendar": "calendar",
                GROUP_TIME_KIND: None}
# The averages that can be balanced.
BALANCED = ("event_time",)
WINDOW = ("min_event_time", "max_event_time", "balance_event_time")


@dataclasses.dataclass(frozen=True)
class Averages:
    """Makes of group-time effects what was asked for: ``kinds`` of averages over the event times of ``window``."""

    kinds: tuple[str, ...]
    window: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __call__(self, result: Result, panel: Panel) -> list[Result]:
        from did.estimators.aggregation import aggregate

        return [result if kind == GROUP_TIME_KIND else aggregate(result, panel, kind, **self.window)
                for kind in self.kinds]


@dataclasses.dataclass(frozen=True)
class Only:
    """Keeps the effects of one estimand."""

    estimand: str

    def __call__(self, result: Result, panel: Panel) -> list[Result]:
        return [result.only(self.estimand)]


def question_of(name: str, panel: Panel, keywords: Mapping[str, object], taken: Mapping[str, Any],
                asked: Inference) -> Question:
    """What is asked of an estimator: its result, of group-time effects the averages too."""
    finish = None
    if entry(name).kind == COHORT_PERIOD:
        finish = Averages(tuple(averages_of(taken)), {option: taken[option] for option in WINDOW if option in taken})
    question = Question(panel, name, options=keywords, confidence=asked.confidence, draws=asked.draws, finish=finish)
    return question if asked.seed is None else dataclasses.replace(question, seed=asked.seed)


def tests_of(question: Question, taken: Mapping[str, object]) -> list[str]:
    """Notes on group-time effects: their pre-test in words, and what --balance leaves."""
    if entry(question.estimator).kind != COHORT_PERIOD:
        return []
    from did.diagnostics.group_time_pretest import pretest

    result = estimate(question.estimator, question.panel, **question.options)
    before = "before treatment"
    if result.anticipation:
        before = f"more than {result.anticipation} period{'s' * (result.anticipation > 1)} before treatment"
    notes = [_tested(question.estimator, row, before) for row in pretest(result, question.panel).itertuples()]
    if "balance_event_time" in taken and "aggregation" not in taken:
        notes.append("--balance is for the average by event time, which is the only one given")
    return notes


def averages_of(given: Mapping[str, Any]) -> Sequence[str]:
    """What is made of group-time effects: what was asked for, else all that the other options reach."""
    if "aggregation" in given:
        return list(given["aggregation"])
    reached = BALANCED if "balance_event_time" in given else (kind for kind in AGGREGATIONS if kind != GROUP_TIME_KIND)
    return [GROUP_TIME_KIND, *reached]


def _tested(name: str, row: Any, before: str) -> str:
    what = f"{name}: pre-test that every effect {before} is zero, {row.cluster} clusters"
    if row.status == "skipped":
        return f"{what}: skipped, {row.reason}"
    p_value = f"p {row.p_value:.3f}" if row.p_value >= 0.001 else "p below 0.001"
    return f"{what}: chi-square {row.statistic:.2f}, df {row.df:.0f}, {p_value} ({said(row._asdict())})"


def takes(name: str, option: str) -> bool:
    """Whether an estimator, or the averages after it, has a use for an option."""
    return entry(name).option(option) is not None


def takers(names: Sequence[str], option: str) -> list[str]:
    return [name for name in names if takes(name, option)]


def flag(option: str) -> str:
    """The words of an option on the command line."""
    known = (each.option(option) for each in entries().values())
    return next((found.on_command_line for found in known if found), option.replace("_", "-"))


def keywords_of(name: str, taken: Mapping[str, Any]) -> dict[str, object]:
    """The options an estimator takes, as its own keyword arguments."""
    known = entry(name)
    for word in taken.get("aggregation", ()):
        one_of("--aggregation", word, AGGREGATIONS)
    options = {option: known.option(option) for option in taken}
    keywords = {found.of_fit: taken[option] for option, found in options.items() if found and found.of_fit}
    if "estimands" in keywords:
        keywords["estimands"] = [AGGREGATIONS[word] for word in keywords["estimands"]]
        if None in keywords["estimands"]:
            only = " or ".join(names(kind=COHORT_PERIOD))
            raise DidError(f"--aggregation: expected group_time with {only} only; found {name}; leave out one of "
                           "the two")
    # Covariates that the panel carries enter by a method.
    if "covariates" in taken and "covariates" not in keywords and known.option("method"):
        keywords.setdefault("method", "dr")
    return keywords


def settings_of(name: str, keywords: Mapping[str, object], taken: Mapping[str, object]) -> str:
    """What an estimator is fitted with, its defaults among it, such as `lags all`, and over which event times its
    effects are averaged."""
    used = {option: keywords.get(option, default) for option, default in entry(name).parameters.items()}
    lists = {option: " and ".join(map(str, value)) for option, value in used.items() if isinstance(value, list)}
    words = [f"{option} {lists.get(option, value)}" for option, value in used.items()
             if isinstance(value, str | int | list) and value is not False]
    if entry(name).kind == COHORT_PERIOD:
        words += [f"{flag(option).replace('-', '_')} {taken[option]}" for option in WINDOW if option in taken]
    return f" ({', '.join(words)})" if words else ""
