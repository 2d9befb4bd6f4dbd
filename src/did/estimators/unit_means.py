"""What is left of a regression of unit means once its coefficients are fitted: degrees of freedom and leverage."""

from __future__ import annotations

import dataclasses

import numpy as np

from did.estimators.design import Design
from did.estimators.within import Fit


@dataclasses.dataclass(frozen=True)
class UnitMeans:
    """How much each unit's mean pulls the fit towards itself, and what that leaves.

    leverage   (units,) diagonal of the hat matrix, 0 to 1; its sum is the number of coefficients
    df         units less coefficients: the constant, treatment and the lags that are not collinear
    """

    leverage: np.ndarray
    df: int

    def sentence(self, n_obs: int, n_parameters: int) -> str:
        """Return what degrees of freedom and leverage are, and why Stata's rule has others, in one sentence.

        ``n_obs`` and ``n_parameters`` are N and K of that rule, the outcome cells and the regressors and period effects
        (Stata manual [R] regress, methods and formulas). Raises nothing.

        >>> UnitMeans(np.array([0.25, 0.75, 1.0]), 1).sentence(1100, 5)  # doctest: +NORMALIZE_WHITESPACE
        "a regression of unit means, 1 degree of freedom: Stata's rule counts cells, N - K = 1,095, and so hardly allows
         for 2 coefficients; leverage 0.67 on average, 1.00 at most"
        """
        n_coefficients = len(self.leverage) - self.df
        return (f"a regression of unit means, {self.df} degree{'s' * (self.df != 1)} of freedom: Stata's rule counts "
                f"cells, N - K = {n_obs - n_parameters:,}, and so hardly allows for {n_coefficients} coefficients; "
                f"leverage {self.leverage.mean():.2f} on average, {self.leverage.max():.2f} at most")


def unit_means(design: Design, fit: Fit | None = None) -> UnitMeans | None:
    """Return leverage and degrees of freedom of a ``design`` with one cell per unit, None for any other design.

    `did.estimators.ldv.design` has one cell per unit, its mean after onset, where treatment and weight do not change
    from onset on. ``fit`` is that of the design, if it was made already. Leverage is 0 for units without an outcome.
    Raises nothing.
    """
    if design.outcome.shape[1] != 1 or design.effects != "period":
        return None
    fit = design.fit() if fit is None else fit
    assert fit.leverage is not None   # of every fit with period effects
    used = np.isfinite(fit.residual[:, 0])
    weight = np.where(used, design.weight[:, 0], 0.0)
    leverage = np.clip(fit.leverage[:, 0] + weight / weight.sum(), 0.0, 1.0)
    return UnitMeans(leverage, int(used.sum()) - int(fit.kept.sum()) - 1)
