"""Where the reference numbers from R are, and the data they are of."""

from __future__ import annotations

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
