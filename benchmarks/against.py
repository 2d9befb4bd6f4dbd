"""What got slower or larger than at another commit: both measured in turn on this machine, to the screen.

    make bench ARGS="--against main"
    python benchmarks/against.py main --quick          # the panel of 149 x 107 alone, three rounds

Our estimators and the making of a Panel, in processor time, by the scripts of this checkout with the package of
either commit. A figure got worse where it did by `WORSE` or more in each round of the two, one after the other. Exits
with 1 if one did.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import estimators
import peers
from measuring import number, table

ROOT = Path(__file__).resolve().parents[1]
SIZES = ("149 x 107", "5,000 x 120", "50,000 x 60")
ROUNDS, WORSE = 5, 1.1
# Calls of one figure in a round, for so many s and so many at least; MB below which memory says nothing.
SECONDS, CALLS, MEGABYTES = 0.3, 3, 5.0


def measured(quick: bool) -> dict[str, list[float]]:
    """Return figure -> seconds, the least of a few calls, and peak MB, with whichever package is imported here."""
    small, found = peers.made(40, 12, {4: 8, 6: 8, 8: 8}), {}
    gc.collect()
    gc.freeze()
    for size in estimators.SIZES:
        if size.name not in SIZES[:1 if quick else None]:
            continue
        data = size.make()
        for contender in (case.contenders[0] for case in estimators.LARGE):
            answer = estimators.in_child(lambda one=contender, data=data: _best(one, data, small), estimators.SECONDS)
            if isinstance(answer, list):
                found[f"{contender.how}, {size.name}"] = answer
    return found


def _best(contender: peers.Contender, data: peers.Data, small: peers.Data) -> list[float]:
    megabytes = estimators.first_run(contender, data, small)[1]
    times: list[float] = []
    while len(times) < CALLS or sum(times) < SECONDS:
        began = time.process_time()
        contender.call(data)
        times.append(time.process_time() - began)
    return [min(times), megabytes]


def worse(ours: Sequence[float], theirs: Sequence[float], least: float = 0.0) -> bool:
    """Whether each of ``ours`` is `WORSE` times that of ``theirs``, and above ``least``."""
    return all(own > max(WORSE * other, least) for own, other in zip(ours, theirs, strict=True))


def compared(ours: Mapping[str, list], theirs: Mapping[str, list]) -> tuple[list[list[str]], list[str]]:
    """Return a row for each figure, and what got worse. Values are the rounds' pairs of seconds and MB."""
    rows, bad = [], []
    for name, rounds in ours.items():
        if name not in theirs:
            rows.append([name, *[""] * 4, "not there before"])
            continue
        middle = [[statistics.median(part) for part in zip(*side[name], strict=True)] for side in (theirs, ours)]
        said = [what for at, (what, least) in enumerate((("slower", 0.0), ("larger", MEGABYTES)))
                if worse([one[at] for one in rounds], [one[at] for one in theirs[name]], least)]
        bad += [f"{name}: {' and '.join(said)}"] if said else []
        rows.append([name, number(1000 * middle[0][0]), number(1000 * middle[1][0]),
                     number(middle[1][0] / middle[0][0], 2), f"{number(middle[0][1])} to {number(middle[1][1])}",
                     f"**{' and '.join(said)}**" if said else ""])
    rows += [[name, *[""] * 4, "no more there"] for name in theirs if name not in ours]
    return rows, bad


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return 1 if something got worse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if given.measure:
        for module in estimators.OUR_IMPORTS:
            importlib.import_module(module)
        print(json.dumps(measured(given.quick)))
        return 0
    found: dict[str, dict[str, list]] = {"ours": {}, "theirs": {}}
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), given.commit], check=True)
        try:
            for _ in range(3 if given.quick else ROUNDS):
                for side, source in (("theirs", tree), ("ours", ROOT)):
                    words = [sys.executable, __file__, given.commit, "--measure", *(["--quick"] if given.quick else [])]
                    done = subprocess.run(words, env=os.environ | {"PYTHONPATH": str(source / "src")}, check=True,
                                          stdout=subprocess.PIPE, text=True)
                    for name, values in json.loads(done.stdout).items():
                        found[side].setdefault(name, []).append(values)
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    rows, bad = compared(found["ours"], found["theirs"])
    print("\n".join([f"Against {given.commit}, medians of the rounds.", "", *table(
        ["", "then, ms", "now, ms", "now / then", "MB", ""], rows), "", *(bad or ["Nothing got worse."])]))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
