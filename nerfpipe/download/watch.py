"""Ends connections to slow servers from another thread.

A socket's timeout restarts with every byte, so a server that sends a byte now and then is never too slow. Here a
thread measures the speed, and closes the connection.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator, Iterator
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

TICKS = 20  # per period of measurement: counted instead of clock time, so that a stopped program (Ctrl-Z) loses none


class EndedError(Exception):
    """A Watch has ended the connection; the text says why."""


class Watch:
    """Knows every connection of its session, and the number of bytes received, which its user counts."""

    def __init__(self) -> None:
        self.received = 0
        self._fault: str | None = None
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def session(self) -> Iterator[requests.Session]:
        """A session whose connections are watched, and ended with the block."""
        with _Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Adapter(self))
            try:
                yield session
            finally:
                self.end()

    @contextlib.contextmanager
    def least(self, count: float, seconds: float, fault: str) -> Iterator[None]:
        """Require `count` bytes in every period of `seconds` of the block. An infinite count makes it a deadline.

        Raises EndedError(fault) where fewer arrive, whatever the ended connection raises.
        """
        over = threading.Event()
        thread = threading.Thread(target=self._measure, args=(over, count, seconds, fault), name="watch", daemon=True)
        with self._lock:
            self._fault = None
        thread.start()
        try:
            yield
        except Exception:
            if self._fault is None:
                raise
        finally:
            over.set()
            thread.join()
        if self._fault is not None:
            raise EndedError(self._fault) from None

    def add(self, connection: socket.socket) -> None:
        """Watch a new connection. TLS wraps it in another object, but it stays the same connection."""
        with self._lock:
            self._sockets.append(connection.dup())
            ended = self._fault is not None
        if ended:
            self.end()

    def end(self) -> None:
        """Shut all connections. Threads that wait for one continue at once."""
        with self._lock:
            connections, self._sockets = self._sockets, []
        for connection in connections:
            with contextlib.suppress(OSError), connection:  # the server may have closed it
                connection.shutdown(socket.SHUT_RDWR)

    def _measure(self, over: threading.Event, count: float, seconds: float, fault: str) -> None:
        ticks, before = 0, self.received
        while not over.wait(seconds / TICKS):
            ticks += 1
            if ticks < TICKS:
                continue
            if self.received - before < count:
                with self._lock:
                    self._fault = fault
                self.end()
                return
            ticks, before = 0, self.received


class _Session(requests.Session):
    """Leaves redirects to its user: requests would read their bodies, which may be endless."""

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Generator[requests.Response, None, None]:
        yield from ()


class _Adapter(HTTPAdapter):
    """requests' adapter, with connections that a Watch knows."""

    def __init__(self, watch: Watch) -> None:
        self._pools = {
            "http": _watched(urllib3.HTTPConnectionPool, watch),
            "https": _watched(urllib3.HTTPSConnectionPool, watch),
        }
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # they have classes of their own
            manager.pool_classes_by_scheme = self._pools
        return manager


def _watched(kind: type[urllib3.HTTPConnectionPool], watch: Watch) -> type[urllib3.HTTPConnectionPool]:
    base: Any = kind.ConnectionCls  # a class that is known only at run time

    class Connection(base):
        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            watch.add(connection)
            return connection

    return type(kind.__name__, (kind,), {"ConnectionCls": Connection})
