"""Random numbers that are a function of (seed, step) and of their use."""

from __future__ import annotations

import numpy as np

USES = ("rays", "jitter", "background", "occupancy")  # each has random numbers of its own


def random_stream(seed: int, step: int, use: str) -> np.random.Generator:
    """Random numbers that are a function of (seed, step) and what they are for.

    Philox is counter-based (Salmon et al. 2011): keyed by (seed, step) it needs no history. The highest word of its
    counter tells uses apart; no stream is long enough to reach another's.
    """
    key = np.array([seed, step], dtype=np.uint64)
    counter = np.array([0, 0, 0, USES.index(use)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
