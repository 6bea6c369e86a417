"""Names of splits, and of backgrounds with their colours (RGB in [0, 1])."""

from __future__ import annotations

from typing import Literal

Background = Literal["black", "white"]
SPLITS = ("train", "val", "test")
BACKGROUNDS: dict[Background, tuple[float, float, float]] = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0)}
