"""One method on one scene, in a process of its own: PSNR of the held-out views against seconds of training."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.scenes import bank
from nerfpipe.config.params import PARAMS_FILE, Params
from nerfpipe.config.yaml_file import read_yaml, validate
from nerfpipe.geometry.space import camera_rays
from nerfpipe.images.convert import alpha_composite, to_8bit
from nerfpipe.images.metrics import psnr
from nerfpipe.images.write import write_png
from nerfpipe.models.registry import build_model
from nerfpipe.models.set_up import give_threads, set_up
from nerfpipe.ops import dispatch
from nerfpipe.raybank.bank import RayBank
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.training.batch_size import first_batch, next_batch
from nerfpipe.training.step import TrainingStep

# Seconds of training at which the held-out views are rendered.
MARKS = (*range(1, 13), 15, 20, 25, 30, 40, 50, 60, 75, 90, 120, 150, 200, 250, 300, 400, 500, 600, 750, 900)
FRAME = 800  # pixels, of the frame whose rendering is timed


def params_with(method: str, changes: dict[str, Any]) -> Params:
    """The project's params with this method and these dotted keys set."""
    content = read_yaml(PARAMS_FILE) | {"method": method}
    for dotted, value in changes.items():
        *sections, key = dotted.split(".")
        section = content
        for name in sections:
            section = section[name]
        section[key] = value
    params, faults = validate(Params, content)
    if params is None:
        sys.exit("\n".join(faults))
    return params


def held_out_psnr(renderer: Renderer, rays: RayBank) -> float:
    """Mean PSNR of the test views, 8-bit pictures."""
    values = []
    for view in rays.splits["test"]:
        camera, view_rays = rays.camera(int(view)), rays.view(int(view))
        picture = renderer.view(view_rays, rays.background, camera.height, camera.width)
        truth = alpha_composite(view_rays.target, rays.background).reshape(camera.height, camera.width, 3)
        values.append(psnr(to_8bit(picture.colour), to_8bit(truth)))
    return float(np.mean(values))


def seconds_per_frame(renderer: Renderer, rays: RayBank, size: int) -> tuple[float, np.ndarray]:
    """Seconds to render the first test view at size x size, the median of three, and the picture."""
    view = int(rays.splits["test"][0])
    camera, pose = rays.camera(view).resized(size, size), torch.from_numpy(np.array(rays.arrays["poses"][view]))
    spent = []
    for _ in range(3):
        started = time.perf_counter()
        view_rays = camera_rays(camera, pose, rays.space)
        picture = renderer.view(view_rays, rays.background, size, size)
        spent.append(time.perf_counter() - started)
    return sorted(spent)[1], to_8bit(picture.colour)


def peak_memory() -> int | None:
    """The most memory that this process has held, MiB; None where the system does not say.

    Not from getrusage: there a process begins with its parent's peak.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), None)


def measure(scene: str, run: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train, and say what was reached when."""
    params = params_with(run["method"], run.get("set", {}))
    device, rays = set_up(params.runtime), bank(scene, folder / "banks" / scene)
    model = build_model(params.recipe, params.seed, rays.space)
    give_threads(model, device)
    renderer = Renderer(model, device, params.runtime, params.recipe.train.bf16)
    step = TrainingStep(model, rays, params, device)
    if model.uses_kernels(device):
        dispatch.compile_kernels()
    curve, spent, batch, samples, number = [], 0.0, first_batch(step.settings, model), 0, 0
    marks = [mark for mark in MARKS if run.get("from", 0) <= mark <= run["seconds"]]
    while number < params.recipe.train.steps and spent < run["seconds"]:
        started = time.perf_counter()
        result = step.take(number, batch)
        spent += time.perf_counter() - started
        batch = next_batch(step.settings, result.rays, result.samples)
        samples, number = samples + result.samples, number + 1
        last = number == params.recipe.train.steps or spent >= run["seconds"]
        if last or (marks and spent >= marks[0]):
            started = time.perf_counter()
            curve.append({"seconds": round(spent, 2), "step": number, "psnr": round(held_out_psnr(renderer, rays), 3)})
            measuring = time.perf_counter() - started  # never longer than the training that follows it
            marks = [mark for mark in marks if mark > spent + measuring]
            print(f"{scene} {run['method']}: {spent:.1f} s, step {number}, {curve[-1]['psnr']:.2f} dB", flush=True)
    own = rays.camera(int(rays.splits["test"][0])).height
    frame_own, _ = seconds_per_frame(renderer, rays, own)
    answer = {"scene": scene, "method": run["method"], "steps": number, "seconds": round(spent, 1), "curve": curve}
    answer |= {"samples_per_second": round(samples / spent), "memory_mib": peak_memory(), "frame_own": frame_own}
    answer |= {"own_size": own, "goals": run.get("goals", {})}
    if run["method"] == "ngp":
        answer["frame_800"], picture = seconds_per_frame(renderer, rays, FRAME)
        write_png(folder / f"{scene}_{FRAME}.png", picture)
    return answer


if __name__ == "__main__":
    scene, run, folder = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3])
    answer = measure(scene, run, folder)
    (folder / f"{scene}_{run['method']}.json").write_text(json.dumps(answer, indent=1))
