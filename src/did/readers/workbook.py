"""Workbooks opened in a process of their own: one that is made to break its parser breaks only that process.

A sheet with cells at A1 and XFD1048576 makes the parser ask for half a terabyte, and a parser that gets none ends its
process. Starting one takes longer than reading most workbooks, so that the files of a source can share one: see
`one_process`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from did.errors import DidError
from did.readers import workbook_process
from did.readers.limits import beyond, limit, refuse_bomb, refuse_large

# Cells of a workbook after which its process, which may not give back the memory, is not kept for the next.
KEPT_CELLS = 200_000
_shared: ContextVar[list[subprocess.Popen] | None] = ContextVar("shared", default=None)


class Workbook:
    """An open workbook (.xls, .xlsx, .ods): ``names`` of its sheets, and each sheet's cells. See `opened`."""

    def __init__(self, process: subprocess.Popen, path: Path, name: str) -> None:
        self._process = process
        self._name = name
        self.n_cells = 0
        self._send(str(Path(path).absolute()))
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

    def _send(self, what: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # what broke is reported when the answer is read
            pickle.dump(what, self._process.stdin)
            self._process.stdin.flush()

    def close(self) -> None:
        """Let the process go on to another workbook."""
        self._send(None)

    def last_cell(self, sheet: str) -> tuple[int, int] | None:
        """Return row and column of the sheet's last cell in use, counted from 0; None if it is empty."""
        self._send((sheet, False, False))
        return self._received()

    def cells(self, sheet: str, *, as_shown: bool = False) -> list[list[Any]]:
        """Return the sheet's cells from A1: rows of one length, an empty cell as ''.

        With ``as_shown`` a number of an .xlsx sheet that is formatted as a percentage is text: 0.65 is ``65%``.
        """
        self._send((sheet, True, as_shown))
        self._received()
        rows = self._received()
        self.n_cells += sum(map(len, rows))
        return rows


@contextlib.contextmanager
def opened(path: Path, name: str) -> Iterator[Workbook]:
    """Yield the Workbook at ``path``; ``name`` is its name in messages.

    Raises DidError, also from the Workbook's methods, for: no file; a folder, device or pipe; a file that is no
    workbook; and one beyond a limit of `did.readers.limits`, naming it: its size, its size unpacked, the cells of a
    sheet, the memory or time that reading it takes.
    """
    refuse_large(path, name)
    refuse_bomb(path, name)
    kept = _shared.get()
    process = kept.pop() if kept else _started()
    again = False
    try:
        workbook = Workbook(process, path, name)
        yield workbook
        again = kept is not None and workbook.n_cells <= KEPT_CELLS
        if again:
            workbook.close()
            kept.append(process)
    finally:
        if not again:
            _end(process)


@contextlib.contextmanager
def one_process() -> Iterator[None]:
    """Let workbooks that are opened one after the other share a process, until one breaks it or is large; the limits
    are those of each."""
    kept: list[subprocess.Popen] = []
    before = _shared.set(kept)
    try:
        yield
    finally:
        _shared.reset(before)
        for process in kept:
            _end(process)


def _started() -> subprocess.Popen:
    numbers = [limit("WORKBOOK_MEMORY_MB") * 1_000_000, limit("WORKBOOK_SECONDS"), limit("SHEET_CELLS")]
    # Without the site's start-up files it starts in half the time; it needs one package only.
    packages = str(Path(importlib.util.find_spec("python_calamine").origin).parents[1])
    return subprocess.Popen([sys.executable, "-I", "-S", workbook_process.__file__, packages, *map(str, numbers)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _end(process: subprocess.Popen) -> None:
    process.kill()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.close()
    process.wait()
