"""Stage 5: a turn around the scene. data/model -> data/renders: orbit.gif, orbit_depth.gif, orbit.mp4."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.config import load_params
from nerfpipe.modelfile import load_model
from nerfpipe.renderer import Renderer
from nerfpipe.runtime import set_up
from nerfpipe.stage import stage
from nerfpipe.turn import render_turn

MODEL, RENDERS = Path("data/model/field.safetensors"), Path("data/renders")


def main() -> None:
    params = load_params()
    device = set_up(params.runtime)
    model, about = load_model(MODEL)
    renderer = Renderer(model, device, params.runtime, about.bf16)
    for line in render_turn(renderer, about, params.render, RENDERS):
        print(line, flush=True)


if __name__ == "__main__":
    with stage("render"):
        main()
