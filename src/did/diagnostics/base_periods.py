"""How much an overall effect depends on the one period before treatment that it is measured against."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators import estimate
from did.estimators.aggregation import aggregate
from did.estimators.base import PERIODS_PER_YEAR, Panel
from did.estimators.callaway_santanna import (
    CONTROL_GROUPS,
    Asked,
    first_weight,
    sample_of,
    whole_number,
    without_dose,
)
from did.estimators.group_time import Cohort
from did.estimators.group_time_moments import effects
from did.estimators.shares import Averages, Shares
from did.inference.change import Change
from did.inference.clustered import by_cluster
from did.inference.joint_test import diagnostic_row, skipped, tabled

# Numbers of a row that is an estimate.
KEPT = ["std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
        "n_treated_clusters"]
# Numbers of units and cells together that are worked out at a time.
BLOCK = 20_000_000
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
    positions = sample.positions
    rows: list[tuple] = []
    post = [np.flatnonzero(positions >= first) for first in firsts]
    step = max(1, BLOCK // (kept.sum() * sum(len(period) for period in post)))
    for start in range(1, int(before.min()) + 1, step):
        backs = np.arange(start, min(start + step, int(before.min()) + 1))
        cohorts = []
        for first, end, period in zip(firsts, before, post, strict=True):
            every = np.tile(period, len(backs))
            cohorts.append(Cohort(int(first), every, np.repeat(end - backs, len(period)),
                                  positions[every] + anticipation, np.zeros(len(every), dtype=bool)))
        value, shares, _ = effects(sample, cohorts, scaled.units[kept],
                                   never_treated_only=control_group == "never_treated", method="unconditional")
        cohort = np.repeat(np.arange(len(firsts)), [len(one.period) for one in cohorts])
        of_back = np.concatenate([np.repeat(np.arange(len(backs)), len(period)) for period in post])
        overall, found = _averages(value, shares, (cohort, of_back), _sizes(scaled, kept, firsts))
        rows += zip((positions[before[0] - backs] - firsts[0]).tolist(), overall * unit, found.spread() * unit,
                    [int(kept.sum())] * len(backs), found.n_treated().tolist(), strict=True)
    return pd.DataFrame(rows, columns=COLUMNS)


def _sizes(panel: Panel, kept: np.ndarray, firsts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the cohorts ``firsts`` each unit kept is of (-1 none), and its weight."""
    places = np.flatnonzero(kept)
    number = np.full(panel.n_periods + 1, -1)
    number[firsts] = np.arange(len(firsts))
    return number[panel.treated_from[places]], first_weight(panel, places)


def _averages(value: np.ndarray, shares: Shares, of: tuple[np.ndarray, np.ndarray],
              units: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, Shares]:
    """Return the means of (cells,) effects, cohorts by size, and their shares, as `aggregate` kind ``simple``; ``of``
    has each cell's cohort and average, ``units`` each unit's cohort and weight."""
    (cohort, average), (code, own) = of, units
    size = np.bincount(code[code >= 0], own[code >= 0])
    known = np.isfinite(value)
    if not np.isin(average, average[known]).all():
        raise DidError("base_period_spread: expected a cell at or after treatment with controls; found none")
    n = int(average.max()) + 1
    cohort, average = cohort[known], average[known]
    weights = np.zeros((len(value), n))
    weights[known, average] = size[cohort]
    total = weights.sum(axis=0)
    overall = np.nan_to_num(value) @ weights / total
    spread, counted = np.zeros((len(size), n)), np.zeros((len(size), n), dtype=bool)
    np.add.at(spread, (cohort, average), (value[known] - overall[average]) / total[average])
    counted[cohort, average] = True
    # An average of one cohort does not rest on its size; the sum would be rounding.
    spread[:, counted.sum(axis=0) == 1] = 0.0
    return overall, shares.averaged(Averages(weights / total, weights > 0, spread, code, own))


@tabled
def base_period_rows(panel: Panel, *, anticipation: int = 0) -> list[dict]:
    """Return how the overall effect of `did.estimators.callaway_santanna` hangs on its base, as diagnostics rows.

    Diagnostic ``base_period``; value in units of the outcome, but for the share. One row per cluster level, with error,
    interval and counts, of variants ``base_last`` (the last period before treatment, as reported), ``base_mean`` (the
    mean of the last year) and ``base_season`` (the same month or quarter of the year before). Of no clustering, over
    every base of `base_period_spread`: ``base_smallest`` and ``base_largest``, with event_time the base, and
    ``base_sign``: value the share of bases (0 to 1) whose effect has the sign of the reported one, which is statistic;
    n_tried the bases. The bases are neighbours and their effects correlated, so the range is no interval.

    Skipped with the reason: what cannot be estimated; for figures by year the season and the mean, which is then the
    last period. Averaged bases take parallel trends for granted over all their periods.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(40, 8, {6: 10}, 50.0, seed=2, frequency="Y", first="2011")
    >>> found = base_period_rows(Panel.from_frame(frame))
    >>> found.loc[found["variant"] == "base_sign", ["value", "n_tried"]].values.tolist()
    [[1.0, 6.0]]
    """
    year = PERIODS_PER_YEAR[panel.frequency]
    rows: list[dict] = []
    reported = np.nan
    for variant, window in (("base_last", None), ("base_mean", year), ("base_season", "season")):
        every = [_row(panel, level, variant) for level in panel.clusters]
        if window is not None and year == 1:
            rows += [skipped(row, "figures by year: the last year is the one base") for row in every]
            continue
        try:
            cells = estimate("callaway_santanna", panel, base_period="universal", anticipation=anticipation,
                             base_window=window)
            overall = aggregate(cells, panel, "simple")
        except DidError as error:
            rows += [skipped(row, str(error)) for row in every]
            continue
        if window is None:
            reported = float(overall.estimate[0])
        each = [{name: column[0] for name, column in block.items()} for block in by_cluster(overall, panel)]
        rows += [_row(panel, own["cluster"], variant) | {name: own[name] for name in KEPT} | {
            "value": own["estimate"], "statistic": own["estimate"] / own["std_error"], "reason": own["note"]}
            for own in each]
    if np.isfinite(reported):
        rows += _spread_rows(panel, anticipation, reported)
    return rows


def _spread_rows(panel: Panel, anticipation: int, reported: float) -> list[dict]:
    spread = base_period_spread(panel, anticipation=anticipation)
    effects_of = spread["estimate"].to_numpy()
    ends = {"base_smallest": int(effects_of.argmin()), "base_largest": int(effects_of.argmax())}
    counted = {"n_tried": len(spread), "n_units": spread["n_units"].iloc[0], "n_treated": spread["n_treated"].iloc[0]}
    rows = [_row(panel, "", variant) | counted | {
        "value": effects_of[at], "event_time": int(spread["base_event_time"].iloc[at])}
        for variant, at in ends.items()]
    share = float((np.sign(effects_of) == np.sign(reported)).mean())
    return [*rows, _row(panel, "", "base_sign") | counted | {"value": share, "statistic": reported}]


def _row(panel: Panel, level: str, variant: str) -> dict:
    return diagnostic_row("base_period", panel, level) | Change(variant).columns() | {"estimator": "callaway_santanna"}
