"""Where the files of a scene lie that its data names: pictures, masks, depth maps, points.

Data names files as they lay on the machine where it was made: absolute, from another folder, without a suffix, in
folders that a copy may keep or not. Of what lies in the scene's folder, the file is taken whose path has the longest
end in common with the name; never one file for two names, and none where two fit equally well.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from nerfpipe.errors import NerfpipeError
from nerfpipe.imagefile import HEIC
from nerfpipe.scenes.names import plain_name
from nerfpipe.scenes.pictures import SUFFIXES

DYNAMIC_MASK = "dynamic_mask_{}.png"  # instant-ngp's, beside a picture of this name: white is left out
IMAGES = "images"  # COLMAP's folder of pictures
PICTURES = (*SUFFIXES, *HEIC)
LISTED = 3  # files named in a line that says what lies in a folder

Index = dict[str, list[PurePosixPath]]


@dataclass(frozen=True)
class Places:
    """Finds files of the scene in `folder`; `images` and `masks` are the entry's keys (see frames.Reading).

    within: the folder that names are relative to where `images` names none. taken: what was found, and for whom.
    """

    folder: Path
    images: str | None
    masks: str | None
    within: str = ""
    taken: dict[Path, str] = field(default_factory=dict)
    indexes: dict[Path, Index] = field(default_factory=dict)

    def picture(self, named: str) -> Path:
        """The picture that the data calls so; the name may leave out the suffix, .png most often.

        Where it is not there, a path at which it would be. Raises NerfpipeError where two pictures fit equally well,
        or where one would serve two names.
        """
        name = plain_name(named)
        root = self.folder / (self.images or self.within)
        alone = root != self.folder  # nothing but pictures lies there
        if self.images is None and not root.is_dir():
            root, alone = self.folder, False
        found = self._locate(root, name, alone)
        if found is None:
            return root / (name if name.suffix.lower() in PICTURES else name.with_name(f"{name.name}.png"))
        return self._take(found, str(name), "images" if self.images else None)

    def file(self, named: str) -> Path:
        """A depth map, a mask or points that the data calls so; where it is not there, a path at which it would be."""
        name = plain_name(named)
        return self._locate(self.folder, name, alone=False) or self.folder / name

    def mask(self, picture: str) -> Path | None:
        """The mask of a picture in the entry's folder of masks: .png added, as COLMAP wants it, or as the suffix.

        picture: a path relative to the scene. None where the entry names no masks. Raises NerfpipeError where one mask
        would serve two pictures.
        """
        if self.masks is None:
            return None
        name = plain_name(picture)
        ends = [PurePosixPath(*name.parts[start:]) for start in range(len(name.parts))]
        masks = [self.folder / self.masks / each for end in ends for each in _mask_names(end)]
        found = next((each for each in masks if each.is_file()), None)
        return masks[-1] if found is None else self._take(found, str(name), "masks")

    def relative(self, picture: Path) -> str:
        """A picture's path as `mask` takes it."""
        return picture.relative_to(self.folder).as_posix()

    def _take(self, found: Path, name: str, key: str | None) -> Path:
        other = self.taken.setdefault(found, name)
        if other != name:
            where = f"in the folder that `{key}:` names" if key else "beside the data"
            raise NerfpipeError(
                f"{found}: would serve both {other} and {name}; {where}, keep the folders that the pictures are in"
            )
        return found

    def _locate(self, root: Path, name: PurePosixPath, alone: bool) -> Path | None:
        """The file below `root` that fits the name best. alone: it may lie in folders that the name does not have."""
        if (root / name).is_file():
            return root / name
        wanted = name.suffix if name.suffix.lower() in (*PICTURES, ".npy", ".ply") else ""
        stem = name.name.removesuffix(wanted).lower()
        ranked: dict[tuple, list[PurePosixPath]] = {}
        for file in self._index(root).get(stem, []):
            shared = _shared(name.parts[:-1], file.parts[:-1])
            further, suffix = len(file.parts) - 1 - shared, _suffix_rank(wanted, file.suffix)
            if suffix is not None and (alone or not further):
                ranked.setdefault((-shared, further, suffix), []).append(file)
        if not ranked:
            return None
        best = ranked[min(ranked)]
        if len(best) > 1:
            both = " and ".join(str(each) for each in best[:2])
            raise NerfpipeError(
                f"{root}: {name} may be {both}, which fit equally well; keep the folders and names that the pictures "
                "had when their cameras were found"
            )
        return root / best[0]

    def _index(self, root: Path) -> Index:
        """All files below a folder by the names that data may call them, in small letters and without a suffix."""
        if root not in self.indexes:
            index: Index = {}
            for folder, _, names in os.walk(root):
                inside = PurePosixPath(Path(folder).relative_to(root).as_posix())
                for each in sorted(names):
                    index.setdefault(PurePosixPath(each).stem.lower(), []).append(inside / each)
            self.indexes[root] = index
        return self.indexes[root]


def lies_in(folder: Path) -> str:
    """What a folder holds, in a few words: for whoever looks there for something else."""
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(each.name + "/" * each.is_dir() for each in folder.iterdir())
    shown = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    return f"{folder} holds {shown or 'nothing'}"


def dynamic_mask(picture: Path) -> Path | None:
    """The mask of what moves that instant-ngp looks for beside a picture, where there is one."""
    mask = picture.with_name(DYNAMIC_MASK.format(picture.stem))
    return mask if mask.is_file() else None


def _shared(named: tuple[str, ...], there: tuple[str, ...]) -> int:
    """How many folders the two have in common, counted from the end."""
    count = 0
    for a, b in zip(reversed(named), reversed(there), strict=False):
        if a.lower() != b.lower():
            break
        count += 1
    return count


def _suffix_rank(wanted: str, there: str) -> int | None:
    """How well a file's suffix fits the one in its name, 0 best; None: not at all.

    A copy may have been made in another format. A name without a suffix means .png rather than another.
    """
    if wanted == there:
        return 0
    if wanted.lower() == there.lower():
        return 1
    if there.lower() not in PICTURES or (wanted and wanted.lower() not in PICTURES):
        return None
    return 2 if wanted else 2 + PICTURES.index(there.lower())


def _mask_names(picture: PurePosixPath) -> tuple[PurePosixPath, PurePosixPath]:
    return picture.with_name(f"{picture.name}.png"), picture.with_suffix(".png")
