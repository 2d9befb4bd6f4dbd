"""The claims file: what a publication prints about each of its estimates, and how a number was printed."""

from __future__ import annotations

import re
from collections.abc import Collection
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pandas as pd

from did.errors import DidError, suggest
from did.estimators import names
from did.readers.reference import read_reference

CLAIM_COLUMNS = ["claim", "figure", "pane", "indicator", "outcome", "estimator", "treatment", "sample", "value",
                 "unit", "sign", "significance", "n_obs", "as_printed"]
# Columns a file may leave out: then they are empty in every row.
OPTIONAL_COLUMNS = ["rounding", "n_panel", "not_comparable", "estimand", "cohort", "period", "event_time"]
# What identifies an estimate; estimand, cohort, period and event_time name one of an estimator's several effects.
CELL = ["indicator", "estimator", "treatment", "sample", "estimand", "cohort", "period", "event_time"]
TREATMENTS = ("binary", "intensity")
SIGNS = ("+", "-")
ROUNDINGS = ("about",)
# Digits and a point: NaN, Infinity and 1E+999999999 are numbers to Decimal too.
PRINTED = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{0,15})?|[+-]?\.[0-9]{1,15}")
# Statements about a p-value. A printed p<0.05 is true of any smaller p as well.
BANDS = {
    "p<0.001": lambda p: p < 0.001,
    "p<0.01": lambda p: p < 0.01,
    "p<0.05": lambda p: p < 0.05,
    "not significant": lambda p: p >= 0.05,
}


def load_claims(path: str | Path | None, indicators: Collection[str] | None = None, *,
                estimators: Collection[str] | None = None, samples: Collection[str] | None = None) -> pd.DataFrame:
    """Read a table of published claims: one row per printed (or unprinted) estimate, all columns as text. Without a
    ``path`` nothing was published, and there are no rows.

    A fact that was never printed is an empty cell; `OPTIONAL_COLUMNS` may be missing and are then empty. An empty
    estimand is read as ``overall``. docs/reproduction.md describes every column. Raises DidError, naming file and
    claim, for: a missing column; a claim that is not a name, or is listed twice, or two claims on one estimate; an
    indicator that is not in ``indicators`` (None for any, where it was checked before); an estimator that is not in
    ``estimators``; a sample that is not in ``samples`` (None for any); an unknown treatment, sign, significance band or
    rounding; a value that is not a number, has no unit or contradicts its own sign; a number of observations or event
    time that is not a whole number.
    """
    if path is None:
        return pd.DataFrame(columns=[*CLAIM_COLUMNS, *OPTIONAL_COLUMNS], dtype="str")
    claims = read_reference(path, CLAIM_COLUMNS, ["claim"])
    for column in OPTIONAL_COLUMNS:
        if column not in claims:
            claims[column] = ""
    claims["estimand"] = claims["estimand"].replace("", "overall")
    known = names() if estimators is None else estimators
    for row in claims.itertuples():
        _check(row, f"{path}: claim {row.claim}", indicators, known, samples)
    twice = claims.loc[claims.duplicated(CELL, keep=False), "claim"].tolist()
    if twice:
        raise DidError(f"{path}: claims {twice[0]} and {twice[1]}: expected one claim on each estimate; found two on "
                       "the same indicator, estimator, treatment and sample; put their facts into one row")
    return claims


def _check(row, where: str, indicators: Collection[str] | None, estimators: Collection[str],
           samples: Collection[str] | None) -> None:
    """Raise DidError for the first cell of a claim that may not be as it is."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", row.claim):
        raise DidError(f"{where}: claim must be a name of letters, digits, _, . and -, since files are named by it; "
                       f"found '{row.claim}'")
    if indicators is not None and row.indicator not in indicators:
        raise DidError(f"{where}: indicator '{row.indicator}' is not in the evaluation; expected one of "
                       f"{', '.join(indicators)}{suggest(row.indicator, indicators)}")
    _choose(where, "estimator", row.estimator, estimators)
    _choose(where, "treatment", row.treatment, TREATMENTS)
    if samples is not None:
        _choose(where, "sample", row.sample, samples)
    _choose(where, "significance", row.significance, BANDS, empty=True)
    _choose(where, "sign", row.sign, SIGNS, empty=True)
    _choose(where, "rounding", row.rounding, ROUNDINGS, empty=True)
    if row.value:
        if not PRINTED.fullmatch(row.value):
            raise DidError(f"{where}: value must be empty or a number; found '{row.value}'; write it as -12.5")
        value = Decimal(row.value)
        if not row.unit:
            raise DidError(f"{where}: the value {row.value} needs a unit; fill the column 'unit'")
        if row.sign and value and (value > 0) != (row.sign == "+"):
            raise DidError(f"{where}: sign and value must agree; found sign {row.sign} and value {row.value}; fix one "
                           "of the two")
    elif row.rounding:
        raise DidError(f"{where}: rounding says how a value was printed; found '{row.rounding}' and no value; leave it "
                       "empty or fill the column 'value'")
    for column in ("n_obs", "n_panel"):
        text = getattr(row, column)
        if text and not re.fullmatch("[0-9]{1,15}", text):
            raise DidError(f"{where}: {column} must be empty or a whole number, written without commas; found '{text}'")
    if row.event_time and not re.fullmatch("-?[0-9]{1,9}", row.event_time):
        raise DidError(f"{where}: event_time must be empty or a whole number; found '{row.event_time}'")


def _choose(where: str, column: str, word: str, allowed: Collection[str], *, empty: bool = False) -> None:
    if word in allowed or (empty and not word):
        return
    raise DidError(f"{where}: {column} must be {'empty or ' if empty else ''}one of {', '.join(allowed)}; "
                   f"found '{word}'{suggest(word, allowed)}")


def judged_cells(claims: pd.DataFrame, *, estimators: Collection[str], treatments: Collection[str],
                 samples: Collection[str]) -> list[tuple[str, str, str]]:
    """Return (sample, treatment, estimator) of the claims that print something on one overall effect, each once, of
    those ``estimators``, ``treatments`` and ``samples``; ``claims`` as from `load_claims`, of one indicator."""
    printed = claims.loc[claims["estimand"].eq("overall") & claims[["value", "sign", "significance"]].ne("").any(axis=1)
                         & claims["estimator"].isin(list(estimators)) & claims["treatment"].isin(list(treatments))
                         & claims["sample"].isin(list(samples))]
    return list(dict.fromkeys(zip(printed["sample"], printed["treatment"], printed["estimator"], strict=True)))


def rounds_to(estimate: float, printed: str, rounding: str = "") -> bool:
    """Does ``estimate`` agree with the number ``printed``, as it was printed?

    With no ``rounding``: rounded to the decimals that ``printed`` shows (half to even, of the number's decimal
    digits), it equals it. ``about`` (the publication calls the number approximate): it is no further away than half a
    unit of the next coarser digit, so that about 40 is met from 35 to 45 and about 0.5 from 0 to 1. NaN agrees with
    nothing.
    """
    if estimate != estimate:
        return False
    exact, ours = Decimal(printed), Decimal(repr(float(estimate)))
    low, high = printed_range(printed, rounding)
    if rounding == "about":
        return low <= ours <= high
    return ours.quantize(Decimal(1).scaleb(exact.as_tuple().exponent), rounding=ROUND_HALF_EVEN) == exact


def printed_range(printed: str, rounding: str = "") -> tuple[Decimal, Decimal]:
    """Return the ends of what a ``printed`` number stands for; see `rounds_to`."""
    exact = Decimal(printed)
    step = Decimal(1).scaleb(exact.as_tuple().exponent + (1 if rounding == "about" else 0))
    return exact - step / 2, exact + step / 2
