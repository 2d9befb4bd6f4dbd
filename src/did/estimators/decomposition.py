"""Goodman-Bacon decomposition: the two-way estimate as a weighted sum of comparisons of two cohorts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators.base import Panel, listed

TREATED_NEVER = "treated vs never treated"
EARLIER_LATER = "earlier vs later treated"
LATER_EARLIER = "later vs earlier treated"
TREATED_ALWAYS = "treated vs always treated"
TYPES = (TREATED_NEVER, EARLIER_LATER, LATER_EARLIER, TREATED_ALWAYS)
# Types whose controls are already treated: their changes over time may be effects of treatment.
ALREADY_TREATED = (LATER_EARLIER, TREATED_ALWAYS)
ALREADY_TREATED_CONTROLS = "already treated controls"
COLUMNS = ["treated_cohort", "control_cohort", "type", "estimate", "weight", "n_treated", "n_control"]
TOLERANCE = 1e-12


def decompose(panel: Panel) -> pd.DataFrame:
    """Return every comparison of two cohorts behind the estimate of `did`, with its weight.

    One row per pair: treated_cohort and control_cohort (ISO first treated periods; control_cohort missing
    if never treated), type (`TYPES`), estimate (difference in differences between the two cohorts' mean
    outcomes, in units of the outcome, over the periods in which the controls do not change treatment), weight
    (0 to 1, summing to 1), n_treated and n_control (units). Sorted by treated and control cohort. The sum of
    weight x estimate is the estimate of `did`. Source: Goodman-Bacon 2021, Journal of Econometrics
    225:254-277, theorem 1; equal to R ``bacondecomp`` 0.1.1. Weights of units that do not
    change over time count as numbers of units, beyond what that package does.

    Raises DidError if treatment has doses other than 1, an outcome is missing or has no weight (the
    theorem is for balanced panels), or a unit's weight changes over time.
    """
    unit_weight = _check(panel)
    starts = np.unique(np.where(panel.always_treated, 0, panel.treated_from))
    member = np.where(panel.always_treated, 0, panel.treated_from)
    size = np.array([unit_weight[member == start].sum() for start in starts])
    share = size / size.sum()
    path = np.array([unit_weight[member == start] @ panel.outcome[member == start] for start in starts])
    path /= size[:, None]
    n_units = [int((member == start).sum()) for start in starts]
    end = panel.n_periods
    rows = []
    for k, treated in enumerate(starts):
        for c, control in enumerate(starts):
            if k == c or treated in (0, end):
                continue
            first, last = (control, end) if control < treated else (0, control)
            gap = path[k, first:last] - path[c, first:last]
            rows.append({
                "treated_cohort": panel.periods[treated],
                "control_cohort": None if control == end else panel.periods[control],
                "type": _type(treated, control, end),
                "estimate": gap[treated - first:].mean() - gap[:treated - first].mean(),
                "weight": _weight(share[k], share[c], treated - first, last - treated, end),
                "n_treated": n_units[k],
                "n_control": n_units[c],
            })
    pairs = pd.DataFrame(rows, columns=COLUMNS)
    pairs["weight"] /= pairs["weight"].sum()
    return pairs.astype({"treated_cohort": "str", "control_cohort": "str", "type": "str"})


def shares(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return weight and weighted mean estimate of each type of comparison, and of already-treated controls.

    ``pairs`` is the frame of `decompose`. Columns: type, weight (share of the two-way estimate, 0 to 1),
    estimate (weighted mean in units of the outcome; NaN where weight is 0) and n_pairs. One row per type of
    `TYPES`, zero where there is none, then ``timing`` (both kinds between treated cohorts),
    ``already treated controls`` (the part that effects changing over time can bias) and ``all``, whose
    estimate is that of `did`. The last three overlap the first.
    """
    sums = {kind: (kind,) for kind in TYPES} | {
        "timing": (EARLIER_LATER, LATER_EARLIER),
        ALREADY_TREATED_CONTROLS: ALREADY_TREATED,
        "all": TYPES,
    }
    rows = []
    for name, kinds in sums.items():
        part = pairs[pairs["type"].isin(kinds)]
        weight = float(part["weight"].sum())
        mean = float((part["weight"] * part["estimate"]).sum()) / weight if weight > 0 else np.nan
        rows.append({"type": name, "weight": weight, "estimate": mean, "n_pairs": len(part)})
    return pd.DataFrame(rows).astype({"type": "str"})


def _type(treated: int, control: int, end: int) -> str:
    if control == end:
        return TREATED_NEVER
    if control == 0:
        return TREATED_ALWAYS
    return EARLIER_LATER if treated < control else LATER_EARLIER


def _weight(treated_share: float, control_share: float, n_before: int, n_after: int, n_periods: int) -> float:
    """Return a pair's weight before scaling: (n_k + n_c)^2 times the variance of treatment in its window.

    In a window of n_before + n_after periods, the within variance is that of the group times that of time,
    and enters with the square of the window's share of all periods (Goodman-Bacon 2021, theorem 1).
    """
    return treated_share * control_share * (n_before / n_periods) * (n_after / n_periods)


def _check(panel: Panel) -> np.ndarray:
    """Return the units' (units,) weights, or raise DidError for what the theorem does not cover."""
    treated = ~panel.never_treated
    odd = treated & (panel.dose != 1)
    if odd.any():
        raise DidError(f"decomposition: expected a binary treatment; found dose {panel.dose[odd][0]} of unit "
                       f"{panel.units[odd][0]}; use treatment binary without exposure shares")
    absent = panel.observed_weight <= 0
    if absent.any():
        unit, period = np.argwhere(absent)[0]
        raise DidError(f"decomposition: unit {panel.units[unit]}, period {panel.periods[period]}: expected a "
                       f"balanced panel; found no outcome or no weight, as in {int(absent.sum())} unit-periods "
                       f"of {int(absent.any(axis=1).sum())} units; leave these units out or fill the gaps")
    weight = panel.observed_weight
    changing = np.ptp(weight, axis=1) > TOLERANCE * weight.max(axis=1)
    if changing.any():
        raise DidError("decomposition: expected weights that do not change over time; found changes in "
                       f"{listed(panel.units[changing])}; use one weight per unit or none")
    return weight[:, 0]
