"""Every fast form of an operation against its plain torch definition: values and the gradient of every input.

One test for all backends: a backend is a device type that has kernels (ops/dispatch.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from nerfpipe.config.methods import NgpFieldParams, NgpSamplingParams
from nerfpipe.fields.ngp import NgpField
from nerfpipe.geometry.contraction import CUBE
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.space import Space
from nerfpipe.geometry.spaces import Bounded, Unbounded
from nerfpipe.ops import composite as composite_ops
from nerfpipe.ops import dispatch, march, ngp_field, ngp_render, row_adam
from nerfpipe.rendering import volume_rendering
from nerfpipe.rendering.render_rays import Pass, render_rays
from nerfpipe.samplers.occupancy import Occupancy
from nerfpipe.training import row_adam as row_adam_definition
from nerfpipe.types import Samples

BACKENDS = [
    pytest.param(
        kind, marks=pytest.mark.skipif(kind == "cuda" and not torch.cuda.is_available(), reason="no such device")
    )
    for kind in dispatch.KERNEL_DEVICES
]
UNIT = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
SPACES: dict[str, Space] = {"bounded": Bounded(UNIT, near=0.05), "unbounded": Unbounded(CUBE, near=0.1)}
FIELD = NgpFieldParams(
    levels=3, base_resolution=3, max_resolution=24, log2_hashmap_size=8, width=8
)  # levels dense and hashed
SAMPLING = NgpSamplingParams(
    steps=48, render_steps=64, resample=0, grid=6, update_every=16, decay=0.9, threshold=0.01, early_stop_eps=1e-3
)
VALUES = {"rtol": 2e-5, "atol": 2e-6}
GRADIENTS = {"rtol": 2e-3, "atol": 2e-5}  # sums of many in single precision


@dataclass
class Case:
    """An operation: its inputs by name, of which some have a gradient, and its two forms, inputs -> outputs."""

    inputs: dict[str, Tensor]
    fast: Callable[[dict[str, Tensor]], tuple[Tensor, ...]]
    definition: Callable[[dict[str, Tensor]], tuple[Tensor, ...]]


def gradients(form: Callable[[dict[str, Tensor]], tuple[Tensor, ...]], inputs: dict[str, Tensor]) -> tuple[list, dict]:
    """Outputs of a form, and the gradient of each input, by a fixed mixture of all outputs."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in inputs.items()}
    outputs = form(leaves)
    torch.manual_seed(7)
    total = sum((output * torch.randn(output.shape)).sum() for output in outputs)
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    return list(outputs), dict(zip(leaves, found, strict=True))


def held_to_the_definition(case: Case) -> None:
    fast, fast_gradients = gradients(case.fast, case.inputs)
    plain, plain_gradients = gradients(case.definition, case.inputs)
    for ours, truth in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours, truth, **VALUES)
    for name, truth in plain_gradients.items():
        ours = fast_gradients[name]
        assert ours is not None, f"no gradient of {name}"
        assert truth is not None
        scale = float(truth.abs().max()) or 1.0
        torch.testing.assert_close(ours / scale, truth / scale, **GRADIENTS, msg=lambda m, name=name: f"{name}: {m}")


def ragged(counts: list[int], seed: int = 0) -> tuple[Samples, dict[str, Tensor]]:
    """Samples of rays with these numbers of samples, and what compositing differentiates by."""
    torch.manual_seed(seed)
    M = sum(counts)
    ray = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), torch.tensor(counts).cumsum(0)])
    t = torch.cat([torch.rand(n).sort().values for n in counts]) + 1
    nowhere = torch.zeros(M, 3)
    inputs = {
        "t": t,
        "delta": torch.rand(M) * 0.2 + 0.05,
        "density": torch.rand(M) * 6,
        "colour": torch.rand(M, 3),
        "background": torch.rand(len(counts), 3),
    }
    return Samples(nowhere, nowhere, t, inputs["delta"], ray, offsets, max(counts), 1e-3), inputs


def composite_case(device: str) -> Case:
    samples, inputs = ragged([5, 0, 1, 40, 7, 12])
    stop, longest, offsets = samples.early_stop_eps, samples.longest, samples.ray_offsets.to(device)

    def fast(x: dict[str, Tensor]) -> tuple[Tensor, ...]:
        values = [x[name].to(device) for name in ("t", "delta", "density", "colour", "background")]
        return tuple(out.cpu() for out in composite_ops.composite(offsets, *values, stop, longest))

    def definition(x: dict[str, Tensor]) -> tuple[Tensor, ...]:
        changed = Samples(
            samples.positions, samples.directions, x["t"], x["delta"], samples.ray, samples.ray_offsets, longest, stop
        )
        return volume_rendering.definition(changed, x["density"], x["colour"], x["background"])

    return Case(inputs, fast, definition)


def field() -> NgpField:
    torch.manual_seed(3)
    made = NgpField(FIELD, torch.tensor(UNIT))
    with torch.no_grad():
        made.grid.table.uniform_(-1, 1)  # as after training: gradients of positions are not next to nothing
    return made


def field_case(device: str, of: NgpField | None = None) -> Case:
    of = of or field()
    table, *weights, low, levels, side = of.arguments
    torch.manual_seed(1)
    positions = torch.rand(300, 3) * 2.2 - 1.1  # some outside the cube
    directions = torch.nn.functional.normalize(torch.randn(300, 3), dim=1)
    inputs = {"positions": positions, "directions": directions, "table": table.detach()}
    inputs |= {f"weight {n}": weight.detach() for n, weight in enumerate(weights)}

    def fast(x: dict[str, Tensor]) -> tuple[Tensor, ...]:
        layers = [x[f"weight {n}"].to(device) for n in range(len(weights))]
        given = (x["positions"].to(device), x["directions"].to(device), x["table"].to(device), *layers)
        density, colour, _ = ngp_field.ngp_field(*given, low.to(device), levels.to(device), side)
        return density.cpu(), colour.cpu()

    def definition(x: dict[str, Tensor]) -> tuple[Tensor, ...]:
        names = [name for name, _ in of.named_parameters()]
        tensors = [x["table"], *(x[f"weight {n}"] for n in range(len(weights)))]
        parameters = dict(zip(names, tensors, strict=True))
        output = torch.func.functional_call(
            Definition(of), {f"field.{k}": v for k, v in parameters.items()}, (x["positions"], x["directions"])
        )
        return output.density, output.colour

    return Case(inputs, fast, definition)


class Definition(torch.nn.Module):
    """A field whose call is its definition."""

    def __init__(self, of: NgpField) -> None:
        super().__init__()
        self.field = of

    def forward(self, positions: Tensor, directions: Tensor) -> object:
        return self.field.definition(positions, directions)


def rays(count: int = 40) -> RayBatch:
    torch.manual_seed(5)
    origins = torch.nn.functional.normalize(torch.randn(count, 3), dim=1) * 2.5
    directions = torch.nn.functional.normalize(-origins + 0.4 * torch.randn(count, 3), dim=1)
    return RayBatch(origins, directions, near=torch.full((count,), 0.8), far=torch.full((count,), 4.5))


def half_full(space: Space) -> Occupancy:
    sampler = Occupancy(SAMPLING, space)
    torch.manual_seed(2)
    sampler.mark(torch.rand(sampler.distance.shape) < 0.5)
    return sampler


def march_case(device: str, space: Space) -> Case:
    sampler, batch = half_full(space).to(device), rays()
    shift = torch.rand(len(batch))
    near, far = space.spacing(batch.near), space.spacing(batch.far)

    def fast(x: dict[str, Tensor]) -> tuple[Tensor, ...]:
        known = (sampler.train_step, space.linear, *sampler.grid, sampler.longest(sampler.train_step))
        ends = (near.to(device), far.to(device), shift.to(device))
        positions, directions, *_ = march.march(x["origins"].to(device), x["directions"].to(device), *ends, *known)
        return positions.cpu(), directions.cpu()

    def definition(x: dict[str, Tensor]) -> tuple[Tensor, ...]:
        moved = RayBatch(x["origins"], x["directions"], batch.near, batch.far)
        samples = half_full(space).march(moved, shift, sampler.train_step)
        return samples.positions, samples.directions

    return Case({"origins": batch.origins, "directions": batch.directions}, fast, definition)


CASES: dict[str, Callable[[str], Case]] = {
    "composite": composite_case,
    "ngp_field": field_case,
    "march, bounded": lambda device: march_case(device, SPACES["bounded"]),
    "march, unbounded": lambda device: march_case(device, SPACES["unbounded"]),
}


@pytest.mark.parametrize("device", BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_a_fast_form_gives_the_values_and_all_gradients_of_its_definition(name: str, device: str) -> None:
    held_to_the_definition(CASES[name](device))


def test_the_comparison_notices_a_wrong_gradient() -> None:
    case = composite_case("cpu")
    right = case.definition
    case.definition = lambda x: right({**x, "density": x["density"] * 1.01})
    with pytest.raises(AssertionError):
        held_to_the_definition(case)


def test_gradients_that_are_not_asked_for_are_not_needed() -> None:
    case = field_case("cpu")
    inputs = {name: tensor.clone() for name, tensor in case.inputs.items()}
    inputs["table"].requires_grad_()
    case.fast(inputs)[0].sum().backward()
    whole = gradients(lambda x: case.fast(x)[:1], case.inputs)
    torch.manual_seed(7)
    assert inputs["table"].grad is not None
    assert inputs["positions"].grad is None
    assert whole[1]["positions"].abs().max() > 0


def test_the_definition_of_compositing_passes_gradcheck() -> None:
    samples, inputs = ragged([3, 4, 0, 2])
    doubles = {name: tensor.double().requires_grad_() for name, tensor in inputs.items()}

    def of(t: Tensor, delta: Tensor, density: Tensor, colour: Tensor, background: Tensor) -> tuple[Tensor, ...]:
        changed = Samples(
            samples.positions, samples.directions, t, delta, samples.ray, samples.ray_offsets, samples.longest
        )
        return volume_rendering.definition(changed, density, colour, background)

    assert gradcheck(of, tuple(doubles.values()))


def test_the_definition_of_the_field_passes_gradcheck() -> None:
    made = field().double()
    torch.manual_seed(0)
    positions = (torch.rand(6, 3, dtype=torch.float64) * 1.6 - 0.8).requires_grad_()
    directions = torch.nn.functional.normalize(torch.randn(6, 3, dtype=torch.float64), dim=1).requires_grad_()
    parameters = list(made.parameters())

    def of(x: Tensor, d: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        encoding = made.grid(x)
        geometry = made.density_layers(encoding)
        from nerfpipe.ops.spherical_harmonics import spherical_harmonics

        raw = made.colour_layers(torch.cat([geometry, spherical_harmonics(d)], dim=1))
        return geometry[:, 0].exp() / made.side, torch.sigmoid(raw[:, :3])

    assert gradcheck(of, (positions, directions, *parameters), atol=1e-4, nondet_tol=0, fast_mode=True)


@pytest.mark.parametrize("of", SPACES)
def test_rendering_in_one_pass_is_rendering_pass_by_pass(of: str) -> None:
    space, batch, made = SPACES[of], rays(), field()
    sampler = half_full(space)
    ends = space.spacing(batch.near), space.spacing(batch.far)
    known = (
        sampler.render_step,
        space.linear,
        *sampler.grid,
        sampler.longest(sampler.render_step),
        SAMPLING.early_stop_eps,
    )
    with torch.no_grad():
        ours = ngp_render.ngp_render([batch.origins, batch.directions, *ends], torch.rand(3), *known, *made.arguments)
        torch.manual_seed(0)
        with dispatch.definitions():
            truth = render_rays([Pass(sampler, made)], batch, torch.rand(3))[-1]
    assert ours[1].max() > 0.5
    torch.testing.assert_close(ours[1], truth.opacity, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours[2], truth.depth, rtol=2e-3, atol=2e-3)


def test_a_step_of_row_adam_is_its_definition() -> None:
    torch.manual_seed(0)
    weight, gradient, mean, square = torch.randn(50, 4), torch.randn(50, 4), torch.randn(50, 4) * 0.1, torch.rand(50, 4)
    gradient[::3] = 0
    ours, truth = ([x.clone() for x in (weight, gradient, mean, square)] for _ in range(2))
    second, its_truth = ([x.clone()[:7] for x in (weight, gradient, mean, square)] for _ in range(2))
    lists = ([first, other] for first, other in zip(ours, second, strict=True))
    row_adam.row_adam(*lists, [0.01, 0.02], [1.5, 1.2], *row_adam_definition.BETAS, row_adam_definition.EPSILON)
    row_adam_definition.step_rows(*truth, 0.01, 1.5)
    row_adam_definition.step_rows(*its_truth, 0.02, 1.2)
    for mine, theirs in zip([*ours, *second], [*truth, *its_truth], strict=True):
        torch.testing.assert_close(mine, theirs)


def opcheck_arguments() -> dict[str, tuple]:
    samples, x = ragged([5, 0, 1, 9])
    sampler, batch, made = half_full(SPACES["bounded"]), rays(8), field()
    table, *weights, low, levels, side = made.arguments
    positions, directions = torch.rand(9, 3), torch.nn.functional.normalize(torch.rand(9, 3), dim=1)
    leaf = lambda tensor: tensor.detach().clone().requires_grad_()  # noqa: E731
    ends = (batch.near, batch.far, torch.rand(8))
    known = (sampler.train_step, math.inf, *sampler.grid, sampler.longest(sampler.train_step))
    layers = [leaf(weight) for weight in weights]
    still = [weight.detach() for weight in weights]
    moments = [torch.rand(5, 4) for _ in range(4)]
    return {
        "composite": (samples.ray_offsets, *(leaf(value) for value in x.values()), 1e-3, samples.longest),
        "march": (leaf(batch.origins), leaf(batch.directions), *ends, *known),
        "ngp_field": (leaf(positions), leaf(directions), leaf(table), *layers, low, levels, side),
        "ngp_density": (positions, table.detach(), *still, low, levels, side),
        "observe": (positions, torch.rand(9), sampler.low, sampler.cell, torch.zeros(6, 6, 6)),
        "resample": (*(torch.rand(8, 5) for _ in range(3)), torch.tensor([0, 1, 2, 3, 4, 5, 5, 5]), torch.rand(8), 3),
        "row_adam": (*([tensor] for tensor in moments), [0.01], [1.0], 0.9, 0.99, 1e-15),
    }


@pytest.mark.parametrize("name", list(opcheck_arguments()))
def test_an_operation_is_registered_soundly(name: str) -> None:
    """Schema, aliasing, shapes without data and the gradient's registration, as torch itself checks them."""
    torch.library.opcheck(getattr(torch.ops.nerfpipe, name).default, opcheck_arguments()[name])


def test_every_operation_is_checked() -> None:
    registered = {name for name in dir(torch.ops.nerfpipe) if not name.startswith("_") and name != "name"}
    inner = {"composite_backward", "ngp_field_backward", "ngp_render"}  # by the gradients above, and by its own test
    assert {name for name in registered if name not in inner} == set(opcheck_arguments())
