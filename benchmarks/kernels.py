"""Each kernel against its definition in plain torch, on the same batch, and the floor under a training step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.machine import median_seconds
from nerfpipe.config.params import Params
from nerfpipe.models.registry import build_model
from nerfpipe.models.set_up import give_threads
from nerfpipe.ops import dispatch
from nerfpipe.raybank.bank import RayBank
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.rendering.volume_rendering import composite
from nerfpipe.training.batch_size import first_batch, next_batch
from nerfpipe.training.batches import draw_batch
from nerfpipe.training.row_adam import RowAdam
from nerfpipe.training.step import TrainingStep
from nerfpipe.types import COLOUR, FieldOutput

WARM_STEPS = 150  # after so many the occupancy grid is as it stays
ROUNDS = 5


def trained(params: Params, bank: RayBank) -> tuple[TrainingStep, int]:
    """A model that has found its empty space, and the rays of its next batch."""
    step = TrainingStep(build_model(params.recipe, params.seed, bank.space), bank, params, torch.device("cpu"))
    rays = first_batch(step.settings, step.model)
    for number in range(WARM_STEPS):
        result = step.take(number, rays)
        rays = next_batch(step.settings, result.rays, result.samples)
    return step, rays


def against_definitions(params: Params, bank: RayBank) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """Seconds of kernel and definition by name; and of one step: its seconds, samples, rays and table rows."""
    threads = torch.get_num_threads()
    step, rays = trained(params, bank)
    sampler, field = step.model.last.sampler, step.model.last.field
    batch = draw_batch(bank, params.seed, WARM_STEPS, rays, 1)
    batch_rays, _ = step.rays(batch)
    samples = sampler(batch_rays, None, batch.jitter)
    output = field(samples.positions, samples.directions)
    density, colour = (x.detach().requires_grad_() for x in (output.density, output.colour))
    given = FieldOutput(density, {COLOUR: colour})
    made = composite(samples, given, batch.background)
    view = bank.view(int(bank.splits["test"][0]))
    camera = bank.camera(int(bank.splits["test"][0]))
    give_threads(step.model, torch.device("cpu"))
    renderer = Renderer(step.model, torch.device("cpu"), params.runtime, False)
    up = [torch.randn_like(density), torch.randn_like(colour)]

    def backward() -> None:
        asked = field(samples.positions, samples.directions)
        torch.autograd.backward([asked.density, asked.colour], up)

    def adam() -> None:
        weight = field.grid.table
        weight.grad = gradient.clone()
        optimizer.step()

    gradient, optimizer = torch.rand_like(field.grid.table), RowAdam([field.grid.table], lr=1e-9)
    work: dict[str, Callable[[], object]] = {
        "march": lambda: sampler(batch_rays, None, batch.jitter),
        "field, forward": lambda: field(samples.positions, samples.directions),
        "field, forward and backward": backward,
        "compositing, forward": lambda: composite(samples, given, batch.background),
        "compositing, backward": lambda: _gradient(made.colour, [density, colour]),
        "Adam on the table": adam,
        "a test view, rendered": lambda: renderer.view(view, bank.background, camera.height, camera.width),
    }
    fast = {name: median_seconds(run, ROUNDS) for name, run in work.items()}
    field.zero_grad(set_to_none=True)
    torch.set_num_threads(threads)  # the definitions' turn
    with dispatch.definitions():
        renderer = Renderer(step.model, torch.device("cpu"), params.runtime, False)
        made = composite(samples, given, batch.background)
        found = {name: (fast[name], median_seconds(run, ROUNDS)) for name, run in work.items()}
    torch.set_num_threads(1)
    field.zero_grad(set_to_none=True)
    seconds = median_seconds(lambda: step.take(WARM_STEPS + 1, rays), 20)
    return found, {"seconds": seconds, "samples": len(samples.t), "rays": rays, "rows": len(field.grid.table)}


def _gradient(colour: Tensor, inputs: list[Tensor]) -> None:
    torch.autograd.grad(colour.sum(), inputs, retain_graph=True)


def floor(params: Params, step: dict[str, float], limits: dict[str, float]) -> dict[str, float]:
    """Seconds that a step's products, lookups and memory traffic would take at this machine's limits.

    Products: forward, and twice as much backward, in fp32. Lookups: 8 rows a level, forward and backward. Traffic:
    Adam reads four arrays of the table's size and writes four.
    """
    E, H = 4 * params.ngp.field.levels, params.ngp.field.width
    weights = E * H + 16 * H + 32 * H + H * H + 4 * H
    return {
        "products": 3 * 2 * weights * step["samples"] / limits["tiles"],
        "lookups": 2 * 8 * params.ngp.field.levels * step["samples"] / limits["lookups"],
        "traffic": 8 * 16 * step["rows"] / limits["copy"],
    }
