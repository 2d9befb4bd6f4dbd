"""Made-up preventable mortality and population by CCG, as tidy tables on the CCGs of April 2019 and April 2020.

The gaps are the publisher's: two areas without population before 2018, population of 2019 only for areas that did
not merge in 2020, England's rates from 2011 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from did.areas.succession import Chain, load_chain
from did.project.registry import RawFileEntry, Source
from did.readers.reference import read_reference
from did.simulate import FileWriter, unknown_layout
from did.simulate.panels import shared_noise
from did.simulate.sheets import save_csv
from did.simulate.truth import ENGLAND, Demo, path_of, stream, waves_of

BEFORE, AFTER = "2019-04-01", "2020-04-01"
ON_AFTER = 2019            # first year published on the areas of April 2020
ENGLAND_FROM = 2011
POPULATION_YEARS = range(2012, 2020)
LATE = {"E38000229", "E38000230"}   # Derby and Derbyshire, Devon: no population before 2018
LATE_FROM = 2018
LOWEST = 40.0              # a rate no area falls below


@dataclass(frozen=True)
class Mortality:
    """Rates and population by CCG of April 2019: ``areas`` has code, gss_code, new, new_gss and region.

    ``rates`` (areas, years) deaths per 100,000; ``population`` (areas, years) of the same ``years``.
    """

    areas: pd.DataFrame
    years: list[int]
    rates: np.ndarray
    population: np.ndarray


def make(demo: Demo, reference: Path) -> Mortality:
    """Make the rates: level_t + a_i + planted_it + noise, trends parallel in expectation but for what is planted."""
    settings = demo.mortality
    years = list(settings.levels)
    areas = _areas(load_chain(reference / "ccg_codes.csv", reference / "ccg_successions.csv"))
    systems = read_reference(reference / "ccg_systems.csv", ["unit", "system", "region"], ["unit"]).set_index("unit")
    place = systems.reindex(areas["new"])
    areas["region"] = place["region"].to_numpy()
    wave = waves_of(reference / "table_a1_ccg.csv", areas["new"])
    rng = stream(demo, "mortality")
    noise = settings.noise
    groups = [(place["system"].to_numpy(), noise.system), (areas["region"].to_numpy(), noise.region)]
    own = settings.between * rng.standard_normal(len(areas))
    rates = np.array(list(settings.levels.values()), dtype=float)[None, :] + own[:, None]
    rates = rates + path_of(demo, "preventable_mortality", wave, [str(year) for year in years])
    rates = rates + noise.spread * shared_noise(groups, len(years), noise.persistence, rng)
    size = settings.population_median * np.exp(settings.population_spread * rng.standard_normal(len(areas)))
    growth = np.exp(np.outer(0.007 + 0.004 * rng.standard_normal(len(areas)), np.arange(len(years))))
    return Mortality(areas, years, np.maximum(rates, LOWEST), np.rint(size[:, None] * growth))


def _areas(chain: Chain) -> pd.DataFrame:
    """Return the CCGs of April 2019 with their GSS codes and their successors of April 2020."""
    before = chain.codes_at(BEFORE)[["code", "gss_code"]]
    after = chain.codes_at(AFTER).set_index("code")["gss_code"]
    mapping = chain.mapping(BEFORE, AFTER)
    new = dict(zip(mapping["old"], mapping["new"], strict=True))
    areas = before.assign(new=before["code"].map(new))
    areas["new_gss"] = areas["new"].map(after)
    return areas.sort_values("gss_code", ignore_index=True)


def files(source: Source, entries: Sequence[RawFileEntry], demo: Demo, reference: Path) -> dict[str, FileWriter]:
    """Return the writer of the source's one file; DidError if it has others."""
    mortality = make(demo, reference)
    write = write_population if source.id == "ccg_population" else write_rates
    if len(source.files) > 1:
        raise unknown_layout(source, source.files[1], "one file")
    return {entry.name: partial(write, mortality=mortality) for entry in entries}


def write_rates(path: Path, *, mortality: Mortality) -> None:
    """Write area_code, year, rate (one decimal), geography: areas of April 2019 to 2018, then of April 2020."""
    rows = [["area_code", "year", "rate", "geography"]]
    early = [column for column, year in enumerate(mortality.years) if year < ON_AFTER]
    for code, rates in zip(mortality.areas["gss_code"], mortality.rates, strict=True):
        rows += [[code, mortality.years[column], f"{rates[column]:.1f}", "ccg_2019"] for column in early]
    weighted = pd.DataFrame(mortality.rates * mortality.population).groupby(mortality.areas["new_gss"]).sum()
    people = pd.DataFrame(mortality.population).groupby(mortality.areas["new_gss"]).sum()
    late = [column for column, year in enumerate(mortality.years) if year >= ON_AFTER]
    for code in people.index:
        rows += [[code, mortality.years[column], f"{weighted.loc[code, column] / people.loc[code, column]:.1f}",
                  "ccg_2020"] for column in late]
    england = (mortality.rates * mortality.population).sum(axis=0) / mortality.population.sum(axis=0)
    rows += [[ENGLAND, year, f"{england[column]:.1f}", "country"]
             for column, year in enumerate(mortality.years) if year >= ENGLAND_FROM]
    save_csv(path, rows)


def write_population(path: Path, *, mortality: Mortality) -> None:
    """Write population with its gaps, and the columns of deprivation (empty) and region that are not read."""
    rows = [["area_code", "year", "population", "imd2019_extent", "region_code", "region"]]
    merged = mortality.areas["new"] != mortality.areas["code"]
    for code, gone, region, people in zip(mortality.areas["gss_code"], merged, mortality.areas["region"],
                                          mortality.population, strict=True):
        rows += [[code, year, f"{people[mortality.years.index(year)]:.1f}", "", "", region]
                 for year in POPULATION_YEARS
                 if not (gone and year >= ON_AFTER) and not (code in LATE and year < LATE_FROM)]
    save_csv(path, rows)
