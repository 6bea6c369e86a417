"""What can be asked of an export, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from nerfpipe.config.constraints import MAX_NUMBER, MAX_SIDE, MAX_VIEWS, NotNegative, Positive
from nerfpipe.config.options import check_free
from nerfpipe.config.yaml_file import Section
from nerfpipe.runtime.errors import NerfpipeError


class ViewOptions(Section):
    """Whence to look: at a train camera's place, or at a place around the scene's centre."""

    view: Annotated[int, Field(ge=0, le=MAX_VIEWS)] | None = None
    azimuth: Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER, allow_inf_nan=False)] | None = (
        None  # degrees around z, from x to y
    )
    elevation: Annotated[float, Field(ge=-90, le=90)] | None = None
    radius: Positive | None = None  # times the mean distance of the cameras
    size: Annotated[int, Field(ge=0, le=MAX_SIDE)] = 0  # pixels of the longer side; 0: the camera's own


class DepthOptions(Section):
    kind: Literal["z", "ray"] = "z"


class CloudOptions(Section):
    points: Annotated[int, Field(gt=0, le=20_000_000)] = 100_000
    opacity: Annotated[float, Field(gt=0, le=1)] = 0.9  # of a pixel, from which its depth counts


class MeshOptions(Section):
    density: Positive | None = None  # of the surface; None: as suits the size of the scene
    resolution: Annotated[int, Field(ge=8, le=2048)] = 256  # cells along the longest side
    pieces: Annotated[NotNegative, Field(le=1)] = 0.01  # of the largest piece's faces, with fewer a piece is dropped
    seen: bool = False


def check_output(path: Path, suffixes: tuple[str, ...], force: bool, beside: Iterable[str] = ()) -> None:
    """Raise NerfpipeError where `path` has none of the suffixes, or would take the place of something unasked.

    beside: suffixes of what is written next to it under the same name.
    """
    if path.suffix.lower() not in suffixes:
        raise NerfpipeError(f"--output: {path}: must end in {' or '.join(suffixes)}")
    for file in (path, *(path.with_suffix(suffix) for suffix in beside)):
        check_free(file, force)
