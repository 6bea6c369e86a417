"""The files below a folder by all that data may call them: made once, so that finding names takes linear time."""

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
PICTURE = "picture"  # the kind of all files whose suffixes stand for one another

Key = tuple[str, ...]


@dataclass(frozen=True)
class Match:
    """A file, and how many parts of its name's end it has in common with it."""

    file: Path
    shared: int


class FolderIndex:
    """Files below `root`, by their whole paths and by every end of them, without suffixes."""

    def __init__(self, root: Path) -> None:
        self.root, self.deepest = root, 0
        self.whole: dict[Key, list[PurePosixPath]] = defaultdict(list)
        self.ends: dict[Key, list[PurePosixPath]] = defaultdict(list)
        for folder, _, names in os.walk(root):
            inside = PurePosixPath(Path(folder).relative_to(root).as_posix())
            for name in sorted(names):
                self._add(inside / name)

    def _add(self, file: PurePosixPath) -> None:
        kind, *parts = _key(file)
        self.deepest = max(self.deepest, len(parts))
        self.whole[(kind, *parts)].append(file)
        for start in range(1, len(parts)):
            self.ends[(kind, *parts[start:])].append(file)

    def find(self, name: PurePosixPath, deeper: bool, copies: bool = True) -> Match | None:
        """The file that fits the name best: all of its path is an end of the name, the longer the better.

        deeper: the name may be an end of the file's path as well. copies: pictures of another format count.
        Raises NerfpipeError where two fit equally well.
        """
        kind, *parts = _key(name)
        for length in range(min(len(parts), self.deepest), 0, -1):
            end = (kind, *parts[len(parts) - length :])
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
            both = " and ".join(str(each) for each in best[:2])
            raise NerfpipeError(
                f"{self.root}: {name} may be {both}, which fit equally well; keep the folders and names that the "
                "pictures had when their cameras were found"
            )
        return best[0]


def suffix_of(name: PurePosixPath) -> str:
    """A suffix that tells what the file is, or nothing: the dot of `IMG_1.5` begins none."""
    return name.suffix if name.suffix.lower() in KNOWN else ""


def _key(name: PurePosixPath) -> Key:
    suffix = suffix_of(name)
    kind = suffix.lower() if suffix and suffix.lower() not in PICTURES else PICTURE
    return kind, *map(folded, name.parts[:-1]), folded(name.name.removesuffix(suffix))


def _spelled_alike(file: PurePosixPath, name: PurePosixPath) -> bool:
    ours, theirs = (each.with_name(each.name.removesuffix(suffix_of(each)) or "-").parts for each in (file, name))
    shared = min(len(ours), len(theirs))
    return ours[-shared:] == theirs[-shared:]


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
