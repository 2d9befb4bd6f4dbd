"""What a run of the tests says at its end."""

from __future__ import annotations


def pytest_terminal_summary(terminalreporter) -> None:
    """Say how many tests were skipped for want of the shared files, and how to get these."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    missing = [reason for reason in reasons if "shared" in reason or "publishers" in reason]
    if missing:
        terminalreporter.write_line(f"{len(missing)} tests were skipped, which need files of publishers or other "
                                    "packages in ../shared: put that folder next to this checkout to run them.")
