"""Stage 3: observations aligned to stable areas, waves and systems: one panel per indicator."""

from __future__ import annotations

from did.panels import build, outcomes
from did.project.config import Evaluation
from did.project.loading import load_indicator
from did.project.paths import Paths
from did.project.slices import without_words
from did.store import tables


def run(indicator_name: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Build one indicator's panel and area audit under every specification, write both and return one line about them.

    Raises DidError for everything that did.panels.build.build describes.
    """
    indicator = without_words(load_indicator(indicator_name, evaluation.indicators_folder))
    observations = outcomes.read(indicator, paths)
    panels, area_audit = build.build_all(indicator, evaluation, observations)
    tables.write("panel", panels, paths.panel(indicator_name))
    tables.write("area_audit", area_audit, paths.area_audit(indicator_name))
    default = panels.loc[panels["specification"] == evaluation.default_specification]
    treated = default.loc[default["cohort"].notna(), "unit"].nunique()
    return (f"{indicator_name}: {default['unit'].nunique()} units x {default['period'].nunique()} periods, "
            f"{treated} treated, {panels['specification'].nunique()} specifications")
