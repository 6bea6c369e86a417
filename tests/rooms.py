"""The rooms: which folder or module of nerfpipe/ may import which. tests/test_rooms.py holds the imports to this table.

A room may import the rooms in its row, and every room that those may import. The lowest room comes first, and a row
names only rooms of earlier rows. A row for a single module, such as `raybank.writer`, replaces that of its room.
"""

from __future__ import annotations

EVERYWHERE = ("runtime",)  # every room below may import these too

ROOMS: dict[str, tuple[str, ...]] = {
    "runtime": (),
    "config": (),
    "images": (),
    "geometry": ("images",),  # an image's largest size is a camera's
    "archives": (),
    "project": ("config",),
    # The core: what travels, how it is computed, what is learned, which samples are taken, what a pixel sees.
    "types": (),
    "ops": ("types", "geometry"),
    "kernels": ("ops",),
    "fields": ("ops", "types", "config"),  # each takes its own section of the settings
    "samplers": ("ops", "geometry", "types", "config"),
    "rendering": ("ops", "samplers", "fields", "types", "config"),
    "models": ("fields", "samplers", "rendering", "config"),
    # Scenes and their rays.
    "procedural": ("geometry", "archives", "project"),
    "scenes": ("geometry", "images", "archives", "project", "procedural"),
    "download": ("archives", "procedural", "project"),
    "raybank": ("geometry", "config"),
    "raybank.writer": ("raybank", "scenes"),
    # One job each.
    "training": ("models", "raybank", "images"),
    "evaluation": ("models", "rendering", "raybank", "images"),
    "camera_paths": ("models", "rendering", "raybank"),
    "film": ("models", "rendering", "raybank", "camera_paths", "images"),
    "export": ("models", "rendering", "raybank", "camera_paths", "images", "project"),
    "api": ("models", "rendering"),
}

BELOW_THE_FACES = tuple(room for room in ROOMS if room != "kernels")
ROOMS |= {
    "photos": BELOW_THE_FACES,
    "report": BELOW_THE_FACES,
    "viewer": BELOW_THE_FACES,
    "cli": (*BELOW_THE_FACES, "photos", "report", "viewer"),
    "__main__": ("cli",),
    "stages": BELOW_THE_FACES,
}

# Operations import a backend when they are first called, inside a function: the only arrows that point up.
LAZY = {
    (f"ops.{name}", "kernels")
    for name in ("dispatch", "composite", "march", "ngp_field", "ngp_render", "resample", "row_adam")
}
ONLY_IN_KERNELS = ("numba", "llvmlite", "triton")  # libraries that kernels alone may import

DEPTH = 2  # levels of folders below nerfpipe/
DEEPER = {"kernels": 3}  # a folder for each backend

# Where the classes of methods, fields, samplers, spaces and backends are defined: only code there may ask for them by
# isinstance or `case`. The settings of a method belong to `config` and to the method itself.
PARTS: dict[str, tuple[str, ...]] = {
    "models": ("models",),
    "fields": ("fields",),
    "samplers": ("samplers",),
    "ops": ("ops",),
    "kernels": ("kernels",),
    "geometry.space": ("geometry",),
    "geometry.spaces": ("geometry",),
    "config": ("config", "models"),
}
