"""How much of an estimate's error is who happened to be asked, as rows of the diagnostics table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from did.errors import DidError
from did.estimators import entry
from did.estimators.base import Panel
from did.inference.joint_test import diagnostic_row, skipped, tabled
from did.inference.measurement import measurement_error, share_variance

DIAGNOSTIC = "sampling_error"


@tabled
def sampling_rows(panel: Panel, answers: np.ndarray | None, names: Sequence[str],
                  options: Mapping[str, Mapping[str, object]], *, per: float, design_effect: float | None,
                  seed: int = 20170601) -> list[dict]:
    """Return, for each estimator of one effect, the error that the sampling of respondents alone gives it.

    ``panel`` holds shares x ``per``, of ``answers`` (units, periods) respondents, None where these are not known;
    missing outcomes are left out.
    Diagnostic ``sampling_error``, clustered by unit: value is the standard deviation of the estimate over samples drawn
    again (`did.inference.measurement`), in units of the outcome; std_error the one clustered by unit, which has this
    and what differs between units; statistic the ratio of their variances. With ``design_effect`` 1 a simple random
    sample: the least it can be. Skipped, with the reason, where ``design_effect`` is None (the outcome is no share of
    independent answers), and where the variance cannot be had. Raises DidError for an estimator that is not
    registered.

    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(30, 8, {5: 10}, 3.0, seed=1, noise=4.0)[0])
    >>> answers = np.full(data.outcome.shape, 150)
    >>> found = sampling_rows(data, answers, ["did"], {}, per=1000.0, design_effect=1.0)
    >>> found["status"].item(), bool(found["value"].item() > 0)
    ('done', True)
    """
    rows = []
    for name in names:
        row = diagnostic_row(DIAGNOSTIC, panel, "unit") | {"estimator": entry(name).name}
        if design_effect is None:
            rows.append(skipped(row, "no share of independent answers: the indicator has no design_effect"))
            continue
        if answers is None:
            rows.append(skipped(row, "published without the number of answers"))
            continue
        try:
            variance = share_variance(panel.outcome, answers, design_effect=design_effect, per=per)
            found = measurement_error(panel, name, variance, options=dict(options.get(name, {})), seed=seed)
        except DidError as error:
            rows.append(skipped(row, str(error)))
            continue
        own = found.iloc[0]
        rows.append(row | {"value": own["measurement_error"], "std_error": own["std_error"], "statistic": own["share"],
                           "reason": f"design effect {design_effect:g}"})
    return rows
