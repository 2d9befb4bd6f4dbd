"""Columns and schemas of the tables between the stages, in short."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pandera.pandas as pa

from did.store.columns import described


def text(nullable: bool = False, **checks) -> pa.Column:
    """A column of texts."""
    return pa.Column(str, nullable=nullable, coerce=True, **checks)


def number(nullable: bool = True) -> pa.Column:
    """A column of numbers."""
    return pa.Column(float, nullable=nullable, coerce=True)


def count(nullable: bool = False) -> pa.Column:
    """A column of whole numbers."""
    return pa.Column("Int64" if nullable else "int64", nullable=nullable, coerce=True)


def counts(nullable: bool = False) -> dict[str, pa.Column]:
    """The columns of how much an estimate rests on: observations, units and clusters, and those treated."""
    names = ("n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters")
    return {name: count(nullable) for name in names}


def flag() -> pa.Column:
    """A column of True and False."""
    return pa.Column(bool, coerce=True)


def schema(name: str, about: str, key: list[str], columns: dict[str, pa.Column],
           own: Mapping[str, tuple[str, str, str]] = MappingProxyType({})) -> pa.DataFrameSchema:
    """The schema of a table, a row of which is ``about``; ``own`` describes columns unlike `did.store.columns`."""
    columns = {each: described(each, column, own) for each, column in (columns | {"is_synthetic": flag()}).items()}
    return pa.DataFrameSchema(columns, name=name, title=about, unique=key, strict=True, ordered=True)
