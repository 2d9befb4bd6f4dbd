"""Config files read into their models, so that mistakes are found, and all of them, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from did.errors import DidError, Mistakes, suggest
from did.project import yaml_files
from did.project.checks import check
from did.project.config import Evaluation, Family
from did.project.config_parts import period
from did.project.indicator import Indicator
from did.project.places import check_folder

AlsoCheck = Callable[[Path, Evaluation, list[Indicator], Mistakes], None]


def load_indicator(name: str, folder: str | Path) -> Indicator:
    """Read ``<folder>/<name>.yaml``.

    Raises DidError for an unknown indicator (naming the known ones and the nearest), a mistake in the file,
    an id that is not the file's name, or a window whose periods are mistaken or run backwards.
    """
    folder = Path(folder)
    path = folder / f"{name}.yaml"
    if path.is_file():
        state = path.stat()
        return _read_indicator(name, path, state.st_mtime_ns, state.st_size)
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    raise DidError(f"indicator '{name}' is not known: expected a file {path}; "
                   f"found {', '.join(known) or 'none'}{suggest(name, known)}")


@lru_cache(maxsize=4096)
def _read_indicator(name: str, path: Path, *_state: int) -> Indicator:
    """Read once for each state of a file: a stage asks for the same indicators many times."""
    indicator = yaml_files.read(path, Indicator)
    mistakes = Mistakes()
    if indicator.id != name:
        mistakes.lines.append(f"{yaml_files.key(path, 'id')} must be the file's name '{name}'; found '{indicator.id}'")
    for key, window in indicator.windows.items():
        with mistakes.collected():
            first, last = (period(getattr(window, end), indicator.frequency,
                                  yaml_files.key(path, "windows", key, end)) for end in ("first", "last"))
            if last <= first:
                raise DidError(f"{yaml_files.key(path, 'windows', key)} must end after it begins; found {first} to "
                               f"{last}; correct one of them")
    mistakes.stop()
    return indicator


def load_evaluation(path: str | Path, *, also: AlsoCheck | None = None) -> Evaluation:
    """Read an evaluation file and everything it names, so that mistakes are found before anything runs.

    ``also`` is a further check whose mistakes are reported with the others: did.project.file_checks.check_files before
    a run.

    Raises DidErrors with every mistake: of the file; then, together, in the indicators it names, an unknown estimator,
    a specification that names a window or denominator its indicators lack, an onset outside a window, and what
    did.project.checks and did.project.waves_table.read_table describe.
    """
    path = Path(path)
    evaluation = yaml_files.read(path, Evaluation)
    mistakes = Mistakes()
    evaluation = _with_volunteers(evaluation, mistakes)
    indicators: list[Indicator] = []
    known = len(mistakes.lines)
    with mistakes.collected():
        check_folder(path, evaluation, "indicators_folder")
    for place, name in enumerate(evaluation.indicators) if len(mistakes.lines) == known else ():
        with mistakes.collected():
            try:
                indicators.append(load_indicator(name, evaluation.indicators_folder))
            except DidError as error:
                if (Path(evaluation.indicators_folder) / f"{name}.yaml").is_file():
                    raise
                raise DidError(f"{yaml_files.key(path, 'indicators', place)}: {error}") from error
    evaluation = check(path, evaluation, indicators, mistakes)
    if also is not None:
        also(path, evaluation, indicators, mistakes)
    mistakes.stop()
    return evaluation


def _with_volunteers(evaluation: Evaluation, mistakes: Mistakes) -> Evaluation:
    """Add the indicators whose own file names the evaluation, and their families where it describes none.

    They are not in the evaluation's file, so that adding one re-runs nothing of the others.
    """
    names, families = list(evaluation.indicators), dict(evaluation.families)
    for file in sorted(Path(evaluation.indicators_folder).glob("*.yaml")):
        # A file under work that names no evaluation must not stop the others, so it is not read as an indicator.
        if file.stem in names or b"evaluations:" not in file.read_bytes():
            continue
        with mistakes.collected():
            indicator = load_indicator(file.stem, evaluation.indicators_folder)
            if evaluation.id in indicator.evaluations:
                names.append(indicator.id)
                families.setdefault(indicator.family, Family(title=indicator.family_title or indicator.title,
                                                             headline=indicator.id))
    return evaluation.model_copy(update={"indicators": names, "families": families})
