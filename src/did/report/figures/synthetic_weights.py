"""Figure of the weights of synthetic difference-in-differences: whom the treated are compared with, and when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from did.errors import DidError, one_of
from did.report.figures import style
from did.report.figures.style import Frame
from did.report.figures.trends import time_axis
from did.words import count, number, period_name

COLUMNS = ["cohort", "kind", "label", "weight"]
NOTHING = "Synthetic difference-in-differences does not apply here: there are no weights."
# Donors with a bar.
MOST = 15
BAR, HEAD, FOOT, NAMES, GAP = 0.26, 0.35, 0.4, 3.6, 0.7
LEAST_HEIGHT = 2.6


@style.drawing
def synthetic_weights(weights: pd.DataFrame, frame: Frame, *, cohort: str) -> list[Path]:
    """Draw the unit weights of one cohort as bars, the largest first, alongside its time weights, and save.

    Parameters
    ----------
    weights : `did.estimators.Result.weights` of synthetic_did: cohort, kind (``unit`` or ``time``), label and weight, a
        share of 1. Fifteen units at most have a bar; the others are counted, and the subtitle says what they have
        together. Without time weights (synthetic control) there is one panel. Without any row the figure says that
        there are no weights. A missing weight is an error.
    cohort : the cohort, as in the table.
    frame : see ``style.Frame``; its units are what the donors are called.

    Returns the paths written. Raises DidError if a column or a weight is missing or the cohort has no row.

    >>> from tempfile import TemporaryDirectory
    >>> table = pd.DataFrame({"cohort": "2016", "kind": ["unit", "unit", "time"], "label": ["a", "b", "2015"],
    ...                       "weight": [0.7, 0.3, 1.0]})
    >>> with TemporaryDirectory() as folder:
    ...     paths = synthetic_weights(table, Frame(f"{folder}/w", "Weights", "", "made up"), cohort="2016")
    ...     "Largest weights: a 70.0%, b 30.0%. Largest time weight: 2015, 100.0%." in paths[2].read_text()
    True
    """
    if weights.empty:
        frame = frame.saying(NOTHING)
        return style.save(style.page(0.1, frame)[0], frame, f"{frame.title}. {NOTHING}",
                          weights.reindex(columns=COLUMNS))
    rows = _checked(weights, cohort)
    unit = rows[rows["kind"] == "unit"].sort_values("weight", ascending=False, kind="stable")
    time = rows[(rows["kind"] == "time") & rows.groupby("kind")["weight"].transform("any")]
    bars, rest = unit.head(MOST), unit.iloc[MOST:]
    labels, values = bars["label"].tolist(), bars["weight"].tolist()
    if len(rest):
        frame = frame.saying(f"The other {count(len(rest))} {frame.units} have {_share(rest['weight'].sum())} "
                             "together.")
    height = max(LEAST_HEIGHT, BAR * len(values))
    figure, bottom = style.page(height + HEAD + FOOT, frame)
    names = min(NAMES, 0.1 + max(map(style.text_width, labels)))
    room = style.WIDTH - 2 * style.EDGE - names - 0.6
    width = room if time.empty else (room - GAP) * 0.4
    left = style.EDGE + names
    axes = style.add_axes(figure, left, bottom + FOOT, width, height)
    _unit_bars(axes, labels, values, width)
    axes.set_title(f"Weights of {frame.units}", loc="left", pad=9, fontproperties=style.font(bold=True))
    if not time.empty:
        axes = style.add_axes(figure, left + width + GAP + 0.6, bottom + FOOT, room - width - GAP, height)
        _time_bars(axes, time)
        axes.set_title(f"Before {period_name(cohort)}", loc="left", pad=9,
                       fontproperties=style.font(bold=True))
    alt_text = " ".join(part for part in (
        f"{frame.title}. {frame.subtitle}".strip() + " Largest weights: "
        + ", ".join(f"{row.label} {_share(row.weight)}" for row in bars.head(5).itertuples()) + ".",
        _largest_period(time)) if part)
    return style.save(figure, frame, alt_text, rows[COLUMNS])


def _checked(weights: pd.DataFrame, cohort: str) -> pd.DataFrame:
    missing = [column for column in COLUMNS if column not in weights.columns]
    if missing:
        raise DidError(f"weights figure: expected columns {COLUMNS}; missing {missing}; use the weights of "
                       "synthetic_did")
    one_of("weights figure: cohort", cohort, list(dict.fromkeys(weights["cohort"])))
    rows = weights[weights["cohort"] == cohort].reset_index(drop=True)
    if rows["weight"].isna().any():
        lost = rows.loc[rows["weight"].isna(), "label"].iloc[0]
        raise DidError(f"weights figure: expected a weight in every row; found none of {lost}; use the weights of "
                       "synthetic_did")
    return rows


def _unit_bars(axes: Axes, labels: list[str], values: list[float], width: float) -> None:
    places = np.arange(len(values))
    axes.barh(places, values, height=0.7, color=style.PALETTE[0])
    top = max(values) or 1.0
    for place, value in zip(places, values, strict=True):
        axes.annotate(_share(value), (value, place), xytext=(4, 0), textcoords="offset points", va="center",
                      fontproperties=style.font())
    # Room for the number after the longest bar.
    axes.set_xlim(0, top * width / max(width - style.text_width("100.0%") - 0.1, 0.5))
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_yticks(places, [style.shortened(label, NAMES - 0.1) for label in labels])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _time_bars(axes: Axes, time: pd.DataFrame) -> None:
    frame = time.assign(period=time["label"], _at=[pd.Period(period).ordinal for period in time["label"]])
    axes.bar(frame["_at"], frame["weight"], width=0.8, color=style.PALETTE[1])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    time_axis(axes, frame)


def _largest_period(time: pd.DataFrame) -> str:
    if time.empty:
        return "No time weights."
    row = time.loc[time["weight"].idxmax()]
    return f"Largest time weight: {period_name(row['label'])}, {_share(row['weight'])}."


def _share(value: float) -> str:
    return f"{number(100 * value, 1)}%"
