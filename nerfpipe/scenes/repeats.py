"""Pictures that a scene has twice, however its data names them: training must not see what it is tested on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from nerfpipe.runtime.files import open_regular
from nerfpipe.scenes.image_files import read_picture

HEAD = 2**16  # bytes at the beginning of a file, by which most differ
READ_BYTES = 2**20
SAME_POSE = 1e-2  # by how much two poses of one picture may differ: of a rotation's numbers, and of the cameras' spread
EQUAL_DIGITS = 6  # of poses that are one and the same
MOST_COPIES = 4  # of one picture in other formats; more pictures of one pose are of a scene that changes
HELD_OUT = ("val", "test")


def content_keys(files: Sequence[Path], poses: np.ndarray) -> list[Hashable]:
    """A key for each picture file, equal where content is; read no further than is needed to tell files apart.

    poses [N, 3, 4]: pictures of one pose are compared by their pixels, too, since one may be a copy in another format.
    """
    states = [file.stat() for file in files]
    keys: list[Hashable] = [(state.st_size,) for state in states]
    for length in (HEAD, None):
        for views in _groups(keys):
            distinct = {(states[n].st_dev, states[n].st_ino) for n in views}
            digests = {} if len(distinct) == 1 else {n: _digest(files[n], length) for n in views}
            for n in views:
                keys[n] = (keys[n], digests.get(n))
    for views in _groups([row.tobytes() for row in _rounded(poses.reshape(len(poses), -1))]):
        if len(views) <= MOST_COPIES and len({keys[n] for n in views}) > 1:
            for n in views:
                pixels = read_picture(files[n])
                keys[n] = (pixels.shape, hashlib.sha256(pixels).digest())
    return keys


def without_repeats(
    splits: dict[str, list[int]], keys: Sequence[Hashable], poses: np.ndarray, names: Sequence[str]
) -> tuple[dict[str, list[int]], list[str]]:
    """Splits in which no picture counts twice and none that is held out is trained on, and notes of what was left out.

    keys: one per view, equal where pictures are; poses [N, 3, 4]. One picture under clearly different poses is as many
    views, of which a note tells.
    """
    twin = _twins(keys, poses)
    held_out = {view for name in HELD_OUT for view in splits[name]}
    shown = {twin[view] for view in held_out}
    # A view that the data itself names in both is a fault, of which whoever checks splits tells.
    seen = [view for view in splits["train"] if twin[view] in shown and view not in held_out]
    lost = set(seen)
    twice: dict[int, None] = {}
    kept: dict[str, list[int]] = {}
    for name, views in splits.items():
        known: set[int] = set()
        kept[name] = []
        for view in views:
            if name == "train" and view in lost:
                continue
            if twin[view] in known:
                twice[view] = None
                continue
            known.add(twin[view])
            kept[name].append(view)
    notes = []
    if seen:
        notes.append(f"{len(seen)} train pictures, as {names[seen[0]]}, are also held out: not trained on")
    if twice:
        notes.append(f"{len(twice)} pictures, as {names[next(iter(twice))]}, are there twice: counted once")
    shared = _under_several_poses(keys, twin)
    if shared is not None:
        notes.append(f"one picture, {names[shared]}, has several poses: is it named for the right ones?")
    return kept, notes


def _twins(keys: Sequence[Hashable], poses: np.ndarray) -> list[int]:
    """For each view the first one with the same picture and pose: itself, mostly.

    Where equal pictures have clearly different poses, pictures do not tell views apart (all may be empty): there only
    those of one and the same pose are twins.
    """
    twin = list(range(len(keys)))
    spread = max(float(np.ptp(poses[:, :, 3], axis=0).max(initial=0)), np.finfo(np.float64).tiny)
    places = np.concatenate([poses[:, :, :3].reshape(len(poses), 9), poses[:, :, 3] / spread], axis=1)  # [N, 12]
    for views in _groups(keys):
        away = np.linalg.norm(places[views] - places[views[0]], axis=1)
        alike = [views] if away.max() <= SAME_POSE else _groups([row.tobytes() for row in _rounded(places[views])])
        for group in alike:
            members = group if group is views else [views[n] for n in group]
            for view in members:
                twin[view] = members[0]
    return twin


def _groups(keys: Sequence[Hashable]) -> list[list[int]]:
    """The views of each key that more than one has."""
    groups = defaultdict(list)
    for view, key in enumerate(keys):
        groups[key].append(view)
    return [views for views in groups.values() if len(views) > 1]


def _rounded(numbers: np.ndarray) -> np.ndarray:
    return np.round(numbers, EQUAL_DIGITS) + 0.0  # and no -0


def _under_several_poses(keys: Sequence[Hashable], twin: list[int]) -> int | None:
    first: dict[Hashable, int] = {}
    for view, key in enumerate(keys):
        if twin[first.setdefault(key, view)] != twin[view]:
            return view
    return None


def _digest(file: Path, length: int | None) -> bytes:
    digest = hashlib.sha256()
    with open_regular(file) as stream:
        if length is not None:
            return hashlib.sha256(stream.read(length)).digest()
        while block := stream.read(READ_BYTES):
            digest.update(block)
    return digest.digest()
