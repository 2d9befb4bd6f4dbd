"""Time and memory of the estimators alongside those of other packages, on the same panels; Markdown to the screen.

    make bench ARGS="--only estimators"            # builds .bench-venv, then writes them into docs/benchmarks.md
    python benchmarks/estimators.py --quick        # 149 x 107 and 500 x 60

Exits with 1 if a peer's numbers differ from ours beyond its tolerance without a convention that explains it.
"""

from __future__ import annotations

import os

if __name__ == "__main__":  # before numpy is imported: one thread for everybody
    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON")})

import argparse
import contextlib
import ctypes
import gc
import importlib
import importlib.metadata
import multiprocessing
import resource
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import peers
import pyarrow as pa
from peers import Case, Contender, Data

SECONDS, GIGABYTES = 20, 8
# Calls slower than this (s) are not repeated, in a whole run and a quick one.
REPEATED, REPEATED_QUICK = 3.0, 0.3
ERROR_TOLERANCE = 1e-6
PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "linearmodels", "pyfixest", "diff-diff")
# What the packages import only when first used; none of these starts a thread that a fork would lose.
OUR_IMPORTS = ("scipy.stats", "scipy.optimize", "scipy.sparse.linalg", "did.estimators.callaway_santanna",
               "did.estimators.imputation", "did.estimators.stacked", "did.estimators.sun_abraham",
               "did.estimators.event_study", "did.estimators.rolling", "did.estimators.local_projections",
               "did.estimators.etwfe", "did.estimators.dechaisemartin_dhaultfoeuille")
IMPORTS = (*OUR_IMPORTS, "statsmodels.api", "linearmodels.panel", "diff_diff", "pyfixest.estimation", "pyfixest.did")
MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10  # of the unit of ru_maxrss


@dataclass(frozen=True)
class Size:
    """A panel, how it is made, what is fitted to it, and for how long calls are repeated (s)."""

    name: str
    make: Callable[[], Data]
    cases: tuple[Case, ...]
    what: str
    seconds: float


@dataclass(frozen=True)
class Budget:
    """What a case of a size may take at most; ``megabytes`` None = no budget."""

    size: str
    case: str
    seconds: float
    megabytes: float | None = None


@dataclass(frozen=True)
class Times:
    """How many times faster than the fastest peer a case of a size is to be, in one run; ``reading`` with our time from
    a table to a Panel."""

    size: str
    case: str
    least: float
    reading: bool = False


@dataclass(frozen=True)
class Measured:
    """A contender's best time (s), peak memory (MB) and differences from ours, or why it has none.

    ``unexplained`` holds the columns that differ beyond tolerance without a convention, ``convention`` the text
    of those that do with one.
    """

    case: str
    contender: Contender
    seconds: float = np.nan
    megabytes: float = np.nan
    failure: str = ""
    differences: Mapping[str, float] = field(default_factory=dict)
    n_compared: int = 0
    convention: str = ""
    unexplained: tuple[str, ...] = ()


ALL = (peers.READING, *peers.GROUP_TIME, *peers.OTHERS)
# What is made for a few hundred units.
SMALL = ("synthetic", "Poisson")
LARGE = tuple(case for case in ALL if case.name not in SMALL)
OURS = tuple(replace(case, contenders=case.contenders[:1]) for case in LARGE)
# Of these the peers took too long or too much memory at a fifth of the size; the two-way regression has all its peers.
OURS_LARGE = (peers.OTHERS[0], *(case for case in OURS if case.name in {other.name for other in peers.OTHERS[1:]}))


def dtoc() -> Data:
    """Return the panel in the shape of the DTOC panel: that of the reference results if it is there."""
    return peers.golden() if peers.GOLDEN.exists() else peers.made(149, 107, {40: 41, 59: 41, 79: 31})


SIZES = (
    Size("149 x 107", dtoc, ALL, "3 cohorts of 41, 41 and 31 units", 1.0),
    Size("500 x 60", lambda: peers.made(500, 60, {20: 60, 30: 60, 40: 60}), ALL, "3 cohorts of 60 units", 0.5),
    Size("5,000 x 120", lambda: peers.made(5_000, 120, {30: 600, 48: 600, 66: 600, 84: 600, 102: 600}), LARGE,
         "5 cohorts of 600 units", 1.5),
    Size("7,000 x 120", lambda: peers.made(7_000, 120, {30: 840, 48: 840, 66: 840, 84: 840, 102: 840}), OURS,
         "5 cohorts of 840 units; ours alone", 0.5),
    Size("50,000 x 60", lambda: peers.made(50_000, 60, {12: 6_000, 21: 6_000, 30: 6_000, 39: 6_000, 48: 6_000}),
         (peers.READING, *peers.GROUP_TIME, *OURS_LARGE), "5 cohorts of 6,000 units; some by ours alone", 3.0),
)
QUICK = ("149 x 107", "500 x 60")
BUDGETS = (
    Budget("149 x 107", "group-time effects", 0.1),
    Budget("5,000 x 120", "group-time effects", 0.3),
    Budget("7,000 x 120", "group-time effects", 0.3),
    Budget("50,000 x 60", "group-time effects", 3.0, 1000.0),
    Budget("149 x 107", "imputation", 0.1),
    Budget("5,000 x 120", "imputation", 2.0),
    Budget("7,000 x 120", "imputation", 2.0),
    Budget("5,000 x 120", "rolling", 1.0),
    Budget("5,000 x 120", "local projections", 1.0),
    Budget("149 x 107", "synthetic", 10.0),
    Budget("149 x 107", "Poisson", 2.0),
    Budget("5,000 x 120", "two-way", 0.15),
    Budget("7,000 x 120", "two-way", 0.15),
)


TIMES = (
    Times("149 x 107", "group-time effects", 5), Times("5,000 x 120", "group-time effects", 8),
    Times("50,000 x 60", "group-time effects", 20), *(
        Times(size, case, 5) for case in ("two-way", "two-way event study", "Sun and Abraham", "imputation", "stacked")
        for size in ("149 x 107", "5,000 x 120")),
    *(Times(size, "group-time effects", 3, reading=True)
      for size in ("149 x 107", "500 x 60", "5,000 x 120", "50,000 x 60")),
)


def in_child(work: Callable[[], object], seconds: float) -> object:
    """Return what ``work`` returns in a process of its own, or a text that says why there is nothing.

    The child is forked, so imports and data are there before it begins; it is ended after ``seconds`` and may
    not take more than `GIGABYTES` beyond what it began with.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(work, sender))
    child.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(seconds) else f"over {SECONDS} s"
    except EOFError:
        return f"ended by the system, probably over {GIGABYTES} GB"
    finally:
        child.kill()
        child.join()


def _answer(work: Callable[[], object], sender: object) -> None:
    with contextlib.suppress(OSError, ValueError):
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + GIGABYTES * 2**30, resource.RLIM_INFINITY))
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(None), np.errstate(all="ignore"):
        try:
            answer = work()
        except MemoryError:
            answer = f"over {GIGABYTES} GB"
        except Exception as error:  # whatever a peer raises is its result
            answer = f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
    sender.send(answer)


def _release() -> None:
    """Give freed memory back to the system, so that what is taken next shows."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _restart_peak() -> int:
    """Return what the process holds, from which its peak is counted from now on (Linux; elsewhere the peak so far)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def first_run(contender: Contender, data: Data, small: Data) -> tuple[float, float, pd.DataFrame]:
    """Return seconds, peak MB above what the process held before, and the numbers of one call.

    A call on a ``small`` panel before it leaves imports and set-up out of both.
    """
    contender.call(small)
    _release()
    before = _restart_peak()
    start = time.perf_counter()
    found = contender.call(data)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, (peak - before) / MEGABYTE, contender.read(found, data)


def rounds(contenders: list[Contender], data: Data, small: Data, seconds: float) -> list[float]:
    """Return the best time of each of ``contenders``, called in turn for ``seconds``, once at least."""
    best = [np.inf] * len(contenders)
    for contender in contenders:
        contender.call(small)
    start, done = time.perf_counter(), 0
    while not done or time.perf_counter() - start < seconds:
        for at, contender in enumerate(contenders):
            gc.collect()
            begun = time.perf_counter()
            contender.call(data)
            best[at] = min(best[at], time.perf_counter() - begun)
        done += 1
    return best


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[dict[str, float], int]:
    """Return the largest differences of two tables in the common form, and how many rows they share.

    ``estimate`` as a share of our largest absolute estimate, ``std_error`` as a share of our error; a column that
    one of them lacks is left out.
    """
    both = ours.join(theirs.add_suffix("_theirs"), how="inner")
    found = {}
    for column in ("estimate", "std_error"):
        gap = (both[f"{column}_theirs"] - both[column]).abs()
        scale = both[column].abs().max() if column == "estimate" else both[column]
        if gap.notna().any():
            found[column] = float((gap / scale).max())
    return found, len(both)


def measure(case: Case, data: Data, small: Data, seconds: float, repeated: float = REPEATED) -> list[Measured]:
    """Return what every contender of a case took; ours first.

    Each is called alone once, for its memory and numbers; those that took less than ``repeated`` seconds are then
    called in turn for ``seconds``.
    """
    first = [in_child(lambda one=one: first_run(one, data, small), SECONDS + 5) for one in case.contenders]
    first = [f"over {SECONDS} s" if isinstance(one, tuple) and one[0] > SECONDS else one for one in first]
    again = [at for at, one in enumerate(first) if isinstance(one, tuple) and one[0] < repeated]
    best = in_child(lambda: rounds([case.contenders[at] for at in again], data, small, seconds),
                    10 * SECONDS) if again else []
    best = dict(zip(again, best, strict=True)) if isinstance(best, list) else {}
    rows = []
    for at, (contender, one) in enumerate(zip(case.contenders, first, strict=True)):
        if isinstance(one, str):
            rows.append(Measured(case.name, contender, failure=one))
            continue
        seconds, megabytes, numbers = one
        compared = judged(contender, first[0][2], numbers) if at and isinstance(first[0], tuple) else {}
        rows.append(Measured(case.name, contender, min(seconds, best.get(at, np.inf)), megabytes, **compared))
    return rows


def judged(contender: Contender, ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, object]:
    """Return the fields of `Measured` that say how a peer's numbers differ from ours, and whether that is explained."""
    differences, n_compared = compare(ours, theirs)
    allowed = {"estimate": contender.tolerance, "std_error": ERROR_TOLERANCE}
    # A gap that is not a number is beyond every tolerance; so is having nothing in common.
    beyond = [column for column, gap in differences.items() if not gap <= allowed[column]]
    beyond += [] if n_compared else ["estimate"]
    named = [column for column in contender.differs if column in beyond or column not in differences]
    return {"differences": differences, "n_compared": n_compared,
            "convention": "; ".join(dict.fromkeys(contender.differs[column] for column in named)),
            "unexplained": tuple(column for column in beyond if column not in contender.differs)}


def tables(measured: Mapping[str, list[Measured]]) -> list[str]:
    """Return the lines of the tables by size."""
    lines = []
    for size in SIZES:
        if size.name not in measured:
            continue
        rows = measured[size.name]
        reading = next((row.seconds for row in rows if row.case == peers.READING.name), np.nan)
        ours = {row.case: row.seconds for row in rows if row.contender.who == "ours"}
        lines += ["", f"### {size.name}", "", f"{size.name} (units x periods), {size.what}.", "",
                  "| what | by | seconds | peak MB | ours / theirs | with reading | estimates differ by "
                  "| errors differ by | compared | |", "|---|---|---|---|---|---|---|---|---|---|"]
        for row in rows:
            peer = row.contender.who != "ours"
            name = f"{row.contender.who}: {row.contender.how}"
            if row.failure:
                lines.append(f"| {row.case} | {name} | | | | | | | | {row.failure} |")
                continue
            ratio = ["" if np.isnan(part) else f"{part / row.seconds:.2g}"
                     for part in (ours[row.case], ours[row.case] + reading)]
            gap = [f"{row.differences[column]:.0e}" if column in row.differences else ""
                   for column in ("estimate", "std_error")]
            note = "; ".join(part for part in (row.convention, *(
                f"NOT EXPLAINED: {column}" for column in row.unexplained)) if part)
            lines.append(f"| {row.case} | {name} | {row.seconds:.3g} | {row.megabytes:,.0f} "
                         + (f"| {' | '.join(ratio)} | {' | '.join(gap)} | {row.n_compared} | {note} |" if peer
                            else "| | | | | | |"))
    return lines


def budgets(measured: Mapping[str, list[Measured]]) -> list[str]:
    """Return the lines of the table of budgets."""
    lines = ["| what | panel | budget | measured | |", "|---|---|---|---|---|"]
    for budget in BUDGETS:
        row = next((row for row in measured.get(budget.size, [])
                    if row.case == budget.case and row.contender.who == "ours"), None)
        if row is None:
            continue
        limit, found = f"{budget.seconds:g} s", row.failure or f"{row.seconds:.3g} s"
        met = not row.failure and row.seconds <= budget.seconds
        if budget.megabytes is not None:
            limit, found = f"{limit}, {budget.megabytes:,.0f} MB", f"{found}, {row.megabytes:,.0f} MB"
            met = met and row.megabytes <= budget.megabytes
        lines.append(f"| {row.contender.how} | {budget.size} | {limit} | {found} | {'met' if met else '**not met**'} |")
    return lines


def times(measured: Mapping[str, list[Measured]]) -> list[str]:
    """Return the lines of the table of how many times faster than the fastest peer each is."""
    lines = ["| what | panel | fastest peer | times faster | wanted | |", "|---|---|---|---:|---:|---|"]
    for wanted in TIMES:
        rows = [row for row in measured.get(wanted.size, []) if row.case == wanted.case and not row.failure]
        peers_of = [row for row in rows if row.contender.who != "ours"]
        ours = next((row for row in rows if row.contender.who == "ours"), None)
        if ours is None or not peers_of:
            continue
        fastest = min(peers_of, key=lambda row: row.seconds)
        reading = next(row.seconds for row in measured[wanted.size] if row.case == peers.READING.name)
        found = fastest.seconds / (ours.seconds + reading * wanted.reading)
        what = f"{wanted.case}, reading included" if wanted.reading else wanted.case
        lines.append(f"| {what} | {wanted.size} | {fastest.contender.who} | {found:.1f} | {wanted.least:g} | "
                     f"{'met' if found >= wanted.least else '**not met**'} |")
    return lines


def report(measured: Mapping[str, list[Measured]]) -> str:
    """Return the section as Markdown."""
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    panel = "the simulated panel of the reference results in R" if peers.GOLDEN.exists() else "made up like the others"
    return "\n".join([
        "## The estimators alongside those of other packages", "",
        f"{versions}. One thread for every package.", "",
        "### Alongside the fastest of the other packages that finishes", "", *times(measured), "",
        "### Budgets", "", "The panels of 7,000 units are held to what 5,000 are allowed.", "",
        *budgets(measured), *tables(measured), "",
        "### How the estimators are measured", "",
        f"- Panels come from `did.simulate.panels.panel` with a fixed seed; that of 149 x 107 is {panel}. The "
        "covariate is fixed within units.",
        "- Ours take a `Panel`, peers a data frame of whole numbers and floats. \"With reading\" adds to our time that "
        "of making the `Panel` from a table of texts (first row). Every call includes clustered errors.",
        "- Every contender is first called alone, in a process of its own; then those of a case take turns in one "
        f"process. Seconds are the best of these calls; one of more than {REPEATED:.0f} s is not repeated. A call on "
        "a panel of 40 x 12 goes before, so that imports and set-up are not counted.",
        "- Peak MB is the largest resident memory of the first process, less what it held before the call: imports, "
        "the data, and what the call on the small panel left.",
        f"- More than {SECONDS} s, or more than {GIGABYTES} GB taken or reserved, ends a contender, ours too.",
        "- \"Differ by\" is the largest difference from ours: of estimates as a share of the largest of them (up to "
        "1e-8 counts as equal, 1e-5 for `did2s`, which iterates), of errors as a share of ours (up to "
        f"{ERROR_TOLERANCE:g}). The run fails if a larger one is not explained in the last column. \"Compared\" counts "
        "the parameters both report.",
        "- diff-diff's `TwoWayFixedEffects` takes one onset for all units and is left out.",
    ])


def main(arguments: list[str] | None = None) -> int:
    """Print the section; return 1 if a difference from a peer is not explained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"only {' and '.join(QUICK)}")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    for module in IMPORTS:
        importlib.import_module(module)
    small = peers.made(40, 12, {4: 8, 6: 8, 8: 8})
    gc.collect()
    gc.freeze()  # what the imports hold need not be looked through in every child
    measured: dict[str, list[Measured]] = {}
    for size in SIZES:
        if given.quick and size.name not in QUICK:
            continue
        data = size.make()
        _release()
        for case in size.cases:
            rows = measure(case, data, small, *((0.0, REPEATED_QUICK) if given.quick else (size.seconds, REPEATED)))
            measured.setdefault(size.name, []).extend(rows)
            for row in rows:
                print(f"{size.name:12} {row.case:34} {row.contender.who:13} "
                      + (row.failure or f"{row.seconds:9.4f} s {row.megabytes:7.0f} MB"), file=sys.stderr)
        del data
    print(report(measured))
    return int(any(row.unexplained for rows in measured.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
