"""Where the pictures and masks of frames lie, when the scene's entry names another folder for them.

Data may keep its pictures in nested folders, cam0/0001.jpg beside cam1/0001.jpg, and copies of them may keep all of
that path or only its end. The longest end that is there is taken, and never one file for two frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from nerfpipe.errors import NerfpipeError
from nerfpipe.scenes.pictures import HEIC, SUFFIXES

DYNAMIC_MASK = "dynamic_mask_{}.png"  # instant-ngp's, beside a picture of this name: white is left out


@dataclass(frozen=True)
class Places:
    """Finds files of the scene in `folder`; `images` and `masks` are the entry's keys (see frames.Reading).

    taken: what was found there, and for whom.
    """

    folder: Path
    images: str | None
    masks: str | None
    taken: dict[Path, str] = field(default_factory=dict)

    def picture(self, named: str) -> Path:
        """The picture that the data calls so; the name may leave out the suffix, .png most often.

        Raises NerfpipeError where `images:` has one picture for two names.
        """
        if self.images is None:
            return with_suffix(self.folder / named)
        ends = [with_suffix(self.folder / self.images / end) for end in _ends(PurePosixPath(named))]
        return self._first(ends, named, "images")

    def mask(self, picture: str) -> Path | None:
        """The mask of a picture in the entry's folder of masks: .png added, as COLMAP wants it, or as the suffix.

        picture: a path relative to the scene. None where the entry names no masks. Raises NerfpipeError where one mask
        would serve two pictures.
        """
        if self.masks is None:
            return None
        masks = [self.folder / self.masks / name for end in _ends(PurePosixPath(picture)) for name in _mask_names(end)]
        return self._first(masks, picture, "masks")

    def relative(self, picture: Path) -> str:
        """A picture's path as `mask` takes it."""
        return picture.relative_to(self.folder).as_posix()

    def _first(self, candidates: list[Path], name: str, key: str) -> Path:
        """The first that is there, now taken; the last where none is, for whoever reads it to complain about."""
        found = next((each for each in candidates if each.is_file()), None)
        if found is None:
            return candidates[-1]
        if self.taken.setdefault(found, name) != name:
            raise NerfpipeError(
                f"{found}: would serve both {self.taken[found]} and {name}; "
                f"in the folder that `{key}:` names, keep the folders that the pictures are in"
            )
        return found


def with_suffix(picture: Path) -> Path:
    """The path itself, or the file that is there when a suffix is added; .png where there is none."""
    known = (*SUFFIXES, *HEIC)
    if picture.is_file() or picture.suffix.lower() in known:
        return picture
    spelled = (*known, *(suffix.upper() for suffix in known))
    named = [picture.with_name(picture.name + suffix) for suffix in spelled]
    return next((each for each in named if each.is_file()), named[0])


def dynamic_mask(picture: Path) -> Path | None:
    """The mask of what moves that instant-ngp looks for beside a picture, where there is one."""
    mask = picture.with_name(DYNAMIC_MASK.format(picture.stem))
    return mask if mask.is_file() else None


def _ends(path: PurePosixPath) -> Iterator[PurePosixPath]:
    """The path, then without its first folder, and so on; its name at last."""
    return (PurePosixPath(*path.parts[start:]) for start in range(len(path.parts)))


def _mask_names(picture: PurePosixPath) -> tuple[PurePosixPath, PurePosixPath]:
    return picture.with_name(f"{picture.name}.png"), picture.with_suffix(".png")
