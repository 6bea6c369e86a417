"""The lens of the pictures: as fine a model as they can tell, and one that leads a ray to every pixel."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
import torch

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.distortion import NotInvertibleError

MAPPING_LENS = "SIMPLE_RADIAL"  # one focal length and one distortion: as much as the first few pictures can tell
STRAIGHT_LENS = "SIMPLE_PINHOLE"
FINER_LENS = "OPENCV"  # two focal lengths and four distortions, with the principal point free as well
FINER_VIEWS = 8  # pictures through a lens, at least, to tell so much of it
FINER_GAIN = 0.02  # of the reprojection error that must go: more freedom alone takes less away
GRID = 65  # points along each side of a picture at which its lens is tried
DISTORTIONS = 4  # k1, k2, p1, p2


def with_best_lens(colmap: Any, model: Any) -> Any:
    """The pycolmap.Reconstruction adjusted to the finest lenses that its pictures can tell and that can be inverted."""
    views = Counter(image.camera_id for image in model.images.values() if image.has_pose)
    finer = adjusted(colmap, model, [lens for lens in model.cameras if views[lens] >= FINER_VIEWS], FINER_LENS)
    limit = (1 - FINER_GAIN) * model.compute_mean_reprojection_error()
    if finer.compute_mean_reprojection_error() < limit and not bent(finer):
        model = finer
    return adjusted(colmap, model, bent(model), STRAIGHT_LENS)


def adjusted(colmap: Any, model: Any, lenses: list[int], kind: str) -> Any:
    """A copy of the model in which cameras of these numbers are of another kind, after bundle adjustment with them."""
    if not lenses:
        return model
    model = copy.deepcopy(model)
    config = colmap.BundleAdjustmentConfig()
    for number, camera in model.cameras.items():
        if number in lenses:
            lens = as_camera(camera)
            camera.model = getattr(colmap.CameraModelId, kind)
            camera.params = parameters(lens, kind)
        else:
            config.set_constant_cam_intrinsics(number)
    for image in model.images.values():
        if image.has_pose:
            config.add_image(image.image_id)
    config.fix_gauge(colmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    options = colmap.BundleAdjustmentOptions({"print_summary": False, "refine_principal_point": kind == FINER_LENS})
    colmap.create_default_bundle_adjuster(options, config, model).solve()
    model.update_point_3d_errors()
    return model


def parameters(lens: Camera, kind: str) -> list[float]:
    """The lens in the order of COLMAP's parameters for a kind of camera, as far as that has a place for it."""
    if kind == FINER_LENS:
        return [lens.fx, lens.fy, lens.cx, lens.cy, *lens.distortion]
    return [lens.fx, lens.cx, lens.cy, *lens.distortion[: kind == MAPPING_LENS]]


def bent(model: Any) -> list[int]:
    """Numbers of the cameras whose distortion folds back within the picture, so that rays cannot be told from it."""
    numbers = []
    for number, camera in model.cameras.items():
        lens = as_camera(camera)
        rows, columns = np.linspace(0, lens.height, GRID), np.linspace(0, lens.width, GRID)
        try:
            lens.directions(torch.from_numpy(np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)))
        except NotInvertibleError:
            numbers.append(number)
    return numbers


def as_camera(camera: Any) -> Camera:
    """A pycolmap.Camera of any of the kinds used here."""
    fx, fy = camera.focal_length_x, camera.focal_length_y
    numbers = [float(camera.params[i]) for i in camera.extra_params_idxs()]
    distortion = (*numbers, *[0.0] * (DISTORTIONS - len(numbers)))
    cx, cy = camera.principal_point_x, camera.principal_point_y
    return Camera(camera.width, camera.height, fx, fy, cx, cy, "perspective", distortion)
