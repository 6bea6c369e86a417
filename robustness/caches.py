"""A damaged file in DVC's cache.

What DVC 3.67 does (dvc_data/hashfile/db/local.py, `check`), tried out: before it hands out a cached file it looks at
its mode. A file still write-protected (0444, as DVC leaves it) is trusted unread. Any other is hashed and, where
the MD5 sum is not its name, removed from the cache as corrupted. So what a program or a person wrote over is found, and
`dvc repro` makes the out anew. A bit that the disk itself lost changes no mode: it is handed out as it is, and nothing
in DVC notices, for `verify` is a setting of remotes only. The remedy is to make DVC look, by
`chmod -R u+w .dvc/cache/files`: each file is hashed when it is next needed, and protected again.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path

import yaml

from robustness.counts import Counts
from robustness.project import STAGES, Project, finish, remove, result, unclear, unsettled

WRITABLE = stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH
PROTECTED = 0o444


def damage_caches(project: Project, work: Path, stages: tuple[str, ...] = tuple(STAGES)) -> Counts:
    """One file of each out, found by DVC on its own; and one that only `chmod` lets it find."""
    counts = Counts("cache damaged")
    for stage in stages:
        folder = project.copy(work / "damaged")
        flip(largest(folder, stage), WRITABLE)
        remove(folder / STAGES[stage])
        count(counts, f"a file of {STAGES[stage]} written over", folder, project)
    folder = project.copy(work / "damaged")
    file = largest(folder, "train")
    flip(file, PROTECTED)
    remove(folder / STAGES["train"])
    for each in (folder / ".dvc/cache/files").rglob("*"):
        if each.is_file():
            each.chmod(WRITABLE)
    count(counts, "a bit of data/model lost by the disk, after chmod -R u+w", folder, project)
    return counts


def count(counts: Counts, name: str, folder: Path, project: Project) -> None:
    """`dvc repro` must say nothing worse than that it runs a stage, and give the same bytes, also when asked again."""
    try:
        said = finish(folder)
    except AssertionError as error:
        counts.trial(name, str(error), identical=False)
        return
    fault = unclear(said) or ("" if "Running stage" in said else "DVC took what was damaged") or unsettled(folder)
    counts.trial(name, fault, result(folder) == project.truth)


def largest(folder: Path, stage: str) -> Path:
    """The cached file of the largest file of a stage's out."""
    [md5] = [
        out["md5"]
        for out in yaml.safe_load((folder / "dvc.lock").read_text())["stages"][stage]["outs"]
        if out["path"] == STAGES[stage]
    ]
    cache = folder / ".dvc/cache/files/md5"
    files = [
        cache / entry["md5"][:2] / entry["md5"][2:] for entry in json.loads((cache / md5[:2] / md5[2:]).read_text())
    ]
    return max(files, key=lambda file: file.stat().st_size)


def flip(file: Path, mode: int) -> None:
    """Flip the last bit of a file and leave it with this mode."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(WRITABLE)
    file.write_bytes(content)
    file.chmod(mode)
