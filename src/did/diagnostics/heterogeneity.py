"""Effects of parts of the treated: by system, by wave, by intensity and by deprivation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from did.diagnostics.alternatives import Variants
from did.estimators.base import Panel


def by_cluster(panel: Panel, level: str, names: Mapping[str, str]) -> Variants:
    """Yield the panel of each treated cluster of ``level`` with all controls; ``names`` as in `alternatives`."""
    labels = panel.clusters[level]
    for label in sorted(set(labels[~panel.never_treated])):
        yield f"{names.get(label, label)} ({label})", panel.keep(panel.never_treated | (labels == label))


def by_wave(panel: Panel, frame: pd.DataFrame) -> Variants:
    """Yield the panel of each wave's treated units with the controls; ``frame`` the panel table (unit, wave)."""
    wave = frame.drop_duplicates("unit").set_index("unit")["wave"].reindex(panel.units)
    waves = sorted(wave[~panel.never_treated].dropna().unique())
    for each in waves:
        yield f"wave {each}", panel.keep(panel.never_treated | (wave == each).fillna(False).to_numpy(dtype=bool))


def by_dose(panel: Panel, dose: np.ndarray, what: str = "intensity") -> Variants:
    """Yield the panel of the treated units of each tercile of ``dose``, (units,) with 0 for controls, and all controls.

    Units of one dose stay together, so terciles may differ in size. One variant without numbers if doses do not differ.
    """
    treated = ~panel.never_treated
    tercile = _terciles(dose[treated])
    if tercile is None:
        yield f"by {what}", f"the treated units' {what} takes fewer than three values"
        return
    for number, name in enumerate(("lowest", "middle", "highest")):
        part = np.zeros(panel.n_units, dtype=bool)
        part[np.flatnonzero(treated)[tercile == number]] = True
        span = f"{dose[part].min():.4g} to {dose[part].max():.4g}"
        yield f"{name} tercile of {what} ({span})", panel.keep(~treated | part)


def by_covariate(panel: Panel, values: pd.Series | None, what: str) -> Variants:
    """Yield the panel of all units, treated or not, in each tercile of ``values`` (unit -> number).

    Treated units are thus compared with controls alike in it. Units without a value are left out and counted.
    """
    if values is None:
        yield f"by {what}", f"no table of {what} for these areas"
        return
    found = values.reindex(panel.units).to_numpy(dtype=float)
    known = np.isfinite(found)
    tercile = np.full(panel.n_units, -1)
    cut = _terciles(found[known])
    if cut is None:
        yield f"by {what}", f"{what} takes fewer than three values"
        return
    tercile[known] = cut
    unknown = f", {int((~known).sum())} units unknown" if not known.all() else ""
    for number, name in enumerate(("lowest", "middle", "highest")):
        part = tercile == number
        if not (part & ~panel.never_treated).any() or not (part & panel.never_treated).any():
            yield f"{name} tercile of {what}", "treated or control units are missing there"
        else:
            yield f"{name} tercile of {what}{unknown}", panel.keep(part)


def _terciles(values: np.ndarray) -> np.ndarray | None:
    """Third (0, 1, 2) of every value, equal values in one; None with fewer than three values."""
    if len(np.unique(values)) < 3:
        return None
    rank = pd.Series(values).rank(method="average", pct=True).to_numpy()
    tercile = np.minimum((rank * 3 - 1e-9).astype(int), 2)
    return tercile if len(np.unique(tercile)) == 3 else None
