"""The options of an export, validated before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from nerfpipe.config.constraints import MAX_NUMBER, MAX_SIDE, MAX_VIEWS, NotNegative, Positive
from nerfpipe.config.options import check_free
from nerfpipe.config.yaml_file import Section
from nerfpipe.runtime.errors import NerfpipeError

Angle = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER, allow_inf_nan=False)]


class ViewOptions(Section):
    """The viewpoint: that of a train camera, or one around the scene's centre."""

    view: Annotated[int, Field(ge=0, le=MAX_VIEWS)] | None = None
    azimuth: Angle | None = None  # degrees around z, from x to y
    elevation: Annotated[float, Field(ge=-90, le=90)] | None = None  # degrees above the horizon
    radius: Positive | None = None  # times the mean distance of the cameras
    size: Annotated[int, Field(ge=0, le=MAX_SIDE)] = 0  # pixels of the longer side; 0: the camera's own


class DepthOptions(Section):
    """Depth along the camera's axis, or along each pixel's ray."""

    kind: Literal["z", "ray"] = "z"


class CloudOptions(Section):
    """Size of a point cloud, and the pixels it is made of."""

    points: Annotated[int, Field(gt=0, le=20_000_000)] = 100_000  # at most
    opacity: Annotated[float, Field(gt=0, le=1)] = 0.9  # from which a pixel becomes a point


class MeshOptions(Section):
    """Level and resolution of a surface, and the parts of it to keep."""

    density: Positive | None = None  # of the surface, per scene unit; None: chosen by the size of the scene
    resolution: Annotated[int, Field(ge=8, le=2048)] = 256  # cells along the longest side
    pieces: Annotated[NotNegative, Field(le=1)] = 0.01  # of the largest component's faces; smaller ones are dropped
    seen: bool = False  # keep only faces that a train camera sees


def check_output(path: Path, suffixes: tuple[str, ...], force: bool, beside: Iterable[str] = ()) -> None:
    """Raise NerfpipeError if `path` has none of the suffixes, or if a file exists already and `force` is not given.

    beside: suffixes of further files that are written under the same name.
    """
    if path.suffix.lower() not in suffixes:
        raise NerfpipeError(f"--output: {path}: must end in {' or '.join(suffixes)}")
    for file in (path, *(path.with_suffix(suffix) for suffix in beside)):
        check_free(file, force)
