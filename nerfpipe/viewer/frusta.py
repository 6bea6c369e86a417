"""The cameras that a scene was taken with, as they stand in the page to be clicked on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import numpy as np
import viser
from torch import Tensor
from viser import transforms

from nerfpipe.viewer.cameras import SAME_PLACE, Station
from nerfpipe.viewer.settings import FLIP, vertical_fov

COLOURS = {"train": (60, 110, 200), "val": (60, 160, 110), "test": (225, 120, 30)}
THIN = 1.5  # pixels of the lines


class Frusta:
    """Draws the cameras, all but those that a page stands in: they would lie over all it sees. For any thread."""

    def __init__(
        self,
        scene: viser.SceneApi,
        stations: list[Station],
        size: float,
        stand: Callable[[viser.ClientHandle, Station], None],
    ) -> None:
        """size: scene units; stand: called when one is clicked on."""
        self._lock = threading.Lock()
        self._stood_in: dict[Hashable, int] = {}  # by page, which camera
        self._places = np.array([station.pose[:, 3].double().numpy() for station in stations])
        self._group = scene.add_frame("/cameras", show_axes=False, visible=False)
        self._handles = [self._add(scene, number, station, size) for number, station in enumerate(stations)]
        for handle, station in zip(self._handles, stations, strict=True):
            handle.on_click(lambda event, station=station: stand(event.client, station))

    def _add(self, scene: viser.SceneApi, number: int, station: Station, size: float) -> viser.CameraFrustumHandle:
        camera = station.camera
        return scene.add_camera_frustum(
            f"/cameras/{number}",
            fov=vertical_fov(camera),
            aspect=camera.width / camera.fx / (camera.height / camera.fy),
            scale=size,
            thickness=THIN,
            thickness_units="screen",
            color=COLOURS[station.split],
            variant="filled",  # a click between the lines counts too
            wxyz=quaternion(station.pose.double().numpy()),
            position=self._places[number],
            cast_shadow=False,
            receive_shadow=False,
        )

    @property
    def shown(self) -> bool:
        return self._group.visible

    def show(self, visible: bool) -> None:
        self._group.visible = visible

    def page_at(self, page: Hashable, position: np.ndarray | None) -> None:
        """A page's camera is at a position [3] now; None: the page is closed."""
        with self._lock:
            before = self._stood_in.pop(page, None)
            inside = None if position is None else self._nearest(position)
            if inside is not None:
                self._stood_in[page] = inside
            if inside != before:
                for number in {before, inside} - {None}:
                    self._handles[number].visible = number not in self._stood_in.values()

    def _nearest(self, position: np.ndarray) -> int | None:
        """The camera that one stands in there."""
        if not self._handles:
            return None
        away = np.linalg.norm(self._places - position, axis=1)
        return int(away.argmin()) if away.min() < SAME_PLACE else None

    def forget(self) -> None:
        """They are taken from the scene: what pages still say of their cameras is for others."""
        with self._lock:
            self._handles, self._stood_in = [], {}


def quaternion(pose: np.ndarray | Tensor) -> np.ndarray:
    """wxyz [4] in OpenCV's axes of a pose [3, 4] in OpenGL's."""
    return transforms.SO3.from_matrix(np.asarray(pose)[:, :3] * FLIP).wxyz
