"""The server for jobs: what a job does when its server is gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
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
            job_server._job(connection, run)
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
