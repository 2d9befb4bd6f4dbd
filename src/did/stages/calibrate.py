"""Stage 5: how often each method of inference errs on an indicator's panel, and the interval to lead with."""

from __future__ import annotations

from functools import cache, partial

import pandas as pd

from did.diagnostics.detectable import detectable_by_interval
from did.errors import DidError
from did.estimators import entry
from did.inference.calibration import Settings, calibrate
from did.inference.headline import headline
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.project.slices import without_words
from did.stages.fit import has_headline, leading_cells, options_of, panels_of
from did.store import tables


def run(indicator: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Write the calibration and headline tables of one indicator and return one line about them.

    Of the estimates that `did.stages.fit.leading_cells` names, clustered at the evaluation's last level. Estimators
    that have to be fitted again for each placebo are measured if the evaluation's `inference.refits` asks for it.
    Raises DidError for an unknown indicator, and for a panel that is missing, lacks a specification or cannot be
    estimated.
    """
    known = without_words(load_indicator(indicator, evaluation.indicators_folder))
    panels = tables.read("panel", paths.panel(indicator))
    frames = dict(tuple(panels.groupby("specification", sort=False)))
    settings, level, measured, cells, leading = settings_of(evaluation), evaluation.clusters[-1], [], [], []
    found: dict[tuple[object, ...], tuple[pd.DataFrame, dict[str, object]]] = {}
    for name, specification in evaluation.specifications_of(known).items():
        if not specification.staggered and name != evaluation.default_specification:
            continue
        frame = frames.get(name)
        if frame is None:
            raise DidError(f"{paths.panel(indicator)}: expected the specification '{name}'; run: did align {indicator}")
        treatments = tuple(evaluation.treatments[:1] if specification.staggered else evaluation.treatments)
        panels_for = cache(partial(panels_of, frame, treatments=treatments, evaluation=evaluation))
        for sample, treatment, estimator in leading_cells(indicator, name, evaluation):
            if not entry(estimator).overall:
                continue
            panel = panels_for(sample)[treatment]
            if not has_headline(estimator, panel, specification.lags, evaluation):
                continue
            options = options_of(estimator, panel, specification.lags)
            about = {"estimator": estimator, "options": options, "level": level, "settings": settings}
            own = {"indicator": indicator, "specification": name, "sample": sample, "lags": options.get("lags", ""),
                   "treatment": treatment, "estimator": estimator, "cluster": level}
            # Two specifications have one panel where no wave after the first starts in the window.
            cell = (estimator, str(options), treatment, *panel.units, *panel.clusters[level], *panel.periods,
                    *(each.tobytes() for each in (panel.outcome, panel.treated_from, panel.dose)))
            try:
                if cell not in found:
                    table = calibrate(panel, **about)
                    found[cell] = table, headline(panel, table, **about)
            except DidError:
                if not specification.staggered:
                    raise
                continue   # as in `did.stages.fit`
            table, leads = found[cell]
            leading.append(own | leads | {"minimum_detectable": detectable_by_interval(
                leads["ci_low"], leads["ci_high"], leads["n_clusters"] - 1)})
            measured.append(table)
            cells.extend([own] * len(table))
    synthetic = bool(panels["is_synthetic"].any())
    rows = pd.concat(measured, ignore_index=True) if measured else pd.DataFrame()
    for name, made in (("calibration", rows.join(pd.DataFrame(cells))), ("headline", pd.DataFrame(leading))):
        made = made.reindex(columns=list(tables.SCHEMAS[name].columns)).assign(is_synthetic=synthetic)
        tables.write(name, made, getattr(paths, name)(indicator))
    held = sum(bool(row["holds"]) for row in leading)
    return f"{indicator}: {held} of {len(leading)} headline intervals by a method that holds its level"


def settings_of(evaluation: Evaluation) -> Settings:
    """The evaluation's settings of calibration and of the headline interval."""
    chosen = evaluation.inference
    return Settings(draws=chosen.draws, refits=chosen.refits, wild_draws=chosen.wild_draws, own_draws=evaluation.draws,
                    order=tuple(chosen.order), tolerance=chosen.tolerance, seed=evaluation.seed)
