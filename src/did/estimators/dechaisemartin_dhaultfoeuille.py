"""Dynamic effects of de Chaisemartin and D'Haultfoeuille: doses that stay, against units not yet treated."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from did.errors import DidError, one_of
from did.estimators.base import (
    ESTIMATED,
    NOT_IDENTIFIED,
    REFERENCE,
    Panel,
    Result,
    join_notes,
    listed,
    parameter_table,
)
from did.estimators.shares import UnitShares

NORMALISE = ("dose", "cumulative", "none")


def estimate(
    panel: Panel,
    *,
    n_leads: int | None = None,
    n_lags: int | None = None,
    normalise: str = "dose",
) -> Result:
    """Return effects by event time of doses that units keep from their first treated period on.

        DID_e = sum_i w_i (Y_i,g+e - Y_i,g-1 - mean of the same change of controls) / sum_i w_i,    e from 0 on

    over units first treated in g for which somebody is untreated until g + e: the controls, like them without dose
    before. De Chaisemartin and D'Haultfoeuille 2024, Review of Economics and Statistics, "Difference-in-differences
    estimators of intertemporal treatment effects" (NBER working paper 29873): their e + 1 is the number of periods
    exposed.

    ``normalise`` says what DID_e is divided by: the mean ``dose`` of its treated units (1 for a binary treatment); the
    mean of the dose added up since g (``cumulative``), their normalised effect, per unit of dose and period exposed;
    or ``none``, the effect of the doses received. ``n_leads`` and ``n_lags`` limit the event times; left empty, all
    there are.

    Parameters: ``overall``, the sum of w_i DID_i,e over units and e by that of w_i dose_i, their average total effect
    per unit of dose; ``event_time`` from 0 on, -1 as reference, and their placebos: Y_i,g-1-k - Y_i,g-1 less that of
    the controls of g + k - 1, k from 1 on, divided as DID_(k-1) is, at event time -1 - k. In units of the outcome per
    unit of dose (but for ``none``). w is the panel's weight in g + e.

    The influence is theirs: changes less the mean of their group, times sqrt(n / (n - 1)) of the n units in it, the
    groups being the treated units of one date and one dose, and the controls of a date; a unit alone in its group is
    taken about the mean of both. It is conservative, normal, without another factor. Clustered above the unit theirs
    counts clusters in n, ours units. Estimates and errors equal Python's py-did-multiplegt-dyn 0.1.9 without controls.

    A cell without an outcome is left out where it is needed. Units treated from the first period have no period before
    and are left out, and named. Raises DidError for an unknown ``normalise``, numbers of leads (1 or more) and lags (0
    or more) that are none, and where no unit has an outcome from treatment on, one before it, and a control.

    >>> from did.simulate.panels import panel
    >>> frame, _ = panel(40, 10, {6: 8}, 0.5, seed=3, noise=0.1, intensity=(2, 9))
    >>> found = estimate(Panel.from_frame(frame, treatment="intensity"), n_leads=1, n_lags=1)
    >>> found.estimate.round(1).tolist(), found.parameters["event_time"].tolist()[1:]
    ([0.5, 0.0, 0.0, 0.5, 0.5], [-2, -1, 0, 1])
    """
    one_of("dechaisemartin_dhaultfoeuille: normalise", normalise, NORMALISE)
    for name, number, least in (("n_leads", n_leads, 1), ("n_lags", n_lags, 0)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < least):
            raise DidError(f"dechaisemartin_dhaultfoeuille: {name}: expected a whole number of periods, {least} or "
                           f"more; found {number}")
    # Doses enter nowhere squared, so that only the outcome and weights need a size whose squares are numbers.
    scaled, unit = dataclasses.replace(panel, treatment="binary").scaled()
    starts = np.unique(panel.treated_from[~panel.never_treated & ~panel.always_treated])
    latest = int(panel.n_periods - 1 - starts.min()) if len(starts) else -1
    effects = [_effect(scaled, starts, step, 0) for step in range(1 + (latest if n_lags is None else n_lags))]
    while n_lags is None and effects and not effects[-1].found:
        effects.pop()
    if not any(each.found for each in effects):
        raise DidError("dechaisemartin_dhaultfoeuille: expected a unit with an outcome from treatment on, one in the "
                       "period before, and a unit untreated until then with both; found none; add controls or periods")
    back = int(starts.max()) - 1 if n_leads is None else n_leads
    placebos = [_effect(scaled, starts, lead - 1, lead) for lead in range(1, back + 1)]
    while n_leads is None and placebos and not placebos[-1].found:
        placebos.pop()
    return _result(panel, effects, placebos, normalise, unit)


@dataclasses.dataclass(frozen=True)
class _Effect:
    """Sums of one event time over dates of treatment.

    total      sum of w_i (change less that of the controls)
    weight     sum of w_i over the treated
    dose       sum of w_i dose_i
    influence  (units,) of ``total``
    treated    (units,) whose effect it is
    cells      (units, periods) outcomes used
    """

    total: float
    weight: float
    dose: float
    influence: np.ndarray
    treated: np.ndarray
    cells: np.ndarray

    @property
    def found(self) -> bool:
        return self.weight > 0


def _effect(panel: Panel, starts: np.ndarray, step: int, lead: int) -> _Effect:
    """Return the effect ``step`` periods after the first treated one or, with ``lead``, the placebo of that many
    periods before the base, over the units and controls of that effect."""
    total = weight_sum = dose_sum = 0.0
    influence, treated = np.zeros(panel.n_units), np.zeros(panel.n_units, dtype=bool)
    cells = np.zeros(panel.outcome.shape, dtype=bool)
    for start in starts:
        period, base, other = start + step, start - 1, start - 1 - lead
        if period >= panel.n_periods or other < 0:
            continue
        change = panel.outcome[:, period] - panel.outcome[:, base]
        if lead:
            # Those who have the effect have its placebo.
            change = np.where(np.isfinite(change), panel.outcome[:, other] - panel.outcome[:, base], np.nan)
        weight = np.ones(panel.n_units) if panel.weight is None else panel.weight[:, period]
        weight = np.where(np.isfinite(change), weight, 0.0)
        members = (panel.treated_from == start) & (weight > 0)
        controls = (panel.treated_from > period) & (weight > 0)
        if not members.any() or not controls.any():
            continue
        change = np.where(weight > 0, change, 0.0)
        of_members, of_controls = weight[members].sum(), weight[controls].sum()
        total += weight[members] @ change[members] - of_members * (weight[controls] @ change[controls]) / of_controls
        weight_sum, dose_sum = weight_sum + of_members, dose_sum + weight[members] @ panel.dose[members]
        influence += _about_groups(panel, change, weight, members, controls) * np.where(
            members, 1.0, np.where(controls, -of_members / of_controls, 0.0))
        treated |= members
        cells[np.ix_(members | controls, [other if lead else period, base])] = True
    return _Effect(total, weight_sum, dose_sum, influence, treated, cells)


def _about_groups(panel: Panel, change: np.ndarray, weight: np.ndarray, members: np.ndarray, controls: np.ndarray
                  ) -> np.ndarray:
    """Return (units,) weighted changes about the mean of each unit's group, with the group's degrees of freedom."""
    both = members | controls
    groups = [controls, *(members & (panel.dose == dose) for dose in np.unique(panel.dose[members]))]
    found = np.zeros(panel.n_units)
    for group in groups:
        about = group if group.sum() > 1 else both
        n = int(about.sum())
        mean = weight[about] @ change[about] / weight[about].sum()
        found[group] = weight[group] * (change[group] - mean) * np.sqrt(n / (n - 1))
    return found


def _result(panel: Panel, effects: list[_Effect], placebos: list[_Effect], normalise: str, unit: float) -> Result:
    divided = {"dose": lambda each, exposed: each.dose / each.weight,
               "cumulative": lambda each, exposed: exposed * each.dose / each.weight,
               "none": lambda each, exposed: 1.0}[normalise]
    rows = [*((each, -1 - lead, lead) for lead, each in reversed(list(enumerate(placebos, 1)))), (None, -1, 0),
            *((each, time, time + 1) for time, each in enumerate(effects))]
    columns: list[tuple[float, np.ndarray, np.ndarray, str, str]] = []
    for each, _, exposed in rows:
        if each is not None and each.found:
            size = divided(each, exposed) * each.weight
            found = each.total / size, each.influence / size, each.treated, ESTIMATED, ""
        else:
            nothing = np.zeros(panel.n_units), np.zeros(panel.n_units, dtype=bool)
            found = (0.0, *nothing, REFERENCE, "") if each is None else (
                np.nan, *nothing, NOT_IDENTIFIED, "no treated unit and control have outcomes there")
        columns.append(found)
    value, influence, treated, states, notes = map(list, zip(*columns, strict=True))
    dose = sum(each.dose for each in effects)
    last = len(effects) - 1
    parameters = pd.concat([
        parameter_table("overall", note=[f"event times 0 to {last}, per unit of dose"]),
        parameter_table("event_time", event_time=[time for _, time, _ in rows], state=states, note=notes),
    ], ignore_index=True)
    cells = np.logical_or.reduce([each.cells for each in (*effects, *placebos)])
    used = cells.any(axis=1)
    shares = np.column_stack([sum(each.influence for each in effects) / dose, *influence])
    behind = np.column_stack([np.logical_or.reduce([each.treated for each in effects]), *treated])
    always = panel.units[panel.always_treated]
    few = panel.units[~used & ~panel.always_treated]
    return Result(
        estimator="dechaisemartin_dhaultfoeuille",
        parameters=parameters,
        estimate=unit * np.array([sum(each.total for each in effects) / dose, *value]),
        shares=UnitShares(panel.units[used], unit * shares[used], behind[used]),
        n_obs=int(cells.sum()),
        n_parameters=None,
        note=join_notes(
            "" if normalise == "dose" else {
                "cumulative": "effects by event time are per unit of dose and period exposed",
                "none": "effects by event time are of the doses received, and not per unit of dose"}[normalise],
            f"treated from the first period, left out: {listed(always)}" if len(always) else "",
            f"without an outcome that is compared, left out: {listed(few)}" if len(few) else ""),
        distribution="normal",
    )
