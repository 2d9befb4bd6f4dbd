"""Observations of counts and population turned into a balanced panel of rates by unit and period."""

from __future__ import annotations

import pandas as pd

from did import geography, waves
from did.config import Denominator, Evaluation, Indicator, Reading, period
from did.errors import DidError


def build(indicator: Indicator, evaluation: Evaluation, reading_name: str,
          observations: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build the panel and lineage tables of one indicator under one reading.

    ``observations`` maps a source to its observations table. Returns the ``panel`` table (one row per unit
    and period; outcome = count / denominator x per) and the ``lineage`` table (one row per area
    of the sources). Counts are summed over areas and then divided; nothing is averaged.

    Raises DidError if a period of the window has no counts, an area is missing in some period, a code is
    unknown, the areas do not add up to England, or a unit has no system, wave or population.
    """
    reading = evaluation.readings[reading_name]
    where = f"indicator {indicator.id}, reading {reading_name}"
    areas = geography.load_areas(evaluation.reference)
    periods = _periods(indicator, reading)
    counts, beside = _counts(indicator, observations, periods, where)
    summed, lineage = geography.to_units(counts, areas, reading.boundaries, where)
    _complete(summed, periods, where)
    denominator = indicator.denominators[reading.denominator]
    population, outside = _population(denominator, observations, areas, periods, where)
    units = _units(evaluation, reading, areas, observations[denominator.source], denominator, where)
    panel = _assemble(indicator, reading_name, summed, population, units, where)
    lineage = _lineage(lineage, beside, outside, population, units.attrs["unused"],
                       areas.districts.set_index("lad_code")["lad_name"], indicator, reading_name)
    used = [observations[source] for source in observations_needed(indicator)]
    synthetic = any(bool(frame["is_synthetic"].any()) for frame in used)
    return panel.assign(is_synthetic=synthetic), lineage.assign(is_synthetic=synthetic)


def _periods(indicator: Indicator, reading: Reading) -> pd.PeriodIndex:
    window = indicator.windows[reading.window]
    first, last = (period(text, indicator.frequency, "window") for text in (window.first, window.last))
    return pd.period_range(first, last, freq=indicator.frequency)


def _counts(indicator: Indicator, observations: dict[str, pd.DataFrame], periods: pd.PeriodIndex,
            where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counts by authority, and rows that stand beside them (England, residents of elsewhere)."""
    frames = [observations[source].loc[observations[source]["measure"] == indicator.measure]
              for source in indicator.sources]
    for source, frame in zip(indicator.sources, frames, strict=True):
        if frame.empty:
            found = sorted(observations[source]["measure"].unique())
            raise DidError(f"{where}: source {source} has no measure '{indicator.measure}'; found {found}")
    joined = pd.concat(frames)
    joined = joined.loc[joined["period"].isin(periods.astype(str))]
    missing = sorted(set(periods.astype(str)) - set(joined["period"]))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DidError(f"{where}: expected counts for every period {periods[0]} to {periods[-1]}; none for "
                       f"{missing[0]}{more}; add the file to its source or choose another window")
    twice = joined.duplicated(["area_code", "period"])
    if twice.any():
        row = joined.loc[twice].iloc[0]
        raise DidError(f"{where}: {row.area_code} ({row.area_name}) in {row.period} is in more than one source "
                       f"({', '.join(indicator.sources)}); they must not overlap in time")
    aside = joined["area_type"].isin(["country", "outside_england"])
    counts, beside = joined.loc[~aside], joined.loc[aside]
    _reconcile(counts, beside, where)
    return counts, beside


def _reconcile(counts: pd.DataFrame, beside: pd.DataFrame, where: str) -> None:
    """Authorities must add up to the England row less residents of elsewhere, in periods that have one."""
    total = counts.groupby("period")["value"].sum()
    england = beside.loc[beside["area_type"] == "country"].set_index("period")["value"]
    elsewhere = beside.loc[beside["area_type"] == "outside_england"].groupby("period")["value"].sum()
    expected = england.sub(elsewhere, fill_value=0).loc[england.index]
    wrong = expected.index[(total.reindex(expected.index) - expected).abs() > 0.5]
    if len(wrong):
        first = wrong[0]
        raise DidError(f"{where}: authorities in {first} must add up to the England row less residents of "
                       f"elsewhere, {expected[first]:.0f}; found {total.get(first):.0f}")


def _complete(summed: pd.DataFrame, periods: pd.PeriodIndex, where: str) -> None:
    n_periods = summed.groupby("unit")["period"].nunique()
    short = n_periods.index[n_periods < len(periods)]
    if len(short):
        have = set(summed.loc[summed["unit"] == short[0], "period"])
        gap = next(str(p) for p in periods if str(p) not in have)
        raise DidError(f"{where}: unit {short[0]} has no count in {gap}; expected every period "
                       f"{periods[0]} to {periods[-1]} ({len(short)} units are incomplete)")


def _population(denominator: Denominator, observations: dict[str, pd.DataFrame], areas: geography.Areas,
                periods: pd.PeriodIndex, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Denominator by unit and calendar year, with how each year came about; and areas outside every unit.

    Years before the first of the measure are estimated: earlier all-age count x the unit's first-year share.
    Years after the last take the last year's value.
    """
    source = observations[denominator.source]
    people = geography.population_by_unit(_measure(source, denominator.measure, where), areas, where)
    wide = people.pivot(index="unit", columns="period", values="value")
    years = sorted({str(p.year) for p in periods})
    first, last = wide.columns.min(), wide.columns.max()
    status = dict.fromkeys(wide.columns, "ok")
    before = [year for year in years if year < first]
    if before:
        if denominator.earlier is None:
            raise DidError(f"{where}: no population before mid-{first}; expected one for {before[0]}; "
                           "give the key 'earlier' of the denominator or begin the window later")
        earlier = geography.population_by_unit(_measure(source, denominator.earlier, where), areas, where)
        earlier = earlier.pivot(index="unit", columns="period", values="value")
        everyone = geography.population_by_unit(_measure(source, denominator.all_ages, where), areas, where)
        share = wide[first] / everyone.pivot(index="unit", columns="period", values="value")[first]
        for year in before:
            if year not in earlier:
                raise DidError(f"{where}: measure {denominator.earlier} has no year {year}; "
                               "begin the window later")
            wide[year] = earlier[year] * share
            status[year] = "ok" if denominator.measure == denominator.all_ages else "estimated"
    for year in (year for year in years if year > last):
        wide[year] = wide[last]
        status[year] = "carried_forward"
    gap = [year for year in years if year not in wide]
    if gap:
        raise DidError(f"{where}: source {denominator.source} has no {denominator.measure} for mid-{gap[0]}; "
                       "add that year's file")
    known = set(areas.authorities["unit"])
    long = wide[years].rename_axis(columns="year").stack().rename("weight").reset_index()
    long["denominator_status"] = long["year"].map(status)
    inside = long["unit"].isin(known)
    return long.loc[inside], long.loc[~inside]


def _measure(source: pd.DataFrame, measure: str, where: str) -> pd.DataFrame:
    frame = source.loc[(source["measure"] == measure) & source["area_type"].isin(["lad", "country"])]
    if frame.empty:
        found = ", ".join(sorted(source["measure"].unique()))
        raise DidError(f"{where}: the denominator's source has no measure '{measure}'; found {found}")
    return frame


def _units(evaluation: Evaluation, reading: Reading, areas: geography.Areas, people: pd.DataFrame,
           denominator: Denominator, where: str) -> pd.DataFrame:
    """Attributes of every unit: name, region, system, wave, cohort, intensity, exposure, note."""
    onset = period(evaluation.waves.onset, "M", "waves.onset")
    last_year = str(onset.year - 1)
    residents = people.loc[(people["measure"] == denominator.all_ages) & (people["area_type"] == "lad")
                           & (people["period"] == last_year), ["area_code", "value"]]
    if residents.empty:
        raise DidError(f"{where}: no population by district for mid-{last_year}, the last before the onset; "
                       "expected it to weigh partly covered areas")
    members, unused = waves.membership(evaluation.waves, reading, areas, residents, evaluation.reference)
    units = areas.authorities.drop_duplicates("unit")[["unit", "unit_name", "region"]]
    units = units.merge(waves.systems(evaluation.waves, evaluation.reference)[["unit", "system"]], how="left")
    units = units.merge(members, on="unit", how="left", suffixes=("", "_listed"))
    units["system"] = units["system_listed"].fillna(units["system"])
    lost = units.loc[units["system"].isna()]
    if len(lost):
        raise DidError(f"{where}: unit {lost['unit'].iloc[0]} ({lost['unit_name'].iloc[0]}) has no system in "
                       f"{evaluation.waves.systems}; add it")
    treated = units["wave"].isin(evaluation.waves.treated_waves)
    units["cohort"] = pd.Series(str(onset), index=units.index, dtype="str").where(treated)
    units[["intensity", "exposure"]] = units[["intensity", "exposure"]].fillna(0.0)
    units["note"] = units["note"].fillna("")
    units.attrs["unused"] = unused
    return units.drop(columns="system_listed")


def _assemble(indicator: Indicator, reading_name: str, summed: pd.DataFrame, population: pd.DataFrame,
              units: pd.DataFrame, where: str) -> pd.DataFrame:
    panel = summed.rename(columns={"value": "numerator"})
    panel["year"] = panel["period"].str[:4]
    panel = panel.merge(population, on=["unit", "year"], how="left", validate="many_to_one")
    if not (panel["weight"] > 0).all():
        row = panel.loc[~(panel["weight"] > 0)].iloc[0]
        raise DidError(f"{where}: unit {row.unit} has no population for {row.year}; expected more than 0 people")
    panel = panel.merge(units, on="unit", how="left", validate="many_to_one")
    panel["outcome"] = panel["numerator"] / panel["weight"] * indicator.per
    panel["indicator"], panel["reading"] = indicator.id, reading_name
    panel["frequency"] = indicator.frequency
    panel["wave"] = panel["wave"].astype("Int64")
    return panel.sort_values(["unit", "period"], ignore_index=True).drop(columns=["year", "note"])


def _lineage(kept: pd.DataFrame, beside: pd.DataFrame, outside: pd.DataFrame, population: pd.DataFrame,
             unused: pd.DataFrame, names: pd.Series, indicator: Indicator, reading_name: str) -> pd.DataFrame:
    """Every area of the sources, and what became of it."""
    aside = (beside.groupby(["area_code", "area_type"], as_index=False)
             .agg(area_name=("area_name", "last"), n_periods=("period", "nunique"), total=("value", "sum")))
    reason = {"country": "England row: used to check that the areas add up, not a unit",
              "outside_england": "Residents of elsewhere treated in England: in the England row, in no authority"}
    aside = aside.assign(fate="set_aside", unit=None, reason=aside["area_type"].map(reason))
    lost = outside.drop_duplicates("unit")[["unit"]].rename(columns={"unit": "area_code"})
    lost = lost.assign(area_name=lost["area_code"].map(names).fillna(lost["area_code"]), fate="excluded", unit=None,
                       n_periods=0, total=float("nan"), reason="Population is published for it and counts are not")
    lineage = pd.concat([kept, aside.drop(columns="area_type"), lost], ignore_index=True)
    estimated = population.loc[population["denominator_status"] == "estimated", "year"].unique()
    carried = population.loc[population["denominator_status"] == "carried_forward", "year"].unique()
    notes = []
    if len(estimated):
        notes.append(f"denominator of {', '.join(estimated)} estimated from all-age counts")
    if len(carried):
        notes.append(f"denominator of {', '.join(carried)} is the last mid-year's")
    in_panel = lineage["fate"].isin(["kept", "merged"])
    if notes:
        lineage.loc[in_panel, "reason"] += "; " + "; ".join(notes)
    for row in unused.itertuples():
        lineage.loc[lineage["area_code"] == row.area_code, "reason"] += f"; not treated by {row.ics}: {row.reason}"
    lineage["indicator"], lineage["reading"] = indicator.id, reading_name
    return lineage.sort_values("area_code", ignore_index=True)


def observations_needed(indicator: Indicator) -> list[str]:
    """Sources an indicator's panel is built from: of its counts, then of its denominators, each once."""
    names = [*indicator.sources, *(choice.source for choice in indicator.denominators.values())]
    return list(dict.fromkeys(names))


