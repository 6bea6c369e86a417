"""Devices: nothing is computed on another one than was asked for.

There need be no GPU here: tensors on PyTorch's "meta" device have shapes and no numbers, and are as foreign to the CPU
as those of a GPU are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nerfpipe.config.params import Params
from nerfpipe.geometry.rays import PixelBatch, RayBatch
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.images.convert import alpha_composite
from nerfpipe.models.registry import build_model
from nerfpipe.runtime.device import choose_device, mlp_precision
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.training.optimizer import build_optimizer

META = torch.device("meta")
BOUNDS = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
PROJECT = Path(__file__).parents[1]
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)  # the explicit ways between devices
SMALL = {"tiny.sampling.samples": 4, "nerf.sampling.coarse": 4, "nerf.sampling.fine": 6}
both = pytest.mark.parametrize("method", ["tiny", "nerf"])


class OneDevice(TorchDispatchMode):
    """Fails on any operation between devices, silent ones too (an index on the CPU); single numbers may be anywhere."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        tensors = [each for each in tree_leaves((args, kwargs or {})) if isinstance(each, torch.Tensor)]
        devices = {tensor.device for tensor in tensors if tensor.dim() > 0}
        assert len(devices) <= 1 or func in COPIES, f"{func} between {devices}"
        return func(*args, **(kwargs or {}))


def make_rays(count: int) -> RayBatch:
    number = torch.arange(count)
    pixels = PixelBatch(number, number, torch.rand(count, 3), torch.rand(count), torch.rand(count, 4))
    return RayBatch(torch.rand(count, 3), torch.rand(count, 3), torch.rand(count), torch.rand(count), pixels)


@both
@pytest.mark.parametrize("jittered", [True, False])
def test_a_training_step_stays_on_its_device(method: str, jittered: bool, with_params: Callable[..., Params]) -> None:
    params = with_params(method=method, **SMALL)
    model = build_model(params.recipe, params.seed, Bounded.over(BOUNDS)).to(META)
    rays, background = make_rays(5).to(META), torch.rand(5, 3).to(META)
    jitter = torch.rand(5, model.random_numbers_per_ray).to(META) if jittered else None
    with OneDevice():
        passes = model.renderings(rays, background, jitter)
        loss = sum(((each.colour - alpha_composite(rays.target, background)) ** 2).mean() for each in passes)
        loss.backward()
    results = [loss, *(p.grad for p in model.parameters())]
    for each in passes:
        results += [each.colour, each.opacity, each.depth, each.weights, each.density, each.samples.t]
    assert {result.device for result in results} == {META}
    assert passes[-1].colour.shape == (5, 3)


def test_the_check_above_notices_a_second_device() -> None:
    numbers, here = torch.rand(5, device=META), torch.arange(5)
    with OneDevice():
        numbers * torch.tensor(2.0)  # a single number may come from the CPU
        here.to(META)
        with pytest.raises(AssertionError, match="between"):
            numbers[here]  # PyTorch itself copies an index to the GPU in silence
        with pytest.raises(AssertionError, match="between"):
            torch.cat([numbers, here])


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps", "meta"])
def test_float32_needs_nothing_of_the_device(device: str) -> None:
    with mlp_precision(torch.device(device), bf16=False):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_no_module_chooses_a_device_by_itself() -> None:
    forbidden = re.compile(r"\.cuda\(|set_default_device|set_default_tensor_type|device\s*=\s*[\"'](cuda|mps)")
    sources = [file for folder in ("nerfpipe", "stages") for file in sorted((PROJECT / folder).rglob("*.py"))]
    assert len(sources) > 20
    assert [str(file) for file in sources if forbidden.search(file.read_text(encoding="utf-8"))] == []


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Pretends to be a machine with so many CUDA devices, and with or without MPS."""

    def pretend(cuda: int, mps: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "chosen"),
    [
        (0, False, "auto", "cpu"),
        (1, False, "auto", "cuda"),
        (0, True, "auto", "mps"),
        (1, True, "auto", "cuda"),
        (1, True, "cpu", "cpu"),
        (2, False, "cuda", "cuda"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "mps", "mps"),
    ],
)
def test_the_device_is_the_one_named_or_the_best_there_is(
    machine: Callable[[int, bool], None], cuda: int, mps: bool, name: str, chosen: str
) -> None:
    machine(cuda, mps)
    assert choose_device(name) == torch.device(chosen)


@pytest.mark.parametrize(
    ("cuda", "mps", "name", "there"),
    [
        (0, False, "cuda", "cpu"),
        (0, True, "cuda:0", "mps, cpu"),
        (2, False, "cuda:2", "cuda, cpu"),
        (0, False, "mps", "cpu"),
    ],
)
def test_a_device_that_is_absent_is_told_with_those_there_are(
    machine: Callable[[int, bool], None], cuda: int, mps: bool, name: str, there: str
) -> None:
    machine(cuda, mps)
    with pytest.raises(NerfpipeError) as caught:
        choose_device(name)
    assert str(caught.value) == f"runtime.device: {name} is not on this machine; there is: {there}. Set it to auto"


def test_a_block_has_as_many_rays_as_its_samples_allow(with_params: Callable[..., Params]) -> None:
    for samples, on_cpu, on_gpu in ((64, 15, 1000), (4000, 1, 16)):
        params = with_params(method="tiny", **{"tiny.sampling.samples": samples})
        model = build_model(params.recipe, 0, Bounded.over(BOUNDS))
        runtime = params.runtime.model_copy(update={"cpu_chunk": 1000, "gpu_chunk": 64000})
        assert model.chunk_rays(runtime, torch.device("cpu")) == on_cpu
        assert model.chunk_rays(runtime, torch.device("cuda")) == on_gpu
        assert model.chunk_rays(runtime, torch.device("mps")) == on_gpu


def test_the_ngp_field_and_its_step_stay_on_their_device(with_params: Callable[..., Params]) -> None:
    """Marching asks how many samples there are, which meta tensors cannot say: field and optimiser are tried alone."""
    params = with_params(method="ngp")
    model = build_model(params.recipe, 0, Bounded.over(BOUNDS)).to(META)
    optimizer = build_optimizer(params.recipe, model)
    with OneDevice():
        output = model.last.field(torch.rand(7, 3).to(META), torch.rand(7, 3).to(META))
        (output.density.sum() + output.colour.sum()).backward()
        optimizer.step()
    assert {weight.device for weight in model.parameters()} == {META}
    assert (output.density.shape, output.colour.shape) == ((7,), (7, 3))
