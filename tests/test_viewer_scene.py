"""The scene in the viewer: cameras and photographs, models that change, and key frames."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import PARAMS
from viewer_subject import EYE, UP, ball_renderer

from nerfpipe.camera_paths.key_frames import read_key_frames
from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.models.model_file import ModelHeader, save_model
from nerfpipe.models.registry import build_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.checkpoint import Checkpoint
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.training.header import describe_model
from nerfpipe.training.trainer import Trainer
from nerfpipe.viewer.cameras import camera_at, find_scene_cameras, reproject_photograph
from nerfpipe.viewer.drawing import ViewRenderer
from nerfpipe.viewer.key_frame_list import KeyFrameList
from nerfpipe.viewer.sources import FileSource, NotYetError, TrainingSource


@pytest.fixture
def renderer(header: ModelHeader) -> ViewRenderer:
    return ball_renderer(header)


# Cameras and photographs


def test_photographs_lie_exactly_where_the_field_shows_the_same(make_scene, build_bank, renderer: ViewRenderer) -> None:
    bank = build_bank(make_scene(sizes=((64, 48),)))
    cameras, reason = find_scene_cameras(renderer.header, bank.folder)
    assert reason is None
    assert [taken.name for taken in cameras if taken.split == "test"] == ["test 0", "test 1"]
    taken = cameras[-1]
    shown, within = reproject_photograph(taken, taken.camera, taken.pose)
    assert within.all()
    assert torch.allclose(shown, taken.photograph(), atol=1e-5)
    turned = look_at(taken.pose[:, 3], torch.tensor([0.0, 0.3, 0.1]), UP)  # on the spot, away from the middle
    camera = Camera.centred(64, 64, 60.0)
    shown, within = reproject_photograph(taken, camera, turned)
    assert 0.3 < within.float().mean() < 1
    render = renderer.render(camera, turned, samples=4.0).picture
    error = (render.colour - shown).abs().mean(dim=2)[within]
    assert error.quantile(0.9) < 0.02  # edges are softer in the photograph
    assert (render.opacity[within] > 0.5).float().mean() > 0.2


def test_a_page_stands_in_a_camera_only_at_its_very_place(bank: RayBank, header) -> None:
    cameras, _ = find_scene_cameras(header, bank.folder)
    place = cameras[3].pose[:, 3]
    assert camera_at(cameras, place) is cameras[3]
    assert camera_at(cameras, place + 0.01) is None


def test_without_a_bank_of_its_own_scene_a_model_has_its_train_cameras_only(
    bank: RayBank, header, tmp_path: Path
) -> None:
    cameras, reason = find_scene_cameras(header, tmp_path / "nothing")
    assert (len(cameras), reason) == (6, None)
    assert all(taken.photograph is None for taken in cameras)
    text = (bank.folder / "bank.json").read_text()
    (bank.folder / "bank.json").write_text(text.replace('"ball"', '"cube"'))
    assert "another scene (cube)" in find_scene_cameras(header, bank.folder)[1]


# Models that change


def test_a_training_is_followed_from_checkpoint_to_model(
    bank: RayBank, with_params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"field.width": 8, "sampling.samples": 8, "train.steps": 2, "train.batch_rays": 32}
    changes = {f"tiny.{name}": value for name, value in small.items()}
    params = with_params(method="tiny", **changes, **{"runtime.checkpoint_seconds": 0})
    Path("params.yaml").write_text(json.dumps(params.model_dump()))
    source = TrainingSource(Path("field.safetensors"), bank.folder)
    assert source.version() is None
    with pytest.raises(NerfpipeError, match="no checkpoint yet; start a training"):
        source.load()
    with Checkpoint(Path(".nerfpipe/checkpoints/abc"), tmp_path) as checkpoint:
        model = build_model(params.recipe, params.seed, bank.space)
        Trainer(model, bank, params, torch.device("cpu"), checkpoint).run(report=lambda row: None)
    first = source.version()
    loaded, header = source.load()
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert header == describe_model(params, bank)
    assert (source.version() == first, source.has_newer()) == (True, False)
    time.sleep(0.02)
    save_model(Path("field.safetensors"), model, header)
    assert source.has_newer()
    assert source.describe() == "field.safetensors"


def test_a_checkpoint_of_other_params_is_told(
    bank: RayBank, with_params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(PARAMS, "params.yaml")
    other = build_model(with_params(method="tiny").recipe, 0, bank.space)
    tensors = {f"model.{name}": tensor for name, tensor in other.state_dict().items()}
    Checkpoint(Path(".nerfpipe/checkpoints/abc"), tmp_path).save(tensors, {})
    with pytest.raises(NotYetError, match=r"does not fit method ngp as params\.yaml has it now"):
        TrainingSource(Path("field.safetensors"), bank.folder).load()


def test_a_model_file_that_is_gone_is_waited_for_and_a_bad_one_told_once(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    source = FileSource(file)
    assert not source.has_newer()  # DVC deletes it before it trains: it is waited for
    file.write_bytes(b"x")
    assert source.has_newer()
    with pytest.raises(NerfpipeError, match="not a whole"):
        source.load()
    assert not source.has_newer()  # a bad one is told once, not every second


# Key frames


def test_key_frames_are_added_deleted_saved_and_loaded(tmp_path: Path) -> None:
    similarity = Similarity.of(np.array([1.0, 2.0, 3.0]), np.eye(3)[[1, 2, 0]], 0.5)
    frames = KeyFrameList()
    places = [torch.tensor([3.0, y, 1.0]) for y in (0.0, 1.0, 2.0)]
    for focus, place in enumerate(places, start=1):
        frames.add(look_at(place, torch.zeros(3), UP), float(focus))
    frames.delete(1)
    frames.delete(7)
    assert frames.names() == ["1: at (3.00, 0.00, 1.00)", "2: at (3.00, 2.00, 1.00)"]
    frames.loop = True
    assert frames.unsaved
    frames.save(tmp_path / "keys.json", similarity)
    assert not frames.unsaved
    read = read_key_frames(tmp_path / "keys.json", similarity, torch.zeros(3))
    assert np.allclose(read.poses, frames.frames().poses, atol=1e-6)
    assert read.focus == pytest.approx([1, 3])
    other = KeyFrameList()
    other.load("keys.json", (tmp_path / "keys.json").read_bytes(), similarity, torch.zeros(3))
    assert other.names() == frames.names()
    assert other.loop
    frames.clear()
    with pytest.raises(NerfpipeError, match=r"needs 2 key frames at least \(there are 0\)"):
        frames.save(tmp_path / "none.json", similarity)


def test_a_faulty_upload_is_told_by_its_own_name_and_changes_nothing() -> None:
    frames = KeyFrameList()
    frames.add(EYE, 1.0)
    content = json.dumps({"frames": [{"transform_matrix": np.eye(4).tolist()}]}).encode()
    with pytest.raises(NerfpipeError, match=r"^mine\.json: frames: a path needs 2 key frames"):
        frames.load("../mine.json", content, Similarity(), torch.zeros(3))
    assert len(frames) == 1
