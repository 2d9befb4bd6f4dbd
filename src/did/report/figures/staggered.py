"""Estimators side by side over event time, where each wave is treated from its own date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from did.errors import DidError
from did.report.content.facts import DAGGER, averaged_by, few_treated_note
from did.report.figures import key, style
from did.report.figures.event_study import (
    TimeAxis,
    checked_path,
    clustered,
    draw_path,
    event_axis,
    is_long,
    is_reference,
    key_entries,
    treated_words,
)
from did.report.figures.style import Frame
from did.words import decimals_for, interval, number, short_decimals

COLUMNS = ["indicator", "specification", "estimator", "estimand", "event_time", "cluster", "estimate", "std_error",
           "ci_low", "ci_high", "band_low", "band_high", "published_value", "n_obs", "n_units", "n_treated",
           "n_clusters", "n_treated_clusters", "note"]
# Inches: a pane, what stands over it (its heading and the line under that), from one row of panes to the next, under
# the last row, between two panes, left of each.
PANE, HEAD, BETWEEN, FOOT, GAP, LEFT = 1.9, 0.75, 0.3, 1.15, 0.25, 0.75
# Line of the published number.
PUBLISHED = {"color": style.PALETTE[2], "linewidth": 1.5, "linestyle": (0, (6, 1.5, 1, 1.5))}
NOT_PRINTED = "No number was printed for this outcome."
NO_LEADS = "not estimated\nbefore onset"


@dataclass(frozen=True)
class PublishedNumber:
    """The number printed for an outcome, which its figures mark.

    value : in the unit of the figure's axis; None where none is printed, which the figure says where results were
        published to compare with (``is_compared``).
    estimator : the one that the number is of, in words.
    """

    value: float | None = None
    estimator: str = ""
    is_compared: bool = True

    @property
    def is_missed(self) -> bool:
        """Whether the figure has to say that no number is printed."""
        return self.value is None and self.is_compared

    @property
    def words(self) -> str:
        """``Published +40``."""
        return "" if self.value is None else f"Published {number(self.value, short_decimals(self.value), signed=True)}"


NO_NUMBER = PublishedNumber()


@style.drawing
def estimators_over_event_time(estimates: pd.DataFrame, frame: Frame, *, estimators: Mapping[str, str],
                               axis: TimeAxis, published: PublishedNumber = NO_NUMBER) -> list[Path]:
    """Draw one pane per estimator on common axes, two in a row, and save the figure.

    Parameters
    ----------
    estimates : rows of the estimates table of one indicator, specification, sample, treatment and cluster level. Rows
        with estimand ``event_time`` are drawn, without their uniform band, for which a pane is small; ``overall`` gives
        the average that stands over each pane (for two-way fixed effects by event time, that of the one coefficient).
    estimators : name -> what it is called, in order; one without rows over event time is left out.
    published : the printed number, a line over the periods after onset of every pane.
    axis, frame : as in ``event_study``.

    The number of treated clusters stands under the axis at every tick, with the dagger where an estimate rests on few
    treated units. Event times that not every estimator has are drawn for those that have them; a pane without effects
    before onset says so. Returns the paths written. Raises DidError if no estimator has a row over event
    time.
    """
    estimates = estimates[estimates["estimate"].notna()]
    rows = estimates[estimates["estimand"].eq("event_time") & estimates["estimator"].isin(list(estimators))]
    shown = {name: words for name, words in estimators.items() if (rows["estimator"] == name).any()}
    if not shown:
        raise DidError(f"estimates table: no effect over event time by {', '.join(estimators)}; run the fit stage with "
                       "staggered_estimators, or leave the figure out")
    paths = {name: checked_path(rows[rows["estimator"] == name]) for name in shown}
    numbers = pd.concat(paths.values())
    paths = {name: path.assign(band_low=float("nan"), band_high=float("nan")) for name, path in paths.items()}
    rows = pd.concat(paths.values())
    averages = estimates[estimates["estimand"].eq("overall")]
    overall = {name: averages[averages["estimator"] == averaged_by().get(name, name)] for name in shown}
    frame = frame.marked(rows).saying(f"Each wave from its own date: {treated_words(rows, frame.units)}")
    if published.is_missed:
        frame = frame.saying(NOT_PRINTED)
    footnote = few_treated_note(rows["few_treated"], frame.units)
    printed: list[key.Entry] = [] if published.value is None else [([PUBLISHED], _printed(published))]
    entries = key.key_rows(key_entries(rows, frame.units, *printed))
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    width = (style.WIDTH - columns * LEFT - (columns - 1) * GAP - style.EDGE) / columns
    deep = lines * (PANE + HEAD) + (lines - 1) * BETWEEN
    figure, bottom = style.page(deep + FOOT + len(entries) * key.ROW + 0.1, frame, footnote=footnote)
    key.draw_key(figure, entries, bottom + FOOT + deep + 0.1)
    limits = _limits(rows, published.value)
    for place, (name, words) in enumerate(shown.items()):
        row, column = divmod(place, columns)
        is_last = place + columns >= len(shown)
        axes = style.add_axes(figure, LEFT + column * (width + LEFT + GAP),
                              bottom + FOOT + deep - (row + 1) * (PANE + HEAD) - row * BETWEEN, width, PANE)
        draw_path(axes, paths[name], as_line=is_long(rows["event_time"]))
        axes.set_ylim(limits)
        event_axis(axes, rows["event_time"], axis.tick_every, axis.label if is_last else "")
        axes.set_ylim(limits)
        if paths[name]["event_time"].min() >= 0 > rows["event_time"].min():
            axes.text((rows["event_time"].min() - 0.5) / 2, limits[0] + 0.72 * (limits[1] - limits[0]), NO_LEADS,
                      ha="center", va="center", fontproperties=style.font(), bbox=style.CLEAR)
        if published.value is not None:
            axes.plot([-0.5, axes.get_xlim()[1]], [published.value] * 2, **PUBLISHED, zorder=4.5)
        axes.tick_params(labelbottom=is_last)
        if row == lines - 1 and column == 0:
            _counts_under(axes, rows, frame.units)
        _heading(figure, axes, words, overall[name], width)
    alt_text = (f"Chart of effects over event time in {len(shown)} panes, one per estimator. {frame.title}. "
                f"{frame.subtitle} " + (f"{_printed(published)}. " if printed else "")
                + " ".join(_pane_in_words(paths[name], words, overall[name]) for name, words in shown.items()))
    numbers = pd.concat([numbers, *overall.values()]).assign(
        published_value=float("nan") if published.value is None else published.value)
    return style.save(figure, frame, f"{alt_text} {footnote}", numbers[COLUMNS])


def _printed(published: PublishedNumber) -> str:
    return f"{published.words}, {published.estimator}"


def _limits(rows: pd.DataFrame, published: float | None) -> tuple[float, float]:
    """Common limits of the value axis: those of every interval and printed number, with a little room."""
    stated = [0.0] + ([] if published is None else [published])
    low = min([rows[["ci_low", "estimate"]].min().min(), *stated])
    high = max([rows[["ci_high", "estimate"]].max().max(), *stated])
    room = 0.08 * (high - low)
    return low - room, high + room


def _average(overall: pd.DataFrame) -> str:
    """``average 14.5 (95% interval -29.1 to 58.1)``; of the two-way estimator, whose coefficient is no plain average,
    ``one coefficient 14.5 (...)``."""
    if overall.empty:
        return "no average"
    row = overall.iloc[0]
    decimals = decimals_for(row["std_error"])
    what = "one coefficient" if row["estimator"] in averaged_by().values() else "average"
    return f"{what} {number(row['estimate'], decimals)} ({interval(row['ci_low'], row['ci_high'], decimals)})"


def _pane_in_words(rows: pd.DataFrame, name: str, overall: pd.DataFrame) -> str:
    """``Stacked: average 14.5 (...); before onset from -20.1 to 3.4.``"""
    before = rows[(rows["event_time"] < 0) & ~is_reference(rows)]
    decimals = decimals_for(before["std_error"].median() if len(before) else None)
    leads = (f"; before onset from {interval(before['estimate'].min(), before['estimate'].max(), decimals)}"
             if len(before) else "; no effects before onset are drawn")
    return f"{name}: {_average(overall)}{leads}."


def _heading(figure: Figure, axes: Axes, name: str, overall: pd.DataFrame, width: float) -> None:
    """Over a pane: the estimator, and its average effect with the interval."""
    across, up = figure.get_size_inches()
    box = axes.get_position()
    average = _average(overall)
    for place, (words, bold) in enumerate(((f"{average[:1].upper()}{average[1:]}", False), (name, True))):
        figure.text(box.x0 - (LEFT - style.EDGE) / across, box.y1 + (0.13 + place * style.line_height()) / up,
                    style.shortened(words, width + LEFT - style.EDGE, bold=bold), va="bottom",
                    fontproperties=style.font(bold=bold))


def _counts_under(axes: Axes, rows: pd.DataFrame, units: str) -> None:
    """Under the axis of a pane: how many treated clusters each ticked event time rests on."""
    counts = rows.groupby("event_time")["n_treated_clusters"].max()
    few = set(rows.loc[rows["few_treated"], "event_time"])
    first, last = axes.get_xlim()
    for tick in axes.get_xticks():
        if first <= tick <= last and int(tick) in counts.index:
            axes.annotate(f"{counts[int(tick)]:,}{DAGGER if tick in few else ''}", (tick, 0),
                          xycoords=("data", "axes fraction"), xytext=(0, -62), textcoords="offset points",
                          ha="center", va="top", fontproperties=style.font())
    axes.annotate(f"Treated {clustered(rows, units)}s at each tick", (0, 0), xycoords="axes fraction",
                  xytext=(0, -44), textcoords="offset points", ha="left", va="top", fontproperties=style.font())
