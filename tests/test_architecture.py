"""The rooms of src/did: layers that import-linter holds, no circles, a picture that is as the code, and types."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def check(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", LINT, "--no-cache"], cwd=folder, capture_output=True, text=True,
                          env={"PYTHONPATH": str(folder / "src")})


def test_rooms_use_rooms_below_them_and_there_are_no_circles():
    found = check(ROOT)
    assert found.returncode == 0, found.stdout
    assert "Contracts: 3 kept, 0 broken." in found.stdout


@pytest.mark.parametrize(("room", "line"), [
    ("inference/wild.py", "from did.project import paths"),
    ("readers/numerals.py", "from did.readers import csv_table"),
    ("report/content/facts.py", "from did.report.pages import paper"),
])
def test_an_arrow_that_goes_up_or_round_is_found(tmp_path, room, line):
    shutil.copytree(ROOT / "src/did", tmp_path / "src/did", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "src/did" / room
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    found = check(tmp_path)
    assert found.returncode == 1 and "broken" in found.stdout


def test_only_words_and_errors_are_loose():
    assert {path.name for path in (ROOT / "src/did").glob("*.py")} == {"__init__.py", "words.py", "errors.py"}


def test_no_function_has_more_than_eight_parameters():
    found = []
    for path in sorted((ROOT / "src/did").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                n = len([name for name in names if name not in ("self", "cls")])
                if n > 8:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {n}")
    assert not found, found


def test_the_picture_is_as_the_code():
    spec = importlib.util.spec_from_file_location("draw_rooms", ROOT / "docs/draw_rooms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PICTURE.read_text(encoding="utf-8") == module.drawing(), "run: python docs/draw_rooms.py"


def types_of(folder: Path) -> subprocess.CompletedProcess:
    pytest.importorskip("mypy", reason="mypy is in the extra dev")
    return subprocess.run([sys.executable, "-m", "mypy"], cwd=folder, capture_output=True, text=True)


def test_the_types_of_the_statistics_agree():
    found = types_of(ROOT)
    assert found.returncode == 0, found.stdout + found.stderr


def test_wrong_types_are_found_in_each_room_of_the_statistics(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room, code in {
        "estimators": "def half(number):\n    return number / 2\n",
        "inference": "def half(number: float | None) -> float:\n    return number / 2\n",
        "diagnostics": "def half(number: int) -> int:\n    return number  # type: ignore[operator]\n",
        "api": "def half(number: int) -> str:\n    return number\n",
    }.items():
        (tmp_path / "src/did" / room).mkdir(parents=True)
        for name, text in {"../__init__.py": "", "__init__.py": "", "made.py": code}.items():
            (tmp_path / "src/did" / room / name).write_text(text, encoding="utf-8")
    found = types_of(tmp_path)
    assert found.returncode == 1
    lines = {line.partition(":")[0]: line for line in found.stdout.splitlines() if ": error: " in line}
    assert {Path(path).parent.name: line.rpartition("  [")[2] for path, line in lines.items()} == {
        "estimators": "no-untyped-def]", "inference": "operator]", "diagnostics": "unused-ignore]",
        "api": "return-value]"}
