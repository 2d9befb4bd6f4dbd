"""What a workbench is made of: the dimensions that can be chosen, and a row of numbers for each choice that was run."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

# The dimension of the interval: the estimate is the same in all of it.
INFERENCE = "inference"
# The interval by the first method whose measured coverage holds, whichever that is.
LEADING = "leading"
# Columns of the choices after those of the dimensions; significant digits of the first of them.
DIGITS = {"estimate": 6, "ci_low": 6, "ci_high": 6, "p_value": 3}
ENDS = list(DIGITS)
COUNTS = ["n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters"]
MEASURED = ["method", "coverage", "n_draws", "holds"]
VALUES = [*ENDS, *COUNTS, *MEASURED]
# Whether the estimate is more than chance -> what is said of it, step 2 of the evidence.
CHANCE = {
    "unlikely": ("Unlikely to be chance.", "The interval leaves out zero, and the method's measured coverage holds."),
    "could_be": ("It could be chance.", "The interval includes zero. An effect is not shown, which is not the same as "
                 "no effect."),
    "coverage_short": ("Chance cannot be ruled out.", "The interval leaves out zero, but the measured coverage of this "
                       "method is not what it should be."),
    "not_measured": ("Not judged.", "The interval leaves out zero, but the coverage of this method was not measured "
                     "for this choice."),
    "no_interval": ("Not judged.", "There is no interval."),
}


@dataclasses.dataclass(frozen=True)
class Dimension:
    """Something that can be chosen: its name, its label, and code -> label of each value in the order shown."""

    name: str
    label: str
    values: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Published:
    """A published number: the values of some dimensions that it is of, and the number as a value and as printed."""

    of: Mapping[str, str]
    value: float
    printed: str


@dataclasses.dataclass(frozen=True)
class Workbench:
    """A workbench of one run, or of one panel.

    dimensions  in the order shown, the last of them `INFERENCE`
    choices     a row for each choice that was run: a column of codes for each dimension, then `VALUES` (estimate, ends
                of the interval and p-value in units of the effect; counts; the method of the interval, the share of
                placebo assignments whose interval holds a true zero, their number, and whether that holds)
    reported    places of the rows that the page returns to, the one it opens on first; each outcome has one
    together    the dimensions within whose values estimates have one unit and are ranked together
    units       values of these -> unit of the effect
    published   the numbers that were printed
    is_synthetic, confidence : whether data are made up; the share that intervals cover
    """

    dimensions: Sequence[Dimension]
    choices: pd.DataFrame
    reported: Sequence[int]
    together: Sequence[str]
    units: Mapping[tuple[str, ...], str]
    published: Sequence[Published] = ()
    is_synthetic: bool = False
    confidence: float = 0.95

    @property
    def names(self) -> list[str]:
        """The names of the dimensions."""
        return [each.name for each in self.dimensions]

    @cached_property
    def _usual(self) -> dict[tuple[str, ...], tuple[float, float]]:
        """The usual width of an interval and size of an estimate, by the values of ``together``."""
        rows = self.choices.assign(width=(self.choices["ci_high"] - self.choices["ci_low"]).replace(np.inf, np.nan),
                                   size=self.choices["estimate"].abs())
        medians = rows.groupby(list(self.together), as_index=False)[["width", "size"]].median()
        return {tuple(key): (width, size) for *key, width, size in medians.itertuples(index=False, name=None)}

    def decimals(self, key: tuple[str, ...]) -> int:
        """As many decimals as a tenth of the usual margin of error needs of the estimates with these values of
        ``together``, one at least."""
        width, size = self._usual.get(key, (np.nan, np.nan))
        half = width / 2 if width > 0 else size
        return min(6, max(1, 1 - int(np.floor(np.log10(half))))) if half > 0 else 2


def chance(choices: pd.DataFrame) -> pd.Series:
    """Return a code of `CHANCE` for each row, from the columns ci_low, ci_high, coverage and holds.

    An interval that includes zero could be chance by whatever method; an end that is missing reaches to infinity, and
    a row without both has no interval.

    >>> rows = pd.DataFrame({"ci_low": [1.0, -1.0, 1.0, 1.0, np.nan], "ci_high": [2.0, 2.0, 2.0, np.nan, np.nan],
    ...                      "coverage": [0.95, np.nan, 0.8, np.nan, 0.95], "holds": [True, False, False, False, True]})
    >>> chance(rows).tolist()
    ['unlikely', 'could_be', 'coverage_short', 'not_measured', 'no_interval']
    """
    out = (choices["ci_low"] > 0) | (choices["ci_high"] < 0)
    holds = choices["holds"].eq(True).fillna(False).astype(bool)
    found = np.select(
        [choices["ci_low"].isna() & choices["ci_high"].isna(), ~out, holds, choices["coverage"].notna()],
        ["no_interval", "could_be", "unlikely", "coverage_short"], "not_measured")
    return pd.Series(found, choices.index)


def tidied(dimensions: Sequence[Dimension], choices: pd.DataFrame) -> tuple[list[Dimension], pd.DataFrame]:
    """Return the dimensions without values that no choice has, and the choices in their order, each once."""
    names = [each.name for each in dimensions]
    choices = choices.loc[choices["estimate"].notna()].drop_duplicates(names)
    kept = []
    for each in dimensions:
        used = set(choices[each.name].unique())
        kept.append(dataclasses.replace(each, values={code: label for code, label in each.values.items()
                                                      if code in used}))
    places = [pd.Index(each.values).get_indexer(choices[each.name]) for each in kept]
    return kept, choices.iloc[np.lexsort(places[::-1])].reset_index(drop=True)


def embedded(bench: Workbench) -> str:
    """Return everything that the script asks for as compact JSON, the same bytes for the same workbench.

    A dimension's column is one character for each row, the place of its value counted from A (from `FIRST` if it has
    more values than there are letters); what many rows share is listed once. Numbers have six digits. No ``<`` is left
    as it is, so that nothing ends the element it is in.
    """
    choices, rows = bench.choices, {}
    for each in bench.dimensions:
        first = ord("A") if len(each.values) <= 26 else FIRST
        place = {code: chr(first + at) for at, code in enumerate(each.values)}
        rows[each.name] = "".join(map(place.__getitem__, choices[each.name].tolist()))
    columns = choices[[*COUNTS, *MEASURED]].assign(said=chance(choices))
    found = list(zip(*(columns[name].to_numpy(object, na_value=None) for name in columns), strict=True))
    plain = {row: tuple(map(_plain, row)) for row in dict.fromkeys(found)}
    shared = [plain[row] for row in found]
    facts = {fact: at for at, fact in enumerate(dict.fromkeys(shared))}
    data = {
        "confidence": bench.confidence, "chance": CHANCE,
        "dimensions": [{"name": each.name, "label": each.label, "values": list(each.values),
                        "labels": list(each.values.values())} for each in bench.dimensions],
        "rows": rows, **{name: [_short(value, digits) for value in choices[name].astype(float)] for name, digits in
                         DIGITS.items()},
        "fact": [facts[fact] for fact in shared], "facts": list(facts), "fields": [*COUNTS, *MEASURED, "chance"],
        "reported": list(bench.reported),
        "together": list(bench.together),
        "units": [[*key, unit, bench.decimals(key)] for key, unit in bench.units.items()],
        "published": [{"of": dict(each.of), "value": each.value, "printed": each.printed} for each in bench.published],
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


# The character of the first value of a dimension with many: from here on each is printed.
FIRST = 0xC0


def _plain(value: object) -> object:
    """A value as JSON has it."""
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    return _short(float(value), 6)


def _short(number: float, digits: int) -> float | None:
    """A number with so many digits; None, which is null in JSON, if it is not finite."""
    if not math.isfinite(number):
        return None
    short = float(f"{number:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
