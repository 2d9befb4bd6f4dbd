"""Stage 8: the tables of a run: as CSV with their dictionary, in a workbook, and for papers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import metadata

import pandas as pd

from did import registry
from did.config import Evaluation, load_indicator
from did.inference.multiplicity import family_tests
from did.outputs import contents, dictionary, paper_tables, workbook, workbook_sheets
from did.outputs.describe import effect_unit, sources_of
from did.outputs.evaluation_facts import front_facts, read_reproduction, stage_tables
from did.outputs.facts import Facts, Front
from did.outputs.text import plural, write_csv
from did.paths import Paths


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write everything that ``contents.tabulate_files`` lists and return one line about it.

    ``without`` are the indicators that this run has no files for. The same tables feed every output. Raises DidError
    for a table that is missing or breaks its contract.
    """
    by_family = contents.families(evaluation, without)
    indicators = {name: load_indicator(name, evaluation.indicators_folder)
                  for names in by_family.values() for name in names}
    frames = stage_tables(("estimates", "influence", "diagnostics", "lineage"), indicators, evaluation, paths)
    tests = family_tests(frames["estimates"].loc[frames["estimates"]["reading"] == evaluation.default_reading],
                         frames.pop("influence"), by_family, draws=evaluation.draws, seed=evaluation.seed)
    frames["estimates"] = _adjusted(frames["estimates"], tests, evaluation)
    aggregation = {name: each.aggregation for name, each in indicators.items()}
    for table, frame in frames.items():
        write_csv(paths.results / f"{table}.csv", frame.assign(aggregation=frame["indicator"].map(aggregation)))
    write_csv(paths.results / "many_tests.csv", tests)
    frames |= {"many_tests": tests, "reproduction": read_reproduction(paths.results)}
    synthetic = bool(frames["estimates"]["is_synthetic"].any())
    front = front_facts(evaluation, without=without, paths=paths)
    units = {name: effect_unit(each, evaluation) for name, each in indicators.items()}
    _papers(frames, dict(zip(by_family, front.families, strict=True)), front, units, paths)
    _workbook(frames, front, units, sources_of(indicators.values(), evaluation), synthetic, paths)
    dictionary.write(paths.results / contents.DICTIONARY, is_synthetic=synthetic)
    return plural(len(contents.tabulate_files(evaluation, without)), "file")


def _papers(frames: Mapping[str, pd.DataFrame], families: Mapping[str, Facts], front: Front, units: Mapping[str, str],
            paths: Paths) -> None:
    """Write the tables for papers; ``units`` of the indicators' effects."""
    made = [paper_tables.family_table(contents.effects_paper(family), frames["estimates"], facts, units)
            for family, facts in families.items()]
    made.append(paper_tables.reproduction_table(contents.REPRODUCTION_PAPER, frames["reproduction"], front,
                                                is_synthetic=bool(frames["estimates"]["is_synthetic"].any())))
    for table in made:
        paper_tables.write(table, paths.results / "tables")


def _workbook(frames: Mapping[str, pd.DataFrame], front: Front, units: Mapping[str, str],
              sources: Mapping[str, registry.Source], synthetic: bool, paths: Paths) -> None:
    pages = list(front.families)
    files = {name: workbook_sheets.files_of(paths.raw(name)) for name in sources}
    workbook.write(
        paths.results / contents.WORKBOOK,
        workbook_sheets.cover(front=front, pages=pages, sources=sources, version=metadata.version("ics-did"),
                              is_synthetic=synthetic),
        workbook_sheets.sheets(pages=pages, front=front, units=units, sources=sources, files=files, **frames))


def _adjusted(estimates: pd.DataFrame, tests: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """The estimates with p_adjusted of the reported overall effects: Romano and Wolf's over the family."""
    keys = ["indicator", "sample", "treatment", "estimator", "cluster"]
    adjusted = estimates[keys].merge(tests[[*keys, "p_romano_wolf"]], on=keys, how="left", validate="many_to_one")
    reported = (estimates["reading"] == evaluation.default_reading) & (estimates["estimand"] == "overall")
    values = pd.Series(adjusted["p_romano_wolf"].to_numpy(), index=estimates.index)
    return estimates.assign(p_adjusted=values.where(reported, estimates["p_adjusted"]))
