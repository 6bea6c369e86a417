"""A real HTTP server on loopback whose answers a test writes down beforehand."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request: noted, then answered by what the test put down for its path."""

    server: FileServer

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        answers = self.server.answers.get(self.path, [status(404)])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]  # the last one repeats
        answer(self)

    def send(self, code: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class FileServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, list[Answer]] = {}
        self.closing = threading.Event()

    def put(self, path: str, *answers: Answer) -> str:
        """Answer requests for `path` in this order; returns the address."""
        self.answers[path] = list(answers)
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of each request for `path` so far."""
        return [headers.get("Range") for asked, headers in self.asked if asked == path]

    def stop(self) -> None:
        if not self.closing.is_set():
            self.closing.set()
            self.shutdown()
            self.server_close()


@contextmanager
def running() -> Iterator[FileServer]:
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def file(
    content: bytes,
    *,
    ranges: bool = True,
    etag: str | None = '"v1"',
    sent: int | None = None,
    kind: str = "application/octet-stream",
    then_hang: bool = False,
    announce: bool = True,
) -> Answer:
    """Serve the content, from the middle where asked (`ranges`) if the version (`etag`) is still the same.

    `sent`: close, or fall silent (`then_hang`), after so many bytes; `announce`: with a Content-Length.
    """

    def answer(handler: Handler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        same = handler.headers.get("If-Range") in (None, etag) and not (etag or "").startswith("W/")
        start = int(asked[1]) if asked and ranges and same else 0
        headers = {"Content-Type": kind} | ({"ETag": etag} if etag else {})
        if start >= len(content):
            handler.send(416, headers | {"Content-Range": f"bytes */{len(content)}"}, b"nothing beyond that")
            return
        if announce:
            headers["Content-Length"] = str(len(content) - start)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.send(206 if start else 200, headers, content[start:][:sent])
        if then_hang:
            handler.wfile.flush()
            handler.server.closing.wait()

    return answer


def status(code: int, **headers: str) -> Answer:
    """An error page, with underscores in header names for hyphens."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return lambda handler: handler.send(code, {"Content-Type": "text/html", **named}, b"<h1>sorry</h1>")


def redirect(address: str) -> Answer:
    return status(302, Location=address)


def silence(handler: Handler) -> None:
    """Accept the request and say nothing."""
    handler.server.closing.wait()
