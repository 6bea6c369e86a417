"""Zip and tar archives read in one way. Their names, sizes and positions are not trusted. All sizes are in bytes."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

from nerfpipe.archives.checksum import megabytes
from nerfpipe.archives.members import AGAIN, BY_HAND, Member
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import CHUNK_BYTES
from nerfpipe.runtime.progress import Progress

PIECE_BYTES = 1 << 24  # read at once at most: 100,000 lines of a zip's index

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
OTHER_SUFFIXES = (".7z", ".rar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
TAR_MAGIC = (257, b"ustar")  # offset in the first header, and the bytes there
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # the second is an empty archive's

IS_LINK = f"is a link; put the file itself in its place and {AGAIN}"
IS_SPECIAL = f"is neither a file nor a folder; {AGAIN} without it"
IS_ENCRYPTED = f"is encrypted; {BY_HAND}"
IS_PACKED_OTHERWISE = f"is packed in a way that is not read here; {BY_HAND}"
ENCRYPTED = 0x1 | 0x40  # flag bits of a zip's member: by password, by certificate

Kind = Literal["zip", "tar"]


class DamagedError(Exception):
    """The archive contradicts itself."""


DAMAGES = (  # errors of the readers for a damaged archive
    *(DamagedError, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error),
    *(EOFError, ValueError, OverflowError, NotImplementedError, RuntimeError),
)


def archive_kind(path: Path, name: str) -> Kind | None:
    """The kind of archive of the file called `name`; None for any other file, also for a .npz, which is a zip too.

    Raises NerfpipeError for kinds of archive that are not read.
    """
    lower = name.lower()
    if lower.endswith(".npz"):
        return None
    if lower.endswith(OTHER_SUFFIXES):
        raise NerfpipeError(f"{name}: only .zip, .tar and .tar.gz are unpacked here; {BY_HAND}")
    with path.open("rb", buffering=0) as file:
        if _start(file).startswith(ZIP_MAGICS):
            return None if not lower.endswith(".zip") and _holds_arrays(file) else "zip"
        if _starts_as_tar(file) or lower.endswith(TAR_SUFFIXES):
            return "tar"
    return "zip" if lower.endswith(".zip") else None


class ZipReader:
    """A zip archive. Encryption, and compression that needs much memory or that Python lacks, are faults."""

    def __init__(self, file: io.FileIO) -> None:
        self._zip = zipfile.ZipFile(_Bounded(file))

    def members(self) -> Iterator[Member]:
        for info in self._zip.infolist():
            name = info.orig_filename  # as in the archive, unchanged
            yield Member(name, info.file_size, name.endswith("/"), self._fault(info), info)

    def open(self, member: Member) -> IO[bytes]:
        assert isinstance(member.handle, zipfile.ZipInfo)  # as `members` gave it
        return self._zip.open(member.handle)

    @staticmethod
    def _fault(info: zipfile.ZipInfo) -> str | None:
        kind = stat.S_IFMT(info.external_attr >> 16)  # Unix's; 0 if packed on another system
        if kind == stat.S_IFLNK:
            return IS_LINK
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            return IS_SPECIAL
        if info.flag_bits & ENCRYPTED:
            return IS_ENCRYPTED
        return None if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else IS_PACKED_OTHERWISE


class TarReader:
    """A tar archive, packed by gzip or not. Headers lie between the files, so a packed one is listed by unpacking.

    Progress names it `name`.
    """

    def __init__(self, file: io.FileIO, name: str) -> None:
        self._name, self._packed = name, file
        self._file = _Bounded(gzip.GzipFile(fileobj=file) if _start(file).startswith(GZIP_MAGIC) else file)
        self._tar = tarfile.TarFile(fileobj=self._file, encoding="utf-8")

    def members(self) -> Iterator[Member]:
        size = os.fstat(self._packed.fileno()).st_size
        with Progress(f"list {self._name}", size, "B", unit_scale=True) as progress:
            for info in self._tar:
                yield Member(info.name, info.size, info.isdir(), self._fault(info), info)
                progress.advance(max(0, self._packed.tell() - progress.done))
        self._check_end()

    def open(self, member: Member) -> IO[bytes]:
        assert isinstance(member.handle, tarfile.TarInfo)  # as `members` gave it
        content = self._tar.extractfile(member.handle)
        assert content is not None  # only folders and special files have none, and these are not opened
        return content

    def _check_end(self) -> None:
        """Find damage: tarfile takes a damaged header for the end, and gzip tests its checksum only at its own end."""
        self._file.seek(self._tar.offset)
        if self._file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise DamagedError("no end mark behind its last file")
        trailing = 0
        while chunk := self._file.read(CHUNK_BYTES):
            trailing += len(chunk)
            if trailing > PIECE_BYTES:
                raise DamagedError(f"more than {megabytes(PIECE_BYTES)} behind its end mark")

    @staticmethod
    def _fault(info: tarfile.TarInfo) -> str | None:
        if info.issym() or info.islnk():
            return IS_LINK
        if not info.isdir() and not info.isreg():
            return IS_SPECIAL
        return IS_PACKED_OTHERWISE if info.issparse() else None


class _Bounded(io.BufferedReader):
    """A file with reads of limited size: indexes and headers claim their own sizes, which memory would have to hold."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = PIECE_BYTES
        if size > PIECE_BYTES:
            raise DamagedError(f"its index has a part of {megabytes(size)}")
        return super().read(size)


def _start(file: io.FileIO) -> bytes:
    """The first block. The file is at its start afterwards."""
    file.seek(0)
    start = file.read(tarfile.BLOCKSIZE)
    file.seek(0)
    return start


def _starts_as_tar(file: io.FileIO) -> bool:
    start, (offset, magic) = _start(file), TAR_MAGIC
    if start.startswith(GZIP_MAGIC):
        try:
            start = gzip.GzipFile(fileobj=file).read(tarfile.BLOCKSIZE)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return False
    return start[offset:].startswith(magic)


def _holds_arrays(file: io.FileIO) -> bool:
    """Whether a zip archive has the content of a .npz: arrays at the top and nothing else."""
    try:
        names = [member.name for member in ZipReader(file).members()]
    except DAMAGES:
        return False
    return bool(names) and all(name.endswith(".npy") and "/" not in name for name in names)
