"""Made-up population in the layouts of the Office for National Statistics' MYE2 books, MYEB3 file and Census.

Layouts: sheet names, header rows, CSV files with thousands commas for mid-2012 and mid-2014, the codes of each
edition, and books of mid-2012 to mid-2016 that a later revision (in MYEB3) changes district by district but not in sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from did.project.registry import RawFileEntry, Source
from did.readers.reference import read_reference
from did.simulate import FileWriter, unknown_layout
from did.simulate.sheets import SYNTHETIC, Grid, put, save, save_csv
from did.simulate.truth import ENGLAND, Demo, stream

AGES = 91
CENSUS_AGES = 101
CENSUS_TIME = 2011.235   # 27 March 2011
ADULT_AGE = 18
YEARS = range(2001, 2020)
FIRST_BOOK = 2012
REBASED = range(2012, 2017)
# Later codes and the districts of mid-2013 that make them, with the first book that uses them.
# Source: ONS code history; the mid-2018 book is on April 2019 codes and the mid-2019 book on April 2020 codes.
MERGED: dict[str, tuple[int, tuple[str, ...]]] = {
    "E06000058": (2018, ("E06000028", "E06000029", "E07000048")),
    "E06000059": (2018, ("E07000049", "E07000050", "E07000051", "E07000052", "E07000053")),
    "E07000244": (2018, ("E07000205", "E07000206")),
    "E07000245": (2018, ("E07000201", "E07000204")),
    "E07000246": (2018, ("E07000190", "E07000191")),
    "E06000060": (2019, ("E07000004", "E07000005", "E07000006", "E07000007")),
}
# Codes that changed in 2013 and what they were before, in the book of mid-2012 and the Census.
# Source: ONS code history.
BEFORE_2013 = {"E06000057": "E06000048", "E08000037": "E08000020", "E07000242": "E07000097",
               "E07000243": "E07000101"}
# St Albans and Welwyn Hatfield until 2012: in no file here.
EARLIER = {*BEFORE_2013.values(), "E07000100", "E07000104"}
REGIONS = ["North East", "North West", "Yorkshire and The Humber", "East Midlands", "West Midlands",
           "East of England", "London", "South East", "South West"]
# Metropolitan counties and the last three digits of their first and last district.
METROPOLITAN = {"E11000001": ("Greater Manchester", 1, 10), "E11000002": ("Merseyside", 11, 15),
                "E11000003": ("South Yorkshire", 16, 19), "E11000007": ("Tyne and Wear", 20, 24),
                "E11000005": ("West Midlands", 25, 31), "E11000006": ("West Yorkshire", 32, 36)}
KINDS = {"E06": "Unitary Authority", "E07": "Non-metropolitan District", "E08": "Metropolitan District",
         "E09": "London Borough", "E10": "County", "E11": "Metropolitan County", "E12": "Region", "E92": "Country"}
# Names that the books end in the marker of a footnote.
FOOTNOTES = {"E07000201": " [1]", "E07000245": " [1]"}
# Made-up multiples of England for the other nations, whose rows readers leave out.
NATIONS = {"W92000004": ("WALES", 0.056), "S92000003": ("SCOTLAND", 0.098), "N92000002": ("NORTHERN IRELAND", 0.034)}


@dataclass(frozen=True)
class Layout:
    """How one edition of MYE2 is laid out; ``header`` counts rows from 0."""

    sheet: str
    header: int
    geography: bool
    last_age: Any = 90.0
    text_ages: bool = False
    capitals: bool = False
    others: tuple[str, ...] = ()


LAYOUTS = {
    2013: Layout("UK persons", 2, False, "90", text_ages=True, capitals=True, others=("UK males", "UK females")),
    2014: Layout("", 2, False, "90", text_ages=True, capitals=True),
    2015: Layout("Persons UK", 2, False, capitals=True, others=("Males UK", "Females UK ")),
    2016: Layout("MYE2 - All", 4, False, others=("MYE2 - M", "MYE2 - F")),
    2017: Layout("MYE2 - All", 4, True, others=("MYE2 - M", "MYE2 - F")),
    2018: Layout("MYE2-All", 4, True, others=("MYE2 - Males", "MYE2 - Females")),
    2019: Layout("MYE2 - Persons", 4, True, "90+", others=("MYE2 - Males", "MYE2 - Females")),
}


@dataclass(frozen=True)
class Population:
    """Persons by district of mid-2013: ``persons`` (districts, years of YEARS, ages 0 to 90+).

    ``districts`` has lad_code, lad_name, area_code and area_name (upper tier) and region, in the order of
    ``persons``; ``later`` the same of codes that came later. ``rebased`` (districts, years) is the later series
    of all ages.
    """

    districts: pd.DataFrame
    later: pd.DataFrame
    persons: np.ndarray
    rebased: np.ndarray

    def adults(self) -> pd.DataFrame:
        """Return people of 18 and over by upper-tier authority of mid-2013 (index) and year from 2011.

        For 2011, which has no book: the later all-age series x the authority's share of adults, between those of the
        Census and of the first book, as the panel estimates them.
        """
        upper = self.districts["area_code"]
        adults = pd.DataFrame(self.persons[:, :, ADULT_AGE:].sum(axis=2), columns=YEARS).groupby(upper).sum()
        everyone = pd.DataFrame(self.persons.sum(axis=2), columns=YEARS).groupby(upper).sum()
        earlier = pd.DataFrame(self.rebased, columns=YEARS).groupby(upper).sum()
        census = pd.DataFrame(self.census()).groupby(upper).sum()
        then = census.loc[:, ADULT_AGE:].sum(axis=1) / census.sum(axis=1)
        later = adults[FIRST_BOOK] / everyone[FIRST_BOOK]
        weight = (2011.5 - CENSUS_TIME) / (FIRST_BOOK + 0.5 - CENSUS_TIME)
        adults[2011] = earlier[2011] * (then + weight * (later - then))
        return adults[range(2011, YEARS[-1] + 1)]

    def census(self) -> np.ndarray:
        """Return persons on Census day by district and age 0 to 90+: between mid-2010 and mid-2011."""
        before, after = (self.persons[:, year - YEARS[0]] for year in (2010, 2011))
        return np.rint(before + (CENSUS_TIME - 2010.5) * (after - before)).astype(int)


def make(demo: Demo, reference: Path) -> Population:
    """Make the population of every district; sizes by kind of district, ages tilted to young or old.

    DidError for a missing reference table or a kind of district without settings.
    """
    settings = demo.population
    upper = read_reference(reference / "upper_tier_authorities.csv", ["area_code", "area_name", "region"],
                           ["area_code"])[["area_code", "area_name", "region"]]
    table = read_reference(reference / "local_authorities.csv", ["lad_code", "lad_name", "area_code"], ["lad_code"])
    table = table.sort_values("lad_code").merge(upper, on="area_code", how="left")
    # The Isles of Scilly have no delays and so no line among the authorities.
    table = table.fillna({"region": "South West", "area_name": "Isles of Scilly"})
    later = table.loc[table["lad_code"].isin(MERGED)].set_index("lad_code", drop=False)
    table = table.loc[~table["lad_code"].isin([*MERGED, *EARLIER])].reset_index(drop=True)
    rng = stream(demo, "population")
    n_districts, n_years = len(table), len(YEARS)
    kinds = [settings.kinds[code[:3]] for code in table["lad_code"]]
    middle = np.array([settings.fixed.get(code, kind.median)
                       for code, kind in zip(table["lad_code"], kinds, strict=True)])
    spread = np.array([0.0 if code in settings.fixed else kind.spread
                       for code, kind in zip(table["lad_code"], kinds, strict=True)])
    growth = settings.growth + settings.growth_spread * rng.standard_normal(n_districts)
    size = middle * np.exp(spread * rng.standard_normal(n_districts))
    size = size[:, None] * np.exp(np.outer(growth, np.arange(n_years) - n_years + 4))
    tilt = settings.age_tilt * rng.standard_normal(n_districts)
    profile = _by_age(settings.ages)[None, :] * np.exp(np.outer(tilt, (np.arange(AGES) - 40) / 100))
    persons = np.rint(size[:, :, None] * (profile / profile.sum(axis=1, keepdims=True))[:, None, :]).astype(int)
    total = persons.sum(axis=2)
    rebased = total.copy()
    revision = settings.rebasing * rng.standard_normal(n_districts)
    largest = int(total[:, -1].argmax())
    for year in REBASED:
        column = year - YEARS[0]
        change = np.rint(total[:, column] * revision * (year - REBASED[0] + 1) / len(REBASED)).astype(int)
        change[largest] -= change.sum()  # England stays the same
        rebased[:, column] += change
    return Population(table, later, persons, rebased)


def _by_age(bands: Sequence[float]) -> np.ndarray:
    """Return the share of each age 0 to 90+ from those of ten-year bands, the last being 90 and over."""
    shares = np.append(np.repeat(np.array(bands[:9]) / 10, 10), bands[9])
    return shares / shares.sum()


def files(source: Source, entries: Sequence[RawFileEntry], demo: Demo, reference: Path) -> dict[str, FileWriter]:
    """Return a writer for each file: MYE2 by its year, MYEB3 and the Census by name. DidError for any other file."""
    population = make(demo, reference)
    writers: dict[str, FileWriter] = {}
    for entry in entries:
        if entry.period is None and entry.name.startswith("MYEB3"):
            writers[entry.name] = partial(write_rebased, population=population)
        elif entry.name.startswith("census"):
            writers[entry.name] = partial(write_census, population=population)
        elif entry.period == str(FIRST_BOOK):
            writers[entry.name] = partial(write_first_book, population=population)
        elif entry.period is not None and int(entry.period[:4]) in LAYOUTS:
            writers[entry.name] = partial(write_book, population=population, year=int(entry.period))
        else:
            years = f"{FIRST_BOOK} to {max(LAYOUTS)}"
            raise unknown_layout(source, entry, f"MYE2 of mid-{years}, census..., or MYEB3... without a period")
    return writers


def on_codes(population: Population, year: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the districts and (districts, ages) persons of one mid-year on the codes of its book."""
    return _merge(population, population.persons[:, year - YEARS[0]], year)


def _merge(population: Population, counts: np.ndarray, edition: int) -> tuple[pd.DataFrame, np.ndarray]:
    table, gone, codes, rows = population.districts, set(), [], []
    place = pd.Series(range(len(table)), index=table["lad_code"])
    for code, (first, parts) in MERGED.items():
        if edition >= first:
            gone |= set(parts)
            codes.append(code)
            rows.append(counts[place[list(parts)]].sum(axis=0))
    kept = ~table["lad_code"].isin(gone).to_numpy()
    return (pd.concat([table.loc[kept], population.later.loc[codes]], ignore_index=True),
            np.concatenate([counts[kept], np.array(rows, dtype=int).reshape(len(rows), *counts.shape[1:])]))


def book_rows(population: Population, year: int) -> list[tuple[str, str, np.ndarray]]:
    """Return (code, name, persons by age) of a book in its order: nations, regions and what is in each."""
    table, persons = on_codes(population, year)
    england = persons.sum(axis=0)
    nations = {code: (name, np.rint(england * share).astype(int)) for code, (name, share) in NATIONS.items()}
    kingdom = england + sum(counts for _, counts in nations.values())
    britain, wales = kingdom - nations["N92000002"][1], nations["W92000004"][1]
    rows = [("K02000001", "UNITED KINGDOM", kingdom), ("K03000001", "GREAT BRITAIN", britain),
            ("K04000001", "ENGLAND AND WALES", england + wales), (ENGLAND, "ENGLAND", england)]
    for number, region in enumerate(REGIONS, start=1):
        inside = (table["region"] == region).to_numpy()
        name = "EAST" if region == "East of England" else region.upper()
        rows.append((f"E1200000{number}", name, persons[inside].sum(axis=0)))
        rows += _region_rows(table.loc[inside], persons[inside])
    return rows + [(code, name, counts) for code, (name, counts) in nations.items()]


def _region_rows(table: pd.DataFrame, persons: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Return unitary authorities, then each county with its districts, then metropolitan counties and boroughs."""
    codes = table["lad_code"].to_numpy()
    names = table["lad_name"].to_numpy()
    upper = table["area_code"].to_numpy()

    def listed(mask: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
        by_name = sorted(np.flatnonzero(mask), key=lambda row: names[row])
        return [(codes[row], names[row] + FOOTNOTES.get(codes[row], ""), persons[row]) for row in by_name]

    kind = np.array([code[:3] for code in codes])
    rows = listed(kind == "E06")
    for county in sorted(set(upper[kind == "E07"])):
        inside = upper == county
        rows += [(county, table["area_name"].to_numpy()[inside][0], persons[inside].sum(axis=0)), *listed(inside)]
    for code, (name, first, last) in METROPOLITAN.items():
        inside = np.array([found[:3] == "E08" and (first <= int(found[3:]) <= last or
                           (code == "E11000007" and found == "E08000037")) for found in codes])
        if inside.any():
            rows += [(code, f"{name} (Met County)", persons[inside].sum(axis=0)), *listed(inside)]
    return rows + listed(kind == "E09")


def persons_sheet(year: int, areas: Sequence[tuple[str, str, Sequence[int]]], layout: Layout,
                  cells: Mapping[tuple[int, int], Any] | None = None) -> Grid:
    """Return the sheet of persons: (code, name, persons of ages 0 to 90+) below the header row of a layout."""
    head = ["Code", "Name", *(["Geography1"] if layout.geography else []), "All ages"]
    title = ("MYE2: Population Estimates by single year of age and sex for local authorities in the UK"
             if layout.capitals else "MYE2: Population estimates: Persons by single year of age and sex for local "
             "authorities in the UK")
    grid: Grid = {(layout.header - 2, 0): f"{title}, mid-{year}", (layout.header - 1, 0): SYNTHETIC}
    ages = [str(age) if layout.text_ages else float(age) for age in range(AGES - 1)] + [layout.last_age]
    put(grid, layout.header, 0, [word.upper() if layout.capitals else word for word in head] + ages)
    for row, (code, name, persons) in enumerate(areas, layout.header + 1):
        middle = [KINDS.get(code[:3], "Country")] if layout.geography else []
        counts = [int(count) for count in persons]
        put(grid, row, 0, [code, name, *middle, sum(counts), *counts])
    return grid | dict(cells or {})


def write_book(path: Path, *, population: Population, year: int) -> None:
    """Write the MYE2 book of one year in its own layout."""
    layout = LAYOUTS[year]
    areas = book_rows(population, year)
    if not layout.sheet:
        write_book_csv(path, year, areas)
        return
    other = {(0, 0): "Not made up: only persons are used"}
    terms = "Terms & Conditions" if layout.capitals else "Contents "
    save(path, {terms: {(0, 0): terms.strip(), (2, 0): SYNTHETIC}, layout.sheet: persons_sheet(year, areas, layout),
                **{name: other for name in layout.others}})


def write_book_csv(path: Path, year: int, areas: Sequence[tuple[str, str, Sequence[int]]]) -> None:
    """Write the layout of mid-2014: a CSV file with thousands commas in quotes."""
    width = AGES + 3
    rows = [[f"MYE2: Population Estimates by single year of age and sex for local authorities in the UK, mid-{year}"],
            ["ALL PERSONS", SYNTHETIC], ["CODE", "NAME", "ALL AGES", *map(str, range(AGES))]]
    for code, name, persons in areas:
        counts = [int(count) for count in persons]
        rows.append([code, name, *(f"{count:,}" for count in [sum(counts), *counts])])
    save_csv(path, [row + [""] * (width - len(row)) for row in [*rows, [], []]], line_end="\r\n")


def write_first_book(path: Path, *, population: Population) -> None:
    """Write the layout of mid-2012: a CSV file of England and Wales without a title, by kind of area, on the codes of
    2012; London stands among the counties again."""
    rows = [row for row in book_rows(population, FIRST_BOOK)
            if row[0][:3] not in {"K02", "K03", "S92", "N92"}]
    kinds = ["K04", "E92", "W92", "E12", "E11", "E10", "E09", "E08", "E06", "E07"]
    rows.sort(key=lambda row: kinds.index(row[0][:3]))
    london = next(row for row in rows if row[0] == "E12000007")
    last_region = max(place for place, row in enumerate(rows) if row[0].startswith("E12"))
    rows.insert(last_region + 1, (london[0], "Greater London", london[2]))
    lines = [["Code", "Name", " ALL AGES", *map(str, range(AGES - 1)), f"{AGES - 1}+"]]
    for code, name, persons in rows:
        counts = [int(count) for count in persons]
        lines.append([BEFORE_2013.get(code, code), name, *(f"{count:,}" for count in [sum(counts), *counts])])
    save_csv(path, lines)


def write_census(path: Path, *, population: Population) -> None:
    """Write table QS103EW: the districts of England, and one of Wales, by age 0 to 100 and over."""
    ages = ["Age under 1", *(f"Age {age}" for age in range(1, CENSUS_AGES - 1)), f"Age {CENSUS_AGES - 1} and over"]
    rows: list[list[Any]] = [["name", "mnemonic", *ages]]
    oldest = CENSUS_AGES - AGES
    table = population.districts
    for code, name, counts in zip(table["lad_code"], table["lad_name"], population.census(), strict=True):
        # Of those aged 90 and over, a fifth fewer at each age; who is left by rounding is 90.
        shares = 0.8 ** np.arange(oldest + 1)
        old = np.floor(counts[-1] * shares / shares.sum()).astype(int)
        old[0] += counts[-1] - old.sum()
        rows.append([name, BEFORE_2013.get(code, code), *map(int, [*counts[:-1], *old])])
    rows.append(["Merthyr Tydfil", "W06000024", *[600] * CENSUS_AGES])
    save_csv(path, rows)


def write_rebased(path: Path, *, population: Population) -> None:
    """Write the MYEB3 file: all ages of every year, on the codes of the last book, births and deaths alongside."""
    table, counts = _merge(population, population.rebased, YEARS[-1])
    order = np.argsort(table["lad_code"].to_numpy(), kind="stable")
    header = ["ladcode20", "laname20", "country", f"population_{YEARS[0]}"]
    for year in YEARS[1:]:
        header += [f"births_{year}", f"deaths_{year}", f"natchange_{year}", f"other_change_{year}",
                   f"population_{year}"]
    rows = [header]
    for place in order:
        row = [table["lad_code"].iloc[place], table["lad_name"].iloc[place], "E", int(counts[place, 0])]
        for column in range(1, len(YEARS)):
            now, before = int(counts[place, column]), int(counts[place, column - 1])
            births, deaths = round(now * 0.012), round(now * 0.009)
            row += [births, deaths, births - deaths, now - before - births + deaths, now]
        rows.append(row)
    rows.append(["W06000024", "Merthyr Tydfil", "W", 56000, *[650, 600, 50, 50, 56100] * (len(YEARS) - 1)])
    save_csv(path, rows)
