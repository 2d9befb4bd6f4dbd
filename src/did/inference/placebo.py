"""A regression in which any cluster can be given a treatment: estimate, errors and bootstrap of many placebos at once.

With unit effects, period effects and lags taken out once (Frisch, Waugh and Lovell), and with an orthonormal basis Q of
what was taken out, an assignment z of doses to clusters has the treatment f = E z, and everything that a method needs
of it is a product of f, Q and the outcome y within clusters g:

    estimate b = f'y / f'f,    score_g = f_g'(y_g - b f_g),    leverage H_gg = Q_g Q_g' + f_g f_g' / f'f

so no regression is fitted again. Rows of a cluster may be rotated, which changes none of these products and leaves few
(`compact`). Formulas: clustered errors `did.inference.clustered`, CR2 and CR3 `did.inference.bias_reduced`, wild
bootstrap `did.inference.wild`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from functools import cache, cached_property

import numpy as np

from did.errors import DidError
from did.estimators.base import Panel
from did.estimators.ldv import lag_matrix
from did.estimators.within import COLLINEAR, ROUNDING, demean_periods, independent_columns
from did.inference.bias_reduced import LEVERAGE_ONE
from did.inference.clustered import CANCELLED
from did.inference.reassigned_cells import by_cluster, fewest_rows

# Numbers that rows by columns of the regression may hold.
LARGEST = 200_000_000
# Roots of inverses are by quadrature where no eigenvalue is smaller, with so many points.
SMALLEST, POINTS = 1e-5, 20
# Of 1 - H_gg, before the inverse.
ROOTS = {"CR2": np.sqrt, "CR3": np.positive}
# Up to so many columns of the basis, sums over clusters are faster for all draws at once than a product for each draw.
NARROW = 3
# A row has no treatment and no basis where their sum of squares is below this share of the largest one's.
VANISHED = 1e-24
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
    share    (units,) root of each unit's share of its cluster's weight, where units of a cluster have as many rows and
             differ in these by no more than weight and outcome; None elsewhere
    """

    basis: np.ndarray
    outcome: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    unit_starts: np.ndarray
    squares: np.ndarray
    n_obs: int
    n_parameters: int
    share: np.ndarray | None = None

    @cached_property
    def on_basis(self) -> np.ndarray:
        """(columns, clusters, k) of each column with the basis, within each cluster."""
        each = zip(*(np.split(rows, self.starts[1:]) for rows in (self.columns, self.basis)), strict=True)
        return np.stack([columns.T @ basis for columns, basis in each], axis=1)

    @cached_property
    def basis_products(self) -> np.ndarray:
        """(clusters, k) of the basis with the outcome, within each cluster."""
        return by_cluster(self.basis, self.starts, self.outcome)

    @cached_property
    def mixed(self) -> np.ndarray:
        """(columns, clusters, clusters) of `on_basis` with each cluster's `basis_products`."""
        return self.on_basis @ self.basis_products.T


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
    steady = bool((weight > 0).all() and (weight == weight[:, :1]).all())
    if steady:
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
    every = every * np.sqrt(weight)[:, :, None]
    if estimator == "did" and steady and weight.shape[1] > 1:   # less their mean, they have one dimension less
        contrasts = np.linalg.qr(np.column_stack([np.sqrt(length), np.eye(len(length))]))[0][:, 1:]
        every, kept = contrasts.T @ every, kept[:, 1:]
    every = every[kept]
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
    if estimator == "did" and steady:
        share = np.sqrt(weight[:, 0] / np.bincount(codes, weight[:, 0])[codes])
        model = dataclasses.replace(model, share=share)
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
    """The same products within clusters in few rows, in which Q_g Q_g' is diagonal."""
    scale, k, n_clusters = np.linalg.norm(model.outcome) or 1.0, model.basis.shape[1], len(model.starts)
    every = np.column_stack([model.basis, model.outcome / scale, model.columns])
    if model.share is not None:   # what is alike is in one row for a cluster's units
        by_unit = every.reshape(len(model.share), -1, every.shape[1]) * model.share[:, None, None]
        every = by_cluster(by_unit, np.searchsorted(model.unit_starts, model.starts)).reshape(-1, every.shape[1])
        n_rows = np.repeat(by_unit.shape[1], n_clusters)
    else:
        blocks = [block if len(block) <= k + 1 else fewest_rows(block) for block in np.split(every, model.starts[1:])]
        every, n_rows = np.concatenate(blocks), np.array([len(block) for block in blocks])
    starts = np.cumsum(n_rows) - n_rows
    for size in np.unique(n_rows):
        rows = starts[n_rows == size][:, None] + np.arange(size)
        basis = every[rows, :k]
        every[rows] = np.linalg.eigh(basis @ basis.swapaxes(1, 2))[1].swapaxes(1, 2) @ every[rows]
    # Rows without treatment or basis are in none of the products.
    size = np.einsum("ij,ij->i", every, every) - every[:, k] ** 2
    kept = size > VANISHED * np.repeat(np.maximum.reduceat(size, starts), n_rows)
    n_rows = np.add.reduceat(kept, starts, dtype=int)
    every = every[kept]
    return dataclasses.replace(model, basis=every[:, :k], outcome=every[:, k] * scale, columns=every[:, k + 1:],
                               starts=np.cumsum(n_rows) - n_rows)


@dataclasses.dataclass(frozen=True)
class Simple:
    """Of each draw: the square of treatment, the estimate, the clusters' parts (clusters, draws) of both, the clustered
    error without factor, |t| by it, and whether there is one."""

    square: np.ndarray
    estimate: np.ndarray
    product: np.ndarray
    own_square: np.ndarray
    spread: np.ndarray
    t: np.ndarray
    varies: np.ndarray

    def of(self, draws: slice) -> Simple:
        """Of some of the draws."""
        return Simple(*(getattr(self, field.name)[..., draws] for field in dataclasses.fields(self)))


def simple(model: Regression, z: np.ndarray) -> Simple:
    treatment = model.columns @ z.T
    product = by_cluster(treatment, model.starts, model.outcome)
    own = by_cluster(np.square(treatment, out=treatment), model.starts)
    square = own.sum(axis=0)
    identified = square > COLLINEAR * (model.squares @ z.T**2)
    square = np.where(identified, square, np.nan)
    estimate = product.sum(axis=0) / square
    rest = product - estimate * own
    spread = np.sqrt(np.square(rest, out=rest).sum(axis=0)) / square
    varies = identified & (spread * square > CANCELLED * (np.abs(product).sum(axis=0) + np.abs(estimate) * square))
    return Simple(square, estimate, product, own, spread, np.abs(estimate) / np.where(varies, spread, np.nan), varies)


def unit_spread(model: Regression, z: np.ndarray, found: Simple) -> np.ndarray:
    treatment = model.columns @ z.T
    rest = by_cluster(treatment * (model.outcome[:, None] - found.estimate * treatment), model.unit_starts)
    return np.sqrt(np.einsum("ud,ud->d", rest, rest)) / found.square


def leverage_corrected(model: Regression, z: np.ndarray, found: Simple, kinds: Collection[str]
                       ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Errors and degrees of freedom of each draw by those of ``kinds`` that are CR2, CR3 and the jackknife over
    clusters; ``model`` is `compact`.

    With Q_g Q_g' = diag(1 - d) and h = f_g / sqrt(f'f), 1 - H_gg is diag(d) - hh': only d is the same in all draws.
    `_weighed` has its inverse, or the root of that, times h without a decomposition for each draw.
    """
    powers = [kind for kind in ROOTS if kind in kinds or (kind == "CR3" and "jackknife" in kinds)]
    n_clusters, n_draws, k = len(model.starts), len(z), model.basis.shape[1]
    root = np.where(found.square > 0, np.sqrt(found.square), np.inf)
    treatment, left = model.columns @ z.T, np.clip(1 - (model.basis**2).sum(axis=1), 0.0, 1.0)
    n_rows = np.diff(np.append(model.starts, len(left)))
    groups = []   # of clusters of as many rows, at once
    for size in np.unique(n_rows):
        rows = model.starts[n_rows == size][:, None] + np.arange(size)
        turned = treatment[rows]
        groups.append((model.basis[rows], turned, model.outcome[rows][:, :, None] - found.estimate * turned,
                       _weighed(left[rows], turned / root, powers)))
    corrected, own, narrow = {}, np.empty((n_clusters, n_draws)), k <= NARROW
    lean = np.empty((n_clusters, k + 1, n_draws)) if narrow else np.empty((n_clusters, n_draws, k + 1)).swapaxes(1, 2)
    for kind in powers:
        score, done = np.zeros(n_draws), 0
        for basis, turned, rest, by_kind in groups:
            weighed, place = by_kind[kind] * root, slice(done, done := done + len(basis))
            score += np.einsum("gd,gd->d", *2 * [np.einsum("gid,gid->gd", weighed, rest)])
            own[place] = np.einsum("gid,gid->gd", weighed, weighed)
            times = np.multiply if basis.shape[1] == 1 else np.matmul
            times(basis.swapaxes(1, 2), weighed, out=lean[place, :k])
            lean[place, k] = np.einsum("gid,gid->gd", weighed, turned) / root
        hat, by_draw = np.einsum("gid,gid->gd", lean, lean), lean.transpose(2, 0, 1)
        if narrow:
            overlap = np.einsum("gid,gjd->ijd", lean, lean).transpose(2, 0, 1)
        else:   # the squares of LL' and L'L have one sum
            overlap = by_draw.swapaxes(1, 2) @ by_draw if k < n_clusters else by_draw @ by_draw.swapaxes(1, 2)
        trace = (own - hat).sum(axis=0)
        spread = (own * (own - 2 * hat)).sum(axis=0) + np.einsum("dij,dij->d", overlap, overlap)
        corrected[kind] = (np.sqrt(score) / found.square, trace**2 / np.where(spread > 0, spread, np.nan))
    if "jackknife" in kinds:
        corrected["jackknife"] = (corrected["CR3"][0] * np.sqrt((n_clusters - 1) / n_clusters),
                                  np.array(n_clusters - 1.0))
    return {kind: value for kind, value in corrected.items() if kind in kinds}


def _weighed(left: np.ndarray, h: np.ndarray, powers: Collection[str]) -> dict[str, np.ndarray]:
    """M^(-1/2) h (CR2) and M^-1 h (CR3) of M = diag(left) - hh' of each cluster; left is (clusters, rows), the others
    (clusters, rows, draws).

    The inverse is Sherman's and Morrison's. The root of it is the integral of (M + t^2)^-1 2 / pi over t > 0, each an
    inverse of the same kind, by the points of Hale, Higham and Trefethen (2008, SIAM Journal on Numerical Analysis
    46:2505-2523, method 3): exact to 1e-9 where no eigenvalue of M is below `SMALLEST`. Other draws are decomposed.
    """
    exists = left > LEVERAGE_ONE   # elsewhere h is zero: treatment has nothing in common with the basis
    d, h = np.where(exists, left, 1.0), np.where(exists[:, :, None] & np.isfinite(h), h, 0.0)
    squares = h**2
    if d.shape[1] == 1:
        return {kind: h * _inverse(d[:, :, None] - squares, kind) for kind in powers}
    remains = 1 - np.einsum("gi,gid->gd", 1 / d, squares)
    well = remains * d.min(axis=1)[:, None] > SMALLEST
    found = {}
    if "CR2" in powers:
        points, weights = _root_points()
        inverse = 1 / (d[:, None, :] + points[:, None])
        scaled = inverse @ np.where(well[:, None], squares, 0.0)
        np.divide(weights[:, None], np.subtract(1, scaled, out=scaled), out=scaled)
        found["CR2"] = h * (inverse.swapaxes(1, 2) @ scaled)
    if "CR3" in powers:
        found["CR3"] = h / d[:, :, None] / np.where(well, remains, 1.0)[:, None]
    ill, draws = np.nonzero(~well)
    if len(ill):
        own = h[ill, :, draws]
        values, vectors = np.linalg.eigh(d[ill, :, None] * np.eye(d.shape[1]) - own[:, :, None] * own[:, None, :])
        along = (vectors.swapaxes(1, 2) @ own[:, :, None])[:, :, 0]
        for kind, one in found.items():
            one[ill, :, draws] = (vectors @ (_inverse(values, kind) * along)[:, :, None])[:, :, 0]
    return found


def _inverse(values: np.ndarray, kind: str) -> np.ndarray:
    """The inverse of eigenvalues or of their roots, the generalised one where the leverage is one."""
    return np.where(values > LEVERAGE_ONE, 1 / ROOTS[kind](np.maximum(values, LEVERAGE_ONE)), 0.0)


@cache
def _root_points() -> tuple[np.ndarray, np.ndarray]:
    """Squares of the points t, and weights, of the integral for eigenvalues from `SMALLEST` to 1."""
    from scipy.special import ellipj, ellipkm1

    whole = ellipkm1(SMALLEST)
    sn, cn, dn, _ = ellipj((np.arange(POINTS) + 0.5) * whole / POINTS, 1 - SMALLEST)
    low = np.sqrt(SMALLEST)
    return (low * sn / cn) ** 2, 2 * whole * low / (np.pi * POINTS) * dn / cn**2


def wild(model: Regression, z: np.ndarray, found: Simple, signs: np.ndarray,
         confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """P-values of the wild cluster bootstrap with the null imposed, and the critical values of |t|, of the draws ``z``
    that ``found`` is of."""
    # Single precision: the order of |t| of two draws of signs is decided by more, but for those that are equal.
    size = np.where(found.spread > 0, found.spread * found.square, 1.0)[:, None]
    product, own = found.product.T / size, found.own_square.T / found.square[:, None]
    v = np.ascontiguousarray(signs.T)
    drawn = product.astype(v.dtype) @ v
    few = 3 * model.basis.shape[1] <= len(model.starts)
    square = (_by_basis if few else _by_pairs)(model, z, (product, own, size), drawn, v)
    drawn *= drawn
    exists = square > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn /= square
        value = (found.estimate / found.spread) ** 2
    if not exists.all():
        drawn[~exists] = np.inf   # a draw without a statistic counts as larger
    larger = drawn > (value * (1 + TIED[signs.dtype.itemsize])).astype(signs.dtype)[:, None]
    rank = min(int(np.ceil(confidence * drawn.shape[1])), drawn.shape[1] - 1)
    drawn.sort(axis=1)   # faster than a partition
    share = (larger.astype(v.dtype) @ np.ones(larger.shape[1], dtype=v.dtype)).astype(float) / larger.shape[1]
    return np.where(found.varies, share, np.nan), np.where(found.varies, np.sqrt(drawn[:, rank]), np.nan)


def _by_pairs(model: Regression, z: np.ndarray, parts: tuple[np.ndarray, np.ndarray, np.ndarray], drawn: np.ndarray,
              v: np.ndarray) -> np.ndarray:
    """sum_g score*_g^2 of each assignment and draw of signs, a column of v, where score*_g = sum_h A_gh v_h with
    A = diag(p) - (f_g'Q_g)(Q_h'y_h)' - o p', p_g = f_g'y_g and o_g = f_g'f_g / f'f: it is v'A'A v, in which the
    products of two signs are the same for every assignment."""
    product, own, size = parts
    mixing = (z / -size @ model.mixed.reshape(len(model.mixed), -1)).reshape(len(z), *model.mixed.shape[1:])
    mixing -= own[:, :, None] * product[:, None, :]
    place = np.arange(product.shape[1])
    mixing[:, place, place] += product
    mixing = mixing.astype(v.dtype)
    square = mixing.swapaxes(1, 2) @ mixing
    one, other = np.triu_indices(len(place), 1)
    found = (2 * square[:, one, other]) @ (v[one] * v[other])
    found += np.einsum("dgg->d", square)[:, None]
    return found


def _by_basis(model: Regression, z: np.ndarray, parts: tuple[np.ndarray, np.ndarray, np.ndarray], drawn: np.ndarray,
              v: np.ndarray) -> np.ndarray:
    """The same where the basis has few columns: with L_g = f_g'Q_g, u = sum_h Q_h'y_h v_h and n = p'v, which is
    ``drawn``, score* = p v - L u - o n, whose square is made of products of p, L and o and those of v, u and n."""
    product, own, size = parts
    unit = np.abs(model.basis_products).max(initial=0.0) or 1.0
    levers = (z @ model.on_basis.reshape(len(model.on_basis), -1)).reshape(len(z), *model.on_basis.shape[1:])
    levers *= unit / size[:, :, None]
    along, u = levers.swapaxes(1, 2), (model.basis_products / unit).T.astype(v.dtype) @ v
    of_assignment = np.concatenate([
        (product**2).sum(axis=1)[:, None], (-2 * product[:, :, None] * levers).reshape(len(z), -1),
        (along @ levers).reshape(len(z), -1)], axis=1).astype(v.dtype)
    both = np.concatenate([v, u])
    of_signs = np.ones((of_assignment.shape[1], v.shape[1]), dtype=v.dtype)
    np.multiply(both[:, None], u, out=of_signs[1:].reshape(*both.shape[:1], *u.shape))
    with_n = np.concatenate([-2 * product * own, 2 * (along @ own[:, :, None])[:, :, 0]], axis=1).astype(v.dtype)
    found = with_n @ both
    found += (own**2).sum(axis=1).astype(v.dtype)[:, None] * drawn
    found *= drawn
    found += of_assignment @ of_signs
    return found
