"""Resolution of a page's picture: limited by the frame rate while the camera moves, refined in steps at rest."""

from __future__ import annotations

import math

TARGET_RATE, LOWEST_RATE = 10.0, 5.0  # frames per second: aimed at, and accepted up to ENOUGH pixels
ENOUGH = 200  # pixels of the longer side: up to here a larger picture counts more than the frame rate
SMALLEST = 48  # pixels of the longer side, however slow the machine is
SIZE_STEP = 1.15  # sizes while moving are powers of it: a size that changes with every frame flickers
REFINEMENT = 2  # factor from one picture at rest to the next finer one
NEWEST_WEIGHT = 0.3  # of the newest frame in the running mean of the cost
OUTLIER = 2.0  # times the mean, the most that one frame counts: kernels may load, other programs may interrupt


class AdaptiveResolution:
    """Keeps a running mean of the cost of a pixel, and chooses sizes (pixels of the longer side) by it."""

    def __init__(self, cost: float) -> None:
        """cost: seconds per pixel of a moving frame, overheads included."""
        self.cost = cost

    def observe(self, pixels: int, seconds: float) -> None:
        """Update the cost with a moving frame: its number of pixels and the seconds that it took."""
        self.cost += NEWEST_WEIGHT * (min(seconds / pixels, OUTLIER * self.cost) - self.cost)

    def moving_size(self, aspect: float, largest: int) -> int:
        """Size while the camera moves, for pictures of `aspect` (width / height), at most `largest`."""
        smooth = self._size_at(aspect, TARGET_RATE)
        size = max(smooth, min(ENOUGH, self._size_at(aspect, LOWEST_RATE)))
        stepped = SIZE_STEP ** math.floor(math.log(size) / math.log(SIZE_STEP))
        if smooth < ENOUGH <= size:
            stepped = ENOUGH  # rounding down would waste the frame rate that was given up for this size
        return min(largest, max(SMALLEST, round(stepped)))

    def _size_at(self, aspect: float, rate: float) -> float:
        """Longer side of the picture that can be drawn `rate` times a second."""
        pixels = 1 / (rate * self.cost)
        return math.sqrt(pixels * max(aspect, 1 / aspect))

    @staticmethod
    def refinements(first: int, largest: int) -> list[int]:
        """Sizes rendered one after another at rest, after a moving picture of size `first`: the last is `largest`."""
        sizes = []
        size = first * REFINEMENT
        while size * REFINEMENT <= largest * math.sqrt(REFINEMENT):  # the last step must not be a tiny one
            sizes.append(size)
            size *= REFINEMENT
        return [*sizes, largest] if first < largest else []


def dimensions(longer: int, aspect: float) -> tuple[int, int]:
    """Width and height in pixels of a picture of `aspect` (width / height) with this longer side."""
    if aspect >= 1:
        return longer, max(1, round(longer / aspect))
    return max(1, round(longer * aspect)), longer
