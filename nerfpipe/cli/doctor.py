"""`nerfpipe doctor`: checks machine and data before hours are spent on training."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nerfpipe.config.params import Params, RuntimeParams
from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.geometry.focus import focus_point
from nerfpipe.geometry.rays import DepthRange
from nerfpipe.geometry.space import Space, camera_rays
from nerfpipe.models.set_up import set_up
from nerfpipe.ops import dispatch
from nerfpipe.raybank.bank import scale_lines
from nerfpipe.runtime.device import has_bf16
from nerfpipe.runtime.files import atomic_file
from nerfpipe.scenes.loading import load_scene
from nerfpipe.scenes.normalise import FEW, distances_seen
from nerfpipe.scenes.scene import Scene

SPLIT_COLOURS = {"train": "tab:blue", "val": "tab:orange", "test": "tab:red"}
SAME = 1e-6  # scene units: poses that differ by less are equal
FEW_VIEWS = 8
FEW_RAYS = 0.01  # of the train rays
MISSED = (
    "only {:.2%} of the train rays meet what is to be learned: are poses, lenses and `bounds:` of one scale, and the "
    "lenses' numbers in pixels of these pictures?"
)
ODD_SCALE = 30  # ratio of the cameras' distance to the scene's size, or its inverse, beyond which a unit is wrong
POINTS_SHOWN = 20_000
POSES = "are the poses camera-to-world, looking along -z?"
FORWARD_DEPTH = 8.0  # to which a forward scene is drawn, in near plane distances
AXIS_LENGTH = 0.25  # of a drawn view direction, times the size of the bounds
PIXELS, DPI = 900, 100


def machine_lines(runtime: RuntimeParams) -> list[str]:
    """Device, torch, kernels and precision, in lines."""
    device = set_up(runtime)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return [
        f"device  {device} ({name}), torch {torch.__version__}",
        f"kernels {dispatch.describe() if dispatch.has_kernels(device) else 'plain torch'}",
        f"bf16    {'yes' if has_bf16(device) else 'no: MLPs run in float32'}",
    ]


def examine_scene(raw: Path, params: Params, output: Path) -> list[str]:
    """Shapes, splits, bounds, near and far of the scene in `raw`, in lines; draws its cameras into `output`."""
    scene = load_scene(raw)
    space = scene.space(params.rays.margin, params.rays.min_near)
    sizes = ", ".join(sorted({f"{camera.width}x{camera.height}" for camera in scene.cameras}))
    lenses = "" if all(camera.is_pinhole for camera in scene.cameras) else f", {scene.cameras[0].lens} distortion"
    extent = train_extent(scene, space)
    share = extent.hits / extent.rays
    draw_cameras(scene, space, output)
    points = "" if scene.points is None else f", {len(scene.points):,} points"
    other = [] if scene.name == params.scene else [f"notice  params.yaml says {params.scene}: run `dvc repro rays`"]
    return [
        *other,
        f"scene   {scene.name}: {scene.views} views of {sizes}, focal length {scene.cameras[0].fx:.4g} pixels{lenses}, "
        f"{'alpha channel, ' if scene.has_alpha else ''}{scene.background} background",
        "splits  " + ", ".join(f"{len(scene.splits[name])} {name}" for name in SPLITS) + shared_views(scene),
        f"space   {space.describe()}{points}",
        *(f"scale   {line}" for line in scale_lines(scene.similarity, *space.depth_ends(extent))),
        f"rays    {space.describe_depths(extent)}; {share:.0%} of the train rays pass through",
        *(f"notice  {note}" for note in scene.notes),
        *([f"warning {MISSED.format(share)}"] if share < FEW_RAYS else []),
        *(f"warning {warning}" for warning in usual_mistakes(scene, space)),
        f"picture {output}: cameras against the {'points' if points else 'bounds'}",
    ]


def usual_mistakes(scene: Scene, space: Space) -> list[str]:
    """Warnings about properties that are valid but rarely intended."""
    positions, axes = scene.poses[:, :, 3].astype(np.float64), -scene.poses[:, :, 2].astype(np.float64)
    if scene.views > 1 and np.ptp(scene.poses, axis=0).max() < SAME:
        return ["all poses are equal: depth cannot be seen from one place"]
    warnings = []
    if len(scene.splits["train"]) < FEW_VIEWS:
        warnings.append(f"{len(scene.splits['train'])} train views are few: expect good pictures near them only")
    if np.linalg.norm(positions - positions.mean(axis=0), axis=1).max() < SAME:
        warnings.append("all cameras stand in one place: depth cannot be seen from there; move while photographing")
    directions = box_mistakes(space, positions, axes) if space.ends_at_inner else direction_mistakes(scene)
    return [*warnings, *directions, *point_mistakes(scene)]


def box_mistakes(space: Space, positions: np.ndarray, axes: np.ndarray) -> list[str]:
    """Warnings about cameras with these positions and optical axes [N, 3] around a bounded scene."""
    warnings = []
    centre, size = space.box.mean(dim=0).numpy(), float((space.box[1] - space.box[0]).norm())
    away = np.flatnonzero(((centre - positions) * axes).sum(axis=1) < 0)
    if len(away):
        warnings.append(
            f"{len(away)} of {len(axes)} cameras, of which view {away[0]} is the first, face away from the bounds: "
            f"{POSES}"
        )
    distance = float(np.linalg.norm(positions - centre, axis=1).mean())
    if not size / ODD_SCALE < distance < size * ODD_SCALE:
        warnings.append(
            f"the cameras are {distance:.3g} from the middle of bounds that measure {size:.3g}: is the scale right?"
        )
    return warnings


def direction_mistakes(scene: Scene) -> list[str]:
    """Warnings about cameras of an unbounded or forward scene that face away from the common focus point."""
    focus = focus_point(scene.poses.astype(np.float64))
    if focus is None or not focus.certain:
        return []  # the optical axes are parallel or do not meet
    behind = np.flatnonzero(focus.depths <= 0)
    if not len(behind):
        return []
    return [
        f"{len(behind)} of {scene.views} cameras, of which view {behind[0]} is the first, face away from the place "
        f"where the optical axes meet: {POSES}"
    ]


def point_mistakes(scene: Scene) -> list[str]:
    """Warnings about points that cameras do not see, or whose scale differs from the cameras'."""
    if scene.points is None or len(scene.points) < FEW:
        return []
    step = -(-len(scene.points) // POINTS_SHOWN)
    points, poses, warnings = scene.points[::step].astype(np.float64), scene.poses.astype(np.float64), []
    seen = [step * len(distances_seen(points, scene.camera(view), pose)) for view, pose in enumerate(poses)]
    blind = np.flatnonzero(np.array(seen) < FEW)
    if len(blind):
        warnings.append(
            f"{len(blind)} of {scene.views} cameras, of which view {blind[0]} is the first, see fewer than {FEW} of "
            f"the {len(scene.points):,} points: {POSES} Are the points in the poses' coordinates?"
        )
    centre = np.median(points, axis=0)
    size = float(np.median(np.linalg.norm(points - centre, axis=1)))
    distance = float(np.median(np.linalg.norm(poses[:, :, 3] - centre, axis=1)))
    if scene.kind != "bounded" and not (size > distance / ODD_SCALE and max(size, distance) < ODD_SCALE):
        warnings.append(
            f"half of the points are within {size:.3g} of a place {distance:.3g} scene units from the cameras: "
            "are they in the poses' units?"
        )
    return warnings


def shared_views(scene: Scene) -> str:
    """A remark if val and test share views, else empty."""
    shared = np.intersect1d(scene.splits["val"], scene.splits["test"])
    return f" ({len(shared)} views are both val and test)" if len(shared) else ""


def train_extent(scene: Scene, space: Space) -> DepthRange:
    """Near, far and number of hits of all train rays."""
    extent = DepthRange()
    for view in scene.splits["train"]:
        pose, camera = torch.from_numpy(np.array(scene.poses[view])), scene.camera(view)
        for rows, _ in camera.strips():
            extent.include(camera_rays(camera, pose, space, rows))
    return extent


def draw_cameras(scene: Scene, space: Space, output: Path) -> None:
    """Draw the position and view direction of every camera, the points and the scene's box, as a PNG."""
    figure = Figure(figsize=(PIXELS / DPI, PIXELS / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(projection="3d")
    box = scene_box(scene, space)
    length = AXIS_LENGTH * float(np.linalg.norm(box[1] - box[0]))
    if scene.points is not None:
        inside = scene.points[((scene.points > box[0]) & (scene.points < box[1])).all(axis=1)]
        axes.scatter(*inside[:: max(1, len(inside) // POINTS_SHOWN)].T, s=0.5, color="grey", label="points")
    for split in SPLITS:
        poses = scene.poses[scene.splits[split]]
        positions, forward = poses[:, :, 3], -poses[:, :, 2]
        axes.quiver(*positions.T, *forward.T, length=length, color=SPLIT_COLOURS[split], linewidth=0.8)
        axes.scatter(*positions.T, s=12, color=SPLIT_COLOURS[split], label=f"{len(poses)} {split}")
    if not space.faces_forward:
        draw_box(axes, box)
    axes.set(xlabel="x", ylabel="y", zlabel="z", title=f"{scene.name}: cameras and {space.kind} space (scene units)")
    axes.set_aspect("equal")
    axes.legend()
    with atomic_file(output) as temporary:
        figure.savefig(temporary, format="png")


def scene_box(scene: Scene, space: Space) -> np.ndarray:
    """The box [2, 3] to draw: what the images are of, or the region in front of forward-facing cameras."""
    if space.faces_forward:
        reach = np.abs(scene.poses[:, :2, 3]).max() + FORWARD_DEPTH / 2
        return np.array([[-reach, -reach, -FORWARD_DEPTH], [reach, reach, reach]])
    return np.array(space.inner, dtype=np.float32)


def draw_box(axes: Axes, bounds: np.ndarray) -> None:
    """Draw the twelve edges of a box [2, 3]."""
    corners = [np.array(corner) for corner in itertools.product(*bounds.T)]
    for a, b in itertools.combinations(corners, 2):
        if (a != b).sum() == 1:  # corners that differ in one coordinate share an edge
            axes.plot(*np.stack([a, b]).T, color="black", linewidth=1)
