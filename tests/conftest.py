"""What many tests share: a small scene whose truth is known exactly, its ray bank, and the project's own params."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shape_checks  # noqa: F401, before nerfpipe, whose calls it checks
import torch
from hypothesis import settings
from sharing import Published, publish

from nerfpipe.camera_paths.shapes import orbit
from nerfpipe.config.params import Params
from nerfpipe.config.yaml_file import read_yaml
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.rays import rays_to_world
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.raybank.bank import RayBank
from nerfpipe.raybank.writer import build
from nerfpipe.scenes.scene import Scene
from nerfpipe.training.header import describe_model

PARAMS = Path(__file__).parents[1] / "params.yaml"
BALL_RADIUS = 0.7
ORBIT_RADIUS = 3.0

# The same examples in every run: a failure is a change of the code, never of luck.
settings.register_profile("nerfpipe", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("nerfpipe")


def ball_image(camera: Camera, pose: np.ndarray, alpha: bool) -> tuple[np.ndarray, np.ndarray]:
    """Picture [H, W, 4] uint8 and depth [H, W] of a ball at the origin, its colour (normal + 1) / 2."""
    in_camera = camera.directions(camera.pixel_centres())
    origins, directions = (x.numpy() for x in rays_to_world(torch.tensor(pose).expand(len(in_camera), 3, 4), in_camera))
    b = (origins * directions).sum(axis=1)  # |o + t d|² = r²  <=>  t² + 2 b t + |o|² - r² = 0
    discriminant = b**2 - (origins**2).sum(axis=1) + BALL_RADIUS**2
    seen = discriminant > 0
    t = -b - np.sqrt(np.where(seen, discriminant, 0))
    normal = (origins + t[:, None] * directions) / BALL_RADIUS
    rgba = np.where(seen[:, None], np.concatenate([(normal + 1) / 2, np.ones((len(t), 1))], axis=1), 0)
    if not alpha:
        rgba[:, 3] = 1  # over black
    depth = np.where(seen, t, np.inf).astype(np.float32)
    shape = (camera.height, camera.width)
    return np.round(np.clip(rgba, 0, 1) * 255).astype(np.uint8).reshape(*shape, 4), depth.reshape(shape)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A small pipeline that has run, been committed, and been pushed: made once for all tests of sharing."""
    return publish(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., Scene]:
    """A scene of the ball: `train` + 2 val + 2 test views from all round; one lens for each of `sizes` (W, H)."""

    def make(
        alpha: bool = True, train: int = 6, sizes: tuple[tuple[int, int], ...] = ((16, 12),), depth: bool = True
    ) -> Scene:
        cameras = tuple(Camera.centred(*size, focal=1.2 * size[0]) for size in sizes)
        N = train + 4
        poses = orbit(torch.zeros(3), ORBIT_RADIUS, 20.0, N).numpy()
        lens = np.arange(N) % len(cameras)
        order = np.random.default_rng(0).permutation(N)  # views of every split from all round

        def draw(view: int) -> tuple[np.ndarray, np.ndarray]:
            return ball_image(cameras[lens[view]], poses[view], alpha)

        return Scene(
            name="ball",
            cameras=cameras,
            camera_index=lens,
            poses=poses,
            splits={"train": np.sort(order[:train]), "val": order[train:-2], "test": order[-2:]},
            bounds=np.array([[-0.8, -0.8, -0.8], [0.8, 0.8, 0.8]], dtype=np.float32),
            background="white" if alpha else "black",
            has_alpha=alpha,
            read_image=lambda view: draw(view)[0],
            read_depth=(lambda view: draw(view)[1]) if depth else None,
        ).validate("ball")

    return make


@pytest.fixture
def scene(make_scene: Callable[..., Scene]) -> Scene:
    """The ball with an alpha channel, shown over white."""
    return make_scene()


@pytest.fixture
def build_bank(tmp_path: Path) -> Callable[..., RayBank]:
    """Builds the bank of a scene in a folder of its own."""

    def make(scene: Scene, margin: float = 0.0, min_near: float = 0.05) -> RayBank:
        folder = tmp_path / f"rays-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return build(scene, folder, margin, min_near)

    return make


@pytest.fixture
def bank(scene: Scene, build_bank: Callable[..., RayBank]) -> RayBank:
    return build_bank(scene)


@pytest.fixture
def with_params() -> Callable[..., Params]:
    """The project's params.yaml with some keys set: with_params(**{"tiny.train.steps": 3})."""

    def changed(**changes: Any) -> Params:
        content = read_yaml(PARAMS)
        for dotted, value in changes.items():
            *sections, key = dotted.split(".")
            section = content
            for name in sections:
                section = section[name]
            section[key] = value
        return Params.model_validate(content)

    return changed


@pytest.fixture
def header(bank: RayBank, with_params: Callable[..., Params]) -> ModelHeader:
    """What a model file of method tiny says of the small scene."""
    return describe_model(with_params(method="tiny"), bank)
