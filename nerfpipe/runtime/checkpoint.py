"""Checkpoints, from which a killed training continues to the same bytes.

They lie outside every DVC out, in a folder named by a fingerprint of all that decides the result: parameters, rays and
code. A run with any change starts afresh; the same run continues by itself. The checkpoint of a finished run is kept
until its model is in use: if DVC is killed before it caches the model, the training is not repeated.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import (
    PARTIAL,
    atomic_file,
    open_regular,
    refuse_irregular,
    text_path,
    update_digest,
    work_folder,
)
from nerfpipe.runtime.terminal import say

STATE, DIGEST = "state", "sha256"
CHECKPOINT, PREVIEWS, LOCK, FINISHED = "checkpoint.safetensors", "previews", "lock", "finished"  # in a run's folder
NAME_LENGTH = 16  # hexadecimal digits of the fingerprint in a folder's name


def runs_folder() -> Path:
    """The folder of all runs. Each has a folder there, named by its fingerprint."""
    return work_folder() / "checkpoints"


def fingerprint(params: dict[str, Any], rays: Path, code: Mapping[str, Path]) -> str:
    """The name of the run with these parameters, the ray bank in the folder `rays`, and this code by relative path.

    Raises NerfpipeError where a file of either is no ordinary file, and OSError where it cannot be read.
    """
    digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode())
    for name, file in [*((file.name, file) for file in sorted(rays.iterdir())), *sorted(code.items())]:
        digest.update(f"{name}:{file.stat().st_size}".encode())
        with open_regular(file) as stream:
            update_digest(digest, stream)
    return digest.hexdigest()[:NAME_LENGTH]


def digest_of(tensors: dict[str, Tensor], state: str) -> str:
    """SHA-256 of the whole content of a checkpoint: a flipped bit would change the result unnoticed."""
    digest = hashlib.sha256(state.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name}:{tensor.dtype}:{list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class Checkpoint:
    """The folder of one run, held by one process at a time. Use as a context manager.

    Raises NerfpipeError on entry when another training holds the run or this project's outs.
    """

    def __init__(self, folder: Path, workspace: Path) -> None:
        self.folder = folder
        self.file, self.previews = folder / CHECKPOINT, folder / PREVIEWS
        # Two locks: queued experiments may share a run's folder, and two runs may share a workspace.
        self._locks = [FileLock(folder / LOCK, blocking=False), FileLock(workspace / "train.lock", blocking=False)]

    def __enter__(self) -> Checkpoint:
        for held, lock in enumerate(self._locks):
            Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                for other in self._locks[:held]:
                    other.release()
                raise NerfpipeError(
                    f"{lock.lock_file}: another training is running here; wait for it, or stop it, and run this again"
                ) from None
        for unfinished in self.folder.glob(f"{PARTIAL}*"):  # a killed process had no chance to clean up
            unfinished.unlink()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lock in self._locks:
            lock.release()

    def save(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Replace the checkpoint atomically by these tensors and this state, which JSON can hold."""
        kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        text = json.dumps(state)
        content = save(kept, metadata={STATE: text, DIGEST: digest_of(kept, text)})
        with atomic_file(self.file) as temporary:
            temporary.write_bytes(content)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors and the state saved last; None without a checkpoint, or with a damaged one."""
        if not self.file.exists():
            return None
        try:
            refuse_irregular(self.file)
            with text_path(self.file) as path, safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118, not a dict
                text = file.metadata()[STATE]
                if digest_of(tensors, text) != file.metadata()[DIGEST]:
                    raise ValueError("not the bytes that were written")
            return tensors, json.loads(text)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, NerfpipeError):
            say(f"{self.file}: damaged, starting from the first step", aside=True)
            return None

    def finish(self) -> None:
        """Mark the run as finished. A run that was marked before is removed, so that the next one trains again."""
        marker = self.folder / FINISHED
        if marker.exists():
            self.remove()
        else:
            marker.touch()

    def remove(self) -> None:
        """Remove the checkpoint: the run cannot be continued."""
        _remove(self.folder)


def forget_finished() -> None:
    """Remove the checkpoints of finished runs, whose models are in use now, except of runs that are training."""
    for marker in runs_folder().glob(f"*/{FINISHED}"):
        try:
            with FileLock(marker.parent / LOCK, blocking=False):
                _remove(marker.parent)
        except Timeout:
            continue


def _remove(run: Path) -> None:
    (run / CHECKPOINT).unlink(missing_ok=True)
    shutil.rmtree(run / PREVIEWS, ignore_errors=True)
    (run / FINISHED).unlink(missing_ok=True)
