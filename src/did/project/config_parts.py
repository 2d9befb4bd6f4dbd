"""What every configuration file is made of: strict mappings, names, texts, and periods as they are written."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from did.errors import DidError
from did.project import yaml_files

FREQUENCIES = {"M": "months, written 2017-06", "Q": "quarters, written 2017Q2", "Y": "years, written 2018"}
Identifier = Annotated[str, Field(pattern=yaml_files.IDENTIFIER)]
# What figures show, and what only pages do.
Label = Annotated[str, Field(max_length=500)]
Text = Annotated[str, Field(max_length=10_000)]


class Strict(BaseModel):
    """A mapping that allows no key it does not describe."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_number(cls, value: Any, about: ValidationInfo) -> Any:
        # YAML reads yes and on as true, which Python counts as 1.
        found = next((each for each in (value if isinstance(value, list) else [value]) if isinstance(each, bool)), None)
        if found is not None and {int, float} & _kinds(cls.model_fields[str(about.field_name)].annotation):
            raise PydanticCustomError("number_type", "a number")
        return value


def _kinds(annotation: Any) -> set[Any]:
    """What an annotation is made of."""
    return {annotation}.union(*map(_kinds, get_args(annotation)))


def period(text: str, frequency: str, where: str) -> pd.Period:
    """Return the pandas Period that ``text`` writes in ``frequency`` (M, Q or Y); ``where`` names its key.

    Raises DidError if it is written otherwise.
    """
    patterns = {"M": r"\d{4}-(0[1-9]|1[0-2])", "Q": r"\d{4}Q[1-4]", "Y": r"\d{4}"}
    if not re.fullmatch(patterns[frequency], str(text)):
        raise DidError(f"{where}: expected {FREQUENCIES[frequency]}; found '{text}'")
    return _period(str(text), frequency)


@lru_cache(1024)
def _period(text: str, frequency: str) -> pd.Period:
    """Made once: every specification of every indicator has its window checked."""
    return pd.Period(text, freq=frequency)
