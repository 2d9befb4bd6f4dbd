"""Observed means and linear trends by group: the numbers of a parallel-trends figure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.diagnostics.pretrends import trends_fit
from did.estimators.base import Panel


def group_trends(panel: Panel) -> pd.DataFrame:
    """Return mean outcomes by period of the treated and the control group, observed and by the trends model.

    Columns period (ISO text), group (``treated`` for units treated at any time in the window, ``control`` for
    the never treated), observed_mean and linear_trend (units of the outcome) and n_units (units observed in
    that period). observed_mean is the mean over the group's observed units, with the panel's weights.
    linear_trend is the same mean of the fitted values of the model augmented with the treated group's linear
    trends before and after onset (`trends_fit`, treatment as binary whatever the panel's doses): as in
    Stata's ``estat trendplots`` (manual [CAUSAL] didregress postestimation) the groups share the period
    effects, so their difference, and not each line, is linear before and after onset. Units treated from the
    first period have no trend before onset and are left out. A group with no observed unit in a period has
    NaN means.
    """
    binary = _as_binary(panel)
    fit, used = trends_fit(binary)
    kept = binary.keep(used)
    weight = kept.observed_weight
    frames = []
    for group, members in (("treated", ~kept.never_treated), ("control", kept.never_treated)):
        share = weight[members]
        frames.append(pd.DataFrame({
            "period": kept.periods,
            "group": group,
            "observed_mean": _mean(kept.outcome[members], share),
            "linear_trend": _mean(kept.outcome[members] - fit.residual[members], share),
            "n_units": (share > 0).sum(axis=0),
        }))
    return pd.concat(frames, ignore_index=True)


def _as_binary(panel: Panel) -> Panel:
    from dataclasses import replace

    return replace(panel, dose=np.where(panel.never_treated, 0.0, 1.0), treatment="binary")


def _mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    total = weight.sum(axis=0)
    summed = np.where(weight > 0, values, 0.0)
    return np.divide((summed * weight).sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0)
