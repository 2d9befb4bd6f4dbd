"""A warm start for the jobs of a local run: one process imports the heavy packages and forks workers for the jobs.

Importing pandas, statsmodels and matplotlib costs a second or two, more than most jobs do. `did run` starts this
server alongside Snakemake and hands it the `did` commands of the rules, with its standard streams; a `did` that a shell
calls finds it by an environment variable and does the same. Without a server, as by hand or on a cluster, the same
command runs in its own process.

A worker whose job went well waits for another, as a fork pays again for every page of memory that its job touches:
8% of the processor time of a run. One whose job failed ends with it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import NoReturn

VARIABLE = "DID_JOB_SERVER"
INTERRUPTED = 128 + signal.SIGINT   # as a shell has it
LONGEST = 80   # bytes of the folder for temporary files, for an address in it to be taken
# Of glibc. Arrays of some MB come and go; without these each is requested from the system, and given back, page by
# page.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**27), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
MOST = 2**20   # KB of memory that a worker has held at most to be used again
# In the order they are asked for; among them what libraries import when they are first used, not when imported.
PRELOAD = ["did.cli.commands", "did.stages.fetch", "did.stages.observe", "did.project.checks", "pyarrow.parquet",
           "pyarrow.dataset", "did.stages.align", "did.areas.succession", "pandera.backends.pandas.container",
           "pandera.backends.pandas.builtin_checks", "pandera.backends.pandas.register",
           "pandera.backends.pandas.builtin_hypotheses", "pandera.accessors.pandas_accessor", "pandera.api.geopandas",
           "pandas.core.arrays.arrow.extension_types", "did.estimators.did", "scipy.stats", "did.stages.fit",
           "did.estimators.imputation", "did.estimators.sun_abraham", "did.estimators.stacked", "did.estimators.etwfe",
           "did.estimators.ldv_ridge", "did.estimators.rolling", "did.stages.specify", "did.stages.diagnose",
           "pandas.core.methods.to_dict", "did.project.slices",
           "did.stages.compare", "did.stages.check", "statsmodels.regression.linear_model", "linearmodels.panel",
           "did.stages.judge", "did.stages.calibrate", "did.stages.adjust", "did.stages.reproduce",
           "did.stages.draw", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg",
           "PIL.JpegImagePlugin", "did.stages.family", "did.stages.tabulate", "did.stages.workbook", "xlsxwriter",
           "did.stages.report", "did.report.pages.ready", "did.stages.manifest"]


def hand_over(arguments: list[str]) -> int | None:
    """Run ``arguments`` by the server that the environment names and return the exit code.

    Returns None if there is no server to ask, or if it ended before it took the request. A job that ends without an
    exit code (killed, out of memory) is reported on standard error and counts as failed.
    """
    address = os.environ.get(VARIABLE)
    if not address:
        return None
    request = json.dumps({"arguments": arguments, "folder": os.getcwd()}).encode()
    message = len(request).to_bytes(4, "big") + request
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            sent = socket.send_fds(connection, [message], [0, 1, 2])
            if sent < len(message):   # to send nothing is an error too where a job has ended by now
                connection.sendall(message[sent:])
            answer = connection.recv(1)
    except OSError:   # a request that was read ends in an answer or the end of the stream, one that was not in an error
        return None
    if not answer:
        print(f"error: did {' '.join(arguments)}: the job ended without an exit code; it was killed, perhaps for want "
              "of memory; run again", file=sys.stderr)
        return 1
    return answer[0]


@contextlib.contextmanager
def server(environment: dict[str, str], config: str = "") -> Iterator[dict[str, str]]:
    """Start a server for as long as the block lasts; yield ``environment`` with the variable that names it.

    ``config`` is the evaluation that the jobs work on: it is read once, and a job reads only what has changed since.
    """
    # Imported here: a process that only hands over goes without.
    import subprocess
    import tempfile

    # An address has some hundred bytes at most.
    short = min(tempfile.gettempdir(), "/tmp", key=lambda place: (len(os.fsencode(place)) > LONGEST, place == "/tmp"))
    with tempfile.TemporaryDirectory(prefix="did-", dir=short) as folder:
        address = os.path.join(folder, "socket")
        # A Ctrl-C is held back until `serve` ignores it: the start of its interpreter would answer with a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen([sys.executable, "-m", "did.cli.serve_jobs", address, str(os.getpid()), config],
                                       env=environment | MEMORY, stdin=subprocess.DEVNULL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            yield environment | {VARIABLE: address}
        finally:
            process.terminate()
            process.wait()


def serve(run: Callable[[list[str]], None], address: str, parent: int, config: str = "") -> None:
    """Import what jobs need and read their config; have workers do the jobs until the process ``parent`` is gone.

    ``run`` is the command line, called with a job's arguments in a worker.

    The first jobs come before all is imported, and are served in between: what they lack they import themselves.
    """
    import importlib

    gc.disable()   # to import makes objects by the hundred thousand and no garbage
    from did.errors import DidError
    from did.project.claims import load_claims
    from did.project.loading import load_evaluation, load_indicator
    from did.store.provenance import versions

    geographies: dict[str, str] = {}
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    workers = _Workers(listener, run)
    signal.signal(signal.SIGINT, signal.SIG_IGN)   # it ends with the process that started it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the system: their answer is the exit code
    if config:
        with contextlib.suppress(DidError):   # each job says what is wrong with it
            evaluation = load_evaluation(config)
            geographies = {load_indicator(name, evaluation.indicators_folder).geography: evaluation.reference
                           for name in evaluation.indicators}
            load_claims(evaluation.published)
    for name in PRELOAD:
        if os.getppid() != parent:
            return
        importlib.import_module(name)
        workers.serve()
    for name, reference in geographies.items():
        with contextlib.suppress(DidError):
            # Where every code lies is worked out when first asked for, and then kept.
            _ = importlib.import_module("did.areas.geography").load(name, reference).unit_of
        workers.serve()
    versions()   # looked up once for all jobs
    importlib.import_module("scipy.stats").qmc.Sobol(1)   # its table of directions is read when it is first used
    while os.getppid() == parent:
        workers.serve(wait=1.0, again=True)


class _Workers:
    """Forks of this process that do what comes in on ``listener``, one job at a time."""

    def __init__(self, listener: socket.socket, run: Callable[[list[str]], None]) -> None:
        self.listener, self.run = listener, run
        self.busy: set[socket.socket] = set()   # the lines to them, on which a worker says that it waits
        self.idle: list[socket.socket] = []

    def serve(self, *, wait: float = 0.0, again: bool = False) -> None:
        """Give what comes in within ``wait`` seconds to a worker that waits, or to a new one; ``again`` says whether
        new ones are used again."""
        # In this order: one that has just done its job takes what comes next.
        for line in select.select([*self.busy, *self.idle, self.listener], [], [], wait)[0]:
            if line is self.listener:
                with line.accept()[0] as connection:
                    self._give(connection, again)
            elif _said(line):
                self.busy.remove(line)
                self.idle.append(line)
            else:   # it has ended
                self.busy.discard(line)
                if line in self.idle:
                    self.idle.remove(line)
                line.close()

    def _give(self, connection: socket.socket, again: bool) -> None:
        while self.idle:
            line = self.idle.pop()
            with contextlib.suppress(OSError):   # it has ended just now
                socket.send_fds(line, [b"j"], [connection.fileno()])
                self.busy.add(line)
                return
            line.close()
        # What is there by now is never garbage: without this a worker's collector goes, and writes, through all of it.
        gc.freeze()
        line, its = socket.socketpair()
        with its, contextlib.suppress(OSError):   # no more processes are allowed: the job runs where it was asked for
            if os.fork() == 0:
                try:
                    for other in (self.listener, line, *self.busy, *self.idle):
                        other.close()
                    _work(connection, self.run, its if again else None)
                finally:   # whatever went wrong, a worker must never go on as a second server
                    os._exit(1)
            self.busy.add(line)
            return
        line.close()


def _said(line: socket.socket) -> bytes:
    """What came in on a line to a worker; nothing where the worker has ended."""
    try:
        return line.recv(1)
    except OSError:
        return b""


def _work(connection: socket.socket, run: Callable[[list[str]], None], line: socket.socket | None) -> NoReturn:
    """Do the job that ``connection`` asks for, then those that come in on ``line``, until one fails; end."""
    gc.enable()
    while True:
        with connection:
            _job(connection, run)
            ends = line is None or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MOST
            with contextlib.suppress(OSError):   # the server is gone, or who asked
                if not ends:
                    line.send(b"w")   # before the answer, which may bring the next job at once
                connection.send(b"\0")
        if ends:
            os._exit(0)
        try:
            _, (given,), *_ = socket.recv_fds(line, 1, 1)
        except (OSError, ValueError):   # the server is gone
            os._exit(0)
        connection = socket.socket(fileno=given)


def _job(connection: socket.socket, run: Callable[[list[str]], None]) -> None:
    """Take one request and run it on the caller's standard streams; unless its exit code is 0, answer with it and end
    this process."""
    def end(code: int) -> NoReturn:
        with contextlib.suppress(OSError):   # who asked is gone
            connection.send(bytes([code & 255]))
        os._exit(code)

    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, lambda *_: end(INTERRUPTED))
        received, streams, *_ = socket.recv_fds(connection, 65536, 3)
        length = int.from_bytes(received[:4], "big")
        while len(received) < length + 4 and (more := connection.recv(65536)):
            received += more
        request = json.loads(received[4:])
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(request["folder"])

        with warnings.catch_warnings():   # which warns of a thing again, though a job before did
            run(request["arguments"])
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    finally:
        unsaid = True
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            unsaid = False
        finally:   # whoever reads them may be gone
            if code or unsaid:
                end(code)
    # Let go of the streams before the answer: who asked may read them to their end.
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.close(nothing)
