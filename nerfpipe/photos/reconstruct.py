"""Structure from motion by COLMAP: features, matches between pictures, poses and points, and the lens."""

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
POINT_ERROR = 2.0  # pixels of the searched pictures, at most, for points that are kept


@dataclass(frozen=True)
class Model:
    """What structure from motion found, by names of searched pictures, in coordinates of its own.

    poses: camera-to-world [3, 4], looking along -z with y up; cameras: in pixels of the searched pictures;
    points [P, 3] and their colours [P, 3] uint8; error: mean distance in pixels between features and projected points.
    """

    poses: dict[str, np.ndarray]
    cameras: dict[str, Camera]
    points: np.ndarray
    colours: np.ndarray
    error: float


def load_pycolmap() -> Any:
    """pycolmap, silent; NerfpipeError that says how to install it."""
    try:
        import pycolmap
    except ImportError:
        raise NerfpipeError("finding the cameras needs COLMAP: pip install 'nerfpipe[photos]'") from None
    restore_signals()
    pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)  # what goes wrong comes as an exception too
    return pycolmap


def restore_signals() -> None:
    """Handle signals as before: COLMAP's log prints a stack of its own on SIGTERM."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)


def reconstruct(workshop: Path, views: list[View], pairs: list[tuple[int, int]], seed: int) -> Model | None:
    """The model with most pictures that the views allow, comparing these pairs of them; None where nothing fits.

    workshop: a folder with the pictures to search in SEARCHED and, where there are masks, SEARCHED_MASKS.
    """
    colmap = load_pycolmap()
    colmap.set_random_seed(seed)
    database = workshop / "database.db"
    colmap.Database.open(database).close()
    for shared in by_lens(views):
        names, options = [view.searched for view in shared], colmap.ImageReaderOptions(lens_options(shared[0]))
        colmap.import_images(database, workshop / SEARCHED, colmap.CameraMode.SINGLE, names, options)
    find_features(colmap, workshop, database, views)
    match(colmap, workshop, database, views, pairs, seed)
    model = largest_model(colmap, workshop, database, len(views), seed)
    return None if model is None else as_model(with_best_lens(colmap, model))


def by_lens(views: list[View]) -> list[list[View]]:
    """The views of each lens: pictures of one size with one focal length."""
    groups: dict[Any, list[View]] = {}
    for view in views:
        groups.setdefault((view.searched_size, view.focal), []).append(view)
    return list(groups.values())


def lens_options(view: View) -> dict[str, str]:
    """What COLMAP is told of the lens behind a view. Without a focal length it starts from a guess."""
    if view.focal is None:
        return {"camera_model": MAPPING_LENS}
    W, H = view.searched_size
    return {"camera_model": MAPPING_LENS, "camera_params": f"{view.focal},{W / 2},{H / 2},0"}


def find_features(colmap: Any, workshop: Path, database: Path, views: list[View]) -> None:
    """SIFT features of all pictures, outside of what masks leave out, into the database."""
    masks = workshop / SEARCHED_MASKS
    options = colmap.ImageReaderOptions({"mask_path": masks} if any(masks.iterdir()) else {})
    at_once = os.cpu_count() or 1
    with Progress("finding features", len(views), "pictures") as progress:
        for first in range(0, len(views), at_once):
            names = [view.searched for view in views[first : first + at_once]]
            colmap.extract_features(database, workshop / SEARCHED, names, reader_options=options)
            progress.advance(len(names))


def match(
    colmap: Any, workshop: Path, database: Path, views: list[View], pairs: list[tuple[int, int]], seed: int
) -> None:
    """Matches of features in pairs of pictures (by number), as far as one motion explains them, into the database."""
    listed = workshop / "pairs.txt"
    verification = colmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed
    with Progress("matching", len(pairs), "pairs") as progress:
        for tile in tiles(pairs):
            listed.write_text("".join(f"{views[a].searched} {views[b].searched}\n" for a, b in tile), encoding="utf-8")
            options = colmap.ImportedPairingOptions({"match_list_path": listed})
            colmap.match_image_pairs(database, pairing_options=options, verification_options=verification)
            progress.advance(len(tile))


def largest_model(colmap: Any, workshop: Path, database: Path, count: int, seed: int) -> Any:
    """Incremental mapping: the pycolmap.Reconstruction with most pictures; None where it could not begin."""
    options = colmap.IncrementalPipelineOptions()
    options.random_seed = options.mapper.random_seed = seed
    folder = workshop / "models"
    folder.mkdir()
    with Progress("placing cameras", count, "pictures") as progress:

        def registered(pictures: int) -> None:
            progress.advance(min(pictures, count - progress.done))  # a second model counts pictures of the first again

        models = colmap.incremental_mapping(
            database,
            workshop / SEARCHED,
            folder,
            options,
            initial_image_pair_callback=lambda: registered(2),
            next_image_callback=lambda: registered(1),
        )
    return max(models.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()), default=None)


def as_model(found: Any) -> Model:
    """A pycolmap.Reconstruction without its less certain points, unless it has no others."""
    images = [image for image in found.images.values() if image.has_pose]
    points = list(found.points3D.values())
    kept = [one for one in points if one.track.length() >= VIEWS_PER_POINT and one.error <= POINT_ERROR] or points
    return Model(
        poses={image.name: as_pose(image.cam_from_world()) for image in images},
        cameras={image.name: as_camera(found.cameras[image.camera_id]) for image in images},
        points=np.array([point.xyz for point in kept]).reshape(-1, 3),
        colours=np.array([point.color for point in kept], dtype=np.uint8).reshape(-1, 3),
        error=found.compute_mean_reprojection_error(),
    )


def as_pose(camera_from_world: Any) -> np.ndarray:
    """Camera-to-world [3, 4], looking along -z with y up, of a pycolmap.Rigid3d from world to OpenCV's axes."""
    pose = camera_from_world.inverse().matrix()  # [3, 4]
    pose[:, :3] *= TO_OPENCV
    return pose
