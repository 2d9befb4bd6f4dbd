"""The server for the jobs of a local run, as a process of its own: see `did.workflow.job_server`."""

from __future__ import annotations

import gc
import sys

from did.cli.entry import COLLECTED
from did.workflow.job_server import serve


def run(arguments: list[str]) -> None:
    """Run one job's command; ends by SystemExit."""
    from did.cli.commands import main

    main(arguments, prog_name="did")


if __name__ == "__main__":
    gc.set_threshold(COLLECTED)
    serve(run, sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
