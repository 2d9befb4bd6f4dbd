"""Pictures of fits, comparisons and checks: each draws into axes that it is given, or makes some, and returns them.

matplotlib's own settings are left alone, and nothing is shown or saved: that is the caller's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from did.api.errors import InferenceError, OptionError
from did.errors import one_of
from did.estimators import entry
from did.estimators.base import REFERENCE
from did.report.figures.style import GRID, INK, PALETTE, SETTINGS
from did.store.provenance import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from did.api.comparison import Comparison
    from did.api.findings import Findings
    from did.api.fit import Fit

# Format -> its metadata, without the time of writing.
FORMATS: dict[str, dict[str, Any]] = {"svg": {"Date": None, "Creator": "did"}, "png": {"Software": None},
                                      "pdf": {"CreationDate": None, "Creator": "did"}}
POINTS: dict[str, Any] = {"color": PALETTE[0], "marker": "o", "markersize": 6}
MARKERS = ("o", "s", "^", "D", "v", "P")


def new_axes(ax: Axes | None) -> Axes:
    """Return the axes given, or those of a new figure of pyplot, so that a notebook shows it. Raises did.OptionError
    for what is no axes."""
    from matplotlib import pyplot

    if ax is not None and not isinstance(ax, pyplot.Axes):
        raise OptionError(f"plot: ax: expected axes of matplotlib; found {type(ax).__name__}; make them with "
                          "pyplot.subplots(), or leave ax out")
    if ax is not None:
        return ax

    return pyplot.subplots(figsize=(8, 4.5), layout="constrained")[1]


@dataclasses.dataclass(frozen=True)
class Title:
    """What a picture of effects is of: the estimator, the outcome, and the share that intervals cover."""

    estimator: str
    outcome: str
    confidence: float


def plot(fit: Fit, ax: Axes | None, **style: Any) -> Axes:
    """Draw a fit; see `did.api.fit.Fit.plot`."""
    from matplotlib.lines import Line2D

    try:
        Line2D([], [], **POINTS | style)
    except (AttributeError, TypeError, ValueError) as error:
        raise OptionError(f"plot: expected settings of matplotlib's lines, such as color and label; found "
                          f"{', '.join(style)} ({error}); correct them") from None
    return effects(new_axes(ax), fit.to_frame(), Title(fit.estimator, fit.panel.outcome, fit.asked.confidence), style)


def effects(axes: Axes, rows: pd.DataFrame, title: Title, style: dict[str, Any] | None = None) -> Axes:
    """Draw rows of the estimates table by what they are of, and return the axes.

    Effects by event time leave others out; those by cohort and period are a line for each cohort; others are a point
    each. ``style`` goes to matplotlib.
    """
    settings = POINTS | (style or {})
    by_time = rows.loc[rows["event_time"].notna()]
    if by_time["cohort"].notna().any():
        _group_time(axes, by_time)
    elif len(by_time):
        _event_time(axes, by_time, settings)
    else:
        _labelled(axes, rows, settings)
    axes.axhline(0, color=INK, linewidth=1, zorder=1)
    if len(by_time):
        axes.axvline(-0.5, color=INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        axes.set_xlabel("Periods since treatment")
        _whole(axes.xaxis)
    axes.set_ylabel(f"Effect on {title.outcome}")
    axes.set_title(f"{entry(title.estimator).label}, {100 * title.confidence:g}% intervals", loc="left")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def _event_time(axes: Axes, rows: pd.DataFrame, settings: dict[str, Any]) -> None:
    rows = rows.loc[rows["estimate"].notna()].sort_values("event_time")
    times, reference = rows["event_time"].to_numpy(dtype=float), rows["state"].eq(REFERENCE).to_numpy()
    _points(axes, times[~reference], rows.loc[~reference], settings)
    if reference.any():
        axes.plot(times[reference], rows["estimate"][reference], linestyle="none", markerfacecolor="white",
                  **{key: value for key, value in settings.items() if key != "label"})


def _points(axes: Axes, at: np.ndarray, rows: pd.DataFrame, settings: dict[str, Any]) -> None:
    colour = settings["color"]
    if "band_low" in rows:
        axes.vlines(at, rows["band_low"], rows["band_high"], color=colour, alpha=0.25, linewidth=5, zorder=2)
    low, high = (np.where(np.isfinite(rows[end]), rows[end], rows["estimate"]) for end in ("ci_low", "ci_high"))
    axes.vlines(at, low, high, color=colour, linewidth=1.8, zorder=3)
    axes.plot(at, rows["estimate"], linestyle="none", zorder=4, **settings)


def _group_time(axes: Axes, rows: pd.DataFrame) -> None:
    """Points for each cohort over event time; intervals stand beside each other."""
    cohorts = list(dict.fromkeys(rows["cohort"].dropna()))
    for place, cohort in enumerate(cohorts):
        own = rows.loc[rows["cohort"].eq(cohort) & rows["estimate"].notna()].sort_values("event_time")
        at = own["event_time"].to_numpy(dtype=float) + (place - (len(cohorts) - 1) / 2) * min(0.5 / len(cohorts), 0.15)
        _points(axes, at, own, {"color": PALETTE[place % len(PALETTE)], "marker": MARKERS[place % len(MARKERS)],
                                "markersize": 5, "label": f"{_name(cohort)}"})
    axes.legend(title="Cohort", frameon=False, ncols=min(len(cohorts), 4))


def _labelled(axes: Axes, rows: pd.DataFrame, settings: dict[str, Any]) -> None:
    """A point for each cohort, calendar period or single effect."""
    names = [next((_name(row[place]) for place in ("cohort", "period") if pd.notna(row[place])),
                  str(row["estimand"]).replace("_", " ")) for row in rows.to_dict("records")]
    _points(axes, np.arange(len(rows), dtype=float), rows, settings)
    axes.set_xticks(range(len(rows)), names, rotation=45 if len(rows) > 8 else 0)
    axes.margins(x=max(0.05, 0.5 / len(rows)))


def write(path: str | Path, parts: Sequence[tuple[pd.DataFrame, Title]]) -> None:
    """Write a picture with axes for each of ``parts``, rows of the estimates table with their title, one below another.

    The ending of ``path`` says the format: svg, png or pdf. Equal parts give equal bytes. Raises DidError for another
    ending.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    ending = Path(path).suffix.lower().removeprefix(".")
    one_of("--plot: ending of the file", ending, FORMATS)
    settings: Any = SETTINGS
    with rc_context(settings):
        figure = Figure(figsize=(9, 4.5 * len(parts)), layout="constrained")
        for axes, (rows, title) in zip(np.ravel(figure.subplots(len(parts), 1)), parts, strict=True):
            effects(axes, rows, title)
        with atomic(path) as part:
            figure.savefig(part, format=ending, metadata=FORMATS[ending])


def _name(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    return str(value)


def _whole(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def comparison(found: Comparison, ax: Axes | None) -> Axes:
    """Draw the one effect of each estimator, the first on top."""
    axes = new_axes(ax)
    rows = found.to_frame()
    rows = rows.loc[rows["status"].eq("done")].reset_index(drop=True)
    low, high = (np.where(np.isfinite(rows[end].astype(float)), rows[end], rows["estimate"])
                 for end in ("ci_low", "ci_high"))
    at = np.arange(len(rows))
    axes.hlines(at, low, high, color=PALETTE[0], linewidth=1.8)
    axes.plot(rows["estimate"].astype(float), at, "o", color=PALETTE[0])
    axes.axvline(0, color=INK, linewidth=1, zorder=1)
    axes.set_yticks(at, [label.partition(" (")[0] for label in rows["label"]])
    axes.invert_yaxis()
    axes.set_xlabel(f"Effect on {found.panel.outcome}")
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def bounds(found: Findings, ax: Axes | None) -> Axes:
    """Draw the intervals under each bound on differences in trends, for each method and target."""
    rows = found.frame.loc[found.frame["status"].eq("done")]
    if rows.empty:
        raise InferenceError(f"plot: expected bounds that could be computed; found {found.notes[0]}")
    axes = new_axes(ax)
    names, at = [], 0
    for place, ((method, target), own) in enumerate(rows.groupby(["method", "target"], sort=False)):
        colour = PALETTE[place % len(PALETTE)]
        for row in own.itertuples():
            low, high = max(row.ci_low, -1e300), min(row.ci_high, 1e300)
            axes.vlines(at, low, high, color=colour, linewidth=2)
            names.append(f"{row.m:.3g}")
            at += 1
        axes.plot([], [], color=colour, linewidth=2, label=f"{method.replace('_', ' ')}, {target} effect")
        at += 1
        names.append("")
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(axis="x", length=0)
    axes.axhline(0, color=INK, linewidth=1, zorder=1)
    axes.set_xlabel("m, the bound")
    axes.set_ylabel("Interval of the effect")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return axes


def decomposition(found: Findings, ax: Axes | None) -> Axes:
    """Draw every comparison of two cohorts: its estimate over its weight, by type."""
    axes = new_axes(ax)
    for place, (kind, own) in enumerate(found.frame.groupby("type", sort=False)):
        axes.plot(own["weight"], own["estimate"], linestyle="none", marker=MARKERS[place % len(MARKERS)],
                  color=PALETTE[place % len(PALETTE)], label=kind)
    total = float((found.frame["weight"] * found.frame["estimate"]).sum())
    axes.axhline(total, color=INK, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    axes.annotate("two-way estimate", (1, total), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes.set_xlabel("Weight")
    axes.set_ylabel("Estimate")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.legend(frameon=False)
    return axes
