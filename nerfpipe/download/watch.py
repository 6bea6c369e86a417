"""Ends connections from outside: who waits for a server that sends a byte now and then cannot look at the clock.

A timeout of a socket starts anew with every byte. Here a thread looks at the clock, and shuts the connection.
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

LOOKS = 20  # at the clock, in the time that is granted: while the program is stopped (Ctrl-Z), no time is counted


class EndedError(Exception):
    """The connection was ended here; the text says why."""


class Watch:
    """Knows every connection that its session opens, and the bytes that have come, which its user counts."""

    def __init__(self) -> None:
        self.received = 0
        self._fault: str | None = None
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def session(self) -> Iterator[requests.Session]:
        with _Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Adapter(self))
            try:
                yield session
            finally:
                self.end()

    @contextlib.contextmanager
    def least(self, count: float, seconds: float, fault: str) -> Iterator[None]:
        """In every `seconds` of the block, `count` bytes must come. An infinite count makes it a deadline.

        Raises EndedError(fault) where they do not, whatever the ended connection raises.
        """
        over = threading.Event()
        thread = threading.Thread(target=self._look, args=(over, count, seconds, fault), name="watch", daemon=True)
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
        """A connection just opened. What TLS makes of it is another object, but the same connection."""
        with self._lock:
            self._sockets.append(connection.dup())
            ended = self._fault is not None
        if ended:
            self.end()

    def end(self) -> None:
        """Shut all connections. Whoever waits for one of them goes on at once."""
        with self._lock:
            connections, self._sockets = self._sockets, []
        for connection in connections:
            with contextlib.suppress(OSError), connection:  # the server may have closed it
                connection.shutdown(socket.SHUT_RDWR)

    def _look(self, over: threading.Event, count: float, seconds: float, fault: str) -> None:
        looks, before = 0, self.received
        while not over.wait(seconds / LOOKS):
            looks += 1
            if looks < LOOKS:
                continue
            if self.received - before < count:
                with self._lock:
                    self._fault = fault
                self.end()
                return
            looks, before = 0, self.received


class _Session(requests.Session):
    """Leaves redirects to its user: requests would read the body of each, which may have no end."""

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Generator[requests.Response, None, None]:
        yield from ()


class _Adapter(HTTPAdapter):
    """requests' own, whose connections are shown to a watch."""

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
