"""One registry of the methods of inference: what each is called, what it gives, and for which estimators.

A method takes a `Question` (an estimator on a panel, and the clusters that may have shocks in common) and gives the
rows of the estimates table for every parameter. `available` says which methods serve an estimator, `infer` asks one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators import design_of, entries, entry, estimate
from did.estimators.base import REFERENCE, Panel, Result, join_notes
from did.estimators.design import Design
from did.estimators.unit_means import unit_means
from did.inference import clustered as by_influence
from did.inference import group_time_randomisation
from did.inference.bias_reduced import bias_reduced
from did.inference.combination import combined_design, combined_result
from did.inference.conley_taber import few_treated
from did.inference.randomisation import ESTIMATORS as REASSIGNED
from did.inference.randomisation import randomisation
from did.inference.refit import MOST_FITS, jackknife, randomise, without, without_each
from did.inference.unit_means import heteroskedastic
from did.inference.wild import wild_bootstrap

# Alongside the columns of `did.inference.clustered`: the method, the shape of its set, and how often it was measured to
# cover a true zero on the panel at hand (missing where it was not measured).
EXTRA = ["inference", "interval_shape", "measured_coverage"]
COLUMNS = [*by_influence.COLUMNS, *EXTRA]
# What a method serves: any estimator, those that are one regression, or single ones by name.
ANY, REGRESSION = "any", "regression"
# Draws of tests that fit an estimator again for each.
REFITS = 199


@dataclasses.dataclass(frozen=True)
class Question:
    """An estimator on a panel, and by what its uncertainty is to be judged.

    panel        the data; ``level`` is a key of its clusters
    estimator    name in the registry of estimators; options its keyword arguments
    confidence   share that intervals cover
    draws        of a bootstrap or randomisation; None = each method's own number
    most_fits    clusters that the jackknife leaves out by fitting again (`did.inference.refit.jackknife`)
    finish       what is made of the estimator's result, such as averages of group-time effects; None = the result
    combination  name and event time -> weight of a linear combination to be judged in place of the parameters
    known        what was found of it already, by what was asked: rows, estimates without each cluster, calibrations
    """

    panel: Panel
    estimator: str
    level: str = "unit"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    confidence: float = 0.95
    draws: int | None = None
    seed: int = 20170601
    most_fits: int = MOST_FITS
    finish: Callable[[Result, Panel], Sequence[Result]] | None = None
    combination: tuple[str, Mapping[int, float]] | None = None
    known: dict[tuple, Any] = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)

    def fit(self, panel: Panel) -> list[Result]:
        """Return the estimator's results on another panel, averaged or combined as asked."""
        result = estimate(self.estimator, panel, **self.options)
        results = [result] if self.finish is None else list(self.finish(result, panel))
        return results if self.combination is None else [combined_result(results, *self.combination)]

    @cached_property
    def results(self) -> list[Result]:
        """The results on the panel itself."""
        return self.fit(self.panel)

    @cached_property
    def design(self) -> Design:
        """The regression, whose wanted columns are the parameters that are not a reference."""
        design = design_of(self.estimator, self.panel, **self.options)
        return design if self.combination is None else combined_design(design, *self.combination)

    @property
    def without_each(self) -> dict[object, dict[tuple, float]]:
        """The estimates without each cluster of the level, `did.inference.refit.without_each`, made once."""
        found: dict[object, dict[tuple, float]] | None = self.known.get(("without_each", self.level))
        if found is None:
            options = dict(self.options)
            serves = not self.combination and group_time_randomisation.serves(self.results, self.estimator, options,
                                                                              self.panel)
            found = group_time_randomisation.left_out(
                self.panel, self.results[0], options, self.level) if serves else without_each(
                self.fit, self.panel, self.level, self.results, most_fits=self.most_fits)
            self.known["without_each", self.level] = found
        return found

    def at(self, level: str) -> Question:
        """Return the question at another cluster level, without estimating again."""
        found = dataclasses.replace(self, level=level)
        shared = ("results", "design", "known", "own_notes")
        found.__dict__.update({name: value for name, value in self.__dict__.items() if name in shared})
        return found

    def rows(self) -> pd.DataFrame:
        """Return the estimates at ``level`` with clustered errors, `COLUMNS`, made once."""
        found: pd.DataFrame | None = self.known.get(("rows", self.level))
        if found is None:
            found = self.known["rows", self.level] = self._rows()
        return found

    def _rows(self) -> pd.DataFrame:
        panel = dataclasses.replace(self.panel, clusters={self.level: self.panel.clusters[self.level]})
        rows = by_influence.tabulated([(result, panel, by_influence.by_cluster(result, panel, self.confidence))
                                       for result in self.results])
        rows["inference"], rows["interval_shape"], rows["measured_coverage"] = "", "", np.nan
        return rows

    @cached_property
    def own_notes(self) -> list[str]:
        """The estimator's own notes, one for each of the rows."""
        return [join_notes(by_influence.said(state, note), result.note) for result in self.results
                for state, note in zip(result.parameters["state"], result.parameters["note"], strict=True)]


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of inference.

    name    what it is called in options and tables
    label   in words
    gives   what it gives, in words
    serves  ``any`` estimator, any that is one ``regression``, or the names of estimators
    ask     from a `Question` to its rows
    """

    name: str
    label: str
    gives: str
    serves: str | tuple[str, ...]
    ask: Callable[[Question], pd.DataFrame]


def is_regression(estimator: str) -> bool:
    """Return whether an estimator is one regression, so that its residuals can be corrected or drawn again.

    Raises DidError for an estimator that is not registered.

    >>> is_regression("event_study"), is_regression("imputation")
    (True, False)
    """
    one_of("estimator", estimator, entries())
    return bool(entry(estimator).design)


def available(estimator: str) -> list[str]:
    """Return the names of the methods that serve an estimator, in the order of the registry.

    Raises DidError for an estimator that is not registered.

    >>> available("sun_abraham")
    ['clustered', 'jackknife', 'randomisation', 'randomisation_estimate']
    """
    regression = is_regression(estimator)
    return [name for name, method in METHODS.items()
            if method.serves == ANY or (method.serves == REGRESSION and regression) or
            (not isinstance(method.serves, str) and estimator in method.serves)]


def infer(method: str, question: Question) -> pd.DataFrame:
    """Return the rows of the estimates table for a question by one method, `COLUMNS`.

    Estimates, errors and ends of sets are in units of the outcome per unit of dose. std_error is that of the statistic
    where p is not by it (wild bootstrap, randomisation by t), and missing where there is none. ci_low and ci_high are
    the smallest interval that holds every effect not rejected, infinite where the set has no end; interval_shape is
    ``interval`` or what else the set is (`did.inference.confidence_set`). df is missing where p is not by t. What a
    method cannot say is missing, with the reason in the note; a reference row has no numbers.

    Raises DidError for a method or level that is not known, a method that does not serve the estimator, and whatever
    the estimator raises.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 8, {5: 12}, 1.0, seed=2, units_per_system=4)[0])
    >>> infer("wild_bootstrap", Question(data, "did", "system"))["interval_shape"].item()
    'interval'
    """
    one_of("--inference", method, METHODS)
    one_of("inference: level", question.level, question.panel.clusters)
    names = available(question.estimator)
    if method not in names:
        raise DidError(f"--inference {method}: expected a method for {question.estimator}: {', '.join(names)}; found "
                       f"{method}; choose one of these")
    return METHODS[method].ask(question).assign(inference=method)


def _clustered(question: Question) -> pd.DataFrame:
    rows = question.rows()
    return rows.assign(interval_shape=np.where(rows["std_error"].notna(), "interval", ""))


def _corrected(kind: str) -> Callable[[Question], pd.DataFrame]:
    def ask(question: Question) -> pd.DataFrame:
        found = bias_reduced(question.design, question.level, kind, coverage=question.confidence)
        # A treated cluster alone has leverage one: what the error leaves out is all there is.
        lone = (question.rows()["n_treated_clusters"] < 2).to_numpy()
        return _filled(question, found.assign(shape="interval"), lone)
    return ask


def _heteroskedastic(kind: str) -> Callable[[Question], pd.DataFrame]:
    def ask(question: Question) -> pd.DataFrame:
        if unit_means(question.design) is None:
            empty = dict.fromkeys(("std_error", "ci_low", "ci_high", "p_value", "df"), np.nan) | {"shape": "", "note": (
                "no errors of unit means: treatment or weights change after the first onset; take CR2 by unit")}
            return _aligned(question.at("unit"), pd.DataFrame([empty]))
        found = heteroskedastic(question.design, kind, coverage=question.confidence)
        return _filled(question.at("unit"), found.assign(shape="interval"))
    return ask


def _wild(weights: str) -> Callable[[Question], pd.DataFrame]:
    def ask(question: Question) -> pd.DataFrame:
        drawn: dict[str, Any] = {} if question.draws is None else {"draws": question.draws}
        found = wild_bootstrap(question.design, question.level, weights=weights, seed=question.seed,
                               confidence=question.confidence, fitted=question.results[0], **drawn)
        rows = question.rows()
        spread = rows.loc[~_is_reference(rows), "std_error"].to_numpy()
        return _filled(question, found.assign(std_error=spread, df=np.nan), (rows["n_treated_clusters"] < 2).to_numpy())
    return ask


def _jackknife(question: Question) -> pd.DataFrame:
    found = jackknife(question.fit, question.panel, question.level, coverage=question.confidence,
                      results=question.results, known=question.without_each)
    return _aligned(question, found)


def _randomisation(statistic: str) -> Callable[[Question], pd.DataFrame]:
    def ask(question: Question) -> pd.DataFrame:
        drawn: dict[str, Any] = {} if question.draws is None else {"draws": question.draws}
        refits = question.estimator not in REASSIGNED or set(question.options) - {"lags"} or question.combination
        if refits and statistic == "studentised_near":
            raise DidError(f"--inference randomisation_near: expected {question.estimator} without options but its "
                           "lags, which clusters near in size are reassigned for; found others; take randomisation")
        if refits:
            drawn = {"draws": REFITS} | drawn
            found = randomise(question.fit, question.panel, question.level, statistic=statistic, seed=question.seed,
                              coverage=question.confidence, is_linear=entry(question.estimator).is_linear, **drawn)
        else:
            test = randomisation(question.panel, estimator=question.estimator, statistic=statistic,
                                 level=question.level, seed=question.seed, coverage=question.confidence,
                                 **question.options, **drawn)
            note = f"no randomisation test: {test.reason}" if test.status == "skipped" else test.note
            found = pd.DataFrame([{"estimate": test.estimate, "df": np.nan, "p_value": test.p_value,
                                   "ci_low": test.ci_low, "ci_high": test.ci_high, "shape": test.shape, "note": note}])
        spread = np.nan if statistic == "estimate" else question.rows()["std_error"]
        return _aligned(question, found.assign(std_error=spread))
    return ask


def _reassigned(statistic: str) -> Callable[[Question], pd.DataFrame]:
    """Reassignment from sums over clusters where the estimator allows that, and by fitting again elsewhere."""
    def ask(question: Question) -> pd.DataFrame:
        options = dict(question.options)
        if question.combination or not group_time_randomisation.serves(
                question.results, question.estimator, options, question.panel):
            if statistic == "studentised_near" and question.estimator not in REASSIGNED:
                why = ("no test among clusters near in size: only of the average of group-time effects that are "
                       "differences of plain means")
                values = np.concatenate([result.estimate for result in question.results])
                return _aligned(question, without(values, why))
            return _randomisation(statistic)(question)
        drawn = {} if question.draws is None else {"draws": question.draws}
        found = group_time_randomisation.reassigned(
            question.panel, question.results[0], options, question.level, statistic=statistic, seed=question.seed,
            coverage=question.confidence, **drawn)
        spread = np.nan if statistic == "estimate" else question.rows()["std_error"]
        return _aligned(question, found.assign(std_error=spread))
    return ask


def _few_treated(kind: str) -> Callable[[Question], pd.DataFrame]:
    def ask(question: Question) -> pd.DataFrame:
        if question.options.get("covariates"):
            raise DidError(f"--inference {kind}: expected no covariates, which cluster means cannot take; found some; "
                           "leave out --covariates or choose another method")
        drawn: dict[str, Any] = {} if question.draws is None else {"draws": question.draws}
        found = few_treated(question.panel, question.level, kind, seed=question.seed, coverage=question.confidence,
                            **drawn)
        return _aligned(question, found.assign(std_error=np.nan, df=np.nan))
    return ask


def _is_reference(rows: pd.DataFrame) -> np.ndarray:
    return rows["state"].eq(REFERENCE).to_numpy(dtype=bool)


def _filled(question: Question, found: pd.DataFrame, lone: np.ndarray | None = None) -> pd.DataFrame:
    """The rows of a question with what was found for those that are not a reference.

    ``lone`` (rows,) are those that rest on one treated cluster: no number is given for them.
    """
    wanted = ~_is_reference(question.rows())
    spread = found.set_axis(np.flatnonzero(wanted)).reindex(range(len(wanted)))
    if lone is not None and (lone & wanted).any():
        hidden = lone & wanted
        spread.loc[hidden, ["std_error", "ci_low", "ci_high", "p_value", "df"]] = np.nan
        spread.loc[hidden, "shape"] = ""
        spread.loc[hidden, "note"] = f"one treated cluster by {question.level}: this method says nothing of it"
    return _aligned(question, spread.assign(note=spread["note"].fillna("")))


def _aligned(question: Question, found: pd.DataFrame) -> pd.DataFrame:
    """The rows with numbers of ``found``, which has one row for each; its notes come before the estimator's own."""
    numbers = {name: found[name].to_numpy(dtype=float) for name in ("std_error", "ci_low", "ci_high", "p_value", "df")}
    known = found["shape"].notna() & ~np.isnan(numbers["p_value"]) & ~np.isnan(numbers["ci_low"])
    return question.rows().assign(
        **numbers, interval_shape=found["shape"].where(known, "").array,
        # The estimator's own notes are in some methods' notes already.
        note=[join_notes(*dict.fromkeys([part for text in (one, own) for part in text.split("; ") if part]))
              for one, own in zip(found["note"], question.own_notes, strict=True)])


METHODS = {method.name: method for method in (
    Method("clustered", "errors clustered, t", "standard error, interval, p", ANY, _clustered),
    Method("CR2", "errors corrected for leverage (CR2), Satterthwaite's t", "standard error, interval, p", REGRESSION,
           _corrected("CR2")),
    Method("CR3", "errors corrected for leverage (CR3), Satterthwaite's t", "standard error, interval, p", REGRESSION,
           _corrected("CR3")),
    Method("HC2", "unit means with errors corrected for leverage (HC2), their t", "standard error, interval, p",
           ("ldv",), _heteroskedastic("HC2")),
    Method("HC3", "unit means with errors corrected for leverage (HC3), their t", "standard error, interval, p",
           ("ldv",), _heteroskedastic("HC3")),
    Method("jackknife", "jackknife over clusters, t", "standard error, interval, p", ANY, _jackknife),
    Method("wild_bootstrap", "wild cluster bootstrap, null imposed", "p, set by inversion", REGRESSION,
           _wild("rademacher")),
    Method("wild_bootstrap_webb", "wild cluster bootstrap with Webb's weights, null imposed", "p, set by inversion",
           REGRESSION, _wild("webb")),
    Method("randomisation", "reassignment of whole clusters, by t", "p, set by inversion", ANY,
           _reassigned("studentised")),
    Method("randomisation_estimate", "reassignment of whole clusters, by the estimate", "p, set by inversion", ANY,
           _reassigned("estimate")),
    Method("randomisation_near", "reassignment of clusters near in size, by t", "p, set by inversion",
           ("did", "ldv", "callaway_santanna"),
           _reassigned("studentised_near")),
    Method("conley_taber", "residuals of untreated clusters (Conley and Taber)", "p, interval by inversion", ("did",),
           _few_treated("conley_taber")),
    Method("ferman_pinto", "residuals rescaled by cluster size (Ferman and Pinto)", "p, set by inversion", ("did",),
           _few_treated("ferman_pinto")),
)}
