"""Seconds that the calibration of the nine published outcomes takes, by `did` and `ldv`, both treatments; Markdown.

    .venv/bin/python benchmarks/calibration.py                        # the panels of the last demonstration run
    .venv/bin/python benchmarks/calibration.py --kind mirror          # those of the last run on publishers' files

Reads data/.../processed/panel, which `did run` leaves. Two processes at a time, each with one thread, as on two cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

CORES, BUDGET = 2, 15.0


def outcome(kind: str, indicator: str) -> tuple[str, float, float, int]:
    """Calibrate one outcome: its name, seconds that passed, seconds of the processor, and assignments tried."""
    from did.inference.calibration import REGRESSIONS, calibrate
    from did.project.loading import load_evaluation
    from did.project.paths import Paths
    from did.stages.calibrate import settings_of
    from did.stages.fit import options_of, panel_of
    from did.store import tables

    evaluation = load_evaluation("config/ics.yaml")
    frame = tables.read("panel", Paths.of(kind).panel(indicator))
    frame = frame.loc[frame["specification"] == evaluation.default_specification]
    lags = evaluation.specifications[evaluation.default_specification].lags
    began, processor, tried = time.perf_counter(), time.process_time(), 0
    for treatment in evaluation.treatments:
        panel = panel_of(frame, evaluation.sample, treatment, evaluation)
        for estimator in REGRESSIONS:
            table = calibrate(panel, estimator=estimator, options=options_of(estimator, panel, lags),
                              level=evaluation.clusters[-1], settings=settings_of(evaluation))
            tried += int(table.loc[table["method"].eq("wild_bootstrap"), "n_draws"].sum())
    return indicator, time.perf_counter() - began, time.process_time() - processor, tried


def main() -> int:
    """Measure, print the table, and say whether the whole is within the budget."""
    from did.project.claims import load_claims
    from did.project.loading import load_evaluation
    from did.project.paths import Paths

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kind", choices=["demo", "mirror"], default="demo", help="whose panels")
    parser.add_argument("--quick", action="store_true", help="one outcome only")
    given = parser.parse_args()
    kind = given.kind
    evaluation = load_evaluation("config/ics.yaml")
    published = load_claims(evaluation.published, evaluation.indicators)["indicator"].unique()
    there = [name for name in published if Paths.of(kind).panel(name).is_file()]
    if not there:
        raise SystemExit(f"{Paths.of(kind).data}/processed/panel: expected panels; found none; run did run first")
    there = there[:1] if given.quick else there
    with ProcessPoolExecutor(CORES) as pool:
        began = time.perf_counter()
        rows = list(pool.map(outcome, [kind] * len(there), sorted(there, key=lambda name: not name.startswith("dtoc"))))
        whole = time.perf_counter() - began
    print("## Calibration of the headline intervals\n\nThe published outcomes, by `did` and `ldv`, both treatments and "
          f"both schemes of placebos, with data of kind {kind} "
          "([inference.md](inference.md)). Processor: its own seconds, which other work on the machine "
          "lengthens less.\n")
    print("| outcome | seconds | processor | assignments |\n|---|---:|---:|---:|")
    for name, seconds, processor, tried in rows:
        print(f"| {name} | {seconds:.1f} | {processor:.1f} | {tried:,} |")
    used = sum(row[2] for row in rows)
    print(f"\n{len(rows)} of {len(published)} published outcomes on {CORES} cores: {whole:.1f} s; processor "
          f"{used:.1f} s, half of which is {used / CORES:.1f} s. Budget {BUDGET:.0f} s.")
    return int(whole > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
