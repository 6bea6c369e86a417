"""Fetch one file over HTTP(S): mirrors in order, broken transfers resumed, nothing unverified put in place.

All sizes are in bytes, all times in seconds.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import requests
import urllib3

from nerfpipe.errors import NerfpipeError
from nerfpipe.files import write_json
from nerfpipe.progress import Progress
from nerfpipe.sources.content import CHUNK_BYTES, Expected, check_room

CONNECT_SECONDS = 10.0
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

    def begin(self, url: str, headers: Mapping[str, str]) -> None:
        """Empty the partial and note how the server names this version of the file."""
        etag = headers.get("ETag", "")
        validator = etag if etag.startswith('"') else headers.get("Last-Modified")  # W/"…" may not serve If-Range
        self.path.write_bytes(b"")
        write_json(self._note, {"url": url, "validator": validator})

    def validator_of(self, url: str) -> str | None:
        """The server's name for the version that the bytes are of, if this address gave them."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return note["validator"] if note["url"] == url else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def move_to(self, destination: Path) -> None:
        os.replace(self.path, destination)
        self.clear()


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
                faults.append(f"{url}: {error}")
                if len(faults) < len(urls):
                    _say(f"{faults[-1]}; trying the next address")
            else:
                part.move_to(destination)
                return destination
    remedy = "check the network and the addresses, or save the file yourself and name it with `path:`"
    raise NerfpipeError("\n".join([*faults, f"{file_name(urls[0])}: no address gave it; {remedy}"]))


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
        _say(f"{url}: resumed, it {fault}; starting over")
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
            _say(f"{url}: {error}; resuming")
            time.sleep(RETRY_SECONDS)


def _transfer(session: requests.Session, url: str, part: _Partial, expected: Expected) -> bool:
    """One request and its body; True if the bytes were added to older ones."""
    validator = part.validator_of(url)
    too_long = expected.size is not None and part.size > expected.size
    if too_long or not (expected.checksum or validator):
        part.clear()  # without a checksum only the server can tell whether older bytes are of the same file
    start = part.size
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and validator:
        headers["If-Range"] = validator
    try:
        response = session.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
    except (requests.RequestException, ValueError) as error:  # ValueError: a redirect to what is no address
        raise _RefusedError(_reason(error)) from None
    with response:
        resumed, total = _check_answer(response, part)
        if resumed and total == start:
            return True
        _refuse_other_files(response, total, expected)
        if not resumed:
            part.begin(url, response.headers)
        whole = expected.size or total
        check_room(part.path.parent, (whole or part.size) - part.size)
        _write_body(response, part, whole, file_name(url))
    return resumed


def _check_answer(response: requests.Response, part: _Partial) -> tuple[bool, int | None]:
    """Whether the body continues the partial, and the size of the whole file where the server names it."""
    status, start = response.status_code, part.size
    if status == OK:
        length = response.headers.get("Content-Length", "")
        return False, int(length) if length.isdecimal() else None
    if start and status in (PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE):
        content_range = response.headers.get("Content-Range", "")
        if status == RANGE_NOT_SATISFIABLE and content_range == f"bytes */{start}":
            return True, start
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
        if status == PARTIAL_CONTENT and match and int(match[1]) == start:
            return True, int(match[2]) if match[2].isdecimal() else None
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
    with (
        part.path.open("ab", buffering=0) as file,  # what has arrived is kept, whatever ends the program
        Progress(name, whole, "B", start=part.size, unit_scale=True) as progress,
    ):
        try:
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                _append(file, chunk, part.path)
                progress.advance(len(chunk))
                if whole is not None and progress.done > whole:
                    raise _RefusedError(f"sent more than the {whole} bytes expected")
        except urllib3.exceptions.ReadTimeoutError:
            raise _BrokenError(f"silent for {READ_SECONDS:g} s after {part.size} bytes") from None
        except urllib3.exceptions.HTTPError:
            raise _BrokenError(f"broke off after {part.size} bytes") from None
    if whole is not None and part.size < whole:
        raise _BrokenError(f"ended after {part.size} of {whole} bytes")


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
        return f"only http:// and https:// addresses are fetched ({error})"
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return str(getattr(cause, "strerror", None) or cause)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
