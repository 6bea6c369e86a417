"""The ngp field: harmonics, density, and the kernels against their definition, forward and backward."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.config.methods import NgpFieldParams
from nerfpipe.fields.activations import exponential_density
from nerfpipe.fields.ngp import NgpField
from nerfpipe.kernels.numba.dense import add_outer, linear, padded, relu, relu_gradient
from nerfpipe.kernels.numba.spherical_harmonics import harmonics_block
from nerfpipe.ops import dispatch
from nerfpipe.ops.constants import LARGEST_RAW_DENSITY as LARGEST
from nerfpipe.ops.spherical_harmonics import COMPONENTS, spherical_harmonics

BOUNDS = torch.tensor([[-1.0, -2.0, 0.0], [1.0, 1.0, 1.0]])  # not a cube
SIZES = [0, 1, 63, 255, 256, 257, 2000]


def make_field(width: int = 32, levels: int = 3) -> NgpField:
    torch.manual_seed(1)
    params = NgpFieldParams(levels=levels, base_resolution=4, max_resolution=20, log2_hashmap_size=8, width=width)
    field = NgpField(params, BOUNDS)
    with torch.no_grad():
        field.grid.table.uniform_(-0.5, 0.5)
    return field


def samples(count: int) -> tuple[Tensor, Tensor]:
    """Positions in and around the bounds, and unit directions."""
    torch.manual_seed(2)
    return torch.rand(count, 3) * 5 - 2.5, torch.nn.functional.normalize(torch.randn(count, 3), dim=1)


def test_harmonics_are_orthonormal_on_the_sphere() -> None:
    # A Fibonacci sphere: even enough that means over it are integrals.
    n = torch.arange(20000, dtype=torch.float64) + 0.5
    z, angle = 1 - 2 * n / len(n), math.pi * (1 + math.sqrt(5)) * n
    xy = (1 - z**2).sqrt()
    Y = spherical_harmonics(torch.stack([xy * angle.cos(), xy * angle.sin(), z], dim=1))  # [N, 16]
    assert_close(4 * math.pi * (Y.T @ Y) / len(n), torch.eye(COMPONENTS, dtype=torch.float64), rtol=0, atol=1e-3)


def test_some_harmonics_by_hand() -> None:
    Y = spherical_harmonics(torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    assert_close(Y[:, 0], torch.full((2,), 0.28209479))
    assert_close(Y[:, 1:4], torch.tensor([[0.0, 0.48860251, 0.0], [0.0, 0.0, -0.48860251]]))
    assert_close(Y[:, 6], torch.tensor([0.63078313, -0.31539157]))


def test_the_harmonics_kernel_is_its_definition() -> None:
    _, directions = samples(100)
    out = np.empty((COMPONENTS, 112), np.float32)
    harmonics_block(directions.numpy(), out)
    assert_close(torch.from_numpy(out[:, :100]).T, spherical_harmonics(directions), rtol=1e-4, atol=1e-6)


def test_density_is_exponential_and_its_gradient_stays_finite_and_alive() -> None:
    raw = torch.tensor([-50.0, 0.0, 2.0, LARGEST, 1e4], requires_grad=True)
    density = exponential_density(raw)
    assert_close(density.detach(), torch.tensor([math.exp(-50), 1, math.exp(2), math.exp(LARGEST), math.exp(LARGEST)]))
    density.sum().backward()
    assert_close(raw.grad, density.detach())  # also above LARGEST, where a clamp would have none


@given(
    J=st.sampled_from([4, 16, 64]),
    inner=st.sampled_from([4, 32, 64]),
    count=st.integers(1, 256),
    seed=st.integers(0, 9),
)
def test_the_layers_kernels_are_matrix_products(J: int, inner: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weight, x, g = (random.normal(size=s).astype(np.float32) for s in ((J, inner), (inner, 272), (J, 272)))
    columns = padded(count)
    assert count <= columns <= 256
    x[:, count:], g[:, count:] = 0, 0
    out = np.full((J, 272), 7, np.float32)
    linear(weight, x, out, columns)
    np.testing.assert_allclose(out[:, :columns], weight @ x[:, :columns], rtol=1e-4, atol=1e-4)
    assert (out[:, columns:] == 7).all()
    total = np.ones((J, inner), np.float32)
    add_outer(g, x, total, columns)
    np.testing.assert_allclose(total, 1 + g @ x.T, rtol=1e-3, atol=1e-3)
    kept = out[:, :columns] > 0
    relu(out, columns)
    relu_gradient(out, g, columns)
    assert ((out[:, :columns] > 0) == kept).all()
    assert (g[:, :columns][~kept] == 0).all()


@pytest.mark.parametrize("width", [4, 32, 64])
@pytest.mark.parametrize("count", SIZES)
def test_the_kernels_give_what_the_definition_gives(count: int, width: int) -> None:
    field, (positions, directions) = make_field(width), samples(count)
    output, expected = field(positions, directions), field.definition(positions, directions)
    assert_close(output.density, expected.density, rtol=1e-4, atol=1e-5)
    assert_close(output.colour, expected.colour, rtol=1e-4, atol=1e-5)
    assert_close(field.density(positions), expected.density.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("moved", ["all", "some", "none"])
@pytest.mark.parametrize("count", SIZES)
def test_the_kernels_gradients_are_the_definitions(count: int, moved: str) -> None:
    field, (positions, directions) = make_field(), samples(count)
    up_density, up_colour = torch.randn(count), torch.randn(count, 3)
    reached = {"all": torch.ones(count), "some": (torch.rand(count) < 0.4).float(), "none": torch.zeros(count)}[moved]
    gradients = []
    for evaluate in (field.forward, field.definition):
        inputs = [x.clone().requires_grad_() for x in (positions, directions)]
        output = evaluate(*inputs)
        (
            (output.density * up_density * reached).sum() + (output.colour * up_colour * reached[:, None]).sum()
        ).backward()
        learned = [*field.parameters(), *inputs]
        gradients.append([torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in learned])
        field.zero_grad()
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_gradients_add_up_over_blocks() -> None:
    field, (positions, directions) = make_field(), samples(500)
    for part in (slice(0, 200), slice(200, 500)):
        field(positions[part], directions[part]).density.sum().backward()
    parts = field.grid.table.grad.clone()
    field.zero_grad()
    field.definition(positions, directions).density.sum().backward()
    assert_close(parts, field.grid.table.grad, rtol=1e-3, atol=1e-4)


def test_threads_do_not_change_a_bit() -> None:
    import numba

    field, (positions, directions) = make_field(), samples(5000)
    results = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(threads)
        output = field(positions, directions)
        (output.density.sum() + output.colour.square().sum()).backward()
        values = output.density.detach(), output.colour.detach()
        results.append([*values, *(p.grad.clone() for p in field.parameters())])
        field.zero_grad()
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_the_switch_runs_the_definition_on_the_cpu_too() -> None:
    field, (positions, directions) = make_field(), samples(50)
    assert dispatch.has_kernels(positions.device)
    with dispatch.definitions():
        assert not dispatch.has_kernels(positions.device)
        output = field(positions, directions)
    expected = field.definition(positions, directions)
    assert torch.equal(output.density, expected.density)
    assert torch.equal(output.colour, expected.colour)
    assert dispatch.has_kernels(positions.device)
    assert not dispatch.has_kernels(torch.device("meta"))


def test_a_scenes_scale_does_not_matter() -> None:
    """Ten times as large and a tenth as dense: the same picture."""
    params = NgpFieldParams(levels=2, base_resolution=4, max_resolution=8, log2_hashmap_size=8, width=16)
    positions, directions = samples(20)
    fields = []
    for scale in (1.0, 10.0):
        torch.manual_seed(0)
        fields.append(NgpField(params, BOUNDS * scale))
    small, large = fields[0].definition(positions, directions), fields[1].definition(positions * 10, directions)
    assert_close(small.density, large.density * 10)
    assert_close(small.colour, large.colour)
