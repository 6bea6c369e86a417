"""How things run, as the section `runtime` says: threads, kernels, memory, device."""

from __future__ import annotations

import torch

from nerfpipe.config.params import RuntimeParams
from nerfpipe.models.model import Model
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


def give_threads(model: Model, device: torch.device) -> None:
    """Leave the processor to the kernels, if the model runs in them: threads of torch would only spin beside them."""
    if model.uses_kernels(device):
        torch.set_num_threads(1)
