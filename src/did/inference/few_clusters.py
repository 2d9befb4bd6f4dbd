"""Which method to lead with where clusters are few: the first whose coverage, measured on the panel at hand, holds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.inference.calibration import ESTIMATORS as MEASURED
from did.inference.calibration import SCHEMES, Settings, calibrate
from did.inference.headline import methods_by_rule
from did.inference.methods import METHODS, Question, infer

# Treated clusters, and clusters, below which clustered errors tend to be too small (docs/inference.md).
FEW_TREATED, FEW = 20, 40
ORDER = ("wild_bootstrap", "CR2", "randomisation", "CR3")
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
    used = question.panel.units.isin(question.results[0].influence.index)
    labels = question.panel.clusters[question.level]
    return len(set(labels[used & ~question.panel.never_treated])), len(set(labels[used]))


def is_few(n_treated: int, n_clusters: int) -> bool:
    """Return whether clustered errors are not the default: fewer than 20 treated clusters, or fewer than 40.

    >>> is_few(20, 40), is_few(19, 400)
    (False, True)
    """
    return n_treated < FEW_TREATED or n_clusters < FEW


def measured(question: Question, draws: int = DRAWS) -> pd.DataFrame | None:
    """Return `did.inference.calibration.calibrate` of both schemes at the question's level; None if there is none.

    There is none for estimators other than did and ldv, and with covariates. Columns as there, estimator and cluster
    before them. Raises what `calibrate` does.
    """
    if question.estimator not in MEASURED or question.options.get("covariates") or question.combination:
        return None
    settings = Settings(draws=draws, seed=question.seed, confidence=question.confidence)
    tables = [calibrate(question.panel, estimator=question.estimator, level=question.level, scheme=scheme,
                        settings=settings, **question.options) for scheme in SCHEMES]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "estimator", question.estimator)
    table.insert(1, "cluster", question.level)
    return table


def headline(question: Question, calibration: pd.DataFrame | None = None) -> Headline:
    """Return the method to lead with at the question's level, where clusters are few, and its rows.

    ``did`` and ``ldv``: the first of wild bootstrap, CR2, randomisation and CR3 whose measured coverage is within two
    points of nominal in each scheme; if none is, the one of the highest coverage, and the sentence says that none
    holds; if nothing could be measured, the wild bootstrap, and the sentence says why. Others: the jackknife over
    clusters, or, where no parameter has one, randomisation by the estimate. One treated cluster:
    `did.inference.conley_taber` for ``did``, else randomisation by the estimate. Two clusters or fewer: nothing.
    ``calibration`` is what `measured` gave, made here for up to 120 clusters if missing. Raises whatever estimator and
    method raise.

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
    if question.estimator in MEASURED:
        return _measured(question, found, calibration)
    rows, method = infer("jackknife", question), "jackknife"
    if rows["std_error"].isna().all():
        reason = next((note for note in rows["note"] if note), "no jackknife")
        rows, method = infer("randomisation_estimate", question), "randomisation_estimate"
        return _found(method, rows, f"few clusters ({found}), so {METHODS[method].label}: {reason}")
    return _found(method, rows, f"few clusters ({found}), so {METHODS[method].label}; how often its intervals hold a "
                  f"true zero is not measured for {question.estimator}")


def _measured(question: Question, found: str, calibration: pd.DataFrame | None) -> Headline:
    n_clusters = counts(question)[1]
    why = f"{n_clusters} clusters are more than the {MOST} measured without --calibrate"
    if calibration is None and n_clusters <= MOST:
        calibration = measured(question)
        why = "covariates are not measured with"
    method, coverage, holds = ORDER[0], float("nan"), False
    if calibration is not None:
        done = calibration["status"].eq("done")
        leading = methods_by_rule(calibration, Settings(order=ORDER, confidence=question.confidence))[0]
        method, coverage, holds = leading.method, leading.coverage, leading.holds
        if not done.any():
            why = "; ".join(dict.fromkeys(calibration.loc[~done, "reason"])) or "it was not asked for"
    rows = infer(method, question)
    label, of = METHODS[method].label, f"few clusters ({found})"
    sentence = f"{of}, so {label}; how often its intervals hold a true zero could not be measured: {why}"
    if np.isfinite(coverage):
        often = f"hold a true zero {100 * coverage:.1f}% of the time, measured on this panel"
        sentence = (f"{of}, so {label}: such intervals {often}" if holds else
                    f"{of}: of {', '.join(ORDER)} none holds its level here; {label} comes nearest: such intervals "
                    f"{often}")
    if rows["p_value"].isna().all():
        fallback = infer("randomisation_estimate", question)
        sentence = f"{of}, so {METHODS['randomisation_estimate'].label}: {label} gives nothing here"
        return _found("randomisation_estimate", fallback, sentence)
    return _found(method, rows, sentence, coverage)


def _one_treated(question: Question, n_clusters: int) -> Headline:
    method = "conley_taber" if question.estimator == "did" and not question.options.get("covariates") else ""
    rows = infer(method, question) if method else None
    if rows is None or rows["p_value"].isna().all():
        method = "randomisation_estimate"
        rows = infer(method, question)
    return _found(method, rows, f"one treated cluster of {n_clusters} by {question.level}: errors, bootstrap and "
                  f"jackknife say nothing of it; {METHODS[method].label}, whose smallest p is about 1 in {n_clusters}")


def _found(method: str, rows: pd.DataFrame, sentence: str, coverage: float = float("nan")) -> Headline:
    return Headline(method, coverage, sentence, rows.assign(measured_coverage=coverage))


def _nothing(question: Question, sentence: str) -> Headline:
    rows = infer("clustered", question)
    for name in ("std_error", "ci_low", "ci_high", "p_value", "df"):
        rows[name] = np.nan
    return Headline("", float("nan"), sentence, rows.assign(inference="none", interval_shape=""))
