"""The address to serve on."""

from __future__ import annotations

import errno
import ipaddress
import socket

from nerfpipe.runtime.errors import NerfpipeError

TRIED = 100  # ports, from the requested one on
LAST_PORT = 65535


def free_port(host: str, port: int) -> int:
    """The first free port from `port` on. Raises NerfpipeError if there is none, or if the host is not this machine."""
    for candidate in range(port, min(port + TRIED, LAST_PORT + 1)):
        try:
            if _can_bind(host, candidate):
                return candidate
        except socket.gaierror:
            raise NerfpipeError(f"--host: {host} is not known; 127.0.0.1 is this machine alone") from None
        except OSError as error:
            reason = error.strerror or error
            raise NerfpipeError(f"--host: cannot serve on {host}:{candidate} ({reason}); 127.0.0.1 is usual") from None
    raise NerfpipeError(f"--port: none of {TRIED} ports from {port} on is free; name another with --port")


def _can_bind(host: str, port: int) -> bool:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a port just released is free
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
