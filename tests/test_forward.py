"""Forward-facing photographs, from LLFF's files to a field that learned them in normalised device coordinates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import scene_files
import torch
from conftest import ball_image

from nerfpipe.config.params import Params
from nerfpipe.download.acquire import make_raw
from nerfpipe.geometry.cameras import Camera
from nerfpipe.images.metrics import psnr
from nerfpipe.models.registry import build_model
from nerfpipe.project.catalogue import Entry
from nerfpipe.raybank.bank import RayBank
from nerfpipe.raybank.writer import build
from nerfpipe.runtime.checkpoint import Checkpoint
from nerfpipe.scenes.loading import load_scene
from nerfpipe.scenes.scene import Scene
from nerfpipe.training.trainer import Trainer

VIEWS, DISTANCE = 17, 3.0
SETTINGS = {
    "tiny.field.width": 32,
    "tiny.field.frequencies": 3,
    "tiny.sampling.samples": 16,
    "nerf.field.width": 32,
    "nerf.field.position_frequencies": 3,
    "nerf.sampling.coarse": 8,
    "nerf.sampling.fine": 8,
    "runtime.cpu_chunk": 8192,
    "runtime.checkpoint_seconds": 0,
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> RayBank:
    """The ball over black, by cameras in a square before it that all look the same way, brought here as LLFF."""
    folder = tmp_path_factory.mktemp("forward")
    camera = Camera.centred(16, 12, 19.2)
    poses = np.eye(3, 4, dtype=np.float32)[None].repeat(VIEWS, axis=0)
    poses[:, :, 3] = [0, 0, DISTANCE]
    poses[:, :2, 3] = np.random.default_rng(0).uniform(-0.3, 0.3, (VIEWS, 2))
    scene = Scene(
        name="ball",
        cameras=(camera,),
        camera_index=np.zeros(VIEWS, np.int64),
        poses=poses,
        splits={"train": np.arange(VIEWS), "val": np.arange(1), "test": np.arange(1)},
        bounds=np.array([[-1, -1, -1], [1, 1, 1]], np.float32),
        background="black",
        has_alpha=False,
        read_image=lambda view: ball_image(camera, poses[view], alpha=False)[0],
    )
    scene_files.write_llff(scene, folder / "data", near=DISTANCE - 0.8, far=DISTANCE + 1)
    for name in ("raw", "rays"):
        (folder / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_raw("ball", Entry.model_validate({"path": "data"}), folder / "raw")
        return build(load_scene(folder / "raw"), folder / "rays", 0.0, 0.05)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Batches this small only wait for one another on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("method", ["tiny", "nerf"])
def test_fields_learn_forward_scenes(
    method: str, bank: RayBank, tmp_path: Path, with_params: Callable[..., Params]
) -> None:
    assert bank.space.kind == "forward"
    # Long enough to learn that what is behind the ball is black: in such a scene every ray ends at something.
    keys = {"steps": 240, "batch_rays": 128, "validate_every": 240, "lr": 5e-3, "lr_final": 1e-3}
    params = with_params(method=method, **SETTINGS, **{f"{method}.train.{key}": value for key, value in keys.items()})
    checkpoint = Checkpoint(tmp_path / "run", tmp_path / "workspace")
    model = build_model(params.recipe, params.seed, bank.space)
    trainer = Trainer(model, bank, params, torch.device("cpu"), checkpoint)
    trainer.run(report=lambda row: None)
    truth = bank.view(int(bank.splits["test"][0])).target[:, :3]
    plain = psnr(np.zeros((len(truth), 3), np.uint8), (truth * 255).round().to(torch.uint8).numpy())
    assert trainer.history[-1].val_psnr > plain + 6
