"""Duplicate images of a scene under any names: training must not see the images that it is tested on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from nerfpipe.runtime.files import open_regular
from nerfpipe.scenes.image_files import read_picture

HEAD = 2**16  # bytes at the beginning of a file, in which most files differ
READ_BYTES = 2**20
SAME_POSE = 1e-2  # largest distance of poses of one view: in rotation entries, and in shares of the cameras' spread
EQUAL_DIGITS = 6  # to which equal poses agree
MOST_COPIES = 4  # of one image in other formats; more images of one pose show a scene that changes
HELD_OUT = ("val", "test")


def content_keys(files: Sequence[Path], poses: np.ndarray) -> list[Hashable]:
    """Keys [N] of image files, equal for equal content; files are read only as far as needed to tell them apart.

    poses [N, 3, 4]: images of equal poses are compared by their pixels too, since one may be a copy in another format.
    """
    states = [file.stat() for file in files]
    keys: list[Hashable] = [(state.st_size,) for state in states]
    for length in (HEAD, None):
        for views in _groups(keys):
            distinct = {(states[n].st_dev, states[n].st_ino) for n in views}
            digests = {} if len(distinct) == 1 else {n: _digest(files[n], length) for n in views}
            for n in views:
                keys[n] = (keys[n], digests.get(n))
    for views in _groups(_rows_as_keys(poses.reshape(len(poses), -1))):
        if len(views) <= MOST_COPIES and len({keys[n] for n in views}) > 1:
            for n in views:
                pixels = read_picture(files[n])
                keys[n] = (pixels.shape, hashlib.sha256(pixels.data).digest())
    return keys


def without_repeats(
    splits: dict[str, list[int]], keys: Sequence[Hashable], poses: np.ndarray, names: Sequence[str]
) -> tuple[dict[str, list[int]], list[str]]:
    """Splits (name -> view indices) without duplicates, in which no train view is held out too, and notes.

    keys [N]: equal for equal images; poses [N, 3, 4]; names [N]: for the notes. An image with clearly different poses
    counts as different views, with a note.
    """
    first = _first_equal_views(keys, poses)
    held_out = {view for name in HELD_OUT for view in splits[name]}
    held_out_images = {first[view] for view in held_out}
    # A view that the data itself has in both splits is a fault, which Scene.validate reports.
    leaked = [view for view in splits["train"] if first[view] in held_out_images and view not in held_out]
    dropped = set(leaked)
    repeated: dict[int, None] = {}
    kept: dict[str, list[int]] = {}
    for name, views in splits.items():
        known: set[int] = set()
        kept[name] = []
        for view in views:
            if name == "train" and view in dropped:
                continue
            if first[view] in known:
                repeated[view] = None
                continue
            known.add(first[view])
            kept[name].append(view)
    notes = []
    if leaked:
        notes.append(f"{len(leaked)} train pictures, as {names[leaked[0]]}, are also held out: not trained on")
    if repeated:
        notes.append(f"{len(repeated)} pictures, as {names[next(iter(repeated))]}, are there twice: counted once")
    ambiguous = _view_with_several_poses(keys, first)
    if ambiguous is not None:
        notes.append(f"one picture, {names[ambiguous]}, has several poses: is it named for the right ones?")
    return kept, notes


def _first_equal_views(keys: Sequence[Hashable], poses: np.ndarray) -> list[int]:
    """The first view [N] with the same image and pose as a view, mostly itself.

    If equal images have clearly different poses, images do not tell views apart (all may be empty); then only views of
    equal poses count as equal.
    """
    first = list(range(len(keys)))
    spread = max(float(np.ptp(poses[:, :, 3], axis=0).max(initial=0)), np.finfo(np.float64).tiny)
    features = np.concatenate([poses[:, :, :3].reshape(len(poses), 9), poses[:, :, 3] / spread], axis=1)  # [N, 12]
    for views in _groups(keys):
        distances = np.linalg.norm(features[views] - features[views[0]], axis=1)
        if distances.max() <= SAME_POSE:
            groups = [views]
        else:
            groups = [[views[n] for n in group] for group in _groups(_rows_as_keys(features[views]))]
        for group in groups:
            for view in group:
                first[view] = group[0]
    return first


def _groups(keys: Sequence[Hashable]) -> list[list[int]]:
    """The views of every key that several views have."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for view, key in enumerate(keys):
        groups[key].append(view)
    return [views for views in groups.values() if len(views) > 1]


def _rows_as_keys(rows: np.ndarray) -> list[bytes]:
    """Keys of rows [N, D], equal for rows that are equal in EQUAL_DIGITS digits."""
    return [row.tobytes() for row in np.round(rows, EQUAL_DIGITS) + 0.0]  # + 0.0 turns -0.0 into 0.0


def _view_with_several_poses(keys: Sequence[Hashable], first: list[int]) -> int | None:
    """The first view whose image an earlier view has with another pose; None if there is none."""
    seen: dict[Hashable, int] = {}
    for view, key in enumerate(keys):
        if first[seen.setdefault(key, view)] != first[view]:
            return view
    return None


def _digest(file: Path, length: int | None) -> bytes:
    """The hash of the first `length` bytes of a file, or of all of it if None."""
    digest = hashlib.sha256()
    with open_regular(file) as stream:
        if length is not None:
            return hashlib.sha256(stream.read(length)).digest()
        while block := stream.read(READ_BYTES):
            digest.update(block)
    return digest.digest()
