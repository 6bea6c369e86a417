"""The controls beside the picture. All pages share them; every page has a camera of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import viser

from nerfpipe.config.params import RenderParams
from nerfpipe.geometry.cameras import DEFAULT_LONGER_SIDE
from nerfpipe.viewer.cameras import SceneCamera
from nerfpipe.viewer.settings import MODES, Corners, Settings

RESOLUTIONS = (100, 1600, 50)  # least, most, step, in pixels of the longer side
SAMPLES = (0.25, 2.0, 0.25)  # least, most, step, as a multiple of the model's own number
PHOTOGRAPH = (0.0, 1.0, 0.05, 0.0)  # least, most, step, start, as the photograph's weight
CROP_STEPS = 200  # from one end of a slider to the other
NONE = "-"  # no camera or key frame is chosen
AXES = "xyz"


class Actions(Protocol):
    """Actions of the controls. `client` is the page on which a control was used."""

    def change(self, **values: Any) -> None: ...
    def show_cameras(self, visible: bool) -> None: ...
    def go_to_camera(self, client: viser.ClientHandle, camera: SceneCamera) -> None: ...
    def go_home(self, client: viser.ClientHandle) -> None: ...
    def save_still(self, client: viser.ClientHandle) -> None: ...
    def add_key_frame(self, client: viser.ClientHandle) -> None: ...
    def go_to_key_frame(self, client: viser.ClientHandle, index: int) -> None: ...
    def delete_key_frame(self, index: int) -> None: ...
    def clear_key_frames(self) -> None: ...
    def loop_key_frames(self, loop: bool) -> None: ...
    def save_key_frames(self, client: viser.ClientHandle) -> None: ...
    def load_key_frames(self, client: viser.ClientHandle, name: str, content: bytes) -> None: ...
    def film(self, client: viser.ClientHandle, frames: int, fps: float, size: int) -> None: ...
    def cancel_film(self) -> None: ...


@dataclass
class Panel:
    """Builds the controls, and shows status and progress in them."""

    gui: viser.GuiApi
    actions: Actions
    settings: Settings
    defaults: RenderParams
    cameras: list[SceneCamera]
    crop_range: Corners | None
    crop_start: Corners
    handles: dict[str, Any] = field(default_factory=dict)

    def build(self) -> None:
        self.handles["status"] = self.gui.add_markdown("")
        self.handles["progress"] = self.gui.add_progress_bar(0.0, visible=False)
        self.handles["progress note"] = self.gui.add_markdown("", visible=False)
        self._add_picture()
        if self.crop_range is not None:
            self._add_crop(self.crop_range)
        self._add_cameras()
        self._add_key_frames()

    def _add_picture(self) -> None:
        gui, actions, settings = self.gui, self.actions, self.settings
        mode = gui.add_dropdown("Show", MODES, initial_value=settings.mode)
        mode.on_update(lambda _: actions.change(mode=mode.value))
        size = gui.add_slider("Resolution", *RESOLUTIONS, settings.resolution, hint="pixels of the longer side at rest")
        size.on_update(lambda _: actions.change(resolution=int(size.value)))
        samples = gui.add_slider(
            "Samples", *SAMPLES, settings.samples, hint="along a ray, times the model's own number"
        )
        samples.on_update(lambda _: actions.change(samples=float(samples.value)))
        buttons = gui.add_button_group("", ("Save still", "Home"))

        @buttons.on_click
        def _(event: viser.GuiEvent) -> None:
            {"Save still": actions.save_still, "Home": actions.go_home}[buttons.value](_client(event))

    def _add_crop(self, corners: Corners) -> None:
        gui, (lower, upper), start = self.gui, corners, self.crop_start
        with gui.add_folder("Crop box", expand_by_default=False):
            active = gui.add_checkbox("Crop", False, hint="hide what lies outside; scene units")
            sliders = [
                gui.add_multi_slider(
                    name, low, high, (high - low) / CROP_STEPS, (start[0][axis], start[1][axis]), min_range=0.0
                )
                for axis, (name, low, high) in enumerate(zip(AXES, lower, upper, strict=True))
            ]

        def update(_: viser.GuiEvent) -> None:
            box = tuple(tuple(float(slider.value[end]) for slider in sliders) for end in (0, 1))
            self.actions.change(crop=box if active.value else None)

        active.on_update(update)
        for slider in sliders:
            slider.on_update(update)

    def _add_cameras(self) -> None:
        gui, actions, cameras = self.gui, self.actions, self.cameras
        with gui.add_folder("Cameras"):
            visible = gui.add_checkbox("Show cameras", False, hint="train blue, val green, test orange; click one")
            visible.on_update(lambda _: actions.show_cameras(visible.value))
            chosen = gui.add_dropdown("Stand in", (NONE, *(camera.name for camera in cameras)))
            step = gui.add_button_group("", ("Previous", "Next"))
            photographed = any(camera.photograph is not None for camera in cameras)
            hint = "laid over the picture, where one stands in"
            weight = gui.add_slider("Photograph", *PHOTOGRAPH, visible=photographed, hint=hint)
        names = [camera.name for camera in cameras]

        @chosen.on_update
        def _(event: viser.GuiEvent) -> None:
            if chosen.value != NONE and event.client is not None:  # None: the viewer itself has set the value
                actions.go_to_camera(event.client, cameras[names.index(chosen.value)])

        @step.on_click
        def _(event: viser.GuiEvent) -> None:
            index = names.index(chosen.value) if chosen.value != NONE else {"Next": -1, "Previous": 0}[step.value]
            index = (index + {"Next": 1, "Previous": -1}[step.value]) % len(cameras)
            actions.go_to_camera(_client(event), cameras[index])

        weight.on_update(lambda _: actions.change(photograph=float(weight.value)))
        self.handles["camera"] = chosen

    def _add_key_frames(self) -> None:
        gui, actions, defaults = self.gui, self.actions, self.defaults
        with gui.add_folder("Key frames", expand_by_default=False):
            edit = gui.add_button_group("Camera", ("Add", "Go to", "Delete", "Clear"))
            chosen = gui.add_dropdown("Key frame", (NONE,))
            loop = gui.add_checkbox("Loop", False, hint="the last joins the first")
            save = gui.add_button("Save as JSON")
            load = gui.add_upload_button("Load JSON", mime_type="application/json")
        with gui.add_folder("Film through them", expand_by_default=False):
            frames = gui.add_number("Frames", defaults.frames, min=2, max=10_000, step=1)
            fps = gui.add_number("Per second", defaults.fps, min=1, max=60)
            pixels = defaults.size or DEFAULT_LONGER_SIDE
            size = gui.add_number("Pixels", pixels, min=16, max=4096, step=1, hint="of the longer side")
            buttons = gui.add_button_group("", ("Render", "Cancel"))

        def index() -> int:
            """Of the chosen key frame; -1 if none is chosen."""
            return list(chosen.options).index(chosen.value) - 1

        @edit.on_click
        def _(event: viser.GuiEvent) -> None:
            match edit.value:
                case "Add":
                    actions.add_key_frame(_client(event))
                case "Clear":
                    actions.clear_key_frames()
                case "Go to" if index() >= 0:
                    actions.go_to_key_frame(_client(event), index())
                case "Delete" if index() >= 0:
                    actions.delete_key_frame(index())

        @buttons.on_click
        def _(event: viser.GuiEvent) -> None:
            if buttons.value == "Render":
                actions.film(_client(event), int(frames.value), float(fps.value), int(size.value))
            else:
                actions.cancel_film()

        loop.on_update(lambda _: actions.loop_key_frames(loop.value))
        save.on_click(lambda event: actions.save_key_frames(_client(event)))
        load.on_upload(lambda event: actions.load_key_frames(_client(event), load.value.name, load.value.content))
        self.handles |= {"key frame": chosen, "loop": loop}

    def tell(self, status: str) -> None:
        """Show a status above the controls."""
        if self.handles["status"].content != status:
            self.handles["status"].content = status

    def choose(self, camera: SceneCamera) -> None:
        """Show the name of the camera that a page stands in."""
        self.handles["camera"].value = camera.name

    def list_key_frames(self, names: list[str], loop: bool) -> None:
        """Show the names of the key frames, and choose the last."""
        chosen = self.handles["key frame"]
        chosen.options = (NONE, *names)
        chosen.value = names[-1] if names else NONE
        self.handles["loop"].value = loop

    def show_progress(self, done: int, total: int, left: float) -> None:
        """Show how many frames of a film are finished, and the seconds left; total 0: hide the progress."""
        bar, note = self.handles["progress"], self.handles["progress note"]
        bar.visible = note.visible = total > 0
        if total:
            bar.value = 100 * done / total
            note.content = f"{done} of {total} frames, {left:.0f} s left" if done < total else f"writing {total} frames"


def _client(event: viser.GuiEvent[Any]) -> viser.ClientHandle:
    """The page on which a control was used. Buttons are used on pages alone, so there is one."""
    assert event.client is not None
    return event.client
