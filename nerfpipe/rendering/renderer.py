"""Rendering of whole views, a chunk of rays at a time."""

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
    depth: Float[Tensor, "H W"]  # distance along the unit ray in scene units; 0 if the ray meets nothing
    channels: dict[str, Float[Tensor, "H W _"]] = field(default_factory=dict)  # the others by name

    @classmethod
    def joined(cls, strips: list[Picture]) -> Picture:
        """One picture from strips [h, W], given from top to bottom."""
        tensors = {
            name.name: torch.cat([getattr(strip, name.name) for strip in strips])
            for name in fields(cls)
            if name.name != "channels"
        }
        names = strips[0].channels
        return cls(**tensors, channels={name: torch.cat([strip.channels[name] for strip in strips]) for name in names})


@runtime_checkable
class RendersRays(HasPasses, Protocol):
    """The methods of a model that the renderer uses."""

    def chunk_rays(self, runtime: RuntimeParams, device: torch.device) -> int: ...

    def render(self, rays: RayBatch, background: Float[Tensor, "... 3"], bf16: bool) -> Pixels: ...


class Renderer:
    """Renders whole views; the result of each chunk of rays is moved to the CPU.

    bf16: networks compute in bfloat16 if the device has it.
    """

    def __init__(self, model: RendersRays, device: torch.device, runtime: RuntimeParams, bf16: bool) -> None:
        model.to(device)
        self.model, self.device, self.bf16 = model, device, bf16
        self.chunk = model.chunk_rays(runtime, device)

    @torch.no_grad()
    def view(self, rays: RayBatch, background: Float[Tensor, " 3"], height: int, width: int) -> Picture:
        """The view whose H·W rays are given, row by row, over background [3]."""
        image = {
            "colour": background.expand(len(rays), 3).clone(),  # of rays that miss the bounds
            "opacity": torch.zeros(len(rays)),
            "depth": torch.zeros(len(rays)),
        }
        channels: dict[str, Tensor] = {}
        for indices in rays.hits.nonzero()[:, 0].split(self.chunk):
            pixels = self.model.render(rays[indices].to(self.device), background.to(self.device), self.bf16)
            for name, values in image.items():
                values[indices] = getattr(pixels, name).cpu()
            for name, values in pixels.channels.items():
                channel = channels.setdefault(name, torch.zeros(len(rays), values.shape[1]))
                channel[indices] = values.float().cpu()
        shaped = {name: values.reshape(height, width, *values.shape[1:]) for name, values in image.items()}
        return Picture(**shaped, channels={name: x.reshape(height, width, -1) for name, x in channels.items()})
