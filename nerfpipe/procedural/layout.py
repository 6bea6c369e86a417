"""Names of the files that hold the built-in scene: arrays of all views, and a description in JSON."""

from __future__ import annotations

IMAGES = "images.npy"  # [N, H, W, 4] uint8, straight alpha
DEPTH = "depth.npy"  # [N, H, W] float32, distance along the unit ray in scene units, inf for background
LABELS = "labels.npy"  # [N, H, W] uint8, indices into the description's labels, 0 for background
DESCRIPTION = "scene.json"  # camera, bounds, labels, splits, poses
