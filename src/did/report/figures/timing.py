"""Figure of who is treated when: systems by the date they started, and whom they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from did.errors import DidError
from did.report.figures import key, style
from did.report.figures.means import time_axis
from did.report.figures.style import Frame
from did.words import count, period_name, plural

# Inches: a line, between two blocks with the name of the second; at least, the bars, at most, the names and the word
# for units.
ROW, BETWEEN, LEAST_BARS, NAMES, UNITS = 0.25, 0.5, 3.0, 4.5, 1.5
LISTED = 12  # systems of a block; more are one line
TREATED, LATER, COMPARED = "treated", "later", "compared"
# What a stretch of a line is: its colour and its name in the key.
STRETCHES = {TREATED: (style.PALETTE[0], "Treated"), "before": ("#A9BAC9", "Before treatment"),
             LATER: (style.PALETTE[3], "Joined, but counted in the comparison"), COMPARED: ("#DDDDDD", "Comparison")}


def timing_rows(panel: pd.DataFrame, onsets: Mapping[int, str], names: Mapping[str, str]) -> pd.DataFrame:
    """Return one row for each system and first treated period of a panel, those treated first, in order of date.

    ``panel``: rows of the panel table under one specification; ``onsets``: first treated period of the waves that it
    leaves in the comparison; ``names``: system -> its name. Columns role (``treated``, ``later`` for a wave in the
    comparison with a date, or ``compared``), wave, first (ISO period; missing in the comparison), system, name (of the
    system or, where there is none, of the unit) and n_units. Raises DidError without rows, or if a unit has two first
    treated periods.
    """
    if panel.empty:
        raise DidError("timing figure: expected rows of the panel; found none; run the align stage")
    units = panel.drop_duplicates(["unit", "cohort"])[["unit", "unit_name", "system", "wave", "cohort"]]
    twice = units.loc[units["unit"].duplicated(), "unit"]
    if len(twice):
        raise DidError(f"timing figure: expected one first treated period per unit; found two of {twice.iloc[0]}; "
                       "pass the rows of one specification")
    later = units["wave"].map(onsets).astype("string").where(units["cohort"].isna())
    units = units.assign(
        first=units["cohort"].astype("string").fillna(later),
        role=[TREATED if pd.notna(cohort) else LATER if pd.notna(at) else COMPARED
              for cohort, at in zip(units["cohort"], later, strict=True)],
        system=units["system"].fillna(units["unit"]))
    units["name"] = [names.get(system, name if system == unit else system)
                     for unit, name, system in zip(units["unit"], units["unit_name"], units["system"], strict=True)]
    units["wave"] = units["wave"].where(units["role"].ne(COMPARED))
    rows = units.groupby(["role", "wave", "first", "system", "name"], dropna=False)["unit"].nunique().rename("n_units")
    order = {role: place for place, role in enumerate((TREATED, LATER, COMPARED))}
    return rows.reset_index().sort_values(
        ["role", "first", "wave", "name"], ignore_index=True, kind="stable",
        key=lambda column: column.map(order) if column.name == "role" else column)


@style.drawing
def timing(rows: pd.DataFrame, frame: Frame, *, periods: list[str]) -> list[Path]:
    """Draw one line for each treated system over the ``periods`` of a panel, and save the figure.

    ``rows`` as from `timing_rows`. Systems that start together are a block, with their number of units at the right;
    of a block of more than `LISTED`, and of the comparison, one line stands for all; the numbers hold every system.
    Returns the paths written.
    """
    blocks = [(head, pd.DataFrame(list(group))) for head, group in groupby(
        rows.to_dict("records"), key=lambda row: (row["role"], str(row["wave"]), str(row["first"])))]
    lines = [_lines(block) for _, block in blocks]
    heads = [_head(block, frame.units) for _, block in blocks]
    names = min(NAMES, 0.25 + max(style.text_width(name) for block in lines for name, _ in block))
    units = style.shortened(frame.units.capitalize(), UNITS, bold=True)
    right = max(0.6, style.text_width(units, bold=True) + 0.2)
    left = style.EDGE + max(names, style.WIDTH - LEAST_BARS - right - NAMES)
    width = style.WIDTH - left - right - style.EDGE
    deep = sum(BETWEEN + ROW * len(block) for block in lines)
    entries = key.key_rows([([{"color": STRETCHES[name][0], "linewidth": 10}], STRETCHES[name][1])
                            for name in _stretches(rows, periods)])
    figure, bottom = style.page(deep + 0.75 + len(entries) * key.ROW, frame)
    axes = style.add_axes(figure, left, bottom + 0.35, width, deep)
    axes.set(xlim=(-0.5, len(periods) - 0.5), ylim=(deep, 0), yticks=[])
    times = [pd.Period(period) for period in periods]
    key.draw_key(figure, entries, bottom + 0.35 + deep + 0.35)
    style.write_beside(axes, width + right, -0.12, units, right=True, bold=True)
    y = 0.0
    for ((role, _, _), block), each, head in zip(blocks, lines, heads, strict=True):
        style.write_beside(axes, style.EDGE - left, y + 0.62 * BETWEEN, head, bold=True)
        y += BETWEEN
        at = block["first"].iloc[0]
        start = len(periods) if pd.isna(at) else min(max(pd.Period(at).ordinal - times[0].ordinal, 0), len(periods))
        for name, n in each:
            for begin, end, colour in ((0, start, "before" if role == TREATED else COMPARED),
                                       (start, len(periods), role)):
                axes.broken_barh([(begin - 0.5, end - begin)], (y + 0.16 * ROW, 0.68 * ROW),
                                 facecolor=STRETCHES[colour][0], edgecolor="none")
            style.write_beside(axes, -0.1, y + ROW / 2, style.shortened(name, NAMES), right=True)
            style.write_beside(axes, width + right, y + ROW / 2, count(n), right=True)
            y += ROW
    time_axis(axes, times, start=times[0].ordinal)
    said = [f"{head}: {', '.join(f'{name} ({count(n)})' for name, n in each)}." for head, each in zip(heads, lines,
                                                                                                    strict=True)]
    return style.save(figure, frame, f"Bars of who is treated when, with the number of {frame.units}. {frame.title}. "
                                     f"{frame.subtitle} {' '.join(said)}", rows)


def _lines(block: pd.DataFrame) -> list[tuple[str, int]]:
    """Name and number of units of each line of a block."""
    if len(block) > LISTED or block["role"].iloc[0] == COMPARED:
        return [(plural(len(block), "system"), int(block["n_units"].sum()))]
    return list(zip(block["name"], block["n_units"].astype(int), strict=True))


def _head(block: pd.DataFrame, units: str) -> str:
    """``Wave 2, from May 2018, in the comparison: 3 systems, 9 areas``."""
    row = block.iloc[0]
    parts = [] if pd.isna(row["wave"]) else [f"wave {row['wave']}"]
    parts += [] if pd.isna(row["first"]) else [f"from {period_name(row['first'])}"]
    parts += {TREATED: [], LATER: ["in the comparison"], COMPARED: ["not treated"]}[row["role"]]
    words = f"{', '.join(parts)}: {plural(len(block), 'system')}, {count(block['n_units'].sum())} {units}"
    return f"{words[:1].upper()}{words[1:]}"


def _stretches(rows: pd.DataFrame, periods: list[str]) -> list[str]:
    """What the lines hold, in the order of the key."""
    inside = rows["first"].notna() & rows["first"].le(periods[-1])
    there = {TREATED: (rows["role"].eq(TREATED) & inside).any(), "before": rows["role"].eq(TREATED).any(),
             LATER: (rows["role"].eq(LATER) & inside).any(), COMPARED: rows["role"].isin([LATER, COMPARED]).any()}
    return [name for name in STRETCHES if there[name]]
