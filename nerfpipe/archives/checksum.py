"""The size and checksum expected of a file, and the disk space to store it.

All sizes are in bytes.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular, update_digest

SPARE_BYTES = 16_000_000  # left free on the disk for other programs
MEGABYTE = 1e6


@dataclass(frozen=True)
class Expected:
    """The size and the checksum (`sha256:HEX` or `git-blob:HEX`) that a file must have; None if unknown."""

    size: int | None = None
    checksum: str | None = None

    def fault(self, path: Path) -> str | None:
        """Why this is not the expected file, in a few words; None if it may be."""
        size = path.stat().st_size
        if size == 0:
            return "is empty"
        if self.size is not None and size != self.size:
            return f"has {size} bytes where {self.size} are expected"
        if self.checksum is None:
            return None
        seen = checksum_of(path, self.checksum.split(":")[0])
        return None if seen == self.checksum else f"has checksum {seen} where {self.checksum} is expected"


def checksum_of(path: Path, algorithm: str) -> str:
    """`sha256:HEX`, or `git-blob:HEX` as `git hash-object` computes it. Raises ValueError for another algorithm."""
    if algorithm == "git-blob":
        hasher = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    elif algorithm == "sha256":
        hasher = hashlib.sha256()
    else:
        raise ValueError(f"unknown checksum algorithm {algorithm!r}")
    with open_regular(path) as file:
        update_digest(hasher, file)
    return f"{algorithm}:{hasher.hexdigest()}"


def check_room(folder: Path, needed: int) -> None:
    """Raise NerfpipeError unless the disk of `folder` has room for `needed` bytes and SPARE_BYTES."""
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise NerfpipeError(
            f"{folder}: needs {megabytes(needed + SPARE_BYTES)} but the disk has {megabytes(free)} left; "
            "free some space and run the same command again"
        )


def megabytes(size: int) -> str:
    """A size in bytes as text: `12.7 MB`."""
    return f"{size / MEGABYTE:.1f} MB"
