"""What must come of a case, and what is wrong with what came of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robustness.scenes.reader import Outcome, Rays

SAME = "same"  # taken, as the undisturbed scene; with `says`, and a notice
REFUSED = "refused"  # in one line
TOLD = "told"  # refused in one line, or taken with a notice
EITHER = "either"  # refused in one line, or taken as the undisturbed scene
SOUND = "sound"  # refused in one line, or taken as some scene that may be one
MOST_MEGABYTES = 250  # by which memory may grow in reading a scene of a few small pictures
MOST_LINES = 3  # one for each fault of one file
LONGEST_LINE = 2000  # characters: a report is to be read
NAMES_ITS_FILE = re.compile(r"\S*/[^:]+: |scene stranger: |data/scenes.yaml: ")
PYTHON = re.compile(
    r"object (has no|is not|of type)|NoneType|unsupported operand|numpy\.|list index|not subscriptable|0x[0-9a-f]{8}"
)
FAR = 1e-3  # of the cameras' distance: poses that differ by more are others
ASIDE = 1e-3  # of unit directions, a thirtieth of a pixel here
NEAR, DEPTH = 1e-2, 5e-3  # shares by which near and depths may differ
WIDEST, NARROWEST = 170.0, 0.2  # degrees of view that a perspective lens may have


@dataclass(frozen=True)
class Case:
    """One way to change a scene that was written in a format, and what must come of it."""

    name: str
    form: str
    change: Callable[[Path], object]  # of the folder
    must: str = SAME
    says: str = ""  # what the refusal or one of the notices must match
    keys: dict[str, Any] = field(default_factory=dict)  # of the scene's entry
    pixels: Callable[[np.ndarray], np.ndarray] = lambda picture: picture  # what becomes of the undisturbed [H, W, 4]
    off: float = 0.5  # of 255, by which pixels may differ in the mean
    views: tuple[int, ...] | None = None  # the undisturbed views that are left, and splits with them
    bring: bool = True
    light: bool = False  # its pixels are written, and not read back
    most_megabytes: float = MOST_MEGABYTES
    also: Callable[[Rays], str] = lambda rays: ""  # what is wrong with what was taken, beyond this


def judged(case: Case, outcome: Outcome, truth: Rays) -> tuple[str, bool]:
    """What is wrong with what came of a case, empty when nothing is; and whether the scene was taken."""
    faults = [outcome.raised, *outcome.deeds[:1], outcome.warned and f"on the terminal: {outcome.warned}"]
    if outcome.megabytes > case.most_megabytes:
        faults.append(f"it took {outcome.megabytes:.0f} MB")
    if any(faults):
        return "; ".join(filter(None, faults)), False
    if outcome.refused is not None:
        return refusal_fault(case, outcome.refused), False
    return taken_fault(case, outcome.rays, truth), True


def refusal_fault(case: Case, said: str) -> str:
    lines = said.splitlines()
    if not 1 <= len(lines) <= MOST_LINES or len(said) > LONGEST_LINE:
        return f"refused in {len(lines)} lines, {len(said)} characters: {said[:200]!r}"
    if PYTHON.search(said):
        return f"refused in Python's words: {said}"
    if case.must == SAME:
        return f"refused: {said}"
    if case.must in (REFUSED, TOLD) and not re.search(case.says, said, re.IGNORECASE):
        return f"refused for another reason: {said}"
    nameless = [line for line in lines if not NAMES_ITS_FILE.match(line)]
    return f"refused without naming a file: {nameless[0]}" if nameless else ""


def taken_fault(case: Case, rays: Rays, truth: Rays) -> str:
    """What is wrong with a scene that was taken."""
    if case.must == REFUSED:
        return f"taken, with notices {list(rays.notes)}; it must be refused"
    noted = case.says and any(re.search(case.says, note, re.IGNORECASE) for note in rays.notes)
    if case.must == TOLD and not noted:
        return f"taken without a word of it: {list(rays.notes)}{_aside(differences(case, rays, truth))}"
    if case.must in (SAME, EITHER) and (fault := differences(case, rays, truth)):
        return fault
    if case.must == SAME and case.says and not noted:
        return f"no notice matches {case.says!r}: {list(rays.notes)}"
    return unsound(rays) or case.also(rays)


def _aside(difference: str) -> str:
    return f"; {difference}" if difference else ""


def differences(case: Case, rays: Rays, truth: Rays) -> str:
    """How what was read differs from the undisturbed scene."""
    left = range(len(truth.poses)) if case.views is None else case.views
    if len(rays.poses) != len(left):
        return f"{len(rays.poses)} views, not {len(left)}"
    whole = case.views is None
    if whole and rays.splits != truth.splits:
        return f"other splits: {rays.splits}"
    size = float(np.ptp(truth.poses[:, :, 3], axis=0).max())
    pairs = list(enumerate(left))
    if wrong := [theirs for mine, theirs in pairs if not _alike(rays.poses[mine], truth.poses[theirs], FAR * size)]:
        return f"other poses of {len(wrong)} views, as view {wrong[0]}"
    for mine, theirs in pairs if rays.directions else []:
        if not _alike(rays.directions[mine], truth.directions[theirs], ASIDE):
            return f"other rays of view {theirs}"
        expected = case.pixels(truth.colours[theirs])
        if rays.colours[mine].shape != expected.shape:
            return f"pictures of {rays.colours[mine].shape}, not {expected.shape}"
        off = float(np.abs(rays.colours[mine].astype(float) - expected).mean())
        if off > case.off:
            return f"other pixels in view {theirs}, by {off:.1f} of 255"
    return _other_differences(rays, truth) if whole and rays.directions else ""


def _other_differences(rays: Rays, truth: Rays) -> str:
    if (rays.masks is None) != (truth.masks is None):
        return f"masks were {'not ' if rays.masks is None else ''}read"
    if rays.masks and any((a != b).any() for a, b in zip(rays.masks, truth.masks, strict=True)):
        return "other masks"
    if rays.depths.keys() != truth.depths.keys():
        return f"depth of views {sorted(rays.depths)}, not of {sorted(truth.depths)}"
    for view, depth in truth.depths.items():
        if not np.allclose(rays.depths[view], depth, rtol=DEPTH, equal_nan=True):
            return f"another depth of view {view}"
    counts = [0 if each.points is None else len(each.points) for each in (rays, truth)]
    if counts[0] != counts[1] or (counts[0] and not _alike(rays.points, truth.points, FAR)):
        return f"{counts[0]} points, not the same {counts[1]}"
    if rays.kind != truth.kind or not np.allclose(rays.bounds, truth.bounds, rtol=NEAR, atol=NEAR):
        return f"another space: {rays.kind}, {rays.bounds.tolist()}"
    return "" if math.isclose(rays.near, truth.near, rel_tol=NEAR, abs_tol=FAR) else f"near at {rays.near:.4g}"


def _alike(mine: np.ndarray, theirs: np.ndarray, off: float) -> bool:
    return mine.shape == theirs.shape and bool(np.abs(mine - theirs).max(initial=0) <= off)


def unsound(rays: Rays) -> str:
    """Why this can be no scene, or none that may be learned from; empty when it may."""
    numbers = [rays.poses, rays.bounds, np.array(rays.near), *rays.directions]
    if not all(np.isfinite(each).all() for each in numbers):
        return "NaN or infinity in what was taken"
    for camera in rays.cameras:
        inside = 0 < camera["cx"] < camera["width"] and 0 < camera["cy"] < camera["height"]
        if not inside:
            return f"a principal point outside the picture: {camera}"
        angles = [
            2 * math.degrees(math.atan(side / 2 / focal))
            for side, focal in ((camera["width"], camera["fx"]), (camera["height"], camera["fy"]))
        ]
        if camera["lens"] == "perspective" and not NARROWEST < min(angles) <= max(angles) < WIDEST:
            return f"a lens of {angles[0]:.3g} by {angles[1]:.3g} degrees"
    for depth in rays.depths.values():
        if (depth <= 0).any():
            return "depth below zero"
    return shared_pictures(rays) if rays.colours else ""


def shared_pictures(rays: Rays) -> str:
    """Whether a picture is learned from and tested on, or is in one split twice: by pixels and pose, not by name."""
    key = [(rays.colours[view].tobytes(), rays.poses[view].round(5).tobytes()) for view in range(len(rays.colours))]
    splits = {name: [key[view] for view in views] for name, views in rays.splits.items()}
    for name, keys in splits.items():
        if len(set(keys)) < len(keys):
            return f"a picture is in {name} twice"
        if name != "train" and set(keys) & set(splits["train"]):
            return f"a picture is in train and in {name}"
    return ""
