"""Stage 4: every estimator fitted to one indicator's panel."""

from __future__ import annotations

import pandas as pd

from did import tables
from did.config import Evaluation, Reading, load_indicator
from did.errors import DidError
from did.estimators import estimate
from did.estimators.aggregation import aggregate
from did.estimators.base import PERIODS_PER_YEAR, Panel, Result
from did.inference.clustered import summarise
from did.paths import Paths

# Readings other than the reported one are compared on their overall effects; event time is only reported.
DYNAMIC = ("event_study",)


def run(indicator: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Fit the evaluation's estimators to a panel, write the estimates table and return one line about it.

    Every reading, sample and treatment is fitted; estimators over event time only under the default reading, and the
    staggered ones under readings that treat each wave from its own date. Raises DidError for everything the
    estimators describe.
    """
    panels = tables.read("panel", paths.panel(indicator))
    readings = evaluation.readings_of(load_indicator(indicator, evaluation.indicators_folder))
    frames = {}
    for name, reading in readings.items():
        frame = panels.loc[panels["reading"] == name]
        if frame.empty:
            raise DidError(f"{paths.panel(indicator)}: expected the reading '{name}'; run: did align {indicator}")
        staggered = reading.cohorts == "by_wave"
        for sample in evaluation.samples[:1] if staggered else evaluation.samples:
            for treatment in evaluation.treatments[:1] if staggered else evaluation.treatments:
                panel = panel_of(frame, sample, treatment, evaluation)
                for estimator in evaluation.staggered_estimators if staggered else evaluation.estimators:
                    if estimator in DYNAMIC and not staggered and name != evaluation.default_reading:
                        continue
                    for result in results(estimator, panel, reading):
                        frames[indicator, name, sample, len(frames)] = summarise(result, panel)
    table = pd.concat(frames, names=["indicator", "reading", "sample", "fit"]).reset_index(level=[0, 1, 2])
    table["is_synthetic"] = bool(panels["is_synthetic"].any())
    tables.write("estimates", table, paths.estimates(indicator))
    return f"{indicator}: {len(table):,} estimates, {len(readings)} readings"


def panel_of(frame: pd.DataFrame, sample: str, treatment: str, evaluation: Evaluation) -> Panel:
    """The Panel of one sample and treatment from the panel table of one reading."""
    if sample == "wave_two_removed":
        frame = frame.loc[frame["wave"].fillna(0) != evaluation.waves.removable_wave]
    return Panel.from_frame(frame, treatment=treatment, exposure_column="exposure",
                            cluster_columns=[level for level in evaluation.clusters if level != "unit"])


def results(estimator: str, panel: Panel, reading: Reading) -> list[Result]:
    """Everything one estimator gives for a panel: what the reading says of it, event time by period and by year,
    and group-time effects with their averages."""
    if estimator == "ldv":
        return [estimate(estimator, panel, lags=reading.lags)]
    if estimator == "event_study" and PERIODS_PER_YEAR[panel.frequency] > 1:
        return [estimate(estimator, panel), estimate(estimator, panel, bin_width=PERIODS_PER_YEAR[panel.frequency])]
    if estimator == "callaway_santanna":
        # The universal base: every event time against the same period, so that leads can be read beside the others.
        result = estimate(estimator, panel, base_period="universal")
        return [aggregate(result, panel, kind) for kind in ("simple", "event_time", "cohort", "calendar")]
    return [estimate(estimator, panel)]
