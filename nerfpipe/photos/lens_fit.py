"""The lens model of the pictures: as detailed as they can determine, and invertible at every pixel."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
import torch

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.distortion import NotInvertibleError

MAPPING_LENS = "SIMPLE_RADIAL"  # one focal length and one distortion: all that the first few pictures determine
STRAIGHT_LENS = "SIMPLE_PINHOLE"
FINER_LENS = "OPENCV"  # two focal lengths, four distortions, and a free principal point
FINER_VIEWS = 8  # pictures through a lens that FINER_LENS needs
FINER_GAIN = 0.02  # of the reprojection error that FINER_LENS must remove: its freedom alone removes less
GRID = 65  # points along each side of a picture at which its lens is inverted
DISTORTIONS = 4  # k1, k2, p1, p2


def with_best_lens(colmap: Any, model: Any) -> Any:
    """The pycolmap.Reconstruction with the most detailed lenses that its pictures determine and that are invertible."""
    views = Counter(image.camera_id for image in model.images.values() if image.has_pose)
    finer = adjusted(colmap, model, [lens for lens in model.cameras if views[lens] >= FINER_VIEWS], FINER_LENS)
    limit = (1 - FINER_GAIN) * model.compute_mean_reprojection_error()
    if finer.compute_mean_reprojection_error() < limit and not folding_lenses(finer):
        model = finer
    return adjusted(colmap, model, folding_lenses(model), STRAIGHT_LENS)


def adjusted(colmap: Any, model: Any, lenses: list[int], kind: str) -> Any:
    """A copy of the model whose cameras with these ids are of another kind, after bundle adjustment."""
    if not lenses:
        return model
    model = copy.deepcopy(model)
    config = colmap.BundleAdjustmentConfig()
    for camera_id, camera in model.cameras.items():
        if camera_id in lenses:
            lens = as_camera(camera)
            camera.model = getattr(colmap.CameraModelId, kind)
            camera.params = parameters(lens, kind)
        else:
            config.set_constant_cam_intrinsics(camera_id)
    for image in model.images.values():
        if image.has_pose:
            config.add_image(image.image_id)
    config.fix_gauge(colmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    options = colmap.BundleAdjustmentOptions({"print_summary": False, "refine_principal_point": kind == FINER_LENS})
    colmap.create_default_bundle_adjuster(options, config, model).solve()
    model.update_point_3d_errors()
    return model


def parameters(lens: Camera, kind: str) -> list[float]:
    """The lens as COLMAP's parameters of a kind of camera, without those that the kind lacks."""
    if kind == FINER_LENS:
        return [lens.fx, lens.fy, lens.cx, lens.cy, *lens.distortion]
    return [lens.fx, lens.cx, lens.cy, *lens.distortion[: kind == MAPPING_LENS]]


def folding_lenses(model: Any) -> list[int]:
    """Ids of the cameras whose distortion folds back within the picture, so that a pixel has no unique ray."""
    folding = []
    for camera_id, camera in model.cameras.items():
        lens = as_camera(camera)
        rows, columns = np.linspace(0, lens.height, GRID), np.linspace(0, lens.width, GRID)
        try:
            lens.directions(torch.from_numpy(np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)))
        except NotInvertibleError:
            folding.append(camera_id)
    return folding


def as_camera(camera: Any) -> Camera:
    """A pycolmap.Camera, of one of the kinds above, as a Camera."""
    fx, fy = camera.focal_length_x, camera.focal_length_y
    coefficients = [float(camera.params[i]) for i in camera.extra_params_idxs()]
    distortion = (*coefficients, *[0.0] * (DISTORTIONS - len(coefficients)))
    cx, cy = camera.principal_point_x, camera.principal_point_y
    return Camera(camera.width, camera.height, fx, fy, cx, cy, "perspective", distortion)
