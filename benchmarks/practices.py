"""A panel of GP practices by month, made up with a known truth, through the whole workflow; Markdown to the screen.

    python benchmarks/practices.py --quick     # 500 practices x 48 months
    python benchmarks/practices.py             # 7,000 practices x 120 months

Exits with 1 if a run fails, the headline estimate is more than an interval's width from the truth, or a process took
2 GB or more.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import Used, number, run, table
from stages import IMPORTING

from did.authoring import scaffold

SYSTEMS, EFFECT = 42, 4.0   # visits per 1,000 patients that one worker adds
MEMORY_MB, SECONDS = 2_000, 900


def evaluation(folder: Path, n_practices: int, n_months: int) -> None:
    """Write an evaluation as `did new` does, of practices by month in place of districts by year: 24 of the systems
    join at two dates with one to three workers each, and rates walk at random, each system's alike."""
    scaffold.create("practices", folder)
    generator = np.random.default_rng(20170601)
    months = pd.period_range("2010-01", periods=n_months, freq="M").astype(str)
    onset = generator.permutation(np.repeat([n_months // 2, n_months * 3 // 5, n_months], [12, 12, SYSTEMS - 24]))
    workers = np.where(onset < n_months, generator.integers(1, 4, SYSTEMS), 0)
    system = generator.integers(0, SYSTEMS, n_practices)
    unit = np.array([f"P{place:05d}" for place in range(n_practices)])
    data = folder / "data/practices"
    pd.DataFrame({"unit": unit, "name": unit, "system": [f"S{each:02d}" for each in system], "region": "N",
                  "first_treated": np.append(months, "")[onset][system], "dose": workers[system],
                  }).to_csv(data / "reference/waves.csv", index=False)
    rate = 150 + 20 * generator.standard_normal((n_practices, 1)) + (
        0.5 * generator.standard_normal((SYSTEMS, n_months)).cumsum(axis=1)
        + EFFECT * workers[:, None] * (np.arange(n_months) >= onset[:, None]))[system]
    patients = generator.integers(2_000, 15_000, (n_practices, 1))
    pd.DataFrame({"district": np.repeat(unit, n_months), "name": np.repeat(unit, n_months),
                  "month": np.tile(months, n_practices),
                  "visits": generator.poisson(rate.clip(min=1) * patients / 1000).ravel(),
                  "residents": np.repeat(patients, n_months), "remark": "SYNTHETIC: made up",
                  }).to_csv(data / "synthetic_visits.csv", index=False)
    for path, changes in {
            "sources": {"period_column: year": "period_column: month", "frequency: Y ": "frequency: M ",
                        r"\n +sha256:.*": ""},
            "indicators": {"frequency: Y ": "frequency: M ", "first: 2010": f"first: {months[0]}",
                           "last: 2021": f"last: {months[-1]}", "last: 2019}": f"last: {months[-13]}}}"}}.items():
        file = folder / "config/practices" / path / "visits.yaml"
        text = file.read_text(encoding="utf-8")
        for before, after in changes.items():
            text = re.sub(before, after, text)
        file.write_text(text, encoding="utf-8")


def headline(folder: Path) -> pd.Series:
    """Return the row of the headline estimate of an effect for each worker."""
    rows = pd.read_csv(folder / "results/practices/tables/headline.csv")
    return rows[(rows["treatment"] == "intensity") & (rows["specification"] == "default")].iloc[0]


def main(arguments: list[str] | None = None) -> int:
    """Print the section; return 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    n_practices, n_months = (500, 48) if parser.parse_args(arguments).quick else (7_000, 120)
    cores = str(min(2, os.cpu_count() or 1))
    words = [str(Path(sys.executable).parent / "did"), "run", "practices", "--cores", cores]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        evaluation(folder, n_practices, n_months)
        imports = run([sys.executable, "-c", IMPORTING], folder, SECONDS)
        used: Used = run(words, folder, SECONDS, jobs=True)
        found = None if used.failure else headline(folder)
        megabytes = (folder / "data/practices/synthetic_visits.csv").stat().st_size / 1e6
    within = found is not None and abs(found["estimate"] - EFFECT) <= found["ci_high"] - found["ci_low"]
    effect = "" if found is None else (f"{found['estimate']:.2f} ({found['ci_low']:.2f} to {found['ci_high']:.2f}, "
                                       f"{found['method'].replace('_', ' ')})")
    print("\n".join([
        "## Practices by month, from a file to the report", "",
        f"{n_practices:,} practices x {n_months} months in {SYSTEMS} systems, made up, in a CSV file of "
        f"{number(megabytes)} MB: two measures, three specifications, six estimators, all figures and pages, by "
        f"`did run` with {cores} cores. Each worker adds {EFFECT:g} visits per 1,000 patients; the interval of one "
        "panel in twenty leaves that out, so that what is asked here is an estimate no further from it than the "
        "interval is wide.", "",
        *table(["took", "times the imports", "processor time, s", "largest process, MB", "at most", "effect found", ""],
               [[used.failure or f"{used.seconds:.1f} s", number(used.seconds / imports.seconds),
                 number(used.processor), number(used.megabytes), f"{MEMORY_MB:,}", effect,
                 "met" if within and used.megabytes < MEMORY_MB else "**not met**"]])]))
    return int(not within or not used.megabytes < MEMORY_MB)


if __name__ == "__main__":
    sys.exit(main())
