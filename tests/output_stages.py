"""The stages that write results, in the order of the workflow, for tests that have fitted panels of their own."""

from __future__ import annotations

from did.project import result_files
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


def write_outputs(evaluation, paths, without=()) -> set[str]:
    """Write everything a run leaves in the results folder and return what lies there, relative to it."""
    where = {"evaluation": evaluation, "paths": paths, "without": list(without)}
    for name, members in result_files.families(evaluation, without).items():
        for indicator in members:
            for stage in (compare, check, judge):
                stage.run(indicator, evaluation=evaluation, paths=paths)
            draw.run(indicator, **where)
        adjust.run(name, **where)
        family.run(name, **where)
    for stage in (reproduce, tabulate, workbook, workbench, report, manifest):
        stage.run(**where)
    return {str(path.relative_to(paths.results)) for path in paths.results.rglob("*") if path.is_file()}
