"""How many rays a step has."""

from __future__ import annotations

from nerfpipe.config.methods import TrainParams
from nerfpipe.models.model import Model

GROWTH = 1.5  # largest ratio of the rays of a batch to those of the one before


def first_batch(settings: TrainParams, model: Model) -> int:
    """Rays of the first batch: if samples are counted, as many as fit with the most samples per ray."""
    if settings.target_samples is None:
        return settings.batch_rays
    return min(settings.batch_rays, max(1, settings.target_samples // model.samples_per_ray))


def next_batch(settings: TrainParams, rays: int, samples: int) -> int:
    """Rays of the batch after one of `rays` rays with `samples` samples: if these are counted, they stay the same."""
    if settings.target_samples is None:
        return settings.batch_rays
    wanted = settings.target_samples * rays / max(1, samples)
    return int(max(1, min(wanted, GROWTH * rays + 1, settings.batch_rays)))
