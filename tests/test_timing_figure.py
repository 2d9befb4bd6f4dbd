"""Who is treated when: systems, dates and numbers of units are those of the panel."""

from __future__ import annotations

import pandas as pd
import pytest

from did.errors import DidError
from did.report.figures.timing import COMPARED, LATER, LISTED, TREATED, timing, timing_rows
from framed import assert_legible, draw_framed, saved_figures

YEARS = ["2014", "2015", "2016", "2017"]
# Unit -> its system, wave and first treated year under the specification.
UNITS = {"a1": ("A", 1, "2016"), "a2": ("A", 1, "2016"), "b1": ("B", 1, "2016"), "c1": ("C", 2, None),
         "d1": ("D", None, None), "d2": ("D", None, None), "e1": ("E", None, None)}
NAMES = {"A": "Avon", "B": "Bath, Bristol and beyond", "C": "Camden"}


def panel(units=None) -> pd.DataFrame:
    rows = [{"unit": unit, "unit_name": unit.upper(), "system": system, "wave": wave, "cohort": cohort, "period": year}
            for unit, (system, wave, cohort) in (units or UNITS).items() for year in YEARS]
    return pd.DataFrame(rows).astype({"wave": "Int64", "cohort": "string"})


def draw(rows, folder, **options):
    words = {"title": "Waits: who is treated when", "subtitle": "Somewhere, 2014 to 2017.", "source": "nobody"}
    return draw_framed(timing, rows, stem=folder / "timing", periods=YEARS, **words | options)


def test_rows_are_systems_in_order_of_date_with_their_units():
    rows = timing_rows(panel(), {1: "2016", 2: "2017"}, NAMES)
    found = rows.fillna({"first": "", "wave": 0})[["role", "first", "wave", "name", "n_units"]].values.tolist()
    assert found == [[TREATED, "2016", 1, "Avon", 2], [TREATED, "2016", 1, "Bath, Bristol and beyond", 1],
                     [LATER, "2017", 2, "Camden", 1], [COMPARED, "", 0, "D", 2], [COMPARED, "", 0, "E", 1]]
    assert timing_rows(panel(), {}, NAMES)["role"].tolist() == [TREATED, TREATED, *[COMPARED] * 3]


def test_the_picture_says_who_when_and_how_many(tmp_path):
    with saved_figures() as figures:
        svg, csv, txt = draw(timing_rows(panel(), {2: "2017"}, NAMES), tmp_path)
    assert_legible(figures[0])
    text, words = svg.read_text("utf-8"), txt.read_text("utf-8")
    for name in ("Wave 1, from 2016: 2 systems, 3 areas", "Wave 2, from 2017, in the comparison: 1 system, 1 areas",
                 "Not treated: 2 systems, 3 areas", "2 systems", "Treated", "Joined, but counted in the comparison"):
        assert f">{name}<" in text, name
    assert [f">{year}<" in text for year in YEARS] == [True] * 4
    assert "Avon (2), Bath, Bristol and beyond (1)." in words
    assert pd.read_csv(csv)["n_units"].sum() == len(UNITS)


def test_of_many_systems_one_line_stands_for_all(tmp_path):
    units = {f"u{place}": (f"S{place:02d}", 1, "2016") for place in range(LISTED + 1)} | {"x": ("X", None, None)}
    svg, csv, _ = draw(timing_rows(panel(units), {}, {}), tmp_path)
    assert f">{LISTED + 1} systems<" in svg.read_text("utf-8") and ">S00<" not in svg.read_text("utf-8")
    assert len(pd.read_csv(csv)) == LISTED + 2


def test_units_without_systems_and_made_up_data(tmp_path):
    alone = panel().assign(system=None)
    rows = timing_rows(alone, {}, {})
    assert rows["name"].tolist() == ["A1", "A2", "B1", "C1", "D1", "D2", "E1"]
    first = [path.read_bytes() for path in draw(rows, tmp_path, is_synthetic=True)]
    assert first == [path.read_bytes() for path in draw(rows, tmp_path, is_synthetic=True)]
    assert b">SYNTHETIC<" in first[0] and first[2].startswith(b"SYNTHETIC")


def test_what_is_no_panel_of_one_specification_is_refused():
    both = pd.concat([panel(), panel().assign(cohort="2015")])
    with pytest.raises(DidError, match="one first treated period per unit; found two of a1"):
        timing_rows(both, {}, {})
    with pytest.raises(DidError, match="expected rows of the panel"):
        timing_rows(panel().iloc[:0], {}, {})
