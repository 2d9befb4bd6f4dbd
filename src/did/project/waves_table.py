"""One table of who was treated when, of any roll-out: read, checked, one row per unit."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from did.errors import DidError, Mistakes, listed, suggest
from did.estimators.labels import is_never, label, same_number, two_ways
from did.project.config import Evaluation
from did.readers.numerals import dot_remedy, thousands_dot
from did.readers.reference import read_reference

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
