"""Unpacks untrusted archives: no byte outside the folder, and no more bytes than declared.

All sizes are in bytes. members.py decides which members may be unpacked, subfolder.py finds the scene among them.
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

MAX_RATIO = 50  # of unpacked to packed size: 1 for pictures, 10 for text, 1000 for bombs
HARMLESS_BYTES = 100_000_000  # any archive may grow to this size, however small it is
MAX_MEMBERS = 100_000  # files and folders: about ten times those of the largest public scenes


def unpack(archive: Path, kind: Kind, folder: Path, name: str, inside: str | None = None, shown: str = "") -> list[str]:
    """Unpack all files below `inside` (by default all, without one folder around them) into the empty `folder`.

    Progress names the archive `name`, errors name it `shown` (by default the path). Returns the files written,
    relative to `folder`, with forward slashes. Nothing is written unless all names and declared sizes are sound; damage
    within the files is found while writing, and then the folder must not be used.
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
        files_by_path = placed(members, wrapper(files) if inside is None else locate(inside, folders_of(files)), shown)
        total = sum(member.size for member in files_by_path.values())
        check_room(folder, total)
        with Progress(f"unpack {name}", total, "B", unit_scale=True) as progress:
            for path, member in files_by_path.items():
                _write(folder / path, _pieces(reader, member, shown), progress)
    return list(files_by_path)


def unpacked_limit(packed: int) -> int:
    """The size to which an archive of this size may be unpacked."""
    return max(HARMLESS_BYTES, MAX_RATIO * packed)


def _within_limits(reader: ZipReader | TarReader, packed: int, shown: str) -> list[Member]:
    """The members without junk. Raises where there are too many, or too many bytes."""
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
        if count > MAX_MEMBERS:
            raise NerfpipeError(f"{shown}: holds more than {MAX_MEMBERS} files and folders; {BY_HAND}")
        if not member.is_junk:
            members.append(member)
    return members


def _pieces(reader: ZipReader | TarReader, member: Member, shown: str) -> Iterator[bytes]:
    """The content of a file. It must have its declared size: the disk space was checked for that."""
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
    """Write a new file, with the system's default permissions and not the archive's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with named_errors(target), target.open("xb") as file:
        for piece in pieces:
            file.write(piece)
            progress.advance(len(piece))


@contextmanager
def _reading(shown: str) -> Iterator[None]:
    """Turn the readers' errors for a damaged archive into one line that names it."""
    try:
        yield
    except DAMAGES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        reason = "it has an offset before its own start"
    else:
        return
    raise NerfpipeError(f"{shown}: damaged or cut short ({reason:.200}); delete it and get it again")
