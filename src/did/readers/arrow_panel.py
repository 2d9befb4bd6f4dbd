"""A panel of millions of rows: labels stay Arrow's codes, and only distinct values are looked at.

What these columns hold is read by the rules of `did.readers.panel_file`, applied to distinct values. Whatever is not
plain (a number written in two ways, a duplicate, a fault of any kind) is left to that module, which says what is wrong.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from did.errors import DidError
from did.estimators.labels import MISSING, label, same_number
from did.readers.csv_table import Table
from did.readers.frame_table import word_of
from did.readers.panel_cohorts import cohorts
from did.readers.panel_periods import dates_as_periods, periods_of, refuse_gap

if TYPE_CHECKING:
    import pyarrow as pa

# What a label does not have; numbers, and whole ones as labels write them.
SPACED = r"^\s|\s$|\s\s|[\t\n\r\f\v]|[^\x00-\x7f]"
NUMBER = r"^[+-]?[0-9]+(\.[0-9]*)?$"
WHOLE = r"^(0|[1-9][0-9]*)$"
ROWS = 2**20


@dataclasses.dataclass(frozen=True)
class Coded:
    """A column as (rows,) codes of its distinct ``words``, empty where missing."""

    codes: np.ndarray
    words: np.ndarray


@dataclasses.dataclass(frozen=True)
class Calendar:
    """What the words of period and cohort columns mean.

    kind      of the periods, as `did.readers.panel_periods` has it; ``first`` and ``last`` their places in time
    period    word -> position of the period, from 0
    cohort    word -> place in time of the first treated period, infinite = never
    """

    kind: str
    first: int
    last: int
    period: dict[str, int]
    cohort: dict[str, float]

    @property
    def n_periods(self) -> int:
        """Number of periods."""
        return self.last - self.first + 1


class Source(Protocol):
    """Columns of a file or frame, called ``name`` in messages."""

    name: str
    names: list[str]

    def place(self, row: int) -> str:
        """Return where a row is, for messages."""

    def pieces(self, name: str) -> Iterator[pa.Array]:
        """Yield a column in pieces."""


def coded(column: Iterable[pa.Array]) -> Coded:
    """Return a column of few distinct values, in pieces, as codes and words, as `did.readers.frame_table` has them."""
    places: dict[str, int] = {}
    parts = []
    for piece in column:
        encoded = _encoded(piece)
        words = [word_of(value) for value in encoded.dictionary.to_pylist()]
        indices = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
        used = np.flatnonzero(np.bincount(indices, minlength=len(words) + 1))
        table = np.zeros(len(words) + 1, dtype=np.int32)
        words.append("")   # a missing one
        for code in used.tolist():
            table[code] = places.setdefault(words[code], len(places))
        parts.append((table if len(places) > 2**15 else table.astype(np.int16))[indices])
    codes = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)
    return Coded(codes, np.array(list(places), dtype=object))


def _encoded(piece: pa.Array) -> pa.DictionaryArray:
    import pyarrow as pa

    return piece if pa.types.is_dictionary(piece.type) else piece.dictionary_encode()


def calendar(file: str, period: Mapping[str, str], cohort: Mapping[str, str], names: tuple[str, str], frequency: str
             ) -> Calendar:
    """Return what distinct words of the columns ``names``, periods and cohorts, mean: word -> the row it is first in,
    for messages.

    Raises DidError as `did.readers.panel_file.load`.
    """
    column, other = names
    words = {column: np.array(list(period), dtype=object), other: np.array(list(cohort), dtype=object)}
    table = dates_as_periods(Table(file, words, list(period.values())), column, other)
    kind, places = periods_of(table, column, frequency)
    refuse_gap(table, column, kind, places)
    if len(set(places.tolist())) < len(places):
        raise DidError(f"{file}, column '{column}': expected each period written one way; found {len(places)} ways of "
                       f"{len(set(places.tolist()))} periods; write them one way")
    first, last = int(places.min()), int(places.max())
    each = np.arange(len(cohort))
    found = cohorts(dataclasses.replace(table, lines=list(cohort.values())), other, kind, each, each.astype(str), first)
    return Calendar(kind, first, last, dict(zip(period, (places - first).tolist(), strict=True)),
                    dict(zip(cohort, found.tolist(), strict=True)))


@dataclasses.dataclass(frozen=True)
class Units:
    """(rows,) codes of the units, in the order of their sorted ``labels`` (an Arrow array of text)."""

    codes: np.ndarray
    labels: Any


def units_of(column: Iterable[pa.Array]) -> Units | None:
    """Return a column of units, in pieces; None where a label is missing, is no whole number or text, or is not
    plain."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts, dictionaries = [], []
    for piece in column:
        encoded = _encoded(piece)
        if piece.null_count or encoded.dictionary.null_count:
            return None
        parts.append(encoded.indices.to_numpy(zero_copy_only=False))
        dictionaries.append(encoded.dictionary)
    if not parts:
        return None
    kind = dictionaries[0].type
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    whole = pa.chunked_array(dictionaries).combine_chunks().dictionary_encode()
    words = whole.dictionary.cast(pa.string())
    if not pa.types.is_integer(kind) and not _plain(words):
        return None
    number = whole.indices.to_numpy(zero_copy_only=False)
    ends = np.cumsum([len(each) for each in dictionaries])
    del dictionaries, whole
    pa.default_memory_pool().release_unused()   # what looking for equal ones took
    codes = np.empty(sum(map(len, parts)), dtype=np.int32)
    end = len(codes)
    while parts:   # from the last on, each given back when it is done with
        part, last = parts.pop(), ends[len(parts)]
        own = number[(ends[len(parts) - 1] if parts else 0):last]
        end -= len(part)
        np.take(own, part, out=codes[end:end + len(part)], mode="clip")   # none is outside
    there = np.zeros(len(words), dtype=bool)
    there[codes] = True
    order = pc.array_sort_indices(words).to_numpy()
    order = order[there[order]]
    rank = np.empty(len(words), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    np.take(rank, codes, out=codes, mode="clip")   # none is outside
    return Units(codes, words.take(pa.array(order)))


def _plain(words: pa.Array) -> bool:
    """Whether distinct texts are labels as they are: none says that there is none, none is a number but whole ones as
    `did.estimators.labels.label` writes them, and no space has to be taken off."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.any(pc.is_in(pc.utf8_lower(words), value_set=pa.array(sorted(MISSING)))).as_py():
        return False
    if pc.any(pc.match_substring_regex(words, SPACED)).as_py():
        return False
    numbers = words.filter(pc.match_substring_regex(words, NUMBER))
    if not pc.any(pc.invert(pc.match_substring_regex(numbers, WHOLE))).as_py():
        return True   # each written the one way
    found = numbers.to_pylist()
    return same_number(found) is None and all(word == label(word) for word in found)


def one_per_unit(values: np.ndarray, units: np.ndarray, n_units: int) -> tuple[np.ndarray, int | None]:
    """Return (units,) a value of (rows,) ``values`` in each unit, and the first row with another; None if none has."""
    found = np.empty(n_units, dtype=values.dtype)
    found[units] = values
    for begin in range(0, len(values), ROWS):
        part = slice(begin, begin + ROWS)
        other = np.flatnonzero(found[units[part]] != values[part])
        if len(other):
            return found, begin + int(other[0])
    return found, None


def matrix(column: Iterable[pa.Array], units: np.ndarray, periods: np.ndarray, shape: tuple[int, int]
           ) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a column of numbers, or of true and false, in pieces, as (units, periods), NaN where there is none, and
    the rows without one; None where one is infinite or no number, or a cell has two rows. ``units`` and ``periods``
    (rows,) say where each goes."""
    import pyarrow as pa

    filled, seen, begin, gone = np.full(shape, np.nan), np.zeros(shape, dtype=bool), 0, []
    for piece in column:
        if not any(is_kind(piece.type) for is_kind in (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)):
            return None
        values = np.asarray(piece.to_numpy(zero_copy_only=False), dtype=float)
        if np.isinf(values).any():
            return None
        gone.append(begin + np.flatnonzero(np.isnan(values)))
        part = slice(begin, begin + len(values))
        filled[units[part], periods[part]] = values
        seen[units[part], periods[part]] = True
        begin += len(values)
    return (filled, np.concatenate(gone)) if int(seen.sum()) == begin and gone else None
