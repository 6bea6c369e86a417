"""Bounds of settings, and the number types that keep to them.

Every number has an upper bound: far above any real run, and well below what overflows or never ends. How much memory
several of them take together is checked in memory.py.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

MAX_STEPS = 10**8  # of training
MAX_BATCH_RAYS = 2**22
MAX_SAMPLES = 2**26  # of a batch or a chunk
MAX_VIEWS = 10**6
MAX_SAMPLES_PER_RAY = 2**12  # every sample goes through a whole MLP
MAX_STEPS_PER_RAY = 2**14  # through an occupancy grid, which skips most of them
MAX_FRAMES = 100_000
MAX_SIDE = 16_384  # pixels of a render
MAX_THREADS = 4096
SEED_LIMIT = 2**63
MAX_NUMBER, MIN_POSITIVE = 1e9, 1e-12  # of numbers used in single precision


def not_too_small(value: float) -> float:
    """The value. Raises ValueError below MIN_POSITIVE."""
    if value < MIN_POSITIVE:
        raise ValueError(f"must be at least {MIN_POSITIVE:g}")
    return value


Seed = Annotated[int, Field(ge=0, lt=SEED_LIMIT)]
Count = Annotated[int, Field(gt=0, le=MAX_STEPS)]
BatchRays = Annotated[int, Field(gt=0, le=MAX_BATCH_RAYS)]
SampleCount = Annotated[int, Field(gt=0, le=MAX_SAMPLES)]
SamplesPerRay = Annotated[int, Field(gt=0, le=MAX_SAMPLES_PER_RAY)]
StepsPerRay = Annotated[int, Field(gt=0, le=MAX_STEPS_PER_RAY)]
Positive = Annotated[float, Field(gt=0, le=MAX_NUMBER, allow_inf_nan=False), AfterValidator(not_too_small)]
NotNegative = Annotated[float, Field(ge=0, le=MAX_NUMBER, allow_inf_nan=False)]
