"""Group-time effects of a panel that is larger than memory: a folder of Parquet files, summed to its cohorts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from did.api.asked import GROUP_TIME_KIND, WINDOW, averages_of, flag, settings_of
from did.api.judged import HEADLINE, Inference, Judged, too_small
from did.api.screen import Shown, blocks
from did.errors import DidError, one_of
from did.estimators.aggregation import aggregate
from did.estimators.base import Panel, Result
from did.estimators.summed import Estimated, Summed, group_time_effects
from did.inference.few_clusters import is_few
from did.inference.summed_panel import Fit, Whole, clustered_rows, counts, few_clusters_rows, jackknife_rows
from did.readers.panel_columns import Columns, level_of
from did.readers.parquet_folder import Folder, read_folder
from did.stages.estimate import Outputs, estimates_csv
from did.store.json_lines import json_lines
from did.store.provenance import write_text

if TYPE_CHECKING:
    from did.stages.sum_folder import Workers

ESTIMATOR = "callaway_santanna"
CLUSTERED, JACKKNIFE = "clustered", "jackknife"
# What effects can be made of without each unit's outcomes.
OPTIONS = ("control_group", "base_period", "anticipation", "base_window", "aggregation", *WINDOW)


def run(path: str | Path, columns: Columns, *, estimators: Sequence[str] = (), frequency: str = "auto",
        outputs: Outputs | None = None, options: Mapping[str, object] | None = None,
        inference: Inference | None = None, workers: Workers | None = None) -> str:
    """Estimate the effects by cohort and period of the panel in a folder of Parquet files, and their averages, with
    clustered errors; return the text for the screen, or lines of JSON, as `did.stages.estimate.run` does of a file.

    With few clusters, the jackknife over clusters leads. The estimator is ``callaway_santanna`` without covariates,
    weights and doses. Files are read one at a time
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
    window = {name: given[name] for name in WINDOW if name in given}

    def fit(data: Summed) -> tuple[Estimated, list[Result]]:
        found = group_time_effects(data, **keywords)
        return found, [found.result if kind == GROUP_TIME_KIND else aggregate(found.result, found.panel, kind, **window)
                       for kind in averages_of(given)]

    whole = found, _ = fit(folder.summed)
    judged = _judged(whole, folder.summed, fit, levels, asked)
    table, notes = judged.table, [*folder.notes, *judged.notes]
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


def _judged(whole: Whole, data: Summed, fit: Fit, levels: Sequence[str], asked: Inference) -> Judged:
    """The rows of every level by the methods asked for, and by the rule where clusters are few and none was."""
    found, results = whole
    clustered = {level: clustered_rows(found, results, level, asked.confidence) for level in ("unit", *found.groups)}
    more, shown, lines, notes = [], [], [], []
    for level in levels:
        few = is_few(*counts(found, level))
        for method in asked.methods or ([HEADLINE] if few and level != "unit" else [CLUSTERED]):
            rows = clustered[level]
            if level == "unit" and method != CLUSTERED:
                notes.append(f"--inference {method}: expected a cluster level above the units, which a folder does not "
                             "keep one by one; errors are clustered")
            elif method == JACKKNIFE:
                more.append(rows := jackknife_rows(rows, whole, data, fit, level, asked.confidence))
            elif method == HEADLINE and few:
                rows, said = few_clusters_rows(rows, whole, data, fit, level, asked.confidence)
                more.append(rows)
                lines.append(said)
            shown.append(rows)
        if CLUSTERED in asked.methods or level == "unit":
            notes += too_small(*counts(found, level), level)
    return Judged(pd.concat([*clustered.values(), *more], ignore_index=True), pd.concat(shown, ignore_index=True),
                  lines, notes, None)


def _refuse(path: str | Path, estimators: Sequence[str], given: Mapping[str, object], outputs: Outputs,
            asked: Inference) -> None:
    one_of("--estimator, of a folder", next((name for name in estimators if name != ESTIMATOR), ESTIMATOR), [ESTIMATOR])
    if not estimators:
        raise DidError(f"{path}: expected --estimator {ESTIMATOR}, which folders are estimated by; found none; add it")
    outputs.check(path)
    for option in given:
        one_of(f"--{flag(option)}: expected an option that needs no unit by itself, of a folder", option, OPTIONS)
    method = next((method for method in asked.methods if method not in (CLUSTERED, JACKKNIFE, HEADLINE)), None)
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
