"""The server for the jobs of a local run, as a process of its own: see `did.workflow.job_server`."""

from __future__ import annotations

import sys

from did.workflow.job_server import serve


def run(arguments: list[str]) -> None:
    """Run one job's command; ends by SystemExit."""
    from did.cli.commands import main

    main(arguments, prog_name="did")


if __name__ == "__main__":
    serve(run, sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
