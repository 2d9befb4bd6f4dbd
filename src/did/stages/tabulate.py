"""Stage 8: the tables of a run: as CSV with their dictionary, and for papers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from did.project import result_files
from did.project.config import Evaluation
from did.project.paths import Paths
from did.report.content import dictionary
from did.report.content.describe import effect_unit
from did.report.content.evaluation_facts import front_facts, members, result_tables
from did.report.content.facts import Facts, Front
from did.report.content.notes import worded
from did.report.pages import paper_tables
from did.store.result_csv import write_csv
from did.words import plural


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write everything that ``result_files.tabulate_files`` lists and return one line about it.

    ``without`` are the indicators that this run has no files for. The same tables feed every output. Raises DidError
    for a table that is missing or breaks its contract.
    """
    indicators = members(evaluation, without)
    frames = result_tables(evaluation, paths, without)
    aggregation = {name: each.aggregation for name, each in indicators.items()}
    for table in ("headline", "calibration", "estimates", "diagnostics", "area_audit"):
        frame = frames[table]
        if table == "diagnostics":
            frame = worded(frame)
        write_csv(paths.results / f"{table}.csv", frame.assign(aggregation=frame["indicator"].map(aggregation)))
    write_csv(paths.results / "adjusted_p_values.csv", frames["adjusted_p_values"])
    front = front_facts(evaluation, without=without, paths=paths)
    units = {name: effect_unit(each, evaluation) for name, each in indicators.items()}
    of_family = dict(zip(result_files.families(evaluation, without), front.families, strict=True))
    _papers(frames, of_family, front, units, paths)
    dictionary.write(paths.results / result_files.DICTIONARY,
                     is_synthetic=bool(frames["estimates"]["is_synthetic"].any()))
    return plural(len(result_files.tabulate_files(evaluation, without)), "file")


def _papers(frames: Mapping[str, pd.DataFrame], families: Mapping[str, Facts], front: Front, units: Mapping[str, str],
            paths: Paths) -> None:
    """Write the tables for papers; ``units`` of the indicators' effects."""
    made = [paper_tables.family_table(result_files.effects_paper(family), frames["estimates"], facts, units)
            for family, facts in families.items()]
    made.append(paper_tables.reproduction_table(result_files.REPRODUCTION_PAPER, frames["reproduction"], front,
                                                is_synthetic=bool(frames["estimates"]["is_synthetic"].any())))
    for table in made:
        paper_tables.write(table, paths.results / "tables")
