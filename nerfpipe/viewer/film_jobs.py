"""Films of the viewer, one at a time: rendered when no page waits, then written in a thread of their own."""

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


class FilmJobs:
    """Adds films to the jobs of the render thread. Any thread may call it.

    `progress` gets the frames finished, their total and the seconds left; zeros mean that there is no film (any more).
    It is called under `lock`, which the viewer holds while it replaces the panel. `tell` gets the message or the error
    with which a film ends.
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
        """Film with a camera at poses [F, 3, 4], `fps` frames per second.

        Raises NerfpipeError while another film is in progress, OSError if the folder is not writable.
        """
        with self._lock:
            if self._film is not None:
                raise NerfpipeError("a film is being made; wait for it, or cancel it")
            check_writable(self._folder)
            self._film = Film(camera, poses, settings, self._report, lambda film: self._start_writing(film, fps))
            self._progress(0, len(poses), 0.0)
            self._jobs.append(self._film)

    def cancel(self) -> bool:
        """Give up the film. Returns whether there was one; a film that is being written is not cancelled."""
        with self._lock:
            if self._film is None or self._writing:
                return False
            self._film.cancelled = True
            self._clear()
            return True

    def _clear(self) -> None:
        self._film, self._writing = None, False
        self._progress(0, 0, 0.0)

    def _report(self, film: Film, left: float) -> None:
        with self._lock:
            if film is self._film:  # otherwise it was cancelled while this frame was rendered
                self._progress(len(film.frames), len(film.poses), left)

    def _start_writing(self, film: Film, fps: float) -> None:
        with self._lock:
            if film is self._film:
                self._writing = True
                threading.Thread(target=self._write, args=(film, fps), name="film", daemon=False).start()

    def _write(self, film: Film, fps: float) -> None:
        outcome: str | Exception
        try:
            outcome = self._write_files(film, fps)
        except (OSError, NerfpipeError) as error:
            outcome = error
        finally:  # whatever fails, the next film must not wait for ever
            with self._lock:
                self._clear()
        self._tell(outcome)

    def _write_files(self, film: Film, fps: float) -> str:
        """Write a GIF, and an MP4 if imageio-ffmpeg is installed. Returns the message for the user."""
        with new_file(self._folder, "film", ".gif", ".mp4") as file:
            gif, mp4 = file.with_suffix(".gif"), file.with_suffix(".mp4")
            write_gif(gif, film.frames, fps)
            return f"saved {gif} and {mp4}" if write_mp4(mp4, film.frames, fps) else f"saved {gif}"
