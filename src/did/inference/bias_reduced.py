"""Clustered errors corrected for leverage (CR2, CR3), with degrees of freedom to match.

Residuals of a cluster that pulls the fit towards itself are too small, and with few clusters so is the sandwich made
of them. CR2 (Bell and McCaffrey 2002, Survey Methodology 28:169-181) multiplies the residuals e_g of cluster g by
A_g = (I - H_gg)^(-1/2), H_gg = X_g (X'X)^-1 X_g', which makes the variance unbiased if errors are independent with
equal variance; CR3 takes (I - H_gg)^-1, the residuals of a fit without the cluster. Satterthwaite's degrees of freedom
are 2 E(V)^2 / Var(V) under the same working model (Pustejovsky and Tipton 2018, Journal of Business & Economic
Statistics 36:672-683, equations 5, 6 and 11). Unit effects lie within clusters and are taken out first, which changes
nothing (their theorem 2); period effects are regressors.

No matrix of the size of a cluster is made. Let U be an orthonormal basis of the regressors, so that H_gg = U_g U_g',
and U_g'U_g = V diag(lambda) V'. Then U_g' A_g = (I + V diag(alpha - 1) V') U_g', alpha = (1 - lambda)^(-1/2) or
(1 - lambda)^-1, and no matrix needed has more rows than there are regressors and periods. Weights are taken as inverse
variances: all of the above then holds for rows multiplied by the root of their weight.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import join_notes
from did.estimators.design import Design
from did.estimators.within import Fit
from did.inference.clustered import beyond, cluster_sums, quantile, rounding_error, varies

KINDS = ("CR2", "CR3", "CR3_jackknife")
# A leverage this close to one is one: the cluster's residuals are zero in that direction, whatever its outcomes.
LEVERAGE_ONE = 1e-10
# A coefficient that has more than this share of its length in such directions is not identified without the cluster.
LOST = 1e-8
# With fewer degrees of freedom tests by t reject too often (Tipton 2015, Psychological Methods 20:375-393).
FEW_DF = 4


def bias_reduced(
    design: Design, level: str, kind: str = "CR2", columns: Sequence[int] | None = None, *, coverage: float = 0.95
) -> pd.DataFrame:
    """Return coefficients of ``design`` with leverage-corrected errors clustered by ``level``.

    ``columns`` are positions of regressors (None = those the design wants). One row each: name, estimate and std_error
    in units of the outcome per unit of the regressor, df (Satterthwaite's), p_value (two-sided, of no effect) and the
    interval ci_low, ci_high that covers ``coverage``, both by Student's t, n_clusters with a cell in use, and note.

    ``kind``: ``CR2``; ``CR3``, as R's clubSandwich; ``CR3_jackknife``, (G - 1) / G times that variance, which is the
    delete-one-cluster jackknife around the full estimate of R's summclust and fwildclusterboot. (Those use t with
    G - 1 degrees of freedom; df here is Satterthwaite's for every kind.) Equal to clubSandwich 0.5.8 with unit effects
    absorbed; with weights to its ``inverse_var = TRUE``.

    Where a cluster has leverage one the inverse is the generalised one, as in clubSandwich, and the note counts such
    clusters and, if a coefficient is not identified without one, says so: its error is then too small. It also says
    where df is below 4, and tests reject too often. Errors, df and
    intervals are NaN, with the reason in the note, for a collinear regressor, fewer than two clusters, or if nothing
    varies between clusters. Cells of weight 0 are left out.

    Raises DidError if ``kind`` or ``level`` is unknown, a column is not one of the design's, or coverage is not between
    0 and 1.
    """
    one_of("bias_reduced: kind", kind, KINDS)
    if not 0 < coverage < 1:
        raise DidError(f"bias_reduced: coverage: expected a share between 0 and 1, such as 0.95; found {coverage}")
    return leverages(design, level, columns).rows(kind, coverage=coverage)


def leverages(design: Design, level: str, columns: Sequence[int] | None = None) -> Leverages:
    """Return what `bias_reduced` makes its errors of, whatever their kind, with its arguments and errors."""
    one_of("bias_reduced: level", level, design.clusters)
    chosen = list(design.wanted if columns is None else columns)
    for column in chosen:
        if column not in range(len(design.names)):
            raise DidError(f"bias_reduced: columns: expected positions 0 to {len(design.names) - 1} of the regressors; "
                           f"found {column}")
    design, units = design.scaled()
    fit = design.fit()
    used = np.isfinite(fit.residual).any(axis=1)
    cluster, labels = pd.factorize(design.clusters[level][used], sort=True)
    weight = np.where(np.isfinite(fit.residual), design.weight, 0.0)[used]
    basis = _basis(design, fit, used, weight)
    directions = np.zeros((len(basis.directions), len(chosen)))
    place = np.cumsum(fit.kept) - 1
    for position, column in enumerate(chosen):
        if fit.kept[column]:
            directions[:, position] = basis.directions[:, place[column]]
    of_cluster, shapes = _shapes(design.regressors[used], weight, cluster, len(labels))
    moments = _moments(basis, np.where(weight > 0, fit.residual[used], 0.0), weight, cluster)
    leverage = np.empty((len(shapes), len(directions)))
    vectors = np.empty((*leverage.shape, len(directions)))
    for shape, one in enumerate(shapes):
        members = cluster == one
        leverage[shape], vectors[shape] = np.linalg.eigh(_gram(basis, weight[members], members, design.effects))
    return Leverages(design, units, level, fit, chosen, moments, directions, of_cluster, np.clip(leverage, 0.0, 1.0),
                     vectors)


@dataclasses.dataclass(frozen=True)
class Leverages:
    """How much clusters pull the fit towards themselves: their part of the hat matrix, taken apart.

    design      with numbers of ordinary size, and ``units`` (columns,) of its coefficients; ``fit`` its fit
    level       of the clusters; ``columns`` the positions of the regressors asked for
    moments     (clusters, basis) products of the basis and the residuals
    directions  (basis, columns): a coefficient is the product of its direction and those of basis and outcome
    of_cluster  (clusters,) which shape each has
    leverage    (shapes, basis) eigenvalues of the part of one, with ``vectors`` (shapes, basis, basis)
    """

    design: Design
    units: np.ndarray
    level: str
    fit: Fit
    columns: list[int]
    moments: np.ndarray
    directions: np.ndarray
    of_cluster: np.ndarray
    leverage: np.ndarray
    vectors: np.ndarray

    def rows(self, kind: str, *, coverage: float = 0.95) -> pd.DataFrame:
        """Return the rows of `bias_reduced`."""
        parts, fit, chosen = self._parts(kind), self.fit, self.columns
        estimate, n_clusters = fit.coefficient[chosen] * self.units[chosen], len(parts.scores)
        spread = np.sqrt((parts.scores**2).sum(axis=0)) * self.units[chosen]
        rounding = rounding_error(self.design.outcome, self.design.exposure(chosen))
        has_error = varies(fit.influence[:, chosen], parts.scores, rounding) & fit.identified[chosen] & (n_clusters > 1)
        std_error = np.where(has_error, spread, np.nan)
        df = np.where(has_error, parts.df, np.nan)
        half_width = quantile((1 + coverage) / 2, df) * std_error
        return pd.DataFrame({
            "name": [self.design.names[column] for column in chosen],
            "estimate": estimate,
            "std_error": std_error,
            "df": df,
            "p_value": 2 * beyond(np.abs(estimate) / std_error, df),
            "ci_low": estimate - half_width,
            "ci_high": estimate + half_width,
            "n_clusters": n_clusters,
            "note": [_note(identified, n_clusters, own_df, parts.leverage_one, lost, self.level)
                     for identified, own_df, lost in zip(fit.identified[chosen], df, parts.lost, strict=True)],
        })

    def covariance(self, kind: str) -> np.ndarray:
        """Return the (columns, columns) covariance of coefficients behind `rows`.

        Rows and columns of collinear regressors are NaN; all are with fewer than two clusters.
        """
        scores = self._parts(kind).scores * self.units[self.columns]
        covariance = scores.T @ scores
        missing = ~self.fit.identified[self.columns] | (len(scores) < 2)
        covariance[missing, :] = covariance[:, missing] = np.nan
        return covariance

    def _parts(self, kind: str) -> _Parts:
        size = np.bincount(self.of_cluster)
        at_one = 1 - self.leverage < LEVERAGE_ONE
        factor = np.where(at_one, 0.0, np.where(at_one, 1.0, 1 - self.leverage) ** (-0.5 if kind == "CR2" else -1.0))
        turned = self.vectors.swapaxes(1, 2) @ self.directions
        changed = self.directions + self.vectors @ ((factor - 1)[:, :, None] * turned)
        scores = np.empty((len(self.of_cluster), len(self.columns)))
        for shape, each in enumerate(changed):
            same = self.of_cluster == shape
            scores[same] = self.moments[same] @ each
        products = self.vectors @ ((self.leverage * factor)[:, :, None] * turned)
        square = turned**2
        squares = ((self.leverage * factor**2)[:, None] @ square)[:, 0]
        lost = size @ ((at_one[:, None] @ square)[:, 0] > LOST * square.sum(axis=1))
        leverage_one = int(size @ at_one.any(axis=1))
        if kind == "CR3_jackknife":
            scores *= np.sqrt((len(scores) - 1) / len(scores))
        return _Parts(scores, _satterthwaite(products, squares, size), leverage_one, lost)


@dataclasses.dataclass(frozen=True)
class _Parts:
    """What errors are made of: scores (clusters, columns), whose squares sum to the variance, and df (columns,).

    leverage_one is the number of clusters with leverage one, lost (columns,) of those without which a column has no
    coefficient.
    """

    scores: np.ndarray
    df: np.ndarray
    leverage_one: int
    lost: np.ndarray


@dataclasses.dataclass(frozen=True)
class _Basis:
    """An orthonormal basis U of the regressors and effects, by blocks, for rows multiplied by their root weight.

    columns     (units, periods, kept columns) of the regressors, less the effects
    periods     (periods, rank): U of the period effects is (indicator of the period, less its unit mean) @ periods
    directions  (basis, kept columns): a coefficient is the product of its direction and U'y
    """

    columns: np.ndarray
    periods: np.ndarray
    directions: np.ndarray


def _basis(design: Design, fit: Fit, used: np.ndarray, weight: np.ndarray) -> _Basis:
    root = np.sqrt(weight)[:, :, None]
    columns = dataclasses.replace(design, weight=design.weight * np.isfinite(fit.residual)).without_effects(
        design.regressors[:, :, fit.kept])[used]
    q, r = np.linalg.qr((columns * root).reshape(weight.size, -1))
    values, vectors = np.linalg.eigh(_period_gram(weight, design.effects))
    rank = values > 1e-12 * values.max()
    periods = vectors[:, rank] / np.sqrt(values[rank])
    directions = np.zeros((r.shape[0] + periods.shape[1], r.shape[0]))
    directions[:len(r)] = np.linalg.inv(r).T
    return _Basis(q.reshape(columns.shape), periods, directions)


def _period_gram(weight: np.ndarray, effects: str) -> np.ndarray:
    """Return the (periods, periods) weighted products of the period indicators, less their unit means if two-way."""
    gram = np.diag(weight.sum(axis=0))
    return gram - weight.T @ (weight / weight.sum(axis=1, keepdims=True)) if effects == "two_way" else gram


def _gram(basis: _Basis, weight: np.ndarray, members: np.ndarray, effects: str) -> np.ndarray:
    """Return U_g'U_g of the cluster whose units are ``members``, with weight (members, periods)."""
    columns = basis.columns[members]
    flat = columns.reshape(weight.size, -1)
    # Columns have no unit means left, so those of the indicators do not matter.
    cross = np.einsum("utk,ut->kt", columns, np.sqrt(weight)) @ basis.periods
    periods = basis.periods.T @ _period_gram(weight, effects) @ basis.periods
    return np.vstack([np.hstack([flat.T @ flat, cross]), np.hstack([cross.T, periods])])


def _moments(basis: _Basis, residual: np.ndarray, weight: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Return the (clusters, basis) products U_g'e_g."""
    by_unit = np.einsum("utk,ut->uk", basis.columns, np.sqrt(weight) * residual)
    return cluster_sums(np.hstack([by_unit, (weight * residual) @ basis.periods]), cluster)


def _shapes(
    regressors: np.ndarray, weight: np.ndarray, cluster: np.ndarray, n_clusters: int
) -> tuple[np.ndarray, list[int]]:
    """Return which shape each cluster has and one cluster of each: those of one shape have the same rows and weights.

    With a binary treatment units differ only by cohort, so that few clusters need a decomposition of their own.
    """
    known: dict[bytes, int] = {}
    code = [known.setdefault(x.tobytes() + w.tobytes(), len(known)) for x, w in zip(regressors, weight, strict=True)]
    members: list[list[int]] = [[] for _ in range(n_clusters)]
    for unit, one in enumerate(cluster):
        members[one].append(code[unit])
    found: dict[tuple[int, ...], int] = {}
    of_cluster = np.array([found.setdefault(tuple(sorted(units)), len(found)) for units in members])
    return of_cluster, np.unique(of_cluster, return_index=True)[1].tolist()


def _satterthwaite(products: np.ndarray, squares: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return tr(P)^2 / tr(P^2) by column, P_gh = b_g'(I - H)_gh b_h with b_g = A_g U_g d.

    products (shapes, basis, columns) are U_g'b_g, squares (shapes, columns) b_g'b_g, size the clusters of each shape.
    """
    df = np.full(squares.shape[1], np.nan)
    for column in range(len(df)):
        overlap = products[:, :, column] @ products[:, :, column].T
        own, hat = squares[:, column], np.diag(overlap)
        trace = size @ (own - hat)
        spread = size @ (own**2 - 2 * own * hat) + size @ overlap**2 @ size
        if spread > 0:
            df[column] = trace**2 / spread
    return df


def _note(identified: bool, n_clusters: int, df: float, leverage_one: int, lost: int, level: str) -> str:
    if not identified:
        return "not identified: collinear with the others"
    if n_clusters < 2:
        return f"no standard error: {n_clusters} cluster by {level}"
    return join_notes(
        f"no standard error: no variation between clusters by {level}" if np.isnan(df) else "",
        f"fewer than {FEW_DF} degrees of freedom: p-value and interval are not to be relied on" if df < FEW_DF else "",
        f"{leverage_one} of {n_clusters} clusters by {level} have leverage one: generalised inverse"
        if leverage_one else "",
        f"not identified without {'one' if lost == 1 else f'any one of {lost}'} of them, whose own variation the error "
        "leaves out: it is too small to rely on" if lost else "",
    )
