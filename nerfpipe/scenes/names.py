"""Names of files as data has them, made names within the scene."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from nerfpipe.errors import NerfpipeError

LONGEST_PATH = 4096  # bytes: Linux opens no longer one
DRIVE = re.compile("[A-Za-z]:")


def plain_name(named: str) -> PurePosixPath:
    """A name with its folders, as it would be within the scene: no drive, no root, no way up.

    Raises NerfpipeError where it is longer than any path, or names nothing.
    """
    if len(named.encode("utf-8", "surrogatepass")) > LONGEST_PATH:
        raise NerfpipeError(f"names a path of more than {LONGEST_PATH:,} bytes ({named[:20]!r} …); no file has one")
    parts = [
        part for part in DRIVE.sub("", named.replace("\\", "/"), count=1).split("/") if part not in ("", ".", "..")
    ]
    if not parts:
        raise NerfpipeError(f"names no file ({named!r:.40})")
    return PurePosixPath(*parts)
