"""The evaluation and indicator files: what they may say, and one sentence for each mistake in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from did import yaml_files
from did.errors import DidError, suggest

FREQUENCIES = {"M": "months, written 2017-06", "Q": "quarters, written 2017Q2", "Y": "years, written 2018"}
Lags = Annotated[str, Field(pattern=r"^(all|yearly_means|last_[1-9]\d*)$")]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Strict(BaseModel):
    """A mapping that allows no key it does not describe."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Denominator(Strict):
    """The population that an indicator's counts are divided by."""

    source: str = Field(description="Source that holds the population.")
    measure: str = Field(description="Measure of that source, by local authority district and year.")
    all_ages: str = Field(description="All-age measure, used to check and to estimate earlier years.")
    earlier: str | None = Field(None, description="All-age measure for years before the first of `measure`; "
                                "the area's first-year share of `measure` in `all_ages` is applied to it.")


class Window(Strict):
    """First and last period of a panel, both included."""

    first: str = Field(description="First period, in the indicator's frequency.")
    last: str = Field(description="Last period, in the indicator's frequency.")


class Indicator(Strict):
    """One outcome: where its counts come from, what they are divided by, and how to read them."""

    id: Identifier = Field(description="Name of the indicator; the file is `<id>.yaml`.")
    title: str = Field(description="Full title, for headings.")
    label: str = Field(description="Short label, for axes.")
    sources: list[str] = Field(min_length=1, description="Sources of the counts, joined end to end in time.")
    measure: str = Field(description="Measure of those sources.")
    per: float = Field(gt=0, description="The rate is per this many of the denominator.")
    denominators: dict[str, Denominator] = Field(min_length=1, description="Populations to choose from; a "
                                                 "reading names one.")
    unit_of_measure: str = Field(description="Unit of the rate; `{denominator}` stands for the reading's.")
    direction: Literal["higher_better", "lower_better", "none"] = Field(description="Which way is better.")
    geography: Literal["upper_tier"] = Field(description="Target areas.")
    aggregation: Literal["sum"] = Field(description="How areas are combined: counts are summed.")
    frequency: Literal["M", "Q", "Y"] = Field(description="Frequency of the periods.")
    windows: dict[str, Window] = Field(min_length=1, description="Named windows; a reading names one.")
    published_estimator: str = Field(description="Estimator the published evaluation used.")
    family: str = Field(description="Outcomes reported together.")
    caveats: list[str] = Field(default_factory=list, description="What a reader must know.")


class Reading(Strict):
    """One way to settle what a published evaluation leaves open. Every key is a named choice."""

    window: str = Field("default", description="Which of the indicator's windows.")
    boundaries: Literal["merged", "dropped"] = Field("merged", description="Reorganised areas: merged into "
                                                     "the smallest stable area, or dropped.")
    denominator: str = Field(description="Which of the indicator's denominators.")
    lags: Lags = Field("all", description="Lag vector of the lagged-dependent-variable model: all, "
                       "yearly_means, or last_N.")
    metropolitan: Literal["expanded", "unmatched"] = Field("expanded", description="Metropolitan counties in "
                                                           "the membership table: expanded or left unmatched.")
    partial: Literal["any_part", "majority", "population_share"] = Field("any_part", description="Areas only "
                                                                         "partly in a system.")
    overlap: Literal["larger_share", "min", "max", "mean"] = Field("larger_share", description="Dose of an "
                                                                   "area listed under two systems.")


class Waves(Strict):
    """Who became treated, when, and what system each area belongs to."""

    membership: str = Field(description="Table of wave, system, area and dose.")
    partial_districts: str = Field(description="Districts of partly covered areas that are in the system.")
    systems: str = Field(description="System of every unit, for clustering.")
    treated_waves: list[int] = Field(min_length=1, description="Waves that count as treated.")
    onset: str = Field(description="First treated month of the treated waves, written 2017-06.")
    removable_wave: int = Field(description="Wave taken out of the sample `wave_two_removed`.")


class Family(Strict):
    """Outcomes that are shown together."""

    title: str = Field(description="Name of the family.")
    figure: str = Field("", description="Figure of the publication whose layout is followed.")
    headline: str = Field(description="Indicator the summary answers for.")
    parts: list[str] = Field(default_factory=list, description="Indicators whose counts add up to the headline's.")


class Publication(Strict):
    """What was published: printed facts that stand beside the results."""

    citation: str = Field(description="How to cite it.")
    coefficients: int = Field(gt=0, description="Coefficients in the whole publication.")
    printed_numbers: int = Field(ge=0, description="How many of them are printed as numbers.")
    conclusion: str = Field(description="Its conclusion, in part, as printed.")
    context: list[str] = Field(default_factory=list, description="Facts a reader must know, in our words.")


class Evaluation(Strict):
    """An evaluation: its data, roll-out, indicators, readings, estimators and outputs."""

    id: Identifier = Field(description="Name of the evaluation.")
    title: str = Field(description="Title of the evaluation.")
    question: str = Field(description="The question it answers.")
    data: str = Field(description="Where files come from: mirror:FOLDER or live.")
    seed: int = Field(ge=0, description="Seed of every random draw.")
    sources_folder: str = Field("config/sources", description="Folder of source registry files.")
    indicators_folder: str = Field("config/indicators", description="Folder of indicator files.")
    reference: str = Field("data/reference", description="Folder of reference tables.")
    published: str = Field(description="Table of published claims.")
    publication: Publication
    place: str = Field(description="Where, as in the subtitles of figures.")
    units: str = Field(description="What units are called.")
    dose: str = Field(description="What one more unit of intensity is.")
    families: dict[str, Family] = Field(min_length=1, description="Families of outcomes.")
    indicators: list[str] = Field(min_length=1, description="Indicators to evaluate.")
    waves: Waves
    treatments: list[Literal["binary", "intensity"]] = Field(min_length=1, description="Treatments.")
    samples: list[Literal["full", "wave_two_removed"]] = Field(min_length=1, description="Samples.")
    estimators: list[str] = Field(min_length=1, description="Estimators, by name.")
    clusters: list[Literal["unit", "system"]] = Field(min_length=1, description="Levels of clustering.")
    default_reading: str = Field(description="The reading that is reported.")
    readings: dict[str, Reading] = Field(min_length=1, description="Named readings.")


def period(text: str, frequency: str, where: str) -> pd.Period:
    """Return the pandas Period that ``text`` writes in ``frequency`` (M, Q or Y); ``where`` names its key.

    Raises DidError if it is written otherwise.
    """
    patterns = {"M": r"\d{4}-(0[1-9]|1[0-2])", "Q": r"\d{4}Q[1-4]", "Y": r"\d{4}"}
    if not re.fullmatch(patterns[frequency], str(text)):
        raise DidError(f"{where}: expected {FREQUENCIES[frequency]}; found '{text}'")
    return pd.Period(str(text), freq=frequency)


def load_indicator(name: str, folder: str | Path) -> Indicator:
    """Read ``<folder>/<name>.yaml``.

    Raises DidError for an unknown indicator (naming the known ones and the nearest), a mistake in the file,
    an id that is not the file's name, or a window whose periods are mistaken or run backwards.
    """
    folder = Path(folder)
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise DidError(f"indicator '{name}' is not known: expected a file {path}; "
                       f"found {', '.join(known) or 'none'}{suggest(name, known)}")
    indicator = yaml_files.read(path, Indicator)
    if indicator.id != name:
        raise DidError(f"{path}: key 'id' must be the file's name '{name}'; found '{indicator.id}'")
    for key, window in indicator.windows.items():
        where = f"{path}: key 'windows.{key}"
        first = period(window.first, indicator.frequency, f"{where}.first'")
        last = period(window.last, indicator.frequency, f"{where}.last'")
        if last <= first:
            raise DidError(f"{where}' must end after it begins; found {first} to {last}")
    return indicator


def load_evaluation(path: str | Path) -> Evaluation:
    """Read an evaluation file and everything it names, so that mistakes are found before anything runs.

    Raises DidError for a mistake in the file or in an indicator it names, an unknown estimator, a reading
    that names a window or denominator its indicators lack, and an onset outside a window.
    """
    from did.estimators import ESTIMATORS

    path = Path(path)
    evaluation = yaml_files.read(path, Evaluation)
    if evaluation.default_reading not in evaluation.readings:
        raise DidError(f"{path}: key 'default_reading' must name a reading ({', '.join(evaluation.readings)}); "
                       f"found '{evaluation.default_reading}'"
                       f"{suggest(evaluation.default_reading, evaluation.readings)}")
    for estimator in evaluation.estimators:
        if estimator not in ESTIMATORS:
            raise DidError(f"{path}: key 'estimators' expected {', '.join(ESTIMATORS)}; "
                           f"found '{estimator}'{suggest(estimator, ESTIMATORS)}")
    for key in ("indicators", "treatments", "samples", "estimators", "clusters"):
        words = getattr(evaluation, key)
        if len(set(words)) < len(words):
            raise DidError(f"{path}: key '{key}' names something twice; found {words}")
    onset = period(evaluation.waves.onset, "M", f"{path}: key 'waves.onset'")
    for name in evaluation.indicators:
        indicator = load_indicator(name, evaluation.indicators_folder)
        if indicator.family not in evaluation.families:
            raise DidError(f"{path}: key 'families' must describe '{indicator.family}', the family of {name}; "
                           f"found {', '.join(evaluation.families)}{suggest(indicator.family, evaluation.families)}")
        _check_indicator(path, evaluation, indicator, onset)
    for key, family in evaluation.families.items():
        for name in [family.headline, *family.parts]:
            if name not in evaluation.indicators:
                raise DidError(f"{path}: key 'families.{key}' names indicator '{name}', which is not in 'indicators'"
                               f"{suggest(name, evaluation.indicators)}")
    return evaluation


def _check_indicator(path: Path, evaluation: Evaluation, indicator: Indicator, onset: pd.Period) -> None:
    """Raise DidError unless each reading fits the indicator and the onset lies inside its window."""
    for name, reading in evaluation.readings.items():
        for kind, word, allowed in (("window", reading.window, indicator.windows),
                                    ("denominator", reading.denominator, indicator.denominators)):
            if word not in allowed:
                raise DidError(f"{path}: key 'readings.{name}.{kind}' must be one that indicator {indicator.id} "
                               f"has ({', '.join(allowed)}); found '{word}'{suggest(word, allowed)}")
        window = indicator.windows[reading.window]
        first, last = (period(text, indicator.frequency, "") for text in (window.first, window.last))
        if not first < onset.asfreq(indicator.frequency) <= last:
            raise DidError(f"{path}: key 'waves.onset' must fall after the first period and by the last of the "
                           f"{indicator.id} window {first} to {last} (reading {name}); found {onset}")
