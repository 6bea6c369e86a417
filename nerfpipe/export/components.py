"""Which connected pieces of a surface are worth keeping, in blocks: a noisy field has ten million faces and more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nerfpipe.runtime.progress import Progress

CLOSED = 1e-6  # of its area, what the vectors of a closed surface's faces may add up to
BLOCK = 2**20  # faces whose corners are laid out at once


@dataclass
class Measures:
    """Of each of P pieces: faces and area, the volume it encloses, and the sum of its faces' vectors."""

    faces: np.ndarray  # [P] int64
    areas: np.ndarray  # [P]
    volumes: np.ndarray  # [P]; less than 0 for what looks inwards
    sums: np.ndarray  # [P, 3]

    @classmethod
    def none_of(cls, count: int) -> Measures:
        """Of so many pieces, before any face is looked at."""
        return cls(np.zeros(count, np.int64), np.zeros(count), np.zeros(count), np.zeros((count, 3)))

    def add(self, piece: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Faces [B, 3] of the pieces [B]."""
        count = len(self.faces)
        vectors = face_vectors(vertices, faces)
        self.faces += np.bincount(piece, minlength=count)
        self.areas += np.bincount(piece, np.linalg.norm(vectors, axis=1), count)
        self.volumes += np.bincount(piece, (vertices[faces[:, 0]] * vectors).sum(axis=1), count)
        for axis in range(3):
            self.sums[:, axis] += np.bincount(piece, vectors[:, axis], count)

    @property
    def inward(self) -> np.ndarray:
        """Which [P] bool are closed and look inwards."""
        return (self.volumes < 0) & (np.linalg.norm(self.sums, axis=1) < CLOSED * self.areas)


def face_vectors(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Vectors [B, 3] straight out of faces [B, 3] of vertices [V, 3], twice as long as their area."""
    first, second, third = (vertices[faces[:, corner]] for corner in range(3))
    return np.cross(second - first, third - first)


def blocks(faces: np.ndarray) -> Iterator[np.ndarray]:
    """The faces [F, 3], BLOCK at a time."""
    for first in range(0, len(faces), BLOCK):
        yield faces[first : first + BLOCK]


def pieces_of(faces: np.ndarray, count: int, progress: Progress) -> np.ndarray:
    """The number [V] of the connected piece that each of `count` vertices, joined by faces [F, 3], belongs to.

    First within each block, then over the blocks, where one edge a vertex says what a block has found: scipy holds
    several copies of all edges.
    """
    begins, ends = [np.empty(0, faces.dtype)], [np.empty(0, faces.dtype)]
    for block in blocks(faces):
        first, last = block.min(), block.max() + 1  # marched faces of a block have vertices close by
        near = block - first
        piece = _components(near[:, [0, 1]].T.ravel(), near[:, [1, 2]].T.ravel(), last - first)
        head = np.unique(piece, return_index=True)[1]  # one vertex of each piece
        begins.append(np.arange(first, last, dtype=faces.dtype))
        ends.append((head[piece] + first).astype(faces.dtype))
        progress.advance(len(block))
    return _components(np.concatenate(begins), np.concatenate(ends), count)


def _components(begin: np.ndarray, end: np.ndarray, count: int) -> np.ndarray:
    """The number [V] of the connected piece of each of `count` vertices, joined by edges from begin [E] to end [E]."""
    graph = coo_matrix((np.ones(len(begin), bool), (begin, end)), shape=(count, count))
    return connected_components(graph.tocsr(), directed=False)[1]


def worth_keeping(vertices: np.ndarray, faces: np.ndarray, share: float, cameras: np.ndarray) -> np.ndarray:
    """Which faces [F] bool to keep of a surface of vertices [V, 3]; cameras [N, 3]: where they stand.

    A piece with fewer faces than `share` of the largest one's is a floater. A closed piece that looks inwards is a
    hollow inside something opaque, where the field was never seen - unless a camera stands in it.
    """
    with Progress("pieces", 2 * len(faces), "faces") as progress:
        pieces = pieces_of(faces, len(vertices), progress)
        measures = Measures.none_of(int(pieces.max(initial=-1)) + 1)
        for block in blocks(faces):
            measures.add(pieces[block[:, 0]], vertices, block)
            progress.advance(len(block))
    hollow = measures.inward
    hollow[hollow] = ~around_a_camera(vertices, pieces, hollow, cameras)
    largest = measures.faces[~hollow].max(initial=0)
    kept = ~hollow & (measures.faces >= share * largest)
    return kept[pieces][faces[:, 0]]


def around_a_camera(vertices: np.ndarray, pieces: np.ndarray, asked: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Which of the pieces asked about [P] bool, in their order, have a camera of [N, 3] between their extremes."""
    corners, piece = vertices[asked[pieces]], pieces[asked[pieces]]
    order = np.argsort(piece, kind="stable")
    begins = np.flatnonzero(np.diff(piece[order], prepend=-1))
    corners = corners[order]
    low, high = (extreme.reduceat(corners, begins, axis=0) for extreme in (np.minimum, np.maximum))
    around = np.zeros(len(low), bool)
    for camera in cameras:
        around |= ((camera > low) & (camera < high)).all(axis=1)
    return around


def without(vertices: np.ndarray, faces: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices and faces that are left when only the faces with kept [F] stay."""
    left = faces[kept]
    used = np.zeros(len(vertices), bool)
    used[left] = True
    number = np.cumsum(used, dtype=faces.dtype) - 1
    return vertices[used], number[left]
