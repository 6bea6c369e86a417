"""The hash encoding: against a slow loop, by finite differences, at the borders; its kernel against its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.fields.hash_encoding import HashEncoding
from nerfpipe.kernels.numba.hash_encoding import add_table_gradient, encode_block, position_gradient
from nerfpipe.ops.constants import FEATURES

LOW, SIDE = torch.tensor([-1.0, 0.5, 2.0]), 2.5


def make_encoding(
    levels: int = 4, base_resolution: int = 3, max_resolution: int = 24, log2_hashmap_size: int = 8
) -> HashEncoding:
    """Levels 3, 6, 12, 24 with at most 256 rows: the first is dense (4^3 = 64 rows), the others are hashed."""
    torch.manual_seed(0)
    encoding = HashEncoding(LOW, SIDE, levels, base_resolution, max_resolution, log2_hashmap_size)
    with torch.no_grad():
        encoding.table.uniform_(-1, 1)
    return encoding


def slow_encoding(encoding: HashEncoding, position: Tensor) -> list[float]:
    """One position, corner by corner, in Python's integers and floats."""
    features = []
    for resolution, offset, rows, dense in encoding.levels:
        scaled = [min(max((float(p) - float(l)) / SIDE, 0.0), 1.0) * resolution for p, l in zip(position, LOW)]  # noqa: B905, E741
        cell = [min(int(s), resolution - 1) for s in scaled]
        totals = [0.0] * FEATURES
        for steps in itertools.product((0, 1), repeat=3):
            weight = 1.0
            for s, c, step in zip(scaled, cell, steps, strict=True):
                weight *= (s - c) if step else 1 - (s - c)
            x, y, z = (c + step for c, step in zip(cell, steps, strict=True))
            if dense:
                row = x + y * (resolution + 1) + z * (resolution + 1) ** 2
            else:
                row = (x ^ (y * 2654435761 % 2**32) ^ (z * 805459861 % 2**32)) % rows
            for f in range(FEATURES):
                totals[f] += weight * float(encoding.table.detach()[offset + row, f])
        features += totals
    return features


def borders() -> Tensor:
    """Corners, edges and faces of the cube, lattice points, and places outside."""
    places = [LOW + SIDE * torch.tensor(c) for c in itertools.product((0.0, 1 / 3, 0.5, 1.0), repeat=3)]
    return torch.stack([*places, LOW - 1, LOW + SIDE + 1, LOW + torch.tensor([-1.0, 0.5, 9.0])])


@pytest.mark.parametrize(("learning", "levels"), [(0.0, 2), (0.49, 2), (0.5, 3), (0.99, 3), (1.0, 4), (3.0, 4)])
def test_fine_levels_learn_one_by_one(learning: float, levels: int) -> None:
    encoding = make_encoding(levels=4)
    encoding(inside(2000)).sum().backward()
    whole = encoding.table.grad.clone()
    encoding.freeze_levels(learning)
    for level, (_, offset, rows, _) in enumerate(encoding.levels):
        there = slice(offset, offset + rows)
        assert whole[there].abs().sum() > 0
        assert_close(encoding.table.grad[there], whole[there] if level < levels else torch.zeros_like(whole[there]))


def inside(count: int) -> Tensor:
    return LOW + SIDE * torch.rand(count, 3)


def test_levels_grow_geometrically_and_are_dense_as_long_as_they_fit() -> None:
    assert make_encoding().levels == [(3, 0, 64, 1), (6, 64, 256, 0), (12, 320, 256, 0), (24, 576, 256, 0)]
    assert [level[3] for level in make_encoding(log2_hashmap_size=9).levels] == [1, 1, 0, 0]  # 7^3 = 343 rows fit


@pytest.mark.parametrize("where", ["inside", "borders"])
def test_it_is_what_a_slow_loop_gives(where: str) -> None:
    encoding = make_encoding()
    positions = inside(40) if where == "inside" else borders()
    expected = torch.tensor([slow_encoding(encoding, position) for position in positions])
    assert_close(encoding(positions), expected, rtol=1e-4, atol=1e-5)


def test_at_a_lattice_point_it_is_that_points_row() -> None:
    encoding = make_encoding(levels=1)
    point = LOW + SIDE * torch.tensor([1 / 3, 2 / 3, 1.0])  # lattice point (1, 2, 3) of 4 x 4 x 4
    assert_close(encoding(point[None])[0], encoding.table[1 + 4 * 2 + 16 * 3].detach(), rtol=1e-4, atol=1e-5)


def test_its_gradient_is_that_of_finite_differences() -> None:
    encoding = make_encoding(levels=2, max_resolution=9, log2_hashmap_size=7).double()
    positions = inside(5).double()

    def encoded(table: Tensor) -> Tensor:
        return torch.func.functional_call(encoding, {"table": table}, positions)

    assert torch.autograd.gradcheck(encoded, encoding.table.detach().clone().requires_grad_(), eps=1e-6)


@pytest.mark.parametrize("count", [0, 1, 255, 1000])
def test_the_kernel_encodes_as_the_definition_does(count: int) -> None:
    encoding = make_encoding()
    positions = torch.cat([inside(count), borders()]) if count else torch.empty(0, 3)
    out = np.full((len(positions), encoding.size), np.nan, np.float32)
    table = encoding.table.detach().numpy()
    encode_block(positions.numpy(), LOW.numpy(), np.float32(1 / SIDE), table, np.array(encoding.levels), out)
    assert_close(torch.from_numpy(out), encoding(positions).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_the_kernels_gradients_are_the_definitions(levels: int) -> None:
    encoding = make_encoding(levels=levels)
    positions = torch.cat([inside(500), inside(1).expand(300, 3), borders()])  # 300 samples at one position
    which = torch.randperm(len(positions))[:600].sort().values
    gradient = torch.randn(len(which), encoding.size)
    encoding(positions[which]).backward(gradient)
    summed = np.zeros(encoding.table.shape, np.float32)
    low, inverse, levels_ = LOW.numpy(), np.float32(1 / SIDE), np.array(encoding.levels)
    add_table_gradient(positions.numpy(), which.numpy(), gradient.numpy(), low, inverse, levels_, summed)
    assert_close(torch.from_numpy(summed), encoding.table.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_the_kernels_gradient_of_positions_is_the_definitions(levels: int) -> None:
    encoding = make_encoding(levels=levels)
    positions = torch.cat([inside(500), torch.stack([LOW - 1, LOW + SIDE + 1, LOW + torch.tensor([-1.0, 0.5, 9.0])])])
    which = torch.cat([torch.randperm(500)[:300].sort().values, torch.arange(500, 503)])  # the last three lie outside
    gradient = torch.randn(len(which), encoding.size)
    points = positions.clone().requires_grad_()
    encoding(points[which]).backward(gradient)
    found = np.zeros((len(positions), 3), np.float32)
    low, inverse, levels_ = LOW.numpy(), np.float32(1 / SIDE), np.array(encoding.levels)
    table = encoding.table.detach().numpy()
    position_gradient(positions.numpy(), which.numpy(), gradient.numpy(), low, inverse, table, levels_, found)
    assert_close(torch.from_numpy(found), points.grad, rtol=1e-3, atol=1e-3)
