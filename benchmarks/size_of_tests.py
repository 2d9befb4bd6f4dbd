"""How often each test rejects at 5% where treatment does nothing and 8 of 42 systems of unequal size are treated.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/size_of_tests.py     # tables of docs/inference.md, 11 minutes

The panels have the shape of the delayed-transfers panel: its 149 authorities, 42 systems and treated systems.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from did.estimators import Panel, design_of, estimate
from did.inference.bias_reduced import bias_reduced
from did.inference.clustered import clustered_covariance, labels_of
from did.inference.randomisation import randomisation
from did.inference.wild import wild_bootstrap
from did.simulate.panels import shared_noise
from did.store.provenance import write_text

PAGE = Path(__file__).resolve().parents[1] / "docs" / "inference.md"
MARKERS = ("<!-- begin: benchmarks/size_of_tests.py -->", "<!-- end: benchmarks/size_of_tests.py -->")
SEED = 20170601
MONTHS_BEFORE = 74  # of the evaluation, April 2011 to May 2017
DRAWS = 399
ALPHA = 0.05

# Authorities per system, and partners per treated system, in the order of the treated (Greater Manchester first).
TREATED = (10, 4, 4, 4, 4, 2, 1, 1)
DOSES = (32, 18, 17, 14, 12, 7, 10, 9)
CONTROLS = (1,) * 7 + (2,) * 10 + (3,) * 6 + (4,) + (5,) * 3 + (6,) * 3 + (8,) * 2 + (9, 12)
SYSTEM = np.repeat(np.arange(len(TREATED + CONTROLS)), TREATED + CONTROLS)
N_UNITS, N_SYSTEMS = len(SYSTEM), len(TREATED + CONTROLS)

METHODS = {
    "unit": "unit", "system": "system", "cr2": "CR2", "cr3": "CR3", "jackknife": "jackknife", "wcr": "WCR ±1",
    "wcr_webb": "WCR Webb", "wcu": "WCU ±1", "random_t": "random t", "random_b": "random b",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A design: length, share of the variance common to a system, and what else departs from the first one.

    louder   standard deviation of the treated systems' noise, where it is 1 for the others
    dealt    True: the treated systems are drawn by lot in every panel
    power    True: treatment adds the effect that an ideal test of ``did`` would find four times in five
    """

    name: str
    share: float = 0.2
    n_before: int = 24
    n_after: int = 12
    louder: float = 1.0
    dealt: bool = False
    treatment: str = "binary"
    power: bool = False
    persistence: float = 0.8
    estimators: tuple[tuple[str, str], ...] = (("did", ""), ("ldv", "all"))
    replications: int = 1000


CASES = (
    Case("nothing shared by a system", share=0.0),
    Case("20% shared"),
    Case("50% shared", share=0.5),
    Case("20% shared, treated systems drawn by lot", dealt=True),
    Case("20% shared, treated systems twice as noisy", louder=2.0, replications=500),
    Case("20% shared, intensity", treatment="intensity", replications=500),
    Case("20% shared, 74 months before and 33 after", n_before=74, n_after=33,
         estimators=(("did", ""), ("ldv", "all"), ("ldv", "last_12"), ("ldv", "yearly_means")), replications=300),
    Case("20% shared, with an effect", power=True, replications=500),
    Case("20% shared, intensity, with an effect", treatment="intensity", power=True, replications=500),
)


def doses(case: Case) -> np.ndarray:
    """Return (systems,) the dose of each: of the first eight, as in the evaluation."""
    dose = np.zeros(N_SYSTEMS)
    dose[: len(TREATED)] = DOSES if case.treatment == "intensity" else 1.0
    return dose


def made_up(case: Case, number: int) -> Panel:
    """Return panel ``number`` of a case: level of the unit, AR(1) noise of variance 1, and no effect but for power.

    Cases share their random numbers, so that what differs between them is the design.
    """
    generator = np.random.default_rng([SEED, number])
    n_periods = case.n_before + case.n_after
    dose = doses(case)
    if case.dealt:
        dose = generator.permutation(dose)
    dose = dose[SYSTEM]
    treated = dose > 0
    noise = shared_noise([(SYSTEM, case.share)], n_periods, case.persistence, generator)
    outcome = generator.standard_normal((N_UNITS, 1)) + np.where(treated, case.louder, 1.0)[:, None] * noise
    if case.power:
        outcome[:, case.n_before:] += detectable(case) * dose[:, None]
    units = pd.Index([f"U{unit:03d}" for unit in range(N_UNITS)])
    return Panel(
        outcome=outcome, units=units, frequency="M",
        periods=pd.Index(pd.period_range("2011-04", periods=n_periods, freq="M").astype(str)),
        treated_from=np.where(treated, case.n_before, n_periods), dose=dose, treatment=case.treatment,
        clusters={"unit": units.to_numpy(), "system": np.array([f"S{system:02d}" for system in SYSTEM])},
    )


def true_error(case: Case) -> float:
    """Return the standard deviation of the ``did`` estimate of a case whose systems are equally noisy.

    The estimate is the sum over units of a_i times the change of i's mean, a the doses less their mean, over their sum
    of squares. With v the variance of one unit's change its variance is v ((1 - share) sum over units of a_i^2 + share
    sum over systems of the squared sum of their a_i).
    """
    n_periods = case.n_before + case.n_after
    contrast = np.where(np.arange(n_periods) < case.n_before, -1 / case.n_before, 1 / case.n_after)
    distance = np.abs(np.subtract.outer(np.arange(n_periods), np.arange(n_periods)))
    change = contrast @ case.persistence**distance @ contrast
    dose = doses(case)[SYSTEM]
    lever = (dose - dose.mean()) / ((dose - dose.mean()) ** 2).sum()
    common = np.bincount(SYSTEM, weights=lever)
    return float(np.sqrt(change * ((1 - case.share) * (lever**2).sum() + case.share * (common**2).sum())))


def detectable(case: Case) -> float:
    """Return the effect that a t test with the true error and clusters - 1 degrees of freedom finds with power 80%."""
    reference = stats.t(N_SYSTEMS - 1)
    return float((reference.ppf(1 - ALPHA / 2) + reference.ppf(0.8)) * true_error(case))


def halves(panel: Panel) -> Panel:
    """Return each unit's mean before and after the one onset: for ``did`` all that matters, in two periods.

    Estimate, scores and leverage of the treatment are those of the whole panel (balanced, one onset); N and K are not.
    """
    onset = int(panel.treated_from.min())
    outcome = np.column_stack([panel.outcome[:, :onset].mean(axis=1), panel.outcome[:, onset:].mean(axis=1)])
    return dataclasses.replace(panel, outcome=outcome, periods=panel.periods[onset - 1: onset + 1],
                               treated_from=np.where(panel.never_treated, 2, 1))


def p_values(panel: Panel, estimator: str, lags: str = "", *, draws: int = DRAWS, seed: int = SEED) -> dict[str, float]:
    """Return the two-sided p-value of no effect by each of `METHODS`, and the ``estimate``.

    ``lags`` are those of ldv. The panel is balanced, with one onset. Raises whatever estimators and inference do.
    """
    n_obs, n_parameters = panel.outcome.size, 1 + panel.n_periods
    if estimator == "did":
        panel = halves(panel)
    options = {"lags": lags} if lags else {}
    result = estimate(estimator, panel, **options)
    if estimator == "ldv":
        n_obs, n_parameters = result.n_obs, result.n_parameters
    found = {"estimate": float(result.estimate[0])}

    def t_test(error: float, n_clusters: int) -> float:
        return float(2 * stats.t.sf(abs(found["estimate"]) / error, n_clusters - 1))

    for level in ("unit", "system"):
        labels = labels_of(result, panel, level)
        variance = clustered_covariance(result.influence, labels, n_obs, n_parameters)[0, 0]
        found[level] = t_test(np.sqrt(variance), len(set(labels)))
    model = design_of(estimator, panel, **options)
    for kind in ("CR2", "CR3"):
        corrected = bias_reduced(model, "system", kind).iloc[0]
        found[kind.lower()] = float(corrected["p_value"])
    # The delete-one-system jackknife has (G - 1) / G times the variance of CR3, and t with G - 1.
    n_clusters = int(corrected["n_clusters"])
    found["jackknife"] = t_test(np.sqrt((n_clusters - 1) / n_clusters) * corrected["std_error"], n_clusters)
    for method, choice in {"wcr": {}, "wcr_webb": {"weights": "webb"}, "wcu": {"impose_null": False}}.items():
        found[method] = float(wild_bootstrap(model, "system", draws=draws, seed=seed, confidence=None, **choice)
                              ["p_value"].iloc[0])
    for method, statistic in (("random_t", "studentised"), ("random_b", "estimate")):
        found[method] = randomisation(panel, estimator=estimator, statistic=statistic, draws=draws, seed=seed,
                                      **options).p_value
    return found


def rejections(case: Case, replications: int | None = None, *, draws: int = DRAWS) -> pd.DataFrame:
    """Return one row per estimator: case, estimator, replications, spread of the estimates, and the share of panels in
    which each of `METHODS` has p <= 0.05."""
    replications = case.replications if replications is None else replications
    rows = []
    for estimator, lags in case.estimators:
        found = pd.DataFrame([p_values(made_up(case, number), estimator, lags, draws=draws, seed=SEED + number)
                              for number in range(replications)])
        if found.isna().any(axis=None):
            raise SystemExit(f"{case.name}, {estimator}: a test without a p-value")
        name = f"{estimator}, {lags.replace('_', ' ')}" if lags else estimator
        rows.append({"case": case.name, "estimator": name, "replications": replications,
                     "spread": found["estimate"].std()} | (found[list(METHODS)] <= ALPHA).mean().to_dict())
    return pd.DataFrame(rows)


def markdown(tables: list[pd.DataFrame]) -> str:
    """Return the tables of the page: size in the evaluation's own design, in shorter panels of it, then power."""
    found = pd.concat(tables, ignore_index=True)
    power = found["case"].isin([case.name for case in CASES if case.power])
    whole = found["case"].isin([case.name for case in CASES if case.n_before == MONTHS_BEFORE])
    head = ["| case | estimator | panels | " + " | ".join(METHODS.values()) + " |", "|---" * (3 + len(METHODS)) + "|"]

    def lines(rows: pd.DataFrame) -> list[str]:
        return [f"| {row['case']} | {row['estimator']} | {row['replications']:,} | "
                + " | ".join(f"{100 * row[method]:.1f}" for method in METHODS) + " |" for _, row in rows.iterrows()]

    errors = ", ".join(f"{100 * np.sqrt(ALPHA * (1 - ALPHA) / number):.1f} with {number:,} panels"
                       for number in sorted(set(found["replications"]), reverse=True))
    effects = " or ".join(f"{detectable(case):.2g} ({case.name})" for case in CASES if case.power)
    return "\n".join([
        "**Per cent of panels without any effect in which the test rejects at 5%** (right: 5.0; simulation error of a "
        f"right test: {errors}). The design of the evaluation:", "", *head, *lines(found[whole & ~power]), "",
        "The same systems and doses in shorter panels, 24 months before and 12 after, to see what matters:",
        "", *head, *lines(found[~whole & ~power]), "",
        "**Per cent of panels with an effect in which it rejects**, 24 months before and 12 after. The effect is the "
        "one that a t test of `did` with the true standard error would find in 80%, in standard deviations of the "
        f"noise and per unit of dose: {effects}.",
        "", *head, *lines(found[power])])


def main() -> int:
    """Write the tables between the markers of docs/inference.md."""
    tables = []
    for case in CASES:
        start = time.process_time()
        tables.append(rejections(case))
        print(tables[-1].round(3).to_string(index=False), f"\n{time.process_time() - start:.0f} s CPU", flush=True)
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(MARKERS[0])
    after = rest.split(MARKERS[1])[1]
    write_text(PAGE, f"{before}{MARKERS[0]}\n\n{markdown(tables)}\n\n{MARKERS[1]}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
