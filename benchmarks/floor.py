"""The least that reading a panel and fitting it can take, and how far from it we are; Markdown to the screen.

    python benchmarks/floor.py --quick
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import estimators
import numpy as np
import pandas as pd
import peers
from measuring import number, table
from scaling import contenders, data

from did.estimators.base import Panel

SIZES = ((5_000, 120, 5), (50_000, 60, 5))
QUICK = ((500, 60, 3),)
SECONDS = 60


def best(call: Callable[[], object], seconds: float = 1.0) -> float:
    """Return the least time of a call, made for ``seconds``, three times at least."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
        if sum(times) > 10 * seconds:
            break
    return min(times)


def one_pass(panel: Panel) -> float:
    """Return a number made by reading every outcome once and writing once as many: the outcome within units."""
    outcome = panel.outcome
    return float((outcome - outcome.mean(axis=1, keepdims=True))[-1, -1])


def files(made: peers.Data, folder: Path) -> list[list[str]]:
    """Return rows: what is read, seconds, MB, times the bytes alone."""
    made.table.to_csv(folder / "panel.csv", index=False)
    made.table.to_parquet(folder / "panel.parquet", index=False)
    rows = []
    for name, read in (("panel.csv", lambda path: pd.read_csv(path, dtype={"unit": "str", "cohort": "str"})),
                       ("panel.parquet", pd.read_parquet)):
        path = folder / name
        floor, parsed = best(path.read_bytes), best(lambda read=read, path=path: read(path))
        whole = best(lambda read=read, path=path: peers.read_table(read(path)))
        size = path.stat().st_size / 1e6
        rows.append([name, number(size), number(floor), number(parsed), number(whole), number(whole / floor)])
    return rows


def text(quick: bool) -> str:
    """Return the section as Markdown."""
    small = peers.made(40, 12, {4: 8, 6: 8, 8: 8})
    lines = ["## Distance to a floor", "",
             "No estimator can do with less than one pass over the panel in memory: every outcome read once, and "
             "as many numbers written, since a clustered error needs a residual or influence of every unit. The floor "
             "is that pass (the outcome less its unit's mean, float64, one core). Effects of units and of periods "
             "need two; `callaway_santanna` and `did` need cross-products of the periods as well, and write no "
             "influence until somebody asks for it. The floor of reading is the bytes of the file, from the system's "
             "cache, without looking at them."]
    for size in QUICK if quick else SIZES:
        made = data(*size)
        gc.collect()
        floor = best(lambda made=made: one_pass(made.panel))
        cells = size[0] * size[1]
        rows = []
        for name, contender in contenders().items():
            answer = estimators.in_child(
                lambda contender=contender, made=made: estimators.first_run(contender, made, small)[:2], SECONDS)
            if isinstance(answer, str):
                rows.append([name, answer, "", ""])
            else:
                rows.append([name, number(answer[0]), number(answer[0] / floor), number(1e9 * answer[0] / cells)])
        lines += ["", f"### {size[0]:,} units x {size[1]} periods, {size[2]} cohorts", "",
                  f"One pass: {number(1000 * floor)} ms, {number(1e9 * floor / cells)} ns a cell; "
                  f"{number(made.panel.outcome.nbytes / 1e6)} MB of outcomes.", "",
                  *table(["", "seconds", "times one pass", "ns a cell"], rows), ""]
        with tempfile.TemporaryDirectory() as folder:
            lines += table(["file", "MB", "its bytes, s", "to a table, s", "to a Panel, s", "times the bytes"],
                           files(made, Path(folder)))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args(arguments).quick
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    for module in estimators.OUR_IMPORTS:
        importlib.import_module(module)
    print(text(quick))
    return 0


if __name__ == "__main__":
    sys.exit(main())
