"""Training batches, each a function of (seed, step) alone: nothing random needs saving to resume a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nerfpipe.geometry.rays import PixelBatch
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.rng import random_stream


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


def draw_batch(bank: RayBank, seed: int, step: int, size: int, draws: int) -> Batch:
    """Batch number `step`: `size` pixels drawn evenly, with replacement, from all train rays.

    A smaller batch is the beginning of a larger one. A scene with alpha is trained over a random colour, so that only
    true transparency fits; one without, over its own background.
    """
    pixels = bank.train(random_stream(seed, step, "rays").integers(0, bank.train_rays, size))
    jitter = torch.from_numpy(random_stream(seed, step, "jitter").random((size, draws), dtype=np.float32))  # [R, D]
    if bank.has_alpha:
        colours = random_stream(seed, step, "background").random((size, 3), dtype=np.float32)
        background = torch.from_numpy(colours)  # [R, 3]
    else:
        background = bank.background.expand(size, 3)
    return Batch(pixels, background, jitter)
