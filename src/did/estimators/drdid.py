"""Effect on the treated from two periods: one difference-in-differences, with or without covariates.

Every function takes the changes of many cells at once (columns) for the treated and control units (rows) that
share one design: the same units, covariates and weights. Each returns the effect per cell and the influence
of each unit, scaled so that its square sums to the variance. Formulas: Sant'Anna and Zhao 2020, Journal of
Econometrics 219:101-122 (outcome regression, section 2.1; Hajek-type inverse probability weighting, section
2.2; the "traditional" doubly robust estimator, equation 3.1). They equal R's DRDID reg_did_panel,
std_ipw_did_panel and drdid_panel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from did.estimators.base import listed, root_sum_squares
from did.estimators.within import ROUNDING

METHODS = ("unconditional", "reg", "ipw", "dr")
# R's did and DRDID: no estimate above the first, controls above the second are not used.
NO_OVERLAP = 0.999
TRIMMED = 0.995
LOGIT_STEPS = 100
LOGIT_TOLERANCE = 1e-8
NO_SIDE = "no treated unit or no control has outcomes in both periods"
# Below this share of its length about its mean, what the columns before leave of a covariate is rounding.
COLLINEAR = 1e-10


@dataclasses.dataclass(frozen=True)
class Cells:
    """Effects of several cells of one design.

    effect     (cells,) in units of the outcome; NaN where not identified
    influence  (units, cells), 0 where not identified
    reason     why the design identifies nothing; empty if it does
    """

    effect: np.ndarray
    influence: np.ndarray
    reason: str = ""


def unidentified(shape: tuple[int, int], reason: str) -> Cells:
    """Return `Cells` of (units, cells) ``shape`` without an estimate, for ``reason``."""
    return Cells(np.full(shape[1], np.nan), np.zeros(shape), reason)


def unconditional(change: np.ndarray, treated: np.ndarray, weight: np.ndarray | None) -> Cells:
    """Return mean change of the treated less mean change of the controls.

    change (units, cells); treated (units,) booleans, False = control; weight (units, cells), 0 = left out (the
    change is then not read), or None for equal weights. A cell without weight on either side is NaN.
    """
    influence = np.empty_like(change)
    means = []
    for side, sign in ((treated, 1.0), (~treated, -1.0)):
        rows = change[side]
        w = np.ones((len(rows), 1)) if weight is None else weight[side]
        total = w.sum(axis=0)
        # The mean of nothing is missing: a sum over no rows would be 0.
        share = w / np.where(total > 0, total, 1.0)
        rows = np.where(w > 0, rows, 0.0)
        mean = np.where(total > 0, (share * rows).sum(axis=0), np.nan)
        influence[side] = sign * share * (rows - mean)
        means.append(mean)
    effect = means[0] - means[1]
    if np.isnan(effect).any():
        influence[:, np.isnan(effect)] = 0.0
        return Cells(effect, influence, NO_SIDE)
    return Cells(effect, influence)


def regression(
    change: np.ndarray, treated: np.ndarray, design: np.ndarray, weight: np.ndarray, names: Sequence[str]
) -> Cells:
    """Return mean change of the treated less that predicted for them by the controls' regression.

    design (units, columns): a constant, then the covariates ``names``; weight (units,). No estimate if the
    controls' design is singular.
    """
    reason = dependence(design[~treated], weight[~treated], names, " among the controls")
    if reason:
        return unidentified(change.shape, reason)
    design = standardised(design, weight)
    slope, spread = _control_regression(change, treated, design, weight)
    residual = change - design @ slope
    w_treated = weight * treated
    total = w_treated.sum()
    effect = w_treated @ residual / total
    mean_design = w_treated @ design / total
    influence = (w_treated / total)[:, None] * (residual - effect)
    influence -= (weight * ~treated * (design @ (spread @ mean_design)))[:, None] * residual
    return Cells(effect, influence)


def inverse_probability(
    change: np.ndarray, treated: np.ndarray, design: np.ndarray, weight: np.ndarray, names: Sequence[str]
) -> Cells:
    """Return mean change of the treated less that of controls weighted by the odds of treatment.

    Odds p/(1-p) from a logit of treatment on ``design``; the weights sum to one; controls with p of at least
    0.995 are left out. No estimate if the logit does not exist or a p reaches 0.999 (no overlap).
    """
    score, reason = propensity(treated, design, weight, names)
    if reason:
        return unidentified(change.shape, reason)
    slope = np.zeros((design.shape[1], change.shape[1]))
    return _weighted(change, slope, None, treated, standardised(design, weight), weight, score)


def doubly_robust(
    change: np.ndarray, treated: np.ndarray, design: np.ndarray, weight: np.ndarray, names: Sequence[str]
) -> Cells:
    """Return `inverse_probability` applied to what the controls' regression leaves of the change.

    Right if either the logit or the regression is. No estimate where either has none.
    """
    score, reason = propensity(treated, design, weight, names)
    reason = reason or dependence(design[~treated], weight[~treated], names, " among the controls")
    if reason:
        return unidentified(change.shape, reason)
    design = standardised(design, weight)
    slope, spread = _control_regression(change, treated, design, weight)
    return _weighted(change, slope, spread, treated, design, weight, score)


CONDITIONAL = {"reg": regression, "ipw": inverse_probability, "dr": doubly_robust}


def dependence(design: np.ndarray, weight: np.ndarray, names: Sequence[str], among: str) -> str:
    """Return which covariate of a weighted design the columns before it determine, in words; empty if none.

    design (units, columns): a constant, then the covariates ``names``; weight (units,), 0 = left out; ``among``
    whose design it is.
    """
    rows, weight = design[weight > 0], weight[weight > 0]
    if len(rows) < design.shape[1]:
        return f"{len(rows)} units{among} are too few for a constant and covariates {listed(names)}"
    root = np.sqrt(weight)[:, None]
    about_mean = _about_mean(rows[:, 1:], weight) * root
    size = root_sum_squares(about_mean, axis=0)
    # What rounding may leave of a constant, or of a sum of others, depends on the mean; what varies does not.
    rounding = ROUNDING * root_sum_squares(rows[:, 1:] * root, axis=0)
    left = np.abs(np.diag(np.linalg.qr(about_mean, mode="r")))
    for column, name in enumerate(names):
        if size[column] <= rounding[column]:
            return f"covariate {name} is constant (collinear){among}"
        if left[column] <= max(COLLINEAR * size[column], rounding[column]):
            return f"covariate {name} is collinear with {listed(names[:column])}{among}"
    return ""


def standardised(design: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return a design with its covariates about their means and of one size, which changes no effect and no fit."""
    about_mean = _about_mean(design[:, 1:], weight)
    size = np.abs(about_mean).max(axis=0)
    return np.column_stack([design[:, 0], about_mean / np.where(size > 0, size, 1.0)])


def _about_mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (units, columns) values less their weighted means."""
    for _ in range(2):  # the second round takes out the rounding of the first
        values = values - weight @ values / weight.sum()
    return values


def _no_overlap(names: Sequence[str]) -> str:
    many = "covariates" if len(names) > 1 else "covariate"
    return (f"{many} {listed(names)} separate{'' if len(names) > 1 else 's'} the treated from the controls (a "
            f"propensity score of {NO_OVERLAP} or more)")


def _weighted(change: np.ndarray, slope: np.ndarray, spread: np.ndarray | None, treated: np.ndarray,
              design: np.ndarray, weight: np.ndarray, score: np.ndarray) -> Cells:
    """Hajek-weighted difference of residuals, with the influence of the logit and of the regression."""
    residual = change - design @ slope
    w_treated = weight * treated
    odds = weight * ~treated * (score < TRIMMED) * score / (1 - score)
    total, total_odds = w_treated.sum(), odds.sum()
    mean_treated, mean_control = w_treated @ residual / total, odds @ residual / total_odds
    influence = (w_treated / total)[:, None] * (residual - mean_treated)
    deviation = residual - mean_control
    influence -= (odds / total_odds)[:, None] * deviation
    information = np.linalg.inv(design.T @ (design * (weight * score * (1 - score))[:, None]))
    gradient = design.T @ (odds[:, None] * deviation) / total_odds
    influence -= (weight * (treated - score))[:, None] * (design @ (information @ gradient))
    if spread is not None:
        imbalance = w_treated @ design / total - odds @ design / total_odds
        influence -= (weight * ~treated * (design @ (spread @ imbalance)))[:, None] * residual
    return Cells(mean_treated - mean_control, influence)


def _control_regression(change: np.ndarray, treated: np.ndarray, design: np.ndarray, weight: np.ndarray
                        ) -> tuple[np.ndarray, np.ndarray]:
    """Return slopes (columns, cells) of the controls' weighted least squares and (X'WX)^-1."""
    root = np.sqrt(weight[~treated])[:, None]
    # The triangular factor, and not X'WX, is inverted: half the digits would be lost otherwise.
    q, r = np.linalg.qr(design[~treated] * root)
    inverse = np.linalg.inv(r)
    return inverse @ (q.T @ (change[~treated] * root)), inverse @ inverse.T


def propensity(treated: np.ndarray, design: np.ndarray, weight: np.ndarray, names: Sequence[str]
               ) -> tuple[np.ndarray, str]:
    """Return (units,) fitted probabilities of the weighted logit, or the reason there are none.

    Iterated least squares from R's starting values to R's stopping rule (``glm``: relative change of the
    deviance below 1e-8). Iterating further would be more exact, and would differ from R in the eighth digit.
    """
    weight, target = weight / weight.mean(), treated.astype(float)
    collinear = dependence(design, weight, names, " among the treated and the controls")
    if collinear:
        return target, collinear
    design = standardised(design, weight)
    score = (weight * target + 0.5) / (weight + 1)
    linear = np.log(score / (1 - score))
    before = deviance = _deviance(score, target, weight)
    for _ in range(LOGIT_STEPS):
        curvature = weight * score * (1 - score)
        root = np.sqrt(curvature)[:, None]
        if _singular((design * root).T @ (design * root)):
            return score, _no_overlap(names)
        working = linear + (target - score) / np.maximum(score * (1 - score), np.finfo(float).tiny)
        q, r = np.linalg.qr(design * root)
        linear = design @ np.linalg.solve(r, q.T @ (root[:, 0] * working))
        score = 1 / (1 + np.exp(-np.clip(linear, -700, 700)))
        before, deviance = deviance, _deviance(score, target, weight)
        if abs(deviance - before) < LOGIT_TOLERANCE * (abs(deviance) + 0.1):
            break
    return (score, "") if score.max() < NO_OVERLAP else (score, _no_overlap(names))


def _deviance(score: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    likelihood = np.where(target > 0, score, 1 - score)
    return float(-2 * (weight * np.log(np.maximum(likelihood, np.finfo(float).tiny))).sum())


def _singular(gram: np.ndarray) -> bool:
    """Return whether a Gram matrix, its columns put on one scale, is singular to working precision."""
    scale = np.sqrt(np.diag(gram))
    if not (scale > 0).all():
        return True
    return bool(np.linalg.cond(gram / np.outer(scale, scale)) > 1 / np.finfo(float).eps)
