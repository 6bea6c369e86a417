"""The page: viser's server, its clients' cameras, and what stands in the scene besides the field."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import viser
from viser import transforms

from nerfpipe.camera_paths.shapes import FOCUS, UP, camera_path
from nerfpipe.models.model_file import ModelAbout
from nerfpipe.runtime.errors import describe_os_error
from nerfpipe.viewer.admission import guarded
from nerfpipe.viewer.cameras import Station
from nerfpipe.viewer.drawing import can_crop
from nerfpipe.viewer.frusta import Frusta, quaternion
from nerfpipe.viewer.messages import Gate
from nerfpipe.viewer.render_thread import Shown
from nerfpipe.viewer.settings import Corners, View, vertical_fov

FRUSTUM = 0.035  # of the cameras' mean distance from what they look at: how large they are drawn
INNER: Corners = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))  # of an unbounded scene, see contraction
JPEG = 92  # quality of the pictures sent
SMALL = 3 * 2**16  # bytes of a picture up to which PNG costs little


class Server(viser.ViserServer):
    """viser's, quiet, and without its way out into the internet."""

    def __init__(self, host: str, port: int, token: str | None = None) -> None:
        gate = Gate(lambda: self.gui._gui_input_handle_from_uuid)
        with contextlib.redirect_stdout(io.StringIO()), guarded(host, gate, token):
            super().__init__(host=host, port=port, verbose=False)

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Nothing: a page could else ask for a tunnel that makes it public."""
        return None

    def notify(self, client: viser.ClientHandle, told: str | Exception, seconds: float | None = None) -> None:
        """Show a text or what an error says in the corner of a page, if it is still open; for good or for so long."""
        if client.client_id in self.get_clients():
            text = describe_os_error(told) if isinstance(told, OSError) else str(told)
            client.add_notification("nerfpipe", text, auto_close_seconds=seconds)

    def notify_all(self, told: str | Exception, seconds: float | None = None) -> None:
        for client in self.get_clients().values():
            self.notify(client, told, seconds)

    def saved(self, client: viser.ClientHandle, file: Path) -> None:
        """A file is written here: say so, and have the browser save it too."""
        if client.client_id in self.get_clients():
            client.send_file_download(file.name, file.read_bytes(), save_immediately=True)
            self.notify(client, f"saved {file}", seconds=5)

    def stop(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            super().stop()


class Stage:
    """What stands in the scene besides the field - cameras, the crop box - and where a page's camera begins."""

    def __init__(self, server: Server, about: ModelAbout) -> None:
        self.server, self.about = server, about
        forward = about.space.kind == "forward"
        poses, centre = np.array(about.poses), np.array(about.centre)
        self.distance = max(1e-3, float(np.linalg.norm(poses[:, :, 3] - centre, axis=1).mean()))
        self.up = np.array([0.0, 1.0, 0.0] if forward else UP)
        self.home = self._home(poses, centre, forward)
        self.target = np.array([0.0, 0.0, -FOCUS]) if forward else centre
        server.scene.set_up_direction(tuple(self.up))
        server.scene.world_axes.visible = False
        begin = server.initial_camera
        begin.position, begin.look_at, begin.up = self.home, self.target, self.up
        begin.fov = vertical_fov(about.camera)

    def _home(self, poses: np.ndarray, centre: np.ndarray, forward: bool) -> np.ndarray:
        """The train camera's place that is nearest to where the turn of `nerfpipe render` begins.

        The turn itself may lead where no camera was, and there the field of photographs is fog.
        """
        from torch import tensor

        taken = tensor(poses).float()
        path = camera_path("auto", taken, tensor(centre).float(), forward, 1.0, None, frames=1)
        away = np.linalg.norm(poses[:, :, 3] - path[0, :, 3].double().numpy(), axis=1)
        return poses[int(away.argmin()), :, 3]

    def place(self, stations: list[Station], stand: Callable[[viser.ClientHandle, Station], None]) -> None:
        """Draw the cameras; a click on one calls `stand`."""
        self.frusta = Frusta(self.server.scene, stations, FRUSTUM * self.distance, stand)

    def show_box(self, crop: Corners | None) -> None:
        """Draw the crop box, or take it away."""
        if crop is None:
            self.server.scene.remove_by_name("/crop")
            return
        lower, upper = np.array(crop)
        self.server.scene.add_box(
            "/crop",
            color=(120, 120, 120),
            dimensions=upper - lower,
            position=(lower + upper) / 2,
            wireframe=True,
            cast_shadow=False,
            receive_shadow=False,
        )

    def look_from(self, client: viser.ClientHandle, pose: np.ndarray, focus: float | None, fov: float | None) -> None:
        """Move a page's camera to a pose [3, 4] that looks at something `focus` away; None: as all cameras do."""
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
        """Move a page's camera to where it began."""
        with client.atomic():
            client.camera.fov = vertical_fov(self.about.camera)
            client.camera.up_direction = self.up
            client.camera.position = self.home
            client.camera.look_at = self.target

    @property
    def crop_range(self) -> Corners | None:
        """Between which corners a crop box can be set, in scene units; None where none can."""
        if not can_crop(self.about):
            return None
        return self.about.space.bounds

    @property
    def crop_start(self) -> Corners:
        """The crop box at first: the bounds, or in an unbounded scene what the pictures are of."""
        return INNER if self.about.space.unbounded else self.about.space.bounds


def view_of(client: viser.ClientHandle) -> View:
    """What a page's camera sees."""
    camera = client.camera
    rotation = transforms.SO3(camera.wxyz).as_matrix()
    return View.of(rotation, np.array(camera.position), camera.fov, camera.image_width, camera.image_height)


def focus_of(client: viser.ClientHandle) -> float:
    """How far from a page's camera is what it turns about."""
    return float(np.linalg.norm(client.camera.look_at - client.camera.position))


def send(client: viser.ClientHandle, shown: Shown) -> None:
    """Show a picture behind everything, or before what its depth hides."""
    small = shown.picture.size <= SMALL
    form = "png" if shown.moving and small else "jpeg"  # enlarged, JPEG's coloured fringes would be seen
    client.scene.set_background_image(shown.picture, format=form, jpeg_quality=JPEG, depth=shown.depth)
