"""Who is treated when: systems by the date they started, and whom they are compared with, as a table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from did.report.content.table import Table, text_table
from did.words import count, period_name

TREATED, LATER, COMPARED = ("treated", "joined, but counted in the comparison", "comparison")
NAMED = (60, 60, 5)  # names in one cell, of each of these


def timing_table(panel: pd.DataFrame, onsets: Mapping[int, str], names: Mapping[str, str], *, units: str,
                 periods: int) -> Table:
    """Return a row for those who start together: their wave, date and role, and every system with its units.

    ``panel``: rows of the panel table under one specification, over so many ``periods``; ``onsets``: first treated
    period of the waves that it leaves in the comparison; ``names``: system -> its name. A unit without a system stands
    by its own name; of more than `NAMED`, fewer for the comparison, the first are named. A note says how much of the
    panel is missing.
    """
    each = panel.drop_duplicates("unit")[["unit", "unit_name", "system", "wave", "cohort"]]
    later, treated = each["wave"].map(onsets).astype("string"), each["cohort"].notna()
    each = each.assign(
        first=each["cohort"].astype("string").fillna(later).fillna(""),
        place=(~treated).astype(int) + (~treated & later.isna()),
        wave=each["wave"].astype("Int64").where(treated | later.notna()).astype("string").fillna(""),
        name=[unit if pd.isna(system) else names.get(system, system)
              for system, unit in zip(each["system"], each["unit_name"], strict=True)])
    lines = []
    for (place, first, wave), rows in each.groupby(["place", "first", "wave"]):
        sizes = rows.groupby("name").size()
        most = NAMED[place]
        named = [f"{name} ({count(n)})" for name, n in sizes.head(most).items()]
        more = [f"{count(len(sizes) - most)} more"] if len(sizes) > most else []
        lines.append({"From": period_name(first) if first else "never", "Wave": wave,
                      "Counts as": (TREATED, LATER, COMPARED)[place], "Systems": len(sizes),
                      units.capitalize(): len(rows), f"Who ({units})": ", ".join([*named, *more])})
    cells = len(each) * periods
    lost = cells - int(panel["outcome"].notna().sum())
    said = f"There is no figure for {count(lost)} of {count(cells)} pairs of unit and period." if lost else (
        "There is a figure for every unit and period.")
    return text_table("timing", "Who is treated when", lines, notes=[said], file="manifest.json")
