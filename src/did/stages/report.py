"""Stage 8: tables, the report, the summary pages and the manifest of the run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib import metadata
from pathlib import Path

import pandas as pd

from did import registry, tables, waves
from did.availability import reason
from did.config import Evaluation, Indicator, load_indicator
from did.inference.multiplicity import family_tests
from did.outputs import contents, dictionary, paper_tables, workbook, workbook_sheets
from did.outputs.describe import effect_unit, measure, onset, sources_of, span, used
from did.outputs.facts import Facts, Front, LargestDose, levels, samples_of, treatments_of
from did.outputs.front import front_markdown
from did.outputs.html_report import Report, report_html
from did.outputs.robustness import robustness_markdown
from did.outputs.summary import summary_markdown
from did.outputs.text import listed, read_csv, write_csv
from did.paths import Paths
from did.provenance import sha256, write_json, write_text
from did.stages.draw import annotate

PACKAGES = ["pandas", "numpy", "scipy", "statsmodels", "matplotlib", "snakemake", "pyarrow", "python-calamine",
            "xlsxwriter"]
OWN_DATES = ("Every unit is treated from a date of its own. Where a page says from when, it is the earliest; each unit "
             "counts as treated from its own on.")


def run(*, evaluation: Evaluation, paths: Paths, without: Collection[str] = ()) -> str:
    """Write everything that ``contents.report_files`` lists and return one line about it; the figures are there.

    ``without`` are the indicators that this run has no files for: they have no tables and figures, and the pages say
    why. Files that an earlier run made for them are deleted. The same tables feed every output.
    Raises DidError for a table that is missing or breaks its contract.
    """
    by_family = contents.families(evaluation, without)
    indicators = {name: load_indicator(name, evaluation.indicators_folder)
                  for names in by_family.values() for name in names}
    frames = {table: pd.concat([tables.read(table, getattr(paths, table)(name)) for name in indicators],
                               ignore_index=True)
              for table in ("estimates", "influence", "diagnostics", "lineage", "readings")}
    frames["estimates"] = annotate(frames["estimates"], indicators.values())
    reproduction = read_csv(paths.results / "reproduction.csv", keep_default_na=True,
                            dtype={"published_sign": str, "published_significance": str, "note": str})
    written = contents.report_files(evaluation, without)
    drawn = contents.draw_files(evaluation, without)
    if without:
        every = {*contents.report_files(evaluation), *contents.draw_files(evaluation)}
        _remove_stale(every - {*written, *drawn}, paths)
    tests = family_tests(frames["estimates"].loc[frames["estimates"]["reading"] == evaluation.default_reading],
                         frames["influence"], by_family, draws=evaluation.draws, seed=evaluation.seed)
    write_csv(paths.results / "many_tests.csv", tests)
    frames["estimates"] = _adjusted(frames["estimates"], tests, evaluation)
    sources = sources_of(indicators.values(), evaluation)
    aggregation = {name: each.aggregation for name, each in indicators.items()}
    for table in ("estimates", "diagnostics", "lineage"):
        frame = frames[table]
        write_csv(paths.results / f"{table}.csv", frame.assign(aggregation=frame["indicator"].map(aggregation)))
    missing = _unavailable(evaluation, without, paths)
    pages = [_facts(family, [indicators[name] for name in names], evaluation, sources, missing, paths)
             for family, names in by_family.items()]
    used_tables = {table: frames[table] for table in ("estimates", "diagnostics", "readings")}
    for family, facts in zip(by_family, pages, strict=True):
        text = summary_markdown(facts=facts, reproduction=reproduction, lineage=frames["lineage"], **used_tables)
        write_text(paths.results / facts.page, text)
        text = robustness_markdown(facts=facts, reproduction=reproduction, **used_tables)
        write_text(paths.results / contents.robustness_page(family), text)
    front = _front(evaluation, pages, missing)
    write_text(paths.results / "summary.md",
               front_markdown(front=front, reproduction=reproduction, estimates=frames["estimates"]))
    write_text(paths.results / contents.REPORT, report_html(Report(
        evaluation=evaluation, indicators=indicators, families=dict(zip(by_family, pages, strict=True)), front=front,
        sources=sources, tables={**used_tables, "lineage": frames["lineage"], "reproduction": reproduction},
        versions=_versions(), paths=paths, without=list(without))))
    _tables(frames | {"many_tests": tests, "reproduction": reproduction}, dict(zip(by_family, pages, strict=True)),
            front, {name: effect_unit(each, evaluation) for name, each in indicators.items()}, sources, paths)
    _manifest(evaluation, sources, [*contents.reproduce_files(evaluation, without), *written, *drawn], paths)
    return f"{len(written) + len(drawn)} files in {paths.results}/; read {paths.results / contents.REPORT} first"


def _tables(frames: dict[str, pd.DataFrame], pages: dict[str, Facts], front: Front, units: dict[str, str],
            sources: dict[str, registry.Source], paths: Paths) -> None:
    """Write the tables for papers, the workbook and the data dictionary; ``units`` of the indicators' effects."""
    made = [paper_tables.family_table(contents.effects_paper(family), frames["estimates"], facts, units)
            for family, facts in pages.items()]
    made.append(paper_tables.reproduction_table(contents.REPRODUCTION_PAPER, frames["reproduction"], front))
    for table in made:
        paper_tables.write(table, paths.results / "tables")
    synthetic = bool(frames["estimates"]["is_synthetic"].any())
    files = {name: workbook_sheets.files_of(paths.raw(name)) for name in sources}
    shown = {name: frames[name] for name in ("estimates", "reproduction", "diagnostics", "lineage", "many_tests")}
    facts = list(pages.values())
    workbook.write(
        paths.results / contents.WORKBOOK,
        workbook_sheets.cover(front=front, pages=facts, sources=sources, version=metadata.version("ics-did"),
                              is_synthetic=synthetic),
        workbook_sheets.sheets(pages=facts, front=front, units=units, sources=sources, files=files, **shown))
    dictionary.write(paths.results / contents.DICTIONARY, is_synthetic=synthetic)


def _adjusted(estimates: pd.DataFrame, tests: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """The estimates with p_adjusted of the reported overall effects: Romano and Wolf's over the family."""
    keys = ["indicator", "sample", "treatment", "estimator", "cluster"]
    adjusted = estimates[keys].merge(tests[[*keys, "p_romano_wolf"]], on=keys, how="left", validate="many_to_one")
    reported = (estimates["reading"] == evaluation.default_reading) & (estimates["estimand"] == "overall")
    values = pd.Series(adjusted["p_romano_wolf"].to_numpy(), index=estimates.index)
    return estimates.assign(p_adjusted=values.where(reported, estimates["p_adjusted"]))


def _counted(evaluation: Evaluation) -> str:
    """When the dose was counted, as a sentence; "" if that is not said."""
    when = evaluation.dose_counted
    return f"The dose was counted {when}, after the effects it is to explain." if when else ""


def _remove_stale(names: Iterable[str], paths: Paths) -> None:
    """Delete files of indicators that are not available now: they are of another run, perhaps of made-up data."""
    for name in names:
        (paths.results / name).unlink(missing_ok=True)


def _facts(family: str, members: list[Indicator], evaluation: Evaluation, sources: dict[str, registry.Source],
           missing: list[tuple[str, str, str]], paths: Paths) -> Facts:
    """What a family's page says that is in no table. If the headline is not available the first member stands in.

    ``missing`` as from ``_unavailable``.
    """
    shown, by_name = evaluation.families[family], {each.id: each for each in members}
    headline = by_name.get(shown.headline, members[0])
    first, last = span(headline, evaluation)
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
        onset=onset(headline, evaluation), frequency=headline.frequency, n_published=publication.coefficients,
        n_published_numbers=publication.printed_numbers, published_conclusion=publication.conclusion,
        dose=evaluation.dose, dose_counted=_counted(evaluation),
        largest_dose=_largest_dose(headline, evaluation, paths), place=evaluation.place, units=evaluation.units,
        directions={name: each.direction for name, each in by_name.items()}, reading=evaluation.default_reading,
        staggered=contents.staggered_reading(evaluation) or "",
        estimator=headline.published_estimator, other_estimator=others[0] if others else headline.published_estimator,
        sources=[f"{each.title}: {each.publisher}, {each.licence}, {each.landing_page}"
                 for each in used(members, sources)],
        figures=[(f"figures/{picture}.png", f"{shown.title}: coefficients"
                  + (f", in the layout of Figure {shown.figure}" if shown.figure else "")
                  + f"; the numbers are in the tables below and in figures/{picture}.csv")],
        context=[*([OWN_DATES] if evaluation.waves.table else []),
                 *(fact.text for fact in publication.context if family in (fact.families or []))],
        caveats=_caveats(members), samples=samples_of(evaluation), treatments=treatments_of(evaluation),
        clusters=levels(evaluation),
        unavailable=[(labels, why) for name, labels, why in missing if name == shown.title])


def _largest_dose(indicator: Indicator, evaluation: Evaluation, paths: Paths) -> LargestDose | None:
    """The systems with the largest dose of an indicator's treated units under the reported reading."""
    panel = tables.read("panel", paths.panel(indicator.id))
    treated = panel.loc[(panel["reading"] == evaluation.default_reading) & panel["cohort"].notna()
                        & (panel["intensity"] > 0)].drop_duplicates("unit")
    if treated.empty:
        return None
    most = treated.loc[treated["intensity"] == treated["intensity"].max()]
    names = waves.systems(evaluation, indicator.geography)
    names = names.drop_duplicates("system").set_index("system")["system_name"]
    return LargestDose(systems=[names.get(system, system) for system in sorted(set(most["system"]))],
                       dose=float(most["intensity"].iloc[0]), n_units=len(most), n_treated=len(treated))


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
        reading=evaluation.default_reading,
        context=[*([OWN_DATES] if evaluation.waves.table else []),
                 *(fact.text for fact in publication.context if not fact.families)],
        unavailable=missing, samples=samples_of(evaluation), treatments=treatments_of(evaluation),
        clusters=levels(evaluation))


def _versions() -> dict[str, str]:
    """This package's version and those of the packages that compute with it."""
    return {name: metadata.version(name) for name in ["ics-did", *PACKAGES]}


def _manifest(evaluation: Evaluation, sources: Iterable[str], written: list[str], paths: Paths) -> None:
    """Checksums of everything that went in and came out, and the versions that computed it. No times: the same
    inputs and settings give the same bytes."""
    raw = sorted(path for source in sources for path in paths.raw(source).glob("*")
                 if path.is_file() and path.name != "manifest.json")
    settings = [*([Path(evaluation.published)] if evaluation.published else []),
                *Path(evaluation.sources_folder).glob("*.yaml"),
                *Path(evaluation.indicators_folder).glob("*.yaml"), *Path(evaluation.reference).glob("*.csv")]
    results = [paths.results / name for name in written if name != "manifest.json"]
    write_json(paths.results / "manifest.json", {
        "evaluation": evaluation.id,
        "settings": evaluation.model_dump(mode="json"),
        "versions": _versions(),
        "inputs": {str(path): sha256(path) for path in [*raw, *sorted(settings)]},
        "results": {str(path): sha256(path) for path in sorted(results)},
    })
