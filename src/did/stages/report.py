"""Stage 9: the report, and the page in front of those of the families."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pandas as pd

from did.project import result_files
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.report.content.answer import Answer, margin_decimals
from did.report.content.describe import source_line, sources_of
from did.report.content.evaluation_facts import front_facts, run_answer, stage_tables
from did.report.content.evidence_rows import evidence_rows
from did.report.content.facts import only
from did.report.figures.evidence import evidence_figure
from did.report.figures.style import Frame
from did.report.pages.front import front_markdown
from did.report.pages.report import Report, report_html
from did.store import seals, tables
from did.store.provenance import together, write_text


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write everything that ``result_files.report_files`` lists and return one line about it; figures and sections of
    the outcomes are there.

    ``without`` are the indicators that this run has no files for: the pages say why. Raises DidError for a table that
    is missing or breaks its contract, and for a figure or a section that is missing.
    """
    indicators = [name for names in result_files.families(evaluation, without).values() for name in names]
    frames = stage_tables(("estimates", "diagnostics", "headline", "second_opinion"), indicators, evaluation, paths)
    # Effects by event time are in the figures; without them every search is short.
    frames["estimates"] = frames["estimates"].loc[frames["estimates"]["estimand"].eq("overall")]
    frames["reproduction"] = tables.read("reproduction", paths.reproduction)
    front = replace(front_facts(evaluation, without=without, paths=paths), contact=evaluation.contact)
    answer = run_answer(evaluation, paths, without)
    _draw(answer, evaluation, paths)
    second = frames.pop("second_opinion")
    write_text(paths.results / result_files.FRONT, front_markdown(front=front, answer=answer, **frames))
    frames["second_opinion"] = second
    members = [load_indicator(name, evaluation.indicators_folder) for name in indicators]
    computed = together(seals.made_by(getattr(paths, table)(name)) for name in indicators
                        for table in ("estimates", "diagnostics", "headline"))
    page = report_html(Report(evaluation=evaluation, front=front, sources=sources_of(members, evaluation),
                              tables=frames, versions=computed, paths=paths, answer=answer,
                              without=list(without)))
    write_text(paths.results / result_files.REPORT, page)
    return f"{paths.results / result_files.REPORT}: {len(page.encode()) / 1e6:.1f} MB"


def _draw(answer: Answer, evaluation: Evaluation, paths: Paths) -> None:
    """Draw the figure of the first screen, of the first line's estimate."""
    stem, own, decimals, about = paths.results / "figures" / result_files.ANSWER, None, 0, None
    made = {name: pd.DataFrame() for name in ("verdicts", "evidence", "evidence_items")}
    if answer.lines:
        about = answer.lines[0]
        made = {name: tables.read(name, getattr(paths, name)(about.indicator)) for name in made}
        own = only(made["verdicts"], target=about.target)
        decimals = margin_decimals(own)
    indicator = load_indicator(about.indicator if about else evaluation.indicators[0], evaluation.indicators_folder)
    rows = evidence_rows(own, made["evidence"], made["evidence_items"], units=evaluation.units, brief=True)
    frame = Frame(stem, f"{about.heading if about else evaluation.title}: does it hold?", "",
                  source_line([indicator], sources_of([indicator], evaluation)), evaluation.units, width=6.0)
    evidence_figure(rows, frame, value_label=about.unit if about else "", decimals=decimals)
