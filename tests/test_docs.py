"""The docs hold together: links lead somewhere, generated pages are fresh, and commands in them exist and run."""

import doctest
import importlib
import json
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from did.cli import reference_pages
from did.cli.commands import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"(?<!\\)!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]*(?:\([^()]*\))?[^()\s]*)\)")


def prose(text: str) -> str:
    """Markdown without code: links in code are none."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "code", text)


def anchors(text: str) -> set[str]:
    """Anchors of the headings of a page, as GitHub and Python-Markdown make them: a repeated one gets a number."""
    found: dict[str, int] = {}
    body = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", body, flags=re.MULTILINE):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{number}" if number else slug for slug, last in found.items() for number in range(last + 1)}


def dead_links(page: Path) -> list[str]:
    dead = []
    for link in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            dead.append(f"{page.name}: {link}: no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            dead.append(f"{page.name}: {link}: no such heading")
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert dead_links(page) == []


def test_the_checker_finds_dead_links(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n[good](#a-page) [bad](#b) [gone](gone.md) `[code](not.md)`\n```\n[no](no.md)\n```\n")
    assert dead_links(page) == ["page.md: #b: no such heading", "page.md: gone.md: no such file"]


@pytest.mark.parametrize("name", sorted(reference_pages.pages(main)))
def test_generated_pages_are_fresh(name):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == reference_pages.pages(main)[name], "run: did schema --write"


def described(part: dict, where: str) -> list[str]:
    return [f"{where}.{key}" for key, value in part.get("properties", {}).items() if not value.get("description")]


@pytest.mark.parametrize("which", ["evaluation", "indicator", "source"])
def test_every_key_has_a_description(which):
    whole = json.loads(reference_pages.json_schema(which))
    assert described(whole, which) == []
    assert [lost for name, part in whole.get("$defs", {}).items() for lost in described(part, name)] == []


def test_config_files_name_their_schema():
    wanted = {"config/ics.yaml": "evaluation", "config/indicators": "indicator", "config/sources": "source"}
    for place, which in wanted.items():
        path = ROOT / place
        for file in [path] if path.is_file() else path.glob("*.yaml"):
            first = file.read_text(encoding="utf-8").splitlines()[0]
            assert first.startswith("# yaml-language-server: $schema="), file
            assert (file.parent / first.partition("=")[2]).resolve() == ROOT / "config" / "schema" / f"{which}.json"


def commands() -> list[tuple[str, str]]:
    """Every `did` command in a code block of the docs, with the page it is on; lines that continue are joined."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("did ") and not re.search(r"\s{3,}\w", line):
                    found.append((page.name, line))
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_in_the_docs_are_commands(page, line):
    """Each is parsed by the command line itself: its name, arguments and options exist."""
    command, rest = main, shlex.split(line.partition(" >")[0], comments=True)[1:]
    while True:
        context = click.Context(command)
        _, rest, _ = command.make_parser(context).parse_args(list(rest))
        if not isinstance(command, click.Group) or not rest:
            break
        _, command, rest = command.resolve_command(context, rest)


def test_every_page_is_in_the_site():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = {page for entry in settings["nav"] for part in entry.values()
              for page in ([part] if isinstance(part, str) else [name for each in part for name in each.values()])}
    hooks = (ROOT / "docs" / "site_hooks.py").read_text(encoding="utf-8")
    walkthroughs = {f"walkthrough_{path.stem}.md" for path in (ROOT / "notebooks").glob("*.py")}
    assert all(f'"{path.stem}"' in hooks for path in (ROOT / "notebooks").glob("*.py"))
    made = {"reference_python.md", *walkthroughs}  # when the site is built
    assert listed - made == {page.name for page in (ROOT / "docs").glob("*.md")} and made <= listed
    listed -= made
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [name for name in sorted(listed - {"index.md"}) if f"({name})" not in index] == []


def test_rap_boxes_name_files_that_exist():
    boxes = re.findall(r"^- \[[x ]\] (.*?)(?=^- |^##|\Z)", (ROOT / "docs/rap.md").read_text(encoding="utf-8"),
                       flags=re.MULTILINE | re.DOTALL)
    assert len(boxes) == 18
    for box in boxes:
        links = [link for link in LINK.findall(box) if not link.startswith("http")]
        assert links and all((ROOT / "docs" / link.partition("#")[0]).exists() for link in links), box


def test_assumptions_name_specifications_that_exist():
    specifications = yaml.safe_load((ROOT / "config/ics.yaml").read_text(encoding="utf-8"))["specifications"]
    rows = re.findall(r"^\| A\d+ .*\| ([^|]*) \|$", (ROOT / "docs/assumptions.md").read_text(encoding="utf-8"),
                      flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named and named <= set(specifications)


def test_citation_and_licence_agree_with_the_package():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert (str(citation["version"]), citation["license"]) == (project["version"], project["license"])
    assert "MIT License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_page_names_a_path_of_this_machine():
    listed = subprocess.run(["grep", "-rlE", r"/(home|root|work)/", "docs", "README.md", "mkdocs.yml"], cwd=ROOT,
                            capture_output=True, text=True)
    assert listed.stdout == ""


WITH_EXAMPLES = sorted(".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
                       for path in (ROOT / "src" / "did").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_in_docstrings_run_and_give_what_they_show(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0 and found.failed == 0
