"""`nerfpipe photos`: from the user's folder or video to a capture, and the lines it prints."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nerfpipe.config.constraints import MAX_FRAMES, MAX_SIDE
from nerfpipe.photos import pairs
from nerfpipe.photos.capture import (
    POINTS,
    TRANSFORMS,
    add_entry,
    capture_folder,
    write_capture,
)
from nerfpipe.photos.images import DIAGONAL_35MM, FEWEST, LOSSLESS, list_pictures, listed
from nerfpipe.photos.masks import find_masks
from nerfpipe.photos.preparing import IMAGES, MASKS, SEARCHED, SEARCHED_MASKS, View, prepare_files, prepare_frames
from nerfpipe.photos.reconstruct import Reconstruction, load_pycolmap, reconstruct
from nerfpipe.photos.video import not_a_video, sharp_frames
from nerfpipe.project.paths import CAPTURES, CATALOGUE_FILE
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import refuse_irregular, work_folder

MATCHINGS = ("auto", "exhaustive", "sequential")
SMALLEST = 64  # pixels of the longer side
LAST_SEED = 2**31 - 1  # COLMAP's largest; for a negative one it would draw its own
MANY_PAIRS = 5000  # all pairs of 100 pictures: hours on a few cores

ADVICE = (
    "photograph again with more overlap (neighbouring pictures share 60 to 80 %); walk around the object instead of "
    "turning on the spot; have textured objects in view, nothing that moves, even light and no blur"
)


@dataclass(frozen=True)
class Options:
    """The command's options; its help explains them."""

    name: str
    masks: Path | None = None
    matching: str = "auto"
    frames: int = 100
    size: int = 800
    seed: int = 0
    replace: bool = False


def make_capture(source: Path, options: Options) -> Iterator[str]:
    """Make a capture of a folder of pictures or a video; yields the lines to print.

    Raises NerfpipeError, with nothing written, if the input or too few pictures can be used.
    """
    check_options(options)
    folder = capture_folder(options.name, options.replace)
    load_pycolmap()
    parent = work_folder() / "photos"
    parent.mkdir(parents=True, exist_ok=True)
    with nothing_written(), tempfile.TemporaryDirectory(dir=parent, prefix=f"{options.name}-") as name:
        scratch = Path(name)
        for kind in (IMAGES, MASKS, SEARCHED, SEARCHED_MASKS):
            (scratch / kind).mkdir()
        views = prepare(source, options, scratch)
        chosen = choose_pairs(source, options.matching, len(views))
        if len(chosen) > MANY_PAIRS and source.is_dir():
            yield (
                f"notice  {len(chosen):,} pairs of pictures are compared; if they were taken one after another, "
                "--matching sequential needs far fewer"
            )
        model = reconstruct(scratch, views, chosen, options.seed)
        if model is None or len(model.poses) < FEWEST:
            raise NerfpipeError(failure(source, views, model))
        write_capture(folder, scratch, views, model)
    added = add_entry(options.name, folder)
    yield from report(views, model)
    yield f"wrote       {folder}: {len(model.poses)} pictures, {TRANSFORMS}, {POINTS}"
    if added:
        yield f"catalogue   {CATALOGUE_FILE} has a new entry: {options.name}"
    yield f"next        dvc add {folder.as_posix()}"
    yield f"            set `scene: {options.name}` and `method: ngp_photos` in params.yaml"
    if options.replace:  # DVC sees an unchanged entry, and does not look at the pictures
        yield "            dvc repro --force --single-item download"
    yield "            dvc repro"


@contextmanager
def nothing_written() -> Iterator[None]:
    """On Ctrl-C, raise NerfpipeError that says that nothing was written."""
    try:
        yield
    except KeyboardInterrupt:
        raise NerfpipeError("interrupted; nothing was written, and the same command starts again") from None


def check_options(options: Options) -> None:
    """Raise NerfpipeError if an option is out of range."""
    if options.matching not in MATCHINGS:
        raise NerfpipeError(
            f"--matching: must be {', '.join(MATCHINGS[:-1])} or {MATCHINGS[-1]} (got {options.matching})"
        )
    if options.frames < FEWEST:
        raise NerfpipeError(f"--frames: must be at least {FEWEST} (got {options.frames})")
    if options.frames > MAX_FRAMES:
        raise NerfpipeError(f"--frames: must be at most {MAX_FRAMES:,} (got {options.frames})")
    if 0 != options.size < SMALLEST:
        raise NerfpipeError(f"--size: must be at least {SMALLEST} pixels, or 0 to keep it (got {options.size})")
    if options.size > MAX_SIDE:
        raise NerfpipeError(f"--size: must be at most {MAX_SIDE:,} pixels, or 0 to keep it (got {options.size})")
    if not 0 <= options.seed <= LAST_SEED:
        raise NerfpipeError(f"--seed: must be from 0 to {LAST_SEED:,} (got {options.seed})")


def prepare(source: Path, options: Options, scratch: Path) -> list[View]:
    """The views of a folder or a video, with their files in `scratch`. Raises NerfpipeError if they cannot be read."""
    if source.is_dir():
        files = list_pictures(source)
        masks = {} if options.masks is None else find_masks(options.masks, files)
        return prepare_files(files, masks, scratch, options.size)
    if not source.exists():
        raise NerfpipeError(f"{source}: not found; give a folder of pictures, or a video")
    refuse_irregular(source)
    if source.suffix.lower() in LOSSLESS:
        raise NerfpipeError(f"{source}: is one picture; give the folder that holds all of them")
    if options.masks is not None:
        raise NerfpipeError(
            "--masks: goes with a folder of pictures; run once without it, draw masks for the frames in "
            f"{CAPTURES / options.name / IMAGES}, and give that folder together with --masks and another --name"
        )
    views = prepare_frames(sharp_frames(source, options.frames), scratch, options.size)
    if len(views) < FEWEST:
        raise not_a_video(source)
    return views


def choose_pairs(source: Path, matching: str, count: int) -> list[tuple[int, int]]:
    """Pairs of views to match, by index: `auto` is sequential for a video and exhaustive for a folder."""
    in_sequence = matching == "sequential" or (matching == "auto" and source.is_file())
    return pairs.sequential(count) if in_sequence else pairs.exhaustive(count)


def failure(source: Path, views: list[View], model: Reconstruction | None) -> str:
    """The message if too few pictures could be registered."""
    registered = {} if model is None else model.poses
    missing = [view.name for view in views if view.searched not in registered]
    count = f"only {len(registered)}" if registered else "none"
    return f"{source}: {count} of {len(views)} pictures could be registered; not {listed(missing)}; {ADVICE}"


def report(views: list[View], model: Reconstruction) -> Iterator[str]:
    """The result of registration, in lines: views, error, points and lens."""
    missing = [view.name for view in views if view.searched not in model.poses]
    few = len(missing) > len(views) / 2
    cameras = [model.cameras[view.searched] for view in views if view.searched in model.poses]
    first, lenses = cameras[0], len(set(cameras))
    at = f"at {first.width}x{first.height}"
    equivalent = first.fx / math.hypot(first.width, first.height) * DIAGONAL_35MM
    yield f"registered  {len(cameras)} of {len(views)} pictures, reprojection error {model.error:.2f} pixels {at}"
    if missing:
        yield f"{'warning   ' if few else 'notice    '}  not registered: {listed(missing)}"
    if few:
        yield f"            {ADVICE}"
    yield f"points      {len(model.points):,}"
    yield (
        f"lens        focal length {first.fx:,.0f} pixels {at}, the same as {equivalent:.0f} mm on 35 mm film"
        + (f"; the first of {lenses} lenses" if lenses > 1 else "")
    )
