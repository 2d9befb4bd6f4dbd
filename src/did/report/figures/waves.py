"""Figures of who was treated when: systems by the date they joined, units of a panel by first treated period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator

from did.errors import DidError
from did.report.figures import style
from did.report.figures.style import Frame
from did.words import count, listed, period_name, plural

ROW = 0.235  # inches, one system
BETWEEN = 0.5  # inches between waves, with the wave's name
COUNT_WIDTH, LEAST_BARS, NAMES = 1.15, 1.2, 5.0
# What a wave is in the reported specification, and its colour.
ROLES = {"treated": ("counts as treated", style.PALETTE[0]), "removable": ("removed in one sample", style.PALETTE[3]),
         "later": ("later: compared with", style.PALETTE[1])}
STATES = {"treated": ("Treated", style.PALETTE[0]), "before": ("Before treatment", "#A9BAC9"),
          "never": ("Not treated in these years", "#DDDDDD"), "missing": ("No figure", "#FFFFFF")}
PANEL_HEIGHT, LEAST_BLOCK = 5.0, 0.66


def wave_rows(members: Mapping[str, pd.DataFrame], onsets: Mapping[int, str],
              system_onsets: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per system and wave: wave (int), system, name, from_month, and a count of areas per geography.

    ``members`` maps a geography to its membership table (wave, ics, system, area_code, kind); areas that joined in a
    month that is not known (``kind`` undated) are not counted. ``onsets`` maps a wave to its first treated month,
    ``system_onsets`` a system to its own where that is earlier or later. Sorted by date, wave and name. Raises DidError
    for a wave without a date.
    """
    counts = {}
    for geography, table in members.items():
        table = table.loc[table["kind"] != "undated"]
        counts[geography] = table.groupby(["wave", "system", "ics"])["area_code"].nunique()
    rows = pd.DataFrame(counts).fillna(0).astype(int).reset_index().rename(columns={"ics": "name"})
    rows["wave"] = rows["wave"].astype(int)
    unknown = sorted(set(rows["wave"]) - set(onsets))
    if unknown:
        raise DidError(f"waves.onsets: expected a month for wave {unknown[0]}, which the record names; found none; "
                       "add it")
    dates = [system_onsets.get(row.system, onsets[row.wave]) for row in rows.itertuples()]
    rows.insert(3, "from_month", dates)
    return rows.sort_values(["wave", "from_month", "name"], ignore_index=True)


@style.drawing
def wave_chart(rows: pd.DataFrame, frame: Frame, *, treated: list[int], removable: int,
               geographies: Mapping[str, str]) -> list[Path]:
    """Draw systems as bars from the month they became treated, in steps by wave, and save the figure.

    ``rows`` as from ``wave_rows``; ``treated`` are the waves that count as treated, ``removable`` the one taken out in
    one sample. ``geographies`` maps a column of counts to its heading. The dates and members are of the public record:
    with a synthetic frame the figure carries the mark of its run, and says so. Returns the paths written; DidError
    if there are no rows.
    """
    if rows.empty:
        raise DidError("wave chart: expected a system with its wave; found none; list them in waves.records")
    role = {wave: "treated" if wave in treated else "removable" if wave == removable else "later"
            for wave in dict.fromkeys(rows["wave"])}
    if frame.is_synthetic:
        frame = frame.saying(f"The outcomes of this run are {style.SYNTHETIC}; dates and members here are of the "
                             "public record.")
    heights, heads, deep = _steps(rows)
    figure, bottom = style.page(deep + 0.75, replace(frame, is_synthetic=False))
    shown = [style.shortened(name, NAMES) for name in rows["name"]]
    names = max(map(style.text_width, shown)) + 0.2
    left = style.EDGE + names
    room = style.WIDTH - left - style.EDGE
    each = min(COUNT_WIDTH, (room - LEAST_BARS) / len(geographies))
    width = room - each * len(geographies)
    axes = style.add_axes(figure, left, bottom + 0.35, width, deep)
    columns = {geography: width + (place + 0.85) * each for place, geography in enumerate(geographies)}
    first, last = (pd.Period(end(rows["from_month"]), freq="M").ordinal for end in (min, max))
    last += 12
    axes.set(xlim=(first - 1, last), ylim=(deep, 0), yticks=[])
    years = [month for month in range(first, last + 1) if pd.Period(ordinal=month, freq="M").month == 1]
    every = int(np.ceil(0.6 * len(years) / width))
    axes.xaxis.set_major_locator(FixedLocator(years[::every]))
    axes.xaxis.set_major_formatter(lambda value, _: str(pd.Period(ordinal=round(value), freq="M").year))
    axes.grid(axis="x", color=style.GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for row, name, y in zip(rows.itertuples(), shown, heights, strict=True):
        start = pd.Period(row.from_month, freq="M").ordinal
        axes.barh(y, last - start, left=start, height=0.68 * ROW, color=ROLES[role[row.wave]][1])
        _beside(axes, -0.1, y, name, width, right=True)
        for geography, x in columns.items():
            _beside(axes, x, y, count(getattr(row, geography)), width, right=True)
    for wave, y in heads.items():
        here = rows.loc[rows["wave"] == wave]
        _beside(axes, -names, y, _wave_words(here, role[wave]), width, bold=True)
        for geography, x in columns.items():
            _beside(axes, x, y, count(here[geography].sum()), width, bold=True, right=True)
    for geography, heading in geographies.items():
        for line, words in enumerate(reversed(style.wrap(heading, each, bold=True))):
            y = -0.12 - line * style.line_height()
            _beside(axes, columns[geography], y, words, width, bold=True, right=True)
    waves = [f"{_wave_words(group, role[wave])}: {listed(group['name'])}" for wave, group in rows.groupby("wave")]
    alt_text = (f"Bars from the month each system became treated, in steps by wave. {frame.title}. {frame.subtitle} "
                f"{'. '.join(waves)}.")
    return style.save(figure, frame, " ".join(alt_text.split()), rows)


def _steps(rows: pd.DataFrame) -> tuple[list[float], dict[int, float], float]:
    """Heights in inches from the top: one per system, one per wave's name, and of the whole."""
    heights, heads, y = [], {}, 0.0
    for wave in rows["wave"]:
        if wave not in heads:
            heads[wave] = y + 0.62 * BETWEEN
            y += BETWEEN
        heights.append(y + ROW / 2)
        y += ROW
    return heights, heads, y + 0.05


def _wave_words(rows: pd.DataFrame, role: str) -> str:
    """``Wave 2, May 2018: 4 systems (removed in one sample)``; the commonest date of the wave or, of
    two as common, the later."""
    month = rows["from_month"].mode().iloc[-1]
    return f"Wave {rows['wave'].iloc[0]}, {period_name(month)}: {plural(len(rows), 'system')} ({ROLES[role][0]})"


def _beside(axes: Axes, x: float, y: float, text: str, width: float, *, bold: bool = False,
            right: bool = False) -> None:
    """Write ``text`` at ``x`` inches from the left of the axes and at height ``y`` of its scale."""
    axes.text(x / width, y, text, transform=axes.get_yaxis_transform(), va="center", ha="right" if right else "left",
              fontproperties=style.font(bold=bold))


@style.drawing
def timing_panel(panel: pd.DataFrame, frame: Frame) -> list[Path]:
    """Draw who is treated when: one line per unit, one column per period, by first treated period and system.

    ``panel``: rows of the panel table under one specification (unit, unit_name, period, outcome, system, cohort,
    is_synthetic). Earliest cohort first, units never treated in the window last; within a cohort systems, the largest
    first, stand together with a thin line between them. A missing outcome is white. In the manner of R's panelView
    (Mou, Liu and Xu 2023, J. Stat. Softw. 107(7)). The numbers have one row per unit. Returns the paths written;
    DidError without rows, or if a unit has two cohorts.
    """
    cells, order = _cells(panel)
    frame = frame.marked(panel)
    blocks = [(cohort, group) for cohort, group in order.groupby("block", sort=False)]
    share = PANEL_HEIGHT / len(order)
    tall = [max(LEAST_BLOCK, len(group) * share) for _, group in blocks]
    key = list(STATES) if cells["state"].eq("missing").any() else list(STATES)[:-1]
    figure, bottom = style.page(sum(tall) + 1.0, frame)
    left, width = 2.45, style.WIDTH - 2.45 - 2 * style.EDGE
    axes = style.add_axes(figure, left, bottom + 0.4, width, sum(tall))
    periods = sorted(set(cells["period"]))
    at = {period: place for place, period in enumerate(periods)}
    axes.set(xlim=(0, len(periods)), ylim=(sum(tall), 0), yticks=[])
    _ticks(axes, periods)
    top = 0.0
    for (cohort, group), height in zip(blocks, tall, strict=True):
        _block(axes, cells, group, at, top, (height - 0.06) / len(group))
        for line, words in enumerate(_block_words(cohort, group, frame.units)):
            _beside(axes, -left + style.EDGE, top + 0.14 + line * style.line_height(), words, width, bold=line == 0)
        top += height
    _key(figure, key, bottom + 0.4 + sum(tall) + 0.3)
    said = [f"{'. '.join(_block_words(cohort, group, frame.units))}" for cohort, group in blocks]
    alt_text = (f"Chart of {plural(len(order), 'line')}, one per unit, over {plural(len(periods), 'period')}. "
                f"{frame.title}. {frame.subtitle} {'. '.join(said)}. Cells without a figure: "
                f"{count(cells['state'].eq('missing').sum())}.")
    return style.save(figure, frame, " ".join(alt_text.split()), order.drop(columns="block"))


def _cells(panel: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every unit and period with its state, and the units in the order drawn."""
    if panel.empty:
        raise DidError("timing figure: expected rows of the panel; found none; run the align stage")
    unit = panel.drop_duplicates(["unit", "cohort"])[["unit", "unit_name", "system", "cohort"]]
    twice = unit.loc[unit["unit"].duplicated(), "unit"]
    if len(twice):
        raise DidError(f"timing figure: expected one first treated period per unit; found two of {twice.iloc[0]}; "
                       "pass the rows of one specification")
    unit["block"] = unit["cohort"].fillna("never")
    unit["place"] = -unit.groupby(["block", "system"])["unit"].transform("size")
    order = unit.sort_values(["block", "place", "system", "unit"], ignore_index=True).drop(columns="place")
    periods = pd.DataFrame({"period": sorted(panel["period"].unique())})
    cells = order[["unit", "block"]].merge(periods, how="cross")
    cells = cells.merge(panel[["unit", "period", "outcome"]], how="left", on=["unit", "period"])
    treated = np.where(cells["period"] >= cells["block"], "treated", "before")
    state = np.where(cells["block"].eq("never"), "never", treated)
    cells["state"] = np.where(cells["outcome"].isna(), "missing", state)
    figures = cells.groupby("unit")["outcome"].agg(n_periods="size", n_figures="count").reset_index()
    return cells, order.merge(figures, on="unit", validate="one_to_one")


def _block(axes: Axes, cells: pd.DataFrame, group: pd.DataFrame, at: Mapping[str, int], top: float,
           step: float) -> None:
    """Draw a cohort's units: runs of one state as one bar, units of a system with the same runs as one block."""
    here = cells.loc[cells["unit"].isin(group["unit"])]
    runs = {unit: _runs(rows["state"].to_numpy(), [at[period] for period in rows["period"]])
            for unit, rows in here.groupby("unit")}
    found: dict[str, list[Rectangle]] = {}
    place, systems = 0, list(group["system"])
    units = list(group["unit"])
    while place < len(units):
        end = place + 1
        while end < len(units) and systems[end] == systems[place] and runs[units[end]] == runs[units[place]]:
            end += 1
        for state, start, stop in runs[units[place]]:
            bar = Rectangle((start, top + place * step), stop - start, (end - place) * step)
            found.setdefault(state, []).append(bar)
        place = end
    for state, patches in found.items():
        axes.add_collection(PatchCollection(patches, facecolor=STATES[state][1], edgecolor="none"))
    changes = [top + place * step for place in range(1, len(units)) if systems[place] != systems[place - 1]]
    axes.hlines(changes, 0, len(at), color="white", linewidth=0.8)


def _runs(states: np.ndarray, places: list[int]) -> tuple[tuple[str, int, int], ...]:
    """Stretches of one state as (state, first place, place after the last)."""
    starts = [0, *(np.flatnonzero(states[1:] != states[:-1]) + 1), len(states)]
    return tuple((str(states[a]), places[a], places[b - 1] + 1) for a, b in zip(starts[:-1], starts[1:], strict=True))


def _block_words(cohort: str, group: pd.DataFrame, units: str) -> list[str]:
    head = "Not treated" if cohort == "never" else f"From {period_name(cohort)}"
    return [head, f"{count(len(group))} {units}", plural(group["system"].nunique(), "system")]


def _ticks(axes: Axes, periods: list[str]) -> None:
    """A tick at the start of each year, of every second where years are many; a year by itself in its middle."""
    firsts = [place for place, period in enumerate(periods) if pd.Period(period).start_time.month == 1]
    every = 1 if len(firsts) <= 10 else 2
    shift = 0.5 if len(periods[0]) == 4 else 0.0
    axes.xaxis.set_major_locator(FixedLocator([place + shift for place in firsts[::every]]))
    axes.xaxis.set_major_formatter(lambda value, _: periods[int(value)][:4])


def _key(figure, states: list[str], height: float) -> None:
    across, up = figure.get_size_inches()
    x = style.EDGE
    for state in states:
        name, colour = STATES[state]
        figure.add_artist(Rectangle((x / across, (height - 0.08) / up), 0.28 / across, 0.16 / up, facecolor=colour,
                                    edgecolor=style.INK, linewidth=0.5))
        figure.text((x + 0.36) / across, height / up, name, va="center", fontproperties=style.font())
        x += 0.36 + style.text_width(name) + 0.3
