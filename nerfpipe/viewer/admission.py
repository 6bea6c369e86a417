"""Access control: every HTTP request and WebSocket handshake is checked here before viser sees it."""

from __future__ import annotations

import contextlib
import http
import ipaddress
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import websockets.asyncio.server
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.viewer.messages import MessageFilter

AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")  # no user name, no path, ASCII only
REFUSED = "403: this viewer answers only at its own address and only its own page\n"
NO_TOKEN = "403: open the whole address that `nerfpipe view` printed, with ?token= at its end\n"
COOKIE = "nerfpipe-{}"  # with the port: browsers share cookies between the ports of a host
LARGEST_MESSAGE = 2**25  # bytes
TOKEN_BYTES = 16
HTTP_PORT = 80  # of an address without a port

_starting = threading.Lock()  # one server at a time: while it starts, the hook applies to the whole module


def admitted(headers: Headers, served: str) -> bool:
    """Whether a request is for this viewer (Host), and from its own page or no page (Origin).

    Other names that resolve to this machine are refused: a website could use one to read the page (DNS rebinding).
    """
    hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
    if len(hosts) != 1 or len(origins) > 1:
        return False
    authority = _authority(hosts[0])
    if authority is None or not _is_ours(authority[0], served):
        return False
    if not origins:
        return True
    scheme, _, rest = origins[0].partition("://")
    return scheme.lower() in ("http", "https") and rest != "" and rest.lower() == hosts[0].lower()


def _authority(text: str) -> tuple[str, int] | None:
    """Host and port; None if the text is neither a name nor an address."""
    found = AUTHORITY.fullmatch(text.lower())
    return (found[1], int(found[2] or HTTP_PORT)) if found else None


def _is_ours(name: str, served: str) -> bool:
    if name in ("localhost", served.lower()):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def new_token() -> str:
    """A random token for the address of a viewer."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def has_token(request: Request, token: str) -> bool:
    """Whether a request has the token, in its address or in the cookie that an earlier request has set."""
    given = parse_qs(urlsplit(request.path).query).get("token", [])
    for header in request.headers.get_all("Cookie"):
        try:
            cookies = SimpleCookie(header)
        except CookieError:
            continue
        given += [morsel.value for name, morsel in cookies.items() if name == _cookie(request.headers)]
    return any(secrets.compare_digest(value.encode(), token.encode()) for value in given)


def _cookie(headers: Headers) -> str:
    authority = _authority(headers["Host"])
    return COOKIE.format(authority[1] if authority else HTTP_PORT)


def intercept(request: Request, host: str, token: str | None) -> Response | None:
    """A refusal or a redirection; None if viser may answer. A request with the token in its address gets a cookie."""
    if not admitted(request.headers, host):
        return _response(http.HTTPStatus.FORBIDDEN, REFUSED)
    if token is None:
        return None
    if not has_token(request, token):
        return _response(http.HTTPStatus.FORBIDDEN, NO_TOKEN)
    if "token=" in urlsplit(request.path).query and "Upgrade" not in request.headers:
        cookie = f"{_cookie(request.headers)}={token}; Path=/; HttpOnly; SameSite=Strict"
        return _response(http.HTTPStatus.SEE_OTHER, "", {"Location": "/", "Set-Cookie": cookie})
    return None


def _response(status: http.HTTPStatus, text: str, more: dict[str, str] | None = None) -> Response:
    body = text.encode()
    headers = {"Content-Type": "text/plain", "Content-Length": str(len(body)), "Connection": "close", **(more or {})}
    return Response(status, status.phrase, Headers(headers), body)


@contextlib.contextmanager
def guarded(host: str, messages: MessageFilter, token: str | None = None) -> Iterator[None]:
    """Make a viser server that starts in this block check requests by `intercept`, and its messages by a filter.

    Raises NerfpipeError if viser starts its server in an unknown way, since it would then be unprotected.
    """
    original, hooked = websockets.asyncio.server.serve, False

    def serve(handler: Callable[..., Any], *args: Any, **options: Any) -> Any:
        nonlocal hooked
        hooked = True
        inner = options.get("process_request")

        def process(connection: Any, request: Request) -> Any:
            if (response := intercept(request, host, token)) is not None:
                return response
            return inner(connection, request) if inner is not None else None

        async def handle(connection: Any) -> None:
            connection.recv = messages.reader(connection.recv)
            await handler(connection)

        return original(handle, *args, **{**options, "process_request": process, "max_size": LARGEST_MESSAGE})

    with _starting:
        websockets.asyncio.server.serve = serve  # type: ignore[assignment,misc]
        try:
            yield
        finally:
            websockets.asyncio.server.serve = original  # type: ignore[misc]
    if not hooked:
        raise NerfpipeError("this version of viser cannot be guarded against other websites: pip install 'viser<2'")
