"""What the summary page is told beside the tables, and the words it uses for estimators and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from did.errors import DidError
from did.outputs.text import listed

# Values of the tables' columns -> their names in figures and pages.
CLUSTERS = {"unit": "by area", "system": "by system"}
SAMPLES = {"full": "full sample", "wave_two_removed": "wave two removed"}
TREATMENTS = {"binary": "Binary", "intensity": "Intensity"}
# What an estimator is called, and whom it compares the treated with.
ESTIMATORS = {
    "ldv": ("lagged dependent variable", "than that of comparison {units} with the same outcomes before then"),
    "did": ("difference-in-differences", "than if it had changed as that of the comparison {units} did"),
}
ABBREVIATIONS = {"ldv": "LDV", "did": "DiD"}
TESTS = {
    "linear_pretrend": "Linear trend test",
    "joint_leads": "All leads jointly",
    "joint_leads_bin_12": "Leads in bins of 12 months",
}


@dataclass(frozen=True)
class Facts:
    """What the summary says that is not in a table: names, settings, and facts printed by the publication.

    title, question : of the evaluation.
    outcomes : indicator -> its name, in the order of the tables; ``total`` is the headline one, and ``parts`` are
        the indicators whose counts add up to its counts (may be empty).
    measure : unit of the outcomes, as "delayed days per 100,000 adults per month".
    dose : what one more unit of the intensity treatment is, as "additional partner organisation".
    place, units : "England"; what units are called, "areas".
    direction : ``lower_better``, ``higher_better`` or ``none``.
    first, last, onset : periods, ISO text.
    reading : the reading reported; estimator : the published one, reported first; other_estimator : beside it.
    data : where the files came from, as the manifest says; sources : lines naming the publishers and licences.
    figures : (path relative to the page, alternative text) of the figures to show.
    n_published, n_published_numbers : coefficients in the whole publication, and how many it prints as numbers.
    published_conclusion : its summary sentence, quoted in part; "" if none.
    context : printed facts a reader must know, one sentence or two each, in the order shown.
    """

    title: str
    question: str
    outcomes: Mapping[str, str]
    total: str
    measure: str
    first: str
    last: str
    onset: str
    n_published: int
    n_published_numbers: int
    parts: Sequence[str] = ()
    dose: str = "additional unit of intensity"
    place: str = "England"
    units: str = "areas"
    direction: str = "none"
    reading: str = "default"
    estimator: str = "ldv"
    other_estimator: str = "did"
    data: str = ""
    published_conclusion: str = ""
    sources: Sequence[str] = ()
    figures: Sequence[tuple[str, str]] = ()
    context: Sequence[str] = ()
    samples: Mapping[str, str] = field(default_factory=lambda: dict(SAMPLES))
    treatments: Mapping[str, str] = field(default_factory=lambda: dict(TREATMENTS))
    clusters: Mapping[str, str] = field(default_factory=lambda: dict(CLUSTERS))


def select(estimates: pd.DataFrame, **where: object) -> pd.DataFrame:
    """Return the rows of the estimates table in which every named column equals the given value.

    Raises DidError, naming the values there are in the first column that leaves nothing, if no row is left.
    """
    rows = estimates
    for column, value in where.items():
        left = rows[rows[column] == value]
        if left.empty:
            found = listed(sorted(rows[column].dropna().astype(str).unique()))
            raise DidError(f"estimates table: no row has {column} '{value}' for this figure or page; found "
                           f"{found}; run the fit stage with it, or leave it out of the outputs")
        rows = left
    return rows


def estimator_name(name: str) -> str:
    """Return what an estimator is called in running text."""
    return ESTIMATORS.get(name, (name.replace("_", " "), ""))[0]


def only(rows: pd.DataFrame, **where: object) -> pd.Series | None:
    """Return the one row with these values, or None if there is none; DidError if there are several."""
    found = rows
    for column, value in where.items():
        found = found[found[column] == value]
    if len(found) > 1:
        raise DidError(f"summary: expected one row with {where}; found {len(found)}; pass one estimand per estimator")
    return found.iloc[0] if len(found) else None
