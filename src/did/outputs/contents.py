"""What the report stage writes, as a list of files known before anything is computed."""

from __future__ import annotations

from did.config import Evaluation, load_indicator

TABLES = ["estimates.csv", "diagnostics.csv", "lineage.csv"]
FIGURE_PARTS = ["svg", "png", "csv", "txt"]


def families(evaluation: Evaluation) -> dict[str, list[str]]:
    """Family -> its indicators, both in the order of the evaluation file."""
    found: dict[str, list[str]] = {}
    for name in evaluation.indicators:
        family = load_indicator(name, evaluation.indicators_folder).family
        found.setdefault(family, []).append(name)
    return found


def figures(evaluation: Evaluation) -> list[str]:
    """Names of the figures, without folder and ending: coefficients, trend graphs, event studies."""
    static = [name for name in evaluation.estimators if name != "event_study"]
    names = [f"coefficients_{family}_{estimator}" for family in families(evaluation) for estimator in static]
    names += [f"trends_{indicator}_{sample}" for indicator in evaluation.indicators
              for sample in evaluation.samples]
    if "event_study" in evaluation.estimators:
        names += [f"event_study_{indicator}" for indicator in evaluation.indicators]
    return names


def report_files(evaluation: Evaluation) -> list[str]:
    """Every file of the report stage, relative to the results folder; each figure is a picture twice (SVG and
    PNG), its numbers (CSV) and its alternative text (TXT)."""
    pictures = [f"figures/{name}.{part}" for name in figures(evaluation) for part in FIGURE_PARTS]
    return [*TABLES, *pictures, "summary.md", "manifest.json"]
