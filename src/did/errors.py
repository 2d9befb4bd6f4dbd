"""The one exception a user may see, and the helpers that word it."""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_NUMBER = re.compile(r"[+-]?\d{1,300}(\.\d*)?", re.ASCII)

class DidError(Exception):
    """A mistake in data, config or usage, worded as one line for the person who can fix it.

    The message names the file, sheet, column, unit, period or config key, says what was expected and
    what was found, and what to do. The command line prints it without a traceback and exits with 1.

    Examples
    --------
    >>> import did
    >>> try:
    ...     did.Panel("nowhere.csv", outcome="y", unit="id", period="t", cohort="g")
    ... except did.DidError as error:
    ...     print(error)
    nowhere.csv: expected a CSV file; found no file; give the path of a panel file
    """

    def __init__(self, message: str) -> None:
        # A word of a file under attack may be any length; a sentence must stay one.
        words = [word if len(word) <= 500 else word[:500] + "..." for word in str(message).split()]
        super().__init__(printable(" ".join(words)))

    @property
    def lines(self) -> list[str]:
        """The mistakes, a sentence each; here the one."""
        return [str(self)]


class DidErrors(DidError):
    """Several mistakes found together. ``lines`` are all of them; as text it is the first, the others counted."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = list(dict.fromkeys(printable(line) for line in lines))
        more = len(self._lines) - 1
        super().__init__(self._lines[0] + (f" (and {more} more mistake{'s' * (more > 1)})" if more else ""))

    @property
    def lines(self) -> list[str]:
        """The mistakes, a sentence each."""
        return self._lines


class Mistakes:
    """Collects mistakes, so that all are reported at once::

        mistakes = Mistakes()
        with mistakes.collected():
            check_one_thing()
        mistakes.stop()
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextlib.contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the DidError that the block raises, if any, and go on after it."""
        try:
            yield
        except DidError as error:
            self.lines += error.lines

    def stop(self) -> None:
        """Raise DidErrors if anything was collected."""
        if self.lines:
            raise DidErrors(self.lines)


def printable(text: str) -> str:
    r"""Return ``text`` with what is no visible sign, a space or a line break written as ``\u001b``.

    A cell of a file or a word of a server could otherwise clear a terminal, colour it or turn its text around. The
    escapes are those of JSON, so that a line of JSON stays one.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in "\n\t\xa0" else _escape(sign) for sign in text)


def _escape(sign: str) -> str:
    return f"\\u{ord(sign):04x}" if sign <= "\uffff" else json.dumps(sign)[1:-1]


def listed(labels: Iterable[object], at_most: int = 5) -> str:
    """Return labels as one text for a message, such as ``2, 3, 10, 11, 12 and 1,497 more``.

    Labels that are all numbers are sorted as numbers, others keep their order. At most 60 characters of each are shown.
    """
    words = [str(label) for label in labels]
    if all(_NUMBER.fullmatch(word) for word in words):
        words.sort(key=float)
    shown = ", ".join(word if len(word) <= 60 else f"{word[:60]}..." for word in words[:at_most])
    return shown + (f" and {len(words) - at_most:,} more" if len(words) > at_most else "")


def suggest(found: object, allowed: Iterable[object]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest allowed word, else an empty string.

    ``found`` is the word the user wrote, ``allowed`` the words that would have been right.
    """
    close = difflib.get_close_matches(str(found), [str(word) for word in allowed], n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def suggest_file(path: Path) -> str:
    """As `suggest`, for a file that is not there: the closest of those with its ending in its folder. Endings are
    alike, so that only what comes before counts."""
    if not path.parent.is_dir():
        return ""
    stems = {other.stem: other.name for other in sorted(path.parent.iterdir()) if other.suffix == path.suffix and (
        other.is_file())}
    close = difflib.get_close_matches(path.stem, stems, n=1, cutoff=0.6)
    return f"; did you mean '{stems[close[0]]}'?" if close else ""


def one_of(what: str, found: object, allowed: Iterable[object]) -> None:
    """Raise DidError unless ``found`` is one of ``allowed``; ``what`` names the key or column."""
    words = list(allowed)
    if found not in words:
        raise DidError(f"{what}: expected one of {listed(words, 40)}; found '{found}'{suggest(found, words)}")
