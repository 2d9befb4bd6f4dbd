"""A small real evaluation, what disturbs its run, and the count of what became of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from did.authoring import scaffold

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "config/small.yaml"
STOPPED, FINISHED, KILLED, RIGHT = "stopped with one line", "finished right", "killed", "plain re-run right"
# Root may write anywhere unless this power is taken away.
AS_A_USER = (["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else [])


def tried(what: str, outcome: str) -> None:
    """Note what was done and what became of it, a line each, where `report.py` asks for it."""
    place = os.environ.get("DID_FAULT_TRIED")
    if place:
        with open(place, "a", encoding="utf-8") as file:
            file.write(f"{what}\t{outcome}\n")


def make(project: Path) -> Path:
    """The evaluation of `did new`, with fewer draws and estimators, so that it runs in seconds."""
    project.mkdir(parents=True)
    shutil.copy(ROOT / "Snakefile", project)
    scaffold.create("small", project)
    config = project / CONFIG
    text = config.read_text(encoding="utf-8").replace("draws: 999", "draws: 99").replace(
        "estimators: [did, event_study]", "estimators: [did]").replace(
        "[did, event_study, callaway_santanna, sun_abraham, imputation, stacked]", "[did, event_study]")
    config.write_text(text, encoding="utf-8")
    return project


def command(*arguments: str, config: str = CONFIG) -> list[str]:
    return [sys.executable, "-c", "from did.cli.entry import main; main()", "--config", config, *arguments]


def did(project: Path, *arguments: str, before: list[str] = (), config: str = CONFIG) -> subprocess.CompletedProcess:
    """Run `did` in the project's folder, by the command ``before`` if there is one."""
    return subprocess.run([*before, *command(*arguments, config=config)], cwd=project, env=environment(project),
                          capture_output=True, text=True)


def environment(project: Path) -> dict[str, str]:
    """Temporary files alongside the project, where a test can see what a kill leaves."""
    temporary = project.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    return os.environ | {"TMPDIR": str(temporary)}


def contents(project: Path) -> dict[str, str]:
    """Path -> checksum of everything in data/ and results/."""
    return {str(path.relative_to(project)): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in ("data", "results") for path in sorted((project / folder).rglob("*")) if path.is_file()}


def wrong(project: Path, right: dict[str, str]) -> list[str]:
    """Files that are neither those of an undisturbed run nor told by their names to be unfinished."""
    return [name for name, digest in contents(project).items() if digest != right.get(name) and not (
        Path(name).name.startswith(".") and name.endswith(".part") or "/.partial/" in name)]


def one_line(done: subprocess.CompletedProcess, *words: str) -> str:
    """The one error line of a run that stopped, which has all the words."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines and any(all(word in line for word in words) for line in lines), done.stderr
    return lines[0]


def plain_rerun(what: str, project: Path, right: dict[str, str], config: str = CONFIG) -> None:
    """Run once more, and find the bytes of an undisturbed run and nothing else."""
    done = did(project, "run", config=config)
    assert done.returncode == 0, f"{what}: {done.stdout}{done.stderr}"
    found = contents(project)
    assert found == right, (what, [name for name in {**found, **right} if found.get(name) != right.get(name)])
    tried(what, RIGHT)


def start(project: Path, config: str = CONFIG, before: list[str] = ()) -> subprocess.Popen:
    """Start a run in a process group of its own."""
    return subprocess.Popen([*before, *command("run", config=config)], cwd=project, env=environment(project),
                            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(process: subprocess.Popen) -> bool:
    """Kill the whole group without warning; False if the run had ended before."""
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    while _alive(process.pid):
        time.sleep(0.01)
    return True


def _alive(group: int) -> bool:
    """Whether a process of the group still runs. A dead one may wait for its new parent as long as that likes."""
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, number = place.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(number) == group and state != "Z":
            return True
    return False


def wait_for_writing(process: subprocess.Popen, project: Path, number: int) -> None:
    """Return when the ``number``-th temporary file is seen in the project, or the run has ended."""
    seen: set[str] = set()
    while process.poll() is None and len(seen) < number:
        for folder, _, names in os.walk(project):
            seen |= {f"{folder}/{name}" for name in names if name.endswith(".part")}
        time.sleep(0.002)


def flip(path: Path, place: int, bit: int = 0) -> None:
    """Change one bit of a file and keep its times, as a failing disk would."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
