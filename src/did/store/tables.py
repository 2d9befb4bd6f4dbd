"""The tables between the stages: their columns, keys and allowed values, checked on writing and reading.

Each is a Parquet file. Periods travel as ISO text (``2017-06``, ``2018``) alongside their pandas frequency
(``M``, ``Y``); area codes are strings; every row says whether it was made from synthetic data.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from did.errors import DidError
from did.inference.names import LEADING, METHODS, SCHEMES
from did.store import seals
from did.store.columns import (
    CODE,
    COUNT,
    EFFECT,
    NEVER,
    NO_ERROR,
    NOT_COMPUTED,
    NOT_MEASURED,
    TEXT,
    P,
)
from did.store.evidence_tables import EVIDENCE_SCHEMAS, TESTED_P
from did.store.panel_tables import PANEL_SCHEMAS
from did.store.schema_parts import count, counts, flag, number, schema, text

CHECKED = b"did contract"
# The command that makes each table.
STAGES = {"observations": "observe", "panel": "align", "area_audit": "align", "estimates": "fit", "influence": "fit",
          "diagnostics": "diagnose", "trends": "diagnose", "weights": "diagnose", "specifications": "specify",
          "comparison": "compare",
          "adjusted_p_values": "adjust", "tested_claims": "adjust", "reproduction": "reproduce",
          "calibration": "calibrate", "headline": "calibrate", "second_opinion": "check", "evidence": "judge",
          "evidence_items": "judge", "verdicts": "judge"}
# What tells two rows of one diagnostic apart, in the key of the diagnostics table.
IDENTITY = ["diagnostic", "treatment", "estimator", "cluster", "variant", "left_out", "part", "period", "target",
            "event_time", "bound_m", "is_breakdown"]


SCHEMAS: dict[str, pa.DataFrameSchema] = {
    **PANEL_SCHEMAS,
    "estimates": schema(
        "estimates",
        "an estimate",
        ["indicator", "specification", "sample", "treatment", "estimator", "estimand", "cohort", "period",
         "event_time", "cluster"],
        {
            "indicator": text(),
            "specification": text(),
            "sample": text(),
            "treatment": text(),
            "estimator": text(),
            "estimand": text(),
            "cohort": text(nullable=True),
            "period": text(nullable=True),
            "event_time": count(nullable=True),
            "cluster": text(),
            "estimate": number(),
            "std_error": number(),
            "ci_low": number(),
            "ci_high": number(),
            "band_low": number(),
            "band_high": number(),
            "p_value": number(),
            "p_adjusted": number(),
            **counts(),
            "n_parameters": count(nullable=True),
            "df": number(),
            "state": text(checks=pa.Check.isin(["estimated", "reference", "not_identified"])),
            "few_treated": flag(),
            "minimum_treated": count(),
            "headline": flag(),
            "note": text(),
        },
    ),
    "calibration": schema(
        "calibration",
        "a method of inference, tried in placebo assignments of one scheme",
        ["indicator", "specification", "sample", "treatment", "estimator", "cluster", "scheme", "method"],
        {
            "indicator": text(),
            "specification": text(),
            "sample": text(),
            "treatment": text(),
            "estimator": text(),
            "lags": text(),
            "cluster": text(),
            "scheme": text(checks=pa.Check.isin(SCHEMES)),
            "method": text(checks=pa.Check.isin(METHODS)),
            "n_draws": count(),
            "rejected": count(),
            "coverage": number(),
            "simulation_error": number(),
            "mean_width": number(),
            "n_clusters": count(nullable=True),
            "n_treated_clusters": count(nullable=True),
            "n_treated": number(),
            "size_mismatch": number(),
            "n_onsets": count(nullable=True),
            "status": text(checks=pa.Check.isin(["done", "skipped"])),
            "reason": text(),
        },
        own={
            "lags": ("lags of the lagged-dependent-variable model", CODE, "the estimator has none"),
            "cluster": ("level of assignment", CODE, NEVER),
            "reason": ("why it was skipped", TEXT, "it was done"),
            "n_treated": ("units treated in a placebo assignment, mean", "units", NOT_MEASURED),
            "n_clusters": ("clusters of the placebo panel", COUNT, NOT_MEASURED),
            "n_treated_clusters": ("clusters treated in a placebo assignment", COUNT, NOT_MEASURED),
        },
    ),
    "headline": schema(
        "headline",
        "an estimate with the interval that leads, by the first method whose measured coverage holds",
        ["indicator", "specification", "sample", "treatment", "estimator"],
        {
            "indicator": text(),
            "specification": text(),
            "sample": text(),
            "treatment": text(),
            "estimator": text(),
            "lags": text(),
            "cluster": text(),
            "estimate": number(),
            "ci_low": number(),
            "ci_high": number(),
            "p_value": number(),
            "minimum_detectable": number(),
            "method": text(checks=pa.Check.isin(["", *LEADING])),
            "holds": flag(),
            "coverage": number(),
            "simulation_error": number(),
            "coverage_least": number(),
            "coverage_most": number(),
            "n_draws": count(),
            **counts(),
            "note": text(),
        },
        own={
            "cluster": ("level of assignment, whose clusters the method respects", CODE, NEVER),
            "ci_low": ("lower end of the 95% interval by that method", EFFECT, "no method gives one"),
            "ci_high": ("upper end of the 95% interval by that method", EFFECT, "no method gives one"),
            "p_value": ("two-sided p-value of no effect by that method", P, "no method gives one"),
            "minimum_detectable": ("effect that a two-sided test at 5% by that method finds in 80%, from the width of "
                                   "the interval", EFFECT, "the interval lacks an end"),
            "method": ("method of inference that the interval is by", CODE, "no method gives an interval"),
            "n_draws": ("placebo assignments it was tried in", COUNT, NEVER),
        },
    ),
    "influence": schema(
        "influence",
        "a cluster's share of an overall estimate",
        ["indicator", "sample", "treatment", "estimator", "cluster", "label"],
        {
            "indicator": text(),
            "sample": text(),
            "treatment": text(),
            "estimator": text(),
            "cluster": text(),
            "label": text(),
            "value": number(),
        },
        own={
            "value": ("scaled share; the squares add up to the squared standard error", EFFECT, "no such error"),
        },
    ),
    "specifications": schema(
        "specifications",
        "an overall estimate under a specification",
        ["indicator", "specification", "sample", "treatment", "estimator", "cluster"],
        {
            "indicator": text(),
            "specification": text(),
            "design": text(checks=pa.Check.isin(["one_at_a_time", "product"])),
            "choices": text(),
            "n_choices": count(),
            "sample": text(),
            "treatment": text(),
            "estimator": text(),
            "cluster": text(),
            "estimate": number(),
            "std_error": number(),
            "ci_low": number(),
            "ci_high": number(),
            "p_value": number(),
            **counts(nullable=True),
            "note": text(),
        },
    ),
    **EVIDENCE_SCHEMAS,
    "adjusted_p_values": schema(
        "adjusted_p_values",
        "an overall effect with p-values adjusted over its family",
        ["indicator", "sample", "treatment", "estimator", "cluster"],
        {
            "family": text(),
            "indicator": text(),
            "sample": text(),
            "treatment": text(),
            "estimator": text(),
            "cluster": text(),
            "estimate": number(),
            "std_error": number(),
            "p_value": number(),
            **TESTED_P,
            "p_holm": number(),
            "p_benjamini_hochberg": number(),
            "p_romano_wolf": number(),
            "p_adjusted": number(),
            "n_tests": count(),
        },
        own={
            "p_value": ("two-sided p-value of no effect by the clustered error", P, NO_ERROR),
            "p_romano_wolf": ("p-value adjusted by Romano and Wolf: by reassigning clusters in all outcomes at once "
                              "where one has a headline p-value, otherwise with clustered errors", P,
                              f"clusters cannot change places in all outcomes, {NO_ERROR}"),
            "p_adjusted": ("the one to report: Romano and Wolf's, or Holm's where there is none", P, NO_ERROR),
        },
    ),
    "trends": schema(
        "trends",
        "a group's mean in a period",
        ["indicator", "specification", "sample", "period", "group"],
        {
            "indicator": text(),
            "specification": text(),
            "sample": text(),
            "period": text(),
            "group": text(checks=pa.Check.isin(["treated", "control"])),
            "observed_mean": number(),
            "linear_trend": number(),
            "n_units": count(),
        },
        own={
            "n_units": ("units observed in the period", COUNT, NEVER),
        },
    ),
    "weights": schema(
        "weights",
        "a weight by which synthetic difference-in-differences compares the treated",
        ["indicator", "level", "cohort", "kind", "label"],
        {
            "indicator": text(),
            "specification": text(),
            "sample": text(),
            "level": text(),
            "cohort": text(),
            "kind": text(checks=pa.Check.isin(["unit", "time"])),
            "label": text(),
            "weight": number(),
        },
        own={
            "level": ("what is compared: unit, or the level of clusters", CODE, NEVER),
            "cohort": ("first treated period of those compared", "ISO period", NEVER),
            "kind": ("unit: of a donor; time: of a period before treatment", CODE, NEVER),
            "label": ("the donor, or the period", TEXT, NEVER),
            "weight": ("its share of the comparison", "share, 0 to 1", NEVER),
        },
    ),
    "diagnostics": schema(
        "diagnostics",
        "a test, an estimate under a changed panel, or the reason it was skipped (docs/tables.md says what value is)",
        ["indicator", "specification", "sample", *IDENTITY],
        {
            "indicator": text(),
            "specification": text(),
            "sample": text(),
            "diagnostic": text(),
            "treatment": text(),
            "estimator": text(),
            "cluster": text(),
            "variant": text(),
            "left_out": text(),
            "part": text(),
            "part_of": text(),
            "called": text(),
            "period": text(),
            "part_low": number(),
            "part_high": number(),
            "n_left_out": count(nullable=True),
            "n_left_out_treated": count(nullable=True),
            "target": text(checks=pa.Check.isin(["", "first", "average"])),
            "event_time": count(nullable=True),
            "bin_width": count(nullable=True),
            "bound_m": number(),
            "is_breakdown": flag(),
            "value": number(),
            "std_error": number(),
            "ci_low": number(),
            "ci_high": number(),
            "statistic": number(),
            "df": number(),
            "df_denominator": number(),
            "p_value": number(),
            **counts(nullable=True),
            "n_tried": count(nullable=True),
            "n_apart": count(nullable=True),
            "condition": text(checks=pa.Check.isin(["", "met", "not_met", "not_told_apart"])),
            "status": text(checks=pa.Check.isin(["done", "skipped"])),
            "caveat": text(checks=pa.Check.isin(["", "few_treated_clusters"])),
            "reason": text(),
        },
        own={
            "value": ("what docs/tables.md says for the diagnostic", "as the diagnostic says", NOT_COMPUTED),
            "df": ("degrees of freedom of the test", COUNT, NOT_COMPUTED),
            "treatment": ("as in estimates.csv", CODE, "of no treatment"),
            "target": ("effect that is bounded: first period, or average from onset", CODE, "no bound"),
            "period": ("placebo onset, true onset, or last period kept", "ISO period", "none of them"),
            "p_value": ("p-value of the test", P, NOT_COMPUTED),
        },
    ),
}


def check(name: str, frame: pd.DataFrame, where: str = "") -> pd.DataFrame:
    """Return ``frame`` with the columns, order and types of the table ``name``, or raise DidError.

    Missing values are allowed only in the columns the schema marks nullable. DidError names the column
    (or key) that breaks the contract, the first offending value, and ``where`` the table came from.
    """
    schema = SCHEMAS[name]
    place = f"{where or name}: "
    missing = [column for column in schema.columns if column not in frame.columns]
    extra = [column for column in frame.columns if column not in schema.columns]
    if missing or extra:
        raise DidError(f"{place}the {name} table needs columns {list(schema.columns)}; "
                       f"missing {missing}, unexpected {extra}")
    frame = frame[list(schema.columns)]
    conforming = _conforming(schema, frame)
    if conforming is not None:
        return conforming
    try:
        checked = schema.validate(frame)
    except (pa.errors.SchemaError, pa.errors.SchemaErrors) as errors:
        error = errors.schema_errors[0] if isinstance(errors, pa.errors.SchemaErrors) else errors
        if error.check == "multiple_fields_uniqueness" or "unique" in str(error.check):
            key = schema.unique
            twice = frame.loc[frame.duplicated(key), key].iloc[0].tolist()
            raise DidError(f"{place}key {key} of the {name} table must be unique; "
                           f"found {twice} more than once") from error
        cases = error.failure_cases
        found = cases["failure_case"].iloc[0] if isinstance(cases, pd.DataFrame) and len(cases) else cases
        column = getattr(error.schema, "name", None)
        raise DidError(f"{place}column '{column}' of the {name} table fails {error.check}; "
                       f"found '{found}'") from error
    for column in schema.columns:
        other = _changed(frame[column], checked[column])
        if other.any():
            raise DidError(f"{place}column '{column}' of the {name} table is of type {checked[column].dtype}; "
                           f"found '{frame.loc[other, column].iloc[0]}'")
    return checked.reset_index(drop=True)


def _changed(values: pd.Series, typed: pd.Series) -> pd.Series:
    """Where a type made another value of a number, or a number or flag of something else."""
    changed = np.zeros(len(values), dtype=bool)
    if not isinstance(typed.dtype, pd.StringDtype):
        seen = values.notna().to_numpy()
        changed[seen] = typed.to_numpy(dtype=object)[seen] != values.to_numpy(dtype=object)[seen]
    return pd.Series(changed, values.index)


def _conforming(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> pd.DataFrame | None:
    """``frame`` in the types of ``schema``, whose columns it has; None if it breaks the contract.

    Pandera, which can say what is wrong, takes half a millisecond to a column: more than most tables to compute.
    """
    coerced = {}
    for name, column in schema.columns.items():
        values = frame[name]
        if str(values.dtype) != str(column.dtype.type):
            try:
                values = coerced[name] = column.dtype.coerce(values)
            except (TypeError, ValueError, ArithmeticError):
                return None
            if _changed(frame[name], values).any():
                return None
        others = (set(values.unique()) - set(each.statistics["allowed_values"]) for each in column.checks)
        if any(pd.notna(list(strange)).any() for strange in others):
            return None
    typed = frame.assign(**coerced).reset_index(drop=True)
    gaps = typed.isna().any()
    if any(gaps[name] and not column.nullable for name, column in schema.columns.items()):
        return None
    return None if typed.duplicated(schema.unique).any() else typed


def write(name: str, frame: pd.DataFrame, path: str | Path) -> None:
    """Check ``frame`` against the schema ``name`` and write it to ``path`` as sealed Parquet (`did.store.seals`), whole
    or not at all. The file's metadata say which contract was checked. Raises DidError as `check`.
    """
    seals.write(check(name, frame, str(path)), path, {CHECKED: name.encode()})


def read(name: str, path: str | Path, **only: Collection[str]) -> pd.DataFrame:
    """Read the Parquet table ``name`` from ``path`` and check it, unless its metadata say that `write` did.

    ``only``: columns of texts, with those that the rows wanted have. Raises DidError if the
    file is missing, if a single byte is not as it was written, or if it breaks the table's contract.
    """
    path = Path(path)
    if not path.exists():
        member = "" if path.stem == name else f" {path.stem}"
        raise DidError(f"{path}: expected the table of {name}; found no file; run did {STAGES[name]}{member} first, or "
                       "did run")
    frame, metadata = seals.read(path, "did run", only)
    if metadata.get(CHECKED) == name.encode() and list(frame.columns) == list(SCHEMAS[name].columns):
        return frame
    return check(name, frame, str(path))
