"""The interval to lead with: by the first method, in a declared order, whose measured coverage holds.

Which method holds its level depends on how many clusters are treated, how unequal they are, and what is regressed. So
each is tried on the panel at hand (`did.inference.calibration`) before it is believed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from did.estimators import overall_of
from did.estimators.base import Panel
from did.inference.bias_reduced import FEW_DF
from did.inference.calibration import Settings
from did.inference.methods import Question, available, infer
from did.inference.trials import simulation_error

COLUMNS = ["treatment", "estimator", "cluster", "estimate", "ci_low", "ci_high", "p_value", "method", "holds",
           "coverage", "simulation_error", "coverage_least", "coverage_most", "n_draws", "n_obs", "n_units",
           "n_treated", "n_clusters", "n_treated_clusters", "note"]


@dataclasses.dataclass(frozen=True)
class Measured:
    """A method with its measured coverage: over all placebos, its simulation error, the least and the most by scheme,
    whether it is seen to hold its level in each scheme, and whether it may. NaN where nothing was measured."""

    method: str
    coverage: float
    simulation_error: float
    coverage_least: float
    coverage_most: float
    n_draws: int
    holds: bool
    may_hold: bool


def methods_by_rule(calibration: pd.DataFrame, settings: Settings) -> list[Measured]:
    """Return the methods in the order in which one leads: those that hold, as declared; then those that may; then the
    others, those with the highest coverage first; then those that were not measured.

    A method holds if its coverage, a simulation error further from nominal than measured, is within the tolerance of
    ``settings`` in every scheme that was done: chance alone seldom makes one lead whose coverage is at the limit. It
    may hold if it is within as measured. ``calibration``: rows of `calibrate`, of one estimate,
    all schemes; rows that were skipped are left aside. Raises nothing.

    >>> table = pd.DataFrame({"method": ["wild_bootstrap", "CR2"], "scheme": "never_treated", "status": "done",
    ...                       "coverage": [0.9, 0.955], "rejected": [100, 45], "n_draws": 1000})
    >>> [(each.method, each.holds) for each in methods_by_rule(table, Settings(order=("wild_bootstrap", "CR2")))]
    [('CR2', True), ('wild_bootstrap', False)]
    """
    done, method_of = calibration["status"].to_numpy() == "done", calibration["method"].to_numpy()
    measured = calibration.reindex(columns=["coverage", "rejected", "n_draws"]).to_numpy(dtype=float)
    found = []
    for method in settings.order:
        coverage, rejected, draws = measured[done & (method_of == method)].T
        if not len(draws):
            found.append(Measured(method, np.nan, np.nan, np.nan, np.nan, 0, False, False))
            continue
        share = 1 - rejected.sum() / draws.sum()
        off, error = np.abs(coverage - settings.confidence), simulation_error(method, coverage, draws)
        found.append(Measured(
            method, float(share), float(simulation_error(method, share, draws.sum())), float(coverage.min()),
            float(coverage.max()), int(draws.sum()), bool((off + error).max() <= settings.tolerance + 1e-9),
            bool(off.max() <= settings.tolerance + 1e-9)))
    return sorted(found, key=lambda each: (
        not each.holds, not each.may_hold, 0.0 if each.may_hold or not each.n_draws else -each.coverage))


def leading(rules: Sequence[Measured], settings: Settings,
            ask: Callable[[str], pd.DataFrame]) -> tuple[Measured | None, pd.DataFrame | None, list[str]]:
    """Return the first method of ``rules`` that says something of the estimates, its rows, and why others were passed
    over; no method and no rows where none says anything.

    ``ask`` gives a method's rows (`did.inference.methods.infer`). Passed over are methods that do not serve the
    estimator or give no p-value, and, while another is left, those whose t has fewer degrees of freedom than can be
    relied on, however well they do in placebo assignments, which have their own. Raises what ``ask`` raises.
    """
    notes: list[str] = []
    short: list[tuple[Measured, pd.DataFrame]] = []
    for each in rules:
        rows = ask(each.method)
        if rows["p_value"].isna().all():
            reason = next((note for note in rows["note"] if note), "no reason is given")
            notes.append(f"{each.method} gives no test ({reason})")
            continue
        if rows["df"].min() < FEW_DF:
            short.append((each, rows))
            continue
        return each, rows, [*notes, *(f"{one.method} has {own['df'].min():.1f} degrees of freedom, fewer than {FEW_DF}"
                                      for one, own in short)]
    return (*short[0], notes) if short else (None, None, notes)


def headline(panel: Panel, calibration: pd.DataFrame, *, estimator: str = "did",
             options: Mapping[str, object] | None = None, level: str = "system",
             settings: Settings | None = None) -> dict[str, object]:
    """Return the estimate with the interval to lead with, as a row of `COLUMNS`.

    The method is the first of `methods_by_rule` that says something of this estimate (`leading`); ``holds`` says
    whether it holds its level, with its measured coverage (share) and simulation error, and the least and most by
    scheme. ``estimate``, an average where the estimator gives effects by cohort and period,
    ``ci_low`` and ``ci_high`` are in units of the outcome per unit of dose; an end is NaN where the interval has none.
    ``note`` says which methods were passed over and why, and what the method itself notes. Without any p-value the
    method is empty and the interval NaN. With one treated cluster of three or more the method is that of
    `for_one_treated`, whatever was declared.

    ``panel`` as for `did.estimators.estimate`: missing outcomes are left out by the estimator; ``calibration``: rows of
    `calibrate` for this panel, estimator, its options and level. Raises DidError as the estimator and the methods do.

    >>> from did.inference.calibration import calibrate
    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(120, 24, {12: 30}, 5.0, seed=1, units_per_system=5)
    >>> made, settings = Panel.from_frame(frame), Settings(draws=99, wild_draws=99, own_draws=199)
    >>> row = headline(made, calibrate(made, settings=settings), settings=settings)
    >>> row["holds"], bool(row["ci_low"] < 5.0 < row["ci_high"])
    (True, True)
    """
    settings = settings or Settings()
    question = Question(panel, estimator, level, options=dict(options or {}), confidence=settings.confidence,
                        draws=settings.own_draws, seed=settings.seed,
                        finish=lambda result, own: [overall_of(result, own)])
    clustered = infer("clustered", question).iloc[0]
    row = dict.fromkeys(COLUMNS) | {
        "treatment": panel.treatment, "estimator": estimator, "cluster": level, "method": "", "holds": False,
        "ci_low": np.nan, "ci_high": np.nan, "p_value": np.nan, "coverage": np.nan, "simulation_error": np.nan,
        "coverage_least": np.nan, "coverage_most": np.nan, "n_draws": 0,
    } | {name: clustered[name] for name in ("estimate", "n_obs", "n_units", "n_treated", "n_clusters",
                                            "n_treated_clusters")}
    if clustered["n_treated_clusters"] == 1 < clustered["n_clusters"] - 1:
        first, rows, notes = _with_one_treated(question, calibration, settings)
    else:
        serving = [each for each in methods_by_rule(calibration, settings)
                   if each.method == "clustered_unit" or each.method in available(estimator)]
        first, rows, notes = leading(serving, settings, lambda method: _by_method(method, question))
    if first is None or rows is None:
        return row | {"note": "; ".join(notes)}
    found = rows.iloc[0]
    if clustered["n_treated_clusters"] == 1:
        pass   # the note says why this method, whatever coverage was measured
    elif np.isnan(first.coverage):
        notes.append(_why_not_measured(calibration))
    elif not first.holds:
        notes.append(f"{first.n_draws} placebo assignments cannot tell whether it holds its level within "
                     f"{settings.tolerance:.0%}" if first.may_hold else
                     f"no method holds its level within {settings.tolerance:.0%}: this one errs least often")
    notes.append(found["note"])
    for name, word in (("ci_low", "lower"), ("ci_high", "upper")):
        row[name] = found[name] if np.isfinite(found[name]) else np.nan
        if np.isinf(found[name]):
            notes.append(f"the interval has no {word} end")
    known = dataclasses.asdict(first)
    known.pop("may_hold")
    return row | {"p_value": found["p_value"]} | known | {"note": "; ".join(part for part in notes if part)}


def for_one_treated(question: Question) -> tuple[str, pd.DataFrame]:
    """Return the method for one treated cluster, and its rows: `did.inference.conley_taber` for ``did`` without
    covariates, else randomisation by the estimate, since nothing within one cluster says how far it varies.

    Raises whatever estimator and method raise.
    """
    if question.estimator == "did" and not question.options.get("covariates"):
        rows = infer("conley_taber", question)
        if not rows["p_value"].isna().all():
            return "conley_taber", rows
    return "randomisation_estimate", infer("randomisation_estimate", question)


def _with_one_treated(question: Question, calibration: pd.DataFrame,
                      settings: Settings) -> tuple[Measured | None, pd.DataFrame | None, list[str]]:
    method, rows = for_one_treated(question)
    if rows["p_value"].isna().all():
        return None, None, list(rows["note"])
    found = methods_by_rule(calibration, dataclasses.replace(settings, order=(method,)))[0]
    n_clusters = int(rows["n_clusters"].iloc[0])
    return found, rows, [f"one treated cluster of {n_clusters}: errors, bootstrap and jackknife say nothing of it; the "
                         f"smallest p is about 1 in {n_clusters}"]


def _why_not_measured(calibration: pd.DataFrame) -> str:
    reasons = "; ".join(dict.fromkeys(calibration.loc[calibration["status"].eq("skipped"), "reason"]))
    return f"coverage could not be measured ({reasons or 'the method was not tried'})"


def _by_method(method: str, question: Question) -> pd.DataFrame:
    """The estimate's row by a method of the calibration, which tries clustered errors at two levels."""
    if method == "clustered_unit":
        return infer("clustered", question.at("unit"))
    return infer(method, question)
