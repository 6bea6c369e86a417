"""How every kernel is compiled, and for which vector unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
from numba import njit

from nerfpipe.kernels.numba.kept import kept_code

# Sums may be reordered and products fused when a kernel is compiled, so that loops become vector instructions; the
# compiled order is then fixed. NaN and infinity keep their meaning: training checks for them.
FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}
# Said, and not left out: numba compiles a function that says nothing as the one by which it is called first, so that
# its code would depend on which kernel a process happens to use first.
EXACT = False

_features = llvmlite.binding.get_host_cpu_features()
LANES = 16 if _features.get("avx512f") else 8 if _features.get("avx2") else 4  # floats in a vector register
COLUMNS = 2 if LANES == 8 else 4  # vectors of a tile's row: AVX2 has half as many registers
BLOCK = 256  # samples computed at once: their activations stay in the second-level cache
# A row of a block is longer than the block, because rows a power of two apart fall on the same few cache lines.
ROW = BLOCK + 16


_folder = kept_code()


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
exact_kernel = _decorator(fastmath=EXACT)  # rounds as torch does
parallel_exact_kernel = _decorator(fastmath=EXACT, parallel=True)
