"""Guards of live downloads: no address in the local network unless the source trusts it, no endless answers, and no
passwords of this machine sent along."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Collection, Iterator

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from did.fetch.supply import Failure

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_active = threading.local()


def is_public(address: str) -> bool:
    """Say whether an IP address is of the public internet: not loopback, private, link-local, multicast or reserved,
    nor an IPv6 address that stands for such an IPv4 one."""
    found = ipaddress.ip_address(address.split("%")[0])
    if found.version == 6:
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is None and (found in _NAT64 or found in _COMPATIBLE):
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


def refuse_local(host: str, trusted: Collection[str]) -> None:
    """Raise Failure if ``host`` is or resolves to an address outside the public internet and is not trusted.

    A name that does not resolve is left to the connection (or the proxy) to tell.
    """
    if host.lower() in trusted:
        return
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    for answer in answers:
        _refuse(host, answer[4][0])


def _refuse(host: str, address: str) -> None:
    if not is_public(address):
        shown = host if host == address else f"{host} ({address})"
        raise Failure(f"the address {shown}, which is on this machine or its local network",
                      f"correct the address; if it is meant, list the host under the source's key 'trusted_hosts': "
                      f"[{host}]")


class Watch:
    """What an attempt is connected to, so that it can be cut off when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    @property
    def remaining(self) -> float:
        """Seconds until the end of the attempt."""
        return self._ends - time.monotonic()

    @property
    def expired(self) -> bool:
        return self.remaining <= 0

    def attach(self, connection: socket.socket | None) -> None:
        """Watch this connection, in place of the one before; after the end, cut it off at once."""
        # A copy of the descriptor: TLS takes the socket itself over before it shakes hands.
        copy = socket.socket(fileno=os.dup(connection.fileno())) if connection is not None else None
        with self._lock:
            before, self._connection = self._connection, copy
            if before is not None:
                before.close()
            if self.expired:
                self._shut()

    def cut(self) -> None:
        """End the connection under way: the thread that waits on it gets an error or the end of the stream."""
        with self._lock:
            self._shut()

    def _shut(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def watched(seconds: float) -> Iterator[Watch]:
    """Cut this thread's connections off ``seconds`` from now, those that it makes later at once: a server that sends a
    byte now and then never times out."""
    watch = _active.watch = Watch(seconds)
    timer = threading.Timer(seconds, watch.cut)
    timer.daemon = True
    timer.start()
    try:
        yield watch
    finally:
        timer.cancel()
        _active.watch = None
        watch.attach(None)


class _Guarded:
    """A connection that checks whom it has reached before a byte is sent, and tells the watch of its socket."""

    trusted: Collection[str] = ()

    def _new_conn(self) -> socket.socket:
        # A name may resolve to another address than a moment ago.
        made = super()._new_conn()
        if self.host.lower() not in self.trusted:
            try:
                _refuse(self.host, made.getpeername()[0])
            except Failure:
                made.close()
                raise
        self._tell(made)
        return made

    def getresponse(self):
        self._tell(self.sock)   # it may be open since the file before
        return super().getresponse()

    @staticmethod
    def _tell(connection: socket.socket) -> None:
        if (watch := getattr(_active, "watch", None)) is not None:
            watch.attach(connection)


class GuardedAdapter(HTTPAdapter):
    """Connections of `requests` to the public internet and to ``trusted`` hosts only; through a proxy, as it makes
    them."""

    def __init__(self, trusted: Collection[str]) -> None:
        super().__init__()
        known = {"trusted": frozenset(trusted)}
        plain = type("Plain", (_Guarded, HTTPConnection), known)
        secure = type("Secure", (_Guarded, HTTPSConnection), known)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }
