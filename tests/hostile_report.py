"""Run the tests of hostile input and write what became of every attack into docs/reliability.md.

    python tests/hostile_report.py                     the attacks, and some hundred spoilt files
    DID_FUZZ_EXAMPLES=1000 python tests/hostile_report.py    a thousand spoilt files of each kind
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
DOCS = TESTS.parent / "docs" / "reliability.md"
HEADING = "## Hostile input"


def table() -> str:
    """The table of what was tried in this process, in Markdown."""
    from hostile_files import HARMLESS, READ, REFUSED, TRIED

    lines = [f"| what was tried | tries | {REFUSED} | {HARMLESS} | {READ} |", "|---|---:|---:|---:|---:|"]
    kinds = sorted({kind for kind, _ in TRIED})
    counts = [[TRIED[kind, outcome] for outcome in (REFUSED, HARMLESS, READ)] for kind in kinds]
    for kind, row in [*zip(kinds, counts, strict=True), ("All", [sum(column) for column in zip(*counts, strict=True)])]:
        lines.append(f"| {kind} | {sum(row):,} | {' | '.join(f'{count:,}' for count in row)} |")
    return "\n".join(lines)


WORDS = """What was tried, how many times, and what became of it. *Refused*: one line that says what is wrong with the
file and what to do, in seconds. *Made harmless*: read, and the attack had no effect. *Read as what it is*: a spoilt
file that is still a sound one. Nothing crashed, hung, or took more memory than `docs/security.md` says. Written by
`python tests/hostile_report.py`."""


def put(heading: str, content: str) -> None:
    """Put ``content`` under ``heading`` in docs/reliability.md, in place of what was there."""
    text = DOCS.read_text(encoding="utf-8") if DOCS.exists() else "# Reliability\n\n"
    before, _, after = text.partition(f"{heading}\n")
    rest = re.search(r"^## ", after, re.MULTILINE)
    whole = f"{before.rstrip()}\n\n{heading}\n\n{content}\n\n{after[rest.start():] if rest else ''}"
    DOCS.write_text(whole.rstrip("\n") + "\n", encoding="utf-8")


def main() -> int:
    sys.path.insert(0, str(TESTS))
    failed = pytest.main(["-q", "-p", "no:cacheprovider", str(TESTS / "test_hostile.py")])
    if failed:
        return int(failed)
    put(HEADING, f"{WORDS}\n\n{table()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
