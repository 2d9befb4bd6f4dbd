"""What a plan of many indicators costs before any job begins, alongside the least Snakemake takes; Markdown to the
screen.

    python benchmarks/dag.py --quick
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from measuring import Used, exponent, number, run, table

from did.authoring import scaffold

ROOT = Path(__file__).resolve().parents[1]
SIZES, QUICK = (100, 1_000), (10, 30)
LIMIT = 120
DRY = ["-n", "--quiet", "all", "--workflow-profile", "none"]
# As many jobs an indicator as the workflow has before the figures, each with one input and one output.
JOBS = ["align", "fit", "calibrate", "diagnose", "specify", "compare", "check", "judge"]
BARE = f"stages = {JOBS}" + '''
rule all:
    input: [f"specify/{n:04d}" for n in range(int(config["indicators"]))]
for before, stage in zip(["raw", *stages], stages):
    rule:
        name: stage
        input: f"{before}/{{indicator}}" if before != "raw" else "Snakefile"
        output: f"{stage}/{{indicator}}"
        shell: "touch {output}"
'''


def evaluation(folder: Path, n: int) -> None:
    """Write an evaluation of ``n`` indicators of one source, as `did new` writes it, and the Snakefile."""
    shutil.copy(ROOT / "Snakefile", folder)
    scaffold.create("many", folder)
    path = folder / "config/many/indicators/visits.yaml"
    one = path.read_text(encoding="utf-8")
    path.unlink()
    names = [f"visits_{number:04d}" for number in range(n)]
    for name in names:
        path.with_name(f"{name}.yaml").write_text(re.sub(r"(?m)^id: visits$", f"id: {name}", one), encoding="utf-8")
    config = folder / "config/many.yaml"
    text = config.read_text(encoding="utf-8").replace("indicators: [visits]", f"indicators: [{', '.join(names)}]")
    config.write_text(text.replace("headline: visits", f"headline: {names[0]}"), encoding="utf-8")


def measured(n: int) -> dict[str, Used]:
    """Return what each way to plan ``n`` indicators takes."""
    snakemake = [sys.executable, "-m", "snakemake"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        evaluation(folder, n)
        load = "from did.workflow.plan import Plan; Plan.load('config/many.yaml', None)"
        found = {"the config read and checked": run([sys.executable, "-c", load], folder, LIMIT)}
        whole = [*snakemake, *DRY, "--config", "evaluation=config/many.yaml"]
        found[f"the whole workflow: {len(JOBS)} jobs and its figures an indicator"] = run(whole, folder, LIMIT)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "Snakefile").write_text(BARE)
        found[f"Snakemake alone, {len(JOBS)} jobs an indicator"] = run(
            [*snakemake, *DRY, "--config", f"indicators={n}"], Path(name), LIMIT)
    return found


def text(found: dict[int, dict[str, Used]]) -> str:
    """Return the section as Markdown."""
    sizes = list(found)
    rows, biggest = [], sizes[-1]
    for what in found[biggest]:
        cells = [found[size][what] for size in sizes]
        rows.append([what, *(cell.failure or number(cell.seconds) for cell in cells),
                     number(exponent(sizes, [cell.seconds for cell in cells]), 2), number(cells[-1].processor),
                     number(cells[-1].megabytes)])
    header = ["", *(f"{size:,} indicators, s" for size in sizes), "exponent", f"processor time at {biggest:,}, s",
              f"MB at {biggest:,}"]
    return "\n".join([
        "## The plan of many indicators", "",
        "An evaluation as `did new` writes it, with so many indicators. Seconds from start to end of a dry run "
        "(`snakemake -n`), which finds every job and the reason for it and runs none; the start of Python and "
        f"Snakemake, about a second, is in each. The last row is Snakemake with {len(JOBS)} jobs an indicator of one "
        "input and one output each and nothing of ours: no plan of that many jobs can be had for less. More than "
        f"{LIMIT} s ends a row. For many indicators that share one roll-out there is `did sweep`; its plan is below.",
        "",
        *table(header, rows)])


def main(arguments: list[str] | None = None) -> int:
    """Print the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args(arguments).quick
    print(text({size: measured(size) for size in (QUICK if quick else SIZES)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
