"""Which processor computes, and what it can do."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from nerfpipe.config import RuntimeParams
from nerfpipe.errors import NerfpipeError


def choose_device(name: str) -> torch.device:
    """The device that `runtime.device` names; auto: CUDA, else Apple's MPS, else the CPU.

    Raises NerfpipeError when it is not there.
    """
    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in has.items() if there))
    device = torch.device(name)
    if not has[device.type] or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        there = ", ".join(kind for kind, found in has.items() if found)
        raise NerfpipeError(f"runtime.device: {name} is not on this machine; there is: {there}. Set it to auto")
    return device


def set_up(runtime: RuntimeParams) -> torch.device:
    """Set the number of CPU threads and return the device."""
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    return choose_device(runtime.device)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private, and absent in older torch
        return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return False


def mlp_precision(device: torch.device, bf16: bool) -> AbstractContextManager:
    """A context in which matrix products run in bfloat16, if asked for and the device has it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16 and has_bf16(device))


def block_rays(runtime: RuntimeParams, device: torch.device, samples_per_ray: int) -> int:
    """How many rays to compute at once, from the runtime's samples per block."""
    block = runtime.cpu_block if device.type == "cpu" else runtime.gpu_block
    return max(1, block // samples_per_ray)
