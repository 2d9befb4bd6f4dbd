"""Which method to lead with where clusters are few: the first whose coverage, measured on the panel at hand, holds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.estimators import entry
from did.inference.calibration import Settings, calibrate, is_quick
from did.inference.headline import for_one_treated, leading, methods_by_rule
from did.inference.methods import METHODS, REFITS, Question, available, infer

# Treated clusters, and clusters, below which clustered errors tend to be too small (docs/inference.md).
FEW_TREATED, FEW = 20, 40
ORDER = ("wild_bootstrap", "CR2", "randomisation", "CR3")
# The same for estimators that are no regression, of all of whose effects a jackknife is made in a moment.
OTHERS = ("jackknife", "randomisation", "randomisation_near", "randomisation_estimate")
# What stands for a calibration that is not to be made.
NOT_MEASURED = pd.DataFrame({"method": [], "status": [], "reason": [], "rejected": [], "n_draws": []})
# Placebo assignments of each scheme, and clusters above which none are drawn unless asked for: seconds, not minutes.
DRAWS, MOST = 499, 120


@dataclasses.dataclass(frozen=True)
class Headline:
    """The method to lead with and why.

    method    name in the registry; empty if no method says anything
    coverage  how often its intervals were measured to hold a true zero; NaN if that was not measured
    sentence  for the reader: which method, by what rule, and what cannot be said
    rows      of the method (`did.inference.methods.COLUMNS`), measured_coverage filled in
    """

    method: str
    coverage: float
    sentence: str
    rows: pd.DataFrame


def counts(question: Question) -> tuple[int, int]:
    """Return the treated clusters and all clusters, by the question's level, among the units its estimator used.

    Raises whatever the estimator does.
    """
    used = question.results[0].used(question.panel)
    treated = used & ~question.panel.never_treated
    if question.level == "unit":
        return int(treated.sum()), int(used.sum())
    labels = question.panel.clusters[question.level]
    return len(set(labels[treated])), len(set(labels[used]))


def is_few(n_treated: int, n_clusters: int) -> bool:
    """Return whether clustered errors are not the default: fewer than 20 treated clusters, or fewer than 40.

    >>> is_few(20, 40), is_few(19, 400)
    (False, True)
    """
    return n_treated < FEW_TREATED or n_clusters < FEW


def measured(question: Question, draws: int = DRAWS, refits: int = REFITS) -> pd.DataFrame | None:
    """Return `did.inference.calibration.calibrate` of both schemes at the question's level; None if there is none.

    ``draws`` are assignments where these cost little, ``refits`` of an estimator that is fitted again for each.
    There is none for an estimator without one effect, such as an event study, and for linear combinations. Columns as
    there, estimator and cluster before them. It is made once for a question. Raises what `calibrate` does.
    """
    if not entry(question.estimator).overall or question.combination:
        return None
    asked = ("measured", question.level, draws, refits)
    if asked not in question.known:
        question.known[asked] = _calibrated(question, draws, refits)
    found: pd.DataFrame = question.known[asked]
    return found.copy()


def _calibrated(question: Question, draws: int, refits: int) -> pd.DataFrame:
    settings = Settings(draws=draws, refits=refits, seed=question.seed, confidence=question.confidence,
                        order=order_of(question.estimator))
    table = calibrate(question.panel, estimator=question.estimator, options=question.options, level=question.level,
                      settings=settings)
    table.insert(0, "estimator", question.estimator)
    table.insert(1, "cluster", question.level)
    return table


def order_of(estimator: str) -> tuple[str, ...]:
    """Return the methods of which the first that holds leads, in their order.

    >>> order_of("imputation")
    ('jackknife', 'randomisation', 'randomisation_estimate')
    """
    serving = available(estimator)
    return ORDER if "wild_bootstrap" in serving else tuple(method for method in OTHERS if method in serving)


def headline(question: Question, calibration: pd.DataFrame | None = None) -> Headline:
    """Return the method to lead with at the question's level, where clusters are few, and its rows.

    ``did`` and ``ldv``: the first of wild bootstrap, CR2, randomisation and CR3 whose measured coverage is within two
    points of nominal in each scheme, simulation error allowed for (`did.inference.headline.methods_by_rule`), passing
    over one with too few degrees of freedom; if none is, the one of the highest coverage, and the sentence says that
    none holds; if nothing could be measured, the wild bootstrap, and the sentence says why. ``callaway_santanna``,
    and others with a ``calibration``: the same of the jackknife over clusters and randomisation by t and by the
    estimate. Others: the jackknife, or, where no parameter has one, randomisation by the estimate. One treated cluster:
    `did.inference.conley_taber` for ``did``, else randomisation by the estimate. Two clusters or fewer: nothing.
    ``calibration`` is what `measured` gave, made here for up to 120 clusters where it takes seconds. Raises whatever
    estimator and method raise.

    >>> from did.estimators.base import Panel
    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 8, {5: 12}, 1.0, seed=2, units_per_system=4)[0])
    >>> headline(Question(data, "imputation", "system")).method
    'jackknife'
    """
    n_treated, n_clusters = counts(question)
    level, found = question.level, f"{n_treated} treated of {n_clusters} by {question.level}"
    if n_clusters <= 2:
        return _nothing(question, f"{n_clusters} cluster{'s' * (n_clusters != 1)} by {level}: no method can tell an "
                        "effect from what else differs between them, so estimates stand without interval")
    if n_treated == n_clusters:
        found = (f"all {n_clusters} by {level} are treated, and earlier ones are compared with later ones, which "
                 "says nothing of an effect that all share")
    if n_treated == 1:
        return _one_treated(question, n_clusters)
    regression = "wild_bootstrap" in available(question.estimator) and entry(question.estimator).overall
    if regression or calibration is not None or can_be_measured(question):
        return _measured(question, found, calibration)
    rows, method = infer("jackknife", question), "jackknife"
    if rows["std_error"].isna().all():
        reason = next((note for note in rows["note"] if note), "no jackknife")
        rows, method = infer("randomisation_estimate", question), "randomisation_estimate"
        return _found(method, rows, f"few clusters ({found}), so {METHODS[method].label}: {reason}")
    return _found(method, rows, f"few clusters ({found}), so {METHODS[method].label}; how often its intervals hold a "
                  f"true zero is not measured for {question.estimator}")


def can_be_measured(question: Question) -> bool:
    """Return whether calibration takes seconds. Raises nothing."""
    return entry(question.estimator).overall and not question.combination and is_quick(
        question.estimator, dict(question.options), question.panel)


def _measured(question: Question, found: str, calibration: pd.DataFrame | None) -> Headline:
    n_clusters, order = counts(question)[1], order_of(question.estimator)
    why = f"{n_clusters} clusters are more than the {MOST} measured unasked; did estimate --calibrate measures them"
    if calibration is None and n_clusters <= MOST:
        why = f"each placebo needs a fit of {question.estimator} of its own; did estimate --calibrate makes them"
        calibration = measured(question) if can_be_measured(question) else None
    table = NOT_MEASURED if calibration is None else calibration
    if len(table) and not table["status"].eq("done").any():
        why = "; ".join(dict.fromkeys(table["reason"])) or "it was not asked for"
    settings = Settings(order=order, confidence=question.confidence)
    rules = [each for each in methods_by_rule(table, settings) if each.method in available(question.estimator)]
    leads, rows, passed = leading(rules, settings, lambda method: infer(method, question))
    of = f"few clusters ({found})"
    if leads is None or rows is None:
        fallback = infer("randomisation_estimate", question)
        return _found("randomisation_estimate", fallback, f"{of}, so {METHODS['randomisation_estimate'].label}: "
                      f"{'; '.join(passed)}")
    label = METHODS[leads.method].label
    over = f"; passed over: {', '.join(passed)}" if passed else ""
    if not np.isfinite(leads.coverage):
        return _found(leads.method, rows, f"{of}, so {label}; how often its intervals hold a true zero could not be "
                      f"measured: {why}{over}")
    often = f"such intervals hold a true zero {100 * leads.coverage:.1f}% of the time, measured on this panel"
    if leads.holds:
        sentence = f"{of}, so {label}: {often}"
    elif leads.may_hold:
        sentence = (f"{of}, so {label}: {often}, within two points of nominal, though {leads.n_draws} placebo "
                    "assignments are too few to be sure of that")
    else:
        sentence = f"{of}: of {', '.join(order)} none holds its level here; {label} comes nearest: {often}"
    return _found(leads.method, rows, sentence + over, leads.coverage)


def _one_treated(question: Question, n_clusters: int) -> Headline:
    method, rows = for_one_treated(question)
    return _found(method, rows, f"one treated cluster of {n_clusters} by {question.level}: errors, bootstrap and "
                  f"jackknife say nothing of it; {METHODS[method].label}, whose smallest p is about 1 in {n_clusters}")


def _found(method: str, rows: pd.DataFrame, sentence: str, coverage: float = float("nan")) -> Headline:
    return Headline(method, coverage, sentence, rows.assign(measured_coverage=coverage))


def _nothing(question: Question, sentence: str) -> Headline:
    rows = infer("clustered", question)
    for name in ("std_error", "ci_low", "ci_high", "p_value", "df"):
        rows[name] = np.nan
    return Headline("", float("nan"), sentence, rows.assign(inference="none", interval_shape=""))
