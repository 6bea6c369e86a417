"""Pictures that a scene has twice, however its data names them: training must not see what it is tested on."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from nerfpipe.files import open_regular

HEAD = 2**16  # bytes at the beginning of a file, by which most differ
READ_BYTES = 2**20
SAME_POSE = 1e-2  # by how much two poses of one picture may differ: of a rotation's numbers, and of the cameras' spread
HELD_OUT = ("val", "test")


def content_keys(files: Sequence[Path]) -> list[Hashable]:
    """A key for each picture file, equal where content is; read no further than is needed to tell files apart."""
    states = [file.stat() for file in files]
    keys: list[Hashable] = [(state.st_size,) for state in states]
    for length in (HEAD, None):
        groups = defaultdict(list)
        for number, key in enumerate(keys):
            groups[key].append(number)
        for numbers in groups.values():
            distinct = {(states[n].st_dev, states[n].st_ino) for n in numbers}
            digests = {} if len(distinct) == 1 else {n: _digest(files[n], length) for n in numbers}
            for n in numbers:
                keys[n] = (keys[n], digests.get(n))
    return keys


def without_repeats(
    splits: dict[str, list[int]], keys: Sequence[Hashable], poses: np.ndarray, names: Sequence[str]
) -> tuple[dict[str, list[int]], list[str]]:
    """Splits in which no picture counts twice and none that is held out is trained on, and notes of what was left out.

    keys: one per view, equal where pictures are; poses [N, 3, 4]. One picture under clearly different poses is as many
    views, of which a note tells.
    """
    twin = _twins(keys, poses)
    held_out = {twin[view] for name in HELD_OUT for view in splits[name]}
    seen = [view for view in splits["train"] if twin[view] in held_out and view not in _members(splits)]
    lost, kept = set(seen), {}
    twice: list[int] = []
    for name, views in splits.items():
        known: set[int] = set()
        kept[name] = []
        for view in views:
            if name == "train" and view in lost:
                continue
            if twin[view] in known:
                twice.append(view)
                continue
            known.add(twin[view])
            kept[name].append(view)
    notes = []
    if seen:
        notes.append(f"{len(seen)} train pictures, as {names[seen[0]]}, are also held out: not trained on")
    if twice:
        notes.append(f"{len(twice)} pictures, as {names[twice[0]]}, are there twice: counted once")
    shared = _under_several_poses(keys, twin)
    if shared is not None:
        notes.append(f"one picture, {names[shared]}, has several poses: is it named for the right ones?")
    return kept, notes


def _members(splits: dict[str, list[int]]) -> set[int]:
    """Views that the data itself names in both: a fault that whoever checks splits tells of."""
    return set(splits["train"]) & {view for name in HELD_OUT for view in splits[name]}


def _twins(keys: Sequence[Hashable], poses: np.ndarray) -> list[int]:
    """For each view the first one with the same picture and pose: itself, mostly."""
    twin = list(range(len(keys)))
    groups = defaultdict(list)
    for view, key in enumerate(keys):
        groups[key].append(view)
    alike = [views for views in groups.values() if len(views) > 1]
    if not alike:
        return twin
    from scipy.spatial import cKDTree  # a while to import, and hardly ever needed

    spread = max(float(np.ptp(poses[:, :, 3], axis=0).max()), np.finfo(np.float64).tiny)
    places = np.concatenate([poses[:, :, :3].reshape(len(poses), 9), poses[:, :, 3] / spread], axis=1)  # [N, 12]
    for views in alike:
        for a, b in sorted(cKDTree(places[views]).query_pairs(SAME_POSE)):
            twin[views[b]] = twin[views[a]]
    return twin


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
