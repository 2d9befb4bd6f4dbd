"""Errors by cluster of a panel that was summed to its cohorts: clustered, and by the jackknife over clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.base import Result
from did.estimators.summed import Estimated, Summed, by_groups, without
from did.inference.clustered import summarise
from did.inference.methods import COLUMNS, METHODS
from did.inference.refit import MOST_FITS, jackknife, keys

# Effects by cohort and period, and what is shown of them; and what makes them of a panel.
Whole = tuple[Estimated, Sequence[Result]]
Fit = Callable[[Summed], Whole]


def clustered_rows(found: Estimated, results: Sequence[Result], level: str, confidence: float) -> pd.DataFrame:
    """Return the rows of the estimates table of ``results``, clustered at ``level``; raises nothing."""
    frames, sizes = [], found.panel.observed_weight[:, 0]
    for result in results:
        made, panel = (result, found.panel) if level == "unit" else by_groups(result, found.panel, found.groups[level],
                                                                               level)
        n_units = int(sizes.sum())
        rows = summarise(made, panel, confidence).assign(n_units=n_units, n_treated=result.shares.n_treated())
        if level == "unit":
            rows = rows.assign(n_clusters=n_units, n_treated_clusters=rows["n_treated"])
        frames.append(rows)
    every = pd.concat(frames, ignore_index=True)
    return every.assign(inference="clustered", interval_shape=np.where(every["std_error"].notna(), "interval", ""),
                        measured_coverage=np.nan)[COLUMNS]


def counts(found: Estimated, level: str) -> tuple[int, int]:
    """Return the treated clusters and all clusters of ``level`` that were used; raises nothing."""
    sizes, never = found.panel.observed_weight[:, 0].astype(int), found.panel.never_treated
    if level == "unit":
        return int(sizes[~never].sum()), int(sizes.sum())
    groups = found.groups[level]
    return len(set(groups.cluster[~never[groups.cohort]])), len(set(groups.cluster))


def few_clusters_rows(clustered: pd.DataFrame, whole: Whole, data: Summed, fit: Fit, level: str, confidence: float
                      ) -> tuple[pd.DataFrame, str]:
    """Return the rows to lead with where clusters of ``level`` are few, and a sentence that says why.

    The jackknife over clusters (`did.inference.refit.jackknife`, with its formula and source), each left out of the
    sums by ``fit``. With two clusters or one treated one nothing is said of the error, and the sentence says so.
    ``clustered`` are the rows of `clustered_rows`, ``whole`` what ``fit`` makes of ``data``. Raises nothing.
    """
    n_treated, n_clusters = counts(whole[0], level)
    if n_treated < 2 or n_clusters < 3:
        rows = clustered.assign(**dict.fromkeys(("std_error", "ci_low", "ci_high", "p_value", "df"), np.nan),
                                inference="none", interval_shape="")
        return rows, (f"few clusters ({n_treated} treated of {n_clusters} by {level}): sums of a folder say nothing of "
                      "the error, so estimates stand without interval; one file has tests for one treated cluster")
    rows = jackknife_rows(clustered, whole, data, fit, level, confidence)
    return rows, (f"few clusters ({n_treated} treated of {n_clusters} by {level}), so {METHODS['jackknife'].label}; "
                  "how often its intervals hold a true zero is not measured for a folder")


def jackknife_rows(clustered: pd.DataFrame, whole: Whole, data: Summed, fit: Fit, level: str, confidence: float
                   ) -> pd.DataFrame:
    """Return the rows ``clustered`` with error, interval and p by the jackknife; raises nothing."""
    found, results = whole
    made = [by_groups(result, found.panel, found.groups[level], level) for result in results]
    groups, never = found.groups[level], found.panel.never_treated
    labels = list(pd.unique(groups.cluster))
    if len(labels) > MOST_FITS:
        treated = set(groups.cluster[~never[groups.cohort]])
        labels = [label for label in labels if label in treated]
    known = {label: _estimates(fit, without(data, level, label)) for label in labels}
    errors = jackknife(lambda _: [], made[0][1], level, coverage=confidence, results=[one for one, _ in made],
                       known=known)
    shape = errors["shape"].where(errors["p_value"].notna(), "")
    own = clustered["note"].where(clustered["std_error"].notna(), "")
    return clustered.assign(
        **{name: errors[name].astype(float) for name in ("std_error", "ci_low", "ci_high", "p_value", "df")},
        note=[one or other for one, other in zip(errors["note"], own, strict=True)], inference="jackknife",
        interval_shape=shape)


def _estimates(fit: Fit, data: Summed) -> dict[tuple, float]:
    """The estimates of a panel by what they are of; none where it cannot be estimated."""
    try:
        _, results = fit(data)
    except DidError:
        return {}
    return dict(zip(keys(results), np.concatenate([result.estimate for result in results]), strict=True))
