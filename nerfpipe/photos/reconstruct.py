"""Structure from motion by COLMAP: features, matches, poses, points and the lens.

J. Schönberger and J.-M. Frahm, Structure-from-Motion Revisited, CVPR 2016.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nerfpipe.geometry.cameras import TO_OPENCV, Camera
from nerfpipe.photos.lens_fit import MAPPING_LENS, as_camera, with_best_lens
from nerfpipe.photos.pairs import tiles
from nerfpipe.photos.preparing import SEARCHED, SEARCHED_MASKS, View
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

VIEWS_PER_POINT = 3  # two pictures may agree on a point by chance
POINT_ERROR = 2.0  # pixels of the searched pictures: points with a larger error are dropped


@dataclass(frozen=True)
class Reconstruction:
    """The result of structure from motion, in coordinates and units of its own."""

    poses: dict[str, np.ndarray]  # by searched picture: camera-to-world [3, 4], looking along -z with y up
    cameras: dict[str, Camera]  # by searched picture, in its pixels
    points: np.ndarray  # [P, 3]
    colours: np.ndarray  # [P, 3] uint8
    error: float  # mean reprojection error in pixels


def load_pycolmap() -> Any:
    """pycolmap, without its log. Raises NerfpipeError if it is not installed."""
    try:
        import pycolmap
    except ImportError:
        raise NerfpipeError("finding the cameras needs COLMAP: pip install 'nerfpipe[photos]'") from None
    restore_signals()
    pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)  # errors also arrive as exceptions
    return pycolmap


def restore_signals() -> None:
    """Restore the handler of SIGTERM, for which COLMAP's log installs one that prints a stack trace."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)


def reconstruct(scratch: Path, views: list[View], pairs: list[tuple[int, int]], seed: int) -> Reconstruction | None:
    """The reconstruction with most pictures, from matches between these pairs of views; None if there is none.

    scratch: a folder with the pictures to search in SEARCHED, and their masks, if any, in SEARCHED_MASKS.
    """
    colmap = load_pycolmap()
    colmap.set_random_seed(seed)
    database = scratch / "database.db"
    colmap.Database.open(database).close()
    for shared in by_lens(views):
        names, options = [view.searched for view in shared], colmap.ImageReaderOptions(lens_options(shared[0]))
        colmap.import_images(database, scratch / SEARCHED, colmap.CameraMode.SINGLE, names, options)
    find_features(colmap, scratch, database, views)
    match(colmap, scratch, database, views, pairs, seed)
    model = largest_model(colmap, scratch, database, len(views), seed)
    return None if model is None else as_reconstruction(with_best_lens(colmap, model))


def by_lens(views: list[View]) -> list[list[View]]:
    """The views grouped by lens: pictures of equal size and focal length share one."""
    groups: dict[tuple[tuple[int, int], float | None], list[View]] = {}
    for view in views:
        groups.setdefault((view.searched_size, view.focal), []).append(view)
    return list(groups.values())


def lens_options(view: View) -> dict[str, str]:
    """COLMAP's options for the lens of a view. Without a focal length, COLMAP starts from a guess."""
    if view.focal is None:
        return {"camera_model": MAPPING_LENS}
    W, H = view.searched_size
    return {"camera_model": MAPPING_LENS, "camera_params": f"{view.focal},{W / 2},{H / 2},0"}


def find_features(colmap: Any, scratch: Path, database: Path, views: list[View]) -> None:
    """Write SIFT features of all pictures, inside their masks, into the database."""
    masks = scratch / SEARCHED_MASKS
    options = colmap.ImageReaderOptions({"mask_path": masks} if any(masks.iterdir()) else {})
    batch = os.cpu_count() or 1
    with Progress("finding features", len(views), "pictures") as progress:
        for first in range(0, len(views), batch):
            names = [view.searched for view in views[first : first + batch]]
            colmap.extract_features(database, scratch / SEARCHED, names, reader_options=options)
            progress.advance(len(names))


def match(
    colmap: Any, scratch: Path, database: Path, views: list[View], pairs: list[tuple[int, int]], seed: int
) -> None:
    """Write geometrically verified matches of pairs of pictures, by index, into the database."""
    pairs_file = scratch / "pairs.txt"
    verification = colmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed
    with Progress("matching", len(pairs), "pairs") as progress:
        for tile in tiles(pairs):
            lines = [f"{views[a].searched} {views[b].searched}\n" for a, b in tile]
            pairs_file.write_text("".join(lines), encoding="utf-8")
            options = colmap.ImportedPairingOptions({"match_list_path": pairs_file})
            colmap.match_image_pairs(database, pairing_options=options, verification_options=verification)
            progress.advance(len(tile))


def largest_model(colmap: Any, scratch: Path, database: Path, count: int, seed: int) -> Any:
    """Incremental mapping: the pycolmap.Reconstruction with most pictures; None if no initial pair was found."""
    options = colmap.IncrementalPipelineOptions()
    options.random_seed = options.mapper.random_seed = seed
    folder = scratch / "models"
    folder.mkdir()
    with Progress("placing cameras", count, "pictures") as progress:

        def registered(pictures: int) -> None:
            progress.advance(min(pictures, count - progress.done))  # a second model counts pictures of the first again

        models = colmap.incremental_mapping(
            database,
            scratch / SEARCHED,
            folder,
            options,
            initial_image_pair_callback=lambda: registered(2),
            next_image_callback=lambda: registered(1),
        )
    return max(models.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()), default=None)


def as_reconstruction(model: Any) -> Reconstruction:
    """A pycolmap.Reconstruction without its uncertain points, unless it has no others."""
    images = [image for image in model.images.values() if image.has_pose]
    points = list(model.points3D.values())
    certain = [point for point in points if point.track.length() >= VIEWS_PER_POINT and point.error <= POINT_ERROR]
    kept = certain or points
    return Reconstruction(
        poses={image.name: as_pose(image.cam_from_world()) for image in images},
        cameras={image.name: as_camera(model.cameras[image.camera_id]) for image in images},
        points=np.array([point.xyz for point in kept]).reshape(-1, 3),
        colours=np.array([point.color for point in kept], dtype=np.uint8).reshape(-1, 3),
        error=model.compute_mean_reprojection_error(),
    )


def as_pose(camera_from_world: Any) -> np.ndarray:
    """A pycolmap.Rigid3d from world to OpenCV's camera as camera-to-world [3, 4], looking along -z with y up."""
    pose = camera_from_world.inverse().matrix()  # [3, 4]
    pose[:, :3] *= TO_OPENCV
    return pose
