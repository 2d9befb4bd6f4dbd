"""Stage 9: every estimate of a run on one page, to be picked by what was chosen for it."""

from __future__ import annotations

from collections.abc import Collection

from did.project import result_files
from did.project.config import Evaluation
from did.project.paths import Paths
from did.report.content.evaluation_facts import members, run_answer, stage_tables
from did.report.content.facts import only
from did.report.workbench.run import page, workbench
from did.store.provenance import write_text

READ = ("specifications", "estimates", "diagnostics", "calibration", "headline", "verdicts")


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write the workbench and return one line about it.

    ``without`` are the indicators that this run has no files for. The page opens on the first line of the answer.
    Raises DidError for a table that is missing or breaks its contract.
    """
    indicators = members(evaluation, without)
    frames = stage_tables(READ, indicators, evaluation, paths)
    lines = run_answer(evaluation, paths, without).lines
    leading = only(frames["verdicts"], target=lines[0].target) if lines else None
    bench = workbench(evaluation, indicators, frames, leading)
    text = page(bench, title=evaluation.title)
    write_text(paths.results / result_files.WORKBENCH, text)
    return f"{result_files.WORKBENCH}: {len(bench.choices):,} intervals, {len(text.encode()) / 1e6:.1f} MB"
