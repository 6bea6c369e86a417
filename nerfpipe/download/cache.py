"""Downloads kept outside every DVC out, so that a stage that runs again needs no network.

Files in `.nerfpipe/downloads` are named by their checksums. For addresses without a known checksum, a note named by
the addresses holds the checksum of their file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nerfpipe.archives.checksum import Expected, checksum_of
from nerfpipe.download.fetch import fetch, file_name
from nerfpipe.runtime.addresses import presentable
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular, work_folder, write_json
from nerfpipe.runtime.terminal import say

SEEN = re.compile(r"sha256:[0-9a-f]{64}")
LOCK_SECONDS = 60.0  # how long to wait for another run that fetches the same file


def fetch_kept(urls: list[str], size: int | None = None, checksum: str | None = None) -> Path:
    """The path of the file, kept from an earlier run or downloaded now. It must not be changed.

    size in bytes. Raises NerfpipeError when no address gives it, the disk is full, or another run is fetching it.
    """
    folder = work_folder() / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    if checksum:
        return _fetch_verified(folder / _stored_name(checksum), urls, size, checksum)
    path, seen = _fetch_unverified(folder, urls, size)
    say(f"{file_name(urls[0])}: not verified; to have it verified, record `checksum: {seen}`")
    return path


def _fetch_verified(path: Path, urls: list[str], size: int | None, checksum: str) -> Path:
    with _alone(path, file_name(urls[0])):
        if not _is_kept(path, Expected(size, checksum), file_name(urls[0])):
            fetch(urls, path, size, checksum)
    return path


def _fetch_unverified(folder: Path, urls: list[str], size: int | None) -> tuple[Path, str]:
    """The file and its checksum, which later runs compare.

    They fetch anew if the entry's size has changed, since another file is meant then.
    """
    by_address = folder / f"addresses-{hashlib.sha256(' '.join(urls).encode()).hexdigest()}"
    note = by_address.with_name(f"{by_address.name}.json")
    with _alone(by_address, file_name(urls[0])):
        seen, bytes_seen = _noted(note, urls)
        if seen and size in (None, bytes_seen or size):
            path = folder / _stored_name(seen)
            if not _is_kept(path, Expected(size, seen), file_name(urls[0])):
                _fetch_same(urls, path, size, seen, note)
            return path, seen
        fetch(urls, by_address, size)
        seen = checksum_of(by_address, "sha256")
        path = folder / _stored_name(seen)
        os.replace(by_address, path)
        _write_note(note, urls, seen, path.stat().st_size)
    return path, seen


def _fetch_same(urls: list[str], path: Path, size: int | None, seen: str, note: Path) -> None:
    """Fetch a lost or damaged file again. Raises NerfpipeError where the addresses give another file now."""
    try:
        fetch(urls, path, size, seen)
    except NerfpipeError as error:
        if f"{seen} is expected" not in str(error):
            raise
        raise NerfpipeError(
            *error.lines, f"{note}: has the checksum of an earlier download; delete it to accept another file"
        ) from None


def _is_kept(path: Path, expected: Expected, name: str) -> bool:
    """Whether the file exists and is unchanged; else it will be fetched again."""
    if not path.exists():
        return False
    fault = expected.fault(path)
    say(f"{name}: kept from an earlier run" if fault is None else f"{path}: {fault}; fetching it again")
    return fault is None


def _noted(note: Path, urls: list[str]) -> tuple[str | None, int | None]:
    """The checksum and the size in bytes in the note; None where they are unknown."""
    try:
        with open_regular(note) as file:
            content = json.load(file)
        seen, size = content["checksum"], content.get("bytes")
        if not SEEN.fullmatch(seen) or not isinstance(size, int | None):
            return None, None
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError, NerfpipeError):
        return None, None
    if content.get("url") != [presentable(url) for url in urls]:  # earlier versions stored passwords, readable for all
        _write_note(note, urls, seen, size)
    return seen, size


def _write_note(note: Path, urls: list[str], seen: str, size: int | None) -> None:
    content = {"url": [presentable(url) for url in urls], "checksum": seen, "bytes": size}
    write_json(note, content, private=True)


def _stored_name(checksum: str) -> str:
    return checksum.replace(":", "-")  # Windows allows no colon in a file name


@contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """Lock `path` against other runs; wait up to LOCK_SECONDS for one that has the lock."""
    lock = FileLock(f"{path}.lock")
    try:
        if not _acquired(lock, 0):
            say(f"{name}: another run is fetching it; waiting up to {LOCK_SECONDS:g} s")
            if not _acquired(lock, LOCK_SECONDS):
                raise NerfpipeError(f"{name}: another run is fetching it; wait for that, then run this again")
        yield
    finally:
        lock.release()


def _acquired(lock: FileLock, seconds: float) -> bool:
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return False
    return True
