"""From rays to images, a block of rays at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from nerfpipe.config.params import RuntimeParams
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.rendering.render_rays import HasPasses
from nerfpipe.types import Pixels


@dataclass(frozen=True)
class Picture:
    """A rendered view on the CPU."""

    colour: Float[Tensor, "H W 3"]  # in [0, 1], over the background
    opacity: Float[Tensor, "H W"]
    depth: Float[Tensor, "H W"]  # distance along the unit ray in scene units; 0 if nothing is seen
    channels: dict[str, Float[Tensor, "H W _"]] = field(default_factory=dict)  # the others by name

    @classmethod
    def joined(cls, strips: list[Picture]) -> Picture:
        """One picture of strips [h, W] from top to bottom."""
        tensors = {
            name.name: torch.cat([getattr(strip, name.name) for strip in strips])
            for name in fields(cls)
            if name.name != "channels"
        }
        names = strips[0].channels
        return cls(**tensors, channels={name: torch.cat([strip.channels[name] for strip in strips]) for name in names})


@runtime_checkable
class RendersRays(HasPasses, Protocol):
    """What a model must do to be rendered."""

    def chunk_rays(self, runtime: RuntimeParams, device: torch.device) -> int: ...

    def render(self, rays: RayBatch, background: Float[Tensor, "... 3"], bf16: bool) -> Pixels: ...


class Renderer:
    """Renders whole views; what a block of rays leaves behind moves to the CPU.

    bf16: networks compute in bfloat16 if the device has it.
    """

    def __init__(self, model: RendersRays, device: torch.device, runtime: RuntimeParams, bf16: bool) -> None:
        model.to(device)
        self.model, self.device, self.bf16 = model, device, bf16
        self.chunk = model.chunk_rays(runtime, device)

    @torch.no_grad()
    def view(self, rays: RayBatch, background: Float[Tensor, " 3"], height: int, width: int) -> Picture:
        """The view whose H·W rays are given row by row, over background [3]."""
        image = {
            "colour": background.expand(len(rays), 3).clone(),  # rays that miss the bounds see only the background
            "opacity": torch.zeros(len(rays)),
            "depth": torch.zeros(len(rays)),
        }
        channels: dict[str, Tensor] = {}
        for numbers in rays.hits.nonzero()[:, 0].split(self.chunk):
            seen = self.model.render(rays[numbers].to(self.device), background.to(self.device), self.bf16)
            for name, values in image.items():
                values[numbers] = getattr(seen, name).cpu()
            for name, values in seen.channels.items():
                channel = channels.setdefault(name, torch.zeros(len(rays), values.shape[1]))
                channel[numbers] = values.float().cpu()
        shaped = {name: values.reshape(height, width, *values.shape[1:]) for name, values in image.items()}
        return Picture(**shaped, channels={name: x.reshape(height, width, -1) for name, x in channels.items()})
