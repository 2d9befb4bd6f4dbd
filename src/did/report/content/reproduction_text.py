"""Words for specifications and printed numbers, shared by the page and the figures of a reproduction."""

from __future__ import annotations

import re

from did.project.claims import printed_range
from did.words import decimals_for, number, short_decimals


def specification_words(choices: str) -> str:
    """Return a specification's choices (``key=value; key=value``) in words; no choice is the default."""
    if not choices:
        return "default"
    dated = re.sub(r"(\d{4})_(\d\d)\b", r"\1-\2", choices)
    return ", ".join(part.replace("=", " ", 1).replace("_", " ") for part in dated.split("; "))


def printed_words(claim) -> str:
    """Return the printed number of a claim: ``+40``, ``about +40``."""
    value = float(claim.value)
    exact = claim.value.partition(".")[2]
    text = number(value, max(len(exact), short_decimals(value)), signed=True)
    return f"{claim.rounding} {text}".strip()


def decimals_beside(std_error: float, value: float) -> int:
    """Return the decimals of an estimate that stands alongside a printed value: no fewer than that has."""
    return max(decimals_for(std_error), short_decimals(value))


def printed_range_of(value: str, rounding: str) -> str:
    """Return what a printed number stands for: ``35 to 45``."""
    low, high = (float(end) for end in printed_range(value, rounding))
    return f"{number(low, short_decimals(low))} to {number(high, short_decimals(high))}"
