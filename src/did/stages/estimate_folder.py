"""Group-time effects of a panel that is larger than memory: a folder of Parquet files, summed to its cohorts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from did.api.asked import GROUP_TIME_KIND, WINDOW, averages_of, flag, settings_of
from did.api.judged import Inference, Judged
from did.api.screen import Shown, blocks
from did.errors import DidError, one_of
from did.estimators.aggregation import aggregate
from did.estimators.base import Panel, Result
from did.estimators.summed import Estimated, by_groups, group_time_effects
from did.inference.clustered import summarise
from did.inference.methods import COLUMNS
from did.readers.panel_columns import Columns, level_of
from did.readers.parquet_folder import Folder, read_folder
from did.stages.estimate import Outputs, estimates_csv
from did.store.json_lines import json_lines
from did.store.provenance import write_text

if TYPE_CHECKING:
    from did.stages.sum_folder import Workers

ESTIMATOR = "callaway_santanna"
# What effects can be made of without each unit's outcomes.
OPTIONS = ("control_group", "base_period", "anticipation", "base_window", "aggregation", *WINDOW)


def run(path: str | Path, columns: Columns, *, estimators: Sequence[str] = (), frequency: str = "auto",
        outputs: Outputs | None = None, options: Mapping[str, object] | None = None,
        inference: Inference | None = None, workers: Workers | None = None) -> str:
    """Estimate the effects by cohort and period of the panel in a folder of Parquet files, and their averages, with
    clustered errors; return the text for the screen, or lines of JSON, as `did.stages.estimate.run` does of a file.

    The estimator is ``callaway_santanna`` without covariates, weights and doses. Files are read one at a time
    (`did.readers.parquet_folder`), so that memory does not grow with their number; with ``workers`` by
    jobs (`did.stages.sum_folder`), which give the same to the last bit. Estimates and errors are those of
    the same rows in one file, to rounding; units without an outcome in some period are left out.

    Raises DidError for what `read_folder` and the estimator raise, another estimator, and whatever needs each unit's
    outcomes: other options, methods of inference, bands, bounds, calibration, a figure.
    """
    given, outputs, asked = dict(options or {}), outputs or Outputs(), inference or Inference()
    _refuse(path, estimators, given, outputs, asked)
    levels = [level_of(column, columns) for column in asked.levels or columns.clusters or (columns.unit,)]
    keywords = {name: value for name, value in given.items() if name not in ("aggregation", *WINDOW)}
    anticipation = int(str(keywords.get("anticipation", 0)))
    if workers is None:
        folder = read_folder(path, columns, frequency, anticipation)
    else:
        from did.stages.sum_folder import read_by_jobs

        folder = read_by_jobs(path, columns, frequency, anticipation, workers)
    found = group_time_effects(folder.summed, **keywords)
    window = {name: given[name] for name in WINDOW if name in given}
    results = [found.result if kind == GROUP_TIME_KIND else aggregate(found.result, found.panel, kind, **window)
               for kind in averages_of(given)]
    table = pd.concat([rows_of(results, found, level, asked.confidence)
                       for level in ("unit", *found.groups)], ignore_index=True)
    shown = pd.concat([table.loc[table["cluster"] == level] for level in levels], ignore_index=True)
    judged = Judged(table, shown, [], [], None)
    notes = list(folder.notes)
    full = table.assign(few_treated=False, minimum_treated=1, headline=False)
    if outputs.table is not None:
        write_text(outputs.table, estimates_csv(full, columns.outcome))
        notes.append(f"{len(table)} estimates are in {outputs.table}")
    if outputs.as_json:
        said = [json.dumps({"event": "note", "message": note}, ensure_ascii=False) for note in notes]
        return "\n".join([*json_lines(full.assign(indicator=columns.outcome), "estimate"), *said])
    fit = Shown(ESTIMATOR, settings_of(ESTIMATOR, keywords, given), judged, np.ones(found.panel.n_units, dtype=bool))
    heading = _heading(path, columns, folder, found.panel, asked.confidence)
    return "\n".join([*heading, *blocks([fit], notes, asked.confidence, [[]])])


def rows_of(results: Sequence[Result], found: Estimated, level: str, confidence: float) -> pd.DataFrame:
    """Return the rows of the estimates table of ``results`` of a panel summed to cohorts, clustered at ``level``.

    Raises nothing.
    """
    frames = []
    sizes = found.panel.observed_weight[:, 0]
    for result in results:
        made, panel = (result, found.panel) if level == "unit" else by_groups(result, found.panel, found.groups[level],
                                                                               level)
        rows = summarise(made, panel, confidence)
        n_units = int(sizes.sum())
        rows = rows.assign(n_units=n_units, n_treated=result.shares.n_treated())
        if level == "unit":
            rows = rows.assign(n_clusters=n_units, n_treated_clusters=rows["n_treated"])
        frames.append(rows)
    every = pd.concat(frames, ignore_index=True)
    return every.assign(inference="clustered", interval_shape=np.where(every["std_error"].notna(), "interval", ""),
                        measured_coverage=np.nan)[COLUMNS]


def _refuse(path: str | Path, estimators: Sequence[str], given: Mapping[str, object], outputs: Outputs,
            asked: Inference) -> None:
    one_of("--estimator, of a folder", next((name for name in estimators if name != ESTIMATOR), ESTIMATOR), [ESTIMATOR])
    if not estimators:
        raise DidError(f"{path}: expected --estimator {ESTIMATOR}, which folders are estimated by; found none; add it")
    outputs.check(path)
    for option in given:
        one_of(f"--{flag(option)}: expected an option that needs no unit by itself, of a folder", option, OPTIONS)
    method = next((method for method in asked.methods if method != "clustered"), None)
    others = {"--plot": outputs.figure, "--bounds": outputs.bounds, "--decompose": outputs.decompose,
              "--bands": asked.bands, "--calibrate": asked.calibrate, f"--inference {method}": method,
              "--cluster, two ways": next((level for level in asked.levels if "," in level), None)}
    for option, value in others.items():
        if value:
            raise DidError(f"{option}: expected one file, whose units are at hand; found the folder {path}; leave it "
                           "out, or estimate from one file")


def _heading(path: str | Path, columns: Columns, folder: Folder, panel: Panel, confidence: float) -> list[str]:
    """What the folder holds, and how many units of each kind are used."""
    sizes, never = panel.observed_weight[:, 0], panel.never_treated
    cohorts = [str(panel.periods[first]) for first in panel.treated_from[~never]]
    many = "cohorts" if len(cohorts) > 1 else "cohort"
    n_used = int(sizes.sum())
    return [
        f"{Path(path).name}: {columns.outcome}, {folder.n_units:,} units x {panel.n_periods} periods "
        f"({panel.periods[0]} to {panel.periods[-1]})",
        f"{'' if n_used == folder.n_units else 'used: '}{int(sizes[~never].sum()):,} units treated, "
        f"{many} {', '.join(cohorts)}; {int(sizes[never].sum()):,} never treated",
        f"{100 * confidence:g}% intervals",
    ]
