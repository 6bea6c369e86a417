"""Every number of a model's header, of a ray bank's, of key frames and of params.yaml, made one that it should not be.

Each case must be refused in one line, or be taken and then work: a small picture is drawn of such a model. Nothing may
hang, and nothing may take memory as the number asks for it.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load, save

from nerfpipe.camera_paths.key_frames import interpolate, read_key_frames
from nerfpipe.config.params import RuntimeParams, load_params
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.similarity import IDENTITY
from nerfpipe.geometry.space import camera_rays
from nerfpipe.models.model_file import HEADER, load_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.rendering.renderer import Renderer
from robustness.counts import Counts
from robustness.damage import metadata_of
from robustness.files_fuzz import refused
from robustness.project import Project
from robustness.settings_fuzz import in_process, inside

NUMBERS = (0, -1, math.nan, math.inf, -math.inf, 10**7, 10**400)
ENDLESS = (math.nan, math.inf, -math.inf, 10**400)  # which nothing may have
PATIENCE = 20  # seconds, after which a case is said to hang
MOST_MEGABYTES = 1000  # by which a case may raise the most memory that this process ever had
SIDE = 8  # pixels of the picture that is drawn


class HangsError(Exception):
    """A case did not end in time."""


def fuzz_numbers(project: Project, models: list[Path], work: Path) -> Counts:
    """All numbers of all kinds of files."""
    counts = Counts("numbers")
    for file in models:
        for name, content, must_refuse in headers(file.read_bytes()):
            target = work / "field.safetensors"
            target.write_bytes(content)
            with in_time(counts, name):
                counts.quiet(name, *refused(lambda place=target: used(place), target), must_refuse)
    for name, content, must_refuse in changed(json.loads((project.folder / "data/rays/bank.json").read_text()), "bank"):
        bank = work / "rays"
        shutil.rmtree(bank, ignore_errors=True)
        shutil.copytree(project.folder / "data/rays", bank)
        (bank / "bank.json").write_text(json.dumps(content))
        with in_time(counts, name):
            counts.quiet(name, *refused(lambda place=bank: RayBank(place), bank), must_refuse)
    for name, content, must_refuse in changed(key_frames(), "key frames"):
        path = work / "path.json"
        path.write_text(json.dumps(content))
        with in_time(counts, name):
            counts.quiet(name, *refused(lambda place=path: flown(place), path), must_refuse)
    fuzz_params(project, counts, work)
    return counts


def fuzz_params(project: Project, counts: Counts, work: Path) -> None:
    """Every number of params.yaml and of the scene's entry, through `nerfpipe check` and a stage's beginning."""
    folder = project.copy(work / "numbers")
    with inside(folder):
        for name in ("params.yaml", "data/scenes.yaml"):
            file, sound = Path(name), yaml.safe_load(Path(name).read_text())
            for case, content, must_refuse in changed(sound, name):
                file.write_text(yaml.safe_dump(content, sort_keys=False))
                with in_time(counts, case):
                    counts.quiet(case, *in_process(), must_refuse and "robot-arm" not in case)
            file.write_text(yaml.safe_dump(sound, sort_keys=False))


def changed(content: Any, what: str) -> Iterator[tuple[str, Any, bool]]:
    """A copy with one number made another, for every number and each of NUMBERS, and whether that must be refused."""
    for path in leaves(content):
        for number in NUMBERS:
            other = copy.deepcopy(content)
            place = other
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = number
            yield (
                f"{what}: {'.'.join(map(str, path))} = {shown(number)}",
                other,
                any(number is each for each in ENDLESS),
            )


def leaves(content: Any, path: tuple = ()) -> Iterator[tuple]:
    """Where the numbers lie; of a list of many alike the first."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from leaves(value, (*path, key))
    elif isinstance(content, list):
        for number, value in enumerate(content[:1] if len(content) > 4 else content):
            yield from leaves(value, (*path, number))
    elif isinstance(content, (int, float)) and not isinstance(content, bool):
        yield path


def headers(content: bytes) -> Iterator[tuple[str, bytes, bool]]:
    tensors, header = load(content), json.loads(metadata_of(content)[HEADER])
    for name, other, must_refuse in changed(header, "header"):
        yield name, save(tensors, {HEADER: json.dumps(other)}), must_refuse
    for key in ("poses", "centre"):
        yield f"header: no {key}", save(tensors, {HEADER: json.dumps({**header, key: []})}), True


def used(file: Path) -> None:
    """Load a model and draw a small picture with its camera's angle and its first pose."""
    model, header = load_model(file)
    runtime: RuntimeParams = load_params(Path(__file__).parents[1] / "params.yaml").runtime
    camera = Camera.centred(SIDE, SIDE, SIDE * header.camera.fx / header.camera.width)
    renderer = Renderer(model, torch.device("cpu"), runtime, header.bf16)
    rays = camera_rays(camera, torch.tensor(header.poses[0]), header.space)
    renderer.view(rays, header.background_colour, SIDE, SIDE)


def key_frames() -> dict[str, Any]:
    def pose(x: float) -> list[list[float]]:
        return [[1.0, 0.0, 0.0, x], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 4.0], [0.0, 0.0, 0.0, 1.0]]

    return {"loop": False, "frames": [{"transform_matrix": pose(x), "focus": 3.0} for x in (0.0, 0.5, 1.0)]}


def flown(file: Path) -> None:
    interpolate(read_key_frames(file, IDENTITY, torch.zeros(3)), 10)


def shown(number: float) -> str:
    return "10^400" if number == NUMBERS[-1] else str(number)


@contextlib.contextmanager
def in_time(counts: Counts, name: str) -> Iterator[None]:
    """Count a case that does not end, or takes much memory, as one that went wrong."""

    def ring(*_: object) -> None:
        raise HangsError

    before: Callable[..., object] | int | None = signal.signal(signal.SIGALRM, ring)
    peak = megabytes_at_most()
    signal.alarm(PATIENCE)
    try:
        yield
    except HangsError:
        counts.quiet(name, f"it had not ended after {PATIENCE} s")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    if (took := megabytes_at_most() - peak) > MOST_MEGABYTES:
        counts.quiet(name, f"it took {took} MB")


def megabytes_at_most() -> int:
    """The most memory that this process has had so far; macOS counts it in bytes, Linux in kilobytes."""
    import resource  # Windows has none

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (10**6 if sys.platform == "darwin" else 1000)
