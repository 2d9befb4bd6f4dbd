"""Stage 9: the report, and the page in front of those of the families."""

from __future__ import annotations

from collections.abc import Collection

from did import sealed
from did.config import Evaluation, load_indicator
from did.outputs import contents
from did.outputs.describe import sources_of
from did.outputs.evaluation_facts import front_facts, read_reproduction, stage_tables
from did.outputs.front import front_markdown
from did.outputs.html_report import Report, report_html
from did.paths import Paths
from did.provenance import together, write_text


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write everything that ``contents.report_files`` lists and return one line about it; figures and sections of the
    outcomes are there.

    ``without`` are the indicators that this run has no files for: the pages say why. Raises DidError for a table that
    is missing or breaks its contract, and for a figure or a section that is missing.
    """
    indicators = [name for names in contents.families(evaluation, without).values() for name in names]
    frames = stage_tables(("estimates", "diagnostics"), indicators, evaluation, paths)
    # Effects by event time are in the figures; without them every search is short.
    frames["estimates"] = frames["estimates"].loc[frames["estimates"]["estimand"].eq("overall")]
    frames["reproduction"] = read_reproduction(paths.results)
    front = front_facts(evaluation, without=without, paths=paths)
    write_text(paths.results / contents.FRONT, front_markdown(
        front=front, **frames))
    members = [load_indicator(name, evaluation.indicators_folder) for name in indicators]
    computed = together(sealed.made_by(getattr(paths, table)(name)) for table in ("estimates", "diagnostics")
                        for name in indicators)
    page = report_html(Report(evaluation=evaluation, front=front, sources=sources_of(members, evaluation),
                              tables=frames, versions=computed, paths=paths, without=list(without)))
    write_text(paths.results / contents.REPORT, page)
    return f"{paths.results / contents.REPORT}: {len(page.encode()) / 1e6:.1f} MB"
