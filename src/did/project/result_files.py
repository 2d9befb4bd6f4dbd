"""What the stages from draw on write to the results folder, as lists of files known before anything is computed."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from did.estimators import entry
from did.project.claims import load_claims
from did.project.config import Evaluation
from did.project.loading import load_indicator

TABLES = ["headline.csv", "calibration.csv", "estimates.csv", "diagnostics.csv", "area_audit.csv",
          "adjusted_p_values.csv"]
WORKBOOK = "workbook.xlsx"
WORKBENCH = "workbench.html"
DICTIONARY = "data_dictionary.csv"
PAPER_PARTS = ["csv", "tex", "html", "docx"]
REPRODUCTION_PAPER = "reproduction"
EVIDENCE_TABLES = ["verdicts.csv", "evidence.csv", "evidence_items.csv"]
REPRODUCTION_TABLES = ["reproduction.csv", "specifications.csv", "ranking.csv", "choices.csv"]
REPRODUCTION_PAGE = "reproduction.md"
FIGURE_PARTS = ["svg", "png", "csv", "txt"]
WAVES = "waves"
# Beginning of the names of figures of effects by event time.
EVENT_STUDY = "event_study"
ANSWER = "answer"
REPORT = "report.html"
FRONT = "summary.md"
MANIFEST = "manifest.json"


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
    evidence, trend graphs, means of each wave, event study, estimators, alternatives and, if it is one of the
    ``headlines``, the specification curve and who was treated when; then the specifications of each published
    number."""
    names = [f"evidence_{indicator}"]
    names += [*(f"trends_{indicator}_{sample}" for sample in evaluation.samples), f"series_{indicator}"]
    names += event_studies(evaluation, indicator).values()
    if staggered_specification(evaluation):
        names.append(f"estimators_{indicator}")
    names.append(f"robustness_{indicator}")
    if indicator in headlines:
        names += [f"specification_{indicator}", f"timing_{indicator}"]
    return [*names, *specifications_figures(evaluation, [indicator]).values()]


def event_studies(evaluation: Evaluation, indicator: str) -> dict[str, str]:
    """Estimator -> name of its figure of an indicator's effects by event time, for those of the evaluation that have
    them: the first without the estimator in its name."""
    found = [name for name in evaluation.estimators if entry(name).over_time]
    return {name: f"{EVENT_STUDY}_{indicator}{f'_{name}' if place else ''}" for place, name in enumerate(found)}


def family_figures(evaluation: Evaluation, family: str, without: Collection[str] = ()) -> list[str]:
    """Names of a family's figures, without folder and ending: coefficients by each estimator. The chart of waves, which
    concerns all families, is among those of the first."""
    names = [f"coefficients_{family}_{estimator}" for estimator in evaluation.estimators if entry(estimator).overall]
    return [*names, WAVES] if draws_waves(evaluation, family, without) else names


def draws_waves(evaluation: Evaluation, family: str, without: Collection[str] = ()) -> bool:
    """Is the chart of waves among this family's figures? None is drawn without a record of waves."""
    return bool(evaluation.waves.records) and family == next(iter(families(evaluation, without)))


def headlines(evaluation: Evaluation, without: Collection[str] = ()) -> dict[str, str]:
    """Family -> the outcome it is answered for: the one its entry names or, if that is not available, the first."""
    return {family: named if (named := evaluation.families[family].headline) in available else available[0]
            for family, available in families(evaluation, without).items()}


def staggered_specification(evaluation: Evaluation) -> str | None:
    """The first specification that treats each wave from its own date and concerns every indicator, if there is one."""
    return next((name for name, specification in evaluation.specifications.items()
                 if specification.staggered and specification.families is None), None)


def specifications_figures(evaluation: Evaluation, indicators: Collection[str]) -> dict[str, str]:
    """Claim -> name of its figure of specifications, for every claim on a number of these indicators that is estimated.

    Raises DidError for a mistake in the claims file.
    """
    path = Path(evaluation.published) if evaluation.published else None
    numbers = _numbers(path, path.stat().st_mtime_ns if path and path.is_file() else 0, *(
        tuple(names) for names in (evaluation.estimators, evaluation.treatments, evaluation.samples)))
    return {claim: f"specifications_{claim}" for claim, indicator in numbers if indicator in indicators}


@lru_cache(maxsize=8)
def _numbers(path: Path | None, _state: int, estimators: tuple[str, ...], treatments: tuple[str, ...],
             samples: tuple[str, ...]) -> list[tuple[str, str]]:
    """Claim and indicator of every claim on a number; read once for each state of the file, asked for by each job."""
    claims = load_claims(path)
    numeric = claims.loc[(claims["value"] != "") & (claims["estimand"] == "overall")
                         & claims["estimator"].isin(estimators) & claims["treatment"].isin(treatments)
                         & claims["sample"].isin(samples)]
    return list(zip(numeric["claim"], numeric["indicator"], strict=True))


def draw_files(evaluation: Evaluation, indicator: str, headlines: Collection[str]) -> list[str]:
    """Every file of an indicator's figures, relative to the results folder; ``headlines`` as for ``figures``."""
    return _parts(figures(evaluation, indicator, headlines))


def family_files(evaluation: Evaluation, family: str, without: Collection[str] = ()) -> list[str]:
    """Every file of the family stage, relative to the results folder: figures and two pages."""
    return [*_parts(family_figures(evaluation, family, without)), family_page(family), robustness_page(family)]


def _parts(names: list[str]) -> list[str]:
    """Each figure is a picture twice (SVG and PNG), its numbers (CSV) and its alternative text (TXT)."""
    return [f"figures/{name}.{part}" for name in names for part in FIGURE_PARTS]


def reproduce_files(evaluation: Evaluation) -> list[str]:
    """Every file of the reproduce stage, relative to the results folder: tables and page; the tables alone if nothing
    was published."""
    if load_claims(evaluation.published).empty:
        return [*EVIDENCE_TABLES, *REPRODUCTION_TABLES]
    return [*EVIDENCE_TABLES, *REPRODUCTION_TABLES, REPRODUCTION_PAGE]


def tabulate_files(evaluation: Evaluation, without: Collection[str] = ()) -> list[str]:
    """Every file of the tabulate stage, relative to the results folder: tables with their dictionary, and tables for
    papers."""
    papers = [*(effects_paper(family) for family in families(evaluation, without)), REPRODUCTION_PAPER]
    return [*TABLES, DICTIONARY, *(f"tables/{name}.{part}" for name in papers for part in PAPER_PARTS)]


def report_files() -> list[str]:
    """Every file of the report stage, relative to the results folder: the report, the page in front of those of the
    families, and the figure of the first screen."""
    return [REPORT, FRONT, *_parts([ANSWER])]


def every_file(evaluation: Evaluation, without: Collection[str] = ()) -> list[str]:
    """Every file that a run leaves in the results folder, but for the manifest that lists them."""
    by_family, shown = families(evaluation, without), headlines(evaluation, without).values()
    return [*report_files(), *reproduce_files(evaluation), *tabulate_files(evaluation, without),
            WORKBOOK, WORKBENCH, *(file for family, members in by_family.items()
              for file in [*family_files(evaluation, family, without),
                           *(file for name in members for file in draw_files(evaluation, name, shown))])]


def settings_files(evaluation: Evaluation) -> list[Path]:
    """Every settings file that the manifest has a checksum of: claims, registry, indicators and reference tables."""
    folders = ((evaluation.sources_folder, "*.yaml"), (evaluation.indicators_folder, "*.yaml"),
               (evaluation.reference, "*.csv"))
    return [*([Path(evaluation.published)] if evaluation.published else []),
            *sorted(path for folder, names in folders for path in Path(folder).glob(names))]


def effects_paper(family: str) -> str:
    """Name of a family's table for papers, without folder and ending."""
    return f"effects_{family}"


def family_page(family: str) -> str:
    """Name of a family's page in the results folder."""
    return f"summary_{family}.md"


def robustness_page(family: str) -> str:
    """Name of a family's page on what its headline estimate rests on."""
    return f"robustness_{family}.md"
