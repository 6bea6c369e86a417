"""How every kernel is compiled, where compiled code is kept, and for which vector unit."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba import njit
from numba.core import event

# Sums may be reordered and products fused when a kernel is compiled, so that loops become vector instructions; the
# compiled order is then fixed. NaN and infinity keep their meaning: training checks for them.
FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}

_features = llvmlite.binding.get_host_cpu_features()
LANES = 16 if _features.get("avx512f") else 8 if _features.get("avx2") else 4  # floats in a vector register
COLUMNS = 2 if LANES == 8 else 4  # vectors of a tile's row: AVX2 has half as many registers
BLOCK = 256  # samples computed at once: their activations stay in the second-level cache
# A row of a block is longer than the block, because rows a power of two apart fall on the same few cache lines.
ROW = BLOCK + 16


def _cache_folder() -> Path:
    """Where compiled kernels are kept: a folder named by all kernels' source.

    Numba looks only at the file a kernel is in, and would go on using one whose inner functions, in other files, have
    changed since.
    """
    here = Path(__file__).parent
    sources = [*sorted(here.glob("*.py")), here.parent / "fields/harmonics.py"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()[:16]
    kept = here / "__pycache__"
    if not os.access(kept if kept.exists() else here, os.W_OK):
        # A folder of the user's own: numba unpickles what it finds there.
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"nerfpipe/kernels-{digest}"
    for older in kept.glob("kernels-*"):
        if older.name != f"kernels-{digest}":
            shutil.rmtree(older, ignore_errors=True)
    return kept / f"kernels-{digest}"


_folder = str(_cache_folder())


def _decorator(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    compiled = njit(cache=True, nogil=True, error_model="numpy", **options)

    def decorate(function: Callable[..., Any]) -> Any:
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _folder  # read while decorating
        try:
            return compiled(function)
        finally:
            numba.config.CACHE_DIR = before

    return decorate


kernel = _decorator(fastmath=FAST)
parallel_kernel = _decorator(fastmath=FAST, parallel=True)
exact_kernel = _decorator()  # rounds as torch does
parallel_exact_kernel = _decorator(parallel=True)


class _Announcement(event.Listener):
    """Says once that kernels are being compiled: otherwise it would look like a program that hangs."""

    def __init__(self) -> None:
        self._said = False

    def on_start(self, event: event.Event) -> None:
        if not self._said:
            self._said = True
            print("compiling the CPU kernels for this processor: once, about half a minute", flush=True)

    def on_end(self, event: event.Event) -> None:
        pass


event.register("numba:compile", _Announcement())
