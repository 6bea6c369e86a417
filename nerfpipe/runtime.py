"""How things run, as the section `runtime` says: threads, kernels, memory, device."""

from __future__ import annotations

import torch

from nerfpipe import kernels
from nerfpipe.config import RuntimeParams
from nerfpipe.device import choose_device, keep_freed_memory, set_threads


def set_up(runtime: RuntimeParams) -> torch.device:
    """Set the number of CPU threads and whether kernels run, have memory kept, and return the device.

    Raises NerfpipeError when the device is not there.
    """
    set_threads(runtime)
    kernels.allow(runtime.kernels == "auto")
    if runtime.threads and runtime.kernels == "auto":
        kernels.set_threads(runtime.threads)
    keep_freed_memory()
    return choose_device(runtime.device)
