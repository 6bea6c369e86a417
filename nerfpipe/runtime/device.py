"""Which processor computes, and what it can do."""

from __future__ import annotations

import ctypes
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from nerfpipe.runtime.errors import NerfpipeError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST_KEPT = 32 * 2**20  # bytes of one buffer; glibc takes no more
KEPT_IN_ALL = 2**30


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


def set_threads(threads: int) -> None:
    """Set the number of CPU threads; 0 leaves torch's choice, one per core."""
    if threads:
        torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Tell glibc's malloc to keep what is freed for the next block, where glibc is.

    By default it hands large buffers back to the system, which must clear them anew: a third of a training step's time.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
    mallopt(M_TRIM_THRESHOLD, KEPT_IN_ALL)


def processor(device: torch.device) -> str:
    """The device's name as its maker gives it, or what the system says."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    listed = Path("/proc/cpuinfo")  # Linux's; elsewhere platform knows
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


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
    if not (bf16 and has_bf16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
