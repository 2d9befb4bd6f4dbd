"""How often each method of inference rejects where nothing was done, measured on the panel at hand.

A placebo assignment hands the onsets and doses of the treated clusters to others that were not treated. With unit
effects, period effects and lags taken out once (Frisch, Waugh and Lovell), and with an orthonormal basis Q of what was
taken out, an assignment z of doses to clusters has the treatment f = E z, and everything that a method needs of it is a
product of f, Q and the outcome y within clusters g:

    estimate b = f'y / f'f,    score_g = f_g'(y_g - b f_g),    leverage H_gg = Q_g Q_g' + f_g f_g' / f'f

so no regression is fitted again. Rows of a cluster may be rotated, which changes none of these products and leaves as
few rows as they have rank. Formulas: clustered errors `did.inference.clustered`, CR2 and CR3
`did.inference.bias_reduced`, wild bootstrap `did.inference.wild`, randomisation `did.inference.randomisation`. To
measure a method's size in the design at hand before it is believed: Ferman, "Assessing inference methods" (arXiv
1912.08772).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import PERIODS_PER_YEAR, Panel
from did.estimators.ldv import lag_matrix
from did.estimators.within import COLLINEAR, ROUNDING, demean_periods, independent_columns
from did.inference.bias_reduced import LEVERAGE_ONE
from did.inference.clustered import CANCELLED, small_sample_factor
from did.inference.randomisation import fewest_rows

ESTIMATORS = ("did", "ldv")
SCHEMES = ("never_treated", "before_onset")
METHODS = ("clustered_unit", "clustered", "CR2", "CR3", "jackknife", "wild_bootstrap", "randomisation",
           "randomisation_estimate")
COLUMNS = ["scheme", "method", "n_draws", "rejected", "coverage", "simulation_error", "mean_width", "n_clusters",
           "n_treated_clusters", "n_treated", "size_mismatch", "n_onsets", "status", "reason"]
# A placebo cluster is drawn among this many of those nearest in size to the treated cluster whose place it takes.
NEAREST = 5
# Placebo onsets of the scheme ``before_onset``, spread evenly over those that leave two years before and one after.
MOST_ONSETS = 5
# Numbers that one block of draws may hold.
BLOCK = 20_000_000
# Numbers that rows by columns of the regression may hold.
LARGEST = 200_000_000


def calibrate(panel: Panel, *, estimator: str = "did", lags: str = "all", level: str = "system",
              scheme: str = "never_treated", draws: int = 999, wild_draws: int = 399, seed: int = 20170601,
              confidence: float = 0.95) -> pd.DataFrame:
    """Return how often intervals of each method leave out a true zero, one row per method of `METHODS`.

    ``panel``: outcomes in any unit of measure, a missing one left out as by the estimator; ``level``, a level of its
    clusters, is that of assignment: the units of a cluster share onset and dose. ``scheme`` ``never_treated`` gives the
    onsets and doses of the treated clusters to clusters never treated in the window, over all periods;
    ``before_onset`` gives the doses to any clusters, with placebo onsets that leave two years before and one after,
    all before the first onset. Each treated cluster, the largest first, is replaced by one drawn among the five unused
    clusters nearest to it in units; size_mismatch is the mean distance that is left.

    Columns: n_draws assignments, of which ``rejected`` at 1 - ``confidence``; coverage, the share of intervals that
    hold zero, with its simulation_error (binomial); mean_width of the intervals in units of the outcome per unit of
    dose (for the wild bootstrap and randomisation twice critical value times standard error); n_clusters, and
    n_treated_clusters and n_treated units under placebo (mean); n_onsets. Randomisation is against all ways of handing
    the onsets and doses to the clusters at hand, whatever their size, as many as ``draws``. Assignments without a
    statistic count as not rejected.

    A scheme that the panel is too small for, or too large to hold in memory, has rows with status ``skipped`` and the
    reason. Raises DidError for an unknown estimator, level or scheme, ``lags`` that the panel does not have, ``draws``
    below 99, and a ``confidence`` outside 0 to 1.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(120, 24, {12: 30}, 0.0, seed=1, units_per_system=5)
    >>> table = calibrate(Panel.from_frame(frame), draws=99, wild_draws=99)
    >>> table.loc[table["method"] == "wild_bootstrap", "n_treated_clusters"].item()
    6
    """
    one_of("calibration: estimator", estimator, ESTIMATORS)
    one_of("calibration: scheme", scheme, SCHEMES)
    one_of("calibration: level", level, panel.clusters)
    if draws < 99:
        raise DidError(f"calibration: draws: expected 99 or more; found {draws}; ask for more")
    if not 0 < confidence < 1:
        raise DidError(f"calibration: confidence: expected a share between 0 and 1; found {confidence}; use 0.95")
    treated = panel.treated_from[~panel.never_treated & ~panel.always_treated]
    if estimator == "ldv" and len(treated):
        lag_matrix(panel, int(treated.min()), lags)   # a wrong word is a mistake, and not a reason to skip
    panel, unit = panel.scaled()
    try:
        placebos = list(_placebos(panel, estimator, lags, level, scheme))
    except DidError as error:
        return _skipped(scheme, str(error))
    generator = np.random.default_rng(seed)
    asked = _Asked(draws, wild_draws, confidence)
    shares = np.array_split(np.arange(draws), len(placebos))
    parts = [_measure(placebo, dataclasses.replace(asked, draws=len(share)), generator)
             for placebo, share in zip(placebos, shares, strict=True)]
    table = _table(scheme, parts, placebos, asked)
    return table.assign(mean_width=table["mean_width"] * unit)


def headline_method(calibration: pd.DataFrame, order: Sequence[str], *, confidence: float = 0.95,
                    tolerance: float = 0.02) -> tuple[str, float, bool]:
    """Return the method to lead with, its measured coverage, and whether it holds its level.

    The first of ``order`` whose coverage (the mean over the schemes that were done, by draws) is within ``tolerance``
    of ``confidence``. If none is, the one of them with the highest coverage and False; ("", NaN, False) if nothing was
    measured.

    ``calibration``: rows of `calibrate`, of one estimate. Raises nothing.

    >>> headline_method(pd.DataFrame({"method": ["wild_bootstrap", "CR2"], "status": "done", "rejected": [100, 45],
    ...                               "n_draws": 1000}), ["wild_bootstrap", "CR2"])
    ('CR2', 0.955, True)
    """
    done = calibration.loc[calibration["status"].eq("done") & calibration["method"].isin(list(order))]
    if done.empty:
        return "", float("nan"), False
    totals = done.groupby("method")[["rejected", "n_draws"]].sum()
    measured = 1 - totals["rejected"] / totals["n_draws"]
    for method in order:
        if method in measured and abs(measured[method] - confidence) <= tolerance:
            return method, float(measured[method]), True
    widest = measured.idxmax()
    return str(widest), float(measured[widest]), False


@dataclasses.dataclass(frozen=True)
class _Asked:
    draws: int
    wild_draws: int
    confidence: float


@dataclasses.dataclass(frozen=True)
class _Regression:
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


@dataclasses.dataclass(frozen=True)
class _Placebo:
    """A regression in which clusters can be given the labels (onset, dose) of treated ones.

    doses   (labels, onsets) of each label of a treated cluster
    sizes   (labels,) units of the treated cluster; available (clusters,) units of those that may take its place
    """

    regression: _Regression
    doses: np.ndarray
    sizes: np.ndarray
    available: np.ndarray


def _placebos(panel: Panel, estimator: str, lags: str, level: str, scheme: str):
    """The regressions of a scheme. Raises DidError where there is none, with the reason."""
    codes, names = pd.factorize(panel.clusters[level])
    treated = ~panel.never_treated & ~panel.always_treated
    with_treated = np.unique(codes[treated])
    if not len(with_treated):
        raise DidError("no cluster is treated within the window")
    onset = np.array([np.median(panel.treated_from[treated & (codes == code)]) for code in with_treated]).astype(int)
    dose = np.array([panel.dose[treated & (codes == code)].mean() for code in with_treated])
    sizes = np.array([int((codes == code).sum()) for code in with_treated])
    if scheme == "never_treated":
        free = ~np.isin(codes, np.unique(codes[~panel.never_treated]))
        _refuse_few(len(np.unique(codes[free])), len(with_treated), "never treated")
        onsets = np.unique(onset) if estimator == "did" else np.array([onset.min()])
        yield _placebo(panel.keep(free), codes[free], estimator, lags, onsets, (onset, dose, sizes))
        return
    _refuse_few(len(names), len(with_treated), "in the panel")
    year, first = PERIODS_PER_YEAR[panel.frequency], int(onset.min())
    possible = np.arange(2 * year, first - year + 1)
    if not len(possible):
        raise DidError(f"expected three years before the first onset for placebo onsets; found {first} periods")
    for at in possible[np.unique(np.linspace(0, len(possible) - 1, MOST_ONSETS).round().astype(int))]:
        early = dataclasses.replace(
            panel, outcome=panel.outcome[:, :first], periods=panel.periods[:first],
            weight=None if panel.weight is None else panel.weight[:, :first], covariates={})
        yield _placebo(early, codes, estimator, lags, np.array([at]), (np.full(len(onset), at), dose, sizes))


def _refuse_few(n_clusters: int, n_treated: int, what: str) -> None:
    if n_clusters < n_treated + 3:
        raise DidError(f"expected at least {n_treated + 3} clusters {what} to take the places of {n_treated} treated "
                       f"ones; found {n_clusters}")


def _placebo(panel: Panel, codes: np.ndarray, estimator: str, lags: str, onsets: np.ndarray, treated) -> _Placebo:
    onset, dose, sizes = treated
    regression, available = _regression(panel, codes, estimator, lags, onsets)
    doses = np.where(np.minimum(onset, onsets.max())[:, None] == onsets, dose[:, None], 0.0)
    return _Placebo(regression, doses, sizes, available)


def _regression(panel: Panel, codes: np.ndarray, estimator: str, lags: str,
                onsets: np.ndarray) -> tuple[_Regression, np.ndarray]:
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
    regression = _Regression(
        basis, rest[:, -1], rest[:, :-1], np.searchsorted(owner, np.arange(n_clusters)),
        np.cumsum(n_rows) - n_rows, raw[n_controls:-1], n_obs,
        1 + n_periods + basis.shape[1] - n_effects + int(estimator == "did"))
    return regression, np.bincount(codes)


def _basis(columns: np.ndarray, rest: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal basis of ``columns``, whose sums of squares were ``squares``, and ``rest`` less what it explains.
    """
    kept = independent_columns(columns.T @ columns, ROUNDING**2 * squares)
    basis = np.linalg.qr(columns[:, kept])[0]
    for _ in range(2):   # large means leave rounding behind the first time
        rest = rest - basis @ (basis.T @ rest)
    return basis, rest


def _matched(placebo: _Placebo, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Return (draws, treated clusters) the cluster that takes the place of each treated one, near it in size."""
    chosen = np.empty((draws, len(placebo.sizes)), dtype=int)
    taken = np.zeros((draws, len(placebo.available)), dtype=bool)
    for place in np.argsort(-placebo.sizes, kind="stable"):
        distance = np.abs(placebo.available - placebo.sizes[place]) + generator.uniform(0, 0.5, taken.shape)
        distance[taken] = np.inf
        nearest = np.argsort(distance, axis=1)[:, :NEAREST]
        free = np.isfinite(np.take_along_axis(distance, nearest, axis=1)).sum(axis=1)
        pick = (generator.uniform(size=draws) * free).astype(int)
        chosen[:, place] = nearest[np.arange(draws), pick]
        taken[np.arange(draws), chosen[:, place]] = True
    return chosen


def _assigned(placebo: _Placebo, chosen: np.ndarray) -> np.ndarray:
    """Return (draws, clusters x onsets) doses."""
    n_clusters, n_onsets = len(placebo.available), placebo.doses.shape[1]
    z = np.zeros((len(chosen), n_clusters, n_onsets))
    z[np.arange(len(chosen))[:, None], chosen] = placebo.doses
    return z.reshape(len(chosen), -1)


@dataclasses.dataclass(frozen=True)
class _Found:
    """Of each draw: p-values and interval widths by method, and how far sizes are off."""

    p_value: dict[str, np.ndarray]
    width: dict[str, np.ndarray]
    n_treated: float
    mismatch: float


def _measure(placebo: _Placebo, asked: _Asked, generator: np.random.Generator) -> _Found:
    from scipy import stats

    model, n_clusters = placebo.regression, len(placebo.available)
    chosen = _matched(placebo, asked.draws, generator)
    z = _assigned(placebo, chosen)
    everyone = np.argsort(generator.uniform(size=(asked.draws, n_clusters)), axis=1)[:, :len(placebo.sizes)]
    compact = _compact(model)
    signs = generator.choice([-1.0, 1.0], size=(asked.wild_draws, n_clusters))
    reference = _simple(compact, _assigned(placebo, everyone))
    p_value, width = {method: [] for method in METHODS}, {method: [] for method in METHODS}
    size = compact.starts.size * (compact.basis.shape[1] + n_clusters) + asked.wild_draws * n_clusters
    step = max(1, BLOCK // size)
    for first in range(0, len(z), step):
        block = z[first:first + step]
        simple = _simple(compact, block)
        spreads = {"clustered_unit": (_unit_spread(model, block, simple), len(model.unit_starts) - 1.0),
                   "clustered": (simple.spread, n_clusters - 1.0), **_leverage_corrected(compact, simple)}
        for method, (spread, df) in spreads.items():
            root = np.sqrt(small_sample_factor(int(np.max(df)) + 1, model.n_obs, model.n_parameters)) \
                if method.startswith("clustered") else 1.0
            error = np.where(simple.varies, root * spread, np.nan)
            p_value[method].append(2 * stats.t.sf(np.abs(simple.estimate) / error, df))
            width[method].append(2 * stats.t.ppf((1 + asked.confidence) / 2, df) * error)
        drawn, critical = _wild(compact, simple, signs, asked.confidence)
        p_value["wild_bootstrap"].append(drawn)
        width["wild_bootstrap"].append(2 * critical * simple.spread)
        for method, value, other, unit in (
                ("randomisation", simple.t, reference.t, simple.spread),
                ("randomisation_estimate", np.abs(simple.estimate), np.abs(reference.estimate), 1.0)):
            known = np.sort(np.where(np.isnan(other), np.inf, other))
            larger = len(known) - np.searchsorted(known, value * (1 - 1e-8))
            p_value[method].append(np.where(np.isnan(value), np.nan, (1 + larger) / (1 + len(known))))
            width[method].append(2 * np.quantile(known, asked.confidence) * unit * np.ones(len(block)))
    return _Found({name: np.concatenate(parts) for name, parts in p_value.items()},
                  {name: np.concatenate(parts) for name, parts in width.items()},
                  float(placebo.available[chosen].sum(axis=1).mean()),
                  float(np.abs(placebo.available[chosen] - placebo.sizes).mean()))


def _compact(model: _Regression) -> _Regression:
    """The same products within clusters in as few rows as they have rank."""
    scale = np.linalg.norm(model.outcome) or 1.0
    every = np.column_stack([model.basis, model.outcome / scale, model.columns])
    blocks = [fewest_rows(block) for block in np.split(every, model.starts[1:])]
    starts = np.cumsum([0] + [len(block) for block in blocks[:-1]])
    every, k = np.concatenate(blocks), model.basis.shape[1]
    return dataclasses.replace(model, basis=every[:, :k], outcome=every[:, k] * scale, columns=every[:, k + 1:],
                               starts=starts)


@dataclasses.dataclass(frozen=True)
class _Simple:
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


def _simple(model: _Regression, z: np.ndarray) -> _Simple:
    treatment = model.columns @ z.T
    product = np.add.reduceat(treatment * model.outcome[:, None], model.starts, axis=0)
    own = np.add.reduceat(treatment**2, model.starts, axis=0)
    square = own.sum(axis=0)
    identified = square > COLLINEAR * (model.squares @ z.T**2)
    square = np.where(identified, square, np.nan)
    estimate = product.sum(axis=0) / square
    spread = np.sqrt(((product - estimate * own) ** 2).sum(axis=0)) / square
    varies = identified & (spread * square > CANCELLED * (np.abs(product).sum(axis=0) + np.abs(estimate) * square))
    return _Simple(treatment, square, estimate, product, own, spread,
                   np.abs(estimate) / np.where(varies, spread, np.nan), varies)


def _unit_spread(model: _Regression, z: np.ndarray, simple: _Simple) -> np.ndarray:
    treatment = model.columns @ z.T
    score = treatment * (model.outcome[:, None] - treatment * simple.estimate)
    return np.sqrt((np.add.reduceat(score, model.unit_starts, axis=0) ** 2).sum(axis=0)) / simple.square


def _leverage_corrected(model: _Regression, simple: _Simple) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Errors and degrees of freedom of each draw by CR2, CR3 and the jackknife over clusters."""
    n_clusters, n_draws = len(model.starts), len(simple.square)
    ends = np.append(model.starts[1:], len(model.outcome))
    root = np.sqrt(simple.square)
    score = {kind: np.zeros(n_draws) for kind in ("CR2", "CR3")}
    own = {kind: np.empty((n_clusters, n_draws)) for kind in score}
    lean = {kind: np.empty((n_draws, n_clusters, model.basis.shape[1] + 1)) for kind in score}
    for g, (a, b) in enumerate(zip(model.starts, ends, strict=True)):
        f, q = simple.treatment[a:b].T, model.basis[a:b]
        residual = model.outcome[a:b] - simple.estimate[:, None] * f
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
    found = {}
    for kind in score:
        overlap = lean[kind] @ lean[kind].swapaxes(1, 2)
        hat = np.einsum("dgg->gd", overlap)
        trace = (own[kind] - hat).sum(axis=0)
        spread = (own[kind] ** 2 - 2 * own[kind] * hat).sum(axis=0) + (overlap**2).sum(axis=(1, 2))
        found[kind] = (np.sqrt(score[kind]) / simple.square, trace**2 / np.where(spread > 0, spread, np.nan))
    found["jackknife"] = (found["CR3"][0] * np.sqrt((n_clusters - 1) / n_clusters), np.full(n_draws, n_clusters - 1.0))
    return found


def _wild(model: _Regression, simple: _Simple, signs: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """P-values of the wild cluster bootstrap with the null imposed, and the critical values of |t|."""
    levers = np.stack([np.add.reduceat(simple.treatment * model.basis[:, [column]], model.starts, axis=0)
                       for column in range(model.basis.shape[1])], axis=2)
    pulls = np.add.reduceat(model.basis * model.outcome[:, None], model.starts, axis=0)
    product = simple.product.T
    # score*_g = sum_h A_gh v_h, A = diag(f_g'y_g) - (f_g'Q_g)(Q_h'y_h)' - f_g'f_g f_h'y_h / f'f
    mixing = -levers.transpose(1, 0, 2) @ pulls.T
    mixing -= (simple.own_square.T / simple.square[:, None])[:, :, None] * product[:, None, :]
    place = np.arange(product.shape[1])
    mixing[:, place, place] += product
    score = mixing @ signs.T
    spread = np.sqrt((score**2).sum(axis=1))
    drawn = np.abs(product @ signs.T) / np.where(spread > 0, spread, np.nan)
    value = np.abs(simple.estimate) / simple.spread
    larger = np.isnan(drawn) | (drawn > value[:, None] * (1 + 1e-8))
    return larger.mean(axis=1), np.nanquantile(drawn, confidence, axis=1)


def _table(scheme: str, parts: list[_Found], placebos: list[_Placebo], asked: _Asked) -> pd.DataFrame:
    rows = []
    for method in METHODS:
        p_value = np.concatenate([part.p_value[method] for part in parts])
        width = np.concatenate([part.width[method] for part in parts])
        n, rejected = len(p_value), int((p_value < 1 - asked.confidence + 1e-12).sum())
        share = rejected / n
        rows.append({
            "scheme": scheme, "method": method, "n_draws": n, "rejected": rejected, "coverage": 1 - share,
            "simulation_error": float(np.sqrt(share * (1 - share) / n)), "mean_width": float(np.nanmean(width)),
            "n_clusters": len(placebos[0].available), "n_treated_clusters": len(placebos[0].sizes),
            "n_treated": float(np.mean([part.n_treated for part in parts])),
            "size_mismatch": float(np.mean([part.mismatch for part in parts])), "n_onsets": len(placebos),
            "status": "done", "reason": ""})
    return pd.DataFrame(rows, columns=COLUMNS)


def _skipped(scheme: str, reason: str) -> pd.DataFrame:
    empty = {"scheme": scheme, "n_draws": 0, "rejected": 0, "status": "skipped", "reason": reason}
    return pd.DataFrame([dict.fromkeys(COLUMNS, np.nan) | empty | {"method": method} for method in METHODS],
                        columns=COLUMNS)
