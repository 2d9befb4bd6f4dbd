"""Areas that merge, split and change their codes: a chain of configurations, read and checked.

A chain is two reference tables: codes (one row per edition of an area, with its ODS code, its GSS code, its
name and the days between which that edition was in use) and successions (on which date which area went into
which, with a share where an area was split). Areas are known by their ODS code; a GSS code changes when only a
boundary moved, and is translated. The word ``ccg_2020`` names the configuration of 1 April 2020 of the chain in
``ccg_codes.csv`` and ``ccg_successions.csv``; ``ccg`` alone leaves the configuration to be found from the codes.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from did.areas import chain_checks
from did.areas.chain_checks import OPEN, Lives
from did.errors import DidError, suggest
from did.readers.reference import read_reference

Moved = dict[tuple[str, str], tuple[float, str]]   # old and new area -> share, date of the last change ("": none)


class Shared(dict):
    """A mapping that frames carry in ``attrs`` without a copy at every step, which would take seconds."""

    def __deepcopy__(self, memo: dict) -> Shared:
        return self


@dataclass(frozen=True)
class Chain:
    """Editions of areas and their successions, checked; made by :func:`load_chain`.

    ``codes``: code, gss_code, name, open_date, close_date (both days included; ``9999-12-31`` if still open).
    ``successions``: date, old_code, new_code, share (1 unless the old area was split). ``name`` is the file of
    the successions, for messages. Dates are ISO text.
    """

    codes: pd.DataFrame
    successions: pd.DataFrame
    name: str

    def codes_at(self, date: str) -> pd.DataFrame:
        """Return the areas in use on ``date``: code, gss_code, name, sorted by code.

        Raises DidError for a date before the first of the chain.
        """
        if date not in self._used:
            used = self.codes.loc[(self.codes["open_date"] <= date) & (date <= self.codes["close_date"])]
            if used.empty:
                raise DidError(f"{self.name}: expected a date from {self.codes['open_date'].min()} on; found {date}")
            self._used[date] = used[["code", "gss_code", "name"]].sort_values("code", ignore_index=True)
        return self._used[date].copy()

    def configurations(self) -> list[str]:
        """Return the dates on which the set of areas changed, the first day among them."""
        return sorted({self.codes["open_date"].min(), *self.successions["date"]})

    @cached_property
    def days(self) -> list[str]:
        """The dates on which any area, its code or its boundary changed, the first day among them."""
        return sorted({*self.codes["open_date"], *self.successions["date"]})

    def mapping(self, from_date: str, to_date: str) -> pd.DataFrame:
        """Return where each area of ``from_date`` lies on ``to_date``: old, old_name, new, new_name, share, reason.

        One row per old and new area; the shares of an old area add up to 1. ``attrs`` holds both dates and,
        for messages, when the codes of other configurations were in use.

        Raises DidError if ``to_date`` is before ``from_date``: areas can be merged again, but not unmerged.
        """
        if to_date < from_date:
            raise DidError(f"{self.name}: areas of {from_date} cannot be moved back to {to_date}; expected a "
                           "later date, or figures on the earlier areas")
        before, after = ({code: (gss, name) for code, gss, name in self.codes_at(date).itertuples(index=False)}
                         for date in (from_date, to_date))
        moved = self.moved(from_date, to_date)
        frame = pd.DataFrame({
            "old": [old for old, _ in moved], "old_name": [before[old][1] for old, _ in moved],
            "new": [new for _, new in moved], "new_name": [after[new][1] for _, new in moved],
            "share": [share for share, _ in moved.values()], "reason": _reasons(moved, before, after)})
        frame.attrs = {"from": from_date, "to": to_date, "codes": self._described}
        return frame

    def moved(self, from_date: str, to_date: str) -> Moved:
        """Return `mapping` in codes. Each is the first step from its date and then the mapping from there on, kept
        because those from earlier dates go through it."""
        if (from_date, to_date) in self._kept:
            return self._kept[from_date, to_date]
        codes = self.codes_at(from_date)["code"].to_list()
        first = min((date for date in self._steps if from_date < date <= to_date), default=None)
        found: Moved = {(code, code): (1.0, "") for code in codes}
        if first is not None:
            step, onward = self._steps[first], defaultdict(list)
            for (at, new), (share, date) in self.moved(first, to_date).items():
                onward[at].append((new, share, date))
            found = {}
            for old in codes:
                for at, part in step.get(old, [(old, 1.0)]):
                    for new, share, date in onward[at]:
                        before, last = found.get((old, new), (0.0, ""))
                        found[old, new] = before + share * part, max(last, date or (first if old in step else ""))
            found = dict(sorted(found.items()))
        self._kept[from_date, to_date] = found
        return found

    @cached_property
    def lives(self) -> Lives:
        """First and last day on which each code was in use, in any edition."""
        found: Lives = {}
        rows = zip(self.codes["code"], self.codes["open_date"], self.codes["close_date"], strict=True)
        for code, opened, closed in rows:
            first, last = found.get(code, (opened, closed))
            found[code] = min(first, opened), max(last, closed)
        return dict(sorted(found.items()))

    @cached_property
    def _steps(self) -> dict[str, dict[str, list[tuple[str, float]]]]:
        """On each date, which areas every area that changed went into, with its share."""
        found: dict[str, dict[str, list[tuple[str, float]]]] = {}
        columns = [self.successions[name] for name in ("date", "old_code", "new_code", "share")]
        for date, old, new, share in zip(*columns, strict=True):
            found.setdefault(date, {}).setdefault(old, []).append((new, share))
        return found

    @cached_property
    def _kept(self) -> dict[tuple[str, str], Moved]:
        return {}

    @cached_property
    def _used(self) -> dict[str, pd.DataFrame]:
        return {}

    def to_ods(self, codes: Iterable[str], date: str, where: str = "") -> pd.Series:
        """Return the ODS codes of GSS codes in use on ``date``; ODS codes in use then stay as they are.

        The result has the index of ``codes``. Raises DidError for a code that was not in use on that date,
        naming when it was; ``where`` begins the message.
        """
        codes = codes if isinstance(codes, pd.Series) else pd.Series(list(codes), dtype="str")
        used = self.codes_at(date)
        ods, gss = used["code"], used["gss_code"]
        found = codes.map(dict(zip(ods, ods, strict=True)) | dict(zip(gss, ods, strict=True)))
        if found.isna().any():
            code = codes.loc[found.isna()].iloc[0]
            raise DidError(foreign(where or self.name, code, self.describe(code), date, [*gss, *ods]))
        return found

    def describe(self, code: str) -> str:
        """Return what a code of any date and either system stands for, or "" if the chain does not know it."""
        return self._described.get(code, "")

    @cached_property
    def _described(self) -> Shared:
        """What every code of either system stands for, and when it was in use."""
        lives: dict[str, tuple[str, str, str]] = {}
        for row in self.codes.sort_values("open_date").itertuples():
            for code in {row.code, row.gss_code} - {""}:
                opened = lives[code][1] if code in lives else row.open_date
                lives[code] = (row.name, opened, row.close_date)
        return Shared({code: f"{name}, in use from {opened}" + (f" to {closed}" if closed < OPEN else " on")
                       for code, (name, opened, closed) in lives.items()})

    def detect(self, codes: Iterable[str], near: str, where: str = "") -> str:
        """Return the date of the configuration that ``codes`` (ODS or GSS) belong to.

        It is the one with all of them and the fewest others; of equals, the nearest to the date ``near``.
        Raises DidError if no configuration has them all, naming a code that the best one lacks.
        """
        wanted = set(codes)
        best = []
        for start in self.configurations():
            later = sorted(day for day in {start, *self.codes["open_date"]} if day >= start)
            end = next((day for day in self.configurations() if day > start), OPEN)
            for date in (day for day in later if day < end):   # a GSS code may change within a configuration
                used = self.codes_at(date)
                have = set(used["code"]) | set(used["gss_code"])
                distance = abs((pd.Timestamp(date) - pd.Timestamp(near)).days)
                best.append((len(wanted - have), len(used), distance, date, sorted(wanted - have)))
        lacking, _, _, date, missing = min(best)
        if lacking:
            raise DidError(foreign(where or self.name, missing[0], self.describe(missing[0]), date, []))
        return date


def _reasons(moved: Moved, before: Mapping[str, tuple[str, str]], after: Mapping[str, tuple[str, str]]) -> list[str]:
    """Say in words what became of each old area in each new one; GSS code and name of every code before and after."""
    into, of = Counter(old for old, _ in moved), Counter(new for _, new in moved)
    words = []
    for (old, new), (share, date) in moved.items():
        name = f"{after[new][1]} ({new})"
        if into[old] > 1:
            words.append(f"{share:.1%} to {name} on {date}, by share of residents")
        elif of[new] > 1 or old != new:
            words.append(f"Merged into {name} on {date}" if old != new
                         else f"Joined in {name} by other areas or parts of them")
        else:
            words.append("Same organisation; boundary adjusted, new GSS code" if before[old][0] != after[old][0]
                         else "Same boundary throughout")
    return words


def foreign(where: str, code: str, described: str, date: str, known: Iterable[str]) -> str:
    """Word the mistake of a code that is not of the configuration of ``date``."""
    belongs = f"found one of another configuration ({described})" if described else (
        f"found one that the chain does not know{suggest(code, known)}")
    return (f"{where}: area code '{code}': expected an area of the configuration of {date}; {belongs}; "
            "give the figures their own configuration or correct the code")


def load(geography: str, folder: str | Path) -> tuple[Chain, str]:
    """Return the chain and the date that a word such as ``ccg_2020`` names, from tables in ``folder``.

    Raises DidError for a word without a chain or year, and for what :func:`load_chain` refuses.
    """
    kind, date = configuration(geography)
    folder = Path(folder)
    known = sorted(path.name.removesuffix("_successions.csv") for path in folder.glob("*_successions.csv"))
    if kind not in known or date is None:
        example = ", ".join(f"{word}_2020" for word in known) or "none"
        raise DidError(f"geography '{geography}': expected a chain in {folder} and a year, such as {example}; "
                       f"found no {'year' if kind in known else f'{kind}_successions.csv'}{suggest(kind, known)}")
    chain = load_chain(folder / f"{kind}_codes.csv", folder / f"{kind}_successions.csv")
    return chain, date


def configuration(area_type: str) -> tuple[str, str | None]:
    """Return the kind of area and the date in ``ccg_2020``: ("ccg", "2020-04-01"); no date without a year.

    NHS organisations change on 1 April.
    """
    found = re.fullmatch(r"(.+)_(\d{4})", area_type)
    return (found[1], f"{found[2]}-04-01") if found else (area_type, None)


def load_chain(codes_path: str | Path, successions_path: str | Path) -> Chain:
    """Read and check a chain.

    ``codes_path``: ods_code, gss_code, name, open_date, close_date (empty: still open), a row per edition of
    an area. ``successions_path``: date, old_code, new_code, share (ODS codes; empty share: all of it).

    Raises DidError, naming the table, code and date, for: a missing table or column; a date that is not one; a
    row twice; editions of a code that overlap or leave a gap; a succession of an unknown code; a code with two
    successors on one date without shares, or with shares that do not add up to 1; a cycle; an area that
    closes without a successor on the next day, or opens after the first day of the chain without a predecessor
    (a dropped row); a predecessor that is still open, or a successor not open, on the date.
    """
    codes_path, successions_path = Path(codes_path), Path(successions_path)
    codes = read_reference(codes_path, ["ods_code", "gss_code", "name", "open_date", "close_date"],
                           ["ods_code", "open_date"]).rename(columns={"ods_code": "code"})
    codes["close_date"] = codes["close_date"].replace("", OPEN)
    chain_checks.dates(codes, ["open_date", "close_date"], codes_path)
    lives = chain_checks.editions(codes, codes_path)
    steps = read_reference(successions_path, ["date", "old_code", "new_code", "share"],
                           ["date", "old_code", "new_code"])
    chain_checks.dates(steps, ["date"], successions_path)
    for column in ("old_code", "new_code"):
        unknown = steps.loc[~steps[column].isin(codes["code"])]
        if len(unknown):
            row = unknown.iloc[0]
            raise DidError(f"{successions_path}: {column} of {row.old_code} to {row.new_code} on {row.date}: "
                           f"expected a code of {codes_path.name}; found '{row[column]}'"
                           f"{suggest(row[column], sorted(set(codes['code'])))}; correct it or add the area there")
    steps["share"] = chain_checks.shares(steps, successions_path)
    chain_checks.cycles(steps, successions_path)
    chain_checks.lives(steps, lives, successions_path)
    return Chain(codes=codes[["code", "gss_code", "name", "open_date", "close_date"]],
                 successions=steps[["date", "old_code", "new_code", "share"]], name=str(successions_path))
