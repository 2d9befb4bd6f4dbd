"""What the stages from draw on write to the results folder, as lists of files known before anything is computed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from did.estimators import entry
from did.project.config import Evaluation
from did.project.loading import load_indicator

REPORT = "report.html"
FRONT = "summary.md"
WORKBOOK = "workbook.xlsx"
WORKBENCH = "workbench.html"
MANIFEST = "manifest.json"
TABLES = ["headline", "calibration", "estimates", "diagnostics", "area_audit", "weights", "adjusted_p_values"]
EVIDENCE_TABLES = ["verdicts", "evidence", "evidence_items"]
REPRODUCTION_TABLES = ["reproduction", "specifications", "ranking", "choices"]
DICTIONARY, NUMBERS, PAPER = "data_dictionary", "figures", "paper"
PAPER_PARTS = ["tex", "docx", "md"]
# Beginning of the name of the figure of effects by event time.
EVENT_STUDY = "event_study"
ANSWER = "answer"
# What a reader opens each file of the results folder for.
PURPOSES = {
    REPORT: "the answer, the evidence in ten pages, and every number in its annex; opens offline and prints",
    FRONT: "the answer as text, and this list",
    WORKBENCH: "every estimate of the run, to be picked by what was chosen, with its place among all the others",
    WORKBOOK: "every table as a sheet, with notes: for a spreadsheet",
    "tables/headline.csv": "headline estimates with intervals of measured coverage",
    "tables/estimates.csv": "every estimate by every estimator, specification, treatment, sample and clustering",
    "tables/diagnostics.csv": "every check of the estimates, those that were skipped with the reason",
    "tables/calibration.csv": "how often each method of inference is right on each outcome's own data",
    "tables/adjusted_p_values.csv": "p-values adjusted for the number of outcomes",
    "tables/area_audit.csv": "what became of each area in the publishers' files",
    "tables/weights.csv": "whom synthetic difference-in-differences compares the treated with",
    "tables/verdicts.csv": "a verdict on each published number and each headline",
    "tables/evidence.csv": "the questions behind each verdict, with their answers",
    "tables/evidence_items.csv": "the estimates behind each answer",
    "tables/reproduction.csv": "published findings alongside ours",
    "tables/specifications.csv": "estimates under every specification",
    "tables/ranking.csv": "specifications by how many printed facts they give",
    "tables/choices.csv": "how far each choice moves an estimate",
    "tables/figures.csv": "the numbers behind every figure",
    "tables/data_dictionary.csv": "what every column of these tables holds",
    "tables/paper.tex, .docx, .md": "the main tables for a paper: LaTeX, Word and Markdown",
    "figures/*.svg": "every figure, for slides and papers",
    MANIFEST: "checksums of everything that went in and came out; did verify computes them again",
}


def table_file(name: str) -> str:
    """Name of a table's CSV file, relative to the results folder."""
    return f"tables/{name}.csv"


def families(evaluation: Evaluation, without: Collection[str] = ()) -> dict[str, list[str]]:
    """Family -> its indicators that are available, both in the order of the evaluation file.

    ``without`` are the indicators that this run has no files for; a family with no other one is not listed.
    """
    found: dict[str, list[str]] = {family: [] for family in evaluation.families}
    for name in evaluation.indicators:
        if name not in without:
            found[load_indicator(name, evaluation.indicators_folder).family].append(name)
    return {family: names for family, names in found.items() if names}


def figures(evaluation: Evaluation, indicator: str, headlines: Collection[str]) -> list[str]:
    """Names of an indicator's figures, without folder and ending, in the order of its section in the report: the
    evidence, means over time, effects by time since onset where an estimator has them and, if it is one of the
    ``headlines``, the specification curve."""
    over_time = staggered_specification(evaluation) or any(entry(name).over_time for name in evaluation.estimators)
    names = ["evidence", "trends", *([EVENT_STUDY] if over_time else []),
             *(["specification"] if indicator in headlines else [])]
    return [f"{name}_{indicator}" for name in names]


def family_figures(evaluation: Evaluation, family: str) -> dict[str, str]:
    """Estimator -> name of a family's figure, without folder and ending: its coefficients by each estimator that one of
    its outcomes was published by."""
    members = [load_indicator(name, evaluation.indicators_folder) for name in families(evaluation)[family]]
    published = dict.fromkeys(each.published_estimator for each in members)
    return {name: f"coefficients_{family}_{name}" for name in evaluation.estimators
            if name in published and entry(name).overall}


def headlines(evaluation: Evaluation, without: Collection[str] = ()) -> dict[str, str]:
    """Family -> the outcome it is answered for: the one its entry names or, if that is not available, the first."""
    return {family: named if (named := evaluation.families[family].headline) in available else available[0]
            for family, available in families(evaluation, without).items()}


def staggered_specification(evaluation: Evaluation) -> str | None:
    """The first specification that treats each wave from its own date and concerns every indicator, if there is one."""
    return next((name for name, specification in evaluation.specifications.items()
                 if specification.staggered and specification.families is None), None)


def draw_files(evaluation: Evaluation, indicator: str, headlines: Collection[str]) -> list[str]:
    """Every figure of an indicator, relative to the results folder; ``headlines`` as for ``figures``."""
    return pictures(figures(evaluation, indicator, headlines))


def family_files(evaluation: Evaluation, family: str, without: Collection[str] = ()) -> list[str]:
    """Every figure of a family, relative to the results folder."""
    return pictures(family_figures(evaluation, family).values())


def pictures(names: Collection[str]) -> list[str]:
    """Files of figures by these names, relative to the results folder."""
    return [f"figures/{name}.svg" for name in names]


def reproduce_files() -> list[str]:
    """Every file of the reproduce stage, relative to the results folder."""
    return [table_file(name) for name in (*EVIDENCE_TABLES, *REPRODUCTION_TABLES)]


def tabulate_files() -> list[str]:
    """Every file of the tabulate stage, relative to the results folder: tables, their dictionary, those of papers."""
    return [*map(table_file, [*TABLES, DICTIONARY]), *(f"tables/{PAPER}.{part}" for part in PAPER_PARTS)]


def report_files() -> list[str]:
    """Every file of the report stage, relative to the results folder: the report, the answer as text, the figure of
    the first screen and the numbers of all figures."""
    return [REPORT, FRONT, *pictures([ANSWER]), table_file(NUMBERS)]


def every_figure(evaluation: Evaluation, without: Collection[str] = ()) -> list[str]:
    """Names of all figures of a run but that of the first screen, family by family."""
    shown = headlines(evaluation, without).values()
    return [name for family, members in families(evaluation, without).items()
            for name in [*family_figures(evaluation, family).values(),
                         *(name for each in members for name in figures(evaluation, each, shown))]]


def every_file(evaluation: Evaluation, without: Collection[str] = ()) -> list[str]:
    """Every file that a run leaves in the results folder, but for the manifest that lists them."""
    return [*report_files(), *reproduce_files(), *tabulate_files(), WORKBOOK, WORKBENCH,
            *pictures(every_figure(evaluation, without))]


def settings_files(evaluation: Evaluation) -> list[Path]:
    """Every settings file that the manifest has a checksum of: claims, registry, indicators and reference tables."""
    folders = ((evaluation.sources_folder, "*.yaml"), (evaluation.indicators_folder, "*.yaml"),
               (evaluation.reference, "*.csv"))
    return [*([Path(evaluation.published)] if evaluation.published else []),
            *sorted(path for folder, names in folders for path in Path(folder).glob(names))]
