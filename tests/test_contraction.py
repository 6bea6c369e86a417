"""Contraction and its inverse, and the steps that go with it."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from nerfpipe.geometry.contraction import CUBE, FAR, LINEAR, contract, uncontract, unwarp, warp

coordinate = st.floats(-1e4, 1e4, width=32)


@given(st.tuples(coordinate, coordinate, coordinate))
def test_contract_is_the_formula_and_has_an_inverse(point: tuple[float, ...]) -> None:
    x = torch.tensor(point, dtype=torch.float64)
    m = max(abs(c) for c in point)
    expected = x if m <= 1 else (2 - 1 / m) * x / m
    y = contract(x)
    assert_close(y, expected)
    assert y.abs().max() <= CUBE[1][0]
    assert_close(uncontract(y), x, rtol=1e-9, atol=1e-9)


def test_contract_keeps_directions_and_joins_smoothly() -> None:
    x = torch.tensor([[0.3, -0.2, 1.0], [3.0, -2.0, 10.0], [300.0, -200.0, 1000.0]])
    assert_close(contract(x), torch.tensor([[0.3, -0.2, 1.0], [0.57, -0.38, 1.9], [0.5997, -0.3998, 1.999]]))
    just_beyond = contract(torch.tensor([0.0, 1.0 + 1e-4, 0.5]))
    assert_close(just_beyond, torch.tensor([0.0, 1.0 + 1e-4, 0.5]), atol=2e-4, rtol=0)


@given(st.floats(0, FAR))
def test_warp_is_the_formula_and_has_an_inverse(distance: float) -> None:
    t = torch.tensor(distance, dtype=torch.float64)
    s = warp(t)
    assert_close(s, t if distance <= LINEAR else torch.tensor(LINEAR * (2 - LINEAR / distance), dtype=torch.float64))
    assert s < 2 * LINEAR
    assert_close(unwarp(s), t, rtol=1e-9, atol=1e-12)


def test_warp_grows_and_has_no_kink() -> None:
    t = torch.linspace(0, 8, 801, dtype=torch.float64)
    slopes = warp(t).diff() / t.diff()
    assert (slopes > 0).all()
    assert (slopes.diff().abs() < 0.011).all()  # a jump would be as large as the slopes
