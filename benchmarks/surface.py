"""How far an exported mesh of the built-in scene is from its true surface: python -m benchmarks.surface MODEL.

The scene is known exactly, so two distances can be measured, over what the cameras can see:

    accuracy      of points on the mesh, how far the true surface is: the signed distance, without its sign
    completeness  of points on the true surface, how far the mesh is

Their mean is the Chamfer distance. True points are where rays of the train cameras first meet the scene; of the mesh,
its faces count that those cameras see.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import trimesh
from scipy.spatial import cKDTree

from nerfpipe.config.defaults import render_params
from nerfpipe.export.mesh import export_mesh
from nerfpipe.export.options import MeshOptions
from nerfpipe.export.views import LoadedField
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.rays import rays_to_world
from nerfpipe.procedural import robot_arm
from nerfpipe.procedural.solids import trace

POINTS = 300_000  # on each of the two surfaces
BLOCK = 2**17  # points whose distance is asked at once
SIZE = 200  # pixels of the views that find true points
FAR_OFF = 0.05  # scene units: a point farther from the other surface is wrong, not imprecise


def main(model: Path) -> None:
    field = LoadedField.load(model, render_params()[1])
    truth = true_points(field)
    low, high = np.array(robot_arm.BOUNDS)
    extent = float(np.linalg.norm(high - low))
    print(f"{len(truth):,} true points; the scene's diagonal is {extent:.2f} scene units")
    print(
        "| mesh | seconds | faces | accuracy | completeness | Chamfer | of the diagonal | beyond 0.05, mesh and truth |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, options in {
        "all": MeshOptions(),
        "`--seen`": MeshOptions(seen=True),
        "`--seen --density 5`": MeshOptions(seen=True, density=5),
        "`--seen --density 50`": MeshOptions(seen=True, density=50),
    }.items():
        started = time.perf_counter()
        mesh = exported(field, options)
        seconds = time.perf_counter() - started
        there = trimesh.sample.sample_surface(mesh, POINTS, seed=0)[0]
        to_truth, to_mesh = np.abs(true_distance(there)), cKDTree(there).query(truth, workers=-1)[0]
        chamfer = (to_truth.mean() + to_mesh.mean()) / 2
        print(
            f"| {name} | {seconds:.0f} | {len(mesh.faces):,} | {to_truth.mean():.4f} | {to_mesh.mean():.4f} "
            f"| {chamfer:.4f} | {chamfer / extent:.2%} | {(to_truth > FAR_OFF).mean():.1%}, "
            f"{(to_mesh > FAR_OFF).mean():.1%} |",
            flush=True,
        )


def exported(field: LoadedField, options: MeshOptions) -> trimesh.Trimesh:
    """The mesh as it is read back from its file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mesh.ply"
        for _ in export_mesh(field, options, file):
            pass
        return trimesh.load(file, process=False)


def true_points(field: LoadedField) -> np.ndarray:
    """[at most POINTS, 3], where rays of the train cameras first meet the true surface."""
    solids, camera = robot_arm.solids(), Camera.centred(SIZE, SIZE, 1.4 * SIZE)
    in_camera, found = camera.directions(camera.pixel_centres()), []
    for pose in torch.tensor(field.header.poses):
        origins, directions = rays_to_world(pose.expand(len(in_camera), 3, 4), in_camera)
        t = trace(solids, origins, directions).t
        met = t.isfinite()
        found.append((origins + t[:, None] * directions)[met].numpy())
    points = np.concatenate(found)
    return points[np.random.default_rng(0).permutation(len(points))[:POINTS]]


def true_distance(points: np.ndarray) -> np.ndarray:
    """Signed distance [P] of points [P, 3] from the true surface."""
    blocks = torch.from_numpy(points).float().split(BLOCK)
    solids = robot_arm.solids()
    near = [torch.stack([solid.distance(solid.to_local(block)) for solid in solids]).amin(dim=0) for block in blocks]
    return torch.cat(near).numpy()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give the model of robot-arm: python -m benchmarks.surface data/model/field.safetensors")
    main(Path(sys.argv[1]))
