"""Stage 5: a turn around the scene. data/model -> data/renders: GIFs, orbit.mp4, turntable.html."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.config.memory import check_memory
from nerfpipe.config.params import PATH_FILE, load_params
from nerfpipe.film.film import render_film
from nerfpipe.models.model_file import load_model
from nerfpipe.models.set_up import give_threads, set_up
from nerfpipe.project.paths import KEY_FRAMES, MODEL, RENDERS
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.runtime.stage import stage
from nerfpipe.runtime.terminal import say


def main() -> None:
    params = load_params()
    check_memory(params)
    if params.render.path.endswith(PATH_FILE) and not in_sight(Path(params.render.path)):
        say(f"notice: {params.render.path} lies outside {KEY_FRAMES}: when it changes, `dvc repro -f render`")
    device = set_up(params.runtime)
    model, header = load_model(MODEL)
    give_threads(model, device)
    renderer = Renderer(model, device, params.runtime, header.bf16)
    for line in render_film(renderer, header, params.render, RENDERS):
        say(line)


def in_sight(path: Path) -> bool:
    """Whether DVC sees a change of the file: only data/paths is a dependency of the stage."""
    return path.resolve().is_relative_to(KEY_FRAMES.resolve())


if __name__ == "__main__":
    with stage("render"):
        main()
