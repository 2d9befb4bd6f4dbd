"""Start Snakemake in the current folder: one run at a time, on this machine or by a profile on a cluster."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import functools
import importlib
import importlib.util
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from did.errors import DidError, printable
from did.project import shipped
from did.workflow import job_server

if TYPE_CHECKING:
    from snakemake.io import _IOFile
    from snakemake.scheduling.job_scheduler import JobScheduler

CORES = 2
LET_GO = 1.0   # seconds in which a run that was killed has let go of its folder
LOCAL = "local"
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# What Snakemake looks for in a profile's folder, the first that is there.
PROFILE_FILES = ("config.v9+.yaml", "config.v8+.yaml", "config.yaml")
PACKED = "packed"
# What a shell reads as more than a word, but for the quotes.
NOT_PLAIN = frozenset("|&;<>()$`*?[]#~{}\n")
REMOTE = "DID_REMOTE"  # tells the log that a job's own words are not on this screen


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the current folder for as long as the block lasts; the hold ends with the process, however it ends.

    Raises DidError if another run holds the folder, and goes on to: one that was killed takes a moment to let go.
    """
    hold = Path(".snakemake") / "did_run.hold"
    hold.parent.mkdir(exist_ok=True)
    until = time.monotonic() + LET_GO
    with open(hold, "w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise DidError(f"{Path.cwd()}: another run is at work in this folder; wait until it ends"
                                   ) from error
                time.sleep(0.05)
        yield


def tell(text: str, output: str) -> None:
    """Say something that is not an error, in the way ``output`` asks for, as of `did.workflow.run.run`; nothing where
    nobody reads any more."""
    text = printable(text)
    with contextlib.suppress(BrokenPipeError):
        if output == "json":
            print(json.dumps({"event": "note", "message": text}, ensure_ascii=False), flush=True)
        elif output != "quiet":
            print(text, file=sys.stderr, flush=True)


def executor_of(profile: str | None) -> str:
    """Return the executor that the Snakemake profile folder ``profile`` names; "local" without one.

    Raises DidError for a folder that is not there or holds no profile, a profile that cannot be read, and an executor
    that cannot be used here: its plugin is not installed, Slurm's commands are not on PATH or its controller is silent.
    """
    if profile is None:
        return LOCAL
    found = next((path for name in PROFILE_FILES if (path := Path(profile) / name).is_file()), None)
    if found is None:
        raise DidError(f"--profile {profile}: expected a folder with a Snakemake profile ({PROFILE_FILES[-1]}); found "
                       f"{'none in it' if Path(profile).is_dir() else 'no such folder'}; {_those_here()}")
    executor = _read_executor(found)
    if executor == LOCAL:
        return executor
    if importlib.util.find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}") is None:
        extra = {"slurm": "'ics-did[cluster]'", "kubernetes": "'ics-did[kubernetes]'"}
        raise DidError(f"{found}: executor: {executor}: expected Snakemake's plugin for it; found that it is not "
                       f"installed; pip install {extra.get(executor, f'snakemake-executor-plugin-{executor}')}")
    if executor == "slurm":
        _check_slurm(found)
    return executor


def packed(settings: Mapping[str, str]) -> str:
    """Return the workflow's settings as one word of letters, digits, ``-`` and ``_``.

    Snakemake reads a value of ``--config`` as YAML, without the quotes around it, and on a cluster puts it into shell
    lines: a path with spaces, quotes or ``$`` would not come through as it is.
    """
    return base64.urlsafe_b64encode(json.dumps(settings).encode()).decode().rstrip("=")


def unpacked(config: Mapping[str, str]) -> Mapping[str, str]:
    """Return the settings in Snakemake's ``config``: those `packed`, else as given by hand (``evaluation=FILE``)."""
    if PACKED not in config:
        return config
    word = config[PACKED]
    return json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))


@contextlib.contextmanager
def workflow(config: str = "", *, profile: str | None, output: str) -> Iterator[Callable[..., bool]]:
    """Make ready for Snakemake in the current folder; the block is given the function that starts it.

    ``profile`` is a Snakemake profile folder, here or shipped with the package, ``output`` as of
    `did.workflow.run.run`. On this machine, a server for the jobs of the evaluation ``config`` starts at once and
    imports while the block still looks at what there is to do.

    The function takes the ``snakefile``; ``settings``, the workflow's config; ``cores``, the number of jobs at a time
    (None leaves it to the profile, and without one means 2); ``again``, files to make though they are there and up
    to date; and ``meanwhile``, a module to import while Snakemake is at work. It does what is missing or out of date
    and returns True if all is done.

    Raises DidError as `executor_of`; the function, where a signal ended Snakemake.
    """
    if profile and not Path(profile).is_dir() and (shipped.folder() / profile).is_dir():
        profile = str(shipped.folder() / profile)
    executor = executor_of(profile)
    # The console script of this environment must be the one that the rules call.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    # One thread a job: jobs run side by side, and sums come out in the same order on every machine. Here too, before
    # anything starts threads: this process forks.
    os.environ.update(ONE_THREAD)
    environment = os.environ | {"PATH": path, "DID_OUTPUT": output}
    # No server for a cluster: its jobs would run in this process's place and not in the queue's allocation.
    served = (job_server.server(environment, config) if executor == LOCAL
              else contextlib.nullcontext(environment | {REMOTE: executor}))
    with served as environment:
        yield functools.partial(_snakemake, executor, profile, environment)


def _snakemake(executor: str, profile: str | None, environment: Mapping[str, str], snakefile: Path,
               settings: Mapping[str, str], *, cores: int | None, again: Sequence[str] = (),
               meanwhile: str = "did") -> bool:
    """Run Snakemake in a fork of this process, which has imported half of it already; see `workflow`."""
    arguments = [
        "--snakefile", str(snakefile), "--directory", ".", "--nolock",
        # A killed run is taken up again; stages write whole files or none, so what is there may be kept; one
        # failed step does not stop those that do not need it.
        "--rerun-incomplete", "--keep-incomplete", "--keep-going",
        *(["--profile", profile] if profile else []), "--workflow-profile", "none", "--logger", "did",
        "--config", f"{PACKED}={packed(settings if executor == LOCAL else {**settings, 'cluster': 'yes'})}",
        # Jobs in the order of their priority; the other scheduler starts a solver of linear programs to choose some.
        *(["--scheduler", "greedy"] if executor == LOCAL else []),
    ]
    if again:
        arguments += ["--forcerun", *again]
    if cores or not profile:
        # Jobs at a time are cores here, and jobs of the queue on a cluster.
        arguments += ["--cores" if executor == LOCAL else "--jobs", str(cores or CORES)]
    sys.stdout.flush()
    sys.stderr.flush()
    parent, process = os.getpid(), os.fork()
    if process == 0:
        end_with(parent)
        _in_fork(arguments, environment, at_once=executor == LOCAL)
    code = _wait(process, meanwhile)
    if code < 0:
        why = "perhaps for want of memory; " if -code == signal.SIGKILL else ""
        raise DidError(f"the workflow: expected Snakemake to end by itself; found that signal {-code} ended it; {why}"
                       "run again: what is done is kept")
    return code == 0


def end_with(parent: int) -> None:
    """Have this process asked to end once ``parent`` is gone, so that it does not hold the folder alone."""
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _in_fork(arguments: list[str], environment: Mapping[str, str], *, at_once: bool) -> NoReturn:
    """Be Snakemake, and end as it ends; ``at_once`` by the server for jobs, and without a limit to the jobs that start
    in a second."""
    code = 1
    try:
        os.environ.update(environment)
        from snakemake.cli import args_to_api, parse_args
        from snakemake.io import _IOFile
        from snakemake.scheduling.job_scheduler import JobScheduler

        end_apart(JobScheduler)
        check_once(_IOFile)
        parser, settings = parse_args(arguments)
        if at_once:
            # A name of the package is the class, not the module.
            commands = importlib.import_module("snakemake.shell")
            commands.shell = through_server(commands.shell)
            # With a limit, each look for jobs to start leaves a timer that looks again every second: after n jobs the
            # scheduler looks n times a second, which takes more of a processor than most jobs.
            settings.max_jobs_per_timespan = None
        code = 0 if args_to_api(settings, parser) else 1
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        pass   # reported by the process that waits for this one
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def end_apart(scheduler: type[JobScheduler]) -> None:
    """Let a request to end be dealt with in a thread of its own: the scheduler's handler takes a lock, and waits for
    ever if the signal comes while the main thread, which it interrupts, holds it."""
    asked = scheduler.exit_gracefully

    def apart(self: JobScheduler, *_: object) -> None:
        threading.Thread(target=asked, args=(self,), daemon=True).start()

    scheduler.exit_gracefully = apart


def check_once(file: type[_IOFile]) -> None:
    """Let the checksum of a file be taken once for as long as its size and time stay: Snakemake takes those of all
    inputs of a job again for each of its outputs, a quarter of its processor time."""
    taken, known = file.checksum, {}

    async def once(self: _IOFile, *about: Any, **more: Any) -> str | None:
        try:
            seen = os.stat(self.file)
        except OSError:
            return await taken(self, *about, **more)
        key = self.file, seen.st_size, seen.st_mtime_ns, about, *more.items()
        if key not in known:
            known[key] = await taken(self, *about, **more)
        return known[key]

    file.checksum = once


def through_server(shell: type) -> type:
    """Return Snakemake's ``shell`` with the commands of rules given to the server for jobs by the thread that runs the
    rule: a shell, and an interpreter in it, take longer to start than many a job takes.

    What is not a plain `did` command, or finds no server, goes to a shell as ever.
    """
    class Served(shell):
        def __new__(cls, command: str, *args: Any, **about: Any) -> Any:
            from snakemake.utils import format as filled_in

            command = filled_in(command, *args, stepout=2, **about)
            name, *arguments = [command] if NOT_PLAIN.intersection(command) else shlex.split(command)
            code = job_server.hand_over(arguments) if name == "did" else None
            if code is None:
                return shell(command.replace("{", "{{").replace("}", "}}"))
            if code:
                raise subprocess.CalledProcessError(code, command)

    return Served


def _wait(process: int, meanwhile: str) -> int:
    """Import ``meanwhile`` and return the exit code of Snakemake's process, which is told of a SIGTERM and then ends
    what it has begun.

    After a Ctrl-C, which it got too, it is let take its jobs out of the queue first.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: os.kill(process, signal.SIGTERM))
    try:
        importlib.import_module(meanwhile)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    except KeyboardInterrupt:
        with contextlib.suppress(ChildProcessError):   # it may have ended at the same moment
            os.waitpid(process, 0)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _read_executor(path: Path) -> str:
    from pydantic import BaseModel, ConfigDict

    from did.project.yaml_files import read

    class Profile(BaseModel):
        model_config = ConfigDict(extra="allow")
        executor: str = LOCAL

    return read(path, Profile).executor


def _those_here() -> str:
    there = sorted(str(path.parent) for path in Path("profiles").glob("*/config*.yaml"))
    return f"give one of {', '.join(there)}" if there else "correct the path"


def _check_slurm(path: Path) -> None:
    if shutil.which("sbatch") is None:
        raise DidError(f"{path}: executor: slurm: expected Slurm's command sbatch on PATH; found none; run this on a "
                       "login node of the cluster, after its 'module load' if it has one")
    # Without an answer every job would wait, fail and be tried no more.
    asked = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, check=False)
    if asked.returncode:
        said = asked.stderr.strip().splitlines() or ["no answer"]
        raise DidError(f"{path}: executor: slurm: expected an answer of the cluster's controller; found: {said[0]}; "
                       "ask sinfo the same, and the cluster's support")
