"""A warm start for the jobs of a local run: one process imports the heavy packages and forks for every job.

Importing pandas, statsmodels and matplotlib costs a second or two, more than most jobs do. `did run` starts this
server alongside Snakemake and hands it the `did` commands of the rules, with its standard streams; a `did` that a shell
calls finds it by an environment variable and does the same. Without a server, as by hand or on a cluster, the same
command runs in its own process. Nothing is shared between jobs: each is a fresh fork.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

VARIABLE = "DID_JOB_SERVER"
INTERRUPTED = 128 + signal.SIGINT   # as a shell has it
LONGEST = 80   # bytes of the folder for temporary files, for an address in it to be taken
# Of glibc. Arrays of some MB come and go; without these each is requested from the system, and given back, page by
# page.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**27), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
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
    """Import what jobs need and read their config; fork for every connection until the process ``parent`` is gone.

    ``run`` is the command line, called with a job's arguments in its fork.

    The first jobs come before all is imported, and are served in between: what they lack they import themselves.
    """
    import importlib

    from did.errors import DidError
    from did.project.claims import load_claims
    from did.project.loading import load_evaluation, load_indicator
    from did.store.provenance import versions

    geographies: dict[str, str] = {}
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    listener.settimeout(0.0)
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
        _answer(listener, run)
    for name, reference in geographies.items():
        with contextlib.suppress(DidError):
            # Where every code lies is worked out when first asked for, and then kept.
            _ = importlib.import_module("did.areas.geography").load(name, reference).unit_of
        _answer(listener, run)
    versions()   # looked up once for all jobs
    importlib.import_module("scipy.stats").qmc.Sobol(1)   # its table of directions is read when it is first used
    listener.settimeout(1.0)
    while os.getppid() == parent:
        _answer(listener, run)


def _answer(listener: socket.socket, run: Callable[[list[str]], None]) -> None:
    """Fork for the next connection, if there is one in time."""
    try:
        connection, _ = listener.accept()
    except (TimeoutError, BlockingIOError):
        return
    # What is there by now is never garbage: without this each job's collector goes, and writes, through all of it.
    gc.freeze()
    with contextlib.suppress(OSError):   # no more processes are allowed: the job runs where it was asked for
        if os.fork() == 0:
            listener.close()
            _job(connection, run)
    connection.close()


def _job(connection: socket.socket, run: Callable[[list[str]], None]) -> None:
    """Take one request, run it on the caller's standard streams, answer with its exit code and end."""
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

        run(request["arguments"])
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:   # whoever reads them may be gone, and a job must never go on as a second server
            end(code)
