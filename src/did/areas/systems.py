"""Systems (STPs, later Integrated Care Systems) as units of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from did.areas.area_audit import OR_LEAVE_OUT, area_audit_of, more_codes
from did.errors import DidError, suggest
from did.readers.reference import read_reference


class Systems:
    """Sustainability and Transformation Partnerships (later Integrated Care Systems) as units of their own."""

    def __init__(self, folder: str | Path) -> None:
        """Read ``stp_codes.csv`` from the reference ``folder``: every code, ODS and GSS, and the ODS code it is of.

        Raises DidError for a missing table, column or a code listed twice.
        """
        self.codes = read_reference(Path(folder) / "stp_codes.csv", ["code", "unit", "unit_name"], ["code"])
        self.districts = None

    @cached_property
    def units(self) -> pd.DataFrame:
        """unit, unit_name; the region comes with the table of systems."""
        return self.codes.drop_duplicates("unit")[["unit", "unit_name"]]

    @cached_property
    def unit_of(self) -> pd.Series:
        """Unit of every code of any date."""
        return self.codes.set_index("code")["unit"]

    def counts(self, frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, Callable[[], pd.DataFrame]]:
        """Counts by system as they are, under the systems' ODS codes; frame and results as UpperTier.counts.

        A missing count makes its unit's missing. Raises DidError for a code that is of no system.
        """
        placed = self._placed(frame, where)
        summed = placed.groupby(["unit", "period"], as_index=False)["value"].sum(skipna=False)
        return summed, partial(area_audit_of, placed)

    def rates(self, frame: pd.DataFrame, weights: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rates by system as they are; ``weights`` is not used, because no systems are merged.

        Returns (unit, period, value, weight (missing), status) and the area_audit. Raises DidError for a code that is
        of no system and for a system with two rates in one period.
        """
        placed = self._placed(frame, where)
        twice = placed.loc[placed.duplicated(["unit", "period"])]
        if len(twice):
            row = twice.iloc[0]
            raise DidError(f"{where}: expected one rate for system {row.unit} in {row.period}; found two; remove one")
        moved = placed[["unit", "period", "value"]].assign(weight=float("nan"), status="ok")
        return moved, area_audit_of(placed).assign(total=float("nan"))

    def _placed(self, frame: pd.DataFrame, where: str) -> pd.DataFrame:
        unknown = frame.loc[~frame["area_code"].isin(self.unit_of.index)]
        if len(unknown):
            row = unknown.iloc[0]
            near = suggest(row.area_code, self.unit_of.index)
            raise DidError(f"{where}: area code '{row.area_code}' ({row.area_name}, {row.period}) is not a system in "
                           f"stp_codes.csv{near}{more_codes(unknown['area_code'])}; correct it or "
                           f"add it there; {OR_LEAVE_OUT}")
        return frame.assign(unit=frame["area_code"].map(self.unit_of), reason="A system as a whole")
