"""The indicator's file: where its figures come from, and how they become an outcome."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import pandas as pd
from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from did.errors import suggest
from did.project.config_parts import Identifier, Label, Strict, Text
from did.project.specification import Specification

# What stands in a unit of measure for the name of the specification's denominator.
DENOMINATOR = "{denominator}"


class Census(Strict):
    """The same population, counted before the first mid-year."""

    measure: str = Field(description="Measure of the same source, by local authority district.")
    all_ages: str = Field(description="The same of all ages.")
    time: float = Field(description="Census day in decimal years: 27 March 2011 is 2011.235, and mid-2012 2012.5.")


class Population(Strict):
    """A population by district that counts are divided by."""

    source: Identifier = Field(description="Source that holds the population.")
    measure: str = Field(description="Measure of that source, by local authority district and year.")
    all_ages: str = Field(description="All-age measure, used to check and to estimate earlier years.")
    earlier: str | None = Field(None, description="All-age measure for years before the first of `measure`.")
    census: Census | None = Field(None, description="Census by age, for the share of `earlier` that `measure` is; not "
                                  "needed where `measure` is all ages.")

    @model_validator(mode="after")
    def _has_share(self) -> Population:
        if self.earlier is not None and self.census is None and self.measure != self.all_ages:
            raise ValueError("key 'census' is needed: years before the first take a share of 'earlier' from it")
        if self.census is not None and (self.earlier is None or self.measure == self.all_ages):
            raise ValueError("key 'census' is for a part of all ages in the years of 'earlier': leave it out")
        return self


class Counts(Strict):
    """Counts of one or more measures, added up."""

    source: Identifier | list[Identifier] = Field(description="Source of the counts, or sources joined end to end in "
                                                  "time.")
    measures: list[str] = Field(min_length=1, description="Measures to add up.")

    @property
    def sources(self) -> list[str]:
        """The sources as a list."""
        return [self.source] if isinstance(self.source, str) else list(self.source)


class Measure(Strict):
    """One measure of one source."""

    source: Identifier = Field(description="Source.")
    measure: str = Field(description="Measure of that source.")


class Rate(Measure):
    """A rate published without its counts; where areas merge it is averaged with weights."""

    weights: Measure | None = Field(None, description="Population that weights the rate where areas merge; not needed "
                                    "with `waves.table`, where none do.")

    @model_validator(mode="before")
    @classmethod
    def _own_weights(cls, value: object) -> object:
        # Where no areas merge any weight gives the same rate; load_evaluation refuses its own elsewhere.
        if isinstance(value, dict) and "weights" not in value and {"source", "measure"} <= set(value):
            return value | {"weights": {key: value[key] for key in ("source", "measure")}}
        return value

    @property
    def sources(self) -> list[str]:
        """The source as a list."""
        return [self.source]

    @property
    def is_weighted(self) -> bool:
        """True if it has weights that are not itself."""
        return (self.weights.source, self.weights.measure) != (self.source, self.measure)


class Window(Strict):
    """First and last period of a panel, both included."""

    first: str = Field(description="First period, in the indicator's frequency.")
    last: str = Field(description="Last period, in the indicator's frequency.")


def _kind(value: object) -> str:
    """Which kind of denominator is meant: counts have `measures`, a population has one `measure`."""
    return "counts" if isinstance(value, Counts) or (isinstance(value, dict) and "measures" in value) else "population"


class Indicator(Strict):
    """One outcome: where its figures come from, how they are combined, and how to read them."""

    id: Identifier = Field(description="Name of the indicator; the file is `<id>.yaml`.")
    title: Label = Field(description="Full title, for headings.")
    label: Label = Field(description="Short label, for axes.")
    numerator: Counts | None = Field(None, description="Counts that make the outcome; they are summed over areas "
                                     "and then divided.")
    denominators: dict[Label, Annotated[Annotated[Population, Tag("population")] | Annotated[Counts, Tag("counts")],
                                      Discriminator(_kind)]] = Field(
        default_factory=dict, description="What the counts are divided by: populations or counts. The first is the "
        "default; a specification may name another.")
    rate: Rate | None = Field(None, description="In place of numerator and denominators: a rate without counts.")
    per: float = Field(gt=0, description="The outcome is per this many of the denominator.")
    unit_of_measure: Label = Field(description="Unit of the outcome; `{denominator}` stands for the specification's.")
    direction: Literal["higher_better", "lower_better", "none"] = Field(description="Which way is better.")
    geography: str = Field(description="Target areas: upper_tier, or a chain and a year such as ccg_2020.")
    aggregation: Literal["sum", "population_weighted"] = Field(description="How areas are combined: counts are "
                                                               "summed, rates are weighted.")
    frequency: Literal["M", "Q", "Y"] = Field(description="Frequency of the periods.")
    years: Literal["calendar", "financial"] = Field("calendar", description="With frequency Y: calendar years, or "
                                                    "financial years from April to March, each named by the year in "
                                                    "which it begins: 2017 is 2017/18.")
    span: int = Field(1, ge=1, le=10, description="With frequency Y: how many years each figure covers, from the one "
                      "it is named by. With 3, 2015 is 2015 to 2017, and the figures overlap.")
    onset_rule: Literal["containing", "following"] = Field("containing", description="First treated period: the "
                                                           "one that contains the onset, or the one after it. With a "
                                                           "`span`: the first that has the onset in the first quarter "
                                                           "of its months, or that begins after it; those before it "
                                                           "that hold the onset are neither before nor after, and are "
                                                           "left out.")
    windows: dict[Label, Window] = Field(min_length=1, description="Named windows; a specification names one.")
    published_estimator: str = Field(description="Estimator the published evaluation used.")
    family: Identifier = Field(description="Outcomes reported together.")
    family_title: Label = Field("", description="Title of the family, where no evaluation describes it.")
    evaluations: list[str] = Field(default_factory=list, description="Evaluations (their id) that take this indicator "
                                   "up although they do not name it.")
    residents: Measure | None = Field(None, description="Source and all-age measure of population by district, which "
                                      "says how much of a partly covered area is inside; for upper-tier authorities "
                                      "where no denominator is a population.")
    leave_out: list[str] = Field(default_factory=list, description="Codes, as in its own figures, that are no areas of "
                                 "the panel and are left out, such as totals, regions and `unknown`; each is listed "
                                 "with the areas.")
    design_effect: float | None = Field(None, gt=0, description="For an outcome that is a share of independent "
                                        "answers, such as those to a survey: how many times larger its sampling "
                                        "variance is than that of a simple random sample; 1 gives the least it can be. "
                                        "Then the diagnostics say how much of an estimate's error is who was asked.")
    minimum_treated: int = Field(1, ge=1, description="Estimates on fewer treated units carry a note.")
    caveats: list[Text] = Field(default_factory=list, description="What a reader must know.")

    @field_validator("unit_of_measure")
    @classmethod
    def _known_placeholder(cls, words: str) -> str:
        if found := re.search(r"\{[^{}]*\}?|\}", words.replace(DENOMINATOR, "")):
            raise ValueError(f"expected no braces but those of {DENOMINATOR}; found '{found[0]}'"
                             f"{suggest(found[0], [DENOMINATOR]) or '; correct or remove it'}")
        return words

    @model_validator(mode="after")
    def _one_kind(self) -> Indicator:
        if DENOMINATOR in self.unit_of_measure and self.rate is not None:
            raise ValueError(f"key 'unit_of_measure' names {DENOMINATOR}, which a rate does not have: write it out")
        if (self.rate is None) == (self.numerator is None) or bool(self.denominators) != bool(self.numerator):
            raise ValueError("expected either numerator and denominators, or rate; found "
                             f"{', '.join(key for key in ('numerator', 'denominators', 'rate') if getattr(self, key))}")
        if (self.aggregation == "sum") != (self.rate is None):
            raise ValueError(f"aggregation must be sum for counts and population_weighted for a rate; found "
                             f"{self.aggregation}")
        if self.span > 1 and self.frequency != "Y":
            raise ValueError(f"span may be above 1 with frequency Y only; found {self.frequency}")
        if self.years == "financial" and self.frequency != "Y":
            raise ValueError(f"years may be financial with frequency Y only; found {self.frequency}")
        return self

    @property
    def figures(self) -> list[Counts | Rate]:
        """The counts or the rate it is made of; not the populations."""
        counts = [each for each in self.denominators.values() if isinstance(each, Counts)]
        return [self.rate] if self.rate is not None else [self.numerator, *counts]

    def denominator_name(self, specification: Specification) -> str | None:
        """Name of the denominator under a specification; None for a rate."""
        return specification.denominator or next(iter(self.denominators), None)

    def population(self, specification: Specification) -> Measure | None:
        """Source and all-age measure of the population by district, for areas that are only partly covered."""
        denominator = self.denominators.get(self.denominator_name(specification))
        if isinstance(denominator, Population):
            return Measure(source=denominator.source, measure=denominator.all_ages)
        return self.residents

    def onset(self, first: str) -> pd.Period:
        """First treated period of this indicator when treatment begins in the month ``first``.

        Of financial years it is named by the year in which it begins: June 2017 and February 2018 lie in 2017.
        """
        return first_treated(first, self.frequency, financial=self.years == "financial", rule=self.onset_rule,
                             span=self.span)

    @property
    def sources(self) -> list[str]:
        """Sources its panel is built from: of its figures, then of its denominators, each once."""
        names = [self.rate.source, self.rate.weights.source] if self.rate else list(self.numerator.sources)
        for choice in self.denominators.values():
            names += [choice.source] if isinstance(choice, Population) else choice.sources
        names += [self.residents.source] if self.residents else []
        return list(dict.fromkeys(names))

    def holding(self, first: str) -> list[str]:
        """Periods before the first treated one that hold the month ``first`` all the same, because each covers several
        years: neither before nor after. None with a `span` of 1, whose one period the onset rule puts on one side."""
        onset = self.onset(first)
        containing = first_treated(first, self.frequency, financial=self.years == "financial", rule="containing")
        held = pd.period_range(containing + 1 - self.span, onset - 1, freq=self.frequency)
        return [] if self.span == 1 else list(held.astype(str))


def first_treated(month: str, frequency: str, *, financial: bool, rule: str, span: int = 1) -> pd.Period:
    """First treated period when treatment begins in ``month`` under an indicator's ``onset_rule`` and ``span``.

    >>> str(first_treated("2017-06", "Y", financial=False, rule="containing", span=3))   # 2017 to 2019
    '2017'
    """
    start = pd.Period(month, freq="M") - (3 if financial else 0)
    containing = start.asfreq(frequency)
    if rule == "following":
        return containing + 1
    if span == 1:
        return containing
    # Of the spans that hold the month, the first that has it in the first quarter of its months.
    treated = [back for back in range(span) if 12 * back + start.month - 1 < 3 * span]
    return containing - max(treated) if treated else containing + 1
