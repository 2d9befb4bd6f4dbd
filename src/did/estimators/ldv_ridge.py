"""Lagged dependent variable with shrunken lags: ridge or principal components, their strength chosen before onset."""

from __future__ import annotations

import dataclasses

import numpy as np

from did.errors import DidError, one_of
from did.estimators.base import PERIODS_PER_YEAR, Panel, Result, join_notes, parameter_table, scale_free
from did.estimators.ldv import Lagged, lag_matrix, lagged
from did.estimators.shares import UnitShares
from did.estimators.within import COLLINEAR, ROUNDING, demean_periods

SHRINKAGE = ("ridge", "components")
# Ridge strengths that are tried: a quarter of a decade apart, from next to none to next to nothing left of the lags.
STRENGTHS = 10.0 ** np.arange(-4, 4.25, 0.25)
MOST_COMPONENTS = 20
# Dates before onset that are predicted from, and the fewest units to predict.
ORIGINS, FEWEST = 8, 5
# A unit that pulls the fit wholly to itself cannot be left out.
OWN_FIT = 1e-9


@scale_free
def estimate(panel: Panel, *, lags: str = "all", shrinkage: str = "ridge", strength: float | None = None) -> Result:
    """Return the effect of treatment given the outcomes before onset, with few effective coefficients for many lags.

        Y_it = gamma_t + delta D_it + theta_0 mean_i + sum over s of theta_s (Y_is - mean_i) + e_it

    t from onset on, s before it, mean_i unit i's mean over the lags: the regression of `did.estimators.ldv`, with the
    same ``lags``, onset and units left out, but with a penalty on theta_s (not on theta_0, delta or gamma): ``ridge``
    adds strength x (mean square of a lag's deviations, less what their means explain) x sum theta_s^2 to the sum of
    squares (Hoerl and Kennard 1970, Technometrics 12:55-67); ``components`` keeps the first ``strength`` principal
    components of the deviations and drops the others. Strength 0 of ridge is `ldv`; an endless one, or no component,
    leaves the regression on the mean before onset. It can have more lags than units.

    ``strength`` None chooses it before onset, where nobody is treated: from up to eight dates in the second half of
    the periods before onset, the mean outcome of the next periods (as many as there are from onset on, at most a third
    of those before) is predicted from the lags before, leaving out each unit in turn (Stone 1974, J. R. Statist. Soc. B
    36:111-147; in closed form Allen 1974, Technometrics 16:125-127). Of the strengths whose sum of squared errors is
    within a standard error of the least, the weakest is taken: Breiman, Friedman, Olshen and Stone's rule (1984,
    section 3.4.3) turned round, since what shrinkage leaves of a difference between groups is bias. The note gives the
    strength and the number of coefficients that the lags then count as, sum s^2 / (s^2 + penalty) over their singular
    values s.

    One parameter, estimand ``overall``, in units of the outcome per unit of dose. The influence of a unit is what
    leaving it out changes, exactly, with the penalty kept, less the mean over units: the jackknife, which allows for
    leverage as HC3 does.
    The factor is G/(G-1) alone. What shrinkage leaves of a difference between the groups' lags is a bias that no error
    holds; it falls with the strength.

    Raises DidError as `ldv` does (but for too many lags), for an unknown ``shrinkage``, a strength below 0, of
    components not whole or more than there are, a strength of 0 with as many lags as units, a single lag, or too few
    periods before onset to choose a strength from.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(60, 24, {18: 12}, 5.0, seed=1, noise=1.0)[0])
    >>> estimate(data).estimate.round(1).tolist()
    [5.2]
    """
    one_of("ldv_ridge: shrinkage", shrinkage, SHRINKAGE)
    data = lagged(panel, lags, estimator="ldv_ridge", few_lags=False)
    if len(data.design.names) < 3:
        raise DidError("ldv_ridge: expected two lags or more to shrink; found 1; use ldv")
    _refuse_strength(strength, shrinkage)
    unit_weight = data.design.weight.sum(axis=1)
    paths = Paths.of(data.design.regressors[:, 0, :-1], unit_weight)
    chosen, how = (_chosen(data, lags, shrinkage, unit_weight) if strength is None else (float(strength), "as asked"))
    fit = _fit(data, paths, shrinkage, chosen)
    what = "1 component" if chosen == 1 else f"{chosen:.0f} components"
    said = f"ridge of strength {chosen:.3g}" if shrinkage == "ridge" else what
    return Result(
        estimator="ldv_ridge",
        parameters=parameter_table("overall"),
        estimate=np.array([fit.effect]),
        shares=UnitShares(data.used.units, fit.influence[:, None], ~data.used.never_treated[:, None]),
        n_obs=data.used.n_units * data.n_post,
        n_parameters=None,
        note=join_notes(
            data.lag_note,
            f"{said} ({how}), {len(data.design.names) - 1} lags count as {1 + fit.n_effective:.1f} coefficients",
            data.sample_note,
        ),
    )


@dataclasses.dataclass(frozen=True)
class Paths:
    """The lags of units, in two parts that a regression with a constant needs both.

    mean        (units,) of the lags
    deviations  (units, lags - 1) from that mean, in orthonormal contrasts, less what constant and mean explain
    """

    mean: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(cls, lags: np.ndarray, weight: np.ndarray) -> Paths:
        """Return the parts of (units, lags) ``lags``, with (units,) ``weight``."""
        n_lags = lags.shape[1]
        about = lags - lags.mean(axis=0)
        mean = about.mean(axis=1)
        # Orthonormal contrasts: any complement of the constant gives the same sum of squares.
        contrasts = np.linalg.qr(np.column_stack([np.ones(n_lags), np.eye(n_lags)[:, 1:]]))[0][:, 1:]
        deviations = (about - mean[:, None]) @ contrasts
        root = np.sqrt(weight)[:, None]
        level = np.linalg.qr(_level(mean) * root)[0]
        left = deviations * root
        for _ in range(2):   # the second round takes out the rounding of the first
            left -= level @ (level.T @ left)
        rounding = ROUNDING * np.abs(lags).max()
        return cls(mean, np.where(np.abs(left).max() > rounding * root.max(), left / root, 0.0))

    def singular(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return U, s and V' of the deviations, rows times the root of ``weight``."""
        return np.linalg.svd(self.deviations * np.sqrt(weight)[:, None], full_matrices=False)


def _level(mean: np.ndarray) -> np.ndarray:
    """Return the (units, 2) constant and mean, the latter on the scale of the former."""
    size = np.abs(mean - mean.mean()).max(initial=0.0)
    return np.column_stack([np.ones(len(mean)), (mean - mean.mean()) / (size if size > 0 else 1.0)])


def _refuse_strength(strength: float | None, shrinkage: str) -> None:
    if strength is None:
        return
    whole = shrinkage == "components"
    if not np.isfinite(strength) or strength < 0 or (whole and strength != int(strength)):
        what = "a whole number of components, 0 or more" if whole else "a number of 0 or more"
        raise DidError(f"ldv_ridge: strength: expected {what}; found {strength}; leave it out to have it chosen")


@dataclasses.dataclass(frozen=True)
class _Fit:
    """Effect, (units,) influence, and the coefficients that the deviations count as."""

    effect: float
    influence: np.ndarray
    n_effective: float


def _fit(data: Lagged, paths: Paths, shrinkage: str, strength: float) -> _Fit:
    """Fit treatment, the mean of the lags and their shrunken deviations, with period effects."""
    model = data.design
    n_periods = model.outcome.shape[1]
    _, singular, turn = paths.singular(model.weight.sum(axis=1))
    kept = singular > COLLINEAR * singular.max(initial=0.0)
    if shrinkage == "components":
        if strength > kept.sum():
            raise DidError(f"ldv_ridge: strength: expected at most the {int(kept.sum())} components there are; found "
                           f"{strength:.0f}; choose fewer")
        kept = kept & (np.arange(len(kept)) < strength)
    shape = paths.deviations @ turn[kept].T
    penalty = _penalty(singular, strength) if shrinkage == "ridge" else 0.0
    n_effective = float((singular[kept] ** 2 / (singular[kept] ** 2 + penalty)).sum()) if kept.any() else 0.0
    fixed = np.column_stack([shape, paths.mean])
    columns = np.concatenate([np.broadcast_to(fixed[:, None, :], (*model.outcome.shape, fixed.shape[1])),
                              model.regressors[:, :, -1:]], axis=2)
    columns, outcome = demean_periods(columns, model.weight), demean_periods(model.outcome, model.weight)
    gram = np.einsum("ut,utj,utk->jk", model.weight, columns, columns)
    own = gram[-1, -1]
    gram[np.arange(shape.shape[1]), np.arange(shape.shape[1])] += penalty
    size = np.sqrt(np.where(np.diag(gram) > 0, np.diag(gram), 1.0))
    others = gram[:-1, :-1] / np.outer(size[:-1], size[:-1])
    cross = gram[:-1, -1] / size[:-1]
    left = own - cross @ np.linalg.lstsq(others, cross, rcond=COLLINEAR)[0]
    if not left > COLLINEAR * own:
        raise DidError(f"ldv_ridge: expected treatment to vary given the lags; found that they explain it completely "
                       f"for {model.outcome.shape[0]} units; use a larger strength or fewer lags")
    inverse = np.linalg.pinv(gram / np.outer(size, size), rcond=COLLINEAR, hermitian=True) / np.outer(size, size)
    coefficient = inverse @ np.einsum("ut,utk,ut->k", model.weight, columns, outcome)
    residual = outcome - columns @ coefficient
    # How much a unit's outcomes pull its own fit: its share of the period effects, and of the regressors.
    total = model.weight.sum(axis=0)
    pull = np.einsum("utj,jk,usk,us->uts", columns, inverse, columns, model.weight, optimize=True)
    pull += np.eye(n_periods) * (model.weight / total)[:, None, :]
    without = np.eye(n_periods) - pull
    alone = np.linalg.svd(without, compute_uv=False).min(axis=1) < OWN_FIT
    without[alone] = np.eye(n_periods)
    moved = np.linalg.solve(without, residual[:, :, None])[:, :, 0]
    influence = np.einsum("utk,k,ut,ut->u", columns, inverse[-1], model.weight, moved, optimize=True)
    return _Fit(float(coefficient[-1]), influence - influence.mean(), n_effective)


def _penalty(singular: np.ndarray, strength: float | np.ndarray) -> float | np.ndarray:
    """Return the penalty on a squared coefficient: strength times the mean square of a contrast of lags."""
    return strength * (singular**2).sum() / max(len(singular), 1)


def _chosen(data: Lagged, lags: str, shrinkage: str, weight: np.ndarray) -> tuple[float, str]:
    """Return the weakest strength that predicts about best before onset, and in words how it was chosen."""
    panel, onset = data.used, data.onset
    length = max(1, min(data.n_post, onset // 3))
    needed = 2 * PERIODS_PER_YEAR[panel.frequency] if lags == "yearly_means" else 2
    if onset - length < needed:
        raise DidError(f"ldv_ridge: expected {needed + max(1, needed // 2)} periods or more before onset "
                       f"{panel.periods[onset]}, to choose the strength from; found {onset}; name a strength")
    firsts = np.unique(np.linspace(max(onset // 2, needed), onset - length, ORIGINS).astype(int))
    errors = []
    for first in firsts:
        word = f"last_{min(int(lags[5:]), first)}" if str(lags).startswith("last_") else lags
        before = lag_matrix(panel, int(first), word, "ldv_ridge")[0]
        after = panel.outcome[:, first:first + length].mean(axis=1)
        usable = np.isfinite(before).all(axis=1) & np.isfinite(after)
        if usable.sum() < FEWEST:
            raise DidError(f"ldv_ridge: expected {FEWEST} units or more with every outcome from {panel.periods[0]} to "
                           f"{panel.periods[first + length - 1]}, to choose the strength from; found "
                           f"{int(usable.sum())}; name a strength")
        own = left_out_errors(before[usable], after[usable], weight[usable], shrinkage)
        errors.append(np.zeros((len(own), panel.n_units)))
        errors[-1][:, usable] = own
    n_tried = min(len(own) for own in errors)
    best = weakest(np.sum([own[:n_tried] for own in errors], axis=0), most_is_weakest=shrinkage == "components")
    tried = STRENGTHS if shrinkage == "ridge" else np.arange(n_tried)
    return float(tried[best]), (
        f"chosen by predicting {length} periods from those before, from {panel.periods[firsts[0]]} on, each unit left "
        "out in turn")


def weakest(errors: np.ndarray, *, most_is_weakest: bool) -> int:
    """Return the row of (tried, units) squared errors that shrinks least among those about as good as the best.

    About as good: the sum of differences from the best row's errors is within its standard error over units. Rows
    shrink ever more, or ever less with ``most_is_weakest``. Raises nothing.

    >>> weakest(np.array([[9.0, 9, 9], [1, 3, 2], [2, 2, 1], [5, 4, 6]]), most_is_weakest=False)
    1
    """
    best = int(errors.sum(axis=1).argmin())
    worse = errors - errors[best]
    close = np.flatnonzero(worse.sum(axis=1) <= np.sqrt(errors.shape[1]) * worse.std(axis=1))
    return int(close[-1] if most_is_weakest else close[0])


def left_out_errors(lags: np.ndarray, outcome: np.ndarray, weight: np.ndarray, shrinkage: str) -> np.ndarray:
    """Return the (tried, units) weighted squared errors of predicting each unit from all others.

    (units, lags) ``lags``, (units,) ``outcome`` and ``weight``, none missing. The regression is that of `estimate`
    without treatment, by each of `STRENGTHS` or by 0, 1, 2 ... components. Raises nothing.
    """
    paths = Paths.of(lags, weight)
    left, singular, _ = paths.singular(weight)
    root = np.sqrt(weight)
    level = np.linalg.qr(_level(paths.mean) * root[:, None])[0]
    target = (outcome - outcome.mean()) * root
    target = target - level @ (level.T @ target)
    kept = singular > COLLINEAR * singular.max(initial=0.0)
    if shrinkage == "ridge":
        penalty = _penalty(singular, STRENGTHS[:, None])
        share = singular**2 / np.maximum(singular**2 + penalty, np.finfo(float).tiny)
    else:
        most = min(MOST_COMPONENTS, int(kept.sum()), max(len(lags) - 4, 0))
        share = (np.arange(len(singular)) < np.arange(most + 1)[:, None]).astype(float)
    share = np.where(kept, share, 0.0)
    fitted = (share * (left.T @ target)) @ left.T
    leverage = (level**2).sum(axis=1) + share @ (left**2).T
    return ((target - fitted) / np.maximum(1 - leverage, OWN_FIT)) ** 2
