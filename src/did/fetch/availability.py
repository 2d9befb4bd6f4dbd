"""Which indicators can be evaluated with the files at hand, and what to say about those that cannot."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from did.fetch import obtainable
from did.project import registry
from did.project.config import Evaluation
from did.project.data_mode import DataMode
from did.project.loading import load_indicator
from did.project.paths import Paths


def unavailable(evaluation: Evaluation, mode: DataMode, paths: Paths) -> list[str]:
    """Indicators of the evaluation whose sources are not available in this mode, in the order of the evaluation.

    A source that the registry marks ``manual_download`` counts as not available if none of its files is at hand, and
    one of the user's own files if one of them is not at its path; every other source is taken to be obtainable, and
    fetching says what is wrong if it is not.
    Raises DidError for mistakes in indicator and registry files, and for a mirror without an index.
    """
    lost = {source for source in sources_of(evaluation) if _lost(source, evaluation, mode, paths)}
    return [name for name in evaluation.indicators
            if lost & set(load_indicator(name, evaluation.indicators_folder).sources)]


def sources_of(evaluation: Evaluation, without: Collection[str] = ()) -> list[str]:
    """Every source that an indicator of the evaluation needs, in the order they are first named, but for those that
    only the indicators ``without`` need."""
    return list(dict.fromkeys(
        source for name in evaluation.indicators if name not in without
        for source in load_indicator(name, evaluation.indicators_folder).sources))


def _lost(name: str, evaluation: Evaluation, mode: DataMode, paths: Paths) -> bool:
    source = registry.load_named(name, evaluation.sources_folder)
    if source.is_own:
        return any(not Path(entry.path).is_file() for entry in source.files)
    return source.manual_download and not obtainable(source, paths.raw(name), mode)


def reason(evaluation: Evaluation, indicator: str, paths: Paths) -> str:
    """Why an indicator is not available and how to supply what it needs, in two sentences."""
    needed = load_indicator(indicator, evaluation.indicators_folder).sources
    sources = [registry.load_named(name, evaluation.sources_folder) for name in needed]
    gone = [entry.path for source in sources if source.is_own for entry in source.files
            if not Path(entry.path).is_file()]
    parts = [f"{path} is not there: it is a file of your own. Put it there, and run again" for path in gone]
    for source in (source for source in sources if source.manual_download):
        parts.append(f"{source.title} ({source.publisher}): no file is at hand, and the publisher does not serve "
                     f"them to every network. Download them from {source.landing_page}, then: did supply {source.id} "
                     "FILES..., and run again")
    return "; ".join(parts)
