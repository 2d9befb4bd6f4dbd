"""Workbooks opened in a process of their own: one that is made to break its parser breaks only that process.

A sheet with cells at A1 and XFD1048576 makes the parser ask for half a terabyte, and a parser that gets none ends its
process. Starting one takes some 15 ms.
"""

from __future__ import annotations

import contextlib
import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from did.errors import DidError
from did.readers import workbook_process
from did.readers.limits import beyond, limit, refuse_bomb, refuse_large


class Workbook:
    """An open workbook (.xls, .xlsx, .ods): ``names`` of its sheets, and each sheet's cells. See `opened`."""

    def __init__(self, process: subprocess.Popen, name: str) -> None:
        self._process = process
        self._name = name
        self.names: list[str] = self._received()

    def _received(self) -> Any:
        try:
            kind, what = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise beyond(self._name, "WORKBOOK_MEMORY_MB", f"a workbook that can be read in "
                         f"{limit('WORKBOOK_MEMORY_MB'):,} MB of memory and {limit('WORKBOOK_SECONDS')} s",
                         "one that cannot (a cell far below or to the right of the table, or a damaged file)",
                         "fetch it again, or save only the table in a new workbook") from None
        if kind == "error":
            raise DidError(f"{self._name}: expected an Excel workbook; found a file that cannot be opened as one "
                           f"({str(what)[:200]}); fetch it again")
        if kind == "size":
            raise beyond(self._name, "SHEET_CELLS", f"a sheet of at most {limit('SHEET_CELLS'):,} cells",
                         f"{what[0]:,} rows x {what[1]:,} columns", "delete the empty rows and columns")
        return what

    def _ask(self, sheet: str, *, with_cells: bool, as_shown: bool = False) -> None:
        with contextlib.suppress(BrokenPipeError):  # what broke is reported when the answer is read
            pickle.dump((sheet, with_cells, as_shown), self._process.stdin)
            self._process.stdin.flush()

    def last_cell(self, sheet: str) -> tuple[int, int] | None:
        """Return row and column of the sheet's last cell in use, counted from 0; None if it is empty."""
        self._ask(sheet, with_cells=False)
        return self._received()

    def cells(self, sheet: str, *, as_shown: bool = False) -> list[list[Any]]:
        """Return the sheet's cells from A1: rows of one length, an empty cell as ''.

        With ``as_shown`` a number of an .xlsx sheet that is formatted as a percentage is text: 0.65 is ``65%``.
        """
        self._ask(sheet, with_cells=True, as_shown=as_shown)
        self._received()
        return self._received()


@contextlib.contextmanager
def opened(path: Path, name: str) -> Iterator[Workbook]:
    """Yield the Workbook at ``path``; ``name`` is its name in messages.

    Raises DidError, also from the Workbook's methods, for: no file; a folder, device or pipe; a file that is no
    workbook; and one beyond a limit of `did.readers.limits`, naming it: its size, its size unpacked, the cells of a
    sheet, the memory or time that reading it takes.
    """
    refuse_large(path, name)
    refuse_bomb(path, name)
    numbers = [limit("WORKBOOK_MEMORY_MB") * 1_000_000, limit("WORKBOOK_SECONDS"), limit("SHEET_CELLS")]
    # Without the site's start-up files it starts in half the time; it needs one package only.
    packages = str(Path(importlib.util.find_spec("python_calamine").origin).parents[1])
    process = subprocess.Popen([sys.executable, "-I", "-S", workbook_process.__file__, packages,
                                str(Path(path).absolute()), *map(str, numbers)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield Workbook(process, name)
    finally:
        process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        process.wait()
