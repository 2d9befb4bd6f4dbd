"""Time and memory of `did sweep` against the number of indicators, written into docs/sweep.md; Markdown to the screen.

    .venv/bin/python benchmarks/sweep.py        # two or three minutes on 2 cores; --quick: 20 and 40, not written

Made-up indicators of 149 areas x 60 months in 38 systems, 72 areas treated in three cohorts, one file each, by `did`
and `callaway_santanna`, clustered by area and by system.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from measuring import Used, exponent, number, run

from did.simulate.panels import panel
from did.store.provenance import write_text

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "sweep.md"
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
SIZES, QUICK = (100, 300, 1000), (20, 40)
CORES = 2
LIMIT = 60
MOST_SECONDS, MOST_BYTES, MOST_EXPONENT = 600, 2_000_000_000, 1.1


def make(folder: Path, sizes: Sequence[int]) -> None:
    """Write the indicators, the waves table, and a list of each size."""
    rows = []
    for place in range(max(sizes)):
        frame, _ = panel(149, 60, {24: 32, 30: 24, 36: 16}, 3.0 * (place % 10 == 0), seed=place, units_per_system=4,
                         system_share=0.3, persistence=0.5)
        frame[["unit", "period", "outcome"]].to_csv(folder / f"i{place:04d}.csv", index=False)
        rows.append({"id": f"i{place:04d}", "file": f"i{place:04d}.csv", "is_synthetic": "yes"})
    frame.drop_duplicates("unit")[["unit", "system", "cohort"]].rename(columns={"cohort": "first_treated"}).to_csv(
        folder / "waves.csv", index=False)
    for size in sizes:
        pd.DataFrame(rows[:size]).to_csv(folder / f"sweep{size}.csv", index=False)


def measured(folder: Path, size: int) -> dict[str, float]:
    """Sweep a list once: seconds that passed, seconds of both cores used, bytes of the largest process."""
    words = [
        "did",
        "sweep",
        f"sweep{size}.csv",
        "--waves",
        "waves.csv",
        "--value",
        "outcome",
        "--inference",
        "clustered",
        "--cores",
        str(CORES),
        "--quiet",
    ]
    used = run(words, folder, MOST_SECONDS, jobs=True)
    if used.failure:
        raise SystemExit(f"did sweep of {size}: {used.failure}")
    return {"indicators": size, "seconds": used.seconds, "cpu": used.processor, "bytes": used.megabytes * 2**20}


def text(table: pd.DataFrame) -> str:
    """Return the table as Markdown, with the exponents below."""
    lines = ["| indicators | time, s | processor time, s | ms an indicator | largest process, MB |",
             "|---:|---:|---:|---:|---:|"]
    for row in table.itertuples():
        lines.append(f"| {row.indicators:,.0f} | {row.seconds:.1f} | {row.cpu:.1f} "
                     f"| {1000 * row.seconds / row.indicators:.0f} | {row.bytes / 1e6:.0f} |")
    first, last = table["indicators"].iloc[[0, -1]]
    lines += ["", f"Fitted exponents, {first:,.0f} to {last:,.0f}: time {slope(table, 'seconds'):.2f}, processor "
              f"time {slope(table, 'cpu'):.2f}."]
    return "\n".join(lines)


def slope(table: pd.DataFrame, column: str) -> float:
    """Return the fitted exponent of ``column`` on indicators."""
    return exponent(table["indicators"], table[column])


def plan(folder: Path, size: int) -> str:
    """Return a sentence on what the plan of a sweep that is done takes: with every job to do, and with none."""
    from did.stages.sweep import SNAKEFILE

    words = [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "--snakefile", str(SNAKEFILE),
             "--workflow-profile", "none", "--config", f"sweep=sweep{size}"]
    whole, again = run([*words, "--forceall"], folder, LIMIT), run(words, folder, LIMIT)

    def took(used: Used) -> str:
        return used.failure or f"{number(used.seconds)} s"

    return (f"The plan of {size:,} indicators, as jobs of 50 (`snakemake -n`, with Snakemake's start): {took(whole)} "
            f"with every job to do, {took(again)} with none.")


def main(arguments: list[str] | None = None) -> int:
    """Print the section and write its table into docs/sweep.md; 1 if time, memory or exponent is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args(arguments).quick
    sizes = QUICK if quick else SIZES
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), sizes)
        table = pd.DataFrame([measured(Path(folder), size) for size in sizes])
        planned = plan(Path(folder), sizes[-1])
    if not quick:
        page = PAGE.read_text(encoding="utf-8")
        head, tail = page.partition(BEGIN)[0], page.partition(END)[2]
        write_text(PAGE, f"{head}{BEGIN}\n{text(table)}\n{END}{tail}")
    print("\n".join([
        "## Many indicators by `did sweep`", "",
        f"149 areas x 60 months in 38 systems, by `did` and `callaway_santanna`, with {CORES} cores, from the "
        "command's start to its page and figure ([sweep.md](sweep.md)).", "", text(table), "", planned]))
    over = (table["seconds"].max() > MOST_SECONDS or table["bytes"].max() > MOST_BYTES
            or max(slope(table, "seconds"), slope(table, "cpu")) > MOST_EXPONENT)
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
