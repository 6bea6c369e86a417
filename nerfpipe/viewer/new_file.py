"""Files that are numbered, so that nothing is overwritten."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NUMBERED = 10_000  # files of one name in a folder


@contextmanager
def new_file(folder: Path, name: str, *suffixes: str) -> Iterator[Path]:
    """The first of name_001, name_002, ... in a folder, without suffix, that no file has yet with any of the suffixes.

    It is taken at once, by an empty file with the first of the suffixes, so that nobody else gets it, and given back
    where the block fails. Raises OSError where nothing can be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = _take(folder, name, suffixes)
    first = file.with_suffix(suffixes[0])
    try:
        yield file
    except BaseException:
        if first.stat().st_size == 0:  # it may have been written before something else failed
            first.unlink()
        raise


def _take(folder: Path, name: str, suffixes: tuple[str, ...]) -> Path:
    for number in range(1, NUMBERED):
        file = folder / f"{name}_{number:03d}"
        if any(file.with_suffix(suffix).exists() for suffix in suffixes):
            continue
        try:
            file.with_suffix(suffixes[0]).touch(exist_ok=False)
        except FileExistsError:
            continue  # another was faster
        return file
    raise FileExistsError(errno.EEXIST, "holds too many files of this name", str(folder / name))


def check_writable(folder: Path) -> None:
    """Raises OSError where no file could be made in a folder, before long work is spent on what is to go there."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
