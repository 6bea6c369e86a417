"""Unpacks archives that nobody vouches for: no byte out of the folder, and no more bytes than declared.

All sizes are in bytes. What may be unpacked is decided by members.py, where in it the scene lies by subfolder.py.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nerfpipe.archives.checksum import check_room, megabytes
from nerfpipe.archives.members import BY_HAND, Member, placed, quoted
from nerfpipe.archives.readers import DAMAGES, DamagedError, Kind, TarReader, ZipReader
from nerfpipe.archives.subfolder import folders_of, locate, wrapper
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import CHUNK_BYTES, named_errors
from nerfpipe.runtime.progress import Progress

UNPACKED_RATIO = 50  # most that an archive may grow: pictures do not, text does tenfold, bombs do a thousandfold
UNPACKED_FLOOR = 100_000_000  # what any archive may grow to, however small: that does no harm
MEMBERS_LIMIT = 100_000  # files and folders: some ten times those of the largest public scenes


def unpack(archive: Path, kind: Kind, folder: Path, name: str, inside: str | None = None, shown: str = "") -> list[str]:
    """Unpack what lies below `inside` (by default all, less one folder around it) into the empty `folder`.

    `name` is what progress calls it, `shown` (by default the path) what errors do. Returns the files written, relative
    to `folder`, with forward slashes. Nothing is written unless all names and declared sizes are sound; damage within
    the files shows only on the way, and then the folder must not be used.
    Raises NerfpipeError naming the archive, NoSuchFolderError where `inside` is not in it, and OSError naming a file
    that cannot be written.
    """
    shown = shown or str(archive)
    with archive.open("rb", buffering=0) as file:
        with _reading(shown):
            reader = ZipReader(file) if kind == "zip" else TarReader(file, name)
            members = _within_limits(reader, archive.stat().st_size, shown)
        files = {member.parts for member in members if not member.is_folder}
        if not files:
            raise NerfpipeError(f"{shown}: holds no files; get another archive of the scene")
        places = placed(members, wrapper(files) if inside is None else locate(inside, folders_of(files)), shown)
        total = sum(member.size for member in places.values())
        check_room(folder, total)
        with Progress(f"unpack {name}", total, "B", unit_scale=True) as progress:
            for place, member in places.items():
                _write(folder / place, _pieces(reader, member, shown), progress)
    return list(places)


def unpacked_limit(packed: int) -> int:
    """How large an archive of this size may become."""
    return max(UNPACKED_FLOOR, UNPACKED_RATIO * packed)


def _within_limits(reader: ZipReader | TarReader, packed: int, shown: str) -> list[Member]:
    """What the archive holds, less what systems leave in archives, if it is neither too many files nor too large."""
    members, total, limit = [], 0, unpacked_limit(packed)
    for count, member in enumerate(reader.members(), start=1):
        if member.size < 0:
            raise DamagedError(f"{quoted(member.name)} has a negative size")
        total += member.size
        if total > limit:
            raise NerfpipeError(
                f"{shown}: has {megabytes(packed)} and would unpack to {megabytes(total)} or more, where the limit is "
                f"{megabytes(limit)}; if you trust it, {BY_HAND}"
            )
        if count > MEMBERS_LIMIT:
            raise NerfpipeError(f"{shown}: holds more than {MEMBERS_LIMIT} files and folders; {BY_HAND}")
        if not member.is_junk:
            members.append(member)
    return members


def _pieces(reader: ZipReader | TarReader, member: Member, shown: str) -> Iterator[bytes]:
    """The content of a file. It must be as long as declared: the room on the disk was measured by that."""
    with _reading(shown), reader.open(member) as source:
        left = member.size
        while piece := source.read(CHUNK_BYTES):
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if left != 0:
            raise DamagedError(f"{quoted(member.name)} is not as long as declared")


def _write(target: Path, pieces: Iterator[bytes], progress: Progress) -> None:
    """A new file. It gets the permissions that new files have here, not those in the archive."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with named_errors(target), target.open("xb") as file:
        for piece in pieces:
            file.write(piece)
            progress.advance(len(piece))


@contextmanager
def _reading(shown: str) -> Iterator[None]:
    """Whatever the readers make of a damaged archive becomes one line that names it."""
    try:
        yield
    except DAMAGES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        reason = "it names a place before its own start"
    else:
        return
    raise NerfpipeError(f"{shown}: damaged or cut short ({reason:.200}); delete it and get it again")
