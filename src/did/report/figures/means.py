"""Figure of the outcome itself over time: of the treated and the comparison, observed and by the linear-trends model,
and of each wave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from did.report.figures import style
from did.report.figures.key import counted, grid
from did.report.figures.style import Frame
from did.words import decimals_for, number, p_value, period_name

COLUMNS = ["series", "sample", "line", "wave", "first_treated", "counts_as", "period", "mean", "n_units"]
TREATED, COMPARISON = "treated", "comparison"
OBSERVED, MODEL, WAVE = "observed", "linear_trend", "wave"
# Colour, line and marker of each line: never told apart by colour alone.
LOOKS = {TREATED: {"color": style.PALETTE[0], "linestyle": "-", "marker": "o", "linewidth": 2},
         COMPARISON: {"color": style.PALETTE[3], "linestyle": (0, (5, 2)), "marker": "^", "linewidth": 2}}
NAMES = {TREATED: "Treated, or the wave named", COMPARISON: "Comparison, or those in no wave"}
PANE, FOOT = 2.2, 0.5  # inches: a pane, and what is free under the last ones
FEW = 24  # periods with a marker each
MOST = 8  # panes of waves


@dataclass(frozen=True)
class Pane:
    """Two lines at most, each rows with period and mean, and the first treated period, "" if there is none: before it
    stands a vertical line, where it lies in the window."""

    heading: str
    lines: Mapping[str, pd.DataFrame]
    onset: str


def trend_words(test: pd.Series, onset: str, by: str) -> str:
    """Return the wording of one trend test, a row of the diagnostics table with errors clustered ``by`` something.
    ``Were trends parallel before June 2017? Test of a straight line: p = 0.050, errors clustered by system.``, or why
    there is no test."""
    asked = f"Were trends parallel before {period_name(onset)}?"
    if test["status"] != "done":
        return f"{asked} Not tested: {test['reason']}."
    return f"{asked} Test of a straight line: {p_value(test['p_value'])}, errors clustered by {by}."


def trend_rows(group_trends: pd.DataFrame, onset: str) -> pd.DataFrame:
    """Return the table of group trends as rows of the figure: observed means, then those of the linear-trends model.
    ``onset`` is the first treated period, ISO text."""
    lines = group_trends["group"].map({"treated": TREATED, "control": COMPARISON})
    rows = group_trends.assign(line=lines, first_treated=onset)
    return pd.concat([rows.assign(series=series, mean=rows[column]) for series, column in (
        (OBSERVED, "observed_mean"), (MODEL, "linear_trend"))]).reindex(columns=COLUMNS)


def wave_rows(panel: pd.DataFrame, onsets: Mapping[int, str] | None = None) -> pd.DataFrame:
    """Return the mean outcome of each wave in each period, and that of the units without a wave, as rows of the figure.

    ``panel`` is the panel table of one indicator under one specification; ``onsets`` are the first treated periods (ISO
    text) of waves that the specification leaves among the comparison. Columns wave (missing where units have none),
    first_treated (of the specification or, for a wave in the comparison, of ``onsets``; missing if neither has it),
    counts_as (``treated`` or ``comparison`` under the specification), mean (unit of the outcome, over the units
    observed, each counted once; missing if none is) and n_units (observed). Units of a wave with different dates are
    separate. In order of first date; the units without wave or date are last.
    """
    means = (panel.assign(cohort=panel["cohort"].astype("string"))
             .groupby(["cohort", "wave", "period"], dropna=False)["outcome"].agg(["mean", "count"])
             .reset_index().rename(columns={"count": "n_units"}))
    means["counts_as"] = np.where(means["cohort"].notna(), TREATED, COMPARISON)
    means["first_treated"] = means["cohort"].fillna(means["wave"].map(onsets or {}).astype("string"))
    means["wave"] = means["wave"].astype("Int64")
    other = means["wave"].isna() & means["cohort"].isna()
    means = means.assign(series=WAVE, line=np.where(other, COMPARISON, TREATED)).sort_values(
        ["first_treated", "wave", "counts_as", "period"], kind="stable", na_position="last", ignore_index=True)
    return means.reindex(columns=COLUMNS)


@style.drawing
def means_over_time(rows: pd.DataFrame, frame: Frame, *, sample: str = "full") -> list[Path]:
    """Draw observed group means alongside the linear-trends model, as in the evaluation's appendix A2, and one pane per
    wave alongside the units without a wave, on common axes, two in a row, and save the figure.

    Source of the first two: StataCorp, Causal Inference and Treatment-Effects Reference Manual, "didregress
    postestimation", ``estat trendplots``.

    ``rows`` as from `trend_rows`, of which this ``sample`` is drawn, and as from `wave_rows`; of more than `MOST` waves
    those with most units are drawn, which the subtitle says. The numbers are all rows. A missing mean is a gap in its
    line. Returns the paths written.
    """
    waves = [part for _, part in rows[rows["series"].eq(WAVE) & rows["line"].eq(TREATED)].groupby(
        ["first_treated", "wave", "counts_as"], dropna=False, sort=False)]
    largest = sorted(sorted(range(len(waves)), key=lambda at: -waves[at]["n_units"].max())[:MOST])
    if len(largest) < len(waves):
        frame = frame.saying(f"The {len(largest)} largest of {len(waves)} waves; the numbers have all.")
    panes = [*_groups(rows[rows["sample"].eq(sample)], frame.units),
             *_waves([waves[at] for at in largest], rows[rows["series"].eq(WAVE) & rows["line"].eq(COMPARISON)],
                     frame.units)]
    decimals = decimals_for(float(np.nanstd(rows["mean"])) / 10)
    said = [f"{pane.heading}. {_in_words(pane, decimals)}" for pane in panes]
    about = f"Line charts of mean outcomes in {frame.unit}. {frame.title}. {frame.subtitle} {' '.join(said)}"
    times = {period: pd.Period(period) for period in sorted({
        period for pane in panes for line in pane.lines.values() for period in line["period"]})}
    figure, found = grid(frame, [(pane.heading, "") for pane in panes], [
        ([look], NAMES[name]) for name, look in LOOKS.items() if any(name in pane.lines for pane in panes)],
        high=PANE, foot=FOOT)
    values = np.concatenate([line["mean"].to_numpy(float) for pane in panes for line in pane.lines.values()])
    low, high = np.nanmin(values), np.nanmax(values)
    ticks = _ticks(list(times.values()), found[0].get_position().width * frame.width)
    for axes, pane in zip(found, panes, strict=True):
        axes.set_ylim(low - 0.06 * (high - low or 1), high + 0.22 * (high - low or 1))
        _draw(axes, pane, times)
        axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
        axes.xaxis.set_major_formatter(lambda value, _: ticks.get(round(value), ""))
        style.value_axis(axes, 5)
    return style.save(figure, frame, about, rows[COLUMNS])


def _groups(rows: pd.DataFrame, units: str) -> Iterator[Pane]:
    """A pane of what was observed and one of the model, each of the treated and the comparison."""
    for series, name in ((OBSERVED, "Observed means"), (MODEL, "Linear-trends model")):
        lines = dict(list(rows[rows["series"].eq(series)].groupby("line")))
        if lines:
            sizes = [f"{counted(part)} {line}" for line, part in sorted(lines.items(), reverse=True)]
            yield Pane(f"{name}: {', '.join(sizes)} {units}", lines, rows["first_treated"].iloc[0])


def _waves(waves: Sequence[pd.DataFrame], others: pd.DataFrame, units: str) -> Iterator[Pane]:
    """A pane of each wave alongside the units without one."""
    more = f"; {counted(others)} in no wave" if len(others) else ""
    for wave in waves:
        first = wave.iloc[0]
        since = "" if pd.isna(first["first_treated"]) else first["first_treated"]
        name = ", ".join(([] if pd.isna(first["wave"]) else [f"wave {first['wave']:.0f}"])
                         + ([f"from {period_name(since)}"] if since else [])
                         + ([] if first["counts_as"] == TREATED else ["in the comparison"]))
        yield Pane(f"{name[:1].upper()}{name[1:]}: {counted(wave)} {units}{more}",
                   {TREATED: wave} | ({COMPARISON: others} if len(others) else {}), since)


def _in_words(pane: Pane, decimals: int) -> str:
    """``Treated: mean 345.2 before June 2017 and 437.3 from then on.``"""
    said = []
    for name, part in pane.lines.items():
        late = part["period"].ge(pane.onset) if pane.onset else part["period"].isna()
        before, after = (number(part["mean"].where(here).mean(), decimals) for here in (~late, late))
        said.append(f"{name.capitalize()}: mean {before}" + (
            f" before {period_name(pane.onset)} and {after} from then on." if late.any() else "."))
    return " ".join(said)


def _draw(axes: Axes, pane: Pane, times: Mapping[str, pd.Period]) -> None:
    ends = list(times.values())
    first, last = ends[0].ordinal, ends[-1].ordinal
    onset = pd.Period(pane.onset).ordinal if pane.onset else first
    edge = 0.02 * (last - first) + 0.5
    axes.set_xlim(first - edge, last + edge)
    for name, line in reversed(pane.lines.items()):
        at = np.array([times[period].ordinal for period in line["period"]], dtype=float)
        values, years = line["mean"].to_numpy(float), line["period"].str[:4].to_numpy()
        cut = int(np.searchsorted(at, onset))
        if line["series"].iloc[0] == MODEL and cut:   # its lines end where treatment begins and begin again there
            at, values, years = (np.insert(each, cut, more) for each, more in (
                (at, onset - 0.5), (values, np.nan), (years, years[cut - 1])))
        # A long line has a marker at the first period of each year.
        marked = 1 if len(times) <= FEW else [0, *map(int, np.flatnonzero(years[1:] != years[:-1]) + 1)]
        style.line(axes, at, values, **LOOKS[name], markersize=5, zorder=4 if name == TREATED else 3, markevery=marked)
    if first < onset <= last:
        style.rule(axes, onset - 0.5, "x", color=style.INK, linewidth=1, linestyle=(0, (2, 2)), zorder=2)
        rightward = onset - first < 0.6 * (last - first)
        style.write_near(axes, onset - 0.5, 1, f"from {period_name(pane.onset)}", (5 if rightward else -5, -2),
                         ha="left" if rightward else "right", bbox=style.CLEAR)


def _ticks(periods: Sequence[pd.Period], width: float) -> dict[int, str]:
    """Return where the ticks of an axis of ``width`` inches are, and their labels: at the start of each year, or of
    every second or fifth year where there is no room for all. Without two starts of a year in the window, the first and
    last periods are ticked."""
    firsts = [period for period in periods if period.start_time.month == 1]
    every = next(step for step in (1, 2, 5, 10, 10**4) if len(firsts) / step <= width / 0.55)
    kept = [period for period in firsts if (period.year - firsts[0].year) % every == 0]
    if len(kept) < 2:
        return {period.ordinal: str(period) for period in (periods[0], periods[-1])}
    return {period.ordinal: str(period.year) for period in kept}
