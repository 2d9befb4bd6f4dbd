"""Time and memory of the stages of the demonstration run, and the run against its budgets; Markdown to the screen.

    python benchmarks/stages.py --quick      # the stages of one outcome, not the runs
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from measuring import Used, number, run, table

ROOT = Path(__file__).resolve().parents[1]
SHOWN = "dtoc_total"
STAGES = ("fetch", "observe", "align", "fit", "calibrate", "diagnose", "specify", "compare", "check", "judge", "adjust",
          "draw", "family", "reproduce", "tabulate", "workbook", "workbench", "report", "manifest")
LIMIT, RUN_LIMIT = 60, 240
EDITED = "config/indicators/preventable_mortality.yaml"
# A run, how many times as long as the imports it may take, and the line added to the edited file before it, in place of
# the same key's.
RUNS = (("from raw files to report", 17, ""), ("nothing changed, again", 1.5, ""),
        ("a comment added to one indicator's file", 2, "# edited"),
        ("one indicator's label edited", 4, "label: Preventable deaths"),
        ("one indicator edited, so that all of it is computed again", 5, "minimum_treated: 2"))
IMPORTING = "import importlib; from did.workflow.job_server import PRELOAD; [*map(importlib.import_module, PRELOAD)]"
IMPORTS = {stage: f"did.stages.{stage}" for stage in STAGES}


def project(folder: Path) -> Path:
    """Copy what a run needs into ``folder``."""
    for name in ("config", "data/reference"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


def commands(folder: Path) -> dict[str, list[str]]:
    """Return stage -> the shell commands of all its jobs, in the order of a run from nothing."""
    words = [sys.executable, "-m", "snakemake", "-n", "-p", "--forceall", "--cores", "1", "--workflow-profile", "none"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True, timeout=LIMIT)
    found: dict[str, list[str]] = {stage: [] for stage in STAGES}
    for line in re.findall(r"did --config=.*", done.stdout + done.stderr):
        stage = next((word for word in line.split() if word in found), None)
        if stage is not None and line.strip() not in found[stage]:
            found[stage].append(line.strip())
    return found


def one_of(lines: Iterable[str]) -> str:
    """Return the command about the outcome that is shown, its source or its family; the first if there is none."""
    lines = list(lines)
    for word in (SHOWN, "nhs_england_dtoc ", "dtoc"):
        about = [line for line in lines if word in line.split("--log", 1)[-1]]
        if about:
            return about[0]
    return lines[0]


def imports(folder: Path, module: str) -> Used:
    """Return what a process takes that only imports a stage."""
    return run([sys.executable, "-c", f"import did.cli, {module}"], folder, LIMIT)


def each_stage(folder: Path, quick: bool) -> list[list[str]]:
    """Run every stage's job on one outcome, each in a process of its own, after all before it; return rows."""
    jobs = commands(folder)
    rows = []
    for stage in STAGES:
        if not jobs[stage]:
            rows.append([stage, "", "no job in this run", "", "", ""])
            continue
        shown = one_of(jobs[stage])
        if quick and stage in STAGES[STAGES.index("draw"):]:
            continue
        needed = jobs[stage] if stage in ("fetch", "observe") and quick else [shown]
        for line in needed:
            used = run(["sh", "-c", f"exec {line}"], folder, LIMIT)
        held = imports(folder, IMPORTS[stage])
        if used.failure:
            rows.append([stage, str(len(jobs[stage])), used.failure, "", "", ""])
        else:
            rows.append([stage, str(len(jobs[stage])), number(used.seconds), number(used.processor),
                         number(used.megabytes), number(used.megabytes - held.megabytes)])
    return rows


def runs(folder: Path) -> list[list[str]]:
    """Run all, again with nothing changed, and again with one indicator's file edited; return rows with budgets."""
    words = [str(Path(sys.executable).parent / "did"), "run", "--cores", str(min(2, os.cpu_count() or 1))]
    rows, path = [], folder / EDITED
    before = run([sys.executable, "-c", IMPORTING], folder, LIMIT).seconds
    for what, budget, line in RUNS:
        if line:
            kept = [each for each in path.read_text(encoding="utf-8").splitlines()
                    if each.partition(":")[0] != line.partition(":")[0]]
            path.write_text("\n".join([*kept, line, ""]), encoding="utf-8")
        used = run(words, folder, RUN_LIMIT, jobs=True)
        after = run([sys.executable, "-c", IMPORTING], folder, LIMIT).seconds
        times, before = 2 * used.seconds / (before + after), after
        met = not used.failure and times <= budget
        rows.append([what, used.failure or f"{used.seconds:.1f} s", number(times), str(budget), number(used.processor),
                     number(used.megabytes), "met" if met else "**not met**"])
    return rows


def reading(folder: Path) -> str:
    """Return a line on the bytes of the run's raw files: the floor of what the stages read."""
    from floor import best

    files = [path for path in (folder / "data/demo/raw").rglob("*") if path.is_file()]
    seconds = best(lambda: [path.read_bytes() for path in files], 0.3)
    size = sum(path.stat().st_size for path in files) / 1e6
    return (f"The {len(files)} raw files hold {number(size)} MB; reading their bytes, the floor of the run, takes "
            f"{number(1000 * seconds)} ms.")


def main(arguments: list[str] | None = None) -> int:
    """Print the section; return 1 if a run took longer than its budget."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args(arguments).quick
    lines = ["## The demonstration run and its stages"]
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name))
        over = []
        if not quick:
            rows = runs(folder)
            over = [row for row in rows if row[-1] != "met"]
            lines += ["", f"`did run` with {min(2, os.cpu_count() or 1)} cores, its environment built before. "
                      "Processor time is of all jobs, memory of the largest process. Machines differ, and one machine "
                      "from hour to hour: a run is held against what the same machine takes, just before and after it, "
                      "to import the packages that it uses.", "",
                      *table(["run", "took", "times the imports", "at most", "processor time, s", "MB", ""], rows)]
        stages = each_stage(folder, quick)
        lines += ["", f"One job of each stage, that of `{SHOWN}`, its source or its family, in a process of its own: "
                  "the peak of its resident memory, and what that is above a process that only imports the stage. In "
                  "a run the jobs do not pay for imports: their workers are forks of one process that has done them.",
                  "",
                  *table(["stage", "jobs in the run", "seconds", "processor time, s", "peak, MB", "above imports, MB"],
                         stages), "", reading(folder)]
    print("\n".join(lines))
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
