"""Publishers' files and anyone's own, read into observations or a panel: one module for each format."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from did.errors import DidError, one_of, suggest

if TYPE_CHECKING:
    import pandas as pd

READERS: dict[str, str] = {
    "dtoc_la_workbook": "did.readers.dtoc_la_workbook",
    "excel_table": "did.readers.excel_table",
    "fingertips_csv": "did.readers.fingertips_csv",
    "gpps_practice_csv": "did.readers.gpps_practice_csv",
    "ons_mye": "did.readers.ons_mye",
    "tidy_csv": "did.readers.tidy_csv",
}
# Tables of the folder that the option `reference` names which a reader looks into.
REFERENCES: dict[str, tuple[str, ...]] = {
    "dtoc_la_workbook": ("dtoc_authorities.csv",),
    "gpps_practice_csv": ("gpps_questions.csv",),
}


@dataclass(frozen=True)
class RawFile:
    """One file as the publisher gave it.

    ``name`` is the file's name in the registry and in every message, ``period`` the ISO period the
    registry gives it (None if it covers several), ``is_synthetic`` true for demonstration files.
    """

    path: Path
    name: str
    period: str | None = None
    is_synthetic: bool = False


def read(reader: str, source_id: str, files: list[RawFile],
         options: dict[str, Any] | None = None) -> pd.DataFrame:
    """Return the ``observations`` table of all ``files``, read by the reader named ``reader``.

    ``options`` are the reader's own settings, listed in its module's OPTIONS. Counts are in ``value``;
    ``numerator`` and ``denominator`` are missing for plain counts. Rows come in the order of period, then
    of the file. Raises DidError for an unknown reader or option, for no files, for anything the reader
    refuses, and if two files give the same source, measure, area and period.
    """
    from did.readers.workbook import one_process
    from did.store import tables

    options = dict(options or {})
    module = checked(reader, source_id, options)
    if not files:
        raise DidError(f"source {source_id}: expected at least one file for reader {reader}; found none; "
                       "run `did fetch` first")
    with one_process():
        frame = module.read(source_id, files, options)
    if "period_published" not in frame:   # readers of one layout have no other way to write a period
        frame = frame.assign(period_published="")
    # A text file has no sheets; a figure that is a sum of several rows has no row.
    frame = frame.assign(sheet=frame.get("sheet", ""), row=frame.get("row"))
    return tables.check("observations", frame, f"source {source_id}")


def periods_of(reader: str, source_id: str, raw: RawFile, options: dict[str, Any]) -> list[str]:
    """Return the periods of one file, sorted, after reading it as its source's reader does.

    ``raw.period`` None leaves it to the file's contents which period it is of. Raises DidError for anything the reader
    refuses in a single file.
    """
    module = importlib.import_module(READERS[reader])
    if hasattr(module, "periods_of"):  # one that needs several files for its observations
        return module.periods_of(raw, options)
    return sorted(set(read(reader, source_id, [raw], options)["period"]))


def reference_tables(reader: str, options: Mapping[str, Any]) -> list[Path]:
    """The reference tables that a reader looks into under its ``options``; none for most.

    Raises DidError for an option ``reference`` that is no text.
    """
    folder = options.get("reference", "data/reference")
    if not isinstance(folder, str):
        raise DidError(f"reader {reader}: option 'reference': expected a folder; found '{folder}'; write its path as "
                       "text")
    return [Path(folder) / name for name in REFERENCES.get(reader, ())]


def checked(reader: str, source_id: str, options: dict[str, Any]) -> Any:
    """Return the module of a reader, after all that can be said of a source's ``options`` without its files.

    Raises DidError for an unknown reader, an option that it does not have, and what the reader's own ``check`` refuses.
    """
    one_of(f"source {source_id}: reader", reader, READERS)
    module = importlib.import_module(READERS[reader])
    check_options(f"source {source_id}, reader {reader}", options, module.OPTIONS)
    if hasattr(module, "check"):
        module.check(source_id, options)
    return module


def measures_of(reader: str, options: dict[str, Any]) -> list[str] | None:
    """Return the measures that a reader gives under its ``options``, which are right; None where the files say which.

    >>> measures_of("tidy_csv", {"layout": "wide", "measures": {"visits": "Visits"}})
    ['visits']
    """
    module = importlib.import_module(READERS[reader])
    return module.measures(options) if hasattr(module, "measures") else None


def check_options(where: str, options: dict[str, Any], allowed: Iterable[str]) -> None:
    """Raise DidError if a key of ``options`` is not in ``allowed``; ``where`` begins the message."""
    allowed = list(allowed)
    for key in options:
        if key not in allowed:
            raise DidError(f"{where}: unknown option '{key}'{suggest(key, allowed)}; "
                           f"expected any of {', '.join(allowed)}")
