"""Figures of coefficients: the published report's four panes, drawn from the estimates table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from did.errors import DidError
from did.outputs import style
from did.outputs.facts import CLUSTERS, SAMPLES, TREATMENTS, select
from did.outputs.text import decimals_for, interval, listed, number, plural, short_decimals

NUMBERS = ["indicator", "reading", "sample", "treatment", "estimator", "event_time", "cluster", "estimate",
           "std_error", "ci_low", "ci_high", "band_low", "band_high", "p_value", "n_obs", "n_units", "n_treated",
           "n_clusters", "n_treated_clusters", "note"]
PRINTED = style.PALETTE[2]

# Lengths in inches of the rows of a coefficient pane.
LINE, ABOVE, BETWEEN = 0.24, 0.34, 0.2


@dataclass(frozen=True)
class _Row:
    """One outcome in a row of panes: its name and the height, from the top, of each of its lines."""

    indicator: str
    name: list[str]
    clusters: dict[str, float]
    printed: float | None


def coefficient_panes(
    estimates: pd.DataFrame,
    *,
    outcomes: Mapping[str, str],
    estimator: str,
    reading: str,
    stem: str | Path,
    title: str,
    subtitle: str,
    source: str,
    axis_labels: Mapping[str, str],
    clusters: Mapping[str, str] = CLUSTERS,
    samples: Mapping[str, str] = SAMPLES,
    treatments: Mapping[str, str] = TREATMENTS,
    published: pd.DataFrame | None = None,
    units: str = "areas",
    is_synthetic: bool = False,
) -> list[Path]:
    """Draw one estimator's coefficients in panes, samples across and treatments down, and save the figure.

    Layout of Figure 6 (and 4) of the evaluation: a line per outcome and cluster level with its 95% interval,
    zero marked, and what was printed as a hollow diamond.

    Parameters
    ----------
    estimates : rows of the estimates table; one row per outcome, sample, treatment and cluster is drawn. A
        row that is not there is written as "not estimated"; a missing interval leaves the point alone.
    outcomes : indicator -> its name in the figure, from the top; may be of any number.
    estimator, reading : values of those columns to draw.
    axis_labels : treatment -> unit of its coefficient, as "days per 100,000 adults per month".
    clusters, samples, treatments : values of those columns to draw -> their names in the figure.
    published : columns indicator, treatment, sample, published_value in the unit of the axis (rows may
        repeat, as they do by cluster level in ``reproduction.csv``); missing values are not drawn.
    units : what the units are called ("areas"), for the count of treated units over each pane.
    stem, title, subtitle, source : where to save and what to write around the panes; see ``style.page``.
    is_synthetic : also taken to be so if any row drawn is marked synthetic.

    Returns the paths of the picture (SVG, PNG), the numbers and the alternative text.
    Raises DidError if no row is left to draw, or if a coefficient is there twice.
    """
    rows = _coefficients(estimates, outcomes, estimator, reading, clusters, samples, treatments)
    printed = _printed(published, outcomes, samples, treatments)
    is_synthetic = is_synthetic or bool(rows["is_synthetic"].any())
    names = {indicator: style.wrap(name, 1.6, bold=True) for indicator, name in outcomes.items()}
    left = (style.EDGE + max(style.text_width(line, bold=True) for lines in names.values() for line in lines)
            + 0.15 + max(style.text_width(word) for word in [*clusters.values(), "as printed"]) + 0.12)
    layout = {treatment: _rows(names, list(clusters), printed[printed["treatment"] == treatment])
              for treatment in treatments}
    gap = 0.3
    labels = {treatment: style.wrap(axis_labels[treatment], style.WIDTH - left) for treatment in treatments}
    feet = 0.55 + (max(map(len, labels.values())) - 1) * style.line_height()
    width = (style.WIDTH - left - 0.3 - gap * (len(samples) - 1)) / len(samples)
    wrapped = {(treatment, sample): style.wrap(f"{treatments[treatment]}, {samples[sample]}", width, bold=True)
               for treatment in treatments for sample in samples}
    heads = (max(len(lines) for lines in wrapped.values()) + 1) * style.line_height() + 0.08
    height = sum(deep + heads + feet for _, deep in layout.values()) + 0.25 * (len(layout) - 1)
    figure, top = style.page(height, title=title, subtitle=subtitle, source=source, is_synthetic=is_synthetic)
    top += height
    for treatment, (lines, deep) in layout.items():
        here = rows[rows["treatment"] == treatment]
        stated = printed[printed["treatment"] == treatment]
        limits = _limits(here, stated)
        for column, sample in enumerate(samples):
            axes = style.add_axes(figure, left + column * (width + gap), top - heads - deep, width, deep)
            pane = here[here["sample"] == sample]
            _pane(axes, lines, pane, stated[stated["sample"] == sample], list(clusters), limits, deep)
            _pane_head(figure, axes, wrapped[treatment, sample], _counts(pane, units))
            if column == 0:
                _row_names(axes, lines, clusters, left)
        _shared_label(figure, labels[treatment], left, top - heads - deep - 0.3)
        top -= deep + heads + feet + 0.25
    order = [rows[column].map({key: place for place, key in enumerate(keys)})
             for column, keys in (("treatment", treatments), ("sample", samples), ("indicator", outcomes),
                                  ("cluster", clusters))]
    rows = rows.assign(**{f"_{place}": keys for place, keys in enumerate(order)})
    rows = rows.sort_values([f"_{place}" for place in range(len(order))])
    numbers = rows[[column for column in NUMBERS if column != "event_time"]].merge(
        printed, on=["indicator", "treatment", "sample"], how="left")
    alt_text = _panes_alt_text(title, subtitle, numbers, outcomes, samples, treatments, axis_labels, clusters)
    return style.save(figure, stem, alt_text, numbers, is_synthetic)


def _coefficients(estimates: pd.DataFrame, outcomes, estimator, reading, clusters, samples, treatments):
    rows = select(estimates, estimator=estimator, reading=reading)
    keys = {"indicator": outcomes, "cluster": clusters, "sample": samples, "treatment": treatments}
    for column, wanted in keys.items():
        rows = rows[rows[column].isin(list(wanted))]
    if rows.empty:
        raise DidError(f"estimates table: no {estimator} estimate of {listed(outcomes)} under reading '{reading}' "
                       f"for samples {listed(samples)}, treatments {listed(treatments)} and clusters "
                       f"{listed(clusters)}; run the fit stage for them")
    twice = rows[rows.duplicated(list(keys))]
    if len(twice):
        raise DidError(f"estimates table: expected one {estimator} estimate per indicator, sample, treatment "
                       f"and cluster; found more for {twice[list(keys)].iloc[0].tolist()}; pass one estimand only")
    return rows


def _printed(published: pd.DataFrame | None, outcomes, samples, treatments) -> pd.DataFrame:
    key = ["indicator", "treatment", "sample"]
    if published is None:
        empty = {name: pd.Series(dtype=str) for name in key}
        return pd.DataFrame(empty | {"published_value": pd.Series(dtype=float)})
    rows = published[[*key, "published_value"]].dropna(subset="published_value").drop_duplicates()
    rows = rows[rows["indicator"].isin(list(outcomes)) & rows["sample"].isin(list(samples))
                & rows["treatment"].isin(list(treatments))]
    twice = rows[rows.duplicated(key)]
    if len(twice):
        raise DidError(f"published values: expected one per indicator, treatment and sample; found two for "
                       f"{twice[key].iloc[0].tolist()}; mend the published table")
    return rows.astype({"published_value": float})


def _rows(names: Mapping[str, list[str]], clusters: Sequence[str],
          printed: pd.DataFrame) -> tuple[list[_Row], float]:
    """Return the outcomes' lines with their heights from the pane's top, and the pane's height, in inches."""
    rows, y = [], 0.0
    for indicator, name in names.items():
        y += ABOVE
        first = y
        heights = {cluster: y + place * LINE for place, cluster in enumerate(clusters)}
        y += (len(clusters) - 1) * LINE
        stated = None
        if (printed["indicator"] == indicator).any():
            y += LINE
            stated = y
        y = max(y, first + (len(name) - 1) * style.line_height()) + BETWEEN
        rows.append(_Row(indicator, name, heights, stated))
    return rows, y


def _limits(rows: pd.DataFrame, printed: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of a row of panes' axis: intervals, printed values, zero, and room for labels."""
    values = np.concatenate([rows[["estimate", "ci_low", "ci_high"]].to_numpy(float).ravel(),
                             printed["published_value"].to_numpy(float), [0.0]])
    values = values[np.isfinite(values)]
    low, high = values.min(), values.max()
    room = 0.12 * (high - low or 1.0)
    return low - room, high + room


def _pane(axes: Axes, lines: list[_Row], rows: pd.DataFrame, printed: pd.DataFrame, clusters: Sequence[str],
          limits: tuple[float, float], deep: float) -> None:
    with matplotlib.rc_context(style.SETTINGS):
        axes.set(xlim=limits, ylim=(deep, 0), yticks=[])
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(style.plain_ticks)
        axes.axvline(0, color=style.INK, linewidth=1.2, zorder=1)
        for line, following in zip(lines, lines[1:] + [None], strict=True):
            decimals = decimals_for(rows.loc[rows["indicator"] == line.indicator, "std_error"].min())
            for place, cluster in enumerate(clusters):
                row = rows[(rows["indicator"] == line.indicator) & (rows["cluster"] == cluster)]
                _whisker(axes, row, line.clusters[cluster], style.MARKS[place % len(style.MARKS)], decimals,
                         labelled=place == 0)
            stated = printed[printed["indicator"] == line.indicator]["published_value"]
            if len(stated):
                _diamond(axes, float(stated.iloc[0]), line.printed, limits)
            if following is not None:
                between = min(following.clusters.values()) - ABOVE
                axes.axhline(between, color=style.GRID, linewidth=0.8, zorder=0)


def _whisker(axes: Axes, row: pd.DataFrame, y: float, mark, decimals: int, *, labelled: bool) -> None:
    """Draw one estimate and its interval at height ``y``; write the estimate above it if ``labelled``."""
    marker, colour, dashes = mark
    if row.empty or pd.isna(row["estimate"].iloc[0]):
        if labelled:
            axes.text(axes.get_xlim()[0], y, " not estimated", va="center", fontproperties=style.font())
        return
    row = row.iloc[0]
    if pd.notna(row["ci_low"]) and pd.notna(row["ci_high"]):
        axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, linewidth=2, linestyle=dashes,
                  zorder=2)
        axes.plot([row["ci_low"], row["ci_high"]], [y, y], marker="|", markersize=7, markeredgewidth=2,
                  color=colour, linestyle="none", zorder=2)
    axes.plot(row["estimate"], y, marker=marker, color=colour, markersize=8, linestyle="none", zorder=3)
    if labelled:
        axes.text(row["estimate"], y - 0.17, number(row["estimate"], decimals), ha="center", va="center",
                  fontproperties=style.font(bold=True), zorder=4, bbox=style.CLEAR)


def _diamond(axes: Axes, value: float, y: float, limits: tuple[float, float]) -> None:
    axes.plot(value, y, marker="D", markersize=9, markerfacecolor="white", markeredgecolor=PRINTED,
              markeredgewidth=2, linestyle="none", zorder=3)
    # The label stands on the side away from the zero line, unless the pane ends there.
    room = 0.18 * np.ptp(limits)
    rightward = value < limits[0] + room if value < 0 else value < limits[1] - room
    axes.annotate(number(value, short_decimals(value), signed=True), (value, y), va="center",
                  xytext=(10 if rightward else -10, 0), textcoords="offset points",
                  ha="left" if rightward else "right", fontproperties=style.font(), bbox=style.CLEAR)


def _pane_head(figure: Figure, axes: Axes, heading: list[str], counts: str) -> None:
    """Write a pane's heading, already wrapped, and under it how many units it compares."""
    box, up = axes.get_position(), figure.get_size_inches()[1]
    with matplotlib.rc_context(style.SETTINGS):
        for place, line in enumerate([counts, *reversed(heading)]):
            figure.text(box.x0, box.y1 + (place * style.line_height() + 0.06) / up, line, va="bottom",
                        fontproperties=style.font(bold=place > 0))


def _counts(rows: pd.DataFrame, units: str) -> str:
    """Return ``30 of 149 areas; N = 4,917``, with a range where the outcomes differ."""
    if rows.empty:
        return ""

    def spread(column: str) -> str:
        low, high = rows[column].min(), rows[column].max()
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"

    return f"{spread('n_treated')} of {spread('n_units')} {units}; N = {spread('n_obs')}"


def _row_names(axes: Axes, lines: list[_Row], clusters: Mapping[str, str], left: float) -> None:
    """Write the outcomes' names, and what each of their lines is, left of the first pane."""
    width = axes.get_position().width * style.WIDTH
    place = axes.get_yaxis_transform()
    with matplotlib.rc_context(style.SETTINGS):
        for line in lines:
            first = min(line.clusters.values())
            for index, text in enumerate(line.name):
                axes.text((style.EDGE - left) / width, first + index * style.line_height(), text, va="center",
                          transform=place, fontproperties=style.font(bold=True))
            marked = [(y, clusters[cluster]) for cluster, y in line.clusters.items()]
            for y, text in marked + ([(line.printed, "as printed")] if line.printed is not None else []):
                axes.text(-0.1 / width, y, text, transform=place, ha="right", va="center",
                          fontproperties=style.font())


def _shared_label(figure: Figure, lines: list[str], left: float, y: float) -> None:
    """Write the axis label of a row of panes under the middle of the row; ``left`` and ``y`` in inches."""
    across, up = figure.get_size_inches()
    with matplotlib.rc_context(style.SETTINGS):
        figure.text((left + across) / 2 / across, y / up, "\n".join(lines), ha="center", va="top",
                    fontproperties=style.font())


def _panes_alt_text(title, subtitle, numbers, outcomes, samples, treatments, axis_labels, clusters) -> str:
    first = next(iter(clusters))
    panes = plural(len(samples) * len(treatments), "pane")
    sentences = [f"Chart of coefficients in {panes}. {title}. {subtitle}"]
    for row in numbers[numbers["cluster"] == first].itertuples():
        decimals = decimals_for(row.std_error)
        same = numbers[["indicator", "sample", "treatment"]].eq([row.indicator, row.sample, row.treatment])
        spans = [f"{interval(other.ci_low, other.ci_high, decimals)} clustered {clusters[other.cluster]}"
                 for other in numbers[same.all(axis=1)].itertuples()]
        value = row.published_value
        printed = "" if pd.isna(value) else f"; printed {number(value, short_decimals(value), signed=True)}"
        sentences.append(f"{treatments[row.treatment]}, {samples[row.sample]}, {outcomes[row.indicator]}: "
                         f"{number(row.estimate, decimals)} {axis_labels[row.treatment]}, 95% interval "
                         f"{', '.join(spans)}{printed}.")
    return " ".join(sentences)
