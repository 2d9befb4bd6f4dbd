"""How often intervals under bounds on differential trends hold a true zero, by the covariance they rest on; Markdown.

    .venv/bin/python benchmarks/bounds.py          # tables of docs/inference.md, ten minutes; needs the mirror run

Placebo assignments among clusters near in size, on the publishers' data: nothing was done, and trends part only as
those of systems do, so that every interval should hold zero in 95% or more. And panels of the same systems made up
without any effect, in which trends are parallel.
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
OUTCOME, SEED, WIDTH, FEWEST = "dtoc_total", 20_240_229, 12, 48
PLACEBOS = {"before_onset": "before the onset", "never_treated": "among never treated"}
MADE = {"made up, equally noisy": {"share": 0.2}, "made up, treated twice as noisy": {"share": 0.2, "louder": 2.0}}
DRAWS = dict.fromkeys(PLACEBOS, 2000) | dict.fromkeys(MADE, 1000)
TARGETS = ("first", "average")
# Of several covariances and quantiles the one that is used where clusters are few, and what its width is held against.
USED, AGAINST = "CR3, t", "CR2, t"
AT_ZERO = ("parallel trends", "M = 0")
ABOVE = ("M = half", "Mbar = 1/2", "Mbar = 1")


def covariances(result, panel, kept: np.ndarray) -> dict[str, np.ndarray]:
    """Return the covariance of the coefficients ``kept`` by each way of making it; one for t is wide enough for t.

    t has Satterthwaite's degrees of freedom, or all clusters or treated clusters less one.
    """
    from scipy import stats

    from did.diagnostics.sensitivity.few import corrected
    from did.estimators import design_of
    from did.inference.bias_reduced import leverages
    from did.inference.clustered import clustered_covariance, labels_of

    parameters, labels = result.parameters, labels_of(result, panel, "system")
    design = design_of("event_study", panel, bin_width=WIDTH)
    names = [f"event_bin_{WIDTH} {int(time)}" for time in parameters["event_time"].iloc[kept]]
    apart = leverages(design, "system", [design.names.index(name) for name in names])
    n_clusters, n_treated = len(set(labels)), len(set(labels[result.treated.to_numpy().any(axis=1)]))
    clustered = clustered_covariance(result.influence.to_numpy()[:, kept], labels, result.n_obs, result.n_parameters)
    by_cr2, by_cr3 = apart.covariance("CR2"), apart.covariance("CR3")
    of_cr2 = apart.rows("CR2")["df"].median()
    wider = {df: (stats.t.ppf(0.975, df) / stats.norm.ppf(0.975)) ** 2
             for df in (of_cr2, n_clusters - 1, n_treated - 1)}
    return {"clustered, normal": clustered, "CR2, normal": by_cr2, "CR2, t": wider[of_cr2] * by_cr2,
            "CR3, normal": by_cr3, "CR3, t of all clusters": wider[n_clusters - 1] * by_cr3,
            "CR3, t of treated clusters": wider[n_treated - 1] * by_cr3,
            USED: corrected(result, panel, "system", kept)[0]}


def intervals(panel, first: int) -> dict[tuple[str, str, str], tuple[bool, float]]:
    """Return whether each interval holds zero, and its width, for a panel treated from period ``first`` on."""
    from did.diagnostics.sensitivity.few import working
    from did.diagnostics.sensitivity.path import EventPath, original_interval
    from did.diagnostics.sensitivity.relative_magnitudes import relative_magnitudes_interval
    from did.diagnostics.sensitivity.smoothness import Frontier, slope_change_unit
    from did.estimators import estimate
    from did.inference.clustered import labels_of

    result = estimate("event_study", panel, bin_width=WIDTH)
    time = result.parameters["event_time"].to_numpy(dtype=int)
    kept = np.flatnonzero((time != -1) & (time >= -(first // WIDTH)))
    lengths = np.array([min(WIDTH, panel.n_periods - first - WIDTH * each) for each in time[kept] if each >= 0])
    influence, labels = result.influence.to_numpy()[:, kept], labels_of(result, panel, "system")
    found = {}
    for name, covariance in covariances(result, panel, kept).items():
        chosen_by = None if name.startswith("clustered") else working(covariance, influence, labels)
        path = EventPath(result.estimate[kept], covariance, int((time[kept] < -1).sum()), lengths, chosen_by)
        for target in TARGETS:
            frontier = Frontier.of(path, target)
            ends = (original_interval(path, target), frontier.interval(0.0),
                    frontier.interval(slope_change_unit(path) / 2),
                    relative_magnitudes_interval(path, target, 0.5), relative_magnitudes_interval(path, target, 1.0))
            for bound, (low, high) in zip(AT_ZERO + ABOVE, ends, strict=True):
                found[name, target, bound] = bool(low <= 0 <= high), float(high - low)
    return found


def tried(task: tuple[str, int]) -> dict[tuple[str, str, str], tuple[bool, float]]:
    """Return `intervals` of one placebo assignment, or of one panel made up."""
    from did.inference.assignments import near_in_size
    from did.inference.schemes import schemes
    from did.project.loading import load_evaluation
    from did.project.paths import Paths
    from did.stages.fit import panel_of
    from did.store import tables

    kind, number = task
    if kind in MADE:
        from size_of_tests import Case, made_up

        case = Case(kind, n_before=74, n_after=33, **MADE[kind])
        return intervals(made_up(case, number), case.n_before)
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
    return intervals(panel, int(scheme.onset.min()))


def table(found: dict[str, list], names: list[str], bounds: tuple[str, ...]) -> str:
    """Return the Markdown table of how often each interval of ``found`` holds zero, and how wide it is."""
    columns = [(target, bound) for bound in bounds for target in TARGETS]
    heads = " | ".join(f"{target}, {bound}" for target, bound in columns)
    rows = [f"| placebos or panels | covariance | {heads} | width |", f"|---|---|{'---:|' * (len(columns) + 1)}"]
    for kind, every in found.items():
        for name in names:
            shares = [np.mean([one[name, *column][0] for one in every]) for column in columns]
            wider = [np.median([one[name, *column][1] for one in every])
                     / np.median([one[AGAINST, *column][1] for one in every]) for column in columns]
            cells = " | ".join(f"{100 * share:.1f} ({100 * np.sqrt(share * (1 - share) / len(every)):.1f})"
                               for share in shares)
            rows.append(f"| {(PLACEBOS | {made: made for made in MADE})[kind]} | {name} | {cells} | "
                        f"{np.mean(wider):.2f} |")
    return "\n".join(rows)


def main() -> int:
    """Measure, print the tables, and write them into the page."""
    with ProcessPoolExecutor(2) as pool:
        found = {kind: list(pool.map(tried, [(kind, number) for number in range(draws)], chunksize=10))
                 for kind, draws in DRAWS.items()}
    names = list(dict.fromkeys(name for name, *_ in found["before_onset"][0]))
    n_placebos, n_made = DRAWS["before_onset"], DRAWS["made up, equally noisy"]
    placebos = {kind: found[kind] for kind in PLACEBOS}
    body = (f"Per cent of {n_placebos:,} placebo assignments on the publishers' data, total delayed days, and of "
            f"{n_made:,} panels made up as below (74 months before and 33 after, 20% shared), yearly bins, in which "
            "the interval of the first or the average effect holds zero; in brackets the simulation error. No "
            f"violation is allowed for. Width: the median relative to that by {AGAINST}, the mean of the row.\n\n"
            f"{table(found, names, AT_ZERO)}\n\n"
            "The same placebos where the bounds allow for violations: the slope may change by half of the largest "
            "change among the leads (M), trends may part by half of, or as much as, the most before (Mbar).\n\n"
            f"{table(placebos, [names[0], AGAINST, USED], ABOVE)}")
    print(body)
    from did.store.provenance import write_text

    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKERS[0])
    write_text(PAGE, f"{before}{MARKERS[0]}\n\n{body}\n\n{MARKERS[1]}{rest.partition(MARKERS[1])[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
