"""Where the reference numbers from R are, and the data they are of."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE / "golden", HERE.parents[1] / "shared" / "golden")


def golden_file(*parts: str) -> Path:
    """Return the path of a file below ``golden``; the test is skipped if it is in neither place."""
    for folder in FOLDERS:
        if folder.joinpath(*parts).exists():
            return folder.joinpath(*parts)
    pytest.skip(f"../shared/golden/{'/'.join(parts)} is not alongside the checkout")


def golden_results(name: str) -> list[dict]:
    """Return the results in a file of reference numbers, ``NAME.json``, or packed as ``NAME.json.gz``."""
    packed = FOLDERS[0] / "r" / f"{name}.json.gz"
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else golden_file("r", f"{name}.json").read_bytes()
    return json.loads(text)["results"]
