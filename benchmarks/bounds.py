"""How often intervals under bounds on differential trends hold a true zero, by the covariance they rest on; Markdown.

    .venv/bin/python benchmarks/bounds.py          # tables of docs/inference.md, some minutes; needs the mirror run

Placebo assignments among clusters near in size, on the publishers' data: nothing was done, and trends part only as
those of systems do, so that every interval should hold zero in 95% or more.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the threads are set

PAGE = Path(__file__).resolve().parents[1] / "docs" / "inference.md"
MARKERS = ("<!-- begin: benchmarks/bounds.py -->", "<!-- end: benchmarks/bounds.py -->")
OUTCOME, SEED, DRAWS, WIDTH, FEWEST = "dtoc_total", 20_240_229, 300, 12, 48
KINDS = {"never_treated": "among never treated", "before_onset": "before the onset"}
BOUNDS = ("parallel trends", "smoothness, M = 0", "relative magnitudes, 1")


def tried(task: tuple[str, int]) -> dict[tuple[str, str, str], tuple[bool, float]]:
    """Return, of one placebo assignment, whether each interval holds zero, and its width."""
    from did.diagnostics.sensitivity.few import corrected, working
    from did.diagnostics.sensitivity.path import EventPath, original_interval
    from did.diagnostics.sensitivity.relative_magnitudes import relative_magnitudes_interval
    from did.diagnostics.sensitivity.smoothness import Frontier
    from did.estimators import estimate
    from did.inference.assignments import near_in_size
    from did.inference.clustered import clustered_covariance, labels_of
    from did.inference.schemes import schemes
    from did.project.loading import load_evaluation
    from did.project.paths import Paths
    from did.stages.fit import panel_of
    from did.store import tables

    kind, number = task
    if not hasattr(tried, "panel"):
        evaluation = load_evaluation("config/ics.yaml")
        frame = tables.read("panel", Paths.of("mirror").panel(OUTCOME))
        frame = frame.loc[frame["specification"] == evaluation.default_specification]
        tried.panel = panel_of(frame, "full", "binary", evaluation)
    possible = [each for each in schemes(tried.panel, "system", kind, one_onset=True) if each.onset.min() >= FEWEST]
    scheme = possible[number % len(possible)]
    sizes = np.bincount(scheme.codes)
    places = near_in_size(scheme.sizes, sizes, 1, np.random.default_rng([SEED, number]))[0]
    onset, dose = np.full(len(sizes), scheme.panel.n_periods), np.zeros(len(sizes))
    onset[places], dose[places] = scheme.onset, 1.0
    panel = dataclasses.replace(scheme.panel, treated_from=onset[scheme.codes], dose=dose[scheme.codes])
    result, first = estimate("event_study", panel, bin_width=WIDTH), int(scheme.onset.min())
    time = result.parameters["event_time"].to_numpy(dtype=int)
    kept = np.flatnonzero((time != -1) & (time >= -(first // WIDTH)))
    lengths = np.array([min(WIDTH, panel.n_periods - first - WIDTH * each) for each in time[kept] if each >= 0])
    labels, influence = labels_of(result, panel, "system"), result.influence.to_numpy()[:, kept]
    better, _ = corrected(result, panel, "system", kept)
    n_pre, found = int((time[kept] < -1).sum()), {}
    for name, covariance, chosen_by in (
            ("clustered", clustered_covariance(influence, labels, result.n_obs, result.n_parameters), None),
            ("for few clusters", better, working(better, influence, labels))):
        path = EventPath(result.estimate[kept], covariance, n_pre, lengths, chosen_by)
        for target in ("first", "average"):
            ends = (original_interval(path, target), Frontier.of(path, target).interval(0.0),
                    relative_magnitudes_interval(path, target, 1.0))
            for bound, (low, high) in zip(BOUNDS, ends, strict=True):
                found[name, target, bound] = bool(low <= 0 <= high), float(high - low)
    return found


def main() -> int:
    """Measure, print the table, and write it into the page."""
    rows = ["| effect | bound | covariance | " + " | ".join(KINDS.values()) + " | median width |",
            "|---|---|---|---:|---:|---:|"]
    with ProcessPoolExecutor(2) as pool:
        found = {kind: list(pool.map(tried, [(kind, number) for number in range(DRAWS)], chunksize=10))
                 for kind in KINDS}
    for name, target, bound in sorted(found["before_onset"][0], key=lambda key: (key[1] != "first", key[2], key[0])):
        shares = [np.mean([one[name, target, bound][0] for one in found[kind]]) for kind in KINDS]
        width = np.median([one[name, target, bound][1] for one in found["never_treated"]])
        cells = " | ".join(f"{100 * share:.1f} ({100 * np.sqrt(share * (1 - share) / DRAWS):.1f})" for share in shares)
        rows.append(f"| {target} | {bound} | {name} | {cells} | {width:.0f} |")
    body = (f"Per cent of {DRAWS} placebo assignments on the publishers' data, total delayed days, yearly bins, in "
            "which the interval of the first or the average effect holds zero; in brackets the simulation error. "
            "Width: days per 100,000 adults, among never treated.\n\n" + "\n".join(rows))
    print(body)
    from did.store.provenance import write_text

    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKERS[0])
    write_text(PAGE, f"{before}{MARKERS[0]}\n\n{body}\n\n{MARKERS[1]}{rest.partition(MARKERS[1])[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
