"""What each estimator makes of panels whose truth is known, and where it fails: 100 made-up panels of each design.

    .venv/bin/python benchmarks/where_they_fail.py     # a table of docs/estimators.md, about five minutes

Exits with 1 if an estimator fails where it should not.
"""

from __future__ import annotations

import os

if __name__ == "__main__":  # before numpy is imported
    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from did.estimators import estimate
from did.estimators.base import Panel
from did.estimators.neighbours import steps, with_neighbours
from did.estimators.registry import COHORT_PERIOD, entry
from did.inference.clustered import summarise
from did.simulate.panels import ar1, panel
from did.store.provenance import write_text

PAGE = Path(__file__).resolve().parents[1] / "docs" / "estimators.md"
MARKERS = ("<!-- begin: benchmarks/where_they_fail.py -->", "<!-- end: benchmarks/where_they_fail.py -->")
REPLICATIONS = 100
N_UNITS, N_PERIODS, ONSET, N_TREATED, EFFECT = 60, 24, 16, 20, 5.0
# Below this coverage, or with a bias beyond this share of the effect, an estimator fails.
COVERS, BIASED = 0.85, 0.2
ALL = {
    "did": ("did", {}), "ldv": ("ldv", {}), "ldv_ridge": ("ldv_ridge", {}),
    "callaway_santanna": ("callaway_santanna", {}),
    "callaway_santanna, mean of all periods as base": ("callaway_santanna", {"base_window": "all"}),
    "sun_abraham": ("sun_abraham", {}), "imputation": ("imputation", {"estimands": ["overall"]}),
    "stacked": ("stacked", {}), "synthetic_did": ("synthetic_did", {"estimands": ["overall"]}),
    "rolling": ("rolling", {"estimands": ["overall"]}),
    "rolling, detrended": ("rolling", {"transformation": "detrend", "estimands": ["overall"]}),
    "local_projections": ("local_projections", {}),
    "etwfe": ("etwfe", {"estimands": ["overall"]}), "etwfe, Poisson": ("etwfe", {
        "family": "poisson", "estimands": ["overall"]}),
    "spillover": ("spillover", {}), "dechaisemartin_dhaultfoeuille": ("dechaisemartin_dhaultfoeuille", {}),
}


@dataclasses.dataclass(frozen=True)
class Design:
    """A way of making panels: ``make`` gives a panel and its true mean effect; ``level`` to cluster errors by;
    ``holds`` names the estimators that should not fail."""

    name: str
    what: str
    make: Callable[[int], tuple[Panel, float]]
    level: str = "unit"
    holds: tuple[str, ...] = ()


def bordered(data: Panel) -> Panel:
    """The never treated border each other in a line, and nobody treated: for spillover, which finds none."""
    free = data.units[data.never_treated]
    return with_neighbours(data, zip(free[:-1], free[1:], strict=True))


def plain(seed: int, **nature) -> tuple[Panel, float]:
    settings = {"cohorts": {ONSET: N_TREATED}, "noise": 5.0, "persistence": 0.3} | nature
    frame, _ = panel(N_UNITS, N_PERIODS, settings.pop("cohorts"), EFFECT, seed=seed, **settings)
    return bordered(Panel.from_frame(frame)), EFFECT


def arrays(outcome: np.ndarray, treated: np.ndarray) -> Panel:
    """A panel of the arrays, every treated unit from `ONSET` on."""
    periods = pd.period_range("2015-01", periods=N_PERIODS, freq="M").astype(str)
    units = [f"U{unit:03d}" for unit in range(len(outcome))]
    return Panel.from_frame(pd.DataFrame({
        "unit": np.repeat(units, N_PERIODS), "period": np.tile(periods, len(units)), "frequency": "M",
        "outcome": outcome.ravel(), "cohort": np.repeat(np.where(treated, periods[ONSET], None), N_PERIODS)}),
        cluster_columns=[])


def counts(seed: int) -> tuple[Panel, float]:
    """Counts of mean 0.2 to 1.5, doubling over time, higher among the treated, whose rate treatment raises by half."""
    generator = np.random.default_rng(seed)
    treated = np.arange(N_UNITS) < N_TREATED
    rate = np.exp(generator.normal(np.where(treated, -0.3, -1.2), 0.4)[:, None] + np.linspace(0, 0.7, N_PERIODS))
    after = treated[:, None] & (np.arange(N_PERIODS) >= ONSET)
    truth = float(0.5 * rate[after].mean())
    return bordered(arrays(generator.poisson(np.where(after, 1.5 * rate, rate)).astype(float), treated)), truth


def reverting(seed: int) -> tuple[Panel, float]:
    """Those lowest just before are treated; outcomes go back to each unit's mean, 30% of the way a period."""
    generator = np.random.default_rng(seed)
    noise = 100 + generator.normal(0, 10, (N_UNITS, 1)) + 10 * ar1(N_UNITS, N_PERIODS, 0.7, generator)
    treated = np.argsort(np.argsort(noise[:, ONSET - 1])) < N_TREATED
    noise[treated, ONSET:] += EFFECT
    return bordered(arrays(noise, treated)), EFFECT


def reacting(seed: int) -> tuple[Panel, float]:
    """A slow shock common to all, to which the treated react one and a half times as strongly."""
    generator = np.random.default_rng(seed)
    treated = np.arange(N_UNITS) < N_TREATED
    load = generator.normal(np.where(treated, 1.5, 1.0), 0.3)
    outcome = 100 + generator.normal(0, 10, (N_UNITS, 1)) + load[:, None] * 10 * ar1(1, N_PERIODS, 0.9, generator)
    outcome = outcome + generator.normal(0, 3, (N_UNITS, N_PERIODS))
    outcome[treated, ONSET:] += EFFECT
    return bordered(arrays(outcome, treated)), EFFECT


def near(seed: int) -> tuple[Panel, float]:
    """Units on a line, every sixth treated; its neighbours have half the effect."""
    generator = np.random.default_rng(seed)
    treated = np.arange(N_UNITS) % 6 == 2
    data = arrays(generator.normal(100, 10, (N_UNITS, 1)) + generator.normal(0, 5, (N_UNITS, N_PERIODS)), treated)
    data = with_neighbours(data, zip(data.units[:-1], data.units[1:], strict=True))
    distance = steps(data, 1)
    return dataclasses.replace(data, outcome=data.outcome + EFFECT * np.where(
        distance == 0, 1.0, np.where(distance == 1, 0.5, 0.0))), EFFECT


PARALLEL = tuple(name for name in ALL if name not in ("ldv", "etwfe, Poisson"))
DESIGNS = (
    Design("parallel trends", "a third of the units treated from one date; noise of each unit's own", plain,
           holds=PARALLEL),
    Design("diverging lines", "the treated drift by half a point a period, from the start",
           lambda seed: plain(seed, diverging=0.5), holds=("rolling, detrended",)),
    Design("shocks by system", "three units to a system share half the variance; errors clustered by system",
           lambda seed: plain(seed, cohorts={ONSET: 21}, units_per_system=3, system_share=0.5), "system",
           tuple(name for name in PARALLEL if name not in ("ldv_ridge", "spillover"))),
    Design("shocks by system, errors by unit", "the same panels, with errors as if units were apart",
           lambda seed: plain(seed, cohorts={ONSET: 21}, units_per_system=3, system_share=0.5)),
    Design("three treated units", "three treated units in place of twenty",
           lambda seed: plain(seed, cohorts={ONSET: 3})),
    Design("two treated systems", "two systems of three treated in place of seven, errors clustered by system",
           lambda seed: plain(seed, cohorts={ONSET: 6}, units_per_system=3, system_share=0.5), "system"),
    Design("counts with many zeros", counts.__doc__.splitlines()[0][:-1].lower(), counts, holds=("etwfe, Poisson",)),
    Design("reversion", reverting.__doc__.splitlines()[0][:-1].lower(), reverting, holds=("ldv",)),
    Design("stronger reaction to a shock", reacting.__doc__.splitlines()[0][:-1].lower(), reacting),
    Design("neighbours", near.__doc__.splitlines()[0][:-1].lower(), near, holds=("spillover",)),
)


def overall(name: str, options: dict, data: Panel) -> pd.DataFrame:
    """Return the rows of an estimator's one effect, averaged by cohort size where it has effects by cohort."""
    result = estimate(name, data, **options)
    if entry(name).kind == COHORT_PERIOD:
        from did.estimators.aggregation import aggregate

        result = aggregate(result, data, "simple")
    return summarise(result.only("overall"), data)


def measure(design: Design, replications: int = REPLICATIONS) -> pd.DataFrame:
    """Return, by estimator: mean error and root mean square error as shares of the effect, coverage, and failures."""
    rows = []
    for seed in range(replications):
        data, truth = design.make(20170615 + seed)
        for label, (name, options) in ALL.items():
            row = overall(name, options, data).query("cluster == @design.level").iloc[0]
            rows.append({"estimator": label, "error": (row["estimate"] - truth) / truth,
                         "covered": row["ci_low"] <= truth <= row["ci_high"]})
    table = pd.DataFrame(rows).groupby("estimator", sort=False).agg(
        bias=("error", "mean"), root=("error", lambda off: float(np.sqrt(np.mean(np.square(off))))),
        coverage=("covered", "mean")).reset_index()
    fails = (table["coverage"] < COVERS) | (table["bias"].abs() > BIASED)
    return table.assign(design=design.name, fails=fails, should_hold=table["estimator"].isin(design.holds))


def report(table: pd.DataFrame) -> str:
    """Return the table and its key as Markdown."""
    names = [design.name for design in DESIGNS]
    lines = [
        f"Bias in percent of the effect, and in brackets how often the 95% interval holds the truth, of {REPLICATIONS} "
        f"made-up panels each ({N_UNITS} units, {N_PERIODS} periods). **Bold**: a bias beyond {BIASED:.0%} of the "
        f"effect, or coverage below {COVERS:.0%}. Intervals are those of clustered errors.", "",
        f"| estimator | {' | '.join(names)} |", f"|---{'|---' * len(names)}|",
    ]
    cells = table.set_index(["estimator", "design"])
    for label in ALL:
        words = []
        for name in names:
            row = cells.loc[(label, name)]
            # Never -0%.
            text = f"{round(100 * row['bias']) + 0.0:+.0f}% ({100 * row['coverage']:.0f}%)"
            words.append(f"**{text}**" if row["fails"] else text)
        lines.append(f"| {label} | {' | '.join(words)} |")
    lines += ["", "The designs:", ""]
    lines += [f"- **{design.name}**: {design.what}." for design in DESIGNS]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the table between its markers in docs/estimators.md; 1 if an estimator fails where it should hold."""
    start = time.process_time()
    table = pd.concat([measure(design) for design in DESIGNS], ignore_index=True)
    before, rest = PAGE.read_text(encoding="utf-8").split(MARKERS[0])
    write_text(PAGE, f"{before}{MARKERS[0]}\n\n{report(table)}\n{MARKERS[1]}{rest.split(MARKERS[1])[1]}")
    wrong = table[table["fails"] & table["should_hold"]]
    print(report(table))
    print(wrong.round(2).to_string(index=False) if len(wrong) else "no estimator fails where it should hold")
    print(f"{time.process_time() - start:.0f} s CPU")
    return int(len(wrong) > 0)


if __name__ == "__main__":
    sys.exit(main())
