"""Outcomes by unit and period: counts over a population, counts over counts, or rates combined with weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from did.areas import geography
from did.errors import DidError, listed
from did.project.indicator import Counts, Indicator, Population, Rate
from did.readers.fingertips_csv import time_period

Observations = Mapping[str, pd.DataFrame]
COLUMNS = ["unit", "period", "outcome", "numerator", "weight", "denominator_status"]


class Outcomes:
    """Outcomes of one indicator on any areas and periods; counts and populations that they share are made once."""

    def __init__(self, indicator: Indicator, observations: Observations) -> None:
        """``observations``: source -> its observations table."""
        self.indicator, self.observations = indicator, observations
        self._made: dict[tuple, tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]] = {}
        self._people: dict[tuple, pd.DataFrame] = {}

    def outcome(self, denominator: str | None, areas, periods: pd.Index,
                where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the outcome of every unit and period, and what became of every area.

        ``periods``: ISO texts wanted. The first frame has unit, period, outcome (numerator / weight x per),
        numerator (the count; missing for rates), weight (the denominator, or the population that weighed a
        rate) and denominator_status. The second is the area audit without indicator and specification.

        Raises DidError for a measure or period without figures, figures of another frequency, areas that do not add
        up to England, an unknown code, and a unit or period without a denominator.
        """
        indicator, observations = self.indicator, self.observations
        _refuse_other_periods(indicator, observations, where)
        if indicator.rate is not None:
            return _rates(indicator.rate, observations, areas, periods, where)
        chosen = indicator.denominators[denominator]
        numerator, area_audit, alongside = self._counts("", indicator.numerator, areas, periods, where)
        numerator = numerator.rename(columns={"value": "numerator"})
        if isinstance(chosen, Counts):
            summed, *_ = self._counts(denominator, chosen, areas, periods, where)
            panel = numerator.merge(summed.rename(columns={"value": "weight"}), on=["unit", "period"], how="left",
                                    validate="one_to_one").assign(denominator_status="ok")
            lost = pd.DataFrame()
        else:
            people, lost = _population(chosen, lambda measure: self._by_year(chosen.source, measure, areas, where),
                                       areas, periods, where)
            panel = numerator.assign(year=numerator["period"].str[:4]).merge(people, on=["unit", "year"], how="left",
                                                                             validate="many_to_one")
        bare = panel.loc[~(panel["weight"] > 0) & panel["numerator"].notna()]
        if len(bare):
            row = bare.iloc[0]
            raise DidError(f"{where}: unit {row.unit} has no denominator in {row.period}; expected more than 0; "
                           f"found {row.weight:g}; correct it, or mark the figure as missing")
        panel["outcome"] = panel["numerator"] / panel["weight"] * indicator.per
        return panel[COLUMNS], _with_aside(area_audit, alongside, lost, panel)

    def _counts(self, name: str, counts: Counts, areas, periods: pd.Index,
                where: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        key = (name, areas, *periods)
        if key not in self._made:
            self._made[key] = _counts(counts, self.observations, areas, periods, where)
        return self._made[key]

    def _by_year(self, source: str, measure: str, areas, where: str) -> pd.DataFrame:
        """A measure of population by unit (rows) and year (columns)."""
        key = (source, measure, areas)
        if key not in self._people:
            table = self.observations[source]
            rows = table.loc[(table["measure"] == measure) & table["area_type"].isin(["lad", "county", "country"])]
            if rows.empty:
                found = listed(sorted(table["measure"].unique()), 40)
                raise DidError(f"{where}: source {source} has no measure '{measure}'; found {found}")
            self._people[key] = areas.population(rows, where).pivot(index="unit", columns="period", values="value")
        return self._people[key]


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
        labels = rows["period_published"].where(rows["period_published"] != "")
        read = {label: _label(label) for label in labels.dropna().unique()}
        years = labels.map({label: year for label, (year, _, _) in read.items()})
        financial = labels.map({label: financial for label, (_, financial, _) in read.items()}).eq(True)
        spans = labels.map({label: span for label, (_, _, span) in read.items()}).fillna(1)
        wrong = rows.loc[(spans != indicator.span) | ((spans > 1) & (years != rows["period"]))]
        if len(wrong):
            row, span = wrong.iloc[0], int(spans[wrong.index[0]])
            raise DidError(f"{where}, source {name}: expected figures of {indicator.span} years each, named by the "
                           f"first; found {row.period} of {span} ({row.note or 'no other period as published'}); write "
                           f"'span: {span}' in the indicator, or choose other figures in the source")
        if financial.any() and indicator.years == "calendar":
            raise DidError(f"{where}, source {name}: expected calendar years; found financial years "
                           f"({rows.loc[financial, 'note'].iloc[0]}); write 'years: financial' in the indicator")
        if indicator.years == "financial":
            wrong = rows.loc[~financial | (years != rows["period"])]
            if len(wrong):
                row = wrong.iloc[0]
                raise DidError(f"{where}, source {name}: expected financial years under the year in which they begin "
                               f"(2017/18 is 2017); found {row.period} {f'({row.note})' if row.note else ''}; read "
                               "them with 'frequency: FY', or write 'years: calendar' in the indicator")


def _label(text: str) -> tuple[str, bool, int]:
    """The first year of a period as published, whether its years are financial, and how many there are."""
    kind, year = time_period(text)
    return year, "financial" in kind, int(kind[0]) if kind.endswith("years") else 1


def select(source: pd.DataFrame, measure: str, periods: pd.Index, where: str) -> pd.DataFrame:
    """Observations of one measure in the wanted periods; DidError if there is no such measure."""
    rows = source.loc[source["measure"] == measure]
    if rows.empty:
        found = listed(sorted(source["measure"].unique()), 40)
        raise DidError(f"{where}: expected the measure '{measure}'; found {found}")
    return rows.loc[rows["period"].isin(periods)]


def _counts(counts: Counts, observations: Observations, areas, periods: pd.Index,
            where: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Counts by unit and period, their area_audit, and the rows that stand alongside areas (England, elsewhere)."""
    parts = [select(observations[source], measure, periods, f"{where}, source {source}")
             for source in counts.sources for measure in counts.measures]
    joined = pd.concat(parts)
    _every_period(joined, periods, where)
    twice = joined.duplicated(["area_code", "period", "measure"])
    if twice.any():
        row = joined.loc[twice].iloc[0]
        raise DidError(f"{where}: {row.area_code} ({row.area_name}) in {row.period} is in more than one source "
                       f"({', '.join(counts.sources)}); they must not overlap in time")
    _refuse_negative(joined, where)
    if len(counts.measures) > 1:
        keys = ["area_code", "period", "area_type"]
        groups = joined.groupby(keys)
        joined = pd.concat([groups["area_name"].last(), groups["value"].sum(skipna=False)], axis=1).reset_index()
    aside = joined["area_type"].isin(geography.ASIDE)
    inside, alongside = joined.loc[~aside], joined.loc[aside]
    summed, area_audit = areas.counts(inside, where)
    gaps = _reconcile(inside, alongside, where)
    alongside = alongside.assign(not_compared=alongside["period"].isin(gaps) & alongside["area_type"].eq("country"))
    _complete(summed, periods, where)
    return summed, area_audit, alongside


def _refuse_negative(joined: pd.DataFrame, where: str) -> None:
    negative = joined.loc[joined["value"] < 0]
    if len(negative):
        row = negative.iloc[0]
        raise DidError(f"{where}, source {row.source}, file {row.file}: expected {row.measure} of at least 0, because "
                       f"it is a count; found {row.value:g} for {row.area_code} ({row.area_name}) in {row.period}; "
                       "correct it, or list it under the source's option 'suppressed' or 'missing' if it is a mark")


def _every_period(joined: pd.DataFrame, periods: pd.Index, where: str) -> None:
    missing = sorted(set(periods) - set(joined["period"].unique()))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DidError(f"{where}: expected figures for every period {min(periods)} to {max(periods)}; none for "
                       f"{missing[0]}{more}; add the file to its source or choose another window")


def _reconcile(inside: pd.DataFrame, alongside: pd.DataFrame, where: str) -> list[str]:
    """Areas must add up to the England row less residents of elsewhere, in periods that have one; return the periods in
    which a figure is missing, so that nothing can be compared."""
    england = alongside.loc[alongside["area_type"] == "country"].set_index("period")["value"]
    if england.empty:
        return []
    total = inside.groupby("period")["value"].sum()
    elsewhere = alongside.loc[alongside["area_type"] == "outside_england"].groupby("period")["value"].sum(skipna=False)
    expected = england.sub(elsewhere, fill_value=0).loc[england.index]
    gaps = set(inside.loc[inside["value"].isna(), "period"]) | set(expected.index[expected.isna()])
    wrong = [period for period in expected.index if period not in gaps
             and abs(total.get(period, float("nan")) - expected[period]) > 0.5]
    if wrong:
        first = wrong[0]
        raise DidError(f"{where}: areas in {first} must add up to the England row less residents of elsewhere, "
                       f"{expected[first]:.0f}; found {total.get(first):.0f}; correct the figures, or leave the "
                       "England row out (its code under key 'leave_out' of the indicator) if it covers more")
    return sorted(gaps & set(expected.index))


def _complete(summed: pd.DataFrame, periods: pd.Index, where: str) -> None:
    n_periods = summed.groupby("unit")["period"].nunique()
    short = n_periods.index[n_periods < len(periods)]
    if len(short):
        have = set(summed.loc[summed["unit"] == short[0], "period"])
        gap = next(period for period in sorted(periods) if period not in have)
        raise DidError(f"{where}: unit {short[0]} has no figure in {gap}; expected every period "
                       f"{min(periods)} to {max(periods)} ({len(short)} units are not complete); add the row, with a "
                       "mark of missing where there is no figure, or choose another window")


def _population(population: Population, wide: Callable[[str], pd.DataFrame], areas, periods: pd.Index,
                where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Population by unit and calendar year, with how each year came about; and areas outside every unit.

    ``wide`` gives a measure by unit and year. Years before the first of the measure are estimated (_earlier). Years
    after the last take the last year's value.
    """
    people = wide(population.measure).copy()
    years = sorted({period[:4] for period in periods})
    first, last = people.columns.min(), people.columns.max()
    status = dict.fromkeys(people.columns, "ok")
    for year in (year for year in years if year < first):
        people[year] = _earlier(population, wide, year, first, where)
        status[year] = "ok" if population.measure == population.all_ages else "estimated"
    for year in (year for year in years if year > last):
        people[year] = people[last]
        status[year] = "carried_forward"
    gap = [year for year in years if year not in people]
    if gap:
        raise DidError(f"{where}: source {population.source} has no {population.measure} for mid-{gap[0]}; "
                       "add that year's file")
    long = people[years].rename_axis(columns="year").stack().rename("weight").reset_index()
    long["denominator_status"] = long["year"].map(status)
    inside = long["unit"].isin(areas.units["unit"])
    lost = long.loc[~inside].drop_duplicates("unit")[["unit"]].rename(columns={"unit": "area_code"})
    names = areas.districts.set_index("lad_code")["lad_name"]
    lost["area_name"] = lost["area_code"].map(names).fillna(lost["area_code"])
    return long.loc[inside], lost


def _earlier(population: Population, wide: Callable[[str], pd.DataFrame], year: str, first: str,
             where: str) -> pd.Series:
    """People of each unit at mid-``year``, before the ``first`` of the measure: the earlier all-age count, times the
    share of it that the measure is, on the line between the share on Census day and that of the first mid-year.

    ``wide`` gives a measure by unit and year.
    """
    if population.earlier is None:
        raise DidError(f"{where}: no population before mid-{first}; expected one for {year}; "
                       "give the key 'earlier' of the denominator or begin the window later")
    everyone = wide(population.earlier)
    if year not in everyone:
        raise DidError(f"{where}: measure {population.earlier} has no year {year}; begin the window later")
    census = population.census
    if census is None:
        return everyone[year]
    begin, middle, end = census.time, int(year) + 0.5, int(first) + 0.5
    counted = str(int(begin))
    if not begin <= middle:
        raise DidError(f"{where}: expected a year after the Census of {begin:g}, whose share by age is used; found "
                       f"mid-{year}; begin the window later")
    part, whole = wide(census.measure), wide(census.all_ages)
    if counted not in part or counted not in whole:
        raise DidError(f"{where}: expected {census.measure} and {census.all_ages} of {counted}, as key 'time' of "
                       f"'census' says; found {', '.join(part.columns)}; correct it")
    then = part[counted] / whole[counted]
    later = wide(population.measure)[first] / wide(population.all_ages)[first]
    weight = (middle - begin) / (end - begin)
    return everyone[year] * ((1 - weight) * then + weight * later)


def _rates(rate: Rate, observations: Observations, areas, periods: pd.Index,
           where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rates by unit and period, combined with weights where areas merged."""
    rows = select(observations[rate.source], rate.measure, periods, f"{where}, source {rate.source}")
    _every_period(rows, periods, where)
    weights = observations[rate.weights.source]
    weights = weights.loc[weights["measure"] == rate.weights.measure]
    aside = rows["area_type"].isin(geography.ASIDE)
    weights = _by_period(weights.loc[~weights["area_type"].isin(geography.ASIDE)], periods)
    moved, area_audit = areas.rates(rows.loc[~aside], weights, where)
    _complete(moved, periods, where)
    panel = moved.rename(columns={"value": "outcome", "status": "denominator_status"}).assign(numerator=float("nan"))
    area_audit["reason"] += "; rate without counts" + (
        ", combined with population weights where areas merged" if rate.is_weighted else "")
    return panel[COLUMNS], _with_aside(area_audit, rows.loc[aside], pd.DataFrame(), panel)


def _by_period(weights: pd.DataFrame, periods: pd.Index) -> pd.DataFrame:
    """Yearly weights for months and quarters: each period takes its year's; other years stay to be the nearest."""
    within = pd.DataFrame({"within": [period for period in periods if len(period) > 4]})
    if within.empty:
        return weights
    yearly = weights.merge(within.assign(period=within["within"].str[:4]), on="period")
    return pd.concat([weights, yearly.assign(period=yearly["within"]).drop(columns="within")], ignore_index=True)


def _with_aside(kept: pd.DataFrame, alongside: pd.DataFrame, lost: pd.DataFrame, panel: pd.DataFrame) -> pd.DataFrame:
    """Every area of the sources, and what became of it."""
    aside = (alongside.groupby(["area_code", "area_type"], as_index=False)
             .agg(area_name=("area_name", "last"), n_periods=("period", "nunique"), total=("value", "sum")))
    reason = {"country": "England row: used to check, not a unit",
              "outside_england": "Residents of elsewhere treated in England: in the England row, in no authority",
              "left_out": "Left out by key 'leave_out' of the indicator",
              "unplaced_practice": "Practice that no file places in an area: left out"}
    aside = aside.assign(fate="set_aside", unit=None,
                         reason=aside["area_type"].map(reason).fillna("Not an area of the target geography"))
    if "not_compared" in alongside:
        gaps = sorted(alongside.loc[alongside["not_compared"], "period"].unique())
        aside["not_compared"] = (aside["area_type"] == "country") & bool(gaps)
        words = f"; not compared in {listed(gaps, 6)}, where a figure is missing"
        aside["reason"] += pd.Series(words, index=aside.index).where(aside["not_compared"], "")
    frames = [kept, aside.drop(columns="area_type")]
    if len(lost):
        frames.append(lost.assign(fate="excluded", unit=None, n_periods=0, total=float("nan"),
                                  reason="Population is published for it and counts are not"))
    area_audit = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    area_audit["not_compared"] = area_audit["not_compared"].eq(True) if "not_compared" in area_audit else False
    note = {"estimated": "estimated", "carried_forward": "that of the nearest year"}
    for status, words in note.items():
        years = sorted({period[:4] for period in panel.loc[panel["denominator_status"] == status, "period"]})
        if years:
            units = set(panel.loc[panel["denominator_status"] == status, "unit"])
            hit = area_audit["unit"].isin(units)
            area_audit.loc[hit, "reason"] += f"; denominator of {years[0]}" + (
                f" to {years[-1]}" if len(years) > 1 else "") + f" {words}"
    return area_audit
