"""Compiled kernels on the disk: all of them, made by one fresh process, or none.

What numba makes of a kernel depends on whether the functions that it calls were compiled just before or come from a
file. So that a kernel's code does not depend on which one a process uses first, all kernels are compiled in one order
by a process of their own, and every process that computes loads what that one left.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import llvmlite.binding
from filelock import FileLock

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import atomic_folder
from nerfpipe.runtime.terminal import say

HERE = Path(__file__).parent
OPS = HERE.parents[1] / "ops"
SHARED = ("constants.py", "spherical_harmonics.py")  # modules there whose numbers are compiled in
INTO = "NERFPIPE_COMPILE_INTO"  # tells the process that compiles where to
COMPILE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from nerfpipe.kernels.numba.warm_up import compile_all; compile_all()"
)
OF_NO_EFFECT = {"NUMBA_NUM_THREADS", "NUMBA_CACHE_DIR", "NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY"}
DIGITS = 16  # hexadecimal, of the two hashes in a folder's name
ALONE = 0o700  # numba unpickles what it finds: others must not write there
FAILED = (
    "the CPU kernels could not be compiled (its own message stands above); "
    "`runtime.kernels: torch` in params.yaml does without them"
)


def kept_code() -> str:
    """The folder that holds all compiled kernels; where there is none yet, they are compiled, in half a minute.

    Raises NerfpipeError when they cannot be compiled, or when not even a temporary folder can be written to.
    """
    if into := os.environ.get(INTO):
        return into
    name = folder_name()
    for folder in folders():
        if (folder / name).is_dir():
            return str(folder / name if _writable(folder / name) else _copied(folder / name))
    for folder in folders():
        if _writable(folder):
            _remove_older(folder, name)
            return str(_compiled(folder / name))
    say("no folder can be written to that would keep the compiled kernels; set XDG_CACHE_HOME to one")
    return str(_compiled(_temporary() / name))


def folders() -> Iterator[Path]:
    """The folders that may hold compiled code: beside the source, else in the user's own cache."""
    yield HERE / "__pycache__"
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nerfpipe"
    except RuntimeError:  # nobody's home
        return
    if cache.is_absolute() and _private(cache):
        yield cache


def folder_name() -> str:
    """A name for all that compiled code depends on: the sources and their folder, the machine and its libraries."""
    sources = [*sorted(HERE.glob("*.py")), *(OPS / name for name in SHARED)]
    source = hashlib.sha256(str(HERE).encode() + b"".join(file.read_bytes() for file in sources)).hexdigest()
    return f"kernels-{source[:DIGITS]}-{_machine()}"


def _machine() -> str:
    features = llvmlite.binding.get_host_cpu_features().flatten()
    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite", "numpy")]
    settings = sorted(
        f"{key}={value}" for key, value in os.environ.items() if key.startswith("NUMBA_") and key not in OF_NO_EFFECT
    )
    told = [platform.python_implementation(), *sys.version_info[:2], llvmlite.binding.get_host_cpu_name(), features]
    return hashlib.sha256(json.dumps([*told, *versions, *settings]).encode()).hexdigest()[:DIGITS]


def _writable(folder: Path) -> bool:
    """Whether files can be made in the folder, or in it once it is made. Permissions alone do not tell."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=ALONE if folder.name == "nerfpipe" else 0o777)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _private(folder: Path) -> bool:
    """Whether nobody but this user can write to the folder, if it is there."""
    try:
        state = folder.stat()
    except OSError:
        return not folder.exists()
    if not hasattr(os, "getuid"):  # Windows: profiles are private
        return True
    return state.st_uid == os.getuid() and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _remove_older(folder: Path, name: str) -> None:
    """Remove what this machine compiled of other source; what other machines and versions left stays."""
    machine = name.rpartition("-")[2]
    for older in folder.glob(f"kernels-*-{machine}"):
        if older.name != name:
            shutil.rmtree(older, ignore_errors=True)


def _compiled(folder: Path) -> Path:
    """Have all kernels compiled into `folder`, unless another process has just done so."""
    with FileLock(folder.with_suffix(".lock")):
        if folder.is_dir():
            return folder
        # Otherwise it would look like a program that hangs.
        say("compiling the CPU kernels for this processor: once, about half a minute")
        with atomic_folder(folder) as unfinished:
            command = [sys.executable, "-c", COMPILE, json.dumps(sys.path)]
            environment = {**os.environ, INTO: str(unfinished)}
            if subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode:
                raise NerfpipeError(FAILED)
    return folder


def _copied(folder: Path) -> Path:
    """A copy that can be written to: numba loads nothing from a folder that cannot."""
    return Path(shutil.copytree(folder, _temporary() / folder.name))


def _temporary() -> Path:
    """A folder of this process alone, removed at its end. Raises NerfpipeError when none can be made."""
    try:
        folder = tempfile.mkdtemp(prefix="nerfpipe-kernels-")
    except OSError:
        raise NerfpipeError(
            f"{HERE}: compiled kernels can be kept neither here, nor in a cache folder, nor in a temporary one; set "
            "XDG_CACHE_HOME or TMPDIR to a folder that can be written to"
        ) from None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
