"""Files and folders written whole or not at all, safe opening of foreign files, and the working folder."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import psutil

from nerfpipe.runtime.errors import NerfpipeError

PARTIAL = ".partial-"  # in the name of everything unfinished; git ignores it
WORKSPACE = Path(".nerfpipe")  # the working folder; git and DVC ignore it
CHUNK_BYTES = 1 << 16  # read and written at once
PROJECT_VARIABLE = "DVC_ROOT"  # names the original project, in the copies of it that DVC runs queued experiments in


def work_folder() -> Path:
    """The folder of checkpoints and downloads, outside every DVC out.

    It is the original project's also in the copies that DVC runs queued experiments in, so that a run which is
    started again in another copy continues.
    """
    return _original_project() / WORKSPACE


def _original_project() -> Path:
    return Path(os.environ.get(PROJECT_VARIABLE, "."))


def local_path(text: str) -> Path:
    """The path of a user's data: `~` is the home folder; relative paths start at the project, also in a copy of it."""
    path = Path(text).expanduser()
    in_original = _original_project() / path
    return path if path.exists() or not in_original.exists() else in_original


KINDS_OF_FILE = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path) -> BinaryIO:
    """Open a file that foreign data or a user named, for reading its bytes.

    Raises NerfpipeError for a pipe, on which reading would wait, a device, which may never end, a folder and a
    socket; OSError where an ordinary file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        refuse_irregular(path)
        raise
    try:
        _refuse(path, os.fstat(descriptor).st_mode)
    except NerfpipeError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def update_digest(digest: hashlib._Hash, file: BinaryIO) -> None:
    """Add the rest of a file to a digest, chunk by chunk."""
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)


def refuse_irregular(path: Path) -> None:
    """Raise NerfpipeError where `path` exists and is no ordinary file: for readers that open it themselves."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # opening it gives the better error
    _refuse(path, mode)


@contextmanager
def text_path(path: Path) -> Iterator[Path]:
    """The path, or a link to it where its bytes are no text: some libraries take file names as text only."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / "link"
            link.symlink_to(path.absolute())
            yield link
    else:
        yield path


def _refuse(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = KINDS_OF_FILE.get(stat.S_IFMT(mode), "of an unknown kind")
        raise NerfpipeError(f"{path}: is {kind}, where a file is expected; correct the name")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it is renamed to `path` when the block succeeds.

    Raises NerfpipeError where `path` is a folder or no ordinary file: root would replace even /dev/null.
    """
    refuse_irregular(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_abandoned(path)
    temporary = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    try:
        with named_errors(path):
            yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to fill; it replaces `path` only when the block succeeds.

    Raises NerfpipeError where `path` exists and is no folder.
    """
    if path.exists() and not path.is_dir():
        raise NerfpipeError(f"{path}: is there already and no folder; move it away")
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_abandoned(path)
    temporary = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    retired = path.with_name(f"{PARTIAL}{os.getpid()}-old-{path.name}")
    temporary.mkdir()
    try:
        with named_errors(path):
            yield temporary
        if path.exists():
            try:
                os.replace(path, retired)
                os.replace(temporary, path)
            except BaseException:
                if not path.exists() and retired.exists():
                    os.replace(retired, path)
                raise
            finally:
                if path.exists():
                    shutil.rmtree(retired, ignore_errors=True)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def clear_abandoned(path: Path) -> None:
    """Remove unfinished files and folders for `path` that killed processes left."""
    if any(part.startswith(PARTIAL) for part in path.parent.parts):
        return  # inside an unfinished folder of this process, which may hold thousands of files
    unfinished = re.compile(rf"{re.escape(PARTIAL)}(\d+)-(old-)?{re.escape(path.name)}")
    for other in path.parent.iterdir():
        found = unfinished.fullmatch(other.name)
        if found and int(found[1]) != os.getpid() and not psutil.pid_exists(int(found[1])):
            shutil.rmtree(other, ignore_errors=True) if other.is_dir() else other.unlink(missing_ok=True)


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Operating-system errors that name no file (a full disk, while writing) name `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def create_array(path: Path, dtype: np.dtype | type, shape: tuple[int, ...]) -> np.memmap:
    """A new .npy array of zeros, memory-mapped, to be filled part by part.

    Its disk space is reserved at once. Raises OSError on a full disk; a write to the map would kill the process.
    """
    if shutil.disk_usage(path.parent).free < np.dtype(dtype).itemsize * math.prod(shape):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a whole array as .npy. On a full disk the error names file and reason, which `np.save`'s does not."""
    create_array(path, array.dtype, array.shape)[...] = array


def write_json(path: Path, content: Any, private: bool = False) -> None:
    """Write JSON atomically, one value a line; `private`: readable by its owner alone."""
    with atomic_file(path) as temporary:
        if private:
            temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
