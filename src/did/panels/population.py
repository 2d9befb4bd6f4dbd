"""Population of units in the years of a panel: as published, carried forward, or estimated for earlier years."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from did.errors import DidError
from did.project.indicator import Population


def by_year(population: Population, wide: Callable[[str], pd.DataFrame], years: list[str], where: str
            ) -> tuple[pd.DataFrame, dict[str, str]]:
    """Population by unit and the wanted calendar ``years``, and how each year came about.

    ``wide`` gives a measure by unit and year. Years before the first of the measure are estimated (_earlier). Years
    after the last take the last year's value.
    """
    people = wide(population.measure).copy()
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
    return people[years], status


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
