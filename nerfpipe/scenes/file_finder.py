"""Where the files of a scene lie that its data names: pictures, masks, depth maps, points.

Data names files as they lay on the machine where it was made: absolute, from another folder, without a suffix, in
folders that a copy may keep or not. Of what lies in the scene's folder, the file is taken whose path has the longest
end in common with the name; never one file for two names, and none where two fit equally well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.file_names import folded, from_elsewhere, plain_name, refuse_long, unescaped
from nerfpipe.scenes.folder_index import PICTURES, FolderIndex, Match, suffix_of

DYNAMIC_MASK = "dynamic_mask_{}.png"  # instant-ngp's, beside a picture of this name: white is left out
IMAGES = "images"  # COLMAP's folder of pictures
LISTED = 3  # files named in a line that says what lies in a folder


@dataclass(frozen=True)
class _Claim:
    """Who has a file: the name that it was found for, and how well it fits."""

    name: PurePosixPath
    elsewhere: bool  # whether the name begins outside the scene
    fit: tuple[int, bool]


@dataclass(frozen=True)
class Places:
    """Finds files of the scene in `folder`; `images`, `masks` and `missing` are the entry's keys (see frames.Reading).

    within: the folder that names are relative to where `images` names none. taken: what was found, and for whom.
    """

    folder: Path
    images: str | None
    masks: str | None
    within: str = ""
    missing: str = "error"
    taken: dict[Path, _Claim] = field(default_factory=dict)
    indexes: dict[Path, FolderIndex] = field(default_factory=dict)

    def pictures(self, names: Sequence[str]) -> list[Path]:
        """The picture of each name that data has; names may leave out the suffix, .png most often.

        Where one is not there, a path at which it would be. Raises NerfpipeError where two pictures fit a name equally
        well, or where one would serve two names.
        """
        root, deeper = self._root()
        matches = {name: self._locate(root, name, deeper) for name in dict.fromkeys(names)}
        found = {}
        for name in sorted(matches, key=lambda each: _fit(each, matches[each]), reverse=True):
            match = matches[name]
            taken = match is not None and self._take(match, name, "images" if self.images else None)
            found[name] = match.file if match is not None and taken else _would_be(root, name)
        return [found[name] for name in names]

    def picture(self, named: str) -> Path | None:
        """The picture that has been found for a name, or that this name means as well; None where there is none."""
        root, deeper = self._root()
        match = self._locate(root, named, deeper)
        return match.file if match is not None and match.file in self.taken else None

    def file(self, named: str, copies: bool = False) -> Path:
        """A depth map, a mask or points that the data calls so; where it is not there, a path at which it would be.

        copies: pictures of another format count. What is one of the scene's pictures is meant by its own path alone.
        """
        match = self._locate(self.folder, named, deeper=False, copies=copies)
        would_be = self.folder / plain_name(named)
        return would_be if match is None or (match.file in self.taken and match.file != would_be) else match.file

    def mask(self, picture: str) -> Path | None:
        """The mask of a picture in the entry's folder of masks: .png added, as COLMAP wants it, or as the suffix.

        picture: a path relative to the scene. None where the entry names no masks. Raises NerfpipeError where one mask
        would serve two pictures.
        """
        if self.masks is None:
            return None
        root = self.folder / self.masks
        matches = [self._locate(root, name, deeper=False) for name in (f"{picture}.png", picture)]
        there = [match for match in matches if match is not None]
        if not there:
            return root / f"{plain_name(picture).stem}.png"
        best = max(there, key=lambda match: match.shared)
        self._take(best, picture, "masks")
        return best.file

    def relative(self, picture: Path) -> str:
        """A picture's path as `mask` takes it."""
        return picture.relative_to(self.folder).as_posix()

    def _root(self) -> tuple[Path, bool]:
        """Where pictures are looked for, and whether in all folders below: nothing but pictures lies there."""
        root = self.folder / (self.images or self.within)
        if self.images is None and not root.is_dir():
            return self.folder, False
        return root, root != self.folder

    def _take(self, match: Match, named: str, key: str | None) -> bool:
        """Note whom a file serves. False where it serves another name that fits it better, and may be missing."""
        claim = _Claim(plain_name(named), from_elsewhere(named), _fit(named, match))
        other = self.taken.setdefault(match.file, claim)
        if _alike(claim, other):
            return True
        if self.missing == "skip" and other.fit > claim.fit:
            return False
        where = f"in the folder that `{key}:` names" if key else "beside the data"
        raise NerfpipeError(
            f"{match.file}: would serve both {other.name} and {claim.name}; "
            f"{where}, keep the folders that the pictures are in"
        )

    def _locate(self, root: Path, named: str, deeper: bool, copies: bool = True) -> Match | None:
        """The file below `root` that fits a name best. deeper: in folders that the name does not have, too."""
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


def _fit(named: str, match: Match | None) -> tuple[int, bool]:
    """How many parts of a name its file has, and whether that is all of them."""
    return (match.shared, match.shared == len(plain_name(named).parts)) if match is not None else (0, False)


def _would_be(root: Path, named: str) -> Path:
    name = plain_name(named)
    return root / (name if name.suffix.lower() in PICTURES else name.with_name(f"{name.name}.png"))


def _alike(a: _Claim, b: _Claim) -> bool:
    """Whether two names mean one picture: but for the suffix the same, or one is from elsewhere and ends in the other.

    Suffixes may be left out, and be in large or small letters.
    """
    suffixes = {suffix_of(each.name).lower() for each in (a, b)} - {""}
    if len(suffixes) > 1:
        return False
    longer, shorter = sorted((a, b), key=lambda each: -len(each.name.parts))
    ours, theirs = ([*map(folded, each.name.parts[:-1]), _stem(each.name)] for each in (longer, shorter))
    if len(ours) == len(theirs):
        return ours == theirs
    return longer.elsewhere and ours[-len(theirs) :] == theirs


def _stem(name: PurePosixPath) -> str:
    return folded(name.name.removesuffix(suffix_of(name)))
