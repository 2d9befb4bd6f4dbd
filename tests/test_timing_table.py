"""Who is treated when: systems, dates and numbers of units are those of the panel."""

from __future__ import annotations

import pandas as pd

from did.report.content.background import NAMED, timing_table

YEARS = ["2014", "2015", "2016", "2017"]
# Unit -> its system, wave and first treated year under the specification.
UNITS = {"a1": ("A", 1, "2016"), "a2": ("A", 1, "2016"), "b1": ("B", 1, "2016"), "c1": ("C", 2, None),
         "d1": ("D", None, None), "d2": ("D", None, None), "e1": ("E", None, None)}
NAMES = {"A": "Avon", "B": "Bath, Bristol and beyond", "C": "Camden"}


def panel(units=None) -> pd.DataFrame:
    rows = [{"unit": unit, "unit_name": unit.upper(), "system": system, "wave": wave, "cohort": cohort, "period": year,
             "outcome": 1.0}
            for unit, (system, wave, cohort) in (units or UNITS).items() for year in YEARS]
    return pd.DataFrame(rows).astype({"wave": "Int64", "cohort": "string"})


def rows(panel, onsets, names=NAMES) -> list[list[str]]:
    return list(timing_table(panel, onsets, names, units="areas", periods=len(YEARS)).texts())


def test_rows_are_those_who_start_together_with_their_systems_and_units():
    assert rows(panel(), {1: "2016", 2: "2017"}) == [
        ["2016", "1", "treated", "2", "3", "Avon (2), Bath, Bristol and beyond (1)"],
        ["2017", "2", "joined, but counted in the comparison", "1", "1", "Camden (1)"],
        ["never", "", "comparison", "2", "3", "D (2), E (1)"]]
    assert [row[2] for row in rows(panel(), {})] == ["treated", "comparison"]


def test_a_note_says_what_is_missing():
    made = panel()
    assert timing_table(made, {}, NAMES, units="areas", periods=4).notes == ["There is a figure for every unit and "
                                                                             "period."]
    made.loc[0, "outcome"] = None
    assert "no figure for 1 of 28 pairs" in timing_table(made, {}, NAMES, units="areas", periods=4).notes[0]


def test_units_without_systems_stand_by_their_names_and_many_are_counted():
    assert rows(panel().assign(system=None), {}, {})[0][5] == "A1 (1), A2 (1), B1 (1)"
    units = {f"u{place:03d}": (f"S{place:03d}", 1, "2016") for place in range(NAMED[0] + 2)} | {"x": ("X", None, None)}
    assert rows(panel(units), {}, {})[0][5].endswith("S059 (1), 2 more")
    never = {f"u{place}": (f"S{place}", None, None) for place in range(NAMED[2] + 3)} | {"x": ("X", 1, "2016")}
    assert rows(panel(never), {}, {})[-1][5].endswith("S4 (1), 3 more")
