"""Made-up delayed transfers of care, in the five layouts of NHS England's monthly workbooks and as a tidy table.

Every workbook adds up: parts to totals, reasons and types of care to the same days, rows to England with the
residents of elsewhere. Its oddities are the publisher's: see config/sources/nhs_england_dtoc.yaml.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from did.project.registry import RawFileEntry, Source
from did.readers.reference import read_reference
from did.simulate import FileWriter, population, unknown_layout
from did.simulate.panels import shared_noise
from did.simulate.sheets import SYNTHETIC, Grid, put, save, save_csv
from did.simulate.truth import PARTS, Demo, path_of, stream, waves_of
from did.words import MONTHS

SHEET = "LA - by responsible org"
BLOCK = ["NHS", "Social Care", "Both", "Total"]
# One name for each layout: its first month and the columns before the name.
LAYOUTS = {
    "sha": ("2011-04", ["SHA", "Code"]),
    "region": ("2013-04", ["Region", "", "Code"]),
    "ons": ("2015-07", ["Region", "ONS Geography", "Code"]),
    "beds": ("2017-04", ["Region", "ONS Geography", "Code"]),
    "average": ("2019-05", ["Region", "ONS Geography", "Code"]),
}
PERIODS = [str(month) for month in pd.period_range("2011-04", "2020-02", freq="M")]
LAST_WORKBOOK = "2019-12"
TIDY = ["month", "area_code", "area_name", "nhs", "social_care", "both", "total"]
REASONS = ["A) Awaiting completion of assessment", "B) Awaiting public funding",
           "C) Awaiting further non-acute NHS care", "Di) Awaiting residential home placement or availability",
           "Dii) Awaiting nursing home placement or availability", "E) Awaiting care package in own home",
           "F) Awaiting community equipment and adaptations", "G) Patient or family choice", "H) Disputes",
           "I) Housing - patients not covered by Care Act", "O) Other"]
NOTE = "1. 'Average Number of People Delayed per Day' was previously titled 'DTOC Beds'."
# The oddities of the publisher's files: months in which an authority reported nothing, as zeros.
ZERO_MONTHS = {
    "803": {"2011-04", "2011-05", "2011-07", "2011-09", "2011-11", "2012-01", "2012-05", "2012-08", "2012-11",
            "2013-01", "2013-03", "2013-04", "2013-07"},  # Isle of Wight
    "311": {"2011-06"},                                   # Tameside
}
# April 2019 books the new authority's days under its largest part; from May there are two new authorities.
REORGANISED = "2019-05"
BOURNEMOUTH, POOLE, DORSET, NEW_BOURNEMOUTH = "810", "811", "809", "738"
CHRISTCHURCH = "E07000048"
BUCKINGHAMSHIRE = {"E10000002": "E06000060"}


@dataclass(frozen=True)
class Area:
    """One row: codes, name, region and delayed days; None days are written as three dashes and a zero."""

    nhs_code: Any
    ons_code: str
    name: str
    region: str
    days: tuple[int, int, int] | None


@dataclass(frozen=True)
class Delays:
    """Days by area of before the reorganisation, month of PERIODS, type of care, part and reason.

    ``areas`` has nhs_code, ons_code, name and region in the order of ``days`` (areas, months, 2, 3, 11);
    ``authorities`` is the reference table; ``christchurch`` the share of Dorset's days that moved.
    """

    areas: pd.DataFrame
    authorities: pd.DataFrame
    days: np.ndarray
    christchurch: float


def layout_of(period: str) -> str:
    """Return the layout NHS England used in a month."""
    return [name for name, (first, _) in LAYOUTS.items() if first <= period][-1]


# --- days ------------------------------------------------------------------------------------------------


def make(demo: Demo, reference: Path) -> Delays:
    """Make the days of every area and month.

    For each part, with authority i in month t: the rate per 100,000 adults has mean
    level_t x season + b_i + planted_it with b_i of mean 0, times noise of mean 1 that is AR(1) and partly common
    to systems and regions; so trends are parallel in expectation but for what is planted as diverging. Days
    given the rate are Gamma with variance ``clumping`` x mean, for one patient stays many days.
    """
    authorities = read_reference(reference / "dtoc_authorities.csv",
                                 ["nhs_code", "ons_code", "name", "area_type", "region", "first_period",
                                  "last_period"], ["nhs_code", "first_period"])
    areas = authorities.loc[authorities["first_period"] == ""].reset_index(drop=True)
    utla = areas["area_type"] == "utla"
    people = population.make(demo, reference)
    adults = people.adults().reindex(areas.loc[utla, "ons_code"])
    years = [min(int(period[:4]), population.YEARS[-1]) for period in PERIODS]
    rates = np.stack([_rates(demo, part, areas.loc[utla, "ons_code"], reference) for part in PARTS])
    mean = rates * adults[years].to_numpy()[None] / 100_000
    elsewhere = np.array([demo.dtoc.outside[code] for code in areas.loc[~utla, "nhs_code"]])
    mean_all = np.zeros((len(PARTS), len(areas), len(PERIODS)))
    mean_all[:, utla.to_numpy()] = mean
    mean_all[:, ~utla.to_numpy()] = np.maximum(elsewhere, 0.01).T[:, :, None]
    rng = stream(demo, "dtoc", "days")
    clumping = np.array([demo.dtoc.parts[part].clumping for part in PARTS])[:, None, None]
    days = np.rint(rng.gamma(mean_all / clumping, clumping)).astype(int)
    for code, months in ZERO_MONTHS.items():
        days[:, np.flatnonzero(areas["nhs_code"] == code)[:, None], [PERIODS.index(month) for month in months]] = 0
    districts = people.districts
    dorset = (districts["area_code"] == areas.set_index("nhs_code").loc[DORSET, "ons_code"]).to_numpy()
    residents = people.persons[:, -1].sum(axis=1)
    moved = residents[(districts["lad_code"] == CHRISTCHURCH).to_numpy()].sum() / residents[dorset].sum()
    return Delays(areas, authorities, _by_reason(demo, days), float(moved))


def _rates(demo: Demo, part: str, codes: pd.Series, reference: Path) -> np.ndarray:
    """Return (authorities, months) expected days per 100,000 adults of one part, noise included."""
    settings = demo.dtoc.parts[part]
    rng = stream(demo, "dtoc", part)
    authorities = read_reference(reference / "upper_tier_authorities.csv", ["area_code", "unit", "region"],
                                 ["area_code"]).set_index("area_code").loc[codes]
    system = read_reference(reference / "upper_tier_systems.csv", ["unit", "system"], ["unit"])
    system = authorities["unit"].map(system.set_index("unit")["system"]).to_numpy()
    moments = [int(period[:4]) + (int(period[5:]) - 0.5) / 12 for period in PERIODS]
    level = np.interp(moments, [year + 0.5 for year in settings.levels], list(settings.levels.values()))
    level = level * np.array(demo.dtoc.season)[[int(period[5:]) - 1 for period in PERIODS]]
    # Authorities differ by a Gamma of mean `base`, so that no mean falls below level - base > 0.
    base = 0.9 * level.min()
    own = rng.gamma((base / settings.between) ** 2, settings.between**2 / base, len(codes)) - base
    wave = waves_of(reference / "table_a1_upper_tier.csv", codes)
    mean = level[None, :] + own[:, None] + path_of(demo, f"dtoc_{part}", wave, PERIODS)
    noise = settings.noise
    groups = [(system, noise.system), (authorities["region"].to_numpy(), noise.region)]
    log = noise.spread * shared_noise(groups, len(PERIODS), noise.persistence, rng)
    return np.maximum(mean, 1.0) * np.exp(log - noise.spread**2 / 2)


def _by_reason(demo: Demo, days: np.ndarray) -> np.ndarray:
    """Split (parts, areas, months) days at random by type of care and reason: (areas, months, 2, parts, reasons).

    ``O) Other`` is a reason from April 2017 on.
    """
    rng = stream(demo, "dtoc", "reasons")
    acute = rng.binomial(days, np.array([demo.dtoc.acute[part] for part in PARTS])[:, None, None])
    by_care = np.stack([acute, days - acute])                       # care, part, area, month
    shares = np.array([demo.dtoc.parts[part].reasons for part in PARTS])
    later = PERIODS.index(LAYOUTS["beds"][0])
    split = np.zeros((*by_care.shape, len(REASONS)), dtype=np.int64)
    for months, used in ((slice(0, later), shares * ([1] * 10 + [0])), (slice(later, None), shares)):
        share = used / used.sum(axis=1, keepdims=True)
        split[..., months, :] = rng.multinomial(by_care[..., months], share[None, :, None, None, :])
    return np.transpose(split, (2, 3, 0, 1, 4))


def on_boundaries(delays: Delays, period: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the areas and days (areas, 2, 3, 11) of a month as its workbook books them.

    April 2019: Bournemouth, Christchurch and Poole under Bournemouth, Poole empty. From May 2019: the two
    new authorities. Nothing is lost by it.
    """
    areas, days = delays.areas, delays.days[:, PERIODS.index(period)].copy()
    if period < "2019-04":
        return areas, days
    row = {code: int(np.flatnonzero(areas["nhs_code"] == code)[0]) for code in (BOURNEMOUTH, POOLE, DORSET)}
    moved = np.rint(days[row[DORSET]] * delays.christchurch).astype(int)
    days[row[BOURNEMOUTH]] += days[row[POOLE]] + moved
    days[row[DORSET]] -= moved
    days[row[POOLE]] = 0
    if period < REORGANISED:
        return areas, days
    new = delays.authorities.loc[delays.authorities["first_period"] != ""].set_index("nhs_code", drop=False)
    areas = areas.copy()
    columns = ["nhs_code", "ons_code", "name", "region"]
    areas.loc[row[BOURNEMOUTH], columns] = new.loc[NEW_BOURNEMOUTH, columns]
    areas.loc[row[DORSET], columns] = new.loc[DORSET, columns]
    kept = np.arange(len(areas)) != row[POOLE]
    return areas.loc[kept].reset_index(drop=True), days[kept]


# --- files -----------------------------------------------------------------------------------------------


def files(source: Source, entries: Sequence[RawFileEntry], demo: Demo, reference: Path) -> dict[str, FileWriter]:
    """Return a writer for each file: workbooks by their month, the tidy table of 2020 if it has none.

    DidError for a month outside April 2011 to December 2019.
    """
    delays = make(demo, reference)
    writers: dict[str, FileWriter] = {}
    for entry in entries:
        if source.reader == "tidy_csv":
            writers[entry.name] = partial(write_tidy, delays=delays)
        elif entry.period in PERIODS and entry.period <= LAST_WORKBOOK:
            writers[entry.name] = partial(write_workbook, delays=delays, period=entry.period)
        else:
            raise unknown_layout(source, entry, f"a workbook of a month from {PERIODS[0]} to {LAST_WORKBOOK}")
    return writers


def write_tidy(path: Path, *, delays: Delays) -> None:
    """Write the months after the last workbook as a tidy table, Buckinghamshire under its later code."""
    rows: list[list[Any]] = []
    for period in (period for period in PERIODS if period > LAST_WORKBOOK):
        areas, days = on_boundaries(delays, period)
        parts = days.sum(axis=(1, 3))
        found = [[period, BUCKINGHAMSHIRE.get(code, code), name.removesuffix(" UA"), *map(float, part),
                  float(part.sum())]
                 for code, name, part in zip(areas["ons_code"], areas["name"], parts, strict=True) if code]
        rows += sorted(found, key=lambda row: row[1])
    save_csv(path, [TIDY, *rows])


def write_workbook(path: Path, *, delays: Delays, period: str) -> None:
    """Write one month's workbook: England, by type of care, by responsible organisation and by reason."""
    layout = layout_of(period)
    table, days = on_boundaries(delays, period)
    codes, onses, names, regions, types = (table[column].tolist() for column in (
        "nhs_code", "ons_code", "name", "region", "area_type"))
    # The oldest layout is by name, the others by region; residents of elsewhere come last.
    order = sorted(range(len(codes)), key=lambda at: (
        types[at] != "utla", "" if layout == "sha" else regions[at], names[at]))
    days = days[order]
    parts, care = days.sum(axis=(1, 3)), days.sum(axis=(2, 3))
    rows = [Area(codes[at], onses[at] or "-", names[at], "-" if layout == "sha" or not onses[at] else regions[at],
                 tuple(part) if any(part) or codes[at] in ZERO_MONTHS else None)
            for at, part in zip(order, parts.tolist(), strict=True)]
    month_days = calendar.monthrange(int(period[:4]), int(period[5:]))[1]
    reasons = REASONS if layout in ("beds", "average") else REASONS[:10]
    by_reason = days.sum(axis=(1, 2))[:, : len(reasons)]
    care_title = "LA - by type of care" if layout in ("beds", "average") else "LA - by Type of Care"
    sheets = {
        "England": england_sheet(period, days.sum(axis=0)[..., : len(reasons)], reasons),
        care_title: counts_sheet(period, layout, rows, ["Acute", "Non-Acute", "Total"], care, days_in_month=month_days),
        SHEET: responsible_sheet(period, layout, rows, days_in_month=month_days),
        "LA - by reason": counts_sheet(period, layout, rows, [*reasons, "Total"], by_reason),
    }
    if LAYOUTS["beds"][0] <= period < "2018-11":
        sheets["Data Quality"] = {(0, 0): f"The following providers revised data for {month_name(period)}:",
                                  (1, 0): "-", (1, 1): SYNTHETIC}
    save(path, sheets)


def responsible_sheet(period: str, layout: str, areas: Sequence[Area], *, england: bool = True,
                      drop: Sequence[str] = (), days_in_month: int = 30) -> Grid:
    """Return the sheet by responsible organisation: header in row 14, England in row 15, areas from row 17.

    ``drop`` leaves out the areas of these NHS codes without changing the England row.
    """
    sums = [sum(area.days[part] for area in areas if area.days) for part in range(3)]
    total = [*sums, sum(sums)] if england else None
    kept = [area for area in areas if area.nhs_code not in drop]
    values = [[*area.days, sum(area.days)] if area.days else ["-", "-", "-", 0] for area in kept]
    return _table(period, layout, kept, BLOCK, total, values, days_in_month)


def counts_sheet(period: str, layout: str, areas: Sequence[Area], block: Sequence[str], counts: np.ndarray, *,
                 days_in_month: int | None = None) -> Grid:
    """Return a sheet of (areas, columns) counts with their total; a second block only with ``days_in_month``."""
    values = [[*row, sum(row)] for row in counts.tolist()]
    total = counts.sum(axis=0).tolist()
    return _table(period, layout, areas, block, [*total, sum(total)], values, days_in_month)


def _table(period: str, layout: str, areas: Sequence[Area], block: Sequence[str], england: list[int] | None,
           values: Sequence[Sequence[Any]], days_in_month: int | None) -> Grid:
    before = LAYOUTS[layout][1]
    grid = _preamble(period, "Delayed Transfer of Care, NHS Organisations, England")
    two = layout in ("beds", "average") and days_in_month is not None
    start = len(before) + 2
    put(grid, 13, 1, [*before, "Name", *block, *(["", *block] if two else [])])
    if two:
        grid[12, start] = "Delayed Days"
        grid[12, start + len(block) + 1] = ("DTOC Beds" if layout == "beds"
                                            else "Average Number of People Delayed per Day")
    rows = [(14, "-", "-", "-", "England", england)] if england is not None else []
    rows += [(place, area.region, area.ons_code, area.nhs_code, area.name, cells)
             for place, (area, cells) in enumerate(zip(areas, values, strict=True), 16)]
    for place, region, ons_code, code, name, cells in rows:
        middle = {"sha": [], "region": [""]}.get(layout, [ons_code])
        # Beds are days by the day, so that a reader that takes the wrong block is found out.
        beds = ["", *(cell if cell == "-" else cell / days_in_month for cell in cells)] if two else []
        put(grid, place, 1, [region, *middle, code, name, *cells, *beds])
    if two and layout == "average":
        put(grid, 18 + len(areas), 1, ["Notes:"])
        put(grid, 19 + len(areas), 1, [NOTE])
    return grid


def england_sheet(period: str, days: np.ndarray, reasons: Sequence[str]) -> Grid:
    """Return the sheet of England's (type of care, part, reason) days; early months write NA for no such reason."""
    grid = _preamble(period, "Delayed Transfers of Care (DTOC) by Reason, England")
    put(grid, 12, 1, ["England Level Data", "", "Number of Delayed Days during the reporting period"])
    put(grid, 13, 1, ["Type of Care", "Reason for Delay", *BLOCK[:3]])
    absent = (days.sum(axis=0) == 0) & (period < LAYOUTS["beds"][0])
    row = 17
    for care, title in enumerate(("Acute", "Non-Acute")):
        put(grid, 14 + care, 1, [title, "-", *days[care].sum(axis=1).tolist()])
        for place, reason in enumerate(reasons):
            cells = ["NA" if absent[part, place] else int(days[care, part, place]) for part in range(3)]
            put(grid, row, 1, [title if place == 0 else "", reason, *cells])
            row += 1
    return grid


def _preamble(period: str, title: str) -> Grid:
    grid: Grid = {}
    put(grid, 1, 1, ["Title:", title])
    put(grid, 2, 1, ["Summary:", SYNTHETIC])
    put(grid, 4, 1, ["Period:", month_name(period)])
    put(grid, 6, 1, ["Basis:", "Local Authority"])
    put(grid, 9, 1, ["Status:", "Synthetic"])
    return grid


def month_name(period: str) -> str:
    """Return an ISO month as the publisher writes it: ``April 2011``."""
    return f"{MONTHS[int(period[5:]) - 1]} {period[:4]}"
