"""An estimate under a changed panel, as rows of the diagnostics table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from did.diagnostics.alternatives import Variants
from did.errors import DidError
from did.estimators import overall, parts_of
from did.estimators.base import Panel
from did.inference.change import Change
from did.inference.clustered import by_cluster
from did.inference.joint_test import diagnostic_row, skipped, tabled
from did.inference.parts import by_cluster_of_parts

KEPT = ["std_error", "ci_low", "ci_high", "p_value", "n_obs", "n_units", "n_treated", "n_clusters",
        "n_treated_clusters"]
# Outcomes of changed panels held at a time.
BLOCK = 4_000_000


@tabled
def estimate_rows(diagnostic: str, variants: Variants, *, original: Panel,
                  estimators: Sequence[str], options: dict[str, dict]) -> list[dict]:
    """Return the overall estimate of each variant of a panel by each estimator, one row per cluster level.

    ``variants`` gives (`Change`, the changed panel), or (`Change`, why it cannot be made). value is the estimate,
    statistic its t, both with intervals as in `did.inference.clustered.summarise`; the columns of the `Change` say
    what was changed. ``options`` maps an estimator to its keyword arguments. A variant that cannot be made or
    fitted is ``skipped`` with the reason. Rows of `joint_test.COLUMNS`, in the order of the variants.
    """
    rows = []
    step = max(1, BLOCK // original.outcome.size)
    iterator = iter(variants)
    while some := list(islice(iterator, step)):
        places = [None if isinstance(panel, str) else _within(panel, original) for _, panel in some]
        together = {name: _together(places, original, name, options.get(name, {})) for name in estimators}
        for number, (what, panel) in enumerate(some):
            for name in estimators:
                found = together[name].get(number)
                rows += (_rows(diagnostic, what, panel, original, name, options.get(name, {})) if found is None else
                         _filled(diagnostic, what, original, name, found))
    return rows


def _within(panel: Panel, original: Panel) -> np.ndarray | None:
    """Return where the units of ``panel`` are in the original; None if more was changed than the units it has."""
    places = original.units.get_indexer(panel.units)
    same = panel.periods is original.periods and (places >= 0).all() and (
        panel.treatment == original.treatment and panel.weight is None and original.weight is None
        and np.array_equal(panel.treated_from, original.treated_from[places])
        and np.array_equal(panel.dose, original.dose[places])
        and np.array_equal(panel.outcome, original.outcome[places], equal_nan=True))
    return places if same else None


def _together(places: Sequence[np.ndarray | None], original: Panel, estimator: str, options: dict
              ) -> dict[int, list[dict]]:
    """Return what is found of the variants that are parts of the original, by their number, a dict per level."""
    numbers = [number for number, own in enumerate(places) if own is not None]
    if len(numbers) < 2:
        return {}
    kept = np.zeros((original.n_units, len(numbers)), dtype=bool)
    for column, number in enumerate(numbers):
        kept[places[number], column] = True
    try:
        parts = parts_of(estimator, original, kept, **options)
    except DidError:   # of the original; each variant says itself what is wrong with it
        return {}
    if parts is None:
        return {}
    blocks = by_cluster_of_parts(parts, original)
    return {number: [{name: values[column] for name, values in block.items()} for block in blocks]
            for column, number in enumerate(numbers) if parts.found[column]}


def _rows(diagnostic: str, what: Change, panel: Panel | str, original: Panel, estimator: str,
          options: dict) -> list[dict]:
    reason = panel if isinstance(panel, str) else ""
    if not isinstance(panel, str):
        try:
            found = by_cluster(overall(estimator, panel, **options), panel)
        except DidError as error:
            reason = str(error)
    if reason:
        return [skipped(_row(diagnostic, what, original, level, estimator), reason) for level in original.clusters]
    # One effect each: the first of every column.
    return _filled(diagnostic, what, original, estimator,
                   [{name: column[0] for name, column in block.items()} for block in found])


def _filled(diagnostic: str, what: Change, original: Panel, estimator: str, found: list[dict]) -> list[dict]:
    return [_row(diagnostic, what, original, own["cluster"], estimator) | {name: own[name] for name in KEPT} | {
        "value": own["estimate"], "statistic": own["estimate"] / own["std_error"], "df_denominator": own["df"],
        "reason": own["note"]} for own in found]


def _row(diagnostic: str, what: Change, original: Panel, level: str, estimator: str) -> dict:
    return diagnostic_row(diagnostic, original, level) | what.columns() | {"estimator": estimator}
