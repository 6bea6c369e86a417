"""The built-in scene: distances, tracing, drawing, and what is on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from camera_points import to_world, unproject
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nerfpipe.geometry.cameras import Camera, look_at, to_camera
from nerfpipe.procedural import generate as making
from nerfpipe.procedural import layout, robot_arm, sdf
from nerfpipe.procedural.drawing import draw
from nerfpipe.procedural.shading import linear, to_srgb
from nerfpipe.procedural.solids import Part, Solid, Surface, occluded, openness, trace
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.formats import procedural
from nerfpipe.scenes.scene import Scene

ORIGIN = (0.0, 0.0, 0.0)
SIZES = {"train": 3, "val": 1, "test": 1}
DIAGONAL = math.sqrt(2)


def grey(points: Tensor) -> Tensor:
    return torch.full_like(points, 0.5)


def ball(position: tuple[float, float, float], radius: float = 0.5) -> Solid:
    part = Part(partial(sdf.sphere, centre=ORIGIN, radius=radius), Surface(grey), 1)
    return Solid((part,), (-radius,) * 3, (radius,) * 3, position)


# Shapes, a point, and the distance worked out by hand.
HAND_COMPUTED: list[tuple[str, Callable[[Tensor], Tensor], tuple[float, float, float], float]] = [
    ("sphere outside", partial(sdf.sphere, centre=(1.0, 0.0, 0.0), radius=0.5), (1.0, 0.0, 2.0), 1.5),
    ("sphere inside", partial(sdf.sphere, centre=ORIGIN, radius=0.5), (0.2, 0.0, 0.0), -0.3),
    ("box face", partial(sdf.box, centre=ORIGIN, half=(1.0, 2.0, 3.0)), (2.5, 0.0, 0.0), 1.5),
    ("box edge", partial(sdf.box, centre=ORIGIN, half=(1.0, 2.0, 3.0)), (2.0, 3.0, 0.0), DIAGONAL),
    ("box inside", partial(sdf.box, centre=ORIGIN, half=(1.0, 2.0, 3.0)), (0.25, 0.0, 0.0), -0.75),
    ("rounded box face", partial(sdf.box, centre=ORIGIN, half=(1.0, 1.0, 1.0), rounding=0.5), (2.0, 0.0, 0.0), 1.0),
    (
        "rounded box edge",
        partial(sdf.box, centre=ORIGIN, half=(1.0, 1.0, 1.0), rounding=0.5),
        (1.5, 1.5, 0.0),
        DIAGONAL - 0.5,
    ),
    ("cylinder side", partial(sdf.cylinder, centre=ORIGIN, axis=2, radius=1.0, half_length=2.0), (3.0, 0.0, 0.0), 2.0),
    ("cylinder end", partial(sdf.cylinder, centre=ORIGIN, axis=1, radius=1.0, half_length=2.0), (0.0, 3.0, 0.0), 1.0),
    (
        "cylinder rim",
        partial(sdf.cylinder, centre=ORIGIN, axis=0, radius=1.0, half_length=2.0),
        (3.0, 2.0, 0.0),
        DIAGONAL,
    ),
    (
        "cylinder inside",
        partial(sdf.cylinder, centre=ORIGIN, axis=2, radius=1.0, half_length=2.0),
        (0.0, 0.6, 0.0),
        -0.4,
    ),
    ("torus hole", partial(sdf.torus, centre=ORIGIN, axis=2, major=1.0, minor=0.25), ORIGIN, 0.75),
    ("torus tube", partial(sdf.torus, centre=ORIGIN, axis=1, major=1.0, minor=0.25), (0.0, 0.0, 1.1), -0.15),
    ("capsule side", partial(sdf.capsule, start=ORIGIN, end=(2.0, 0.0, 0.0), radius=0.5), (1.0, 0.0, 2.0), 1.5),
    ("capsule end", partial(sdf.capsule, start=ORIGIN, end=(2.0, 0.0, 0.0), radius=0.5), (5.0, 4.0, 0.0), 4.5),
    (
        "cone ball",
        partial(sdf.round_cone, start=ORIGIN, end=(0.0, 0.0, 2.0), start_radius=0.6, end_radius=0.2),
        (0.0, 0.0, 3.0),
        0.8,
    ),
    (
        "cone side",  # the slanted side leans by 0.6 / 1: straight out from the first ball's centre, along (0.8, 0.6)
        partial(sdf.round_cone, start=ORIGIN, end=(0.0, 0.0, 1.0), start_radius=0.7, end_radius=0.1),
        (2 * 0.8, 0.0, 2 * 0.6),
        2 - 0.7,
    ),
]


@pytest.mark.parametrize(
    ("shape", "point", "expected"), [case[1:] for case in HAND_COMPUTED], ids=[c[0] for c in HAND_COMPUTED]
)
def test_primitives_against_distances_worked_out_by_hand(shape, point, expected):
    assert shape(torch.tensor([point])).item() == pytest.approx(expected, abs=1e-5)


def test_operations_on_distances():
    a, b = torch.tensor([1.0, 0.2, -0.5]), torch.tensor([0.5, 0.2, 2.0])
    assert sdf.union([a, b]).tolist() == pytest.approx([0.5, 0.2, -0.5])
    nearest, index = sdf.union_with_index([a, b])
    assert nearest.tolist() == pytest.approx([0.5, 0.2, -0.5])
    assert index.tolist() == [1, 0, 0]
    assert sdf.subtract(a, b).tolist() == pytest.approx([1.0, 0.2, -0.5])
    assert sdf.subtract(torch.tensor([-1.0]), torch.tensor([-0.3])).item() == pytest.approx(0.3)
    # equal distances are where the crease is filled most, by a quarter of the blend
    assert sdf.smooth_union(a, b, 0.4).tolist() == pytest.approx([0.5, 0.1, -0.5])


coordinate = st.floats(-2, 2, width=32)
point = st.tuples(coordinate, coordinate, coordinate)
SHAPES = [*(case[1] for case in HAND_COMPUTED), *(solid.distance for solid in robot_arm.solids())]


@settings(max_examples=60, deadline=None)
@given(a=point, b=point)
def test_no_distance_changes_faster_than_its_point_moves(a, b):
    """What makes it safe to step by it: a ray can not jump over a surface."""
    pair = torch.tensor([a, b])
    for shape in SHAPES:
        first, second = shape(pair).tolist()
        assert abs(first - second) <= math.dist(a, b) + 1e-5


@settings(max_examples=60, deadline=None)
@given(
    centre=point,
    radius=st.floats(0.2, 1.0),
    azimuth=st.floats(0, 6.28),
    height=st.floats(-0.99, 0.99),
    aim=st.floats(0, 0.9),
)
def test_tracing_meets_a_ball_where_algebra_does(centre, radius, azimuth, height, aim):
    across = math.sqrt(1 - height * height)
    away = torch.tensor([across * math.cos(azimuth), across * math.sin(azimuth), height])
    side = torch.linalg.cross(away, torch.tensor([0.0, 0.0, 1.0]))
    centre_point = torch.tensor(centre)
    origin = centre_point + 4 * away
    target = centre_point + aim * radius * side / side.norm()  # the ray passes the centre at nearly this distance
    direction = (target - origin) / (target - origin).norm()
    closest = -torch.dot(origin - centre_point, direction)
    passing = ((origin - centre_point) + closest * direction).norm()
    expected = closest - (radius**2 - passing**2).sqrt()
    shape = partial(sdf.sphere, centre=centre, radius=radius)
    t = sdf.sphere_trace(shape, origin[None], direction[None], torch.zeros(1), torch.full((1,), 10.0))
    grazing = math.sqrt(1 - 0.9**2)
    assert t.item() == pytest.approx(expected.item(), abs=2 * sdf.SURFACE / grazing)
    met = origin + t * direction
    normal = sdf.normals(shape, met[None])[0]
    torch.testing.assert_close(normal, (met - centre_point) / (met - centre_point).norm(), atol=5e-3, rtol=0)


def test_tracing_finds_the_nearest_solid_and_misses_what_is_beside_or_behind():
    solids = (ball((0.0, 0.0, -3.0)), ball((0.0, 0.0, 3.0)), ball((0.0, 0.0, 5.0)))
    origins = torch.zeros(3, 3)
    directions = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    hits = trace(solids, origins, directions)
    assert hits.solid.tolist() == [1, 0, -1]
    assert hits.t[:2].tolist() == pytest.approx([2.5, 2.5], abs=1e-3)
    assert hits.t[2] == math.inf
    assert occluded(solids, origins, directions).tolist() == [True, True, False]


def test_a_turned_solid_is_met_where_it_was_turned_to():
    bar = Part(partial(sdf.box, centre=ORIGIN, half=(1.0, 0.1, 0.1)), Surface(grey), 1)
    solid = Solid((bar,), (-1.0, -0.1, -0.1), (1.0, 0.1, 0.1), position=(5.0, 0.0, 0.0), yaw=math.pi / 2)
    hits = trace((solid,), torch.tensor([[5.0, -4.0, 0.0], [0.0, 0.0, 0.0]]), torch.tensor([[0.0, 1, 0], [1.0, 0, 0]]))
    assert hits.t.tolist() == pytest.approx([3.0, 4.9], abs=1e-3)
    torch.testing.assert_close(
        solid.directions_to_world(solid.directions_to_local(torch.eye(3))), torch.eye(3), atol=1e-6, rtol=0
    )


def test_space_over_a_surface_is_less_open_beside_a_neighbour():
    floor = Part(partial(sdf.box, centre=ORIGIN, half=(2.0, 2.0, 0.1)), Surface(grey), 1)
    solids = (Solid((floor,), (-2.0, -2.0, -0.1), (2.0, 2.0, 0.1)), ball((0.0, 0.0, 0.7)))
    points = torch.tensor([[1.8, 0.0, 0.1], [0.0, 0.0, 0.1]])
    free, covered = openness(solids, points, torch.tensor([[0.0, 0.0, 1.0]] * 2), (0.05, 0.1)).tolist()
    assert free == pytest.approx(1.0, abs=1e-4)
    assert covered == pytest.approx((0.05 / 0.05 + 0.0 / 0.1) / 2, abs=1e-3)


def test_colours_keep_to_their_range_and_order():
    assert linear("#ff0080") == pytest.approx((1.0, 0.0, 0.2158605), abs=1e-6)
    shown = to_srgb(torch.linspace(0, 50, 1000))
    assert shown.min() >= 0
    assert shown.max() <= 1
    assert (shown.diff() >= -1e-6).all()


@pytest.mark.parametrize("solid", robot_arm.solids())
def test_solids_stay_inside_their_boxes_and_the_bounds(solid: Solid):
    low, high = torch.tensor(solid.low), torch.tensor(solid.high)
    steps = torch.linspace(-0.25, 1.25, 28)
    points = torch.cartesian_prod(steps, steps, steps) * (high - low) + low  # a grid that overhangs the box
    outside = ((points < low - 1e-6) | (points > high + 1e-6)).any(dim=1)
    assert (solid.distance(points[outside]) > -1e-6).all()
    inside = points[solid.distance(points) <= 0]
    assert len(inside)
    world = solid.directions_to_world(inside) + torch.tensor(solid.position)
    bounds = torch.tensor(robot_arm.BOUNDS)
    assert ((world >= bounds[0]) & (world <= bounds[1])).all()


@settings(max_examples=40, deadline=None)
@given(train=st.integers(1, 60), val=st.integers(1, 30), test=st.integers(1, 30))
def test_every_position_on_the_spiral_goes_to_one_split(train, val, test):
    positions = making.positions_by_split({"train": train, "val": val, "test": test})
    assert [len(positions[name]) for name in ("train", "val", "test")] == [train, val, test]
    assert sorted(position for split in positions.values() for position in split) == list(range(train + val + test))


def test_held_out_views_stand_all_around_with_train_views_near():
    positions = making.positions_by_split({"train": 100, "val": 10, "test": 20})
    offsets = making.camera_poses(130)[:, :, 3] - torch.tensor(robot_arm.CENTRE)
    offsets = offsets / offsets.norm(dim=1, keepdim=True)
    for name in ("val", "test"):
        held = offsets[positions[name]]
        azimuths = torch.rad2deg(torch.atan2(held[:, 1], held[:, 0])).sort().values
        gaps = torch.cat([azimuths.diff(), azimuths[:1] + 360 - azimuths[-1:]])
        assert gaps.max() < 3 * 360 / len(held)
        assert held[:, 2].max() - held[:, 2].min() > 0.6
        nearest = torch.rad2deg(torch.acos((held @ offsets[positions["train"]].T).max(dim=1).values))
        assert nearest.max() < 15


def test_cameras_stand_apart_above_the_table_and_see_all_of_it():
    poses = making.camera_poses(130)
    offsets = (poses[:, :, 3] - torch.tensor(robot_arm.CENTRE)) / making.RADIUS
    elevations = torch.rad2deg(torch.asin(offsets[:, 2]))
    assert 8 <= elevations.min() < 10
    assert 70 < elevations.max() <= 75
    cosines = (offsets @ offsets.T).fill_diagonal_(-1)
    assert torch.rad2deg(torch.acos(cosines.max())) > 5  # no near duplicates
    camera = Camera.centred(100, 100, making.FOCAL * 100)
    turns = torch.linspace(0, 2 * math.pi, 60)
    r = robot_arm.TABLE_RADIUS
    rim = torch.stack([r * turns.cos(), r * turns.sin(), torch.full_like(turns, -robot_arm.TABLE_THICKNESS / 2)]).T
    for pose in poses:
        pixels, _ = camera.project(to_camera(pose, rim))
        assert ((pixels > 0) & (pixels < 100)).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    making.generate(folder, 16, SIZES)
    return folder


@pytest.fixture(scope="module")
def moderate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moderate")
    making.generate(folder, 64, {"train": 5, "val": 1, "test": 2})
    return folder


@pytest.fixture(scope="module")
def scene(moderate: Path) -> Scene:
    return procedural.load(moderate, "robot-arm", "white")


def test_what_was_generated_is_loaded(folder):
    scene = procedural.load(folder, "robot-arm", "white")
    assert (scene.name, scene.background, scene.has_alpha, scene.views) == ("robot-arm", "white", True, 5)
    assert {name: views.tolist() for name, views in scene.splits.items()} == {
        "train": [0, 1, 2],
        "val": [3],
        "test": [4],
    }
    assert scene.bounds.tolist() == np.float32(robot_arm.BOUNDS).tolist()
    assert tuple(json.loads((folder / layout.DESCRIPTION).read_text())["labels"]) == robot_arm.LABELS
    assert scene.camera(4) == Camera.centred(16, 16, making.FOCAL * 16)
    assert scene.poses.dtype == np.float32
    positions = making.positions_by_split(SIZES)
    expected = making.camera_poses(5)[positions["train"] + positions["val"] + positions["test"]]
    assert np.array_equal(scene.poses, expected.numpy())
    stored = np.load(folder / layout.IMAGES)
    for view in range(5):
        assert np.array_equal(scene.read_image(view), stored[view])
        assert scene.read_depth(view).shape == (16, 16)
    assert np.load(folder / layout.LABELS).shape == (5, 16, 16)
    assert len({scene.read_image(view).tobytes() for view in range(5)}) == 5
    assert scene.read_image(0).flags.writeable  # a copy, not the file


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bytes_come_out_every_time(folder, tmp_path, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        making.generate(tmp_path, 16, SIZES)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["depth.npy", "images.npy", "labels.npy", "scene.json"]
    assert all((tmp_path / name).read_bytes() == (folder / name).read_bytes() for name in names)


def test_every_label_appears_and_agrees_with_depth_and_alpha(scene, moderate):
    all_labels = np.load(moderate / layout.LABELS)
    seen, covered, labelled = set(), 0, 0
    for view in range(scene.views):
        alpha, depth, labels = scene.read_image(view)[..., 3], scene.read_depth(view), all_labels[view]
        assert np.array_equal(np.isfinite(depth), labels > 0)
        assert (alpha[labels > 0] > 0).all()  # the ray through the centre is one of the pixel's
        assert (alpha[labels == 0] < 255).all()
        covered, labelled = covered + (alpha[labels > 0] == 255).sum(), labelled + (labels > 0).sum()
        corner = alpha[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert (corner == 0).all()
        seen |= set(np.unique(labels).tolist())
    assert seen == set(range(len(robot_arm.LABELS)))
    assert covered > 0.85 * labelled  # most pixels are whole; edges are not


def test_alpha_is_straight():
    """A pixel half on a board has the board's colour, not one mixed with black or white."""
    board = Part(partial(sdf.box, centre=ORIGIN, half=(1.0, 1.0, 0.1)), Surface(grey, specular=0.0), 1)
    low, high = (-1.0, -1.0, -0.1), (1.0, 1.0, 0.1)
    pose = look_at(torch.tensor([0.0, 0.0, 5.0]), torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))
    drawn = draw((Solid((board,), low, high),), (low, high), Camera.centred(21, 21, 40.0), pose[None])
    image, _, labels = (array[0] for array in drawn)
    whole, part = image[image[..., 3] == 255], image[(image[..., 3] > 0) & (image[..., 3] < 255)]
    assert len(whole) > 100
    assert len(part) > 30
    assert {image[10, 10, 3], image[0, 0, 3]} == {255, 0}
    shade = whole[:, :3].mean(axis=0)
    assert 80 < shade.min() < 240  # neither black nor white, or there would be nothing to see
    assert np.abs(part[:, :3] - shade).max() < 6
    # 2 units across at 4.9 from the camera cover this many pixels: 40 / 4.9 * 2 along each side
    assert image[..., 3].sum() / 255 == pytest.approx((40 / 4.9 * 2) ** 2, rel=0.03)
    assert image[labels > 0][:, 3].min() > 110  # at a corner the centre's ray and three more of nine
    assert image[labels == 0][:, 3].max() < 145


def test_depth_leads_to_the_surface(scene):
    """Distance along the unit ray through the pixel's centre: half a pixel beside it would end off the surface."""
    camera, solids = scene.camera(0), robot_arm.solids()
    for view in range(scene.views):
        t = torch.from_numpy(scene.read_depth(view)).flatten()
        met = t.isfinite()
        points = unproject(camera, camera.pixel_centres()[met], t[met])
        points = to_world(torch.from_numpy(scene.poses[view]), points)
        gaps = sdf.union([solid.distance(solid.to_local(points)) for solid in solids])
        assert gaps.abs().max() < 2 * sdf.LEAST_STEP


def test_depth_agrees_between_views(scene):
    """A point that view A sees is seen by view B too, or hidden from it."""
    camera = scene.camera(0)
    shown = agreed = floating = wrong_pose = 0
    for a in range(scene.views):
        b, c = (a + 1) % scene.views, (a + 2) % scene.views
        t = torch.from_numpy(scene.read_depth(a)).flatten()
        met = t.isfinite()
        pose_a, pose_b, pose_c = (torch.from_numpy(scene.poses[view]) for view in (a, b, c))
        points = to_world(pose_a, unproject(camera, camera.pixel_centres()[met], t[met]))
        expected, nearest, farthest = _expected_and_seen(scene, b, pose_b, points)
        shown += len(expected)
        agreed += int(((expected > nearest - 0.02) & (expected < farthest + 0.02)).sum())
        floating += int((expected < nearest - 0.02).sum())
        expected, nearest, farthest = _expected_and_seen(scene, b, pose_c, points)
        wrong_pose += int(((expected > nearest - 0.02) & (expected < farthest + 0.02)).sum())
    assert agreed > 0.5 * shown  # the others are hidden from B
    assert floating < 0.01 * shown
    assert wrong_pose < 0.6 * agreed


def _expected_and_seen(scene: Scene, view: int, pose: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For the points [P, 3] that a camera at `pose` would show: their distance to it, and the least and greatest
    distance in the pixel of the view's picture and those around it (a slanted surface spans several). [K] each.
    """
    camera = scene.camera(view)
    depth = torch.from_numpy(scene.read_depth(view))[None]
    nearest = -torch.nn.functional.max_pool2d(-depth, 3, stride=1, padding=1)[0]
    farthest = torch.nn.functional.max_pool2d(depth, 3, stride=1, padding=1)[0]
    pixels, t = camera.project(to_camera(pose, points))
    columns, rows = pixels.floor().long().T
    inside = (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    columns, rows = columns[inside], rows[inside]
    return t[inside], nearest[rows, columns], farthest[rows, columns]


@pytest.fixture
def spoilt(folder, tmp_path) -> Path:
    """A copy to spoil."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def faults(folder: Path) -> str:
    with pytest.raises(NerfpipeError) as raised:
        procedural.load(folder, "robot-arm", "white")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", ["images.npy", "depth.npy", "labels.npy", "scene.json"])
def test_missing_and_truncated_files_are_named(spoilt, name):
    path = spoilt / name
    whole = path.read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:length])
        assert str(path) in faults(spoilt)
    path.unlink()
    assert f"{path}: missing" in faults(spoilt)


@pytest.mark.parametrize(
    "array",
    [np.zeros((5, 16, 17), np.float32), np.zeros((5, 16, 16), np.float64), np.zeros(3, np.float32), np.float32(1)],
)
def test_arrays_of_another_shape_or_type_are_named(spoilt, array):
    np.save(spoilt / "depth.npy", array)
    assert "5 x 16 x 16" in faults(spoilt)


def test_archives_and_pickles_are_refused(spoilt):
    with open(spoilt / "labels.npy", "wb") as file:
        np.savez(file, labels=np.zeros((5, 16, 16), np.uint8))
    assert "archive" in faults(spoilt)
    np.save(spoilt / "labels.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "labels.npy" in faults(spoilt)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("camera", {"width": 16}),
        ("camera", None),
        ("camera", {"width": 16, "height": 16, "fx": "wide", "fy": 20.0, "cx": 8.0, "cy": 8.0}),
        ("camera", {"width": 16.5, "height": 16, "fx": 20.0, "fy": 20.0, "cx": 8.0, "cy": 8.0}),
        ("camera", {"width": 16, "height": 16, "fx": math.nan, "fy": 20.0, "cx": 8.0, "cy": 8.0}),
        ("poses", [[1, 2, 3]]),
        ("poses", []),
        ("poses", "none"),
        ("poses", [[[1.0, 2.0], [3.0]]]),
        ("bounds", [0, 1]),
        ("bounds", None),
        ("splits", {"train": [0, 1, 2], "val": [3]}),
        ("splits", {"train": [0, 1, 2], "val": [3], "test": [99]}),
        ("splits", {"train": [0, 1, 2], "val": ["3"], "test": [4]}),
        ("splits", {"train": 3, "val": [3], "test": [4]}),
        ("splits", []),
        ("labels", 5),
    ],
)
def test_faulty_descriptions_name_the_key(spoilt, key, value):
    path = spoilt / "scene.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {key: value}))
    message = faults(spoilt)
    assert str(path) in message
    assert key in message
    del content[key]
    path.write_text(json.dumps(content))
    assert f"has no {key}" in faults(spoilt)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"scene"', "\x00", "[" * 100_000])
def test_a_description_that_is_no_table_is_named(spoilt, text):
    (spoilt / "scene.json").write_text(text)
    assert str(spoilt / "scene.json") in faults(spoilt)


def test_poses_and_splits_are_held_to_the_rules_of_every_scene(spoilt):
    path = spoilt / "scene.json"
    content = json.loads(path.read_text())
    content["splits"]["test"] = [0]
    path.write_text(json.dumps(content))
    assert "both train and test" in faults(spoilt)
