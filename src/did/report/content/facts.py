"""What the pages are given alongside the tables, and the words they use for estimators and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import entries
from did.estimators.registry import BEFORE
from did.inference.methods import METHODS as REGISTERED
from did.words import listed

# Values of the tables' columns -> their names in figures and pages.
CLUSTERS = {"unit": "by area", "system": "by system"}  # where units are areas; an evaluation's own are `levels`
SAMPLES = {"full": "full sample", "wave_two_removed": "wave two removed"}
TREATMENTS = {"binary": "Binary", "intensity": "Intensity"}
# Methods of inference in running text.
METHODS = {name: known.label for name, known in REGISTERED.items()} | {
           "wild_bootstrap": "wild cluster bootstrap", "CR2": "CR2", "CR3": "CR3",
           "randomisation": "randomisation by t", "randomisation_estimate": "randomisation by the estimate",
           "randomisation_near": "randomisation by t, near in size", "clustered": "clustered errors",
           "clustered_unit": "errors clustered by unit"}
# How long a period of each frequency is called.
PERIODS = {"M": "month", "Q": "quarter", "Y": "year"}
# Mark of an estimate on few treated units.
DAGGER = "\N{DAGGER}"


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What is said of the whole and of each family alike, that is in no table.

    title : of the evaluation, or of the family; place : "England"; onset : first treated period, ISO text.
    specification : the one reported; samples, treatments, clusters : codes -> their names, the reported one first.
    n_published, n_published_numbers : coefficients in the whole publication, and how many it prints as numbers;
    published_conclusion : its summary sentence, quoted in part; "" if none.
    context : printed facts a reader must know, one sentence or two each, in the order shown.
    """

    title: str
    place: str = "England"
    onset: str
    specification: str = "default"
    samples: Mapping[str, str] = field(default_factory=lambda: dict(SAMPLES))
    treatments: Mapping[str, str] = field(default_factory=lambda: dict(TREATMENTS))
    clusters: Mapping[str, str] = field(default_factory=lambda: dict(CLUSTERS))
    n_published: int
    n_published_numbers: int
    published_conclusion: str = ""
    context: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Facts(Shared):
    """What is said of a family: names, settings, and facts printed by the publication.

    outcomes : indicator -> its name, in the order of the tables; ``total`` is the headline one, and ``parts`` are
        the indicators whose counts add up to its counts (may be empty); ``sum_to_zero`` are indicators that share
        one base and exhaust it (may be empty).
    measure : unit of the outcomes, as "delayed days per 100,000 adults per month"; effects : indicator -> unit of the
        effects on it, where it is another ("percentage points").
    dose : what one more unit of the intensity treatment is, as "additional partner organisation";
        dose_counted : a sentence on what the dose is and of when; largest_dose : one on who has most of it under the
        reported specification; "" if nothing need be said.
    units : what units are called; direction : of the headline outcome, ``lower_better``, ``higher_better`` or ``none``.
    first, last : periods, ISO text; frequency : ``M``, ``Q`` or ``Y``.
    staggered : the specification that treats each wave from its own date, "" if there is none.
    estimator : the published one, reported first; other_estimator : alongside it.
    sources : lines naming publishers and licences; caveats : what a reader must know about the indicators' figures.
    """

    outcomes: Mapping[str, str]
    total: str
    measure: str
    first: str
    last: str
    estimator: str
    parts: Sequence[str] = ()
    sum_to_zero: Sequence[str] = ()
    effects: Mapping[str, str] = field(default_factory=dict)
    frequency: str = "M"
    dose: str = "additional unit of intensity"
    dose_counted: str = ""
    largest_dose: str = ""
    units: str = "areas"
    direction: str = "none"
    staggered: str = ""
    other_estimator: str = ""
    sources: Sequence[str] = ()
    caveats: Sequence[str] = ()

    @property
    def effect_unit(self) -> str:
        """Unit of the effects on the headline outcome."""
        return self.effects.get(self.total, self.measure)

    @property
    def cell(self) -> dict[str, str]:
        """What a family is answered by: its headline outcome under the reported specification, first treatment and
        sample."""
        return {"indicator": self.total, "specification": self.specification, "treatment": next(iter(self.treatments)),
                "sample": next(iter(self.samples))}


@dataclass(frozen=True, kw_only=True)
class Front(Shared):
    """What is said of the whole: its question, its families that are available, by their names, in order, (family, its
    outcomes, why and how to supply) of what this run has no files for, the publication and whom to ask, "" if nobody is
    named."""

    question: str
    families: Mapping[str, Facts]
    citation: str = ""
    contact: str = ""
    unavailable: Sequence[tuple[str, str, str]] = ()

    @property
    def outcomes(self) -> dict[str, str]:
        """Indicator -> its name, of every family."""
        return {name: label for facts in self.families.values() for name, label in facts.outcomes.items()}


def reported(reproduction: pd.DataFrame, facts: Facts | Front) -> pd.DataFrame:
    """Return the rows of the reported specification and cluster levels; DidError if there are claims but no such
    row."""
    rows = having(reproduction, specification=facts.specification, cluster=list(facts.clusters))
    if rows.empty and len(reproduction):
        raise DidError(f"reproduction table: expected rows of specification '{facts.specification}'; found "
                       f"{listed(sorted(set(reproduction['specification'])))}; run the reproduce stage again")
    return rows


def few_treated_note(flags: pd.Series, units: str) -> str:
    """Return the footnote that explains the mark of estimates on few treated units; "" if no flag is set (a claim that
    cannot run has none)."""
    said = f"{DAGGER} Rests on fewer treated {units} than the minimum set for the outcome."
    return said if flags.eq(True).any() else ""


def estimator_name(name: str) -> str:
    """Return what an estimator is called in running text; of one that is not registered, its name in words."""
    known = entries().get(name)
    return known.running if known else name.replace("_", " ")


def short_name(name: str) -> str:
    """Return what an estimator is called in narrow columns; of one that is not registered, its name."""
    known = entries().get(name)
    return known.short if known else name


def own_dates_names() -> dict[str, str]:
    """Estimators that treat each wave from its own date -> what they are called, in the order they are shown."""
    return {name: each.among_own_dates for name, each in entries().items() if each.own_dates and each.kind != BEFORE}


def averaged_by() -> dict[str, str]:
    """Estimators without an average of their own -> the one whose one coefficient is shown for it."""
    return {name: each.averaged_by for name, each in entries().items() if each.averaged_by}


def having(rows: pd.DataFrame, **where: object) -> pd.DataFrame:
    """Return the rows with these values; of a list with any of them. No row has a value that is missing."""
    hit = np.ones(len(rows), dtype=bool)
    for column, value in where.items():   # of texts `isin` is faster than `==`; it finds what is missing, too
        known = [each for each in (value if isinstance(value, list) else [value]) if pd.notna(each)]
        hit &= rows[column].isin(known).to_numpy()
    return rows.iloc[np.flatnonzero(hit)]


def mappings(rows: pd.DataFrame) -> list[dict]:
    """Return the rows as mappings of plain values, None for a missing one; `DataFrame.to_dict` takes four times as
    long."""
    names = rows.columns.tolist()
    columns = [rows[name].to_numpy(object, na_value=None) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def only(rows: pd.DataFrame, **where: object) -> pd.Series | None:
    """Return the one row with these values, or None if there is none; DidError if there are several."""
    found = having(rows, **where)
    if len(found) > 1:
        raise DidError(f"summary: expected one row with {where}; found {len(found)}; pass one estimand per estimator")
    return found.iloc[0] if len(found) else None
