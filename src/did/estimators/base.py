"""What every estimator takes (`Panel`) and gives (`Result`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, wraps

import numpy as np
import pandas as pd

from did.errors import DidError, listed, one_of
from did.estimators import panel_rows
from did.estimators.panel_rows import PERIODS_PER_YEAR as PERIODS_PER_YEAR
from did.estimators.shares import Shares
from did.estimators.shares import root_sum_squares as root_sum_squares

TREATMENTS = ("binary", "intensity")
# Numbers whose squares, and the squares of those, are well inside what a float holds.
SQUARABLE = (1e-30, 1e30)
LATER_COHORTS = ("error", "never_treated_in_window")
# As "str" and "Int64", names that pandas would look up again for every column.
TEXT, WHOLE = pd.StringDtype(na_value=np.nan), pd.Int64Dtype()


@dataclasses.dataclass(frozen=True)
class Panel:
    """An outcome of units over consecutive periods, with when and how strongly each unit was treated.

    outcome       (units, periods) floats in the indicator's unit of measure; NaN = not observed
    units         (units,) unique labels, sorted
    periods       (periods,) consecutive ISO texts (``2017-06``, ``2017Q2``, ``2017``)
    frequency     ``M``, ``Q`` or ``Y``
    treated_from  (units,) integer position in ``periods`` of the first treated period; the number of
                  periods for a unit never treated in the window, so ``position >= treated_from`` is the
                  treatment indicator for every unit and never-treated is never coded as missing
    dose          (units,) 1 for treated units (binary) or their intensity; 0 for the never treated
    treatment     ``binary`` or ``intensity``: what ``dose`` holds
    clusters      level -> (units,) labels; always has ``unit``; every level is a grouping of whole units
    weight        (units, periods) non-negative regression weights, or None for equal weights
    covariates    name -> (units, periods) floats in the covariate's own unit of measure, NaN = not observed;
                  empty unless asked for
    neighbours    pairs of unit labels that border each other (`did.estimators.neighbours`); empty unless asked for
    """

    outcome: np.ndarray
    units: pd.Index
    periods: pd.Index
    frequency: str
    treated_from: np.ndarray
    dose: np.ndarray
    treatment: str
    clusters: dict[str, np.ndarray | pd.api.extensions.ExtensionArray]
    weight: np.ndarray | None = None
    covariates: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    neighbours: tuple[tuple[str, str], ...] = ()

    @property
    def n_units(self) -> int:
        """Number of units, treated or not."""
        return len(self.units)

    @property
    def n_periods(self) -> int:
        """Number of periods in the window; also the ``treated_from`` of a never-treated unit."""
        return len(self.periods)

    @cached_property
    def is_complete(self) -> bool:
        """Whether every outcome is observed."""
        return bool(np.isfinite(self.outcome.sum())) or bool(np.isfinite(self.outcome).all())

    @property
    def never_treated(self) -> np.ndarray:
        """(units,) True for a unit not treated in the window."""
        return self.treated_from >= self.n_periods

    @property
    def always_treated(self) -> np.ndarray:
        """(units,) True for a unit treated in the first period, so without a period before treatment."""
        return self.treated_from <= 0

    @property
    def event_time(self) -> np.ndarray:
        """(units, periods) periods since the first treated one; meaningless in rows of the never treated."""
        return np.arange(self.n_periods)[None, :] - self.treated_from[:, None]

    @property
    def treated(self) -> np.ndarray:
        """(units, periods) True from a unit's first treated period on."""
        return self.event_time >= 0

    @property
    def observed_weight(self) -> np.ndarray:
        """(units, periods) regression weight (1 if unweighted), 0 where the outcome is not observed."""
        present = np.isfinite(self.outcome)
        return present.astype(float) if self.weight is None else np.where(present, self.weight, 0.0)

    def keep(self, units: np.ndarray) -> Panel:
        """Return the panel of the units where the (units,) mask ``units`` is True."""
        if units.dtype == bool and units.all():
            return self
        return dataclasses.replace(
            self,
            outcome=self.outcome[units],
            units=self.units[units],
            treated_from=self.treated_from[units],
            dose=self.dose[units],
            clusters={level: labels[units] for level, labels in self.clusters.items()},
            weight=None if self.weight is None else self.weight[units],
            covariates={name: values[units] for name, values in self.covariates.items()},
        )

    def scaled(self) -> tuple[Panel, float]:
        """Return the panel in units in which squares neither overflow nor vanish, and the unit of its effects.

        Outcome, weight, covariates and intensities are divided by powers of two, which is exact; numbers of ordinary
        size stay as they are, and the unit is then 1.
        """
        outcome, dose = unit_of(self.outcome), unit_of(self.dose) if self.treatment == "intensity" else 1.0
        weight = 1.0 if self.weight is None else unit_of(self.weight)
        covariates = {name: unit_of(values) for name, values in self.covariates.items()}
        if {outcome, dose, weight, *covariates.values()} == {1.0}:
            return self, 1.0
        return dataclasses.replace(
            self,
            outcome=self.outcome / outcome,
            dose=self.dose / dose,
            weight=None if self.weight is None else self.weight / weight,
            covariates={name: values / covariates[name] for name, values in self.covariates.items()},
        ), outcome / dose

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        treatment: str = "binary",
        cluster_columns: Sequence[str] = ("system",),
        weight_column: str | None = None,
        exposure_column: str | None = None,
        covariate_columns: Sequence[str] = (),
        later_cohorts: str = "error",
        where: str = "panel",
    ) -> Panel:
        """Return the panel held by the rows of one specification of a panel table.

        ``frame`` has one row per unit and period with the columns unit, period, frequency, outcome, cohort,
        intensity (only for ``treatment="intensity"``), ``cluster_columns``, ``weight_column``,
        ``covariate_columns`` (numbers; a missing one stays missing) and ``exposure_column`` (for
        ``treatment="binary"``: the share of a treated unit that is exposed, its dose in place of 1); others are
        ignored. Units, clusters and cohorts may be texts or numbers; see `did.estimators.labels`. ``cohort`` is the
        first treated period, missing (or 0, inf or never) for a unit not treated in the window; the dose of such a unit
        is taken as 0 whatever the table holds. A cohort after the last period is an error unless
        ``later_cohorts="never_treated_in_window"``, which counts its units as never treated in the window. A
        missing outcome and an absent unit-period are both NaN. The frame is not changed; the order of its rows
        does not matter.

        Raises DidError, beginning with ``where``, if: a column is missing or there is no row; there are
        several specifications or frequencies; a period or cohort is not a period of the frequency; periods have a
        gap; a unit-period comes twice; cohort, intensity or a cluster varies within a unit; a label is missing, or
        a number written in two ways; a cohort lies outside the window; an outcome or covariate is not a finite
        number; a treated unit has no positive intensity; a weight is missing or negative; there is no treated unit,
        no control (every unit starts in the same period), or no period before treatment.
        """
        one_of(f"{where}: treatment", treatment, TREATMENTS)
        one_of(f"{where}: later_cohorts", later_cohorts, LATER_COHORTS)
        needed = ["unit", "period", "frequency", "outcome", "cohort", *cluster_columns, *covariate_columns]
        dose_column = "intensity" if treatment == "intensity" else exposure_column
        needed += [dose_column] if dose_column else []
        needed += [weight_column] if weight_column else []
        absent = [column for column in needed if column not in frame.columns]
        if absent:
            raise DidError(f"{where}: expected columns {needed}; found no {absent}; add them to the table")
        if frame.empty:
            raise DidError(f"{where}: expected one row per unit and period; found no row; "
                           "check the filters of the sample and specification")
        if "specification" in frame.columns and frame["specification"].nunique() > 1:
            raise DidError(f"{where}: expected the rows of one specification; found "
                           f"{sorted(frame['specification'].unique())}; choose one before estimating")
        frequency = panel_rows.single_frequency(frame["frequency"], where)
        rows = frame.reset_index(drop=True)
        unit_code, labels = panel_rows.factorized(rows["unit"], "unit", where)
        units = pd.Index(labels, dtype="str")
        first_period, period_code, periods = panel_rows.consecutive_periods(rows["period"], frequency, where)
        cell = panel_rows.cells(unit_code, period_code, units, periods, where)

        def array(column: str) -> np.ndarray:
            filled = np.full(len(units) * len(periods), np.nan)
            filled[cell] = panel_rows.numbers(rows[column], rows, where)
            return filled.reshape(len(units), len(periods))

        cohort, words = panel_rows.cohorts(rows["cohort"], unit_code, units, where)
        treated_from = panel_rows.first_treated(cohort, words, units, first_period, periods, frequency, later_cohorts,
                                                where)
        never = treated_from == len(periods)
        panel_rows.refuse_undefined_design(treated_from, units, periods, where)
        dose = np.where(never, 0.0, 1.0)
        if dose_column:
            dose = panel_rows.doses(rows, dose_column, unit_code, units, never, where)
        clusters = {"unit": units.to_numpy()}
        for column in cluster_columns:
            clusters[column] = panel_rows.clusters(rows[column], unit_code, units, where)
        outcome, weight = array("outcome"), None
        if weight_column:
            weight = panel_rows.weights(array(weight_column), outcome, units, periods, where)
        covariates = {column: array(column) for column in covariate_columns}
        return cls(outcome, units, periods, frequency, treated_from, dose, treatment, clusters, weight,
                   covariates)


# What a parameter of a Result is: estimated, fixed at zero as the reference, or not identified.
ESTIMATED, REFERENCE, NOT_IDENTIFIED = "estimated", "reference", "not_identified"


@dataclasses.dataclass(frozen=True)
class Result:
    """What an estimator found, with the influence functions that carry its uncertainty to any cluster level.

    estimator     name in the registry
    parameters    one row per parameter: estimand, cohort, period, event_time (missing where they do not
                  apply), state (`ESTIMATED`, `REFERENCE` for one fixed at zero by normalisation, or
                  `NOT_IDENTIFIED`) and note, a remark for readers: why it is not identified, say
    estimate      (parameters,) in units of the outcome, per unit of dose
    shares        each unit's share of (estimate - truth), scaled so that the sum over clusters of squared cluster sums
                  is the variance without a small-sample factor, and the treated units a parameter rests on
                  (`did.estimators.shares`)
    n_obs         outcome cells used
    n_parameters  K of the small-sample factor: regressors and period effects; unit effects are nested in the
                  clusters and not counted. Missing (None) where no such factor applies
    note          what was left out, and choices made, in words; empty if nothing
    distribution  ``t``: Student's t with clusters - 1 degrees of freedom and the small-sample factor;
                  ``normal``: standard normal and no factor at all, as R's did package
    anticipation  periods before treatment that may have an effect already: event times -anticipation to -1 are
                  no test of parallel trends
    weights       of an estimator that chooses its comparison: one row per weight with the columns cohort, kind
                  (``unit`` or ``time``), label (the unit, cluster or period) and weight; None for all others
    unit_errors   (parameters, 2) or None: standard errors, in units of the outcome, and degrees of freedom of t that
                  the estimator gives itself in place of those clustered by unit; NaN where it has none
    """

    estimator: str
    parameters: pd.DataFrame
    estimate: np.ndarray
    shares: Shares
    n_obs: int
    n_parameters: int | None
    note: str = ""
    distribution: str = "t"
    anticipation: int = 0
    weights: pd.DataFrame | None = None
    unit_errors: np.ndarray | None = None

    @property
    def units(self) -> pd.Index:
        """Labels of the units used."""
        return self.shares.units

    @property
    def n_units(self) -> int:
        """Number of units used."""
        return len(self.units)

    def used(self, panel: Panel) -> np.ndarray:
        """Return (units,) True for the units of ``panel``, the one the result is of, that are used."""
        found = np.zeros(panel.n_units, dtype=bool)
        found[self.places(panel)] = True
        return found

    def places(self, panel: Panel) -> np.ndarray:
        """Return where the units used are in ``panel``, the one the result is of."""
        return np.arange(panel.n_units) if self.units is panel.units else panel.units.get_indexer(self.units)

    @cached_property
    def influence(self) -> pd.DataFrame:
        """The shares written out, units x parameters, made when first asked for."""
        return pd.DataFrame(self.shares.influence(), index=self.units, copy=False)

    @property
    def treated(self) -> pd.DataFrame:
        """The treated units that a parameter rests on, units x parameters."""
        return pd.DataFrame(self.shares.treated(), index=self.units, copy=False)

    def only(self, estimand: str) -> Result:
        """Return the result with the parameters of one estimand. Raises DidError if it has none."""
        kept = self.parameters["estimand"].to_numpy() == estimand
        if not kept.any():
            raise DidError(f"{self.estimator}: expected an effect {estimand}; found "
                           f"{listed(self.parameters['estimand'].unique())}; take one of those")
        if kept.all():
            return self
        first, *_, last = np.flatnonzero(np.diff(kept, prepend=False, append=False))
        # As a rule they stand together, and rows between two places are taken ten times as fast as any others.
        rows = self.parameters[first:last] if last - first == kept.sum() else self.parameters[kept]
        return dataclasses.replace(
            self, parameters=rows.reset_index(drop=True), estimate=self.estimate[kept],
            shares=self.shares.columns(kept), unit_errors=None if self.unit_errors is None else self.unit_errors[kept])


def scale_free(estimator: Callable[..., Result]) -> Callable[..., Result]:
    """Decorate an estimator so that it fits `Panel.scaled` and gives its result in the panel's own units."""
    @wraps(estimator)
    def fitted(panel: Panel, **options: object) -> Result:
        scaled, unit = panel.scaled()
        result = estimator(scaled, **options)
        if unit == 1:
            return result
        own = None if result.unit_errors is None else result.unit_errors * [unit, 1.0]
        return dataclasses.replace(result, estimate=result.estimate * unit, shares=result.shares.times(unit),
                                   unit_errors=own)
    return fitted


def unit_of(values: np.ndarray) -> float:
    """Return the power of two next to the largest of ``values`` in size; 1 if that is of ordinary size or 0."""
    size = float(max(values.max(initial=0.0), -values.min(initial=0.0)))
    if not np.isfinite(size):
        size = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    return 1.0 if size == 0 or SQUARABLE[0] < size < SQUARABLE[1] else float(2.0 ** np.frexp(size)[1])


def parameter_table(
    estimand: str | Sequence[str],
    *,
    cohort: Sequence[str | None] | None = None,
    period: Sequence[str | None] | None = None,
    event_time: Sequence[int | None] | None = None,
    state: Sequence[str] | None = None,
    note: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the ``parameters`` frame of a Result: one row per value given, or one row if none is given.

    ``estimand`` is that of every row, or of each. ``state`` of each row is `ESTIMATED` unless it is given.
    """
    columns = {"cohort": cohort, "period": period, "event_time": event_time, "state": state, "note": note}
    if isinstance(estimand, str) and all(values is None for values in columns.values()):
        return _one_parameter(estimand).copy(deep=False)  # asked for by the thousand
    return _parameters(estimand, columns)


@cache
def _one_parameter(estimand: str) -> pd.DataFrame:
    return _parameters(estimand, {"state": [ESTIMATED]})


def _parameters(estimand: str | Sequence[str], given: Mapping[str, Sequence | None]) -> pd.DataFrame:
    n_rows = next(len(values) for values in given.values() if values is not None)
    blank = {"cohort": None, "period": None, "event_time": None, "state": ESTIMATED, "note": ""}
    columns = {"estimand": [estimand] * n_rows if isinstance(estimand, str) else estimand} | {
        name: [held] * n_rows if (own := given.get(name)) is None else own for name, held in blank.items()}
    return pd.DataFrame({name: pd.array(values, dtype=WHOLE if name == "event_time" else TEXT)
                         for name, values in columns.items()}, copy=False)


def refuse_cross_sections(outcome: np.ndarray, at: str) -> None:
    """Raise DidError, beginning with ``at``, where (units, periods) ``outcome`` has numbers but no unit has two.

    One period only is left to other checks.
    """
    if len(outcome) and np.isfinite(outcome[0]).sum() > 1:   # as a rule the first unit settles it
        return
    seen = np.isfinite(outcome).sum(axis=1)
    if outcome.shape[1] > 1 and seen.max(initial=0) == 1:
        raise DidError(f"{at}: expected units with outcomes in two periods or more, to be compared with themselves; "
                       f"found {int(seen.sum()):,} units, of which no unit is seen twice: repeated cross-sections; "
                       "use callaway_santanna with --data repeated_cross_sections, or average the outcome by period "
                       "over groups that stay, such as areas, and make them the units")


def join_notes(*notes: str) -> str:
    """Return the non-empty notes joined by ``"; "``."""
    return "; ".join(note for note in notes if note)
