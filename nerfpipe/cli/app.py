"""The `nerfpipe` command: what DVC does not do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nerfpipe.cli.output_folder import check_render_folder
from nerfpipe.config.defaults import render_params
from nerfpipe.config.options import check_free, checked
from nerfpipe.config.params import PARAMS_FILE, PATH_FILE, RenderParams, load_params
from nerfpipe.export.command import app as export
from nerfpipe.project.check import data_faults, lock_faults, settings_faults
from nerfpipe.project.paths import CATALOGUE_FILE, METRICS, MODEL, ORBIT, ORBIT_DEPTH, RAW, VIEWS
from nerfpipe.project.repository import repository_faults
from nerfpipe.runtime.errors import NerfpipeError, one_line_errors
from nerfpipe.runtime.files import local_path, open_regular
from nerfpipe.runtime.stage import read_timings
from nerfpipe.runtime.terminal import plain, say, tidy_output

STAGES = ("download", "rays", "train", "evaluate", "render")


class _Commands(TyperGroup):
    """Words on a command line may be names of files, by `*`: what is said of a wrong one is made plain as well."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _plain_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _plain_usage_errors():
            return super().invoke(ctx)


@contextmanager
def _plain_usage_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "message"):  # click's, of which typer has copies
            error.message = plain(error.message)
        raise


class _Program(typer.Typer):
    """The whole command, also where typer prints its help and its own errors."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with one_line_errors(), tidy_output():
            return super().__call__(*args, **kwargs)


app = _Program(cls=_Commands, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(export, name="export")


@app.callback()
def about() -> None:
    """Neural radiance fields as a DVC pipeline. `dvc repro` runs it; these commands stand beside it."""


@app.command()
def check() -> None:
    """Validate params.yaml and data/scenes.yaml, all faults at once; see that data and a repository are there."""
    with one_line_errors():
        params, entries, faults = settings_faults()
        faults += repository_faults() + lock_faults()
        if params is not None:
            faults += data_faults(params.scene, entries) + path_faults(params.render.path)
        if faults or params is None:
            raise NerfpipeError(*faults)
        say(f"{PARAMS_FILE} and {CATALOGUE_FILE} are sound: scene {params.scene}, method {params.method}")


def path_faults(path: str) -> list[str]:
    """What is wrong with the key frames of the file that `render.path` names, in lines."""
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
    output: Annotated[Path, typer.Option(help="where the picture of the cameras goes")] = Path("data/doctor.png"),
) -> None:
    """Test processor and data: device, precision, shapes, bounds, near and far, and a picture of the cameras."""
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
    name: Annotated[str, typer.Option(help="what the scene is to be called")],
    masks: Annotated[Path | None, typer.Option(help="a folder of masks, one per picture; white is kept")] = None,
    matching: Annotated[
        str, typer.Option(help="exhaustive: every picture with every other; sequential: with its neighbours; or auto")
    ] = "auto",
    frames: Annotated[int, typer.Option(help="how many frames to take from a video")] = 100,
    size: Annotated[int, typer.Option(help="longer side of the capture's pictures, in pixels; 0 keeps it")] = 800,
    seed: Annotated[int, typer.Option(help="of everything random")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="make a capture of this name anew")] = False,
) -> None:
    """Find the cameras of your own photographs or video, and make a scene of them in data/captures/."""
    with one_line_errors():
        from nerfpipe.photos.command import Options, make_capture  # torch takes seconds to import

        for line in make_capture(source, Options(name, masks, matching, frames, size, seed, replace)):
            say(line)


@app.command()
def render(
    model: Annotated[Path, typer.Argument(help="a field.safetensors, wherever it came from")],
    output: Annotated[Path, typer.Option(help="the folder for GIFs, MP4s and turntable.html")] = Path("renders"),
    frames: Annotated[int | None, typer.Option(help="how many")] = None,
    fps: Annotated[float | None, typer.Option(help="frames per second")] = None,
    path: Annotated[
        str | None, typer.Option(help="auto, orbit, swing, spiral, wobble, or NAME.json: key frames")
    ] = None,
    elevation: Annotated[float | None, typer.Option(help="degrees above the horizon")] = None,
    tilt: Annotated[float | None, typer.Option(help="degrees by which an orbit's plane leans")] = None,
    radius: Annotated[float | None, typer.Option(help="times the mean distance of the cameras")] = None,
    size: Annotated[int | None, typer.Option(help="pixels of the longer side")] = None,
    panels: Annotated[str | None, typer.Option(help="side by side in panels.gif, as colour,depth,normals")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace a folder with an earlier render")] = False,
) -> None:
    """Render a turn around a model file alone. What is not given comes from params.yaml, if one is here."""
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
    port: Annotated[int, typer.Option(help="the next free one is taken where it is in use", min=1, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="the address to serve on; others than this let other machines in")] = (
        "127.0.0.1"
    ),
    data: Annotated[
        Path | None, typer.Option(help="the folder in which rays/ has the photographs; else that above the model's")
    ] = None,
    output: Annotated[Path, typer.Option(help="the folder for stills, key frames and films")] = Path("viewer"),
    follow: Annotated[bool, typer.Option("--follow", help="show a training here, checkpoint by checkpoint")] = False,
    open_: Annotated[bool, typer.Option("--open", help="open the page in the browser")] = False,
    token: Annotated[
        bool, typer.Option("--token", help="let in only who has the address printed; always so beyond this machine")
    ] = False,
) -> None:
    """Walk about in a trained field, in a page of the browser. A model that is trained anew is shown at once."""
    with one_line_errors():
        from nerfpipe.viewer.command import Options, view  # torch takes seconds to import

        view(Options(model, host, port, data, output, follow, open_, token))


@app.command()
def report(
    runs: Annotated[
        list[str] | None, typer.Argument(help="git revisions, experiments, or workspace, which is meant without any")
    ] = None,
    output: Annotated[Path, typer.Option(help="the page")] = Path("report.html"),
    force: Annotated[bool, typer.Option("--force", help="replace a file that is there")] = False,
) -> None:
    """Make one HTML page of a run, or of several side by side: table, curves, pictures. It opens anywhere."""
    with one_line_errors():
        check_free(output, force)
        from nerfpipe.report.command import write_report  # pandas and matplotlib take a second to import

        for line in write_report(runs or ["workspace"], output):
            say(line)


@app.command()
def summary() -> None:
    """What the last run came to: scene, method, held-out PSNR and SSIM, seconds per stage, and where the GIF is."""
    with one_line_errors():
        test = read_metrics("test", ("views", "background", "psnr"))
        train = read_metrics("train", ("scene", "method", "steps"))
        device = read_metrics("speed", ("device",))["device"]
        depth = f", depth error {test['depth_error']:.3g} scene units" if "depth_error" in test else ""
        say(f"scene    {train['scene']}, {test['views']} held-out views, {test['background']} background")
        say(f"method   {train['method']}, {train['steps']:,} steps on {device}")
        say(f"result   PSNR {test['psnr']:.2f} dB, SSIM {test.get('ssim', float('nan')):.3f}{depth}")
        timings = read_timings()
        seconds = ", ".join(f"{name} {timings[name]:.0f}" for name in STAGES if name in timings)
        say(f"seconds  {seconds or 'unknown'} (when each stage last ran here)")
        say(f"look at  {ORBIT}, {ORBIT_DEPTH}, {VIEWS}/")


def read_metrics(name: str, needed: tuple[str, ...]) -> dict[str, Any]:
    """metrics/NAME.json without its outer key, when it has all the keys needed."""
    file = METRICS / f"{name}.json"
    try:
        with open_regular(file) as stream:
            metrics = json.load(stream)[name]
        if not set(needed) <= metrics.keys():
            raise KeyError(needed)
        return metrics
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro` first") from None
    except (ValueError, KeyError, TypeError):
        raise NerfpipeError(f"{file}: damaged; run `dvc repro` again") from None
