"""The fast CPU form of operations that exist in plain torch elsewhere: numba, no compiler to install.

Nothing here is imported until it is used. `in_use` decides: kernels run on a CPU unless `runtime.kernels: torch`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_allowed = True


def allow(allowed: bool) -> None:
    """Allow kernels on the CPU, or have the torch twins run everywhere."""
    global _allowed
    _allowed = allowed


def in_use(device: torch.device) -> bool:
    """Whether operations on this device go to the kernels."""
    return _allowed and device.type == "cpu"


@contextmanager
def torch_twins() -> Iterator[None]:
    """Inside, the torch twins run on every device."""
    before = _allowed
    allow(False)
    try:
        yield
    finally:
        allow(before)


def set_threads(threads: int) -> None:
    """The number of CPU threads that kernels use, at most one per core."""
    from nerfpipe.kernels.numba import threading_layer

    threading_layer.set_threads(threads)


def threads() -> int:
    """The number of CPU threads that kernels use."""
    from nerfpipe.kernels.numba import threading_layer

    return threading_layer.threads()


def describe() -> str:
    """What the kernels run on, in a few words."""
    from nerfpipe.kernels.numba import threading_layer

    libraries = {threading_layer.OPENMP: "OpenMP", threading_layer.QUEUE: "numba's own queue"}
    return f"numba, on the CPU: {threading_layer.threads()} threads by {libraries[threading_layer.layer()]}"
