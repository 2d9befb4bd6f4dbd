"""Labels of units, clusters and cohorts: one rule for CSV files, workbooks and data frames.

A label is text. A whole number is one label whether it comes as the number 12, 12.0 of a spreadsheet or the text
``12.0`` or ``+12``; zero has no sign. A code with leading zeros is text, and is never turned into a number. Where one
column holds a number written in two ways (12 and 12.0, 07 and 7), nobody can know whether they are one thing or two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

MISSING = {"", ".", "na", "n/a", "nan", "none", "null", "<na>", "nat"}
NEVER = MISSING | {"inf", "+inf", "infinity", "+infinity", "never"}
_WHOLE = re.compile(r"([+-]?)(0|[1-9]\d*)(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"([+-]?)0*(\d+)(?:\.(\d*?)0*)?", re.ASCII)
_ZERO = re.compile(r"[+-]?(0+\.?0*|\.0+)", re.ASCII)


def label(value: object) -> str:
    """Return a value of a cell or data frame as a label: 12, 12.0, ``"12.0"`` and ``" +12 "`` are ``"12"``."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    text = str(value).strip()
    found = _WHOLE.fullmatch(text)
    return text if found is None else _signed(found[1], found[2])


def same_number(words: Iterable[object]) -> tuple[int, int] | None:
    """Return the positions of the first two of distinct ``words`` that are one number written in two ways, the later
    one first; None if there are none. Numbers are written in digits, with a sign and decimals or without."""
    first: dict[str, int] = {}
    for place, word in enumerate(words):
        found = _NUMBER.fullmatch(str(word).strip())
        if found is None:
            continue
        digits = f"{found[2]}.{found[3]}" if found[3] else found[2]
        before = first.setdefault(_signed(found[1], digits), place)
        if before != place:
            return place, before
    return None


def two_ways(words: Sequence[object], pair: tuple[int, int], what: str) -> str:
    """The end of a message about a ``pair`` of `same_number`; ``what`` says what is labelled, such as ``a unit``."""
    return (f"expected one way of writing {what}; found '{words[pair[0]]}' and '{words[pair[1]]}'; write it one way, "
            "or give one of them a letter if they are two")


def is_missing(value: object) -> bool:
    """Whether a value says that there is none: empty, NA, nan, a full stop and the like."""
    return str(value).strip().lower() in MISSING


def is_zero(value: object) -> bool:
    """Whether a value is zero, however it is written: 0, 0.0, 00, -0."""
    return _ZERO.fullmatch(str(value).strip()) is not None


def is_never(value: object) -> bool:
    """Whether a cohort says that its unit is never treated: missing, ``inf``, ``never``, or zero in any spelling."""
    return str(value).strip().lower() in NEVER or is_zero(value)


def _signed(sign: str, digits: str) -> str:
    return f"-{digits}" if sign == "-" and digits != "0" else digits
