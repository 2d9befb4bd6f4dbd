"""The regression of a randomisation test with effects and lags taken out, and the sums each assignment is made of."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from did.estimators.base import Panel
from did.estimators.ldv import lag_matrix
from did.estimators.within import COLLINEAR, ROUNDING, demean_periods, independent_columns, within
from did.inference.clustered import CANCELLED, rounding_error

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Numbers a matrix of cells by clusters and onsets may hold (1.6 GB), and those of one block of draws, few enough to
# stay near the processor.
LARGEST, BLOCK = 200_000_000, 100_000


@dataclasses.dataclass(frozen=True)
class Cells:
    """A regression with its effects and lags taken out, in rows sorted by cluster.

    columns  (rows, clusters x onsets) 1 in a cluster's cells from an onset on, before the effects are taken out
    outcome  (rows,)
    rounding size up to which the outcome of a row is nothing but rounding
    starts   (clusters,) first row of each cluster
    squares  (clusters x onsets,) sums of squares of the columns before the effects were taken out
    """

    columns: np.ndarray
    outcome: np.ndarray
    rounding: float
    starts: np.ndarray
    squares: np.ndarray


def reduced(panel: Panel, rows: np.ndarray, codes: np.ndarray, onsets: np.ndarray, estimator: str, lags: str
           ) -> Cells | None:
    """Return the reduced regression of the units ``rows``, None where it would not fit into memory."""
    weight = panel.observed_weight[rows]
    seen = (weight > 0).any(axis=0)
    lagged: np.ndarray = np.empty((len(rows), 0))
    if estimator == "ldv":
        candidates = panel.keep(~panel.always_treated)
        onset = int(candidates.treated_from.min())
        lagged = lag_matrix(candidates, onset, lags)[0][candidates.units.get_indexer(panel.units[rows])]
        seen &= np.arange(panel.n_periods) >= onset
    periods = np.flatnonzero(seen)
    rounding = float(rounding_error(panel.outcome[rows], np.ones((1, 1)))[0])
    outcome, weight = panel.outcome[np.ix_(rows, periods)], weight[:, periods]
    after = periods[:, None] >= onsets
    if (weight > 0).all() and (weight == weight[:, :1]).all():
        # Treatment is equal in all periods between two onsets and, without lags, in all units of a cluster. Their
        # weighted means have the same coefficient and the same scores of clusters.
        _, first, segment, length = np.unique(
            after.sum(axis=1), return_index=True, return_inverse=True, return_counts=True)
        outcome = outcome @ (np.eye(len(length)) / length)[segment]
        weight, after = weight[:, :1] * length, after[first]
        if estimator == "did":
            member = np.eye(codes.max() + 1)[codes].T
            outcome = (member @ (weight * outcome)) / (member @ weight)
            weight, codes = member @ weight, np.arange(len(member))
            lagged = np.empty((len(codes), 0))
    n_clusters = int(codes.max()) + 1
    if weight.size * n_clusters * len(onsets) > LARGEST:
        return None
    columns = np.zeros((*weight.shape, n_clusters, len(onsets)))
    columns[np.arange(len(codes)), :, codes] = after
    columns = columns.reshape(*weight.shape, -1)
    squares = np.einsum("ut,utk->k", weight, columns)
    lagged = np.broadcast_to(lagged[:, None, :], (*weight.shape, lagged.shape[1]))
    every = np.concatenate([lagged, columns, outcome[:, :, None]], axis=2)
    used = weight > 0
    every = (within if estimator == "did" else demean_periods)(every, weight)[used] * np.sqrt(weight[used])[:, None]
    controls, every = every[:, : lagged.shape[2]], every[:, lagged.shape[2] :]
    if controls.shape[1]:
        kept = independent_columns(controls.T @ controls, ROUNDING**2 * np.einsum("ut,utk->k", weight, lagged**2))
        basis = np.linalg.qr(controls[:, kept])[0]
        every = every - basis @ (basis.T @ every)
    # Units of the outcome do not decide which rows are nothing but rounding.
    scale = np.linalg.norm(every[:, -1]) or 1.0
    every[:, -1] /= scale
    owner = np.broadcast_to(codes[:, None], weight.shape)[used]
    blocks = [fewest_rows(every[owner == code]) for code in range(n_clusters)]
    starts = np.cumsum([0] + [len(block) for block in blocks[:-1]])
    reduced = np.concatenate(blocks)
    return Cells(reduced[:, :-1], reduced[:, -1] * scale, rounding, starts, squares)


def fewest_rows(block: np.ndarray) -> np.ndarray:
    """Return a matrix with the inner products of the columns of ``block`` in as few rows as its rank, one at least."""
    square = np.linalg.qr(block, mode="r") if len(block) > block.shape[1] else block
    _, size, axes = np.linalg.svd(square, full_matrices=False)
    n_rows = max(1, int((size > ROUNDING * size[0]).sum()))
    return size[:n_rows, None] * axes[:n_rows]


def sums(cells: Cells, doses: np.ndarray, observed: np.ndarray, assignments: np.ndarray) -> dict[str, np.ndarray]:
    """Return the sums every statistic is made of, (assignments + 1,) each, the first of the observed one.

    numerator f'y, denominator f'f, variance the sum of squared scores; ``own`` and v0 are numerator and variance for
    the outcome less the observed estimate x observed treatment; overlap f'(observed f), and v1 and v2 such that a
    further x of effect leaves the variance v0 - 2 v1 x + v2 x^2. ``identified``, ``varies``: estimate, error exist;
    ``moves``: the estimate is beyond rounding.
    """
    codes = np.concatenate([observed[None, :], assignments])
    actual = cells.columns @ doses[observed].ravel()
    estimate = actual @ cells.outcome / (actual @ actual)
    step = max(1, BLOCK // max(cells.columns.shape))
    blocks = []
    for start in range(0, len(codes), step):
        z = doses.take(codes[start : start + step], axis=0).reshape(-1, cells.columns.shape[1]).T
        treatment = cells.columns @ z
        product, cross = (by_cluster(treatment, cells.starts, other) for other in (cells.outcome, actual))
        square = by_cluster(np.square(treatment, out=treatment), cells.starts)
        denominator = square.sum(axis=0)
        identified = denominator > COLLINEAR * (cells.squares @ z**2)
        safe = np.where(identified, denominator, 1.0)
        found = product.sum(axis=0) / safe
        score = product - found * square
        centred = product - estimate * cross
        score_left = centred - centred.sum(axis=0) / safe * square
        per_effect = cross - cross.sum(axis=0) / safe * square
        variance, v0, v1, v2 = (np.einsum("cd,cd->d", *pair) for pair in (
            (score, score), (score_left, score_left), (score_left, per_effect), (per_effect, per_effect)))
        size = np.abs(product).sum(axis=0) + np.abs(found) * denominator
        blocks.append({
            "numerator": product.sum(axis=0), "denominator": denominator, "variance": variance,
            "own": centred.sum(axis=0), "overlap": cross.sum(axis=0), "v0": v0, "v1": v1, "v2": v2,
            "identified": identified, "moves": np.abs(found) * np.sqrt(denominator) > cells.rounding,
            "varies": identified & (
                np.sqrt(variance) > np.maximum(CANCELLED * size, cells.rounding * np.sqrt(denominator))),
        })
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def by_cluster(rows: np.ndarray, starts: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the sums of the rows, each times its ``weight`` (rows,) if there is one, from each start to the next; for
    rows that are long, where `np.add.reduceat` is slow."""
    n = len(rows)
    if len(starts) == n:
        return rows if weight is None else rows * weight[:, None]
    member = _member(starts.tobytes(), n, None if weight is None else weight.tobytes())
    return (member @ rows.reshape(n, -1)).reshape(len(starts), *rows.shape[1:])


@lru_cache(16)   # the same for every block of draws
def _member(starts: bytes, n: int, weight: bytes | None) -> csr_array:
    """The (starts, n) matrix that sums rows, from the numbers of its arguments."""
    from scipy.sparse import csr_array

    of_row = np.ones(n) if weight is None else np.frombuffer(weight)
    return csr_array((of_row, np.arange(n), np.append(np.frombuffer(starts, dtype=int), n)))
