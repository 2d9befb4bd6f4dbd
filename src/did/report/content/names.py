"""What the codes of the tables are called: families, outcomes, units, treatments, samples and estimators, and the
choices of a specification."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from did.report.content.facts import METHODS, TREATMENTS, Facts, own_dates_names, short_name

WITHIN = {"intensity_within_treated": "Intensity, among the treated only"}
# Choices of a specification, and what is chosen -> words.
NONE = "none"  # a choice that is empty
KEYS = {
    "window": "Period", "boundaries": "Reorganised areas", "drop_periods": "Left out", "denominator": "Denominator",
    "lags": "Lags", "metropolitan": "Metropolitan counties", "cohorts": "Treated from", "membership": "Members",
    "controls": "Compared with", "predecessors": "Names of members", "partial": "Areas partly in",
    "overlap": "Areas in two systems", "weights": "Weights", "scale": "Scale",
}
VALUES = {
    "boundaries": {"merged": "merged", "dropped": "dropped"},
    "drop_periods": {NONE: "nothing"},
    "metropolitan": {"expanded": "as their districts", "unmatched": "left out"},
    "cohorts": {"published": "one date for all", "by_wave": "each wave's date", "by_system": "each system's date",
                "by_table": "one date for all", "own_dates": "each unit's date"},
    "membership": {"published": "as published"},
    "controls": {"not_treated": "all not treated", "never_treated": "never treated only"},
    "predecessors": {"resolved": "matched", "as_printed": "as printed"},
    "partial": {"any_part": "count in full", "majority": "if most is in", "population_share": "by population"},
    "overlap": {"larger_share": "dose of the larger", "min": "smaller dose", "max": "larger dose", "mean": "mean dose"},
    "weights": {"equal": "all alike", "denominator": "by population"},
    "scale": {"level": "as it is", "log": "logarithm"},
}


@dataclass(frozen=True)
class Names:
    """Words for the codes of the outcomes of ``families``."""

    families: Sequence[Facts]

    @property
    def clusters(self) -> Mapping[str, str]:
        """Levels of clustering -> ``by area``."""
        return self.families[0].clusters

    @property
    def error(self) -> str:
        """The column of the standard error that sets a row's decimals."""
        return f"std_error_{next(iter(self.clusters))}"

    @property
    def areas(self) -> str:
        """What units are called."""
        return self.families[0].units

    @property
    def order(self) -> dict[str, int]:
        """Estimator -> place: the published one first, then that alongside it."""
        first = [name for facts in self.families for name in (facts.estimator, facts.other_estimator)]
        return {name: place for place, name in enumerate(dict.fromkeys([*first, *own_dates_names()]))}

    def clustered(self, level: str) -> str:
        """``Systems`` of the level system; of the lowest level what units are called."""
        return (self.areas if level == "unit" else f"{level}s").capitalize()

    def named(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows with names in place of codes, and the unit of each effect."""
        facts = {name: each for each in self.families for name in each.outcomes}
        units = {name: each.effects.get(name, each.measure) for name, each in facts.items()}
        called, own = own_dates_names(), {name: each.staggered for name, each in facts.items()}
        indicators = rows["indicator"].tolist()
        found = {"family": [facts[name].title if name in facts else "" for name in indicators],
                 "outcome": [facts[name].outcomes[name] if name in facts else name for name in indicators]}
        if "treatment" in rows:
            treatments = TREATMENTS | WITHIN
            given = rows["treatment"].tolist()
            found["treatment"] = [treatments.get(name, name.replace("_", " ").capitalize()) for name in given]
            found["effect_unit"] = [
                f"{units.get(name, '')}{f' per {facts[name].dose}' if treatment in ('intensity', *WITHIN) else ''}"
                for name, treatment in zip(indicators, given, strict=True)]
        if "sample" in rows:
            samples = self.families[0].samples
            found["sample"] = [samples.get(name, name) for name in rows["sample"].tolist()]
        if "estimator" in rows:
            dated = ([name == own.get(indicator) for name, indicator in zip(
                rows["specification"].tolist(), indicators, strict=True)] if "specification" in rows
                else [False] * len(rows))
            estimators = rows["estimator"].tolist()
            short = {name: short_name(name) for name in set(estimators)}
            found["estimator"] = [called[name] if own_dates and name in called else short[name]
                                  for name, own_dates in zip(estimators, dated, strict=True)]
        if "method" in rows:
            found["method"] = rows["method"].map(lambda name: METHODS.get(name, name.replace("_", " ")),
                                               na_action="ignore")
        return rows.assign(**found)


def key_words(key: str) -> str:
    """Return a choice in words, ``Areas partly in`` of ``partial``."""
    return KEYS.get(key, key.replace("_", " ").capitalize())


def value_words(key: str, value: str, known: Mapping[str, Mapping[str, str]] = VALUES) -> str:
    """Return what was chosen in words, ``count in full`` of ``any_part``; a month keeps its hyphen."""
    if key == "lags" and (found := re.fullmatch(r"last_(\d+)", value)):
        return f"the last {found[1]}"
    dated = re.sub(r"(\d{4})_(\d\d)\b", r"\1-\2", value)
    return known.get(key, {}).get(value, dated.replace("_", " "))


def choice_words(choices: str) -> str:
    """Return choices (``key=value; key=value``) in words: ``Areas partly in: by population``; without any, ``default``.

    >>> choice_words("lags=last_12; window=to_2019_12")
    'Lags: the last 12; period: to 2019-12'
    """
    parts = [part.split("=", 1) for part in choices.split("; ") if part]
    said = [f"{key_words(key)}: {value_words(key, value)}" for key, value in parts]
    return "; ".join([*said[:1], *(f"{text[:1].lower()}{text[1:]}" for text in said[1:])]) or "default"
