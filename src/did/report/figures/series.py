"""Figures of the outcome itself over time: the mean of each wave alongside that of units without a wave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from did.errors import DidError
from did.report.figures import key, style
from did.report.figures.style import Frame
from did.report.figures.trends import LOOKS, time_axis, yearly_markers
from did.words import count, decimals_for, number, period_name

COLUMNS = ["period", "wave", "first_treated", "counts_as", "mean", "n_units"]
TREATED, COMPARISON = "treated", "comparison"
PLOT, HEAD, FOOT, GAP, LEFT = 2.1, 0.45, 0.5, 0.45, 0.75  # inches of a panel, above, under, alongside and left of it
MOST = 8  # panels
FEW = 24  # periods with a marker each


def wave_means(panel: pd.DataFrame, onsets: Mapping[int, str] | None = None) -> pd.DataFrame:
    """Return the mean outcome of each wave in each period, and that of the units without a wave.

    ``panel`` is the panel table of one indicator under one specification; ``onsets`` are the first treated periods (ISO
    text) of waves that the specification leaves among the comparison. Columns period, wave (missing where units have
    none), first_treated (of the specification or, for a wave in the comparison, of ``onsets``; missing if neither has
    it), counts_as (``treated`` or ``comparison`` under the specification), mean (unit of the outcome, over the units
    observed, each counted once; missing if none is) and n_units (observed). Units of a wave with different dates are
    separate. In order of first date; the units without wave or date are last.
    """
    onsets = onsets or {}
    frame = panel.assign(cohort=panel["cohort"].astype("string"))
    means = (frame.groupby(["cohort", "wave", "period"], dropna=False)["outcome"].agg(["mean", "count"])
             .reset_index().rename(columns={"count": "n_units"}))
    means["counts_as"] = np.where(means["cohort"].notna(), TREATED, COMPARISON)
    means["first_treated"] = means["cohort"].fillna(means["wave"].map(onsets).astype("string"))
    means["wave"] = means["wave"].astype("Int64")
    means = means.sort_values(["first_treated", "wave", "counts_as", "period"], kind="stable", na_position="last")
    return means[COLUMNS].reset_index(drop=True)


@style.drawing
def series_by_wave(means: pd.DataFrame, frame: Frame) -> list[Path]:
    """Draw one panel per wave, each alongside the units without a wave, on common axes, and save the figure.

    Parameters
    ----------
    means : as from `wave_means`. Of more than `MOST` waves the ones with most units are
        drawn, which the subtitle says. A missing mean is a gap in its line.
    frame : see ``style.Frame``.

    A vertical line stands before the first treated period of a panel's wave, if that lies in the window. Returns
    the paths written. Raises DidError if no wave has a row.
    """
    means = means.assign(_at=[pd.Period(period).ordinal for period in means["period"]])
    others, waves = _others(means), _waves(means)
    if not waves:
        raise DidError("series by wave: expected units with a wave or a date of treatment; found none; correct the "
                       "table of waves")
    drawn = sorted(sorted(range(len(waves)), key=lambda at: -waves[at]["n_units"].max())[:MOST])
    if len(drawn) < len(waves):
        frame = frame.saying(f"The {len(drawn)} largest of {len(waves)} waves; the numbers have all.")
    marked = "o" if means["period"].nunique() <= FEW else None
    entries = key.key_rows([([_look(0) | {"marker": marked}], "The wave"),
                            *([([_look(1) | {"marker": marked and LOOKS[1][2]}], _others_words(others, frame.units))]
                              if len(others) else [])])
    columns = min(2, len(drawn))
    rows = -(-len(drawn) // columns)
    heads = [style.wrap(_heading(waves[at], frame.units), style.WIDTH / columns - LEFT, bold=True) for at in drawn]
    head = HEAD + (max(map(len, heads)) - 1) * style.line_height()
    tall = rows * (PLOT + head + FOOT)
    said = 0.3 if frame.axis_unit else 0.0
    figure, bottom = style.page(tall + len(entries) * key.ROW + said, frame)
    figure.text(style.EDGE / style.WIDTH, (bottom + tall + 0.1) / figure.get_size_inches()[1], frame.axis_unit,
                va="center", color=style.INK, fontproperties=style.font())
    key.draw_key(figure, entries, bottom + tall + said)
    width = (style.WIDTH - LEFT - style.EDGE - (columns - 1) * GAP) / columns
    shown = pd.concat([others, *(waves[at] for at in drawn)])
    low, high = shown["mean"].min(), shown["mean"].max()
    limits = (low - 0.06 * (high - low or 1), high + 0.22 * (high - low or 1))
    for place, (at, heading) in enumerate(zip(drawn, heads, strict=True)):
        row, column = divmod(place, columns)
        axes = style.add_axes(figure, LEFT + column * (width + GAP),
                              bottom + (rows - 1 - row) * (PLOT + head + FOOT) + FOOT, width, PLOT)
        _panel(axes, waves[at], others, means, limits)
        axes.set_title("\n".join(heading), loc="left", pad=9, fontproperties=style.font(bold=True))
        axes.tick_params(axis="y", labelleft=column == 0)
    return style.save(figure, frame, _alt_text(frame, waves, others), means[COLUMNS])


def _others(means: pd.DataFrame) -> pd.DataFrame:
    """The units that have neither wave nor date: one series, or none."""
    return means[means["wave"].isna() & means["counts_as"].eq(COMPARISON)]


def _waves(means: pd.DataFrame) -> list[pd.DataFrame]:
    rest = means.drop(_others(means).index)
    return [rows for _, rows in rest.groupby(["first_treated", "wave", "counts_as"], dropna=False, sort=False)]


def _look(place: int) -> dict:
    colour, dashes, marker = LOOKS[place]
    return {"color": colour, "linestyle": dashes, "linewidth": 2, "marker": marker}


def _name(wave: pd.DataFrame) -> str:
    """What a wave is called: ``Wave 1, from June 2017``."""
    first = wave.iloc[0]
    name = [] if pd.isna(first["wave"]) else [f"wave {first['wave']}"]
    if pd.notna(first["first_treated"]):
        since = f"from {period_name(first['first_treated'])}"
        name.append(since if first["counts_as"] == TREATED else f"{since}, in the comparison")
    else:
        name.append("in the comparison")
    words = ", ".join(name)
    return words[:1].upper() + words[1:]


def _counted(rows: pd.DataFrame, units: str) -> str:
    low, high = int(rows["n_units"].min()), int(rows["n_units"].max())
    return f"{count(high)} {units}" if low == high else f"{count(low)} to {count(high)} {units}"


def _heading(wave: pd.DataFrame, units: str) -> str:
    return f"{_name(wave)}: {_counted(wave, units)}"


def _others_words(others: pd.DataFrame, units: str) -> str:
    return f"In no wave: {_counted(others, units)}"


def _panel(axes: Axes, wave: pd.DataFrame, others: pd.DataFrame, means: pd.DataFrame,
           limits: tuple[float, float]) -> None:
    few = means["period"].nunique() <= FEW
    for place, rows in reversed(list(enumerate([wave, others]))):
        if len(rows):
            axes.plot(rows["_at"], rows["mean"], **_look(place), markersize=6 if few else 5, zorder=4 - place,
                      markevery=1 if few else yearly_markers(rows))
    first, last = means["_at"].min(), means["_at"].max()
    since = wave["first_treated"].iloc[0]
    at = pd.Period(since).ordinal if pd.notna(since) else None
    if at is not None and first < at <= last:
        axes.axvline(at - 0.5, color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=2)
        rightward = at - first < 0.6 * (last - first)
        axes.annotate(f"from {period_name(since)}", (at - 0.5, limits[1]), xytext=(5 if rightward else -5, -2),
                      textcoords="offset points", va="top", ha="left" if rightward else "right",
                      fontproperties=style.font(), bbox=style.CLEAR)
    edge = 0.02 * (last - first) + 0.5
    axes.set(xlim=(first - edge, last + edge), ylim=limits)
    time_axis(axes, means)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(style.plain_ticks)
    axes.grid(axis="y", color=style.GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _alt_text(frame: Frame, waves: list[pd.DataFrame], others: pd.DataFrame) -> str:
    sentences = [f"Line charts of mean outcomes, one for each wave. {frame.title}. {frame.subtitle}"]
    decimals = decimals_for(float(np.nanstd(pd.concat([*waves, others])["mean"])) / 10)
    for rows, name in [*((wave, _heading(wave, frame.units)) for wave in waves),
                       *([(others, _others_words(others, frame.units))] if len(others) else [])]:
        ends = rows.dropna(subset="mean").iloc[[0, -1]]
        first, last = (f"{number(row.mean_, decimals)} in {period_name(row.period)}"
                       for row in ends.rename(columns={"mean": "mean_"}).itertuples())
        sentences.append(f"{name}, {first} and {last} ({frame.unit}).")
    return " ".join(" ".join(sentences).split())
