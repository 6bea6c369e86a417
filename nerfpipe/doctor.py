"""Is the machine fit, and is the data what one thinks it is? Seen before hours are spent."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nerfpipe import kernels
from nerfpipe.config import Params, RuntimeParams
from nerfpipe.device import has_bf16
from nerfpipe.files import atomic_file
from nerfpipe.rays import Extent, camera_rays
from nerfpipe.runtime import set_up
from nerfpipe.scenes.loading import load_scene
from nerfpipe.scenes.scene import SPLITS, Scene, grown

SPLIT_COLOURS = {"train": "tab:blue", "val": "tab:orange", "test": "tab:red"}
AXIS_LENGTH = 0.25  # of a camera's view direction in the picture, times the size of the bounds
PIXELS, DPI = 900, 100


def machine_lines(runtime: RuntimeParams) -> list[str]:
    """Device, torch and precision."""
    device = set_up(runtime)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return [
        f"device  {device} ({name}), torch {torch.__version__}",
        f"kernels {'numba, on the CPU' if kernels.in_use(device) else 'plain torch'}",
        f"bf16    {'yes' if has_bf16(device) else 'no: MLPs run in float32'}",
    ]


def examine_scene(raw: Path, params: Params, output: Path) -> list[str]:
    """Shapes, splits, bounds, near and far of the scene in `raw`; writes the picture of its cameras to `output`."""
    scene = load_scene(raw)
    scene = replace(scene, bounds=grown(scene.bounds, params.rays.margin))
    sizes = ", ".join(sorted({f"{camera.width}x{camera.height}" for camera in scene.cameras}))
    lower, upper = (", ".join(f"{x:.3g}" for x in corner) for corner in scene.bounds)
    extent = train_extent(scene, params.rays.min_near)
    share = extent.hits / extent.rays
    draw_cameras(scene, output)
    other = [] if scene.name == params.scene else [f"notice  params.yaml says {params.scene}: run `dvc repro rays`"]
    return [
        *other,
        f"scene   {scene.name}: {scene.views} views of {sizes}, focal length {scene.cameras[0].fx:.4g} pixels, "
        f"{'alpha channel, ' if scene.has_alpha else ''}{scene.background} background",
        "splits  " + ", ".join(f"{len(scene.splits[name])} {name}" for name in SPLITS) + shared_views(scene),
        f"bounds  ({lower}) to ({upper}) scene units",
        f"rays    near {extent.near:.3g}, far {extent.far:.3g}; {share:.0%} of the train rays pass through the bounds",
        f"picture {output}: cameras against the bounds",
    ]


def shared_views(scene: Scene) -> str:
    """A remark where val and test are not apart."""
    shared = np.intersect1d(scene.splits["val"], scene.splits["test"])
    return f" ({len(shared)} views are both val and test)" if len(shared) else ""


def train_extent(scene: Scene, min_near: float) -> Extent:
    """Near, far and hits of all train rays."""
    extent, bounds = Extent(), torch.from_numpy(np.array(scene.bounds))
    for view in scene.splits["train"]:
        pose = torch.from_numpy(np.array(scene.poses[view]))
        extent.include(camera_rays(scene.camera(view), pose, bounds, min_near))
    return extent


def draw_cameras(scene: Scene, output: Path) -> None:
    """Every camera's position and view direction beside the box of the bounds, as a PNG."""
    figure = Figure(figsize=(PIXELS / DPI, PIXELS / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(projection="3d")
    length = AXIS_LENGTH * float(np.linalg.norm(scene.bounds[1] - scene.bounds[0]))
    for split in SPLITS:
        poses = scene.poses[scene.splits[split]]
        positions, forward = poses[:, :, 3], -poses[:, :, 2]
        axes.quiver(*positions.T, *forward.T, length=length, color=SPLIT_COLOURS[split], linewidth=0.8)
        axes.scatter(*positions.T, s=12, color=SPLIT_COLOURS[split], label=f"{len(poses)} {split}")
    draw_box(axes, scene.bounds)
    axes.set(xlabel="x", ylabel="y", zlabel="z", title=f"{scene.name}: cameras and bounds (scene units)")
    axes.set_aspect("equal")
    axes.legend()
    with atomic_file(output) as temporary:
        figure.savefig(temporary, format="png")


def draw_box(axes: Axes, bounds: np.ndarray) -> None:
    """The twelve edges of a box [2, 3]."""
    corners = [np.array(corner) for corner in itertools.product(*bounds.T)]
    for a, b in itertools.combinations(corners, 2):
        if (a != b).sum() == 1:  # corners that differ in one coordinate share an edge
            axes.plot(*np.stack([a, b]).T, color="black", linewidth=1)
