"""Estimators side by side over event time, where each wave is treated from its own date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from did.errors import DidError
from did.report.content.facts import CLUSTERS, DAGGER, averaged_by, few_treated_note
from did.report.figures import style
from did.report.figures.event_study import (
    KEY_ROW,
    MANY,
    TimeAxis,
    draw_bands,
    draw_key,
    draw_points,
    event_axis,
    is_reference,
    key_rows,
    treated_words,
)
from did.report.figures.style import Frame
from did.words import decimals_for, interval, number, short_decimals

COLUMNS = [
    "indicator",
    "specification",
    "estimator",
    "estimand",
    "event_time",
    "cluster",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "band_low",
    "band_high",
    "published_value",
    "n_obs",
    "n_units",
    "n_treated",
    "n_clusters",
    "n_treated_clusters",
    "note",
    "is_synthetic",
]
PANEL = 2.0  # inches of each estimator's panel
HEAD = 0.3  # inches around its heading
# Line of the published number, and the room right of the panels for it in digits.
PUBLISHED = {"color": style.PALETTE[2], "linewidth": 1.5, "linestyle": (0, (6, 1.5, 1, 1.5))}
MARGIN = 0.6
NOT_PRINTED = "The report prints no number for this outcome."


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


NO_NUMBER = PublishedNumber()


@style.drawing
def estimators_over_event_time(
    estimates: pd.DataFrame,
    frame: Frame,
    *,
    estimators: Mapping[str, str],
    axis: TimeAxis,
    published: PublishedNumber = NO_NUMBER,
    clusters: Mapping[str, str] = CLUSTERS,
) -> list[Path]:
    """Draw one panel per estimator on common axes, and save the figure.

    Parameters
    ----------
    estimates : rows of the estimates table of one indicator, specification, sample and treatment. Rows with estimand
        ``event_time`` are drawn, with their uniform band where there is one; ``overall`` gives the average that
        stands over each panel (for two-way fixed effects by event time, that of the one coefficient).
    estimators : name -> what it is called, from the top; one without rows over event time is left out.
    published : the printed number, a line over the periods after onset of every panel.
    clusters : cluster levels, the first as points or filled band, others alongside or as dashed edges.
    axis, frame : as in ``event_study``.

    The number of treated clusters of the last level stands under the axis at every tick, with the dagger where an
    estimate's note says that it rests on few treated units. Event times that not every estimator has are drawn for
    those that have them. The numbers hold both the drawn rows and the averages. Returns the paths written. Raises
    DidError if no estimator has a row over event time.
    """
    named = estimates["cluster"].isin(list(clusters)) & estimates["estimate"].notna()
    rows = estimates[named & estimates["estimand"].eq("event_time") & estimates["estimator"].isin(list(estimators))]
    shown = {name: words for name, words in estimators.items() if (rows["estimator"] == name).any()}
    if not shown:
        raise DidError(f"estimates table: no effect over event time by {', '.join(estimators)}; run the fit stage with "
                       "staggered_estimators, or leave the figure out")
    averages = estimates[named & estimates["estimand"].eq("overall")]
    overall = {name: averages[averages["estimator"] == averaged_by().get(name, name)] for name in shown}
    numbers = _ordered(pd.concat([rows, *overall.values()]), clusters).assign(
        published_value=float("nan") if published.value is None else published.value)
    rows = _ordered(rows, clusters).astype({"event_time": int})
    frame = frame.marked(rows)
    many = rows["event_time"].nunique() > MANY
    is_printed = published.value is not None
    key = key_rows(clusters, many, bool(rows["band_low"].notna().any()),
                   *([([PUBLISHED], _printed(published))] if is_printed else []))
    heads = 2 * style.line_height() + HEAD
    foot = 1.2
    frame = frame.saying(f"Each wave from its own date: {treated_words(rows, frame.units, list(clusters))}")
    if published.is_missed:
        frame = frame.saying(NOT_PRINTED)
    footnote = few_treated_note(rows["few_treated"], frame.units)
    top = len(shown) * (PANEL + heads) + foot
    figure, bottom = style.page(top + len(key) * KEY_ROW, frame, footnote=footnote)
    top += bottom
    draw_key(figure, key, top)
    limits = _limits(rows, published.value)
    for name, words in shown.items():
        here = rows[rows["estimator"] == name]
        last = name == list(shown)[-1]
        axes = style.add_axes(figure, 0.85, top - heads - PANEL,
                              style.WIDTH - 1.05 - (MARGIN - 0.2 if is_printed else 0), PANEL)
        axes.axhline(0, color=style.INK, linewidth=1.2, zorder=1)
        axes.axvline(-0.5, color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        for level, cluster in enumerate(clusters):
            (draw_bands if many else draw_points)(axes, here[here["cluster"] == cluster], level, len(clusters))
        reference = here[(here["cluster"] == next(iter(clusters))) & is_reference(here)]
        axes.plot(reference["event_time"], reference["estimate"], marker="o", markersize=8, zorder=5,
                  markerfacecolor="white", markeredgecolor=style.MARKS[0][1], markeredgewidth=2, linestyle="none")
        axes.set_ylim(limits)
        event_axis(axes, rows["event_time"], axis.tick_every, axis.label if last else "")
        axes.set_ylim(limits)
        if is_printed:
            _published_line(axes, published.value)
        if last:
            _counts_under(axes, rows, list(clusters)[-1])
        else:
            axes.tick_params(labelbottom=False)
        _heading(figure, axes, words, overall[name], clusters)
        top -= heads + PANEL
    alt_text = (f"Chart of effects over event time in {len(shown)} panels, one per estimator. {frame.title}. "
                + f"{frame.subtitle} "
                + (f"{_printed(published)}. " if is_printed else "")
                + " ".join(_panel_in_words(rows[rows["estimator"] == name], words, overall[name], clusters)
                           for name, words in shown.items()))
    return style.save(figure, frame, f"{alt_text} {footnote}".strip(), numbers[COLUMNS])


def _ordered(rows: pd.DataFrame, clusters: Mapping[str, str]) -> pd.DataFrame:
    """Rows by estimator, estimand, cluster level and event time, whatever order they came in."""
    levels = {cluster: place for place, cluster in enumerate(clusters)}
    return rows.assign(level=rows["cluster"].map(levels)).sort_values(
        ["estimator", "estimand", "level", "event_time"], kind="stable").drop(columns="level")


def _printed(published: PublishedNumber) -> str:
    return f"Published {number(published.value, short_decimals(published.value), signed=True)}, {published.estimator}"


def _limits(rows: pd.DataFrame, published: float | None) -> tuple[float, float]:
    """Common limits of the value axis: those of every interval, band and printed number, with a little room."""
    stated = [0.0] + ([] if published is None else [published])
    low = min([rows[["ci_low", "band_low", "estimate"]].min().min(), *stated])
    high = max([rows[["ci_high", "band_high", "estimate"]].max().max(), *stated])
    room = 0.08 * (high - low)
    return low - room, high + room


def _average(overall: pd.DataFrame, clusters: Mapping[str, str]) -> str:
    """``average 14.5 (95% interval -29.1 to 58.1 by area, -32.2 to 61.2 by system)``; of the two-way estimator, whose
    coefficient is no plain average, ``one coefficient 14.5 (...)``."""
    if overall.empty:
        return "no average"
    rows = {row.cluster: row for row in overall.itertuples()}
    ordered = [rows[cluster] for cluster in clusters if cluster in rows]
    decimals = decimals_for(ordered[0].std_error)
    parts = [f"{interval(row.ci_low, row.ci_high, decimals)} {clusters[row.cluster]}" for row in ordered]
    what = "one coefficient" if ordered[0].estimator in averaged_by().values() else "average"
    return f"{what} {number(ordered[0].estimate, decimals)} (95% interval {', '.join(parts)})"


def _panel_in_words(rows: pd.DataFrame, name: str, overall: pd.DataFrame, clusters: Mapping[str, str]) -> str:
    """``Stacked: average 14.5 (...); before onset from -20.1 to 3.4.``"""
    before = rows[(rows["event_time"] < 0) & (rows["cluster"] == next(iter(clusters))) & ~is_reference(rows)]
    decimals = decimals_for(before["std_error"].median() if len(before) else None)
    leads = (f"; before onset from {interval(before['estimate'].min(), before['estimate'].max(), decimals)}"
             if len(before) else "; no effects before onset are drawn")
    return f"{name}: {_average(overall, clusters)}{leads}."


def _published_line(axes, value: float) -> None:
    """The printed number over the periods after onset, and in digits at the end of the line."""
    end = axes.get_xlim()[1]
    axes.plot([-0.5, end], [value, value], **PUBLISHED, zorder=4.5)
    axes.annotate(number(value, short_decimals(value), signed=True), (end, value), xytext=(4, 0), va="center",
                  textcoords="offset points", color=PUBLISHED["color"], fontproperties=style.font(),
                  annotation_clip=False)


def _heading(figure, axes, name: str, overall: pd.DataFrame, clusters: Mapping[str, str]) -> None:
    """Over a panel: the estimator, and its average effect with the interval of every clustering."""
    across, up = figure.get_size_inches()
    y = axes.get_position().y1 + HEAD / 2 / up
    figure.text(style.EDGE / across, y + style.line_height() / up, name, va="bottom",
                fontproperties=style.font(bold=True))
    average = _average(overall, clusters)
    figure.text(style.EDGE / across, y, f"{average[:1].upper()}{average[1:]}", va="bottom", fontproperties=style.font())


def _counts_under(axes, rows: pd.DataFrame, cluster: str) -> None:
    """Under the axis of the last panel: how many treated clusters each ticked event time rests on."""
    counts = rows[rows["cluster"] == cluster].groupby("event_time")["n_treated_clusters"].max()
    few = set(rows.loc[rows["few_treated"], "event_time"])
    first, last = axes.get_xlim()
    for tick in axes.get_xticks():
        if first <= tick <= last and int(tick) in counts.index:
            axes.annotate(f"{counts[int(tick)]:,}{DAGGER if tick in few else ''}", (tick, 0),
                          xycoords=("data", "axes fraction"), xytext=(0, -62), textcoords="offset points",
                          ha="center", va="top", fontproperties=style.font())
    axes.annotate(f"Treated {cluster}s at each tick", (0, 0), xycoords="axes fraction", xytext=(0, -44),
                  textcoords="offset points", ha="left", va="top", fontproperties=style.font())
