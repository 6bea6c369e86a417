"""field.safetensors: a trained model and, in its header, all that is needed to use it by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from nerfpipe import __version__
from nerfpipe.config.constraints import Seed
from nerfpipe.config.methods import METHODS, MethodParams, parse_method
from nerfpipe.config.quoting import plain
from nerfpipe.config.yaml_file import Section
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import BACKGROUNDS, Background
from nerfpipe.geometry.plausible import (
    camera_faults,
    point_faults,
    pose_faults,
    similarity_faults,
    space_faults,
    wrong_number,
)
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.geometry.spaces import AnySpace
from nerfpipe.models.model import Model
from nerfpipe.models.registry import build_model
from nerfpipe.runtime.errors import NerfpipeError, describe_os_error
from nerfpipe.runtime.files import atomic_file, refuse_irregular, text_path

Row = tuple[float, float, float, float]
Pose = tuple[Row, Row, Row]

HEADER = "nerfpipe"  # the one key of the file's metadata; more would be written in no fixed order
FORMAT = 2  # of the header; format 1, which has no such key, has other names for some settings


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ModelHeader:
    """The header of a model file: method and settings, and the scene that the field is of."""

    version: str
    scene: str
    method: str
    settings: dict[str, Any]
    seed: Seed
    space: AnySpace
    similarity: Similarity  # from the data's coordinates to the scene's
    background: Background
    camera: Camera
    centre: tuple[float, float, float]  # what the cameras look at
    poses: list[Pose]  # [train views, 3, 4], in the scene

    @property
    def bf16(self) -> bool:
        """Whether the MLPs were trained in bfloat16, and so are to be rendered, where there is hardware for it."""
        return self.settings["train"]["bf16"]

    @property
    def background_colour(self) -> torch.Tensor:
        return torch.tensor(BACKGROUNDS[self.background])  # [3]


def save_model(path: Path, model: Model, header: ModelHeader) -> None:
    """Write the file atomically. The bytes depend on weights and header alone."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    content = save(tensors, metadata={HEADER: json.dumps({"format": FORMAT, **asdict(header)}, sort_keys=True)})
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def load_model(path: Path) -> tuple[Model, ModelHeader]:
    """The model on the CPU and what its header says.

    Raises NerfpipeError when the file is missing, damaged, of another version, or does not fit its own header.
    """
    try:
        if not path.exists():
            raise NerfpipeError(f"{path}: not found; run `dvc repro train` first")
        refuse_irregular(path)
        with text_path(path) as name, safe_open(name, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    except PermissionError as error:
        raise NerfpipeError(describe_os_error(error, path)) from None
    except (SafetensorError, OSError) as error:
        raise NerfpipeError(f"{path}: not a whole .safetensors file ({error}); train again") from None
    header = _parse_header(path, text)
    settings = parse_method(header.method, header.settings, str(path))
    _compare(path, tensors, settings, header)
    model = build_model(settings, header.seed, header.space)
    model.load_state_dict(tensors)
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise NerfpipeError(f"{path}: {broken[0]} holds NaN or infinity; train again")
    return model.eval(), header


def _compare(path: Path, tensors: dict[str, torch.Tensor], settings: MethodParams, header: ModelHeader) -> None:
    """Hold the tensors against a model that is only sketched: a damaged header may ask for any amount of memory."""
    try:
        with torch.device("meta"):
            expected = build_model(settings, header.seed, header.space).state_dict()
    except (ValueError, ArithmeticError, RuntimeError) as error:
        raise NerfpipeError(f"{path}: its header describes no model ({error}); train again") from None
    for name in sorted(expected.keys() | tensors.keys()):
        wanted, found = (_kind(state.get(name)) for state in (expected, tensors))
        if wanted != found:
            raise NerfpipeError(
                f"{path}: its weights do not fit its settings ({plain(name)} is {found} and should be {wanted}); "
                "train again"
            )


def _kind(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _parse_header(path: Path, text: str | None) -> ModelHeader:
    if text is None:
        raise NerfpipeError(f"{path}: has no nerfpipe header, so it is not a model of this project")
    try:
        header = ModelHeader(**_in_present_format(json.loads(text)))
    except ValidationError as error:
        if fault := wrong_number(error):
            raise NerfpipeError(f"{path}: its header describes no model ({fault}); train again") from None
        raise NerfpipeError(f"{path}: its header is of another version of nerfpipe than {__version__}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise NerfpipeError(f"{path}: its header is of another version of nerfpipe than {__version__}") from None
    for fault in header_faults(header):
        raise NerfpipeError(f"{path}: its header describes no model ({fault}); train again")
    return header


def _in_present_format(header: dict[str, Any]) -> dict[str, Any]:
    """A header of any format as this version has it, without its format. Raises ValueError where that is unknown."""
    written = header.pop("format", 1)
    if written not in (1, FORMAT):
        raise ValueError(f"format {written!r}")
    sections = METHODS[header["method"]].model_fields if header.get("method") in METHODS else {}
    for name, content in header["settings"].items():
        if name in sections and isinstance(content, dict):
            section = cast(type[Section], sections[name].annotation)
            names = section.renamed if written == 1 else {}
            present = {names.get(key, key): value for key, value in content.items()}
            header["settings"][name] = {**section.added, **present}
    if written == 1 and header["space"].get("frustum") is None:  # format 1 had the key for every space
        header["space"].pop("frustum", None)
    return header


def header_faults(header: ModelHeader) -> Iterator[str]:
    """What cannot be in a header, key by key. The settings are parse_method's to check."""
    yield from camera_faults(header.camera)
    yield from space_faults(header.space)
    yield from similarity_faults(header.similarity)
    yield from point_faults(header.centre, "centre")
    yield from pose_faults(header.poses)
