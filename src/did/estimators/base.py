"""What every estimator takes (`Panel`) and gives (`Result`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps

import numpy as np
import pandas as pd

from did.errors import DidError, listed, one_of
from did.estimators.labels import is_missing, is_never, label, same_number, two_ways

TREATMENTS = ("binary", "intensity")
# Numbers whose squares, and the squares of those, are well inside what a float holds.
SQUARABLE = (1e-30, 1e30)
LATER_COHORTS = ("error", "never_treated_in_window")
PERIODS_PER_YEAR = {"M": 12, "Q": 4, "Y": 1}


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
    """

    outcome: np.ndarray
    units: pd.Index
    periods: pd.Index
    frequency: str
    treated_from: np.ndarray
    dose: np.ndarray
    treatment: str
    clusters: dict[str, np.ndarray]
    weight: np.ndarray | None = None
    covariates: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def n_units(self) -> int:
        """Number of units, treated or not."""
        return len(self.units)

    @property
    def n_periods(self) -> int:
        """Number of periods in the window; also the ``treated_from`` of a never-treated unit."""
        return len(self.periods)

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
        no control (every unit starts in the same period), no period before treatment, or no unit with two outcomes.
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
        frequency = _single_frequency(frame["frequency"], where)
        rows = frame.reset_index(drop=True)
        rows["cohort"] = _cohort_labels(rows["cohort"])
        unit_code, units = _codes(rows["unit"], "unit", where)
        first_period, period_code, periods = _consecutive_periods(rows["period"], frequency, where)
        _refuse_duplicates(unit_code, period_code, units, periods, where)

        def array(column: str) -> np.ndarray:
            filled = np.full((len(units), len(periods)), np.nan)
            filled[unit_code, period_code] = _numbers(rows[column], rows, where)
            return filled

        cohort = _constant_within(rows["cohort"], unit_code, units, where)
        treated_from = _first_treated(cohort, units, first_period, periods, frequency, later_cohorts, where)
        never = treated_from == len(periods)
        _refuse_undefined_design(treated_from, units, periods, where)
        dose = np.where(never, 0.0, 1.0)
        if dose_column:
            dose = _doses(rows, dose_column, unit_code, units, never, where)
        clusters = {"unit": units.to_numpy()}
        for column in cluster_columns:
            clusters[column] = _clusters(rows[column], unit_code, units, where)
        outcome, weight = array("outcome"), None
        if weight_column:
            weight = _weights(array(weight_column), outcome, units, periods, where)
        refuse_cross_sections(np.arange(len(units)).repeat(len(periods)), outcome.ravel(), len(periods),
                              f"{where}: column 'unit'")
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
    influence     units x parameters frame: each unit's share of (estimate - truth), scaled so that the sum
                  over clusters of squared cluster sums is the variance without a small-sample factor
    treated       units x parameters frame of booleans: the treated units a parameter rests on
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
    influence: pd.DataFrame
    treated: pd.DataFrame
    n_obs: int
    n_parameters: int | None
    note: str = ""
    distribution: str = "t"
    anticipation: int = 0
    weights: pd.DataFrame | None = None
    unit_errors: np.ndarray | None = None

    @property
    def n_units(self) -> int:
        """Number of units used."""
        return len(self.influence)

    def only(self, estimand: str) -> Result:
        """Return the result with the parameters of one estimand. Raises DidError if it has none."""
        kept = (self.parameters["estimand"] == estimand).to_numpy()
        if not kept.any():
            raise DidError(f"{self.estimator}: expected an effect {estimand}; found "
                           f"{listed(self.parameters['estimand'].unique())}; take one of those")
        if kept.all():
            return self
        return dataclasses.replace(
            self, parameters=self.parameters[kept].reset_index(drop=True), estimate=self.estimate[kept],
            influence=self.influence.loc[:, kept], treated=self.treated.loc[:, kept])


def scale_free(estimator: Callable[..., Result]) -> Callable[..., Result]:
    """Decorate an estimator so that it fits `Panel.scaled` and gives its result in the panel's own units."""
    @wraps(estimator)
    def fitted(panel: Panel, **options: object) -> Result:
        scaled, unit = panel.scaled()
        result = estimator(scaled, **options)
        if unit == 1:
            return result
        own = None if result.unit_errors is None else result.unit_errors * [unit, 1.0]
        return dataclasses.replace(result, estimate=result.estimate * unit, influence=result.influence * unit,
                                   unit_errors=own)
    return fitted


def unit_of(values: np.ndarray) -> float:
    """Return the power of two next to the largest of ``values`` in size; 1 if that is of ordinary size or 0."""
    size = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    return 1.0 if size == 0 or SQUARABLE[0] < size < SQUARABLE[1] else float(2.0 ** np.frexp(size)[1])


def root_sum_squares(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the root of the sum of squares over ``axis`` (None = all), of numbers of any size."""
    peak = np.abs(values).max(axis=axis, keepdims=True, initial=0.0)
    # A power of two, so that dividing is exact.
    unit = np.ldexp(1.0, np.frexp(np.where(peak > 0, peak, 1.0))[1] - 1)
    return np.sqrt(((values / unit) ** 2).sum(axis=axis)) * (unit.squeeze() if axis is None else unit.squeeze(axis))


def parameter_table(
    estimand: str,
    *,
    cohort: Sequence[str] | None = None,
    period: Sequence[str] | None = None,
    event_time: Sequence[int] | None = None,
    state: Sequence[str] | None = None,
    note: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the ``parameters`` frame of a Result: one row per value given, or one row if none is given.

    ``state`` of each row is `ESTIMATED` unless it is given.
    """
    columns = {"cohort": cohort, "period": period, "event_time": event_time, "state": state, "note": note}
    if all(values is None for values in columns.values()):
        return _one_parameter(estimand).copy()  # asked for by the thousand
    return _parameters(estimand, columns)


@cache
def _one_parameter(estimand: str) -> pd.DataFrame:
    return _parameters(estimand, {"state": [ESTIMATED]})


def _parameters(estimand: str, given: Mapping[str, Sequence | None]) -> pd.DataFrame:
    n_rows = next(len(values) for values in given.values() if values is not None)
    blank = {"cohort": None, "period": None, "event_time": None, "state": ESTIMATED, "note": ""}
    columns = {"estimand": [estimand] * n_rows} | {
        name: [held] * n_rows if given.get(name) is None else list(given[name]) for name, held in blank.items()}
    return pd.DataFrame({name: pd.Series(values, dtype="Int64" if name == "event_time" else "str")
                         for name, values in columns.items()})


def refuse_cross_sections(unit: np.ndarray, outcome: np.ndarray, n_periods: int, at: str) -> None:
    """Raise DidError, beginning with ``at``, where there are outcomes but no unit has two.

    ``unit`` is the position of each outcome's unit. One period only is left to other checks.
    """
    seen = np.bincount(unit[np.isfinite(outcome)], minlength=1)
    if n_periods > 1 and seen.max() == 1:
        raise DidError(f"{at}: expected units with outcomes in two periods or more, to be compared with themselves; "
                       f"found {int(seen.sum()):,} units, of which no unit is seen twice: repeated cross-sections, "
                       "which are not supported; average the outcome by period over groups that stay, such as areas, "
                       "and make them the units")


def join_notes(*notes: str) -> str:
    """Return the non-empty notes joined by ``"; "``."""
    return "; ".join(note for note in notes if note)


def _single_frequency(column: pd.Series, where: str) -> str:
    found = column.unique()
    if len(found) != 1:
        raise DidError(f"{where}: column 'frequency': expected one frequency; found {listed(found)}; "
                       "estimate each by itself")
    one_of(f"{where}: column 'frequency'", str(found[0]), PERIODS_PER_YEAR)
    return str(found[0])


def _codes(column: pd.Series, name: str, where: str) -> tuple[np.ndarray, pd.Index]:
    if column.isna().any():
        raise DidError(f"{where}: column '{name}', row {int(np.flatnonzero(column.isna())[0]) + 1}: expected "
                       "a label; found none; give every row one")
    codes, found = pd.factorize(column, sort=True)
    words = _labels(found, f"{where}: column '{name}'")
    return codes, pd.Index(words, dtype="str")


def _labels(values, at: str) -> list[str]:
    """Return distinct values as `did.estimators.labels`; DidError, beginning with ``at``, at a number written in two
    ways, and at a text that says there is none."""
    twice = same_number(values)
    if twice is not None:
        raise DidError(f"{at}: {two_ways(values, twice, 'a label')}")
    empty = next((value for value in values if is_missing(value)), None)
    if empty is not None:
        raise DidError(f"{at}: expected a label; found '{empty}'; give every row one")
    return [label(value) for value in values]


def _cohort_labels(column: pd.Series) -> pd.Series:
    """Return cohorts as `did.estimators.labels`, missing where they say never treated."""
    codes, values = pd.factorize(column)
    words = np.array([*(None if is_never(value) else label(value) for value in values), None], dtype=object)
    return pd.Series(words[codes], name=column.name)


def _clusters(column: pd.Series, unit_code: np.ndarray, units: pd.Index, where: str) -> np.ndarray:
    """Return the cluster label of each unit."""
    codes, values = pd.factorize(column)
    words = np.array([*_labels(values, f"{where}: column '{column.name}'"), None], dtype=object)
    found = _constant_within(pd.Series(words[codes], name=column.name), unit_code, units, where)
    if found.isna().any():
        raise DidError(f"{where}: column '{column.name}', unit {units[found.isna().to_numpy()][0]}: expected a cluster "
                       "label; found none; give every unit one")
    return found.to_numpy()


def _ordinal(text: str, frequency: str, what: str) -> int:
    """Return the position of an ISO period on the calendar of its frequency (months since 1970, ...)."""
    try:
        period = pd.Period(text, freq=frequency)
    except (ValueError, TypeError):
        period = None
    if period is None or str(period) != str(text):
        example = {"M": "2017-06", "Q": "2017Q2", "Y": "2017"}[frequency]
        raise DidError(f"{what}: expected a period of frequency {frequency} such as '{example}'; found "
                       f"'{text}'; write it that way")
    return period.ordinal


def _consecutive_periods(column: pd.Series, frequency: str, where: str) -> tuple[int, np.ndarray, pd.Index]:
    codes, labels = _codes(column, "period", where)
    ordinals = np.array([_ordinal(text, frequency, f"{where}: column 'period'") for text in labels])
    order = np.argsort(ordinals)
    gaps = np.flatnonzero(np.diff(ordinals[order]) != 1)
    if len(gaps):
        before, after = labels[order][gaps[0]], labels[order][gaps[0] + 1]
        missing = pd.Period(before, freq=frequency) + 1
        raise DidError(f"{where}: column 'period': expected consecutive periods; found a gap between "
                       f"{before} and {after}; add {missing} (with missing outcomes if none was published)")
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    return int(ordinals.min()), rank[codes], pd.Index(labels[order])


def _refuse_duplicates(unit_code, period_code, units, periods, where: str) -> None:
    cell = unit_code * len(periods) + period_code
    if np.bincount(cell).max() > 1:
        twice = int(pd.Series(cell)[pd.Series(cell).duplicated()].iloc[0])
        raise DidError(f"{where}: unit {units[twice // len(periods)]}, period "
                       f"{periods[twice % len(periods)]}: expected one row; found more than one; remove the "
                       "duplicate")


def _constant_within(column: pd.Series, unit_code: np.ndarray, units: pd.Index, where: str) -> pd.Series:
    """Return a column's one value per unit (missing counts as a value); DidError if it varies in a unit."""
    codes, labels = pd.factorize(column)
    first = np.full(len(units), -2)
    first[unit_code[::-1]] = codes[::-1]
    differs = codes != first[unit_code]
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        unit = units[unit_code[row]]
        values = listed(column[unit_code == unit_code[row]].drop_duplicates())
        raise DidError(f"{where}: column '{column.name}', unit {unit}: expected the same value in every "
                       f"period; found {values}; give the unit one value")
    return pd.Series(labels).reindex(first).set_axis(units)


def _first_treated(
    cohort, units, first_period: int, periods, frequency: str, later_cohorts: str, where: str
) -> np.ndarray:
    treated_from = np.full(len(units), len(periods))
    for text in cohort.dropna().unique():
        members = (cohort == text).fillna(False).to_numpy(dtype=bool)
        what = f"{where}: column 'cohort', unit {units[members][0]}"
        position = _ordinal(text, frequency, what) - first_period
        if position >= len(periods) and later_cohorts == "never_treated_in_window":
            continue
        if not 0 <= position < len(periods):
            raise DidError(f"{what}: expected a first treated period in {periods[0]} to {periods[-1]}, or "
                           f"empty if never treated in the window; found {text}; fix the cohort or the "
                           "window")
        treated_from[members] = position
    return treated_from


def _refuse_undefined_design(treated_from: np.ndarray, units, periods, where: str) -> None:
    treated = treated_from < len(periods)
    if not treated.any():
        raise DidError(f"{where}: column 'cohort': expected at least one treated unit; found none among "
                       f"{len(units)} units; check the waves and the sample")
    if len(np.unique(treated_from)) == 1:
        raise DidError(f"{where}: column 'cohort': expected control units (never treated, or treated later); "
                       f"found all {len(units)} units first treated in {periods[treated_from[0]]}; add "
                       "controls")
    if not (treated_from[treated] > 0).any():
        raise DidError(f"{where}: column 'cohort': expected a period before treatment; found every treated "
                       f"unit (such as {units[treated][0]}) treated from the first period, {periods[0]}; "
                       "add earlier periods")


def _numbers(column: pd.Series, rows: pd.DataFrame, where: str) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.isinf(numbers) | (np.isnan(numbers) & column.notna().to_numpy())
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DidError(f"{where}: column '{column.name}', unit {rows['unit'].iloc[row]}, period "
                       f"{rows['period'].iloc[row]}: expected a finite number or nothing; found "
                       f"'{column.iloc[row]}'; fix the cell")
    return numbers


def _doses(rows: pd.DataFrame, column: str, unit_code, units, never, where: str) -> np.ndarray:
    _numbers(rows[column], rows, where)
    values = _constant_within(rows[column], unit_code, units, where)
    dose = np.where(never, 0.0, pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan))
    wrong = ~never & ~(dose > 0)
    if wrong.any():
        raise DidError(f"{where}: column '{column}', unit {units[wrong][0]}: expected a positive {column} "
                       f"for a treated unit; found {dose[wrong][0]}; give its {column} or use the binary "
                       "treatment")
    return dose


def _weights(weight, outcome, units, periods, where: str) -> np.ndarray:
    wrong = np.isfinite(outcome) & ~(weight >= 0)
    if wrong.any():
        unit, period = np.argwhere(wrong)[0]
        raise DidError(f"{where}: weight of unit {units[unit]}, period {periods[period]}: expected a number "
                       f"of 0 or more; found {weight[unit, period]}; fix the weight")
    return np.where(np.isfinite(weight), weight, 0.0)
