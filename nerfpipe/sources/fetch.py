"""Fetch one file over HTTP(S): mirrors in order, broken transfers resumed, nothing unverified put in place.

All sizes are in bytes, all times in seconds.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import queue
import re
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import requests
import urllib3

from nerfpipe.addresses import presentable, without_secrets
from nerfpipe.errors import NerfpipeError
from nerfpipe.files import open_regular, write_json
from nerfpipe.progress import Progress
from nerfpipe.sources.content import CHUNK_BYTES, Expected, check_room
from nerfpipe.terminal import say

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0  # in which all headers must be here, redirects included
PACE_SECONDS = 60.0  # over which the least speed is measured
UNTOLD_BYTES = 2**36  # of a body whose size nobody says, and half of the disk's room at most
LEAST_SPEED = 1000  # bytes a second: a telephone modem had seven times that
READ_SECONDS = 30.0  # longest silence of a server that has accepted the connection
RESUMES = 5  # times that a broken transfer from one address is taken up again
RETRY_SECONDS = 1.0  # rest before a broken transfer is taken up again
REDIRECTS = 10
NAME_CHARACTERS = 100  # longest file name taken from an address

OK, PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 200, 206, 416


class _RefusedError(Exception):
    """This address will not give the file."""


class _BrokenError(Exception):
    """The transfer broke off, and may go on from where it stopped."""


class _Partial:
    """What an unfinished download got so far, beside its destination, with a note of where it came from."""

    def __init__(self, destination: Path) -> None:
        self.path = destination.with_name(f"{destination.name}.part")
        self._note = destination.with_name(f"{destination.name}.part.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def begin(self, url: str, headers: Mapping[str, str], total: int | None) -> None:
        """Empty the partial and note how the server names this version of the file, and how large it says it is."""
        self.path.write_bytes(b"")
        write_json(self._note, {"address": _digest(url), "validator": _validator(headers), "total": total})

    def noted_of(self, url: str) -> tuple[str | None, int | None]:
        """The server's name for the version that the bytes are of, and its size, if this address gave them."""
        try:
            with open_regular(self._note) as file:
                note = json.load(file)
            same = note["address"] == _digest(url)
            return (note["validator"], note["total"]) if same else (None, None)
        except (FileNotFoundError, ValueError, KeyError, TypeError, NerfpipeError):
            return None, None

    def move_to(self, destination: Path) -> None:
        os.replace(self.path, destination)
        self.clear()


def _digest(url: str) -> str:
    """What tells addresses apart in a note: an address itself may hold a password."""
    return hashlib.sha256(url.encode()).hexdigest()


def _validator(headers: Mapping[str, str]) -> str | None:
    """The server's name for a version of a file. W/"…" may not serve If-Range."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")


def fetch(urls: list[str], destination: Path, size: int | None = None, checksum: str | None = None) -> Path:
    """Download to `destination` from the first address that gives a file of this size and checksum.

    What an unfinished download got stays in `destination`.part, and the next call goes on from there.
    Raises NerfpipeError with one line per address when none gives it or one line when the disk has too little
    room, and OSError naming the file when it cannot be written.
    """
    expected, part, faults = Expected(size, checksum), _Partial(destination), []
    with requests.Session() as session:
        session.max_redirects = REDIRECTS
        session.headers.update({"User-Agent": "nerfpipe", "Accept-Encoding": "identity"})
        for url in urls:
            try:
                _fetch_from(session, url, part, expected)
            except _RefusedError as error:
                faults.append(f"{presentable(url)}: {error}")
                if len(faults) < len(urls):
                    _say(f"{faults[-1]}; trying the next address")
            else:
                part.move_to(destination)
                return destination
    remedy = "check the network and the addresses, or save the file yourself and name it with `path:`"
    raise NerfpipeError(*faults, f"{file_name(urls[0])}: no address gave it; {remedy}")


def file_name(url: str) -> str:
    """The last part of an address as a file name that is safe on any system ("data" where there is none)."""
    path = unquote(re.split(r"[?#]", re.sub(r"^\w+://[^/?#]*", "", url))[0])
    last = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    return re.sub(r"[^\w.+-]", "_", last, flags=re.ASCII)[-NAME_CHARACTERS:].lstrip(".-") or "data"


def _fetch_from(session: requests.Session, url: str, part: _Partial, expected: Expected) -> None:
    """Fill and verify the partial. Raises _RefusedError; what failed verification does not stay behind."""
    fault: str | None = None
    for _ in range(2):  # the second time from nothing, and only where the first built upon older bytes
        resumed = _fill(session, url, part, expected)
        fault = expected.fault(part.path)
        if fault is None:
            return
        part.clear()
        if not resumed:
            break
        _say(f"{presentable(url)}: resumed, it {fault}; starting over")
    raise _RefusedError(fault)


def _fill(session: requests.Session, url: str, part: _Partial, expected: Expected) -> bool:
    """Transfer until the partial is full, resuming a bounded number of times; True if it holds older bytes."""
    if expected.checksum and part.size and part.size == expected.size:
        return True
    resumes = 0
    while True:
        try:
            return _transfer(session, url, part, expected)
        except _BrokenError as error:
            if resumes == RESUMES:
                raise _RefusedError(f"{error}; gave up after resuming {RESUMES} times") from None
            resumes += 1
            _say(f"{presentable(url)}: {error}; resuming")
            time.sleep(RETRY_SECONDS)


def _transfer(session: requests.Session, url: str, part: _Partial, expected: Expected) -> bool:
    """One request and its body; True if the bytes were added to older ones."""
    validator, noted = part.noted_of(url)
    too_long = expected.size is not None and part.size > expected.size
    if too_long or not (expected.checksum or validator):
        part.clear()  # without a checksum only the server can tell whether older bytes are of the same file
    start = part.size
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and validator:
        headers["If-Range"] = validator
    with _asked(session, url, headers) as response:
        resumed, total = _check_answer(response, part)
        if resumed and (fault := _other_version(response, validator, total, noted)) is not None:
            part.clear()
            raise _BrokenError(fault)
        if resumed and total == start:
            return True
        _refuse_other_files(response, total, expected)
        if not resumed:
            part.begin(url, response.headers, total)
        whole = expected.size or total
        check_room(part.path.parent, (whole or part.size) - part.size)
        _write_body(response, part, whole, file_name(url))
    return resumed


def _asked(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    """The answer with its headers. Raises _RefusedError where they do not come in time.

    In a thread of its own: a server that sends a byte now and then keeps every read from timing out.
    """
    box: queue.Queue[requests.Response | Exception] = queue.Queue()

    def ask() -> None:
        try:
            box.put(session.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)))
        except Exception as error:  # whatever it is, it is the asking thread's
            box.put(error)

    threading.Thread(target=ask, name="request", daemon=True).start()
    try:
        answer = box.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise _RefusedError(f"no whole answer within {ANSWER_SECONDS:g} s") from None
    if isinstance(answer, (requests.RequestException, urllib3.exceptions.HTTPError, ValueError)):
        raise _RefusedError(_reason(answer))  # ValueError: a redirect to what is no address
    if isinstance(answer, Exception):
        raise answer
    return answer


def _other_version(
    response: requests.Response, validator: str | None, total: int | None, noted: int | None
) -> str | None:
    """Why the body cannot continue the partial, though the server says that it does; None: it can."""
    if validator is not None and _validator(response.headers) != validator:
        return "is another version by now, or does not say which"
    if None not in (total, noted) and total != noted:
        return f"has {total} bytes by now, where it had {noted}"
    return None


def _check_answer(response: requests.Response, part: _Partial) -> tuple[bool, int | None]:
    """Whether the body continues the partial, and the size of the whole file where the server names it."""
    status, start = response.status_code, part.size
    if status == OK:
        length = response.headers.get("Content-Length", "")
        return False, int(length) if re.fullmatch(r"\d{1,18}", length, flags=re.ASCII) else None
    if start and status in (PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE):
        content_range = response.headers.get("Content-Range", "")
        if status == RANGE_NOT_SATISFIABLE and content_range == f"bytes */{start}":
            return True, start
        match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", content_range)
        if status == PARTIAL_CONTENT and match and int(match[1]) == start <= int(match[2]):
            total = int(match[3]) if match[3].isdecimal() else None
            if total is None or int(match[2]) < total:
                return True, total
        part.clear()
        raise _BrokenError("does not go on where the earlier download stopped")
    raise _RefusedError(f"answered {status} {response.reason or ''}".rstrip())


def _refuse_other_files(response: requests.Response, total: int | None, expected: Expected) -> None:
    """Refuse, before anything is overwritten, what cannot be the file: another size, or a web page."""
    kind = response.headers.get("Content-Type", "of unknown kind").split(";")[0]
    if expected.size is not None and total not in (None, expected.size):
        raise _RefusedError(f"offers {total} bytes ({kind}) where {expected.size} are expected")
    if kind == "text/html" and (total is None or not (expected.size or expected.checksum)):
        raise _RefusedError("answered with a web page instead of the file")


def _write_body(response: requests.Response, part: _Partial, whole: int | None, name: str) -> None:
    """Append the body to the partial, as sent: a Content-Encoding may be the file's own (.tar.gz)."""
    room = min(UNTOLD_BYTES, shutil.disk_usage(part.path.parent).free // 2)
    pace = _Pace()
    with (
        part.path.open("ab", buffering=0) as file,  # what has arrived is kept, whatever ends the program
        Progress(name, whole, "B", start=part.size, unit_scale=True) as progress,
    ):
        try:
            # One read at a time: a whole chunk may take for ever to come.
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
                _append(file, chunk, part.path)
                progress.advance(len(chunk))
                if whole is not None and progress.done > whole:
                    raise _RefusedError(f"sent more than the {whole} bytes expected")
                if whole is None and progress.done > room:
                    part.clear()
                    raise _RefusedError(
                        "does not say how much comes, and would fill the disk; give its size as `bytes:`"
                    )
                pace.note(len(chunk))
        except urllib3.exceptions.ReadTimeoutError:
            raise _BrokenError(f"silent for {READ_SECONDS:g} s after {part.size} bytes") from None
        except urllib3.exceptions.HTTPError:
            raise _BrokenError(f"broke off after {part.size} bytes") from None
    if whole is not None and part.size < whole:
        raise _BrokenError(f"ended after {part.size} of {whole} bytes")


class _Pace:
    """Holds a transfer to a least speed, over a while: a server that trickles would never end."""

    def __init__(self) -> None:
        self._since, self._bytes = time.monotonic(), 0

    def note(self, count: int) -> None:
        """Raises _RefusedError where it was too slow for too long."""
        self._bytes += count
        spent = time.monotonic() - self._since
        if spent < PACE_SECONDS:
            return
        if self._bytes < LEAST_SPEED * spent:
            raise _RefusedError(f"sends less than {LEAST_SPEED} bytes a second; gave up after {spent:.0f} s of it")
        self._since, self._bytes = time.monotonic(), 0


def _append(file: io.RawIOBase, chunk: bytes, path: Path) -> None:
    """Write all of the chunk; an error names the file."""
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        error.filename = str(path)
        raise


def _reason(error: Exception) -> str:
    """Why a request got no answer, in a few words: requests' own text names its internals."""
    if isinstance(error, requests.TooManyRedirects):
        return f"redirects more than {REDIRECTS} times"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(error, requests.Timeout):
        return f"no answer within {READ_SECONDS:g} s"
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.MissingSchema):
        return "only http:// and https:// addresses are fetched"
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return str(getattr(cause, "strerror", None) or cause)


def _say(line: str) -> None:
    say(without_secrets(line), aside=True)
