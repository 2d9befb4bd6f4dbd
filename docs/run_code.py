"""Python in the docs is run when the site is built: what a block prints and draws is shown below it.

A block that begins with ```python show is run, in the order of the page, in one namespace for the page. The text that
it prints is shown, the value of its last line as in a notebook, and every picture that it draws or writes. A
walkthrough of notebooks/ (a script with `# %%` between its cells) becomes such a page.
"""

from __future__ import annotations

import ast
import contextlib
import html
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "did"  # the same ids in every build

from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402

BLOCK = re.compile(r"^```python show\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)


def of_notebook(script: str) -> str:
    """Return a script in cells as Markdown whose code blocks are shown with what they give."""
    parts = CELL.split(script)
    page = []
    for kind, cell in zip(parts[1::2], parts[2::2], strict=True):
        body = cell.strip("\n")
        if "[markdown]" in kind:
            page.append("\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines()))
        elif body:
            page.append(f"```python show\n{body}\n```")
    return "\n\n".join(page) + "\n"


def shown(markdown: str, page: str, keep: Callable[[str, bytes], str]) -> str:
    """Return the Markdown of a page with what its blocks print and draw below them.

    ``keep(name, content)`` puts a picture into the site and returns its address from the page. Raises what a block
    raises: a page whose code fails is not built.
    """
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": page}
    number = 0

    def one(found: re.Match[str]) -> str:
        nonlocal number
        code = found[1]
        parts = [f"```python\n{code}```"]
        text, value = run(code, namespace)
        if text.strip():
            parts.append(f"```text\n{text.rstrip()}\n```")
        for file in _pictures(value):
            number += 1
            address = keep(f"{page}-{number}.svg", file.read_bytes())
            parts.append(f"![{html.escape(_title(file))}]({address})")
        if value is not None and not _is_drawing(value) and not _pictures(value):
            table = getattr(value, "_repr_html_", lambda: None)()
            parts.append(f'<div class="output" markdown="0">{_one_line(table)}</div>' if table
                         else f"```text\n{value!r}\n```")
        for figure in map(pyplot.figure, pyplot.get_fignums()):
            number += 1
            stream = io.BytesIO()
            figure.savefig(stream, format="svg", metadata={"Date": None})
            address = keep(f"{page}-{number}.svg", stream.getvalue())
            said = "; ".join(filter(None, (axes.get_title(loc="left") or axes.get_title() for axes in figure.axes)))
            parts.append(f"![{html.escape(said or 'picture drawn by the code above')}]({address})")
        pyplot.close("all")
        return "\n\n".join(parts)

    return BLOCK.sub(one, markdown)


def run(code: str, namespace: dict[str, Any]) -> tuple[str, Any]:
    """Run a block in ``namespace``; return what it printed and the value of its last line, None if it has none."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<block>", "exec"), namespace)
        value = eval(compile(ast.Expression(last.value), "<block>", "eval"), namespace) if last else None
    return printed.getvalue(), value


def _is_drawing(value: Any) -> bool:
    return isinstance(value, Axes) or (isinstance(value, (list, tuple)) and any(map(_is_drawing, value)))


def _pictures(value: Any) -> list[Path]:
    """The pictures among files that a block's last line says it has written."""
    files = value if isinstance(value, list) else []
    return [file for file in files if isinstance(file, Path) and file.suffix == ".svg"]


def _title(picture: Path) -> str:
    found = re.search(r"<title[^>]*>(.*?)</title>", picture.read_text(encoding="utf-8"), re.DOTALL)
    return " ".join(html.unescape(found[1]).split()) if found else "picture drawn by the code above"


def _one_line(table: str) -> str:
    return re.sub(r"\s*\n\s*", " ", table.strip())
