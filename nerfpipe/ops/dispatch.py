"""Which form of an operation runs: the fast one of its device, or the plain torch definition.

Every operation in this folder is registered with torch.library: its schema, its shapes without data (`fake`), its
gradient, and a kernel for each device type that has one. Kernels are imported when they are first called. The
definition of each operation is plain torch, in the room of its subject. Call sites read

    if dispatch.is_fast(positions):
        return ops.ngp_field(...)
    return definition(...)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

KERNEL_DEVICES = ("cpu",)  # device types that have kernels

_allowed = True


def allow(allowed: bool) -> None:
    """Allow kernels, or have the torch definitions run everywhere."""
    global _allowed
    _allowed = allowed


def has_kernels(device: torch.device) -> bool:
    """Whether operations on this device go to kernels."""
    return _allowed and device.type in KERNEL_DEVICES


def is_fast(tensor: Tensor) -> bool:
    """Whether an operation on this tensor goes to a kernel. Kernels compute in single precision."""
    return has_kernels(tensor.device) and tensor.dtype == torch.float32


@contextmanager
def definitions() -> Iterator[None]:
    """Inside, the torch definitions run on every device."""
    before = _allowed
    allow(False)
    try:
        yield
    finally:
        allow(before)


def set_threads(threads: int) -> None:
    """Set the number of CPU threads that kernels use, at most one per core."""
    from nerfpipe.kernels.numba import threading_layer

    threading_layer.set_threads(threads)


def threads() -> int:
    """The number of CPU threads that kernels use."""
    from nerfpipe.kernels.numba import threading_layer

    return threading_layer.threads()


def compile_kernels() -> None:
    """Compile all CPU kernels, or load them if they are compiled already."""
    from nerfpipe.kernels.numba.warm_up import compile_all

    compile_all()


def describe() -> str:
    """The kernels' library, threads and threading layer, for the user."""
    from nerfpipe.kernels.numba import threading_layer

    libraries = {threading_layer.OPENMP: "OpenMP", threading_layer.QUEUE: "numba's own queue"}
    return f"numba, on the CPU: {threading_layer.threads()} threads by {libraries[threading_layer.layer()]}"
