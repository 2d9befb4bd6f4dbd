"""What the parts share: exponents fitted to times, the peak memory of a process, and tables in Markdown."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10  # of the unit of ru_maxrss


@dataclass(frozen=True)
class Used:
    """What a process took: seconds that passed and of processor time, peak MB; ``failure`` says why it has none."""

    seconds: float = np.nan
    processor: float = np.nan
    megabytes: float = np.nan
    failure: str = ""


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of log ``values`` on log ``sizes``; missing if fewer than two are numbers above 0."""
    x, y = np.asarray(sizes, dtype=float), np.asarray(values, dtype=float)
    there = np.isfinite(y) & (y > 0)
    return float(np.polyfit(np.log(x[there]), np.log(y[there]), 1)[0]) if there.sum() > 1 else np.nan


def run(words: Sequence[str], folder: Path, seconds: float, *, jobs: bool = False) -> Used:
    """Run a command of this environment in ``folder`` for at most ``seconds`` and return what it took.

    Memory is that of the largest process among it and all it starts, looked at 20 times a second (Linux). With ``jobs``
    processor time is that of all of them, since those that nobody waits for are in no sum of the system; they are then
    looked at 4 times a second, as to look at all of them takes a tenth of a processor otherwise.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    log = folder / "bench.log"
    processor: dict[int, float] = {}
    largest = 0.0
    began = time.monotonic()
    with open(log, "wb") as sink:
        process = subprocess.Popen(list(words), cwd=folder, stdout=sink, stderr=sink, start_new_session=True,
                                   env=os.environ | {"PATH": path})
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > seconds:
                os.killpg(process.pid, 9)
                os.wait4(process.pid, 0)
                process.returncode = -9
                return Used(failure=f"over {seconds:.0f} s")
            for one in _family(process.pid):
                used, peak = _of_process(one)
                processor[one] = max(processor.get(one, 0.0), used)
                largest = max(largest, peak)
            time.sleep(0.25 if jobs else 0.05)
    took = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
        return Used(failure=f"ended with {process.returncode}: {last[:120]}")
    # A process begins with the peak of the one that started it: the system's figure counts only above that.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest = max(largest, usage.ru_maxrss / MEGABYTE if usage.ru_maxrss > ours else 0.0)
    return Used(took, sum(processor.values()) if jobs else usage.ru_utime + usage.ru_stime, largest)


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


def _of_process(pid: int) -> tuple[float, float]:
    """Seconds of processor time so far and the most MB of memory held, 0 for a process that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0, 0.0
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(peak) / 1024


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table; the first column is text, the others are set to the right."""
    lines = [f"| {' | '.join(header)} |", "|---|" + "---:|" * (len(header) - 1)]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in rows]


def number(value: float, digits: int = 3) -> str:
    """Return a number in so many digits, or nothing for a missing one."""
    return "" if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"
