"""Target areas of an indicator: which areas make a unit, and figures moved to units with everything accounted for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import pandas as pd

from did.errors import DidError
from did.reference import read_reference

ASIDE = ["country", "region", "county", "outside_england", "unplaced_practice"]


class UpperTier:
    """Upper-tier local authorities on boundaries that stay the same throughout.

    ``authorities``: one row per area code of any date, with the stable ``unit`` it belongs to.
    ``districts``: one row per lower-tier or unitary code of any date, with its upper-tier ``area_code``.
    Sources: ONS code history and lower-tier to upper-tier look-ups of 2016 and 2019.
    """

    def __init__(self, folder: str | Path, boundaries: str = "merged") -> None:
        """Read ``upper_tier_authorities.csv`` and ``local_authorities.csv`` from the reference ``folder``.

        ``boundaries`` is ``merged`` (areas that exchanged residents become one unit) or ``dropped`` (such units
        are left out). Raises DidError for a missing table, column or a code listed twice (a code cannot lie in
        two units).
        """
        folder = Path(folder)
        self.boundaries = boundaries
        self.authorities = read_reference(
            folder / "upper_tier_authorities.csv",
            ["area_code", "area_name", "unit", "unit_name", "region", "change"], ["area_code"])
        self.districts = read_reference(folder / "local_authorities.csv", ["lad_code", "lad_name", "area_code"],
                                        ["lad_code"])

    @cached_property
    def units(self) -> pd.DataFrame:
        """unit, unit_name, region."""
        return self.authorities.drop_duplicates("unit")[["unit", "unit_name", "region"]]

    @cached_property
    def unit_of(self) -> pd.Series:
        """Unit of every area code of any date."""
        return self.authorities.set_index("area_code")["unit"]

    @cached_property
    def reorganised(self) -> set[str]:
        """Units made of areas that were reorganised."""
        names = self.authorities.groupby("unit")["area_name"].nunique()
        return set(names.index[names > 1])

    def counts(self, frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Sum counts by area to counts by unit.

        ``frame``: area_code, area_name, period, value, one row per area and period. Returns (unit, period,
        value) and the lineage (area_code, area_name, fate, unit, n_periods, total, reason), one row per
        area. England's total is preserved when merging.

        Raises DidError for a code that the reference does not know, or a missing count; ``where`` names the
        indicator and reading.
        """
        unknown = sorted(set(frame["area_code"]) - set(self.unit_of.index))
        if unknown:
            row = frame.loc[frame["area_code"] == unknown[0]].iloc[0]
            raise DidError(f"{where}: area code '{unknown[0]}' ({row.area_name}, {row.period}) is not an upper-tier "
                           "authority in upper_tier_authorities.csv; add it there with the unit it belongs to")
        gaps = frame.loc[frame["value"].isna()]
        if len(gaps):
            row = gaps.iloc[0]
            raise DidError(f"{where}: expected a count for {row.area_code} ({row.area_name}) in {row.period}; "
                           f"found none ({len(gaps)} missing in all); a missing count is not zero")
        placed = frame.assign(unit=frame["area_code"].map(self.unit_of))
        lineage = _lineage(placed.assign(reason=""))
        moved = lineage["unit"].isin(self.reorganised)
        change = lineage["area_code"].map(self.authorities.set_index("area_code")["change"])
        lineage["reason"] = change.where(change != "", "Same boundary throughout")
        if self.boundaries == "dropped":
            lineage.loc[moved, "fate"] = "excluded"
            lineage.loc[moved, "reason"] = "Reading boundaries=dropped. " + change[moved]
            lineage["unit"] = lineage["unit"].where(~moved)
            placed = placed.loc[~placed["unit"].isin(self.reorganised)]
        else:
            lineage.loc[moved, "fate"] = "merged"
        return placed.groupby(["unit", "period"], as_index=False)["value"].sum(), lineage

    def population(self, frame: pd.DataFrame, where: str) -> pd.DataFrame:
        """Sum district populations to units and check them against England.

        ``frame``: observations of one measure and of area types ``lad`` and ``country``: area_code, area_name,
        area_type, period (years as text), value (people). Returns unit, period, value, including areas
        outside every unit (unit is then the area code itself), so that the total is preserved.

        Raises DidError for a district the reference does not know, or a year whose districts do not add up to
        the England row where the source has one.
        """
        parent = self.districts.set_index("lad_code")["area_code"]
        lads = frame.loc[frame["area_type"] == "lad"]
        unknown = sorted(set(lads["area_code"]) - set(parent.index))
        if unknown:
            row = lads.loc[lads["area_code"] == unknown[0]].iloc[0]
            raise DidError(f"{where}: district '{unknown[0]}' ({row.area_name}, {row.period}) is not in "
                           "local_authorities.csv; add it there with its upper-tier authority")
        upper = lads["area_code"].map(parent)
        summed = (lads.assign(unit=upper.map(self.unit_of).fillna(upper))
                  .groupby(["unit", "period"], as_index=False)["value"].sum())
        england = frame.loc[frame["area_type"] == "country"].set_index("period")["value"]
        total = summed.groupby("period")["value"].sum()
        for year, expected in england.items():
            if total.get(year) != expected:
                raise DidError(f"{where}: districts of mid-{year} must add up to the England row {expected:.0f}; "
                               f"found {total.get(year)}")
        return summed


class ChainAreas:
    """Areas of one configuration of a chain, such as the CCGs of April 2020 (``ccg_2020``)."""

    def __init__(self, geography: str, folder: str | Path) -> None:
        """Read and check the chain that ``geography`` names; raises DidError as did.chain.load does."""
        from did import chain

        self.geography = geography
        self.chain, self.date = chain.load(geography, folder)
        self._mappings: dict[str, pd.DataFrame] = {}
        self.districts = None

    @cached_property
    def units(self) -> pd.DataFrame:
        """unit, unit_name; the region comes with the table of systems."""
        used = self.chain.codes_at(self.date)
        return pd.DataFrame({"unit": used["code"], "unit_name": used["name"]})

    @cached_property
    def unit_of(self) -> pd.Series:
        """Unit of every area code, ODS and GSS, of the configuration's own date and before.

        Areas that were split have no one unit and are not in it.
        """
        found = {}
        for start in [date for date in self.chain.configurations() if date <= self.date]:
            mapping = self._mapping(start)
            whole = mapping.loc[~mapping["old"].duplicated(keep=False)].set_index("old")["new"]
            gss = self.chain.codes_at(start).set_index("code")["gss_code"]
            found |= whole.to_dict() | {gss[old]: new for old, new in whole.items() if gss[old]}
        return pd.Series(found)

    def _mapping(self, date: str) -> pd.DataFrame:
        """Where each area of ``date`` lies in the target configuration; kept, because it is asked for often."""
        if date not in self._mappings:
            self._mappings[date] = self.chain.mapping(date, self.date)
        return self._mappings[date]

    def counts(self, frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Sum counts by area, of any earlier configuration, to counts by unit.

        ``frame`` and results as UpperTier.counts. A code is placed by what it is, whatever its period. A
        missing count (suppressed) makes its unit's count missing in that period; it is never left out of a
        sum. Of an area that was split each unit gets its share. Raises DidError for a code that no
        configuration up to this one has.
        """
        placed = frame.merge(self._placement(frame[["area_code", "period"]].drop_duplicates(), where),
                             on=["area_code", "period"])
        placed["value"] = placed["value"] * placed["share"]
        summed = (placed.groupby(["unit", "period"], as_index=False)["value"]
                  .agg(lambda values: values.sum(skipna=False)))
        lineage = _lineage(placed.sort_values(["area_code", "share"], ascending=[True, False]))
        names = self.units.set_index("unit")["unit_name"]
        parts = placed.groupby("area_code")["unit"].nunique()
        split = lineage["area_code"].map(parts) > 1
        into = lineage["unit"].map(names) + " (" + lineage["unit"] + ")"
        merged = ~lineage["reason"].isin(["Same boundary throughout"]) & (lineage["area_code"] != lineage["unit"])
        lineage.loc[merged, "fate"] = "merged"
        lineage.loc[split, "fate"] = "imputed"
        lineage.loc[split, "reason"] += "; most of it in " + into
        return summed, lineage

    def _placement(self, pairs: pd.DataFrame, where: str) -> pd.DataFrame:
        """Where each code lies, by period: area_code, period, unit, share, reason.

        A code is taken as it was on 1 April of the period's year, or on the nearest day it was in use.
        """
        from did.chain import foreign

        codes = self.chain.codes
        ods = dict(zip(codes["gss_code"], codes["code"], strict=True)) | dict(zip(codes["code"], codes["code"],
                                                                                  strict=True))
        life = codes.groupby("code").agg(opened=("open_date", "min"), closed=("close_date", "max"))
        life = life.loc[life["opened"] <= self.date]
        pairs = pairs.assign(old=pairs["area_code"].map(ods))
        unknown = pairs.loc[~pairs["old"].isin(life.index)]
        if len(unknown):
            code = unknown["area_code"].iloc[0]
            raise DidError(foreign(where, code, self.chain.describe(code), self.date, life.index))
        day = pairs["period"].str[:4] + "-04-01"
        opened, closed = pairs["old"].map(life["opened"]), pairs["old"].map(life["closed"])
        day = day.where(day >= opened, opened)
        day = day.where(day <= closed, closed)
        pairs["day"] = day.where(day <= self.date, self.date)
        parts = [group.merge(self._mapping(date)[["old", "new", "share", "reason"]], on="old")
                 for date, group in pairs.groupby("day")]
        return pd.concat(parts).rename(columns={"new": "unit"})[["area_code", "period", "unit", "share", "reason"]]

    def rates(self, frame: pd.DataFrame, weights: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Combine rates by area to rates by unit with weights; see did.boundaries.align.

        Returns (unit, period, value, weight, status) and the lineage.
        """
        from did.boundaries import align

        moved, lineage = align(frame, self.chain, self.date, where=where, weights=weights)
        return moved.rename(columns={"area_code": "unit"}), lineage


def _lineage(placed: pd.DataFrame) -> pd.DataFrame:
    lineage = (placed.groupby("area_code", as_index=False)
               .agg(area_name=("area_name", "last"), unit=("unit", "first"), n_periods=("period", "nunique"),
                    total=("value", "sum"), reason=("reason", "last")))
    return lineage.assign(fate="kept")


def load(geography: str, folder: str | Path, boundaries: str = "merged") -> UpperTier | ChainAreas:
    """Return the target areas that an indicator's ``geography`` names, read from the reference ``folder``.

    Raises DidError for an unknown geography and for mistakes in the reference tables.
    """
    return UpperTier(folder, boundaries) if geography == "upper_tier" else ChainAreas(geography, folder)
