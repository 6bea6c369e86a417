"""Work for the kernels in launches of bounded size: however small they are, the values are the same bits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nerfpipe.config.methods import NgpFieldParams, NgpSamplingParams
from nerfpipe.fields.ngp import NgpField
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.kernels.numba import bindings
from nerfpipe.kernels.numba.compile import BLOCK
from nerfpipe.ops.composite import composite as composite_op
from nerfpipe.ops.ngp_render import ngp_render
from nerfpipe.samplers.occupancy import Occupancy
from nerfpipe.training.row_adam import RowAdam

BOUNDS = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
SAMPLING = NgpSamplingParams(
    steps=40, render_steps=50, resample=0, grid=8, update_every=16, decay=0.9, threshold=0.01, early_stop_eps=1e-3
)
LIMITS = ("FIELD_SAMPLES", "LIGHT_SAMPLES", "MARCH_STEPS", "RENDER_SAMPLES", "TABLE_ROWS")


@pytest.fixture
def field() -> NgpField:
    torch.manual_seed(0)
    field = NgpField(
        NgpFieldParams(levels=3, base_resolution=4, max_resolution=20, log2_hashmap_size=8, width=16), BOUNDS
    )
    with torch.no_grad():
        field.grid.table.uniform_(-0.5, 0.5)
    return field


@pytest.fixture
def grid() -> Occupancy:
    grid = Occupancy(SAMPLING, Bounded.over(BOUNDS))
    torch.manual_seed(1)
    grid.mark(torch.rand(grid.density.shape) < 0.3)
    return grid


@pytest.fixture
def rays() -> RayBatch:
    torch.manual_seed(2)
    origins = torch.tensor([0.0, 0.0, 3.0]) + torch.rand(70, 3) / 10
    directions = torch.nn.functional.normalize(-origins + torch.rand(70, 3) / 2, dim=1)
    return RayBatch(origins, directions, near=torch.full((70,), 1.5), far=torch.full((70,), 4.5))


def in_small_launches(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> object:
    """What `work` gives when each launch gets one block, or one ray."""
    launches = []
    real = bindings.launch
    monkeypatch.setattr(bindings, "launch", lambda *given: (launches.append(given[0]), real(*given))[1])
    for name in LIMITS:
        monkeypatch.setattr(bindings, name, BLOCK if name == "FIELD_SAMPLES" else 1)
    made = work()
    assert max(launches.count(kernel) for kernel in set(launches)) > 1
    monkeypatch.undo()
    return made


def same(a: object, b: object) -> None:
    for x, y in zip(a, b, strict=True):
        assert torch.equal(x, y) if isinstance(x, Tensor) else x == y


def test_samples(monkeypatch: pytest.MonkeyPatch, grid: Occupancy, rays: RayBatch) -> None:
    def march() -> list[object]:
        samples = grid(rays, None, torch.linspace(0, 0.99, 70)[:, None])
        names = ("positions", "directions", "t", "delta", "ray", "ray_offsets", "longest")
        return [getattr(samples, name) for name in names]

    assert len(march()[0]) > 70
    same(march(), in_small_launches(monkeypatch, march))


def rendered(grid: Occupancy, field: NgpField, rays: RayBatch) -> tuple[Tensor, ...]:
    """Colour, opacity and depth over white, by the kernel that renders in one pass."""
    bundle, step = [rays.origins, rays.directions, rays.near, rays.far], grid.render_step
    linear, stop = grid.space.linear, grid.params.early_stop_eps
    return ngp_render(bundle, torch.ones(3), step, linear, *grid.grid, grid.longest(step), stop, *field.arguments)


def test_pixels(monkeypatch: pytest.MonkeyPatch, grid: Occupancy, field: NgpField, rays: RayBatch) -> None:
    def render() -> tuple[Tensor, ...]:
        with torch.no_grad():
            return rendered(grid, field, rays)

    assert render()[1].max() > 0.1
    same(render(), in_small_launches(monkeypatch, render))


def test_densities(monkeypatch: pytest.MonkeyPatch, field: NgpField) -> None:
    positions = torch.rand(3 * BLOCK + 5, 3)

    def ask() -> list[Tensor]:
        return [field.density(positions)]

    same(ask(), in_small_launches(monkeypatch, ask))


def test_a_fields_values_and_gradients(monkeypatch: pytest.MonkeyPatch, field: NgpField) -> None:
    """Weights' gradients are summed in other parts, so they agree to rounding; all else to the bit."""
    positions, directions = torch.rand(3 * BLOCK + 5, 3), torch.nn.functional.normalize(torch.randn(3 * BLOCK + 5, 3))

    def learn() -> list[Tensor]:
        field.zero_grad()
        inputs = [x.clone().requires_grad_() for x in (positions, directions)]
        output = field(*inputs)
        (output.density.sum() + (output.colour * torch.tensor([1.0, 2.0, 3.0])).sum()).backward()
        values = [output.density.detach(), output.colour.detach(), field.grid.table.grad.clone()]
        return [*values, *(x.grad for x in inputs), *(w.grad for w in field.weights)]

    whole, small = learn(), in_small_launches(monkeypatch, learn)
    same(whole[:5], small[:5])
    for a, b in zip(whole[5:], small[5:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)


def test_compositing(monkeypatch: pytest.MonkeyPatch, grid: Occupancy, rays: RayBatch) -> None:
    samples = grid(rays, None, None)
    torch.manual_seed(3)
    density, colour = torch.rand(len(samples.t)) * 5, torch.rand(len(samples.t), 3)

    def composite() -> list[Tensor]:
        given = [each.clone().requires_grad_() for each in (density, colour)]
        along = samples.ray_offsets, samples.t, samples.delta
        made = composite_op(*along, *given, torch.ones(70, 3), samples.early_stop_eps, samples.longest)
        sum((each * each).sum() for each in made).backward()
        return [*(each.detach() for each in made), *(each.grad for each in given)]

    same(composite(), in_small_launches(monkeypatch, composite))


def test_steps_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(4)
    start, gradient = torch.rand(50, 4), torch.randn(50, 4)

    def step() -> list[Tensor]:
        weight = torch.nn.Parameter(start.clone())
        optimizer = RowAdam([weight], lr=0.1)
        for _ in range(3):
            weight.grad = gradient.clone()
            optimizer.step()
        return [weight.detach()]

    same(step(), in_small_launches(monkeypatch, step))


def test_nothing_is_nothing(grid: Occupancy, field: NgpField) -> None:
    none = RayBatch(torch.empty(0, 3), torch.empty(0, 3), torch.empty(0), torch.empty(0))
    samples = grid(none, None, None)
    assert (len(samples.t), samples.ray_offsets.tolist(), samples.longest) == (0, [0], 0)
    with torch.no_grad():
        seen, opacity, depth = rendered(grid, field, none)
    assert (seen.shape, opacity.shape, depth.shape) == ((0, 3), (0,), (0,))


@pytest.mark.parametrize(
    ("total", "most", "expected"),
    [
        (0, 4, [(0, 0)]),
        (3, 4, [(0, 3)]),
        (8, 4, [(0, 4), (4, 8)]),
        (9, 4, [(0, 4), (4, 8), (8, 9)]),
        (2, 0, [(0, 1), (1, 2)]),
    ],
)
def test_slices_cover_all_once(total: int, most: int, expected: list[tuple[int, int]]) -> None:
    assert [(each.start, each.stop) for each in bindings.slices(total, most)] == expected
