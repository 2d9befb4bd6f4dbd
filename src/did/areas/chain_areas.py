"""Areas of one configuration of a chain of successions, such as CCGs: figures of any earlier one moved to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from did.areas.area_audit import OR_LEAVE_OUT, area_audit_of, more_codes, summed
from did.areas.whole_units import refuse_twice, refuse_uncovered
from did.errors import DidError


class ChainAreas:
    """Areas of one configuration of a chain, such as the CCGs of April 2020 (``ccg_2020``)."""

    def __init__(self, geography: str, folder: str | Path) -> None:
        """Read and check the chain that ``geography`` names; raises DidError as did.areas.succession.load does."""
        from did.areas import succession

        self.geography = geography
        self.chain, self.date = succession.load(geography, folder)
        self._kept: dict[str, dict[str, list[tuple[str, float, str]]]] = {}
        self._placed: dict[frozenset, pd.DataFrame] = {}
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
        for start in [day for day in self.chain.days if day <= self.date]:
            whole = {old: units[0][0] for old, units in self._lies(start).items() if len(units) == 1}
            used = self.chain.codes_at(start)
            gss = dict(zip(used["code"], used["gss_code"], strict=True))
            found |= whole | {gss[old]: new for old, new in whole.items() if gss[old]}
        return pd.Series(found)

    def _lies(self, date: str) -> dict[str, list[tuple[str, float, str]]]:
        """In which units each area of ``date`` lies, with its share and the reason; kept, because it is asked for
        often, by every job of a run."""
        date = max((day for day in self.chain.days if day <= date), default=date)
        if date not in self._kept:
            found: dict[str, list[tuple[str, float, str]]] = {}
            mapping = self.chain.mapping(date, self.date)
            for old, *there in zip(*(mapping[name] for name in ("old", "new", "share", "reason")), strict=True):
                found.setdefault(old, []).append(tuple(there))
            self._kept[date] = found
        return self._kept[date]

    def counts(self, frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, Callable[[], pd.DataFrame]]:
        """Sum counts by area, of any earlier configuration, to counts by unit.

        ``frame`` and results as UpperTier.counts. A code is placed by what it is, whatever its period; where its
        ``area_type`` names a configuration (``ccg_2020``), for figures that the publisher has put on later areas, by
        what it is in that one. A missing count (suppressed) makes its unit's count missing in that period; it is
        never left out of a sum. Of an area that was split each unit gets its share. Raises DidError for a code that no
        configuration up to this one has, a unit of which an area is absent in some period, and an area alongside others
        that it is the sum of.
        """
        keys = [column for column in ("area_code", "period", "area_type") if column in frame]
        pairs = frame[keys].drop_duplicates(["area_code", "period"])
        same = frozenset(zip(*(pairs[key] for key in keys), strict=True))
        if same not in self._placed:   # numerators and denominators are of the same areas
            placement = self._placement(pairs, where)
            self._placed[same] = placement.assign(is_twice=self._refuse_uncovered(placement, where))
        placed = frame.merge(self._placed[same], on=["area_code", "period"])
        if placed["is_twice"].any():
            refuse_twice(placed.loc[placed["is_twice"]].drop_duplicates(["unit", "period", "area_code"]), where)
        placed["value"] = placed["value"] * placed["share"]
        return summed(placed), partial(self._area_audit, placed)

    def _area_audit(self, placed: pd.DataFrame) -> pd.DataFrame:
        """The area audit of `counts`."""
        area_audit = area_audit_of(placed.sort_values(["area_code", "share"], ascending=[True, False]))
        names = self.units.set_index("unit")["unit_name"]
        parts = placed.groupby("area_code")["unit"].nunique()
        split = area_audit["area_code"].map(parts) > 1
        into = area_audit["unit"].map(names) + " (" + area_audit["unit"] + ")"
        same = area_audit["reason"].isin(["Same boundary throughout"])
        merged = ~same & (area_audit["area_code"] != area_audit["unit"])
        area_audit.loc[merged, "fate"] = "merged"
        area_audit.loc[split, "fate"] = "imputed"
        area_audit.loc[split, "reason"] += "; most of it in " + into
        return area_audit

    def _placement(self, pairs: pd.DataFrame, where: str) -> pd.DataFrame:
        """Where each code lies, by period: area_code, old (its ODS code), day, period, unit, share, reason.

        A code is taken as it was on the date that its area type names; without one, as it was on 1 April of the
        period's year, or on the nearest day it was in use.
        """
        from did.areas.succession import configuration, foreign

        codes = self.chain.codes
        ods = dict(zip(codes["gss_code"], codes["code"], strict=True)) | dict(zip(codes["code"], codes["code"],
                                                                                  strict=True))
        lives = {code: days for code, days in self.chain.lives.items() if days[0] <= self.date}
        unknown = [code for code in pairs["area_code"] if ods.get(code) not in lives]
        if unknown:
            raise DidError(foreign(where, unknown[0], self.chain.describe(unknown[0]), self.date, lives)
                           + f"; {OR_LEAVE_OUT}{more_codes(unknown)}")
        kinds = pairs["area_type"] if "area_type" in pairs else [""] * len(pairs)
        named = {kind: configuration(kind)[1] for kind in set(kinds)}
        placed = []
        for code, period, kind in zip(pairs["area_code"], pairs["period"], kinds, strict=True):
            old, day = ods[code], named[kind]
            opened, closed = lives[old]
            if day is None:
                day = min(max(f"{period[:4]}-04-01", opened), closed, self.date)
            elif not opened <= day <= closed:
                raise DidError(foreign(where, code, self.chain.describe(code), day, lives))
            placed += [(code, old, day, period, *there) for there in self._lies(day).get(old, ())]
        return pd.DataFrame(placed, columns=["area_code", "old", "day", "period", "unit", "share", "reason"])

    def _refuse_uncovered(self, placed: pd.DataFrame, where: str) -> list[bool]:
        """Raise DidError unless the areas of every unit that has any are all there in every period; return whether
        each holds some of what another holds too."""
        first = self.chain.configurations()[0]
        atoms: dict[tuple[str, str], dict[str, float]] = {}
        for day in placed["day"].unique():
            for (atom, area), (part, _) in self.chain.moved(first, day).items():
                atoms.setdefault((area, day), {})[atom] = part
        expected: dict[str, dict[str, float]] = {}
        for (atom, unit), (part, _) in self.chain.moved(first, self.date).items():
            expected.setdefault(unit, {})[atom] = part
        return refuse_uncovered(placed, atoms, expected, where)

    def rates(self, frame: pd.DataFrame, weights: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Combine rates by area to rates by unit with weights; see did.areas.boundaries.align.

        Returns (unit, period, value, weight, status) and the area_audit.
        """
        from did.areas.boundaries import align

        moved, area_audit = align(frame, self.chain, self.date, where=where, weights=weights)
        return moved.rename(columns={"area_code": "unit"}), area_audit
