"""From a number of the results back to cells of the publishers' files: specification, panel, observations, file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from did.errors import DidError, suggest
from did.project.config import Evaluation
from did.project.indicator import Indicator, Population
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.project.specification import Specification
from did.report.content.facts import having, mappings
from did.store import tables
from did.store.provenance import read_sealed, sha256
from did.words import count, listed, number, plural, short_decimals

# What identifies an estimate of an indicator; the first that fits is taken where one is not named.
CELL = ("specification", "sample", "treatment", "estimator")
# Cells that are listed before the rest is counted, and what is said of each.
LISTED = 12
OBSERVED = ["measure", "period", "area_code", "area_name", "value", "status", "file", "sheet", "row"]


@dataclass(frozen=True)
class Asked:
    """What to trace: a target of the verdicts, or an indicator; which of its estimates; and at which unit and period to
    go down to a cell (the first treated unit and its first treated period, if None)."""

    target: str
    specification: str | None = None
    sample: str | None = None
    treatment: str | None = None
    estimator: str | None = None
    unit: str | None = None
    period: str | None = None


@dataclass(frozen=True)
class Trace:
    """The ways to an outcome's numbers: from each target to its row of the estimates, and from there on down."""

    indicator: str
    title: str
    targets: Mapping[str, str]
    below: str


@dataclass(frozen=True)
class Files:
    """What is read of the publishers' files, each table once; ``is_hashed``: their checksums are computed again."""

    paths: Paths
    is_hashed: bool = True
    _read: dict[tuple[str, frozenset[str]], pd.DataFrame] = field(default_factory=dict)
    _manifests: dict[str, Mapping[str, Mapping]] = field(default_factory=dict)

    def observations(self, source: str, codes: frozenset[str]) -> pd.DataFrame:
        """The source's observations of some areas."""
        if (source, codes) not in self._read:
            self._read[source, codes] = tables.read(
                "observations", self.paths.observations(source), area_code=codes)[OBSERVED]
        return self._read[source, codes]

    def manifest(self, source: str) -> Mapping[str, Mapping]:
        """The source's files by name, as they were recorded when fetched."""
        if source not in self._manifests:
            self._manifests[source] = read_sealed(self.paths.raw(source) / "manifest.json")["files"]
        return self._manifests[source]


def run(asked: Asked, *, evaluation: Evaluation, paths: Paths) -> str:
    """Return the way from a number to the publishers' files, as lines of text. Nothing is written.

    The estimate with its verdict; the choices of its specification; the rows of the panel it was fitted to; for one
    unit and period the count, the population and each observation behind the count, with file, sheet, row and the
    checksum of the file, which is hashed again. Raises DidError for a target that is neither in the verdicts nor an
    indicator, an estimate, unit or period that is not there, and a file that is not as it was fetched.
    """
    verdicts = tables.read("verdicts", paths.answers)
    found = verdicts.loc[verdicts["target"].eq(asked.target)]
    known = [*verdicts["target"], *evaluation.indicators]
    if asked.target not in known:
        raise DidError(f"trace {asked.target}: expected a target of {paths.results / 'tables/verdicts.csv'} or an "
                       f"indicator; found neither{suggest(asked.target, known)}; name one of "
                       f"{listed(dict.fromkeys(known), at_most=8)}")
    verdict = found.iloc[0].to_dict() if len(found) else None
    if verdict and verdict["verdict"] == "cannot_run" and pd.isna(verdict["estimate"]):
        return f"{asked.target}: {verdict['as_printed']}\n  cannot run: {verdict['note'] or verdict['reason']}"
    indicator = load_indicator(verdict["indicator"] if verdict else asked.target, evaluation.indicators_folder)
    rows = _overall(tables.read("estimates", paths.estimates(indicator.id)), evaluation).to_dict("records")
    row = _estimate(asked, verdict, indicator, evaluation, rows)
    return "\n".join([*_of_estimate(row, verdict, indicator),
                      *_below(asked, row["specification"], indicator, evaluation, Files(paths))])


def traces(indicators: Collection[str], estimates: pd.DataFrame, evaluation: Evaluation, paths: Paths) -> list[Trace]:
    """Return the way of every verdict on these indicators, as `run` says it, with the recorded checksums of files.

    ``estimates`` is that table. Raises DidError for another table that is missing.
    """
    verdicts, files, found = tables.read("verdicts", paths.answers), Files(paths, is_hashed=False), []
    rows, judged = (_by_indicator(table) for table in (
        _overall(estimates, evaluation), verdicts.loc[verdicts["estimate"].notna()]))
    for name in indicators:
        indicator, own = load_indicator(name, evaluation.indicators_folder), judged[name]
        ways = {verdict["target"]: "\n".join(_of_estimate(_estimate(
            Asked(verdict["target"]), verdict, indicator, evaluation, rows[name]), verdict, indicator))
            for verdict in own}
        if own:
            found.append(Trace(name, indicator.title, ways, "\n".join(_below(
                Asked(name), own[0]["specification"], indicator, evaluation, files))))
    return found


def _overall(estimates: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """The overall effects, by the first clustering."""
    return having(estimates, estimand="overall", cluster=evaluation.clusters[0])


def _by_indicator(table: pd.DataFrame) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = defaultdict(list)
    for row in table.to_dict("records"):
        found[row["indicator"]].append(row)
    return found


def _below(asked: Asked, name: str, indicator: Indicator, evaluation: Evaluation, files: Files) -> Iterator[str]:
    """The way from the specification ``name`` down to the files."""
    panel = tables.read("panel", files.paths.panel(indicator.id), specification=[name])
    specification = evaluation.specifications[name]
    yield from _of_specification(name, specification)
    periods = sorted(panel["period"].unique())
    yield (f"panel {files.paths.panel(indicator.id)}: {plural(panel['unit'].nunique(), 'unit')} x "
           f"{plural(len(periods), 'period')}, {periods[0]} to {periods[-1]}")
    yield from _of_cell(asked, panel, specification, indicator, files)


def _estimate(asked: Asked, verdict: Mapping | None, indicator: Indicator, evaluation: Evaluation,
              rows: Sequence[Mapping]) -> Mapping:
    """The one of an indicator's ``rows``, as from `_overall`, that is asked about."""
    usual = {"specification": evaluation.default_specification, "sample": evaluation.sample,
             "treatment": evaluation.treatments[0], "estimator": indicator.published_estimator}
    for name in CELL:
        wanted = getattr(asked, name) or (verdict or usual)[name]
        there = list(dict.fromkeys(row[name] for row in rows))
        if wanted not in there:
            raise DidError(f"trace {asked.target}: --{name}: expected one of {listed(there)}; found {wanted}"
                           f"{suggest(wanted, there)}; name one of these")
        rows = [row for row in rows if row[name] == wanted]
    return rows[0]


def _of_estimate(row: Mapping, verdict: Mapping | None, indicator: Indicator) -> Iterator[str]:
    cell = ", ".join(str(row[name]) for name in ("estimator", "treatment", "sample"))
    yield f"{indicator.title}: {number(row['estimate'], 6, signed=True)} ({cell})"
    key = {name: row[name] for name in ("indicator", *CELL, "estimand", "cluster")}
    yield f"  estimates.csv: {'; '.join(f'{name}={value}' for name, value in key.items())}"
    yield (f"  from {count(row['n_obs'])} rows of the panel: {count(row['n_units'])} units, {count(row['n_treated'])} "
           "treated")
    if verdict and all(verdict[name] == row[name] for name in CELL):
        printed = f"printed: {verdict['as_printed']}; " if verdict["as_printed"] else ""
        yield (f"  verdicts.csv: {verdict['target']}: {printed}number {verdict['number'].replace('_', ' ')}; "
               f"{verdict['verdict'].replace('_', ' ')}")
        if pd.notna(verdict["second_difference"]):
            yield f"  a second program differs by {verdict['second_difference']:.0e} of it (second_opinion)"


def _of_specification(name: str, specification: Specification) -> Iterator[str]:
    chosen = {key: value for key, value in specification.model_dump().items() if key != "families" and value not in
              (None, [])}
    yield f"specification {name}: {'; '.join(f'{key}={value}' for key, value in chosen.items())}"


def _of_cell(asked: Asked, panel: pd.DataFrame, specification: Specification, indicator: Indicator,
             files: Files) -> Iterator[str]:
    """One cell of the panel, and the observations that it is made of."""
    unit = asked.unit or min(panel.loc[panel["cohort"].notna(), "unit"].unique(), default="")
    own = having(panel, unit=unit)
    if own.empty:
        raise DidError(f"trace {asked.target}: --unit: expected a unit of {files.paths.panel(indicator.id)}; found "
                       f"{unit}{suggest(unit, list(panel['unit'].unique()))}; name one of its column unit")
    period = asked.period or (own["cohort"].iloc[0] if pd.notna(own["cohort"].iloc[0]) else own["period"].iloc[-1])
    cell = own.loc[own["period"].eq(period)]
    if cell.empty:
        raise DidError(f"trace {asked.target}: --period: expected {own['period'].min()} to {own['period'].max()}; "
                       f"found {period}; name one of these")
    cell = cell.iloc[0]
    made = (f" = {number(cell['numerator'], 0)} / {number(cell['weight'], 1)} x {number(indicator.per, 0)}"
            if pd.notna(cell["numerator"]) and indicator.rate is None else "")
    when = f"treated from {cell['cohort']}" if pd.notna(cell["cohort"]) else "not treated in the window"
    yield (f"cell {unit} ({cell['unit_name']}), {period}: {number(cell['outcome'], 6)}{made}; system {cell['system']}, "
           f"{when}")
    areas = tables.read("area_audit", files.paths.area_audit(indicator.id), unit=[unit],
                        specification=[cell["specification"]])
    for area in areas.loc[areas["fate"].ne("kept") | areas["reason"].ne("")].itertuples():
        yield f"  area {area.area_code} ({area.area_name}): {area.fate}{f': {area.reason}' if area.reason else ''}"
    codes = frozenset([*areas["area_code"], unit])
    for what, source, measures in _figures(indicator, specification):
        yield from _observed(what, source, measures, codes, period, files)


def _figures(indicator: Indicator, specification: Specification) -> Iterator[tuple[str, str, list[str]]]:
    """What a panel is made of: (what, source, measures)."""
    if indicator.rate is not None:
        yield "rate", indicator.rate.source, [indicator.rate.measure]
        if indicator.rate.is_weighted:
            yield "weights", indicator.rate.weights.source, [indicator.rate.weights.measure]
        return
    for source in indicator.numerator.sources:
        yield "count", source, indicator.numerator.measures
    name = indicator.denominator_name(specification)
    chosen = indicator.denominators[name]
    if isinstance(chosen, Population):
        yield f"population {name}", chosen.source, [chosen.measure]
    else:
        for source in chosen.sources:
            yield f"base {name}", source, chosen.measures


def _observed(what: str, source: str, measures: list[str], codes: frozenset[str], period: str,
              files: Files) -> Iterator[str]:
    """The observations of one source behind a cell, with the file each is from."""
    rows = files.observations(source, codes)
    here = having(rows, measure=measures, period=period)
    if here.empty:
        if what in ("count", "rate"):
            return
        # Populations are by year and by district: the year of the period, of what the source has of these areas.
        here = having(rows, measure=measures, period=period[:4])
        if here.empty:
            n = plural(len(files.manifest(source)), "file")
            yield (f"  {what} from {source}, {listed(measures)}: summed over the districts of the unit and set between "
                   f"mid-years ({n} in {files.paths.raw(source)})")
            return
    for row in mappings(here.head(LISTED)):
        value = "no figure" if row["value"] is None else number(row["value"], short_decimals(row["value"]))
        status = "" if row["status"] == "ok" else f" ({row['status']})"
        yield f"  {what} {row['area_code']} ({row['area_name']}), {row['measure']}: {value}{status}, {_place(row)}"
    if len(here) > LISTED:
        yield f"  and {plural(len(here) - LISTED, 'more observation')}"
    for file in dict.fromkeys(here["file"]):
        yield from _file(source, file, files)


def _place(row: Mapping) -> str:
    """Where an observation stands in its file."""
    sheet = f", sheet {row['sheet']}" if row["sheet"] else ""
    return f"{row['file']}{sheet}, " + ("a sum of several rows" if row["row"] is None else f"row {row['row']}")


def _file(source: str, name: str, files: Files) -> Iterator[str]:
    """A file with where it was obtained, and its checksum."""
    path, known = files.paths.raw(source) / name, files.manifest(source).get(name, {})
    if files.is_hashed and not path.is_file():
        raise DidError(f"{path}: expected the file that was read; found none; run: did fetch {source}")
    if files.is_hashed and sha256(path) != known.get("sha256"):
        raise DidError(f"{path}: expected the file that was fetched; found it changed since; did run fetches it again")
    origin = f" of {known['address']}" if known.get("address") else ""
    yield f"    {path}: sha256 {known['sha256']}, {known['how']}{origin}"
