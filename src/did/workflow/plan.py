"""What the Snakefile asks: which files each rule needs, and which modules of this package it depends on."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from did.errors import DidError
from did.estimators import entry, names
from did.fetch import obtainable
from did.fetch.availability import reason, unavailable
from did.project import registry, result_files, slices
from did.project.config import Evaluation
from did.project.data_mode import DataMode, parse_mode
from did.project.file_checks import check_files
from did.project.loading import load_evaluation, load_indicator
from did.project.paths import FAMILY_TABLES, TABLES, Paths
from did.readers import READERS, reference_tables
from did.simulate import WRITERS
from did.store.provenance import sha256, versions, write_text

PACKAGE = Path(__file__).parents[1]
# Packages that talk to people and to servers, and decide no number.
TALKING = {"click", "requests", "rich", "urllib3"}
IMPORT = re.compile(r"^[ \t]*(?:from (?P<module>[a-zA-Z]\w*(?:\.\w+)*) import (?P<names>\([^)]*\)|[^\n]*)"
                    r"|import (?P<plain>[a-zA-Z]\w*(?:\.\w+)*)(?= as |[ \t]*(?:#|,|$)))", flags=re.MULTILINE)


@cache
def _file_of(module: str) -> Path | None:
    """The file of a module of this package; None for all else."""
    package, *parts = module.split(".")
    if package != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*parts)
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _imports(module: str) -> tuple[frozenset[str], frozenset[str]]:
    """Modules of this package that a module of it imports, anywhere in it, and names of other packages: by its lines,
    since to parse every file takes longer than all else that is planned."""
    path = _file_of(module)
    if path is None:
        return frozenset(), frozenset([module.partition(".")[0]])
    found = {module.rpartition(".")[0] or module}   # a module's packages are run before it
    for taken in IMPORT.finditer(path.read_text(encoding="utf-8")):
        if taken["module"]:
            names = re.findall(r"\w+(?=\s*(?:,|$|\)| as |#))", taken["names"], flags=re.MULTILINE)
            found |= {taken["module"]} | {f"{taken['module']}.{name}" for name in names}
        else:
            found.add(taken["plain"])
    own = frozenset(filter(_file_of, found))
    return own, frozenset(name.partition(".")[0] for name in found - own)


def _needed(*names: str) -> tuple[list[Path], set[str]]:
    """Files of the named modules and of every module of this package they import, directly or not; and the names of
    other packages that these import and that may decide numbers."""
    seen: set[str] = set()
    others: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        seen.add(name)
        own, packages = _imports(name)
        others |= packages
        waiting |= own - seen
    files = {path for path in map(_file_of, seen) if path}
    return sorted(files), others - {PACKAGE.name} - TALKING - sys.stdlib_module_names


@cache
def _checksum(path: Path) -> tuple[str, str]:
    """The name of a file of this package and its checksum, which one run takes once."""
    return str(path.relative_to(PACKAGE)), sha256(path)


@cache
def record(path: Path, *names: str) -> str:
    """Return ``path``, a file of what makes something: checksums of the named modules and of all they import, and the
    versions of the packages that these import. It is written only when one of them changed.

    Snakemake does not notice an edited module or another version by itself, so each rule has such a file among its
    inputs. One input in place of sixty: Snakemake looks at each input of each job, and there may be thousands of jobs.
    """
    files, packages = _needed(*names)
    made_of = {"modules": dict(map(_checksum, files)), "versions": versions(*sorted(packages))}
    return _kept(path, json.dumps(made_of, indent=1) + "\n")


def _kept(path: Path, text: str) -> str:
    """Write ``text`` to ``path`` if it is not there already, so that its time is that of the last change."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
    return str(path)


_source = cache(registry.load_named)


def quoted(value: str) -> str:
    """``value`` for a rule's shell line: one word of the shell, whatever it holds, in which Snakemake fills nothing."""
    return shlex.quote(value).replace("{", "{{").replace("}", "}}")


def _from_here(path: Path) -> str:
    """A path inside the project folder is named from there, so that a moved checkout is not out of date."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


@dataclass(frozen=True)
class Plan:
    """An evaluation, its indicators and its sources, as lists of files.

    ``unavailable`` are the indicators that this data mode has no files for; the workflow leaves them out and the
    results say so.
    """

    config_path: str
    data: str
    evaluation: Evaluation
    mode: DataMode
    paths: Paths
    unavailable: tuple[str, ...]

    @classmethod
    def load(cls, config_path: str, data: str | None) -> Plan:
        """Read the evaluation; ``data`` replaces where its files come from.

        Raises DidError for mistakes in any config file, a wrong mode, and if no indicator is available.
        """
        evaluation = load_evaluation(config_path, also=check_files)
        mode = parse_mode(data or evaluation.data)
        if mode.kind == "mirror" and not mode.folder.is_dir():
            raise DidError(f"data {data}: expected a folder {mode.folder}; found none; correct the path")
        paths = Paths.of(mode.kind, evaluation.own_folder)
        lost = unavailable(evaluation, mode, paths)
        if len(lost) == len(evaluation.indicators):
            raise DidError(f"{config_path}: no indicator is available: {reason(evaluation, lost[0], paths)}")
        return cls(str(config_path), data or evaluation.data, evaluation, mode, paths, tuple(lost))

    @property
    def indicators(self) -> list[str]:
        """The indicators that are evaluated in this run."""
        lost = set(self.unavailable)
        return [name for name in self.evaluation.indicators if name not in lost]

    @property
    def sources(self) -> list[str]:
        """Every source that an indicator of this run needs, in the order they are first named."""
        return list(dict.fromkeys(source for name in self.indicators for source in self.sources_of(name)))

    def sources_of(self, indicator: str) -> list[str]:
        return self._needed[indicator]

    @cached_property
    def _needed(self) -> dict[str, list[str]]:
        return {name: load_indicator(name, self.evaluation.indicators_folder).sources
                for name in self.indicators}

    def source(self, name: str) -> registry.Source:
        return _source(name, self.evaluation.sources_folder)

    def _input(self, path: str | Path) -> str:
        """A file as Snakemake can take it. It reads braces in a path as wildcards, so that a file of the checksum
        stands for one with such a path."""
        path = str(path)
        if "{" not in path or not Path(path).is_file():
            return path
        name = hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:16]
        return _kept(self.paths.modules / f"{name}.txt", f"{sha256(path)}\n")

    def _inputs(self, paths: Iterable[str | Path]) -> list[str]:
        return [self._input(path) for path in paths]

    @property
    def config_file(self) -> str:
        return self._input(self.config_path)

    def config_part(self, stage: str, member: str | None = None) -> str:
        """A file of what a stage reads of the evaluation, for the indicator or the family it works on. It is written
        only when that changed, so that an edit of the evaluation reruns what depends on it."""
        family = self._family_of[member] if stage in slices.OF_INDICATOR else member
        if (stage, family) not in self._parts:
            self._parts[stage, family] = _kept(
                self.paths.config / f"{stage if family is None else f'{stage}_{family}'}.json",
                self._config.text(stage, family))
        return self._parts[stage, family]

    @cached_property
    def _config(self) -> slices.Parts:
        return slices.Parts(self.evaluation, self.unavailable)

    @cached_property
    def _parts(self) -> dict[tuple[str, str | None], str]:
        """The files of parts that have been written or looked at."""
        return {}

    @cached_property
    def _family_of(self) -> dict[str, str]:
        return {name: family for family, names in self.families.items() for name in names}

    def registry(self, source: str) -> str:
        return self._input(Path(self.evaluation.sources_folder) / f"{source}.yaml")

    def indicator_part(self, indicator: str) -> str:
        """A file of what an indicator's file says, written only when that changed: a comment in it reruns nothing."""
        return self._indicator_part("indicators", indicator)

    def numbers_of(self, indicator: str) -> str:
        """The same without its words, for stages that decide numbers: an edited title reruns pages alone."""
        return self._indicator_part("numbers", indicator)

    def _indicator_part(self, kind: str, indicator: str) -> str:
        if (kind, indicator) not in self._parts:
            known = load_indicator(indicator, self.evaluation.indicators_folder)
            part = known if kind == "indicators" else slices.without_words(known)
            self._parts[kind, indicator] = _kept(self.paths.config / kind / f"{indicator}.json",
                                                 json.dumps(part.model_dump(mode="json"), indent=1) + "\n")
        return self._parts[kind, indicator]

    def raw_files(self, source: str | None = None) -> list[str]:
        """The files of one source, or of all, with their manifests."""
        if source is None:
            return [file for each in self.sources for file in self.raw_files(each)]
        folder = self.paths.raw(source)
        entry = self.source(source)
        entries = obtainable(entry, folder, self.mode) if entry.manual_download else entry.files
        return [str(folder / name) for name in [*(entry.name for entry in entries), "manifest.json"]]

    def observations(self, indicator: str) -> list[str]:
        return [str(self.paths.observations(source)) for source in self.sources_of(indicator)]

    def tables(self) -> list[str]:
        """Every table between the stages."""
        return [*(str(self.paths.observations(source)) for source in self.sources),
                *(str(getattr(self.paths, table)(indicator)) for indicator in self.indicators for table in TABLES),
                *(str(getattr(self.paths, table)(family)) for family in self.families for table in FAMILY_TABLES),
                str(self.paths.reproduction), str(self.paths.answers)]

    def sections(self) -> list[str]:
        """Every section of the report's annex: of the outcomes, and of what was published."""
        return [*(str(self.paths.section(indicator)) for indicator in self.indicators),
                str(self.paths.published_section)]

    def drawn(self, stage: str, member: str) -> list[str]:
        """What belongs to the figures that a stage draws of an indicator or a family: numbers and alternative texts."""
        names = [Path(file).stem for file in self.result_files(stage, member)]
        return [str(self.paths.drawn / f"{name}.{part}") for name in names for part in ("csv", "txt")]

    def shown_figures(self) -> list[str]:
        """Figures of the families' headline outcomes that the report shows before its annex."""
        return [str(self.paths.results / file) for name in self._headlines
                for file in result_files.pictures([f"evidence_{name}"])]

    def answer_drawn(self) -> list[str]:
        """What belongs to the figure of the first screen: numbers and alternative text."""
        return [str(self.paths.drawn / f"{result_files.ANSWER}.{part}") for part in ("csv", "txt")]

    def all_drawn(self) -> list[str]:
        """`drawn` of every indicator and family."""
        return [file for stage, members in (("draw", self.indicators), ("family", self.families))
                for member in members for file in self.drawn(stage, member)]

    def reference_files(self, *names: str) -> list[str]:
        """The named reference tables, or all of them."""
        folder = Path(self.evaluation.reference)
        return self._inputs([folder / name for name in names] or sorted(folder.glob("*.csv")))

    def claims_files(self) -> list[str]:
        """The table of published claims, if there is one."""
        return self._inputs([self.evaluation.published] if self.evaluation.published else [])

    def reader_tables(self, source: str) -> list[str]:
        """Reference tables that a source's reader looks into."""
        entry = self.source(source)
        return self._inputs(reference_tables(entry.reader, entry.options))

    def modules(self, stage: str, *names: str) -> str:
        """A file of what a stage is made of, and the modules named: see `record`."""
        return record(self.paths.modules / f"{stage.rpartition('.')[2]}.json", stage, *names)

    @property
    def caption(self) -> str:
        """What Snakemake's own report says under a file."""
        return str(PACKAGE / "report" / "caption.rst")

    def family_indicators(self, family: str) -> list[str]:
        """Files of the indicators that a family's figures are about."""
        return [self.indicator_part(name) for name in self.families[family]]

    def templates(self, folder: str = "templates") -> list[str]:
        """Templates, scripts and styles in a folder of the report's room."""
        return self._inputs(sorted(_from_here(path) for path in (PACKAGE / "report" / folder).iterdir()
                                   if path.is_file() and path.suffix != ".py"))

    def reader_modules(self, source: str) -> str:
        """What `modules` says, of the stage that reads a source and of the source's reader."""
        reader = self.source(source).reader
        return record(self.paths.modules / f"observe_{reader}.json", "did.stages.observe", READERS[reader])

    def estimator_modules(self, *keys: str) -> list[str]:
        """Modules of the estimators that these keys of the evaluation name, or of all: they are found by name and not
        by an import statement."""
        found = [name for key in keys for name in getattr(self.evaluation, key)] if keys else names()
        return [entry(name).module for name in dict.fromkeys(found)]

    def result_files(self, stage: str, member: str | None = None) -> list[str]:
        """What a stage writes to the results folder, for an indicator or a family if it works on one."""
        found = {
            "draw": lambda: result_files.draw_files(self.evaluation, member, self._headlines),
            "family": lambda: result_files.family_files(self.evaluation, member, self.unavailable),
            "reproduce": result_files.reproduce_files,
            "tabulate": result_files.tabulate_files,
            "workbook": lambda: [result_files.WORKBOOK],
            "workbench": lambda: [result_files.WORKBENCH],
            "report": result_files.report_files,
            "manifest": lambda: [result_files.MANIFEST],
        }[stage]()
        return [str(self.paths.results / name) for name in found]

    @cached_property
    def _headlines(self) -> list[str]:
        return list(result_files.headlines(self.evaluation, self.unavailable).values())

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """Family -> its indicators in this run."""
        return result_files.families(self.evaluation, self.unavailable)

    def _own_files(self, source: str) -> list[str]:
        """The user's own files of a source. Raises DidError for one that is not there."""
        paths = [entry.path for entry in self.source(source).files]
        lost = next((path for path in paths if not Path(path).is_file()), None)
        if lost is not None:
            raise DidError(f"{self.evaluation.sources_folder}/{source}.yaml: expected a file {lost}; found "
                           f"{'a folder' if Path(lost).is_dir() else 'none'}; put it there, or correct 'path'")
        return paths

    def maker_modules(self, source: str) -> list[str]:
        """What a source's demonstration files are made by and from, in other modes nothing; the user's own files."""
        if self.source(source).is_own:
            return self._inputs(self._own_files(source))
        if self.mode.kind != "demo":
            return []
        return [*self._inputs([self.mode.folder]), *self.reference_files(),
                record(self.paths.modules / f"simulate_{source}.json", "did.simulate", WRITERS[source])]

    def settings_files(self) -> list[str]:
        """What a run's manifest has checksums of alongside the files as published."""
        tables = [table for source in self.sources for table in self.reader_tables(source)]
        return self._inputs(dict.fromkeys([*map(str, result_files.settings_files(self.evaluation)), *tables]))

    def last_files(self) -> list[str]:
        """Files that are made when all is, but for the manifest: figures come with their section, and are left out
        because there may be thousands."""
        stages = [*(("family", family) for family in self.families),
                  *((stage, None) for stage in ("reproduce", "tabulate", "workbook", "workbench", "report"))]
        return [*self.sections(), *(file for stage, member in stages for file in self.result_files(stage, member))]

    def results(self) -> list[str]:
        """Everything in the results folder but the manifest."""
        return [str(self.paths.results / name) for name in result_files.every_file(self.evaluation, self.unavailable)]
