"""The evaluation's file: who was treated when, and under which specifications, by which estimators and methods."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from did.project import yaml_files
from did.project.config_parts import Identifier, Label, Strict, Text
from did.project.indicator import Indicator
from did.project.specification import Specification


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
                       "of those close to the limit up to four times as many.")
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
