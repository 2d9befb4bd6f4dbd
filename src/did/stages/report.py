"""Stage 7: tables, figures, the summary pages and the manifest of the run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib import metadata
from pathlib import Path

import pandas as pd

from did import registry, tables
from did.availability import reason
from did.config import Evaluation, Indicator, load_indicator
from did.estimators.base import PERIODS_PER_YEAR
from did.outputs import contents
from did.outputs.event_figures import event_study
from did.outputs.facts import ESTIMATORS, PERIODS, SAMPLES, Facts, Front, annotated
from did.outputs.figures import coefficient_panes, coefficient_single
from did.outputs.front import front_markdown
from did.outputs.summary import summary_markdown
from did.outputs.text import listed, period_name, write_csv
from did.outputs.trend_figures import parallel_trends
from did.panel import observations_needed
from did.paths import Paths
from did.provenance import sha256, write_json, write_text

PACKAGES = ["pandas", "numpy", "scipy", "statsmodels", "matplotlib", "snakemake", "pyarrow", "python-calamine"]
WEIGHTED = "The rate of an area that merged is the mean of its parts', weighted by population."


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write everything that ``contents.report_files`` lists and return one line about it.

    ``without`` are the indicators that this run has no files for: they have no tables and figures, and the pages say
    why. Files that an earlier run made for them are deleted. The same tables feed every output.
    Raises DidError for a table that is missing or breaks its contract.
    """
    by_family = contents.families(evaluation, without)
    indicators = {name: load_indicator(name, evaluation.indicators_folder)
                  for names in by_family.values() for name in names}
    frames = {table: pd.concat([tables.read(table, getattr(paths, table)(name)) for name in indicators],
                               ignore_index=True)
              for table in ("estimates", "diagnostics", "lineage", "trends")}
    frames["estimates"] = annotated(
        frames["estimates"], minimum={name: each.minimum_treated for name, each in indicators.items()},
        weighted=[name for name, each in indicators.items() if each.rate is not None])
    reproduction = pd.read_csv(paths.results / "reproduction.csv", keep_default_na=True,
                               dtype={"published_sign": str, "published_significance": str, "note": str})
    written = contents.report_files(evaluation, without)
    if without:
        _remove_stale(set(contents.report_files(evaluation)) - set(written), paths)
    sources = _sources(indicators.values(), evaluation)
    aggregation = {name: each.aggregation for name, each in indicators.items()}
    for table in ("estimates", "diagnostics", "lineage"):
        frame = frames[table]
        write_csv(paths.results / f"{table}.csv", frame.assign(aggregation=frame["indicator"].map(aggregation)))
    for names in by_family.values():
        members = [indicators[name] for name in names]
        _coefficients(members, evaluation, frames["estimates"], reproduction, _source_line(members, sources), paths)
    for indicator in indicators.values():
        source = _source_line([indicator], sources)
        _trends(indicator, evaluation, frames, source, paths)
        if "event_study" in evaluation.estimators:
            _event_study(indicator, evaluation, frames["estimates"], source, paths)
    missing = _unavailable(evaluation, without, paths)
    pages = [_facts(family, [indicators[name] for name in names], evaluation, sources, missing)
             for family, names in by_family.items()]
    for facts in pages:
        text = summary_markdown(facts=facts, reproduction=reproduction, estimates=frames["estimates"],
                                diagnostics=frames["diagnostics"], lineage=frames["lineage"])
        write_text(paths.results / facts.page, text)
    write_text(paths.results / "summary.md", front_markdown(
        front=_front(evaluation, pages, missing), reproduction=reproduction, estimates=frames["estimates"]))
    _manifest(evaluation, sources, written, paths)
    return f"{len(written)} files in {paths.results}/; read {paths.results / 'summary.md'} first"


def _remove_stale(names: Iterable[str], paths: Paths) -> None:
    """Delete files of indicators that are not available now: they are of another run, perhaps of made-up data."""
    for name in names:
        (paths.results / name).unlink(missing_ok=True)


def measure(indicator: Indicator, evaluation: Evaluation) -> str:
    """Unit of an indicator's outcome under the reported reading."""
    denominator = indicator.denominator_name(evaluation.readings[evaluation.default_reading]) or ""
    return indicator.unit_of_measure.format(denominator=denominator.replace("_", " "))


def effect_unit(indicator: Indicator, evaluation: Evaluation) -> str:
    """Unit of an effect on an indicator: that of the outcome, or percentage points for a percentage."""
    unit = measure(indicator, evaluation)
    return "percentage points" if unit.startswith("%") else unit


def _span(indicator: Indicator, evaluation: Evaluation) -> tuple[str, str]:
    window = indicator.windows[evaluation.readings[evaluation.default_reading].window]
    return window.first, window.last


def _onset(indicator: Indicator, evaluation: Evaluation) -> str:
    return str(indicator.onset(evaluation.waves.onset))


def _sources(indicators: Iterable[Indicator], evaluation: Evaluation) -> dict[str, registry.Source]:
    """The registry's entries of every source that an indicator needs."""
    names = dict.fromkeys(source for each in indicators for source in observations_needed(each))
    return {name: registry.load_named(name, evaluation.sources_folder) for name in names}


def _used(indicators: Iterable[Indicator], sources: dict[str, registry.Source]) -> list[registry.Source]:
    return [sources[name] for name in dict.fromkeys(name for each in indicators for name in observations_needed(each))]


def _source_line(indicators: Iterable[Indicator], sources: dict[str, registry.Source]) -> str:
    publishers = dict.fromkeys(source.publisher for source in _used(indicators, sources))
    return f"{', '.join(publishers)}; own calculation"


def _subtitle(unit: str, indicator: Indicator, evaluation: Evaluation) -> str:
    first, last = _span(indicator, evaluation)
    text = f"{unit[:1].upper()}{unit[1:]}, {evaluation.place}, {period_name(first)} to {period_name(last)}."
    return text if indicator.rate is None else f"{text} {WEIGHTED}"


def _coefficients(members: list[Indicator], evaluation: Evaluation, estimates: pd.DataFrame,
                  reproduction: pd.DataFrame, source: str, paths: Paths) -> None:
    """Draw a family's coefficients by every estimator but the event study, in the layout its entry names."""
    family = evaluation.families[members[0].family]
    units = dict.fromkeys(effect_unit(each, evaluation) for each in members)
    unit = next(iter(units)) if len(units) == 1 else "unit of each outcome"
    for estimator in evaluation.estimators:
        if estimator == "event_study":
            continue
        printed = reproduction.loc[reproduction["estimator"] == estimator]
        name = ESTIMATORS.get(estimator, (estimator,))[0]
        common = dict(
            outcomes={each.id: each.label for each in members}, estimator=estimator,
            reading=evaluation.default_reading,
            stem=paths.results / "figures" / f"coefficients_{members[0].family}_{estimator}",
            title=f"{family.title}: effects by {name}", subtitle=_subtitle(unit, members[0], evaluation),
            source=source,
            axis_labels={"binary": unit, "intensity": f"{unit}, per {evaluation.dose}"},
            published=printed if len(printed) else None, units=evaluation.units)
        overall = estimates.loc[estimates["estimand"] == "overall"]
        if family.layout == "single":
            coefficient_single(overall, **common, axis_label=f"{unit}; intensity: per {evaluation.dose}")
        else:
            coefficient_panes(overall, **common)


def _trends(indicator: Indicator, evaluation: Evaluation, frames: dict[str, pd.DataFrame], source: str,
            paths: Paths) -> None:
    name, tests, trends = indicator.id, frames["diagnostics"], frames["trends"]
    unit = measure(indicator, evaluation)
    for sample in evaluation.samples:
        rows = trends.loc[(trends["indicator"] == name) & (trends["sample"] == sample)]
        linear = tests.loc[(tests["indicator"] == name) & (tests["sample"] == sample)
                           & (tests["diagnostic"] == "linear_pretrend") & tests["item"].str.startswith("binary")]
        parallel_trends(
            rows, onset=_onset(indicator, evaluation), stem=paths.results / "figures" / f"trends_{name}_{sample}",
            title=f"{indicator.title}, {SAMPLES[sample]}", subtitle=_subtitle(unit, indicator, evaluation),
            source=source, value_label=unit, tests=linear, units=evaluation.units,
            is_synthetic=bool(rows["is_synthetic"].any()))


def _event_study(indicator: Indicator, evaluation: Evaluation, estimates: pd.DataFrame, source: str,
                 paths: Paths) -> None:
    event_study(
        estimates.loc[estimates["estimand"] == "event_time"], indicator=indicator.id,
        reading=evaluation.default_reading, sample=evaluation.samples[0], treatment=evaluation.treatments[0],
        stem=paths.results / "figures" / f"event_study_{indicator.id}",
        title=f"{indicator.title}: by time since onset",
        subtitle=_subtitle(measure(indicator, evaluation), indicator, evaluation),
        source=source, value_label=effect_unit(indicator, evaluation),
        time_label=f"{PERIODS[indicator.frequency].capitalize()}s since onset",
        tick_every=PERIODS_PER_YEAR[indicator.frequency], units=evaluation.units)


def _facts(family: str, members: list[Indicator], evaluation: Evaluation, sources: dict[str, registry.Source],
           missing: list[tuple[str, str, str]]) -> Facts:
    """What a family's page says that is in no table. If the headline is not available the first member stands in.

    ``missing`` as from ``_unavailable``.
    """
    shown, by_name = evaluation.families[family], {each.id: each for each in members}
    headline = by_name.get(shown.headline, members[0])
    first, last = _span(headline, evaluation)
    static = [name for name in evaluation.estimators if name != "event_study"]
    others = [name for name in static if name != headline.published_estimator]
    picture = f"coefficients_{family}_{headline.published_estimator}"
    publication = evaluation.publication
    return Facts(
        title=shown.title, question=evaluation.question, page=contents.family_page(family),
        outcomes={name: each.label for name, each in by_name.items()}, total=headline.id,
        parts=shown.parts if set(shown.parts) <= set(by_name) else (),
        sum_to_zero=shown.sum_to_zero if set(shown.sum_to_zero) <= set(by_name) else (),
        measure=_measures(members, evaluation), effect=effect_unit(headline, evaluation), first=first, last=last,
        onset=_onset(headline, evaluation), frequency=headline.frequency, n_published=publication.coefficients,
        n_published_numbers=publication.printed_numbers, published_conclusion=publication.conclusion,
        dose=evaluation.dose, place=evaluation.place, units=evaluation.units,
        directions={name: each.direction for name, each in by_name.items()}, reading=evaluation.default_reading,
        estimator=headline.published_estimator, other_estimator=others[0] if others else headline.published_estimator,
        sources=[f"{each.title}: {each.publisher}, {each.licence}, {each.landing_page}"
                 for each in _used(members, sources)],
        figures=[(f"figures/{picture}.png", f"{shown.title}: coefficients, in the layout of Figure {shown.figure}; the "
                  f"numbers are in the tables below and in figures/{picture}.csv")],
        context=[fact.text for fact in publication.context if family in (fact.families or [])],
        caveats=_caveats(members),
        unavailable=[(labels, why) for name, labels, why in missing if name == shown.title])


def _caveats(members: list[Indicator]) -> list[str]:
    """The indicators' caveats, each once; one that does not concern all begins with those it does."""
    found: dict[str, list[str]] = {}
    for each in members:
        for caveat in each.caveats:
            found.setdefault(caveat, []).append(each.label)
    return [caveat if len(labels) == len(members) else f"{listed(labels)}: {caveat}"
            for caveat, labels in found.items()]


def _measures(members: list[Indicator], evaluation: Evaluation) -> str:
    """Unit of a family's outcomes; where they differ, each with the outcomes it is of."""
    units: dict[str, list[str]] = {}
    for each in members:
        units.setdefault(measure(each, evaluation), []).append(each.label)
    if len(units) == 1:
        return next(iter(units))
    return "; ".join(f"{unit} ({listed(labels)})" for unit, labels in units.items())


def _unavailable(evaluation: Evaluation, without: Collection[str], paths: Paths) -> list[tuple[str, str, str]]:
    """Title of the family, its outcomes that are not available, and why, one row per reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in evaluation.indicators:
        if name in without:
            indicator = load_indicator(name, evaluation.indicators_folder)
            why = f"{reason(evaluation, name, paths).rstrip('.')}."
            key = evaluation.families[indicator.family].title, why
            found.setdefault(key, []).append(indicator.label)
    return [(title, listed(labels), why) for (title, why), labels in found.items()]


def _front(evaluation: Evaluation, pages: list[Facts], missing: list[tuple[str, str, str]]) -> Front:
    publication = evaluation.publication
    return Front(
        title=evaluation.title, question=evaluation.question, place=evaluation.place, onset=evaluation.waves.onset,
        families=pages, n_published=publication.coefficients, n_published_numbers=publication.printed_numbers,
        published_conclusion=publication.conclusion, citation=publication.citation,
        reading=evaluation.default_reading, context=[fact.text for fact in publication.context if not fact.families],
        unavailable=missing)


def _manifest(evaluation: Evaluation, sources: Iterable[str], written: list[str], paths: Paths) -> None:
    """Checksums of everything that went in and came out, and the versions that computed it. No times: the same
    inputs and settings give the same bytes."""
    raw = sorted(path for source in sources for path in paths.raw(source).glob("*")
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
