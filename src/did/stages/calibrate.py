"""Stage 5: how often each method of inference errs on an indicator's panel, and the interval to lead with."""

from __future__ import annotations

import pandas as pd

from did.diagnostics.detectable import detectable_by_interval
from did.errors import DidError
from did.inference.calibration import ESTIMATORS, SCHEMES, Settings, calibrate
from did.inference.headline import headline
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.stages.fit import panel_of
from did.store import tables


def run(indicator: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Write the calibration and headline tables of one indicator and return one line about them.

    Under the reported specification, in the first sample: every treatment and every estimator of the evaluation that
    can be calibrated, clustered at the evaluation's last level. Raises DidError for an unknown indicator, and for a
    panel that is missing, lacks the specification or cannot be estimated.
    """
    load_indicator(indicator, evaluation.indicators_folder)
    panels = tables.read("panel", paths.panel(indicator))
    specification, sample = evaluation.default_specification, evaluation.samples[0]
    frame = panels.loc[panels["specification"] == specification]
    if frame.empty:
        raise DidError(f"{paths.panel(indicator)}: expected the specification '{specification}'; run: did align "
                       f"{indicator}")
    settings, lags = settings_of(evaluation), evaluation.specifications[specification].lags
    keys = {"indicator": indicator, "specification": specification, "sample": sample}
    measured, leading = [], []
    for treatment in evaluation.treatments:
        panel = panel_of(frame, sample, treatment, evaluation)
        for estimator in (name for name in evaluation.estimators if name in ESTIMATORS):
            about = {"estimator": estimator, "lags": lags, "level": evaluation.clusters[-1], "settings": settings}
            table = pd.concat([calibrate(panel, scheme=scheme, **about) for scheme in SCHEMES], ignore_index=True)
            own = keys | {"lags": lags if estimator == "ldv" else ""}
            leads = headline(panel, table, **about)
            leading.append(own | leads | {"minimum_detectable": detectable_by_interval(
                leads["ci_low"], leads["ci_high"], leads["n_clusters"] - 1)})
            measured.append(table.assign(**own, treatment=treatment, estimator=estimator, cluster=about["level"]))
    synthetic = bool(panels["is_synthetic"].any())
    for name, made in (("calibration", pd.concat(measured, ignore_index=True) if measured else pd.DataFrame()),
                       ("headline", pd.DataFrame(leading))):
        made = made.reindex(columns=list(tables.SCHEMAS[name].columns)).assign(is_synthetic=synthetic)
        tables.write(name, made, getattr(paths, name)(indicator))
    held = sum(bool(row["holds"]) for row in leading)
    return f"{indicator}: {held} of {len(leading)} headline intervals by a method that holds its level"


def settings_of(evaluation: Evaluation) -> Settings:
    """The evaluation's settings of calibration and of the headline interval."""
    chosen = evaluation.inference
    return Settings(draws=chosen.draws, wild_draws=chosen.wild_draws, own_draws=evaluation.draws,
                    order=tuple(chosen.order), tolerance=chosen.tolerance, seed=evaluation.seed)
