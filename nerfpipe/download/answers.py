"""The meaning of a server's response headers: the whole file, the rest of it, or another file. Sizes are in bytes."""

from __future__ import annotations

import http.client
import re
from typing import NamedTuple

import requests

from nerfpipe.archives.checksum import Expected
from nerfpipe.download.partial import Partial, Version, whole_number

KIND_CHARACTERS = 100  # of a Content-Type, in an error
OK, PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 200, 206, 416
CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)


class RefusedError(Exception):
    """This address does not give the file."""


class BrokenError(Exception):
    """The transfer broke off, and may be resumed."""


class Answer(NamedTuple):
    """From the headers: whether the body continues the partial, the end of the body in the file, the file's size."""

    resumed: bool
    end: int | None
    total: int | None


def check_answer(response: requests.Response, part: Partial, begun: Version | None) -> Answer:
    """The answer in the headers. Raises RefusedError, or BrokenError where the partial had to be removed."""
    status, start, headers = response.status_code, part.size, response.headers
    length = whole_number(headers.get("Content-Length", ""))
    if status == OK:
        return Answer(False, None, length)
    if not start or status not in (PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE):
        phrase = http.client.responses.get(status, "")  # the server's own text is foreign
        raise RefusedError(f"answered {status} {phrase}".rstrip())
    fault = "does not go on where the earlier download stopped"
    content_range = headers.get("Content-Range", "")
    complete = begun is None or begun.total in (None, start)
    if status == RANGE_NOT_SATISFIABLE and content_range == f"bytes */{start}" and complete:
        return Answer(True, start, start)
    found = CONTENT_RANGE.fullmatch(content_range)
    if status == PARTIAL_CONTENT and found:
        first, end, total = int(found[1]), int(found[2]) + 1, whole_number(found[3])
        if first == start < end <= (end if total is None else total) and length in (None, end - start):
            changed = begun and Version.of(headers, total).fault(begun)
            if not changed:
                return Answer(True, end, total)
            fault = changed
    part.clear()
    raise BrokenError(fault)


def refuse_other_files(response: requests.Response, total: int | None, expected: Expected) -> None:
    """Raise RefusedError, before anything is overwritten, for another size or a web page."""
    kind = response.headers.get("Content-Type", "of unknown kind").split(";")[0][:KIND_CHARACTERS]
    if expected.size is not None and total not in (None, expected.size):
        raise RefusedError(f"offers {total} bytes ({kind}) where {expected.size} are expected")
    if kind == "text/html" and (total is None or not (expected.size or expected.checksum)):
        raise RefusedError("answered with a web page instead of the file")
