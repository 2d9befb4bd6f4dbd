"""Units that are as the figures have them, and one table of who was treated when: any roll-out, any country."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

import pandas as pd

from did.errors import DidError, Mistakes, listed, suggest
from did.estimators.labels import is_never, label, same_number, two_ways
from did.project.config import Evaluation, Indicator, Specification, period
from did.readers.numerals import dot_remedy, thousands_dot
from did.readers.reference import read_reference

# Read into every observation, so that no area is set aside for what its type is called.
AREA_TYPE = "unit"
WRITTEN = "a month (2017-06), quarter (2017Q2), year (2017) or financial year (2017/18), or nothing for never"
COLUMNS = ["unit", "unit_name", "system", "region", "first_treated", "wave", "dose"]


def read_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return the waves table of an evaluation, one row per unit, from its reference folder.

    Columns: ``unit`` (code, as text), ``unit_name`` (the code where no name is given), ``system`` (the unit itself
    where none is given), ``region`` (may be ""), ``first_treated`` (first month, ISO text; missing: never), ``wave``
    (its number in the table, or the rank of the first treated month; missing: never treated) and ``dose`` (1 where the
    table has none). The file may be by system; ``waves.units`` then says which units a system has.

    Raises DidErrors with every mistake: a missing file or column, a unit or system twice, a first treated period, wave
    or dose that is not one, a treated unit without a dose, a system that is not in the other table.
    """
    waves, folder = evaluation.waves, Path(evaluation.reference)
    path = folder / waves.table
    table = read_reference(path, ["first_treated"], [])
    keys = [column for column in ("unit", "system") if column in table]
    if not keys or (keys == ["system"] and not waves.units):
        raise DidError(f"{path}: expected a column 'unit'; found {listed(table.columns, 40)}; name the column of the "
                       "units so or, if the table is by system, name a table of unit and system in key 'waves.units'")
    mistakes = Mistakes()
    table = _labelled(_strip(table), path, mistakes)
    _refuse_keys(table, keys[0], path, mistakes)
    months = {word: first_month(word) for word in table["first_treated"].unique()}
    for row in table.loc[[months[word] == "?" for word in table["first_treated"]]].to_dict("records"):
        mistakes.lines.append(f"{path}: column 'first_treated' of {row[keys[0]]}: expected {WRITTEN}; found "
                              f"'{row['first_treated']}'; correct it")
    table["first_treated"] = table["first_treated"].map(months)
    table["wave"] = _numbers(table, "wave", keys[0], path, mistakes, whole=True)
    table["dose"] = _numbers(table, "dose", keys[0], path, mistakes)
    mistakes.stop()
    if keys[0] == "system":
        table = _by_unit(table, evaluation, path)
    if waves.units and keys[0] == "unit":
        raise DidError(f"{path} has a column 'unit': key 'waves.units' must be absent, since it is for tables by "
                       "system; remove it")
    ranks = table["first_treated"].rank(method="dense")
    empty = pd.Series("", index=table.index)
    for column, default in (("name", table["unit"]), ("system", table["unit"]), ("region", empty)):
        given = table.get(column, empty)
        table[column] = given.where(given != "", default)
    treated = table["first_treated"].notna()
    table["wave"] = table["wave"].where(table["wave"].notna(), ranks).where(treated)
    table = table.rename(columns={"name": "unit_name"})[COLUMNS]
    return table.astype({"wave": "Int64", "first_treated": "str"}).sort_values("unit", ignore_index=True)


def _strip(table: pd.DataFrame) -> pd.DataFrame:
    return table.apply(lambda column: column.str.strip())


def _labelled(table: pd.DataFrame, path: Path, mistakes: Mistakes) -> pd.DataFrame:
    """The table with units and systems as `did.estimators.labels`; a number written in two ways is a mistake."""
    keys = [column for column in ("unit", "system") if column in table]
    for column in keys:
        words = table[column].unique()
        if (twice := same_number(words)) is not None:
            mistakes.lines.append(f"{path}: column '{column}': {two_ways(words, twice, f'a {column}')}")
    return table.assign(**{column: table[column].map(label) for column in keys})


def _refuse_keys(table: pd.DataFrame, key: str, path: Path, mistakes: Mistakes) -> None:
    for code in sorted(set(table.loc[table[key].duplicated(), key])):
        mistakes.lines.append(f"{path}: {key} '{code}' must be in one row; found "
                              f"{int((table[key] == code).sum())}; remove the others")
    if (table[key] == "").any():
        line = int((table[key] == "").to_numpy().argmax()) + 2
        mistakes.lines.append(f"{path} line {line}: expected a {key}; found an empty cell; fill it")
    if table.empty:
        mistakes.lines.append(f"{path}: expected a row for every {key}; found none; add them")


def first_month(text: str) -> str | None:
    """First month, ISO text, of a month, quarter, year or financial year as written; None for never, "?" for what is
    none of these."""
    if is_never(text):
        return None
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        return text
    if found := re.fullmatch(r"(\d{4})[ -]?Q([1-4])", text):
        return f"{found[1]}-{int(found[2]) * 3 - 2:02d}"
    if re.fullmatch(r"\d{4}", label(text)):
        return f"{label(text)}-01"
    if (found := re.fullmatch(r"(\d{4})/(\d{2})", text)) and (int(found[1]) + 1) % 100 == int(found[2]):
        return f"{found[1]}-04"
    return "?"


def _numbers(table: pd.DataFrame, column: str, key: str, path: Path, mistakes: Mistakes, *,
             whole: bool = False) -> pd.Series:
    """A column of numbers; where it is absent, missing for waves and 1 for doses. Treated rows must have a dose."""
    if column not in table:
        return pd.Series(float("nan") if whole else 1.0, index=table.index)
    values = pd.to_numeric(table[column].replace("", None), errors="coerce")
    wrong = (values.isna() & (table[column] != "")) | (values < 0) | (whole & values.notna() & (values % 1 != 0))
    if (dotted := thousands_dot(table[column])) is not None:
        row = table.iloc[dotted]
        mistakes.lines.append(f"{path}: column '{column}' of {row[key]}: expected a number with a decimal point; found "
                              f"'{row[column]}'; {dot_remedy(row[column])}")
    expected = "a whole number" if whole else "a number of at least 0"
    for row in table.loc[wrong].to_dict("records"):
        mistakes.lines.append(f"{path}: column '{column}' of {row[key]}: expected {expected}; found '{row[column]}'; "
                              "correct it")
    if not whole:
        bare = table.loc[~wrong & table["first_treated"].notna() & ~(values > 0), key]
        if len(bare):
            mistakes.lines.append(f"{path}: column 'dose' of {bare.iloc[0]}: expected a number above 0, since it is "
                                  f"treated; found none ({len(bare)} rows); fill it, or remove the column")
    return values.fillna(0.0) if not whole else values


def _by_unit(table: pd.DataFrame, evaluation: Evaluation, path: Path) -> pd.DataFrame:
    """A table by system written out by unit, with the names and regions of the table of units."""
    place = Path(evaluation.reference) / evaluation.waves.units
    mistakes = Mistakes()
    units = _labelled(_strip(read_reference(place, ["unit", "system"], ["unit"])), place, mistakes)
    for found, other, where in ((units, table, place), (table, units, path)):
        for system in sorted(set(found["system"]) - set(other["system"])):
            mistakes.lines.append(f"{where}: system '{system}' must be in both tables; found it in this one alone"
                                  f"{suggest(system, other['system'])}; correct or add it")
    mistakes.stop()
    return units.merge(table.drop(columns=["name", "region"], errors="ignore"), on="system")


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

    def counts(self, frame: pd.DataFrame, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return (unit, period, value) and the area audit of ``frame`` (area_code, area_name, period, value).

        A missing count stays missing. Units of the table without figures are in the area audit as excluded. Raises
        DidError for a code that the table does not have, and a unit with two figures in one period.
        """
        frame = frame.assign(area_code=frame["area_code"].map(label))
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
        return values.reset_index(drop=True), self._area_audit(frame)

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
        return values.assign(weight=float("nan"), status="ok"), area_audit.assign(total=float("nan"))


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
