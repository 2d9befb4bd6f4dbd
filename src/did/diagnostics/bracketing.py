"""Whether difference-in-differences and the lagged dependent variable bracket the effect: two conditions, checked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.estimators.base import Panel
from did.inference.change import Change
from did.inference.clustered import cluster_sums, quantile, small_sample_factor
from did.inference.joint_test import diagnostic_row, skipped, tabled

MET, NOT_MET, NOT_TOLD_APART = "met", "not_met", "not_told_apart"
LEVEL = 0.05
DRAWS = 999
FEWEST = 5
THIRDS = ("lowest", "middle", "highest")
LOWER, HIGHER = "lower", "higher"


@tabled
def bracketing_rows(panel: Panel, *, seed: int = 20170601) -> list[dict]:
    """Return the two conditions under which `did` and `ldv` bracket the effect, as rows of the diagnostics table.

    Ding and Li 2019, Political Analysis 27:605-615. With one outcome before and one after, if (1, stationarity) the
    outcome after rises by less than one for one with the outcome before among the untreated, and (2, stochastic
    monotonicity) the treated lie lower before (or higher) at every level, then the effect by `did` is no less (no more)
    than that by `ldv`: where either parallel trends or ignorability given the outcome before holds, the truth lies
    between the two, or at one of them. Here before is a unit's mean over the periods before the first onset, which is
    what `did` compares with, and after its mean from the last onset on. Diagnostic ``bracketing``; values in units of
    the outcome, or without a unit for slopes and shares; one row per cluster level of

    bracket_slope        value the slope among the never treated, with error and interval; condition ``met`` where the
                         95% interval lies below 1, ``not_met`` where it lies at or above, else ``not_told_apart``
    bracket_slope_third  the same within the lowest, middle and highest third of them (``part``): the slope must be
                         below 1 everywhere
    bracket_order        value the largest share by which the treated lie ``lower`` (or ``higher``, the ``part``) before
                         onset: the largest gap of the two distribution functions that way; p_value by dealing out
                         treatment again among whole clusters. ``met`` where one gap is told apart from chance and the
                         other is not, ``not_met`` where both are, else ``not_told_apart``
    bracket              value the effect by `did`, statistic that by `ldv` on the outcome before, of these two means;
                         ci_low and ci_high the lesser and the greater; part the one that the conditions make the
                         greater (``did`` or ``ldv``, empty unless they are met); condition that of both together

    The interval of the last is no confidence interval. Units treated from the first period, or without an outcome in a
    period before or after that others have, are left out (n_left_out). Rows are skipped, with the reason, for doses,
    without never-treated or treated units, with fewer than five of either, in thirds fewer than five units, or where
    treatment differs within a cluster.

    >>> from did.simulate.panels import panel
    >>> found = bracketing_rows(Panel.from_frame(panel(60, 12, {8: 20}, 3.0, seed=1)[0]))
    >>> found.loc[found["variant"].eq("bracket_slope"), ["value", "condition"]].round(2).values[0].tolist()
    [0.83, 'met']
    """
    data = _two_means(panel)
    rows: list[dict] = []
    for level in panel.clusters:
        if isinstance(data, str):
            rows.append(skipped(_row(panel, level, Change("bracket")), data))
            continue
        slopes = _slopes(panel, level, data)
        orders = _orders(panel, level, data, np.random.default_rng(seed))
        rows += [*slopes, *orders, _bracket(panel, level, data, slopes, orders)]
    return rows


@dataclasses.dataclass(frozen=True)
class _Means:
    """Of the units used: (units,) mean outcome before and after, weight, whether treated, and their places."""

    before: np.ndarray
    after: np.ndarray
    weight: np.ndarray
    treated: np.ndarray
    places: np.ndarray
    n_left_out: int


def _two_means(panel: Panel) -> _Means | str:
    if panel.treatment != "binary":
        return "for a binary treatment: with doses the groups have no order"
    starts = panel.treated_from[~panel.never_treated & ~panel.always_treated]
    if not len(starts) or not panel.never_treated.any():
        return "no unit treated within the window" if not len(starts) else "no unit never treated"
    seen = (panel.observed_weight > 0).any(axis=0)
    place = np.arange(panel.n_periods)
    parts = [seen & (place < starts.min()), seen & (place >= starts.max())]
    if not all(part.any() for part in parts):
        return "no outcome before the first onset, or none from the last on"
    complete = ~panel.always_treated & np.all([(panel.observed_weight[:, part] > 0).all(axis=1) for part in parts],
                                              axis=0)
    treated = ~panel.never_treated[complete]
    sides = int(treated.sum()), int((~treated).sum())
    if min(sides) < FEWEST:
        return f"{sides[0]} treated and {sides[1]} never treated units with every outcome: too few"
    before, after = (panel.outcome[complete][:, part].mean(axis=1) for part in parts)
    # About one number, so that a large level costs no digits.
    centre = before.mean()
    return _Means(before - centre, after - centre, panel.observed_weight[complete][:, seen].mean(axis=1), treated,
                  np.flatnonzero(complete), int((~complete).sum()))


def _slopes(panel: Panel, level: str, data: _Means) -> list[dict]:
    controls = ~data.treated
    order = np.flatnonzero(controls)[np.argsort(data.before[controls], kind="stable")]
    parts = [("", order), *zip(THIRDS, np.array_split(order, len(THIRDS)), strict=True)]
    return [_slope(panel, level, data, part, units) for part, units in parts]


def _slope(panel: Panel, level: str, data: _Means, part: str, units: np.ndarray) -> dict:
    row = _row(panel, level, Change("bracket_slope_third" if part else "bracket_slope", part=part))
    if len(units) < FEWEST:
        return skipped(row, f"{len(units)} units: too few for a slope")
    weight = data.weight[units] / data.weight[units].sum()
    before = data.before[units] - weight @ data.before[units]
    after = data.after[units] - weight @ data.after[units]
    square = weight @ before**2
    if not square > 0:
        return skipped(row, "no unit differs from another before onset")
    slope = weight @ (before * after) / square
    influence = (weight * before * (after - slope * before) / square)[:, None]
    sums = cluster_sums(influence, panel.clusters[level][data.places[units]])
    row |= {"value": slope, "n_units": len(units), "n_clusters": len(sums), "n_treated": 0, "n_treated_clusters": 0}
    error = np.sqrt(small_sample_factor(len(sums), len(units), 2)) * np.sqrt((sums**2).sum())
    if not error > 0:
        return skipped(row, f"no variation between clusters by {level}")
    half = float(quantile(1 - LEVEL / 2, np.array(len(sums) - 1))) * error
    condition = MET if slope + half < 1 else NOT_MET if slope - half >= 1 else NOT_TOLD_APART
    return row | {"std_error": error, "ci_low": slope - half, "ci_high": slope + half, "df_denominator": len(sums) - 1,
                  "condition": condition}


def _orders(panel: Panel, level: str, data: _Means, generator: np.random.Generator) -> list[dict]:
    rows = [_row(panel, level, Change("bracket_order", part=part)) for part in (LOWER, HIGHER)]
    codes, labels = pd.factorize(panel.clusters[level][data.places])
    treated = np.bincount(codes, data.treated) / np.bincount(codes)
    found = gaps(data.before, data.weight, data.treated[None])[0]
    counts = {"n_units": len(data.before), "n_treated": int(data.treated.sum()), "n_clusters": len(labels),
              "n_treated_clusters": int((treated > 0).sum()), "n_left_out": data.n_left_out}
    rows = [row | counts | {"value": gap} for row, gap in zip(rows, found, strict=True)]
    if not np.isin(treated, (0, 1)).all():
        return [skipped(row, f"treatment differs within a cluster by {level}, so that it cannot be dealt out again")
                for row in rows]
    drawn = generator.permuted(np.tile(treated, (DRAWS, 1)), axis=1)[:, codes] > 0
    chance = gaps(data.before, data.weight, drawn)
    p_values = (1 + (chance >= found - 1e-12).sum(axis=0)) / (DRAWS + 1)
    apart = int((p_values <= LEVEL).sum())
    condition = (NOT_TOLD_APART, MET, NOT_MET)[apart]
    return [row | {"p_value": p, "condition": condition} for row, p in zip(rows, p_values, strict=True)]


def gaps(values: np.ndarray, weight: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Return (assignments, 2): by how much a share of the treated lie lower than the others at most, and higher.

    (units,) ``values`` and ``weight``, (assignments, units) ``treated``: the largest differences, one way and the
    other, of the two distribution functions, of Kolmogorov and Smirnov. 0 to 1. Raises nothing.

    >>> gaps(np.array([1.0, 2, 3, 4]), np.ones(4), np.array([[True, True, False, False]])).tolist()
    [[1.0, 0.0]]
    """
    order = np.argsort(values, kind="stable")
    member = np.where(treated[:, order], weight[order], 0.0)
    other = weight[order] - member
    shares = [np.cumsum(side, axis=1) / side.sum(axis=1, keepdims=True) for side in (member, other)]
    last = np.append(np.diff(values[order]) > 0, True)   # the functions are compared where they have jumped
    difference = (shares[0] - shares[1])[:, last]
    return np.maximum(np.column_stack([difference.max(axis=1), -difference.min(axis=1)]), 0.0).round(12)


def _bracket(panel: Panel, level: str, data: _Means, slopes: list[dict], orders: list[dict]) -> dict:
    weight = data.weight
    gap = [np.average(values[data.treated], weights=weight[data.treated])
           - np.average(values[~data.treated], weights=weight[~data.treated]) for values in (data.before, data.after)]
    columns = np.column_stack([np.ones(len(weight)), data.before, data.treated]) * np.sqrt(weight)[:, None]
    by_did = gap[1] - gap[0]
    by_ldv = float(np.linalg.lstsq(columns, data.after * np.sqrt(weight), rcond=None)[0][-1])
    checked = [row["condition"] for row in (*slopes, *orders) if row["status"] == "done"]
    whole = [row["condition"] for row in (slopes[0], orders[0])]
    condition = NOT_MET if NOT_MET in checked else MET if whole == [MET, MET] else NOT_TOLD_APART
    greater = ""
    if condition == MET:
        lower = min(orders, key=lambda row: row["p_value"])["part"] == LOWER
        greater = "did" if lower else "ldv"
    return _row(panel, level, Change("bracket", part=greater)) | {
        "value": by_did, "statistic": by_ldv, "ci_low": min(by_did, by_ldv), "ci_high": max(by_did, by_ldv),
        "condition": condition, "n_units": len(weight), "n_treated": int(data.treated.sum()),
        "n_left_out": data.n_left_out}


def _row(panel: Panel, level: str, what: Change) -> dict:
    return diagnostic_row("bracketing", panel, level) | what.columns()
