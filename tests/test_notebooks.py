"""The walkthroughs of notebooks/, run as the site runs them: what is known of their subject comes out, and pictures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from did.simulate.panels import panel
from did.store import tables

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import run_code  # noqa: E402


def walkthrough(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> tuple[str, list[bytes]]:
    """Run one walkthrough as a page of the site in ``folder``; return the page and its pictures."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    pictures: list[bytes] = []

    def keep(file: str, content: bytes) -> str:
        pictures.append(content)
        return file

    script = (ROOT / "notebooks" / f"{name}.py").read_text(encoding="utf-8")
    return run_code.shown(run_code.of_notebook(script), name, keep), pictures


def test_the_ics_answer_is_told_from_the_panel_of_a_run(tmp_path, monkeypatch):
    made, _ = panel(24, 24, {14: 4}, 2.0, seed=1, frequency="M", first="2016-04", units_per_system=2, intensity=(7, 32))
    file = tmp_path / "data" / "processed" / "panel" / "dtoc_total.parquet"
    tables.write("panel", made.assign(indicator="dtoc_total"), file)
    page, pictures = walkthrough("ics_result", monkeypatch, tmp_path, "data")
    assert page.startswith("# The ICS answer") and "24 units x 24 periods" in page and "4 treated" in page
    assert len(pictures) == 3 and all(each.startswith(b"<?xml") for each in pictures)
    # Made-up figures are called so in the table, and in every picture that has the outcome on an axis.
    assert "delayed days (SYNTHETIC: made up)" in page


def test_without_a_run_the_answer_says_to_make_one(tmp_path):
    done = subprocess.run([sys.executable, str(ROOT / "notebooks" / "ics_result.py")], cwd=tmp_path, text=True,
                          capture_output=True)
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "did run ics --data demo" in done.stderr


def test_a_panel_of_ones_own_goes_from_a_frame_to_the_evidence(tmp_path, monkeypatch):
    page, pictures = walkthrough("your_own_panel", monkeypatch, tmp_path)
    assert len(pictures) == 3
    # Effects of 3 are planted: each of the three intervals holds it.
    intervals = re.findall(r"^(?:default|randomisation|wild_bootstrap) +(\S+) to (\S+)$", page, flags=re.MULTILINE)
    assert len(intervals) == 3 and all(float(low) < 3 < float(high) for low, high in intervals)
    assert "the sign is kept in 9 of 9" in page


def test_the_published_decomposition_is_reproduced(tmp_path, monkeypatch):
    page, pictures = walkthrough("reproduce_a_published_table", monkeypatch, tmp_path)
    assert "7 of 7 numbers reproduced" in page and len(pictures) == 2


def test_the_gallery_has_a_picture_for_each_call():
    names = []
    page = run_code.shown((ROOT / "docs" / "gallery.md").read_text(encoding="utf-8"), "gallery",
                          lambda name, content: names.append(name) or name)
    n_blocks = len(run_code.BLOCK.findall((ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")))
    assert len(names) == n_blocks - 1 and page.count("![") == len(names)   # the first makes the panel
    assert "![SYNTHETIC: Visits to the clinics]" in page


def test_a_block_that_fails_stops_the_page_and_pictures_are_the_same_twice():
    with pytest.raises(ZeroDivisionError):
        run_code.shown("```python show\n1 / 0\n```\n", "page", lambda name, content: name)
    code = "from matplotlib import pyplot\npyplot.plot([1, 2])[0].axes.set_title('T', loc='left')"
    drawing = f"```python show\n{code}\n```"
    made = []
    for _ in range(2):
        page = run_code.shown(drawing, "page", lambda name, content: made.append(content) or name)
    assert page.endswith("![T](page-1.svg)") and made[0] == made[1]
    assert run_code.shown("```python\n1 / 0\n```", "page", str) == "```python\n1 / 0\n```"  # not asked to be shown
