"""The `did` command: by a warm server if `did run` has one, else in this process."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and end with its exit code."""
    if os.environ.get("DID_WARM_SOCKET"):
        from did.warm import hand_over

        code = hand_over(sys.argv[1:])
        if code is not None:
            sys.exit(code)
    from did.cli import main as command_line

    command_line(prog_name="did")
