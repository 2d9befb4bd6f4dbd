"""Which columns a GP Patient Survey practice file has in each year, from ``gpps_questions.csv``.

That table is made from the publisher's lists of report variables: the columns of three questions, of the
practice and its CCG, and some that are in a few years only and so tell one year's file from another's.

Source: https://gp-patient.co.uk/surveysandreports (lists of report variables, 2012 to 2022)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from did.errors import DidError, listed
from did.readers.spreadsheet import fault, fold, read_csv

REFERENCE = "gpps_questions.csv"
REFERENCE_COLUMNS = ["year", "role", "question", "measure", "column"]
ROLES = ("identifier", "answer", "base", "percentage", "mark")


@dataclass(frozen=True)
class Layout:
    """What one year's file holds: measure -> column as the publisher writes it, by role.

    ``questions`` gives the measures of each question, answers first and its base last; ``marks`` are the
    folded columns that tell the years apart.
    """

    year: str
    identifiers: dict[str, str]
    counts: dict[str, str]
    percentages: dict[str, str]
    questions: dict[str, list[str]]
    marks: frozenset[str]

    @property
    def has_ccg(self) -> bool:
        return "ccg_code" in self.identifiers


def read_layouts(folder: Path) -> dict[str, Layout]:
    """Return the layout of each year's file from ``gpps_questions.csv`` in ``folder``.

    DidError: no such file, a column missing, an unknown role, a year's measure twice in one role.
    """
    path = folder / REFERENCE
    if not path.exists():
        raise DidError(fault(str(path), "the table of the survey's columns", "no file",
                             "run from the project's folder or set the reader's option 'reference'"))
    (header, *rows), (_, *lines) = read_csv(path, str(path))
    for column in REFERENCE_COLUMNS:
        if column not in header:
            raise DidError(fault(str(path), f"column '{column}'", listed(header, 40), "add it"))
    places = [header.index(column) for column in REFERENCE_COLUMNS]
    parts: dict[str, dict[str, Any]] = {}
    for row, line in zip(rows, lines, strict=True):
        year, role, question, measure, column = (row[place].strip() for place in places)
        if role not in ROLES:
            raise DidError(fault(f"{path}, row {line}", f"role {', '.join(ROLES)}", f"'{role}'", "fix it"))
        part = parts.setdefault(year, {name: {} for name in ROLES} | {"questions": {}})
        key = fold(column) if role == "mark" else measure
        if key in part[role]:
            raise DidError(fault(f"{path}, row {line}", f"{role} '{key}' once for {year}", "it again",
                                 "remove one of them"))
        part[role][key] = column
        if role in ("answer", "base"):
            measures = part["questions"].setdefault(question, [])
            # Answers in their order, the base last wherever the table has it.
            measures.insert(len(measures) - any(m in part["base"] for m in measures), measure)
    return {year: Layout(year, part["identifier"], part["answer"] | part["base"], part["percentage"],
                         part["questions"], frozenset(part["mark"])) for year, part in sorted(parts.items())}
