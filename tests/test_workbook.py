"""The workbook: one named table a sheet, no gap and no merged cell, notes explained, numbers as numbers, same bytes."""

from __future__ import annotations

import io
import re
import shutil
import zipfile
from dataclasses import replace
from xml.etree import ElementTree

import pandas as pd
import pytest
from python_calamine import CalamineWorkbook
from xlsxwriter.worksheet import Worksheet

import libreoffice
from did.project.registry import Source
from did.report.content.table import SYNTHETIC, Column, Table
from did.report.pages import workbook_sheets
from did.report.writers import sheet, workbook
from made_tables import FRONT, tables

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
SOURCE = Source(id="counts", title="Counts", publisher="A publisher", landing_page="https://example.org/",
                licence="OGL-3.0", reader="tidy_csv", files=[{"name": "counts_2017.csv", "period": "2017"}])
MANIFESTS = {"counts": {"files": {"counts_2017.csv": {
    "period": "2017", "bytes": 1234, "sha256": "a" * 64, "how": "live", "licence": "OGL-3.0", "address": None}}}}
NAMES = ["Cover", "Contents", "Notes", "Headline", "Effects", "Reproduction", "Staggered", "Event_time", "Diagnostics",
         "Calibration", "Areas", "Many_tests", "Sources"]


def made(synthetic: bool = True, manifests: dict = MANIFESTS) -> bytes:
    sheets = workbook_sheets.sheets(front=FRONT, sources={"counts": SOURCE},
                                    manifests=manifests, **tables(synthetic))
    cover = workbook_sheets.cover(front=FRONT, sources={"counts": SOURCE}, version="0",
                                  is_synthetic=synthetic)
    return workbook.made(cover, sheets)


def rows_of(content: bytes, name: str) -> list[list]:
    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name(name).to_python()


def table_of(content: bytes, name: str) -> pd.DataFrame:
    """A sheet's table, from the row after the link back on, its headings without markers."""
    rows = rows_of(content, name)
    top = next(place for place, row in enumerate(rows) if str(row[0]).startswith("Back to")) + 1
    return pd.DataFrame(rows[top + 1:], columns=[re.sub(r" \[note \d+\]", "", heading) for heading in rows[top]])


def parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def content() -> bytes:
    return made()


def test_sheets_and_their_order(content):
    assert CalamineWorkbook.from_filelike(io.BytesIO(content)).sheet_names == NAMES


def test_no_merged_cells_no_formulas_and_no_gaps(content):
    for name, part in parts(content).items():
        if name.startswith("xl/worksheets/sheet"):
            assert b"<mergeCell" not in part and b"<f>" not in part, name
    for name in NAMES[1:]:
        table = table_of(content, name)
        assert len(table) and not table.map(lambda value: value == "").any(axis=None), name
        assert all(row[0] != "" for row in rows_of(content, name)), name
    assert all(row[0] != "" for row in rows_of(content, "Cover"))


def test_one_named_table_a_sheet_with_its_description(content):
    files = parts(content)
    trees = [ElementTree.fromstring(part) for name, part in files.items() if name.startswith("xl/tables/")]
    assert sorted(tree.get("name") for tree in trees) == sorted(f"{name.lower()}_table" for name in NAMES[1:])
    for tree in trees:
        heads = [column.get("name") for column in tree.iter(f"{MAIN}tableColumn")]
        assert len(set(map(str.lower, heads))) == len(heads) and tree.find(f"{MAIN}autoFilter") is not None
    for place in range(2, len(NAMES) + 1):
        sheet = ElementTree.fromstring(files[f"xl/worksheets/sheet{place}.xml"])
        assert len(list(sheet.iter(f"{MAIN}tablePart"))) == 1
        assert sheet.find(f".//{MAIN}pane").get("state") == "frozen" and sheet.find(f"{MAIN}cols") is not None


def test_numbers_are_numbers_with_every_digit(content):
    table = table_of(content, "Effects")
    first = table.iloc[0]
    assert first["Estimate (unit of the row)"] == 11.0 and first["Units (number)"] == 149
    assert first["Standard error by area (unit of the row)"] == 2.0
    assert first["Standard error by system (unit of the row)"] == 4.0
    assert first["p-value by area (0 to 1)"] == 0.0004
    assert first["p-value by area, adjusted for many outcomes (0 to 1)"] == "[z]"
    assert (table["Treatment"] == "Binary").sum() == 8 and len(table) == 16


def test_every_note_is_explained_and_every_mark_is_in_the_legend(content):
    notes = table_of(content, "Notes").set_index("Marker")
    shown = {name: " ".join(str(cell) for row in rows_of(content, name) for cell in row) for name in NAMES[3:]}
    text = " ".join(shown.values())
    assert set(re.findall(r"\[note \d+\]", text)) == {mark for mark in notes.index if mark.startswith("[note")}
    assert set(re.findall(r"\[[a-z]\]", text)) <= set(workbook.SHORTHAND) <= set(notes.index)
    for mark, row in notes.iterrows():
        used = [name for name in shown if mark in shown[name]]
        assert row["Used on sheets"] == (", ".join(used) or "none in this workbook"), mark
    assert "{" not in " ".join(notes["Meaning"])


def test_skipped_is_not_available_and_done_without_is_not_applicable(content):
    table = table_of(content, "Diagnostics").set_index("Done or skipped")
    value = "Statistic (as the diagnostic says)"
    assert table.loc["done", value] == 3.8 and table.loc["skipped", value] == "[x]"
    assert table.loc["done", "Standard error (as value)"] == "[z]"
    reference = table_of(content, "Event_time").iloc[0]
    assert reference["Event time (periods)"] == -1
    assert reference["Standard error by area (unit of the row)"] == "[z]"


def test_areas_left_out_and_files_are_listed(content):
    areas = table_of(content, "Areas")
    assert areas["Area"].tolist() == ["Bournemouth", "Isles of Scilly"]
    assert areas["Unit it is part of (code)"].tolist() == ["E1+E2", "[z]"]
    files = table_of(content, "Sources").iloc[0]
    assert files["File"] == "counts_2017.csv" and files["Size (bytes)"] == 1234
    assert files["Address of the file"] == "[x]"
    assert table_of(made(manifests={"counts": {"files": {}}}), "Sources").iloc[0]["File"] == "[x]"


def test_text_that_looks_like_a_formula_stays_text(content):
    outcomes = set(table_of(content, "Effects")["Outcome"])
    assert "=SUM(A1) share" in outcomes
    assert table_of(content, "Diagnostics").iloc[1]["Remarks or why skipped"] == "@rank 40 for 73 leads"
    strings = parts(content)["xl/sharedStrings.xml"].decode()
    assert "=SUM(A1) share" in strings and "+40, p &lt; 0.01" in strings


@pytest.mark.parametrize("synthetic", [True, False])
def test_the_banner_is_on_every_sheet_of_made_up_data_only(synthetic):
    content = made(synthetic)
    for name in NAMES:
        assert any(row[0] == SYNTHETIC for row in rows_of(content, name)) == synthetic, name
    for name, part in parts(content).items():
        if name.startswith("xl/worksheets/sheet"):
            assert (b"SYNTHETIC DATA" in part) == synthetic, name


def test_cover_has_dates_of_the_data_sources_and_contact(content):
    cover = [row[0] for row in rows_of(content, "Cover")]
    assert cover[0] == FRONT.title and "A report, 2022." in cover
    assert "Delays & <waits>: April 2011 to February 2020; treated from June 2017." in cover
    assert any("A publisher, OGL-3.0" in line for line in cover) and "Contact" in cover


def test_links_lead_to_sheets_that_exist(content):
    targets = set(re.findall(r"location=\"'(\w+)'!A1\"", b"".join(parts(content).values()).decode(errors="ignore")))
    assert targets == set(NAMES)


def test_the_same_bytes_twice_with_title_author_and_language(content):
    assert made() == content
    core = parts(content)["docProps/core.xml"].decode()
    assert f"<dc:title>{FRONT.title}</dc:title>" in core and "<dc:creator>ics-did</dc:creator>" in core
    assert "<dc:language>en-GB</dc:language>" in core and "2000-01-01T00:00:00Z" in core
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


class OneByOne(Worksheet):
    """xlsxwriter's own sheet, its columns written cell by cell."""

    def fill(self, top, place, values, text, numbers):
        for row, (value, form) in enumerate(zip(values, numbers, strict=True), start=top):
            if isinstance(value, str):
                self.write_string(row, place, value, text)
            else:
                self.write_number(row, place, value, form)


def cells_with_formats(content: bytes) -> dict[str, str]:
    """Every part of the file as text: each cell's string and format in place of their numbers, rows without the
    columns they span, which a file need not say."""
    files = parts(content)
    strings = [ElementTree.tostring(each, encoding="unicode") for each in
               ElementTree.fromstring(files.pop("xl/sharedStrings.xml"))]
    styles = ElementTree.fromstring(files["xl/styles.xml"])
    forms = {each.get("numFmtId"): each.get("formatCode") for each in styles.iter(f"{MAIN}numFmt")}
    formats = [str({**each.attrib, "numFmtId": forms.get(each.get("numFmtId"))})
               + "".join(ElementTree.tostring(part, encoding="unicode") for part in each)
               for each in styles.find(f"{MAIN}cellXfs")]
    found = {}
    for name, part in files.items():
        if not name.startswith("xl/worksheets/sheet"):
            found[name] = part.decode() if name != "xl/styles.xml" else sorted(formats)
            continue
        tree = ElementTree.fromstring(part)
        for row in tree.iter(f"{MAIN}row"):
            row.attrib.pop("spans", None)
            for cell in row:
                cell.set("s", formats[int(cell.get("s", 0))])
                if cell.get("t") == "s":
                    cell.find(f"{MAIN}v").text = strings[int(cell.find(f"{MAIN}v").text)]
        found[name] = ElementTree.tostring(tree, encoding="unicode")
    return found


def test_columns_written_at_once_are_those_that_xlsxwriter_writes_cell_by_cell(content, monkeypatch):
    monkeypatch.setattr(sheet, "Sheet", OneByOne)
    assert cells_with_formats(made()) == cells_with_formats(content)


def test_a_text_is_cut_where_a_cell_of_excel_ends(monkeypatch):
    texts = ["a" * 20_000, "a" * 40_000, "\U0001F600" * 16_000, "a" + "\U0001F600" * 20_000, "<&>"]
    table = Table("One", "One", [Column("a", "A")], pd.DataFrame({"a": texts}))
    ours = workbook.made(workbook.Cover("T", {}, {}), [table])
    monkeypatch.setattr(sheet, "Sheet", OneByOne)
    theirs = workbook.made(workbook.Cover("T", {}, {}), [table])
    assert rows_of(ours, "One") == rows_of(theirs, "One") and len(rows_of(ours, "One")[-4][0]) == 32_767


def test_a_number_that_is_not_finite_is_named_with_its_cell():
    table = Table("One", "One", [Column("a", "A", "number")], pd.DataFrame({"a": [1.0, float("inf")]}))
    with pytest.raises(ValueError, match=r"One!A\d: expected a finite number; found inf"):
        workbook.made(workbook.Cover("T", {}, {}), [table])


def test_a_marker_without_a_note_is_an_error():
    sheet = Table("One", "One", [Column("a", "A", explained="lost")], pd.DataFrame({"a": ["b"]}))
    with pytest.raises(KeyError, match="lost"):
        workbook.made(workbook.Cover("T", {}, {}), [sheet])


@pytest.mark.skipif(shutil.which("soffice") is None, reason=libreoffice.MISSING)
def test_libreoffice_opens_it_and_reads_the_same_cells(content, tmp_path):
    """Each sheet as LibreOffice reads it, cell by cell, alongside what calamine reads."""
    (tmp_path / "workbook.xlsx").write_bytes(content)
    for name, theirs in libreoffice.read(tmp_path / "workbook.xlsx", tmp_path, NAMES).items():
        ours = rows_of(content, name)
        assert len(theirs) == len(ours), name
        for their, our in zip(theirs, ours, strict=True):
            for cell, value in zip(their, our, strict=True):
                assert (float(cell) == value) if isinstance(value, float) else cell == value, name


def test_a_table_covers_its_rows_and_is_headed_by_its_cells(content):
    """What makes Excel offer a repair: a table whose range or column names differ from the cells under it."""
    files = parts(content)
    for place, name in enumerate(NAMES[1:], start=1):
        tree = ElementTree.fromstring(files[f"xl/tables/table{place}.xml"])
        rows = rows_of(content, name)
        (top, left), (bottom, right) = (_place(corner) for corner in tree.get("ref").split(":"))
        assert tree.get("name") == f"{name.lower()}_table" and left == 0 and bottom == len(rows) - 1
        heads = [column.get("name") for column in tree.iter(f"{MAIN}tableColumn")]
        assert rows[top][:right + 1] == heads and right + 1 == len(heads)


def _place(corner: str) -> tuple[int, int]:
    letters, number = re.fullmatch(r"([A-Z]+)(\d+)", corner).groups()
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - ord("A") + 1
    return int(number) - 1, column - 1


def test_text_is_large_enough_to_read_and_nothing_is_hidden(content):
    files = parts(content)
    sizes = [float(size.get("val")) for size in ElementTree.fromstring(files["xl/styles.xml"]).iter(f"{MAIN}sz")]
    assert sizes and min(sizes) >= 12
    for name, part in files.items():
        assert b'hidden="1"' not in part and b'state="hidden"' not in part, name


def test_without_anything_published_there_is_no_sheet_of_it():
    frames = tables(True) | {"reproduction": tables(True)["reproduction"].iloc[:0]}
    sheets = workbook_sheets.sheets(front=FRONT, sources={"counts": SOURCE},
                                    manifests=MANIFESTS, **frames)
    assert [sheet.name for sheet in sheets] == [name for name in NAMES[3:] if name != "Reproduction"]


def test_the_cover_names_the_contact():
    cover = workbook_sheets.cover(front=replace(FRONT, contact="A. Person, a@example.org"),
                                  sources={"counts": SOURCE}, version="0", is_synthetic=False)
    assert cover.sections["Contact"][0] == "A. Person, a@example.org"
