"""An index of the files below a folder by all their possible names, so that finding N names takes linear time."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nerfpipe.images.image_file import HEIC
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.file_names import folded
from nerfpipe.scenes.image_files import SUFFIXES

PICTURES = (*SUFFIXES, *HEIC)
KNOWN = (*PICTURES, ".npy", ".ply")
PICTURE = "picture"  # the kind of all files that may be copies of each other in another format

Key = tuple[str, ...]  # kind, folders, name without suffix


@dataclass(frozen=True)
class Match:
    """A file, and the number of parts at the end of the name that its path has in common with it."""

    file: Path
    shared: int


class FolderIndex:
    """Files below `root`, by their whole paths and by all ends of their paths, without suffixes."""

    def __init__(self, root: Path) -> None:
        self.root, self.deepest = root, 0
        self.whole: dict[Key, list[PurePosixPath]] = defaultdict(list)
        self.ends: dict[Key, list[PurePosixPath]] = defaultdict(list)
        for folder, _, names in os.walk(root):
            inside = PurePosixPath(Path(folder).relative_to(root).as_posix())
            for name in sorted(names):
                self._add(inside / name)

    def _add(self, file: PurePosixPath) -> None:
        key = _key(file)
        kind, parts = key[:1], key[1:]
        self.deepest = max(self.deepest, len(parts))
        self.whole[key].append(file)
        for start in range(1, len(parts)):
            self.ends[kind + parts[start:]].append(file)

    def find(self, name: PurePosixPath, deeper: bool, copies: bool = True) -> Match | None:
        """The file that fits the name best: the one with the longest path that is an end of the name.

        deeper: the name may also be an end of the file's path. copies: images of another format may match.
        Raises NerfpipeError if two files fit equally well.
        """
        key = _key(name)
        kind, parts = key[:1], key[1:]
        for length in range(min(len(parts), self.deepest), 0, -1):
            end = kind + parts[len(parts) - length :]
            found = self._best(self.whole.get(end, ()), name, copies)
            if found is None and deeper and length == len(parts):
                found = self._best(self.ends.get(end, ()), name, copies)
            if found is not None:
                return Match(self.root / found, length)
        return None

    def _best(self, files: Iterable[PurePosixPath], name: PurePosixPath, copies: bool) -> PurePosixPath | None:
        ranked: dict[tuple[int, bool, int], list[PurePosixPath]] = defaultdict(list)
        wanted = suffix_of(name)
        for file in files:
            rank = _suffix_rank(wanted, suffix_of(file))
            if rank is not None and (copies or rank < 2):
                ranked[rank, not _spelled_alike(file, name), len(file.parts)].append(file)
        if not ranked:
            return None
        best = ranked[min(ranked)]
        if len(best) > 1:
            both = " and ".join(str(file) for file in best[:2])
            raise NerfpipeError(
                f"{self.root}: {name} may be {both}, which fit equally well; keep the folders and names that the "
                "pictures had when their cameras were found"
            )
        return best[0]


def suffix_of(name: PurePosixPath) -> str:
    """The suffix if it is a known one, else an empty string: `IMG_1.5` has none."""
    return name.suffix if name.suffix.lower() in KNOWN else ""


def _key(name: PurePosixPath) -> Key:
    suffix = suffix_of(name)
    kind = suffix.lower() if suffix and suffix.lower() not in PICTURES else PICTURE
    return kind, *map(folded, name.parts[:-1]), folded(name.name.removesuffix(suffix))


def _spelled_alike(file: PurePosixPath, name: PurePosixPath) -> bool:
    file_parts, name_parts = (
        path.with_name(path.name.removesuffix(suffix_of(path)) or "-").parts for path in (file, name)
    )
    shared = min(len(file_parts), len(name_parts))
    return file_parts[-shared:] == name_parts[-shared:]


def _suffix_rank(wanted: str, found: str) -> int | None:
    """How well a file's suffix fits that of the name: 0 is best, None does not fit.

    The file may be a copy in another format. A name without a suffix prefers .png.
    """
    if wanted == found:
        return 0
    if wanted.lower() == found.lower():
        return 1
    if found.lower() not in PICTURES or (wanted and wanted.lower() not in PICTURES):
        return None
    return 2 if wanted else 2 + PICTURES.index(found.lower())
