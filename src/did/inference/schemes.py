"""Placebo schemes: which clusters may be given the onsets and doses of the treated ones, and over which periods."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.base import PERIODS_PER_YEAR, Panel

# Placebo onsets of the scheme ``before_onset``, spread evenly over those that leave two years before and one after.
MOST_ONSETS = 5
# With how many clusters calibration still ends within minutes.
MOST_CLUSTERS = 500


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A panel in which nothing was done, and what treated clusters hand to its clusters.

    panel   outcomes; its own treatment is not used; codes (units,) number of each unit's cluster
    onset   (labels,) position of the onset of each treated cluster; dose (labels,); sizes (labels,) its units
    """

    panel: Panel
    codes: np.ndarray
    onset: np.ndarray
    dose: np.ndarray
    sizes: np.ndarray


def schemes(panel: Panel, level: str, scheme: str, *, one_onset: bool) -> Iterator[Scheme]:
    """Yield the panels of ``scheme`` (`did.inference.names.SCHEMES`) with what is handed out in them.

    ``never_treated``: clusters of ``level`` never treated in the window, all periods, the treated clusters' own onsets,
    or with ``one_onset`` the first for all. ``before_onset``: all clusters, the periods before the first onset, up to
    five times: the first placebo onset is moved, and the others keep their distance from it where that leaves two years
    before the first and one after the last; else all are at one. A cluster whose units differ hands out their median
    onset and mean dose; missing outcomes stay missing. Raises DidError where a scheme is not possible, with the reason.
    """
    codes, names = pd.factorize(panel.clusters[level])
    if len(names) > MOST_CLUSTERS:
        raise DidError(f"expected at most {MOST_CLUSTERS} clusters; found {len(names)}, with which placebos take too "
                       "long")
    treated = ~panel.never_treated & ~panel.always_treated
    with_treated = np.unique(codes[treated])
    if not len(with_treated):
        raise DidError("no cluster is treated within the window")
    onset = np.array([np.median(panel.treated_from[treated & (codes == code)]) for code in with_treated]).astype(int)
    dose = np.array([panel.dose[treated & (codes == code)].mean() for code in with_treated])
    sizes = np.array([int((codes == code).sum()) for code in with_treated])
    first = int(onset.min())
    if scheme == "never_treated":
        free = ~np.isin(codes, np.unique(codes[~panel.never_treated]))
        _refuse_few(len(np.unique(codes[free])), len(with_treated), "never treated")
        yield Scheme(panel.keep(free), codes[free], np.full(len(onset), first) if one_onset else onset, dose, sizes)
        return
    _refuse_few(len(names), len(with_treated), "in the panel")
    year = PERIODS_PER_YEAR[panel.frequency]
    if not len(np.arange(2 * year, first - year + 1)):
        raise DidError(f"expected three years before the first onset for placebo onsets; found {first} periods")
    distance = onset - first
    if one_onset or 2 * year + distance.max() > first - year:
        distance = np.zeros_like(distance)
    possible = np.arange(2 * year, first - year - distance.max() + 1)
    early = dataclasses.replace(
        panel, outcome=panel.outcome[:, :first], periods=panel.periods[:first],
        weight=None if panel.weight is None else panel.weight[:, :first], covariates={})
    for at in possible[np.unique(np.linspace(0, len(possible) - 1, MOST_ONSETS).round().astype(int))]:
        yield Scheme(early, codes, at + distance, dose, sizes)


def _refuse_few(n_clusters: int, n_treated: int, what: str) -> None:
    if n_clusters < n_treated + 3:
        places = f"places of {n_treated} treated ones" if n_treated > 1 else "place of the treated one"
        raise DidError(f"expected at least {n_treated + 3} clusters {what} to take the {places}; found {n_clusters}")
