"""Everything that is asked of one panel's effect, without a workflow: by every estimator, with every check."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from did.api.bench import workbench
from did.api.comparison import Comparison, compared
from did.api.errors import OptionError, raising
from did.api.evidence_sentences import sentences
from did.api.findings import Findings, bounds, diagnosed
from did.api.fit import Fit
from did.api.fitting import fitted
from did.api.ladder import Ladder, climbed
from did.api.panel import Panel, a_panel
from did.api.wald import Wald
from did.diagnostics.detrended import detrended_rows, long_base_rows
from did.errors import DidError, one_of
from did.estimators import entry
from did.estimators import names as names_of
from did.estimators.base import PERIODS_PER_YEAR
from did.estimators.registry import LAGS, NEIGHBOURS, TWO_WAY
from did.inference.few_clusters import measured
from did.report.workbench.model import Workbench

# The estimator that leads where units are treated from several dates, and its path of effects.
OWN_DATES = "callaway_santanna"
NO_NEIGHBOURS = "which units border each other is not known (did.Panel has neighbours, did estimate --neighbours)"
# Bins of event time that long panels are cut into, for tests and bounds.
MOST_BINS = 12
# Clusters up to which each is left out in turn.
MOST_LEFT_OUT = 60


@dataclasses.dataclass(frozen=True, repr=False)
class Evidence:
    """What `did.evidence` found: the effect that leads, and each check of it.

    Attributes
    ----------
    panel
        The `did.Panel`.
    headline
        The leading `Fit`, one effect with the inference of the default rule.
    comparison
        The one effect of every estimator that applies.
    paths
        Fits by event time, by estimator.
    tests
        Joint tests that effects before treatment are zero, by estimator.
    findings
        Checks by name: bounds, placebo_in_time, leave_one_out, detrended, own_dates, decompose, calibration; those
        that apply.
    skipped
        Name of a check -> why it does not apply.
    published
        The number to compare with and the estimator it is of, as given; None if there is none.

    Examples
    --------
    >>> import did
    >>> few = did.example().query("network in ('N1', 'N2', 'N6', 'N7') and year < 2018")
    >>> found = did.evidence(did.Panel(few, outcome="visits", unit="clinic", period="year", cohort="first_year"))
    >>> found.headline.estimator
    'did'
    """

    panel: Panel
    headline: Fit
    comparison: Comparison
    paths: dict[str, Fit]
    tests: dict[str, Wald]
    findings: dict[str, Findings]
    skipped: dict[str, str]
    published: tuple[str, str] | None = None

    @property
    def judged(self) -> dict[str, Fit]:
        """The fits that the questions are asked of, by estimator: the leading one, and that of the printed number."""
        found = {self.headline.estimator: self.headline}
        if self.published and self.published[1] in self.comparison.fits:
            found.setdefault(self.published[1], self.comparison.fits[self.published[1]])
        return found

    @cached_property
    def ladder(self) -> Ladder:
        """The answers to the questions of docs/evidence.md, and the verdicts, as tables of a run."""
        return climbed(self)

    @cached_property
    def workbench(self) -> Workbench:
        """Every estimate that was made, by estimator, method of inference and cluster left out."""
        return workbench(self)

    def sentences(self) -> list[str]:
        """Return what was found in plain sentences, the leading effect first."""
        return sentences(self)

    def summary(self) -> str:
        """Return the sentences as text."""
        return "\n".join(self.sentences())

    def to_frame(self) -> pd.DataFrame:
        """Return the one effect of every estimator, `Comparison.to_frame`."""
        return self.comparison.to_frame()

    def report(self, path: str | Path) -> Path:
        """Write everything as one HTML page that opens without a network, and return its path.

        Raises OSError where the file cannot be written.
        """
        from did.api.page import write

        return write(self, Path(path))

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return (f"<did.Evidence on {self.panel.outcome}: {len(self.comparison.fits)} estimators, {len(self.findings)} "
                "checks>")


def evidence(panel: Panel, estimator: str | None = None, *, published: float | str | None = None,
             published_estimator: str = TWO_WAY, tell: Callable[[str], object] | None = None) -> Evidence:
    """Return the effect on a panel with what is asked of it: other estimators, trends, placebos, bounds, leave-outs.

    ``estimator`` leads; by default two-way fixed effects where all are treated from one date, else Callaway and
    Sant'Anna's average (two-way with doses). ``published`` is a printed number to compare with, with its digits
    ("0.60") where they matter, by ``published_estimator``. ``tell`` is called with the name of each part before it is
    made, to show how far it is. What does not apply is in ``skipped`` with its reason.

    Raises did.OptionError for an estimator that is unknown or has no one effect, and a number that is none;
    did.EstimationError where the leading estimator cannot be fitted.

    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year",
    ...                   cluster="network")
    >>> found = did.evidence(panel)
    >>> found.headline.estimator, sorted(found.findings)
    ('callaway_santanna', ['calibration', 'decompose', 'detrended', 'leave_one_out', 'own_dates', 'placebo_in_time'])
    """
    a_panel(panel, "evidence")
    tell = tell or (lambda part: None)
    chosen = estimator or _leading(panel)
    with raising(OptionError):
        one_of("evidence: estimator with one effect", chosen, names_of(overall=True))
        one_of("evidence: published_estimator", published_estimator, names_of(overall=True))
    printed = None if published is None else (str(published).strip(), published_estimator)
    if printed and not re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", printed[0]):
        raise OptionError("evidence: published: expected a number as it was printed, such as 0.60; found "
                          f"'{printed[0]}'; write one")
    tell(f"effect by {chosen}")
    headline = fitted(chosen, panel, {"lags": "all"} if LAGS in entry(chosen).needs else {}).aggregate("simple")
    headline.rows  # noqa: B018  (what cannot be estimated is said before anything else is tried)
    comparison = compared(panel, [headline if name == chosen else name for name in names_of(overall=True)],
                          lambda name: tell(f"effect by {name}"))
    for name, fit in comparison.fits.items():
        tell(f"interval by {name}")
        fit.rows  # noqa: B018
    found: dict[str, Findings] = {}
    skipped: dict[str, str] = {name: NO_NEIGHBOURS if NEIGHBOURS in entry(name).needs and not panel.data.neighbours
                               else reason for name, reason in comparison.skipped.items()}
    paths: dict[str, Fit] = {}
    for what, (name, options) in _paths(panel).items():
        tell(f"effects by event time: {what}")
        try:
            fit = fitted(name, panel, options).aggregate("event_time")
            fit.rows  # noqa: B018
            paths[what] = fit
        except DidError as error:
            skipped[f"{what} by event time"] = str(error)
    leading = [name for name in dict.fromkeys([chosen, published_estimator if printed else chosen])
               if name in comparison.fits]
    for name, find in _checks(panel, headline, leading, paths):
        tell(name.replace("_", " "))
        try:
            found[name] = find()
        except DidError as error:
            skipped[name] = str(error)
    made = Evidence(panel, headline, comparison, paths, _tests(paths, skipped), found, skipped, printed)
    tell("every choice")
    made.workbench  # noqa: B018
    return made


def n_parts(panel: Panel) -> int:
    """How many parts `evidence` tells of, at most."""
    return 2 + 2 * len(names_of(overall=True)) + len(_paths(panel)) + len(CHECKS)


def _leading(panel: Panel) -> str:
    data = panel.data
    several = len(np.unique(data.treated_from[~data.never_treated & ~data.always_treated])) > 1
    return OWN_DATES if several and data.treatment == "binary" else TWO_WAY


def _paths(panel: Panel) -> dict[str, tuple[str, dict[str, object]]]:
    """The estimators of effects by event time, with their options, by what they are called here."""
    found: dict[str, tuple[str, dict[str, object]]] = {
        OWN_DATES: (OWN_DATES, {"base_period": "universal"}), "event_study": ("event_study", {})}
    width = max(PERIODS_PER_YEAR[panel.data.frequency], -(-panel.data.n_periods // MOST_BINS))
    if panel.data.n_periods > 2 * MOST_BINS:   # more effects than tests and bounds can hold
        found[f"event_study in bins of {width}"] = ("event_study", {"bin_width": width})
    return found


CHECKS = ("calibration", "placebo_in_time", "leave_one_out", "detrended", "own_dates", "bounds", "decompose")


def _checks(panel: Panel, headline: Fit, leading: Sequence[str], paths: dict[str, Fit]
            ) -> Iterator[tuple[str, Callable[[], Findings]]]:
    """Each of `CHECKS` with its name, made when it is called; ``leading`` are the estimators that are judged."""
    every = max(panel.data.n_periods // 24, 1)
    yield "calibration", lambda: _calibration(panel, headline)
    yield "placebo_in_time", lambda: _of_each(leading, lambda name: diagnosed(
        "placebo_in_time", panel, estimator=name, every=every))
    yield "leave_one_out", lambda: _of_each(leading, lambda name: _left_out(panel, headline, name))
    yield "detrended", lambda: _rows("Estimates with each unit's own line before treatment taken out",
                                     detrended_rows(panel.data))
    yield "own_dates", lambda: _rows("Estimates with each cohort from its own date, by bases of more than one period",
                                     long_base_rows(panel.data))
    yield "bounds", lambda: _bounds(headline, paths)
    yield "decompose", lambda: diagnosed("decompose", panel)


def _of_each(names: Sequence[str], find: Callable[[str], Findings]) -> Findings:
    """What a check finds for several estimators, as one."""
    found = [find(name) for name in names]
    return dataclasses.replace(found[0], frame=pd.concat([each.frame for each in found], ignore_index=True))


def _rows(title: str, rows: pd.DataFrame) -> Findings:
    """Rows of the diagnostics table as a check. Raises DidError with the reason where none could be made."""
    if not rows["status"].eq("done").any():
        raise DidError("; ".join(dict.fromkeys(rows["reason"])))
    return Findings(title, rows, (), "", ("estimator", "cluster", "value", "std_error", "ci_low", "ci_high", "p_value"))


def _calibration(panel: Panel, headline: Fit) -> Findings:
    fit = headline if headline.estimator == TWO_WAY else fitted(
        TWO_WAY, panel, {"covariates": []} if panel.columns.covariates else {})
    n_clusters = len(set(fit.question.panel.clusters[fit.question.level]))
    if n_clusters > 120:
        raise DidError(f"{n_clusters} clusters are more than the 120 measured here; did estimate --calibrate measures "
                       "them")
    rows = measured(fit.question)
    if rows is None or not rows["status"].eq("done").any():
        raise DidError("; ".join(dict.fromkeys([] if rows is None else rows["reason"])) or "it could not be measured")
    return Findings(f"How often 95% intervals of two-way fixed effects hold a true zero, by {fit.question.level}",
                    rows, (), "", ("scheme", "method", "coverage", "simulation_error", "mean_width", "n_draws"))


def _left_out(panel: Panel, headline: Fit, name: str) -> Findings:
    level = headline.question.level
    n_clusters = len(set(panel.data.clusters[level]))
    if n_clusters > MOST_LEFT_OUT:
        raise DidError(f"{n_clusters} clusters by {level} are more than the {MOST_LEFT_OUT} left out in turn")
    return diagnosed("leave_one_out", panel, estimator=name, level=level)


def _bounds(headline: Fit, paths: dict[str, Fit]) -> Findings:
    reason = "no effects by event time"
    for what, fit in paths.items():
        if what == OWN_DATES and headline.estimator != OWN_DATES:
            continue
        found = bounds(fit.question)
        if not found.frame["status"].eq("skipped").all():
            return dataclasses.replace(found, of=what)
        reason = found.notes[0]
    raise DidError(reason)


def _tests(paths: dict[str, Fit], skipped: dict[str, str]) -> dict[str, Wald]:
    """The joint test that effects before treatment are zero, by estimator; those that cannot be made are skipped."""
    found = {}
    for name, fit in paths.items():
        try:
            found[name] = fit.wald("before")
        except DidError as error:
            skipped[f"test of differences before treatment by {name}"] = str(error)
    return found
