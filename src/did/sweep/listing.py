"""What is swept: the settings of a sweep, and its list with one row per indicator."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

from did.errors import DidError, one_of, suggest
from did.estimators import entry, names
from did.estimators.base import TREATMENTS
from did.estimators.labels import MISSING
from did.estimators.registry import BINARY, NEIGHBOURS, TWO_WAY, defaults_of
from did.inference.methods import METHODS, available
from did.readers.csv_table import read_table
from did.readers.panel_file import FREQUENCIES
from did.sweep.rows import header_of

ONSETS = ("same", "containing", "first_full")
COLUMNS = ("unit", "period", "value", "numerator", "denominator", "per")
KNOWN = ("id", "title", "file", "family", *COLUMNS, "is_synthetic")
YES, NO = {"yes", "true", "1", "y"}, {"no", "false", "0", "n", ""}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What holds for every indicator of a sweep.

    waves       table of first treated periods by unit or by system; ``members`` table unit -> system, or None
    unit, period, value, numerator, denominator
                names of columns, which a row of the list may replace; without numerator the value is the outcome
    per         the outcome is numerator / denominator x per
    frequency   ``auto``, ``M``, ``Q`` or ``Y``: what whole numbers as periods count
    onset       what a wave becomes where periods are longer than its date: ``same`` refuses, ``containing`` takes the
                period it falls in, ``first_full`` the first period that begins at or after it
    treatment   ``binary``, or ``intensity`` by the waves table's column dose
    estimators  names of those with one effect; by default those whose entries say so
    level       share of false discoveries that the figure's line and the page are about, such as 0.05
    inference   name of a method (`did.inference.methods`) for every row; empty = clustered errors, and with fewer than
                20 treated or 40 clusters the wild bootstrap (did) and the jackknife over clusters
    confidence  share that intervals cover
    calibrate   where clusters are few, measure on each indicator's panel which method holds (estimators whose placebos
                need no fit of their own)
    clusters    further columns of the members or waves table to cluster by, or two levels joined by a comma, ``unit``
                and ``system`` among them, for clusters two ways
    """

    waves: str
    members: str | None = None
    unit: str = "unit"
    period: str = "period"
    value: str = "value"
    numerator: str | None = None
    denominator: str | None = None
    per: float = 100.0
    frequency: str = "auto"
    onset: str = "same"
    treatment: str = "binary"
    estimators: tuple[str, ...] = dataclasses.field(default_factory=lambda: defaults_of("sweep"))
    level: float = 0.05
    inference: str = ""
    confidence: float = 0.95
    calibrate: bool = False
    clusters: tuple[str, ...] = ()

    @property
    def groupings(self) -> tuple[str, ...]:
        """The columns that `clusters` names, but unit and system, which need no naming."""
        found = dict.fromkeys(word for level in self.clusters for word in level.split(","))
        return tuple(word for word in found if word not in ("unit", "system"))

    @property
    def two_ways(self) -> tuple[tuple[str, str], ...]:
        """The pairs of levels to cluster by two ways."""
        return tuple((pair[0], pair[1]) for level in self.clusters if len(pair := level.split(",")) == 2)

    def check(self) -> Settings:
        """Return these settings. Raises DidError for a word or number that is none of those expected."""
        one_of("--frequency", self.frequency, FREQUENCIES)
        one_of("--onset", self.onset, ONSETS)
        one_of("--treatment", self.treatment, TREATMENTS)
        for name in self.estimators:
            one_of("--estimator", name, names(overall=True))
        near = [name for name in self.estimators if NEIGHBOURS in entry(name).needs]
        if near:
            raise DidError(f"--estimator: expected estimators that need no more than each indicator's file; found "
                           f"{', '.join(near)}, which need to know which units border each other; leave out "
                           f"{', '.join(near)}")
        binary = [name for name in self.estimators if BINARY in entry(name).needs]
        if self.treatment == "intensity" and binary:
            dosed = [name for name in self.estimators if name not in binary] or [TWO_WAY]
            raise DidError(f"--treatment intensity: expected estimators that take a dose; found {', '.join(binary)}; "
                           f"add --estimator {','.join(dosed)}")
        for name in self.estimators if self.inference else ():
            one_of("--inference", self.inference, METHODS)
            if self.inference not in available(name):
                raise DidError(f"--inference {self.inference}: expected a method for {name}: "
                               f"{', '.join(available(name))}; found {self.inference}; choose one of these, or add "
                               "--estimator with the one that takes it")
        if self.calibrate and self.inference:
            raise DidError(f"--calibrate: expected no --inference, since it chooses the method by what it measures; "
                           f"found {self.inference}; leave one of the two out")
        for level in self.clusters:
            words = level.split(",")
            if not all(words) or len(words) > 2 or len(set(words)) < len(words):
                raise DidError(f"--cluster {level}: expected a column, or two different ones with a comma between "
                               "them; found others; name them so")
        if not 0 < self.confidence < 1:
            raise DidError(f"--confidence: expected a share between 0 and 1, such as 0.9; found {self.confidence:g}; "
                           "name another")
        if (self.numerator is None) != (self.denominator is None):
            raise DidError("--numerator and --denominator: expected both or none; found one; name the other too")
        if not 0 < self.level < 1:
            raise DidError(f"--level: expected a share between 0 and 1; found {self.level}; write 0.05 for 5%")
        if not (math.isfinite(self.per) and self.per > 0):
            raise DidError(f"--per: expected a positive number; found {self.per}; write 100 for percentages")
        return self


@dataclasses.dataclass(frozen=True)
class Entry:
    """One indicator of a sweep: where its figures are, and what is wrong with its row of the list, if anything.

    position      place in the list from 0, the order of every output
    value         name of the outcome's column, or None if it is numerator / denominator x per
    """

    position: int
    id: str
    title: str
    family: str
    file: str
    unit: str
    period: str
    value: str | None
    numerator: str | None
    denominator: str | None
    per: float
    is_synthetic: bool
    problem: str = ""

    @property
    def wanted(self) -> dict[str, str]:
        """Column of the file -> the word that names it, for messages."""
        columns = {word: getattr(self, word) for word in ("unit", "period", "value", "numerator", "denominator")}
        return {column: word for word, column in columns.items() if column is not None}


def read_list(path: str | Path, settings: Settings) -> list[Entry]:
    """Return the indicators of a list, in its order.

    ``path`` is a CSV with a row per indicator and the columns id and file (a path from the list's folder), and where
    wanted title, family, is_synthetic (yes or no) and the names of columns (unit, period, value, numerator,
    denominator) and per, which replace the settings' for that row. What is wrong with one row (no id, an id used
    before, a wrong per or flag) becomes its ``problem``, which leaves the other rows alone.

    Raises DidError if the file cannot be read as CSV, or a column is missing or unknown.
    """
    header = header_of(path)
    for column in header:
        if column not in KNOWN:
            raise DidError(f"{path}: expected columns among {', '.join(KNOWN)}; found '{column}'"
                           f"{suggest(column, KNOWN)}; rename or remove it")
    table, _ = read_table(path, {column: "list" for column in dict.fromkeys(["id", "file", *header])})
    entries, seen = [], {}
    for position, line in enumerate(table.lines.tolist()):
        row = {column: str(table.text[column][position]) for column in table.text}
        entries.append(_entry(row, position, line, Path(path), settings, seen))
    return entries


def _entry(row: dict[str, str], position: int, line: int, path: Path, settings: Settings,
           seen: dict[str, int]) -> Entry:
    where = f"{path}, row {line}"
    given = {word: row[word] for word in COLUMNS if row.get(word, "").lower() not in MISSING}
    name, problem = row["id"], ""
    if name.lower() in MISSING:
        name, problem = "", f"{where}, column 'id': expected an id; found none; give the indicator one"
    elif name in seen:
        problem = (f"{where}, column 'id': expected each id once; found '{name}' again, first in row {seen[name]}; "
                   "rename one")
    seen.setdefault(name, line)
    if not row["file"]:
        problem = problem or f"{where}, column 'file': expected the path of a CSV or Parquet file; found none; give it"
    per = settings.per
    if "per" in given:
        per = _positive(given["per"])
        if math.isnan(per):
            problem = problem or (f"{where}, column 'per': expected a positive number; found '{given['per']}'; "
                                  "write 100 for percentages")
    flag = row.get("is_synthetic", "").lower()
    if flag not in YES | NO:
        problem = problem or f"{where}, column 'is_synthetic': expected yes or no; found '{flag}'; write one of them"
    if ("numerator" in given) != ("denominator" in given) and settings.numerator is None:
        problem = problem or f"{where}: expected both numerator and denominator, or none; found one; name the other too"
    ratio = "value" not in given and ("numerator" in given or settings.numerator is not None)
    return Entry(
        position, name, row.get("title") or name, row.get("family", ""),
        str(path.parent / row["file"]) if row["file"] else "", given.get("unit", settings.unit),
        given.get("period", settings.period), None if ratio else given.get("value", settings.value),
        given.get("numerator", settings.numerator) if ratio else None,
        given.get("denominator", settings.denominator) if ratio else None, per, flag in YES, problem)


def _positive(text: str) -> float:
    """A finite positive number, or NaN for everything else."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value > 0 else math.nan


def name_of(path: str | Path, given: str | None) -> str:
    """Return the sweep's name, used for its folders: ``given``, else the file's name in letters, digits, - and _.

    Raises DidError if ``given`` has other signs.
    """
    if given is None:
        return re.sub(r"[^A-Za-z0-9_-]+", "_", Path(path).stem).strip("_") or "sweep"
    if not re.fullmatch(r"[A-Za-z0-9_-]+", given):
        raise DidError(f"--name: expected letters, digits, - and _; found '{given}'; choose another name")
    return given
