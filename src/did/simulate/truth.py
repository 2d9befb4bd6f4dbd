"""The settings of the demonstration data, what they plant, and the random streams everything is drawn from."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from did.errors import DidError, one_of
from did.project import yaml_files
from did.readers.reference import read_reference

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
ENGLAND = "E92000001"
PARTS = ("nhs", "social_care", "both")
COLUMNS = ["indicator", "wave", "first_period", "effect", "diverging", "unit"]
# What follows from what is planted: an indicator whose value is a sum of others, with their signs.
DERIVED = {
    "dtoc_total": {"dtoc_nhs": 1, "dtoc_social_care": 1, "dtoc_both": 1},
    "gpps_needs_not_met": {"gpps_needs_met": -1, "gpps_needs_partially_met": -1},
}


class Strict(BaseModel):
    """A mapping that allows no key it does not describe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Start(Strict):
    """First treated period of a wave."""

    month: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="first treated month, written 2017-06")
    year: int = Field(description="first year counted as treated, for indicators by year")


class Planted(Strict):
    """The effect planted in one indicator."""

    unit: str = Field(description="unit of measure of the effect")
    frequency: Literal["M", "Y"] = Field(description="frequency of the indicator")
    effect: dict[int, float] = Field(description="wave -> effect from its first treated period on")
    diverging: dict[int, float] = Field(default_factory=dict, description="wave -> trend of its areas alongside that "
                                        "of all others, per period from the first period on: not an effect")


class Noise(Strict):
    """Serially correlated noise, part of it shared by the areas of a system or region."""

    spread: float = Field(ge=0, description="standard deviation")
    persistence: float = Field(ge=0, lt=1, description="correlation from one period to the next (AR(1))")
    system: Share = Field(description="share of its variance common to the areas of a system")
    region: Share = Field(description="share of its variance common to the areas of a region")

    @model_validator(mode="after")
    def _leaves_areas_their_own(self) -> Noise:
        if self.system + self.region > 1:
            raise ValueError(f"shares of system and region must not exceed 1; found {self.system + self.region:g}")
        return self


class DistrictKind(Strict):
    """Sizes of one kind of district, told apart by the first three letters of its code."""

    median: Positive = Field(description="median population")
    spread: float = Field(ge=0, description="standard deviation of log population")


class PopulationDemo(Strict):
    """How population is made up."""

    kinds: dict[str, DistrictKind] = Field(description="district kind -> sizes")
    fixed: dict[str, Positive] = Field(default_factory=dict, description="district code -> population, for oddities")
    growth: float = Field(description="mean growth a year, share")
    growth_spread: float = Field(ge=0, description="standard deviation of growth between districts")
    ages: list[Share] = Field(min_length=10, max_length=10, description="share of ages 0-9, 10-19, ..., 90+")
    age_tilt: float = Field(ge=0, description="standard deviation of the tilt to the old (log, per 100 years of age)")
    rebasing: float = Field(ge=0, description="standard deviation of the later revision of mid-2012 to mid-2016, share")


class DtocPart(Strict):
    """Delays attributable to one party, in days per 100,000 adults a month."""

    levels: dict[int, Positive] = Field(description="year -> England's mean")
    between: Positive = Field(description="standard deviation between authorities")
    noise: Noise = Field(description="noise of the logarithm")
    clumping: Positive = Field(description="variance / mean of the days, given the rate: one patient stays many days")
    reasons: list[Share] = Field(min_length=11, max_length=11, description="share of each reason A to I and O")


class DtocDemo(Strict):
    """How delayed transfers of care are made up."""

    parts: dict[Literal["nhs", "social_care", "both"], DtocPart]
    season: list[Positive] = Field(min_length=12, max_length=12, description="factor of January to December")
    acute: dict[Literal["nhs", "social_care", "both"], Share] = Field(description="share in acute care")
    outside: dict[str, list[float]] = Field(description="NHS code of residents of elsewhere -> mean days a month "
                                            "by NHS, social care, both")


class Question(Strict):
    """A question of the GP survey: shares of its answers among all respondents, in the order of the file."""

    answers: dict[str, Share] = Field(description="measure -> share in the first year")
    trend: dict[str, float] = Field(default_factory=dict, description="measure -> change of its share a year")
    asked: Share = Field(description="share of respondents the question applies to")


class GppsDemo(Strict):
    """How the GP survey is made up."""

    practices_per_ccg: int = Field(ge=1, description="practices of each CCG of April 2013, at the median")
    respondents: Positive = Field(description="weighted respondents of a practice, at the median")
    questions: dict[str, Question] = Field(description="question -> its answers")
    between: float = Field(ge=0, description="standard deviation between CCGs of the share of the first answer")
    within: float = Field(ge=0, description="the same between practices of a CCG")
    noise: Noise = Field(description="noise of it by CCG and year")
    redesign: float = Field(description="shift of it everywhere from 2018 on: the questionnaire changed")
    suppressed: Share = Field(description="share of a practice's questions that are suppressed")
    filler: int = Field(ge=0, description="columns of questions that no indicator uses")


class MortalityDemo(Strict):
    """How preventable mortality is made up: deaths per 100,000, age-standardised, under 75."""

    levels: dict[int, Positive] = Field(description="year -> mean of areas")
    between: Positive = Field(description="standard deviation between areas")
    noise: Noise = Field(description="noise of the rate by area and year")
    population_median: Positive = Field(description="median population of a CCG")
    population_spread: float = Field(ge=0, description="standard deviation of log population")


class Demo(Strict):
    """All settings of the demonstration data."""

    seed: int = Field(ge=0, description="seed of every random draw")
    waves: dict[int, Start] = Field(min_length=1, description="wave -> when its areas become treated")
    planted: dict[str, Planted] = Field(description="indicator -> what is planted in it")
    population: PopulationDemo
    dtoc: DtocDemo
    gpps: GppsDemo
    mortality: MortalityDemo

    @model_validator(mode="after")
    def _waves_are_known(self) -> Demo:
        for indicator, what in self.planted.items():
            unknown = sorted((set(what.effect) | set(what.diverging)) - set(self.waves))
            if unknown:
                raise ValueError(f"planted.{indicator} names wave {unknown[0]}; expected one of "
                                 f"{', '.join(map(str, self.waves))}")
        return self


def load_demo(path: str | Path = "config/demo.yaml") -> Demo:
    """Read the settings; DidError as `did.project.yaml_files.read`, and for a planted wave that has no start."""
    return yaml_files.read(path, Demo)


def planted(demo: Demo) -> pd.DataFrame:
    """Return what is planted: one row per indicator and wave, sums of planted indicators among them.

    Columns: indicator, wave (int), first_period (ISO text in the indicator's frequency), effect and diverging
    (trend per period that is not an effect), both in ``unit``. A wave or trend that is not given is 0.
    """
    table = {}
    for indicator, what in demo.planted.items():
        for wave in demo.waves:
            table[indicator, wave] = (first_period(demo, wave, what.frequency), what.effect.get(wave, 0.0),
                                      what.diverging.get(wave, 0.0), what.unit)
    for indicator, terms in DERIVED.items():
        for wave in demo.waves:
            rows = [(table.get((name, wave)), sign) for name, sign in terms.items()]
            if indicator not in demo.planted and all(row for row, _ in rows):
                table[indicator, wave] = (rows[0][0][0], sum(sign * row[1] for row, sign in rows),
                                          sum(sign * row[2] for row, sign in rows), rows[0][0][3])
    return pd.DataFrame([(*key, *values) for key, values in table.items()], columns=COLUMNS)


def first_period(demo: Demo, wave: int, frequency: str) -> str:
    """Return a wave's first treated period as ISO text of the frequency (M or Y)."""
    return demo.waves[wave].month if frequency == "M" else str(demo.waves[wave].year)


def path_of(demo: Demo, indicator: str, wave: np.ndarray, periods: Sequence[str]) -> np.ndarray:
    """Return (areas, periods) what is planted in each area: its wave's effect and diverging trend.

    ``wave`` is (areas,) the wave of each area, 0 for none. Diverging trends count periods from the first of
    ``periods``. DidError if nothing is said about the indicator.
    """
    one_of("config/demo.yaml: key 'planted'", indicator, demo.planted)
    what = demo.planted[indicator]
    path = np.zeros((len(wave), len(periods)))
    for number in demo.waves:
        start = first_period(demo, number, what.frequency)
        treated = np.array([period >= start for period in periods])
        own = what.effect.get(number, 0.0) * treated + what.diverging.get(number, 0.0) * np.arange(len(periods))
        path[wave == number] = own
    return path


def stream(demo: Demo, *names: str) -> np.random.Generator:
    """Return the random stream of that name: the same whatever else has been drawn."""
    return np.random.default_rng([demo.seed, *(zlib.crc32(name.encode()) for name in names)])


def waves_of(path: Path, areas: Sequence[str], code_column: str = "area_code") -> np.ndarray:
    """Return (areas,) the wave of each area code in a membership table, the earliest if it is in several, else 0.

    This is the specification in which any part of an area inside a treated system makes it treated.
    """
    table = read_reference(path, ["wave", "system", code_column], ["wave", "system", code_column])
    if not table["wave"].str.fullmatch(r"\d+").all():
        raise DidError(f"{path}: column 'wave': expected whole numbers; found {sorted(set(table['wave']))}")
    earliest = table["wave"].astype(int).groupby(table[code_column]).min()
    return earliest.reindex(list(areas)).fillna(0).to_numpy(dtype=int)
