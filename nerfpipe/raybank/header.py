"""bank.json, the header of a ray bank."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from nerfpipe.config.quoting import plain
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import SPLITS, Background
from nerfpipe.geometry.plausible import camera_faults, similarity_faults, space_faults, wrong_number
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.geometry.spaces import AnySpace
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class BankHeader:
    """The cameras, views, space and background of a bank."""

    scene: str
    cameras: tuple[Camera, ...]
    camera_index: list[int]  # [N], into cameras
    splits: dict[str, list[int]]
    space: AnySpace
    similarity: Similarity
    background: Background
    has_alpha: bool


def read_header(folder: Path) -> BankHeader:
    """The bank's bank.json. Raises NerfpipeError when it is missing or damaged."""
    file = folder / "bank.json"
    try:
        with open_regular(file) as stream:
            header = BankHeader(**json.loads(stream.read()))
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro rays` first") from None
    except ValidationError as error:
        fault = wrong_number(error)
        raise NerfpipeError(f"{file}: damaged{f' ({fault})' if fault else ''}; run `dvc repro --force rays`") from None
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise NerfpipeError(f"{file}: damaged; run `dvc repro --force rays`") from None
    for fault in bank_faults(header):
        raise NerfpipeError(f"{file}: damaged ({fault}); run `dvc repro --force rays`")
    return header


def bank_faults(header: BankHeader) -> Iterator[str]:
    """Faults of a header, key by key."""
    for number, camera in enumerate(header.cameras):
        yield from camera_faults(camera, f"cameras[{number}]")
    yield from space_faults(header.space)
    yield from similarity_faults(header.similarity)
    views, lenses = len(header.camera_index), len(header.cameras)
    if not all(0 <= lens < lenses for lens in header.camera_index):
        yield f"camera_index: must be from 0 to {lenses - 1}"
    if set(header.splits) != set(SPLITS):
        yield f"splits: must be {', '.join(SPLITS)}"
    for name, split in header.splits.items():
        if not all(0 <= view < views for view in split):
            yield f"splits.{plain(name)}: must be from 0 to {views - 1}"
