"""A panel with the units of a cluster that are treated alike as one unit, for estimates without each cluster."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.estimators.base import Panel

# A panel is put together where it has at most this share as many cells as units.
FEWER = 0.5


def by_cells(panel: Panel, level: str) -> Panel | None:
    """Return the panel of means over the units of each cluster of ``level``, onset and dose, weighted by their number.

    Estimates that depend on outcomes through means by cohort, as two-way fixed effects, averages of group-time effects
    and imputation, are the same on it but for rounding, whatever cluster is left out of both; those that look at single
    units, as with lagged outcomes or a synthetic control, are not, so that whoever uses it compares the estimate on the
    whole panel first. None where it is no smaller by half, where an outcome is missing, and with weights, covariates or
    neighbours.

    >>> from did.estimators import overall
    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 8, {5: 12}, 1.0, seed=2, units_per_system=4)[0])
    >>> cells = by_cells(data, "system")
    >>> cells.n_units, bool(np.isclose(*(overall("imputation", one).estimate[0] for one in (data, cells)), rtol=1e-12))
    (10, True)
    """
    if level == "unit" or panel.weight is not None or panel.covariates or panel.neighbours:
        return None
    if not np.isfinite(panel.outcome).all():
        return None
    parts = pd.DataFrame({"label": panel.clusters[level], "onset": panel.treated_from, "dose": panel.dose})
    codes = parts.groupby(["label", "onset", "dose"], sort=False).ngroup().to_numpy()   # as they first come
    first, sizes = np.unique(codes, return_index=True)[1], np.bincount(codes)
    if len(first) > FEWER * panel.n_units:
        return None
    sums = np.zeros((len(first), panel.n_periods))
    np.add.at(sums, codes, panel.outcome)
    units = pd.Index([f"{place:09d}" for place in range(len(first))])
    return dataclasses.replace(
        panel, outcome=sums / sizes[:, None], units=units, treated_from=panel.treated_from[first],
        dose=panel.dose[first], clusters={"unit": units.to_numpy(), level: panel.clusters[level][first]},
        weight=np.repeat(sizes[:, None].astype(float), panel.n_periods, axis=1))
