"""The server for jobs: what a job does when its server is gone."""

from __future__ import annotations

import socket
import threading

import pytest

from did.workflow import job_server


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


def test_without_a_server_a_job_runs_by_itself(tmp_path, monkeypatch):
    monkeypatch.delenv(job_server.VARIABLE, raising=False)
    assert job_server.hand_over(["draw"]) is None
    monkeypatch.setenv(job_server.VARIABLE, str(tmp_path / "none"))
    assert job_server.hand_over(["draw"]) is None
