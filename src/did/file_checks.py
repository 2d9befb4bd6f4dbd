"""The files that an evaluation's indicators need, checked with the evaluation before a run.

Apart from did.config_checks, so that a stage does not depend on what reads files it does not use.
"""

from __future__ import annotations

from pathlib import Path

from did import yaml_files
from did.config import Evaluation, Indicator
from did.config_checks import known_indicators
from did.errors import DidError, Mistakes
from did.panel import observations_needed
from did.registry import load_named
from did.reproduce.claims import load_claims


def check_files(path: Path, evaluation: Evaluation, indicators: list[Indicator], mistakes: Mistakes) -> None:
    """Add every mistake in the sources that the indicators name, and the first in the claims file, to ``mistakes``."""
    for name in dict.fromkeys(source for each in indicators for source in observations_needed(each)):
        with mistakes.collected():
            load_named(name, evaluation.sources_folder)
    with mistakes.collected():
        claims = load_claims(evaluation.published, known_indicators(evaluation, indicators))
        if len(claims) and not (evaluation.publication.citation and evaluation.publication.coefficients):
            raise DidError(f"{yaml_files.key(path, 'publication')} must have citation and coefficients, since "
                           f"{evaluation.published} holds claims; found one of them missing; add it")
