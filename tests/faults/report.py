"""Write what became of every fault into docs/reliability.md, from the notes of the tests that ran.

    make fault-test                                      runs the tests, then this
    python tests/faults/report.py NOTES [NOTES ...]      the notes that DID_FAULT_TRIED named
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from disturbed import FINISHED, KILLED, RIGHT, STOPPED  # noqa: E402
from hostile_report import put  # noqa: E402

HEADING = "## Faults"
OUTCOMES = (KILLED, STOPPED, FINISHED, RIGHT)
WORDS = """What was done to a run of a small evaluation (that of `did new`), how many times, and what became of it.
*Killed*: by the test; no file in `data/` and `results/` was then other than in an undisturbed run, unless its name said
that it was unfinished. Runs are killed up to five times in a row, each time in what the one before had left to do.
*Stopped with one line*: the line names the file or folder and what is wrong, the exit code is 1, and again no file was
wrong. *Finished right*: the bytes of an undisturbed run. *Plain re-run right*: a plain run after it, undisturbed, ended
well and in the bytes of an undisturbed run, and left nothing over. Nothing ended in any other way: a test that finds
one fails. Written by `make fault-test`."""


def table(notes: Counter[tuple[str, str]]) -> str:
    """The notes as a table in Markdown, a row for each thing that was done."""
    lines = [f"| what was done | {' | '.join(OUTCOMES)} |", "|---|" + "---:|" * len(OUTCOMES)]
    for what in sorted({what for what, _ in notes}):
        lines.append(f"| {what} | {' | '.join(f'{notes[what, outcome]:,}' for outcome in OUTCOMES)} |")
    return "\n".join(lines)


def main(places: list[str]) -> None:
    notes = Counter(tuple(line.split("\t")) for place in places
                    for line in Path(place).read_text(encoding="utf-8").splitlines())
    put(HEADING, f"{WORDS}\n\n{table(notes)}")


if __name__ == "__main__":
    main(sys.argv[1:])
