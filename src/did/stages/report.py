"""Stage 9: the report, the answer as text, and the numbers of all figures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pandas as pd

from did.project import result_files
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.report.content import evaluation_facts
from did.report.content.answer import IN_SHORT, Answer, margin_decimals
from did.report.content.describe import source_line, sources_of
from did.report.content.evidence_words import evidence_rows
from did.report.content.facts import having, only
from did.report.figures.forest import evidence_figure
from did.report.figures.style import Frame
from did.report.pages.report import Report, report_html
from did.report.writers.markdown import markdown_of
from did.stages.trace import traces
from did.store import seals, tables
from did.store.provenance import together, write_text
from did.store.result_csv import joined

# What the report reads of each outcome.
TABLES = ("estimates", "diagnostics", "headline", "area_audit", "second_opinion")


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write everything that ``result_files.report_files`` lists and return one line about it; figures and sections of
    the annex are there. ``without`` are the indicators that this run has no files for: the pages say why. Raises
    DidError for a table that is missing or breaks its contract, and for a figure or a section that is missing."""
    indicators = evaluation_facts.members(evaluation, without)
    frames = evaluation_facts.stage_tables(TABLES, indicators, evaluation, paths)
    frames["estimates"] = having(frames["estimates"], estimand="overall")
    frames["reproduction"] = tables.read("reproduction", paths.reproduction)
    answer = evaluation_facts.run_answer(evaluation, paths, without)
    front = evaluation_facts.front_facts(evaluation, without=without, paths=paths)
    families = answer.ordered(front.families)
    panels = {facts.total: evaluation_facts.panel_of(indicators[facts.total], evaluation, paths)
              for facts in families.values()}
    doses = {name: evaluation_facts.largest_dose(indicators[name], evaluation, panel) for name, panel in panels.items()}
    front = replace(front, contact=evaluation.contact, families={
        family: replace(facts, largest_dose=doses[facts.total]) for family, facts in families.items()})
    _draw(answer, evaluation, paths)
    numbers = {name: paths.drawn / f"{name}.csv" for name in [
        result_files.ANSWER, *result_files.every_figure(evaluation, without)]}
    write_text(paths.results / result_files.table_file(result_files.NUMBERS), joined(numbers, "figure"))
    synthetic = any(bool(frame["is_synthetic"].any()) for frame in frames.values())
    write_text(paths.results / result_files.FRONT, markdown_of(
        "summary.md.j2", front=front, first=answer.texts, synthetic=synthetic, purposes=result_files.PURPOSES))
    computed = together(seals.made_by(getattr(paths, table)(name)) for name in indicators
                        for table in ("estimates", "diagnostics", "headline"))
    first = next(iter(panels))
    page = report_html(Report(
        evaluation=evaluation, front=front, sources=sources_of(indicators.values(), evaluation),
        tables=frames, versions=computed, paths=paths, answer=answer,
        timing=evaluation_facts.timing(indicators[first], evaluation, panels[first]),
        traces=traces(indicators, frames["estimates"], evaluation, paths)))
    write_text(paths.results / result_files.REPORT, page)
    return f"{paths.results / result_files.REPORT}: {len(page.encode()) / 1e6:.1f} MB"


def _draw(answer: Answer, evaluation: Evaluation, paths: Paths) -> None:
    """Draw the figure of the first screen, of the first line's estimate."""
    names = ("verdicts", "evidence", "evidence_items")
    about = answer.lines[0] if answer.lines else None
    name = about.indicator if about else evaluation.indicators[0]
    made = [tables.read(each, getattr(paths, each)(name)) if about else pd.DataFrame() for each in names]
    own = only(made[0], target=about.target) if about else None
    indicator = load_indicator(name, evaluation.indicators_folder)
    title = f"{about.heading}: {IN_SHORT[about.verdict]}" if about else evaluation.title
    frame = Frame(paths.drawn / result_files.ANSWER, title, "", source_line([indicator], evaluation), evaluation.units,
                  about.unit if about else "", width=6.0, pictures=paths.pictures)
    evidence_figure(evidence_rows(own, *made[1:], units=evaluation.units, brief=True), frame,
                    decimals=0 if own is None else margin_decimals(own))
