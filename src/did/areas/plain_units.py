"""Units that are as the figures have them: any roll-out, any country."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import pandas as pd

from did.errors import DidError, suggest
from did.estimators.labels import label
from did.project.config_parts import period
from did.project.indicator import Indicator
from did.project.specification import Specification

# Read into every observation, so that no area is set aside for what its type is called.
AREA_TYPE = "unit"


class PlainUnits:
    """Units as the figures have them; the same interface as the areas of did.areas.geography."""

    def __init__(self, table: pd.DataFrame, name: str) -> None:
        """``table`` as from `read_table`; ``name`` is its file, for messages."""
        self.table, self.name = table, name
        self.districts = None

    @cached_property
    def units(self) -> pd.DataFrame:
        """unit, unit_name, region."""
        return self.table[["unit", "unit_name", "region"]]

    @cached_property
    def unit_of(self) -> pd.Series:
        """Unit of every code: itself."""
        return pd.Series(self.table["unit"].to_numpy(), index=self.table["unit"])

    def counts(self, frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, Callable[[], pd.DataFrame]]:
        """Return (unit, period, value) and what makes the area audit.

        ``frame``: area_code, area_name, period, value.

        A missing count stays missing. Units of the table without figures are in the area audit as excluded. Raises
        DidError for a code that the table does not have, and a unit with two figures in one period.
        """
        codes = frame["area_code"]
        frame = frame.assign(area_code=codes.map({code: label(code) for code in codes.unique()}))
        unknown = frame.loc[~frame["area_code"].isin(self.unit_of.index)]
        if len(unknown):
            row = unknown.iloc[0]
            raise DidError(f"{where}: unit '{row.area_code}' ({row.area_name}, {row.period}) is not in {self.name}"
                           f"{self._like(row.area_code)}; add it there, without a first treated period if it was never "
                           "treated, or correct the code; if it is a total or no unit, list it under 'leave_out' in "
                           "the indicator's file")
        twice = frame.loc[frame.duplicated(["area_code", "period"])]
        if len(twice):
            row = twice.iloc[0]
            raise DidError(f"{where}: expected one figure for unit {row.area_code} in {row.period}; found two; remove "
                           "one")
        values = frame[["area_code", "period", "value"]].rename(columns={"area_code": "unit"})
        return values.reset_index(drop=True), partial(self._area_audit, frame)

    def _like(self, code: str) -> str:
        bare = [unit for unit in self.unit_of.index if unit.lstrip("0") == code.lstrip("0")]
        return f"; did you mean '{bare[0]}'?" if bare else suggest(code, self.unit_of.index)

    def _area_audit(self, frame: pd.DataFrame) -> pd.DataFrame:
        there = frame.groupby("area_code", as_index=False).agg(
            area_name=("area_name", "last"), n_periods=("period", "nunique"), total=("value", "sum"))
        there = there.assign(unit=there["area_code"], fate="kept", reason="A unit as the figures have it")
        rest = self.table.loc[~self.table["unit"].isin(there["area_code"])]
        if rest.empty:
            return there
        absent = pd.DataFrame({"area_code": rest["unit"], "area_name": rest["unit_name"], "n_periods": 0,
                               "total": float("nan"), "unit": None, "fate": "excluded",
                               "reason": f"In {self.name}; the sources have no figures for it"})
        return pd.concat([there, absent], ignore_index=True)

    def rates(self, frame: pd.DataFrame, weights: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rates as they are: (unit, period, value, weight (missing), status) and the area_audit. ``weights`` is not
        used, because no units are merged. Raises DidError as `counts`."""
        values, area_audit = self.counts(frame, where)
        return values.assign(weight=float("nan"), status="ok"), area_audit().assign(total=float("nan"))


def attributes(areas: PlainUnits, indicator: Indicator, specification: Specification,
               where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what a specification says of every unit, and the units it leaves out.

    The first frame has unit, unit_name, region, system, wave, cohort (first treated period; missing: not treated by the
    window's last period), intensity (the dose; 0 where not treated) and exposure (1 or 0). The second (unit, reason)
    are units treated from the window's first period or before, of which no change can be seen, and, with controls
    never_treated, units first treated after the window.

    Raises DidError if nobody is left to be treated or to compare with.
    """
    window = indicator.windows[specification.window]
    first, last = (period(text, indicator.frequency, "window") for text in (window.first, window.last))
    units = areas.table.copy()
    cohort = units.pop("first_treated").map(indicator.onset, na_action="ignore")
    begun, later = cohort.le(first), cohort.gt(last)
    out = [pd.DataFrame({"unit": units.loc[begun, "unit"], "reason": "Treated from " + cohort[begun].astype(str)
                         + ", not after the window's first period: no change to be seen"})]
    if specification.controls == "never_treated":
        out.append(pd.DataFrame({"unit": units.loc[later, "unit"], "reason": "Specification controls=never_treated: "
                                                                             "treated "
                                 "from " + cohort[later].astype(str)}))
    units["cohort"] = cohort.where(~later).astype("str")
    treated = units["cohort"].notna()
    if not (treated & ~begun).any() or treated.all():
        raise DidError(f"{where}: expected units first treated after {first} and by {last}, and units that are not; "
                       f"found {int((treated & ~begun).sum())} and {int((~treated).sum())}; change the window or "
                       f"{areas.name}")
    units["intensity"] = units.pop("dose").where(treated, 0.0)
    return units.assign(exposure=treated.astype(float)), pd.concat(out, ignore_index=True)
