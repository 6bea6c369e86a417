"""Fills data/raw with one scene: made here, copied from this machine, or fetched; archives are unpacked.

entry.json, written with the data, holds the scene's entry of the catalogue, so that later stages need no catalogue.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nerfpipe.archives.checksum import Expected, check_room
from nerfpipe.archives.readers import archive_kind
from nerfpipe.archives.subfolder import NoSuchFolderError, locate
from nerfpipe.archives.unpack import unpack
from nerfpipe.download.cache import fetch_kept
from nerfpipe.download.fetch import file_name
from nerfpipe.procedural.generate import generate
from nerfpipe.project.catalogue import Entry
from nerfpipe.project.paths import CATALOGUE_FILE, ENTRY_FILE
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import local_path, update_digest, write_json
from nerfpipe.runtime.progress import Progress

IN_DVCS_CACHE = re.compile(r".*/files/md5/([0-9a-f]{2})/([0-9a-f]{30})")  # a file there is named by its MD5
LEADS_OUT = "a link that leads out of the folder"
MAX_LINK_LINES = 3  # more such links have one cause, and share a line
DATA_SUFFIX = {"tiny_nerf": ".npz"}  # formats whose data is one file
NOT_FOR_READING = {"path", "url", "bytes", "checksum", "folder", "size", "views"}  # needed only to get the data


@dataclass(frozen=True)
class _Source:
    """A file that the entry's `key` names: its path, its name, and its name in errors."""

    key: str
    path: Path
    name: str
    shown: str


def make_raw(name: str, entry: Entry, folder: Path) -> str:
    """Fill the empty `folder` with the scene; return the source of its data, in a few words.

    Raises NerfpipeError naming the faulty key, file or address, and OSError from the disk.
    """
    if entry.format == "procedural":
        generate(folder, entry.size, entry.views.model_dump())
        file, origin = None, "made here"
    elif entry.url:
        fetched = fetch_kept(entry.url, entry.bytes, entry.checksum)
        called = file_name(entry.url[0])
        source = _Source("url", fetched, called, f"{called} ({fetched})")
        file, origin = _take_file(name, entry, source, folder), "fetched"
    else:
        local = local_path(str(entry.path))
        file, origin = _take_local(name, entry, local, folder), f"copied from {local}"
    _write_entry(name, entry, folder, file)
    return origin


def _write_entry(name: str, entry: Entry, folder: Path, file: str | None) -> None:
    """Write entry.json. `file`: the data file's path in the folder; None where the format reads the folder."""
    moved = _move_aside(folder / ENTRY_FILE)
    if moved and file and file.lower() == ENTRY_FILE:
        file = moved
    told = entry.model_dump(mode="json", exclude=NOT_FOR_READING)
    write_json(folder / ENTRY_FILE, {"name": name, **told, "file": file})


def _move_aside(path: Path) -> str | None:
    """Rename the file or folder at `path`, if there is one; return its new name."""
    free = path
    while free.exists():
        free = free.with_name(f"_{free.name}")
    if free == path:
        return None
    os.replace(path, free)
    return free.name


def _take_local(name: str, entry: Entry, path: Path, folder: Path) -> str | None:
    """Copy or unpack a file, or copy a folder; return the data file, None for a folder of them."""
    if not path.exists():
        raise _entry_error(name, "path", f"there is no {path}; correct it or put the data there")
    if path.is_dir():
        return _copy_local_folder(name, entry, path, folder)
    if not path.is_file():
        raise _entry_error(name, "path", f"{path} is neither a file nor a folder; name one")
    if (fault := Expected(entry.bytes, entry.checksum).fault(path)) is not None:
        raise _entry_error(name, "path", f"{path} {fault}; get the file again or correct the entry")
    return _take_file(name, entry, _Source("path", path, path.name, str(path)), folder)


def _take_file(name: str, entry: Entry, source: _Source, folder: Path) -> str | None:
    """Unpack an archive, copy any other file; return the data file, None for a folder of them."""
    kind = archive_kind(source.path, source.name)
    if kind is not None:
        try:
            files = unpack(source.path, kind, folder, name, entry.folder, source.shown)
        except NoSuchFolderError as error:
            raise _entry_error(name, "folder", f"{source.name} {error}") from None
        return _data_file(name, entry, source.key, source.name, files)
    if entry.folder is not None:
        raise _entry_error(name, "folder", f"{source.name} is a single file and no archive; remove the key")
    if entry.format is not None and entry.format not in DATA_SUFFIX:
        fault = f"{source.name} is a single file; the format {entry.format} reads a folder or an archive of one"
        raise _entry_error(name, source.key, fault)
    _copy(name, folder, {source.path: source.name})
    return source.name


def _copy_local_folder(name: str, entry: Entry, path: Path, folder: Path) -> str | None:
    for key in ("bytes", "checksum"):
        if getattr(entry, key) is not None:
            raise _entry_error(name, key, f"is for single files, and {path} is a folder; remove it")
    source = path if entry.folder is None else _subfolder(name, entry.folder, path)
    if folder.resolve().is_relative_to(source.resolve()):
        raise _entry_error(name, "path", f"{source} holds the folder to copy to; move the data to one of its own")
    targets = {file: file.relative_to(source).as_posix() for file in _files_in(source)}
    data_file = _data_file(name, entry, "path", str(source), list(targets.values()))
    _copy(name, folder, targets)
    return data_file


def _subfolder(name: str, inside: str, path: Path) -> Path:
    """The folder `inside` the folder `path`, found as in archives."""
    if (path / inside).is_dir():
        return path / inside
    below = {Path(found).relative_to(path).parts for found, _, _ in os.walk(path)} - {()}
    try:
        return path.joinpath(*locate(inside, below))
    except NoSuchFolderError as error:
        raise _entry_error(name, "folder", f"{path} {error}") from None


def _files_in(source: Path) -> list[Path]:
    """Every file of a folder, at any depth. Raises NerfpipeError with one line for every entry that cannot be copied.

    Many links that lead out of the folder share a line.
    """
    root = Path(os.path.realpath(source))
    found = list(_walk(source, (root,)))
    faults = [(path, fault) for path, fault in found if fault is not None]
    out = [path for path, fault in faults if fault.startswith(LEADS_OUT)]
    if len(out) > MAX_LINK_LINES:
        faults = [(path, fault) for path, fault in faults if path not in out[1:]]
    lines = [f"{path}: {fault}" for path, fault in faults]
    if len(out) > MAX_LINK_LINES:
        lines = [f"{line} (and so are {len(out) - 1} more)" if LEADS_OUT in line else line for line in lines]
    if not found:
        lines = [f"{source}: the folder is empty; put the scene's data there"]
    if lines:
        raise NerfpipeError(*lines)
    return [path for path, _ in found]


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[tuple[Path, str | None]]:
    """(file, None) or (other entry, why it is not copied); `above`: real paths from the root to `folder`.

    Links are followed only within the root and into a cache of DVC's, which may replace tracked files by links: a scene
    must not copy other files of the machine.
    """
    for path in sorted(folder.iterdir()):
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(above[0]):
            yield path, None if _in_dvcs_cache(target) else f"{LEADS_OUT}, to {target}; put the data itself there"
        elif target in above:
            yield path, "a link to a folder that it lies in; remove it"
        elif target.is_dir():
            yield from _walk(path, (*above, target))
        elif target.is_file():
            yield path, None
        elif path.is_symlink() and not target.exists():
            yield path, f"a link to {target}, which is not there; remove it"
        else:
            yield path, "neither a file nor a folder; remove it"


def _in_dvcs_cache(target: Path) -> bool:
    """Whether a file lies in a cache of DVC's, of any project: its name must be the MD5 of its bytes.

    The name alone would let a link lead to any file that is given such a name.
    """
    named = IN_DVCS_CACHE.fullmatch(target.as_posix())
    if named is None or not target.is_file():
        return False
    hasher = hashlib.md5(usedforsecurity=False)
    with target.open("rb") as file:
        update_digest(hasher, file)
    return hasher.hexdigest() == named[1] + named[2]


def _data_file(name: str, entry: Entry, key: str, source: str, files: list[str]) -> str | None:
    """The file with all the data; None where the format reads the folder.

    A format whose data is one file takes the only one of its kind at the top; other files may lie beside it.
    """
    if entry.format is None:
        alone = len(files) == 1 and "/" not in files[0] and files[0].endswith(tuple(DATA_SUFFIX.values()))
        return files[0] if alone else None
    suffix = DATA_SUFFIX.get(entry.format)
    if suffix is None:
        return None
    candidates = [file for file in files if "/" not in file and file.endswith(suffix)]
    if len(candidates) != 1:
        raise _entry_error(name, key, f"{source} holds {len(candidates)} {suffix} files; name the one to use")
    return candidates[0]


def _copy(name: str, folder: Path, targets: dict[Path, str]) -> None:
    """Copy files to their targets in the folder, after a check of the disk space."""
    sizes = {source: source.stat().st_size for source in targets}
    check_room(folder, sum(sizes.values()))
    with Progress(f"copy {name}", sum(sizes.values()), "B", unit_scale=True) as progress:
        for source, relative in targets.items():
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(source, target)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    error.filename = str(target)  # copyfile blames the source
                raise
            progress.advance(sizes[source])


def _entry_error(name: str, key: str, fault: str) -> NerfpipeError:
    return NerfpipeError(f"{CATALOGUE_FILE}: {name}.{key}: {fault}")
