"""The `nerfpipe` command: everything beside DVC's own commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nerfpipe.cli.output_folder import check_render_folder
from nerfpipe.cli.program import Commands, Program
from nerfpipe.cli.summary import summary_lines
from nerfpipe.config.defaults import render_params
from nerfpipe.config.options import check_free, checked
from nerfpipe.config.params import PARAMS_FILE, PATH_FILE, RenderParams, load_params
from nerfpipe.export.command import app as export
from nerfpipe.project.check import data_faults, lock_faults, settings_faults
from nerfpipe.project.paths import CATALOGUE_FILE, MODEL, RAW
from nerfpipe.project.repository import repository_faults
from nerfpipe.runtime.errors import NerfpipeError, one_line_errors
from nerfpipe.runtime.files import local_path
from nerfpipe.runtime.terminal import say

app = Program(cls=Commands, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(export, name="export")


@app.callback()
def about() -> None:
    """Neural radiance fields as a DVC pipeline. `dvc repro` runs it; these commands complement it."""


@app.command()
def check() -> None:
    """Validate params.yaml, data/scenes.yaml, the data and the repository, and report all faults at once."""
    with one_line_errors():
        params, entries, faults = settings_faults()
        faults += repository_faults() + lock_faults()
        if params is not None:
            faults += data_faults(params.scene, entries) + path_faults(params.render.path)
        if faults or params is None:
            raise NerfpipeError(*faults)
        say(f"{PARAMS_FILE} and {CATALOGUE_FILE} are sound: scene {params.scene}, method {params.method}")


def path_faults(path: str) -> list[str]:
    """The faults of the key frames in the file that `render.path` names, one per line."""
    if not path.endswith(PATH_FILE) or not local_path(path).is_file():
        return []
    import torch  # takes seconds to import

    from nerfpipe.camera_paths.path import read_path
    from nerfpipe.geometry.similarity import IDENTITY

    try:
        read_path(path, IDENTITY, torch.zeros(3))
    except NerfpipeError as error:
        return [f"{PARAMS_FILE}: {line}" for line in error.lines]
    return []


@app.command(name="compile")
def compile_kernels() -> None:
    """Compile the CPU kernels now, so that the first training does not wait for it."""
    with one_line_errors():
        from nerfpipe.ops import dispatch  # torch takes seconds to import

        dispatch.compile_kernels()
        say("the CPU kernels are compiled")


@app.command()
def doctor(
    output: Annotated[Path, typer.Option(help="the picture of the cameras")] = Path("data/doctor.png"),
) -> None:
    """Examine machine and data: device, precision, shapes, bounds, near and far, and a picture of the cameras."""
    with one_line_errors():
        params = load_params()
        from nerfpipe.cli import doctor as examination  # torch and matplotlib take seconds to import

        for line in examination.machine_lines(params.runtime):
            say(line)
        if not RAW.exists():
            say(f"scene   {params.scene}: not here yet; `dvc repro rays` gets it")
            return
        for line in examination.examine_scene(RAW, params, output):
            say(line)


@app.command()
def photos(
    source: Annotated[Path, typer.Argument(help="a folder of pictures (JPEG, PNG, TIFF, WebP), or a video")],
    name: Annotated[str, typer.Option(help="the name of the scene")],
    masks: Annotated[Path | None, typer.Option(help="a folder of masks, one per picture; white is kept")] = None,
    matching: Annotated[
        str, typer.Option(help="exhaustive: all pairs of pictures; sequential: neighbours; or auto")
    ] = "auto",
    frames: Annotated[int, typer.Option(help="frames to take from a video")] = 100,
    size: Annotated[int, typer.Option(help="pixels of the longer side of the capture's pictures; 0 keeps it")] = 800,
    seed: Annotated[int, typer.Option(help="seed of everything random")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="replace a capture of this name")] = False,
) -> None:
    """Find the cameras of your own photographs or video, and make a scene from them in data/captures/."""
    with one_line_errors():
        from nerfpipe.photos.command import Options, make_capture  # torch takes seconds to import

        for line in make_capture(source, Options(name, masks, matching, frames, size, seed, replace)):
            say(line)


@app.command()
def render(
    model: Annotated[Path, typer.Argument(help="a field.safetensors from anywhere")],
    output: Annotated[Path, typer.Option(help="the folder for GIFs, MP4s and turntable.html")] = Path("renders"),
    frames: Annotated[int | None, typer.Option(help="how many")] = None,
    fps: Annotated[float | None, typer.Option(help="frames per second")] = None,
    path: Annotated[
        str | None, typer.Option(help="auto, orbit, swing, spiral, wobble, or NAME.json: key frames")
    ] = None,
    elevation: Annotated[float | None, typer.Option(help="degrees above the horizon")] = None,
    tilt: Annotated[float | None, typer.Option(help="degrees by which an orbit's plane is tilted")] = None,
    radius: Annotated[float | None, typer.Option(help="times the mean distance of the cameras")] = None,
    size: Annotated[int | None, typer.Option(help="pixels of the longer side")] = None,
    panels: Annotated[str | None, typer.Option(help="side by side in panels.gif, such as colour,depth,normals")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the folder of an earlier render")] = False,
) -> None:
    """Render a turn around a model, from its file alone. Other settings come from params.yaml, if there is one."""
    with one_line_errors():
        check_render_folder(output, force)
        settings, runtime = render_params()
        given: dict[str, Any] = {
            "frames": frames,
            "fps": fps,
            "path": path,
            "elevation": elevation,
            "tilt": tilt,
            "radius": radius,
            "size": size,
            "panels": None if panels is None else [name.strip() for name in panels.split(",")],
        }
        given = {name: value for name, value in given.items() if value is not None}
        settings = checked(RenderParams, **(settings.model_dump() | given))
        from nerfpipe.film.film import render_film
        from nerfpipe.models.model_file import load_model  # torch takes seconds to import
        from nerfpipe.models.set_up import give_threads, set_up
        from nerfpipe.rendering.renderer import Renderer

        device = set_up(runtime)
        field, about = load_model(model)
        give_threads(field, device)
        for line in render_film(Renderer(field, device, runtime, about.bf16), about, settings, output):
            say(line)


@app.command()
def view(
    model: Annotated[Path, typer.Argument(help="a field.safetensors")] = MODEL,
    port: Annotated[int, typer.Option(help="the next free one is taken if it is in use", min=1, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="the address to serve on; any other lets other machines in")] = (
        "127.0.0.1"
    ),
    data: Annotated[
        Path | None, typer.Option(help="the folder that holds rays/; by default the parent of the model's")
    ] = None,
    output: Annotated[Path, typer.Option(help="the folder for images, key frames and films")] = Path("viewer"),
    follow: Annotated[bool, typer.Option("--follow", help="show a running training, checkpoint by checkpoint")] = False,
    open_: Annotated[bool, typer.Option("--open", help="open the page in the browser")] = False,
    token: Annotated[
        bool,
        typer.Option("--token", help="require the token of the printed address; always so for other machines"),
    ] = False,
) -> None:
    """Walk through a trained field in the browser. A retrained model is shown at once."""
    with one_line_errors():
        from nerfpipe.viewer.command import Options, view  # torch takes seconds to import

        view(Options(model, host, port, data, output, follow, open_, token))


@app.command()
def report(
    runs: Annotated[
        list[str] | None, typer.Argument(help="git revisions, experiments, or workspace, the default")
    ] = None,
    output: Annotated[Path, typer.Option(help="the page")] = Path("report.html"),
    force: Annotated[bool, typer.Option("--force", help="replace an existing file")] = False,
) -> None:
    """Make one self-contained HTML page of one or more runs: tables, curves and images."""
    with one_line_errors():
        check_free(output, force)
        from nerfpipe.report.command import write_report  # pandas and matplotlib take a second to import

        for line in write_report(runs or ["workspace"], output):
            say(line)


@app.command()
def summary() -> None:
    """Summarise the last run: scene, method, held-out PSNR and SSIM, seconds per stage, and the results' files."""
    with one_line_errors():
        for line in summary_lines():
            say(line)
