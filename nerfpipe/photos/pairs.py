"""Pairs of pictures to match."""

from __future__ import annotations

from itertools import combinations

NEIGHBOURS = 10  # consecutive frames that each frame is matched with
LOOP_STEP = 5  # every 5th frame is matched with every other such frame, to detect that the camera came back
TILE = 8  # pictures along a side of a block of pairs: 64 pairs need the features of at most 16 pictures


def exhaustive(count: int) -> list[tuple[int, int]]:
    """All pairs of `count` pictures, by index."""
    return list(combinations(range(count), 2))


def sequential(count: int) -> list[tuple[int, int]]:
    """Pairs of neighbours, pairs 16, 32, 64 ... pictures apart, and all pairs of every LOOP_STEP-th picture."""
    steps = {*range(1, NEIGHBOURS + 1), *(2**power for power in range(count.bit_length()))}
    near = {(first, first + step) for step in steps for first in range(count - step)}
    return sorted(near | set(combinations(range(0, count, LOOP_STEP), 2)))


def tiles(pairs: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """The pairs in blocks that share pictures, so that a block loads few of them."""
    blocks: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for first, second in pairs:
        blocks.setdefault((first // TILE, second // TILE), []).append((first, second))
    return list(blocks.values())
