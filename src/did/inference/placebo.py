"""A regression in which any cluster can be given a treatment: estimate, errors and bootstrap of many placebos at once.

With unit effects, period effects and lags taken out once (Frisch, Waugh and Lovell), and with an orthonormal basis Q of
what was taken out, an assignment z of doses to clusters has the treatment f = E z, and everything that a method needs
of it is a product of f, Q and the outcome y within clusters g:

    estimate b = f'y / f'f,    score_g = f_g'(y_g - b f_g),    leverage H_gg = Q_g Q_g' + f_g f_g' / f'f

so no regression is fitted again. Rows of a cluster may be rotated, which changes none of these products and leaves as
few rows as they have rank. Formulas: clustered errors `did.inference.clustered`, CR2 and CR3
`did.inference.bias_reduced`, wild bootstrap `did.inference.wild`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from did.errors import DidError
from did.estimators.base import Panel
from did.estimators.ldv import lag_matrix
from did.estimators.within import COLLINEAR, ROUNDING, demean_periods, independent_columns
from did.inference.bias_reduced import LEVERAGE_ONE
from did.inference.clustered import CANCELLED
from did.inference.randomisation import fewest_rows

# Numbers that rows by columns of the regression may hold.
LARGEST = 200_000_000


@dataclasses.dataclass(frozen=True)
class Regression:
    """A regression less its effects and lags, rows sorted by cluster and unit.

    basis    (rows, k) orthonormal, of the period effects and lags
    outcome  (rows,) and columns (rows, clusters x onsets), both less what the basis explains
    starts   (clusters,) first row of each cluster; unit_starts (units,) of each unit
    squares  (clusters x onsets,) sums of squares of the columns before
    n_obs, n_parameters   N and K of the small-sample factor
    """

    basis: np.ndarray
    outcome: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    unit_starts: np.ndarray
    squares: np.ndarray
    n_obs: int
    n_parameters: int


def regression(panel: Panel, codes: np.ndarray, estimator: str, lags: str,
                onsets: np.ndarray) -> tuple[Regression, np.ndarray]:
    """Take effects and lags out of the outcome and of a column per cluster and onset; also the clusters' sizes."""
    weight = panel.observed_weight
    seen = (weight > 0).any(axis=0)
    lagged = np.empty((panel.n_units, 0))
    if estimator == "ldv":
        lagged = lag_matrix(panel, int(onsets.min()), lags)[0]
        seen &= np.arange(panel.n_periods) >= onsets.min()
        used = np.isfinite(lagged).all(axis=1) & (weight[:, seen] > 0).all(axis=1)
        if used.sum() <= lagged.shape[1] + 2:
            raise DidError(f"expected more units than {lagged.shape[1] + 2} coefficients; found {int(used.sum())}")
    else:
        used = (weight > 0).any(axis=1)
        if not used.any():
            raise DidError("expected clusters with outcomes to take the places of the treated; found none")
    order = np.flatnonzero(used)[np.argsort(codes[used], kind="stable")]
    labels, codes = np.unique(codes[order], return_inverse=True)
    periods = np.flatnonzero(seen)
    outcome, weight, lagged = panel.outcome[np.ix_(order, periods)], weight[np.ix_(order, periods)], lagged[order]
    n_obs, n_periods = int((weight > 0).sum()), len(periods)
    after = periods[:, None] >= onsets
    if (weight > 0).all() and (weight == weight[:, :1]).all():
        # Treatment is equal in all periods between two onsets: their means have the same coefficient.
        _, first, segment, length = np.unique(after.sum(axis=1), return_index=True, return_inverse=True,
                                              return_counts=True)
        outcome = outcome @ (np.eye(len(length)) / length)[segment]
        weight, after = weight[:, :1] * length, after[first]
    n_clusters, n_columns = len(labels), len(labels) * len(onsets)
    if weight.size * (n_columns + weight.shape[1] + lagged.shape[1]) > LARGEST:
        raise DidError(f"{len(order)} units x {n_periods} periods and {n_clusters} clusters are too many to hold")
    columns = np.zeros((*weight.shape, n_clusters, len(onsets)))
    columns[np.arange(len(codes)), :, codes] = after
    columns = columns.reshape(*weight.shape, n_columns)
    effects = np.broadcast_to(np.eye(weight.shape[1])[None], (*weight.shape, weight.shape[1]))
    before = np.broadcast_to(lagged[:, None, :], (*weight.shape, lagged.shape[1]))
    kept = weight > 0
    every = np.concatenate([effects, before, columns, np.where(kept, outcome, 0.0)[:, :, None]], axis=2)
    raw = np.einsum("ut,utk->k", weight, every**2)
    if estimator == "did":   # unit effects, which lie within clusters
        every = demean_periods(every.swapaxes(0, 1), weight.T).swapaxes(0, 1)
    every = every[kept] * np.sqrt(weight[kept])[:, None]
    # Period effects first, so that what is left of the lags does not depend on their level.
    n_effects, n_controls = weight.shape[1], weight.shape[1] + lagged.shape[1]
    basis, rest = _basis(every[:, :n_effects], every[:, n_effects:], raw[:n_effects])
    more, rest = _basis(rest[:, :lagged.shape[1]], rest[:, lagged.shape[1]:], raw[n_effects:n_controls])
    basis = np.column_stack([basis, more])
    n_rows = kept.sum(axis=1)
    owner = np.repeat(codes, n_rows)
    model = Regression(
        basis, rest[:, -1], rest[:, :-1], np.searchsorted(owner, np.arange(n_clusters)),
        np.cumsum(n_rows) - n_rows, raw[n_controls:-1], n_obs,
        1 + n_periods + basis.shape[1] - n_effects + int(estimator == "did"))
    return model, np.bincount(codes)


def _basis(columns: np.ndarray, rest: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal basis of ``columns``, whose sums of squares were ``squares``, and ``rest`` less what it explains.
    """
    kept = independent_columns(columns.T @ columns, ROUNDING**2 * squares)
    basis = np.linalg.qr(columns[:, kept])[0]
    for _ in range(2):   # large means leave rounding behind the first time
        rest = rest - basis @ (basis.T @ rest)
    return basis, rest


def compact(model: Regression) -> Regression:
    """The same products within clusters in as few rows as they have rank."""
    scale = np.linalg.norm(model.outcome) or 1.0
    every = np.column_stack([model.basis, model.outcome / scale, model.columns])
    blocks = [fewest_rows(block) for block in np.split(every, model.starts[1:])]
    starts = np.cumsum([0] + [len(block) for block in blocks[:-1]])
    every, k = np.concatenate(blocks), model.basis.shape[1]
    return dataclasses.replace(model, basis=every[:, :k], outcome=every[:, k] * scale, columns=every[:, k + 1:],
                               starts=starts)


@dataclasses.dataclass(frozen=True)
class Simple:
    """Of each draw: treatment (rows, draws), its square, the estimate, the clusters' parts (clusters, draws) of both,
    the clustered error without factor, |t| by it, and whether there is one."""

    treatment: np.ndarray
    square: np.ndarray
    estimate: np.ndarray
    product: np.ndarray
    own_square: np.ndarray
    spread: np.ndarray
    t: np.ndarray
    varies: np.ndarray


def simple(model: Regression, z: np.ndarray) -> Simple:
    treatment = model.columns @ z.T
    product = np.add.reduceat(treatment * model.outcome[:, None], model.starts, axis=0)
    own = np.add.reduceat(treatment**2, model.starts, axis=0)
    square = own.sum(axis=0)
    identified = square > COLLINEAR * (model.squares @ z.T**2)
    square = np.where(identified, square, np.nan)
    estimate = product.sum(axis=0) / square
    spread = np.sqrt(((product - estimate * own) ** 2).sum(axis=0)) / square
    varies = identified & (spread * square > CANCELLED * (np.abs(product).sum(axis=0) + np.abs(estimate) * square))
    return Simple(treatment, square, estimate, product, own, spread,
                   np.abs(estimate) / np.where(varies, spread, np.nan), varies)


def unit_spread(model: Regression, z: np.ndarray, found: Simple) -> np.ndarray:
    treatment = model.columns @ z.T
    score = treatment * (model.outcome[:, None] - treatment * found.estimate)
    return np.sqrt((np.add.reduceat(score, model.unit_starts, axis=0) ** 2).sum(axis=0)) / found.square


def leverage_corrected(model: Regression, found: Simple) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Errors and degrees of freedom of each draw by CR2, CR3 and the jackknife over clusters."""
    n_clusters, n_draws = len(model.starts), len(found.square)
    ends = np.append(model.starts[1:], len(model.outcome))
    root = np.sqrt(found.square)
    score = {kind: np.zeros(n_draws) for kind in ("CR2", "CR3")}
    own = {kind: np.empty((n_clusters, n_draws)) for kind in score}
    lean = {kind: np.empty((n_draws, n_clusters, model.basis.shape[1] + 1)) for kind in score}
    for g, (a, b) in enumerate(zip(model.starts, ends, strict=True)):
        f, q = found.treatment[a:b].T, model.basis[a:b]
        residual = model.outcome[a:b] - found.estimate[:, None] * f
        scaled = f / root[:, None]
        leverage = q @ q.T + scaled[:, :, None] * scaled[:, None, :]
        values, vectors = np.linalg.eigh(np.where(np.isfinite(leverage), leverage, 0.0))
        left = np.clip(1 - values, 0.0, 1.0)
        turned, rest = (np.einsum("dij,di->dj", vectors, each) for each in (f, residual))
        on_basis = np.einsum("dij,ik->djk", vectors, q)
        for kind, power in (("CR2", -0.5), ("CR3", -1.0)):
            factor = np.where(left > LEVERAGE_ONE, np.maximum(left, LEVERAGE_ONE) ** power, 0.0)
            weighed = factor * turned
            score[kind] += (weighed * rest).sum(axis=1) ** 2
            own[kind][g] = (weighed**2).sum(axis=1)
            lean[kind][:, g, :-1] = np.einsum("dj,djk->dk", weighed, on_basis)
            lean[kind][:, g, -1] = (weighed * turned).sum(axis=1) / root
    corrected = {}
    for kind in score:
        overlap = lean[kind] @ lean[kind].swapaxes(1, 2)
        hat = np.einsum("dgg->gd", overlap)
        trace = (own[kind] - hat).sum(axis=0)
        spread = (own[kind] ** 2 - 2 * own[kind] * hat).sum(axis=0) + (overlap**2).sum(axis=(1, 2))
        corrected[kind] = (np.sqrt(score[kind]) / found.square, trace**2 / np.where(spread > 0, spread, np.nan))
    corrected["jackknife"] = (corrected["CR3"][0] * np.sqrt((n_clusters - 1) / n_clusters),
                              np.full(n_draws, n_clusters - 1.0))
    return corrected


def wild(model: Regression, found: Simple, signs: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """P-values of the wild cluster bootstrap with the null imposed, and the critical values of |t|."""
    levers = np.stack([np.add.reduceat(found.treatment * model.basis[:, [column]], model.starts, axis=0)
                       for column in range(model.basis.shape[1])], axis=2)
    pulls = np.add.reduceat(model.basis * model.outcome[:, None], model.starts, axis=0)
    product = found.product.T
    # score*_g = sum_h A_gh v_h, A = diag(f_g'y_g) - (f_g'Q_g)(Q_h'y_h)' - f_g'f_g f_h'y_h / f'f
    mixing = -levers.transpose(1, 0, 2) @ pulls.T
    mixing -= (found.own_square.T / found.square[:, None])[:, :, None] * product[:, None, :]
    place = np.arange(product.shape[1])
    mixing[:, place, place] += product
    # sum_g score*_g^2 = v'A'A v, in which the products of two signs are the same for every assignment.
    square = mixing.swapaxes(1, 2) @ mixing
    one, other = np.triu_indices(len(place), 1)
    pairs = (2 * square[:, one, other]) @ (signs[:, one] * signs[:, other]).T
    pairs += np.einsum("dgg->d", square)[:, None]
    drawn = product @ signs.T
    drawn *= drawn
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn /= pairs
    np.copyto(drawn, np.inf, where=~(pairs > 0))   # a draw without a statistic counts as larger
    value = (found.estimate / found.spread) ** 2
    larger = drawn > value[:, None] * (1 + 2e-8)
    place = min(int(np.ceil(confidence * drawn.shape[1])), drawn.shape[1] - 1)
    return larger.mean(axis=1), np.sqrt(np.partition(drawn, place, axis=1)[:, place])
