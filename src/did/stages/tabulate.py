"""Stage 8: the tables of a run: as CSV with their dictionary, and for papers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from did.project import result_files
from did.project.config import Evaluation
from did.project.paths import Paths
from did.report.content import dictionary
from did.report.content.evaluation_facts import front_facts, members, result_tables, run_answer, stage_tables
from did.report.content.notes import worded
from did.report.pages import paper
from did.store.result_csv import write_csv
from did.words import plural


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write everything that ``result_files.tabulate_files`` lists and return one line about it. ``without`` are the
    indicators that this run has no files for. The same tables feed every output. Raises DidError for a table that is
    missing or breaks its contract."""
    indicators = members(evaluation, without)
    frames = result_tables(evaluation, paths, without) | stage_tables(["weights"], indicators, evaluation, paths)
    aggregation = {name: each.aggregation for name, each in indicators.items()}
    for table in result_files.TABLES:
        frame = worded(frames[table]) if table == "diagnostics" else frames[table]
        if table != "adjusted_p_values":
            frame = frame.assign(aggregation=frame["indicator"].map(aggregation))
        write_csv(paths.results / result_files.table_file(table), frame)
    front = front_facts(evaluation, without=without, paths=paths)
    synthetic = bool(frames["estimates"]["is_synthetic"].any())
    front = replace(front, families=run_answer(evaluation, paths, without).ordered(front.families))
    paper.write(paper.tables(frames, front), paths.results / "tables", title=front.title, is_synthetic=synthetic)
    write_csv(paths.results / result_files.table_file(result_files.DICTIONARY),
              dictionary.dictionary().assign(is_synthetic=synthetic))
    return plural(len(result_files.tabulate_files()), "file")
