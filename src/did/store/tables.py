"""The tables between the stages: their columns, keys and allowed values, checked on writing and reading.

Each is a Parquet file. Periods travel as ISO text (``2017-06``, ``2018``) alongside their pandas frequency
(``M``, ``Y``); area codes are strings; every row says whether it was made from synthetic data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pandera.pandas as pa

from did.errors import DidError
from did.inference.names import METHODS, SCHEMES
from did.store import seals
from did.store.columns import (
    CODE,
    COUNT,
    EFFECT,
    NEVER,
    NO_ERROR,
    NOT_COMPUTED,
    NOT_MEASURED,
    SHARE,
    TEXT,
    P,
    described,
)

CHECKED = b"did contract"
STATUS = ["ok", "zero_by_rule", "suppressed", "missing", "estimated"]
# The command that makes each table.
STAGES = {"observations": "observe", "panel": "align", "area_audit": "align", "estimates": "fit", "influence": "fit",
          "diagnostics": "diagnose", "trends": "diagnose", "specifications": "specify", "comparison": "compare",
          "adjusted_p_values": "adjust", "tested_claims": "adjust", "reproduction": "reproduce",
          "calibration": "calibrate", "headline": "calibrate", "second_opinion": "check", "evidence": "judge",
          "evidence_items": "judge", "verdicts": "judge"}
# Whether a printed number comes out, and whether an effect is shown (docs/evidence.md).
NUMBERS = ("exact", "close", "agrees", "differs", "not_printed", "cannot_run")
VERDICTS = ("holds", "fragile", "not_shown", "not_shown_as_published", "shown_here", "contradicted", "cannot_run")
QUESTIONS = ("second_program", "same_number", "apart_from_zero", "trends", "own_dates", "one_thing")
ANSWERS = ("yes", "no", "not_applicable")
# What tells two rows of one diagnostic apart, in the key of the diagnostics table.
IDENTITY = ["diagnostic", "treatment", "estimator", "cluster", "variant", "left_out", "part", "period", "target",
            "event_time", "bound_m", "is_breakdown"]
FATE = ["kept", "merged", "excluded", "imputed", "set_aside"]


def _text(nullable: bool = False, **checks) -> pa.Column:
    return pa.Column(str, nullable=nullable, coerce=True, **checks)


def _number(nullable: bool = True) -> pa.Column:
    return pa.Column(float, nullable=nullable, coerce=True)


def _count(nullable: bool = False) -> pa.Column:
    return pa.Column("Int64" if nullable else "int64", nullable=nullable, coerce=True)


def _flag() -> pa.Column:
    return pa.Column(bool, coerce=True)


def _schema(name: str, about: str, key: list[str], columns: dict[str, pa.Column],
            own: Mapping[str, tuple[str, str, str]] = MappingProxyType({})) -> pa.DataFrameSchema:
    """The schema of a table, of which a row is ``about``; ``own`` describes columns unlike `did.store.columns`."""
    columns = {each: described(each, column, own) for each, column in (columns | {"is_synthetic": _flag()}).items()}
    return pa.DataFrameSchema(columns, name=name, title=about, unique=key, strict=True, ordered=True)


def _agrees() -> pa.Column:
    return _text(checks=pa.Check.isin(["yes", "no", "not printed", "cannot run"]))


# A claim, our estimate alongside it, and what follows; a text that was not printed is empty.
_CLAIM = {
    **{name: _text() for name in ("claim", "figure", "pane", "indicator", "outcome", "estimator", "treatment", "sample",
                                  "estimand", "cohort", "period")},
    "event_time": _count(nullable=True),
    "unit": _text(),
    "as_printed": _text(),
    "published_value": _number(),
    "rounding": _text(),
    "published_sign": _text(),
    "published_significance": _text(),
    "published_n": _count(nullable=True),
    "published_n_panel": _count(nullable=True),
    "not_comparable": _text(),
    "specification": _text(),
    "cluster": _text(),
    **{name: _number() for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value")},
}
_COMPARED = {
    **{name: _count(nullable=True) for name in ("n_obs", "n_units", "n_treated", "n_clusters", "n_treated_clusters")},
    "difference": _number(),
    **{name: _agrees() for name in ("value_agrees", "value_in_interval", "sign_agrees", "significance_agrees",
                                    "n_agrees")},
    "status": _text(checks=pa.Check.isin(["printed", "not printed", "cannot run"])),
    "number": _text(checks=pa.Check.isin(NUMBERS)),
    "reasons": _text(),
    **{f"did_{name}": _number() for name in ("estimate", "std_error", "ci_low", "ci_high", "p_value")},
    "did_n_obs": _count(nullable=True),
    "few_treated": pa.Column("boolean", nullable=True, coerce=True),
    "note": _text(),
}
# The p-values that are adjusted for many tests, and what they are by.
_TESTED_P = {"p_tested": _number(), "p_method": _text(checks=pa.Check.isin(["", *METHODS])), "p_size": _number()}
_TESTED = {**_CLAIM, **_TESTED_P, "p_holm": _number(), **_COMPARED}
# What an estimate is of.
_CELL = ("indicator", "specification", "sample", "treatment", "estimator")

SCHEMAS: dict[str, pa.DataFrameSchema] = {
    "observations": _schema(
        "observations",
        "a published value",
        ["source", "measure", "area_code", "period"],
        {
            "source": _text(),
            "measure": _text(),
            "area_code": _text(),
            "period": _text(),
            "frequency": _text(checks=pa.Check.isin(["M", "Q", "Y"])),
            "area_name": _text(),
            "area_type": _text(),
            "value": _number(),
            "numerator": _number(),
            "denominator": _number(),
            "status": _text(checks=pa.Check.isin(STATUS)),
            "file": _text(),
            "sheet": _text(),
            "row": _count(nullable=True),
            "period_published": _text(),
            "note": _text(),
        },
        own={
            "value": ("the value published", "as the source has it", "missing, or not published"),
            "status": ("ok, zero_by_rule, suppressed, missing or estimated", CODE, NEVER),
            "file": ("file the value is from", TEXT, NEVER),
            "sheet": ("sheet of the file", TEXT, "the file has no sheets"),
            "row": ("row of the sheet, or line of the file, counted from 1", COUNT, "it is a sum of several rows"),
        },
    ),
    "panel": _schema(
        "panel",
        "a unit in a period",
        ["specification", "unit", "period"],
        {
            "indicator": _text(),
            "specification": _text(),
            "unit": _text(),
            "period": _text(),
            "frequency": _text(checks=pa.Check.isin(["M", "Q", "Y"])),
            "unit_name": _text(),
            "outcome": _number(),
            "numerator": _number(),
            "weight": _number(),
            "system": _text(),
            "wave": _count(nullable=True),
            "cohort": _text(nullable=True),
            "intensity": _number(nullable=False),
            "exposure": _number(nullable=False),
            "denominator_status": _text(checks=pa.Check.isin(["ok", "estimated", "carried_forward"])),
            "region": _text(),
        },
        own={
            "indicator": ("outcome, the name of its file in config/indicators", CODE, NEVER),
            "unit": ("code of the unit", CODE, NEVER),
            "outcome": ("the outcome", "unit of the outcome", "no figure in the period"),
            "cohort": ("first treated period of the unit", "ISO period", "never treated in the window"),
        },
    ),
    "area_audit": _schema(
        "area_audit",
        "what became of an area of the sources",
        ["indicator", "specification", "area_code"],
        {
            "indicator": _text(),
            "specification": _text(),
            "area_code": _text(),
            "area_name": _text(),
            "fate": _text(checks=pa.Check.isin(FATE)),
            "unit": _text(nullable=True),
            "n_periods": _count(),
            "total": _number(),
            "not_compared": _flag(),
            "reason": _text(),
        },
        own={
            "unit": ("unit of the panel it is part of", CODE, "it is in none"),
            "n_periods": ("periods it has figures for", COUNT, NEVER),
            "reason": ("why", TEXT, "kept as it is"),
        },
    ),
    "estimates": _schema(
        "estimates",
        "an estimate",
        ["indicator", "specification", "sample", "treatment", "estimator", "estimand", "cohort", "period",
         "event_time", "cluster"],
        {
            "indicator": _text(),
            "specification": _text(),
            "sample": _text(),
            "treatment": _text(),
            "estimator": _text(),
            "estimand": _text(),
            "cohort": _text(nullable=True),
            "period": _text(nullable=True),
            "event_time": _count(nullable=True),
            "cluster": _text(),
            "estimate": _number(),
            "std_error": _number(),
            "ci_low": _number(),
            "ci_high": _number(),
            "band_low": _number(),
            "band_high": _number(),
            "p_value": _number(),
            "p_adjusted": _number(),
            "n_obs": _count(),
            "n_units": _count(),
            "n_treated": _count(),
            "n_clusters": _count(),
            "n_treated_clusters": _count(),
            "n_parameters": _count(nullable=True),
            "df": _number(),
            "state": _text(checks=pa.Check.isin(["estimated", "reference", "not_identified"])),
            "few_treated": _flag(),
            "minimum_treated": _count(),
            "headline": _flag(),
            "note": _text(),
        },
    ),
    "calibration": _schema(
        "calibration",
        "a method of inference, tried in placebo assignments of one scheme",
        ["indicator", "specification", "sample", "treatment", "estimator", "cluster", "scheme", "method"],
        {
            "indicator": _text(),
            "specification": _text(),
            "sample": _text(),
            "treatment": _text(),
            "estimator": _text(),
            "lags": _text(),
            "cluster": _text(),
            "scheme": _text(checks=pa.Check.isin(SCHEMES)),
            "method": _text(checks=pa.Check.isin(METHODS)),
            "n_draws": _count(),
            "rejected": _count(),
            "coverage": _number(),
            "simulation_error": _number(),
            "mean_width": _number(),
            "n_clusters": _count(nullable=True),
            "n_treated_clusters": _count(nullable=True),
            "n_treated": _number(),
            "size_mismatch": _number(),
            "n_onsets": _count(nullable=True),
            "status": _text(checks=pa.Check.isin(["done", "skipped"])),
            "reason": _text(),
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
    "headline": _schema(
        "headline",
        "an estimate with the interval that leads, by the first method whose measured coverage holds",
        ["indicator", "specification", "sample", "treatment", "estimator"],
        {
            "indicator": _text(),
            "specification": _text(),
            "sample": _text(),
            "treatment": _text(),
            "estimator": _text(),
            "lags": _text(),
            "cluster": _text(),
            "estimate": _number(),
            "ci_low": _number(),
            "ci_high": _number(),
            "p_value": _number(),
            "minimum_detectable": _number(),
            "method": _text(checks=pa.Check.isin(["", *METHODS])),
            "holds": _flag(),
            "coverage": _number(),
            "simulation_error": _number(),
            "coverage_least": _number(),
            "coverage_most": _number(),
            "n_draws": _count(),
            "n_obs": _count(),
            "n_units": _count(),
            "n_treated": _count(),
            "n_clusters": _count(),
            "n_treated_clusters": _count(),
            "note": _text(),
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
    "influence": _schema(
        "influence",
        "a cluster's share of an overall estimate",
        ["indicator", "sample", "treatment", "estimator", "cluster", "label"],
        {
            "indicator": _text(),
            "sample": _text(),
            "treatment": _text(),
            "estimator": _text(),
            "cluster": _text(),
            "label": _text(),
            "value": _number(),
        },
        own={
            "value": ("scaled share; the squares add up to the squared standard error", EFFECT, "no such error"),
        },
    ),
    "specifications": _schema(
        "specifications",
        "an overall estimate under a specification",
        ["indicator", "specification", "sample", "treatment", "estimator", "cluster"],
        {
            "indicator": _text(),
            "specification": _text(),
            "design": _text(checks=pa.Check.isin(["one_at_a_time", "product"])),
            "choices": _text(),
            "n_choices": _count(),
            "sample": _text(),
            "treatment": _text(),
            "estimator": _text(),
            "cluster": _text(),
            "estimate": _number(),
            "std_error": _number(),
            "ci_low": _number(),
            "ci_high": _number(),
            "p_value": _number(),
            "n_obs": _count(nullable=True),
            "n_units": _count(nullable=True),
            "n_treated": _count(nullable=True),
            "n_clusters": _count(nullable=True),
            "n_treated_clusters": _count(nullable=True),
            "note": _text(),
        },
    ),
    "comparison": _schema("comparison", "a published finding alongside our estimate", ["claim", "cluster"],
                          {**_CLAIM, **_COMPARED}),
    "second_opinion": _schema(
        "second_opinion",
        "an estimate of ours and the same by a second program",
        ["indicator", "specification", "sample", "treatment", "estimator", "event_time", "bin_width"],
        {
            **{name: _text() for name in _CELL},
            "event_time": _count(nullable=True),
            "bin_width": _count(nullable=True),
            "estimate": _number(),
            "second": _number(),
            "difference": _number(),
            "program": _text(),
            "status": _text(checks=pa.Check.isin(["done", "skipped"])),
            "reason": _text(),
        },
        own={
            "estimate": ("ours", EFFECT, "skipped"),
            "second": ("the estimate by the second program", EFFECT, "skipped"),
            "difference": ("their difference as a share of the larger of our estimate and our standard error", SHARE,
                           "skipped"),
            "program": ("the second program, with its version", TEXT, NEVER),
            "reason": ("why it was skipped", TEXT, "it was done"),
        },
    ),
    "evidence": _schema(
        "evidence",
        "the answer to one question about a published finding, or about the headline of an outcome",
        ["target", "step"],
        {
            "target": _text(),
            "claim": _text(),
            **{name: _text() for name in _CELL},
            "step": _count(),
            "question": _text(checks=pa.Check.isin(QUESTIONS)),
            "rule": _text(),
            "threshold": _number(),
            "answer": _text(checks=pa.Check.isin(ANSWERS)),
            "reason": _text(),
            **{name: _number() for name in ("estimate", "ci_low", "ci_high", "share", "sign_share", "smallest",
                                            "largest")},
            "n_tried": _count(nullable=True),
            "n_met": _count(nullable=True),
            "source_table": _text(),
            "source_rows": _text(),
        },
        own={
            "estimate": ("the estimate the step turns on", EFFECT, NOT_COMPUTED),
            "ci_low": ("lower end of its 95% interval", EFFECT, NOT_COMPUTED),
            "ci_high": ("upper end of its 95% interval", EFFECT, NOT_COMPUTED),
            "n_tried": ("estimates that were tried", COUNT, "the step is about one"),
            "reason": ("code of why the answer is what it is (docs/evidence.md)", CODE, NEVER),
        },
    ),
    "evidence_items": _schema(
        "evidence_items",
        "an estimate that a step of the evidence looks at",
        ["target", "step", "place"],
        {
            "target": _text(),
            "step": _count(),
            "place": _count(),
            "kind": _text(),
            "label": _text(),
            "called": _text(),
            "estimator": _text(),
            **{name: _number() for name in ("estimate", "ci_low", "ci_high")},
            "sign_kept": pa.Column("boolean", nullable=True, coerce=True),
            "interval_kept": pa.Column("boolean", nullable=True, coerce=True),
            "source_table": _text(),
            "source_row": _text(),
        },
    ),
    "verdicts": _schema(
        "verdicts",
        "a published finding, or the headline of an outcome, with its verdict",
        ["target"],
        {
            **{name: _text() for name in ("target", "claim", "figure", "outcome", *_CELL, "unit", "as_printed")},
            "published_value": _number(),
            "rounding": _text(),
            "published_sign": _text(),
            "published_significance": _text(),
            "published_n": _count(nullable=True),
            "not_comparable": _text(),
            **{name: _number() for name in ("estimate", "ci_low", "ci_high", "p_value")},
            "method": _text(checks=pa.Check.isin(["", *METHODS])),
            "holds": pa.Column("boolean", nullable=True, coerce=True),
            "coverage": _number(),
            "cluster": _text(),
            **{name: _count(nullable=True) for name in ("n_obs", "n_units", "n_treated", "n_clusters",
                                                        "n_treated_clusters")},
            "number": _text(checks=pa.Check.isin(NUMBERS)),
            "verdict": _text(checks=pa.Check.isin(VERDICTS)),
            "reason": _text(),
            **{f"answer_{step}": _text(checks=pa.Check.isin(["", *ANSWERS])) for step in range(1, 6)},
            "rests_on": _text(),
            "rests_on_called": _text(),
            "rests_on_estimate": _number(),
            "second_difference": _number(),
            "note": _text(),
        },
        own={
            "verdict": ("whether an effect is shown: holds, fragile, not_shown, not_shown_as_published, shown_here, "
                        "contradicted or cannot_run", CODE, NEVER),
            "ci_low": ("lower end of the headline interval", EFFECT, "no method gives one"),
            "ci_high": ("upper end of the headline interval", EFFECT, "no method gives one"),
            "p_value": ("two-sided p-value of no effect by the method of the headline interval", P, "there is none"),
            "method": ("method of inference that the interval is by", CODE, "there is no interval"),
            "coverage": ("share of placebo assignments in which its 95% interval holds a true zero", SHARE,
                         NOT_MEASURED),
            "cluster": ("level of assignment, whose clusters the method respects", CODE, "there is no interval"),
            "reason": ("code of what decides the verdict (docs/evidence.md)", CODE, NEVER),
            "figure": ("figure of the publication", TEXT, "nothing was published"),
            "unit": ("unit of the effect, as printed", TEXT, "nothing was published"),
            "note": ("why it cannot run", TEXT, "it can"),
        },
    ),
    "tested_claims": _schema("tested_claims", "a published finding with Holm's p-value over its family",
                             ["claim", "cluster"], _TESTED),
    "reproduction": _schema("reproduction", "a published finding alongside our estimate, once per clustering",
                            ["claim", "cluster"], _TESTED),
    "adjusted_p_values": _schema(
        "adjusted_p_values",
        "an overall effect with p-values adjusted over its family",
        ["indicator", "sample", "treatment", "estimator", "cluster"],
        {
            "family": _text(),
            "indicator": _text(),
            "sample": _text(),
            "treatment": _text(),
            "estimator": _text(),
            "cluster": _text(),
            "estimate": _number(),
            "std_error": _number(),
            "p_value": _number(),
            **_TESTED_P,
            "p_holm": _number(),
            "p_benjamini_hochberg": _number(),
            "p_romano_wolf": _number(),
            "p_adjusted": _number(),
            "n_tests": _count(),
        },
        own={
            "p_value": ("two-sided p-value of no effect by the clustered error", P, NO_ERROR),
            "p_romano_wolf": ("p-value adjusted by Romano and Wolf: by reassigning clusters in all outcomes at once "
                              "where one has a headline p-value, otherwise with clustered errors", P,
                              f"clusters cannot change places in all outcomes, {NO_ERROR}"),
            "p_adjusted": ("the one to report: Romano and Wolf's, or Holm's where there is none", P, NO_ERROR),
        },
    ),
    "trends": _schema(
        "trends",
        "a group's mean in a period",
        ["indicator", "specification", "sample", "period", "group"],
        {
            "indicator": _text(),
            "specification": _text(),
            "sample": _text(),
            "period": _text(),
            "group": _text(checks=pa.Check.isin(["treated", "control"])),
            "observed_mean": _number(),
            "linear_trend": _number(),
            "n_units": _count(),
        },
        own={
            "n_units": ("units observed in the period", COUNT, NEVER),
        },
    ),
    "diagnostics": _schema(
        "diagnostics",
        "a test, an estimate under a changed panel, or the reason it was skipped (docs/tables.md says what value is)",
        ["indicator", "specification", "sample", *IDENTITY],
        {
            "indicator": _text(),
            "specification": _text(),
            "sample": _text(),
            "diagnostic": _text(),
            "treatment": _text(),
            "estimator": _text(),
            "cluster": _text(),
            "variant": _text(),
            "left_out": _text(),
            "part": _text(),
            "part_of": _text(),
            "called": _text(),
            "period": _text(),
            "part_low": _number(),
            "part_high": _number(),
            "n_left_out": _count(nullable=True),
            "n_left_out_treated": _count(nullable=True),
            "target": _text(checks=pa.Check.isin(["", "first", "average"])),
            "event_time": _count(nullable=True),
            "bin_width": _count(nullable=True),
            "bound_m": _number(),
            "is_breakdown": _flag(),
            "value": _number(),
            "std_error": _number(),
            "ci_low": _number(),
            "ci_high": _number(),
            "statistic": _number(),
            "df": _number(),
            "df_denominator": _number(),
            "p_value": _number(),
            "n_obs": _count(nullable=True),
            "n_units": _count(nullable=True),
            "n_treated": _count(nullable=True),
            "n_clusters": _count(nullable=True),
            "n_treated_clusters": _count(nullable=True),
            "n_tried": _count(nullable=True),
            "n_apart": _count(nullable=True),
            "condition": _text(checks=pa.Check.isin(["", "met", "not_met", "not_told_apart"])),
            "status": _text(checks=pa.Check.isin(["done", "skipped"])),
            "caveat": _text(checks=pa.Check.isin(["", "few_treated_clusters"])),
            "reason": _text(),
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
    try:
        checked = schema.validate(frame[list(schema.columns)])
    except pa.errors.SchemaError as error:
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
    return checked.reset_index(drop=True)


def write(name: str, frame: pd.DataFrame, path: str | Path) -> None:
    """Check ``frame`` against the schema ``name`` and write it to ``path`` as sealed Parquet (`did.store.seals`), whole
    or not at all. The file's metadata say which contract was checked. Raises DidError as `check`.
    """
    seals.write(check(name, frame, str(path)), path, {CHECKED: name.encode()})


def read(name: str, path: str | Path) -> pd.DataFrame:
    """Read the Parquet table ``name`` from ``path`` and check it, unless its metadata say that `write` did.

    Raises DidError if the file is missing, if a single byte is not as it was written, or if it breaks the table's
    contract.
    """
    path = Path(path)
    if not path.exists():
        member = "" if path.stem == name else f" {path.stem}"
        raise DidError(f"{path}: expected the table of {name}; found no file; run did {STAGES[name]}{member} first, or "
                       "did run")
    frame, metadata = seals.read(path, "did run")
    if metadata.get(CHECKED) == name.encode() and list(frame.columns) == list(SCHEMAS[name].columns):
        return frame
    return check(name, frame, str(path))
