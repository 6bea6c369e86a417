"""Which pictures are compared with which."""

from __future__ import annotations

from itertools import combinations

NEIGHBOURS = 10  # frames of a video that follow one another
LOOP_STEP = 5  # every so many-th frame is compared with all such, to notice that the camera came back
TILE = 8  # pictures on a side of a block of pairs: its 64 pairs need the features of 16 pictures at most


def exhaustive(count: int) -> list[tuple[int, int]]:
    """All pairs of `count` pictures."""
    return list(combinations(range(count), 2))


def sequential(count: int) -> list[tuple[int, int]]:
    """Pairs of near neighbours, of pictures 16, 32, 64 ... apart, and a coarse net of all with all."""
    steps = {*range(1, NEIGHBOURS + 1), *(2**power for power in range(count.bit_length()))}
    near = {(first, first + step) for step in steps for first in range(count - step)}
    return sorted(near | set(combinations(range(0, count, LOOP_STEP), 2)))


def tiles(pairs: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """The pairs in blocks that share pictures, so that each block loads few of them."""
    blocks: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for first, second in pairs:
        blocks.setdefault((first // TILE, second // TILE), []).append((first, second))
    return list(blocks.values())
