"""Moving, turning and scaling a scene, and back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from nerfpipe.geometry.similarity import IDENTITY, Similarity

numbers = st.floats(-100, 100)
vectors = st.tuples(numbers, numbers, numbers)


@st.composite
def similarities(draw: st.DrawFn) -> Similarity:
    rotation = Rotation.from_euler("xyz", draw(vectors)).as_matrix()
    return Similarity.of(np.array(draw(vectors)), rotation, draw(st.floats(0.01, 100)))


@given(similarities(), vectors)
def test_points_there_and_back(similarity: Similarity, point: tuple[float, ...]) -> None:
    x = np.array([point])
    expected = similarity.scale * np.array(similarity.rotation) @ (x[0] - np.array(similarity.centre))
    np.testing.assert_allclose(similarity.points(x)[0], expected, atol=1e-6)
    np.testing.assert_allclose(similarity.original(similarity.points(x)), x, atol=1e-6)


@given(similarities(), vectors)
def test_poses_move_with_the_points_that_they_see(similarity: Similarity, point: tuple[float, ...]) -> None:
    pose = np.concatenate([Rotation.from_euler("xyz", [1, 2, 3]).as_matrix(), np.array([[4.0], [5], [6]])], axis=1)[
        None
    ]
    seen = pose[0, :, :3] @ np.array(point) + pose[0, :, 3]  # a point given in the camera's axes
    moved = similarity.poses(pose)[0]
    np.testing.assert_allclose(
        similarity.scale * moved[:, :3] @ np.array(point) + moved[:, 3], similarity.points(seen[None])[0], atol=1e-6
    )
    np.testing.assert_allclose(similarity.original_poses(similarity.poses(pose)), pose, atol=1e-6)


def test_the_identity() -> None:
    assert IDENTITY.is_identity
    assert not Similarity(scale=2.0).is_identity
    x = np.array([[1.0, 2, 3]])
    np.testing.assert_array_equal(IDENTITY.points(x), x)
