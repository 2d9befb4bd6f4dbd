"""Stage 5: tests of the pre-period, and the trends behind the report's graphs, for one indicator."""

from __future__ import annotations

import pandas as pd

from did import tables
from did.config import Evaluation
from did.diagnostics.group_trends import group_trends
from did.diagnostics.pretrends import pretrend_rows
from did.estimators.base import PERIODS_PER_YEAR
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
    diagnostics = pd.concat(tests, ignore_index=True)
    tables.write("diagnostics", diagnostics, paths.diagnostics(indicator))
    tables.write("trends", pd.concat(trends, ignore_index=True), paths.trends(indicator))
    skipped = int((diagnostics["status"] == "skipped").sum())
    return f"{indicator}: {len(diagnostics)} diagnostics, {skipped} of them skipped with a reason"
