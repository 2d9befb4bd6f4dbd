"""The evidence on anyone's panel file as one page."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from did.api.evidence import evidence, n_parts
from did.api.panel import Panel
from did.errors import DidError
from did.estimators.registry import TWO_WAY
from did.stages.estimate import parse_levels, split
from did.store.provenance import refuse_other

# An argument that a message is about: its first word, or the one after the name of a file.
ARGUMENT = re.compile(
    r"(?:evidence: )?(?<![\w'-])(outcome|unit|period|cohort|treatment|weights|covariates|dose|cluster|frequency|"
    r"published_estimator|published|estimator)(?=(?: with one effect| level)?: expected)")


def run(path: str, columns: Mapping[str, Any], *, output: str, quiet: bool, frequency: str = "auto",
        estimator: str | None = None, published: str | None = None, published_estimator: str | None = None) -> str:
    """Write the page on the panel file at ``path`` to ``output`` and return what was found, a sentence a line.

    ``columns`` are options of the command line -> what was given. A bar on standard error shows how far it is, unless
    ``quiet`` or standard error is no terminal. Raises DidError as `did.api.panel.Panel` and
    `did.api.evidence.evidence`, and for an output that is the panel.
    """
    refuse_other(output, "--output")
    if Path(output).resolve() == Path(path).resolve():
        raise DidError(f"--output: expected another file than the panel; found {output}; name a new file")
    if published_estimator and published is None:
        raise DidError(f"--published-estimator {published_estimator}: expected --published with it, the number that is "
                       "printed; found none; add --published, or leave out --published-estimator")
    with _in_words_of_options():
        return _report(path, columns, output=output, quiet=quiet, frequency=frequency, estimator=estimator,
                       published=published, published_estimator=published_estimator)


def _report(path: str, columns: Mapping[str, Any], *, output: str, quiet: bool, frequency: str, estimator: str | None,
            published: str | None, published_estimator: str | None) -> str:
    levels = [tuple(level.split(",")) for level in parse_levels(columns["cluster"])]
    panel = Panel(Path(path), **{name: columns[name] for name in ("outcome", "unit", "period", "cohort", "treatment",
                                                                  "weights", "dose")},
                  cluster=[level[0] if len(level) == 1 else level for level in levels] or None,
                  covariates=split(columns["covariates"], "--covariates"), frequency=frequency)
    with _told(quiet, n_parts(panel)) as tell:
        found = evidence(panel, estimator, published=published, published_estimator=published_estimator or TWO_WAY,
                         tell=tell)
        place = found.report(output)
    return "\n".join([*found.sentences(), f"the page is {place}"])


@contextlib.contextmanager
def _in_words_of_options() -> Iterator[None]:
    """What goes wrong names arguments of Python; here they are options of `did report`."""
    try:
        yield
    except DidError as error:
        raise DidError(ARGUMENT.sub(lambda found: f"--{found[1].replace('_', '-')}", str(error))) from None


@contextlib.contextmanager
def _told(quiet: bool, n: int) -> Iterator[Callable[[str], None]]:
    if quiet or not sys.stderr.isatty():
        yield lambda part: None
        return
    with click.progressbar(length=n, file=sys.stderr, item_show_func=lambda part: part or "") as bar:
        yield lambda part: bar.update(1, part)
        bar.update(n - bar.pos, "the page")
