"""viser's server, the cameras of its pages, and the overlay on the field: cameras and crop box."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Literal

import numpy as np
import viser
from viser import transforms

from nerfpipe.camera_paths.shapes import FOCUS, FORWARD_UP, UP, path_poses
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.runtime.errors import describe_os_error
from nerfpipe.viewer.admission import guarded
from nerfpipe.viewer.cameras import SceneCamera
from nerfpipe.viewer.drawing import can_crop
from nerfpipe.viewer.frusta import Frusta, GoTo, quaternion
from nerfpipe.viewer.messages import MessageFilter
from nerfpipe.viewer.render_thread import PageFrame
from nerfpipe.viewer.settings import Corners, View, vertical_fov

FRUSTUM = 0.035  # size of a drawn camera, as a fraction of the cameras' mean distance from the centre
LEAST_DISTANCE = 1e-3  # scene units: cameras that stand in the centre still need a distance
BOX_COLOUR = (120, 120, 120)
JPEG_QUALITY = 92
SMALL = 3 * 2**16  # bytes of a raw picture up to which PNG costs little


class Server(viser.ViserServer):
    """viser's server without its console output and without its way to share a page in the internet."""

    def __init__(self, host: str, port: int, token: str | None = None) -> None:
        """Serve on an address. Pages need the token, if one is given. Raises NerfpipeError as `guarded`."""
        messages = MessageFilter(lambda: self.gui._gui_input_handle_from_uuid)
        with contextlib.redirect_stdout(io.StringIO()), guarded(host, messages, token):
            super().__init__(host=host, port=port, verbose=False)

    def request_share_url(self, verbose: bool = True) -> str | None:
        """None: otherwise a page could ask for a tunnel that makes it public."""
        return None

    def notify(self, client: viser.ClientHandle, message: str | Exception, seconds: float | None = None) -> None:
        """Show a message in the corner of a page, if it is still open. seconds: how long; None: until it is closed."""
        if client.client_id in self.get_clients():
            text = describe_os_error(message) if isinstance(message, OSError) else str(message)
            client.add_notification("nerfpipe", text, auto_close_seconds=seconds)

    def notify_all(self, message: str | Exception, seconds: float | None = None) -> None:
        """Show a message on all pages, as `notify`."""
        for client in self.get_clients().values():
            self.notify(client, message, seconds)

    def saved(self, client: viser.ClientHandle, file: Path) -> None:
        """Report a file written on this machine, and have the browser save it too."""
        if client.client_id in self.get_clients():
            client.send_file_download(file.name, file.read_bytes(), save_immediately=True)
            self.notify(client, f"saved {file}", seconds=5)

    def stop(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            super().stop()


class SceneOverlay:
    """Draws the scene's cameras and the crop box over the field, and sets the first view of a page."""

    def __init__(self, server: Server, header: ModelHeader) -> None:
        self.server, self.header = server, header
        forward = header.space.faces_forward
        poses, centre = np.array(header.poses), np.array(header.centre)
        self.distance = max(LEAST_DISTANCE, float(np.linalg.norm(poses[:, :, 3] - centre, axis=1).mean()))
        self.up = np.array(FORWARD_UP if forward else UP)
        self.home = self._home(poses, centre, forward)
        self.target = np.array([0.0, 0.0, -FOCUS]) if forward else centre
        server.scene.set_up_direction(tuple(self.up))
        server.scene.world_axes.visible = False
        begin = server.initial_camera
        begin.position, begin.look_at, begin.up = self.home, self.target, self.up
        begin.fov = vertical_fov(header.camera)

    def _home(self, poses: np.ndarray, centre: np.ndarray, forward: bool) -> np.ndarray:
        """Position [3] of the train camera nearest to the beginning of the film of `nerfpipe render`.

        The film itself may lead away from all cameras, where a field trained on photographs is fog.
        """
        from torch import tensor

        taken = tensor(poses).float()
        path = path_poses("auto", taken, tensor(centre).float(), forward, 1.0, None, frames=1)
        distances = np.linalg.norm(poses[:, :, 3] - path[0, :, 3].double().numpy(), axis=1)
        return poses[int(distances.argmin()), :, 3]

    def add_cameras(self, cameras: list[SceneCamera], go_to: GoTo) -> None:
        """Draw the cameras; a click on one calls `go_to`."""
        self.frusta = Frusta(self.server.scene, cameras, FRUSTUM * self.distance, go_to)

    def show_box(self, crop: Corners | None) -> None:
        """Draw the crop box, or remove it (None)."""
        if crop is None:
            self.server.scene.remove_by_name("/crop")
            return
        lower, upper = np.array(crop)
        self.server.scene.add_box(
            "/crop",
            color=BOX_COLOUR,
            dimensions=upper - lower,
            position=(lower + upper) / 2,
            wireframe=True,
            cast_shadow=False,
            receive_shadow=False,
        )

    def look_from(self, client: viser.ClientHandle, pose: np.ndarray, focus: float | None, fov: float | None) -> None:
        """Move a page's camera to a pose [3, 4].

        focus: distance to the point it turns about, in scene units; None: the depth of the scene's centre. fov:
        vertical, in radians; None: as it is.
        """
        eye, forward = pose[:, 3], -pose[:, 2]
        if focus is None:
            depth = float((self.target - eye) @ forward)
            focus = depth if depth > 0 else self.distance
        camera = client.camera
        with client.atomic():
            if fov is not None:
                camera.fov = fov
            camera.position = eye
            camera.look_at = eye + focus * forward
            camera.wxyz = quaternion(pose)

    def go_home(self, client: viser.ClientHandle) -> None:
        """Move a page's camera to the first view."""
        with client.atomic():
            client.camera.fov = vertical_fov(self.header.camera)
            client.camera.up_direction = self.up
            client.camera.position = self.home
            client.camera.look_at = self.target

    @property
    def crop_range(self) -> Corners | None:
        """Limits of the crop box in scene units; None if the scene cannot be cropped."""
        return self.header.space.bounds if can_crop(self.header) else None

    @property
    def crop_start(self) -> Corners:
        """The first crop box: the bounds, or the inner part of an unbounded scene."""
        return self.header.space.inner


def view_of(client: viser.ClientHandle) -> View:
    """The view of a page's camera."""
    camera = client.camera
    rotation = transforms.SO3(camera.wxyz).as_matrix()
    return View.of(rotation, np.array(camera.position), camera.fov, camera.image_width, camera.image_height)


def focus_of(client: viser.ClientHandle) -> float:
    """Distance from a page's camera to the point it turns about, in scene units."""
    return float(np.linalg.norm(client.camera.look_at - client.camera.position))


def send(client: viser.ClientHandle, frame: PageFrame) -> None:
    """Show a picture in a page, behind the overlays or, with depth, between them."""
    small = frame.picture.size <= SMALL
    # A small moving picture is enlarged, which would make the coloured fringes of JPEG visible.
    file_format: Literal["png", "jpeg"] = "png" if frame.moving and small else "jpeg"
    client.scene.set_background_image(frame.picture, format=file_format, jpeg_quality=JPEG_QUALITY, depth=frame.depth)
