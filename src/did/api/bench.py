"""The workbench of one panel: estimators, methods of inference and clusters left out, as `did.evidence` has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from did.api.fit import Fit
from did.api.ladder import MOST_CELLS, measured_methods, without_clusters
from did.errors import DidError
from did.estimators import entry
from did.inference.few_clusters import can_be_measured, counts, is_few, order_of
from did.inference.methods import METHODS, infer
from did.inference.refit import keys as names_of_parameters
from did.inference.refit import without_each
from did.report.workbench.model import (
    COUNTS,
    ENDS,
    INFERENCE,
    LEADING,
    VALUES,
    Dimension,
    Published,
    Workbench,
    tidied,
)
from did.words import number, short_decimals

if TYPE_CHECKING:
    from did.api.evidence import Evidence

NOTHING = "nothing"
GROUPS = {"What is estimated": ("outcome", "estimator", "left_out"), "Its interval": (INFERENCE,)}


def workbench(found: Evidence) -> Workbench:
    """Return every estimate that was made of the panel's effect, by estimator, cluster left out and method.

    Of each estimator the interval that leads and that by errors clustered at each level; of those whose coverage is
    measured in a moment every method of the rule; without each cluster the estimates that the jackknife rests on, and
    those that are found in a moment from means over clusters.
    """
    rows = [row for fit in found.comparison.fits.values() for row in _rows(fit, found)]
    choices = pd.DataFrame(rows).assign(outcome=found.panel.outcome)
    levels = list(found.panel.data.clusters)
    left_out = dict.fromkeys(choices.loc[choices["left_out"].ne(NOTHING), "left_out"])
    dimensions = [
        Dimension("outcome", "Outcome", {found.panel.outcome: found.panel.outcome}),
        Dimension("estimator", "Estimator", {name: entry(name).label for name in found.comparison.fits}),
        Dimension("left_out", f"Left out, of {found.headline.question.level}",
                  {NOTHING: "nothing", **{label: label for label in sorted(left_out)}}),
        Dimension(INFERENCE, "Interval by", {
            LEADING: "the method that leads", **{f"clustered by {level}": f"errors clustered by {level}"
                                                 for level in reversed(levels)},
            **{name: method.label for name, method in METHODS.items()}}),
    ]
    dimensions, choices = tidied(dimensions, choices.reindex(columns=[each.name for each in dimensions] + VALUES))
    lead = (choices["estimator"].eq(found.headline.estimator) & choices["left_out"].eq(NOTHING)
            & choices[INFERENCE].eq(LEADING))
    printed = [] if found.published is None else [Published(
        {"outcome": found.panel.outcome}, float(found.published[0]),
        f"{number(float(found.published[0]), short_decimals(float(found.published[0])), signed=True)} by "
        f"{entry(found.published[1]).running}")]
    return Workbench(dimensions, choices, [int(np.flatnonzero(lead)[0])], ["outcome"], {(found.panel.outcome,): ""},
                     printed, confidence=found.headline.asked.confidence)


def _rows(fit: Fit, found: Evidence) -> Iterator[dict[str, object]]:
    """The rows of one estimator."""
    own = {"estimator": fit.estimator, "left_out": NOTHING}
    measured = measured_methods(fit)
    yield own | {INFERENCE: LEADING} | _numbers(fit.rows.iloc[0], fit, measured)
    table = fit._judged.table
    for _, row in table.loc[table["inference"].eq("clustered")].iterrows():
        yield own | {INFERENCE: f"clustered by {row['cluster']}"} | _numbers(row, fit, measured)
    for method in _methods(fit, judged=fit.estimator in found.judged):
        try:
            row = infer(method, fit.question.at(fit.level)).iloc[0]
        except DidError:
            continue
        if pd.notna(row["p_value"]):
            yield own | {INFERENCE: method} | _numbers(row, fit, measured)
    yield from _without_each(fit, found)


def _methods(fit: Fit, *, judged: bool) -> list[str]:
    """The methods that a rule chooses among, where they are made in a moment and clusters are few; of a large panel
    those of the estimates that are judged alone."""
    if fit.level not in fit.question.panel.clusters:
        return []
    question = fit.question.at(fit.level)
    if not is_few(*counts(question)):
        return []
    made = ["jackknife"] if question.known.get(("without_each", question.level)) else []
    if not can_be_measured(question) or not (judged or question.panel.outcome.size <= MOST_CELLS):
        return made
    return list(order_of(fit.estimator))


def _numbers(row: pd.Series, fit: Fit, measured: dict) -> dict[str, object]:
    """The numbers of a row of the estimates, with what was measured of its method at the fit's level."""
    known = measured.get(row["inference"]) if row["cluster"] == fit.level else None
    unit = measured.get("clustered_unit") if (row["inference"], row["cluster"]) == ("clustered", "unit") else None
    own = known or unit
    ends = {end: row[end] for end in ENDS}
    if not np.isfinite([row["ci_low"], row["ci_high"]]).any():
        ends |= {"ci_low": np.nan, "ci_high": np.nan}
    method = METHODS.get(row["inference"])
    return ends | {name: row[name] for name in COUNTS} | {
        "method": f"{method.label if method else 'no method'}, by {row['cluster']}",
        "coverage": own.coverage if own else np.nan, "n_draws": own.n_draws if own else None,
        "holds": bool(own.holds or own.may_hold) if own else None}


def _without_each(fit: Fit, found: Evidence) -> Iterator[dict[str, object]]:
    """The estimates without each cluster: with clustered intervals where these were made, else as the jackknife has
    them."""
    rows = without_clusters(found.findings)
    rows = rows.loc[rows["estimator"].eq(fit.estimator)]
    for row in rows.to_dict("records"):
        yield {"estimator": fit.estimator, "left_out": row["left_out"], INFERENCE: f"clustered by {row['cluster']}",
               "method": f"{METHODS['clustered'].label}, by {row['cluster']}", "coverage": np.nan, "n_draws": None,
               "holds": None, "estimate": row["value"], **{end: row[end] for end in ENDS[1:]},
               **{name: row[name] for name in COUNTS}}
    if len(rows) or fit.level not in fit.question.panel.clusters:
        return
    question = fit.question.at(fit.level)
    panel, results = question.panel, question.results
    known = question.known.get(("without_each", question.level)) or without_each(
        question.fit, panel, question.level, results, only_cells=True)
    name, labels = names_of_parameters(results)[0], panel.clusters[question.level]
    used = results[0].used(panel)
    for label, estimates in known.items():
        kept = used & (labels != label)
        yield {"estimator": fit.estimator, "left_out": str(label), INFERENCE: f"clustered by {question.level}",
               "estimate": estimates.get(name, np.nan), "method": "none: the estimate alone was made",
               "n_units": int(kept.sum()), "n_treated": int((kept & ~panel.never_treated).sum()),
               "n_clusters": len(set(labels[kept])),
               "n_treated_clusters": len(set(labels[kept & ~panel.never_treated]))}
