"""Finds the files that a scene's data names: images, masks, depth maps, points.

Data names files by their paths on the machine that made it: absolute, relative to another folder, without a suffix,
in folders that a copy may lack. The match is the file in the scene's folder whose path has the longest end in common
with the name. No file matches two names, and two equally good matches are an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.file_names import folded, from_elsewhere, plain_name, refuse_long, unescaped
from nerfpipe.scenes.folder_index import PICTURES, FolderIndex, Match, suffix_of

DYNAMIC_MASK = "dynamic_mask_{}.png"  # instant-ngp's, beside the image of this name; white pixels are left out
LISTED = 3  # files named in the description of a folder


@dataclass(frozen=True)
class _Claim:
    """The name that a file was found for, and how well it fits."""

    name: PurePosixPath
    elsewhere: bool  # whether the name is absolute or begins above the scene's folder
    fit: tuple[int, bool]


@dataclass(frozen=True)
class FileFinder:
    """Finds files of the scene in `folder`; `images`, `masks` and `missing` are keys of its entry (frames.ReadOptions).

    within: the folder of the images if `images` is None. claims: the names of the files found so far.
    """

    folder: Path
    images: str | None
    masks: str | None
    within: str = ""
    missing: str = "error"
    claims: dict[Path, _Claim] = field(default_factory=dict)
    indexes: dict[Path, FolderIndex] = field(default_factory=dict)

    def pictures(self, names: Sequence[str]) -> list[Path]:
        """The images of these names, which may lack the suffix; for a missing image, a path that does not exist.

        Raises NerfpipeError if two images fit a name equally well, or one image would serve two names.
        """
        root, deeper = self._root()
        matches = {name: self._locate(root, name, deeper) for name in dict.fromkeys(names)}
        found = {}
        for name in sorted(matches, key=lambda name: _fit(name, matches[name]), reverse=True):
            match = matches[name]
            claimed = match is not None and self._claim(match, name, "images" if self.images else None)
            found[name] = match.file if match is not None and claimed else _expected_path(root, name)
        return [found[name] for name in names]

    def picture(self, named: str) -> Path | None:
        """The image already found by `pictures` that this name means as well, in another spelling; None if none."""
        root, deeper = self._root()
        match = self._locate(root, named, deeper)
        return match.file if match is not None and match.file in self.claims else None

    def file(self, named: str, copies: bool = False) -> Path:
        """A depth map, a mask or points of this name; if it is missing, a path that does not exist.

        copies: whether an image of another format may match. An image of the scene matches by its exact path alone.
        """
        match = self._locate(self.folder, named, deeper=False, copies=copies)
        expected = self.folder / plain_name(named)
        return expected if match is None or (match.file in self.claims and match.file != expected) else match.file

    def mask(self, picture: str) -> Path | None:
        """The mask of an image in the folder `masks`: its name with .png appended, COLMAP's custom, or as its suffix.

        picture: a path relative to the scene. None if `masks` is None. Raises NerfpipeError if one mask would serve
        two images.
        """
        if self.masks is None:
            return None
        root = self.folder / self.masks
        matches = [self._locate(root, name, deeper=False) for name in (f"{picture}.png", picture)]
        found = [match for match in matches if match is not None]
        if not found:
            return root / f"{plain_name(picture).stem}.png"
        best = max(found, key=lambda match: match.shared)
        self._claim(best, picture, "masks")
        return best.file

    def relative(self, picture: Path) -> str:
        """An image's path relative to the scene, the argument of `mask`."""
        return picture.relative_to(self.folder).as_posix()

    def _root(self) -> tuple[Path, bool]:
        """The folder to find images in, and whether in its subfolders too, since it holds nothing but images."""
        root = self.folder / (self.images or self.within)
        if self.images is None and not root.is_dir():
            return self.folder, False
        return root, root != self.folder

    def _claim(self, match: Match, named: str, key: str | None) -> bool:
        """Record the name of a file. False if another name fits the file better and this one may be missing."""
        claim = _Claim(plain_name(named), from_elsewhere(named), _fit(named, match))
        other = self.claims.setdefault(match.file, claim)
        if _same_picture(claim, other):
            return True
        if self.missing == "skip" and other.fit > claim.fit:
            return False
        folder = f"in the folder that `{key}:` names" if key else "beside the data"
        raise NerfpipeError(
            f"{match.file}: would serve both {other.name} and {claim.name}; "
            f"{folder}, keep the folders that the pictures are in"
        )

    def _locate(self, root: Path, named: str, deeper: bool, copies: bool = True) -> Match | None:
        """The file below `root` that fits a name best; deeper: also in folders that are not in the name."""
        for spelling in (named, unescaped(named)):
            if spelling is None:
                continue
            name = plain_name(spelling)
            refuse_long(str(root / name) + ".png")
            if (root / name).is_file():
                return Match(root / name, len(name.parts))
            if root not in self.indexes:
                self.indexes[root] = FolderIndex(root)
            if (match := self.indexes[root].find(name, deeper, copies)) is not None:
                return match
        return None


def describe_folder(folder: Path) -> str:
    """The content of a folder, or of its nearest parent that exists, in a few words."""
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    shown = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    return f"{folder} holds {shown or 'nothing'}"


def dynamic_mask(picture: Path) -> Path | None:
    """The mask of moving objects beside an image, as instant-ngp names it; None if there is none."""
    mask = picture.with_name(DYNAMIC_MASK.format(picture.stem))
    return mask if mask.is_file() else None


def _fit(named: str, match: Match | None) -> tuple[int, bool]:
    """The number of parts of the name that the file's path has, and whether these are all."""
    return (match.shared, match.shared == len(plain_name(named).parts)) if match is not None else (0, False)


def _expected_path(root: Path, named: str) -> Path:
    name = plain_name(named)
    return root / (name if name.suffix.lower() in PICTURES else name.with_name(f"{name.name}.png"))


def _same_picture(a: _Claim, b: _Claim) -> bool:
    """Whether two names mean one image: equal but for a missing suffix or the case of letters, or ending alike.

    The longer name must then come from another folder.
    """
    suffixes = {suffix_of(claim.name).lower() for claim in (a, b)} - {""}
    if len(suffixes) > 1:
        return False
    longer, shorter = sorted((a, b), key=lambda claim: -len(claim.name.parts))
    long_parts, short_parts = ([*map(folded, claim.name.parts[:-1]), _stem(claim.name)] for claim in (longer, shorter))
    if len(long_parts) == len(short_parts):
        return long_parts == short_parts
    return longer.elsewhere and long_parts[-len(short_parts) :] == short_parts


def _stem(name: PurePosixPath) -> str:
    return folded(name.name.removesuffix(suffix_of(name)))
