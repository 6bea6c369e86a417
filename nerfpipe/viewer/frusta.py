"""The scene's cameras, drawn in the page as frusta that can be clicked on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import viser
from torch import Tensor
from viser import transforms

from nerfpipe.viewer.cameras import SAME_POSITION, SceneCamera
from nerfpipe.viewer.request_queue import PageId
from nerfpipe.viewer.settings import FLIP, vertical_fov

COLOURS = {"train": (60, 110, 200), "val": (60, 160, 110), "test": (225, 120, 30)}
LINE_WIDTH = 1.5  # pixels

GoTo = Callable[[viser.ClientHandle, SceneCamera], None]


class Frusta:
    """Draws all cameras except those that a page stands in, which would cover its whole view.

    Any thread may call it.
    """

    def __init__(self, scene: viser.SceneApi, cameras: list[SceneCamera], size: float, go_to: GoTo) -> None:
        """size: of a frustum, in scene units; go_to: called with the page and the camera of a click."""
        self._lock = threading.Lock()
        self._stood_in: dict[PageId, int] = {}  # index of the camera that a page stands in
        self._positions = np.array([camera.pose[:, 3].double().numpy() for camera in cameras])  # [N, 3]
        self._group = scene.add_frame("/cameras", show_axes=False, visible=False)
        self._handles = [self._add(scene, index, camera, size) for index, camera in enumerate(cameras)]
        for handle, camera in zip(self._handles, cameras, strict=True):
            handle.on_click(partial(_clicked, go_to, camera))

    def _add(
        self, scene: viser.SceneApi, index: int, scene_camera: SceneCamera, size: float
    ) -> viser.CameraFrustumHandle:
        camera = scene_camera.camera
        return scene.add_camera_frustum(
            f"/cameras/{index}",
            fov=vertical_fov(camera),
            aspect=camera.width / camera.fx / (camera.height / camera.fy),
            scale=size,
            thickness=LINE_WIDTH,
            thickness_units="screen",
            color=COLOURS[scene_camera.split],
            variant="filled",  # so that a click between the lines counts too
            wxyz=quaternion(scene_camera.pose.double().numpy()),
            position=self._positions[index],
            cast_shadow=False,
            receive_shadow=False,
        )

    @property
    def shown(self) -> bool:
        return self._group.visible

    def show(self, visible: bool) -> None:
        self._group.visible = visible

    def move_page(self, page: PageId, position: np.ndarray | None) -> None:
        """Tell the position [3] of a page's camera in scene units; None when the page is closed."""
        with self._lock:
            before = self._stood_in.pop(page, None)
            inside = None if position is None else self._camera_at(position)
            if inside is not None:
                self._stood_in[page] = inside
            if inside != before:
                for index in (before, inside):
                    if index is not None:
                        self._handles[index].visible = index not in self._stood_in.values()

    def _camera_at(self, position: np.ndarray) -> int | None:
        """Index of the camera at a position [3]."""
        if not self._handles:
            return None
        distances = np.linalg.norm(self._positions - position, axis=1)
        return int(distances.argmin()) if distances.min() < SAME_POSITION else None

    def forget(self) -> None:
        """Ignore pages from now on: the frusta are removed from the scene."""
        with self._lock:
            self._handles, self._stood_in = [], {}


def _clicked(go_to: GoTo, camera: SceneCamera, event: viser.SceneNodePointerEvent[Any]) -> None:
    go_to(event.client, camera)


def quaternion(pose: np.ndarray | Tensor) -> np.ndarray:
    """wxyz [4] in OpenCV's axes of a pose [3, 4] in OpenGL's."""
    return transforms.SO3.from_matrix(np.asarray(pose)[:, :3] * FLIP).wxyz
