"""Numbers whose dots and commas could mean thousands or decimals, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable

_DOTTED = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}", re.ASCII)
_DIGIT = re.compile(r"\d", re.ASCII)
_WHOLE = re.compile(r"[+-]?[1-9]\d*", re.ASCII)
_GAPS = " '\u2019\xa0\u2009\u202f"
_GROUPED = re.compile(rf"([+-]?\d{{1,3}})((?:[{_GAPS}]\d{{3}})+|(?:,\d{{3}})+|(?:\.\d{{3}}){{2,}})(\.\d+)?", re.ASCII)
_COMMA = re.compile(rf"[+-]?[\d.{_GAPS}]*,\d+", re.ASCII)


def thousands_dot(words: Iterable[str], *, semicolons: bool = False) -> int | None:
    """Return the position of the first of a column's ``words`` whose dot may separate thousands; None if none may.

    Dots are decimal points as soon as one number cannot be read otherwise: 0.5, 12.25, 1.0560. They may separate
    thousands where each is followed by exactly three digits, and either whole numbers without a dot stand alongside
    them (1.056 and 594) or ``semicolons`` are between the cells, as where a decimal point is a comma.
    """
    words = list(words)
    if "." not in "".join(words):   # most columns of a million rows
        return None
    if not semicolons and not any("." not in word and _WHOLE.fullmatch(word) for word in words):
        return None
    first = None
    for place, word in enumerate(words):
        if "." in word and _DIGIT.search(word):   # not the mark `..`
            if not _DOTTED.fullmatch(word):
                return None
            first = place if first is None else first
    return first


def dot_remedy(word: str) -> str:
    """What to do about a number as `thousands_dot` finds it."""
    return (f"write {word.replace('.', '')} if the dot separates thousands, or {word}0 if it is a decimal point, and "
            "the others of the column in the same way")


def remedy(word: str, *, commas: bool = True) -> str:
    """What to do about a ``word`` that is not a number; ``commas`` says that commas are between the cells of the
    file."""
    if found := _GROUPED.fullmatch(word):
        plain = found[1] + re.sub(r"\D", "", found[2]) + (found[3] or "")
        if commas or not re.fullmatch(r"[+-]?\d{1,3},\d{3}", word):
            return f"write {plain}, without thousands separators"
        return f"write {plain} if the comma separates thousands, or {word.replace(',', '.')} if it is a decimal comma"
    if _COMMA.fullmatch(word):
        return f"write {re.sub(rf'[.{_GAPS}]', '', word).replace(',', '.')}, with a decimal point"
    return "write a number, or leave the cell empty if it was not observed"
