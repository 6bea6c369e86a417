"""One training step: a batch, its rays, its loss, its gradient, and a move of the weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nerfpipe.config.params import Params
from nerfpipe.geometry.rays import RayBatch, rays_to_world
from nerfpipe.images.convert import alpha_composite
from nerfpipe.models.model import Model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.training.batches import Batch, draw_batch
from nerfpipe.training.losses import Term, loss_terms
from nerfpipe.training.optimizer import build_optimizer
from nerfpipe.types import Rendering

UNIFORM = 1e-3  # densities of a batch that differ by less than this share of the highest count as equal
UNSEEN = 1e-3  # opacity below which nothing is seen


@dataclass(frozen=True)
class StepResult:
    """What a step reports."""

    loss: float
    mse: float  # of the image
    terms: dict[Term, float]  # the loss by name
    collapsed: bool  # whether some pass has the same density everywhere, or renders nothing
    rays: int
    samples: int  # of the last pass

    @property
    def finite(self) -> bool:
        return self.loss - self.loss == 0


@dataclass(frozen=True)
class _Chunk:
    """What one chunk of rays adds to the result."""

    loss: Tensor  # [], its share
    mse: Tensor  # [], its share
    terms: dict[Term, Tensor]  # [] each
    extremes: Tensor  # [passes, 3]
    samples: int


class TrainingStep:
    """Steps of a model on the train rays of a bank. A step is a function of its number and of the state it meets."""

    def __init__(self, model: Model, bank: RayBank, params: Params, device: torch.device) -> None:
        self.model, self.bank, self.params, self.device = model, bank, params, device
        self.settings = params.recipe.train
        self.poses = bank.poses.to(device)  # [N, 3, 4]
        self.optimizer = build_optimizer(params.recipe, model)
        self.chunk = model.chunk_rays(params.runtime, device)

    def take(self, step: int, batch_rays: int) -> StepResult:
        """Step number `step`, on `batch_rays` rays.

        The gradient is summed over chunks of rays: the same as all at once, in the memory of one chunk.
        """
        self.model.before_step(self.params.seed, step)
        draws, learns_depth = self.model.random_numbers_per_ray, self.settings.depth > 0
        batch = draw_batch(self.bank, self.params.seed, step, batch_rays, draws, learns_depth)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        chunks = [
            self._backward(batch[i : i + self.chunk].to(self.device), batch_rays, step / self.settings.steps)
            for i in range(0, batch_rays, self.chunk)
        ]
        delay = self.settings.steps * self.settings.detail_delay
        self.model.after_backward(step / delay if delay else 1.0)
        self.optimizer.step()
        return _result(batch_rays, chunks)

    def learning_rate(self, step: int) -> float:
        """The rate of a step: up to lr over the warm-up, and exponentially from lr to lr_final at the last step."""
        done = step / max(1, self.settings.steps - 1)  # 0 at the first step, 1 at the last
        rising = min(1.0, (step + 1) / (self.settings.warmup + 1))
        return rising * self.settings.lr * (self.settings.lr_final / self.settings.lr) ** done

    def rays(self, batch: Batch) -> tuple[RayBatch, Tensor | None]:
        """The rays of a batch's pixels, through the poses of their views, and t [R] of their depths if any is known."""
        space, pixels = self.bank.space, batch.pixels
        origins, directions = rays_to_world(self.poses[pixels.view], pixels.in_camera)
        known = None if pixels.depth is None else space.t_at(origins.detach(), directions.detach(), pixels.depth)
        return space.rays(origins, directions, pixels), known

    def _backward(self, chunk: Batch, batch_rays: int, done: float) -> _Chunk:
        """Add a chunk's gradient."""
        rays, depth = self.rays(chunk)
        target = alpha_composite(chunk.pixels.target, chunk.background)  # [R, 3]
        passes = self.model.renderings(rays, chunk.background, chunk.jitter, self.settings.bf16)
        sums = loss_terms(passes, rays, target, self.bank.space, self.settings, depth, done)
        terms = {name: term / batch_rays for name, term in sums.items()}
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()
        self.model.after_chunk(passes)
        with torch.no_grad():
            mse = ((passes[-1].colour - target) ** 2).mean(dim=1).sum() / batch_rays
        return _Chunk(
            loss=loss.detach(),
            mse=mse,
            terms={name: term.detach() for name, term in terms.items()},
            extremes=torch.stack([extremes(rendering) for rendering in passes]),  # [passes, 3]
            samples=len(passes[-1].density),
        )


def _result(rays: int, chunks: list[_Chunk]) -> StepResult:
    found = torch.stack([chunk.extremes for chunk in chunks])  # [chunks, passes, 3]
    lowest, highest, opacity = found[..., 0].amin(0), found[..., 1].amax(0), found[..., 2].amax(0)  # [passes]
    names = chunks[0].terms
    return StepResult(
        loss=float(torch.stack([chunk.loss for chunk in chunks]).sum()),
        mse=float(torch.stack([chunk.mse for chunk in chunks]).sum()),
        terms={name: float(torch.stack([chunk.terms[name] for chunk in chunks]).sum()) for name in names},
        collapsed=not ((highest - lowest > UNIFORM * highest) & (opacity > UNSEEN)).all(),
        rays=rays,
        samples=sum(chunk.samples for chunk in chunks),
    )


def extremes(rendering: Rendering) -> Tensor:
    """Lowest and highest density and highest opacity, [3], which show a collapse; zeros if there is no sample."""
    if len(rendering.density) == 0:
        return rendering.opacity.new_zeros(3)
    return torch.stack([*rendering.density.aminmax(), rendering.opacity.max()]).detach()
