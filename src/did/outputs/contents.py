"""What the draw and report stages write, as lists of files known before anything is computed."""

from __future__ import annotations

from collections.abc import Collection

from did.config import Evaluation, load_indicator

TABLES = ["estimates.csv", "diagnostics.csv", "lineage.csv", "many_tests.csv"]
FIGURE_PARTS = ["svg", "png", "csv", "txt"]


def families(evaluation: Evaluation, without: Collection[str] = ()) -> dict[str, list[str]]:
    """Family -> its indicators that are available, both in the order of the evaluation file.

    ``without`` are the indicators that this run has no files for; a family with no other one is not listed.
    """
    found: dict[str, list[str]] = {family: [] for family in evaluation.families}
    for name in evaluation.indicators:
        if name not in without:
            found[load_indicator(name, evaluation.indicators_folder).family].append(name)
    return {family: names for family, names in found.items() if names}


def figures(evaluation: Evaluation, family: str, without: Collection[str] = ()) -> list[str]:
    """Names of a family's figures, without folder and ending: coefficients, trend graphs, event studies."""
    indicators = families(evaluation, without)[family]
    static = [name for name in evaluation.estimators if name != "event_study"]
    names = [f"coefficients_{family}_{estimator}" for estimator in static]
    names += [f"trends_{indicator}_{sample}" for indicator in indicators for sample in evaluation.samples]
    if "event_study" in evaluation.estimators:
        names += [f"event_study_{indicator}" for indicator in indicators]
    if staggered_reading(evaluation):
        names += [f"estimators_{indicator}" for indicator in indicators]
    return names


def staggered_reading(evaluation: Evaluation) -> str | None:
    """The first reading that treats each wave from its own date and concerns every indicator, if there is one."""
    return next((name for name, reading in evaluation.readings.items()
                 if reading.staggered and reading.families is None), None)


def draw_files(evaluation: Evaluation, without: Collection[str] = (), family: str | None = None) -> list[str]:
    """Every file of the draw stage, of one family or of all, relative to the results folder.

    Each figure is a picture twice (SVG and PNG), its numbers (CSV) and its alternative text (TXT).
    """
    drawn = [family] if family else list(families(evaluation, without))
    return [f"figures/{name}.{part}" for each in drawn for name in figures(evaluation, each, without)
            for part in FIGURE_PARTS]


def report_files(evaluation: Evaluation, without: Collection[str] = ()) -> list[str]:
    """Every file of the report stage, relative to the results folder: tables, a page for each family, the page
    in front of them, and the manifest."""
    pages = [family_page(family) for family in families(evaluation, without)]
    return [*TABLES, "summary.md", *pages, "manifest.json"]


def family_page(family: str) -> str:
    """Name of a family's page in the results folder."""
    return f"summary_{family}.md"
