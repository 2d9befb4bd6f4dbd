"""Arguments of the public face that may be one thing or several."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from did.api.errors import OptionError


def several(given: Any, what: str, of: str) -> tuple[Any, ...]:
    """Return what was ``given`` as a tuple: a text is one thing, None is none.

    ``what`` is the argument, ``of`` what it takes, such as ``names of columns``. Raises did.OptionError for what is no
    list, and for a list in it where a single thing is expected.

    >>> several("size", "covariates", "names of columns")
    ('size',)
    """
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Iterable):
        raise OptionError(f"{what}: expected {of}; found {given!r}; name one, or several in a list")
    return tuple(given)


def names(given: Any, what: str, of: str) -> tuple[Any, ...]:
    """As `several`, each once and none of them a list. Raises did.OptionError."""
    found = several(given, what, of)
    for each in found:
        if not isinstance(each, Hashable):
            raise OptionError(f"{what}: expected {of}; found {each!r} among them; name each by itself")
    return tuple(dict.fromkeys(found))
