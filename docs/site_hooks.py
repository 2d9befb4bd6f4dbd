"""Links from the docs to files alongside them (README, config, source) are given as text: the site holds the docs
alone."""

import re

OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./[^)]*\)")


def on_page_markdown(markdown: str, **_) -> str:
    """Return the page with links that lead out of docs/ replaced by their text."""
    return OUTSIDE.sub(r"\1", markdown)
