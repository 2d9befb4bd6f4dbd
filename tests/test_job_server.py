"""The server for jobs: what a job does when its server is gone, and which worker does it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from did.workflow import job_server
from did.workflow.launch import through_server


def _read_all(connection: socket.socket) -> None:
    """Take the request, its streams included, and end without an answer, as a job does that is killed."""
    received, streams, *_ = socket.recv_fds(connection, 65536, 3)
    while len(received) < 4 + int.from_bytes(received[:4], "big"):   # it may come in parts
        received += connection.recv(65536)
    for stream in streams:
        socket.close(stream)


@pytest.mark.parametrize(("served", "code"), [
    (lambda listener: listener.accept()[0].close(), None),      # it dies with the request unread
    (lambda listener: listener.close(), None),                  # or before it takes the connection
    (lambda listener: _read_all(listener.accept()[0]), 1),      # the job itself died: not run twice
], ids=["unread", "not accepted", "killed job"])
def test_a_job_runs_by_itself_only_if_its_server_has_not_begun_it(tmp_path, monkeypatch, capsys, served, code):
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        monkeypatch.setenv(job_server.VARIABLE, address)
        found = []
        asking = threading.Thread(target=lambda: found.append(job_server.hand_over(["draw", "x" * 10_000])))
        asking.start()
        served(listener)
        asking.join(timeout=20)
    assert found == [code]
    assert ("ended without an exit code" in capsys.readouterr().err) == (code == 1)


def _answered(tmp_path, monkeypatch, run: Callable[[list[str]], None], ask: Callable[[], object],
              after: Callable[[int], None] = lambda job: None) -> object:
    """What ``ask`` returns or raises where its one job is ``run`` in a fork; ``after`` is given the fork's number."""
    address, found = str(tmp_path / "socket"), []

    def asking() -> None:
        try:
            found.append(ask())
        except subprocess.CalledProcessError as error:
            found.append(error)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        monkeypatch.setenv(job_server.VARIABLE, address)
        thread = threading.Thread(target=asking)
        thread.start()
        connection = listener.accept()[0]
        job = os.fork()
        if job == 0:
            job_server._work(connection, run, None)
        connection.close()
        after(job)
        os.waitpid(job, 0)
        thread.join(timeout=20)
    return found[0]


def test_an_interrupted_job_ends_without_a_word(tmp_path, monkeypatch, capfd):
    begun = tmp_path / "begun"

    def work(_: list[str]) -> None:
        begun.touch()
        time.sleep(60)

    def interrupt(job: int) -> None:
        while not begun.exists():
            time.sleep(0.01)
        os.kill(job, signal.SIGINT)

    assert _answered(tmp_path, monkeypatch, work, lambda: job_server.hand_over(["fit"]), interrupt) == 130
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("code", [0, 3])
def test_the_command_of_a_rule_is_a_job_of_the_server(tmp_path, monkeypatch, code):
    from snakemake.shell import shell

    seen, name = tmp_path / "seen", "two words"

    def work(arguments: list[str]) -> None:
        seen.write_text("\n".join(arguments))
        raise SystemExit(code)

    def rule() -> object:
        indicator = name   # noqa: F841, Snakemake fills in what the caller has by this name
        return through_server(shell)("did --data=demo fit {indicator:q}")

    found = _answered(tmp_path, monkeypatch, work, rule)
    assert seen.read_text().splitlines() == ["--data=demo", "fit", "two words"]
    assert found is None if code == 0 else found.returncode == code


SERVER = """
import os, resource, signal, socket, sys, warnings
from did.workflow import job_server

def job(arguments):
    if "warn" in arguments:
        warnings.warn("careful")
    if "full" in arguments:   # no more files may be open
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    if "much" in arguments:
        job_server.MOST = 0
    print(os.getpid(), *arguments)
    raise SystemExit(3 if "fail" in arguments else 0)

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
workers = job_server._Workers(listener, job)
while True:
    workers.serve(wait=1.0, again=True)
"""


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """A function that has a server do a job, which prints the process it is done in and what it was told."""
    address = tmp_path / "socket"
    monkeypatch.setenv(job_server.VARIABLE, str(address))
    with subprocess.Popen([sys.executable, "-c", SERVER, address]) as server:
        def one(*arguments: str) -> int:
            while (code := job_server.hand_over(list(arguments))) is None:   # it begins
                time.sleep(0.05)
            return code

        yield one
        server.kill()


def _worker(capfd) -> int:
    return int(capfd.readouterr().out.split()[0])


def test_a_worker_does_one_job_after_another_each_on_its_own_streams(ask, capfd, tmp_path):
    assert ask("one") == 0
    first, said = capfd.readouterr().out.split()
    assert said == "one"
    with open(tmp_path / "elsewhere", "w") as elsewhere:
        kept = os.dup(1)
        os.dup2(elsewhere.fileno(), 1)
        assert ask("two") == 0
        os.dup2(kept, 1)
        os.close(kept)
    assert (tmp_path / "elsewhere").read_text() == f"{first} two\n" and not capfd.readouterr().out


@pytest.mark.parametrize("last", ["fail", "much"])
def test_a_worker_ends_with_a_job_that_failed_or_took_much_memory(ask, capfd, last):
    assert [ask(""), ask(last)] == [0, 3 if last == "fail" else 0]
    first, second = (int(line.split()[0]) for line in capfd.readouterr().out.splitlines())
    assert first == second
    assert ask("") == 0 and _worker(capfd) != first


def test_a_job_is_done_though_the_worker_that_waited_was_killed(ask, capfd):
    assert ask("") == 0
    first = _worker(capfd)
    os.kill(first, signal.SIGKILL)
    while os.path.exists(f"/proc/{first}"):
        time.sleep(0.01)
    assert ask("") == 0 and _worker(capfd) != first


def test_a_worker_that_cannot_go_on_ends_and_is_no_second_server(ask, capfd):
    assert ask("full") == 1
    first, wrong = capfd.readouterr()
    assert "ended without an exit code" in wrong and "Traceback" not in wrong
    assert ask("") == 0 and _worker(capfd) != int(first.split()[0])


def test_a_job_warns_of_what_one_before_it_warned_of(ask, capfd):
    assert ask("warn") == ask("warn") == 0
    assert capfd.readouterr().err.count("careful") == 2


def test_a_deep_folder_for_temporary_files_is_no_address(tmp_path, monkeypatch, capfd):
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with job_server.server(dict(os.environ)) as environment:
        monkeypatch.setenv(job_server.VARIABLE, environment[job_server.VARIABLE])
        deadline = time.monotonic() + 60
        while (code := job_server.hand_over(["--version"])) is None and time.monotonic() < deadline:
            time.sleep(0.1)
    said, wrong = capfd.readouterr()
    assert code == 0 and said.startswith("did") and not wrong


def test_what_only_a_shell_understands_goes_to_a_shell(tmp_path, monkeypatch):
    from snakemake.shell import shell

    monkeypatch.setenv(job_server.VARIABLE, str(tmp_path / "none"))
    through_server(shell)(f"echo {{{{}}}} > {tmp_path / 'said'}")
    assert (tmp_path / "said").read_text() == "{}\n"
    with pytest.raises(subprocess.CalledProcessError):
        through_server(shell)("did no-such-command 2> /dev/null")


def test_without_a_server_a_job_runs_by_itself(tmp_path, monkeypatch):
    monkeypatch.delenv(job_server.VARIABLE, raising=False)
    assert job_server.hand_over(["draw"]) is None
    monkeypatch.setenv(job_server.VARIABLE, str(tmp_path / "none"))
    assert job_server.hand_over(["draw"]) is None
