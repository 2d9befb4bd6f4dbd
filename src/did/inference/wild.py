"""Wild cluster bootstrap-t of any coefficient of a regression with fixed effects.

A draw gives each cluster h one random v_h with mean 0 and variance 1, multiplies the residuals r of its cells by it,
and fits the regression again. All that is needed of the new fit is linear in v. With x the tested column less effects
and other columns (Frisch, Waugh and Lovell), x_h and r_h variables that are 0 outside cluster h, and M the projection
off effects and all columns, the tested one included,

    estimate* - null = sum_h v_h x_h'r_h / x'x,    score*_g = sum_h A_gh v_h,  A_gh = x_g' M r_h,
    t* = (estimate* - null) x'x / sqrt(sum_g score*_g^2)

so all draws are one matrix product with the clusters x clusters matrix A (Roodman, Nielsen, MacKinnon and Webb 2019,
Stata Journal 19:4-60). Period effects mix clusters, so A is not diagonal. With u the residuals of the fit, residuals
that impose a null are r = u + (estimate - null) x: numerator and scores are linear in the null as well, and an interval
needs no further fit. Inner products are weighted by the regression weights throughout.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache, partial
from itertools import product
from math import comb

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import Result, join_notes
from did.estimators.design import Design
from did.estimators.within import Fit, generalised_inverse
from did.inference.clustered import rounding_error, small_sample_factor, varies
from did.inference.confidence_set import shape_of
from did.inference.joint_test import tabled

WEIGHTS = ("rademacher", "webb", "normal")
COLUMNS = [
    "column", "cluster", "estimate", "t_statistic", "p_value", "ci_low", "ci_high", "n_clusters", "n_treated_clusters",
    "draws", "enumerated", "weights", "impose_null", "shape", "note",
]
# Up to this many clusters all 2^G sign vectors are used.
ENUMERATED = 12
# Statistics closer than this share are tied: they differ by rounding.
TIED = 1e-8
# A draw has no statistic when its variance is below this share of what the clusters' products add up to.
VANISHED = 1e-14
# Numbers of one block of draws, few enough to stay near the processor, and of all that are kept for the next estimator.
BLOCK, KEPT = 100_000, 1_000_000
# Where the ends of an interval are looked for, in standard errors from the estimate, and how often the step is halved.
STEPS = np.concatenate([np.arange(0.0, 10.0, 0.5), np.geomspace(10.0, 10_000.0, 11)])
HALVINGS = 30


@partial(tabled, columns=COLUMNS)
def wild_bootstrap(
    design: Design,
    level: str,
    *,
    draws: int = 9999,
    seed: int = 20170601,
    weights: str | Sequence[str] = "rademacher",
    impose_null: bool = True,
    confidence: float | None = 0.95,
    fitted: Result | None = None,
) -> list[dict]:
    """Return the wild cluster bootstrap-t test of no effect, and its interval, one row per coefficient and kind of
    ``weights``.

    Method: Cameron, Gelbach and Miller 2008, Review of Economics and Statistics 90:414-427. ``impose_null`` multiplies
    the residuals of the regression without the tested column (WCR, their recommendation); False those of the full
    one, and t* is centred on the estimate (WCU). ``weights``: ``rademacher`` +1 or -1; ``webb`` six points +-sqrt(1/2),
    +-1, +-sqrt(3/2) (Webb 2023, Canadian J. Economics 56:839-858), for few clusters; ``normal`` standard normal.
    With ``rademacher`` and at most 12 clusters all 2^G sign vectors are used once, whatever ``draws`` and ``seed``.

    ``design`` the regression; ``level`` a key of its clusters. The columns the design wants are tested. Cells
    without an outcome or weight are left out, and clusters without a cell left.
    All columns get the same draws. Draws are dealt to clusters in the order of their first unit by name, so neither the
    order of units nor the names of clusters matter.

    p_value is the share of draws with |t*| > |t|, as in R's fwildclusterboot: ties, up to rounding, do not count, so
    the two sign vectors that repeat the data are in the number of draws only; draws without a t* count as larger
    and are noted. Where no draw is larger p is the least that the draws can say, 1 / (draws + 1), or that of the two
    sign vectors if all are used: a p of 0 would pass any correction for many tests. The interval holds the effects
    between the outermost two with p above 1 - ``confidence`` (searched in steps of half a standard error to 10, then
    doubled to 10,000, and halved to the end): under ``impose_null`` the test inverted, else estimate -+ c x std_error
    with c the quantile of |t*|. An end not found there is infinite, with a note. ``confidence=None`` leaves it out
    (NaN).

    Columns: estimate, ci_low, ci_high in units of the outcome per unit of the column; t_statistic = estimate /
    std_error with the small-sample factor G/(G-1) x (N-1)/(N-K) of the estimates table, which cancels in p and interval
    (fwildclusterboot takes K = 1 by default). N and K are those of ``fitted``, the estimator's result, by default the
    design's cells and its columns plus periods: give it where the design holds means over periods. n_treated_clusters
    counts clusters where the column is not always 0; draws; enumerated; shape of the set of effects not rejected, as
    `did.inference.confidence_set` (a gap is looked for at the steps searched); note.

    Statistic, p and interval are NaN, with the reason in the note, for a column that is collinear, fewer than two
    clusters, no more cells than parameters (t only) and no variation between clusters. With one treated cluster, or one
    without treatment, the note says that the bootstrap fails (MacKinnon and Webb 2017, J. Applied Econometrics
    32:233-254): it hardly ever rejects with the null imposed, and far too often without. Raises DidError for an
    unknown level or kind of weights, ``draws`` below 1, a ``confidence`` outside 0 to 1, and a unit without a
    cluster label.
    """
    one_of("wild bootstrap: level", level, design.clusters)
    kinds = [weights] if isinstance(weights, str) else list(weights)
    for kind in kinds:
        one_of("wild bootstrap: weights", kind, WEIGHTS)
    if draws < 1:
        raise DidError(f"wild bootstrap: draws: expected 1 or more; found {draws}; ask for more")
    if confidence is not None and not 0 < confidence < 1:
        raise DidError(f"wild bootstrap: confidence: expected a share between 0 and 1; found {confidence}; use 0.95")
    columns = list(design.wanted)
    design, starts = _by_cluster(design, level)
    design, units = design.scaled()
    fit, n_clusters = design.fit(), len(starts)
    n_obs = fit.n_obs if fitted is None else fitted.n_obs
    n_parameters = int(fit.kept.sum()) + fit.n_periods if fitted is None else fitted.n_parameters
    factor = small_sample_factor(n_clusters, n_obs, n_parameters)
    has_treatment = ((design.regressors[:, :, columns] != 0) & (design.weight > 0)[:, :, None]).any(axis=1)
    n_treated = (np.add.reduceat(has_treatment, starts, axis=0) > 0).sum(axis=0)
    kernels = _kernels(design, fit, starts, columns, impose_null) if n_clusters > 1 else {}
    rounding = dict(zip(columns, rounding_error(design.outcome, design.exposure(columns)), strict=True))
    kernels = {at: kernel for at, kernel in kernels.items()
               if varies(fit.influence[:, [at]], kernel.numerator[:1].T, rounding[at])[0]}
    statistics = {kind: _draw(kernels, n_clusters, kind, draws, seed) for kind in kinds}
    alpha = round(1 - (0.95 if confidence is None else confidence), 12)
    rows = []
    for kind, (at, n_with) in product(kinds, list(zip(columns, n_treated.tolist(), strict=True))):
        enumerated = _enumerates(kind, n_clusters)
        row = dict.fromkeys(COLUMNS, np.nan) | {
            "column": design.names[at], "cluster": level, "estimate": fit.coefficient[at] * units[at],
            "n_clusters": n_clusters, "n_treated_clusters": n_with, "draws": 0, "enumerated": False,
            "weights": kind, "impose_null": impose_null, "shape": "",
        }
        if at not in kernels:
            rows.append(row | {"note": _reason(bool(fit.identified[at]), n_clusters, level)})
            continue
        drawn, spread = statistics[kind][at], kernels[at].spread
        value = fit.coefficient[[at]] / spread
        least = 2.0**(1 - n_clusters) if enumerated else 1 / (draws + 1)
        share = drawn.p_value(value)[0]
        row |= {"t_statistic": value[0] / np.sqrt(factor), "p_value": share or least,
                "enumerated": enumerated, "draws": 2**n_clusters if enumerated else draws}
        if confidence is not None:
            (down, below), (up, above) = (_outermost(drawn, side, alpha) for side in (1, -1))
            row["ci_low"] = (fit.coefficient[at] - spread * down) * units[at]
            row["ci_high"] = (fit.coefficient[at] + spread * up) * units[at]
            row["shape"] = shape_of(row["ci_low"], row["ci_high"], gaps=below or above)
        rows.append(row | {"note": _note(row, int(drawn.undefined(value).sum()), alpha, not share)})
    return rows


def _by_cluster(design: Design, level: str) -> tuple[Design, np.ndarray]:
    """Return the design of the units with a cell to use, sorted by cluster, and (clusters,) the first unit of each."""
    weight = np.where(np.isfinite(design.outcome), design.weight, 0.0)
    by_name = np.argsort(design.units.astype(str), kind="stable")
    used = by_name[(weight[by_name] > 0).any(axis=1)]
    if not len(used):
        raise DidError("wild bootstrap: expected cells with an outcome and a weight; found none; check the outcome")
    labels = np.asarray(design.clusters[level])
    codes, _ = pd.factorize(labels[used])
    if (codes < 0).any():
        raise DidError(f"wild bootstrap: level '{level}', unit {design.units[used[codes < 0]][0]}: expected a cluster "
                       "label; found none; give every unit one")
    order = used[np.argsort(codes, kind="stable")]
    ordered = dataclasses.replace(
        design, outcome=design.outcome[order], regressors=design.regressors[order], weight=weight[order],
        units=design.units[order], clusters={level: labels[order]})
    return ordered, np.unique(np.sort(codes), return_index=True)[1]


@dataclasses.dataclass(frozen=True)
class _Kernel:
    """What the draws of one coefficient are made of, in units of the coefficient; a cluster's v multiplies a column.

    numerator  (2, clusters): first of the residuals u of the fit, then what one unit of (estimate - null) adds
    scores     (2, clusters, clusters): the same
    spread     standard error without a small-sample factor
    """

    numerator: np.ndarray
    scores: np.ndarray
    spread: float


def _kernels(design: Design, fit: Fit, starts: np.ndarray, columns: list[int], impose_null: bool) -> dict[int, _Kernel]:
    """Return the kernel of each of ``columns`` that is kept, from a design in units sorted by cluster.

    ``starts`` (clusters,) is the first unit of each cluster. Without the null the second parts are 0.
    """

    def by_cluster(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, starts, axis=0)

    def on_periods(values: np.ndarray) -> np.ndarray:
        return by_cluster(values * root)

    def on_columns(values: np.ndarray) -> np.ndarray:
        return by_cluster(np.einsum("utk,ut->uk", basis, values))

    # Every cell times the root of its weight.
    root = np.sqrt(design.weight)
    kept = np.flatnonzero(fit.kept)
    reduced = design.without_effects(design.regressors[:, :, kept]) * root[:, :, None]
    basis, triangle = np.linalg.qr(reduced.reshape(-1, len(kept)))
    basis, inverse = basis.reshape(reduced.shape), np.linalg.inv(triangle)
    residual = np.nan_to_num(fit.residual) * root
    # Unit effects lie within clusters and are out of every variable. What is left of the period effects mixes
    # clusters: the equations of `did.estimators.within`.
    normal = np.diag(design.weight.sum(axis=0))
    if design.effects == "two_way":
        normal = normal - design.weight.T @ (design.weight / design.weight.sum(axis=1, keepdims=True))
    normal = generalised_inverse(normal)
    kernels = {}
    for place, at in enumerate(kept):
        if at not in columns or not fit.identified[at]:
            continue
        bread = inverse[place]
        # The column less effects and other columns, over its sum of squares: estimate = sum of lever x outcome.
        lever = basis @ bread
        numerator, scores = [], []
        for values in (residual, lever / (bread @ bread) * float(impose_null)):
            numerator.append(by_cluster((lever * values).sum(axis=1)))
            scores.append(np.diag(numerator[-1]) - on_periods(lever) @ normal @ on_periods(values).T
                          - on_columns(lever) @ on_columns(values).T)
        kernels[int(at)] = _Kernel(np.array(numerator), np.array(scores), float(np.linalg.norm(numerator[0])))
    return kernels


@dataclasses.dataclass(frozen=True)
class _Draws:
    """The bootstrap distribution of one coefficient as polynomials in the null, z = (estimate - null) / spread.

    larger    (5, draws) from the constant down: positive where |t*(z)| > |z| by more than rounding
    variance  (3, draws): not positive where there is no t*
    """

    larger: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, n0: np.ndarray, n1: np.ndarray, v0: np.ndarray, v1: np.ndarray, v2: np.ndarray, *, size: np.ndarray
           ) -> _Draws:
        """Return them from t*(z) = (n0 + n1 z) / sqrt(v0 + 2 v1 z + v2 z^2), each (draws,); ``size`` of v0 and v2."""
        ties = (1 + TIED) ** 2
        return cls(np.stack([n0**2, 2 * n0 * n1, n1**2 - ties * v0, -2 * ties * v1, -ties * v2]),
                   np.stack([v0 - VANISHED * size[0], 2 * v1, v2 - VANISHED * size[1]]))

    def undefined(self, z: np.ndarray) -> np.ndarray:
        """Return (nulls, draws) where a draw has no t*."""
        return np.vander(z, 3, increasing=True) @ self.variance <= 0

    def counted(self, z: np.ndarray) -> np.ndarray:
        """Return (nulls,) the number of draws with |t*(z)| > |z| or without a t*."""
        larger = np.vander(z, 5, increasing=True) @ self.larger > 0
        if len(self.doubtful):
            larger[:, self.doubtful] |= np.vander(z, 3, increasing=True) @ self.variance[:, self.doubtful] <= 0
        return np.array([np.count_nonzero(of_null) for of_null in larger])   # fast in one row, not over an axis

    def p_value(self, z: np.ndarray) -> np.ndarray:
        """Return (nulls,) the share of draws with |t*(z)| > |z| or without a t*."""
        return self.counted(z) / self.larger.shape[1]

    @cached_property
    def doubtful(self) -> np.ndarray:
        """The draws that may have no t* at some z: all others have a variance without a root."""
        constant, linear, square = self.variance
        return np.flatnonzero(~((square > 0) & (linear**2 < 4 * constant * square)))

    def between(self, first: float, last: float) -> tuple[int, _Draws]:
        """Return how many draws are counted everywhere between two z, and those that are counted in places."""
        # In Bernstein's basis a polynomial lies between its least and largest coefficient.
        larger = _bernstein(first, last, 4).T @ self.larger
        always, never = (larger > 0).all(axis=0), (larger <= 0).all(axis=0)
        if len(self.doubtful):
            variance = _bernstein(first, last, 2).T @ self.variance[:, self.doubtful]
            always[self.doubtful] |= (variance <= 0).all(axis=0)
            never[self.doubtful] &= (variance > 0).all(axis=0)
        rest = ~(always | never)
        return int(always.sum()), _Draws(self.larger[:, rest], self.variance[:, rest])


def _bernstein(first: float, last: float, degree: int) -> np.ndarray:
    """Return what (..., degree + 1) coefficients of powers are multiplied by to be those of Bernstein's polynomials
    between two places (Farouki 2012, Computer Aided Geometric Design 29:379-419, section 3.5)."""
    matrix = np.zeros((degree + 1, degree + 1))
    for power in range(degree + 1):
        # (first + (last - first) u)^power in powers of u, and those in Bernstein's basis.
        for own in range(power + 1):
            part = comb(power, own) * first ** (power - own) * (last - first) ** own
            matrix[power, own:] += [part * comb(at, own) / comb(degree, own) for at in range(own, degree + 1)]
    return matrix


def _enumerates(weights: str, n_clusters: int) -> bool:
    return weights == "rademacher" and n_clusters <= ENUMERATED


def _draw(kernels: dict[int, _Kernel], n_clusters: int, weights: str, draws: int, seed: int) -> dict[int, _Draws]:
    """Return the draws of each coefficient. Sign vectors v and -v have one |t*|: one of each pair is enumerated."""
    if not kernels:
        return {}
    blocks: Iterable[np.ndarray]
    if _enumerates(weights, n_clusters):
        blocks = [np.array([(1.0, *signs) for signs in product((1.0, -1.0), repeat=n_clusters - 1)])]
    elif draws * n_clusters <= KEPT:
        blocks = _same_blocks(draws, n_clusters, weights, seed)
    else:
        blocks = _blocks(draws, n_clusters, weights, seed)
    # From units of the coefficient to standard errors.
    numerators = {at: kernel.numerator / [[kernel.spread], [1.0]] for at, kernel in kernels.items()}
    scores = {at: kernel.scores / [[[kernel.spread]], [[1.0]]] for at, kernel in kernels.items()}
    parts: dict[int, list[np.ndarray]] = {at: [] for at in kernels}
    for multipliers in blocks:
        for at in kernels:
            first, second = np.hsplit(multipliers @ scores[at].reshape(-1, scores[at].shape[-1]).T, 2)
            squares = [np.einsum("dg,dg->d", *pair) for pair in ((first, first), (first, second), (second, second))]
            parts[at].append(np.stack([*(numerators[at] @ multipliers.T), *squares]))
    return {at: _Draws.of(*np.concatenate(parts[at], axis=1), size=(scores[at] ** 2).sum(axis=(1, 2)))
            for at in kernels}


@lru_cache(2)
def _same_blocks(draws: int, n_clusters: int, weights: str, seed: int) -> list[np.ndarray]:
    """`_blocks`, the same for every estimator of a panel."""
    return list(_blocks(draws, n_clusters, weights, seed))


def _blocks(draws: int, n_clusters: int, weights: str, seed: int) -> Iterator[np.ndarray]:
    """Yield the multipliers of all draws, a block at a time."""
    generator, step = np.random.default_rng(seed), max(1, BLOCK // n_clusters)
    for start in range(0, draws, step):
        yield _multipliers(generator, (min(step, draws - start), n_clusters), weights)


def _multipliers(generator: np.random.Generator, shape: tuple[int, int], weights: str) -> np.ndarray:
    """Return ``shape`` independent numbers of mean 0 and variance 1."""
    if weights == "normal":
        return generator.standard_normal(shape)
    points = np.array([-1.0, 1.0])
    if weights == "webb":
        points = np.sqrt([1.5, 1.0, 0.5])
        points = np.concatenate([-points, points])
    return points[generator.integers(0, len(points), size=shape)]


def _outermost(draws: _Draws, side: int, alpha: float) -> tuple[float, bool]:
    """Return how many standard errors the interval reaches from the estimate, down (``side`` 1) or up (-1), and whether
    an effect on the way is rejected."""
    kept = np.flatnonzero(draws.p_value(side * STEPS) > alpha)
    if not len(kept):
        return 0.0, False
    gaps = len(kept) <= kept[-1]
    if kept[-1] == len(STEPS) - 1:
        return np.inf, gaps
    inside, outside = STEPS[kept[-1]], STEPS[kept[-1] + 1]
    always, rest = draws.between(side * inside, side * outside)
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        accepted = (always + rest.counted(np.array([side * middle]))[0]) / draws.larger.shape[1] > alpha
        inside, outside = (middle, outside) if accepted else (inside, middle)
    return (inside + outside) / 2, gaps


def _reason(identified: bool, n_clusters: int, level: str) -> str:
    if not identified:
        return "not identified: collinear with other columns and effects"
    if n_clusters < 2:
        return f"no bootstrap: {n_clusters} cluster by {level}"
    return f"no bootstrap: no variation between clusters by {level}"


def _note(row: dict, n_undefined: int, alpha: float, none_larger: bool) -> str:
    n_clusters, n_treated, level = row["n_clusters"], row["n_treated_clusters"], row["cluster"]
    lonely = {n_clusters - 1: "one cluster without treatment", 1: "one treated cluster"}.get(n_treated, "")
    n_distinct = 2 ** (n_clusters - 1)
    n_undefined *= 2 if row["enumerated"] else 1
    open_ends = [end for end in ("ci_low", "ci_high") if np.isinf(row[end])]
    return join_notes(
        f"all {row['draws']} sign vectors, the seed does not matter" if row["enumerated"] else "",
        f"only {n_distinct} sign vectors differ by more than their sign: too few for a test at {alpha:.3g}"
        if row["enumerated"] and n_distinct * alpha < 1 else "",
        f"{lonely} by {level}: the wild bootstrap is known to fail (MacKinnon and Webb 2017)" if lonely else "",
        f"no draw is larger: p is the least that {row['draws']:,} draws can say" if none_larger else "",
        f"{n_undefined} draws without a statistic count as larger" if n_undefined else "",
        f"{' and '.join(open_ends)}: none within {STEPS[-1]:,.0f} standard errors" if open_ends else "",
        "no t statistic: no more observations than parameters" if np.isnan(row["t_statistic"]) else "",
        "effects within the interval are rejected too: the set has gaps" if row["shape"].endswith("gaps") else "",
    )
