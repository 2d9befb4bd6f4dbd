"""Whether the areas that make a unit are all there, and each once: an area that is absent is missing, not zero, and
one that stands alongside its own parts, or alongside the area it went into, would be counted twice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import groupby

import pandas as pd

from did.errors import DidError, listed

ADD = "add the row, with a mark of missing where there is no figure, or begin or end the window there"
REMOVE = "leave one of the two out (key 'leave_out' of the indicator)"
Editions = Mapping[str, list[set[str]]]
Present = Mapping[tuple[str, str], Mapping[str, float]]   # group and period -> area -> its figure
Atoms = Mapping[tuple[str, str], Mapping[str, float]]   # area and day -> area of the first day -> the part of it held
_SAME = 1e-6   # shares that add up by rounding


def refuse_levels(frame: pd.DataFrame, parent_of: Mapping[str, str], names: Mapping[str, str], where: str) -> None:
    """Raise DidError if an area stands alongside one of its own parts in a period.

    ``frame``: area_code, period. ``parent_of``: code -> code of the area it is part of, if it is.
    """
    there = set(frame["area_code"].unique())
    inside = {code: parent for code in there if (parent := parent_of.get(code)) in there}
    if not inside:   # as a rule the codes alone settle it
        return
    parts = frame.assign(parent=frame["area_code"].map(inside)).dropna(subset=["parent"])
    both = parts.merge(frame[["area_code", "period"]], left_on=["parent", "period"], right_on=["area_code", "period"],
                       suffixes=("", "_whole"))
    if len(both):
        row = both.sort_values(["period", "parent", "area_code"]).iloc[0]
        others = both["parent"].nunique() - 1
        more = f" (and {others} more such areas)" if others else ""
        raise DidError(f"{where}: expected each area once in {row.period}; found {row.parent} "
                       f"({names.get(row.parent, row.parent)}) alongside its own part {row.area_code} "
                       f"({names.get(row.area_code, row.area_code)}), so it would be counted twice{more}; {REMOVE}")


def refuse_incomplete(present: Present, editions: Editions, where: str) -> None:
    """Raise DidError unless every group has, in every period that it is in, all its areas of one date.

    ``present``: what `present` returns of the groups in ``editions``, which `editions` returns. Publishers change over
    later than the law does, so the areas of any date will do.
    """
    for (name, period), there in present.items():
        if not any(there.keys() >= codes for codes in editions[name]):
            absent = min((codes - there.keys() for codes in editions[name]),
                         key=lambda codes: (len(codes), sorted(codes)))
            raise DidError(f"{where}: expected figures for every area of {name} in {period}; found none for "
                           f"{listed(sorted(absent))}; {ADD}")


def refuse_both(present: Present, editions: Editions, where: str) -> None:
    """Raise DidError if a group has its areas of two dates side by side and their counts are the same sum throughout.

    As `refuse_incomplete`. Rows of areas that are no more, with zeros, do no harm.
    """
    same: dict[str, list[tuple[bool, str, list[str]]]] = {}
    for (name, period), there in present.items():
        whole = [codes for codes in editions[name] if there.keys() >= codes]
        if len(whole) > 1 and len(there) > 2:
            sums = [math.fsum(there[code] for code in codes if not math.isnan(there[code])) for codes in whole[-2:]]
            equal = sums[0] > 0 and abs(sums[0] - sums[1]) <= _SAME * sums[0]
            same.setdefault(name, []).append((equal, period, sorted(there)))
    for found in same.values():
        if all(equal for equal, *_ in found):
            _, period, codes = found[0]
            raise DidError(f"{where}: expected each area once in {period}; found {listed(codes)} side by side, "
                           f"areas of two dates with the same sum, so that they would be counted twice; {REMOVE}")


def present(frame: pd.DataFrame) -> Present:
    """Return the areas there in each group and period, with their figures, in order of group and period.

    ``frame``: group, period, area_code, value.
    """
    rows = frame.sort_values(["group", "period"], kind="stable")
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name, period, code, value in zip(rows["group"], rows["period"], rows["area_code"], rows["value"], strict=True):
        found.setdefault((name, period), {})[code] = value
    return found


def editions(members: Mapping[str, set[str]], changes: pd.DataFrame) -> Editions:
    """Return, for each group of more than one code, the sets of areas that make it at one time, in order of time.

    ``members``: group -> its area codes of any date. ``changes``: date, old_code, new_code.
    """
    steps = list(changes.sort_values("date", kind="stable")[["date", "old_code", "new_code"]]
                 .itertuples(index=False, name=None))
    return {name: _editions(codes, [step for step in steps if step[1] in codes or step[2] in codes])
            for name, codes in members.items() if len(codes) > 1}


def _editions(codes: set[str], steps: list[tuple[str, str, str]]) -> list[set[str]]:
    now = codes - {new for _, _, new in steps}
    found = [now] if now else []
    for _, dated in groupby(steps, key=lambda step: step[0]):
        same_day = list(dated)
        now = (now - {old for _, old, _ in same_day}) | ({new for *_, new in same_day} & codes)
        if now and now not in found:
            found.append(now)
    return found


def refuse_uncovered(placed: pd.DataFrame, atoms: Atoms, expected: Mapping[str, Mapping[str, float]], where: str
                     ) -> list[bool]:
    """Raise DidError unless the areas placed in each unit and period hold all of it; return whether each holds some of
    what another holds too.

    ``placed``: old, day, period, unit, share: each area as it was on a day, and the share of it that lies in the unit.
    ``atoms``: what each area of a day holds of the areas of the first day. ``expected``: what each
    unit does.
    """
    rows = list(zip(*(placed[name] for name in ("period", "unit", "old", "day", "share")), strict=True))
    held: dict[tuple[str, str], dict[str, float]] = {}
    for period, unit, old, day, share in rows:
        parts = held.setdefault((period, unit), {})
        for atom, part in atoms[old, day].items():
            parts[atom] = parts.get(atom, 0.0) + part * share
    for (period, unit), parts in sorted(held.items()):
        gap = [atom for atom, part in expected[unit].items() if parts.get(atom, 0.0) < part - _SAME]
        if gap:
            last = max(day for each, of, _, day, _ in rows if (each, of) == (period, unit))
            lacking = sorted({old for (old, day), parts in atoms.items() if day == last and not parts.keys().isdisjoint(
                gap)} or gap)
            raise DidError(f"{where}: expected figures for every area of {unit} in {period}; found none for "
                           f"{listed(lacking)}; {ADD}")
    twice = {(period, unit): {atom for atom, part in parts.items() if part > expected[unit].get(atom, part) + _SAME}
             for (period, unit), parts in held.items()}
    return [not twice[period, unit].isdisjoint(atoms[old, day]) for period, unit, old, day, _ in rows]


def refuse_twice(placed: pd.DataFrame, where: str) -> None:
    """Raise DidError if one area's figure is the sum of those alongside it that hold some of the same.

    ``placed``: area_code, period, unit, value, of areas that `refuse_uncovered` finds to hold some of the same.
    """
    for _, rows in placed.groupby("unit"):
        values = rows.groupby("period")["value"].agg(["max", "sum"])
        # Practices summed to the codes of different years stand side by side too, and hold none of each other: only
        # where one figure is throughout the sum of the others does it hold them.
        if ((2 * values["max"] - values["sum"]).abs() <= _SAME * values["sum"]).all() and values["sum"].sum() > 0:
            period = rows["period"].min()
            codes = sorted(set(rows.loc[rows["period"] == period, "area_code"]))
            whole = rows.loc[rows["period"] == period].sort_values("value")["area_code"].iloc[-1]
            raise DidError(f"{where}: expected each area once in {period}; found {whole} alongside "
                           f"{listed([code for code in codes if code != whole])}, which it holds or is the same "
                           f"as, so that they would be counted twice; {REMOVE}")
