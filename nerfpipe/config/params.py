"""params.yaml as typed, validated sections: the only module that reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from nerfpipe.config.yaml_file import Section, read_yaml, validate
from nerfpipe.runtime.errors import NerfpipeError

PARAMS_FILE = Path("params.yaml")

# Every number has a largest value: far beyond what anybody runs, and well before what overflows or never ends. What
# several of them come to together is memory.py's to say.
MOST_STEPS = 10**8  # of training
MOST_RAYS = 2**22  # of a batch
MOST_SAMPLES = 2**26  # of a batch or a block
MOST_VIEWS = 10**6
SAMPLES_OF_A_RAY = 2**12  # each through a whole MLP
STEPS_OF_A_RAY = 2**14  # through a grid, most of which is leapt over
MOST_FRAMES = 100_000
LONGEST_SIDE = 16_384  # pixels of a render
MOST_THREADS = 4096
LARGEST, SMALLEST = 1e9, 1e-12  # of numbers that are computed with in single precision


def _not_too_small(value: float) -> float:
    if value < SMALLEST:
        raise ValueError(f"must be at least {SMALLEST:g}")
    return value


Count = Annotated[int, Field(gt=0, le=MOST_STEPS)]
Rays = Annotated[int, Field(gt=0, le=MOST_RAYS)]
Samples = Annotated[int, Field(gt=0, le=MOST_SAMPLES)]
OfARay = Annotated[int, Field(gt=0, le=SAMPLES_OF_A_RAY)]
Marched = Annotated[int, Field(gt=0, le=STEPS_OF_A_RAY)]
Positive = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False), AfterValidator(_not_too_small)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Depth = Annotated[int, Field(gt=0, le=64)]
Width = Annotated[int, Field(gt=0, le=8192)]
Density = Literal["relu", "softplus"]
Panel = Literal["colour", "depth", "normals"]
PATHS = ("auto", "orbit", "swing", "spiral", "wobble")
PATH_FILE = ".json"  # how a path's name ends where it is a file of key frames
NO_PATH_FILE = "render.path: {}: not found; correct the name, or save key frames there"


class RaysParams(Section):
    margin: NotNegative
    min_near: Positive


class TrainParams(Section):
    """What the training loop needs to know, whatever the method."""

    steps: Count
    batch_rays: Rays
    lr: Positive
    lr_final: Positive
    warmup: Annotated[int, Field(ge=0, le=MOST_STEPS)]
    loss: Literal["mse", "huber"]
    huber_delta: Positive
    distortion: NotNegative
    entropy: NotNegative
    bf16: bool
    validate_every: Count
    validate_views: Annotated[int, Field(gt=0, le=MOST_VIEWS)]

    @property
    def target_samples(self) -> int | None:
        """Samples that a step has, whatever its number of rays; None if its number of rays is fixed."""
        return None

    @property
    def detail_delay(self) -> float:
        """The share of the steps over which fine detail begins to learn."""
        return 0.0


class LayeredParams(Section):
    """A field made of layers, into which the encoding enters again after layer `skip`."""

    @field_validator("skip", check_fields=False)
    @classmethod
    def _skip_below_depth(cls, skip: int, info: ValidationInfo) -> int:
        depth = info.data.get("depth")
        if depth is not None and skip >= depth:
            raise ValueError(f"must lie below depth, {depth}")
        return skip


class TinyFieldParams(LayeredParams):
    frequencies: Annotated[int, Field(ge=0, le=20)]
    depth: Depth
    width: Width
    skip: Count
    density: Density


class TinySamplingParams(Section):
    samples: OfARay


class TinyParams(Section):
    field: TinyFieldParams
    sampling: TinySamplingParams
    train: TrainParams


class NerfFieldParams(LayeredParams):
    position_frequencies: Annotated[int, Field(ge=0, le=20)]
    direction_frequencies: Annotated[int, Field(ge=0, le=20)]
    depth: Depth
    width: Annotated[int, Field(ge=2, le=8192)]
    skip: Count
    density: Density


class NerfSamplingParams(Section):
    coarse: Annotated[int, Field(ge=2, le=SAMPLES_OF_A_RAY)]
    fine: OfARay


class NerfParams(Section):
    field: NerfFieldParams
    sampling: NerfSamplingParams
    train: TrainParams


class NgpFieldParams(Section):
    levels: Annotated[int, Field(ge=1, le=16)]
    coarsest: Annotated[int, Field(ge=1, le=4096)]
    finest: Annotated[int, Field(ge=1, le=4096)]
    log2_rows: Annotated[int, Field(ge=4, le=24)]
    width: Annotated[int, Field(gt=0, le=256, multiple_of=4)]

    @field_validator("finest")
    @classmethod
    def _finest_not_below_coarsest(cls, finest: int, info: ValidationInfo) -> int:
        coarsest = info.data.get("coarsest")
        if coarsest is not None and finest < coarsest:
            raise ValueError(f"must not lie below coarsest, {coarsest}")
        return finest


class NgpSamplingParams(Section):
    steps: Marched
    render_steps: Marched
    grid: Annotated[int, Field(ge=1, le=512)]
    update_every: Count
    decay: Annotated[float, Field(gt=0, lt=1)]
    threshold: Annotated[float, Field(gt=0, lt=1)]
    stop: Annotated[float, Field(ge=0, lt=1)]


class NgpTrainParams(TrainParams):
    batch_samples: Samples
    open_levels: Annotated[float, Field(ge=0, le=1)]

    @property
    def target_samples(self) -> int | None:
        return self.batch_samples

    @property
    def detail_delay(self) -> float:
        return self.open_levels


class NgpParams(Section):
    field: NgpFieldParams
    sampling: NgpSamplingParams
    train: NgpTrainParams


MethodParams = TinyParams | NerfParams | NgpParams
METHODS: dict[str, type[MethodParams]] = {
    "ngp": NgpParams,
    "ngp_photos": NgpParams,  # the same recipe in other sizes
    "tiny": TinyParams,
    "nerf": NerfParams,
}


class EvaluateParams(Section):
    error_scale: Positive


class RenderParams(Section):
    frames: Annotated[int, Field(gt=0, le=MOST_FRAMES)]
    fps: Annotated[float, Field(gt=0, le=100), AfterValidator(_not_too_small)]
    path: str
    elevation: Annotated[float, Field(ge=-90, le=90)] | None
    tilt: Annotated[float, Field(gt=-90, lt=90)]
    radius: Positive
    size: Annotated[int, Field(ge=0, le=LONGEST_SIDE)]
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
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")]
    threads: Annotated[int, Field(ge=0, le=MOST_THREADS)]
    cpu_block: Samples
    gpu_block: Samples
    kernels: Literal["auto", "torch"]
    checkpoint_seconds: NotNegative


class Params(Section):
    """The whole of params.yaml."""

    scene: str
    method: Literal["ngp", "ngp_photos", "tiny", "nerf"]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
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


def parse_method(name: str, content: dict[str, Any], where: str) -> MethodParams:
    """The settings of a method as stored in a model file's header."""
    if name not in METHODS:
        raise NerfpipeError(f"{where}: unknown method {name!r}; this version knows {', '.join(METHODS)}")
    settings, faults = validate(METHODS[name], content, prefix=name)
    if settings is None:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise NerfpipeError(f"{where}: {faults[0]}{more}")
    return settings


def params_faults(path: Path = PARAMS_FILE) -> tuple[Params | None, list[str]]:
    """Params, or None and one line for every fault found."""
    return validate(Params, read_yaml(path))


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate params.yaml. Raises NerfpipeError with one line per fault."""
    params, faults = params_faults(path)
    if params is None:
        raise NerfpipeError(*(f"{path}: {fault}" for fault in faults))
    return params
