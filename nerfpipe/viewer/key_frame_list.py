"""Key frames recorded in the viewer."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np
from torch import Tensor

from nerfpipe.camera_paths.key_frames import FEWEST, KeyFrames, read_key_frames, write_key_frames
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.runtime.errors import NerfpipeError

UPLOADED = "key_frames.json"  # name under which an upload is read: its own name might lead elsewhere


class KeyFrameList:
    """Poses [3, 4] with their focus distances, in scene units. Any thread may change the list."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[tuple[np.ndarray, float]] = []
        self.loop = False
        self.unsaved = False

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> tuple[np.ndarray, float]:
        """Pose [3, 4] and focus distance."""
        return self._entries[index]

    def add(self, pose: Tensor, focus: float) -> None:
        """Append a pose [3, 4]; focus: distance to the point it looks at, in scene units."""
        with self._lock:
            self._entries = [*self._entries, (pose.double().numpy(), focus)]
            self.unsaved = True

    def delete(self, index: int) -> None:
        """Delete a key frame; an index out of range is ignored, as another page may have deleted it before."""
        with self._lock:
            self._entries = [entry for number, entry in enumerate(self._entries) if number != index]
            self.unsaved = True

    def clear(self) -> None:
        with self._lock:
            self._entries, self.unsaved = [], False

    def names(self) -> list[str]:
        """Names for the panel: number and position."""
        return [
            f"{number}: at ({', '.join(f'{x:.2f}' for x in pose[:, 3])})"
            for number, (pose, _) in enumerate(self._entries, start=1)
        ]

    def frames(self) -> KeyFrames:
        """All key frames. Raises NerfpipeError if they are too few for a path."""
        entries = self._entries
        if len(entries) < FEWEST:
            raise NerfpipeError(f"a path needs {FEWEST} key frames at least (there are {len(entries)}); add one")
        return KeyFrames(np.stack([pose for pose, _ in entries]), np.array([focus for _, focus in entries]), self.loop)

    def copy(self, file: Path, similarity: Similarity) -> None:
        """Write them to a file, and go on counting them as unsaved. Raises NerfpipeError as `frames`, OSError."""
        write_key_frames(file, self.frames(), similarity)

    def save(self, file: Path, similarity: Similarity) -> None:
        """Write them to a file. Raises NerfpipeError as `frames`, OSError."""
        self.copy(file, similarity)
        self.unsaved = False

    def load(self, name: str, content: bytes, similarity: Similarity, centre: Tensor) -> None:
        """Replace the list by the content of an uploaded file. Raises NerfpipeError naming the file.

        centre [3]: the point that cameras without a `focus` of their own look at, in scene units.
        """
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
