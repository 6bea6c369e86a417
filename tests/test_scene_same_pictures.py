"""Views with the same picture and pose, and their effect on the splits."""

from __future__ import annotations

import math

import numpy as np

from nerfpipe.scenes.repeats import SAME_POSE, without_repeats


def on_a_circle(count: int) -> np.ndarray:
    """Cameras [N, 3, 4] that look at the origin."""
    poses = []
    for view in range(count):
        c, s = math.cos(2 * math.pi * view / count), math.sin(2 * math.pi * view / count)
        poses.append([[c, 0, s, 3 * s], [0, 1, 0, 0], [-s, 0, c, 3 * c]])
    return np.array(poses)


def cleaned(poses: np.ndarray, keys: list[object]) -> tuple[dict[str, list[int]], list[str]]:
    held_out = list(range(0, len(poses), 8))
    splits = {"train": [view for view in range(len(poses)) if view % 8], "val": held_out, "test": held_out}
    return without_repeats(splits, keys, poses, [f"{view}.png" for view in range(len(poses))])


def test_one_picture_all_around_is_as_many_views_however_near_they_are() -> None:
    """As of a wall of one colour: views next to each other are alike, and those far apart are too."""
    count = 4000
    splits, notes = cleaned(on_a_circle(count), ["white"] * count)
    assert [len(splits[name]) for name in ("train", "val", "test")] == [3500, 500, 500]
    assert notes == ["one picture, 1.png, has several poses: is it named for the right ones?"]


def test_one_picture_from_one_place_is_one_view_however_often_it_is_named() -> None:
    count = 20_000
    poses = np.concatenate([np.repeat(on_a_circle(8)[:1], count, axis=0), on_a_circle(8)])
    splits, notes = cleaned(poses, ["same"] * count + list(range(8)))
    assert splits["val"] == [0, count]
    assert splits["train"] == list(range(count + 1, count + 8))
    assert any("are also held out: not trained on" in note for note in notes)


def test_two_copies_whose_poses_were_rounded_are_one_view() -> None:
    poses = on_a_circle(16)
    poses[3] = np.round(poses[2], 4)
    poses[5] = poses[4]
    poses[5, 0, 3] += 3 * SAME_POSE * np.ptp(poses[:, :, 3], axis=0).max()
    keys: list[object] = list(range(16))
    keys[3], keys[5] = keys[2], keys[4]
    splits, notes = cleaned(poses, keys)
    assert {2, 3} & set(splits["train"]) == {2}
    assert {4, 5} <= set(splits["train"])
    assert "1 pictures, as 3.png, are there twice: counted once" in notes
