"""Names of splits, and of backgrounds with their colours (RGB in [0, 1])."""

from __future__ import annotations

SPLITS = ("train", "val", "test")
BACKGROUNDS = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0)}
