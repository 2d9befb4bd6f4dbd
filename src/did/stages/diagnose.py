"""Stage 5: tests of the pre-period, and the trends behind the report's graphs, for one indicator."""

from __future__ import annotations

import pandas as pd

from did import tables
from did.config import Evaluation
from did.diagnostics.group_trends import group_trends
from did.diagnostics.imputation_leads import imputation_leads
from did.diagnostics.joint_test import COLUMNS, diagnostic_row, skipped
from did.diagnostics.pretrends import pretrend_rows
from did.errors import DidError
from did.estimators.base import PERIODS_PER_YEAR, Panel
from did.estimators.decomposition import decompose, shares
from did.outputs.contents import staggered_reading
from did.paths import Paths
from did.stages.fit import panel_of


def run(indicator: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Run the diagnostics of one indicator under the reported reading, write the diagnostics and trends tables
    and return one line about them. Raises DidError for a panel the tests cannot use at all.
    """
    panels = tables.read("panel", paths.panel(indicator))
    frame = panels.loc[panels["reading"] == evaluation.default_reading]
    tests, trends = [], []
    for sample in evaluation.samples:
        keys = {"indicator": indicator, "reading": evaluation.default_reading, "sample": sample,
                "is_synthetic": bool(panels["is_synthetic"].any())}
        for treatment in evaluation.treatments:
            panel = panel_of(frame, sample, treatment, evaluation)
            rows = pretrend_rows(panel, bin_width=PERIODS_PER_YEAR[panel.frequency])
            tests.append(rows.assign(**keys))
        trends.append(group_trends(panel_of(frame, sample, "binary", evaluation)).assign(**keys))
    staggered = staggered_reading(evaluation)
    if staggered:
        panel = panel_of(panels.loc[panels["reading"] == staggered], evaluation.samples[0], evaluation.treatments[0],
                         evaluation)
        rows = [imputation_leads(panel, bin_width=PERIODS_PER_YEAR[panel.frequency]), decomposition_rows(panel)]
        tests.append(pd.concat(rows, ignore_index=True).assign(
            indicator=indicator, reading=staggered, sample=evaluation.samples[0],
            is_synthetic=bool(panels["is_synthetic"].any())))
    diagnostics = pd.concat(tests, ignore_index=True)
    tables.write("diagnostics", diagnostics, paths.diagnostics(indicator))
    tables.write("trends", pd.concat(trends, ignore_index=True), paths.trends(indicator))
    skipped = int((diagnostics["status"] == "skipped").sum())
    return f"{indicator}: {len(diagnostics)} diagnostics, {skipped} of them skipped with a reason"


def decomposition_rows(panel: Panel) -> pd.DataFrame:
    """What kinds of comparison the two-way estimate is made of, as rows of the diagnostics table: value is the weight
    of a kind (0 to 1), statistic its mean estimate in units of the outcome. Skipped where the panel is not balanced."""
    try:
        kinds = shares(decompose(panel))
    except DidError as error:
        row = diagnostic_row("decomposition", panel, "unit") | {"item": "all"}
        return pd.DataFrame([skipped(row, str(error))], columns=COLUMNS)
    rows = [diagnostic_row("decomposition", panel, "unit", value=kind.weight)
            | {"item": kind.type, "statistic": kind.estimate,
               "reason": f"weight and mean of {kind.n_pairs} comparisons"}
            for kind in kinds.itertuples()]
    return pd.DataFrame(rows, columns=COLUMNS)
