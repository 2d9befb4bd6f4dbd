"""The writer of .xlsx: an accessible workbook with cover, contents, notes, then one named table a sheet.

After the UK Government Analysis Function's guidance "Releasing statistics in spreadsheets": everything begins in cell
A1, no merged cells, no empty rows, columns or cells inside, units in headings, note markers and shorthand explained.
"""

from __future__ import annotations

import datetime as dt
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from did.report.content.table import PARTS, Column, Table, text_table
from did.words import plural

SHORTHAND = {"[x]": "not available: it could not be computed, or was not published",
             "[z]": "not applicable: the row has no such figure",
             "[c]": "suppressed by the publisher to protect confidentiality"}
WIDEST, NARROWEST, NUMERIC, LINE = 60, 9, 16, 16  # widths in characters; height of a line in points
TEXT_SIZE, WIDER = 12, 12 / 11  # points, and how much wider a character is than those that Excel counts widths in
CREATED = dt.datetime(2000, 1, 1)  # fixed, so that equal tables give equal bytes
P_FORMAT = '[<0.001]"<0.001";0.000'
LANGUAGE, AUTHOR = "en-GB", "ics-did"
PROPERTIES = "docProps/core.xml"
HEAD = {"bold": True, "text_wrap": True, "valign": "top", "bottom": 2}
LOOKS = {"title": {"bold": True, "font_size": 16}, "heading": {"bold": True, "font_size": 13}, "bold": {"bold": True},
         "wrapped": {"text_wrap": True, "valign": "top"}, "right": {"align": "right", "valign": "top"},
         "link": {"font_color": "#0B4F9E", "underline": 1, "valign": "top"}, "head": HEAD,
         "head_right": HEAD | {"align": "right"}}


@dataclass(frozen=True)
class Cover:
    """The first sheet: the title, and headings with their paragraphs; and the texts of the notes, by their keys."""

    title: str
    sections: Mapping[str, Sequence[str]]
    notes: Mapping[str, str]
    banner: str = ""


def made(cover: Cover, tables: Sequence[Table]) -> bytes:
    """Return the workbook: cover, contents, notes and a sheet for each of ``tables``, under its name. Text is written
    as text, whatever it begins with, so none of it is run as a formula; numbers are numbers. Notes are numbered in the
    order in which headings first refer to them; KeyError for a key without a note. Equal arguments give equal bytes."""
    import xlsxwriter

    used: dict[str, list[str]] = {}
    for table in tables:
        for column in table.columns:
            if column.explained and table.name not in used.setdefault(column.explained, []):
                used[column.explained].append(table.name)
    numbers = {key: f"[note {place}]" for place, key in enumerate(used, start=1)}
    sheets = [_flat(table, numbers) for table in tables]
    synthetic = any(sheet.is_synthetic for sheet in sheets)
    shorthand = {mark: [sheet.name for sheet in sheets if (sheet.rows == mark).any(axis=None)] for mark in SHORTHAND}
    meaning = [{"Marker": marker, "Meaning": text, "Used on sheets": ", ".join(names) or "none in this workbook"}
               for marker, text, names in (*((numbers[key], cover.notes[key], names) for key, names in used.items()),
                                           *((mark, text, shorthand[mark]) for mark, text in SHORTHAND.items()))]
    notes = _flat(text_table("Notes", "Notes and shorthand", meaning, is_synthetic=synthetic,
                             about="What the markers in headings and the shorthand in cells mean."), {})
    lines = [{"Sheet": sheet.name, "Title": sheet.caption, "Rows (number)": len(sheet.rows)}
             for sheet in [notes, *sheets]]
    contents = _flat(text_table("Contents", "Contents", lines, is_synthetic=synthetic,
                                about="Each name is a link to its sheet."), {})
    into = io.BytesIO()
    book = xlsxwriter.Workbook(into, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
                                      "default_format_properties": {"font_name": "Arial", "font_size": TEXT_SIZE}})
    book.set_properties({"title": cover.title, "author": AUTHOR, "created": CREATED,
                         "subject": cover.banner or cover.title})
    writer = _Writer(book, cover.banner)
    writer.cover(cover)
    for sheet in [contents, notes, *sheets]:
        writer.table(sheet, linked=sheet is contents)
    book.close()
    return _with_language(into.getvalue())


def _flat(table: Table, numbers: Mapping[str, str]) -> Table:
    """The table with a column for each field, its heading with unit and marker, and shorthand in every empty cell."""
    columns = []
    for column in table.columns:
        mark = f" {numbers[column.explained]}" if column.explained else ""
        for name, heading, kind in zip(column.names, column.sheet or (column.heading,), PARTS[column.kind],
                                       strict=False):
            unit = "0 to 1" if kind == "p" and column.kind == "interval" else column.unit
            if heading:
                columns.append(Column(name, f"{heading}{f' ({unit})' if unit else ''}{mark}", kind, empty=column.empty))
    rows = {name: table.rows[name].astype(object) for column in columns for name in column.names}
    return replace(table, columns=columns, decimals=table.decimals or [2] * len(table.rows), rows=pd.DataFrame({
        column.names[0]: (own := rows[column.names[0]]).mask(own.isna() | (own == ""), column.empty)
        for column in columns}))


class _Writer:
    """Writes sheets into one xlsxwriter book and keeps its formats."""

    def __init__(self, book, banner: str) -> None:
        self.book, self.banner = book, banner
        self.formats = {name: book.add_format(look) for name, look in LOOKS.items()}

    def number(self, form: str):
        if form not in self.formats:
            self.formats[form] = self.book.add_format({"num_format": form, "valign": "top"})
        return self.formats[form]

    def sheet(self, name: str, synthetic: bool):
        from did.report.writers.sheet import Sheet

        made = self.book.add_worksheet(name, worksheet_class=Sheet)
        made.hide_gridlines(2)
        made.set_landscape()
        made.set_paper(9)
        made.fit_to_pages(1, 0)
        made.set_footer(f"&L{name}&RPage &P of &N")
        if synthetic:
            made.set_header("&C&BSYNTHETIC DATA")
            made.set_tab_color("#B3261E")
        return made

    def cover(self, cover: Cover) -> None:
        sheet, formats = self.sheet("Cover", bool(cover.banner)), self.formats
        sheet.set_column(0, 0, 100 * WIDER)
        lines = [(cover.title, "title")] + ([(cover.banner, "bold")] if cover.banner else [])
        for heading, paragraphs in cover.sections.items():
            lines += [(heading, "heading"), *((text, "wrapped") for text in paragraphs)]
        for row, (text, look) in enumerate(lines):
            sheet.write_string(row, 0, text, formats[look])
            if look == "wrapped":
                sheet.set_row(row, LINE * _lines(text, 100))
        sheet.write_url(len(lines), 0, "internal:'Contents'!A1", formats["link"], "Go to the contents")

    def table(self, sheet: Table, *, linked: bool = False) -> None:
        into, formats = self.sheet(sheet.name, sheet.is_synthetic), self.formats
        banner = [(self.banner, "bold")] if sheet.is_synthetic and self.banner else []
        said = f"This worksheet contains one table of {plural(len(sheet.rows), 'row')}. {sheet.about}"
        for row, (text, look) in enumerate([(sheet.caption, "title"), *banner, (said, "")]):
            into.write_string(row, 0, text, formats.get(look))
        target = "Cover" if linked else "Contents"
        into.write_url(row + 1, 0, f"internal:'{target}'!A1", formats["link"], f"Back to the {target.lower()}")
        top = row + 2
        headers, tall, head = [], [1] * len(sheet.rows), 1
        for place, column in enumerate(sheet.columns):
            own = sheet.rows[column.names[0]].tolist()
            width = _width(column, own)
            into.set_column(place, place, width * WIDER)
            head = max(head, _lines(column.heading, width - 2))
            if column.kind == "text":
                tall = [max(now, _lines(text, width)) for now, text in zip(tall, own, strict=True)]
            self.cells(into, top + 1, place, column, own, sheet.decimals, linked and place == 0)
            headers.append({"header": column.heading,
                            "header_format": formats["head_right" if column.is_numeric else "head"]})
        for row, lines in enumerate([head, *tall], start=top):
            if lines > 1:
                into.set_row(row, LINE * lines)
        # A table needs a row under its header.
        into.add_table(top, 0, top + max(1, len(sheet.rows)), len(headers) - 1,
                       {"name": f"{sheet.name.lower()}_table", "columns": headers, "style": "Table Style Light 1",
                        "title": sheet.caption, "description": sheet.about})
        into.freeze_panes(top + 1, 1)
        into.repeat_rows(top)

    def cells(self, into, top: int, place: int, column: Column, values: Sequence, decimals: Sequence[int],
              linked: bool) -> None:
        if linked:
            for row, value in enumerate(values, start=top):
                into.write_url(row, place, f"internal:'{value}'!A1", self.formats["link"], value)
            return
        if column.kind == "number":
            forms = [self.number(f"#,##0.{'0' * n}" if n else "#,##0") for n in decimals]
        else:
            forms = [self.number({"count": "#,##0", "p": P_FORMAT}.get(column.kind, "@"))] * len(values)
        into.fill(top, place, values, self.formats["right" if column.is_numeric else "wrapped"], forms)


def _width(column: Column, values: Sequence) -> float:
    """Width in characters: what nine of ten cells need, and the longest word of the heading with its filter button."""
    words = max(len(word) for word in column.heading.split()) + 4
    usual = np.quantile([len(text) for text in values], 0.9) + 1 if column.kind == "text" and values else NUMERIC
    return min(WIDEST, max(NARROWEST, words, float(usual)))


def _lines(text: str, width: float) -> int:
    """Lines that a text takes in a column of ``width`` characters, with room for words that do not fill one."""
    return 1 if len(text) <= width else math.ceil(1.15 * len(text) / width)


def _with_language(content: bytes) -> bytes:
    """The workbook with its language among its properties, which xlsxwriter does not write. The sheets come before the
    properties and stay as they are: to compress them again would take as long as the first time."""
    into = io.BytesIO(content)
    with zipfile.ZipFile(into, "a") as archive:
        entries = archive.infolist()
        at = entries.index(archive.getinfo(PROPERTIES))
        parts = {entry: archive.read(entry) for entry in entries[at:]}
        archive.start_dir = entries[at].header_offset   # where the next part is written
        for entry, part in parts.items():
            entries.remove(entry)
            del archive.NameToInfo[entry.filename]
            if entry.filename == PROPERTIES:
                part = part.replace(b"</dc:creator>", f"</dc:creator><dc:language>{LANGUAGE}</dc:language>".encode(), 1)
            archive.writestr(entry, part)
    return into.getvalue()
