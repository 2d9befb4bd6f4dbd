"""How often each method of inference rejects where nothing was done, measured on the panel at hand.

A placebo assignment hands the onsets and doses of the treated clusters to others that were not treated
(`did.inference.schemes`); an interval that leaves out zero there is wrong. `did.inference.trials` has what is made of
each assignment. To measure a method's size in the design at hand before it is believed: Ferman, "Assessing inference
methods" (arXiv 1912.08772).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators import entry
from did.estimators import names as estimators_where
from did.estimators.base import Panel
from did.estimators.ldv import lag_matrix
from did.estimators.registry import BINARY, LAGS
from did.inference.assignments import near_in_size
from did.inference.group_time_sums import is_plain
from did.inference.names import METHODS, SCHEMES
from did.inference.schemes import Scheme, schemes
from did.inference.trials import (
    DEALT,
    QUICK,
    Asked,
    GroupTimeTrial,
    Quick,
    RefitTrial,
    RegressionTrial,
    Trial,
    Verdict,
    by_t,
    rejects,
    simulation_error,
)

COLUMNS = ["scheme", "method", "n_draws", "rejected", "coverage", "simulation_error", "mean_width", "n_clusters",
           "n_treated_clusters", "n_treated", "size_mismatch", "n_onsets", "status", "reason"]
REGRESSIONS = ("did", "ldv")
# Methods that need no more than the estimate and errors clustered at the level of assignment are tried in this many
# times as many assignments, and those by reassignment are held against as many others, where they cost little.
MORE = 5
# A method within this many simulation errors of where it begins to hold (`did.inference.headline`) is tried in as many
# further assignments, this often at most, until it is not.
BORDER, AGAIN = 1.0, 3
# Methods that give an estimate of two or more treated clusters a p-value whatever it is: not those by t, whose degrees
# of freedom may be too few, nor reassignment, which needs clusters with one onset each.
CERTAIN = ("wild_bootstrap", "jackknife")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How methods of inference are tried, and how one is chosen to lead with.

    draws       placebo assignments for each scheme, 99 or more; cheap methods are tried in five times as many, and
                methods at the border in up to three times as many more
    refits      assignments of an estimator that has to be fitted again for each, 0 = it is not tried
    wild_draws  draws of the wild bootstrap within each of them
    own_draws   draws of the wild bootstrap and of randomisation for the estimate itself
    order       methods in the order they are considered, of `did.inference.names.METHODS`
    tolerance   how far measured coverage may be from ``confidence``, both as shares
    seed        of every random draw
    """

    draws: int = 999
    refits: int = 199
    wild_draws: int = 399
    own_draws: int = 9999
    order: tuple[str, ...] = ("wild_bootstrap", "CR2", "randomisation", "CR3", "randomisation_near", "jackknife")
    tolerance: float = 0.02
    confidence: float = 0.95
    seed: int = 20170601


def is_quick(estimator: str, options: Mapping[str, object], panel: Panel) -> bool:
    """Return whether placebo assignments of an estimator need no fit of their own: ``did`` and ``ldv`` without
    covariates, and averages of group-time effects where these are differences of plain means.

    Raises DidError for an estimator that is not registered.

    >>> from did.simulate.panels import panel
    >>> made = Panel.from_frame(panel(40, 8, {5: 12}, 1.0, seed=2)[0])
    >>> [is_quick(name, {}, made) for name in ("did", "callaway_santanna", "imputation")]
    [True, True, False]
    """
    if estimator in REGRESSIONS:
        return not set(options) - {"lags"}
    return is_plain(estimator, dict(options), panel)


def calibrate(panel: Panel, *, estimator: str = "did", options: Mapping[str, object] | None = None,
              level: str = "system", only: Sequence[str] = SCHEMES, settings: Settings | None = None) -> pd.DataFrame:
    """Return how often intervals of each method leave out a true zero, one row per scheme and method.

    ``panel``: outcomes in any unit of measure, a missing one left out as by the estimator; ``level``, a level of its
    clusters, is that of assignment: the units of a cluster share onset and dose. ``estimator`` is any with one effect,
    with the ``options`` of its fit. Schemes ``only``: ``never_treated`` gives the onsets and doses of the treated
    clusters to clusters never treated in the window, over all periods; ``before_onset`` gives the doses to any
    clusters, with placebo onsets that leave two years before and one after, all before the first onset. Each treated
    cluster, the largest first, is replaced by one drawn among the five unused clusters nearest to it in units;
    size_mismatch is the mean distance that is left.

    Columns: n_draws assignments, of which ``rejected`` at 1 - confidence; coverage, the share of intervals that hold
    zero, with its simulation_error (binomial; by reassignment also that of the others it is held against); mean_width
    of the intervals in units of the outcome per unit of dose (for the wild bootstrap and randomisation twice critical
    value times standard error); n_clusters, and n_treated_clusters and n_treated units under placebo (mean); n_onsets.
    ``randomisation`` is against all ways of handing the onsets and doses to the clusters at hand, whatever their size;
    ``randomisation_near`` against assignments drawn like those that it is tried in, so that here it can err by
    simulation alone; both against as many as they are tried in. These and ``clustered`` have five times as many
    assignments as the draws asked for; a method of the order that lies within a simulation error of the limit is tried
    in as many more, up to three times, until it does not, so that chance seldom decides which one leads; not so a
    method that comes after the wild bootstrap where this holds, since it cannot lead. Assignments without a statistic
    count as not rejected. An estimator that `is_quick` denies is fitted again for each assignment, ``refits`` of them,
    without more at the border.

    A scheme that the panel is too small for, or too large, and an estimator with ``refits`` 0 have rows with status
    ``skipped`` and the reason. Raises DidError for an unknown estimator, level, scheme or option, one that has no one
    effect, doses for one that takes none, draws below 99, and a confidence outside 0 to 1.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(120, 24, {12: 30}, 0.0, seed=1, units_per_system=5)
    >>> table = calibrate(Panel.from_frame(frame), only=["never_treated"], settings=Settings(draws=99, wild_draws=99))
    >>> table.loc[table["method"] == "wild_bootstrap", "n_treated_clusters"].item()
    6
    """
    settings, options = settings or Settings(), dict(options or {})
    _check(panel, estimator, options, level, only, settings)
    generator = np.random.default_rng(settings.seed)
    panel, unit = panel.scaled()
    tried: dict[str, _Tried | str] = {}
    for scheme in only:
        try:
            tried[scheme] = _Tried.of([_trial(each, estimator, options, settings) for each in schemes(
                panel, level, scheme, one_onset=not entry(estimator).own_dates)], settings)
        except DidError as error:
            tried[scheme] = str(error)
    done = [one for one in tried.values() if isinstance(one, _Tried)]
    for one in done:
        one.measure(METHODS, 1, generator)
    if done and done[0].trials[0].cheap:
        _at_the_border(done, settings, generator)
    rows = [row for scheme, one in tried.items() for row in (
        one.rows(scheme, unit) if isinstance(one, _Tried) else _skipped(scheme, one, estimator))]
    return pd.DataFrame(rows, columns=COLUMNS)


def _check(panel: Panel, estimator: str, options: dict, level: str, only: Sequence[str], settings: Settings) -> None:
    one_of("calibration: estimator", estimator, estimators_where(overall=True))
    one_of("calibration: level", level, panel.clusters)
    for scheme in only:
        one_of("calibration: scheme", scheme, SCHEMES)
    if settings.draws < 99:
        raise DidError(f"calibration: draws: expected 99 or more; found {settings.draws}; ask for more")
    if not 0 < settings.confidence < 1:
        raise DidError("calibration: confidence: expected a share between 0 and 1; found "
                       f"{settings.confidence}; use 0.95")
    known = entry(estimator)
    for option in options:
        one_of(f"calibration: option of {estimator}", option, [*known.parameters, "covariates"])
    if BINARY in known.needs and panel.treatment != "binary":
        raise DidError(f"calibration: {estimator}: expected binary treatment, as it takes no dose; found "
                       f"{panel.treatment}; take did or ldv for doses")
    treated = panel.treated_from[~panel.never_treated & ~panel.always_treated]
    if LAGS in known.needs and len(treated):
        # A wrong word is a mistake, and not a reason to skip.
        lag_matrix(panel, int(treated.min()), options.get("lags", "all"))


def _trial(scheme: Scheme, estimator: str, options: dict, settings: Settings) -> Trial:
    """What assignments are tried in. Raises DidError where there is none, with the reason."""
    if is_quick(estimator, options, scheme.panel):
        if estimator in REGRESSIONS:
            return RegressionTrial.of(scheme, estimator, options)
        return GroupTimeTrial.of(scheme, options)
    if not settings.refits:
        raise DidError(f"{estimator} has to be fitted again for each placebo, and refits is 0; set it to 199 or more")
    return RefitTrial.of(scheme, estimator, options)


@dataclasses.dataclass
class _Tried:
    """The trials of a scheme, with what was found so far: by method, whether each assignment rejects and the width."""

    trials: list[Trial]
    settings: Settings
    verdicts: dict[str, list[Verdict]]
    n_treated: list[float]
    mismatch: list[float]

    @classmethod
    def of(cls, trials: list[Trial], settings: Settings) -> _Tried:
        return cls(trials, settings, {method: [] for method in trials[0].methods}, [], [])

    def measure(self, methods: Collection[str], times: int, generator: np.random.Generator) -> None:
        """Try ``methods`` in ``times`` as many further assignments as are asked for."""
        asked = self.settings.draws if self.trials[0].cheap else self.settings.refits
        for trial, share in zip(self.trials, np.array_split(np.arange(times * asked), len(self.trials)), strict=True):
            if not len(share):
                continue
            for method, verdict in self._of(trial, len(share), methods, generator).items():
                if method in self.verdicts:
                    self.verdicts[method].append(verdict)

    def _of(self, trial: Trial, draws: int, methods: Collection[str],
            generator: np.random.Generator) -> dict[str, Verdict]:
        confidence, quick = self.settings.confidence, set(QUICK) & set(methods)
        n = draws * (MORE if trial.cheap and quick else 1)
        chosen, found = near_in_size(trial.sizes, trial.available, n, generator), {}
        if quick:
            own = trial.quick(chosen)
            found["clustered"] = by_t(own.estimate, own.error, own.df, confidence)
            if quick & set(DEALT):
                # More than `draws` from a stream apart, so that draws for other methods do not depend on them.
                order = [each.random((many, len(trial.available))) for each, many in (
                    (generator, draws), (generator.spawn(1)[0], n - draws))]
                anyone = np.argsort(np.concatenate(order), axis=1)[:, :len(trial.sizes)]
                found |= _reassigned(own, trial.quick(anyone), confidence)
            if "randomisation_near" in quick & set(trial.methods):
                near = trial.quick(near_in_size(trial.sizes, trial.available, n, generator))
                found["randomisation_near"] = _against(own.t, near.t, own.error, confidence)
            found = {method: verdict for method, verdict in found.items() if method in methods}
            taken = trial.available[chosen]
            self.n_treated.append(float(taken.sum() / n))
            self.mismatch.append(float(np.abs(taken - trial.sizes).mean()))
        return found | trial.others(chosen[:draws], Asked(methods, confidence, self.settings.wild_draws), generator)

    def coverage(self, method: str) -> tuple[float, float]:
        """Measured coverage of a method and its simulation error; NaN where it was not tried."""
        if not self.verdicts.get(method):
            return np.nan, np.nan
        rejected = np.concatenate([each[0] for each in self.verdicts[method]])
        covered = 1 - float(rejected.mean())
        return covered, float(simulation_error(method, covered, len(rejected)))

    def beyond(self, method: str) -> tuple[float, float]:
        """How far coverage, a simulation error further off than measured, is beyond the tolerance: the method holds
        where this is not above zero. And the simulation error; NaN where it was not tried."""
        coverage, error = self.coverage(method)
        return abs(coverage - self.settings.confidence) + error - self.settings.tolerance, error

    def rows(self, scheme: str, unit: float) -> list[dict[str, object]]:
        """The rows of the calibration table, widths in units of the outcome."""
        rows = []
        for method, parts in self.verdicts.items():
            rejected, width = (np.concatenate([part[which] for part in parts]) for which in (0, 1))
            coverage, error = self.coverage(method)
            rows.append({
                "scheme": scheme, "method": method, "n_draws": len(rejected), "rejected": int(rejected.sum()),
                "coverage": coverage, "simulation_error": error,
                "mean_width": float(np.nanmean(width)) * unit if np.isfinite(width).any() else np.nan,
                "n_clusters": len(self.trials[0].available), "n_treated_clusters": len(self.trials[0].sizes),
                "n_treated": float(np.mean(self.n_treated)), "size_mismatch": float(np.mean(self.mismatch)),
                "n_onsets": len(self.trials), "status": "done", "reason": ""})
        return rows


def _reassigned(own: Quick, dealt: Quick, confidence: float) -> dict[str, Verdict]:
    return {"randomisation": _against(own.t, dealt.t, own.error, confidence),
            "randomisation_estimate": _against(np.abs(own.estimate), np.abs(dealt.estimate), 1.0, confidence)}


def _against(value: np.ndarray, others: np.ndarray, unit: np.ndarray | float, confidence: float) -> Verdict:
    """The verdict on each statistic against those of other assignments, of which one without counts as larger."""
    n = len(others)
    rank = max(int(np.ceil(n * confidence - 1)), 0)
    # How many may be as large as a statistic that is rejected; -1: none is, whatever it is.
    most = int(np.count_nonzero(rejects((1 + np.arange(n + 1)) / (1 + n), confidence))) - 1
    limit = n - 1 - max(most, 0)
    known = np.partition(np.where(np.isnan(others), np.inf, others), [rank, limit])
    with np.errstate(invalid="ignore"):
        rejected = (value * (1 - 1e-8) > known[limit]) & (most >= 0)
    return rejected, 2 * known[rank] * unit * np.ones(len(value))


def _at_the_border(tried: list[_Tried], settings: Settings, generator: np.random.Generator) -> None:
    """Try methods whose coverage is close to the limit in more assignments, in every scheme that can still be told.

    In the order in which one would lead, up to the first that will: nothing rests on those after it. To look after
    each time in place of the last one decides alike but for 2 in 100, and moves coverage no further on average: by
    0.002 at most (binomial, coverage from 0.9 to 0.99, 999 draws).
    """
    for method in settings.order:
        for _ in range(AGAIN):
            beyond = [one.beyond(method) for one in tried]
            if any(np.isnan(limit) or limit > BORDER * error for limit, error in beyond):
                break   # not tried, or it fails whatever is added
            for one, (limit, error) in zip(tried, beyond, strict=True):
                if limit > -BORDER * error:
                    one.measure([method], 1, generator)
        if method in CERTAIN and all(one.beyond(method)[0] <= 0 for one in tried):
            return


def _skipped(scheme: str, reason: str, estimator: str) -> list[dict[str, object]]:
    methods = RegressionTrial.methods if estimator in REGRESSIONS else RefitTrial.methods
    empty = {"scheme": scheme, "n_draws": 0, "rejected": 0, "status": "skipped", "reason": reason}
    return [dict.fromkeys(COLUMNS, np.nan) | empty | {"method": method} for method in methods]
