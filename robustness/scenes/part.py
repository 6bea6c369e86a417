"""The part `scenes`: every case of every kind, read in a process of its own and held against the undisturbed scene."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerfpipe.scenes.scene import Scene
from robustness.counts import Counts
from robustness.scenes import (
    arrays,
    commands,
    damage,
    files,
    images,
    lens_faults,
    names,
    numbers,
    paths,
    repeats,
    sizes,
    tables,
)
from robustness.scenes.judge import Case, judged
from robustness.scenes.reader import Job, Outcome, Rays, Reader
from robustness.scenes.truth import FORMS, KEYS

ROOMS = (names, tables, arrays, images, files, lens_faults, repeats, paths, numbers, sizes)


@dataclass(frozen=True)
class Written:
    """A format: the folder in which the true scene is written in it, and what reading that gives."""

    folder: Path
    rays: Rays


def fuzz_scenes(seed: int, work: Path, count: int = 6, real: int = 99) -> Counts:
    """All cases that are written out, `count` damages of every file, and `real` cases through the real commands."""
    counts = Counts("scene data")
    place = work / "scenes"
    place.mkdir(parents=True, exist_ok=True)
    with Reader(place) as reader:
        written = write_all(reader, counts, place)
        folders = {form: each.folder for form, each in written.items()}
        for room in ROOMS:
            try_cases(room.cases(), written, reader, counts, place)
        try_cases(damage.cases(folders, seed, count), written, reader, counts, place)
        sizes.grows_evenly(counts, reader, place)
        sizes.uneven_video(counts, reader, place)
    commands.try_commands(folders, counts, place, real)
    return counts


def try_cases(cases: Iterator[Case], written: dict[str, Written], reader: Reader, counts: Counts, work: Path) -> None:
    """Change a copy for each case, read it, and count what came of it."""
    for case in cases:
        counts.quiet(f"{case.form}, {case.name}", *tried(case, written[case.form], reader, work))


def tried(case: Case, sound: Written, reader: Reader, work: Path) -> tuple[str, bool]:
    """What is wrong with what came of a case, and whether its scene was taken."""
    data = work / "data"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(sound.folder, data)
    case.change(data)
    job = Job(data, {**KEYS.get(case.form, {}), **case.keys}, case.bring, case.light)
    outcome = reader.read(job)
    left = list(work.rglob(".partial-*"))
    return (f"it left {left[0].name}", False) if left else judged(case, outcome, sound.rays)


def write_all(reader: Reader, counts: Counts, work: Path) -> dict[str, Written]:
    """Every format, written and read once: that must give the true scene."""
    written = {}
    for form, write in FORMS.items():
        folder = work / form
        scene = write(folder)
        outcome = reader.read(Job(folder, KEYS.get(form, {})))
        counts.quiet(f"{form}, as it is written", true_fault(outcome, scene), taken=True)
        if outcome.rays is not None:
            written[form] = Written(folder, outcome.rays)
    return written


def true_fault(outcome: Outcome, scene: Scene) -> str:
    """How what was read differs from the scene that was written."""
    case = Case("as written", "", lambda folder: None, off=1.0)
    if outcome.rays is None:
        return judged(case, outcome, None)[0]
    camera, rays = scene.cameras[0], outcome.rays
    directions = camera.directions(camera.pixel_centres()).numpy()
    truth = replace(
        rays,
        poses=scene.poses.astype(np.float64),
        directions=[directions] * scene.views,
        colours=[scene.read_image(view) for view in range(scene.views)],
        masks=None if scene.read_mask is None else [scene.read_mask(view) for view in range(scene.views)],
        depths={view: scene.read_depth(view) for view in rays.depths},
        splits={name: numbers.tolist() for name, numbers in scene.splits.items()},
        points=scene.points,
    )
    return judged(case, outcome, truth)[0]
