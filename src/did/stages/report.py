"""Stage 7: tables, figures, the summary page and the manifest of the run."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pandas as pd

from did import registry, tables
from did.config import Evaluation, Indicator, load_indicator
from did.estimators.base import PERIODS_PER_YEAR
from did.outputs import contents
from did.outputs.event_figures import event_study
from did.outputs.facts import ESTIMATORS, SAMPLES, Facts
from did.outputs.figures import coefficient_panes
from did.outputs.summary import summary_markdown
from did.outputs.text import period_name, write_csv
from did.outputs.trend_figures import parallel_trends
from did.panel import observations_needed
from did.paths import Paths
from did.provenance import sha256, write_json, write_text

PACKAGES = ["pandas", "numpy", "scipy", "statsmodels", "matplotlib", "snakemake", "pyarrow", "python-calamine"]


def run(*, evaluation: Evaluation, paths: Paths) -> str:
    """Write everything that ``contents.report_files`` lists and return one line about it.

    The same tables feed every output. Raises DidError for a table that is missing or breaks its contract.
    """
    indicators = {name: load_indicator(name, evaluation.indicators_folder) for name in evaluation.indicators}
    frames = {table: pd.concat([tables.read(table, getattr(paths, table)(name)) for name in indicators],
                               ignore_index=True)
              for table in ("estimates", "diagnostics", "lineage", "trends")}
    reproduction = pd.read_csv(paths.results / "reproduction.csv", keep_default_na=True,
                               dtype={"published_sign": str, "published_significance": str})
    for table in ("estimates", "diagnostics", "lineage"):
        write_csv(paths.results / f"{table}.csv", frames[table])
    source = _source_line(evaluation, indicators)
    for family in contents.families(evaluation):
        _coefficients(family, evaluation, indicators, frames["estimates"], reproduction, source, paths)
    for name, indicator in indicators.items():
        _trends(name, evaluation, indicator, frames, source, paths)
        if "event_study" in evaluation.estimators:
            _event_study(name, evaluation, indicator, frames["estimates"], source, paths)
    text = summary_markdown(facts=_facts(evaluation, indicators, frames, paths), reproduction=reproduction,
                            estimates=frames["estimates"], diagnostics=frames["diagnostics"],
                            lineage=frames["lineage"])
    write_text(paths.results / "summary.md", text)
    written = contents.report_files(evaluation)
    _manifest(evaluation, written, paths)
    return f"{len(written)} files in {paths.results}/; read {paths.results / 'summary.md'} first"


def measure(indicator: Indicator, evaluation: Evaluation) -> str:
    """Unit of an indicator's outcome under the reported reading."""
    denominator = evaluation.readings[evaluation.default_reading].denominator
    return indicator.unit_of_measure.format(denominator=denominator.replace("_", " "))


def _span(indicator: Indicator, evaluation: Evaluation) -> tuple[str, str]:
    window = indicator.windows[evaluation.readings[evaluation.default_reading].window]
    return window.first, window.last


def _source_line(evaluation: Evaluation, indicators: dict[str, Indicator]) -> str:
    names = dict.fromkeys(source for each in indicators.values() for source in observations_needed(each))
    publishers = dict.fromkeys(registry.load_named(name, evaluation.sources_folder).publisher for name in names)
    return f"{', '.join(publishers)}; own calculation"


def _subtitle(indicator: Indicator, evaluation: Evaluation) -> str:
    first, last = _span(indicator, evaluation)
    unit = measure(indicator, evaluation)
    return f"{unit[:1].upper()}{unit[1:]}, {evaluation.place}, {period_name(first)} to {period_name(last)}."


def _coefficients(family: str, evaluation: Evaluation, indicators: dict[str, Indicator], estimates: pd.DataFrame,
                  reproduction: pd.DataFrame, source: str, paths: Paths) -> None:
    members = [name for name, each in indicators.items() if each.family == family]
    first = indicators[members[0]]
    unit = measure(first, evaluation)
    shown = evaluation.families[family]
    for estimator in evaluation.estimators:
        if estimator == "event_study":
            continue
        printed = reproduction.loc[reproduction["estimator"] == estimator]
        name = ESTIMATORS.get(estimator, (estimator,))[0]
        coefficient_panes(
            estimates.loc[estimates["estimand"] == "overall"],
            outcomes={member: indicators[member].label for member in members},
            estimator=estimator, reading=evaluation.default_reading,
            stem=paths.results / "figures" / f"coefficients_{family}_{estimator}",
            title=f"{shown.title}: effects by {name}", subtitle=_subtitle(first, evaluation), source=source,
            axis_labels={"binary": unit, "intensity": f"{unit}, per {evaluation.dose}"},
            published=printed if len(printed) else None, units=evaluation.units)


def _trends(name: str, evaluation: Evaluation, indicator: Indicator, frames: dict[str, pd.DataFrame], source: str,
            paths: Paths) -> None:
    tests = frames["diagnostics"]
    for sample in evaluation.samples:
        trends = frames["trends"]
        rows = trends.loc[(trends["indicator"] == name) & (trends["sample"] == sample)]
        linear = tests.loc[(tests["indicator"] == name) & (tests["sample"] == sample)
                           & (tests["diagnostic"] == "linear_pretrend") & tests["item"].str.startswith("binary")]
        parallel_trends(
            rows, onset=evaluation.waves.onset, stem=paths.results / "figures" / f"trends_{name}_{sample}",
            title=f"{indicator.title}, {SAMPLES[sample]}", subtitle=_subtitle(indicator, evaluation), source=source,
            value_label=measure(indicator, evaluation), tests=linear, units=evaluation.units,
            is_synthetic=bool(rows["is_synthetic"].any()))


def _event_study(name: str, evaluation: Evaluation, indicator: Indicator, estimates: pd.DataFrame, source: str,
                 paths: Paths) -> None:
    event_study(
        estimates.loc[estimates["estimand"] == "event_time"], indicator=name, reading=evaluation.default_reading,
        sample=evaluation.samples[0], treatment=evaluation.treatments[0],
        stem=paths.results / "figures" / f"event_study_{name}",
        title=f"{indicator.title}: by time since onset",
        subtitle=_subtitle(indicator, evaluation), source=source,
        value_label=measure(indicator, evaluation), tick_every=PERIODS_PER_YEAR[indicator.frequency],
        units=evaluation.units)


def _facts(evaluation: Evaluation, indicators: dict[str, Indicator], frames: dict[str, pd.DataFrame],
           paths: Paths) -> Facts:
    family = next(iter(evaluation.families.values()))
    headline = indicators[family.headline]
    first, last = _span(headline, evaluation)
    names = dict.fromkeys(source for each in indicators.values() for source in observations_needed(each))
    sources = [registry.load_named(name, evaluation.sources_folder) for name in names]
    shown = f"coefficients_{headline.family}_{headline.published_estimator}"
    return Facts(
        title=evaluation.title, question=evaluation.question,
        outcomes={name: each.label for name, each in indicators.items()}, total=family.headline,
        parts=family.parts, measure=measure(headline, evaluation), first=first, last=last,
        onset=evaluation.waves.onset, n_published=evaluation.publication.coefficients,
        n_published_numbers=evaluation.publication.printed_numbers,
        published_conclusion=evaluation.publication.conclusion, dose=evaluation.dose, place=evaluation.place,
        units=evaluation.units, direction=headline.direction, reading=evaluation.default_reading,
        estimator=headline.published_estimator,
        sources=[f"{each.title}: {each.publisher}, {each.licence}, {each.landing_page}" for each in sources],
        figures=[(f"figures/{shown}.png", f"{family.title}: coefficients in four panes; the numbers are in the tables "
                  f"below and in figures/{shown}.csv")],
        context=evaluation.publication.context)


def _manifest(evaluation: Evaluation, written: list[str], paths: Paths) -> None:
    """Checksums of everything that went in and came out, and the versions that computed it. No times: the same
    inputs and settings give the same bytes."""
    raw = sorted(path for source in (paths.data / "raw").iterdir() for path in source.glob("*")
                 if path.is_file() and path.name != "manifest.json")
    settings = [Path(evaluation.published), *Path(evaluation.sources_folder).glob("*.yaml"),
                *Path(evaluation.indicators_folder).glob("*.yaml"), *Path(evaluation.reference).glob("*.csv")]
    results = [paths.results / name for name in ["reproduction.csv", *written] if name != "manifest.json"]
    write_json(paths.results / "manifest.json", {
        "evaluation": evaluation.id,
        "settings": evaluation.model_dump(mode="json"),
        "versions": {"ics-did": metadata.version("ics-did"), **{name: metadata.version(name) for name in PACKAGES}},
        "inputs": {str(path): sha256(path) for path in [*raw, *sorted(settings)]},
        "results": {str(path): sha256(path) for path in sorted(results)},
    })
