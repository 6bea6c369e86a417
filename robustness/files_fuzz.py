"""Damaged models, checkpoints and ray banks, hundreds of them, read in this process as the stages read them.

Whatever cannot be read is a NerfpipeError of one line (a damaged checkpoint: one line, and a fresh start), soon and
in little memory. What cannot be noticed is counted apart, and only there may a file be taken: a model's weight that
stays a number, a digit of its header, a colour of the bank. Checkpoints carry a SHA-256 of all they hold, so nothing in
them goes unnoticed. In the pipeline DVC notices the others as well, by the MD5 sums of dvc.lock, and `dvc repro` makes
them anew.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.torch import load, save

from nerfpipe.models.model_file import HEADER, load_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.checkpoint import Checkpoint
from nerfpipe.runtime.errors import NerfpipeError
from robustness.counts import Counts
from robustness.damage import (
    Damage,
    another_text,
    cut_short,
    damaged_array,
    damaged_safetensors,
    flipped,
    metadata_of,
    other_tensors,
    replaced,
)

NOBODY = 65534
DAMAGED = "damaged, starting from the first step"
WRONG_HEADERS: list[tuple[str, Callable[[dict], object]]] = [
    ("another method", lambda header: {**header, "method": "nerf" if header["method"] != "nerf" else "tiny"}),
    ("no such method", lambda header: {**header, "method": "mip"}),
    ("a later version", lambda header: {**header, "version": "9.0", "levels": 3}),
    ("an earlier version", lambda header: {key: value for key, value in header.items() if key != "space"}),
    ("a list", lambda header: [header]),
    ("null", lambda header: None),
    ("nesting", lambda header: {**header, "settings": json.loads("[" * 400 + "]" * 400)}),
    ("NaN bounds", lambda header: {**header, "space": {**header["space"], "bounds": [[float("nan")] * 3] * 2}}),
    ("bounds without extent", lambda header: {**header, "space": {**header["space"], "bounds": [[0.0] * 3] * 2}}),
    ("no space", lambda header: {**header, "space": None}),
    ("no camera", lambda header: {**header, "camera": None}),
    ("a negative seed", lambda header: {**header, "seed": -1}),
    ("a huge seed", lambda header: {**header, "seed": 2**70}),
    ("no settings", lambda header: {**header, "settings": {}}),
]
HUGE_SETTINGS = {
    "width": 2**30,
    "depth": 2**30,
    "levels": 2**30,
    "log2_hashmap_size": 60,
    "frequencies": 2**30,
    "grid": 2**30,
}


def fuzz_models(files: list[Path], seed: int, work: Path, count: int = 60) -> Counts:
    """`count` of each kind of damage to each of the models."""
    counts, random_ = Counts("model files"), random.Random(seed)
    target = work / "field.safetensors"
    for file in files:
        content = file.read_bytes()
        cases = [*damaged_safetensors(content, random_, count), *other_tensors(content), *other_headers(content)]
        for name, damaged, must_refuse in cases:
            target.write_bytes(damaged)
            counts.quiet(name, *refused(lambda: load_model(target), target), must_refuse)
    target.unlink()
    target.mkdir()
    counts.quiet("a folder in its place", *refused(lambda: load_model(target), target), must_refuse=True)
    target.rmdir()
    target.write_bytes(files[0].read_bytes())
    with unreadable(target):
        counts.quiet("not to be read", *refused(lambda: load_model(target), target), must_refuse=True)
    return counts


def other_headers(content: bytes) -> list[Damage]:
    """Whole files whose header says other things."""
    tensors, header = load(content), json.loads(metadata_of(content)[HEADER])
    cases = [(f"a header of {name}", change(header)) for name, change in WRONG_HEADERS]
    for section in ("field", "sampling"):
        for key in header["settings"][section].keys() & HUGE_SETTINGS.keys():
            part = {**header["settings"][section], key: HUGE_SETTINGS[key]}
            cases.append((f"a header with a huge {key}", {**header, "settings": {**header["settings"], section: part}}))
            part = {**header["settings"][section], key: 2 * header["settings"][section][key]}
            cases.append(
                (f"a header with twice the {key}", {**header, "settings": {**header["settings"], section: part}})
            )
    files = [Damage(name, save(tensors, {HEADER: json.dumps(other)})) for name, other in cases]
    return [*files, Damage("no header", save(tensors)), Damage("a header of no JSON", save(tensors, {HEADER: "{"}))]


def refused(read: Callable[[], object], file: Path) -> tuple[str, bool]:
    """What is wrong with how a damaged file was taken, empty when nothing is; and whether it was taken as sound."""
    try:
        read()
    except NerfpipeError as error:
        lines = str(error).splitlines()
        if len(lines) != 1 or not lines[0].startswith(str(file)):
            return f"it said {lines}", False
        return "", False
    except Exception as error:  # the fault that is looked for
        return f"{type(error).__name__}: {str(error)[:200]}", False
    return "", True


@contextlib.contextmanager
def unreadable(file: Path):
    """Within the block this process may not read the file, though it be root's."""
    root = os.geteuid() == 0
    file.chmod(0)
    try:
        if root:
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        file.chmod(0o644)


def fuzz_checkpoints(checkpoint: Path, seed: int, work: Path, count: int = 60) -> Counts:
    """The same with a checkpoint: each must be passed over, in one line."""
    counts, random_ = Counts("checkpoints"), random.Random(seed)
    held = Checkpoint(work / "run", work / "workspace")
    held.folder.mkdir(parents=True, exist_ok=True)
    content = checkpoint.read_bytes()
    cases = [*damaged_safetensors(content, random_, count), *other_tensors(content)]
    for name, damaged, _ in [*cases, Damage("no state", save(load(content)))]:
        held.file.write_bytes(damaged)
        told = io.StringIO()
        try:
            with contextlib.redirect_stderr(told):
                found = held.load()
        except Exception as error:  # the fault that is looked for
            counts.quiet(name, f"{type(error).__name__}: {str(error)[:200]}")
            continue
        lines = told.getvalue().splitlines()
        well = found is None and len(lines) == 1 and lines[0].endswith(DAMAGED)
        counts.quiet(name, "" if well else f"it was {'taken' if found else 'passed over'}, with {lines}")
    return counts


def fuzz_banks(folder: Path, seed: int, work: Path, count: int = 30) -> Counts:
    """The same with each file of a ray bank, of which all rays are then read."""
    counts, random_ = Counts("ray banks"), random.Random(seed)
    for file in sorted(folder.iterdir()):
        bank = work / "rays"
        shutil.rmtree(bank, ignore_errors=True)
        shutil.copytree(folder, bank)
        if file.suffix == ".npy":
            cases = [*damaged_array(file, random_, count)]
        else:
            content = file.read_bytes()
            cases = [*replaced(), *cut_short(content[:-2], random_, count)]
            cases += flipped(content, 0, len(content), random_, 2 * count, "its text", another_text)
        for name, damaged, must_refuse in cases:
            (bank / file.name).write_bytes(damaged)
            taken = refused(lambda place=bank: read_bank(place), bank)
            counts.quiet(f"{file.name}: {name}", *taken, must_refuse)
    return counts


def read_bank(folder: Path) -> None:
    """Open a bank and read all rays of all views, and all that are trained on."""
    bank = RayBank(folder)
    bank.summary()
    bank.train(np.arange(bank.train_rays))
    for view in range(len(bank.camera_index)):
        bank.view(view)
    for view in bank.splits["test"]:
        bank.true_depth(int(view))
