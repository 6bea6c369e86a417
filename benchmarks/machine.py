"""What this machine can do at most, and how long a training step would take if it did nothing else."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numba import njit, prange

from nerfpipe.kernels.numba.compile import BLOCK, ROW
from nerfpipe.kernels.numba.dense import linear

ROUNDS = 7
MATRIX = (4096, 64)  # of the product that is timed: as many samples as fit the cache, and a layer's width
COPIED = 2**26  # floats: far more than any cache holds
LOOKED_UP = 2**22  # rows, at random
REPEATS, TILE_REPEATS, PARTS = 100, 1000, 64


def median_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of one call, the median of several after a first that is not counted."""
    work()
    spent = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return sorted(spent)[rounds // 2]


def processor() -> str:
    """The processor's name, cores and vector unit."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return (
        f"{names[0] if names else platform.processor()}, {len(names)} cores, {torch.backends.cpu.get_cpu_capability()}"
    )


def limits(rows: int) -> dict[str, float]:
    """Products (FLOP/s), copying (bytes/s, read and written), random lookups of 16-byte rows (rows/s).

    rows: of the table that is looked up in, as many as one level of the hash grid has.
    """
    found = {}
    for name, dtype in (("torch fp32", torch.float32), ("torch bf16", torch.bfloat16)):
        x, w = torch.rand(MATRIX, dtype=dtype), torch.rand(MATRIX[1], MATRIX[1], dtype=dtype)
        out = torch.empty(MATRIX, dtype=dtype)
        seconds = median_seconds(lambda x=x, w=w, out=out: [torch.mm(x, w, out=out) for _ in range(REPEATS)])
        found[name] = REPEATS * 2 * MATRIX[0] * MATRIX[1] ** 2 / seconds
    weight, block = np.random.rand(MATRIX[1], MATRIX[1]).astype(np.float32), np.zeros((MATRIX[1], ROW), np.float32)
    seconds = median_seconds(lambda: _multiply(weight, block, TILE_REPEATS))
    found["tiles"] = PARTS * TILE_REPEATS * 2 * BLOCK * MATRIX[1] ** 2 / seconds
    source, target = torch.rand(COPIED), torch.empty(COPIED)
    found["copy"] = 2 * 4 * COPIED / median_seconds(lambda: target.copy_(source))
    table = np.random.default_rng(0).random((rows, 4), dtype=np.float32)
    numbers = np.random.default_rng(1).integers(0, rows, LOOKED_UP, dtype=np.uint32)
    found["lookups"] = LOOKED_UP / median_seconds(lambda: _look_up(table, numbers))
    return found


@njit(parallel=True)
def _multiply(weight, block, repeats):
    """The product of a layer and a block, again and again on every core."""
    for _part in prange(PARTS):
        out = np.empty((weight.shape[0], ROW), np.float32)
        for _repeat in range(repeats):
            linear(weight, block, out, BLOCK)


@njit(parallel=True, fastmath=True)
def _look_up(table, numbers):
    """Add up rows, so that they must be read."""
    total = np.zeros(PARTS, np.float32)
    for part in prange(PARTS):
        a = b = c = d = np.float32(0)
        for n in range(part * len(numbers) // PARTS, (part + 1) * len(numbers) // PARTS):
            r = numbers[n]
            a += table[r, 0]
            b += table[r, 1]
            c += table[r, 2]
            d += table[r, 3]
        total[part] = a + b + c + d
    return total
