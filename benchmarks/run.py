"""Everything in docs/benchmarks.md, each part in a process of its own with a time limit.

    make bench                                     # builds .bench-venv, then measures everything
    make bench ARGS="--only scaling --only floor"  # these parts; the page keeps what it had of the others
    make bench ARGS="--quick"                      # small sizes, to the screen only
    make bench ARGS="--against main"               # what got slower than at that commit, to the screen only

A part that fails or takes too long is written into the page as such. Exits with 1 if one did, or found something over
its budget or beyond its tolerance.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from did.store.provenance import write_text

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
# Part -> the longest it may take, s; in the order of the page. Each is a script alongside this one that prints
# Markdown.
PARTS = {"estimators": 900, "large": 300, "cluster": 1_800, "floor": 120, "scaling": 400, "stages": 400,
         "practices": 900, "dag": 500, "sweep": 600, "calibration": 120}
# Measured when asked for, with what their environment has besides: a Slurm, which `make cluster-test` installs.
ASKED = {"cluster": {"PYTHONPATH": str(HERE.parent / ".cluster")}}
THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON")}


def machine() -> str:
    """Return what the numbers were measured on, in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB; Python {platform.python_version()}"


def measured(part: str, seconds: float, *, quick: bool) -> tuple[str, bool]:
    """Return the Markdown of a part, and whether it ended well within ``seconds``."""
    words = [sys.executable, str(HERE / f"{part}.py"), *(["--quick"] if quick else [])]
    began = time.monotonic()
    process = subprocess.Popen(words, env=os.environ | THREADS | ASKED.get(part, {}), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        text, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)   # the session this began, with all it started
        process.communicate()
        return f"Not measured: over {seconds:.0f} s.", False
    if not text.strip():
        last = (errors.strip().splitlines() or ["no message"])[-1]
        return f"Not measured: ended with {process.returncode}: {last[:200]}", False
    note = f"Measured in {time.monotonic() - began:.0f} s on {machine()}."
    if process.returncode:
        note += " **Something was over its budget or beyond its tolerance.**"
    return f"{text.strip()}\n\n{note}", process.returncode == 0


def sections(page: str) -> dict[str, str]:
    """Return part -> text between its markers."""
    return dict(re.findall(r"<!-- (\w+): begin -->\n(.*?)\n<!-- \1: end -->", page, flags=re.DOTALL))


def written(texts: Mapping[str, str]) -> str:
    """Return the page of the parts' texts."""
    lines = ["# Time and memory", "",
             "Made by `make bench`, which runs the scripts of `benchmarks/` and writes this page; `ARGS=\"--only "
             "scaling\"` measures one part again. Seconds depend on the machine; ratios, measured side by side, and "
             "exponents depend on it less."]
    for part in PARTS:
        lines += ["", f"<!-- {part}: begin -->", texts.get(part, f"## {part}\n\nNot measured yet."),
                  f"<!-- {part}: end -->"]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts asked for, write the page after each, and return 1 if one did not end well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(PARTS), help="a part; may be given again")
    parser.add_argument("--quick", action="store_true", help="small sizes, to the screen only")
    parser.add_argument("--against", metavar="COMMIT", help="what got slower than at that commit, to the screen only")
    given = parser.parse_args(arguments)
    if given.against:
        words = [sys.executable, str(HERE / "against.py"), given.against, *(["--quick"] if given.quick else [])]
        return subprocess.run(words, env=os.environ | THREADS, check=False).returncode
    failed = []
    for part in given.only or [part for part in PARTS if part not in ASKED]:
        began = time.monotonic()
        text, well = measured(part, PARTS[part], quick=given.quick)
        failed += [] if well else [part]
        print(f"{part}: {time.monotonic() - began:.0f} s{'' if well else ': see its section'}", file=sys.stderr)
        text = text if text.startswith("## ") else f"## {part}\n\n{text}"
        if given.quick:
            print(text + "\n")
        else:
            texts = sections(PAGE.read_text(encoding="utf-8")) if PAGE.is_file() else {}
            write_text(PAGE, written(texts | {part: text}))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
