"""What the workbook says: its cover, its notes, and the tables of its sheets made from the tables of the stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from did.project.registry import Source
from did.report.content import result_tables
from did.report.content.background import files_table
from did.report.content.describe import source_lines
from did.report.content.facts import Front, having
from did.report.content.names import Names
from did.report.content.published import NUMBERS, claims_table
from did.report.content.table import SYNTHETIC, Table
from did.report.writers.workbook import Cover
from did.words import period_name

NOTES = {
    "estimate": "An estimate is a difference between treated and comparison {units} in the unit that its row names. It "
                "is the effect of treatment only if what its estimator assumes holds; the other sheets and "
                "docs/methods.md say what that is.",
    "treatment": "Binary: treated or not. Intensity: the effect of each {dose}.",
    "sample": "Wave two removed: without the {units} that were treated next, some of them within the period.",
    "clusters": "Standard errors allow for dependence within clusters, once within {units}, once within systems. Their "
                "95% intervals and p-values use the t distribution with one degree of freedom fewer than clusters.",
    "coverage": "Share of placebo assignments in which 95% intervals by the method hold a true zero: onsets and doses "
                "of the treated clusters given to clusters where nothing was done, on the outcome's own panel. Its "
                "simulation error comes from the number of assignments.",
    "method": "The first method, in the order of the evaluation file, whose measured coverage is within the tolerance "
              "of 95% in every scheme of placebo assignments; where none is, the one that errs least often. "
              "docs/inference.md says what each is.",
    "few": "Where few clusters are treated, errors clustered by system are too small more often than not; the sheet "
           "Diagnostics has tests made for few clusters.",
    "adjusted": "Adjusted for the number of outcomes in the family: by Holm, where an outcome has a headline interval, "
                "whose p-value is then the one adjusted; otherwise by Romano and Wolf's step-down of the largest |t|, "
                "with clustered errors.",
    "observations": "{Units} times periods that the estimate used; by the lagged-dependent-variable model those from "
                    "the onset on.",
    "specification": "A specification settles what {open}: which areas, periods and dates. Names as "
               "in the evaluation file.",
    "number": NUMBERS,
    "printed": "As the publication prints it, in our words where it prints no number.",
    "detectable": "The smallest true effect that a two-sided test at 5% by the method finds in 80% of samples.",
    "event_time": "Periods since the first treated one, which is 0; the effect at the reference is 0 by definition and "
                  "has no error.",
    "band": "A band that covers all effects of one estimator at once with a chance of 95%.",
    "diagnostic": "docs/tables.md says what value and statistic are for each diagnostic. A skipped one says why.",
    "fate": "Merged: became part of a unit that can be followed over all periods. Excluded or set aside: not in the "
            "panel, for the reason given. Imputed: not counted at some dates, for the reason given.",
    "total": "Sum over all periods of the count behind the outcome; a rate that was published without counts has none.",
    "checksum": "SHA-256 of the file as used. `did verify` computes it again.",
}
STAGGERED = ("Each wave is treated from its own date. Where effects differ between waves or grow with time, two-way "
             "fixed effects weight them in ways that need not be an average; the other estimators do not.")


def sheets(*, front: Front, estimates: pd.DataFrame, reproduction: pd.DataFrame,
           sources: Mapping[str, Source], manifests: Mapping[str, dict], **others: pd.DataFrame) -> list[Table]:
    """Return the workbook's tables from those of the stages (docs/tables.md): ``others`` are headline, calibration,
    diagnostics, area_audit and adjusted_p_values.

    ``manifests`` are those of the sources' files. The reported specification alone, and for waves from their own dates
    the first such specification. Clusterings stand side by side. A table without a row, as of what was published where
    nothing was, has no sheet.
    """
    names = Names(list(front.families.values()))
    synthetic, staggered = bool(estimates["is_synthetic"].any()), names.families[0].staggered
    first, default = next(iter(front.treatments)), having(estimates, specification=front.specification)
    by_date = having(estimates, specification=staggered)
    shown = pd.concat([default, by_date]) if staggered != front.specification else default
    rows = having(reproduction, specification=front.specification)
    made = {
        "Headline": result_tables.headline_table(others["headline"], names),
        "Effects": result_tables.effects_table(
            having(default, estimand="overall", treatment=list(front.treatments)), names),
        "Reproduction": claims_table(rows, front) if len(rows) else None,
        "Staggered": replace(result_tables.effects_table(by_date, names), about=STAGGERED,
                             caption="Effects with each wave treated from its own date"),
        "Event_time": replace(result_tables.over_time_table(having(shown, treatment=first), names, ["event_time"]),
                              about="The first treatment; others, and means over a year, are in estimates.csv."),
        "Diagnostics": result_tables.diagnostics_table(others["diagnostics"], names),
        "Calibration": result_tables.calibration_table(others["calibration"], names),
        "Areas": result_tables.areas_table(having(others["area_audit"], specification=front.specification), names),
        "Many_tests": result_tables.adjusted_table(others["adjusted_p_values"], names),
        "Sources": files_table(sources, manifests)}
    return [replace(table, name=name, is_synthetic=synthetic) for name, table in made.items() if table]


def cover(*, front: Front, sources: Mapping[str, Source], version: str, is_synthetic: bool) -> Cover:
    """Return the cover: what the workbook is, the dates of its data, whose they are, and what the notes say."""
    lost = [f"{title}: {outcomes}. {why}" for title, outcomes, why in front.unavailable]
    sections = {
        "What this is": [front.question, "Estimates by difference-in-differences and related methods for "
                         f"{front.place}, treated from {period_name(front.onset)}, with their diagnostics"
                         f"{', alongside what was published' if front.n_published else ''}."],
        "Dates of the data": [
            f"{facts.title}: {period_name(facts.first)} to {period_name(facts.last)}; treated from "
            f"{period_name(facts.onset)}." for facts in front.families.values()],
        "Sources": source_lines(sources.values()),
        "Published evaluation": [front.citation or "None is named."],
        **({"Not available in this run": lost} if lost else {}),
        "How to read it": [
            "One table a sheet, begun in cell A1 by its title. Headings carry units and, in square brackets, the "
            "numbers of notes; the sheet Notes explains them and the shorthand. Panes are frozen: header rows and the "
            "first column stay in view.",
            "Numbers are shown with two digits of their standard error and hold all digits. No intermediate result was "
            "rounded before it was computed with.",
            "The same tables with more specifications are in the CSV files alongside this workbook, described in "
            "data_dictionary.csv. A table that would have no row here has no sheet."],
        "Contact": [front.contact or "Ask whoever published this workbook; the evaluation file names no contact.",
                    f"Made with ics-did {version}."],
    }
    facts = next(iter(front.families.values()))
    left = "the published evaluation leaves open" if front.n_published else "can be done in more than one way"
    fill = {"open": left, "units": facts.units, "Units": facts.units.capitalize(), "dose": facts.dose}
    return Cover(front.title, sections, {key: text.format(**fill) for key, text in NOTES.items()},
                 SYNTHETIC if is_synthetic else "")
