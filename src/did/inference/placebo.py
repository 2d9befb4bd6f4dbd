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
from functools import cache

import numpy as np

from did.errors import DidError
from did.estimators.base import Panel
from did.estimators.ldv import lag_matrix
from did.estimators.within import COLLINEAR, ROUNDING, demean_periods, independent_columns
from did.inference.bias_reduced import LEVERAGE_ONE
from did.inference.clustered import CANCELLED
from did.inference.reassigned_cells import fewest_rows

# Numbers that rows by columns of the regression may hold.
LARGEST = 200_000_000
# Roots of inverses are by quadrature where no eigenvalue is smaller, with so many points.
SMALLEST, POINTS = 1e-5, 20
# Squares of t, in numbers of so many bytes, that differ by less than this share are tied.
TIED = {4: 1e-4, 8: 2e-8}


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
    used, seen, lagged = used_cells(panel, estimator, lags, int(onsets.min()))
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


def used_cells(panel: Panel, estimator: str, lags: str, onset: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The (units,) and (periods,) that `regression` uses, and the (units, lags) lags. Raises DidError if too few."""
    weight = panel.observed_weight
    seen = np.any(weight > 0, axis=0)
    if estimator != "ldv":
        used = np.any(weight > 0, axis=1)
        if not used.any():
            raise DidError("expected clusters with outcomes to take the places of the treated; found none")
        return used, seen, np.empty((panel.n_units, 0))
    lagged = lag_matrix(panel, onset, lags)[0]
    seen &= np.arange(panel.n_periods) >= onset
    used = np.isfinite(lagged).all(axis=1) & (weight[:, seen] > 0).all(axis=1)
    if used.sum() <= lagged.shape[1] + 2:
        raise DidError(f"expected more units than {lagged.shape[1] + 2} coefficients; found {int(used.sum())}")
    return used, seen, lagged


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
    """Errors and degrees of freedom of each draw by CR2, CR3 and the jackknife over clusters.

    With Q_g Q_g' = V diag(1 - d) V' and h = V'f_g / sqrt(f'f), 1 - H_gg is diag(d) - hh' in the basis V: only d is the
    same in all draws. `_weighed` has its inverse, or the root of that, times h without a decomposition for each draw.
    """
    n_clusters, n_draws = len(model.starts), len(found.square)
    ends = np.append(model.starts[1:], len(model.outcome))
    root = np.where(found.square > 0, np.sqrt(found.square), np.inf)
    score = {kind: np.zeros(n_draws) for kind in ("CR2", "CR3")}
    own = {kind: np.empty((n_clusters, n_draws)) for kind in score}
    lean = {kind: np.empty((n_draws, n_clusters, model.basis.shape[1] + 1)) for kind in score}
    for g, (a, b) in enumerate(zip(model.starts, ends, strict=True)):
        q = model.basis[a:b]
        values, vectors = np.linalg.eigh(q @ q.T)
        left, on_basis = np.clip(1 - values, 0.0, 1.0), vectors.T @ q
        turned = found.treatment[a:b].T @ vectors
        rest = model.outcome[a:b] @ vectors - found.estimate[:, None] * turned
        for kind, weighed in _weighed(left, turned / root[:, None]).items():
            weighed *= root[:, None]
            score[kind] += np.einsum("di,di->d", weighed, rest) ** 2
            own[kind][g] = np.einsum("di,di->d", weighed, weighed)
            lean[kind][:, g, :-1] = weighed @ on_basis
            lean[kind][:, g, -1] = np.einsum("di,di->d", weighed, turned) / root
    corrected = {}
    for kind in score:
        overlap = lean[kind] @ lean[kind].swapaxes(1, 2)
        hat = np.einsum("dgg->gd", overlap)
        trace = (own[kind] - hat).sum(axis=0)
        spread = (own[kind] ** 2 - 2 * own[kind] * hat).sum(axis=0) + np.einsum("dgh,dgh->d", overlap, overlap)
        corrected[kind] = (np.sqrt(score[kind]) / found.square, trace**2 / np.where(spread > 0, spread, np.nan))
    corrected["jackknife"] = (corrected["CR3"][0] * np.sqrt((n_clusters - 1) / n_clusters),
                              np.full(n_draws, n_clusters - 1.0))
    return corrected


def _weighed(left: np.ndarray, h: np.ndarray) -> dict[str, np.ndarray]:
    """M^(-1/2) h (CR2) and M^-1 h (CR3) of M = diag(left) - hh', (draws, rows) as ``h``.

    The inverse is Sherman's and Morrison's. The root of it is the integral of (M + t^2)^-1 2 / pi over t > 0, each an
    inverse of the same kind, by the points of Hale, Higham and Trefethen (2008, SIAM Journal on Numerical Analysis
    46:2505-2523, method 3): exact to 1e-9 where no eigenvalue of M is below `SMALLEST`. Other draws are decomposed.
    """
    exists = left > LEVERAGE_ONE   # elsewhere h is zero: treatment has nothing in common with the basis
    d, h = np.where(exists, left, 1.0), np.where(exists & np.isfinite(h), h, 0.0)
    squares = h**2
    remains = 1 - squares @ (1 / d)
    well = remains * d.min() > SMALLEST
    safe = np.where(well, remains, 1.0)[:, None]
    points, weights = _root_points()
    inverse = 1 / (d + points[:, None])
    scaled = weights / (1 - np.where(well[:, None], squares, 0.0) @ inverse.T)
    found = {"CR2": h * (scaled @ inverse), "CR3": h / d / safe}
    ill = np.flatnonzero(~well)
    if len(ill):
        values, vectors = np.linalg.eigh(np.diag(d) - h[ill, :, None] * h[ill, None, :])
        along = (vectors.swapaxes(1, 2) @ h[ill, :, None])[:, :, 0]
        for kind, power in (("CR2", -0.5), ("CR3", -1.0)):
            factor = np.where(values > LEVERAGE_ONE, np.maximum(values, LEVERAGE_ONE) ** power, 0.0)
            found[kind][ill] = (vectors @ (factor * along)[:, :, None])[:, :, 0]
    return found


@cache
def _root_points() -> tuple[np.ndarray, np.ndarray]:
    """Squares of the points t, and weights, of the integral for eigenvalues from `SMALLEST` to 1."""
    from scipy.special import ellipj, ellipkm1

    whole = ellipkm1(SMALLEST)
    sn, cn, dn, _ = ellipj((np.arange(POINTS) + 0.5) * whole / POINTS, 1 - SMALLEST)
    low = np.sqrt(SMALLEST)
    return (low * sn / cn) ** 2, 2 * whole * low / (np.pi * POINTS) * dn / cn**2


def on_clusters(model: Regression) -> np.ndarray:
    """What `wild` needs that is the same for all draws: of column c, what falls in cluster g of its products with the
    basis, (columns, clusters, k), times each cluster's products of basis and outcome, (columns, clusters, clusters)."""
    levers = np.stack([np.add.reduceat(model.columns * model.basis[:, [at]], model.starts, axis=0).T
                       for at in range(model.basis.shape[1])], axis=2)
    return levers @ np.add.reduceat(model.basis * model.outcome[:, None], model.starts, axis=0).T


def wild(mixed: np.ndarray, z: np.ndarray, found: Simple, signs: np.ndarray,
         confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """P-values of the wild cluster bootstrap with the null imposed, and the critical values of |t|, of the draws ``z``
    that ``found`` is of; ``mixed`` is that of `on_clusters`."""
    product = found.product.T
    # score*_g = sum_h A_gh v_h, A = diag(f_g'y_g) - (f_g'Q_g)(Q_h'y_h)' - f_g'f_g f_h'y_h / f'f
    mixing = (z @ -mixed.reshape(len(mixed), -1)).reshape(len(z), *mixed.shape[1:])
    mixing -= (found.own_square.T / found.square[:, None])[:, :, None] * product[:, None, :]
    place = np.arange(product.shape[1])
    mixing[:, place, place] += product
    # sum_g score*_g^2 = v'A'A v, in which the products of two signs are the same for every assignment. Single
    # precision: the order of |t| of two draws of signs is decided by more, but for those that are equal.
    size = np.where(found.spread > 0, found.spread * found.square, 1.0)[:, None]
    mixing = (mixing / size[:, :, None]).astype(signs.dtype)
    square = mixing.swapaxes(1, 2) @ mixing
    one, other = np.triu_indices(len(place), 1)
    pairs = (2 * square[:, one, other]) @ (signs[:, one] * signs[:, other]).T
    pairs += np.einsum("dgg->d", square)[:, None]
    drawn = (product / size).astype(signs.dtype) @ signs.T
    drawn *= drawn
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn /= pairs
    np.copyto(drawn, np.inf, where=~(pairs > 0))   # a draw without a statistic counts as larger
    value = (found.estimate / found.spread) ** 2
    larger = drawn > (value * (1 + TIED[signs.dtype.itemsize])).astype(signs.dtype)[:, None]
    rank = min(int(np.ceil(confidence * drawn.shape[1])), drawn.shape[1] - 1)
    return larger.mean(axis=1), np.sqrt(np.partition(drawn, rank, axis=1)[:, rank])
