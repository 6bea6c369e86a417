"""Random numbers as a function of seed, step and use."""

from __future__ import annotations

import numpy as np

USES = ("rays", "jitter", "background", "occupancy", "points")  # the order is part of every result


def random_stream(seed: int, step: int, use: str) -> np.random.Generator:
    """A generator of random numbers that depend on seed, step and use alone. Raises ValueError for an unknown use.

    Philox is counter-based (Salmon et al. 2011): keyed by (seed, step) it needs no history. The highest word of its
    counter separates the uses; no stream is long enough to reach the next one.
    """
    key = np.array([seed, step], dtype=np.uint64)
    counter = np.array([0, 0, 0, USES.index(use)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
