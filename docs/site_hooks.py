"""What the site adds to the pages: walkthroughs, the reference of `import did`, code that runs, formulas as MathML."""

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

import run_code  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
# Links from the docs to files alongside them (README, config, source) are given as text: the site holds the docs alone.
OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./[^)]*\)")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
WALKTHROUGHS = ("ics_result", "your_own_panel", "reproduce_a_published_table")


def on_files(files: Files, config, **_) -> Files:
    """Add a page for each walkthrough of notebooks/, and the reference of the public names."""
    for name in WALKTHROUGHS:
        script = (ROOT / "notebooks" / f"{name}.py").read_text(encoding="utf-8")
        files.append(File.generated(config, f"walkthrough_{name}.md", content=run_code.of_notebook(script)))
    files.append(File.generated(config, "reference_python.md", content=reference()))
    return files


def demonstration() -> Path:
    """Return the folder of made-up tables that the walkthrough of the ICS answer reads; made once, in build/docs."""
    folder = ROOT / "build" / "docs"
    if not (folder / "data/demo/processed/panel/dtoc_total.parquet").is_file():
        for part in ("config", "data/reference"):
            shutil.copytree(ROOT / part, folder / part, dirs_exist_ok=True)
        sources = ("nhs_england_dtoc", "nhs_england_dtoc_2020", "ons_population")
        stages = [(stage, source) for source in sources for stage in ("fetch", "observe")]
        for stage, name in [*stages, ("align", "dtoc_total")]:
            program = [sys.executable, "-c", "from did.cli.entry import main; main()", stage, name, "--data", "demo"]
            subprocess.run(program, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "data" / "demo"


def reference() -> str:
    """Return the page of the public names, by what they are, each from its docstring."""
    from did.api.findings import DIAGNOSTICS
    from did.api.names import FIXED
    from did.estimators import entries

    errors = [name for name in FIXED if name.endswith("Error")]
    groups = {"Panels, fits and comparisons": [name for name in FIXED if name not in errors],
              "Estimators": list(entries()), "Checks of a panel": list(DIAGNOSTICS), "Errors": errors}
    parts = ["# Reference of `import did`\n\nEvery public name, from its docstring. The examples are run by the tests."]
    for title, names in groups.items():
        parts.append(f"## {title}")
        # Functions made of a registration are there only once the package is imported.
        parts += [f"::: {FIXED[name].__module__}.{name}" if name in FIXED else
                  f"::: did.{name}\n    options:\n      force_inspection: true" for name in names]
    return "\n\n".join(parts) + "\n"


def on_page_markdown(markdown: str, page, config, files: Files, **_) -> str:
    """Return the page with links that lead out of docs/ replaced by their text, and its code run."""
    def keep(name: str, content: bytes) -> str:
        files.append(File.generated(config, f"pictures/{name}", content=content))
        return f"pictures/{name}"

    if page.file.src_uri == "walkthrough_ics_result.md":
        sys.argv = [page.file.src_uri, str(demonstration())]
    return run_code.shown(OUTSIDE.sub(r"\1", markdown), Path(page.file.src_uri).stem, keep)


def on_post_build(config, **_) -> None:
    """Refuse a site with a page that would ask another machine for something, or with a formula left as it was."""
    asks = re.compile(r'<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="(?:https?:)?//[^"]*')
    for page in sorted(Path(config.site_dir).rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        found = asks.search(text) or FORMULA.search(text)
        if found:
            raise PluginError(f"{page.name}: expected nothing from other machines and no formula as text; found "
                              f"{found[0][:200]}")


def on_page_content(content: str, **_) -> str:
    """Return the page with its formulas as MathML, which browsers typeset without a network."""
    def typeset(found: re.Match[str]) -> str:
        return convert(html.unescape(found[2]).strip(), display="block" if found[1] == "div" else "inline")

    return FORMULA.sub(typeset, content)
