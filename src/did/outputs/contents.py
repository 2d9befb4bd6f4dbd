"""What the reproduce, draw and report stages write, as lists of files known before anything is computed."""

from __future__ import annotations

from collections.abc import Collection

from did.config import Evaluation, load_indicator
from did.reproduce.claims import load_claims

TABLES = ["estimates.csv", "diagnostics.csv", "lineage.csv", "many_tests.csv"]
WORKBOOK = "workbook.xlsx"
DICTIONARY = "data_dictionary.csv"
PAPER_PARTS = ["csv", "tex", "html", "docx"]
REPRODUCTION_PAPER = "reproduction"
REPRODUCTION_TABLES = ["reproduction.csv", "readings.csv", "ranking.csv", "choices.csv"]
REPRODUCTION_PAGE = "reproduction.md"
FIGURE_PARTS = ["svg", "png", "csv", "txt"]
WAVES = "waves"
REPORT = "report.html"


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
    """Names of a family's figures, without folder and ending: coefficients, trend graphs, event studies, estimators,
    alternatives, the specification curve and who was treated when of the headline outcome. The chart of waves, which
    concerns all families, is among those of the first."""
    indicators = families(evaluation, without)[family]
    static = [name for name in evaluation.estimators if name != "event_study"]
    names = [f"coefficients_{family}_{estimator}" for estimator in static]
    names += [f"trends_{indicator}_{sample}" for indicator in indicators for sample in evaluation.samples]
    if "event_study" in evaluation.estimators:
        names += [f"event_study_{indicator}" for indicator in indicators]
    if staggered_reading(evaluation):
        names += [f"estimators_{indicator}" for indicator in indicators]
    names += [f"robustness_{indicator}" for indicator in indicators]
    shown = headline(evaluation, family, without)
    names += [f"specification_{shown}", f"timing_{shown}"]
    return [*names, WAVES] if draws_waves(evaluation, family, without) else names


def draws_waves(evaluation: Evaluation, family: str, without: Collection[str] = ()) -> bool:
    """Is the chart of waves among this family's figures? None is drawn without a record of waves."""
    return bool(evaluation.waves.records) and family == next(iter(families(evaluation, without)))


def headline(evaluation: Evaluation, family: str, without: Collection[str] = ()) -> str:
    """The outcome a family is answered for: the one its entry names or, if that is not available, the first."""
    available, named = families(evaluation, without)[family], evaluation.families[family].headline
    return named if named in available else available[0]


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


def readings_figures(evaluation: Evaluation, without: Collection[str] = ()) -> dict[str, str]:
    """Claim -> name of its figure of readings, for every claim on a number that this run estimates.

    Raises DidError for a mistake in the claims file.
    """
    claims = load_claims(evaluation.published, evaluation.indicators)
    numeric = claims.loc[(claims["value"] != "") & (claims["estimand"] == "overall")
                         & ~claims["indicator"].isin(list(without)) & claims["estimator"].isin(evaluation.estimators)
                         & claims["treatment"].isin(evaluation.treatments) & claims["sample"].isin(evaluation.samples)]
    return {claim: f"readings_{claim}" for claim in numeric["claim"]}


def reproduce_files(evaluation: Evaluation, without: Collection[str] = ()) -> list[str]:
    """Every file of the reproduce stage, relative to the results folder: tables, page, a figure for each number; the
    tables alone if nothing was published."""
    if load_claims(evaluation.published, evaluation.indicators).empty:
        return list(REPRODUCTION_TABLES)
    return [*REPRODUCTION_TABLES, REPRODUCTION_PAGE,
            *(f"figures/{name}.{part}" for name in readings_figures(evaluation, without).values()
              for part in FIGURE_PARTS)]


def report_files(evaluation: Evaluation, without: Collection[str] = ()) -> list[str]:
    """Every file of the report stage, relative to the results folder: the report, the workbook, tables with their
    dictionary and for papers, two pages for each family, the page in front of them, and the manifest."""
    pages = [page(family) for family in families(evaluation, without) for page in (family_page, robustness_page)]
    papers = [*(effects_paper(family) for family in families(evaluation, without)), REPRODUCTION_PAPER]
    papers = [f"tables/{name}.{part}" for name in papers for part in PAPER_PARTS]
    return [REPORT, WORKBOOK, *TABLES, DICTIONARY, *papers, "summary.md", *pages, "manifest.json"]


def effects_paper(family: str) -> str:
    """Name of a family's table for papers, without folder and ending."""
    return f"effects_{family}"


def family_page(family: str) -> str:
    """Name of a family's page in the results folder."""
    return f"summary_{family}.md"


def robustness_page(family: str) -> str:
    """Name of a family's page on what its headline estimate rests on."""
    return f"robustness_{family}.md"
