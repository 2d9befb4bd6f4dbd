"""Numbers, periods and cells as they are written in figures, tables and pages: one rule for each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pandas as pd

from did.errors import DidError

MINUS = "\N{MINUS SIGN}"
# What Markdown would take as a mark -> as itself.
MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in "\\|*`[]"})
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December"]



def decimals_for(std_error: float) -> int:
    """Return how many decimals to print alongside a standard error: one, or two digits of the error below 1.

    15.5 and 3.1 give 1, 0.68 and 0.16 give 2, 0.05 gives 3; never more than 6. A missing, infinite or zero
    error gives 2.
    """
    if std_error is None or not math.isfinite(std_error) or std_error <= 0:
        return 2
    return min(6, max(1, 1 - math.floor(math.log10(std_error))))


def short_decimals(value: float) -> int:
    """Return the decimals a short number has, up to six: 40 gives 0, -0.3 gives 1."""
    return len(f"{value:.6f}".rstrip("0").partition(".")[2])


def number(value: float, decimals: int = 1, *, signed: bool = False) -> str:
    """Return ``value`` with thousands commas, a true minus sign, and ``+`` if ``signed`` and above zero.

    What rounds to zero has no sign. A missing value gives ``not available``.
    """
    if value is None or pd.isna(value):
        return "not available"
    text = f"{abs(float(value)):,.{decimals}f}"
    if not text.strip("0.,"):
        return text
    if value < 0:
        return MINUS + text
    return f"+{text}" if signed else text


def short(value: float, decimals: int = 1, *, signed: bool = False) -> str:
    """Return ``value`` as `number` does, but from a million on with three digits: ``+12.3m``, ``4.56bn``, ``7.89tn``.

    >>> short(-1234567.0), short(98_765_432_100.0, signed=True), short(12.34)
    ('−1.23m', '+98.8bn', '12.3')
    """
    size = abs(value)
    if not 1e6 <= size < math.inf:
        return number(value, decimals, signed=signed)
    if size >= 1e15:
        return (MINUS if value < 0 else "+" if signed else "") + f"{size:.2e}"
    unit, word = next(each for each in ((1e12, "tn"), (1e9, "bn"), (1e6, "m")) if size >= each[0])
    digits = size / unit
    return number(value / unit, 2 if digits < 10 else 1 if digits < 100 else 0, signed=signed) + word


def interval(low: float, high: float, decimals: int = 1) -> str:
    """Return ``10.9 to 71.9``; ``not available`` if either end is missing."""
    if pd.isna(low) or pd.isna(high):
        return "not available"
    return f"{number(low, decimals)} to {number(high, decimals)}"


def p_value(p: float) -> str:
    """Return ``p = 0.008`` (three decimals), ``p < 0.001``, ``p > 0.999`` or ``p not available``.

    A fourth decimal is given where three would hide the side of 0.05 or 0.01 it falls on (``p = 0.0498``).
    """
    if pd.isna(p):
        return "p not available"
    if p < 0.001:
        return "p < 0.001"
    if p > 0.9995:
        return "p > 0.999"
    return f"p = {p:.4f}" if f"{p:.3f}" in ("0.050", "0.010") else f"p = {p:.3f}"


def count(value: int) -> str:
    """Return a whole number with thousands commas; ``not available`` if missing."""
    return "not available" if pd.isna(value) else f"{int(value):,}"


def period_name(period: str) -> str:
    """Return ``June 2017`` for ``2017-06``, ``quarter 2 of 2017`` for ``2017Q2``, ``2018`` for ``2018``.

    Raises DidError if the text is none of these.
    """
    found = re.fullmatch(r"(\d{4})(?:-(\d\d)|-?Q([1-4]))?", str(period))
    if not found or (found[2] and not 1 <= int(found[2]) <= 12):
        raise DidError(f"period '{period}': expected a month as 2017-06, a quarter as 2017Q2 or a year as "
                       "2017; found none of these; correct the table or config it came from")
    if found[2]:
        return f"{MONTHS[int(found[2]) - 1]} {found[1]}"
    return f"quarter {found[3]} of {found[1]}" if found[3] else found[1]


def listed(words: Iterable[object], *, at_most: int | None = None) -> str:
    """Return ``a, b and c``; beyond ``at_most`` words, ``a, b and 7 more``."""
    words = [str(word) for word in words]
    if at_most is not None and len(words) > at_most:
        words = [*words[:at_most], f"{len(words) - at_most} more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" and {words[-1]}" if words else "none"


def plural(n: int, singular: str, many: str | None = None) -> str:
    """Return ``1 area`` or ``30 areas``, with thousands commas; ``many`` where the plural is not ``+s``."""
    return f"{count(n)} {singular if n == 1 else many or singular + 's'}"


def singular(many: str) -> str:
    """Return one of what ``many`` names: ``area`` of ``areas``, ``authority`` of ``authorities``, ``branch`` of
    ``branches``. A word that does not end in s is returned as it is."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ss", "ss"),
                            ("s", "")):
        if many.endswith(ending):
            return many.removesuffix(ending) + instead
    return many


def markdown_cell(value: object) -> str:
    """Return ``value`` as the text of one cell of a Markdown table, or of a line of running Markdown.

    Backslashes, pipes, asterisks, backquotes, square brackets and ``<`` before a tag are escaped and line breaks
    become spaces, so that no text from a data file can break the table or become markup. Missing gives ``""``.
    """
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    text = " ".join(str(value).split()).translate(MARKDOWN)
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)


def markdown_table(frame: pd.DataFrame, *, right: Iterable[str] = ()) -> str:
    """Return ``frame`` (of any shape, values printed as they are) as a Markdown table, cells escaped.

    Columns named in ``right`` are aligned right. An empty frame gives the header row alone.
    """
    right = set(right)
    lines = [[markdown_cell(column) for column in frame.columns],
             ["---:" if column in right else "---" for column in frame.columns]]
    lines += [[markdown_cell(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
