"""A claim on a number under every specification: estimates in order, the printed value as a line, the default
marked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from did.errors import DidError
from did.project.claims import printed_range, rounds_to
from did.report.content.facts import CLUSTERS
from did.report.content.reproduction_text import decimals_beside, printed_words, specification_words
from did.report.figures import style
from did.report.figures.panes import PRINTED
from did.report.figures.style import Frame
from did.words import interval, listed, number, plural

# Up to this many specifications each has its name; beyond, only the extremes and the default have.
NAMED = 16
# Inches: from one specification to the next, with and without names; the column of names; above the first
# specification.
ROW, THIN, NAMES, ABOVE = 0.42, 0.065, 3.1, 0.55
DEFAULT = style.PALETTE[3]
NUMBERS = ["claim", "indicator", "specification", "design", "choices", "sample", "treatment", "estimator", "cluster",
           "estimate", "std_error", "ci_low", "ci_high", "p_value", "n_obs", "value_agrees", "sign_agrees",
           "significance_agrees", "n_agrees", "number"]


@style.drawing
def specifications_strip(rows: pd.DataFrame, frame: Frame, *, claim, default: str,
                         clusters: Mapping[str, str] = CLUSTERS) -> list[Path]:
    """Draw all specifications of one claim on a number, sorted by estimate, and save the figure.

    ``rows`` are those of the claim in the frame of `did.evidence.ranking.judged`, one per specification and cluster
    level; ``claim`` is its row of the claims (value, rounding, unit). A specification is a point with a thin 95%
    interval per cluster level: drawn in full by the first level, dashed by the second. A specification without an
    estimate is left out and counted in the subtitle, which also counts those that agree with the printed value.
    ``clusters``: level -> its name.

    Returns the paths of the picture (SVG, PNG), the numbers and the alternative text. Raises DidError if no
    specification has an estimate.
    """
    levels = list(dict.fromkeys(rows["cluster"]))
    wide = {level: rows.loc[(rows["cluster"] == level) & rows["estimate"].notna()].set_index("specification")
            for level in levels}
    order = wide[levels[0]].sort_values(["estimate", "n_choices"], kind="stable").index if levels else []
    if not len(order):
        raise DidError(f"claim {claim.claim}: expected an estimate under some specification to draw; found none")
    first = wide[levels[0]].loc[order]
    agreeing = [rounds_to(value, claim.value, claim.rounding) for value in first["estimate"]]
    lost = rows["specification"].nunique() - len(order)
    words = (f"{sum(agreeing)} of {plural(len(order), 'specification')} agree with what is printed, "
             f"{printed_words(claim)}"
             + (f"; {lost} without an estimate are left out" if lost else "") + ".")
    frame = frame.marked(rows).saying(words)
    all_named = len(order) <= NAMED
    step = ROW if all_named else max(THIN, 3.6 / len(order))
    deep = ABOVE + step * len(order) + 0.15
    heights = dict(zip(order, ABOVE + step * (np.arange(len(order)) + 0.5), strict=True))
    label = style.wrap(f"Estimate, {claim.unit}", style.WIDTH - NAMES - 0.4)
    feet = 0.5 + len(label) * style.line_height()
    figure, bottom = style.page(deep + feet, frame, footnote=_key(levels, clusters))
    axes = style.add_axes(figure, NAMES, bottom + feet, style.WIDTH - NAMES - 0.3, deep)
    _draw(axes, {level: table.loc[table.index.intersection(order)] for level, table in wide.items()}, heights,
          claim, default, thick=all_named)
    axes.set_ylim(deep, 0)
    named = list(order) if all_named else list(dict.fromkeys(
        [order[0], *([default] if default in heights else []), order[-1]]))
    labels = {name: _label(name, first.loc[name], default, float(claim.value)) for name in named}
    _names(axes, labels, heights, deep)
    figure.text((NAMES + (style.WIDTH - NAMES - 0.3) / 2) / style.WIDTH,
                (bottom + feet - 0.32) / figure.get_size_inches()[1], "\n".join(label), ha="center", va="top",
                fontproperties=style.font())
    numbers = pd.concat([wide[level].reindex(order).reset_index() for level in levels])[NUMBERS]
    numbers = numbers.assign(published_value=float(claim.value))
    return style.save(figure, frame, _alt_text(frame, first, default, claim), numbers)


def _draw(axes: Axes, wide: dict[str, pd.DataFrame], heights: dict[str, float], claim, default: str, *,
          thick: bool) -> None:
    value, span = float(claim.value), [float(end) for end in printed_range(claim.value, claim.rounding)]
    everything = [value, 0.0, *span]
    for frame in wide.values():
        everything += frame[["estimate", "ci_low", "ci_high"]].to_numpy(float)[
            np.isfinite(frame[["estimate", "ci_low", "ci_high"]].to_numpy(float))].tolist()
    low, high = min(everything), max(everything)
    room = 0.06 * (high - low or 1.0)
    axes.set(xlim=(low - room, high + room), yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(style.plain_ticks)
    axes.axvline(0, color=style.INK, linewidth=1.2, zorder=1)
    axes.axvspan(*span, color=PRINTED, alpha=0.12, linewidth=0, zorder=0)
    axes.axvline(value, color=PRINTED, linewidth=2, zorder=1)
    rightward = value < (low + high) / 2
    axes.annotate(f"printed {printed_words(claim)}", (value, 0.2), xytext=(6 if rightward else -6, 0),
                  textcoords="offset points", va="center", ha="left" if rightward else "right", bbox=style.CLEAR,
                  fontproperties=style.font(bold=True))
    gap = 0.1 if thick else 0.018
    for place, frame in enumerate(wide.values()):
        _, colour, dashes = style.MARKS[place % len(style.MARKS)]
        for name, row in frame.iterrows():
            if pd.notna(row["ci_low"]):
                y = heights[name] + gap * place
                axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, linewidth=1.6 if thick else 0.8,
                          linestyle=dashes, zorder=2, alpha=1 if thick else 0.75)
    frame = next(iter(wide.values()))
    others = frame.loc[frame.index != default]
    axes.plot(others["estimate"], [heights[name] for name in others.index], marker="o", linestyle="none",
              color=style.PALETTE[0], markersize=6 if thick else 3.2, zorder=3)
    if default in frame.index:
        axes.plot(frame.loc[default, "estimate"], heights[default], marker="D", linestyle="none", markersize=9,
                  markerfacecolor=DEFAULT, markeredgecolor="white", zorder=4)


def _names(axes: Axes, labels: dict[str, list[str]], heights: dict[str, float], deep: float) -> None:
    """Write names left of the pane, each at its specification or as near as the names before leave room, joined to
    it."""
    width = style.WIDTH - NAMES - 0.3
    place = axes.get_yaxis_transform()
    half = {name: len(lines) * style.line_height() / 2 for name, lines in labels.items()}
    order = sorted(labels, key=heights.get)
    where, free = {}, 0.0
    for name in order:
        where[name] = max(heights[name], free + half[name])
        free = where[name] + half[name] + 0.08
    limit = deep
    for name in reversed(order):
        where[name] = min(where[name], limit - half[name])
        limit = where[name] - half[name] - 0.08
    for name in order:
        bold = labels[name][0].startswith("Default")
        axes.text((style.EDGE - NAMES) / width, where[name], "\n".join(labels[name]), va="center", transform=place,
                  fontproperties=style.font(bold=bold), linespacing=1.15)
        axes.plot([-0.12 / width, 0], [where[name], heights[name]], transform=place, color=style.INK, linewidth=0.8,
                  clip_on=False)
        axes.axhline(heights[name], color=style.GRID, linewidth=0.8, zorder=0)


def _label(name: str, row: pd.Series, default: str, value: float) -> list[str]:
    """A specification's name and estimate as lines that fit the column of names."""
    words = "Default" if name == default else specification_words(row["choices"])
    return style.wrap(f"{words}: {number(row['estimate'], decimals_beside(row['std_error'], value))}",
                      NAMES - style.EDGE - 0.25, bold=name == default)


def _key(levels: list[str], clusters: Mapping[str, str]) -> str:
    lines = ["full", "dashed", "dotted"]
    named = [f"{line} {clusters[level]}" for line, level in zip(lines, levels, strict=False)]
    return (f"Points: specifications in order of their estimate; diamond: the default. 95% intervals: {listed(named)}. "
            "Shaded: what the printed number stands for.")


def _alt_text(frame: Frame, first: pd.DataFrame, default: str, claim) -> str:
    low, high = first.iloc[0], first.iloc[-1]
    decimals = decimals_beside(first["std_error"].min(), float(claim.value))
    parts = [f"Strip chart of specifications sorted by estimate. {frame.title}. {frame.subtitle}",
             f"Lowest {number(low['estimate'], decimals)} ({specification_words(low['choices'])}), highest "
             f"{number(high['estimate'], decimals)} ({specification_words(high['choices'])}) {claim.unit}."]
    if default in first.index:
        row = first.loc[default]
        parts.append(f"Default {number(row['estimate'], decimals)}, 95% interval "
                     f"{interval(row['ci_low'], row['ci_high'], decimals)}.")
    return " ".join(parts)
