"""Servers that nobody should meet, on loopback: slow, endless, lying, and curious about the terminal.

Each is asked for a file as a scene's `url:` asks. It must end in time, in lines that hold no control character and no
password, and leave nothing in place; or give the very file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from nerfpipe.download import fetch
from nerfpipe.download.partial import Partial, Version
from nerfpipe.runtime.errors import NerfpipeError
from robustness.counts import Counts

CONTENT = bytes(range(256)) * 4096  # 1 MiB
HALF = len(CONTENT) // 2
SECRET = "s3cr3t"
PATIENCE = 60.0  # seconds in which every server must be done with, its limits made short
SHORT: dict[str, float] = {
    "CONNECT_SECONDS": 2.0, "ANSWER_SECONDS": 2.0, "READ_SECONDS": 2.0, "PACE_SECONDS": 1.0, "RETRY_SECONDS": 0.0,
    "MAX_RESUMES": 2, "MAX_UNKNOWN_BYTES": 2**24,
}  # fmt: skip

Answer = Callable[[bytes, socket.socket], object]


class Case(NamedTuple):
    """A server, what lies there from an earlier download, and whether the file may be had from it."""

    name: str
    answer: Answer
    begun: bool = False
    gives: bool = False
    checksum: bool = False


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[int]:
    """A server on loopback that answers each connection so; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stopped = threading.Event()

        def talk(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                request = b""
                while b"\r\n\r\n" not in request and (more := connection.recv(65536)):
                    request += more
                answer(request, connection)

        def listen() -> None:
            listener.settimeout(0.1)
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError, socket.timeout):
                    connection, _ = listener.accept()
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopped.set()
            thread.join()


def head(status: str = "200 OK", **fields: object) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode("latin-1")


def whole(etag: str = '"one"') -> bytes:
    return head(Content_Length=len(CONTENT), ETag=etag) + CONTENT


def part(etag: str | None, total: object, start: int = HALF, end: int | None = None, **fields: object) -> bytes:
    """A 206 that goes on from the half, under a name and with a size of its own."""
    end = len(CONTENT) - 1 if end is None else end
    named = {"ETag": etag, **fields} if etag else fields
    return head("206 Partial Content", Content_Range=f"bytes {start}-{end}/{total}", **named) + b"\xff" * HALF


def ranged(lie: bytes) -> Answer:
    """To a request for a part this; to any other the whole file."""
    return lambda request, connection: connection.sendall(lie if b"\r\nrange:" in request.lower() else whole())


def drip(before: bytes, piece: bytes) -> Answer:
    """A byte or so now and then, for ever."""

    def answer(_: bytes, connection: socket.socket) -> None:
        connection.sendall(before)
        until = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < until:
            connection.sendall(piece)
            time.sleep(0.2)

    return answer


def flood(before: bytes, piece: bytes) -> Answer:
    def answer(_: bytes, connection: socket.socket) -> None:
        connection.sendall(before)
        until = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < until:
            connection.sendall(piece)

    return answer


def silent(_: bytes, connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.settimeout(2 * PATIENCE)
        connection.recv(1)


def say(answer: bytes) -> Answer:
    return lambda _, connection: connection.sendall(answer)


COLOURED = b"\x1b]0;mine\x07\x1b[31m"
PARTS = {
    "of another version": part('"two"', len(CONTENT)),
    "that does not say its version": part(None, len(CONTENT)),
    "of another size": part('"one"', len(CONTENT) + 7),
    "that begins elsewhere": part('"one"', len(CONTENT), start=3),
    "that ends behind its end": part('"one"', 5),
    "that is packed": part('"one"', len(CONTENT), Content_Encoding="gzip"),
    "of another length than its range": part('"one"', len(CONTENT), Content_Length=HALF - 1),
    "that has no end": part('"one"', "*", end=10**17),
    "without a range": head("206 Partial Content", ETag='"one"') + CONTENT[HALF:],
    "of several ranges": head("206 Partial Content", Content_Type="multipart/byteranges; boundary=x"),
    "with a number of 400 digits": part('"one"', "9" * 400),
}
RANGE = f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}"
REDIRECTS = {
    "to itself for ever": "/again",
    "to a file": "file:///etc/passwd",
    "to ftp, with a password": f"ftp://a:{SECRET}@127.0.0.1/x",
    "to no address": "http://[:::",
    "to nobody, with a token": f"http://127.0.0.1:1/x?token={SECRET}",
}


def echo(request: bytes, connection: socket.socket) -> None:
    connection.sendall(head("404 " + request.split()[1].decode("latin-1")))


def stop_halfway(_: bytes, connection: socket.socket) -> None:
    connection.sendall(whole()[:HALF])
    silent(b"", connection)


def cases() -> list[Case]:
    honest = head("206 Partial Content", Content_Range=RANGE, ETag='"one"') + CONTENT[HALF:]
    lies = [Case(f"a part {name}", ranged(lie), begun=True, gives=True) for name, lie in PARTS.items()]
    lies += [Case(f"{case.name}, held to a checksum", case.answer, True, True, True) for case in lies]
    return [
        Case("an honest one", say(whole()), gives=True),
        Case("goes on honestly", ranged(honest), begun=True, gives=True),
        *lies,
        Case("headers, a byte at a time", drip(b"", b"X")),
        Case("endless headers", flood(b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n" * 1000)),
        Case("a header without end", flood(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536)),
        Case("continue, for ever", flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)),
        Case("a redirect whose body has no end", flood(head("302 Found", Location="/x"), b"x" * 2**20)),
        Case("an error whose body has no end", flood(head("404 Not Found"), b"x" * 2**20)),
        Case("silence", silent),
        Case("a body, a byte at a time", drip(head(Content_Length=10**6), b"x")),
        Case("a chunk, a byte at a time", drip(head(Transfer_Encoding="chunked") + b"fffff\r\n", b"x")),
        Case("the size of a chunk, a digit at a time", drip(head(Transfer_Encoding="chunked"), b"0")),
        Case("words behind a chunk's size", flood(head(Transfer_Encoding="chunked") + b"5;", b"x" * 65536)),
        Case("trailers without end", flood(head(Transfer_Encoding="chunked") + b"1\r\nx\r\n0\r\n", b"X: y\r\n" * 1000)),
        Case("a body without end", flood(head(), b"x" * 2**20)),
        Case("silence in the middle", stop_halfway),
        Case("half of it", say(whole()[:HALF])),
        Case("nothing", say(b"")),
        Case("no HTTP", say(b"\x00\xff" * 1000)),
        Case("a coloured reason", say(b"HTTP/1.1 404 " + COLOURED + b"\r\nContent-Length: 0\r\n\r\n")),
        Case("a reason that repeats the token", echo),
        Case("two sizes", say(head(Content_Length="5\r\nContent-Length: 6") + CONTENT)),
        Case("a size beyond the disk", say(head(Content_Length=10**17))),
        Case("a size of 400 digits", say(head(Content_Length="9" * 400) + CONTENT)),
        Case("a negative size", say(head(Content_Length=-1) + CONTENT), gives=True),
        *(Case(name, say(head("302 Found", Location=place))) for name, place in REDIRECTS.items()),
        Case("a page", say(head(Content_Type="text/html") + b"<html>")),
        Case("an error", say(head("500 Broken"))),
    ]


def fuzz_servers(work: Path) -> Counts:
    """All of them, each within limits made short."""
    counts = Counts("servers")
    before = {name: getattr(fetch, name) for name in SHORT}
    for name, value in SHORT.items():
        setattr(fetch, name, value)
    try:
        for case in cases():
            counts.quiet(case.name, asked(case, work / "served"))
    finally:
        for name, value in before.items():
            setattr(fetch, name, value)
    return counts


def asked(case: Case, folder: Path) -> str:
    """What is wrong with how a server was met, empty when nothing is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target, started, told = folder / "file", time.monotonic(), io.StringIO()
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}" if case.checksum else None
    with serving(case.answer) as port, contextlib.redirect_stderr(told):
        url = f"http://user:{SECRET}@127.0.0.1:{port}/scene.zip?token={SECRET}#x"
        if case.begun:
            begun = Partial(target)
            begun.begin(url, Version('"one"', total=len(CONTENT)))
            begun.path.write_bytes(CONTENT[:HALF])
        try:
            fetch.fetch([url], target, checksum=checksum)
            said = ""
        except NerfpipeError as error:
            said = str(error)
        except Exception as error:  # the fault that is looked for
            return f"{type(error).__name__}: {str(error)[:200]}"
    if (spent := time.monotonic() - started) > PATIENCE:
        return f"it took {spent:.0f} s"
    if SECRET in said + told.getvalue() or any(SECRET in file.read_text("latin-1") for file in folder.iterdir()):
        return "a password was shown or kept"
    if re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", said + told.getvalue().replace("\r", "")):
        return "control characters were shown"
    if not said:
        return "" if case.gives and target.read_bytes() == CONTENT else "another file was taken"
    if case.gives:
        return f"the file was not had: {said}"
    return "a file was left in place" if target.exists() else ""
