"""The `did` command: by a warm server if `did run` has one, else in this process."""

from __future__ import annotations

import gc
import os
import signal
import sys

COLLECTED = 20_000   # objects made since the collector last went through them, for it to go again; Python's is 700


def main() -> None:
    """Run the command line and end with its exit code."""
    _open_streams()
    signal.signal(signal.SIGINT, signal.SIG_DFL)   # a Ctrl-C while all is imported ends it without a traceback
    # Small matrices by the thousand: a second thread in the linear algebra costs several times what it brings.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    if os.environ.get("DID_JOB_SERVER"):
        from did.workflow.job_server import hand_over

        code = hand_over(sys.argv[1:])
        if code is not None:
            sys.exit(code)
    gc.disable()   # to import makes objects by the hundred thousand and no garbage
    from did.cli.commands import main as command_line

    gc.freeze()
    gc.enable()
    gc.set_threshold(COLLECTED)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command_line(prog_name="did")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)   # while the interpreter ends, too


def _open_streams() -> None:
    """Let what is said go nowhere where a standard stream is closed: no file opened later takes its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)   # the lowest number that is free, which is this
            setattr(sys, name, open(number, "w" if number else "r"))   # noqa: SIM115, for as long as all runs
