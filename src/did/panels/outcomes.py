"""Outcomes by unit and period: counts over a population, counts over counts, or rates combined with weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd

from did.areas import geography
from did.areas.area_audit import area_audit_of
from did.errors import DidError, listed
from did.panels import population
from did.panels.figures import Figures, matrices, refuse_absent, rows_of
from did.project.indicator import Counts, Indicator, Measure, Population, Rate
from did.project.paths import Paths
from did.readers.fingertips_csv import time_period
from did.store import tables

Observations = Mapping[str, pd.DataFrame]


def read(indicator: Indicator, paths: Paths) -> Observations:
    """Read the observations of an indicator's sources: the measures it uses, which are few of a source's.

    All of a source for what is said of it all: that a code of ``leave_out`` or a measure is not there.
    """
    wanted = _measures(indicator)
    found = {}
    for name in indicator.sources:
        path = paths.observations(name)
        only = {} if indicator.leave_out else {"measure": sorted(wanted[name])}
        found[name] = tables.read("observations", path, **only)
        if only and not wanted[name] <= set(found[name]["measure"].unique()):
            found[name] = tables.read("observations", path)
    return found


def _measures(indicator: Indicator) -> dict[str, set[str]]:
    """The measures that an indicator uses of each of its sources."""
    found: dict[str, set[str]] = {name: set() for name in indicator.sources}
    rate = [] if indicator.rate is None else [indicator.rate, indicator.rate.weights]
    for each in [*rate, indicator.numerator, *indicator.denominators.values(), indicator.residents]:
        if isinstance(each, Counts):
            for name in each.sources:
                found[name] |= set(each.measures)
        elif isinstance(each, Population):
            census = [each.census.measure, each.census.all_ages] if each.census else []
            found[each.source] |= {each.measure, each.all_ages, each.earlier, *census} - {None}
        elif isinstance(each, Measure):
            found[each.source].add(each.measure)
    return found


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of every unit and period, and what it is made of.

    units        (units,) sorted labels
    periods      (periods,) ISO texts
    outcome      (units, periods) numerator / weight x per, or the rate
    numerator    (units, periods) the count; missing for rates
    weight       (units, periods) the denominator, or the population that weighed a rate
    status       (units, periods) texts: how the denominator came about
    """

    units: pd.Index
    periods: pd.Index
    outcome: np.ndarray
    numerator: np.ndarray
    weight: np.ndarray
    status: np.ndarray

    def less(self, units: np.ndarray, periods: np.ndarray) -> Outcome:
        """Return the units where the (units,) mask is True, their outcomes missing where the (periods,) mask is."""
        outcome, numerator = (np.where(periods, np.nan, values[units]) for values in (self.outcome, self.numerator))
        return Outcome(self.units[units], self.periods, outcome, numerator, self.weight[units], self.status[units])

    def frame(self) -> pd.DataFrame:
        """Return a row per unit and period: unit, period, outcome, numerator, weight, denominator_status."""
        return pd.DataFrame({
            "unit": self.units.repeat(len(self.periods)),
            "period": self.periods.take(np.tile(np.arange(len(self.periods)), len(self.units))),
            "outcome": self.outcome.ravel(), "numerator": self.numerator.ravel(), "weight": self.weight.ravel(),
            "denominator_status": pd.array(self.status.ravel(), dtype="str")}, copy=False)


class Outcomes:
    """Outcomes of one indicator on any areas and periods; counts and populations that they share are made once."""

    def __init__(self, indicator: Indicator, observations: Observations) -> None:
        """``observations``: source -> its observations table."""
        self.indicator, self.observations = indicator, observations
        self._figures: dict[str, Figures] = {}
        self._made: dict[tuple, tuple[pd.Index, np.ndarray, Callable[[], pd.DataFrame], pd.DataFrame]] = {}
        self._people: dict[tuple[str, str], pd.DataFrame] = {}
        self._are_of_its_periods = False

    def outcome(self, denominator: str | None, areas, periods: pd.Index, where: str
                ) -> tuple[Outcome, Callable[[], pd.DataFrame]]:
        """Return the outcome of every unit and period, and what says what became of every area.

        ``periods``: ISO texts wanted. The second gives the area audit without indicator and specification.

        Raises DidError for a measure or period without figures, figures of another frequency, areas that do not add
        up to England, an unknown code, and a unit or period without a denominator.
        """
        indicator, observations = self.indicator, self.observations
        if not self._are_of_its_periods:
            _refuse_other_periods(indicator, observations, where)
            self._are_of_its_periods = True
        if indicator.rate is not None:
            return _rates(indicator.rate, observations, areas, periods, where)
        chosen = indicator.denominators[denominator]
        units, numerator, area_audit, alongside = self._counts("", indicator.numerator, areas, periods, where)
        inside = None
        if isinstance(chosen, Counts):
            of, counted, *_ = self._counts(denominator, chosen, areas, periods, where)
            weight = pd.DataFrame(counted, index=of).reindex(units).to_numpy()
            status = np.full(numerator.shape, "ok", dtype=object)
        else:
            years = periods.str[:4]
            people, made = population.by_year(
                chosen, lambda measure: self._by_year(chosen.source, measure, areas, where), sorted(set(years)), where)
            weight = people.reindex(units)[years].to_numpy()
            status = np.where(units.isin(people.index)[:, None], years.map(made).to_numpy(dtype=object), None)
            inside = people.index
        bare = np.argwhere(~(weight > 0) & ~np.isnan(numerator))
        if len(bare):
            unit, period = bare[0]
            raise DidError(f"{where}: unit {units[unit]} has no denominator in {periods[period]}; expected more than "
                           f"0; found {weight[unit, period]:g}; correct it, or mark the figure as missing")
        with np.errstate(divide="ignore", invalid="ignore"):   # of missing counts
            rate = numerator / weight * indicator.per
        outcome = Outcome(units, periods, rate, numerator, weight, status)
        return outcome, lambda: _with_aside(
            area_audit(), alongside, pd.DataFrame() if inside is None else _outside(inside, areas), outcome)

    def _counts(self, name: str, counts: Counts, areas, periods: pd.Index,
                where: str) -> tuple[pd.Index, np.ndarray, Callable[[], pd.DataFrame], pd.DataFrame]:
        key = (name, areas, *periods)
        if key not in self._made:
            if name not in self._figures:
                self._figures[name] = Figures(counts, self.observations, where)
            self._made[key] = self._figures[name].by_unit(areas, periods, where)
        return self._made[key]

    def _by_year(self, source: str, measure: str, areas, where: str) -> pd.DataFrame:
        """A measure of population by unit (rows) and year (columns); that of a unit is the same on any boundaries."""
        if (source, measure) not in self._people:
            table = self.observations[source]
            rows = table.loc[(table["measure"] == measure) & table["area_type"].isin(["lad", "county", "country"]),
                             ["area_code", "area_name", "area_type", "period", "value"]]
            if rows.empty:
                found = listed(sorted(table["measure"].unique()), 40)
                raise DidError(f"{where}: source {source} has no measure '{measure}'; found {found}")
            self._people[source, measure] = areas.population(rows, where).pivot(index="unit", columns="period",
                                                                                values="value")
        return self._people[source, measure]


def _outside(units: pd.Index, areas) -> pd.DataFrame:
    """Those of a population's ``units`` that are none of the panel's: area_code, area_name."""
    lost = units[~units.isin(areas.units["unit"])].to_series(index=None).reset_index(drop=True)
    names = areas.districts.set_index("lad_code")["lad_name"]
    return pd.DataFrame({"area_code": lost, "area_name": lost.map(names).fillna(lost)})


def _refuse_other_periods(indicator: Indicator, observations: Observations, where: str) -> None:
    """Raise DidError if the figures are of another frequency, or of financial years for calendar years or the
    opposite: both are written as one year, and would be taken for each other in silence."""
    wanted = [(name, each.measures if isinstance(each, Counts) else [each.measure])
              for each in indicator.figures for name in each.sources]
    for name, measures in wanted:
        rows = observations[name].loc[observations[name]["measure"].isin(measures)]
        other = rows.loc[rows["frequency"] != indicator.frequency]
        if len(other):
            raise DidError(f"{where}, source {name}: expected figures of frequency {indicator.frequency}, as the "
                           f"indicator says; found {other['frequency'].iloc[0]} ({other['period'].iloc[0]}); correct "
                           "'frequency' in one of them")
        if indicator.frequency != "Y":
            continue
        code, labels = pd.factorize(rows["period_published"])
        # The last is that of rows without a label.
        read = [_label(label) if label else ("", False, 1) for label in [*labels, ""]]
        financial, spans = (np.array(each)[code] for each in list(zip(*read, strict=True))[1:])
        elsewhere = pd.array([year for year, *_ in read], dtype="str").take(code) != rows["period"].array
        wrong = np.flatnonzero((spans != indicator.span) | ((spans > 1) & elsewhere))
        if len(wrong):
            row, span = rows.iloc[wrong[0]], spans[wrong[0]]
            raise DidError(f"{where}, source {name}: expected figures of {indicator.span} years each, named by the "
                           f"first; found {row.period} of {span} ({row.note or 'no other period as published'}); write "
                           f"'span: {span}' in the indicator, or choose other figures in the source")
        if financial.any() and indicator.years == "calendar":
            raise DidError(f"{where}, source {name}: expected calendar years; found financial years "
                           f"({rows.loc[financial, 'note'].iloc[0]}); write 'years: financial' in the indicator")
        if indicator.years == "financial":
            wrong = np.flatnonzero(~financial | elsewhere)
            if len(wrong):
                row = rows.iloc[wrong[0]]
                raise DidError(f"{where}, source {name}: expected financial years under the year in which they begin "
                               f"(2017/18 is 2017); found {row.period} {f'({row.note})' if row.note else ''}; read "
                               "them with 'frequency: FY', or write 'years: calendar' in the indicator")


def _label(text: str) -> tuple[str, bool, int]:
    """The first year of a period as published, whether its years are financial, and how many there are."""
    kind, year = time_period(text)
    return year, "financial" in kind, int(kind[0]) if kind.endswith("years") else 1


def _rates(rate: Rate, observations: Observations, areas, periods: pd.Index,
           where: str) -> tuple[Outcome, Callable[[], pd.DataFrame]]:
    """Rates by unit and period, combined with weights where areas merged."""
    rows = rows_of(observations[rate.source], rate.measure, f"{where}, source {rate.source}")
    rows = rows.loc[rows["period"].isin(periods)]
    refuse_absent(pd.Index(rows["period"].unique()), periods, where)
    weights = observations[rate.weights.source]
    weights = weights.loc[weights["measure"] == rate.weights.measure]
    aside = rows["area_type"].isin(geography.ASIDE)
    weights = _by_period(weights.loc[~weights["area_type"].isin(geography.ASIDE)], periods)
    moved, area_audit = areas.rates(rows.loc[~aside], weights, where)
    units, (values, weight, status) = matrices(moved, ["value", "weight", "status"], periods, where)
    outcome = Outcome(units, periods, values, np.full(values.shape, np.nan), weight, status)
    area_audit["reason"] += "; rate without counts" + (
        ", combined with population weights where areas merged" if rate.is_weighted else "")
    return outcome, partial(_with_aside, area_audit, rows.loc[aside], pd.DataFrame(), outcome)


def _by_period(weights: pd.DataFrame, periods: pd.Index) -> pd.DataFrame:
    """Yearly weights for months and quarters: each period takes its year's; other years stay to be the nearest."""
    within = pd.DataFrame({"within": [period for period in periods if len(period) > 4]})
    if within.empty:
        return weights
    yearly = weights.merge(within.assign(period=within["within"].str[:4]), on="period")
    return pd.concat([weights, yearly.assign(period=yearly["within"]).drop(columns="within")], ignore_index=True)


def _with_aside(kept: pd.DataFrame, alongside: pd.DataFrame, lost: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Every area of the sources, and what became of it."""
    reason = {"country": "England row: used to check, not a unit",
              "outside_england": "Residents of elsewhere treated in England: in the England row, in no authority",
              "left_out": "Left out by key 'leave_out' of the indicator",
              "unplaced_practice": "Practice that no file places in an area: left out"}
    aside = area_audit_of(alongside.assign(unit=None, reason=alongside["area_type"].map(reason).fillna(
        "Not an area of the target geography"))).assign(fate="set_aside")
    # Rates need the compensated sum that pandas makes.
    aside["total"] = alongside.groupby("area_code")["value"].sum().to_numpy()
    if "not_compared" in alongside:
        gaps = sorted(alongside.loc[alongside["not_compared"], "period"].unique())
        countries = alongside.loc[alongside["area_type"] == "country", "area_code"]
        aside["not_compared"] = aside["area_code"].isin(countries) & bool(gaps)
        words = f"; not compared in {listed(gaps, 6)}, where a figure is missing"
        aside["reason"] += pd.Series(words, index=aside.index).where(aside["not_compared"], "")
    frames = [kept, aside]
    if len(lost):
        frames.append(lost.assign(fate="excluded", unit=None, n_periods=0, total=float("nan"),
                                  reason="Population is published for it and counts are not"))
    area_audit = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    area_audit["not_compared"] = area_audit["not_compared"].eq(True) if "not_compared" in area_audit else False
    note = {"estimated": "estimated", "carried_forward": "that of the nearest year"}
    for status, words in note.items():
        of_this = outcome.status == status
        years = sorted(set(outcome.periods[of_this.any(axis=0)].str[:4]))
        if years:
            hit = area_audit["unit"].isin(outcome.units[of_this.any(axis=1)])
            area_audit.loc[hit, "reason"] += f"; denominator of {years[0]}" + (
                f" to {years[-1]}" if len(years) > 1 else "") + f" {words}"
    return area_audit.sort_values("area_code", ignore_index=True)
