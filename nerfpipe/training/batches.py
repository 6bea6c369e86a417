"""Training batches, each a function of (seed, step) alone: nothing random needs saving to resume a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nerfpipe.geometry.rays import PixelBatch
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.rng import random_stream

SEEN = 4  # one ray in so many meets a point of the scene, if depth is learned from them


@dataclass(frozen=True)
class Batch:
    """R train pixels and the random numbers that go with them."""

    pixels: PixelBatch
    background: Tensor  # [R, 3], what prediction and target are both composited over
    jitter: Tensor  # [R, D] uniform in [0, 1), for the samplers

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, which: slice) -> Batch:
        return Batch(self.pixels[which], self.background[which], self.jitter[which])

    def to(self, device: torch.device) -> Batch:
        return Batch(self.pixels.to(device), self.background.to(device), self.jitter.to(device))


def draw_batch(bank: RayBank, seed: int, step: int, size: int, draws: int, depth: bool = False) -> Batch:
    """Batch number `step`: `size` pixels drawn evenly, with replacement, from all train rays.

    depth: with their depth if it is known; then one in SEEN is drawn from those that meet a point of the scene. A
    smaller batch is the beginning of a larger one. A random background shows through what is not opaque, so that only
    true transparency fits a picture with alpha, and no transparency fits one in which every ray ends at something.
    """
    which = random_stream(seed, step, "rays").integers(0, bank.train_rays, size)
    pixels = bank.train(which, depth, _seen(bank, seed, step, size) if depth and len(bank.seen_rays) else None)
    jitter = torch.from_numpy(random_stream(seed, step, "jitter").random((size, draws), dtype=np.float32))  # [R, D]
    if bank.has_alpha or bank.space.ends_rays:
        colours = random_stream(seed, step, "background").random((size, 3), dtype=np.float32)
        background = torch.from_numpy(colours)  # [R, 3]
    else:
        background = bank.background.expand(size, 3)
    return Batch(pixels, background, jitter)


def _seen(bank: RayBank, seed: int, step: int, size: int) -> np.ndarray:
    """[R] which of the rays that meet a point takes a place in the batch, -1 for none."""
    seen = np.full(size, -1)
    places = slice(SEEN - 1, None, SEEN)
    seen[places] = random_stream(seed, step, "points").integers(0, len(bank.seen_rays), len(seen[places]))
    return seen
