"""Names of files as data has them, made names within the scene."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import unquote

from nerfpipe.runtime.errors import NerfpipeError

LONGEST_PATH = 4096  # bytes: Linux opens no longer one
LONGEST_PART = 255  # bytes of a folder's or a file's name; letters on Windows
DRIVE = re.compile(r"^[A-Za-z]:(?=/|$)")  # a colon elsewhere is part of a name
# How names begin that do not begin at the data's own folder.
ELSEWHERE = re.compile(r"(file:)?/|~|\.\.(/|$)|[A-Za-z]:/")


def plain_name(named: str) -> PurePosixPath:
    """A name with its folders, as it would be within the scene: no drive, no root, no way up.

    Raises NerfpipeError where it is longer than any path, or names nothing.
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
    if long := [part for part in parts if (len(part) if os.name == "nt" else size_of(part)) > LONGEST_PART]:
        raise NerfpipeError(f"has a part of more than {LONGEST_PART} bytes ({long[0][:20]!r} …); no file has one")
    return PurePosixPath(*parts)


def refuse_long(path: str) -> None:
    """Raise NerfpipeError where no file can have the path."""
    if size_of(path) > LONGEST_PATH:
        raise NerfpipeError(f"names a path of more than {LONGEST_PATH:,} bytes ({path[:20]!r} …); no file has one")


def unescaped(named: str) -> str | None:
    """The name without the percent signs of an address, `my%20picture.png`; None where it has none."""
    plain = unquote(named, errors="surrogateescape")
    return None if plain == named else plain


def from_elsewhere(named: str) -> bool:
    """Whether a name is absolute or leads up: its end alone means something in the scene."""
    return ELSEWHERE.match(_slashes(named)) is not None


def folded(part: str) -> str:
    """What two spellings of a name have in common: large or small letters, accents composed or not (macOS)."""
    return unicodedata.normalize("NFC", part).casefold()


def _slashes(named: str) -> str:
    return named.replace("\\", "/")


def size_of(text: str) -> int:
    """In bytes."""
    return len(text.encode("utf-8", "surrogatepass"))
