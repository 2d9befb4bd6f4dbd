"""A finished run that test modules share, and what a run of the tests says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A project whose workflow has run once, on the mirror alongside it; tests leave it as it is, or copy it."""
    import small_project

    project = small_project.make(tmp_path_factory.mktemp("a folder é") / "project")
    done = small_project.run(project, "run", "--data", "mirror:../mirror")
    assert done.returncode == 0, done.stderr
    return project


def pytest_terminal_summary(terminalreporter) -> None:
    """Say how many tests were skipped for want of the shared files, and how to get these."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    missing = [reason for reason in reasons if "shared" in reason or "publishers" in reason]
    if missing:
        terminalreporter.write_line(f"{len(missing)} tests were skipped, which need files of publishers or other "
                                    "packages in ../shared: put that folder next to this checkout to run them.")
