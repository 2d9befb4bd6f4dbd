"""Stage 3: observations aligned to stable areas, waves and systems: one panel per indicator."""

from __future__ import annotations

from did import panel, tables
from did.config import Evaluation, load_indicator
from did.paths import Paths


def run(indicator_name: str, *, evaluation: Evaluation, paths: Paths) -> str:
    """Build one indicator's panel and lineage under every reading, write both and return one line about them.

    Raises DidError for everything that did.panel.build describes.
    """
    indicator = load_indicator(indicator_name, evaluation.indicators_folder)
    observations = {name: tables.read("observations", paths.observations(name))
                    for name in panel.observations_needed(indicator)}
    panels, lineage = panel.build_all(indicator, evaluation, observations)
    tables.write("panel", panels, paths.panel(indicator_name))
    tables.write("lineage", lineage, paths.lineage(indicator_name))
    default = panels.loc[panels["reading"] == evaluation.default_reading]
    treated = default.loc[default["cohort"].notna(), "unit"].nunique()
    return (f"{indicator_name}: {default['unit'].nunique()} units x {default['period'].nunique()} periods, "
            f"{treated} treated, {panels['reading'].nunique()} readings")
