"""Effects of parts of the treated: by system, by wave, by intensity and by deprivation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from did.diagnostics.alternatives import Variants
from did.estimators.base import Panel
from did.inference.change import Change


def by_cluster(panel: Panel, level: str, names: Mapping[str, str]) -> Variants:
    """Yield the panel of each treated cluster of ``level`` with all controls; ``names`` as in `alternatives`."""
    labels = panel.clusters[level]
    for label in sorted(set(labels[~panel.never_treated])):
        yield (Change("one_cluster", part=str(label), called=str(names.get(label, label))),
               panel.keep(panel.never_treated | (labels == label)))


def by_wave(panel: Panel, frame: pd.DataFrame) -> Variants:
    """Yield the panel of each wave's treated units with the controls; ``frame`` the panel table (unit, wave)."""
    wave = frame.drop_duplicates("unit").set_index("unit")["wave"].reindex(panel.units)
    waves = sorted(wave[~panel.never_treated].dropna().unique())
    for each in waves:
        yield (Change("one_wave", part=str(each)),
               panel.keep(panel.never_treated | (wave == each).fillna(False).to_numpy(dtype=bool)))


def by_dose(panel: Panel, dose: np.ndarray, what: str = "intensity") -> Variants:
    """Yield the panel of the treated units of each tercile of ``dose``, (units,) with 0 for controls, and all controls.

    Units of one dose stay together, so terciles may differ in size. One variant without numbers if doses do not differ.
    """
    treated = ~panel.never_treated
    tercile = _terciles(dose[treated])
    if tercile is None:
        yield Change("terciles", part_of=what), f"the treated units' {what} takes fewer than three values"
        return
    for number, name in enumerate(("lowest", "middle", "highest")):
        part = np.zeros(panel.n_units, dtype=bool)
        part[np.flatnonzero(treated)[tercile == number]] = True
        yield (Change("third_of_treated", part=name, part_of=what, part_low=float(dose[part].min()),
                      part_high=float(dose[part].max())), panel.keep(~treated | part))


def by_covariate(panel: Panel, values: pd.Series | None, what: str) -> Variants:
    """Yield the panel of all units, treated or not, in each tercile of ``values`` (unit -> number).

    Treated units are thus compared with controls alike in it. Units without a value are left out and counted.
    """
    if values is None:
        yield Change("terciles", part_of=what), f"no table of {what} for these areas"
        return
    found = values.reindex(panel.units).to_numpy(dtype=float)
    known = np.isfinite(found)
    tercile = np.full(panel.n_units, -1)
    cut = _terciles(found[known])
    if cut is None:
        yield Change("terciles", part_of=what), f"{what} takes fewer than three values"
        return
    tercile[known] = cut
    n_unknown = None if known.all() else int((~known).sum())
    for number, name in enumerate(("lowest", "middle", "highest")):
        part = tercile == number
        if not (part & ~panel.never_treated).any() or not (part & panel.never_treated).any():
            yield Change("third", part=name, part_of=what), "treated or control units are missing there"
        else:
            yield Change("third", part=name, part_of=what, n_left_out=n_unknown), panel.keep(part)


def _terciles(values: np.ndarray) -> np.ndarray | None:
    """Third (0, 1, 2) of every value, equal values in one; None with fewer than three values."""
    if len(np.unique(values)) < 3:
        return None
    rank = pd.Series(values).rank(method="average", pct=True).to_numpy()
    tercile = np.minimum((rank * 3 - 1e-9).astype(int), 2)
    return tercile if len(np.unique(tercile)) == 3 else None
