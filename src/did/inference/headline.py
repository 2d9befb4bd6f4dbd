"""The interval to lead with: by the first method, in a declared order, whose measured coverage holds.

Which method holds its level depends on how many clusters are treated, how unequal they are, and what is regressed. So
each is tried on the panel at hand (`did.inference.calibration`) before it is believed.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.estimators.base import Panel
from did.inference.calibration import Settings
from did.inference.methods import Question, infer

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
            found.append(Measured(method, np.nan, np.nan, np.nan, np.nan, 0, False))
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
    >>> row["holds"], bool(row["ci_low"] < 5.0 < row["ci_high"])
    (True, True)
    """
    settings = settings or Settings()
    question = Question(panel, estimator, level, options={"lags": lags} if estimator == "ldv" else {},
                        confidence=settings.confidence, draws=settings.own_draws, seed=settings.seed)
    clustered = infer("clustered", question).iloc[0]
    row = dict.fromkeys(COLUMNS) | {
        "treatment": panel.treatment, "estimator": estimator, "cluster": level, "method": "", "holds": False,
        "ci_low": np.nan, "ci_high": np.nan, "p_value": np.nan, "coverage": np.nan, "simulation_error": np.nan,
        "coverage_least": np.nan, "coverage_most": np.nan, "n_draws": 0,
    } | {name: clustered[name] for name in ("estimate", "n_obs", "n_units", "n_treated", "n_clusters",
                                            "n_treated_clusters")}
    rules, notes = methods_by_rule(calibration, settings), []
    for each in rules:
        found = _by_method(each.method, question)
        if not np.isfinite(found["p_value"]):
            notes.append(f"{each.method} gives no test ({found['note'] or 'no reason is given'})")
            continue
        if np.isnan(each.coverage):
            notes.append(_why_not_measured(calibration))
        elif not each.holds:
            notes.append(f"no method holds its level within {settings.tolerance:.0%}: this one errs least often")
        notes.append(found["note"])
        for name, word in (("ci_low", "lower"), ("ci_high", "upper")):
            row[name] = found[name] if np.isfinite(found[name]) else np.nan
            if np.isinf(found[name]):
                notes.append(f"the interval has no {word} end")
        said = "; ".join(part for part in notes if part)
        return row | {"p_value": found["p_value"]} | dataclasses.asdict(each) | {"note": said}
    return row | {"note": "; ".join(notes)}


def _why_not_measured(calibration: pd.DataFrame) -> str:
    reasons = "; ".join(dict.fromkeys(calibration.loc[calibration["status"].eq("skipped"), "reason"]))
    return f"coverage could not be measured ({reasons or 'the method was not tried'})"


def _by_method(method: str, question: Question) -> pd.Series:
    """The estimate's row by a method of the calibration, which tries clustered errors at two levels."""
    if method == "clustered_unit":
        return infer("clustered", question.at("unit")).iloc[0]
    return infer(method, question).iloc[0]
