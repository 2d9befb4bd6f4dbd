"""Areas and their changes: reference tables, and counts moved to areas whose boundaries stay the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from did.errors import DidError

ENGLAND = "E92000001"


@dataclass(frozen=True)
class Areas:
    """Reference tables of upper-tier local authorities.

    ``authorities``: one row per area code of any date, with the stable ``unit`` it belongs to.
    ``districts``: one row per lower-tier or unitary code of any date, with the upper-tier ``area_code``.
    """

    authorities: pd.DataFrame
    districts: pd.DataFrame


def read_reference(path: str | Path, columns: list[str], key: list[str]) -> pd.DataFrame:
    """Read a reference CSV as text (an empty cell is ""), and check its columns and that ``key`` is unique.

    Raises DidError for a missing file, a missing column or a key that occurs twice.
    """
    path = Path(path)
    if not path.is_file():
        raise DidError(f"{path}: expected a reference table; found no file; restore it")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DidError(f"{path}: expected columns {columns}; missing {missing}; found {list(frame.columns)}")
    twice = frame.loc[frame.duplicated(key), key]
    if len(twice):
        raise DidError(f"{path}: {', '.join(key)} must be unique; found {twice.iloc[0].tolist()} twice")
    return frame


def load_areas(folder: str | Path) -> Areas:
    """Read ``upper_tier_authorities.csv`` and ``local_authorities.csv`` from the reference ``folder``.

    Raises DidError for a missing table, column or a code listed twice (a code cannot lie in two units).
    Sources: ONS code history and lower-tier to upper-tier look-ups of 2016 and 2019.
    """
    folder = Path(folder)
    authorities = read_reference(folder / "upper_tier_authorities.csv",
                                 ["area_code", "area_name", "unit", "unit_name", "region", "change"],
                                 ["area_code"])
    districts = read_reference(folder / "local_authorities.csv", ["lad_code", "lad_name", "area_code"],
                               ["lad_code"])
    return Areas(authorities=authorities, districts=districts)


def to_units(counts: pd.DataFrame, areas: Areas, boundaries: str, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sum counts by area to counts by stable unit.

    ``counts``: area_code, area_name, period, value (counts; no missing values), one row per area and
    period. ``boundaries`` is ``merged`` (areas that exchanged residents become one unit) or ``dropped``
    (such units are left out). Returns (unit, period, value) and the lineage (area_code, area_name, fate,
    unit, n_periods, total, reason), one row per area. England's total is preserved when merging.

    Raises DidError for a code that the reference does not know, or a missing count; ``where`` names the
    indicator and reading.
    """
    known = areas.authorities.set_index("area_code")
    unknown = sorted(set(counts["area_code"]) - set(known.index))
    if unknown:
        row = counts.loc[counts["area_code"] == unknown[0]].iloc[0]
        raise DidError(f"{where}: area code '{unknown[0]}' ({row.area_name}, {row.period}) is not an upper-tier "
                       "authority in upper_tier_authorities.csv; add it there with the unit it belongs to")
    gaps = counts.loc[counts["value"].isna()]
    if len(gaps):
        row = gaps.iloc[0]
        raise DidError(f"{where}: expected a count for {row.area_code} ({row.area_name}) in {row.period}; "
                       f"found none ({len(gaps)} missing in all); a missing count is not zero")
    placed = counts.assign(unit=counts["area_code"].map(known["unit"]))
    codes_of = known.groupby("unit").apply(lambda group: set(group["area_name"]), include_groups=False)
    reorganised = {unit for unit, names in codes_of.items() if len(names) > 1}
    lineage = (placed.groupby("area_code", as_index=False)
               .agg(area_name=("area_name", "last"), unit=("unit", "first"),
                    n_periods=("period", "nunique"), total=("value", "sum")))
    moved = lineage["unit"].isin(reorganised)
    change = lineage["area_code"].map(known["change"])
    lineage["fate"] = "kept"
    lineage["reason"] = change.where(change != "", "Same boundary throughout")
    if boundaries == "dropped":
        lineage.loc[moved, "fate"] = "excluded"
        lineage.loc[moved, "reason"] = "Reading boundaries=dropped. " + change[moved]
        lineage["unit"] = lineage["unit"].where(~moved)
        placed = placed.loc[~placed["unit"].isin(reorganised)]
    else:
        lineage.loc[moved, "fate"] = "merged"
    summed = placed.groupby(["unit", "period"], as_index=False)["value"].sum()
    return summed, lineage


def population_by_unit(population: pd.DataFrame, areas: Areas, where: str) -> pd.DataFrame:
    """Sum district populations to stable units and check them against England.

    ``population``: observations of one measure and of area types ``lad`` and ``country``: area_code,
    area_name, area_type, period (years as text), value (people). Returns unit, period, value, including
    areas outside every unit (unit is then the area code itself), so that the total is preserved.

    Raises DidError for a district the reference does not know, or a year whose districts do not add up to
    the England row where the source has one.
    """
    parent = areas.districts.set_index("lad_code")["area_code"]
    unit_of = areas.authorities.set_index("area_code")["unit"]
    lads = population.loc[population["area_type"] == "lad"]
    unknown = sorted(set(lads["area_code"]) - set(parent.index))
    if unknown:
        row = lads.loc[lads["area_code"] == unknown[0]].iloc[0]
        raise DidError(f"{where}: district '{unknown[0]}' ({row.area_name}, {row.period}) is not in "
                       "local_authorities.csv; add it there with its upper-tier authority")
    upper = lads["area_code"].map(parent)
    summed = (lads.assign(unit=upper.map(unit_of).fillna(upper))
              .groupby(["unit", "period"], as_index=False)["value"].sum())
    england = population.loc[population["area_type"] == "country"].set_index("period")["value"]
    total = summed.groupby("period")["value"].sum()
    for year, expected in england.items():
        if total.get(year) != expected:
            raise DidError(f"{where}: districts of mid-{year} must add up to the England row {expected:.0f}; "
                           f"found {total.get(year)}")
    return summed
