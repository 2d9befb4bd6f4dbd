"""How much an overall effect depends on the one period before treatment that it is measured against."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.errors import one_of
from did.estimators.aggregation import aggregate
from did.estimators.base import Panel, Result, root_sum_squares
from did.estimators.callaway_santanna import CONTROL_GROUPS, Asked, cell_table, sample_of, whole_number, without_dose
from did.estimators.group_time import Cohort, effects

COLUMNS = ["base_event_time", "estimate", "std_error", "n_units", "n_treated"]


def base_period_spread(
    panel: Panel, *, control_group: str = "not_yet_treated", anticipation: int = 0
) -> pd.DataFrame:
    """Return the overall effect of `did.estimators.callaway_santanna` measured against every possible base period.

    One row per period that all cohorts have before treatment (less ``anticipation``), the last first:

    base_event_time  periods from treatment to the base, -1 the usual one
    estimate         mean over all cells from treatment on, cohorts by size (`aggregate` kind ``simple``), in units of
                     the outcome, without covariates
    std_error        clustered by unit, without a small-sample factor
    n_units, n_treated  units used, and those treated

    The estimates differ only by what is taken off, so that their range says how much hangs on the choice. It is not an
    interval: neighbours share everything but one period. Units with a missing outcome or weight are left out, as by the
    estimator's default.

    >>> import numpy as np, pandas as pd
    >>> from did.estimators import Panel
    >>> frame = pd.DataFrame([{"unit": unit, "period": str(year), "frequency": "Y", "outcome": value,
    ...                        "cohort": "2004" if unit == "a" else None}
    ...                       for unit, values in {"a": (1, 4, 2, 9), "b": (1, 2, 3, 4), "c": (0, 1, 2, 3)}.items()
    ...                       for year, value in zip(range(2001, 2005), values)])
    >>> base_period_spread(Panel.from_frame(frame, cluster_columns=()))["estimate"].tolist()
    [6.0, 3.0, 5.0]

    Raises DidError as `did.estimators.callaway_santanna.estimate` does.
    """
    one_of("base_period_spread: control_group", control_group, CONTROL_GROUPS)
    whole_number("base_period_spread: anticipation", anticipation, "periods", 0)
    without_dose(panel, "base_period_spread")
    scaled, unit = panel.scaled()
    kept, sample, firsts, _ = sample_of(scaled, Asked("base_period_spread", control_group, anticipation, (), trim=True))
    before = np.searchsorted(sample.positions, firsts - anticipation)
    units, rows = scaled.units[kept], []
    for back in range(1, int(before.min()) + 1):
        cohorts = []
        for first, end in zip(firsts, before, strict=True):
            period = np.flatnonzero(sample.positions >= first)
            cohorts.append(Cohort(int(first), period, np.full(len(period), end - back),
                                  sample.positions[period] + anticipation, np.zeros(len(period), dtype=bool)))
        value, influence, treated, reasons = effects(
            sample, cohorts, never_treated_only=control_group == "never_treated", method="unconditional")
        cells = Result("callaway_santanna", cell_table(scaled, sample, cohorts, reasons, treated.sum(axis=0)), value,
                       pd.DataFrame(influence, index=units), pd.DataFrame(treated, index=units),
                       int(np.isfinite(sample.outcome).sum()), None, distribution="normal")
        overall = aggregate(cells, scaled, "simple")
        rows.append((int(sample.positions[before[0] - back] - firsts[0]), overall.estimate[0] * unit,
                     float(root_sum_squares(overall.influence.to_numpy())) * unit, len(units),
                     int(overall.treated.to_numpy().sum())))
    return pd.DataFrame(rows, columns=COLUMNS)
