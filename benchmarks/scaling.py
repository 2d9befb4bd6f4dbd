"""Cost of our estimators against units, periods and cohorts, with fitted exponents; Markdown to the screen.

    python benchmarks/scaling.py --quick
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable

import estimators
import peers
from measuring import exponent, number, table

# What varies -> its values, and the panel of the other two: 1,000 units x 60 periods, 4 cohorts.
GRID = {"units": (1_000, 2_000, 4_000, 8_000, 16_000), "periods": (30, 60, 120, 240), "cohorts": (2, 4, 8, 16)}
QUICK = {"units": (200, 400, 800), "periods": (20, 40), "cohorts": (2, 4)}
BASE = {"units": 1_000, "periods": 60, "cohorts": 4}
LIMIT, REPEATS = 20, 3


def contenders() -> dict[str, peers.Contender]:
    """Return name -> our way to fit."""
    found = {case.contenders[0].how: case.contenders[0] for case in (peers.READING, *peers.OTHERS)
             if case.name not in estimators.SMALL}
    found |= {"callaway_santanna": peers.GROUP_TIME[0].contenders[0],
              "callaway_santanna, a covariate, dr": peers.GROUP_TIME[2].contenders[0]}
    return found


def data(units: int, periods: int, cohorts: int) -> peers.Data:
    """Return a panel of which two fifths are treated, the cohorts spread over the middle of the window."""
    first = [periods // 5 + at * (3 * periods // 5) // cohorts for at in range(cohorts)]
    return peers.made(units, periods, {at: 2 * units // 5 // cohorts for at in first})


def best(call: Callable[[], tuple]) -> tuple[float, float]:
    """Return the least seconds and the peak MB of a few calls."""
    found = [call() for _ in range(REPEATS)]
    return min(one[0] for one in found), max(one[1] for one in found)


def points(quick: bool) -> dict[tuple[str, str, int], tuple[float, float] | str]:
    """Return (what varies, estimator, its value) -> seconds and peak MB, or why there are none."""
    small, found = peers.made(40, 12, {4: 8, 6: 8, 8: 8}), {}
    stopped: set[tuple[str, str]] = set()
    for what, values in (QUICK if quick else GRID).items():
        for value in values:
            made = data(**{**BASE, what: value})
            for name, contender in contenders().items():
                if (what, name) in stopped:
                    continue
                answer = estimators.in_child(
                    lambda contender=contender, made=made: best(
                        lambda: estimators.first_run(contender, made, small)), LIMIT)
                found[what, name, value] = answer
                if isinstance(answer, str):
                    stopped.add((what, name))   # a larger one takes longer still
    return found


def text(found: dict[tuple[str, str, int], tuple[float, float] | str], quick: bool) -> str:
    """Return the section as Markdown."""
    lines = ["## Cost against units, periods and cohorts", "",
             f"Seconds of one call, best of {REPEATS} in a process of its own, and the fitted exponent b of seconds ~ "
             "size^b (1: twice the size takes twice the time) with that of the peak memory. What does not vary is "
             f"{BASE['units']:,} units, {BASE['periods']} periods, {BASE['cohorts']} cohorts; two fifths of the units "
             f"are treated. More than {LIMIT} s for {REPEATS} calls ends an estimator's row."]
    for what, values in (QUICK if quick else GRID).items():
        rows = []
        for name in contenders():
            answers = [found.get((what, name, value), "") for value in values]
            seconds = [one[0] if isinstance(one, tuple) else float("nan") for one in answers]
            memory = [one[1] if isinstance(one, tuple) else float("nan") for one in answers]
            cells = [number(one[0]) if isinstance(one, tuple) else one for one in answers]
            rows.append([name, *cells, number(exponent(values, seconds), 2), number(exponent(values, memory), 2),
                         number(max(memory))])
        lines += ["", f"### {what.capitalize()}", "",
                  *table(["estimator", *(f"{value:,}" for value in values), "exponent, time", "exponent, memory",
                          "largest peak, MB"], rows)]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args(arguments).quick
    warnings.simplefilter("ignore")
    for module in estimators.OUR_IMPORTS:
        importlib.import_module(module)
    print(text(points(quick), quick))
    return 0


if __name__ == "__main__":
    sys.exit(main())
