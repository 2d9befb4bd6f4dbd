"""A sentence: a template and the typed values that stand in it. It has no markup; writers escape it for their file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from did.words import interval, number


@dataclass(frozen=True)
class Amount:
    """A number with as many decimals as its error allows; ``signed`` with a plus where it is above zero.

    >>> str(Amount(41.36, 1, signed=True))
    '+41.4'
    """

    value: float
    decimals: int
    signed: bool = False

    def __str__(self) -> str:
        return number(self.value, self.decimals, signed=self.signed)


@dataclass(frozen=True)
class Span:
    """Two ends of an interval, or of a range.

    >>> str(Span(-1.5, 2.0, 1))
    '−1.5 to 2.0'
    """

    low: float
    high: float
    decimals: int

    def __str__(self) -> str:
        return interval(self.low, self.high, self.decimals)


@dataclass(frozen=True)
class Sentence:
    """A template as for `str.format`, and what stands in it.

    >>> str(Sentence("It is {size}.", {"size": Amount(2, 0)}))
    'It is 2.'
    """

    template: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.template.format_map(self.values)
