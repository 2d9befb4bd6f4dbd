"""Exceptions of the public face by kind, all of them `did.errors.DidError`, each with its message in one line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from did.errors import DidError

_OPTION = re.compile(r"--([a-z][a-z-]*)")


class PanelError(DidError, ValueError):
    """Something is wrong with the data frame or file, or with the names of its columns."""


class OptionError(DidError, ValueError):
    """An option is not known, has a value that it cannot have, or does not go with another."""


class EstimationError(DidError, ValueError):
    """An estimator cannot be fitted to the panel: something it needs is not there."""


class InferenceError(DidError, ValueError):
    """A method of inference, a test or a check does not apply to the fit."""


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
    """Return a text with the options of the command line named as arguments: ``--base-window`` is ``base_window``."""
    return _OPTION.sub(lambda found: found[1].replace("-", "_"), text)
