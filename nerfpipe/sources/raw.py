"""Fills data/raw with one scene: made here, copied from this machine, or fetched.

With the data goes entry.json, what the catalogue says about it, so that later stages need no catalogue.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from nerfpipe.catalogue import CATALOGUE_FILE, Entry
from nerfpipe.errors import NerfpipeError
from nerfpipe.files import local_path, write_json
from nerfpipe.procedural.generate import generate
from nerfpipe.progress import Progress
from nerfpipe.scenes.scene import ENTRY_FILE
from nerfpipe.sources.content import Expected, check_room
from nerfpipe.sources.downloads import fetch_kept
from nerfpipe.sources.fetch import file_name

DATA_SUFFIX = {"tiny_nerf": ".npz"}  # formats whose data is one file


def make_raw(name: str, entry: Entry, folder: Path) -> str:
    """Fill the empty `folder` with the scene; return where its data came from, in a few words.

    Raises NerfpipeError naming the entry's key, the file or the address at fault, and OSError from the disk.
    """
    if entry.format == "procedural":
        generate(folder, entry.size, entry.views.model_dump())
        file, origin = None, "made here"
    elif entry.url:
        fetched = fetch_kept(entry.url, entry.bytes, entry.checksum)
        file, origin = _free_name(file_name(entry.url[0])), "fetched"
        _copy(name, folder, {fetched: file})
    else:
        source = local_path(str(entry.path))
        file, origin = _copy_local(name, entry, source, folder), f"copied from {source}"
    _write_entry(name, entry, folder, file)
    return origin


def _write_entry(name: str, entry: Entry, folder: Path, file: str | None) -> None:
    """`file`: the data file's name in the folder; None where the format reads the folder."""
    told = entry.model_dump(include={"format", "background", "bounds", "train_views"})
    write_json(folder / ENTRY_FILE, {"name": name, **told, "file": file})


def _copy_local(name: str, entry: Entry, source: Path, folder: Path) -> str | None:
    """Copy the file, or what the folder holds; return the name of the data file, None for a folder of them."""
    if not source.exists():
        raise _entry_error(name, "path", f"there is no {source}; correct it or put the data there")
    if source.is_dir():
        return _copy_local_folder(name, entry, source, folder)
    if not source.is_file():
        raise _entry_error(name, "path", f"{source} is neither a file nor a folder; name one")
    if (fault := Expected(entry.bytes, entry.checksum).fault(source)) is not None:
        raise _entry_error(name, "path", f"{source} {fault}; get the file again or correct the entry")
    file = _free_name(source.name)
    _copy(name, folder, {source: file})
    return file


def _copy_local_folder(name: str, entry: Entry, source: Path, folder: Path) -> str | None:
    for key in ("bytes", "checksum"):
        if getattr(entry, key) is not None:
            raise _entry_error(name, key, f"is for single files, and {source} is a folder; remove it")
    if folder.resolve().is_relative_to(source.resolve()):
        raise _entry_error(name, "path", f"{source} holds the folder to copy to; move the data to one of its own")
    files = _files_in(source)
    data_file = _data_file(name, entry, source, files)
    _copy(name, folder, {file: str(file.relative_to(source)) for file in files})
    return data_file


def _files_in(source: Path) -> list[Path]:
    """Every file of a folder, at any depth. Raises NerfpipeError with one line for each thing not copied."""
    root = Path(os.path.realpath(source))
    found = list(_walk(source, (root,)))
    faults = [f"{path}: {fault}" for path, fault in found if fault is not None]
    if not found:
        faults = [f"{source}: the folder is empty; put the scene's data there"]
    if faults:
        raise NerfpipeError("\n".join(faults))
    return [path for path, _ in found]


def _walk(folder: Path, above: tuple[Path, ...]) -> Iterator[tuple[Path, str | None]]:
    """(file, None) or (anything else, why it is not copied); `above`: real paths from the root to `folder`.

    Links are followed only within the root: a scene must not pull in what lies elsewhere on the machine.
    """
    for path in sorted(folder.iterdir()):
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(above[0]):
            yield path, f"a link that leads out of the folder, to {target}; put the data itself there"
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


def _data_file(name: str, entry: Entry, source: Path, files: list[Path]) -> str | None:
    """For a format whose data is one file, the only one of its kind at the top of the folder."""
    suffix = DATA_SUFFIX.get(entry.format)
    if suffix is None:
        return None
    candidates = [file.name for file in files if file.parent == source and file.suffix == suffix]
    if len(candidates) != 1:
        raise _entry_error(name, "path", f"{source} holds {len(candidates)} {suffix} files; name the one to use")
    return candidates[0]


def _copy(name: str, folder: Path, places: dict[Path, str]) -> None:
    """Copy each file to its place in the folder, after a look at the room there."""
    sizes = {source: source.stat().st_size for source in places}
    check_room(folder, sum(sizes.values()))
    with Progress(f"copy {name}", sum(sizes.values()), "B", unit_scale=True) as progress:
        for source, place in places.items():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(source, target)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    error.filename = str(target)  # copyfile blames the source
                raise
            progress.advance(sizes[source])


def _free_name(name: str) -> str:
    """The name, or another one where it is that of the entry's own file."""
    return f"_{name}" if name == ENTRY_FILE else name


def _entry_error(name: str, key: str, fault: str) -> NerfpipeError:
    return NerfpipeError(f"{CATALOGUE_FILE}: {name}.{key}: {fault}")
