"""The stages that write results, in the order of the workflow, for tests that have fitted panels of their own."""

from __future__ import annotations

import pandas as pd

from did.project import result_files
from did.project.config import Indicator
from did.project.loading import load_indicator
from did.stages import (
    adjust,
    check,
    compare,
    draw,
    family,
    judge,
    manifest,
    report,
    reproduce,
    tabulate,
    workbench,
    workbook,
)
from did.store import tables
from did.store.provenance import write_sealed


def _observed(indicator: Indicator, paths) -> None:
    """Write what the panel of an indicator would be made of: one figure of each measure, of its first treated unit."""
    panel = tables.read("panel", paths.panel(indicator.id))
    unit = panel.loc[panel["cohort"].notna()].sort_values(["unit", "period"]).iloc[0]
    names = {indicator.rate.source: [indicator.rate.measure]} if indicator.rate else {
        source: indicator.numerator.measures for source in indicator.numerator.sources}
    for source in indicator.sources:
        rows = pd.DataFrame([{"source": source, "measure": measure, "area_code": unit["unit"],
                              "period": unit["cohort"], "frequency": "Y", "area_name": "Here", "area_type": "area",
                              "value": 12.0, "status": "ok", "file": "a.csv", "sheet": "", "row": 7,
                              "period_published": "", "note": "", "is_synthetic": True}
                             for measure in names.get(source, ["other"])])
        rows = rows.reindex(columns=list(tables.SCHEMAS["observations"].columns)).astype({"row": "Int64"})
        tables.write("observations", rows.astype({"numerator": float, "denominator": float}),
                     paths.observations(source))
        record = {"address": None, "retrieved_at": "2024-05-06T00:00:00Z", "bytes": 1234, "sha256": "ab" * 32,
                  "licence": "OGL-3.0", "how": "demo", "period": "2018"}
        write_sealed(paths.raw(source) / "manifest.json", {"source": source, "mode": "demo",
                                                           "files": {"a.csv": record}})


def write_outputs(evaluation, paths, without=()) -> set[str]:
    """Write everything a run leaves in the results folder and return what lies there, relative to it."""
    where = {"evaluation": evaluation, "paths": paths, "without": list(without)}
    for name, members in result_files.families(evaluation, without).items():
        for indicator in members:
            for stage in (compare, check, judge):
                stage.run(indicator, evaluation=evaluation, paths=paths)
            draw.run(indicator, **where)
            _observed(load_indicator(indicator, evaluation.indicators_folder), paths)
        adjust.run(name, **where)
        family.run(name, **where)
    for stage in (reproduce, tabulate, workbook, workbench, report, manifest):
        stage.run(**where)
    return {str(path.relative_to(paths.results)) for path in paths.results.rglob("*") if path.is_file()}
