"""A real Slurm of one node on this machine for as long as a block lasts: munged, slurmctld and slurmd, no systemd.

Nothing outside a temporary folder is read or written, all listens on 127.0.0.1, and a daemon dies with its parent.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CPUS = 2
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # where Debian puts the daemons, also when sbin is not on PATH


@contextlib.contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Yield the environment in which Slurm's commands reach the cluster; when the block ends no process is left."""
    # A test run that is told to stop takes its jobs and daemons with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, contextlib.ExitStack() as daemons:
        folder = Path(name)
        folder.chmod(0o755)  # munge wants its socket in a place that everyone may enter
        _configure(folder)
        environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        environment["PATH"] = os.pathsep.join([str(_with_configuration(folder)), environment["PATH"], PATH])
        start = _Daemons(folder, environment, daemons)
        start("munged", "--foreground", "--force", f"--key-file={folder / 'munge.key'}",
              f"--socket={folder / 'munge.socket'}", f"--pid-file={folder / 'munge.pid'}",
              f"--log-file={folder / 'munge.log'}", f"--seed-file={folder / 'munge.seed'}")
        _wait(lambda: (folder / "munge.socket").exists(), "munged", folder)
        start("slurmctld", "-D")
        start("slurmd", "-D", "-N", socket.gethostname())
        daemons.callback(_cancel_all, environment)
        _wait(lambda: _said(environment, "sinfo", "--noheader", "--format=%t") == "idle", "an idle node", folder)
        yield environment


class _Daemons:
    """Starts daemons in the foreground, so that each is a child that can be ended and waited for."""

    def __init__(self, folder: Path, environment: dict[str, str], stack: contextlib.ExitStack) -> None:
        self.folder, self.environment, self.stack = folder, environment, stack

    def __call__(self, *command: str) -> None:
        with open(self.folder / f"{command[0]}.out", "wb") as out:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], env=self.environment,
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        self.stack.callback(_end, process)


def _configure(folder: Path) -> None:
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host, user = socket.gethostname(), _said(None, "id", "-un")
    controller, node = _free_ports(2)
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    (folder / "slurm.conf").write_text(f"""\
ClusterName=loop
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MinJobAge=3600
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 Port={node} CPUs={CPUS} RealMemory={megabytes} State=UNKNOWN
PartitionName=local Nodes={host} Default=YES MaxTime=INFINITE State=UP
""")


def _with_configuration(folder: Path) -> Path:
    """A folder with an srun that finds this cluster: Snakemake's jobs take SLURM_CONF out of its environment."""
    programs = folder / "bin"
    programs.mkdir()
    script = programs / "srun"
    script.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun", path=PATH)} "$@"\n')
    script.chmod(0o755)
    return programs


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _said(environment: dict[str, str] | None, *command: str) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()


def _wait(ready, what: str, folder: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            logs = "".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}\n"
                           for path in sorted([*folder.glob("*.log"), *folder.glob("*.out")]))
            raise RuntimeError(f"no {what} within {seconds:.0f} s\n{logs}")
        time.sleep(0.2)


def _cancel_all(environment: dict[str, str]) -> None:
    """Jobs are no children of the daemons' parent: they must be gone before slurmd is."""
    subprocess.run(["scancel", "--full", "--user", _said(None, "id", "-un")], env=environment, capture_output=True,
                   check=False)
    end = time.monotonic() + 30
    while _said(environment, "squeue", "--noheader") and time.monotonic() < end:
        time.sleep(0.2)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
