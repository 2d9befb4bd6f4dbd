"""Upper-tier local authorities on boundaries that stay the same: districts summed, areas that changed merged."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from did.areas.area_audit import OR_LEAVE_OUT, area_audit_of, more_codes, summed
from did.areas.whole_units import (
    editions,
    present,
    refuse_both,
    refuse_incomplete,
    refuse_levels,
)
from did.errors import DidError
from did.readers.reference import read_reference

WEIGHT_STATUS = ["ok", "carried_forward", "estimated"]   # from best to worst


class UpperTier:
    """Upper-tier local authorities on boundaries that stay the same throughout.

    ``authorities``: one row per area code of any date, with the stable ``unit`` it belongs to.
    ``districts``: one row per lower-tier or unitary code of any date, with its upper-tier ``area_code``.
    ``changes``: which code went into which on which date.
    Sources: ONS code history and lower-tier to upper-tier look-ups of 2016 and 2019.
    """

    def __init__(self, folder: str | Path, boundaries: str = "merged") -> None:
        """Read ``upper_tier_authorities.csv``, ``local_authorities.csv`` and ``local_authority_changes.csv`` from the
        reference ``folder``.

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
        self.changes = read_reference(folder / "local_authority_changes.csv", ["date", "old_code", "new_code"],
                                      ["date", "old_code", "new_code"])
        # Districts of every upper-tier authority and authorities of every unit, at each date: made here, as the server
        # of a run reads the tables for all its jobs.
        self._districts_of = editions(self.districts.groupby("area_code")["lad_code"].agg(set).to_dict(), self.changes)
        self._areas_of = editions(self.authorities.groupby("unit")["area_code"].agg(set).to_dict(), self.changes)
        self._parent = self.districts.set_index("lad_code")["area_code"]

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

    def counts(self, frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, Callable[[], pd.DataFrame]]:
        """Sum counts by area to counts by unit.

        ``frame``: area_code, area_name, period, value, one row per area and period. Returns (unit, period,
        value) and what makes the area_audit (area_code, area_name, fate, unit, n_periods, total, reason), one row per
        area; not all who sum need one. England's total is preserved when merging. Districts are summed to their
        upper-tier authority first. A missing count (suppressed) makes its unit's count missing in that period; it is
        never left out of a sum.

        Raises DidError for a code that the reference does not know, an authority alongside its own districts, and a
        unit or authority of which an area is absent in some period; ``where`` names the indicator and specification.
        """
        frame, outside = self._inside(frame)
        code, own = pd.factorize(frame["area_code"])   # what is known of an area is looked up once, not for each row
        authority = self._authority_of(own)
        unknown = sorted(set(authority) - set(self.unit_of.index))
        if unknown:
            row = frame.loc[(authority == unknown[0]).to_numpy()[code]].iloc[0]
            raise DidError(f"{where}: area code '{unknown[0]}' ({row.area_name}, {row.period}) is not an upper-tier "
                           f"authority in upper_tier_authorities.csv{more_codes(unknown)}; correct the code, or add it "
                           f"there with the unit it belongs to; {OR_LEAVE_OUT}")
        refuse_levels(frame, self._county_of, self._names, where)
        unit = authority.map(self.unit_of)
        for parts, group, dated in ((own, authority.where(own.isin(self.districts["lad_code"])), self._districts_of),
                                    (authority, unit, self._areas_of)):
            hit = group.isin(dated).to_numpy()[code]
            areas = code[hit]
            there = present(pd.DataFrame({"group": group.array[areas], "area_code": parts.array[areas],
                                          "period": frame["period"].array[hit], "value": frame["value"].array[hit]}))
            refuse_incomplete(there, dated, where)
            refuse_both(there, dated, where)
        placed = frame.assign(unit=unit.array[code], reason="")
        kept = placed
        if self.boundaries == "dropped":
            kept = placed.loc[~unit.isin(self.reorganised).to_numpy()[code]]
        return summed(kept), partial(self._area_audit, placed, outside, pd.Series(authority.array, index=own))

    def _area_audit(self, placed: pd.DataFrame, outside: pd.DataFrame, authority: pd.Series) -> pd.DataFrame:
        """The area audit of `counts`; ``authority`` is that of each code."""
        area_audit = area_audit_of(placed)
        upper = area_audit["area_code"].map(authority)
        change = upper.map(self.authorities.set_index("area_code")["change"])
        area_audit["reason"] = change.where(change != "", "Same boundary throughout")
        district = upper != area_audit["area_code"]
        names = upper.map(self.authorities.set_index("area_code")["area_name"])
        area_audit.loc[district, "reason"] = "District of " + names + ", summed to it. " + change
        area_audit.loc[district, "fate"] = "merged"
        self._mark_reorganised(area_audit, change)
        return pd.concat([area_audit, _excluded(outside)], ignore_index=True)

    def _authority_of(self, codes: pd.Index) -> pd.Series:
        """The upper-tier authority that each code is or, of a district, lies in."""
        codes = codes.to_series(index=range(len(codes)))
        below = codes.isin(self.districts["lad_code"]) & ~codes.isin(self.unit_of.index)
        return codes.mask(below, codes.map(self._parent))

    def _mark_reorganised(self, area_audit: pd.DataFrame, change: pd.Series) -> None:
        """Say of the areas of reorganised units that they were merged, or left out; ``change`` is each area's own."""
        hit = area_audit["unit"].isin(self.reorganised)
        area_audit.loc[hit, "fate"] = "merged"
        if self.boundaries == "dropped":
            area_audit.loc[hit, "fate"] = "excluded"
            area_audit.loc[hit, "reason"] = "Specification boundaries=dropped. " + change[hit]
            area_audit["unit"] = area_audit["unit"].where(~hit)

    def _inside(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows of areas that lie in a unit or are unknown, and the others: of authorities that the reference knows
        and no unit holds, such as the Isles of Scilly."""
        code, areas = pd.factorize(frame["area_code"])
        parent = areas.to_series().map(self._parent)
        hit = (parent.notna() & ~parent.isin(self.unit_of.index)).to_numpy()[code]
        return frame.loc[~hit], frame.loc[hit]

    @cached_property
    def _county_of(self) -> dict[str, str]:
        """County of every district that lies in one."""
        inside = self.districts.loc[~self.districts["area_code"].isin(self.districts["lad_code"])]
        return inside.set_index("lad_code")["area_code"].to_dict()

    @cached_property
    def _names(self) -> dict[str, str]:
        """Name of every code."""
        return (self.districts.set_index("lad_code")["lad_name"].to_dict()
                | self.authorities.set_index("area_code")["area_name"].to_dict())

    def rates(self, frame: pd.DataFrame, weights: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Combine rates by upper-tier authority to rates by unit: means weighted by population where areas merged.

        ``frame``: area_code, area_name, period, value, one row per area and period. ``weights``: observations of a
        population by district or upper-tier authority: area_code, period (years), value (people). A year without
        takes the nearest. Returns (unit, period, value, weight, status) and the area_audit. A missing rate makes its
        unit's rate missing. A unit kept whole takes its rate unchanged.

        Raises DidError for a code that is not an upper-tier authority (a district's rate cannot be summed), and an
        area without weight in any year, and a unit of which an area is absent in some period.
        """
        from did.areas.boundaries import fill_weights

        frame, outside = self._inside(frame)
        codes = frame.drop_duplicates("area_code")
        unknown = codes.loc[~codes["area_code"].isin(self.unit_of.index)]
        if len(unknown):
            row = unknown.iloc[0]
            raise DidError(f"{where}: area code '{row.area_code}' ({row.area_name}) is not an upper-tier authority in "
                           f"upper_tier_authorities.csv{more_codes(unknown['area_code'])}; a rate of districts needs "
                           "its counts (numerator and denominator) to be summed to one: correct the code or give "
                           "counts; "
                           f"{OR_LEAVE_OUT}")
        group = frame["area_code"].map(self.unit_of)
        refuse_incomplete(present(frame.assign(group=group).loc[group.isin(self._areas_of)]), self._areas_of, where)
        upper = weights["area_code"].map(self._parent).fillna(weights["area_code"])
        people = (weights.assign(area_code=upper).groupby(["area_code", "period"], as_index=False)["value"]
                  .sum(skipna=False).rename(columns={"value": "weight"}))
        filled = fill_weights(people, list(codes["area_code"]), sorted(frame["period"].unique()), f"{where}, weights")
        placed = frame.drop(columns="status", errors="ignore").merge(filled, on=["area_code", "period"])
        placed["unit"] = placed["area_code"].map(self.unit_of)
        placed["product"] = placed["value"] * placed["weight"]
        placed["rank"] = placed["status"].map(WEIGHT_STATUS.index)
        moved = placed.groupby(["unit", "period"], as_index=False).agg(
            product=("product", lambda values: values.sum(skipna=False)), weight=("weight", "sum"),
            rank=("rank", "max"), n=("area_code", "nunique"), first=("value", "first"))
        moved["value"] = (moved["product"] / moved["weight"]).where(moved["n"] > 1, moved["first"])
        moved["status"] = moved["rank"].map(WEIGHT_STATUS.__getitem__)
        area_audit = area_audit_of(placed.assign(reason="")).assign(total=float("nan"))
        change = area_audit["area_code"].map(self.authorities.set_index("area_code")["change"])
        area_audit["reason"] = change.where(change != "", "Same boundary throughout")
        self._mark_reorganised(area_audit, change)
        if self.boundaries == "dropped":
            moved = moved.loc[~moved["unit"].isin(self.reorganised)]
        columns = ["unit", "period", "value", "weight", "status"]
        return moved[columns].reset_index(drop=True), pd.concat([area_audit, _excluded(outside)], ignore_index=True)

    def population(self, frame: pd.DataFrame, where: str) -> pd.DataFrame:
        """Sum district populations to units and check them against their counties and England.

        ``frame``: observations of one measure and of area types ``lad``, ``county`` and ``country``: area_code,
        area_name, area_type, period (years as text), value (people). Returns unit, period, value, including areas
        outside every unit (unit is then the area code itself), so that the total is preserved.

        Raises DidError for a district the reference does not know, or a year whose districts do not add up to
        the row of their county or of England where the source has one.
        """
        lads = frame.loc[frame["area_type"] == "lad"]
        unknown = sorted(set(lads["area_code"].unique()) - set(self._parent.index))
        if unknown:
            row = lads.loc[lads["area_code"] == unknown[0]].iloc[0]
            raise DidError(f"{where}: district '{unknown[0]}' ({row.area_name}, {row.period}) is not in "
                           "local_authorities.csv; add it there with its upper-tier authority")
        upper = lads["area_code"].map(self._parent)
        people = summed(lads.assign(unit=upper.map(self.unit_of).fillna(upper)))
        inside = summed(lads.assign(unit=upper)).set_index(["unit", "period"])["value"]
        counties = frame.loc[frame["area_type"] == "county"].set_index(["area_code", "period"])
        wrong = counties.loc[counties["value"] != inside.reindex(counties.index)]
        if len(wrong):
            row, (code, year) = wrong.iloc[0], wrong.index[0]
            raise DidError(f"{where}: districts of {code} ({row.area_name}) at mid-{year} must add up to its row "
                           f"{row.value:.0f}; found {inside.get((code, year))}; correct the figure, or the district's "
                           "authority in local_authorities.csv")
        england = frame.loc[frame["area_type"] == "country"].set_index("period")["value"]
        total = people.groupby("period")["value"].sum()
        for year, expected in england.items():
            if total.get(year) != expected:
                raise DidError(f"{where}: districts of mid-{year} must add up to the England row {expected:.0f}; "
                               f"found {total.get(year)}")
        return people


def _excluded(rows: pd.DataFrame) -> pd.DataFrame:
    """The area audit of areas that lie in no unit."""
    return area_audit_of(rows.assign(unit=None, reason="In no unit of the panel: left out")).assign(fate="excluded")
