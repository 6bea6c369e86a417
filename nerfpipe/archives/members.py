"""The members that an archive declares, and which may be written: none outside the folder, no links, none twice.

Archives are foreign, so names are judged by the rules of all systems: a name that is harmless on one leads out of the
folder on another.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from tarfile import TarInfo
from zipfile import ZipInfo

from nerfpipe.runtime.errors import NerfpipeError

JUNK_FOLDER = "__MACOSX"  # junk that systems add to archives
JUNK_FILES = (".DS_Store", "Thumbs.db")
JUNK_PREFIX = "._"  # macOS keeps a file's attributes in another of this name
MAX_FOLDER_DEPTH = 32  # more than in any scene; tools cannot delete paths of a depth of thousands
DRIVE = re.compile(r"[A-Za-z]:")
NO_TEXT = ("Cc", "Cs")  # Unicode categories: control characters, and bytes that are no text
NAME_CHARACTERS = 100  # of a name in an error: archives may have names of any length

UNTRUSTED = "do not trust this archive; get the scene from somewhere else"
BY_HAND = "unpack it yourself and name the folder with `path:`"
AGAIN = "pack the archive again"


@dataclass(frozen=True)
class Member:
    """One file or folder of an archive, as the archive declares it.

    size in bytes; fault: why it is not unpacked, and the remedy; None for plain files and folders.
    """

    name: str
    size: int
    is_folder: bool
    fault: str | None
    handle: ZipInfo | TarInfo

    @property
    def parts(self) -> tuple[str, ...]:
        """The name split into folders and file; `./a//b` is `a/b`."""
        return tuple(part for part in self.name.split("/") if part not in ("", "."))

    @property
    def is_junk(self) -> bool:
        """Whether a system has added it to the archive."""
        *_, last = self.parts or ("",)
        return JUNK_FOLDER in self.parts or last in JUNK_FILES or last.startswith(JUNK_PREFIX)


def placed(members: Iterable[Member], inside: tuple[str, ...], archive: str) -> dict[str, Member]:
    """Every file below the folder `inside`, by its path relative to that folder, with forward slashes.

    Raises NerfpipeError naming the `archive` and the first member that must not be unpacked.
    """
    chosen = [member for member in members if not member.is_folder and member.parts[: len(inside)] == inside]
    faults = [
        f"{quoted(member.name)} {fault}" for member in chosen if (fault := member.fault or _name_fault(member.name))
    ]
    if not faults:
        faults = list(_clashes(chosen))
    if faults:
        more = f" ({len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise NerfpipeError(f"{archive}: {faults[0]}{more}")
    return {"/".join(member.parts[len(inside) :]): member for member in chosen}


def quoted(name: str) -> str:
    """A name from an archive for an error: short, on one line, without control characters."""
    return repr(name if len(name) <= NAME_CHARACTERS else f"{name[:NAME_CHARACTERS]}…")


def _name_fault(name: str) -> str | None:
    """Why a file of this name must not be written, and the remedy; None if it may be."""
    parts = name.split("/")
    if not any(part not in ("", ".") for part in parts):
        return f"is no name for a file; {AGAIN}"
    if any(unicodedata.category(character) in NO_TEXT for character in name):
        return f"has characters in its name that are no text; rename it and {AGAIN}"
    if name.startswith("/") or ".." in parts:
        return f"leads out of the folder it is unpacked to; {UNTRUSTED}"
    if any(DRIVE.match(part) for part in parts):
        return f"names a drive; {UNTRUSTED}"
    if "\\" in name:
        return f"has a backslash in its name; {AGAIN} with / between folders"
    if any(part.strip(" .") == "" for part in parts if part not in ("", ".")):
        return f"has a folder of dots or spaces in its name, which Windows reads as another; rename it and {AGAIN}"
    if len(parts) > MAX_FOLDER_DEPTH:
        return f"lies more than {MAX_FOLDER_DEPTH} folders deep; {AGAIN} with the scene alone"
    return None


def _clashes(files: list[Member]) -> Iterable[str]:
    """One line for every file that would overwrite another, on this system or on one that ignores case."""
    taken: dict[str, Member] = {}
    for file in files:
        first = taken.setdefault(_on_any_system(file), file)
        if first is not file and first.parts == file.parts:
            yield f"{quoted(file.name)} is in it twice; {AGAIN} with one of them"
        elif first is not file:
            yield f"{quoted(file.name)} and {quoted(first.name)} are one file to some systems; rename one and {AGAIN}"
    folders = {str(parent) for path in taken for parent in PurePosixPath(path).parents}
    for path, file in taken.items():
        if path in folders:
            yield f"{quoted(file.name)} is both a file and a folder; {AGAIN} with one of them"


def _on_any_system(file: Member) -> str:
    """One form for all names that are the same on some system: macOS and Windows ignore case, Windows final dots."""
    path = "/".join(part.rstrip(" .") for part in file.parts)
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
