"""The report's methods, data sources and citation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from did.estimators import entry
from did.project import result_files
from did.project.config import Evaluation
from did.project.paths import Paths
from did.project.registry import Source
from did.report.content.facts import Facts, levels
from did.report.writers.html import Cell, Made, Table, table_of
from did.words import count, listed, plural, singular

# Choices that say nothing where a table names each unit's own date.
GEOGRAPHY = {"boundaries", "metropolitan", "membership", "predecessors", "partial", "overlap"}
INTERVALS = (
    "Intervals are at 95%, t with one degree of freedom less than there are clusters. With few treated clusters such "
    "errors tend to be too small; the diagnostics hold a wild cluster bootstrap and randomisation tests that do not "
    "lean on many clusters. The words of this report follow from the numbers by fixed rules: where an interval lies is "
    "said, and no result is called significant, large or small, or the effect of a cause.")


def clustered(evaluation: Evaluation) -> str:
    """Return how the intervals are made and what the words of the report are made from."""
    how = [f"clustered {name}" for name in levels(evaluation).values()]
    how[0] += " (as published)" if evaluation.publication.coefficients else ""
    if evaluation.clusters[-1] == "system":
        how[-1] += " (the level at which treatment was given)"
    each = "has two intervals" if len(how) > 1 else "has an interval"
    return f"Each estimate {each}, from standard errors {listed(how)}. {INTERVALS}"


def checked(rows: pd.DataFrame) -> str:
    """Return how many estimates a second program gave again, by which, and to how many digits; "" if none."""
    done = rows.loc[rows["status"].eq("done")]
    if done.empty:
        return ""
    worst = float(done["difference"].max())
    digits = 15 if worst <= 0 else min(15, int(-math.log10(worst)))
    return (f"{plural(len(done), 'estimate')} of these outcomes were computed once more by other programs, "
            f"{listed(done['program'].unique())}: equal to {digits} digits or more.")


def methods(evaluation: Evaluation) -> Table:
    """Return one row per estimator of the evaluation: what it does and its source."""
    names = dict.fromkeys([*evaluation.estimators, *evaluation.staggered_estimators])
    words = {"unit": singular(evaluation.units), "units": evaluation.units}
    rows = [{"Estimator": each.label, "What it does": each.words.summary.format(**words), "Source": each.words.source}
            for each in map(entry, names)]
    return table_of(pd.DataFrame(rows), name="estimators", caption="Estimators of this evaluation",
                    made=Made("manifest.json", "manifest"))


def choices(evaluation: Evaluation) -> Table:
    """Return the choices of the specification reported, one row each."""
    without = {"families"} | (GEOGRAPHY if evaluation.waves.table else set())
    default = evaluation.specifications[evaluation.default_specification]
    specification = default.model_dump(exclude_none=True, exclude=without)
    rows = [{"Choice": key.replace("_", " "), "Setting": listed(value) if isinstance(value, list) else str(value)}
            for key, value in specification.items()]
    return table_of(pd.DataFrame(rows), name="choices", caption=f"The specification reported, "
                                                                f"{evaluation.default_specification}",
                    made=Made("manifest.json", "manifest"))


def raw_manifests(sources: Mapping[str, Source], paths: Paths) -> dict[str, dict]:
    """Return what the fetch stage recorded of each source's files; without a record, no files and the mode unknown."""
    found = {}
    for name in sources:
        path = paths.raw(name) / "manifest.json"
        found[name] = (json.loads(path.read_text(encoding="utf-8")) if path.is_file()
                       else {"files": {}, "mode": "unrecorded"})
    return found


def sources_table(sources: Mapping[str, Source], manifests: Mapping[str, dict]) -> Table:
    """Return one row per source: publisher, licence, where it is published, when and how its files were obtained."""
    rows = []
    for name, source in sources.items():
        files = manifests[name]["files"].values()
        licences = listed(dict.fromkeys([source.licence, *(file["licence"] for file in files if file["licence"])]))
        link = Markup('<a href="{}" rel="noreferrer">{}</a>').format(source.landing_page, source.landing_page)
        rows.append([Cell(Markup('<span id="source-{}">{}</span>').format(name, source.title), source.title),
                     Cell(source.publisher), Cell(licences), Cell(link, source.landing_page),
                     Cell(_obtained(files)), Cell(count(len(files)), len(files)),
                     Cell(count(sum(file["bytes"] for file in files)), sum(file["bytes"] for file in files))])
    columns = ["Source", "Publisher", "Licence", "Published at", "Obtained", "Files", "Bytes"]
    return Table("sources", "Sources and when their files were obtained", columns, rows,
                 Made("manifest.json", "manifest"), frozenset({"Files", "Bytes"}))


def _obtained(files) -> str:
    """``demo, no date`` or ``live, 2024-01-02 to 2024-01-05``: how the files came, and from when to when."""
    if not files:
        return "no record of its files"
    how = listed(dict.fromkeys(file["how"] for file in files))
    dates = sorted(file["retrieved_at"][:10] for file in files if file.get("retrieved_at"))
    if not dates:
        return f"{how}, no date recorded"
    return f"{how}, {dates[0]}" + ("" if dates[0] == dates[-1] else f" to {dates[-1]}")


def files_table(name: str, source: Source, manifest: dict, folder: Path) -> Table:
    """Return one row per file of a source with its period, size, date and checksum."""
    rows = [{"File": file, "Period": record.get("period") or "", "Bytes": count(record["bytes"]),
             "Obtained": (record.get("retrieved_at") or "")[:10], "SHA-256": record["sha256"]}
            for file, record in sorted(manifest["files"].items())]
    return table_of(pd.DataFrame(rows), name=f"files-{name}", caption=f"{source.title}: files in {folder}",
                    made=Made("manifest.json", "manifest"), right=["Bytes"])


def downloads(families: Mapping[str, Facts]) -> list[tuple[str, list[str]]]:
    """Return the run's other files for a reader, as pairs of what they are and their names in the results folder."""
    papers = [(f"{facts.title}, effects for a paper", result_files.effects_paper(family))
              for family, facts in families.items()]
    papers.append(("What was reproduced, for a paper", result_files.REPRODUCTION_PAPER))
    return [("Every table as a sheet of one workbook, with notes", [result_files.WORKBOOK]),
            *((words, [f"tables/{name}.{part}" for part in result_files.PAPER_PARTS]) for words, name in papers),
            ("Tables in full", [*result_files.TABLES, *result_files.REPRODUCTION_TABLES]),
            ("What every column of them holds", [result_files.DICTIONARY])]


def citation(evaluation: Evaluation, versions: Mapping[str, str], manifests: Mapping[str, dict]) -> str:
    """Return how to cite this report; without a date, which would change from run to run."""
    modes = listed(dict.fromkeys(manifest["mode"] for manifest in manifests.values()))
    return (f"{evaluation.title}: difference-in-differences report. Made with ics-did {versions['ics-did']} from "
            f"{modes} data, settings {evaluation.id}, seed {evaluation.seed}. Give the checksum of report.html in "
            "manifest.json alongside it, so that readers can tell that they have the same one.")
