"""Numbers of strangers' files and of settings: refused in a line where nothing can be so large, small or endless."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from pydantic import ValidationError
from test_modelfile import about, file, model, params

from nerfpipe.config import Params
from nerfpipe.errors import NerfpipeError
from nerfpipe.keyframes import read_key_frames
from nerfpipe.memory import memory_faults
from nerfpipe.modelfile import load_model
from nerfpipe.similarity import IDENTITY
from robustness.numbers import ENDLESS, NUMBERS, changed, headers, key_frames, used

__all__ = ["about", "file", "model", "params"]  # fixtures


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
        (lambda h: h["camera"].update(distortion=[0.0] * 9), "camera.distortion"),
        (lambda h: h["similarity"].update(scale=0.0), "similarity.scale"),
        (lambda h: h["similarity"].update(scale=math.nan), "similarity.scale"),
        (lambda h: h["similarity"].update(rotation=[[1.0, 0.0, 0.0]] * 3), "similarity.rotation"),
        (lambda h: h["space"].update(near=math.nan), "space.near"),
        (lambda h: h["space"].update(kind="unbounded", near=0.0), "space.near"),
        (lambda h: h["space"].update(kind="forward"), "space.frustum"),
        (lambda h: h.update(centre=[math.nan, 0.0, 0.0]), "centre"),
        (lambda h: h.update(poses=[]), "poses: must be 1 to"),
        (lambda h: h["poses"][0][0].__setitem__(3, math.inf), "poses[0]"),
        (lambda h: h["poses"][0][0].__setitem__(0, 7.0), "poses[0]"),
    ],
)
def test_the_key_at_fault_is_named(file: Path, change: Callable[[dict], object], key: str) -> None:
    from safetensors.torch import load, save

    from nerfpipe.modelfile import HEADER
    from robustness.damage import metadata_of

    content = file.read_bytes()
    header = json.loads(metadata_of(content)[HEADER])
    change(header)
    file.write_bytes(save(load(content), {HEADER: json.dumps(header)}))
    with pytest.raises(NerfpipeError) as error:
        load_model(file)
    assert f"its header describes no model ({key}" in str(error.value) or "another version" in str(error.value)


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
        ("ngp.field.coarsest", 10**12),
        ("runtime.threads", 10**6),
        ("runtime.gpu_block", 10**12),
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
        ({"ngp.field.log2_rows": 24, "ngp.field.levels": 16, "ngp.field.finest": 4096}, "ngp.field.levels"),
        ({"ngp.sampling.grid": 512}, "ngp.sampling.grid"),
        ({"ngp.train.batch_samples": 2**26}, "ngp.train.batch_samples"),
        ({"method": "tiny", "tiny.field.width": 8192, "tiny.field.depth": 64}, "tiny.field.width, tiny.field.depth"),
    ],
)
def test_what_is_possible_alone_and_not_together_is_told_before_work_begins(
    with_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch, changes: dict, keys: str
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": 8 * 10**9})())
    faults = memory_faults(with_params(**changes))
    assert any(fault.startswith(keys) and "this machine has 8 GB" in fault for fault in faults)
    assert memory_faults(with_params()) == []
