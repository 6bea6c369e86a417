"""The networks: sizes, what they depend on, and what can be learned."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.config.params import Params
from nerfpipe.fields.activations import density_activation
from nerfpipe.fields.base import Field
from nerfpipe.fields.nerf import NerfField
from nerfpipe.fields.tiny import TinyField

FIELDS = {"tiny": TinyField, "nerf": NerfField}
both = pytest.mark.parametrize("method", FIELDS)


@pytest.fixture
def field(method: str, with_params: Callable[..., Params]) -> Field:
    torch.manual_seed(0)
    params = with_params(method=method, **{f"{method}.field.density": "softplus"})  # relu may start at zero everywhere
    return FIELDS[method](params.recipe.field)


def points(count: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    directions = torch.randn(count, 3, generator=random)
    return torch.rand(count, 3, generator=random) * 2 - 1, directions / directions.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(("method", "weights"), [("tiny", 66_308), ("nerf", 595_844)])
def test_the_number_of_weights_is_that_of_the_recipe(field: Field, weights: int) -> None:
    assert sum(p.numel() for p in field.parameters()) == weights


@both
def test_density_is_not_negative_and_colour_lies_in_0_1(field: Field) -> None:
    output = field(*points(200))
    assert output.channels.keys() == {"colour"}
    density, colour = output.density, output.colour
    assert density.shape == (200,)
    assert colour.shape == (200, 3)
    assert (density >= 0).all()
    assert ((colour >= 0) & (colour <= 1)).all()
    assert density.std() > 0
    assert (colour.std(dim=0) > 0).all()


@both
def test_results_are_float32_even_where_products_are_bfloat16(field: Field) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        output = field(*points(5))
    assert (output.density.dtype, output.colour.dtype) == (torch.float32, torch.float32)
    exact = field(*points(5))
    assert_close(output.density, exact.density, atol=0.02, rtol=0.02)
    assert_close(output.colour, exact.colour, atol=0.02, rtol=0.02)


@both
def test_an_empty_batch_gives_empty_results(field: Field) -> None:
    output = field(torch.zeros(0, 3), torch.zeros(0, 3))
    assert (output.density.shape, output.colour.shape) == ((0,), (0, 3))


@both
def test_density_alone_is_that_of_the_whole(field: Field) -> None:
    positions, directions = points(20)
    assert torch.equal(field.density(positions), field(positions, directions).density)


@both
def test_the_position_enters_again_at_the_skip(field: Field) -> None:
    positions, directions = points(20)
    with torch.no_grad():
        field.layers[0].weight.zero_()  # from here on nothing is known of the position …
    output = field(positions, directions[:1].expand(20, 3))
    assert output.density.std() > 0  # … but what enters at the skip
    assert output.colour.std(dim=0).max() > 0
    with torch.no_grad():
        field.layers[field.skip].weight.zero_()  # what enters there is all there was
    output = field(positions, directions[:1].expand(20, 3))
    assert_close(output.density, output.density[:1].expand(20))
    assert_close(output.colour, output.colour[:1].expand(20, 3))


def test_tiny_does_not_see_the_direction(with_params: Callable[..., Params]) -> None:
    field = TinyField(with_params().tiny.field)
    positions, directions = points(20)
    one, other = field(positions, directions), field(positions, -directions)
    assert torch.equal(one.density, other.density)
    assert torch.equal(one.colour, other.colour)


def test_nerf_colours_by_direction_but_its_density_does_not_see_it(with_params: Callable[..., Params]) -> None:
    field = NerfField(with_params().nerf.field)
    positions, directions = points(20)
    before, behind = field(positions, directions), field(positions, -directions)
    assert torch.equal(before.density, behind.density)
    assert ((before.colour - behind.colour).abs() > 1e-5).any(dim=1).all()


@both
def test_gradients_reach_every_weight(field: Field) -> None:
    output = field(*points(200))
    (output.density.sum() + (output.colour * torch.tensor([1.0, 2.0, -1.0])).sum()).backward()
    assert [name for name, p in field.named_parameters() if p.grad is None or not (p.grad != 0).any()] == []


def test_nerf_is_the_network_of_the_paper(with_params: Callable[..., Params]) -> None:
    field = NerfField(with_params().nerf.field)
    x, d = points(20)
    gamma_x, gamma_d = field.encoding(x), field.direction_encoding(d)
    h = gamma_x
    for i, layer in enumerate(field.layers):
        h = (layer(torch.cat([h, gamma_x], dim=1)) if i == 5 else layer(h)).clamp_min(0)
    density = torch.log1p(torch.exp(field.density_head(h)))[:, 0]
    h = field.view_layer(torch.cat([field.feature(h), gamma_d], dim=1)).clamp_min(0)  # no activation on the feature
    colour = 1 / (1 + torch.exp(-field.colour_head(h)))
    output = field(x, d)
    assert_close(output.density, density)
    assert_close(output.colour, colour)


def test_tiny_is_the_network_of_the_teaching_repository(with_params: Callable[..., Params]) -> None:
    field = TinyField(with_params().tiny.field)
    x, d = points(20)
    h = gamma = field.encoding(x)
    for i, layer in enumerate(field.layers):
        h = (layer(torch.cat([h, gamma], dim=1)) if i == 2 else layer(h)).clamp_min(0)
    raw = field.head(h)
    output = field(x, d)
    assert_close(output.density, raw[:, 0].clamp_min(0))
    assert_close(output.colour, 1 / (1 + torch.exp(-raw[:, 1:])))


def test_softplus_always_has_a_gradient_and_relu_not() -> None:
    raw = torch.tensor([-3.0, 0.5, 2.0], requires_grad=True)
    relu = density_activation(raw, "relu")
    assert_close(relu, torch.tensor([0.0, 0.5, 2.0]))
    assert torch.autograd.grad(relu.sum(), raw)[0].tolist() == [0, 1, 1]
    softplus = density_activation(raw, "softplus")
    assert_close(softplus, torch.log(1 + torch.exp(raw)))
    assert (torch.autograd.grad(softplus.sum(), raw)[0] > 0).all()
    assert density_activation(raw.detach().bfloat16(), "softplus").dtype == torch.float32


@both
def test_the_density_kind_is_the_one_of_the_params(method: str, with_params: Callable[..., Params]) -> None:
    results = {}
    for kind in ("relu", "softplus"):
        torch.manual_seed(0)
        field = FIELDS[method](with_params(method=method, **{f"{method}.field.density": kind}).recipe.field)
        results[kind] = field(*points(200)).density
    assert (results["relu"] == 0).any()
    assert (results["softplus"] > 0).all()
