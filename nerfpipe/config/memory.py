"""Estimates of the memory that settings need together, before any work begins."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from nerfpipe.config.methods import MethodParams, NerfParams, NgpParams, TinyParams
from nerfpipe.config.params import Panel, Params, RenderParams
from nerfpipe.runtime.errors import NerfpipeError

FLOAT = 4
GIGABYTE = 10**9
WITH_ADAM = 4  # a weight, its gradient and its two moments
FEATURES = 4  # of a row of the hash table, as in ops/constants.py
CELL = 72  # bytes of a cell of the occupancy grid during its update, with index, position and density
SAMPLE = 160  # bytes of a sample in sampler, compositing and loss, forward and backward
RAY = 128  # bytes of a ray of a batch, with target and background
PIXEL = 180  # bytes of a pixel of the frame that is being rendered, with its ray
FILMED = 16  # bytes of a pixel of each frame of a turn: colour, depth, and what their GIFs take
PANEL = 11  # the same for each panel, where panels are named
ALONE: list[Panel] = ["colour"]  # with these panels no film of panels is made
USUAL_SIDE = 480  # pixels of a render if render.size is 0, as in geometry/cameras.py
FLAT = 2  # width / height assumed of a render whose camera is not known yet


def memory_faults(params: Params) -> list[str]:
    """One line for every set of keys that needs more memory than this machine has."""
    return [line for keys, needed in needs(params) for line in too_much(keys, needed)]


def check_memory(params: Params) -> None:
    """Raise NerfpipeError where this machine has too little memory for the settings."""
    if faults := memory_faults(params):
        raise NerfpipeError(*(f"params.yaml: {fault}" for fault in faults))


def check_needs(keys: str, needed: float) -> None:
    """Raise NerfpipeError where these keys or options need more bytes of memory than this machine has."""
    for line in too_much(keys, needed):
        raise NerfpipeError(line)


def too_much(keys: str, needed: float) -> list[str]:
    """One line where the keys need more bytes than this machine's memory, free or in use; else none."""
    return beyond(keys, needed, psutil.virtual_memory().total, "memory, and this machine")


def beyond(keys: str, needed: float, available: int, resource: str) -> list[str]:
    """One line where the keys need more bytes than are available; `resource`: `memory, and this machine`."""
    if needed <= available:
        return []
    take = "together take" if "," in keys else "takes"
    return [
        f"{keys}: {take} about {needed / GIGABYTE:,.0f} GB of {resource} has {available / GIGABYTE:,.0f} GB; "
        f"make {'them' if ',' in keys else 'it'} smaller"
    ]


def needs(params: Params) -> Iterator[tuple[str, float]]:
    """Keys and the bytes that they need together, for the method in use and for renders."""
    on_cpu = params.runtime.device in ("auto", "cpu")
    yield from method_needs(params.method, params.recipe, params.runtime.cpu_chunk if on_cpu else 0)
    side = params.render.size or USUAL_SIDE
    yield render_needs(params.render, side, max(1, side // FLAT))


def render_needs(settings: RenderParams, width: int, height: int) -> tuple[str, float]:
    """The same for a turn of frames of this size, in pixels."""
    panels = 0 if settings.panels == ALONE else len(settings.panels)
    needed = width * height * (PIXEL + settings.frames * (FILMED + PANEL * panels))
    return "render.frames, render.size, render.panels", needed


def method_needs(name: str, recipe: MethodParams, chunk: int) -> Iterator[tuple[str, float]]:
    """The same for training a method; `chunk`: samples computed at once on the CPU."""
    match recipe:
        case NgpParams():
            yield from _grid_needs(name, recipe)
        case TinyParams() | NerfParams():
            yield from _layer_needs(name, recipe, chunk)


def _grid_needs(name: str, recipe: NgpParams) -> Iterator[tuple[str, float]]:
    train, field = recipe.train, recipe.field
    yield f"{name}.train.batch_rays", train.batch_rays * RAY
    rows = field.levels * min(2**field.log2_hashmap_size, (field.max_resolution + 1) ** 3)
    yield f"{name}.field.levels, {name}.field.log2_hashmap_size", rows * FEATURES * FLOAT * WITH_ADAM
    yield f"{name}.sampling.grid", recipe.sampling.grid**3 * CELL
    encoded = 2 * field.levels * FEATURES * FLOAT
    yield f"{name}.train.batch_samples, {name}.field.levels", train.batch_samples * (encoded + SAMPLE)


def _layer_needs(name: str, recipe: TinyParams | NerfParams, chunk: int) -> Iterator[tuple[str, float]]:
    train, field = recipe.train, recipe.field
    keys, drawn = _samples(name, recipe)
    yield f"{name}.train.batch_rays, {keys}", train.batch_rays * (RAY + FLOAT * drawn)
    layer = field.width * FLOAT
    yield f"{name}.field.width, {name}.field.depth", field.depth * field.width * layer * WITH_ADAM
    activations = chunk * (2 * field.depth * layer + SAMPLE)
    yield f"{name}.field.width, {name}.field.depth, runtime.cpu_chunk", activations


def _samples(name: str, recipe: TinyParams | NerfParams) -> tuple[str, int]:
    """The keys that set the number of samples of a ray, and that number."""
    if isinstance(recipe, TinyParams):
        return f"{name}.sampling.samples", recipe.sampling.samples
    return f"{name}.sampling.coarse, {name}.sampling.fine", recipe.sampling.coarse + recipe.sampling.fine
