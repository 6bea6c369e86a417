"""The part `scenes` of `make robustness`: a few of its cases, and that its verdicts tell right from wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nerfpipe.raybank.writer import build
from robustness.counts import Counts
from robustness.scenes import damage
from robustness.scenes.judge import EITHER, REFUSED, SAME, SOUND, TOLD, Case, judged
from robustness.scenes.part import ROOMS, try_cases, write_all
from robustness.scenes.pictures import STORED
from robustness.scenes.reader import OUTSIDE, Job, Outcome, Rays, Reader, rays_of
from robustness.scenes.truth import FORMS, pinhole, transforms

SEED = 0
EVERY = 12  # of so many cases one is tried here
REFUSAL = "raw/transforms.json: cx: lies outside"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with Reader(tmp_path_factory.mktemp("reader")) as made:
        yield made


@pytest.fixture
def truth(tmp_path: Path) -> Rays:
    scene = transforms(tmp_path / "true")
    (tmp_path / "bank").mkdir()
    scene = replace(scene, points=scene.points.astype(np.float32))
    return rays_of(scene, build(scene, tmp_path / "bank", 0.0, 0.05))


def case(must: str, says: str = "", **more: object) -> Case:
    return Case("a case", "transforms", lambda folder: None, must, says, **more)


@pytest.mark.parametrize(
    ("must", "said", "well"),
    [
        (REFUSED, REFUSAL, True),
        (TOLD, REFUSAL, True),
        (EITHER, REFUSAL, True),
        (SOUND, REFUSAL, True),
        (SAME, REFUSAL, False),
        (REFUSED, "raw/transforms.json: fl_x: too long", False),
        (REFUSED, "cx: lies outside", False),
        (REFUSED, f"{REFUSAL}\n{REFUSAL}", True),
        (REFUSED, f"{REFUSAL}\nof its picture", False),
        (REFUSED, f"{REFUSAL}{'x' * 5000}", False),
        (REFUSED, "", False),
        (REFUSED, "raw/points.ply: cx: 'Scene' object has no attribute 'vertices'", False),
    ],
)
def test_a_refusal_names_its_file_and_its_reason(must: str, said: str, well: bool, truth: Rays) -> None:
    fault, taken = judged(case(must, r"\bcx\b"), Outcome(refused=said), truth)
    assert (not fault, taken) == (well, False)


@pytest.mark.parametrize(
    ("must", "notes", "well"),
    [
        (SAME, (), False),
        (SAME, ("2 pictures were turned",), True),
        (TOLD, (), False),
        (TOLD, ("scaled",), False),
        (TOLD, ("2 pictures were turned",), True),
        (EITHER, (), True),
        (SOUND, (), True),
        (REFUSED, ("2 pictures were turned",), False),
    ],
)
def test_a_notice_is_looked_for_where_one_is_due(must: str, notes: tuple[str, ...], well: bool, truth: Rays) -> None:
    fault, taken = judged(case(must, "turned"), Outcome(rays=replace(truth, notes=notes)), truth)
    assert (not fault, taken) == (well, True)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(raised="ValueError: x"),
        Outcome(refused=REFUSAL, deeds=("it started 'gs'",)),
        Outcome(refused=REFUSAL, megabytes=4000.0),
        Outcome(refused=REFUSAL, warned="RuntimeWarning: overflow"),
    ],
    ids=["raised", "a program", "memory", "a warning"],
)
def test_what_is_refused_well_may_still_have_gone_wrong(outcome: Outcome, truth: Rays) -> None:
    assert judged(case(REFUSED, "cx"), outcome, truth)[0]


def change_pose(rays: Rays) -> Rays:
    poses = rays.poses.copy()
    poses[3, 0, 3] += 0.1
    return replace(rays, poses=poses)


CHANGES: dict[str, Callable[[Rays], Rays]] = {
    "pose": change_pose,
    "turned": lambda rays: replace(rays, colours=[STORED[3](picture) for picture in rays.colours]),
    "order": lambda rays: replace(rays, colours=rays.colours[::-1]),
    "shape": lambda rays: replace(rays, colours=[STORED[6](picture) for picture in rays.colours]),
    "rays": lambda rays: replace(rays, directions=[each[::-1] for each in rays.directions]),
    "views": lambda rays: replace(rays, poses=rays.poses[:-1]),
    "splits": lambda rays: replace(rays, splits={**rays.splits, "test": [1]}),
    "masks": lambda rays: replace(rays, masks=None),
    "other masks": lambda rays: replace(rays, masks=[~mask for mask in rays.masks]),
    "depth": lambda rays: replace(rays, depths={view: depth * 1.1 for view, depth in rays.depths.items()}),
    "no depth": lambda rays: replace(rays, depths={}),
    "points": lambda rays: replace(rays, points=rays.points[1:]),
    "near": lambda rays: replace(rays, near=rays.near + 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_scene_that_was_read_otherwise_is_not_the_same(name: str, truth: Rays) -> None:
    assert judged(case(SAME), Outcome(rays=truth), truth) == ("", True)
    assert judged(case(SAME), Outcome(rays=CHANGES[name](truth)), truth)[0]
    assert judged(case(EITHER), Outcome(rays=CHANGES[name](truth)), truth)[0]


UNSOUND: dict[str, Callable[[Rays], Rays]] = {
    "NaN": lambda rays: replace(rays, poses=rays.poses * np.nan),
    "outside": lambda rays: replace(rays, cameras=[{**each, "cy": -50.0} for each in rays.cameras]),
    "angle": lambda rays: replace(rays, cameras=[{**each, "fx": 0.01} for each in rays.cameras]),
    "depth": lambda rays: replace(rays, depths={0: -np.ones((2, 2))}),
    "twice": lambda rays: replace(rays, splits={**rays.splits, "train": [1, 1]}),
    "leaked": lambda rays: replace(rays, splits={**rays.splits, "train": [0, 1]}),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_what_can_be_no_scene_is_not_sound(name: str, truth: Rays) -> None:
    assert judged(case(SOUND), Outcome(rays=UNSOUND[name](truth)), truth)[0]


def sleeps() -> None:
    import time

    time.sleep(60)


def dies() -> None:
    import os

    os._exit(7)


def misbehaves(place: str) -> None:
    import subprocess

    subprocess.run(["true"], check=True)
    Path(place).read_bytes()


def takes_memory() -> None:
    np.ones(2**27)  # a gigabyte


def test_a_case_that_hangs_dies_or_misbehaves_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Reader
) -> None:
    outside = tmp_path / OUTSIDE
    outside.write_text("secret")
    assert reader.call(misbehaves, str(outside)).deeds == ("it started 'true'", f"it opened {outside}")
    assert reader.call(takes_memory).megabytes > 500
    assert "died" in reader.call(dies).raised
    monkeypatch.setattr("robustness.scenes.reader.PATIENCE_SECONDS", 0.5)
    assert "not ended" in reader.call(sleeps).raised
    monkeypatch.undo()
    pinhole(tmp_path / "scene")
    assert reader.read(Job(tmp_path / "scene")).rays is not None


def some(tmp_path: Path, reader: Reader, room: str) -> Counts:
    counts = Counts("scene data")
    written = write_all(reader, counts, tmp_path)
    assert list(written) == list(FORMS)
    folders = {form: each.folder for form, each in written.items()}
    rooms = {each.__name__.split(".")[-1]: each.cases for each in ROOMS} | {
        "damage": lambda: damage.cases(folders, SEED, 3)
    }
    try_cases(iter(list(rooms[room]())[::EVERY]), written, reader, counts, tmp_path)
    return counts


@pytest.mark.parametrize("room", [each.__name__.split(".")[-1] for each in ROOMS] + ["damage"])
def test_scenes_of_strangers_are_taken_as_they_must_be(room: str, tmp_path: Path, reader: Reader) -> None:
    counts = some(tmp_path, reader, room)
    assert counts.faults == []
    assert counts.tried > len(FORMS)
