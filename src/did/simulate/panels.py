"""Correlated noise, and panels whose true effects are known: for tests and benchmarks of estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from did.errors import DidError

_FREQUENCIES = ("M", "Q", "Y")


def ar1(n_series: int, n_periods: int, persistence: float, rng: np.random.Generator) -> np.ndarray:
    """Return (series, periods) stationary normal series of mean 0, variance 1 and that first autocorrelation."""
    draws = rng.standard_normal((n_series, n_periods))
    innovation = np.sqrt(1 - persistence**2)
    for period in range(1, n_periods):
        draws[:, period] = persistence * draws[:, period - 1] + innovation * draws[:, period]
    return draws


def shared_noise(groups: Sequence[tuple[np.ndarray, float]], n_periods: int, persistence: float,
                 rng: np.random.Generator) -> np.ndarray:
    """Return (units, periods) noise of variance 1, part of it common to the units of a group.

    ``groups`` are pairs of (units,) labels and the share of the variance that is common to units of one
    label; what is left is each unit's own. Every part is AR(1) with the same ``persistence``.
    """
    own = 1 - sum(share for _, share in groups)
    total = np.sqrt(max(own, 0.0)) * ar1(len(groups[0][0]), n_periods, persistence, rng)
    for labels, share in groups:
        codes, found = pd.factorize(np.asarray(labels), sort=True)
        total += np.sqrt(share) * ar1(len(found), n_periods, persistence, rng)[codes]
    return total


@dataclass(frozen=True, kw_only=True)
class Nature:
    """How a made-up panel behaves beyond its effect; units are those of the outcome.

    dynamic        growth of the effect with each further period of treatment
    heterogeneity  standard deviation of the effect between units
    diverging      trend of treated units against the others, per period: parallel trends fail unless 0
    level, between mean of the outcome and standard deviation of a_i
    noise          standard deviation of u_it, AR(1) with ``persistence``; ``system_share`` of its variance
                   is common to the ``units_per_system`` neighbouring units that make a system
    intensity      smallest and largest dose of a treated unit, drawn whole; the effect is then per unit of
                   dose. None: every treated unit has dose 1
    frequency      M, Q or Y; ``first`` is the first period as ISO text of it
    """

    dynamic: float = 0.0
    heterogeneity: float = 0.0
    diverging: float = 0.0
    level: float = 100.0
    between: float = 20.0
    noise: float = 10.0
    persistence: float = 0.0
    units_per_system: int = 1
    system_share: float = 0.0
    intensity: tuple[int, int] | None = None
    frequency: str = "M"
    first: str = "2015-01"


def panel(n_units: int, n_periods: int, cohorts: Mapping[int, int], effect: float | Mapping[int, float] = 0.0, *,
          seed: int, **nature: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a panel in the columns of the panel table, and the truth that was planted in it.

        Y_it = level + a_i + common_t + tau_it + d_i t + u_it

    ``cohorts`` maps a first treated period, counted from 0, to the number of units treated then: whole systems where
    they fill, in the order given; all other units are never treated. ``effect`` is that from the first treated period
    on, one for all or by first treated period. ``nature`` are fields of `Nature`.

    The truth has one row per treated unit and period from its first treated one on: unit, period, cohort
    (ISO text), event_time and effect (tau_it, in units of the outcome). The same arguments give the same
    panel. Raises DidError if cohorts leave no never-treated unit or lie outside the window.

    >>> frame, truth = panel(6, 4, {2: 2}, 5.0, seed=1, frequency="Y", first="2001")
    >>> len(frame), truth["effect"].tolist()
    (24, [5.0, 5.0, 5.0, 5.0])
    """
    made = Nature(**nature)
    _check(n_units, n_periods, cohorts, made.frequency)
    rng = np.random.default_rng(seed)
    periods = pd.period_range(made.first, periods=n_periods, freq=made.frequency).astype(str).to_numpy()
    start = np.full(n_units, n_periods)
    start[: sum(cohorts.values())] = np.repeat(list(cohorts), list(cohorts.values()))
    treated = start < n_periods
    system = np.arange(n_units) // made.units_per_system
    dose = np.where(treated, 1.0, 0.0)
    if made.intensity is not None:
        dose[treated] = rng.integers(made.intensity[0], made.intensity[1] + 1, treated.sum())
    event_time = np.arange(n_periods)[None, :] - start[:, None]
    mean = np.array([effect.get(int(at), 0.0) if isinstance(effect, Mapping) else effect for at in start])
    own = mean + made.heterogeneity * rng.standard_normal(n_units)
    tau = np.where(event_time >= 0, dose[:, None] * (own[:, None] + made.dynamic * event_time), 0.0)
    outcome = made.level + made.between * rng.standard_normal((n_units, 1)) + 3 * rng.standard_normal((1, n_periods))
    outcome = outcome + tau + np.outer(treated * made.diverging, np.arange(n_periods))
    shares = [(system, made.system_share)] if made.units_per_system > 1 else [(system, 0.0)]
    outcome = outcome + made.noise * shared_noise(shares, n_periods, made.persistence, rng)
    units = np.array([f"U{unit:04d}" for unit in range(n_units)])
    cohort = np.where(treated, periods[np.minimum(start, n_periods - 1)], None)
    order = {at: wave for wave, at in enumerate(sorted(cohorts), start=1)}
    frame = pd.DataFrame({
        "indicator": "made_up", "specification": "default", "unit": np.repeat(units, n_periods),
        "period": np.tile(periods, n_units), "frequency": made.frequency, "unit_name": np.repeat(units, n_periods),
        "outcome": outcome.ravel(), "numerator": np.nan, "weight": 1.0,
        "system": np.repeat([f"S{number:03d}" for number in system], n_periods),
        "wave": pd.array(np.repeat([order.get(int(at)) for at in start], n_periods), dtype="Int64"),
        "cohort": pd.Series(np.repeat(cohort, n_periods), dtype="str"),
        "intensity": np.repeat(dose, n_periods), "exposure": np.repeat(treated.astype(float), n_periods),
        "denominator_status": "ok", "region": "made up", "is_synthetic": True,
    })
    rows, columns = np.nonzero(event_time >= 0)
    truth = pd.DataFrame({"unit": units[rows], "period": periods[columns], "cohort": cohort[rows],
                          "event_time": event_time[rows, columns], "effect": tau[rows, columns]})
    return frame, truth


def _check(n_units: int, n_periods: int, cohorts: Mapping[int, int], frequency: str) -> None:
    if frequency not in _FREQUENCIES:
        raise DidError(f"panel: frequency: expected one of {', '.join(_FREQUENCIES)}; found '{frequency}'")
    outside = [at for at in cohorts if not 0 <= at < n_periods]
    if outside:
        raise DidError(f"panel: cohorts: expected first treated periods from 0 to {n_periods - 1}; "
                       f"found {outside[0]}")
    if sum(cohorts.values()) >= n_units:
        raise DidError(f"panel: cohorts: expected fewer than {n_units} treated units, so that some are never "
                       f"treated; found {sum(cohorts.values())}")
