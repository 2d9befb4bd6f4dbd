"""Which errors, intervals and p-values `did estimate` gives for each estimator and cluster level, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Panel
from did.inference.clustered import summarise
from did.inference.few_clusters import counts, headline, is_few, measured
from did.inference.methods import COLUMNS, METHODS, Question, available, infer
from did.inference.multiplier import add_bands
from did.inference.two_way import summarise_two_way

HEADLINE = "headline"
# Draws of placebo assignments that --calibrate makes of each scheme.
CALIBRATION_DRAWS = 999
_KEY = ["estimator", "estimand", "cohort", "period", "event_time", "cluster"]


@dataclasses.dataclass(frozen=True)
class Inference:
    """What was asked for on the command line.

    levels      cluster columns to show, two joined by a comma for two-way clusters; none = units
    methods     names of methods, ``headline`` for the rule; none = clustered, or the rule where clusters are few
    confidence  share that intervals cover
    calibrate   whether to measure coverage on the panel
    bands       whether bands are wanted; draws and seed of bands, bootstrap and randomisation (None = their own)
    """

    levels: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    confidence: float = 0.95
    calibrate: bool = False
    bands: bool = False
    draws: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("draws", 1), ("seed", 0)):
            value: Any = getattr(self, name)
            is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if value is not None and not (is_whole and value >= least):
                raise DidError(f"--{name}: expected a whole number from {least} on; found {value!r}; write one")
        share: Any = self.confidence
        if not isinstance(share, int | float | np.floating) or not 0 < share < 1:
            raise DidError(f"--confidence: expected a share between 0 and 1, such as 0.9; found {share!r}; name "
                           "another")

    def check(self, estimators: Sequence[str]) -> Inference:
        """Return it if it can be used with ``estimators``; DidError, beginning with the option, if not."""
        for method in self.methods:
            one_of("--inference", method, [HEADLINE, *METHODS])
            if method != HEADLINE and not any(method in available(name) for name in estimators):
                known = list(dict.fromkeys(word for name in estimators for word in available(name)))
                raise DidError(f"--inference {method}: expected a method for {', '.join(estimators)}: "
                               f"{', '.join(known)}; found {method}; choose one of these")
        if (self.draws is not None or self.seed is not None) and not (self.bands or self.methods or self.calibrate):
            word = "draws" if self.draws is not None else "seed"
            raise DidError(f"--{word}: expected --bands or --inference with it, which it is for; found none; add "
                           f"--bands or --inference, or leave out --{word}")
        return self

    @property
    def seed_or_own(self) -> dict[str, int]:
        """The seed as a keyword argument, if one was given."""
        return {} if self.seed is None else {"seed": self.seed}


@dataclasses.dataclass(frozen=True)
class Judged:
    """The rows of one estimator: ``table`` every row, ``shown`` those of the screen, ``lines`` a sentence per level on
    why this inference, ``notes`` for the end of the screen, ``calibration`` what was measured (None = nothing)."""

    table: pd.DataFrame
    shown: pd.DataFrame
    lines: list[str]
    notes: list[str]
    calibration: pd.DataFrame | None


def two_way(level: str, panel: Panel) -> tuple[str, ...]:
    """Return the two levels of a level such as ``a,b``; empty if it is one level of the panel."""
    return () if level in panel.clusters else tuple(level.split(","))


def judge(question: Question, asked: Inference, levels: Sequence[str]) -> Judged:
    """Return the estimates of a question by every method asked for, at every level of the panel and of ``levels``.

    ``levels`` are those of the screen. Clustered rows of every level are always in the table. Raises DidError for
    whatever a method raises, and two-way levels with a method other than clustered.
    """
    panel = question.panel
    clustered = [infer("clustered", question.at(level)) for level in panel.clusters]
    if asked.bands:
        clustered = _with_bands(clustered, question, asked)
    two_ways = {level: two_way(level, panel) for level in levels if two_way(level, panel)}
    clustered += [_two_way(question, pair) for pair in two_ways.values()]
    parts, shown, lines = list(clustered), [], []
    notes: list[str] = []
    measurements: list[pd.DataFrame] = []
    by_level = {frame["cluster"].iloc[0]: frame for frame in clustered}
    for level in levels:
        if level in two_ways:
            shown.append(by_level[level])
            other = [method for method in asked.methods if method != "clustered"]
            if other:
                raise DidError(f"--inference {other[0]}: expected one cluster level; found --cluster {level}, two "
                               "ways, which have clustered errors only; name each level in an option of its own")
            continue
        own = question.at(level)
        calibration = measured(own, CALIBRATION_DRAWS) if asked.calibrate else None
        measurements += [] if calibration is None else [calibration]
        for method in _methods(own, asked, notes):
            if method == HEADLINE:
                found = headline(own, calibration)
                lines.append(found.sentence)
                rows = found.rows
            else:
                rows = by_level[level] if method == "clustered" else infer(method, own)
            if calibration is not None and method != HEADLINE:
                rows = rows.assign(measured_coverage=_coverage(calibration, method))
            shown.append(rows)
            parts += [] if method == "clustered" else [rows]
        if "clustered" in asked.methods or asked.bands and not asked.methods:
            notes += too_small(*counts(own), level)
    table = pd.concat(parts, ignore_index=True)
    if asked.calibrate and not measurements:
        notes.append(f"--calibrate measures estimators of one effect; {question.estimator} is none")
    table = table.drop_duplicates([*_KEY, "inference"])[COLUMNS]
    return Judged(table, pd.concat(shown, ignore_index=True), lines, notes,
                  pd.concat(measurements, ignore_index=True) if measurements else None)


def _methods(question: Question, asked: Inference, notes: list[str]) -> list[str]:
    """The methods of one estimator and level; a note where one that was asked for is for other estimators."""
    if asked.bands and not asked.methods:
        return ["clustered"]   # bands are multiples of clustered errors
    default = [HEADLINE] if is_few(*counts(question)) else ["clustered"]
    if not asked.methods:
        return default
    serving = [method for method in asked.methods if method == HEADLINE or method in available(question.estimator)]
    for method in asked.methods:
        if method not in serving:
            notes.append(f"--inference {method} is not for {question.estimator}, which takes "
                         f"{', '.join(available(question.estimator))}")
    return serving or default


def _two_way(question: Question, pair: tuple[str, ...]) -> pd.DataFrame:
    frames = [summarise_two_way(result, question.panel, pair, question.confidence) for result in question.results]
    rows = pd.concat(frames, ignore_index=True)
    shape = rows["std_error"].notna().map({True: "interval", False: ""})
    return rows.assign(inference="clustered", interval_shape=shape,
                       measured_coverage=float("nan"))


def _with_bands(frames: Sequence[pd.DataFrame], question: Question, asked: Inference) -> list[pd.DataFrame]:
    """Clustered rows, a frame for each level, with bands over all effects of an estimand."""
    panel = question.panel
    settings: dict[str, Any] = ({} if asked.draws is None else {"draws": asked.draws}) | asked.seed_or_own
    banded = pd.concat([add_bands(summarise(result, panel, asked.confidence), result, panel, level=asked.confidence,
                                  **settings) for result in question.results], ignore_index=True)
    return [frame.assign(**{end: banded.loc[banded["cluster"] == frame["cluster"].iloc[0], end].to_numpy()
                            for end in ("band_low", "band_high")}) for frame in frames]


def too_small(n_treated: int, n_clusters: int, level: str) -> list[str]:
    """Return a line on clustered errors where clusters are few, else none; raises nothing."""
    if not is_few(n_treated, n_clusters):
        return []
    return [f"few clusters ({n_treated} treated of {n_clusters} by {level}): clustered errors, intervals and p-values "
            "may be too small; docs/inference.md says which tests to rely on"]


def _coverage(calibration: pd.DataFrame, method: str) -> float:
    done = calibration.loc[calibration["status"].eq("done") & calibration["method"].eq(method)]
    return float(1 - done["rejected"].sum() / done["n_draws"].sum()) if len(done) else float("nan")
