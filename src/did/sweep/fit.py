"""A batch of indicators: read, made into panels, estimated, and written as one table with a reason per failure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from did.errors import DidError
from did.estimators import entry as known
from did.estimators import overall_of
from did.estimators.base import Panel, Result, join_notes
from did.inference.clustered import by_cluster
from did.inference.few_clusters import NOT_MEASURED, headline, is_few, measured
from did.inference.methods import Question, infer
from did.inference.two_way import summarise_two_way
from did.readers.csv_table import Table
from did.sweep.batches import Batch
from did.sweep.listing import Entry, Settings
from did.sweep.panels import panel_of, pre_period_spread
from did.sweep.rows import read, separator_of, split_rows, subset
from did.sweep.treatment import Waves

FAILED = {"position": "int64", "indicator": "str", "title": "str", "family": "str", "is_synthetic": "bool",
          "estimator": "str", "stage": "str", "file": "str", "reason": "str"}
ESTIMATED = {"cluster": "str", "estimate": "float64", "std_error": "float64", "ci_low": "float64",
             "ci_high": "float64", "p_value": "float64", "outcome_sd": "float64", "first_period": "str",
             "last_period": "str", "n_obs": "int64", "n_units": "int64", "n_treated": "int64", "n_clusters": "int64",
             "n_treated_clusters": "int64", "df": "float64", "inference": "str", "measured_coverage": "float64",
             "note": "str"}
COLUMNS = FAILED | ESTIMATED
# Draws of the wild bootstrap: fewer than for a single indicator, as there are thousands of them.
WILD_DRAWS = 1999
# Clusters left out by fitting again; of more, those never treated are left out by their influence.
MOST_FITS = 20
# Columns of a part of one big file, alongside the file's own; named as no column of a file is.
INDICATOR, ROW = "indicator of the sweep", "row of the file"


def fit_batch(batch: Batch) -> pd.DataFrame:
    """Return the rows of a batch, `COLUMNS`: one per estimator and cluster level, or one with a ``reason`` per failure.

    In the order of the list. A row of an estimate has an empty reason; a failed one has no numbers (counts 0). What is
    wrong with an indicator never concerns another: also an error of the program is caught and reported as its reason.
    Raises DidError for what concerns all: the waves and members tables.
    """
    settings = batch.settings
    waves = Waves(settings.waves, settings.members, treatment=settings.treatment, onset=settings.onset,
                  groupings=settings.groupings)
    rows: list[dict] = []
    for entry, table in _tables(batch):
        if isinstance(table, Exception):
            rows.append(_failure(entry, "", "read", table))
            continue
        try:
            panel, notes = panel_of(table, entry, waves, settings.frequency)
        except Exception as error:
            rows.append(_failure(entry, "", "panel", error))
            continue
        rows += fit(panel, entry, settings, notes)
    rows.sort(key=lambda row: row["position"])  # stable: estimators and levels stay in their order
    numbers = {name: 0 if kind == "int64" else np.nan if kind == "float64" else "" for name, kind in COLUMNS.items()}
    return pd.DataFrame([numbers | row for row in rows], columns=list(COLUMNS)).astype(COLUMNS)


def fit(panel: Panel, entry: Entry, settings: Settings, notes: list[str]) -> list[dict]:
    """Return the rows of one indicator's panel: the overall effect by each estimator and cluster level."""
    rows = []
    common = _identity(entry) | {"outcome_sd": pre_period_spread(panel), "first_period": str(panel.periods[0]),
                                 "last_period": str(panel.periods[-1])}
    for name in settings.estimators:
        try:
            question = Question(panel, name, confidence=settings.confidence, most_fits=MOST_FITS,
                                draws=WILD_DRAWS if known(name).design else None, finish=_overall)
            result = question.results[0]
            for block in by_cluster(result, panel, settings.confidence):
                values = {column: block[column][0] for column in block} | {"inference": "clustered"}
                values |= _by_method(question.at(str(values["cluster"])), settings, values)
                values["note"] = join_notes(*notes, str(values["note"]))
                rows.append(common | values | {"estimator": name, "n_obs": result.n_obs, "n_units": result.n_units})
            for pair in settings.two_ways:
                values = summarise_two_way(result, panel, pair, settings.confidence).iloc[0].to_dict()
                values = {column: value for column, value in values.items() if column in ESTIMATED}
                rows.append(common | values | {"inference": "clustered", "estimator": name,
                                               "note": join_notes(*notes, str(values["note"]))})
        except Exception as error:
            rows.append(_failure(entry, name, "estimate", error))
    return rows


def _overall(result: Result, panel: Panel) -> list[Result]:
    return [overall_of(result, panel)]


def _by_method(question: Question, settings: Settings, clustered: dict) -> dict:
    """What a method other than clustered errors gives at one level; empty where these stand."""
    if settings.inference == "clustered":
        return {}
    few = is_few(int(clustered["n_treated_clusters"]), int(clustered["n_clusters"]))
    if not settings.inference and not few:
        return {}
    if settings.inference:
        row = infer(settings.inference, question).iloc[0]
    else:
        row = headline(question, measured(question, refits=0) if settings.calibrate else NOT_MEASURED).rows.iloc[0]
    return {name: row[name] for name in ("std_error", "ci_low", "ci_high", "p_value", "df", "inference",
                                         "measured_coverage", "note")}


def _tables(batch: Batch) -> Iterator[tuple[Entry, Table | Exception]]:
    """Yield each indicator with its rows, or with what keeps them from being read; each file is read once."""
    by_file: dict[str, list[Entry]] = {}
    for entry in batch.entries:
        if entry.problem:
            yield entry, DidError(entry.problem)
        else:
            by_file.setdefault(entry.file, []).append(entry)
    if batch.part:
        yield from _of_part(batch)
        return
    for file, entries in by_file.items():
        try:
            table = read(file, {column: word for entry in entries for column, word in entry.wanted.items()})
        except Exception:
            table = None  # perhaps one indicator's column: each by itself, below
        for entry in entries:
            try:
                yield entry, read(file, entry.wanted) if table is None else table
            except Exception as error:
                yield entry, error


def _of_part(batch: Batch) -> Iterator[tuple[Entry, Table | Exception]]:
    """Yield each indicator with its rows of the part that was cut from one big file."""
    wanted = batch.entries[0].wanted
    table = read(batch.part, wanted | {INDICATOR: "indicator", ROW: "row"})
    file = batch.entries[0].file
    table = Table(file, table.text, table.text[ROW].astype(np.int64), separator_of(file))
    rows = split_rows(table, INDICATOR)
    for entry in batch.entries:
        yield entry, subset(table, rows[entry.id])


def _identity(entry: Entry) -> dict:
    return {"position": entry.position, "indicator": entry.id, "title": entry.title, "family": entry.family,
            "is_synthetic": entry.is_synthetic, "file": entry.file}


def _failure(entry: Entry, estimator: str, stage: str, error: Exception) -> dict:
    message = str(error) if isinstance(error, DidError) else (
        f"unexpected {type(error).__name__}: {error}; this is a fault of the program, please report it")
    if isinstance(error, OSError):
        message = f"{entry.file}: {error.strerror or error}; check that the file may be read"
    return _identity(entry) | {"estimator": estimator, "stage": stage, "reason": " ".join(message.split())}
