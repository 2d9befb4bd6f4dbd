"""`did run`: check the config, take the folder, and hand over to Snakemake."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

from did import warm
from did.errors import DidError
from did.provenance import remove_unfinished


def run(config: str, *, data: str | None, cores: int, offline: bool, accept: bool, output: str = "") -> int:
    """Run the workflow of the evaluation ``config`` in the current folder and return its exit code.

    Everything that can be wrong in the config files is found before anything runs. One run at a time may
    work in a folder; the hold ends with the process, so a killed run leaves nothing to clear up. ``output`` is how
    much is said: a line for each step, or "quiet", "verbose" or "json" (one object a line on standard output).

    Raises DidError for config mistakes, a wrong ``data`` mode, a folder without a Snakefile, and a folder
    in which another run is at work.
    """
    from did.workflow import Plan

    snakefile = Path("Snakefile")
    if not snakefile.is_file():
        raise DidError(f"{Path.cwd()}: expected the project's Snakefile here; found none; go to the project folder")
    plan = Plan.load(config, data)
    settings = {"evaluation": config, "data": plan.data}
    settings |= {name: "yes" for name, on in (("offline", offline), ("accept", accept)) if on}
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", str(cores), "--nolock",
        # A killed run is taken up again; stages write whole files or none, so what is there may be kept; one
        # failed step does not stop those that do not need it.
        "--rerun-incomplete", "--keep-incomplete", "--keep-going",
        "--workflow-profile", "none", "--logger", "did",
        "--config", *(f"{key}={value}" for key, value in settings.items()),
    ]
    if plan.unavailable and output != "quiet":
        from did.availability import reason

        why = (f"not available in this run: {', '.join(plan.unavailable)}. "
               f"{reason(plan.evaluation, plan.unavailable[0], plan.paths)}")
        if output == "json":
            print(json.dumps({"event": "note", "message": why}, ensure_ascii=False), flush=True)
        else:
            print(why, file=sys.stderr)
    hold = Path(".snakemake") / "did_run.hold"
    hold.parent.mkdir(exist_ok=True)
    with open(hold, "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DidError(f"{Path.cwd()}: another run is at work in this folder; wait until it ends") from error
        for folder in (plan.paths.data, plan.paths.results, plan.paths.logs):
            remove_unfinished(folder)
        # The console script of this environment must be the one that the rules call.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        # One thread a job: jobs run side by side, and sums come out in the same order on every machine.
        environment = os.environ | {"PATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment["DID_OUTPUT"] = output
        with warm.server(environment, config) as warmed:
            return 1 if subprocess.run(command, env=warmed, check=False).returncode else 0
