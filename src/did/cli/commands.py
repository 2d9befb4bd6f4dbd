"""The command line: the whole workflow, every stage by hand, and estimates of panels of one's own."""

from did.cli import indicator, panels, project, stages
from did.cli.app import main

__all__ = ["indicator", "main", "panels", "project", "stages"]
