"""Several outcomes under the same reassignment of clusters: p-values adjusted for their number, step by step.

Clusters are few, so what an outcome's t would be without an effect is taken from handing onsets and doses to other
clusters; the same assignment is used for every outcome, which keeps how they go together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import entry
from did.estimators.base import Panel
from did.inference import placebo
from did.inference.assignments import near_in_size
from did.inference.refit import carried, no_assignment

DRAWS = 1999


def joint_statistics(panels: Mapping[str, Panel], estimator: str, options: Mapping[str, object], level: str, *,
                     draws: int = DRAWS, seed: int = 20170601) -> pd.DataFrame:
    """Return |t| of every outcome under the same assignments, a row each after a first one for what was observed.

    ``panels`` outcome -> its panel, with clusters of ``level`` whose names they share; ``estimator`` is ``did`` or
    ``ldv`` with the ``options`` of its fit. In each of ``draws`` assignments every treated cluster hands its onset and
    dose to one of the five nearest to it in units, in all outcomes to the same; a cluster that an outcome does not have
    is treated in none of its assignments. Missing outcomes are left out as by the estimator. NaN where t does not
    exist. Raises DidError if clusters cannot change places, or outcomes differ in the clusters that are treated.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 8, {5: 12}, 1.0, seed=2, units_per_system=4)[0])
    >>> joint_statistics({"one": data, "two": data}, "did", {}, "system", draws=99).shape
    (100, 2)
    """
    largest = max(panels, key=lambda name: len(set(panels[name].clusters[level])))
    names = pd.Index(sorted(set(panels[largest].clusters[level])))
    sizes = pd.Series(panels[largest].clusters[level]).value_counts().reindex(names).to_numpy()
    labels = {name: _labels(panel, level) for name, panel in panels.items()}
    treated = labels[largest]["dose"]
    for name, own in labels.items():
        if not own["dose"].equals(treated):
            raise DidError(f"joint reassignment: expected outcomes with the same treated clusters and doses; found "
                           f"others in {name} than in {largest}")
    places = names.get_indexer(treated.index)
    chosen = np.vstack([places, near_in_size(sizes[places], sizes, draws, np.random.default_rng(seed))])
    return pd.DataFrame({name: _statistics(panel, labels[name], (names, chosen), (estimator, dict(options), level))
                         for name, panel in panels.items()})


def _labels(panel: Panel, level: str) -> pd.DataFrame:
    """Onset and dose of each treated cluster, by its name."""
    panel = panel.keep(~panel.always_treated)
    if reason := no_assignment(carried(panel, level)[0], level):
        raise DidError(f"joint reassignment: {reason}")
    treated = ~panel.never_treated
    frame = pd.DataFrame({"onset": panel.treated_from[treated], "dose": panel.dose[treated]})
    return frame.groupby(panel.clusters[level][treated].astype(object)).mean().sort_index()


def _statistics(panel: Panel, own: pd.DataFrame, dealt: tuple[pd.Index, np.ndarray],
                fitted: tuple[str, dict, str]) -> np.ndarray:
    (names, chosen), (estimator, options, level) = dealt, fitted
    panel = panel.keep(~panel.always_treated).scaled()[0]
    dose = carried(panel, level)[0].dose
    onset = own["onset"].to_numpy().astype(int)
    onsets = np.unique(onset) if entry(estimator).own_dates else np.array([onset.min()])
    doses = pd.Series(dose).groupby(panel.clusters[level].astype(object)).mean().reindex(own.index).to_numpy()
    labels = np.where(np.minimum(onset, onsets.max())[:, None] == onsets, doses[:, None], 0.0)
    codes = names.get_indexer(panel.clusters[level])
    lags = str(options.get("lags", "all"))
    model, _ = placebo.regression(panel, codes, estimator, lags, onsets)
    z = np.zeros((len(chosen), len(names), len(onsets)))
    z[np.arange(len(chosen))[:, None], chosen] = labels
    there = np.unique(codes[placebo.used_cells(panel, estimator, lags, int(onsets.min()))[0]])
    return placebo.simple(placebo.compact(model), z[:, there].reshape(len(z), -1)).t


def step_down(statistics: np.ndarray) -> np.ndarray:
    """Return p-values adjusted by step-down of the smallest p-value, (outcomes,).

    ``statistics`` (1 + draws, outcomes) as `joint_statistics`: sizes of each outcome, larger against the null, in the
    observed assignment and in others; NaN counts as larger. Each outcome's own p-value in every row is the share of
    rows at least as large. With the observed ones rising, the adjusted p-value of the j-th is the share of rows in
    which the smallest of its own and all later ones is as small, and no smaller than the one before: Romano and Wolf
    2005, Econometrica 73:1237-1282, with p-values as statistics, so that no outcome weighs more because its t varies
    more (Westfall and Young 1993, Resampling-based multiple testing, algorithm 2.8). The chance of one or more false
    rejections stays below the level if the assignments were equally likely. An outcome without an observed statistic
    gets NaN and does not count. Raises DidError if there is no draw.

    >>> step_down(np.array([[3.0, 3.0], [1.0, 4.0], [0.5, 1.0], [2.0, 0.1]])).tolist()
    [0.5, 0.5]
    """
    if statistics.ndim != 2 or len(statistics) < 2:
        raise DidError(f"step_down: expected an observed row and draws; found shape {statistics.shape}")
    used = np.flatnonzero(np.isfinite(statistics[0]))
    adjusted = np.full(statistics.shape[1], np.nan)
    sizes = np.where(np.isnan(statistics[:, used]), np.inf, statistics[:, used])
    own = np.empty(sizes.shape)
    for column, values in enumerate(sizes.T):
        known = np.sort(values)
        own[:, column] = (len(known) - np.searchsorted(known, values * (1 - 1e-8))) / len(known)
    order = np.argsort(own[0], kind="stable")
    smallest = np.minimum.accumulate(own[:, order][:, ::-1], axis=1)[:, ::-1]
    reached = (smallest <= own[0, order] + 1e-12).mean(axis=0)
    adjusted[used[order]] = np.maximum.accumulate(reached)
    return adjusted
