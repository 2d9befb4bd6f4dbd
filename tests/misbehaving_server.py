"""A real HTTP server on the loopback address that serves files well or badly, path by path."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    """Answers a GET by the behaviour that is next for its path; the last behaviour of a path repeats."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            number = len(server.requests[self.path])
            server.requests[self.path].append(dict(self.headers))
            behaviours = server.behaviours.get(self.path, [status(404)])
            body = server.bodies.get(self.path, b"")
        with contextlib.suppress(ConnectionError):
            behaviours[min(number, len(behaviours) - 1)](self, body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """The server: bodies and behaviours by path, and the headers of every request it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.bodies: dict[str, bytes] = {}
        self.behaviours: dict[str, list[Behaviour]] = {}
        self.requests: dict[str, list[dict[str, str]]] = defaultdict(list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def put(self, path: str, body: bytes, *behaviours: Behaviour) -> str:
        """Serve ``body`` at ``path`` by the behaviours in turn (well, if none); return the address."""
        self.bodies[path] = body
        self.behaviours[path] = list(behaviours) or [well]
        return f"http://{self.host}{path}"

    def handle_error(self, request: object, address: object) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Yield a running Server and stop it afterwards."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def _start(handler: Handler, code: int, headers: dict[str, str]) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


def well(handler: Handler, body: bytes) -> None:
    """Serve the body whole, or the range asked for if the validator in If-Range still holds."""
    tag = _tag(body)
    asked = handler.headers.get("Range")
    if asked and handler.headers.get("If-Range") == tag:
        first = int(asked.removeprefix("bytes=").split("-")[0])
        if first >= len(body):
            _start(handler, 416, {"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
            return
        rest = body[first:]
        place = f"bytes {first}-{len(body) - 1}/{len(body)}"
        _start(handler, 206, {"Content-Range": place, "Content-Length": str(len(rest)), "ETag": tag})
        handler.wfile.write(rest)
        return
    _start(handler, 200, {"Content-Length": str(len(body)), "ETag": tag, "Accept-Ranges": "bytes"})
    handler.wfile.write(body)


def status(code: int, **headers: str) -> Behaviour:
    """Answer with a status, a short text and headers (underscores in their names stand for hyphens)."""

    def behave(handler: Handler, body: bytes) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        _start(handler, code, names | {"Content-Length": "5"})
        handler.wfile.write(b"sorry")

    return behave


def redirect(target: str, code: int = 302) -> Behaviour:
    """Answer with a redirect to ``target``."""
    return status(code, Location=target)


def page(handler: Handler, body: bytes) -> None:
    """Answer with status 200 and a web page that says the file has moved."""
    text = b"\n<!DOCTYPE html><html><body>This page has moved.</body></html>"
    _start(handler, 200, {"Content-Length": str(len(text)), "Content-Type": "text/html"})
    handler.wfile.write(text)


def truncated(share: float, *, validator: bool = True) -> Behaviour:
    """Announce the whole length, send ``share`` of the body and close the connection."""

    def behave(handler: Handler, body: bytes) -> None:
        headers = {"Content-Length": str(len(body))} | ({"ETag": _tag(body)} if validator else {})
        _start(handler, 200, headers)
        handler.wfile.write(body[: int(len(body) * share)])
        handler.wfile.flush()
        handler.close_connection = True

    return behave


def cut_without_length(share: float) -> Behaviour:
    """Send ``share`` of the body without announcing a length, so that only the checksum can tell."""

    def behave(handler: Handler, body: bytes) -> None:
        _start(handler, 200, {"Connection": "close"})
        handler.wfile.write(body[: int(len(body) * share)])
        handler.close_connection = True

    return behave


def slow(seconds: float, piece: int = 1) -> Behaviour:
    """Send the body ``piece`` bytes at a time, with ``seconds`` between the pieces."""

    def behave(handler: Handler, body: bytes) -> None:
        headers = {"Content-Length": str(len(body)), "ETag": _tag(body), "Accept-Ranges": "bytes"}
        _start(handler, 200, headers)
        for start in range(0, len(body), piece):
            handler.wfile.write(body[start : start + piece])
            handler.wfile.flush()
            time.sleep(seconds)

    return behave


def silent(seconds: float) -> Behaviour:
    """Say nothing for ``seconds``, then close the connection."""

    def behave(handler: Handler, body: bytes) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return behave


def reset(handler: Handler, body: bytes) -> None:
    """Reset the connection after part of the body."""
    _start(handler, 200, {"Content-Length": str(len(body))})
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    # Lingering for 0 seconds makes close() send a reset in place of a proper end. The handler's two files
    # hold the socket open too, so they are closed first.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.rfile.close()
    handler.wfile.close()
    handler.connection.close()
    handler.close_connection = True


def other(body: bytes) -> Behaviour:
    """Serve another body, whole and well."""
    return lambda handler, _: well(handler, body)


def dripping(seconds: float, start: bytes = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nX: ") -> Behaviour:
    """Send ``start`` and then a letter every now and then, so that the headers end after ``seconds``."""

    def behave(handler: Handler, body: bytes) -> None:
        handler.wfile.write(start)
        for _ in range(int(seconds / 0.1)):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.1)
        handler.wfile.write(b"\r\nContent-Length: 0\r\n\r\n")

    return behave


def dripping_without_length(handler: Handler, body: bytes) -> None:
    """Send the body a little at a time and never say how long it is."""
    _start(handler, 200, {"Connection": "close"})
    for place in range(0, len(body), 10):
        handler.wfile.write(body[place:place + 10])
        handler.wfile.flush()
        time.sleep(0.1)
    handler.close_connection = True


def absurd_range(handler: Handler, body: bytes) -> None:
    """Answer a request for the rest of a file with a place of 5,000 digits; cut the first answer short."""
    if not handler.headers.get("Range"):
        return truncated(0.5)(handler, body)
    _start(handler, 206, {"Content-Range": f"bytes {'9' * 5000}-{'9' * 5001}/*", "Content-Length": "1"})
    handler.wfile.write(b"x")
    return None


@contextlib.contextmanager
def serving_tls(certificate: str, key: str) -> Iterator[Server]:
    """Yield a running Server that speaks HTTPS with the certificate of a file."""
    with serving() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server
