"""The evaluation and indicator files: what they may say, and one sentence for each mistake in them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from did.errors import DidError
from did.project import yaml_files

FREQUENCIES = {"M": "months, written 2017-06", "Q": "quarters, written 2017Q2", "Y": "years, written 2018"}
Lags = Annotated[str, Field(pattern=r"^(all|yearly_means|last_[1-9]\d*)$")]
Identifier = Annotated[str, Field(pattern=yaml_files.IDENTIFIER)]
# What figures show, and what only pages do.
Label = Annotated[str, Field(max_length=500)]
Text = Annotated[str, Field(max_length=10_000)]


class Strict(BaseModel):
    """A mapping that allows no key it does not describe."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


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

    @model_validator(mode="after")
    def _one_kind(self) -> Indicator:
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


class Specification(Strict):
    """One way to settle what a published evaluation leaves open. Every key is a named choice."""

    families: list[str] | None = Field(None, description="Families it concerns; all if absent.")
    window: str = Field("default", description="Which of the indicator's windows.")
    boundaries: Literal["merged", "dropped"] = Field("merged", description="Reorganised areas: merged into "
                                                     "the smallest stable area, or dropped.")
    drop_periods: list[str] = Field(default_factory=list, description="Periods to leave out: each a period or a span "
                                    "such as 2015-04 to 2017-05.")
    denominator: str | None = Field(None, description="Which of the indicator's denominators; the first if absent.")
    lags: Lags = Field("all", description="Lag vector of the lagged-dependent-variable model: all, "
                       "yearly_means, or last_N.")
    metropolitan: Literal["expanded", "unmatched"] = Field("expanded", description="Metropolitan counties in "
                                                           "the membership table: expanded or left unmatched.")
    cohorts: Literal["published", "by_wave", "by_system", "by_table", "own_dates"] = Field(
        "published", description="Who counts as treated from when: the treated waves, all from the one onset; every "
        "wave in `waves.onsets` from its own month; or that, and the systems of `waves.system_onsets` from theirs. "
        "With `waves.table` each unit from the period the table gives it: by_table, fitted by `estimators`, or "
        "own_dates, by `staggered_estimators`.")
    membership: str = Field("published", description="Who became treated: published (`waves.membership`), or one of "
                            "`waves.records`.")
    controls: Literal["not_treated", "never_treated"] = Field("not_treated", description="Who is compared with: all "
                                                              "units that do not count as treated; or those alone that "
                                                              "no wave reaches within the window.")
    predecessors: Literal["resolved", "as_printed"] = Field("resolved", description="Members printed under the name "
                                                            "of a successor: resolved to the areas of the panel, "
                                                            "or joined on the printed name only.")
    partial: Literal["any_part", "majority", "population_share"] = Field("any_part", description="Areas only "
                                                                         "partly in a system.")
    overlap: Literal["larger_share", "min", "max", "mean"] = Field("larger_share", description="Dose of an "
                                                                   "area listed under two systems.")
    weights: Literal["equal", "denominator"] = Field("equal", description="How much a unit counts: all alike, or by "
                                                     "its denominator, such as its population, on average before the "
                                                     "first onset. Not in a specification that is reported by itself.")
    scale: Literal["level", "log"] = Field("level", description="What is regressed: the outcome, or its logarithm, "
                                           "whose constant proportional effect is given as what it amounts to for the "
                                           "treated, in units of the outcome. Not in a specification that is reported "
                                           "by itself.")

    @property
    def staggered(self) -> bool:
        """True if it is for the estimators that let units be treated from different dates."""
        return self.cohorts in ("by_wave", "by_system", "own_dates")


class Sample(Strict):
    """Units that an effect is estimated on: all that there are, but for those named here."""

    called: Label = Field("", description="What it is called in figures and pages; its name if absent.")
    without_waves: list[int] = Field(default_factory=list, description="Waves that are left out.")
    without_systems: list[str] = Field(default_factory=list, description="Systems that are left out, by code.")
    without_units: list[str] = Field(default_factory=list, description="Units that are left out, by code.")


class Waves(Strict):
    """Who became treated, when, and what system each area belongs to: by `table`, or by the other keys."""

    table: str | None = Field(None, description="Table of first treated periods, for units that are as the figures "
                              "have them (columns `unit` or `system`, `first_treated`; optional `wave`, `dose`, "
                              "`system`, `name`, `region`). In place of every other key but `units`.")
    units: str | None = Field(None, description="Table of `unit` and `system` (optional `name`, `region`), where "
                              "`table` is by system.")
    membership: dict[str, str] = Field(default_factory=dict, description="Geography -> table of wave, system, area and "
                                       "dose.")
    partial_districts: dict[str, str] = Field(default_factory=dict, description="Geography -> districts of partly "
                                              "covered areas that are in the system.")
    systems: dict[str, str] = Field(default_factory=dict, description="Geography -> system of every unit, for "
                                    "clustering.")
    treated_waves: list[int] = Field(default_factory=list, description="Waves that count as treated.")
    onset: str = Field("", description="First treated month of the treated waves, written 2017-06. With `table`: the "
                       "earliest within every window, found by itself.")
    onsets: dict[int, str] = Field(default_factory=dict, description="Wave -> its first treated month, for "
                                                                     "specifications "
                                   "with cohorts by_wave.")
    system_onsets: dict[str, str] = Field(default_factory=dict, description="System -> its own first treated month, "
                                          "where that is not its wave's.")
    records: dict[Label, dict[str, str]] = Field(default_factory=dict, description="Name -> geography -> another "
                                               "membership table, for specifications with that membership.")

    @model_validator(mode="after")
    def _one_way(self) -> Waves:
        given = [name for name in self.model_fields_set if getattr(self, name) not in (None, "", [], {})]
        needed = ("membership", "systems", "treated_waves", "onset")
        if self.table is None:
            missing = [name for name in needed if name not in given]
            if missing:
                raise ValueError(f"expected table, or {', '.join(needed)}; found no {', '.join(missing)}")
        elif extra := sorted(set(given) - {"table", "units"}):
            raise ValueError(f"with table, expected units at most; found {', '.join(extra)}; remove them")
        return self


class Family(Strict):
    """Outcomes that are shown together."""

    title: Label = Field(description="Name of the family.")
    figure: Label = Field("", description="Figure of the publication whose layout is followed.")
    headline: str = Field(description="Indicator the summary answers for.")
    parts: list[str] = Field(default_factory=list, description="Indicators whose counts add up to the headline's.")
    sum_to_zero: list[str] = Field(default_factory=list, description="Indicators that share one base and exhaust it: "
                                   "their effects by difference-in-differences add up to zero.")


class Context(Strict):
    """A printed fact that a reader must know."""

    text: Text = Field(description="The fact, in our words.")
    families: list[str] | None = Field(None, description="Families it concerns; all if absent.")


class Publication(Strict):
    """What was published: printed facts that stand alongside the results."""

    citation: Text = Field("", description="How to cite it.")
    coefficients: int = Field(0, ge=0, description="Coefficients in the whole publication.")
    printed_numbers: int = Field(0, ge=0, description="How many of them are printed as numbers.")
    conclusion: Text = Field("", description="Its conclusion, in part, as printed.")
    context: list[Context] = Field(default_factory=list, description="Facts a reader must know.")


class Inference(Strict):
    """How the interval of a headline is chosen: by the first method whose measured coverage holds."""

    order: list[Literal["wild_bootstrap", "CR2", "CR3", "randomisation", "randomisation_estimate", "randomisation_near",
                        "jackknife", "clustered", "clustered_unit"]] = Field(
        default_factory=lambda: ["wild_bootstrap", "CR2", "randomisation", "CR3", "randomisation_near", "jackknife"],
        min_length=1,
        description="Methods in the order they are considered; docs/inference.md says what each is.")
    tolerance: float = Field(0.02, gt=0, lt=0.5, description="How far the measured coverage of a 95% interval may be "
                             "from 0.95, under each scheme of placebo assignments, for its method to hold.")
    draws: int = Field(999, ge=99, description="Placebo assignments that every method is tried in, for each scheme; "
                       "of those close to the limit four times as many.")
    refits: int = Field(0, ge=0, description="Placebo assignments of an estimator that has to be fitted again for "
                        "each, as imputation; 0 = it has no headline interval. 199 take some 10 s to a minute for each "
                        "outcome, specification and scheme.")
    wild_draws: int = Field(399, ge=99, description="Draws of the wild bootstrap in each of them; for the estimate "
                            "itself `draws` of the evaluation.")


class Evidence(Strict):
    """Where the rules of the evidence draw their lines; docs/evidence.md says what each rule is."""

    close: float = Field(0.1, gt=0, lt=1, description="A printed number is close to ours if they differ by at most "
                         "this share of our standard error, with the same sign, band and number of observations.")
    placebo_share: float = Field(0.1, ge=0, lt=1, description="Trends could explain an effect if more than this share "
                                 "of placebo onsets give an estimate as large.")
    own_dates_share: float = Field(0.5, ge=0, lt=1, description="Of the estimates with each wave from its own date, "
                                   "more than this share must have an interval that leaves out zero.")
    kept_share: float = Field(0.9, gt=0, le=1, description="Of the estimates without one treated system, with other "
                              "controls and under the declared specifications, at least this share must keep what the "
                              "interval says.")
    second_program: float = Field(1e-6, gt=0, lt=0.01, description="A run stops where an estimate and that of a second "
                                  "program differ by more than this share of the larger of estimate and standard "
                                  "error.")


class Robustness(Strict):
    """What is left out, and into what parts the units are cut, to see what an estimate rests on."""

    leave_out: dict[Label, list[str]] = Field(default_factory=dict, description="Name -> codes of units that are left "
                                            "out together.")
    ends: dict[Label, str] = Field(default_factory=dict, description="Name -> last period that is kept.")
    terciles: dict[Label, dict[str, str]] = Field(default_factory=dict, description="Name of a quantity -> geography "
        "-> "
                                              "table of it (unit, value); effects are given for each tercile.")
    neighbours: dict[str, str] = Field(default_factory=dict, description="Geography -> table of the units that border "
                                       "each other (unit, neighbour); effects on neighbours of the treated are given, "
                                       "and estimates without controls that border them.")


class Evaluation(Strict):
    """An evaluation: its data, roll-out, indicators, specifications, estimators and outputs."""

    id: Identifier = Field(description="Name of the evaluation.")
    title: Label = Field(description="Title of the evaluation.")
    question: Text = Field(description="The question it answers.")
    folder: str | None = Field(None, pattern="^$|" + yaml_files.IDENTIFIER, description="Folder within `data` and "
                               "`results` that it keeps its files in; its id if absent, none if empty.")
    data: str = Field(description="Where files come from: demo, mirror:FOLDER or live.")
    seed: int = Field(ge=0, description="Seed of every random draw.")
    sources_folder: str = Field("config/sources", description="Folder of source registry files.")
    indicators_folder: str = Field("config/indicators", description="Folder of indicator files.")
    reference: str = Field("data/reference", description="Folder of reference tables.")
    published: str | None = Field(None, description="Table of published claims; without, nothing is compared.")
    publication: Publication = Field(default_factory=Publication, description="What was published, if anything.")
    place: Label = Field(description="Where, as in the subtitles of figures.")
    units: Label = Field(description="What units are called.")
    dose: Label = Field(description="What one more unit of intensity is.")
    dose_counted: Label = Field("", description="When the dose was counted, as `in April 2021`, if that was after the "
                              "onset.")
    contact: Label = Field("", description="Whom to ask about the results, as a name with an address; for the report "
                           "and the cover of the workbook.")
    families: dict[Identifier, Family] = Field(min_length=1, description="Families of outcomes.")
    indicators: list[Identifier] = Field(min_length=1, description="Indicators to evaluate.")
    waves: Waves = Field(description="Who became treated, and when.")
    treatments: list[Literal["binary", "intensity"]] = Field(min_length=1, description="Treatments.")
    samples: dict[Identifier, Sample] = Field(min_length=1, description="Named samples: what each leaves out. The "
                                              "first is reported.")
    estimators: list[str] = Field(min_length=1, description="Estimators, by name.")
    staggered_estimators: list[str] = Field(default_factory=list, description="Estimators of specifications with "
                                                                              "cohorts "
                                            "by_wave, by_system or own_dates: first sample and treatment.")
    clusters: list[Literal["unit", "system"]] = Field(min_length=1, description="Levels of clustering.")
    draws: int = Field(9999, ge=99, description="Draws of the wild bootstrap and of reassignment.")
    inference: Inference = Field(default_factory=Inference, description="How the interval of a headline is chosen.")
    evidence: Evidence = Field(default_factory=Evidence, description="Where the rules of the evidence draw lines.")
    robustness: Robustness = Field(default_factory=Robustness, description="What an estimate is tried without.")
    default_specification: str = Field(description="The specification that is reported.")
    specifications: dict[Identifier, Specification] = Field(min_length=1, description="Named specifications.")
    products: dict[str, dict[str, list[str]]] = Field(default_factory=dict, description="Family -> choice of a "
        "specification "
                                                      "-> values: every combination of them is fitted alongside the "
                                                      "named specifications, the other choices as in the default.")

    @property
    def own_folder(self) -> str:
        """Folder of this evaluation within `data` and `results`; "" for none."""
        return self.id if self.folder is None else self.folder

    @property
    def sample(self) -> str:
        """Name of the sample that is reported."""
        return next(iter(self.samples))

    def specifications_of(self, indicator: Indicator) -> dict[str, Specification]:
        """The specifications that concern an indicator, by name."""
        return {name: specification for name, specification in self.specifications.items()
                if specification.families is None or indicator.family in specification.families}


def period(text: str, frequency: str, where: str) -> pd.Period:
    """Return the pandas Period that ``text`` writes in ``frequency`` (M, Q or Y); ``where`` names its key.

    Raises DidError if it is written otherwise.
    """
    patterns = {"M": r"\d{4}-(0[1-9]|1[0-2])", "Q": r"\d{4}Q[1-4]", "Y": r"\d{4}"}
    if not re.fullmatch(patterns[frequency], str(text)):
        raise DidError(f"{where}: expected {FREQUENCIES[frequency]}; found '{text}'")
    return pd.Period(str(text), freq=frequency)
