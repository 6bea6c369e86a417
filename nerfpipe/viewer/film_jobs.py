"""Films: one at a time, drawn when no page waits and then written in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from nerfpipe.geometry.cameras import Camera
from nerfpipe.images.write import write_gif, write_mp4
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.viewer.jobs import Film
from nerfpipe.viewer.new_file import check_writable, new_file
from nerfpipe.viewer.render_thread import Job
from nerfpipe.viewer.settings import Settings


class Films:
    """Puts films among the painter's jobs. Any thread may call it.

    `progress` is told pictures drawn, of how many, and seconds left; of 0 when there is no film (any more). `lock` is
    held meanwhile, so that whoever replaces what shows it can keep it out. `tell` gets the text, or the error, with
    which a film ends.
    """

    def __init__(
        self,
        folder: Path,
        jobs: deque[Job],
        lock: threading.RLock,
        progress: Callable[[int, int, float], None],
        tell: Callable[[str | Exception], None],
    ) -> None:
        self._folder, self._jobs, self._lock, self._progress, self._tell = folder, jobs, lock, progress, tell
        self._film: Film | None = None  # from its beginning until its files are written
        self._writing = False

    def begin(self, camera: Camera, poses: Tensor, settings: Settings, fps: float) -> None:
        """Film what a camera sees from poses [F, 3, 4]. Raises NerfpipeError where a film is under way; OSError."""
        with self._lock:
            if self._film is not None:
                raise NerfpipeError("a film is being made; wait for it, or cancel it")
            check_writable(self._folder)
            self._film = Film(camera, poses, settings, self._note, lambda film: self._drawn(film, fps))
            self._progress(0, len(poses), 0.0)
            self._jobs.append(self._film)

    def cancel(self) -> bool:
        """Give up the film, and say whether there was one. One that is drawn is written all the same."""
        with self._lock:
            if self._film is None or self._writing:
                return False
            self._film.cancelled = True
            self._clear()
            return True

    def _clear(self) -> None:
        self._film, self._writing = None, False
        self._progress(0, 0, 0.0)

    def _note(self, film: Film, left: float) -> None:
        with self._lock:
            if film is self._film:  # else it was cancelled while this picture was drawn
                self._progress(len(film.frames), len(film.poses), left)

    def _drawn(self, film: Film, fps: float) -> None:
        with self._lock:
            if film is self._film:
                self._writing = True
                threading.Thread(target=self._write, args=(film, fps), name="film", daemon=False).start()

    def _write(self, film: Film, fps: float) -> None:
        try:
            outcome = self._files(film, fps)
        except (OSError, NerfpipeError) as error:
            outcome = error
        finally:  # whatever fails, the next film is not kept waiting
            with self._lock:
                self._clear()
        self._tell(outcome)

    def _files(self, film: Film, fps: float) -> str:
        with new_file(self._folder, "film", ".gif", ".mp4") as file:
            gif, mp4 = file.with_suffix(".gif"), file.with_suffix(".mp4")
            write_gif(gif, film.frames, fps)
            return f"saved {gif} and {mp4}" if write_mp4(mp4, film.frames, fps) else f"saved {gif}"
