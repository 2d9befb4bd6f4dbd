"""The key of a figure: what its lines, marks and shades are, in rows over the plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from did.report.figures import style
from did.words import number, short_decimals, singular

ROW = 0.26  # inches
# The settings of one entry's lines, one drawn over the other, and its words.
Entry = tuple[Sequence[dict[str, Any]], str]
PUBLISHED = {"color": style.PALETTE[2], "linewidth": 1.5, "linestyle": (0, (6, 1.5, 1, 1.5))}


@dataclass(frozen=True)
class Published:
    """The number printed for an outcome, which its figures mark, in the unit of their axis, and the estimator that it
    is of, in words."""

    value: float
    estimator: str = ""

    @property
    def words(self) -> str:
        """``Published +40, lagged dependent variable``."""
        printed = number(self.value, short_decimals(self.value), signed=True)
        return ", ".join(filter(None, (f"Published {printed}", self.estimator)))

    @property
    def entry(self) -> Entry:
        """What the key says of its line."""
        return [PUBLISHED], self.words


def clustered(rows: pd.DataFrame, units: str) -> str:
    """Return what errors are clustered by, ``system``, or in the singular what ``units`` are; of rows of one level."""
    level = rows["cluster"].iloc[0]
    return singular(units) if level == "unit" else level


def key_rows(entries: Sequence[Entry], width: float = style.WIDTH) -> list[list[Entry]]:
    """Return the entries in rows no wider than a figure of ``width`` inches, one entry a row at least."""
    rows: list[list[Entry]] = [[]]
    for entry in entries:
        if rows[-1] and sum(_width(words) for _, words in [*rows[-1], entry]) > width - style.EDGE:
            rows.append([])
        rows[-1].append(entry)
    return rows if rows[0] else []


def _width(words: str) -> float:
    return 0.55 + style.text_width(words) + 0.3


def draw_key(figure: Figure, rows: Sequence[Sequence[Entry]], bottom: float) -> None:
    """Draw the rows of `key_rows`, `ROW` inches each, from ``bottom`` inches of the figure up."""
    across, up = figure.get_size_inches()
    for above, row in enumerate(reversed(rows)):
        x, y = style.EDGE, (bottom + (above + 0.5) * ROW) / up
        for lines, words in row:
            ends = [x / across, (x + 0.24) / across, (x + 0.48) / across]
            for settings in lines:
                figure.add_artist(Line2D(ends, [y, y, y], markevery=[1], **{"markersize": 7} | settings))
            figure.text((x + 0.55) / across, y, words, va="center", fontproperties=style.font())
            x += _width(words)
