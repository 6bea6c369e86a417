"""Numbered files, so that nothing is overwritten."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NUMBERED = 10_000  # files of one name in a folder


@contextmanager
def new_file(folder: Path, name: str, *suffixes: str) -> Iterator[Path]:
    """The first path, without suffix, of name_001, name_002, ... in a folder that is free for all the suffixes.

    It is reserved at once by an empty file with the first suffix, so that no other caller gets it. The reservation is
    removed if the block fails before anything is written. Raises OSError if the folder is not writable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = _reserve(folder, name, suffixes)
    reserved = file.with_suffix(suffixes[0])
    try:
        yield file
    except BaseException:
        if reserved.stat().st_size == 0:  # it may have been written before something else failed
            reserved.unlink()
        raise


def _reserve(folder: Path, name: str, suffixes: tuple[str, ...]) -> Path:
    for number in range(1, NUMBERED):
        file = folder / f"{name}_{number:03d}"
        if any(file.with_suffix(suffix).exists() for suffix in suffixes):
            continue
        try:
            file.with_suffix(suffixes[0]).touch(exist_ok=False)
        except FileExistsError:
            continue  # another caller was faster
        return file
    raise FileExistsError(errno.EEXIST, "holds too many files of this name", str(folder / name))


def check_writable(folder: Path) -> None:
    """Raises OSError if no file can be created in a folder, before time is spent on its content."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
