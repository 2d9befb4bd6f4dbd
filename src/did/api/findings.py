"""Checks of a fit or a panel as one kind of object: a table with a title, notes and a picture."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from did.api.errors import EstimationError, InferenceError, OptionError, raising
from did.api.panel import Panel, a_panel
from did.errors import one_of
from did.words import markdown_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from did.api.fit import Fit
    from did.inference.methods import Question


@dataclasses.dataclass(frozen=True, repr=False)
class Findings:
    """What a check found.

    Attributes
    ----------
    title
        What was asked.
    frame
        The numbers, a row each; its columns and units are those of the function behind it.
    notes
        Remarks, a sentence each.
    drawn
        Name of the picture in `did.api.plots`; "" if there is none.
    shown
        Columns of `summary` and of tables in pages; none = all.
    of
        The estimator that it is about; "" if it is about a panel.

    Examples
    --------
    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> pairs = did.decompose(panel)
    >>> round(float(pairs.to_frame()["weight"].sum()), 6)
    1.0
    """

    title: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    drawn: str = ""
    shown: tuple[str, ...] = ()
    of: str = ""

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers as a data frame of its own."""
        return self.frame.copy()

    def summary(self) -> str:
        """Return the table as text, with its notes."""
        rows = self._rows
        table = rows.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.4g}") if len(rows) else (
            "nothing could be found")
        return "\n".join([self.title, "", table, *(["", *(f"note: {note}" for note in self.notes)] if self.notes
                                                   else [])])

    def to_markdown(self) -> str:
        """Return the table in Markdown."""
        return markdown_table(_rounded(self._rows))

    @property
    def _rows(self) -> pd.DataFrame:
        """The rows with numbers, and the columns, that are shown."""
        rows = self.frame.loc[self.frame["status"].ne("skipped")] if "status" in self.frame else self.frame
        return rows[list(self.shown)] if self.shown else rows

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what was found and return the axes. Raises did.OptionError where there is no picture of it."""
        if not self.drawn:
            raise OptionError(f"plot: expected a check with a picture; found {self.title}; see its to_frame()")
        draw: Callable[[Findings, Axes | None], Axes] = getattr(importlib.import_module("did.api.plots"), self.drawn)
        return draw(self, ax)

    def _repr_html_(self) -> str:
        from html import escape

        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<p><strong>{escape(self.title)}</strong></p>{_rounded(self._rows).to_html(index=False)}{notes}"

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<did.Findings {self.title}: {len(self.frame)} rows>"


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    def said(value: Any) -> Any:
        if isinstance(value, float):
            return "" if pd.isna(value) else f"{value:.4g}"
        return "" if value is None or value is pd.NA else value

    return frame.map(said)


def bounds(question: Question, targets: Sequence[str] = ("first", "average"),
           m_bars: Sequence[float] = (0.0, 0.5, 1.0, 2.0), m_units: Sequence[float] = (0.0, 0.5, 1.0)) -> Findings:
    """Return the bounds on a path of effects, at the question's level; see `Fit.bounds`."""
    from did.diagnostics.sensitivity import sensitivity_rows
    from did.estimators import entry, estimate
    from did.estimators.aggregation import aggregate
    from did.estimators.registry import COHORT_PERIOD

    name = question.estimator
    title = f"Bounds on the effects of {name} if trends were not parallel"
    if entry(name).kind == COHORT_PERIOD:
        with raising(EstimationError):
            options = dict(question.options)
            if options.get("base_period") != "universal":
                options["base_period"] = "universal"
                title += " (estimated again with base_period universal)"
            result = aggregate(estimate(name, question.panel, **options), question.panel, "event_time")
    else:
        paths = [result for result in question.results if result.parameters["event_time"].notna().any()]
        if not paths:
            raise InferenceError(f"bounds: expected effects by event time; found {name}, which has none; take "
                                 "event_study or callaway_santanna")
        result = paths[0]
    with raising(InferenceError):
        rows = sensitivity_rows(result, question.panel, question.level, targets=targets, m_bars=m_bars, m_units=m_units,
                                confidence=question.confidence)
    skipped = rows.loc[rows["status"].eq("skipped")]
    notes = [f"skipped: {', '.join(dict.fromkeys(own['method'].str.replace('_', ' ')))} ({reason})"
             for reason, own in skipped.groupby("reason", sort=False)]
    done = rows.loc[rows["status"].eq("done"), "reason"]
    remarks = list(dict.fromkeys(part for reason in done for part in reason.split("; ")))
    of_unit = [part for part in remarks if part.startswith("M is ")]
    notes += [part for part in remarks if part not in of_unit[:-1]]
    return Findings(title, rows, tuple(notes), "bounds",
                    ("method", "target", "m", "estimate", "ci_low", "ci_high", "breakdown"), name)


def calibrate(fit: Fit) -> Findings:
    """Return the measured coverage of every method; see `Fit.calibrate`."""
    from did.inference.few_clusters import measured

    with raising(InferenceError):
        rows = measured(fit.question)
    if rows is None:
        raise InferenceError(f"calibrate: expected did or ldv without covariates; found {fit.estimator}; measure one "
                             "of these")
    skipped = rows.loc[rows["status"].eq("skipped")].drop_duplicates("scheme")
    return Findings(f"How often {100 * fit.asked.confidence:g}% intervals of {fit.estimator} hold a true zero, by "
                    f"{fit.question.level}", rows,
                    tuple(f"{row.scheme}: not measured, {row.reason}" for row in skipped.itertuples()))


# Diagnostics of a panel ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """A check of a panel, as the public face has it.

    name   of the function in `did`
    title  of what it finds
    find   from a did.Panel and options to the rows; its docstring is that of the function
    drawn  name of its picture in `did.api.plots`, or ""
    shown  columns of its table; none = all
    """

    name: str
    title: str
    find: Callable[..., pd.DataFrame]
    drawn: str = ""
    shown: tuple[str, ...] = ()


def _decompose(panel: Panel) -> pd.DataFrame:
    """Return the comparisons of two cohorts behind the two-way estimate (Goodman-Bacon 2021).

    The frame has a row for each pair: treated_cohort, control_cohort (missing if never treated), type, estimate in
    units of the outcome, weight (0 to 1, summing to 1), n_treated and n_control. The sum of weight x estimate is the
    estimate of ``did.did``. Source: Journal of Econometrics 225:254-277, theorem 1.

    Raises did.InferenceError for doses other than 1, an outcome that is missing (the theorem is for balanced panels)
    and weights that change over time.

    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> pairs = did.decompose(panel).to_frame()
    >>> bool(abs((pairs["weight"] * pairs["estimate"]).sum() - did.did(panel).params["overall"]) < 1e-9)
    True
    """
    from did.estimators.decomposition import decompose as pairs_of

    pairs = pairs_of(panel.data)
    return pairs.assign(**{column: pd.Series([panel.period_of(label) for label in pairs[column]], dtype=object)
                           for column in ("treated_cohort", "control_cohort")})


def _placebo_in_time(panel: Panel, estimator: str = "did", every: int = 1) -> pd.DataFrame:
    """Return estimates with the onset moved to every earlier period, data from the true onset on left out.

    ``estimator`` is one with one effect; ``every`` tries every so many periods. The frame's columns are those of
    `did.diagnostics.placebo_in_time.placebo_in_time`, estimates in units of the outcome; what cannot be tried is
    skipped with its reason.

    Raises did.InferenceError for an estimator without one effect.

    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> did.placebo_in_time(panel).to_frame()["status"].unique().tolist()
    ['done']
    """
    from did.diagnostics.placebo_in_time import placebo_in_time

    return _told(placebo_in_time(panel.data, [estimator], {}, every))


def _leave_one_out(panel: Panel, estimator: str = "did", level: str | None = None) -> pd.DataFrame:
    """Return the estimate without each cluster in turn, in units of the outcome.

    ``estimator`` is one with one effect, ``level`` a cluster level of the panel, by default its first. The frame's
    columns are those of the diagnostics table; a cluster without which nothing can be estimated is skipped with its
    reason.

    Raises did.InferenceError for an estimator without one effect or a level that is not there.

    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year",
    ...                   cluster="network")
    >>> len(did.leave_one_out(panel).to_frame())
    9
    """
    from did.diagnostics.alternatives import without_each_cluster
    from did.diagnostics.estimate_rows import estimate_rows

    level = level or panel.levels[0]
    one_of("leave_one_out: cluster level", level, panel.data.clusters)
    changed = without_each_cluster(panel.data, level, {})
    rows = estimate_rows("leave_one_out", changed, original=panel.data, estimators=[estimator], options={})
    return _told(rows.loc[rows["cluster"].eq(level)])


def _told(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the diagnostics table, with what they changed in words, in the column item."""
    from did.report.content.notes import change, said

    rows = rows.reset_index(drop=True)
    records = rows.to_dict("records")
    return rows.assign(item=[change(row) for row in records], reason=[said(row) for row in records])


DIAGNOSTICS = {each.name: each for each in (
    Diagnostic("decompose", "What the two-way estimate is made of", _decompose, "decomposition"),
    Diagnostic("placebo_in_time", "Estimates with the onset moved to earlier periods", _placebo_in_time, "",
               ("item", "diagnostic", "value", "statistic", "n_tried", "n_treated")),
    Diagnostic("leave_one_out", "Estimates without each cluster", _leave_one_out, "",
               ("item", "value", "std_error", "ci_low", "ci_high", "p_value", "n_units", "n_treated")),
)}


def diagnosed(name: str, panel: Panel, **options: Any) -> Findings:
    """Return what a registered diagnostic finds of a panel. Raises did.OptionError for what is no panel, else what the
    diagnostic raises, as did.InferenceError."""
    a_panel(panel, name)
    found = DIAGNOSTICS[name]
    with raising(InferenceError):
        return Findings(f"{found.title}: {panel.outcome}", found.find(panel, **options), (), found.drawn,
                        found.shown)
