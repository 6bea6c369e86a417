"""One training step: a batch, its loss, its gradient, and a move of the weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from nerfpipe.config.params import NgpTrainParams, Params
from nerfpipe.images.convert import alpha_composite
from nerfpipe.models.model import Model, block_rays
from nerfpipe.raybank.bank import RayBank
from nerfpipe.rendering.renderer import render_rays
from nerfpipe.training.batches import Batch, draw_batch
from nerfpipe.training.losses import loss_terms
from nerfpipe.training.optimizer import build_optimizer
from nerfpipe.types import Rendering

EVEN = 1e-3  # densities of a batch that differ by less than this share of the highest are one and the same
UNSEEN = 1e-3  # opacity below which nothing is seen
GROWTH = 1.5  # a batch has at most so many times the rays of the one before


@dataclass(frozen=True)
class StepResult:
    """What a step tells."""

    loss: float
    mse: float  # of the picture
    terms: dict[str, float]  # the loss by name
    alive: bool  # whether every pass sees something that is not the same everywhere
    rays: int
    samples: int  # of the last pass

    @property
    def finite(self) -> bool:
        return self.loss - self.loss == 0


class TrainingStep:
    """Steps of a model on the train rays of a bank. A step is a function of its number and of the state it meets."""

    def __init__(self, model: Model, bank: RayBank, params: Params, device: torch.device) -> None:
        self.model, self.bank, self.params, self.device = model, bank, params, device
        self.settings = params.recipe.train
        self.optimizer = build_optimizer(params.recipe, model)
        self.block = block_rays(model, params.runtime, device)

    def take(self, step: int, batch_rays: int) -> StepResult:
        """Step number `step`, on `batch_rays` rays.

        The gradient is summed over blocks of rays: the same gradient as all at once, in memory that fits a cache.
        """
        self.model.update(self.params.seed, step)
        batch = draw_batch(self.bank, self.params.seed, step, batch_rays, self.model.draws)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        blocks = [
            self._backward(batch[i : i + self.block].to(self.device), batch_rays)
            for i in range(0, batch_rays, self.block)
        ]
        if isinstance(self.settings, NgpTrainParams) and self.settings.open_levels:
            self.model.hold_back(step / (self.settings.steps * self.settings.open_levels))
        self.optimizer.step()
        return self._result(batch_rays, blocks)

    def learning_rate(self, step: int) -> float:
        """The rate of a step: up to lr over the warm-up, and exponentially from lr to lr_final at the last step."""
        done = step / max(1, self.settings.steps - 1)  # 0 at the first step, 1 at the last
        rising = min(1.0, (step + 1) / (self.settings.warmup + 1))
        return rising * self.settings.lr * (self.settings.lr_final / self.settings.lr) ** done

    def first_batch(self) -> int:
        """Rays of the first batch."""
        if isinstance(self.settings, NgpTrainParams):
            return min(self.settings.batch_rays, max(1, self.settings.batch_samples // self.model.samples_per_ray))
        return self.settings.batch_rays

    def next_batch(self, result: StepResult) -> int:
        """Rays of the batch after one with this result: with NGP so many that the samples stay the same."""
        if not isinstance(self.settings, NgpTrainParams):
            return self.settings.batch_rays
        wanted = self.settings.batch_samples * result.rays / max(1, result.samples)
        return int(max(1, min(wanted, GROWTH * result.rays + 1, self.settings.batch_rays)))

    def _backward(self, block: Batch, batch_rays: int) -> dict[str, Tensor]:
        """Add a block's gradient; returns what `_result` needs to know of it."""
        target = alpha_composite(block.rays.target, block.background)  # [R, 3]
        passes = render_rays(self.model, block.rays, block.background, block.jitter, self.settings.bf16)
        terms: Counter[str] = Counter()
        for each in passes:
            terms.update(loss_terms(each, block.rays, target, self.settings))
        terms = {name: term / batch_rays for name, term in terms.items()}
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()
        self.model.note(passes)
        with torch.no_grad():
            mse = ((passes[-1].colour - target) ** 2).mean(dim=1).sum() / batch_rays
            life = torch.stack([vital_signs(each) for each in passes])  # [passes, 3]
            samples = torch.tensor(float(len(passes[-1].density)))
        named = {f"term {name}": term.detach() for name, term in terms.items()}
        return {"loss": loss.detach(), "mse": mse, "life": life, "samples": samples, **named}

    def _result(self, rays: int, blocks: list[dict[str, Tensor]]) -> StepResult:
        sums = {name: float(torch.stack([b[name] for b in blocks]).sum()) for name in blocks[0] if name != "life"}
        life = torch.stack([block["life"] for block in blocks])  # [blocks, passes, 3]
        thinnest, densest, opacity = life[..., 0].amin(0), life[..., 1].amax(0), life[..., 2].amax(0)  # [passes]
        alive = (densest - thinnest > EVEN * densest) & (opacity > UNSEEN)
        return StepResult(
            loss=sums["loss"],
            mse=sums["mse"],
            terms={name[5:]: total for name, total in sums.items() if name.startswith("term ")},
            alive=bool(alive.all()),
            rays=rays,
            samples=int(sums["samples"]),
        )


def vital_signs(rendering: Rendering) -> Tensor:
    """[3]: lowest and highest density, highest opacity; zeros where there is no sample."""
    if len(rendering.density) == 0:
        return rendering.opacity.new_zeros(3)
    return torch.stack([*rendering.density.aminmax(), rendering.opacity.max()]).detach()
