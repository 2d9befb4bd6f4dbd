"""Errors of averages of group-time effects as those of one cross-section regression: homoskedastic and HC3."""

from __future__ import annotations

import dataclasses

import numpy as np

from did.estimators.base import ESTIMATED, Result, join_notes
from did.estimators.group_time import Cohort, Sample, changes

KINDS = ("homoskedastic", "hc3")


@dataclasses.dataclass(frozen=True)
class Averages:
    """The group-time cells that averages are made of.

    why_not  why nothing here has such an error, empty if it may have
    """

    sample: Sample
    cohorts: list[Cohort]
    cells: Result
    never_treated_only: bool
    why_not: str = ""

    @property
    def first(self) -> np.ndarray:
        """(cells,) calendar position of the cohort's first treated period."""
        return np.concatenate([np.full(len(one.period), one.first) for one in self.cohorts])

    def controls(self, cell: int) -> np.ndarray:
        """Return the (units,) mask of the controls of a cell."""
        never = self.sample.first >= self.sample.never
        if self.never_treated_only:
            return never
        last_used = np.concatenate([one.last_used for one in self.cohorts])[cell]
        return never | ((self.sample.first > last_used) & (self.sample.first != self.first[cell]))


def cross_section_errors(result: Result, averages: Averages, kind: str) -> Result:
    """Return ``result`` with the errors by unit of the cross-section regression behind each of its parameters.

    ``result`` holds effects of one estimand (att_gt, event_time, cohort, calendar or overall) averaged from
    ``averages.cells``. `Result.unit_errors` is (parameters, 2): the standard error in units of the outcome and the
    degrees of freedom; NaN, with the reason added to the row's note, where there is none. Where all cells of an average
    have the same controls, the average is the coefficient of D in the regression over units of

        Z_i = a + b D_i + X_i c + D_i (X_i - mean X of the treated) d + e_i

    with Z_i the average of the unit's transformed outcomes over the cells (its own cohort's if treated, all cells by
    their weights if a control); Lee and Wooldridge 2023, equations 3.2 and 3.3. ``homoskedastic`` is the classical
    error, ``hc3`` that of MacKinnon and White 1985, Journal of Econometrics 29:305-325.
    """
    rows = [_row(result, averages, row, kind) for row in range(len(result.estimate))]
    table = result.parameters.assign(note=[
        join_notes(note, f"no {kind} error: {reason}" if reason else "")
        for note, (_, reason) in zip(result.parameters["note"], rows, strict=True)])
    return dataclasses.replace(result, parameters=table, unit_errors=np.array([errors for errors, _ in rows]))


def _row(result: Result, averages: Averages, row: int, kind: str) -> tuple[tuple[float, float], str]:
    """Return standard error and degrees of freedom of a parameter, and why there are none."""
    nothing = np.nan, np.nan
    if result.parameters["state"].iloc[row] != ESTIMATED:
        return nothing, ""
    if averages.why_not:
        return nothing, averages.why_not
    cells, weight = _weights(result, averages, row)
    controls = averages.controls(cells[0])
    if any((averages.controls(cell) != controls).any() for cell in cells[1:]):
        return nothing, "the cells averaged have different controls"
    outcome, covariates, reason = _outcome(averages, cells, weight, controls)
    if reason:
        return nothing, reason
    used = np.isfinite(outcome)
    treated = ~controls[used]
    return _regression(outcome[used], treated, covariates[used], kind)


def _weights(result: Result, averages: Averages, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of a parameter and their weights, which sum to one."""
    table, parameter = averages.cells.parameters, result.parameters.iloc[row]
    chosen = np.isfinite(averages.cells.estimate)
    for column in ("cohort", "period", "event_time"):
        if parameter["estimand"] == column or parameter["estimand"] == "att_gt" or (
                parameter["estimand"] == "calendar" and column == "period"):
            chosen &= (table[column] == parameter[column]).to_numpy(dtype=bool)
    if parameter["estimand"] in ("overall", "cohort", "calendar"):
        chosen &= (table["event_time"] >= 0).to_numpy(dtype=bool)
    cells = np.flatnonzero(chosen)
    first = averages.first[cells]
    weight = np.array([(averages.sample.first == one).sum() for one in first], dtype=float)
    if parameter["estimand"] in ("overall", "cohort"):
        weight /= np.array([(first == one).sum() for one in first])
    return cells, weight / weight.sum()


def _outcome(
    averages: Averages, cells: np.ndarray, weight: np.ndarray, controls: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return each unit's average (units,), NaN if it is not used, covariates (units, columns), or why there is none."""
    sample, first = averages.sample, averages.first[cells]
    outcome = np.where(controls, 0.0, np.nan)
    designs: list[np.ndarray] = []
    start = 0
    for cohort in averages.cohorts:
        own = cells[first == cohort.first] - start
        start += len(cohort.period)
        if not len(own):
            continue
        share = weight[first == cohort.first]
        members = sample.first == cohort.first
        rows = np.flatnonzero(members | controls)
        change = changes(sample, cohort, slice(None), rows)[:, own]
        if not np.isfinite(change).all() and len(cells) > 1:
            return outcome, sample.outcome, "outcomes are missing"
        outcome[rows] = np.where(members[rows], change @ (share / share.sum()), outcome[rows] + change @ share)
        for period in np.unique(np.minimum(cohort.period[own], cohort.base[own])):
            designs.append(sample.covariates[:, :, period].T)
            if not np.array_equal(designs[0], designs[-1], equal_nan=True):
                return outcome, designs[0], "covariates differ between the cells averaged"
    covariates = designs[0]
    if not np.isfinite(covariates[np.isfinite(outcome)]).all():
        return outcome, covariates, "covariates are missing"
    return outcome, covariates, ""


def _regression(
    outcome: np.ndarray, treated: np.ndarray, covariates: np.ndarray, kind: str
) -> tuple[tuple[float, float], str]:
    """Return the error and degrees of freedom of the coefficient of treatment, its interactions about their means."""
    n_columns = covariates.shape[1]
    centred = covariates - covariates[treated].mean(axis=0)
    size = np.abs(centred).max(axis=0)
    centred = centred / np.where(size > 0, size, 1.0)
    design = np.column_stack([np.ones(len(outcome)), treated, centred, centred * treated[:, None]])
    df = len(outcome) - design.shape[1]
    nothing = np.nan, np.nan
    if n_columns and min(treated.sum(), (~treated).sum()) <= n_columns + 1:
        return nothing, f"no more units on a side than its {n_columns + 1} coefficients"
    if df < 1:
        return nothing, f"{len(outcome)} units for {design.shape[1]} coefficients"
    q, r = np.linalg.qr(design)
    inverse = np.linalg.solve(r, q.T)[1]
    residual = outcome - q @ (q.T @ outcome)
    if kind == "homoskedastic":
        return (float(np.sqrt(residual @ residual / df * (inverse @ inverse))), float(df)), ""
    leverage = (q**2).sum(axis=1)
    if leverage.max() > 1 - 1e-10:
        return nothing, "one unit alone on a side, which fits itself"
    return (float(np.sqrt((((inverse * residual) / (1 - leverage)) ** 2).sum())), float(df)), ""
