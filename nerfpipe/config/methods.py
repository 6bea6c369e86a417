"""The settings of each method: its section of params.yaml, also as a model file stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from nerfpipe.config.constraints import (
    MAX_SAMPLES_PER_RAY,
    MAX_STEPS,
    MAX_VIEWS,
    BatchRays,
    Count,
    NotNegative,
    Positive,
    SampleCount,
    SamplesPerRay,
    StepsPerRay,
)
from nerfpipe.config.yaml_file import Section, validate
from nerfpipe.runtime.errors import NerfpipeError

MAX_WIDTH = 8192  # of an MLP

Depth = Annotated[int, Field(gt=0, le=64)]
Width = Annotated[int, Field(gt=0, le=MAX_WIDTH)]
Frequencies = Annotated[int, Field(ge=0, le=20)]
Resolution = Annotated[int, Field(ge=1, le=4096)]
Density = Literal["relu", "softplus"]


class TrainParams(Section):
    """The training of any method."""

    added: ClassVar[Mapping[str, Any]] = {"depth": 0.0}
    steps: Count
    batch_rays: BatchRays
    lr: Positive
    lr_final: Positive
    warmup: Annotated[int, Field(ge=0, le=MAX_STEPS)]
    loss: Literal["mse", "huber"]
    huber_delta: Positive
    distortion: NotNegative
    entropy: NotNegative
    depth: NotNegative
    bf16: bool
    validate_every: Count
    validate_views: Annotated[int, Field(gt=0, le=MAX_VIEWS)]

    @property
    def target_samples(self) -> int | None:
        """Samples that a step has, whatever its number of rays; None if its number of rays is fixed."""
        return None

    @property
    def detail_delay(self) -> float:
        """The share of the steps over which fine detail begins to learn."""
        return 0.0


class LayeredParams(Section):
    """An MLP that takes the encoding again after layer `skip`."""

    @field_validator("skip", check_fields=False)
    @classmethod
    def _skip_below_depth(cls, skip: int, info: ValidationInfo) -> int:
        depth = info.data.get("depth")
        if depth is not None and skip >= depth:
            raise ValueError(f"must lie below depth, {depth}")
        return skip


class TinyFieldParams(LayeredParams):
    """The network of `tiny`."""

    frequencies: Frequencies
    depth: Depth
    width: Width
    skip: Count
    density: Density


class TinySamplingParams(Section):
    """The samples of `tiny`: stratified."""

    samples: SamplesPerRay


class TinyParams(Section):
    """The method `tiny`."""

    field: TinyFieldParams
    sampling: TinySamplingParams
    train: TrainParams


class NerfFieldParams(LayeredParams):
    """Each of the two networks of `nerf`."""

    position_frequencies: Frequencies
    direction_frequencies: Frequencies
    depth: Depth
    width: Annotated[int, Field(ge=2, le=MAX_WIDTH)]
    skip: Count
    density: Density


class NerfSamplingParams(Section):
    """The samples of `nerf`: stratified, then by importance."""

    coarse: Annotated[int, Field(ge=2, le=MAX_SAMPLES_PER_RAY)]
    fine: SamplesPerRay


class NerfParams(Section):
    """The method `nerf`."""

    field: NerfFieldParams
    sampling: NerfSamplingParams
    train: TrainParams


class NgpFieldParams(Section):
    """The hash grid and the MLPs of `ngp`."""

    renamed: ClassVar = {
        "coarsest": "base_resolution",
        "finest": "max_resolution",
        "log2_rows": "log2_hashmap_size",
    }
    levels: Annotated[int, Field(ge=1, le=16)]
    base_resolution: Resolution
    max_resolution: Resolution
    log2_hashmap_size: Annotated[int, Field(ge=4, le=24)]
    width: Annotated[int, Field(gt=0, le=256, multiple_of=4)]

    @field_validator("max_resolution")
    @classmethod
    def _max_not_below_base(cls, max_resolution: int, info: ValidationInfo) -> int:
        base = info.data.get("base_resolution")
        if base is not None and max_resolution < base:
            raise ValueError(f"must not lie below base_resolution, {base}")
        return max_resolution


class NgpSamplingParams(Section):
    """The steps of `ngp` along a ray, and its occupancy grid."""

    renamed: ClassVar = {"stop": "early_stop_eps"}
    added: ClassVar = {"resample": 0}
    steps: StepsPerRay
    render_steps: StepsPerRay
    resample: Annotated[int, Field(ge=0, le=MAX_SAMPLES_PER_RAY)]
    grid: Annotated[int, Field(ge=1, le=512)]
    update_every: Count
    decay: Annotated[float, Field(gt=0, lt=1)]
    threshold: Annotated[float, Field(gt=0, lt=1)]
    early_stop_eps: Annotated[float, Field(ge=0, lt=1)]


class NgpTrainParams(TrainParams):
    """The training of `ngp`."""

    renamed: ClassVar = {"open_levels": "coarse_to_fine"}
    batch_samples: SampleCount
    coarse_to_fine: Annotated[float, Field(ge=0, le=1)]

    @property
    def target_samples(self) -> int | None:
        return self.batch_samples

    @property
    def detail_delay(self) -> float:
        return self.coarse_to_fine


class NgpParams(Section):
    """The methods `ngp` and `ngp_photos`."""

    field: NgpFieldParams
    sampling: NgpSamplingParams
    train: NgpTrainParams


MethodName = Literal["ngp", "ngp_photos", "tiny", "nerf"]
MethodParams = TinyParams | NerfParams | NgpParams
METHODS: dict[MethodName, type[MethodParams]] = {
    "ngp": NgpParams,
    "ngp_photos": NgpParams,  # the same recipe in other sizes
    "tiny": TinyParams,
    "nerf": NerfParams,
}


def parse_method(name: str, content: dict[str, Any], where: str) -> MethodParams:
    """The settings of a method as stored in a model file's header. `where` names the file in errors.

    Raises NerfpipeError with one line when the method is unknown or a setting is faulty.
    """
    if name not in METHODS:
        raise NerfpipeError(f"{where}: unknown method {name!r}; this version knows {', '.join(METHODS)}")
    settings, faults = validate(METHODS[name], content, prefix=name)
    if settings is None:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise NerfpipeError(f"{where}: {faults[0]}{more}")
    return settings
