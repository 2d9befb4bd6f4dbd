"""How often each method of inference rejects where nothing was done, measured on the panel at hand.

A placebo assignment hands the onsets and doses of the treated clusters to others that were not treated; an interval
that leaves out zero there is wrong. `did.inference.placebo` has the algebra by which no regression is fitted again. To
measure a method's size in the design at hand before it is believed: Ferman, "Assessing inference methods" (arXiv
1912.08772).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import PERIODS_PER_YEAR, Panel
from did.estimators.ldv import lag_matrix
from did.inference.clustered import small_sample_factor
from did.inference.placebo import (
    Regression,
    Simple,
    compact,
    leverage_corrected,
    on_clusters,
    regression,
    simple,
    unit_spread,
    wild,
)
from did.inference.randomisation import near_in_size

ESTIMATORS = ("did", "ldv")
SCHEMES = ("never_treated", "before_onset")
METHODS = ("clustered_unit", "clustered", "CR2", "CR3", "jackknife", "wild_bootstrap", "randomisation",
           "randomisation_estimate", "randomisation_near")
COLUMNS = ["scheme", "method", "n_draws", "rejected", "coverage", "simulation_error", "mean_width", "n_clusters",
           "n_treated_clusters", "n_treated", "size_mismatch", "n_onsets", "status", "reason"]
# Placebo onsets of the scheme ``before_onset``, spread evenly over those that leave two years before and one after.
MOST_ONSETS = 5
# With how many clusters calibration still ends within minutes.
MOST_CLUSTERS = 500
# Methods that need no more than the estimate and errors clustered at the level of assignment are tried in this many
# times as many assignments, and ``randomisation_near`` is held against as many.
MORE = 5
# Assignments that share their signs of the wild bootstrap, at most: signs have a simulation error in common, too.
SHARED = 100
# Numbers that one block of draws may hold: few enough to stay near the processor.
BLOCK = 1_000_000


@dataclasses.dataclass(frozen=True)
class Settings:
    """How methods of inference are tried, and how one is chosen to lead with.

    draws       placebo assignments for each scheme, 99 or more; cheap methods are tried in five times as many
    wild_draws  draws of the wild bootstrap within each of them
    own_draws   draws of the wild bootstrap and of randomisation for the estimate itself
    order       methods in the order they are considered, of `METHODS` but ``jackknife``
    tolerance   how far measured coverage may be from ``confidence``, both as shares
    seed        of every random draw
    """

    draws: int = 999
    wild_draws: int = 399
    own_draws: int = 9999
    order: tuple[str, ...] = ("wild_bootstrap", "CR2", "randomisation", "CR3", "randomisation_near")
    tolerance: float = 0.02
    confidence: float = 0.95
    seed: int = 20170601


def calibrate(panel: Panel, *, estimator: str = "did", lags: str = "all", level: str = "system",
              scheme: str = "never_treated", settings: Settings | None = None) -> pd.DataFrame:
    """Return how often intervals of each method leave out a true zero, one row per method of `METHODS`.

    ``panel``: outcomes in any unit of measure, a missing one left out as by the estimator; ``level``, a level of its
    clusters, is that of assignment: the units of a cluster share onset and dose. ``scheme`` ``never_treated`` gives the
    onsets and doses of the treated clusters to clusters never treated in the window, over all periods;
    ``before_onset`` gives the doses to any clusters, with placebo onsets that leave two years before and one after,
    all before the first onset. Each treated cluster, the largest first, is replaced by one drawn among the five unused
    clusters nearest to it in units; size_mismatch is the mean distance that is left.

    Columns: n_draws assignments, of which ``rejected`` at 1 - confidence; coverage, the share of intervals that hold
    zero, with its simulation_error (binomial); mean_width of the intervals in units of the outcome per unit of dose
    (for the wild bootstrap and randomisation twice critical value times standard error); n_clusters, and
    n_treated_clusters and n_treated units under placebo (mean); n_onsets. ``randomisation`` is against all ways of
    handing the onsets and doses to the clusters at hand, whatever their size, as many as the draws;
    ``randomisation_near`` against assignments drawn like those that it is tried in, so that here it can err by
    simulation alone. These and ``clustered`` cost little and have five times as many assignments as the draws asked
    for. Assignments without a statistic count as not rejected.

    A scheme that the panel is too small for, or too large, has rows with status ``skipped`` and the reason. Raises
    DidError for an unknown estimator, level or scheme, ``lags`` that the panel does not have, draws below 99, and a
    confidence outside 0 to 1.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(120, 24, {12: 30}, 0.0, seed=1, units_per_system=5)
    >>> table = calibrate(Panel.from_frame(frame), settings=Settings(draws=99, wild_draws=99))
    >>> table.loc[table["method"] == "wild_bootstrap", "n_treated_clusters"].item()
    6
    """
    settings = settings or Settings()
    one_of("calibration: scheme", scheme, SCHEMES)
    _check(panel, estimator, lags, level, settings)
    panel, unit = panel.scaled()
    try:
        placebos = list(_placebos(panel, estimator, lags, level, scheme))
    except DidError as error:
        return _skipped(scheme, str(error))
    generator = np.random.default_rng(settings.seed)
    shares = np.array_split(np.arange(settings.draws), len(placebos))
    parts = [_measure(placebo, dataclasses.replace(settings, draws=len(share)), generator)
             for placebo, share in zip(placebos, shares, strict=True)]
    table = _table(scheme, parts, placebos)
    return table.assign(mean_width=table["mean_width"] * unit)


def _check(panel: Panel, estimator: str, lags: str, level: str, settings: Settings) -> None:
    one_of("calibration: estimator", estimator, ESTIMATORS)
    one_of("calibration: level", level, panel.clusters)
    if settings.draws < 99:
        raise DidError(f"calibration: draws: expected 99 or more; found {settings.draws}; ask for more")
    if not 0 < settings.confidence < 1:
        raise DidError("calibration: confidence: expected a share between 0 and 1; found "
                       f"{settings.confidence}; use 0.95")
    treated = panel.treated_from[~panel.never_treated & ~panel.always_treated]
    if estimator == "ldv" and len(treated):
        lag_matrix(panel, int(treated.min()), lags)   # a wrong word is a mistake, and not a reason to skip


@dataclasses.dataclass(frozen=True)
class _Placebo:
    """A regression in which clusters can be given the labels (onset, dose) of treated ones.

    doses   (labels, onsets) of each label of a treated cluster
    sizes   (labels,) units of the treated cluster; available (clusters,) units of those that may take its place
    """

    regression: Regression
    doses: np.ndarray
    sizes: np.ndarray
    available: np.ndarray


def _placebos(panel: Panel, estimator: str, lags: str, level: str, scheme: str) -> Iterator[_Placebo]:
    """The regressions of a scheme. Raises DidError where there is none, with the reason."""
    codes, names = pd.factorize(panel.clusters[level])
    if len(names) > MOST_CLUSTERS:
        raise DidError(f"expected at most {MOST_CLUSTERS} clusters; found {len(names)}, with which placebos take too "
                       "long")
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


def _placebo(panel: Panel, codes: np.ndarray, estimator: str, lags: str, onsets: np.ndarray,
             treated: tuple[np.ndarray, np.ndarray, np.ndarray]) -> _Placebo:
    onset, dose, sizes = treated
    model, available = regression(panel, codes, estimator, lags, onsets)
    doses = np.where(np.minimum(onset, onsets.max())[:, None] == onsets, dose[:, None], 0.0)
    return _Placebo(model, doses, sizes, available)


def _assigned(placebo: _Placebo, chosen: np.ndarray) -> np.ndarray:
    """Return (draws, clusters x onsets) doses."""
    n_clusters, n_onsets = len(placebo.available), placebo.doses.shape[1]
    z = np.zeros((len(chosen), n_clusters, n_onsets))
    z[np.arange(len(chosen))[:, None], chosen] = placebo.doses
    return z.reshape(len(chosen), -1)


@dataclasses.dataclass(frozen=True)
class _Found:
    """Of each draw: whether a method rejects, and the width of its interval; and how far sizes are off."""

    rejected: dict[str, np.ndarray]
    width: dict[str, np.ndarray]
    n_treated: float
    mismatch: float


def _factor(model: Regression, n_clusters: int) -> float:
    return small_sample_factor(n_clusters, model.n_obs, model.n_parameters)


def _measure(placebo: _Placebo, asked: Settings, generator: np.random.Generator) -> _Found:
    from scipy.special import stdtrit

    model, fewest, n_clusters = placebo.regression, compact(placebo.regression), len(placebo.available)
    chosen = near_in_size(placebo.sizes, placebo.available, MORE * asked.draws, generator)
    z = _assigned(placebo, chosen)
    everyone = np.argsort(generator.uniform(size=(asked.draws, n_clusters)), axis=1)[:, :len(placebo.sizes)]
    dealt = simple(fewest, _assigned(placebo, everyone))
    near = simple(fewest, _assigned(placebo, near_in_size(placebo.sizes, placebo.available, MORE * asked.draws,
                                                          generator)))
    rejected: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
    width: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}

    def by_t(method: str, own: Simple, spread: np.ndarray, df: np.ndarray | float, factor: float = 1.0) -> None:
        error = np.where(own.varies, np.sqrt(factor) * spread, np.nan)
        half = stdtrit(df, (1 + asked.confidence) / 2) * error
        rejected[method].append(np.abs(own.estimate) > half)
        width[method].append(2 * half)

    own = simple(fewest, z)
    by_t("clustered", own, own.spread, n_clusters - 1.0, _factor(model, n_clusters))
    for method, value, other, unit in (
            ("randomisation", own.t, dealt.t, own.spread),
            ("randomisation_estimate", np.abs(own.estimate), np.abs(dealt.estimate), 1.0),
            ("randomisation_near", own.t, near.t, own.spread)):
        known = np.sort(np.where(np.isnan(other), np.inf, other))
        larger = len(known) - np.searchsorted(known, value * (1 - 1e-8))
        rejected[method].append(_rejects((1 + larger) / (1 + len(known)), asked) & ~np.isnan(value))
        width[method].append(2 * np.quantile(known, asked.confidence) * unit * np.ones(len(z)))
    n_units, mixed = len(model.unit_starts), on_clusters(fewest)
    for block in _blocks(z[:asked.draws], BLOCK // (n_clusters * (fewest.basis.shape[1] + 1))):
        own = simple(fewest, block)
        by_t("clustered_unit", own, unit_spread(model, block, own), n_units - 1.0, _factor(model, n_units))
        for method, (spread, df) in leverage_corrected(fewest, own).items():
            by_t(method, own, spread, df)
    for block in _blocks(z[:asked.draws], min(SHARED, BLOCK // n_clusters**2)):
        own = simple(fewest, block)
        signs = 2 * generator.integers(0, 2, size=(asked.wild_draws, n_clusters), dtype=np.int8) - 1
        drawn, critical = wild(mixed, block, own, signs.astype(np.float32), asked.confidence)
        rejected["wild_bootstrap"].append(_rejects(drawn, asked))
        width["wild_bootstrap"].append(2 * critical * own.spread)
    return _Found({name: np.concatenate(parts) for name, parts in rejected.items()},
                  {name: np.concatenate(parts) for name, parts in width.items()},
                  float(placebo.available[chosen].sum(axis=1).mean()),
                  float(np.abs(placebo.available[chosen] - placebo.sizes).mean()))


def _blocks(z: np.ndarray, step: int) -> list[np.ndarray]:
    return [z[first:first + max(step, 1)] for first in range(0, len(z), max(step, 1))]


def _rejects(p_value: np.ndarray, asked: Settings) -> np.ndarray:
    return p_value < 1 - asked.confidence + 1e-12


def _table(scheme: str, parts: list[_Found], placebos: list[_Placebo]) -> pd.DataFrame:
    rows = []
    for method in METHODS:
        each = np.concatenate([part.rejected[method] for part in parts])
        width = np.concatenate([part.width[method] for part in parts])
        n, rejected = len(each), int(each.sum())
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
