"""The controls beside the picture. All pages share them; only the camera is each page's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import viser

from nerfpipe.config.params import RenderParams
from nerfpipe.viewer.cameras import Station
from nerfpipe.viewer.settings import MODES, Corners, Settings

RESOLUTIONS = (100, 1600, 50)  # least, most, step, in pixels of the longer side
SAMPLES = (0.25, 2.0, 0.25)  # times the model's own
CROP_STEPS = 200  # from one end of a slider to the other
NOWHERE = "-"  # no camera or key frame is chosen
AXES = "xyz"


class Actions(Protocol):
    """What the controls set going. `client` is the page on which it was clicked."""

    def change(self, **values: Any) -> None: ...
    def show_cameras(self, visible: bool) -> None: ...
    def stand(self, client: viser.ClientHandle, station: Station) -> None: ...
    def go_home(self, client: viser.ClientHandle) -> None: ...
    def save_still(self, client: viser.ClientHandle) -> None: ...
    def add_key_frame(self, client: viser.ClientHandle) -> None: ...
    def go_to_key_frame(self, client: viser.ClientHandle, place: int) -> None: ...
    def delete_key_frame(self, place: int) -> None: ...
    def clear_key_frames(self) -> None: ...
    def loop_key_frames(self, loop: bool) -> None: ...
    def save_key_frames(self, client: viser.ClientHandle) -> None: ...
    def load_key_frames(self, client: viser.ClientHandle, name: str, content: bytes) -> None: ...
    def film(self, client: viser.ClientHandle, frames: int, fps: float, size: int) -> None: ...
    def cancel_film(self) -> None: ...


@dataclass
class Panel:
    """Builds the controls, and shows what the viewer says in them."""

    gui: viser.GuiApi
    actions: Actions
    settings: Settings
    defaults: RenderParams
    stations: list[Station]
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
            {"Save still": actions.save_still, "Home": actions.go_home}[buttons.value](event.client)

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

        for control in (active, *sliders):
            control.on_update(update)

    def _add_cameras(self) -> None:
        gui, actions, stations = self.gui, self.actions, self.stations
        with gui.add_folder("Cameras"):
            visible = gui.add_checkbox("Show cameras", False, hint="train blue, val green, test orange; click one")
            visible.on_update(lambda _: actions.show_cameras(visible.value))
            chosen = gui.add_dropdown("Stand in", (NOWHERE, *(station.name for station in stations)))
            step = gui.add_button_group("", ("Previous", "Next"))
            photographed = any(station.photograph is not None for station in stations)
            share = gui.add_slider(
                "Photograph",
                0.0,
                1.0,
                0.05,
                0.0,
                visible=photographed,
                hint="laid over the picture, where one stands in",
            )
        names = [station.name for station in stations]

        @chosen.on_update
        def _(event: viser.GuiEvent) -> None:
            if chosen.value != NOWHERE and event.client is not None:
                actions.stand(event.client, stations[names.index(chosen.value)])

        @step.on_click
        def _(event: viser.GuiEvent) -> None:
            at = names.index(chosen.value) if chosen.value != NOWHERE else {"Next": -1, "Previous": 0}[step.value]
            at = (at + {"Next": 1, "Previous": -1}[step.value]) % len(stations)
            actions.stand(event.client, stations[at])

        share.on_update(lambda _: actions.change(photograph=float(share.value)))
        self.handles["station"] = chosen

    def _add_key_frames(self) -> None:
        gui, actions, defaults = self.gui, self.actions, self.defaults
        with gui.add_folder("Key frames", expand_by_default=False):
            edit = gui.add_button_group("Camera", ("Add", "Go to", "Delete", "Clear"))
            chosen = gui.add_dropdown("Key frame", (NOWHERE,))
            loop = gui.add_checkbox("Loop", False, hint="the last joins the first")
            save = gui.add_button("Save as JSON")
            load = gui.add_upload_button("Load JSON", mime_type="application/json")
        with gui.add_folder("Film through them", expand_by_default=False):
            frames = gui.add_number("Frames", defaults.frames, min=2, max=10_000, step=1)
            fps = gui.add_number("Per second", defaults.fps, min=1, max=60)
            size = gui.add_number("Pixels", defaults.size or 480, min=16, max=4096, step=1, hint="of the longer side")
            buttons = gui.add_button_group("", ("Render", "Cancel"))

        def place() -> int:
            return list(chosen.options).index(chosen.value) - 1

        @edit.on_click
        def _(event: viser.GuiEvent) -> None:
            match edit.value:
                case "Add":
                    actions.add_key_frame(event.client)
                case "Clear":
                    actions.clear_key_frames()
                case "Go to" if place() >= 0:
                    actions.go_to_key_frame(event.client, place())
                case "Delete" if place() >= 0:
                    actions.delete_key_frame(place())

        @buttons.on_click
        def _(event: viser.GuiEvent) -> None:
            if buttons.value == "Render":
                actions.film(event.client, int(frames.value), float(fps.value), int(size.value))
            else:
                actions.cancel_film()

        loop.on_update(lambda _: actions.loop_key_frames(loop.value))
        save.on_click(lambda event: actions.save_key_frames(event.client))
        load.on_upload(lambda event: actions.load_key_frames(event.client, load.value.name, load.value.content))
        self.handles |= {"key frame": chosen, "loop": loop}

    def tell(self, status: str) -> None:
        """Show a text above the controls."""
        if self.handles["status"].content != status:
            self.handles["status"].content = status

    def choose(self, station: Station) -> None:
        """Show which camera was stepped into."""
        self.handles["station"].value = station.name

    def list_key_frames(self, names: list[str], loop: bool) -> None:
        """Show the key frames; the last is chosen."""
        chosen = self.handles["key frame"]
        chosen.options = (NOWHERE, *names)
        chosen.value = names[-1] if names else NOWHERE
        self.handles["loop"].value = loop

    def show_progress(self, done: int, total: int, left: float) -> None:
        """How far a film is; total 0: there is none."""
        bar, note = self.handles["progress"], self.handles["progress note"]
        bar.visible = note.visible = total > 0
        if total:
            bar.value = 100 * done / total
            note.content = f"{done} of {total} frames, {left:.0f} s left" if done < total else f"writing {total} frames"
