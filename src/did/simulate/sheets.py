"""Grids of cells and the .xls files they are saved as, the same bytes for the same cells."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Grid = dict[tuple[int, int], Any]
SYNTHETIC = "SYNTHETIC demonstration data, made up by did simulate: no publisher's figures"


def put(grid: Grid, row: int, column: int, values: Sequence[Any]) -> None:
    """Put ``values`` into a row from a column on (both counted from 0); an empty text is an empty cell."""
    grid.update({(row, column + step): value for step, value in enumerate(values) if value != ""})


def save(path: Path, sheets: Mapping[str, Mapping[tuple[int, int], Any]]) -> None:
    """Save grids as the sheets of an .xls workbook; None is an empty cell. Equal cells give equal bytes."""
    import xlwt

    book = xlwt.Workbook()
    style = book.add_style(xlwt.Style.default_style)
    for title, grid in sheets.items():
        sheet = book.add_sheet(title, cell_overwrite_ok=True)
        places = [place for place, value in grid.items() if value is not None]
        values = [value for value in grid.values() if value is not None]
        for row, last, records in _rows(places, values, book.add_str, style):
            sheet.write(row, last, 0)   # a row knows its end from what is written there, which the records replace
            sheet.row(row).insert_cell(last, records)
        sheet.first_used_col = min(column for _, column in places)
    book.save(str(path))


@dataclasses.dataclass(frozen=True)
class _Records:
    """All cells of a row: xlwt takes it for a cell, and writes what `get_biff_data` gives."""

    content: bytes

    def get_biff_data(self) -> bytes:
        return self.content


def _rows(places: Sequence[tuple[int, int]], values: Sequence[Any], numbered: Callable[[str], int], style: int
          ) -> Iterator[tuple[int, int, _Records]]:
    """Yield each row in its order, the last of its columns, and the records of its cells, as xlwt writes them one by
    one: texts by their number in the workbook, whole numbers and hundredths in 30 bits, those that are next to each
    other in one record, and other numbers as floats (records LABELSST, RK, MULRK and NUMBER of [MS-XLS]).
    """
    order = {row: place for place, row in enumerate(dict.fromkeys(row for row, _ in places))}
    is_text = np.array([isinstance(value, str) for value in values], dtype=bool)
    number = np.array([numbered(value) if isinstance(value, str) else value for value in values], dtype=float)
    row, column = np.array(places).T
    by_place = np.lexsort((column, [order[each] for each, _ in places]))
    row, column, number, is_text = row[by_place], column[by_place], number[by_place], is_text[by_place]
    hundredths = np.rint(number * 100)
    is_whole, is_hundredths = ((each >= -2**29) & (each < 2**29) & same for each, same in (
        (number, number == np.trunc(number)), (number * 100, hundredths / 100 == number)))
    is_short = ~is_text & (is_whole | is_hundredths)
    short = np.where(is_short, np.where(is_whole, number, hundredths), 0).astype(int) * 4 + np.where(is_whole, 2, 3)

    def each(kind: int, value: np.ndarray, dtype: str) -> tuple[bytes, int]:
        """A record of this kind for every cell, one after the other, and the size of one."""
        found = np.zeros(len(row), dtype=f"<u2, <u2, <u2, <u2, <u2, {dtype}")
        held = (kind, np.dtype(dtype).itemsize + 6, row, column, style, value)
        for name, part in zip(found.dtype.names, held, strict=True):
            found[name] = part
        return found.tobytes(), found.itemsize

    alone = {0: each(0xFD, np.where(is_text, number, 0), "<u4"), 1: each(0x27E, short, "<i4"),
             2: each(0x203, number, "<f8")}
    kind = np.where(is_text, 0, np.where(is_short, 1, 2))
    joins = (kind[1:] == 1) & (kind[:-1] == 1) & (row[1:] == row[:-1]) & (column[1:] == column[:-1] + 1)
    starts = np.flatnonzero(np.append(True, ~joins)).tolist()
    kinds, rows, columns = kind.tolist(), row.tolist(), column.tolist()
    content: dict[int, list[bytes]] = {}
    for start, end in itertools.pairwise([*starts, len(rows)]):
        records, size = alone[kinds[start]]
        found = content.setdefault(rows[start], [])
        if end - start == 1:
            found.append(records[start * size:end * size])
        else:   # of each only style and number
            found.append(struct.pack("<4H", 0xBD, 6 * (end - start) + 6, rows[start], columns[start]))
            found += [records[place * size + 8:(place + 1) * size] for place in range(start, end)]
            found.append(struct.pack("<H", columns[end - 1]))
    last = dict(zip(rows, columns, strict=True))
    for place, found in content.items():
        yield place, last[place], _Records(b"".join(found))


def save_csv(path: Path, rows: Iterable[Sequence[Any]], *, line_end: str = "\n") -> None:
    """Save rows as UTF-8 CSV, texts quoted where they hold a comma."""
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows(rows)
    Path(path).write_bytes(text.getvalue().encode())
