"""A linear combination of effects over event time, as a parameter of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from did.errors import DidError
from did.estimators.base import ESTIMATED, NOT_IDENTIFIED, REFERENCE, Result, join_notes, parameter_table
from did.estimators.design import Design
from did.estimators.shares import UnitShares


def combined_result(results: Sequence[Result], name: str, weights: Mapping[int, float]) -> Result:
    """Return the sum of weight x effect over event times as a result with the one parameter ``name``.

    ``weights`` event time (or bin) -> weight; effects are those of the first of ``results`` with event times, in units
    of the outcome per unit of dose. Its influence is the same sum, so any clustering holds; it rests on the treated
    units of all its effects. NaN, with the reason, if an effect is not identified.

    Raises DidError if no result has event times, or an event time is not there.

    >>> from did.estimators import estimate
    >>> from did.estimators.base import Panel
    >>> from did.simulate.panels import panel
    >>> data = Panel.from_frame(panel(40, 8, {5: 12}, 1.0, seed=2)[0])
    >>> study = estimate("event_study", data)
    >>> first = combined_result([study], "first two", {0: 0.5, 1: 0.5})
    >>> round(float(first.estimate[0] - study.estimate[[5, 6]].mean()), 12)
    0.0
    """
    timed = [result for result in results if _times(result)]
    if not timed:
        raise DidError(f"combination '{name}': expected effects over event time; found none; choose an estimator of "
                       "them")
    result = timed[0]
    times = _times(result)
    for time in weights:
        if time not in times:
            raise DidError(f"combination '{name}': event time {time}: expected one of {min(times)} to {max(times)} "
                           "that is estimated; found none of that number; leave it out")
    places = [times[time] for time in weights]
    factors = np.array(list(weights.values()), dtype=float)
    chosen = result.parameters.iloc[places]
    lost = chosen.loc[chosen["state"].eq(NOT_IDENTIFIED), "note"]
    fixed = chosen["state"].eq(REFERENCE).to_numpy()
    used = [place for place, is_fixed in zip(places, fixed, strict=True) if not is_fixed] or places
    return dataclasses.replace(
        result,
        parameters=parameter_table(name, state=[NOT_IDENTIFIED if len(lost) else ESTIMATED],
                                   note=[lost.iloc[0] if len(lost) else ""]),
        estimate=np.array([result.estimate[places] @ factors]),
        shares=UnitShares(result.units, result.shares.columns(places).influence() @ factors[:, None],
                          np.atleast_2d(result.shares.columns(used).treated().any(axis=1)).T),
        note=join_notes(result.note), unit_errors=None)


def combined_design(design: Design, name: str, weights: Mapping[int, float]) -> Design:
    """Return ``design`` (of an event study) in which the first wanted column's coefficient is the combination.

    With delta = sum_k c_k b_k and one c_j not zero, b_j = (delta - sum of the others c_k b_k) / c_j, so that column j
    over c_j has the coefficient delta and every other column k loses c_k / c_j times column j. The fit is the same. The
    reference event time, which has no column, counts as zero.

    Raises DidError if an event time has neither a column nor is left out as a reference, or no weight is other than 0.
    """
    times = {int(design.names[position].rpartition(" ")[2]): position for position in design.wanted
             if design.names[position].startswith("event_")}
    used = {times[time]: float(weight) for time, weight in weights.items() if weight and time in times}
    if not used:
        raise DidError(f"combination '{name}': expected a weight other than 0 on an event time that is estimated; "
                       f"found event times {', '.join(map(str, weights))}; name others")
    at = max(used, key=lambda position: abs(used[position]))
    columns = design.regressors.copy()
    own = design.regressors[:, :, at] / used[at]
    for position, weight in used.items():
        if position != at:
            columns[:, :, position] -= weight * own
    columns[:, :, at] = own
    return dataclasses.replace(design, regressors=columns, wanted=(at,),
                               names=tuple(name if position == at else word
                                           for position, word in enumerate(design.names)))


def _times(result: Result) -> dict[int, int]:
    """The position of the effect at each event time, over all cohorts."""
    frame = result.parameters
    over = frame["event_time"].notna() & frame["cohort"].isna() & frame["period"].isna()
    return {int(frame["event_time"].iloc[position]): int(position) for position in np.flatnonzero(over)}
