"""How much memory settings ask for, before any work begins: each may be possible alone, and all together not."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from nerfpipe.config import MethodParams, NerfParams, NgpParams, Params, TinyParams
from nerfpipe.errors import NerfpipeError

FLOAT, BYTE = 4, 1
GIGABYTE = 10**9
WITH_ADAM = 4  # a weight, its gradient and its two moments
FEATURES = 4  # of a row of a hash table
CELL = 72  # bytes that a look at a cell of the occupancy grid takes, with its number, place and density
SAMPLE = 160  # bytes of a sample on its way through sampler, compositing and loss, both ways
RAY = 128  # bytes of a ray of a batch, with target, background and jitter
CHANNELS = 3
USUAL_SIDE = 480  # pixels of a render that gives no size: render.size


def memory_faults(params: Params) -> list[str]:
    """What this machine has no memory for, one line each: the keys and the estimate."""
    there = psutil.virtual_memory().total
    return [
        f"{keys}: together take about {needed / GIGABYTE:,.0f} GB of memory, and this machine has "
        f"{there / GIGABYTE:,.0f} GB; make them smaller"
        for keys, needed in needs(params)
        if needed > there
    ]


def check_memory(params: Params) -> None:
    """Raise NerfpipeError where this machine has no memory for the settings."""
    if faults := memory_faults(params):
        raise NerfpipeError(*(f"params.yaml: {fault}" for fault in faults))


def needs(params: Params) -> Iterator[tuple[str, int]]:
    """Keys, and the bytes they take together, of the method in use and of renders."""
    yield from method_needs(params.method, params.recipe, max(params.runtime.cpu_block, params.runtime.gpu_block))
    render = params.render
    pixels = (render.size or USUAL_SIDE) ** 2
    yield "render.frames, render.size, render.panels", render.frames * pixels * CHANNELS * (2 + len(render.panels))


def method_needs(name: str, recipe: MethodParams, block: int) -> Iterator[tuple[str, int]]:
    """The same for training one method."""
    train, field = recipe.train, recipe.field
    yield f"{name}.train.batch_rays", train.batch_rays * RAY
    match recipe:
        case NgpParams():
            rows = field.levels * min(2**field.log2_rows, (field.finest + 1) ** 3)
            yield f"{name}.field.levels, {name}.field.log2_rows", rows * FEATURES * FLOAT * WITH_ADAM
            yield f"{name}.sampling.grid", recipe.sampling.grid**3 * CELL
            encoded = 2 * field.levels * FEATURES * FLOAT
            yield f"{name}.train.batch_samples, {name}.field.levels", train.batch_samples * (encoded + SAMPLE)
        case TinyParams() | NerfParams():
            layer = field.width * FLOAT
            yield f"{name}.field.width, {name}.field.depth", field.depth * field.width * layer * WITH_ADAM
            activations = block * (2 * field.depth * layer + SAMPLE)
            yield f"{name}.field.width, {name}.field.depth, runtime.cpu_block, runtime.gpu_block", activations
