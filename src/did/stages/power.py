"""On request: how often effects of given sizes would be found, by simulation on an indicator's own panel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from did.diagnostics.detectable import minimum_detectable_rows, power_curve
from did.errors import DidError
from did.estimators import estimate
from did.estimators.registry import TWO_WAY
from did.project.config import Evaluation
from did.project.paths import Paths
from did.stages.fit import panel_of
from did.store import tables
from did.store.json_lines import json_lines
from did.store.result_csv import write_csv

# Multiples of the minimum detectable effect that are tried if no effects are given.
STEPS = (0.0, 0.5, 1.0, 1.5)


def run(indicator: str, *, evaluation: Evaluation, paths: Paths, effects: Sequence[float] = (), draws: int = 500,
        output: str | None = None, as_json: bool = False) -> str:
    """Simulate the power of difference-in-differences with errors by the last cluster level, and return it as a table,
    or with ``as_json`` as a line of JSON for each effect.

    ``effects`` in units of the outcome; by default multiples of the minimum detectable one. A bar shows the draws while
    they are made, at a terminal only. ``output`` is a CSV to write. Raises DidError for a missing panel and for
    everything that did.diagnostics.detectable.power_curve describes.
    """
    panels = tables.read("panel", paths.panel(indicator))
    frame = panels.loc[panels["specification"] == evaluation.default_specification]
    panel = panel_of(frame, evaluation.sample, evaluation.treatments[0], evaluation)
    level = evaluation.clusters[-1]
    if not effects:
        rows = minimum_detectable_rows(estimate(TWO_WAY, panel), panel)
        found = rows.loc[(rows["diagnostic"] == "minimum_detectable") & (rows["cluster"] == level)].iloc[0]
        if found["status"] == "skipped":
            raise DidError(f"power of {indicator}: no minimum detectable effect to try: {found['reason']}; give "
                           "--effects")
        effects = [float(f"{step * found['value']:.3g}") for step in STEPS]
    table = _with_bar(panel, effects, draws, evaluation.seed, level)
    table = table.assign(indicator=indicator, is_synthetic=bool(frame["is_synthetic"].any()))
    if output:
        write_csv(Path(output), table)
    if as_json:
        return "\n".join(json_lines(table, "power"))
    synthetic = "SYNTHETIC DATA. " if table["is_synthetic"].iloc[0] else ""
    return f"{synthetic}{indicator}: two-way effects found at 5%, errors by {level}\n{table.to_string(index=False)}"


def _with_bar(panel, effects: Sequence[float], draws: int, seed: int, level: str) -> pd.DataFrame:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("draws", total=draws)
        return power_curve(panel, effects, TWO_WAY, draws, seed, level=level,
                           progress=lambda done, total: bar.update(task, completed=done, total=total))
