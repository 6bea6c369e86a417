"""Films of the viewer, from the first frame to the files, and numbered files."""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from viewer_subject import CAMERA, UP, ball_renderer, until

from nerfpipe.geometry.cameras import look_at
from nerfpipe.geometry.rays import DepthRange
from nerfpipe.geometry.space import camera_rays
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.viewer import film_jobs, jobs
from nerfpipe.viewer import new_file as new_files
from nerfpipe.viewer.drawing import ViewRenderer
from nerfpipe.viewer.film_jobs import FilmJobs
from nerfpipe.viewer.new_file import new_file
from nerfpipe.viewer.settings import Settings

POSES = torch.stack([look_at(torch.tensor([3.0, y, 0.5]), torch.zeros(3), UP) for y in (0.0, 0.5, 1.0)])


@pytest.fixture
def renderer(header: ModelHeader) -> ViewRenderer:
    return ball_renderer(header)


class Blank:
    """A renderer whose pictures cost nothing; `before` is called for each."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.before = before

    def render(self, *_: object) -> object:
        self.before()
        return object()

    def image(self, *_: object) -> np.ndarray:
        return np.zeros((4, 6, 3), np.uint8)


class Studio:
    """Films into a folder, all that they say, and their jobs to be done by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.jobs = folder, deque()
        self.progress: list[tuple[int, int]] = []
        self.told: list[str] = []
        self.films = FilmJobs(
            folder,
            self.jobs,
            threading.RLock(),
            lambda done, total, left: self.progress.append((done, total)),
            lambda told: self.told.append(str(told)),
        )

    def begin(self, mode: str = "colour") -> None:
        self.films.begin(CAMERA, POSES, Settings(mode=mode), 5.0)

    def draw(self, renderer: object) -> None:
        while self.jobs:
            if self.jobs[0].advance(renderer, lambda: False):
                self.jobs.popleft()

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path / "out")


def test_a_film_is_drawn_picture_by_picture_and_written(renderer: ViewRenderer, studio: Studio) -> None:
    studio.begin("normals")
    assert studio.jobs[0].advance(renderer, lambda: True) is False  # someone moved: the picture is drawn later
    assert studio.progress == [(0, 3)]
    studio.draw(renderer)
    until(lambda: studio.told)
    assert studio.progress == [(0, 3), (1, 3), (2, 3), (3, 3), (0, 0)]
    gif = studio.folder / "film_001.gif"
    assert str(gif) in studio.told[0]
    assert iio.imread(gif).shape == (3, 30, 40, 3)


def test_the_ends_of_a_films_depth_are_found_one_pose_at_a_time(
    renderer: ViewRenderer, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(jobs, "MEASURED_PIXELS", 20)
    monkeypatch.setattr(jobs, "camera_rays", lambda camera, *rest: (seen.append(camera), camera_rays(camera, *rest))[1])
    studio.begin("depth")
    film = studio.jobs[0]
    for count in (1, 2, 3):
        assert film.advance(renderer, lambda: True) is False
        assert [(camera.width, camera.height) for camera in seen] == [(20, 15)] * count
    exact = DepthRange()
    for pose in POSES:
        exact.include(camera_rays(CAMERA, pose, renderer.header.space))
    assert (film._extent.near, film._extent.far) == pytest.approx((exact.near, exact.far), rel=0.03)
    assert film.frames == []
    studio.films.cancel()
    assert film.advance(renderer, lambda: False) is True


def test_of_clicks_at_the_same_time_one_makes_a_film(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    together, refused = threading.Barrier(4), []
    monkeypatch.setattr(film_jobs, "check_writable", lambda folder: threading.Event().wait(0.05))  # others come now

    def click() -> None:
        together.wait()
        try:
            studio.begin()
        except NerfpipeError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["a film is being made; wait for it, or cancel it"] * 3
    assert len(studio.jobs) == 1


def test_a_film_that_is_cancelled_says_nothing_any_more_and_leaves_no_file(studio: Studio) -> None:
    studio.begin()
    studio.draw(Blank(before=studio.films.cancel))  # while its first picture is drawn
    assert studio.progress == [(0, 3), (0, 0)]
    assert studio.films.cancel() is False
    assert studio.names() == []
    studio.begin()


def test_a_film_that_is_written_ends_before_another_begins(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    written, go_on = film_jobs.write_gif, threading.Event()
    monkeypatch.setattr(film_jobs, "write_gif", lambda *film: (go_on.wait(60), written(*film)))
    studio.begin()
    studio.draw(Blank())
    assert studio.films.cancel() is False
    with pytest.raises(NerfpipeError, match="a film is being made"):
        studio.begin()
    go_on.set()
    until(lambda: studio.told)
    studio.begin()
    studio.draw(Blank())
    until(lambda: len(studio.told) == 2)
    assert [name for name in studio.names() if name.endswith(".gif")] == ["film_001.gif", "film_002.gif"]


@pytest.mark.parametrize(
    ("failing", "error", "left"),
    [
        ("write_gif", OSError(errno.ENOSPC, "full"), []),
        ("write_mp4", NerfpipeError("ffmpeg did not write it whole"), ["film_001.gif"]),
    ],
)
def test_a_film_that_cannot_be_written_is_told_and_the_next_one_is_made(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, failing: str, error: Exception, left: list[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(film_jobs, failing, fail)
    studio.begin()
    studio.draw(Blank())
    until(lambda: studio.told)
    assert studio.told == [str(error)]
    assert studio.progress[-1] == (0, 0)
    assert studio.names() == left
    studio.begin()


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_drawn(studio: Studio) -> None:
    studio.folder.write_text("a file, no folder")
    with pytest.raises(FileExistsError):
        studio.begin()
    assert not studio.jobs
    studio.folder.unlink()
    studio.begin()


# Names


def test_numbered_files_never_meet(tmp_path: Path) -> None:
    (tmp_path / "still_001.mp4").touch()
    (tmp_path / "still_003.gif").touch()
    taken, together = [], threading.Barrier(6)

    def take() -> None:
        together.wait()
        with new_file(tmp_path, "still", ".gif", ".mp4") as file:
            taken.append(file.name)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"still_{number:03d}" for number in (2, 4, 5, 6, 7, 8)]


def test_the_name_of_a_file_that_failed_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError), new_file(tmp_path, "still", ".png") as file:
            raise RuntimeError
        assert file.name == "still_001"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(new_files, "NUMBERED", 1)
    with pytest.raises(FileExistsError, match="holds too many files of this name"), new_file(tmp_path, "a", ".png"):
        pass
