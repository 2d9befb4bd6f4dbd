"""Placebo assignments tried: estimates, errors and verdicts of each method, by the least work an estimator allows.

`RegressionTrial` (one regression: `did.inference.placebo`) and `GroupTimeTrial` (averages of group-time effects:
`did.inference.group_time_sums`) fit nothing again; `RefitTrial` fits any estimator once for each assignment, and once
more without each treated cluster.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from functools import lru_cache
from typing import Protocol

import numpy as np

from did.errors import DidError
from did.estimators import overall
from did.estimators.base import Panel, Result
from did.inference import group_time_sums, placebo
from did.inference.clustered import cluster_sums, labels_of, rounding_of, small_sample_factor, varies
from did.inference.refit import jackknife
from did.inference.schemes import Scheme
from did.inference.students_t import quantiles

# Assignments that share their signs of the wild bootstrap, at most: signs have a simulation error in common, too.
SHARED = 100
# Numbers that one block of draws may hold: few enough to stay near the processor; more for corrections of leverage,
# which take many small steps whatever the number of draws.
BLOCK, CORRECTED = 250_000, 1_000_000
# Regressions kept for another treatment of the same panel, those of two estimators, each in both schemes; of a panel of
# more outcomes than these none, as what is kept stays in memory.
KEPT, LARGE = 12, 250_000

# Methods that need no more than estimates and errors clustered at the level of assignment.
DEALT = ("randomisation", "randomisation_estimate")
REASSIGNED = (*DEALT, "randomisation_near")
QUICK = ("clustered", *REASSIGNED)

# Of each assignment: whether a method rejects, and the width of its interval.
Verdict = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Quick:
    """Of each assignment the estimate, its error clustered at the level of assignment (NaN where there is none) and the
    degrees of freedom of t (infinite: normal)."""

    estimate: np.ndarray
    error: np.ndarray
    df: float

    @property
    def t(self) -> np.ndarray:
        """|t|, NaN where there is no error."""
        return np.abs(self.estimate) / self.error


@dataclasses.dataclass(frozen=True)
class Asked:
    """Methods wanted, the share that intervals cover, and draws of the wild bootstrap."""

    methods: Collection[str]
    confidence: float
    wild_draws: int


class Trial(Protocol):
    """What can be given to clusters and what comes of it. ``sizes`` (labels,) units of the treated clusters,
    ``available`` (clusters,) of those that may take their places; ``cheap`` whether assignments cost next to nothing.
    Assignments are (draws, labels) numbers of the clusters that take the places."""

    @property
    def sizes(self) -> np.ndarray: ...

    @property
    def available(self) -> np.ndarray: ...

    @property
    def cheap(self) -> bool: ...

    @property
    def methods(self) -> tuple[str, ...]: ...

    def quick(self, chosen: np.ndarray) -> Quick: ...

    def others(self, chosen: np.ndarray, asked: Asked, generator: np.random.Generator) -> dict[str, Verdict]: ...


def simulation_error(method: str, coverage: np.ndarray | float, draws: np.ndarray | float) -> np.ndarray | float:
    """Return the standard error of a method's measured ``coverage``, a share of so many ``draws``: binomial, and by
    reassignment that of the critical value, too, which is found among as many others and common to all that are tried.

    >>> [round(float(simulation_error(method, 0.95, 999)), 4) for method in ("CR2", "randomisation")]
    [0.0069, 0.0098]
    """
    return np.sqrt((1 + (method in REASSIGNED)) * coverage * (1 - coverage) / draws)


def by_t(estimate: np.ndarray, error: np.ndarray, df: np.ndarray | float, confidence: float) -> Verdict:
    """Return whether zero lies outside the interval by Student's t, and its width; neither where there is no error."""
    half = quantiles((1 + confidence) / 2, np.asarray(df, dtype=float)) * error
    return np.abs(estimate) > half, 2 * half


@dataclasses.dataclass(frozen=True)
class RegressionTrial:
    """Assignments in a regression; doses (labels, onsets) of each label of a treated cluster."""

    model: placebo.Regression
    fewest: placebo.Regression
    doses: np.ndarray
    sizes: np.ndarray
    available: np.ndarray
    cheap: bool = True
    methods: tuple[str, ...] = ("clustered_unit", "clustered", "CR2", "CR3", "jackknife", "wild_bootstrap",
                                "randomisation", "randomisation_estimate", "randomisation_near")

    @classmethod
    def of(cls, scheme: Scheme, estimator: str, options: dict) -> RegressionTrial:
        """The trial of ``did`` or ``ldv``. Raises DidError if the regression is not possible or too large."""
        onsets, panel, lags = np.unique(scheme.onset), scheme.panel, options.get("lags", "all")
        same = (each.tobytes() for each in (panel.outcome, panel.observed_weight, scheme.codes, onsets))
        found = _regression if panel.outcome.size <= LARGE else _regression.__wrapped__
        model, fewest, available = found(estimator, lags, _Cells((panel.frequency, *same), scheme))
        doses = np.where(scheme.onset[:, None] == onsets, scheme.dose[:, None], 0.0)
        return cls(model, fewest, doses, scheme.sizes, available)

    def assigned(self, chosen: np.ndarray) -> np.ndarray:
        """Return (draws, clusters x onsets) doses."""
        z = np.zeros((len(chosen), len(self.available), self.doses.shape[1]))
        z[np.arange(len(chosen))[:, None], chosen] = self.doses
        return z.reshape(len(chosen), -1)

    def _factor(self, n_clusters: int) -> float:
        return small_sample_factor(n_clusters, self.model.n_obs, self.model.n_parameters)

    def quick(self, chosen: np.ndarray) -> Quick:
        n_clusters, parts = len(self.available), []
        for block in _blocks(len(chosen), BLOCK // (4 * n_clusters)):
            own = placebo.simple(self.fewest, self.assigned(chosen[block]))
            parts.append((own.estimate, np.where(own.varies, np.sqrt(self._factor(n_clusters)) * own.spread, np.nan)))
        return Quick(*_joined(parts), n_clusters - 1.0)

    def others(self, chosen: np.ndarray, asked: Asked, generator: np.random.Generator) -> dict[str, Verdict]:
        if not set(asked.methods) - set(QUICK):
            return {}
        z, n_clusters, parts = self.assigned(chosen), len(self.available), []
        every = placebo.simple(self.fewest, z)
        corrected = {"CR2", "CR3", "jackknife"} & set(asked.methods)
        if corrected:
            for block in _blocks(len(z), CORRECTED // (n_clusters * (self.fewest.basis.shape[1] + placebo.POINTS))):
                own = every.of(block)
                parts.append({method: by_t(own.estimate, np.where(own.varies, error, np.nan), df, asked.confidence)
                              for method, (error, df) in placebo.leverage_corrected(
                                  self.fewest, z[block], own, corrected).items()})
        if "clustered_unit" in asked.methods:
            n_units = len(self.model.unit_starts)
            error = np.sqrt(self._factor(n_units)) * placebo.unit_spread(self.model, z, every)
            parts.append({"clustered_unit": by_t(every.estimate, np.where(every.varies, error, np.nan), n_units - 1.0,
                                                 asked.confidence)})
        if "wild_bootstrap" in asked.methods:
            for block in _blocks(len(z), min(SHARED, 4 * BLOCK // n_clusters**2)):
                own = every.of(block)
                signs = 2 * generator.integers(0, 2, size=(asked.wild_draws, n_clusters), dtype=np.int8) - 1
                drawn, critical = placebo.wild(self.fewest, z[block], own, signs.astype(np.float32), asked.confidence)
                parts.append({"wild_bootstrap": (rejects(drawn, asked.confidence), 2 * critical * own.spread)})
        return {name: _joined([part[name] for part in parts if name in part])
                for name in dict.fromkeys(name for part in parts for name in part)}


@dataclasses.dataclass(frozen=True)
class _Cells:
    """A scheme with what is all the same in schemes that differ in doses alone."""

    same: tuple[str | bytes, ...]
    scheme: Scheme = dataclasses.field(compare=False)


@lru_cache(KEPT)
def _regression(estimator: str, lags: str, cells: _Cells) -> tuple[placebo.Regression, placebo.Regression, np.ndarray]:
    """The regression, the same in few rows, and the clusters' sizes."""
    scheme = cells.scheme
    model, available = placebo.regression(scheme.panel, scheme.codes, estimator, lags, np.unique(scheme.onset))
    return model, placebo.compact(model), available


@dataclasses.dataclass(frozen=True)
class GroupTimeTrial:
    """Assignments of onsets whose average effect is made of sums over clusters; number (labels,) of each cohort."""

    sums: group_time_sums.Sums
    number: np.ndarray
    sizes: np.ndarray
    available: np.ndarray
    cheap: bool = True
    methods: tuple[str, ...] = ("clustered_unit", "clustered", "jackknife", "randomisation", "randomisation_estimate",
                                "randomisation_near")

    @classmethod
    def of(cls, scheme: Scheme, options: dict) -> GroupTimeTrial:
        """The trial of an estimator that `did.inference.group_time_sums.is_plain`. Raises DidError as its `sums`."""
        onsets, number = np.unique(scheme.onset, return_inverse=True)
        made = group_time_sums.sums(scheme.panel, scheme.codes, onsets, options)
        return cls(made, number.ravel(), scheme.sizes, np.bincount(scheme.codes))

    def labels(self, chosen: np.ndarray) -> np.ndarray:
        """Return (draws, clusters) numbers of cohorts, small ones: they are compared with each cohort."""
        labels = np.full((len(chosen), len(self.available)), group_time_sums.NEVER, dtype=np.int16)
        labels[np.arange(len(chosen))[:, None], chosen] = self.number
        return labels

    def _averages(self, chosen: np.ndarray, by_unit: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Estimates and errors by cluster and by unit, NaN where there are none."""
        parts = []
        for block in _blocks(len(chosen), BLOCK // (4 * len(self.available))):
            found = group_time_sums.averages(self.sums, self.labels(chosen[block]), by_unit=by_unit)
            errors = (np.where(found.varies, error, np.nan) for error in (found.spread, found.unit_spread))
            parts.append((found.estimate, *errors))
        estimate, error, unit_error = (np.concatenate(each) for each in zip(*parts, strict=True))
        return estimate, error, unit_error

    def quick(self, chosen: np.ndarray) -> Quick:
        estimate, error, _ = self._averages(chosen)
        return Quick(estimate, error, np.inf)

    def others(self, chosen: np.ndarray, asked: Asked, generator: np.random.Generator) -> dict[str, Verdict]:
        by_unit, verdicts = "clustered_unit" in asked.methods, {}
        if not by_unit and "jackknife" not in asked.methods:
            return {}
        estimate, error, unit_error = self._averages(chosen, by_unit)
        if by_unit:
            verdicts["clustered_unit"] = by_t(estimate, unit_error, np.inf, asked.confidence)
        if "jackknife" in asked.methods:
            left = group_time_sums.jackknife(self.sums, self.labels(chosen), estimate)
            verdicts["jackknife"] = by_t(estimate, np.where(np.isfinite(error), left, np.nan),
                                         float((self.sums.weight > 0).sum() - 1), asked.confidence)
        return verdicts


@dataclasses.dataclass(frozen=True)
class RefitTrial:
    """Assignments in a panel to which any estimator of one effect is fitted."""

    scheme: Scheme
    estimator: str
    options: dict
    available: np.ndarray
    cheap: bool = False
    methods: tuple[str, ...] = ("clustered_unit", "clustered", "jackknife", "randomisation", "randomisation_estimate")

    @classmethod
    def of(cls, scheme: Scheme, estimator: str, options: dict) -> RefitTrial:
        """The trial of any estimator."""
        labels = scheme.codes.astype(str)
        panel = dataclasses.replace(scheme.panel, clusters={"unit": scheme.panel.units.to_numpy(), "assigned": labels})
        return cls(dataclasses.replace(scheme, panel=panel), estimator, options, np.bincount(scheme.codes))

    @property
    def sizes(self) -> np.ndarray:
        """Units of the treated clusters."""
        return self.scheme.sizes

    def _panel(self, places: np.ndarray) -> Panel:
        panel = self.scheme.panel
        onset, dose = np.full(len(self.available), panel.n_periods), np.zeros(len(self.available))
        onset[places], dose[places] = self.scheme.onset, self.scheme.dose
        return dataclasses.replace(panel, treated_from=onset[self.scheme.codes], dose=dose[self.scheme.codes])

    def _fit(self, panel: Panel) -> list[Result]:
        return [overall(self.estimator, panel, **self.options)]

    def _errors(self, chosen: np.ndarray, level: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        estimate, error, df = (np.full(len(chosen), np.nan) for _ in range(3))
        for draw, places in enumerate(chosen):
            panel = self._panel(places)
            try:
                result = self._fit(panel)[0]
            except DidError:
                continue
            estimate[draw], (error[draw], df[draw]) = result.estimate[0], _error(result, panel, level)
        return estimate, error, df

    def quick(self, chosen: np.ndarray) -> Quick:
        estimate, error, df = self._errors(chosen, "assigned")
        known = df[np.isfinite(error)]
        return Quick(estimate, error, float(np.median(known)) if len(known) else np.inf)

    def others(self, chosen: np.ndarray, asked: Asked, generator: np.random.Generator) -> dict[str, Verdict]:
        verdicts = {}
        if "clustered_unit" in asked.methods:
            verdicts["clustered_unit"] = by_t(*self._errors(chosen, "unit"), asked.confidence)
        if "jackknife" in asked.methods:
            found = np.full((len(chosen), 3), np.nan)
            for draw, places in enumerate(chosen):
                try:
                    table = jackknife(self._fit, self._panel(places), "assigned", most_fits=0)
                except DidError:
                    continue
                found[draw] = table.loc[0, ["estimate", "std_error", "df"]].to_numpy(dtype=float)
            verdicts["jackknife"] = by_t(found[:, 0], found[:, 1], found[:, 2], asked.confidence)
        return verdicts


def _error(result: Result, panel: Panel, level: str) -> tuple[float, float]:
    """The error of a result of one effect clustered at ``level``, NaN if there is none, and degrees of freedom."""
    influence = result.influence.to_numpy()
    sums = cluster_sums(influence, labels_of(result, panel, level))
    rounding = rounding_of(result, panel)
    if level == "unit" and result.unit_errors is not None:
        error, df = result.unit_errors[0]
        return (error if error > rounding[0] else np.nan), df
    normal = result.distribution == "normal"
    factor = 1.0 if normal else small_sample_factor(len(sums), result.n_obs, result.n_parameters)
    error = np.sqrt(factor) * np.linalg.norm(sums[:, 0]) if varies(influence, sums, rounding)[0] else np.nan
    return error, np.inf if normal else len(sums) - 1.0


def rejects(p_value: np.ndarray, confidence: float) -> np.ndarray:
    """Return whether p is below 1 - ``confidence``, up to rounding."""
    return p_value < 1 - confidence + 1e-12


def _blocks(n_rows: int, step: int) -> list[slice]:
    return [slice(first, first + max(step, 1)) for first in range(0, n_rows, max(step, 1))]


def _joined(parts: list[Verdict]) -> Verdict:
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
