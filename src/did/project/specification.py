"""A specification: the choices under which a panel is made and fitted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from did.project.config_parts import Strict

Lags = Annotated[str, Field(pattern=r"^(all|yearly_means|last_[1-9]\d*)$")]


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
