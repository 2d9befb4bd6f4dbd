"""Time and memory of `did sweep` against the number of indicators, written into docs/sweep.md.

    .venv/bin/python benchmarks/sweep.py        # two or three minutes on 2 cores

Made-up indicators of 149 areas x 60 months in 38 systems, 72 areas treated in three cohorts, one file each, by `did`
and `callaway_santanna`, clustered by area and by system.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from did.provenance import write_text
from did.simulate.panels import panel

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "sweep.md"
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
SIZES = (100, 300, 1000)
CORES = 2
MOST_SECONDS, MOST_BYTES, MOST_EXPONENT = 600, 2_000_000_000, 1.1


def make(folder: Path, n: int) -> None:
    """Write ``n`` indicators, the waves table, and a list of each size."""
    rows = []
    for number in range(n):
        frame, _ = panel(149, 60, {24: 32, 30: 24, 36: 16}, 3.0 * (number % 10 == 0), seed=number, units_per_system=4,
                         system_share=0.3, persistence=0.5)
        frame[["unit", "period", "outcome"]].to_csv(folder / f"i{number:04d}.csv", index=False)
        rows.append({"id": f"i{number:04d}", "file": f"i{number:04d}.csv", "is_synthetic": "yes"})
    frame.drop_duplicates("unit")[["unit", "system", "cohort"]].rename(columns={"cohort": "first_treated"}).to_csv(
        folder / "waves.csv", index=False)
    for size in SIZES:
        pd.DataFrame(rows[:size]).to_csv(folder / f"sweep{size}.csv", index=False)


def measured(folder: Path, size: int) -> dict[str, float]:
    """Sweep a list once: seconds that passed, seconds of both cores used, bytes of the largest process."""
    words = [str(Path(sys.executable).parent / "did"), "sweep", f"sweep{size}.csv", "--waves", "waves.csv", "--value",
             "outcome", "--cores", str(CORES), "--quiet"]
    began = time.monotonic()
    process = subprocess.Popen(words, cwd=folder)
    used: dict[int, float] = {}
    largest = 0
    while process.poll() is None:
        for pid in _family(process.pid):
            seconds, peak = _of_process(pid)
            used[pid] = max(used.get(pid, 0.0), seconds)
            largest = max(largest, peak)
        time.sleep(0.03)
    if process.returncode:
        raise SystemExit(f"did sweep ended with {process.returncode}")
    return {"indicators": size, "seconds": time.monotonic() - began, "cpu": sum(used.values()), "bytes": largest}


def _family(parent: int) -> list[int]:
    """Process ids of ``parent`` and all that it, or one it began, has begun."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [parent]
    for pid in found:
        found += children.get(pid, [])
    return found


def _of_process(pid: int) -> tuple[float, int]:
    """Seconds of processor time so far and the most bytes of memory held, 0 for a process that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0, 0
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(peak) * 1024


def exponent(table: pd.DataFrame, column: str) -> float:
    """Return the slope of log ``column`` on log indicators."""
    return float(np.polyfit(np.log(table["indicators"]), np.log(table[column]), 1)[0])


def text(table: pd.DataFrame) -> str:
    """Return the table as Markdown, with the exponents below."""
    lines = ["| indicators | time, s | processor time, s | ms an indicator | largest process, MB |",
             "|---:|---:|---:|---:|---:|"]
    for row in table.itertuples():
        lines.append(f"| {row.indicators:,.0f} | {row.seconds:.1f} | {row.cpu:.1f} "
                     f"| {1000 * row.seconds / row.indicators:.0f} | {row.bytes / 1e6:.0f} |")
    lines += ["", f"Fitted exponents, {SIZES[0]} to {SIZES[-1]:,}: time {exponent(table, 'seconds'):.2f}, processor "
              f"time {exponent(table, 'cpu'):.2f}."]
    return "\n".join(lines)


def main() -> int:
    """Write the table into docs/sweep.md; 1 if the time, memory or exponent is over its budget."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), SIZES[-1])
        table = pd.DataFrame([measured(Path(folder), size) for size in SIZES])
    page = PAGE.read_text(encoding="utf-8")
    head, tail = page.partition(BEGIN)[0], page.partition(END)[2]
    write_text(PAGE, f"{head}{BEGIN}\n{text(table)}\n{END}{tail}")
    print(text(table))
    last = table.iloc[-1]
    over = (last["seconds"] > MOST_SECONDS or table["bytes"].max() > MOST_BYTES
            or max(exponent(table, "seconds"), exponent(table, "cpu")) > MOST_EXPONENT)
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
