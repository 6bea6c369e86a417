"""What `nerfpipe photos` does, from the user's folder to the lines it prints."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nerfpipe.config.params import LONGEST_SIDE, MOST_FRAMES
from nerfpipe.photos import pairs
from nerfpipe.photos.capture import (
    CAPTURES,
    POINTS,
    TRANSFORMS,
    add_entry,
    capture_folder,
    write_capture,
)
from nerfpipe.photos.images import DIAGONAL_35MM, FEWEST, LOSSLESS, list_pictures, some
from nerfpipe.photos.masks import find_masks
from nerfpipe.photos.preparing import IMAGES, MASKS, SEARCHED, SEARCHED_MASKS, View, prepare_files, prepare_frames
from nerfpipe.photos.reconstruct import Model, load_pycolmap, reconstruct
from nerfpipe.photos.video import not_a_video, sharp_frames
from nerfpipe.project.catalogue import CATALOGUE_FILE
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import refuse_irregular, work_folder

MATCHINGS = ("auto", "exhaustive", "sequential")
SMALLEST = 64  # pixels: below, nothing is left to learn
LAST_SEED = 2**31 - 1  # COLMAP takes no larger one; below 0 it would draw its own
MANY_PAIRS = 5000  # 100 pictures with one another; hours on a few cores

ADVICE = (
    "photograph again with more overlap (neighbouring pictures share 60 to 80 %); walk around the thing instead of "
    "turning on the spot; have textured things in view, nothing that moves, even light and no blur"
)


@dataclass(frozen=True)
class Options:
    """What the user asked for; see the command's help."""

    name: str
    masks: Path | None = None
    matching: str = "auto"
    frames: int = 100
    size: int = 800
    seed: int = 0
    replace: bool = False


def make_capture(source: Path, options: Options) -> Iterator[str]:
    """Make the capture of a folder of pictures or a video; yields the lines to print as it goes.

    Raises NerfpipeError, with nothing written, where that cannot be done.
    """
    check_options(options)
    folder = capture_folder(options.name, options.replace)
    load_pycolmap()
    scratch = work_folder() / "photos"
    scratch.mkdir(parents=True, exist_ok=True)
    with begins_anew(), tempfile.TemporaryDirectory(dir=scratch, prefix=f"{options.name}-") as name:
        workshop = Path(name)
        for kind in (IMAGES, MASKS, SEARCHED, SEARCHED_MASKS):
            (workshop / kind).mkdir()
        views = prepare(source, options, workshop)
        chosen = choose_pairs(source, options.matching, len(views))
        if len(chosen) > MANY_PAIRS and source.is_dir():
            yield (
                f"notice  {len(chosen):,} pairs of pictures are compared; where they were taken one after the other, "
                "--matching sequential needs far fewer"
            )
        model = reconstruct(workshop, views, chosen, options.seed)
        if model is None or len(model.poses) < FEWEST:
            raise NerfpipeError(failure(source, views, model))
        write_capture(folder, workshop, views, model)
    added = add_entry(options.name, folder)
    yield from report(views, model)
    yield f"wrote       {folder}: {len(model.poses)} pictures, {TRANSFORMS}, {POINTS}"
    if added:
        yield f"catalogue   {CATALOGUE_FILE} has a new entry: {options.name}"
    yield f"next        dvc add {folder.as_posix()}"
    yield f"            set `scene: {options.name}` and `method: ngp_photos` in params.yaml"
    if options.replace:  # DVC looks at the entry, which is the same as before, and not at the pictures
        yield "            dvc repro --force --single-item download"
    yield "            dvc repro"


@contextmanager
def begins_anew() -> Iterator[None]:
    """Say on Ctrl-C what is left of the work."""
    try:
        yield
    except KeyboardInterrupt:
        raise NerfpipeError("interrupted; nothing was written, and the same command begins anew") from None


def check_options(options: Options) -> None:
    """Raise NerfpipeError where the options make no sense."""
    if options.matching not in MATCHINGS:
        raise NerfpipeError(
            f"--matching: must be {', '.join(MATCHINGS[:-1])} or {MATCHINGS[-1]} (got {options.matching})"
        )
    if options.frames < FEWEST:
        raise NerfpipeError(f"--frames: must be at least {FEWEST} (got {options.frames})")
    if options.frames > MOST_FRAMES:
        raise NerfpipeError(f"--frames: must be at most {MOST_FRAMES:,} (got {options.frames})")
    if 0 != options.size < SMALLEST:
        raise NerfpipeError(f"--size: must be at least {SMALLEST} pixels, or 0 to keep it (got {options.size})")
    if options.size > LONGEST_SIDE:
        raise NerfpipeError(f"--size: must be at most {LONGEST_SIDE:,} pixels, or 0 to keep it (got {options.size})")
    if not 0 <= options.seed <= LAST_SEED:
        raise NerfpipeError(f"--seed: must be from 0 to {LAST_SEED:,} (got {options.seed})")


def prepare(source: Path, options: Options, workshop: Path) -> list[View]:
    """The views of a folder or a video, their files in the workshop."""
    if source.is_dir():
        files = list_pictures(source)
        masks = {} if options.masks is None else find_masks(options.masks, files)
        return prepare_files(files, masks, workshop, options.size)
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
    views = prepare_frames(sharp_frames(source, options.frames), workshop, options.size)
    if len(views) < FEWEST:
        raise not_a_video(source)
    return views


def choose_pairs(source: Path, matching: str, count: int) -> list[tuple[int, int]]:
    """Pairs of views to compare."""
    one_after_another = matching == "sequential" or (matching == "auto" and source.is_file())
    return pairs.sequential(count) if one_after_another else pairs.exhaustive(count)


def failure(source: Path, views: list[View], model: Model | None) -> str:
    """What to tell the user when too few pictures could be registered."""
    placed = {} if model is None else model.poses
    missing = [view.name for view in views if view.searched not in placed]
    count = f"only {len(placed)}" if placed else "none"
    return f"{source}: {count} of {len(views)} pictures could be registered; not {some(missing)}; {ADVICE}"


def report(views: list[View], model: Model) -> Iterator[str]:
    """How well it went, in lines."""
    missing = [view.name for view in views if view.searched not in model.poses]
    few = len(missing) > len(views) / 2
    cameras = [model.cameras[view.searched] for view in views if view.searched in model.poses]
    first, lenses = cameras[0], len(set(cameras))
    at = f"at {first.width}x{first.height}"
    equivalent = first.fx / math.hypot(first.width, first.height) * DIAGONAL_35MM
    yield f"registered  {len(cameras)} of {len(views)} pictures, reprojection error {model.error:.2f} pixels {at}"
    if missing:
        yield f"{'warning   ' if few else 'notice    '}  not registered: {some(missing)}"
    if few:
        yield f"            {ADVICE}"
    yield f"points      {len(model.points):,}"
    yield (
        f"lens        focal length {first.fx:,.0f} pixels {at}, the same as {equivalent:.0f} mm on 35 mm film"
        + (f"; the first of {lenses} lenses" if lenses > 1 else "")
    )
