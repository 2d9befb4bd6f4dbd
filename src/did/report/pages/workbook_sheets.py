"""What the workbook says: its cover, its notes, and the tables of its sheets made from the tables of the stages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from did.project.registry import Source
from did.report.content.facts import METHODS, Facts, Front, estimator_name, own_dates_names
from did.report.content.notes import worded
from did.report.pages.paper_tables import BY_CLUSTER, CELL, NUMBERS, SHARED, SYNTHETIC, claims, effects, side_by_side
from did.report.writers.workbook import Column, Cover, Sheet
from did.words import decimals_for, period_name, short_decimals

MANIFEST = "manifest.json"
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
    "staggered": "Each wave is treated from its own date. Where effects differ between waves or grow with time, "
                 "two-way fixed effects weight them in ways that need not be an average; the other estimators do not.",
    "event_time": "Periods since the first treated one, which is 0; the effect at the reference is 0 by definition and "
                  "has no error.",
    "band": "A band that covers all effects of one estimator at once with a chance of 95%.",
    "diagnostic": "docs/tables.md says what value and statistic are for each diagnostic. A skipped one says why.",
    "fate": "Merged: became part of a unit that can be followed over all periods. Excluded or set aside: not in the "
            "panel, for the reason given. Imputed: not counted at some dates, for the reason given.",
    "total": "Sum over all periods of the count behind the outcome; a rate that was published without counts has none.",
    "checksum": "SHA-256 of the file as used. `did verify` computes it again.",
}
CLUSTER_COLUMNS = {
    "std_error": ("Standard error {by} (unit of the row) [note:clusters]", "number"),
    "ci_low": ("95% interval {by}, lower end (unit of the row)", "number"),
    "ci_high": ("95% interval {by}, upper end (unit of the row)", "number"),
    "p_value": ("p-value {by} (0 to 1)", "p"),
    "p_adjusted": ("p-value {by}, adjusted for many outcomes (0 to 1) [note:adjusted]", "p"),
    "n_clusters": ("Clusters {by} (number)", "count"),
    "n_treated_clusters": ("Treated clusters {by} (number) [note:few]", "count"),
}
OUTCOME = [Column("family", "Family"), Column("outcome", "Outcome")]
WHICH = [Column("treatment", "Treatment [note:treatment]"), Column("sample", "Sample [note:sample]"),
         Column("estimator", "Estimator")]
ESTIMATE = [Column("effect_unit", "Unit of the effect"),
            Column("estimate", "Estimate (unit of the row) [note:estimate]", "number", "[x]")]
SIZES = [Column("n_obs", "Observations (number) [note:observations]", "count"),
         Column("n_units", "Units (number)", "count"), Column("n_treated", "Treated units (number)", "count")]
NOTE = Column("note", "Remarks")
INTERVALS = [name for name in BY_CLUSTER if name != "p_adjusted"]


def sheets(*, pages: Sequence[Facts], front: Front, estimates: pd.DataFrame, reproduction: pd.DataFrame,
           units: Mapping[str, str], sources: Mapping[str, Source], files: Mapping[str, Mapping[str, Mapping]],
           **others: pd.DataFrame) -> list[Sheet]:
    """Return the workbook's tables from those of the stages (docs/tables.md): ``others`` are headline, calibration,
    diagnostics, area_audit and adjusted_p_values.

    ``pages`` are the families' facts; ``units`` maps an indicator to the unit of its effects; ``files`` maps a source
    to the files of its manifest. The reported specification alone, and for waves from their own dates the first such
    specification. Clusterings stand side by side. All rows of all families of these tables are there, ordered as in
    them. A table without a row, as of what was published where nothing was, has no sheet.
    """
    names = _Names(pages, units)
    synthetic, area_audit = bool(estimates["is_synthetic"].any()), others["area_audit"]
    made = [_headline(others["headline"], names), _effects(pages, estimates, units, names),
            _reproduced(reproduction, front, names)]
    staggered = pages[0].staggered
    own = estimates.loc[estimates["specification"].eq(staggered)]
    if len(own):
        made.append(_staggered(own, names, staggered))
    made += [
        _event_time(estimates.loc[estimates["specification"].isin([front.specification, staggered])], names),
        _diagnostics(others["diagnostics"], names),
        _calibration(others["calibration"], names),
        _areas(area_audit.loc[area_audit["specification"].eq(front.specification)], names),
        _adjusted_p_values(others["adjusted_p_values"], names),
        _sources(sources, files),
    ]
    return [replace(each, is_synthetic=synthetic) for each in made if len(each.rows)]


def cover(*, front: Front, pages: Sequence[Facts], sources: Mapping[str, Source], version: str,
          is_synthetic: bool) -> Cover:
    """Return the cover: what the workbook is, the dates of its data, whose they are, and what the notes say."""
    periods = [f"{facts.title}: {period_name(facts.first)} to {period_name(facts.last)}; treated from "
               f"{period_name(facts.onset)}." for facts in pages]
    known = [f"{each.title}: {each.publisher}, {each.licence}, {each.landing_page}" for each in sources.values()]
    lost = [f"{title}: {outcomes}. {why}" for title, outcomes, why in front.unavailable]
    sections = {
        "What this is": [front.question, "Estimates by difference-in-differences and related methods for "
                         f"{front.place}, treated from {period_name(front.onset)}, with their diagnostics"
                         f"{', alongside what was published' if front.n_published else ''}."],
        "Dates of the data": periods,
        "Sources": known,
        "Published evaluation": [front.citation or "None is named."],
        **({"Not available in this run": lost} if lost else {}),
        "How to read it": [
            "One table a sheet, begun in cell A1 by its title. Headings carry units and, in square brackets, the "
            "numbers of notes; the sheet Notes explains them and the shorthand. Panes are frozen: header rows and the "
            "first column stay in view.",
            "Numbers are shown with two digits of their standard error and hold all digits. No intermediate result was "
            "rounded before "
            "it was computed with.",
            "The same tables with more specifications are in the CSV files alongside this workbook, described in "
            "data_dictionary.csv. A table that would have no row here has no sheet."],
        "Contact": [front.contact or "Ask whoever published this workbook; the evaluation file names no contact.",
                    f"Made with ics-did {version}."],
    }
    facts = pages[0]
    left = "the published evaluation leaves open" if front.n_published else "can be done in more than one way"
    fill = {"open": left, "units": facts.units, "Units": facts.units.capitalize(), "dose": facts.dose}
    return Cover(title=front.title, sections=sections, banner=SYNTHETIC if is_synthetic else "", author="ics-did",
                 notes={key: text.format(**fill) for key, text in NOTES.items()})


def files_of(folder: Path) -> dict[str, dict]:
    """Return the files of a source's raw folder by name, as its manifest has them; none without a manifest."""
    manifest = folder / MANIFEST
    return json.loads(manifest.read_text(encoding="utf-8"))["files"] if manifest.is_file() else {}


class _Names:
    """Codes of the tables -> what they are called on the sheets."""

    def __init__(self, pages: Sequence[Facts], units: Mapping[str, str]) -> None:
        self.family = {name: facts.title for facts in pages for name in facts.outcomes}
        self.outcome = {name: label for facts in pages for name, label in facts.outcomes.items()}
        first = pages[0]
        self.treatment = {**first.treatments, "intensity_within_treated": "Intensity within the treated"}
        self.sample, self.clusters, self.dose, self.units = first.samples, first.clusters, first.dose, units
        self.error = f"std_error_{next(iter(first.clusters))}"

    def named(self, rows: pd.DataFrame, *, staggered: bool = False) -> pd.DataFrame:
        """``rows`` with names in place of codes, the family, and the unit of the effect.

        ``staggered``: the names of estimators are those for waves treated from their own dates.
        """
        unit = [f"{self.units.get(row.indicator, '')}{f' per {self.dose}' if row.treatment.startswith('int') else ''}"
                for row in rows[["indicator", "treatment"]].fillna("").itertuples(index=False)]
        known = own_dates_names() if staggered else {}
        estimator = {name: known.get(name) or f"{estimator_name(name)[:1].upper()}{estimator_name(name)[1:]}"
                     for name in rows["estimator"].unique() if name}
        return rows.assign(
            effect_unit=unit, family=rows["indicator"].map(self.family), outcome=rows["indicator"].map(self.outcome),
            treatment=rows["treatment"].map(lambda name: self.treatment.get(name, name)),
            sample=rows["sample"].map(lambda name: self.sample.get(name, name)),
            estimator=rows["estimator"].map(estimator))

    def by_cluster(self, names: Iterable[str]) -> list[Column]:
        """Columns of every clustering, one clustering after the other."""
        return [Column(f"{name}_{cluster}", CLUSTER_COLUMNS[name][0].format(by=by), CLUSTER_COLUMNS[name][1])
                for cluster, by in self.clusters.items() for name in names]


def _decimals(rows: pd.DataFrame, error: str, value: str) -> list[int]:
    """Decimals of each row: two digits of its error, or of the value itself where it has none."""
    return [decimals_for(by if by > 0 else abs(of) if pd.notna(of) else None)
            for by, of in zip(rows[error].astype(float).fillna(0.0), rows[value].astype(float), strict=True)]


def _methods(rows: pd.DataFrame) -> pd.Series:
    return rows["method"].map(lambda name: METHODS.get(name, name.replace("_", " ")))


def _headline(rows: pd.DataFrame, names: _Names) -> Sheet:
    shown = names.named(rows).assign(method=_methods(rows), holds=rows["holds"].map({True: "yes", False: "no"}))
    columns = [*OUTCOME, *WHICH, *ESTIMATE,
               Column("ci_low", "95% interval, lower end (unit of the row)", "number", "[x]"),
               Column("ci_high", "95% interval, upper end (unit of the row)", "number", "[x]"),
               Column("p_value", "p-value (0 to 1)", "p", "[x]"),
               Column("method", "Method of inference [note:method]", empty="[x]"),
               Column("holds", "Holds its level"),
               *(Column(name, f"{heading} (share, 0 to 1) [note:coverage]", "p", "[x]") for name, heading in (
                   ("coverage", "Measured coverage"), ("simulation_error", "Its simulation error"),
                   ("coverage_least", "Least coverage of a scheme"), ("coverage_most", "Most coverage of a scheme"))),
               Column("n_draws", "Placebo assignments (number)", "count"), *SIZES,
               Column("n_clusters", "Clusters (number)", "count"),
               Column("n_treated_clusters", "Treated clusters (number)", "count"), NOTE]
    width = (rows["ci_high"] - rows["ci_low"]) / 4
    return Sheet("Headline", "Headline estimates, with intervals of measured coverage",
                 "One row per outcome, treatment and estimator, under the reported specification.", columns, shown,
                 _decimals(rows.assign(width=width.where(np.isfinite(width))), "width", "estimate"))


def _calibration(rows: pd.DataFrame, names: _Names) -> Sheet:
    skipped = rows["status"].eq("skipped")
    shown = names.named(rows).assign(method=_methods(rows), scheme=rows["scheme"].str.replace("_", " "))
    for name in ("n_clusters", "n_treated_clusters", "n_treated", "coverage", "simulation_error", "mean_width"):
        own = shown[name].astype(object)
        shown[name] = own.mask(own.isna() & skipped, "[x]")
    columns = [*OUTCOME, Column("treatment", "Treatment [note:treatment]"), Column("estimator", "Estimator"),
               Column("effect_unit", "Unit of the effect"), Column("scheme", "Placebo assignments among"),
               Column("method", "Method of inference"), Column("n_draws", "Placebo assignments (number)", "count"),
               Column("rejected", "True null rejected at 5% (number)", "count"),
               Column("coverage", "Measured coverage (share, 0 to 1) [note:coverage]", "p"),
               Column("simulation_error", "Its simulation error (share, 0 to 1)", "p"),
               Column("mean_width", "Mean width of 95% intervals (unit of the row)", "number"),
               Column("n_treated", "Treated units in an assignment (mean number)", "number"),
               Column("n_clusters", "Clusters (number)", "count"),
               Column("n_treated_clusters", "Treated clusters (number)", "count"),
               Column("reason", "Why skipped")]
    return Sheet("Calibration", "How often each method of inference errs on each outcome's own panel",
                 "Where nothing was done, 95% intervals should hold zero in 0.95 of the assignments.", columns, shown,
                 _decimals(rows, "mean_width", "mean_width"))


def _effects(pages: Sequence[Facts], estimates: pd.DataFrame, units: Mapping[str, str], names: _Names) -> Sheet:
    wide = pd.concat([effects(estimates, facts, units) for facts in pages], ignore_index=True)
    columns = [*OUTCOME, *WHICH, *ESTIMATE, *names.by_cluster(BY_CLUSTER), *SIZES, NOTE]
    return Sheet(
        "Effects",
        "Effects on every outcome by every estimator",
        f"The reported specification ({pages[0].specification}) [note:specification].",
        columns,
        names.named(wide),
        _decimals(wide, names.error, "estimate"),
    )


def _reproduced(reproduction: pd.DataFrame, front: Front, names: _Names) -> Sheet:
    wide = claims(reproduction, front)
    columns = [Column("claim", "Published cell"), Column("figure", "Figure"), Column("outcome", "Outcome"), *WHICH,
               Column("unit", "Unit of the effect"), Column("as_printed", "As printed [note:printed]"),
               Column("published_value", "Printed value (unit of the row)", "number", "[x]"),
               Column("published_n", "Printed observations (number)", "count", "[x]"),
               Column("estimate", "Our estimate (unit of the row) [note:estimate]", "number", "[x]"),
               Column("n_obs", "Our observations (number) [note:observations]", "count", "[x]"),
               Column("difference", "Ours less printed (unit of the row)", "number"),
               Column("value_agrees", "Value agrees"), Column("sign_agrees", "Sign agrees"),
               Column("n_agrees", "Observations agree")]
    extra = {"p_holm": ("p-value {by}, adjusted by Holm (0 to 1)", "p"),
             "significance_agrees": ("Significance agrees {by}", "text"),
             "number": ("Number {by} [note:number]", "text")}
    for cluster, by in names.clusters.items():
        for name in ("std_error", "ci_low", "ci_high", "p_value", "p_holm", "significance_agrees", "number"):
            heading, kind = (CLUSTER_COLUMNS | extra)[name]
            columns.append(Column(f"{name}_{cluster}", heading.format(by=by), kind, "[z]" if kind == "text" else "[x]"))
    shown = wide["published_value"].astype(float).map(lambda value: 0 if pd.isna(value) else short_decimals(value))
    decimals = [max(pair) for pair in zip(_decimals(wide, names.error, "estimate"), shown, strict=True)]
    return Sheet("Reproduction", "What was published alongside what this run finds", "One row per published finding.",
                 columns, names.named(wide).assign(outcome=wide["outcome"], figure=wide["figure"].astype(str)),
                 decimals)


def _staggered(rows: pd.DataFrame, names: _Names, specification: str) -> Sheet:
    overall = rows.loc[rows["estimand"].eq("overall") | rows["estimand"].str.startswith("overall_")]
    wide = side_by_side(overall, [*CELL, "estimand"], clusters=list(names.clusters), by_cluster=INTERVALS)
    columns = [*OUTCOME, *WHICH, Column("estimand", "Average over"), *ESTIMATE, *names.by_cluster(INTERVALS), *SIZES,
               NOTE]
    over = wide["estimand"].map(lambda name: name.removeprefix("overall_").replace("_", " "))
    return Sheet("Staggered", "Effects with each wave treated from its own date [note:staggered]",
                 f"Specification {specification} [note:specification]; overall is the average over treated units and "
                 f"periods.", columns,
                 names.named(wide, staggered=True).assign(estimand=over), _decimals(wide, names.error, "estimate"))


def _event_time(rows: pd.DataFrame, names: _Names) -> Sheet:
    rows = rows.loc[rows["estimand"].eq("event_time") & rows["treatment"].eq(next(iter(names.treatment)))]
    measured = ["std_error", "ci_low", "ci_high", "band_low", "band_high"]
    wide = side_by_side(
        rows,
        ["specification", *CELL, "event_time"],
        clusters=list(names.clusters),
        by_cluster=measured,
        shared=[name for name in SHARED if name != "n_obs"],
    )
    columns = [*OUTCOME, Column("specification", "Specification [note:specification]"), *WHICH,
               Column("event_time", "Event time (periods) [note:event_time]", "count"), *ESTIMATE]
    for cluster, by in names.clusters.items():
        columns += [Column(f"{name}_{cluster}", CLUSTER_COLUMNS[name][0].format(by=by), "number")
                    for name in measured[:3]]
        columns += [Column(f"band_{end}_{cluster}", f"Band of all event times {by}, {word} end (unit of the row) "
                           "[note:band]", "number") for end, word in (("low", "lower"), ("high", "upper"))]
    return Sheet("Event_time", "Effects by time since treatment",
                 "The reported specification, and that with waves by date; the first treatment. Those of other "
                 "treatments, "
                 "and means over a year, are in estimates.csv.", [*columns, *SIZES[1:], NOTE],
                 names.named(wide, staggered=True),
                 _decimals(wide, names.error, "estimate"))


def _diagnostics(rows: pd.DataFrame, names: _Names) -> Sheet:
    skipped = rows["status"].eq("skipped")
    measured = ["value", "std_error", "ci_low", "ci_high", "statistic", "df", "df_denominator", "p_value", "n_obs",
                "n_units", "n_treated", "n_clusters", "n_treated_clusters"]
    shown = names.named(worded(rows))
    for name in measured:
        own = shown[name].astype(object)
        shown[name] = own.mask(own.isna() & skipped, "[x]")
    columns = [*OUTCOME, Column("specification", "Specification [note:specification]"), Column("sample", "Sample "
        "[note:sample]"),
               Column("diagnostic", "Diagnostic [note:diagnostic]"), Column("item", "Of"),
               Column("status", "Done or skipped"), Column("value", "Value (as the diagnostic says)", "number"),
               Column("std_error", "Standard error (as value)", "number"),
               Column("ci_low", "95% interval, lower end (as value)", "number"),
               Column("ci_high", "95% interval, upper end (as value)", "number"),
               Column("statistic", "Statistic (as the diagnostic says)", "number"),
               Column("df", "Degrees of freedom (number)", "number"),
               Column("df_denominator", "Degrees of freedom below (number)", "number"),
               Column("p_value", "p-value (0 to 1)", "p"),
               *SIZES, Column("n_clusters", "Clusters (number)", "count"),
               Column("n_treated_clusters", "Treated clusters (number)", "count"),
               Column("reason", "Remarks or why skipped")]
    shown = shown.assign(diagnostic=shown["diagnostic"].str.replace("_", " "))
    return Sheet("Diagnostics", "Diagnostics, those that were skipped included", "One row per diagnostic and item.",
                 columns, shown, _decimals(rows, "std_error", "value"))


def _areas(rows: pd.DataFrame, names: _Names) -> Sheet:
    rows = rows.loc[rows["fate"].ne("kept")]
    shown = rows.assign(family=rows["indicator"].map(names.family), outcome=rows["indicator"].map(names.outcome),
                        fate=rows["fate"].str.replace("_", " "))
    columns = [*OUTCOME, Column("area_code", "Area code"), Column("area_name", "Area", empty="[x]"),
               Column("fate", "What became of it [note:fate]"), Column("unit", "Unit it is part of (code)"),
               Column("n_periods", "Periods with figures (number)", "count"),
               Column("total", "Total (count) [note:total]", "count"), Column("reason", "Why")]
    return Sheet("Areas", "Areas of the sources that were merged or left out", "Areas kept as they are need no row.",
                 columns, shown)


def _adjusted_p_values(rows: pd.DataFrame, names: _Names) -> Sheet:
    shown = names.named(rows).assign(cluster=rows["cluster"].map(names.clusters),
                                     p_method=rows["p_method"].replace(METHODS))
    columns = [*OUTCOME, *WHICH, Column("cluster", "Clustered"), *ESTIMATE,
               Column("std_error", "Standard error (unit of the row) [note:clusters]", "number"),
               Column("p_value", "p-value by clustered errors (0 to 1)", "p"),
               Column("p_tested", "p-value that is adjusted (0 to 1)", "p"),
               Column("p_method", "It is by [note:method]"),
               Column("p_size", "Measured share of true nulls rejected by it (0 to 1)", "p", "[x]"),
               Column("p_holm", "p-value by Holm (0 to 1)", "p"),
               Column("p_benjamini_hochberg", "p-value by Benjamini and Hochberg (0 to 1)", "p"),
               Column("p_romano_wolf", "p-value by Romano and Wolf (0 to 1)", "p", "[x]"),
               Column("p_adjusted", "p-value to report (0 to 1) [note:adjusted]", "p"),
               Column("n_tests", "Outcomes tested together (number)", "count")]
    return Sheet("Many_tests", "p-values adjusted for the number of outcomes",
                 "Adjusted within a family, sample, treatment, estimator and clustering.", columns, shown,
                 _decimals(rows, "std_error", "estimate"))


def _sources(sources: Mapping[str, Source], files: Mapping[str, Mapping[str, Mapping]]) -> Sheet:
    lines = []
    for name, source in sources.items():
        whole = {"source": source.title, "publisher": source.publisher, "page": source.landing_page}
        for file, entry in (files.get(name) or {"": {}}).items():
            lines.append({**whole, "file": file, "period": entry.get("period"), "bytes": entry.get("bytes"),
                          "licence": entry.get("licence") or source.licence, "how": entry.get("how"),
                          "address": entry.get("address"), "sha256": entry.get("sha256")})
    columns = [Column("source", "Source"), Column("publisher", "Publisher"), Column("file", "File", empty="[x]"),
               Column("period", "Period of the file", empty="[x]"), Column("licence", "Licence of the file"),
               Column("how", "How it was obtained", empty="[x]"), Column("bytes", "Size (bytes)", "count", "[x]"),
               Column("address", "Address of the file", empty="[x]"), Column("page", "Publisher's page"),
               Column("sha256", "Checksum [note:checksum]", empty="[x]")]
    return Sheet("Sources", "Files of the sources", "One row per file as used.", columns,
                 pd.DataFrame(lines, columns=[column.name for column in columns]))
