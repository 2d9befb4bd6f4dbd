"""Does the interval that leads cover? A second program, in plain numpy, asks the publishers' data and made-up panels.

    .venv/bin/python benchmarks/acceptance.py                 # tables of docs/inference.md, some ten minutes
    .venv/bin/python benchmarks/acceptance.py --only placebos # total delayed days as published; needs the mirror run

Placebos: it shares no code with the product but the reading of the panel. Regressions are of unit means on treatment
and lags (balanced, one onset: the panel's estimate and scores), group-time averages are written out for two waves, near
clusters, reference distributions and bootstrap draws are its own, with another generator and seed. The test by
reassignment is made as a user's panel would have it: around the sizes of the clusters that the placebo treats.

Truth: panels of the actual areas, systems and waves with the demonstration's settings, noise and effects, each with its
own seed; the product calibrates each, chooses by its rule, and gives the interval.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 - after the threads are set

PAGE = Path(__file__).resolve().parents[1] / "docs" / "inference.md"
MARKERS = ("<!-- begin: benchmarks/acceptance.py -->", "<!-- end: benchmarks/acceptance.py -->")
SEED, YEAR, NEAREST = 8_675_309, 12, 5
PLACEBOS, REFERENCE, PANELS = 600, 499, 500
OUTCOME, PLANTED = "dtoc_total", "dtoc_nhs"
Draws = np.ndarray


def generator(*parts: int) -> np.random.Generator:
    """Return a stream of another kind than the product's."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([SEED, *parts])))


# --- placebos ---------------------------------------------------------------------------------------------


def near(sizes: np.ndarray, wanted: np.ndarray, draws: int, random: np.random.Generator) -> Draws:
    """Return (draws, wanted) clusters: for each wanted size, the largest first, one of the five nearest unused ones.

    ``wanted`` (treated,) or (draws, treated) sizes.
    """
    wanted = np.broadcast_to(wanted, (draws, np.shape(wanted)[-1]))
    order = np.argsort(-wanted, axis=1, kind="stable")
    free = np.zeros((draws, len(sizes)))
    chosen = np.empty(wanted.shape, dtype=int)
    row = np.arange(draws)
    for place in order.T:
        key = np.abs(sizes - wanted[row, place][:, None]) + random.random((draws, len(sizes))) / 2 + free
        five = np.argpartition(key, NEAREST - 1, axis=1)[:, :NEAREST]
        usable = np.isfinite(np.take_along_axis(key, five, axis=1)).sum(axis=1)
        five = np.take_along_axis(five, np.argsort(np.take_along_axis(key, five, axis=1), axis=1), axis=1)
        pick = five[row, (random.random(draws) * usable).astype(int)]
        chosen[row, place] = pick
        free[row, pick] = np.inf
    return chosen


class Cross:
    """y on z and controls, units in clusters: estimate, clustered error and what else of an assignment."""

    def __init__(self, y: np.ndarray, controls: np.ndarray, cluster: np.ndarray) -> None:
        self.n_clusters = cluster.max() + 1
        order = np.argsort(cluster, kind="stable")
        self.cluster, self.y = cluster[order], y[order]
        self.controls = np.column_stack([np.ones(len(y)), controls[order]])
        self.basis = np.linalg.qr(self.controls)[0]
        member = np.eye(self.n_clusters)[self.cluster]
        self.columns, self.rest = self._less(member), self._less(self.y)
        self.starts = np.searchsorted(self.cluster, np.arange(self.n_clusters))

    def _less(self, values: np.ndarray) -> np.ndarray:
        for _ in range(2):
            values = values - self.basis @ (self.basis.T @ values)
        return values

    def found(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Estimate and clustered error without factor of (draws, clusters) doses."""
        estimate, error = np.empty(len(z)), np.empty(len(z))
        for at in range(0, len(z), 5000):
            f = self.columns @ z[at:at + 5000].T
            square = (f**2).sum(axis=0)
            b = self.rest @ f / square
            score = np.add.reduceat(f * (self.rest[:, None] - b * f), self.starts, axis=0)
            estimate[at:at + 5000], error[at:at + 5000] = b, np.sqrt((score**2).sum(axis=0)) / square
        return estimate, error

    def corrected(self, z: np.ndarray, power: float) -> tuple[float, float]:
        """|t| and degrees of freedom by (I - H_gg)^power: -1/2 CR2, -1 CR3, by dense matrices."""
        x = np.column_stack([z[self.cluster], self.controls])
        inverse = np.linalg.inv(x.T @ x)
        hat = x @ inverse @ x.T
        lever = (inverse @ x.T)[0]
        b = lever @ self.y
        residual = self.y - hat @ self.y
        rows, spread = [], 0.0
        for cluster in range(self.n_clusters):
            own = self.cluster == cluster
            values, vectors = np.linalg.eigh(np.eye(own.sum()) - hat[np.ix_(own, own)])
            factor = np.where(values > 1e-10, np.maximum(values, 1e-10) ** power, 0.0)
            weights = (vectors * factor) @ vectors.T @ lever[own]
            spread += (weights @ residual[own]) ** 2
            rows.append(weights @ (np.eye(len(x)) - hat)[own])
        p = np.array(rows) @ np.array(rows).T
        return abs(b) / np.sqrt(spread), np.trace(p) ** 2 / (p**2).sum()

    def wild(self, z: np.ndarray, draws: int, random: np.random.Generator) -> float:
        """P-value of the wild cluster bootstrap with the null imposed."""
        f = self.columns @ z
        square = f @ f

        def t_of(y: np.ndarray) -> np.ndarray:
            b = f @ y / square
            score = np.add.reduceat(f[:, None] * (y - np.outer(f, b)), self.starts, axis=0)
            return np.abs(b) * square / np.sqrt((score**2).sum(axis=0))

        own = t_of(self.rest[:, None])[0]
        signs = random.choice([-1.0, 1.0], size=(self.n_clusters, draws))
        return float((t_of(self._less(self.rest[:, None] * signs[self.cluster])) > own * (1 + 1e-9)).mean())


class Waves:
    """Averages of group-time effects of two waves, the last period before each as base, controls not yet treated."""

    def __init__(self, outcome: np.ndarray, cluster: np.ndarray, onsets: tuple[int, int]) -> None:
        self.n_clusters = cluster.max() + 1
        member = np.eye(self.n_clusters)[cluster]
        self.size = member.sum(axis=0)
        first, second = onsets
        y = member.T @ outcome
        self.early = y[:, first:second].sum(axis=1) - (second - first) * y[:, first - 1]
        self.late = y[:, second:].sum(axis=1) - (outcome.shape[1] - second) * y[:, first - 1]
        self.own = y[:, second:].sum(axis=1) - (outcome.shape[1] - second) * y[:, second - 1]
        self.length = (second - first, outcome.shape[1] - second)

    def found(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Estimate and error of (draws, clusters) waves: 0 never, 1 first, 2 second."""
        one, two, never = ((z == wave) * self.size for wave in (1, 2, 0))
        n1, n2, n0 = (side.sum(axis=1, keepdims=True) for side in (one, two, never))
        waiting = never + two
        mean = {name: values / self.size for name, values in (("early", self.early), ("late", self.late),
                                                               ("own", self.own))}
        blocks = ((one, n1, waiting, n0 + n2, "early"), (one, n1, never, n0, "late"), (two, n2, never, n0, "own"))
        total = n1 * sum(self.length) + n2 * self.length[1]
        effect, score = [], np.zeros(z.shape)
        for treated, n, controls, m, name in blocks:
            inside, outside = ((side @ mean[name])[:, None] / count for side, count in ((treated, n), (controls, m)))
            effect.append(inside - outside)
            score += n / total * (treated / n * (mean[name] - inside) - controls / m * (mean[name] - outside))
        estimate = (n1 * (effect[0] + effect[1]) + n2 * effect[2]) / total
        score += one * (effect[0] + effect[1] - sum(self.length) * estimate) / total
        score += two * (effect[2] - self.length[1] * estimate) / total
        return estimate[:, 0], np.sqrt((score**2).sum(axis=1))


def t_quantile(df: np.ndarray | float) -> np.ndarray:
    """Return the 97.5% quantile of t by bisection on its distribution, integrated numerically: no library of tests."""
    from math import lgamma

    def upper(x: float, nu: float) -> float:
        grid = np.linspace(0.0, np.arctan(x / np.sqrt(nu)), 4001)
        density = np.cos(grid) ** (nu - 1)
        scale = np.exp(lgamma((nu + 1) / 2) - lgamma(nu / 2)) / np.sqrt(np.pi)
        return 0.5 - scale * float(((density[1:] + density[:-1]) / 2 * np.diff(grid)).sum())

    found = []
    for nu in np.atleast_1d(df):
        low, high = 0.0, 1000.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if upper(middle, float(nu)) > 0.025 else (low, middle)
        found.append(low)
    return np.array(found)


def against(statistic, z_of, chosen: Draws, sizes: np.ndarray, random: np.random.Generator, reference: int) -> float:
    """Return the share of placebos that the test among clusters near in size does not reject at 5%."""
    kept = 0
    for places in chosen:
        every = near(sizes, sizes[places], reference, random)
        z = z_of(np.vstack([places[None], every]))
        estimate, error = statistic(z)
        t = np.abs(estimate) / error
        kept += (1 + (t[1:] >= t[0] * (1 - 1e-9)).sum()) / (1 + reference) > 0.05
    return kept / len(chosen)


def coverage(method: str, model, z_of, chosen: Draws, sizes: np.ndarray, random: np.random.Generator) -> float:
    """Return the share of placebo assignments in which an interval by ``method`` holds zero."""
    if method == "randomisation_near":
        return against(model.found, z_of, chosen, sizes, random, REFERENCE)
    z = z_of(chosen)
    if method == "wild_bootstrap":
        return float(np.mean([model.wild(one, REFERENCE, random) > 0.05 for one in z]))
    if method in ("CR2", "CR3"):
        pairs = np.array([model.corrected(one, -0.5 if method == "CR2" else -1.0) for one in z])
        return float((pairs[:, 0] <= t_quantile(pairs[:, 1])).mean())
    if method == "randomisation":
        estimate, error = model.found(z)
        other = np.array([random.permutation(model.n_clusters)[:chosen.shape[1]] for _ in range(4999)])
        others = np.abs(np.divide(*model.found(z_of(other))))
        t = np.abs(estimate) / error
        return float(np.mean([(1 + (others >= one * (1 - 1e-9)).sum()) / 5000 > 0.05 for one in t]))
    raise SystemExit(f"acceptance: no program for the method {method}")


def placebo(task: tuple[str, str, str, str]) -> tuple[str, str, str, str, float, int]:
    """Measure one estimator, treatment, scheme and method on the publishers' data."""
    from did.project.loading import load_evaluation
    from did.project.paths import Paths
    from did.stages.fit import panel_of
    from did.store import tables

    estimator, treatment, scheme, method = task
    staggered = estimator == "callaway_santanna"
    evaluation = load_evaluation("config/ics.yaml")
    frame = tables.read("panel", Paths.of("mirror").panel(OUTCOME))
    frame = frame.loc[frame["specification"] == ("waves_by_date" if staggered else evaluation.default_specification)]
    panel = panel_of(frame, "full", treatment, evaluation)
    system = np.unique(panel.clusters["system"], return_inverse=True)[1]
    y, start, dose = panel.outcome, panel.treated_from, panel.dose
    treated = np.unique(system[start < panel.n_periods])
    size = np.bincount(system)
    labels = [(int(start[system == one].min()), float(dose[system == one].mean()), int(size[one])) for one in treated]
    first, wanted = min(label[0] for label in labels), np.array([label[2] for label in labels])
    waves = np.array([1.0 if label[0] == first else 2.0 for label in labels])
    value = waves if staggered else np.array([label[1] for label in labels])
    gap = max(label[0] for label in labels) - first
    random = generator(*(ord(letter) for letter in "".join(task)))
    if scheme == "never_treated":
        keep = ~np.isin(system, treated)
        panels = [(y[keep], np.unique(system[keep], return_inverse=True)[1], first)]
    else:
        last = first - YEAR - (gap if staggered else 0)
        panels = [(y[:, :first], system, int(at)) for at in np.unique(np.linspace(2 * YEAR, last, 5).round())]
    kept = []
    for outcome, cluster, onset in panels:
        sizes, n = np.bincount(cluster), PLACEBOS // len(panels)
        chosen = near(sizes, wanted, n, random)

        def z_of(places: Draws, n_clusters: int = len(sizes)) -> np.ndarray:
            z = np.zeros((len(places), n_clusters))
            np.put_along_axis(z, places, np.broadcast_to(value, places.shape), axis=1)
            return z

        if staggered:
            model = Waves(outcome, cluster, (onset, onset + gap))
        else:
            before, after = outcome[:, :onset], outcome[:, onset:].mean(axis=1)
            lags = {"did": before[:, :0], "ldv": before, "ldv, last 12": before[:, -12:]}[estimator]
            model = Cross(after - before.mean(axis=1) if estimator == "did" else after, lags, cluster)
        kept.append(coverage(method, model, z_of, chosen, sizes, random))
    return *task, float(np.mean(kept)), PLACEBOS // len(panels) * len(panels)


def leading() -> list[tuple[str, str, str]]:
    """Return estimator, treatment and the product's method for each headline that is tried again."""
    from did.inference.calibration import calibrate
    from did.inference.headline import headline
    from did.project.loading import load_evaluation
    from did.project.paths import Paths
    from did.stages.calibrate import settings_of
    from did.stages.fit import options_of, panel_of
    from did.store import tables

    evaluation = load_evaluation("config/ics.yaml")
    if not Paths.of("mirror").panel(OUTCOME).is_file():
        raise SystemExit(f"{Paths.of('mirror').panel(OUTCOME)}: expected a panel; found none; run did run --data "
                         "mirror:../shared/mirror first")
    every, found = tables.read("panel", Paths.of("mirror").panel(OUTCOME)), []
    cases = [(name, treatment, lags) for treatment in ("binary", "intensity")
             for name, lags in (("did", ""), ("ldv", "all"), ("ldv", "last_12"))]
    cases += [("callaway_santanna", "binary", "")]
    for name, treatment, lags in cases:
        specification = "waves_by_date" if name == "callaway_santanna" else evaluation.default_specification
        panel = panel_of(every.loc[every["specification"] == specification], "full", treatment, evaluation)
        about = {"estimator": name, "options": options_of(name, panel, lags), "level": "system",
                 "settings": settings_of(evaluation)}
        row = headline(panel, calibrate(panel, **about), **about)
        found.append(("ldv, last 12" if lags == "last_12" else name, treatment, str(row["method"])))
    return found


# --- panels whose truth is known --------------------------------------------------------------------------


def made(number: int):
    """Return a panel of the actual areas, systems and wave one, with the demonstration's noise and effect, and that.

    Delayed days that the NHS answers for, per 100,000 adults and month; areas of wave two are left out, as in the
    sample `wave_two_removed`, so that one number is true.
    """
    import pandas as pd

    from did.estimators import Panel
    from did.project.paths import Paths
    from did.readers.reference import read_reference
    from did.simulate import dtoc, population
    from did.simulate.truth import load_demo
    from did.store import tables

    demo, reference = load_demo(), Path("data/reference")
    if not hasattr(made, "areas"):
        authorities = read_reference(reference / "dtoc_authorities.csv", ["nhs_code", "ons_code", "area_type",
                                                                          "first_period"], ["nhs_code", "first_period"])
        codes = authorities.loc[authorities["first_period"].eq("") & authorities["area_type"].eq("utla"), "ons_code"]
        adults = population.make(demo, reference).adults().reindex(codes)
        adults = adults[[min(int(period[:4]), population.YEARS[-1]) for period in dtoc.PERIODS]].to_numpy()
        units = read_reference(reference / "upper_tier_authorities.csv", ["area_code", "unit"],
                               ["area_code"]).set_index("area_code")["unit"].loc[codes]
        frame = tables.read("panel", Paths.of("mirror").panel(OUTCOME))
        frame = frame.loc[frame["specification"].eq("default")].drop_duplicates("unit").set_index("unit")
        made.areas = codes.reset_index(drop=True), adults, *pd.factorize(units), frame
    codes, adults, place, names, frame = made.areas
    part = PLANTED.removeprefix("dtoc_")
    own = demo.model_copy(update={"seed": SEED + number})
    clumping = own.dtoc.parts[part].clumping
    days = np.rint(generator(number).gamma(dtoc._rates(own, part, codes, reference) * adults / 100_000 / clumping,
                                           clumping))
    total, people = np.zeros((len(names), days.shape[1])), np.zeros((len(names), days.shape[1]))
    np.add.at(total, place, days)
    np.add.at(people, place, adults)
    about = frame.loc[names]
    treated = about["wave"].eq(1).fillna(False).to_numpy(dtype=bool)
    panel = Panel(total / people * 100_000, pd.Index(names), pd.Index(dtoc.PERIODS), "M",
                  np.where(treated, dtoc.PERIODS.index("2017-06"), len(dtoc.PERIODS)), treated.astype(float), "binary",
                  {"unit": np.asarray(names, dtype=object), "system": about["system"].to_numpy(dtype=object)})
    return panel.keep(~about["wave"].eq(2).fillna(False).to_numpy(dtype=bool)), float(demo.planted[PLANTED].effect[1])


def covered(number: int) -> dict[str, tuple[bool, bool, str, float]]:
    """Return of each estimator whether its headline interval on panel ``number`` holds the truth, whether its method
    holds its level, the method, and the interval's width."""
    from did.inference.calibration import Settings, calibrate
    from did.inference.headline import headline

    panel, effect = made(number)
    settings, found = Settings(draws=299, wild_draws=199, own_draws=1999, seed=number), {}
    for name, options in (("did", {}), ("ldv", {"lags": "all"}), ("ldv, last 12", {"lags": "last_12"}),
                          ("callaway_santanna", {"base_period": "universal"})):
        about = {"estimator": name.partition(",")[0], "options": options, "settings": settings}
        row = headline(panel, calibrate(panel, **about), **about)
        low, high = (row[end] if np.isfinite(row[end]) else sign * np.inf
                     for end, sign in (("ci_low", -1), ("ci_high", 1)))
        found[name] = (bool(low <= effect <= high), bool(row["holds"]), str(row["method"]), float(high - low))
    return found


def error(share: float, n: int) -> float:
    """Return the simulation error of a share, in percentage points."""
    return 100 * float(np.sqrt(share * (1 - share) / n))


def placebo_table(pool: ProcessPoolExecutor) -> str:
    """Return the Markdown table of placebos."""
    tasks = [(name, treatment, scheme, method) for name, treatment, method in leading()
             for scheme in ("never_treated", "before_onset")]
    words = {"never_treated": "among never treated", "before_onset": "before the onset"}
    rows = ["| estimator | treatment | placebos | method that leads | covers |", "|---|---|---|---|---:|"]
    for name, treatment, scheme, method, share, n in pool.map(placebo, tasks):
        rows.append(f"| {name} | {treatment} | {words[scheme]} | {method} | {100 * share:.1f} "
                    f"({error(share, n):.1f}) |")
    return (f"Per cent of {PLACEBOS} placebo assignments on the publishers' data, total delayed days, in which the "
            "interval by the method that leads holds zero; in brackets the simulation error:\n\n" + "\n".join(rows))


def truth_table(pool: ProcessPoolExecutor) -> str:
    """Return the Markdown table of panels whose truth is known."""
    found = list(pool.map(covered, range(PANELS), chunksize=10))
    rows = ["| estimator | covers the truth | a method holds | which one leads, most often first | mean width |",
            "|---|---:|---:|---|---:|"]
    for name in found[0]:
        holds_truth, holds, methods, widths = zip(*(one[name] for one in found), strict=True)
        share = float(np.mean(holds_truth))
        often = sorted(set(methods), key=lambda method: (-methods.count(method), method))
        rows.append(f"| {name} | {100 * share:.1f} ({error(share, len(found)):.1f}) | {100 * np.mean(holds):.0f}% | "
                    f"{', '.join(f'{method} {100 * methods.count(method) / len(found):.0f}%' for method in often)} | "
                    f"{np.mean([width for width in widths if np.isfinite(width)]):.0f} |")
    return (f"Per cent of {PANELS} panels of the actual areas, systems and wave one with the demonstration's noise and "
            "an effect of 36 days per 100,000 adults, in which the headline interval holds the effect; 299 placebo "
            "assignments a scheme:\n\n" + "\n".join(rows))


def main() -> int:
    """Measure, print, and with both tables write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=["placebos", "truth"], help="one table, printed and not written")
    only, began, parts = parser.parse_args().only, time.perf_counter(), []
    with ProcessPoolExecutor(2) as pool:
        for name, table in (("placebos", placebo_table), ("truth", truth_table)):
            if only in (None, name):
                parts.append(table(pool))
                print(parts[-1], flush=True)
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    if only is None:
        from did.store.provenance import write_text

        before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKERS[0])
        _, _, after = rest.partition(MARKERS[1])
        body = "\n\n".join(parts)
        write_text(PAGE, f"{before}{MARKERS[0]}\n\n{body}\n\n{MARKERS[1]}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
