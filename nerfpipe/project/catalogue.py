"""data/scenes.yaml, the catalogue of scenes, as typed and validated entries."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nerfpipe.config.constraints import MAX_NUMBER, MAX_VIEWS
from nerfpipe.config.quoting import plain
from nerfpipe.config.yaml_file import Section, read_yaml, validate
from nerfpipe.project.paths import CATALOGUE_FILE, OUT_FOLDERS
from nerfpipe.runtime.errors import NerfpipeError

MADE_HERE = {"size", "views"}  # keys of the built-in scene
PICTURE_FILES = {"images", "factor", "masks", "missing"}  # keys for pictures in files of their own
BY_NUMBER = {"test_every"}  # for formats that may have no splits
BY_ORDER = {"order"}  # for the format that has a row for every picture, without names
# Keys without a meaning for a format. None: the format is found in the data, and is not the built-in one.
IDLE_KEYS = {
    "procedural": {
        "bytes",
        "checksum",
        "folder",
        "bounds",
        "train_views",
        "space",
        *PICTURE_FILES,
        *BY_NUMBER,
        *BY_ORDER,
    },
    "tiny_nerf": {"folder", "space", *MADE_HERE, *PICTURE_FILES, *BY_NUMBER, *BY_ORDER},
    None: MADE_HERE,
} | {
    name: {"train_views", *MADE_HERE, *(() if name == "llff" else BY_ORDER)}
    for name in ("blender", "llff", "transforms", "colmap")
}
PLAIN_NAME = re.compile(r"[\w-]+")  # DVC reads dots and brackets in a parameter's name as a path

MAX_MADE_VIEWS = 10_000  # of a split of a built-in scene
MAX_BYTES = 2**50
Views = Annotated[int, Field(gt=0, le=MAX_MADE_VIEWS)]
Coordinate = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER, allow_inf_nan=False)]
Corner = Annotated[list[Coordinate], Field(min_length=3, max_length=3)]
Checksum = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|git-blob:[0-9a-f]{40})$")]


class SplitSizes(Section):
    """The number of views of every split of a procedural scene."""

    train: Views = 100
    val: Views = 10
    test: Views = 20


class Entry(Section):
    """One scene: its source, and what its data does not say."""

    format: Literal["procedural", "tiny_nerf", "blender", "llff", "transforms", "colmap"] | None = (
        None  # None: found in the data
    )
    path: str | None = None
    url: Annotated[list[str], Field(min_length=1)] | None = None
    bytes: Annotated[int, Field(gt=0, le=MAX_BYTES)] | None = None
    checksum: Checksum | None = None
    folder: str | None = None  # of the scene in the archive or folder; None: all of it
    background: Literal["black", "white"] = "black"
    bounds: Annotated[list[Corner], Field(min_length=2, max_length=2)] | None = None
    space: Literal["bounded", "unbounded", "forward"] | None = None  # None: as the format and the cameras suggest
    images: str | None = None  # the folder of the pictures, if not the usual one
    masks: str | None = None  # a folder of masks, one per picture and with its name; black is left out
    factor: Annotated[int, Field(ge=1, le=64)] = 1  # by which pictures are scaled down
    missing: Literal["error", "skip"] = "error"  # for frames whose picture does not exist
    order: Literal["name", "number"] = "name"  # by name, 10.png comes before 9.png
    test_every: Annotated[int, Field(ge=2, le=MAX_VIEWS)] = (
        8  # every 8th view is held out, where the data has no splits
    )
    size: Annotated[int, Field(ge=8, le=4096)] = 100
    views: SplitSizes = SplitSizes()
    train_views: Annotated[int, Field(gt=0, le=MAX_VIEWS)] = 100

    @field_validator("url", mode="before")
    @classmethod
    def _one_url_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("path")
    @classmethod
    def _path_is_no_out(cls, value: str | None) -> str | None:
        try:
            path = None if value is None else Path(value).expanduser().resolve()
        except (RuntimeError, OSError) as error:
            raise ValueError(f"is no path on this machine ({error})") from None
        for out in OUT_FOLDERS:
            if path is not None and path.is_relative_to(out.resolve()):
                raise ValueError(f"lies in {out}, which DVC deletes and makes anew; put the data elsewhere")
        return value

    @field_validator("folder", "images", "masks")
    @classmethod
    def _within_the_data(cls, value: str | None) -> str | None:
        if value is not None and (Path(value).is_absolute() or ".." in Path(value).parts or "\\" in value):
            raise ValueError("must be a folder within the data, relative and with forward slashes")
        return value

    @field_validator("bounds")
    @classmethod
    def _lower_before_upper(cls, value: list[list[float]] | None) -> list[list[float]] | None:
        if value is not None and not all(low < high for low, high in zip(*value, strict=True)):
            raise ValueError("the first corner must lie below the second in x, y and z")
        return value

    @model_validator(mode="after")
    def _keys_fit_the_format(self) -> Entry:
        idle = self.model_fields_set & IDLE_KEYS[self.format]
        if idle:
            raise ValueError(f"{', '.join(sorted(idle))} means nothing to the format {self.format}; remove it")
        return self

    @model_validator(mode="after")
    def _bounds_are_of_a_box(self) -> Entry:
        if self.bounds is not None and self.space not in (None, "bounded"):
            raise ValueError(f"bounds mean nothing to the space {self.space}; remove one of them")
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Entry:
        named = [key for key in ("path", "url") if getattr(self, key) is not None]
        if self.format == "procedural" and named:
            raise ValueError(f"a procedural scene is made here and takes no {named[0]}")
        if self.format != "procedural" and len(named) != 1:
            raise ValueError("needs exactly one of path and url")
        return self


def catalogue_faults(path: Path = CATALOGUE_FILE) -> tuple[dict[str, Entry], list[str]]:
    """The valid entries by name, and one line for every fault found in the others."""
    entries: dict[str, Entry] = {}
    faults: list[str] = []
    for name, content in read_yaml(path).items():
        entry, entry_faults = validate(Entry, content, prefix=plain(name))
        if not isinstance(name, str):
            entry_faults.append(f"{plain(name)}: a scene's name must be text; write it in quotes")
        elif not PLAIN_NAME.fullmatch(name):
            entry_faults.append(f"{plain(name)}: a scene's name takes letters, digits, - and _ only")
        faults += entry_faults
        if entry is not None and isinstance(name, str):
            entries[name] = entry
    return entries, faults


def unknown_scene(name: str, path: Path = CATALOGUE_FILE) -> NerfpipeError:
    """The error for a scene that the catalogue does not have; it names the known ones."""
    known = [plain(key) for key in read_yaml(path) if isinstance(key, str)]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return NerfpipeError(f"{path}: no scene {plain(name)!r}; {hint}known scenes: {', '.join(known)}")


def load_entry(name: str, path: Path = CATALOGUE_FILE) -> Entry:
    """The entry of one scene, also beside faulty entries of other scenes.

    Raises NerfpipeError when the scene is unknown (naming the known ones) or its entry is faulty.
    """
    content = read_yaml(path)
    if name not in content:
        raise unknown_scene(name, path)
    entry, faults = validate(Entry, content[name], prefix=name)
    if entry is None:
        raise NerfpipeError(*(f"{path}: {fault}" for fault in faults))
    return entry
