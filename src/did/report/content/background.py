"""What stands behind the report: who is treated when, methods, data sources and citation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from did.estimators import entry
from did.project.config import Evaluation
from did.project.paths import Paths
from did.project.registry import Source
from did.report.content.table import Column, Table, text_table
from did.words import count, listed, period_name, plural, singular

TREATED, LATER, COMPARED = ("treated", "joined, but counted in the comparison", "comparison")
NAMED = (60, 60, 5)  # names in one cell, of each of these


def timing_table(panel: pd.DataFrame, onsets: Mapping[int, str], names: Mapping[str, str], *, units: str,
                 periods: int) -> Table:
    """Return a row for those who start together: their wave, date and role, and every system with its units.

    ``panel``: rows of the panel table under one specification, over so many ``periods``; ``onsets``: first treated
    period of the waves that it leaves in the comparison; ``names``: system -> its name. A unit without a system stands
    by its own name; of more than `NAMED`, fewer for the comparison, the first are named. A note says how much of the
    panel is missing.
    """
    each = panel.drop_duplicates("unit")[["unit", "unit_name", "system", "wave", "cohort"]]
    later, treated = each["wave"].map(onsets).astype("string"), each["cohort"].notna()
    each = each.assign(
        first=each["cohort"].astype("string").fillna(later).fillna(""),
        place=(~treated).astype(int) + (~treated & later.isna()),
        wave=each["wave"].astype("Int64").where(treated | later.notna()).astype("string").fillna(""),
        name=[unit if pd.isna(system) else names.get(system, system)
              for system, unit in zip(each["system"], each["unit_name"], strict=True)])
    lines = []
    for (place, first, wave), rows in each.groupby(["place", "first", "wave"]):
        sizes = rows.groupby("name").size()
        most = NAMED[place]
        named = [f"{name} ({count(n)})" for name, n in sizes.head(most).items()]
        more = [f"{count(len(sizes) - most)} more"] if len(sizes) > most else []
        lines.append({"From": period_name(first) if first else "never", "Wave": wave,
                      "Counts as": (TREATED, LATER, COMPARED)[place], "Systems": len(sizes),
                      units.capitalize(): len(rows), f"Who ({units})": ", ".join([*named, *more])})
    cells = len(each) * periods
    lost = cells - int(panel["outcome"].notna().sum())
    said = f"There is no figure for {count(lost)} of {count(cells)} pairs of unit and period." if lost else (
        "There is a figure for every unit and period.")
    return text_table("timing", "Who is treated when", lines, notes=[said], file="manifest.json")


# Choices that say nothing where a table names each unit's own date.
GEOGRAPHY = {"boundaries", "metropolitan", "membership", "predecessors", "partial", "overlap"}


def checked(rows: pd.DataFrame) -> str:
    """Return how many estimates a second program gave again, by which, and to how many digits; "" if none."""
    done = rows.loc[rows["status"].eq("done")]
    if done.empty:
        return ""
    worst = float(done["difference"].max())
    digits = 15 if worst <= 0 else min(15, int(-math.log10(worst)))
    return (f"{plural(len(done), 'estimate')} of these outcomes were computed once more by other programs, "
            f"{listed(done['program'].unique())}: equal to {digits} digits or more.")


def methods(names: Sequence[str], evaluation: Evaluation, caption: str) -> Table:
    """Return one row per estimator of these names: what it does and its source."""
    words = {"unit": singular(evaluation.units), "units": evaluation.units}
    return text_table(caption.lower().replace(" ", "-"), caption, [
        {"Estimator": each.label, "What it does": each.words.summary.format(**words), "Source": each.words.source}
        for each in map(entry, names)], file="manifest.json")


def choices(evaluation: Evaluation) -> Table:
    """Return the choices of the specification reported, one row each."""
    without = {"families"} | (GEOGRAPHY if evaluation.waves.table else set())
    default = evaluation.specifications[evaluation.default_specification]
    specification = default.model_dump(exclude_none=True, exclude=without)
    return text_table("choices", f"The specification reported, {evaluation.default_specification}", [
        {"Choice": key.replace("_", " "), "Setting": listed(value) if isinstance(value, list) else str(value)}
        for key, value in specification.items()], file="manifest.json")


def raw_manifests(sources: Mapping[str, Source], paths: Paths) -> dict[str, dict]:
    """Return what the fetch stage recorded of each source's files; without a record, no files and the mode unknown."""
    found = {}
    for name in sources:
        path = paths.raw(name) / "manifest.json"
        found[name] = (json.loads(path.read_text(encoding="utf-8")) if path.is_file()
                       else {"files": {}, "mode": "unrecorded"})
    return found


def sources_table(sources: Mapping[str, Source], manifests: Mapping[str, dict]) -> Table:
    """Return one row per source: publisher, licence, where it is published, when and how its files were obtained
    (``demo, no date recorded`` or ``live, 2024-01-02 to 2024-01-05``)."""
    lines = []
    for name, source in sources.items():
        files = list(manifests[name]["files"].values())
        licences = listed(dict.fromkeys([source.licence, *(file["licence"] for file in files if file["licence"])]))
        dates = sorted(file["retrieved_at"][:10] for file in files if file.get("retrieved_at"))
        when = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "no date recorded"
        lines.append({"Source": source.title, "Publisher": source.publisher, "Licence": licences,
                      "Obtained": f"{listed(dict.fromkeys(file['how'] for file in files))}, {when}" if files else
                      "no record of its files", "Files": len(files), "Bytes": sum(file["bytes"] for file in files)})
    return text_table("sources", "Sources, and when their files were obtained", lines,
                      links=[source.landing_page for source in sources.values()], file="manifest.json")


def files_table(sources: Mapping[str, Source], manifests: Mapping[str, dict]) -> Table:
    """Return one row per file of the sources as used, in sheets with licence and address; of a source without a record
    of its files one row that says so."""
    lines = [{"file": file, "source": source.title, "publisher": source.publisher, "page": source.landing_page,
              "date": (record.get("retrieved_at") or "")[:10], **record,
              "licence": record.get("licence") or source.licence}
             for name, source in sources.items()
             for file, record in sorted(manifests[name]["files"].items()) or [("", {})]]
    columns = [Column("file", "File", empty="[x]"), Column("source", "Source"),
               Column("publisher", "Publisher", in_text=False), Column("period", "Period of the file", empty="[x]"),
               Column("licence", "Licence of the file", in_text=False),
               Column("how", "How it was obtained", in_text=False, empty="[x]"),
               Column("date", "Obtained", empty="[x]"), Column("bytes", "Size", "count", "bytes", empty="[x]"),
               Column("address", "Address of the file", in_text=False, empty="[x]"),
               Column("page", "Publisher's page", in_text=False),
               Column("sha256", "Checksum", explained="checksum", empty="[x]")]
    rows = pd.DataFrame(lines, columns=[column.names[0] for column in columns])
    return Table("source-files", "Files of the sources", columns, rows, about="One row per file as used.",
                 file="manifest.json")


def citation(evaluation: Evaluation, versions: Mapping[str, str], manifests: Mapping[str, dict]) -> str:
    """Return how to cite this report; without a date, which would change from run to run."""
    modes = listed(dict.fromkeys(manifest["mode"] for manifest in manifests.values()))
    return (f"{evaluation.title}: difference-in-differences report. Made with ics-did {versions['ics-did']} from "
            f"{modes} data, settings {evaluation.id}, seed {evaluation.seed}. Give the checksum of report.html in "
            "manifest.json alongside it, so that readers can tell that they have the same one.")
