"""params.yaml as typed, validated sections: the only module that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator

from nerfpipe.config.constraints import (
    MAX_FRAMES,
    MAX_SIDE,
    MAX_THREADS,
    NotNegative,
    Positive,
    SampleCount,
    Seed,
    not_too_small,
)
from nerfpipe.config.methods import MethodName, MethodParams, NerfParams, NgpParams, TinyParams
from nerfpipe.config.yaml_file import Section, read_yaml, validate
from nerfpipe.runtime.errors import NerfpipeError

PARAMS_FILE = Path("params.yaml")

Panel = Literal["colour", "depth", "normals"]
PATHS = ("auto", "orbit", "swing", "spiral", "wobble")
PATH_FILE = ".json"  # the suffix of a path that is a file of key frames
NO_PATH_FILE = "render.path: {}: not found; correct the name, or save key frames there"


class RaysParams(Section):
    """Near and far of the precomputed rays."""

    margin: NotNegative
    min_near: Positive


class EvaluateParams(Section):
    """The measurement on the test views."""

    error_scale: Positive


class RenderParams(Section):
    """The turn around the scene."""

    frames: Annotated[int, Field(gt=0, le=MAX_FRAMES)]
    fps: Annotated[float, Field(gt=0, le=100), AfterValidator(not_too_small)]
    path: str
    elevation: Annotated[float, Field(ge=-90, le=90)] | None
    tilt: Annotated[float, Field(gt=-90, lt=90)]
    radius: Positive
    size: Annotated[int, Field(ge=0, le=MAX_SIDE)]
    panels: Annotated[list[Panel], Field(min_length=1)]

    @field_validator("path")
    @classmethod
    def _known_or_a_file(cls, path: str) -> str:
        if path not in PATHS and not path.endswith(PATH_FILE):
            raise ValueError(f"must be {', '.join(PATHS)} or a file of key frames, NAME{PATH_FILE}")
        return path

    @field_validator("panels")
    @classmethod
    def _each_panel_once(cls, panels: list[Panel]) -> list[Panel]:
        if len(set(panels)) < len(panels):
            raise ValueError("must not name a panel twice")
        return panels


class RuntimeParams(Section):
    """How the pipeline runs. Nothing here decides a result."""

    renamed: ClassVar = {"cpu_block": "cpu_chunk", "gpu_block": "gpu_chunk"}
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")]
    threads: Annotated[int, Field(ge=0, le=MAX_THREADS)]
    cpu_chunk: SampleCount
    gpu_chunk: SampleCount
    kernels: Literal["auto", "torch"]
    checkpoint_seconds: NotNegative


class Params(Section):
    """The whole of params.yaml."""

    scene: str
    method: MethodName
    seed: Seed
    rays: RaysParams
    tiny: TinyParams
    nerf: NerfParams
    ngp: NgpParams
    ngp_photos: NgpParams
    evaluate: EvaluateParams
    render: RenderParams
    runtime: RuntimeParams

    @property
    def recipe(self) -> MethodParams:
        """The section of the method in use."""
        return getattr(self, self.method)


def params_faults(path: Path = PARAMS_FILE) -> tuple[Params | None, list[str]]:
    """Params, or None and one line for every fault found."""
    return validate(Params, read_yaml(path))


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate params.yaml. Raises NerfpipeError with one line per fault."""
    params, faults = params_faults(path)
    if params is None:
        raise NerfpipeError(*(f"{path}: {fault}" for fault in faults))
    return params
