"""The device that computes, and its abilities."""

from __future__ import annotations

import ctypes
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from nerfpipe.runtime.errors import NerfpipeError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST_KEPT = 32 * 2**20  # bytes of one buffer: glibc's maximum
KEPT_IN_ALL = 2**30


def choose_device(name: str) -> torch.device:
    """The device that `runtime.device` names; auto: CUDA, else Apple's MPS, else the CPU.

    Raises NerfpipeError when this machine does not have it.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, found in available.items() if found))
    device = torch.device(name)
    if not available[device.type] or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        there = ", ".join(kind for kind, found in available.items() if found)
        raise NerfpipeError(f"runtime.device: {name} is not on this machine; there is: {there}. Set it to auto")
    return device


def set_threads(threads: int) -> None:
    """Set torch's number of CPU threads; 0 keeps its choice, one per core."""
    if threads:
        torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Tell glibc's malloc, on systems that have it, to keep freed memory for the next buffer.

    By default it returns large buffers to the system, which clears them again: a third of a training step's time.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
    mallopt(M_TRIM_THRESHOLD, KEPT_IN_ALL)


def processor(device: torch.device) -> str:
    """The maker's name of the device, or the system's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")  # of Linux alone
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private, and absent in older torch
        return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
    return False


def mlp_precision(device: torch.device, bf16: bool) -> AbstractContextManager:
    """A context in which matrix products run in bfloat16, if `bf16` is set and the device supports it."""
    if not (bf16 and has_bf16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
