"""Who became treated, when, how strongly, and in which system: a membership table read under named rules."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from did.areas.chain_areas import ChainAreas
from did.areas.upper_tier import UpperTier
from did.errors import DidError, one_of
from did.project.config import Evaluation, Waves
from did.project.specification import Specification
from did.project.waves_table import read_table
from did.readers.reference import read_reference

MEMBERSHIP = ["wave", "ics", "system", "authority_as_printed", "kind", "area_code", "area_name",
              "partner_organisations", "coverage"]


class Listed(NamedTuple):
    """A row of a membership table: an area that a system of a wave has, and the share of its residents inside."""

    area_code: str
    area_name: str
    ics: str
    kind: str
    wave: int
    system: str
    unit: str
    partner_organisations: float
    share: float


def listed(waves: Waves, membership: str, areas: UpperTier | ChainAreas, geography: str,
           people: Callable[[], pd.DataFrame], folder: str | Path) -> list[Listed]:
    """Return the rows of the membership table of a geography, each with its unit and how much of it is inside.

    ``membership``: published, or one of the records. ``people`` gives district populations of the last mid-year before
    the onset (area_code, value), asked for where an area is only partly covered.

    Raises DidError for a wave or number of organisations that is not a number, an unknown area code, a
    partly covered area without listed districts, and a district without population.
    """
    folder = Path(folder)
    path = folder / _table(waves, membership, geography)
    table = read_reference(path, MEMBERSHIP, ["wave", "system", "area_code"])
    table["wave"] = _numbers(table, "wave", path).astype(int)
    table["partner_organisations"] = _numbers(table, "partner_organisations", path)
    unknown = table.loc[~table["area_code"].isin(areas.unit_of.index)]
    if len(unknown):
        row = unknown.iloc[0]
        raise DidError(f"{path}: area code '{row.area_code}' ({row.area_name}) is not an area of {geography} or "
                       "one that became part of it; correct the code")
    table["unit"] = table["area_code"].map(areas.unit_of)
    table["share"] = 1.0
    if (table["coverage"] == "part").any():
        table["share"] = _shares(table, areas, people(), folder / waves.partial_districts[geography])
    return [Listed(*row) for row in table[list(Listed._fields)].itertuples(index=False, name=None)]


def membership(rows: list[Listed], waves: Waves, specification: Specification
               ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Resolve the `listed` rows of a membership table to units under the rules of one specification.

    Returns three frames. The first, one row per unit named by the table: ``wave``
    (int), ``system`` (code of the listed system that holds most of the unit), ``intensity`` (partner
    organisations; 0 for waves that are not treated), ``exposure`` (1, or the share of residents inside under
    ``population_share``), ``note``. The second lists every row of the table that was not used, with its reason:
    area_code, area_name, ics, reason. The third, (unit, reason), lists units that joined a system in a month that is
    not known (``kind`` undated) and are in no other row: neither treated nor untreated.

    Rules: ``metropolitan`` expands metropolitan counties to their districts or leaves them unmatched;
    ``predecessors`` resolves members printed under a successor's name, or joins on the printed name only;
    ``partial`` takes a partly covered unit as treated if any part is inside, if most residents are, or by
    their share; ``overlap`` sets the intensity of a unit under two systems of one wave. A unit under two
    waves takes the earlier.
    """
    undated, rows = [row for row in rows if row.kind == "undated"], [row for row in rows if row.kind != "undated"]
    named = {row.unit for row in rows}
    unknown_date = {row.unit: f"Joined {row.ics} in a month that is not on the record"
                    for row in reversed(undated) if row.unit not in named}
    unused: list[tuple[Listed, str]] = []

    def without(leave: Callable[[Listed], bool], reason: str) -> list[Listed]:
        unused.extend((row, reason) for row in rows if leave(row))
        return [row for row in rows if not leave(row)]

    if specification.metropolitan == "unmatched":
        rows = without(lambda row: row.kind == "metropolitan county", "Specification metropolitan=unmatched: printed "
                       "as a metropolitan county, which is not an upper-tier authority")
    if specification.predecessors == "as_printed":
        rows = without(lambda row: row.kind == "ccg predecessor", "Specification predecessors=as_printed: the printed "
                       "name is of a successor that did not exist in the panel's year")
    inside: dict[tuple[str, int], float] = {}
    for row in {(row.unit, row.wave, row.system): row for row in reversed(rows)}.values():
        inside[row.unit, row.wave] = inside.get((row.unit, row.wave), 0.0) + row.share
    if specification.partial == "majority":
        rows = without(lambda row: inside[row.unit, row.wave] < 0.5, "Specification partial=majority: fewer than half "
                       "of residents are inside")
    earliest: dict[str, int] = {}
    for row in rows:
        earliest[row.unit] = min(row.wave, earliest.get(row.unit, row.wave))
    rows = without(lambda row: row.wave > earliest[row.unit], "The unit is already in an earlier wave")
    once = {(row.unit, row.system): row for row in reversed(rows)}
    ranked = sorted(once.values(), key=lambda row: (row.unit, -row.share, row.system))
    members = [_resolve(list(group), inside[unit, earliest[unit]], waves, specification)
               for unit, group in groupby(ranked, key=lambda row: row.unit)]
    return (pd.DataFrame(members, columns=["unit", "wave", "system", "intensity", "exposure", "note"]),
            pd.DataFrame([(row.area_code, row.area_name, row.ics, reason) for row, reason in unused],
                         columns=["area_code", "area_name", "ics", "reason"], dtype="str"),
            pd.DataFrame({"unit": list(unknown_date), "reason": list(unknown_date.values())}, dtype="str"))


def _table(waves: Waves, membership: str, geography: str) -> str:
    """File name of the membership table of a geography, as published or of a record."""
    if membership == "published":
        return waves.membership[geography]
    one_of("specification: membership", membership, ["published", *waves.records])
    return waves.records[membership][geography]


def _numbers(table: pd.DataFrame, column: str, path: Path) -> pd.Series:
    values = pd.to_numeric(table[column].replace("", None), errors="coerce")
    wrong = values.isna() & (table[column] != "")
    if wrong.any():
        row = table.loc[wrong].iloc[0]
        raise DidError(f"{path}: column '{column}' of {row.area_name} must be a number; found '{row[column]}'")
    return values


def _shares(table: pd.DataFrame, areas: UpperTier, people: pd.DataFrame, path: Path) -> pd.Series:
    """Share of each row's area that lies in its system: 1 for whole areas, by listed districts for parts."""
    parts = read_reference(path, ["system", "area_code", "lad_code"], ["system", "lad_code"])
    residents = people.set_index("area_code")["value"]
    parent = areas.districts.set_index("lad_code")["area_code"]
    totals = residents.groupby(residents.index.map(parent)).sum()
    listed_in = parts.groupby(["system", "area_code"])["lad_code"].agg(list).to_dict()
    residents = residents.to_dict()
    shares = pd.Series(1.0, index=table.index)
    for row in table.loc[table["coverage"] == "part"].itertuples():
        inside = listed_in.get((row.system, row.area_code))
        if inside is None:
            raise DidError(f"{path}: expected the districts of {row.area_name} that are in {row.ics} "
                           f"({row.system}); found none; list them")
        missing = sorted(set(inside) - set(residents))
        if missing:
            raise DidError(f"{path}: district '{missing[0]}' of {row.area_name} has no population in the last "
                           "mid-year before the onset; expected a district code of that year")
        shares[row.Index] = sum(residents[code] for code in inside) / totals[row.area_code]
    return shares


def _resolve(rows: list[Listed], inside: float, waves: Waves, specification: Specification) -> tuple:
    """One unit's wave, system, intensity and exposure from the rows that name it, the largest share first."""
    unit, wave = rows[0].unit, rows[0].wave
    treated = wave in waves.treated_waves
    organisations = [0.0 if pd.isna(row.partner_organisations) else row.partner_organisations for row in rows]
    rule = {"larger_share": organisations[0], "min": min(organisations), "max": max(organisations),
            "mean": sum(organisations) / len(organisations)}
    exposure = min(inside, 1.0) if specification.partial == "population_share" else 1.0
    notes = []
    if any(row.share < 1 for row in rows):
        notes.append("Partly in " + " and ".join(f"{row.ics} ({row.share:.0%} of residents)" for row in rows))
    if len(rows) > 1:
        notes.append(f"intensity by rule overlap={specification.overlap}")
    intensity = float(rule[specification.overlap]) * exposure if treated else 0.0
    return unit, wave, rows[0].system, intensity, exposure if treated else 0.0, "; ".join(notes)


def systems(evaluation: Evaluation, geography: str) -> pd.DataFrame:
    """System of every unit whether or not the membership table names it: unit, system, system_name, and region if
    the table has it. Raises DidError for a missing table or a unit listed twice.
    """
    if evaluation.waves.table is not None:
        table = read_table(evaluation)
        return table.assign(system_name=table["unit_name"].where(table["system"] == table["unit"], table["system"]))
    path = Path(evaluation.reference) / evaluation.waves.systems[geography]
    return read_reference(path, ["unit", "system", "system_name"], ["unit"])
