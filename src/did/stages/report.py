"""Stage 8: tables, the summary pages and the manifest of the run."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib import metadata
from pathlib import Path

import pandas as pd

from did import registry, tables, waves
from did.availability import reason
from did.config import Evaluation, Indicator, load_indicator
from did.inference.multiplicity import family_tests
from did.outputs import contents
from did.outputs.describe import effect_unit, measure, onset, sources_of, span, used
from did.outputs.facts import Facts, Front, LargestDose
from did.outputs.front import front_markdown
from did.outputs.summary import summary_markdown
from did.outputs.text import listed, write_csv
from did.paths import Paths
from did.provenance import sha256, write_json, write_text
from did.stages.draw import annotate

PACKAGES = ["pandas", "numpy", "scipy", "statsmodels", "matplotlib", "snakemake", "pyarrow", "python-calamine"]


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
    reproduction = pd.read_csv(paths.results / "reproduction.csv", keep_default_na=True,
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
    for facts in pages:
        text = summary_markdown(facts=facts, reproduction=reproduction, estimates=frames["estimates"],
                                readings=frames["readings"],
                                diagnostics=frames["diagnostics"], lineage=frames["lineage"])
        write_text(paths.results / facts.page, text)
    write_text(paths.results / "summary.md", front_markdown(
        front=_front(evaluation, pages, missing), reproduction=reproduction, estimates=frames["estimates"]))
    _manifest(evaluation, sources, [*written, *drawn], paths)
    return f"{len(written) + len(drawn)} files in {paths.results}/; read {paths.results / 'summary.md'} first"


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
        figures=[(f"figures/{picture}.png", f"{shown.title}: coefficients, in the layout of Figure {shown.figure}; the "
                  f"numbers are in the tables below and in figures/{picture}.csv")],
        context=[fact.text for fact in publication.context if family in (fact.families or [])],
        caveats=_caveats(members),
        unavailable=[(labels, why) for name, labels, why in missing if name == shown.title])


def _largest_dose(indicator: Indicator, evaluation: Evaluation, paths: Paths) -> LargestDose | None:
    """The systems with the largest dose of an indicator's treated units under the reported reading."""
    panel = tables.read("panel", paths.panel(indicator.id))
    treated = panel.loc[(panel["reading"] == evaluation.default_reading) & panel["cohort"].notna()
                        & (panel["intensity"] > 0)].drop_duplicates("unit")
    if treated.empty:
        return None
    most = treated.loc[treated["intensity"] == treated["intensity"].max()]
    names = waves.systems(evaluation.waves, indicator.geography, evaluation.reference)
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
