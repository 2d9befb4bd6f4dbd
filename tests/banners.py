"""Does a page, figure, sheet or table of the results say that its data are made up, where a reader sees it?"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pandas as pd
from python_calamine import CalamineWorkbook

WORD = "SYNTHETIC"


def says_synthetic(path: Path) -> bool:
    """True if every row, sheet, page or picture of the file says so. Raises KeyError for a file of another kind."""
    return {".csv": _table, ".xlsx": _workbook, ".docx": _document, ".png": _picture, ".svg": _drawing,
            ".json": lambda path: json.loads(_text(path))["is_synthetic"],
            # The style of every page has the word, for paper.
            ".html": lambda path: WORD in _text(path).rpartition("<body")[2],
            **dict.fromkeys([".md", ".tex", ".txt"], lambda path: WORD in _text(path))}[path.suffix](path)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _table(path: Path) -> bool:
    return bool(pd.read_csv(path, low_memory=False)["is_synthetic"].all())


def _workbook(path: Path) -> bool:
    book = CalamineWorkbook.from_path(path)
    return all(any(WORD in str(row[0]) for row in book.get_sheet_by_name(name).to_python())
               for name in book.sheet_names)


def _document(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return WORD in archive.read("word/document.xml").decode()


def _picture(path: Path) -> bool:
    """The description inside the file; what is drawn is the same figure as the SVG alongside it."""
    return f"{WORD} data".encode() in path.read_bytes()


def _drawing(path: Path) -> bool:
    return f">{WORD}<" in _text(path)
