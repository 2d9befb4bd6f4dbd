"""Rolling transformations of Lee and Wooldridge: outcomes less each unit's own mean or line before treatment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.aggregation import aggregate
from did.estimators.base import PERIODS_PER_YEAR, REFERENCE, Panel, Result, join_notes, listed, scale_free
from did.estimators.callaway_santanna import (
    CONTROL_GROUPS,
    Asked,
    cell_table,
    refuse_flat,
    sample_of,
    whole_number,
    without_dose,
)
from did.estimators.cross_section import KINDS, Averages, cross_section_errors
from did.estimators.drdid import CONDITIONAL
from did.estimators.group_time import Cohort, Sample
from did.estimators.group_time_moments import effects
from did.estimators.shares import joined

TRANSFORMATIONS = ("demean", "detrend", "demean_seasonal", "detrend_seasonal")
ESTIMANDS = ("overall", "event_time", "cohort", "calendar", "att_gt")
ERRORS = ("clustered", *KINDS)


@scale_free
def estimate(
    panel: Panel,
    *,
    transformation: str = "demean",
    control_group: str = "not_yet_treated",
    anticipation: int = 0,
    covariates: Sequence[str] = (),
    method: str = "reg",
    errors: str = "clustered",
    estimands: Sequence[str] = ("overall", "event_time"),
) -> Result:
    """Return effects on outcomes from which each unit's own course before treatment is taken out.

        cohort g, period t:  Z_it = Y_it - (unit i's own fit to its periods before g, at t)
        ATT(g, t) = E[Z_t | cohort g] - E[Z_t | controls]

    for treated and controls alike, so that a cross-section is left for every g and t. The fit is a unit's mean
    (``demean``), its line (``detrend``), or either with an effect of each month or quarter of the year
    (``demean_seasonal``, ``detrend_seasonal``), over all its periods more than ``anticipation`` before g. Parallel
    trends are asked of what is left: under ``detrend``, of departures from each unit's own line. Lee and Wooldridge
    2023, "A simple transformation approach to difference-in-differences estimation for panel data" (procedures 3.1,
    4.1 and 5.1; working paper 4516518 of the SSRN), and 2025, "Simple approaches to inference with
    difference-in-differences estimators with small cross-sectional sample sizes" (working paper 5325686); equal to
    their authors' method in PyPI's ``lwdid`` 0.2.3.

    Controls are the ``never_treated``, or every unit ``not_yet_treated`` by t + anticipation. ``covariates`` of the
    panel, of the last period before treatment, enter by ``method``: ``reg`` (regression of the controls, averaged over
    the treated: regression adjustment), ``ipw`` (odds of a logit) or ``dr`` (both), as in `callaway_santanna`.
    ``estimands`` are any of

    ``overall``     each treated unit's mean effect over its periods from g on, averaged over treated units
    ``event_time``  effects by t - g. Before treatment the fit is to the periods after t and before g, so that -1 (with
                    a line -1 and -2, with seasons a year and more) is a reference of estimate 0
    ``cohort``, ``calendar``, ``att_gt``  by cohort, by period, by both

    in units of the outcome. Influence functions carry clustered errors to any level (t, clusters - 1 degrees of
    freedom). At level ``unit``, ``errors`` may be those of the cross-section: ``homoskedastic``, by t with units less
    coefficients degrees of freedom, exact in samples of any size, with one treated unit too, if what is left after the
    transformation is normal with one variance; or ``hc3``. They exist where all cells behind an estimate have the same
    controls and nothing is missing, without weights and with ``reg``; elsewhere the row has no error by unit and says
    why.

    A missing outcome is left out of its unit's fit and of its period; a unit without enough periods for the fit is left
    out of the cohort's cells, and named if treated. Cohorts with too few periods before treatment are left out and
    named.

    >>> import numpy as np, pandas as pd
    >>> from did.estimators import Panel, estimate
    >>> years = np.arange(2001, 2009)
    >>> line = {"a": 1.0, "b": 0.5, "c": 0.0, "d": 0.25}
    >>> frame = pd.DataFrame([{"unit": unit, "period": str(year), "frequency": "Y", "cohort": cohort,
    ...                        "outcome": slope * year + 3.0 * (unit == "a" and year >= 2006)}
    ...                       for unit, slope in line.items() for year in years
    ...                       for cohort in ["2006" if unit == "a" else None]])
    >>> panel = Panel.from_frame(frame, cluster_columns=())
    >>> [round(float(estimate("rolling", panel, transformation=how, estimands="overall").estimate[0]), 6)
    ...  for how in ("demean", "detrend")]
    [6.0, 3.0]

    Raises DidError if an option, covariate or estimand is unknown, seasons are asked of years, the treatment is not
    binary, no cohort has the periods before treatment that the fit takes, no control is left, a covariate is collinear,
    or no cell is identified.
    """
    one_of("rolling: transformation", transformation, TRANSFORMATIONS)
    one_of("rolling: control_group", control_group, CONTROL_GROUPS)
    one_of("rolling: method", method, CONDITIONAL)
    one_of("rolling: errors", errors, ERRORS)
    whole_number("rolling: anticipation", anticipation, "periods", 0)
    chosen = [estimands] if isinstance(estimands, str) else list(dict.fromkeys(estimands))
    for name in chosen or [""]:
        one_of("rolling: estimands", name, ESTIMANDS)
    for name in covariates:
        one_of("rolling: covariates", name, panel.covariates)
    basis = _basis(panel, transformation)
    dose = without_dose(panel, "rolling")
    asked = Asked("rolling", control_group, anticipation, tuple(covariates), trim=False, n_before=basis.shape[1])
    kept, sample, firsts, said = sample_of(panel, asked)
    note = said.replace("units with a missing period are used in the cells they have both periods for",
                        "units with a missing period are used with the periods they have")
    refuse_flat(sample, "rolling")
    cohorts = [_cohort(sample, int(first), basis[sample.positions], anticipation) for first in firsts]
    never_only = control_group == "never_treated"
    units = panel.units[kept]
    value, shares, reasons = effects(sample, cohorts, units, never_treated_only=never_only,
                                     method=method if covariates else "unconditional")
    table = cell_table(panel, sample, cohorts, reasons, shares.n_treated())
    if not (np.isfinite(value) & (table["state"] != REFERENCE)).any():
        raise DidError(f"rolling: expected a cohort and period that can be estimated; found none: "
                       f"{next(filter(None, reasons))}; add periods before treatment or controls")
    unused = ~shares.treated().any(axis=1) & (sample.first < sample.never)
    if unused.any():
        note = join_notes(note, f"no outcome after treatment or too few before it, left out: "
                                f"{listed(units[unused])}")
    cells = Result(
        estimator="rolling", parameters=table, estimate=value,
        shares=shares,
        n_obs=int(np.isfinite(sample.outcome).sum()), n_parameters=None, note=join_notes(note, dose),
        anticipation=anticipation)
    if errors != "clustered":
        why_not = ("weights" if panel.weight is not None else
                   f"--method {method}" if covariates and method != "reg" else "")
        averages = Averages(sample, cohorts, cells, never_only, why_not)
        return _joined([cross_section_errors(part, averages, errors) for part in _parts(cells, panel, chosen)])
    return _joined(_parts(cells, panel, chosen))


def _basis(panel: Panel, transformation: str) -> np.ndarray:
    """Return the (periods, columns) regressors of each unit's own fit."""
    time = np.arange(panel.n_periods)
    level = np.ones((panel.n_periods, 1))
    if transformation.endswith("_seasonal"):
        length = PERIODS_PER_YEAR[panel.frequency]
        if length == 1:
            raise DidError(f"rolling: transformation {transformation}: expected months or quarters, which come again "
                           f"each year; found years; use {transformation.removesuffix('_seasonal')}")
        level = (time[:, None] % length == np.arange(length)).astype(float)
    return np.column_stack([level, time]) if transformation.startswith("detrend") else level


def _cohort(sample: Sample, first: int, basis: np.ndarray, anticipation: int) -> Cohort:
    """Return the cells of a cohort in every period; basis (periods, columns) of the sample's periods."""
    period = np.arange(len(sample.positions))
    before = int(np.searchsorted(sample.positions, first - anticipation))
    reference = (period < before) & (period >= before - basis.shape[1])
    last_used = np.maximum(sample.positions, sample.positions[before - 1]) + anticipation
    return Cohort(first, period, np.full(len(period), before - 1), last_used, reference,
                  _fit_before(basis, before, reference))


def _fit_before(basis: np.ndarray, before: int, reference: np.ndarray) -> Callable[[np.ndarray, slice], np.ndarray]:
    """Return `Cohort.window`: the weights of a unit's periods in the least-squares fit to them, at every cell's period.

    The fit is to the columns below ``before``; in cells before treatment, to those after the cell's own.
    """
    def weights(present: np.ndarray, cells: slice) -> np.ndarray:
        columns = np.arange(len(basis))
        used = basis * (present & (columns < before))[:, None]
        # Sums of cross-products from each period on.
        gram = np.cumsum((used[:, :, None] * used[:, None, :])[::-1], axis=0)[::-1]
        period = columns[cells]
        start = np.where(period < before, np.minimum(period + 1, len(basis) - 1), 0)
        gram = gram[start]
        full = np.linalg.matrix_rank(gram, hermitian=True) == basis.shape[1]
        gram[~full] = np.eye(basis.shape[1])
        slope = np.linalg.solve(gram, basis[period][:, :, None])[:, :, 0]
        found = np.where(columns[:, None] >= start, used @ slope.T, 0.0)
        found[:, ~full] = np.nan
        # Less itself: zero.
        found[:, reference[cells]] = columns[:, None] == period[reference[cells]]
        return found
    return weights


def _parts(cells: Result, panel: Panel, chosen: Sequence[str]) -> list[Result]:
    """Return a Result of each estimand, from the group-time effects."""
    parts = []
    for name in chosen:
        if name == "att_gt":
            parts.append(cells)
            continue
        kind = "cohort" if name == "overall" else name
        averaged = aggregate(cells, panel, kind)
        rows = (averaged.parameters["estimand"] == ("overall_cohort" if name == "overall" else name)).to_numpy()
        parts.append(dataclasses.replace(
            averaged, parameters=averaged.parameters[rows].assign(estimand=name).reset_index(drop=True),
            estimate=averaged.estimate[rows], shares=averaged.shares.columns(rows)))
    return parts


def _joined(parts: list[Result]) -> Result:
    """Return the parameters of several results of one sample as one result."""
    first = parts[0]
    own = [part.unit_errors for part in parts if part.unit_errors is not None]
    return dataclasses.replace(
        first,
        parameters=pd.concat([part.parameters for part in parts], ignore_index=True),
        estimate=np.concatenate([part.estimate for part in parts]),
        shares=joined([part.shares for part in parts]),
        note=join_notes(*dict.fromkeys(part.note for part in parts)),
        unit_errors=np.vstack(own) if own else None,
    )
