"""Observations turned into a panel: outcome by unit and period, with system, wave, cohort and dose."""

from __future__ import annotations

import pandas as pd

from did import geography, waves
from did.config import Evaluation, Indicator, Population, Reading, period
from did.errors import DidError
from did.outcomes import Observations, outcome


def build_all(indicator: Indicator, evaluation: Evaluation,
              observations: Observations) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build the panel and lineage tables of one indicator under every reading that concerns it.

    As `build`, the readings below one another. What readings share is made once.
    """
    areas: dict[str, geography.UpperTier | geography.ChainAreas] = {}
    outcomes: dict[tuple, tuple[pd.DataFrame, pd.DataFrame]] = {}
    built = [_build(indicator, evaluation, name, observations, areas, outcomes)
             for name in evaluation.readings_of(indicator)]
    return (pd.concat([panel for panel, _ in built], ignore_index=True),
            pd.concat([lineage for _, lineage in built], ignore_index=True))


def build(indicator: Indicator, evaluation: Evaluation, reading_name: str,
          observations: Observations) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build the panel and lineage tables of one indicator under one reading.

    ``observations`` maps a source to its observations table. Returns the ``panel`` table (one row per unit
    and period) and the ``lineage`` table (one row per area of the sources). Counts are summed over areas and
    then divided; only a rate without counts is averaged, with weights.

    Raises DidError if a period of the window has no figures, an area is missing in some period, a code is
    unknown, the areas do not add up to England, or a unit has no system, wave or denominator.
    """
    return _build(indicator, evaluation, reading_name, observations, {}, {})


def _build(indicator: Indicator, evaluation: Evaluation, reading_name: str, observations: Observations,
           known_areas: dict, known_outcomes: dict) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`build`, looking up areas and outcomes that an earlier reading has made, and keeping its own."""
    reading = evaluation.readings[reading_name]
    where = f"indicator {indicator.id}, reading {reading_name}"
    if reading.boundaries not in known_areas:
        known_areas[reading.boundaries] = geography.load(indicator.geography, evaluation.reference, reading.boundaries)
    areas = known_areas[reading.boundaries]
    denominator = indicator.denominator_name(reading)
    key = (reading.window, reading.boundaries, denominator)
    periods = _periods(indicator, reading)
    if key not in known_outcomes:
        known_outcomes[key] = outcome(indicator, denominator, observations, areas, periods, where)
    panel, lineage = (frame.copy() for frame in known_outcomes[key])
    units, unused = _units(indicator, evaluation, reading, areas, observations, where)
    panel.loc[panel["period"].isin(reading.drop_periods), ["outcome", "numerator"]] = float("nan")
    panel = panel.merge(units, on="unit", how="left", validate="many_to_one")
    for row in unused.itertuples():
        lineage.loc[lineage["area_code"] == row.area_code, "reason"] += f"; not treated by {row.ics}: {row.reason}"
    used = [observations[source] for source in observations_needed(indicator)]
    keys = {"indicator": indicator.id, "reading": reading_name,
            "is_synthetic": any(bool(frame["is_synthetic"].any()) for frame in used)}
    panel = panel.sort_values(["unit", "period"], ignore_index=True)
    return (panel.assign(frequency=indicator.frequency, **keys),
            lineage.sort_values("area_code", ignore_index=True).assign(**keys))


def observations_needed(indicator: Indicator) -> list[str]:
    """Sources an indicator's panel is built from: of its figures, then of its denominators, each once."""
    if indicator.rate is not None:
        return [indicator.rate.source, indicator.rate.weights.source]
    names = list(indicator.numerator.sources)
    for choice in indicator.denominators.values():
        names += [choice.source] if isinstance(choice, Population) else choice.sources
    return list(dict.fromkeys(names))


def _periods(indicator: Indicator, reading: Reading) -> pd.Index:
    window = indicator.windows[reading.window]
    first, last = (period(text, indicator.frequency, "window") for text in (window.first, window.last))
    wanted = pd.period_range(first, last, freq=indicator.frequency).astype(str)
    strange = sorted(set(reading.drop_periods) - set(wanted))
    if strange:
        raise DidError(f"indicator {indicator.id}: key 'drop_periods' of a reading must name periods {wanted[0]} to "
                       f"{wanted[-1]}; found '{strange[0]}'")
    return wanted


def _units(indicator: Indicator, evaluation: Evaluation, reading: Reading, areas, observations: Observations,
           where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Attributes of every unit (name, region, system, wave, cohort, intensity, exposure), and the rows of the
    membership table that were not used."""
    people = None
    denominator = indicator.denominators.get(indicator.denominator_name(reading))
    if isinstance(denominator, Population):
        people = _residents(denominator, evaluation, observations, where)
    members, unused = waves.membership(evaluation.waves, reading, areas, indicator.geography, people,
                                       evaluation.reference)
    systems = waves.systems(evaluation.waves, indicator.geography, evaluation.reference)
    columns = ["unit", "system"] if "region" in areas.units else ["unit", "system", "region"]
    units = areas.units.merge(systems[columns], on="unit", how="left")
    units = units.merge(members.drop(columns="note"), on="unit", how="left", suffixes=("", "_listed"))
    units["system"] = units["system_listed"].fillna(units["system"])
    lost = units.loc[units["system"].isna()]
    if len(lost):
        raise DidError(f"{where}: unit {lost['unit'].iloc[0]} ({lost['unit_name'].iloc[0]}) has no system in "
                       f"{evaluation.waves.systems[indicator.geography]}; add it")
    units["cohort"] = units["wave"].map(_first_periods(indicator, evaluation, reading)).astype("str")
    units[["intensity", "exposure"]] = units[["intensity", "exposure"]].fillna(0.0)
    # A wave that the membership rules leave untreated has no exposure of its own; treated by date, it has all.
    units["exposure"] = units["exposure"].where(units["cohort"].isna() | (units["exposure"] > 0), 1.0)
    units["wave"] = units["wave"].astype("Int64")
    return units.drop(columns="system_listed"), unused


def _first_periods(indicator: Indicator, evaluation: Evaluation, reading: Reading) -> dict[int, str]:
    """First treated period of each wave that is treated within the window, under a reading."""
    months = dict.fromkeys(evaluation.waves.treated_waves, evaluation.waves.onset)
    if reading.cohorts == "by_wave":
        months = evaluation.waves.onsets
    last = period(indicator.windows[reading.window].last, indicator.frequency, "window")
    return {wave: str(onset) for wave, month in months.items() if (onset := indicator.onset(month)) <= last}


def _residents(population: Population, evaluation: Evaluation, observations: Observations,
               where: str) -> pd.DataFrame:
    """District populations (area_code, value) of the last mid-year before the onset."""
    year = str(period(evaluation.waves.onset, "M", "waves.onset").year - 1)
    source = observations[population.source]
    rows = source.loc[(source["measure"] == population.all_ages) & (source["area_type"] == "lad")
                      & (source["period"] == year), ["area_code", "value"]]
    if rows.empty:
        raise DidError(f"{where}: no population by district for mid-{year}, the last before the onset; "
                       "expected it to weigh partly covered areas")
    return rows
