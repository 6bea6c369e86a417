"""How things run, as the section `runtime` says: threads, kernels, memory, device."""

from __future__ import annotations

import torch

from nerfpipe.config.params import RuntimeParams
from nerfpipe.ops import dispatch
from nerfpipe.runtime.device import choose_device, keep_freed_memory, set_threads


def set_up(runtime: RuntimeParams) -> torch.device:
    """Set the number of CPU threads and whether kernels run, have memory kept, and return the device.

    Raises NerfpipeError when the device is not there.
    """
    set_threads(runtime.threads)
    dispatch.allow(runtime.kernels == "auto")
    if runtime.threads and runtime.kernels == "auto":
        dispatch.set_threads(runtime.threads)
    keep_freed_memory()
    return choose_device(runtime.device)
