"""Numbers of strangers' files and of settings: refused in a line where nothing can be so large, small or endless."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from pydantic import ValidationError
from test_modelfile import file, header, model, params

from nerfpipe.camera_paths.key_frames import read_key_frames
from nerfpipe.config import memory
from nerfpipe.config.defaults import RENDER, RUNTIME
from nerfpipe.config.memory import memory_faults
from nerfpipe.config.params import Params
from nerfpipe.export.options import CloudOptions, ViewOptions
from nerfpipe.export.point_cloud import seen_points
from nerfpipe.export.views import LoadedField, choose_view
from nerfpipe.film.film import render_film
from nerfpipe.geometry.cameras import DEFAULT_LONGER_SIDE
from nerfpipe.geometry.similarity import IDENTITY
from nerfpipe.models.model_file import load_model
from nerfpipe.ops.constants import FEATURES
from nerfpipe.project.catalogue import Entry
from nerfpipe.project.check import disk_faults
from nerfpipe.runtime.errors import NerfpipeError
from robustness.numbers import ENDLESS, NUMBERS, changed, headers, key_frames, used

__all__ = ["file", "header", "model", "params"]  # fixtures


def test_memory_is_estimated_for_the_sizes_that_are_used() -> None:
    """Rooms below geometry and ops cannot import their constants."""
    assert (memory.FEATURES, memory.USUAL_SIDE) == (FEATURES, DEFAULT_LONGER_SIDE)


def told(read: Callable[[], object]) -> str:
    """What is said of a file that is refused; nothing where it is taken."""
    try:
        read()
    except NerfpipeError as error:
        return str(error)
    return ""


def test_every_number_of_a_header_is_refused_in_a_line_or_works(file: Path) -> None:
    cases = list(headers(file.read_bytes()))
    assert len(cases) > 200
    refused = 0
    for name, content, must_refuse in cases:
        file.write_bytes(content)
        said = told(lambda: used(file))
        refused += bool(said)
        assert said or not must_refuse, name
        assert not said or (len(said.splitlines()) == 1 and said.startswith(f"{file}: ")), name
    assert refused > len(cases) / 2


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda h: h["camera"].update(fx=0.0), "camera.fx"),
        (lambda h: h["camera"].update(fx=math.nan), "camera.fx"),
        (lambda h: h["camera"].update(width=10**400), "camera.width"),
        (lambda h: h["camera"].update(width=60_000, height=60_000), "camera: has"),
        (lambda h: h["camera"].update(cx=math.inf), "camera.cx"),
        (lambda h: h["camera"].update(cx=10**400), "camera.cx: must be a finite number"),
        (lambda h: h["camera"].update(height=math.nan), "camera.height: must be a whole number"),
        (lambda h: h.update(seed=-1), "seed: is too small"),
        (lambda h: h.update(seed=10**400), "seed: is too large"),
        (lambda h: h["camera"].update(distortion=[0.0] * 9), "camera.distortion"),
        (lambda h: h["similarity"].update(scale=0.0), "similarity.scale"),
        (lambda h: h["similarity"].update(scale=math.nan), "similarity.scale"),
        (lambda h: h["similarity"].update(rotation=[[1.0, 0.0, 0.0]] * 3), "similarity.rotation"),
        (lambda h: h["space"].update(near=math.nan), "space.near"),
        (lambda h: h["space"].update(kind="unbounded", near=0.0), "space.near"),
        (lambda h: h["space"].update(kind="forward"), "space.frustum: belongs to a forward space"),
        (lambda h: h["space"].update(frustum=[1.0, 1.0]), "space.frustum: belongs to a forward space"),
        (lambda h: h["space"].update(kind="forward", frustum=[0.0, 1.0]), "space.frustum: must be two numbers above 0"),
        (lambda h: h["space"].update(kind="forward", frustum=[10**400, 1.0]), "space.frustum.0: must be a finite"),
        (lambda h: h.update(centre=[math.nan, 0.0, 0.0]), "centre"),
        (lambda h: h.update(poses=[]), "poses: must be 1 to"),
        (lambda h: h["poses"][0][0].__setitem__(3, math.inf), "poses[0]"),
        (lambda h: h["poses"][0][0].__setitem__(3, 10**400), "poses.0.0.3: must be a finite number"),
        (lambda h: h["poses"][2][1].__setitem__(3, 1e30), "poses[2]"),
        (lambda h: h["poses"][0][0].__setitem__(0, 7.0), "poses[0]"),
    ],
)
def test_the_key_at_fault_is_named(file: Path, change: Callable[[dict], object], key: str) -> None:
    from safetensors.torch import load, save

    from nerfpipe.models.model_file import HEADER
    from robustness.damage import metadata_of

    content = file.read_bytes()
    header = json.loads(metadata_of(content)[HEADER])
    change(header)
    file.write_bytes(save(load(content), {HEADER: json.dumps(header)}))
    with pytest.raises(NerfpipeError) as error:
        load_model(file)
    assert f"its header describes no model ({key}" in str(error.value)


def test_every_number_of_key_frames(tmp_path: Path) -> None:
    path = tmp_path / "path.json"
    for name, content, must_refuse in changed(key_frames(), "key frames"):
        path.write_text(json.dumps(content))
        said = told(lambda: read_key_frames(path, IDENTITY, torch.zeros(3)))
        assert said or not must_refuse, name
        assert said.startswith(f"{path}: ") or not said, name


def test_what_has_no_end_is_told_apart() -> None:
    assert set(map(str, ENDLESS)) <= set(map(str, NUMBERS))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("render.frames", 10**12),
        ("render.size", 10**9),
        ("render.fps", 1e-300),
        ("tiny.train.batch_rays", 10**12),
        ("tiny.train.steps", 10**12),
        ("tiny.train.lr", 1e300),
        ("tiny.sampling.samples", 10**7),
        ("nerf.sampling.fine", 10**7),
        ("ngp.sampling.render_steps", 10**7),
        ("ngp.train.batch_samples", 10**12),
        ("ngp.field.base_resolution", 10**12),
        ("runtime.threads", 10**6),
        ("runtime.gpu_chunk", 10**12),
        ("rays.margin", 1e300),
        ("evaluate.error_scale", 1e-300),
    ],
)
def test_no_number_is_without_bounds(with_params: Callable[..., Params], key: str, value: float) -> None:
    with pytest.raises(ValidationError, match=key):
        with_params(**{key: value})


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"render.frames": 100_000, "render.size": 16_384}, "render.frames, render.size, render.panels"),
        (
            {"ngp.field.log2_hashmap_size": 24, "ngp.field.levels": 16, "ngp.field.max_resolution": 4096},
            "ngp.field.levels",
        ),
        ({"ngp.sampling.grid": 512}, "ngp.sampling.grid"),
        ({"ngp.train.batch_samples": 2**26}, "ngp.train.batch_samples"),
        ({"method": "tiny", "tiny.field.width": 8192, "tiny.field.depth": 64}, "tiny.field.width, tiny.field.depth"),
        ({"method": "tiny", "runtime.cpu_chunk": 2**26}, "tiny.field.width, tiny.field.depth, runtime.cpu_chunk"),
        (
            {"method": "tiny", "tiny.train.batch_rays": 2**22, "tiny.sampling.samples": 4096},
            "tiny.train.batch_rays, tiny.sampling.samples",
        ),
        (
            {"method": "nerf", "nerf.train.batch_rays": 2**22, "nerf.sampling.fine": 4096},
            "nerf.train.batch_rays, nerf.sampling.coarse, nerf.sampling.fine",
        ),
        ({"render.frames": 1, "render.size": 16_384}, "render.frames, render.size, render.panels"),
    ],
)
def test_what_is_possible_alone_and_not_together_is_told_before_work_begins(
    with_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, changes: dict, keys: str
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": 8 * 10**9})())
    faults = memory_faults(with_params(**changes))
    assert any(fault.startswith(keys) and "this machine has 8 GB" in fault for fault in faults)
    assert memory_faults(with_params()) == []


@pytest.mark.parametrize("method", ["ngp", "ngp_photos", "tiny", "nerf"])
def test_what_the_project_comes_with_fits_a_small_machine(
    with_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Blocks of a GPU are no memory of the machine's."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": 2 * 10**9})())
    assert memory_faults(with_params(method=method)) == []


def test_a_turn_and_a_view_of_a_model_are_held_to_the_memory_that_is_there(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": 8 * 10**9})())
    field = LoadedField.load(file, RUNTIME)
    settings = RENDER.model_copy(update={"size": 16_384})
    with pytest.raises(NerfpipeError, match=r"render\.frames, render\.size, render\.panels: together take about"):
        render_film(field.renderer, field.header, settings, tmp_path / "turn")
    with pytest.raises(NerfpipeError, match=r"--size: takes about .* make it smaller"):
        choose_view(field.header, ViewOptions(size=16_384))
    with pytest.raises(NerfpipeError, match="--points: takes about"):
        seen_points(field, CloudOptions(points=20_000_000))
    assert not (tmp_path / "turn").exists()


def test_a_scene_that_no_disk_has_room_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Disk", (), {"total": 200 * 10**9})())
    large = Entry.model_validate({"format": "procedural", "size": 4096, "views": {"train": 10_000}})
    [fault] = disk_faults("arm", large)
    assert fault.startswith("arm.views, arm.size: together take about 2,861 GB of room, and this disk has 200 GB")
    assert disk_faults("arm", Entry(format="procedural")) == []
    assert disk_faults("arm", Entry(format="blender", path="a")) == []
