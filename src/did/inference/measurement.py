"""How far an estimate of survey shares is off by who happened to be asked: the least error that it can have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import estimate, estimates_of
from did.estimators.base import Panel
from did.inference.clustered import summarise

DRAWS = 199
# Outcomes drawn in one go.
BLOCK = 4_000_000
COLUMNS = ["estimand", "cohort", "period", "event_time", "estimate", "measurement_error", "std_error", "share"]


def effective_size(weights: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return Kish's effective number of respondents, (sum w)^2 / sum w^2 over ``axis``; 0 of no respondent.

    ``weights`` are those of respondents, 0 or more, missing = not a respondent. Weights that are all alike give their
    number. Kish 1965, Survey Sampling, section 11.7. Raises DidError for a weight below 0.

    >>> effective_size(np.array([1.0, 1, 1, 1])).item(), effective_size(np.array([3.0, 1, 1, np.nan])).round(2).item()
    (4.0, 2.27)
    """
    held = np.nan_to_num(np.asarray(weights, dtype=float))
    if (held < 0).any():
        raise DidError(f"effective size: weights: expected 0 or more; found {held.min()}; correct them")
    squares = (held**2).sum(axis=axis)
    return np.where(squares > 0, held.sum(axis=axis) ** 2 / np.where(squares > 0, squares, 1.0), 0.0)


def share_variance(share: np.ndarray, base: np.ndarray, *, design_effect: float = 1.0, per: float = 1.0) -> np.ndarray:
    """Return the sampling variance of shares: per^2 x p (1 - p) x design_effect / base, squared units of the outcome.

    ``share`` is p x ``per`` (100 for percentages); ``base`` the number of respondents, effective where weights are
    known (`effective_size`), of the same shape. p is taken as (p n + 1/2) / (n + 1), so that a share of 0 or all of a
    small base is not taken for certain. Missing where a share is, or the base is 0. ``design_effect`` is how many times
    larger the variance is for the way the sample was drawn (1 = simple random). Raises DidError for a share outside 0
    to ``per``, a base below 0 and a design effect that is not positive.

    >>> share_variance(np.array([50.0, 0.0]), np.array([100, 10]), per=100.0).round(1).tolist()
    [25.0, 43.4]
    """
    p, n = np.asarray(share, dtype=float) / per, np.asarray(base, dtype=float)
    for what, wrong, expected in (("share", (p < 0) | (p > 1), f"0 to {per:g}"), ("base", n < 0, "0 or more")):
        if wrong.any():
            values = share if what == "share" else base
            raise DidError(f"share variance: {what}: expected {expected}; found {np.asarray(values)[wrong].flat[0]}; "
                           "correct it")
    if not design_effect > 0:
        raise DidError(f"share variance: design_effect: expected a number above 0; found {design_effect}")
    known = np.isfinite(p) & (n > 0)
    size = np.where(known, n, 1.0)
    centred = (np.where(known, p, 0.0) * size + 0.5) / (size + 1)
    return np.where(known, per**2 * centred * (1 - centred) * design_effect / size, np.nan)


def measurement_error(panel: Panel, estimator: str, variance: np.ndarray, *,
                      options: Mapping[str, object] | None = None, draws: int = DRAWS, seed: int = 20170601
                      ) -> pd.DataFrame:
    """Return how much of each parameter's error is the sampling of respondents, by drawing them again.

    ``variance`` (units, periods) is that of the outcome in squared units of it (`share_variance`), independent between
    cells, missing where the outcome is. Normal noise of that variance is added to the outcome and the estimator fitted
    again, ``draws`` times: exact but for simulation error where it is linear in the outcome. One row per parameter with
    the columns `COLUMNS`: measurement_error is the standard deviation of the estimates, in units of the outcome;
    std_error the one clustered by unit, which has both this and what differs between units; share their variances'
    ratio. A clustered error below measurement_error (a share above 1) is too small, as with few clusters. A panel of
    the same respondents in every period has errors that are not independent: the number is then too large.

    Raises DidError if the variance is not of the panel's shape, missing where the outcome is not, or below 0; fewer
    than 19 draws are asked for; and as the estimator does.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(30, 8, {5: 10}, 3.0, seed=1, noise=4.0)[0])
    >>> found = measurement_error(data, "did", np.full(data.outcome.shape, 16.0), draws=99)
    >>> bool(0.5 < found["share"].item() < 2.0)   # all that differs here is sampling
    True
    """
    if variance.shape != panel.outcome.shape:
        raise DidError(f"measurement error: variance: expected {panel.outcome.shape} units and periods; found "
                       f"{variance.shape}")
    seen = np.isfinite(panel.outcome)
    wrong = seen & ~(variance >= 0)
    if wrong.any():
        unit, period = np.argwhere(wrong)[0]
        raise DidError(f"measurement error: variance of unit {panel.units[unit]}, period {panel.periods[period]}: "
                       f"expected a number of 0 or more; found {variance[unit, period]}; leave the outcome out")
    if draws < 19:
        raise DidError(f"measurement error: draws: expected 19 or more; found {draws}; ask for more")
    given = dict(options or {})
    result = estimate(estimator, panel, **given)
    spread = np.where(seen, np.sqrt(np.where(seen, variance, 0.0)), 0.0)
    generator = np.random.default_rng(seed)
    step = max(1, BLOCK // spread.size)
    drawn = np.concatenate([
        estimates_of(estimator, panel, panel.outcome + spread * generator.standard_normal(
            (min(step, draws - start), *spread.shape)), **given) for start in range(0, draws, step)])
    alone = dataclasses.replace(panel, clusters={"unit": panel.clusters["unit"]})
    rows = summarise(result, alone)
    own = np.sqrt(((drawn - result.estimate) ** 2).mean(axis=0))
    return rows[COLUMNS[:5]].assign(measurement_error=own, std_error=rows["std_error"],
                                    share=own**2 / rows["std_error"].astype(float) ** 2)[COLUMNS]
