"""The `tiny_nerf` format: one .npz with images [N, H, W, 3] in [0, 1], poses [N, 4, 4] and one focal length in pixels.

The first views train, 100 by default. The rest serve as both val and test: they are too few to divide, and nothing is
chosen by val.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

import numpy as np

from nerfpipe.archives.checksum import megabytes
from nerfpipe.archives.unpack import unpacked_limit
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import Background
from nerfpipe.geometry.focus import bounds_from_cameras
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular
from nerfpipe.scenes.intrinsics import lens_fault
from nerfpipe.scenes.placement import bounded_geometry
from nerfpipe.scenes.repeats import without_repeats
from nerfpipe.scenes.scene import Scene, pose_faults

KEYS = ("images", "poses", "focal")


def load(file: Path, name: str, background: Background, bounds: np.ndarray | None, train_views: int) -> Scene:
    """The scene in an .npz file, of which the first `train_views` views train.

    bounds [2, 3]: in the data's coordinates, found from the cameras if None. Raises NerfpipeError that names the file
    and the key at fault.
    """
    arrays = read_arrays(file)
    images, poses, focal = checked(file, arrays)
    N, H, W, _ = images.shape
    poses = poses[:, :3, :]  # [N, 3, 4]
    if faults := pose_faults(poses):
        raise NerfpipeError(f"{file}: poses: {faults[0]}")
    if train_views >= N:
        raise NerfpipeError(
            f"{file}: the test split is empty: the first {train_views} views train and there are {N}; "
            "set `train_views:` below that in the scene's entry"
        )
    camera = Camera.centred(W, H, focal)
    if (fault := lens_fault(camera)) is not None:
        raise NerfpipeError(f"{file}: {fault}")
    try:
        box = bounds_from_cameras([camera] * N, poses.astype(np.float32)) if bounds is None else bounds
    except NerfpipeError as error:
        raise NerfpipeError(f"{file}: {error}") from None
    geometry = bounded_geometry(box, poses, points=None)
    held_out = list(range(train_views, N))
    keys = [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images]
    names = [f"view {view}" for view in range(N)]
    splits = {"train": list(range(train_views)), "val": held_out, "test": held_out}
    splits, notes = without_repeats(splits, keys, poses.astype(np.float64), names)
    return Scene(
        name=name,
        cameras=(camera,),
        camera_index=np.zeros(N, dtype=np.int64),
        poses=geometry.poses,
        splits={split: np.array(views, dtype=np.int64) for split, views in splits.items()},
        bounds=geometry.bounds,
        background=background,
        has_alpha=False,
        read_image=lambda view: opaque(images[view]),
        similarity=geometry.similarity,
        notes=(*notes, *geometry.notes),
    ).validate(str(file))


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of KEYS. Raises NerfpipeError if the file is damaged or holds pickled objects."""
    with open_regular(file) as stream:
        if not zipfile.is_zipfile(stream):
            raise NerfpipeError(f"{file}: not a whole .npz archive; get the file again")
    try:
        check_size(file)
        with np.load(file, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive]
            if missing:
                raise NerfpipeError(
                    f"{file}: missing {', '.join(missing)}; it holds {', '.join(archive.files)}: not a tiny_nerf file"
                )
            arrays = {key: archive[key] for key in KEYS}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, MemoryError) as error:
        raise NerfpipeError(f"{file}: not a whole .npz archive ({error}); get the file again") from None
    except ValueError as error:
        if "pickle" in str(error):
            raise NerfpipeError(f"{file}: holds pickled objects, which are never loaded; save plain arrays") from None
        raise NerfpipeError(f"{file}: damaged ({error}); get the file again") from None
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise NerfpipeError(f"{file}: {key}: is no array; get the file again")
    return arrays


def check_size(file: Path) -> None:
    """Raise NerfpipeError if the arrays would take far more memory than the size of the file allows."""
    with zipfile.ZipFile(file) as archive:
        total = sum(info.file_size for info in archive.infolist() if info.filename.removesuffix(".npy") in KEYS)
    packed = file.stat().st_size
    if total > unpacked_limit(packed):
        raise NerfpipeError(
            f"{file}: has {megabytes(packed)} and would unpack to {megabytes(total)}; the limit is "
            f"{megabytes(unpacked_limit(packed))}; if you trust it, save it again with numpy.savez, which does not pack"
        )


def checked(file: Path, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """images [N, H, W, 3], poses [N, 4, 4] and focal length in pixels.

    Raises NerfpipeError with every fault of shape or value.
    """
    images, poses, focal = (arrays[key] for key in KEYS)
    faults = []
    if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape[1:]:
        faults.append(f"images: must be [N, H, W, 3] (got {list(images.shape)})")
    if len(images.shape) and images.shape[0] == 0:
        faults.append("images: there are none")
    if poses.ndim != 3 or poses.shape[1:] not in ((4, 4), (3, 4)) or poses.shape[0] != images.shape[0]:
        faults.append(f"poses: must be [N, 4, 4] with N as in images {list(images.shape)} (got {list(poses.shape)})")
    if focal.size != 1 or focal.dtype.kind not in "fiu" or not np.isfinite(focal).all() or not (focal > 0).all():
        faults.append(f"focal: must be one positive number of pixels (got {focal.tolist()!r:.60})")
    for key in ("images", "poses"):
        if arrays[key].dtype.kind not in "fiu":
            faults.append(f"{key}: must be numbers (got {arrays[key].dtype})")
    if not faults and images.dtype.kind == "f":
        if not np.isfinite(images).all():
            faults.append("images: hold NaN or infinity")
        elif images.min() < 0 or images.max() > 1:
            faults.append(f"images: must lie in [0, 1] (got {images.min():g} to {images.max():g})")
    elif not faults and images.dtype != np.uint8:
        faults.append(f"images: must be float in [0, 1] or uint8 (got {images.dtype})")
    if faults:
        raise NerfpipeError(*(f"{file}: {fault}" for fault in faults))
    return images, poses, float(focal.reshape(()))


def opaque(image: np.ndarray) -> np.ndarray:
    """[H, W, 3] float in [0, 1] or uint8 -> [H, W, 4] uint8 with full alpha."""
    rgb = image if image.dtype == np.uint8 else np.round(image * 255).astype(np.uint8)
    return np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=-1)  # [H, W, 4]
