"""Exceptions of the public face by kind, all of them `did.errors.DidError`, each with its message in one line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from did.errors import DidError

_OPTION = re.compile(r"(did [a-z]+ )?--([a-z][a-z-]*)")


class PanelError(DidError, ValueError):
    """Something is wrong with the data frame or file, or with the names of its columns.

    Examples
    --------
    >>> import did
    >>> try:
    ...     panel = did.Panel(did.example(), outcome="visit", unit="clinic", period="year", cohort="first_year")
    ... except did.PanelError as error:
    ...     print(str(error).rpartition("; ")[2])
    did you mean 'visits'?
    """


class OptionError(DidError, ValueError):
    """An option is not known, has a value that it cannot have, or does not go with another.

    Examples
    --------
    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> try:
    ...     fit = did.ldv(panel, lag=3)
    ... except did.OptionError as error:
    ...     print(str(error).rpartition("; ")[2])
    did you mean 'lags'?
    """


class EstimationError(DidError, ValueError):
    """An estimator cannot be fitted to the panel: something it needs is not there.

    Examples
    --------
    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> try:
    ...     effect = did.ldv(panel, lags="last_99").params
    ... except did.EstimationError as error:
    ...     print(str(error).rpartition("; ")[2])
    use 'all' or fewer
    """


class InferenceError(DidError, ValueError):
    """A method of inference, a test or a check does not apply to the fit.

    Examples
    --------
    >>> import did
    >>> panel = did.Panel(did.example(), outcome="visits", unit="clinic", period="year", cohort="first_year")
    >>> try:
    ...     bounds = did.did(panel).bounds()
    ... except did.InferenceError as error:
    ...     print(str(error).rpartition("; ")[2])
    take event_study or callaway_santanna
    """


@contextlib.contextmanager
def raising(kind: type[DidError]) -> Iterator[None]:
    """Raise what goes wrong in the block as ``kind``, with options named as arguments are in Python.

    >>> try:
    ...     with raising(OptionError):
    ...         raise DidError("--base-window: expected a number; found 'x'; write one")
    ... except OptionError as error:
    ...     print(error)
    base_window: expected a number; found 'x'; write one
    """
    try:
        yield
    except (PanelError, OptionError, EstimationError, InferenceError):
        raise
    except DidError as error:
        raise kind(spoken(str(error))) from None


def spoken(text: str) -> str:
    """Return a text with the options of the command line named as arguments: ``--base-window`` is ``base_window``. An
    option of a command that is named with it, as in ``did estimate --calibrate``, stays."""
    return _OPTION.sub(lambda found: found[0] if found[1] else found[2].replace("-", "_"), text)
