"""Stage 8: every table of a run in one accessible workbook."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from importlib import metadata

from did.project import result_files
from did.project.config import Evaluation
from did.project.paths import Paths
from did.report.content.background import raw_manifests
from did.report.content.describe import sources_of
from did.report.content.evaluation_facts import front_facts, members, result_tables, run_answer
from did.report.pages import workbook_sheets
from did.report.writers import workbook
from did.store.provenance import atomic
from did.words import plural


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write the workbook and return one line about it. ``without`` are the indicators that this run has no files for.
    Raises DidError for a table that is missing or breaks its contract."""
    indicators = members(evaluation, without)
    frames = result_tables(evaluation, paths, without)
    front = replace(front_facts(evaluation, without=without, paths=paths), contact=evaluation.contact)
    sources = sources_of(indicators.values(), evaluation)
    sheets = workbook_sheets.sheets(
        front=front, sources=sources, manifests=raw_manifests(sources, paths), **frames)
    cover = workbook_sheets.cover(front=front, sources=sources, version=metadata.version("ics-did"),
                                  is_synthetic=bool(frames["estimates"]["is_synthetic"].any()))
    answer = run_answer(evaluation, paths, without)
    cover = replace(cover, sections={"The answer": answer.texts, **cover.sections})
    with atomic(paths.results / result_files.WORKBOOK) as part:
        part.write_bytes(workbook.made(cover, sheets))
    return f"{result_files.WORKBOOK}: {plural(len(sheets), 'sheet')} of tables"
