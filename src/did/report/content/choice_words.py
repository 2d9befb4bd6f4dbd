"""The choices of a specification in plain words, as figures name them."""

from __future__ import annotations

import re
from collections.abc import Mapping

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
