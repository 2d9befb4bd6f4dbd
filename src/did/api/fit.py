"""The result of the public face: an estimator fitted to a panel, with its inference, averages, checks and pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from did.api.arguments import several
from did.api.asked import AGGREGATIONS, Averages, Only, keywords_of, question_of, settings_of, tests_of
from did.api.errors import EstimationError, InferenceError, OptionError, raising, spoken
from did.api.judged import HEADLINE, Inference, Judged, judge
from did.api.panel import Panel
from did.api.screen import Shown, screen
from did.errors import DidError, one_of
from did.estimators import entry
from did.estimators.registry import COHORT_PERIOD
from did.inference.methods import METHODS, Question, available

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from did.api.findings import Findings
    from did.api.wald import Wald

SHOWN = ["estimand", "cohort", "period", "event_time", "estimate", "std_error", "ci_low", "ci_high", "band_low",
         "band_high", "p_value", "n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters", "cluster",
         "inference", "measured_coverage", "df", "state", "note"]
PLACES = ("event_time", "cohort", "period")


@dataclasses.dataclass(frozen=True, repr=False)
class Fit:
    """An estimator fitted to a panel: what `did.callaway_santanna` and its like return. It can be pickled.

    Errors, intervals and p-values are by the first cluster level of the panel, or that of `by`, and by the method of
    `inference`. Without one they are as `did estimate` shows them: clustered, or, with fewer than 20 treated clusters
    or 40 clusters, by the headline rule, and `summary` says what it chose.

    panel      the `did.Panel`; a fit never changes it
    estimator  name in the registry
    options    what was chosen, as arguments of the estimator
    level      cluster level, or two joined by a comma
    asked      method of inference, confidence, draws and seed
    estimand   the only one that is kept of an estimator's result; "" for all

    Examples
    --------
    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> fit = did.callaway_santanna(panel).aggregate("cohort")
    >>> fit.params.round(2)
    cohort
    2016              3.38
    2019              1.75
    overall_cohort    2.41
    Name: estimate, dtype: float64
    """

    panel: Panel
    estimator: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    level: str = "unit"
    asked: Inference = Inference()
    estimand: str = ""

    # What was estimated -------------------------------------------------------------------------------------------

    @cached_property
    def question(self) -> Question:
        """What the methods of inference are asked: `did.inference.methods.Question`."""
        with raising(OptionError):
            keywords = keywords_of(self.estimator, self.options)
        data = self.panel.data
        if "covariates" in self.options and "covariates" not in keywords:   # those that the panel carries enter
            data = dataclasses.replace(data, covariates={name: data.covariates[name]
                                                         for name in self.options["covariates"]})
        level = self.level if self.level in data.clusters else "unit"
        with raising(EstimationError):
            made = question_of(self.estimator, data, keywords, self.options, self.asked)
            return dataclasses.replace(made, level=level, finish=Only(self.estimand) if self.estimand else made.finish)

    @cached_property
    def _judged(self) -> Judged:
        question = self.question
        self._estimated()
        with raising(InferenceError):
            return judge(question, self.asked, [self.level])

    def _estimated(self) -> Question:
        with raising(EstimationError):
            self.question.results  # noqa: B018  (estimated here, so that what fails is said to be the estimate)
        return self.question

    @property
    def rows(self) -> pd.DataFrame:
        """The rows of the estimates table as `did estimate --output` has them, at this level by this method."""
        return self._judged.shown.reset_index(drop=True)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """What was estimated, before any inference: estimand, cohort, period, event_time, state, note, estimate."""
        results = self._estimated().results
        found = pd.concat([result.parameters for result in results], ignore_index=True)
        return self._named(found.assign(estimate=np.concatenate([result.estimate for result in results])))

    def _named(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with cohorts and periods as the panel's frame has them."""
        named = {}
        for column in ("cohort", "period"):
            values = pd.Series([self.panel.period_of(label) for label in rows[column]], dtype=object, index=rows.index)
            named[column] = values.infer_objects() if values.notna().all() else _typed(values)
        return rows.assign(**named)

    def to_frame(self) -> pd.DataFrame:
        """Return a data frame with a row for each effect.

        Columns: estimand; cohort, period and event_time (missing where they do not apply; cohorts and periods as the
        panel's frame has them); estimate, std_error, ci_low, ci_high, band_low and band_high in units of the outcome;
        p_value; the counts n_obs, n_units, n_treated, n_clusters, n_treated_clusters; cluster, inference,
        measured_coverage (share of placebo assignments whose interval holds zero, missing where not measured), df,
        state (estimated, reference or not_identified) and note. A number that does not exist is missing, and the note
        says why.
        """
        rows = self._named(self.rows[SHOWN])
        rows["note"] = [spoken(str(note)) for note in rows["note"]]
        return rows.drop(columns=["band_low", "band_high"]) if rows["band_low"].isna().all() else rows

    @property
    def index(self) -> pd.Index:
        """The labels of the effects: event times, cohorts or periods, cohort and period of group-time effects, and the
        estimand of an effect that is of none of them, such as ``overall``."""
        frame = self.effects
        used = [place for place in PLACES if frame[place].notna().any()]
        if {"cohort", "period"} <= set(used) and frame["cohort"].notna().all():
            return pd.MultiIndex.from_frame(frame[["cohort", "period"]])
        labels = [next((row[place] for place in PLACES if pd.notna(row[place])), row["estimand"])
                  if not (pd.notna(row["cohort"]) and pd.notna(row["period"])) else (row["cohort"], row["period"])
                  for row in frame.to_dict("records")]
        return pd.Index(labels, name=used[0] if len(used) == 1 else None, tupleize_cols=False)

    def _series(self, column: str) -> pd.Series:
        return pd.Series(self.rows[column].to_numpy(dtype=float), index=self.index, name=column)

    @property
    def params(self) -> pd.Series:
        """The estimates, in units of the outcome (per unit of dose)."""
        return pd.Series(self.effects["estimate"].to_numpy(), index=self.index, name="estimate")

    @property
    def std_errors(self) -> pd.Series:
        """Standard errors in units of the outcome; missing where the method gives none."""
        return self._series("std_error")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values of no effect; missing where the method gives none."""
        return self._series("p_value")

    @property
    def tstats(self) -> pd.Series:
        """Estimates over their standard errors."""
        return (self.params / self.std_errors).rename("t")

    def conf_int(self, confidence: float | None = None) -> pd.DataFrame:
        """Return the ends of the intervals, columns ``lower`` and ``upper``, in units of the outcome.

        ``confidence`` is the share that they cover, by default that of the fit (0.95). An end is infinite where the set
        of effects not rejected has none, missing where the method gives no interval. Raises did.OptionError for a share
        that is not between 0 and 1.
        """
        if confidence is not None and confidence != self.asked.confidence:
            return self._asking(confidence=confidence).conf_int()
        return pd.DataFrame({"lower": self._series("ci_low"), "upper": self._series("ci_high")})

    @property
    def cov(self) -> pd.DataFrame:
        """The covariance of the effects clustered at the fit's level, in squared units of the outcome.

        The root of its diagonal is `std_errors` of ``inference("clustered")``; rows and columns of effects that are not
        estimated are missing. Raises did.InferenceError for clusters two ways.
        """
        from did.api.wald import covariance

        return pd.DataFrame(covariance(self), index=self.index, columns=self.index)

    @property
    def influence(self) -> pd.DataFrame:
        """Each unit's share of every effect's error, (units, effects): what clustered errors are sums of."""
        found = pd.concat([result.influence for result in self._estimated().results], axis=1)
        return found.set_axis(self.index, axis=1)

    @property
    def methods(self) -> list[str]:
        """The methods of inference that serve this estimator, by their registration."""
        return available(self.estimator)

    # What else can be asked ---------------------------------------------------------------------------------------

    def inference(self, method: str | None = None, *, confidence: float | None = None, draws: int | None = None,
                  seed: int | None = None, bands: bool = False) -> Fit:
        """Return the fit with errors, intervals and p-values by another method.

        ``method`` is one of `methods`, ``headline`` for the rule of few clusters whatever their number, or None for the
        default. ``confidence`` is the share that intervals cover, ``draws`` and ``seed`` are of bootstrap and
        randomisation (None = each method's own number, and 20170601). ``bands`` adds intervals that hold for all
        effects of a kind at once, multiples of clustered errors. Nothing is computed before it is looked at.

        Raises did.OptionError for an unknown method (with the closest right word) or one that does not serve the
        estimator, a confidence that is not between 0 and 1, and draws or a seed that are no whole numbers.

        >>> import did
        >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year",
        ...                   cluster="network")
        >>> did.did(panel).inference("wild_bootstrap").pvalues.round(3).tolist()
        [0.004]
        """
        methods = () if method is None else (method,)
        return self._asking(methods=methods, confidence=self.asked.confidence if confidence is None else confidence,
                            draws=draws, seed=seed, bands=bands)

    def _asking(self, **change: Any) -> Fit:
        with raising(OptionError):
            asked = dataclasses.replace(self.asked, **change)
            if asked.methods:
                one_of("inference", asked.methods[0], [HEADLINE, *available(self.estimator), *(
                    name for name in METHODS if name not in available(self.estimator))])
            dataclasses.replace(asked, draws=None, seed=None).check([self.estimator])
        return self._sharing(dataclasses.replace(self, asked=asked), results=True)

    def by(self, level: str | tuple[str, str]) -> Fit:
        """Return the fit with errors by another cluster level of the panel, or by a pair of them, two ways.

        ``unit`` is always one. Raises did.OptionError for a level that the panel does not have.
        """
        names = ["unit" if name == self.panel.unit else name for name in several(level, "by", "a cluster level")]
        if len(names) not in (1, 2) or len(names) == 2 and names[0] == names[1]:
            raise OptionError(f"by: expected one cluster level, or two different ones for clusters two ways; found "
                              f"{level!r}; name those")
        with raising(OptionError):
            for name in names:
                one_of("by: cluster level", name, self.panel.data.clusters)
        return self._sharing(dataclasses.replace(self, level=",".join(names)), results=True)

    def _sharing(self, other: Fit, *, results: bool) -> Fit:
        """The other fit, with what is estimated already."""
        if results and "question" in self.__dict__ and "results" in self.question.__dict__:
            other.question.__dict__["results"] = self.question.results
        return other

    def aggregate(self, kind: str = "simple", *, min_event_time: int | None = None, max_event_time: int | None = None,
                  balance: int | None = None) -> Fit:
        """Return the fit with its effects averaged.

        ``kind`` is ``simple`` (one effect), ``event_time``, ``cohort``, ``calendar``, or ``group_time`` for effects by
        cohort and period themselves. The last three arguments limit the event times of averages of group-time effects,
        as `did.estimators.aggregation.aggregate` has it; ``balance`` e keeps the cohorts observed to event time e.
        Weights are the cohorts' sizes.

        Raises did.OptionError for an unknown kind, one that the estimator does not give, and limits for an estimator
        without group-time effects.
        """
        with raising(OptionError):
            one_of("aggregate: kind", kind, AGGREGATIONS)
        known = entry(self.estimator)
        window = {"min_event_time": min_event_time, "max_event_time": max_event_time, "balance_event_time": balance}
        window = {name: value for name, value in window.items() if value is not None}
        if window and known.kind != COHORT_PERIOD:
            raise OptionError(f"aggregate: {next(iter(window))}: expected effects by cohort and period, of which "
                              f"averages are made; found {self.estimator}; leave it out")
        kept = {name: value for name, value in self.options.items() if name not in
                ("min_event_time", "max_event_time", "balance_event_time")}
        if known.option("aggregation"):
            made = dataclasses.replace(self, options=kept | window | {"aggregation": [kind]})
            self._reused(made)
            return made
        found = list(dict.fromkeys(self.effects["estimand"]))
        for estimand in found:
            if estimand == AGGREGATIONS[kind] or (kind == "event_time" and estimand.startswith("event_bin_")):
                return dataclasses.replace(self, estimand=estimand if len(found) > 1 else self.estimand)
        raise OptionError(f"aggregate: {kind}: expected what {self.estimator} gives; found {', '.join(found)}; "
                          "take another estimator")

    def _reused(self, made: Fit) -> None:
        """Average the group-time effects that this fit has, where it has them, and estimate nothing again."""
        held = self.question.__dict__.get("results")
        finish = made.question.finish
        if held and isinstance(finish, Averages) and set(held[0].parameters["estimand"]) == {"att_gt"}:
            with raising(OptionError):
                made.question.__dict__["results"] = finish(held[0], made.question.panel)

    def wald(self, which: str | Sequence[Any] = "all") -> Wald:
        """Return the joint test that several effects are zero, clustered at the fit's level.

        ``which`` is ``all``, ``before`` or ``after`` treatment (by event time), or labels of `params`. F with clusters
        - 1 degrees of freedom, or chi-square where the estimator's errors are normal (as R's did). Raises
        did.OptionError for a label that is not there; did.InferenceError where no test can be made, with the reason: no
        more treated clusters than effects, or a singular covariance.
        """
        from did.api.wald import wald

        return wald(self, which)

    def bounds(self, target: str | Sequence[str] = ("first", "average"), *,
               m_bars: Sequence[float] = (0.0, 0.5, 1.0, 2.0), m_units: Sequence[float] = (0.0, 0.5, 1.0)) -> Findings:
        """Return how far effects hold if trends were not parallel (Rambachan and Roth 2023).

        ``target`` is ``first`` (the effect at event time 0), ``average`` (of all from 0 on) or both. ``m_bars`` are
        multiples of the largest change before treatment, by which trends may part in a period; ``m_units`` multiples of
        the largest change of slope before it. The frame's columns, units, and what is skipped with which reason are
        those of `did.diagnostics.sensitivity.sensitivity_rows`. Group-time effects are averaged by event time against
        one base, ``base_period="universal"``, as the method needs; the title says so.

        Raises did.InferenceError for effects that are not by event time against period -1, and clusters two ways.
        """
        from did.api.findings import bounds

        if self.level not in self.question.panel.clusters:
            raise InferenceError(f"bounds: cluster level {self.level}: expected one level; found two ways; take "
                                 "by(...) with one of them")
        return bounds(self.question, several(target, "bounds: target", "first or average"),
                      several(m_bars, "bounds: m_bars", "numbers"), several(m_units, "bounds: m_units", "numbers"))

    def calibrate(self) -> Findings:
        """Return how often the intervals of every method hold a true zero on this panel, by placebo assignments of
        whole clusters. For did and ldv without covariates; raises did.InferenceError for others."""
        from did.api.findings import calibrate

        return calibrate(self)

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the effects with their intervals, and return the axes.

        By event time, by cohort, by period, group-time effects as a line for each cohort, or one effect as a point.
        ``ax`` is drawn into if given, else new axes are made; ``style`` goes to matplotlib (``color``, ``label``, ...).
        Raises did.OptionError for an ``ax`` that is no axes and a ``style`` that lines do not have.
        """
        from did.api.plots import plot

        return plot(self, ax, **style)

    # How it is shown ----------------------------------------------------------------------------------------------

    def summary(self) -> str:
        """Return the table and notes that `did estimate` shows."""
        text = screen(self.panel.name, self.panel.columns, self.panel.data, [self._shown], self._notes,
                      self.asked.confidence)
        return spoken(text)

    @property
    def _shown(self) -> Shown:
        judged, question = self._judged, self.question
        used = question.results[0].used(question.panel)
        return Shown(self.estimator, settings_of(self.estimator, question.options, self.options), judged, used)

    @property
    def _notes(self) -> list[str]:
        try:
            notes = tests_of(self.question, {})
        except DidError as error:
            notes = [f"{self.estimator}: no pre-test: {error}"]
        return list(dict.fromkeys([*self.panel.notes, *notes, *self._judged.notes]))

    def to_markdown(self) -> str:
        """Return the effects as a Markdown table, with what holds for all rows above it and footnotes below."""
        from did.api.tables import markdown

        return markdown(self)

    def to_latex(self) -> str:
        """Return the effects as a LaTeX table (``tabular`` with the rules of booktabs) with notes below."""
        from did.api.tables import latex

        return latex(self)

    def _repr_html_(self) -> str:
        from did.api.tables import html

        return html(self)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        method = self.asked.methods[0] if self.asked.methods else "the default rule"
        return f"<did.Fit {self.estimator} of {self.panel.outcome}{options}; by {self.level}, {method}>"


def _typed(values: pd.Series) -> pd.Series:
    """A column with missing values, of the type its values have: whole numbers stay whole."""
    held = values.dropna().infer_objects()
    if pd.api.types.is_integer_dtype(held.dtype) and len(held):
        return values.astype("Int64")
    return values.where(values.notna(), None) if held.dtype == object or not len(held) else values.astype(held.dtype)
