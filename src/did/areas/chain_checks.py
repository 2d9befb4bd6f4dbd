"""Checks of the two tables of a chain of areas: editions and successions must agree with one another."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path

import pandas as pd

from did.errors import DidError

OPEN = "9999-12-31"
Lives = dict[str, tuple[str, str]]   # code -> first and last day in use


def dates(frame: pd.DataFrame, columns: list[str], path: Path) -> None:
    """Raise DidError for a text that is no day."""
    for column in columns:
        wrong = pd.to_datetime(frame[column].replace(OPEN, "2100-01-01"), format="%Y-%m-%d", errors="coerce").isna()
        if wrong.any():
            row = frame.loc[wrong].iloc[0]
            raise DidError(f"{path}: column '{column}' of {row.iloc[1] if 'code' not in row else row['code']}: "
                           f"expected a date such as 2020-04-01; found '{row[column]}'; correct it")


def _next_day(date: str) -> str:
    return str(datetime.date(*map(int, date.split("-"))) + datetime.timedelta(days=1))


def editions(codes: pd.DataFrame, path: Path) -> Lives:
    """Return when each code was in use. Raise DidError unless its editions follow each other day by day, and a GSS code
    is of one edition."""
    given = codes.loc[codes["gss_code"] != ""]
    twice = given.loc[given["gss_code"].duplicated()]
    if len(twice):
        raise DidError(f"{path}: gss_code must be unique; found {twice['gss_code'].iloc[0]} twice; remove one row")
    rows = sorted(zip(codes["code"], codes["open_date"], codes["close_date"], strict=True))
    lives: Lives = {}
    for code, dated in itertools.groupby(rows, key=lambda row: row[0]):
        days = [(opened, closed) for _, opened, closed in dated]
        for opened, closed in days:
            if closed < opened:
                raise DidError(f"{path}: {code} must close after it opens on {opened}; found {closed}; correct it")
        for (_, closed), (opened, _) in itertools.pairwise(days):
            if closed == OPEN or _next_day(closed) != opened:
                raise DidError(f"{path}: editions of {code} must follow each other day by day; found one to "
                               f"{'no end' if closed == OPEN else closed} and the next from {opened}; correct them")
        lives[code] = days[0][0], days[-1][1]
    return lives


def shares(steps: pd.DataFrame, path: Path) -> pd.Series:
    """Shares as numbers; DidError for a split without them or one that does not add up to 1."""
    numbers = pd.to_numeric(steps["share"].replace("", None), errors="coerce")
    wrong = ((steps["share"] != "") & ~numbers.between(0, 1, inclusive="right"))
    if wrong.any():
        row = steps.loc[wrong].iloc[0]
        raise DidError(f"{path}: share of {row.old_code} to {row.new_code} on {row.date}: expected a number above "
                       f"0 and up to 1, or nothing; found '{row.share}'; correct it")
    parts: dict[tuple[str, str], list[tuple[str, float | None]]] = {}
    for date, old, new, share in zip(steps["date"], steps["old_code"], steps["new_code"], numbers, strict=True):
        parts.setdefault((date, old), []).append((new, None if pd.isna(share) else share))
    for (date, old), group in sorted(parts.items()):
        to, given = ", ".join(new for new, _ in group), [share for _, share in group if share is not None]
        if len(group) > 1 and len(given) < len(group):
            raise DidError(f"{path}: {old} has {len(group)} successors on {date} ({to}): expected one, or a share "
                           "for each; found none; remove the wrong row or give shares")
        if given and abs(sum(given) - 1) > 1e-6:
            raise DidError(f"{path}: shares of {old} on {date} ({to}) must add up to 1; found {sum(given):g}; "
                           "correct them")
    return numbers.fillna(1.0)


def cycles(steps: pd.DataFrame, path: Path) -> None:
    """Raise DidError if an area goes into others that come back to it; a split may leave it a part of itself."""
    onward: dict[str, list[str]] = {}
    for old, new in zip(steps["old_code"], steps["new_code"], strict=True):
        if old != new:
            onward.setdefault(old, []).append(new)
    done: set[str] = set()

    def walk(code: str, trail: list[str]) -> None:
        if code in trail:
            raise DidError(f"{path}: expected no cycle of successors; found "
                           f"{' to '.join([*trail[trail.index(code):], code])}; remove the wrong row")
        if code not in done:
            for new in onward.get(code, []):
                walk(new, [*trail, code])
            done.add(code)

    for code in sorted(onward):
        walk(code, [])


def lives(steps: pd.DataFrame, days: Lives, path: Path) -> None:
    """Raise DidError unless successions agree with the days on which areas open and close, in both directions."""
    rows = list(zip(steps["date"], steps["old_code"], steps["new_code"], strict=True))
    partly = {(date, old) for date, old, new in rows if old == new}
    for date, old, new in rows:
        (_, closed), (opened, last) = days[old], days[new]
        what = f"{path}: {old} to {new} on {date}"
        if (date, old) not in partly and (closed == OPEN or _next_day(closed) != date):
            raise DidError(f"{what}: expected {old} to close the day before; found "
                           f"{'that it stays open' if closed == OPEN else f'closing date {closed}'}; "
                           "correct the date or the code")
        if not opened <= date <= last:
            raise DidError(f"{what}: expected {new} to be open on that date; found opening date "
                           f"{opened}; correct the date or the code")
    first = min(opened for opened, _ in days.values())
    leaving, arriving = {(date, old) for date, old, _ in rows}, {(date, new) for date, _, new in rows}
    for code, (opened, closed) in days.items():
        if closed != OPEN and (_next_day(closed), code) not in leaving:
            raise DidError(f"{path}: {code} closes on {closed}: expected its successor on "
                           f"{_next_day(closed)}; found none; add the row")
        if opened > first and (opened, code) not in arriving:
            raise DidError(f"{path}: {code} opens on {opened}: expected its predecessor on that date; "
                           "found none; add the row")
