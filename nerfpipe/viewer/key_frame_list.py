"""The key frames that were recorded in the viewer."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np
from torch import Tensor

from nerfpipe.camera_paths.key_frames import FEWEST, KeyFrames, read_key_frames, write_key_frames
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.runtime.errors import NerfpipeError

UPLOADED = "key_frames.json"  # what an uploaded file is kept as: its own name might lead elsewhere


class KeyFrameList:
    """Poses and how far in front of each lies what it looks at. Any thread may change it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[tuple[np.ndarray, float]] = []
        self.loop = False
        self.unsaved = False

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, place: int) -> tuple[np.ndarray, float]:
        """Pose [3, 4] and focus."""
        return self._entries[place]

    def add(self, pose: Tensor, focus: float) -> None:
        with self._lock:
            self._entries = [*self._entries, (pose.double().numpy(), focus)]
            self.unsaved = True

    def delete(self, place: int) -> None:
        """Take out one; a place that is not there (any more) is no fault."""
        with self._lock:
            self._entries = [entry for number, entry in enumerate(self._entries) if number != place]
            self.unsaved = True

    def clear(self) -> None:
        with self._lock:
            self._entries, self.unsaved = [], False

    def names(self) -> list[str]:
        """How the panel lists them."""
        return [
            f"{number}: at ({', '.join(f'{x:.2f}' for x in pose[:, 3])})"
            for number, (pose, _) in enumerate(self._entries, start=1)
        ]

    def frames(self) -> KeyFrames:
        """All of them. Raises NerfpipeError where they make no path."""
        entries = self._entries
        if len(entries) < FEWEST:
            raise NerfpipeError(f"a path needs {FEWEST} key frames at least (there are {len(entries)}); add one")
        return KeyFrames(np.stack([pose for pose, _ in entries]), np.array([focus for _, focus in entries]), self.loop)

    def copy(self, file: Path, similarity: Similarity) -> None:
        """Write them, without taking them as saved."""
        write_key_frames(file, self.frames(), similarity)

    def save(self, file: Path, similarity: Similarity) -> None:
        self.copy(file, similarity)
        self.unsaved = False

    def load(self, name: str, content: bytes, similarity: Similarity, centre: Tensor) -> None:
        """Replace the list by what an uploaded file holds. Raises NerfpipeError naming the file."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / UPLOADED
            file.write_bytes(content)
            try:
                frames = read_key_frames(file, similarity, centre)
            except NerfpipeError as error:
                raise NerfpipeError(str(error).replace(str(file), Path(name).name or UPLOADED)) from None
        with self._lock:
            self._entries = list(zip(frames.poses, frames.focus.tolist(), strict=True))
            self.loop, self.unsaved = frames.loop, False
