"""The interval to lead with: by the first method, in a declared order, whose measured coverage holds.

Which method holds its level depends on how many clusters are treated, how unequal they are, and what is regressed. So
each is tried on the panel at hand (`did.inference.calibration`) before it is believed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd

from did.estimators import design_of, estimate
from did.estimators.base import Panel, Result
from did.inference.bias_reduced import bias_reduced
from did.inference.calibration import Settings
from did.inference.clustered import summarise
from did.inference.randomisation import randomisation
from did.inference.wild import wild_bootstrap

COLUMNS = ["treatment", "estimator", "cluster", "estimate", "ci_low", "ci_high", "p_value", "method", "holds",
           "coverage", "simulation_error", "coverage_least", "coverage_most", "n_draws", "n_obs", "n_units",
           "n_treated", "n_clusters", "n_treated_clusters", "note"]


@dataclasses.dataclass(frozen=True)
class Measured:
    """A method with its measured coverage: over all placebos, its simulation error, the least and the most by scheme,
    and whether it holds its level in each scheme. NaN where nothing was measured."""

    method: str
    coverage: float
    simulation_error: float
    coverage_least: float
    coverage_most: float
    n_draws: int
    holds: bool


def methods_by_rule(calibration: pd.DataFrame, settings: Settings) -> list[Measured]:
    """Return the methods in the order in which one leads: those that hold, as declared; then the others, those with the
    highest coverage first; then those that were not measured.

    A method holds if its coverage is within the tolerance of ``settings`` in every scheme that was done.
    ``calibration``: rows of `calibrate`, of one estimate, all schemes; rows that were skipped are left aside. Raises
    nothing.

    >>> table = pd.DataFrame({"method": ["wild_bootstrap", "CR2"], "scheme": "never_treated", "status": "done",
    ...                       "coverage": [0.9, 0.955], "rejected": [100, 45], "n_draws": 1000})
    >>> [(each.method, each.holds) for each in methods_by_rule(table, Settings(order=("wild_bootstrap", "CR2")))]
    [('CR2', True), ('wild_bootstrap', False)]
    """
    done = calibration.loc[calibration["status"].eq("done")]
    found = []
    for method in settings.order:
        rows = done.loc[done["method"].eq(method)]
        if rows.empty:
            found.append(Measured(method, *[np.nan] * 4, 0, False))
            continue
        n_draws = int(rows["n_draws"].sum())
        share = 1 - rows["rejected"].sum() / n_draws
        least, most = float(rows["coverage"].min()), float(rows["coverage"].max())
        off = max(settings.confidence - least, most - settings.confidence)
        found.append(Measured(method, float(share), float(np.sqrt(share * (1 - share) / n_draws)), least, most, n_draws,
                              bool(off <= settings.tolerance + 1e-9)))
    return sorted(found, key=lambda each: (not each.holds, 0.0 if each.holds else -np.nan_to_num(each.coverage)))


def headline(panel: Panel, calibration: pd.DataFrame, *, estimator: str = "did", lags: str = "all",
             level: str = "system", settings: Settings | None = None) -> dict[str, object]:
    """Return the estimate with the interval to lead with, as a row of `COLUMNS`.

    The method is the first of `methods_by_rule` that gives this estimate a p-value; ``holds`` says whether it holds its
    level, with its measured coverage (share) and simulation error, and the least and most by scheme. ``estimate``,
    ``ci_low`` and ``ci_high`` are in units of the outcome per unit of dose; an end is NaN where the interval has none.
    ``note`` says which methods were passed over and why, and what the method itself notes. Without any p-value the
    method is empty and the interval NaN.

    ``panel`` as for `did.estimators.estimate`: missing outcomes are left out by the estimator; ``calibration``: rows of
    `calibrate` for this panel, estimator, lags and level. Raises DidError as the estimator and the methods do.

    >>> from did.inference.calibration import calibrate
    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(120, 24, {12: 30}, 5.0, seed=1, units_per_system=5)
    >>> made, settings = Panel.from_frame(frame), Settings(draws=99, wild_draws=99, own_draws=199)
    >>> row = headline(made, calibrate(made, settings=settings), settings=settings)
    >>> row["method"], row["holds"], row["ci_low"] < 5.0 < row["ci_high"]
    ('wild_bootstrap', True, True)
    """
    settings = settings or Settings()
    fit = _Fit(panel, estimator, lags, level, settings)
    clustered = fit.clustered(level)
    row = dict.fromkeys(COLUMNS) | {
        "treatment": panel.treatment, "estimator": estimator, "cluster": level, "method": "", "holds": False,
        "ci_low": np.nan, "ci_high": np.nan, "p_value": np.nan, "coverage": np.nan, "simulation_error": np.nan,
        "coverage_least": np.nan, "coverage_most": np.nan, "n_draws": 0,
    } | {name: clustered[name] for name in ("estimate", "n_obs", "n_units", "n_treated", "n_clusters",
                                            "n_treated_clusters")}
    rules, notes = methods_by_rule(calibration, settings), []
    for each in rules:
        low, high, p, note = METHODS[each.method](fit)
        if not np.isfinite(p):
            notes.append(f"{each.method} gives no test ({note or 'no reason is given'})")
            continue
        if np.isnan(each.coverage):
            notes.append(_why_not_measured(calibration))
        elif not each.holds:
            notes.append(f"no method holds its level within {settings.tolerance:.0%}: this one errs least often")
        notes.append(note)
        for name, end, word in (("ci_low", low, "lower"), ("ci_high", high, "upper")):
            row[name] = end if np.isfinite(end) else np.nan
            if np.isinf(end):
                notes.append(f"the interval has no {word} end")
        return row | {"p_value": p} | dataclasses.asdict(each) | {"note": "; ".join(part for part in notes if part)}
    return row | {"note": "; ".join(notes)}


def _why_not_measured(calibration: pd.DataFrame) -> str:
    reasons = "; ".join(dict.fromkeys(calibration.loc[calibration["status"].eq("skipped"), "reason"]))
    return f"coverage could not be measured ({reasons or 'the method was not tried'})"


@dataclasses.dataclass(frozen=True)
class _Fit:
    """An estimate to give an interval to."""

    panel: Panel
    estimator: str
    lags: str
    level: str
    settings: Settings

    @property
    def options(self) -> dict[str, str]:
        return {"lags": self.lags} if self.estimator == "ldv" else {}

    @property
    def result(self) -> Result:
        return estimate(self.estimator, self.panel, **self.options)

    def clustered(self, level: str) -> pd.Series:
        rows = summarise(self.result, self.panel, self.settings.confidence)
        return rows.loc[rows["cluster"].eq(level)].iloc[0]


# Lower and upper end, p-value, and what must be noted.
_Interval = tuple[float, float, float, str]


def _row(found: pd.Series) -> _Interval:
    return float(found["ci_low"]), float(found["ci_high"]), float(found["p_value"]), str(found["note"])


def _wild(fit: _Fit) -> _Interval:
    result, settings = fit.result, fit.settings
    return _row(wild_bootstrap(
        design_of(fit.estimator, fit.panel, **fit.options), fit.level, draws=settings.own_draws, seed=settings.seed,
        level_of_interval=settings.confidence, n_obs=result.n_obs, n_parameters=result.n_parameters).iloc[0])


def _corrected(kind: str) -> Callable[[_Fit], _Interval]:
    return lambda fit: _row(bias_reduced(design_of(fit.estimator, fit.panel, **fit.options), fit.level, kind,
                                         coverage=fit.settings.confidence).iloc[0])


def _randomised(statistic: str) -> Callable[[_Fit], _Interval]:
    def interval(fit: _Fit) -> _Interval:
        found = randomisation(fit.panel, estimator=fit.estimator, statistic=statistic, level=fit.level,
                              draws=fit.settings.own_draws, seed=fit.settings.seed, lags=fit.lags,
                              coverage=fit.settings.confidence)
        note = found.reason if found.status == "skipped" else found.note
        return found.ci_low, found.ci_high, found.p_value, note
    return interval


METHODS: dict[str, Callable[[_Fit], _Interval]] = {
    "clustered_unit": lambda fit: _row(fit.clustered("unit")),
    "clustered": lambda fit: _row(fit.clustered(fit.level)),
    "CR2": _corrected("CR2"), "CR3": _corrected("CR3"), "wild_bootstrap": _wild,
    "randomisation": _randomised("studentised"), "randomisation_estimate": _randomised("estimate"),
    "randomisation_near": _randomised("studentised_near"),
}
