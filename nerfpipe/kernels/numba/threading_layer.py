"""The threads of the kernels: which library makes them, how many there are, and who may use them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numba

OPENMP, QUEUE = "omp", "workqueue"
# OpenMP where its library is, else numba's own queue, which is everywhere. Never TBB, which warns when a thread other
# than the first starts a process. By itself numba takes what a machine happens to have.
numba.config.THREADING_LAYER, numba.config.THREADING_LAYER_PRIORITY = "default", [OPENMP, QUEUE, "tbb"]


def layer() -> str:
    """The library in use: omp or workqueue. It is loaded by the first question about threads."""
    threads()
    return numba.threading_layer()


def set_threads(count: int) -> None:
    """The number of threads that kernels use, at most one per core."""
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))


def threads() -> int:
    """The number of threads that kernels use."""
    return numba.get_num_threads()


def launch(kernel: Callable[..., Any], *arguments: Any) -> Any:
    """Call a parallel kernel. Where the library serves one caller at a time, others wait, as the viewer's films may."""
    with _turn():
        return kernel(*arguments)


@cache
def _turn() -> AbstractContextManager:
    return threading.RLock() if layer() == QUEUE else nullcontext()
