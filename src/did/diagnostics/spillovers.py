"""Effects on neighbours of the treated, and estimates without controls that border them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from did.diagnostics.alternatives import Variants
from did.diagnostics.estimate_rows import KEPT, estimate_rows
from did.errors import DidError
from did.estimators import estimate
from did.estimators.base import Panel
from did.estimators.neighbours import beyond_border, with_neighbours
from did.inference.change import Change
from did.inference.clustered import by_cluster
from did.inference.joint_test import diagnostic_row, skipped, tabled

RINGS = 2
ESTIMATOR = "spillover"


@tabled
def spillover_rows(panel: Panel, pairs: pd.DataFrame, estimators: Sequence[str], options: dict[str, dict]
                   ) -> list[dict]:
    """Return what reaches the neighbours of treated units, as rows of the diagnostics table.

    ``pairs`` has the columns unit and neighbour, those that border each other; pairs with a unit that is not in the
    panel are left out (n_left_out counts the pairs). ``options`` maps an estimator to its keyword arguments.
    Diagnostic ``spillover``: value, with error, interval and counts at each cluster level, the effect on the treated
    (part empty) and on units one and two borders away (``neighbours_1``, ``neighbours_2``), in units of the outcome
    (`did.estimators.spillover`). Diagnostic ``other_controls``, variant ``controls_beyond_border``: the estimate by
    each of ``estimators`` without the controls that border a treated unit. Skipped, with the reason, where no pair is
    left, no such control, or nothing can be estimated.
    """
    known = pairs["unit"].isin(panel.units) & pairs["neighbour"].isin(panel.units)
    try:
        near = with_neighbours(panel, zip(pairs.loc[known, "unit"], pairs.loc[known, "neighbour"], strict=True))
    except DidError as error:
        return [skipped(diagnostic_row("spillover", panel, level) | {"estimator": ESTIMATOR}, str(error))
                for level in panel.clusters]
    rows = [row | {"n_left_out": int((~known).sum())} for row in _effects(near)]
    return rows + estimate_rows.records("other_controls", _beyond(near), original=panel, estimators=estimators,
                                        options=options)


def _effects(panel: Panel) -> list[dict]:
    try:
        result = estimate(ESTIMATOR, panel, rings=RINGS)
        blocks = by_cluster(result, panel)
    except DidError as error:
        return [skipped(diagnostic_row("spillover", panel, level) | {"estimator": ESTIMATOR}, str(error))
                for level in panel.clusters]
    rows = []
    for block in blocks:
        for place, name in enumerate(result.parameters["estimand"]):
            own = {column: values[place] for column, values in block.items()}
            part = "" if name == "overall" else name
            rows.append(diagnostic_row("spillover", panel, own["cluster"]) | Change(part=part).columns() | {
                name: own[name] for name in KEPT} | {
                "estimator": ESTIMATOR, "value": own["estimate"], "statistic": own["estimate"] / own["std_error"],
                "reason": own["note"]})
    return rows


def _beyond(panel: Panel) -> Variants:
    kept, near = beyond_border(panel)
    what = Change("controls_beyond_border", n_left_out=int(near.sum()))
    yield what, kept if kept.never_treated.any() else "every control borders a treated unit"
