"""Indicators by hand: a new one written as config, and what one would become, before anything is fitted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from did.authoring import check as checking
from did.authoring.indicator_yaml import Ask, check_command
from did.authoring.new_indicator import new
from did.project.loading import load_evaluation


def create(name: str, given: Mapping[str, Any], *, config: str | Path, ask: Ask | None, replace: bool) -> str:
    """Write the files of a new indicator and return the text about them. Raises DidError as
    `did.authoring.new_indicator.new`."""
    evaluation = load_evaluation(config)
    written = new(name, given, config=config, evaluation=evaluation, ask=ask, replace=replace)
    lines = [f"wrote {path}" for path in written.files]
    lines += [f"taken: {words}" for words in written.decided]
    return "\n".join([*lines, f"next: {check_command(name, config)}, then {checking.run_command(config)}"])


def check(name: str, *, config: str | Path, data: str | None, offline: bool, accept: bool,
          as_json: bool) -> tuple[str, bool]:
    """Return the report on an indicator, as text or one line of JSON, and whether nothing would stop it. Raises nothing
    for mistakes in the files: they are in the report."""
    report = checking.check(name, config=config, evaluation=None, data=data, offline=offline, accept=accept)
    text = json.dumps(report, ensure_ascii=False) if as_json else checking.as_text(report)
    return text, not report["stops"]
