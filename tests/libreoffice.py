"""What LibreOffice reads from a workbook, cell by cell."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Sequence
from pathlib import Path

MISSING = "needs LibreOffice: apt-get install libreoffice-calc-nogui"
EVERY_SHEET = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,-1"


def read(path: Path, folder: Path, names: Sequence[str]) -> dict[str, list[list[str]]]:
    """Cells of each named sheet as text, converted in ``folder``; CalledProcessError if it cannot be opened."""
    subprocess.run(["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to",
                    EVERY_SHEET, "--outdir", str(folder), str(path)], check=True, capture_output=True, timeout=240)
    found = {}
    for name in names:
        with open(folder / f"{path.stem}-{name}.csv", encoding="utf-8", newline="") as file:
            found[name] = list(csv.reader(file))
    return found
