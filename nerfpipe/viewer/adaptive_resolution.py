"""How large a picture may be: as fast as is smooth while the camera moves, then finer and finer when it rests."""

from __future__ import annotations

import math

SMOOTH, SLOWEST = 10.0, 5.0  # frames per second: aimed at, and the least while a picture is larger than ENOUGH
ENOUGH = 200  # pixels of the longer side: what the frame rate is given up for, down to SLOWEST
SMALLEST = 48  # pixels of the longer side, however slow the machine is
STEP = 1.15  # sizes while moving are powers of it: a size that changes with every frame flickers
GROWTH = 2  # from one picture at rest to the next finer one
WEIGHT = 0.3  # of the newest frame in the running mean of the cost
OUTLIER = 2.0  # times the mean, what one frame counts at most: kernels that load, or another program's moment


class Pace:
    """Remembers what a pixel cost lately, and chooses sizes (of the longer side, in pixels) by it."""

    def __init__(self, cost: float) -> None:
        self.cost = cost  # seconds per pixel of a moving frame, overheads included

    def note(self, pixels: int, seconds: float) -> None:
        """A moving frame of so many pixels took so long."""
        self.cost += WEIGHT * (min(seconds / pixels, OUTLIER * self.cost) - self.cost)

    def moving(self, aspect: float, largest: int) -> int:
        """Size while the camera moves, for pictures `aspect` (width / height), at most `largest`."""
        smooth = self._side(aspect, SMOOTH)
        side = max(smooth, min(ENOUGH, self._side(aspect, SLOWEST)))
        stepped = STEP ** math.floor(math.log(side) / math.log(STEP))
        if smooth < ENOUGH <= side:
            stepped = ENOUGH  # the rounding is not to take what the lower rate was accepted for
        return min(largest, max(SMALLEST, round(stepped)))

    def _side(self, aspect: float, rate: float) -> float:
        """Longer side of the picture that can be drawn `rate` times a second."""
        pixels = 1 / (rate * self.cost)
        return math.sqrt(pixels * max(aspect, 1 / aspect))

    @staticmethod
    def ladder(first: int, largest: int) -> list[int]:
        """Sizes of the pictures drawn one after another while the camera rests: the last is `largest`."""
        sizes = []
        size = first * GROWTH
        while size * GROWTH <= largest * math.sqrt(GROWTH):  # no step that is hardly one just before the last
            sizes.append(size)
            size *= GROWTH
        return [*sizes, largest] if first < largest else []


def dimensions(longer: int, aspect: float) -> tuple[int, int]:
    """Width and height of a picture with this longer side."""
    if aspect >= 1:
        return longer, max(1, round(longer / aspect))
    return max(1, round(longer * aspect)), longer
