"""Fetch one file over HTTP(S): mirrors in order, broken transfers resumed, nothing unverified put in place.

All sizes are in bytes, all times in seconds.
"""

from __future__ import annotations

import io
import math
import re
import shutil
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3

from nerfpipe.archives.checksum import SPARE_BYTES, Expected, check_room, megabytes
from nerfpipe.download.answers import BrokenError, RefusedError, check_answer, refuse_other_files
from nerfpipe.download.partial import Partial, Version
from nerfpipe.download.watch import EndedError, Watch
from nerfpipe.runtime.addresses import presentable, without_secrets
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import CHUNK_BYTES
from nerfpipe.runtime.progress import Progress
from nerfpipe.runtime.terminal import say

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0  # for all headers to arrive, redirects included
READ_SECONDS = 30.0  # longest silence of a server that has accepted the connection
PACE_SECONDS = 60.0  # over which MIN_SPEED is measured
MIN_SPEED = 1000  # bytes a second: a telephone modem had seven times that
MAX_UNKNOWN_BYTES = 2**36  # of a body of unknown size; also at most half of the free disk
ROOM_BYTES = SPARE_BYTES  # between two checks of the free disk, to which others write as well
MAX_RESUMES = 5  # of a broken transfer from one address
RETRY_SECONDS = 1.0  # before a broken transfer is resumed
MAX_REDIRECTS = 10
SCHEMES = ("http", "https")
NAME_CHARACTERS = 100  # longest file name taken from an address


class _Line(NamedTuple):
    """The session of requests, and the watch that ends them."""

    session: requests.Session
    watch: Watch


def fetch(urls: list[str], destination: Path, size: int | None = None, checksum: str | None = None) -> Path:
    """Download to `destination` from the first address that gives a file of this size and checksum.

    The bytes of an unfinished download stay in `destination`.part, and the next call continues from there.
    Raises NerfpipeError with one line per address when none gives it or one line when the disk has too little
    room, and OSError naming the file when it cannot be written.
    """
    expected, part, faults, watch = Expected(size, checksum), Partial(destination), [], Watch()
    with watch.session() as session:
        line = _Line(session, watch)
        session.headers.update({"User-Agent": "nerfpipe", "Accept-Encoding": "identity"})
        for url in urls:
            try:
                _fetch_from(line, url, part, expected)
            except RefusedError as error:
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
    url = presentable(url) if "@" in url else url  # a user and a password must not become a name
    path = unquote(re.split(r"[?#]", re.sub(r"^\w+://[^/?#]*", "", url))[0])
    last = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    return re.sub(r"[^\w.+-]", "_", last, flags=re.ASCII)[-NAME_CHARACTERS:].lstrip(".-") or "data"


def _fetch_from(line: _Line, url: str, part: Partial, expected: Expected) -> None:
    """Fill and verify the partial. Raises RefusedError; bytes that fail verification are removed."""
    fault: str | None = None
    for _ in range(2):  # a second time from the start, if the first continued older bytes
        resumed = _fill(line, url, part, expected)
        fault = expected.fault(part.path)
        if fault is None:
            return
        part.clear()
        if not resumed:
            break
        _say(f"{presentable(url)}: resumed, it {fault}; starting over")
    raise RefusedError(fault)


def _fill(line: _Line, url: str, part: Partial, expected: Expected) -> bool:
    """Transfer until the partial is full, with a limited number of resumes; True if it holds older bytes."""
    if expected.checksum and part.size and part.size == expected.size:
        return True
    resumes = 0
    while True:
        try:
            return _transfer(line, url, part, expected)
        except BrokenError as error:
            if resumes == MAX_RESUMES:
                raise RefusedError(f"{error}; gave up after resuming {MAX_RESUMES} times") from None
            resumes += 1
            _say(f"{presentable(url)}: {error}; resuming")
            time.sleep(RETRY_SECONDS)


def _transfer(line: _Line, url: str, part: Partial, expected: Expected) -> bool:
    """Make one request and read its body; True if the bytes were added to older ones."""
    begun = part.begun(url)
    too_long = expected.size is not None and part.size > expected.size
    if too_long or not (expected.checksum or (begun and begun.validator)):
        part.clear()  # without a checksum only the server can tell whether older bytes are of the same file
    start = part.size
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and begun and begun.validator:
        headers["If-Range"] = begun.validator
    with _ask(line, url, headers) as response:
        answer = check_answer(response, part, begun)
        if answer.resumed and answer.total == start:
            return True
        refuse_other_files(response, answer.total, expected)
        if not answer.resumed:
            part.begin(url, Version.of(response.headers, answer.total))
        whole = expected.size or answer.total
        _check_room(part, whole, expected)
        pace = f"sends less than {MIN_SPEED} bytes a second; gave up after {PACE_SECONDS:g} s of it"
        try:
            with line.watch.least(MIN_SPEED * PACE_SECONDS, PACE_SECONDS, pace):
                _write_body(response, part, whole, answer.end, line.watch, file_name(url))
        except EndedError as error:
            raise RefusedError(str(error)) from None
    return answer.resumed


def _ask(line: _Line, url: str, headers: dict[str, str]) -> requests.Response:
    """The response after all redirects, with its headers. Raises RefusedError where they do not arrive in time."""
    timeout, address, response = (CONNECT_SECONDS, READ_SECONDS), url, None
    try:
        with line.watch.least(math.inf, ANSWER_SECONDS, f"no whole answer within {ANSWER_SECONDS:g} s"):
            for _ in range(MAX_REDIRECTS + 1):
                auth = _auth(line, url, address)
                response = line.session.get(address, stream=True, headers=headers, auth=auth, timeout=timeout)
                target = line.session.get_redirect_target(response)
                if target is None:
                    return response
                response.close()
                address = urljoin(address, target)
                if urlsplit(address).scheme.lower() not in SCHEMES:
                    raise RefusedError(f"redirects to {presentable(address)}; only http:// and https:// are fetched")
    except EndedError as error:
        if response is not None:
            response.close()
        raise RefusedError(str(error)) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise RefusedError(_reason(error)) from None
    raise RefusedError(f"redirects more than {MAX_REDIRECTS} times")


def _auth(line: _Line, url: str, address: str) -> tuple[str, str] | None:
    """User and password of the first address, unless the other is of another host."""
    user, password = requests.utils.get_auth_from_url(url)
    return (user, password) if user and not line.session.should_strip_auth(url, address) else None


def _check_room(part: Partial, whole: int | None, expected: Expected) -> None:
    """Raise NerfpipeError where the disk has too little room, or RefusedError where the size is only the server's."""
    try:
        check_room(part.path.parent, (whole or part.size) - part.size)
    except NerfpipeError as error:
        if whole is None or expected.size is not None:
            raise
        raise RefusedError(f"offers {megabytes(whole)}, and {error}") from None


def _write_body(
    response: requests.Response, part: Partial, whole: int | None, end: int | None, watch: Watch, name: str
) -> None:
    """Append the body to the partial, as sent: a Content-Encoding may be the file's own (.tar.gz).

    whole: the file's size; end: the end of this body in the file; None where unknown.
    Raises RefusedError, BrokenError and NerfpipeError.
    """
    room = part.size + min(MAX_UNKNOWN_BYTES, shutil.disk_usage(part.path.parent).free // 2)
    bound = min((size for size in (whole, end) if size is not None), default=None)
    checked = part.size
    with (
        part.path.open("ab", buffering=0) as file,  # unbuffered: received bytes are kept, whatever ends the program
        Progress(name, whole, "B", start=part.size, unit_scale=True) as progress,
    ):
        try:
            # read1: a whole chunk may take for ever to arrive.
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
                _append(file, chunk, part.path)
                watch.received += len(chunk)
                progress.advance(len(chunk))
                if bound is not None and progress.done > bound:
                    raise RefusedError(f"sent more than the {bound} bytes expected")
                if bound is None and progress.done > room:
                    part.clear()
                    raise RefusedError(
                        "does not say how much comes, and would fill the disk; give its size as `bytes:`"
                    )
                if progress.done - checked > ROOM_BYTES:
                    checked = progress.done
                    check_room(part.path.parent, (whole or checked) - checked)
        except urllib3.exceptions.ReadTimeoutError:
            raise BrokenError(f"silent for {READ_SECONDS:g} s after {part.size} bytes") from None
        except urllib3.exceptions.HTTPError:
            raise BrokenError(f"broke off after {part.size} bytes") from None
    needed = end if whole is None else whole
    if needed is not None and part.size < needed:
        raise BrokenError(f"ended after {part.size} of {needed} bytes")


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
    """Why a request failed, in a few words: requests' own text names its internals."""
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(error, requests.Timeout):
        return f"no answer within {READ_SECONDS:g} s"
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.MissingSchema):
        return "only http:// and https:// addresses are fetched"
    if isinstance(error, requests.exceptions.InvalidHeader):
        return "answers with headers that contradict each other"
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return "the proxy that HTTP_PROXY or HTTPS_PROXY names has no valid address"
    if isinstance(error, ValueError):
        return "is no address, or redirects to none"  # requests' own text quotes parts of it
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return str(getattr(cause, "strerror", None) or cause)


def _say(line: str) -> None:
    say(without_secrets(line), aside=True)
