"""Checks of annotated types and shapes, by beartype: in tests alone, for all modules imported after this one."""

from __future__ import annotations

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

CHECKED = ("fields", "samplers", "rendering", "geometry", "types", "ops.spherical_harmonics")

check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is accepted as a float, as mypy does

install_import_hook([f"nerfpipe.{room}" for room in CHECKED], "shape_checks.check")
