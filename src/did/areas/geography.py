"""The target areas that an indicator's `geography` names: each kind has a file of its own in this folder."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from pathlib import Path

from did.areas.chain_areas import ChainAreas
from did.areas.systems import Systems
from did.areas.upper_tier import UpperTier

# Kinds of rows that lie in no unit.
ASIDE = ["country", "region", "county", "outside_england", "unplaced_practice", "left_out"]


def load(geography: str, folder: str | Path, boundaries: str = "merged") -> UpperTier | ChainAreas | Systems:
    """Return the target areas that an indicator's ``geography`` names, read from the reference ``folder``.

    Raises DidError for an unknown geography and for mistakes in the reference tables.
    """
    if geography == "stp":
        return Systems(folder)
    files = "*_authorit*.csv" if geography == "upper_tier" else f"{geography.rpartition('_')[0]}_*.csv"
    states = ((path.resolve(), path.stat().st_mtime_ns, path.stat().st_size)
              for path in sorted(Path(folder).glob(files)))
    areas = _read(geography, str(folder), *states)
    if isinstance(areas, UpperTier):
        areas = copy(areas)
        areas.boundaries = boundaries
    return areas


@lru_cache(maxsize=16)
def _read(geography: str, folder: str, *_states: tuple) -> UpperTier | ChainAreas:
    """One reading of each state of the files: the server of a run reads them for all its jobs."""
    return UpperTier(folder) if geography == "upper_tier" else ChainAreas(geography, folder)
