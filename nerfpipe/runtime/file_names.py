"""Names of files that a scene's data gives, made relative to the scene."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote

from nerfpipe.runtime.errors import NerfpipeError

MAX_PATH_BYTES = 4096  # the limit of Linux
MAX_NAME_BYTES = 255  # of one folder's or file's name; characters on Windows
DRIVE = re.compile(r"^[A-Za-z]:(?=/|$)")  # a colon elsewhere is part of a name
# The start of names that are not relative to the data's own folder.
ELSEWHERE = re.compile(r"(file:)?/|~|\.\.(/|$)|[A-Za-z]:/")


def plain_name(named: str) -> PurePosixPath:
    """A name with its folders, relative to the scene: without drive, root or `..`.

    Raises NerfpipeError where it is longer than any path, or empty.
    """
    refuse_long(named)
    parts: list[str] = []
    for part in DRIVE.sub("", _slashes(named)).split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    if not parts:
        raise NerfpipeError(f"names no file ({named!r:.40})")
    if long := [part for part in parts if (len(part) if os.name == "nt" else size_of(part)) > MAX_NAME_BYTES]:
        raise NerfpipeError(f"has a part of more than {MAX_NAME_BYTES} bytes ({long[0][:20]!r} …); no file has one")
    return PurePosixPath(*parts)


def refuse_long(path: str) -> None:
    """Raise NerfpipeError where the path is longer than any file's."""
    if size_of(path) > MAX_PATH_BYTES:
        raise NerfpipeError(f"names a path of more than {MAX_PATH_BYTES:,} bytes ({path[:20]!r} …); no file has one")


def unescaped(named: str) -> str | None:
    """The name with the escapes of an address resolved, as in `my%20picture.png`; None where it has none."""
    plain = unquote(named, errors="surrogateescape")
    return None if plain == named else plain


def from_elsewhere(named: str) -> bool:
    """Whether a name is absolute or leads up: then only its last parts can be found in the scene."""
    return ELSEWHERE.match(_slashes(named)) is not None


def folded(part: str) -> str:
    """One form for all spellings of a name: upper or lower case, accents composed or not (macOS)."""
    return unicodedata.normalize("NFC", part).casefold()


def _slashes(named: str) -> str:
    return named.replace("\\", "/")


def size_of(text: str) -> int:
    """The size of a text in bytes."""
    return len(text.encode("utf-8", "surrogatepass"))
