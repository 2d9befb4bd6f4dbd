"""Errors of the lagged dependent variable regression as what it is: a regression of the units' means."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.design import Design
from did.estimators.unit_means import unit_means
from did.inference.clustered import rounding_error

KINDS = ("HC2", "HC3")
# A unit whose leverage is this close to one has no residual of its own.
LEVERAGE_ONE = 1e-10


def heteroskedastic(design: Design, kind: str = "HC2", *, coverage: float = 0.95) -> pd.DataFrame:
    """Return the coefficients a design wants with errors robust to unequal variances of the units' means.

    ``HC2`` divides each squared residual by 1 - leverage, ``HC3`` by its square (MacKinnon and White 1985, Journal of
    Econometrics 29:305-325); t has the degrees of freedom of unit means. Columns as
    `did.inference.bias_reduced.bias_reduced`: name, estimate and std_error in units of the outcome per unit of dose,
    df, p_value, ci_low and ci_high that cover ``coverage``, n_clusters (units) and note. Errors are missing, with the
    reason, where a unit has leverage one, no degree of freedom is left, or nothing varies.

    Raises DidError for another ``kind`` and for a design with more than one cell per unit.

    >>> from did.estimators.base import Panel
    >>> from did.estimators.ldv import design
    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(60, 10, {6: 20}, 0.0, seed=1)
    >>> heteroskedastic(design(Panel.from_frame(frame), lags="last_3"), "HC3")["df"].item()
    55.0
    """
    from scipy import stats

    one_of("unit means: kind", kind, KINDS)
    scaled, units = design.scaled()
    fit, wanted = scaled.fit(), list(design.wanted)
    found = unit_means(scaled, fit)
    if found is None:
        raise DidError("unit means: expected treatment that does not change after onset, so that the regression is one "
                       "of unit means; found later cohorts or changing weights; use CR2 by unit")
    left = 1 - found.leverage
    alone = left < LEVERAGE_ONE
    power = 0.5 if kind == "HC2" else 1.0
    corrected = fit.influence[:, wanted] / np.where(alone, np.nan, left**power)[:, None]
    error = np.sqrt((corrected**2).sum(axis=0))
    varies = error > rounding_error(scaled.outcome, scaled.exposure(wanted))
    known = np.isfinite(error) & varies & (found.df > 0) & fit.identified[wanted]
    error = np.where(known, error, np.nan) * units[wanted]
    estimate = fit.coefficient[wanted] * units[wanted]
    half = stats.t.ppf((1 + coverage) / 2, max(found.df, 1)) * error
    reason = (f"no standard error: {int(alone.sum())} units have leverage one" if alone.any() else
              "no standard error: as many coefficients as units" if found.df < 1 else
              "no standard error: no variation between units")
    return pd.DataFrame({
        "name": [design.names[column] for column in wanted], "estimate": estimate, "std_error": error,
        "df": float(found.df), "p_value": 2 * stats.t.sf(np.abs(estimate) / error, max(found.df, 1)),
        "ci_low": estimate - half, "ci_high": estimate + half, "n_clusters": len(found.leverage),
        "note": ["" if has else reason for has in known],
    })
