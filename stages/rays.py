"""Stage 2: precompute rays. data/raw -> data/rays, one ray per pixel of every view."""

from __future__ import annotations

from nerfpipe.config.params import load_params
from nerfpipe.project.paths import RAW, RAYS
from nerfpipe.raybank.bank import RayBank
from nerfpipe.raybank.writer import build
from nerfpipe.runtime.device import set_threads
from nerfpipe.runtime.files import atomic_folder
from nerfpipe.runtime.stage import stage
from nerfpipe.runtime.terminal import say
from nerfpipe.scenes.loading import load_scene


def main() -> None:
    params = load_params()
    set_threads(params.runtime.threads)
    scene = load_scene(RAW)
    for note in scene.notes:
        say(f"notice: {note}")
    with atomic_folder(RAYS) as folder:
        build(scene, folder, params.rays.margin, params.rays.min_near)
    for line in RayBank(RAYS).summary().split("\n"):
        say(line)


if __name__ == "__main__":
    with stage("rays"):
        main()
