"""PNG, GIF and MP4."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from nerfpipe.images.convert import depth_image, error_image, to_8bit
from nerfpipe.images.write import write_gif, write_mp4, write_png
from nerfpipe.runtime.errors import NerfpipeError

has_ffmpeg = pytest.mark.skipif(importlib.util.find_spec("imageio_ffmpeg") is None, reason="needs nerfpipe[video]")
WRITERS = [
    pytest.param(write_gif, "orbit.gif", id="gif"),
    pytest.param(write_mp4, "orbit.mp4", id="mp4", marks=has_ffmpeg),
]


def frames(count: int, height: int = 32, width: int = 48) -> list[np.ndarray]:
    """A bright square that moves over a grey ramp."""
    ramp = np.linspace(0, 120, width, dtype=np.uint8)
    pictures = [np.repeat(np.tile(ramp, (height, 1))[..., None], 3, axis=2) for _ in range(count)]
    for i, picture in enumerate(pictures):
        picture[8:16, 4 * i : 4 * i + 8] = (250, 200, 30)
    return pictures


def test_to_8bit_rounds_and_clips() -> None:
    colour = torch.tensor([-1.0, 0.0, 0.4 / 255, 0.6 / 255, 100 / 255, 254.6 / 255, 1.0, 7.0])
    result = to_8bit(colour)
    assert result.tolist() == [0, 0, 0, 1, 100, 255, 255, 255]
    assert result.dtype == np.uint8


def test_every_8_bit_value_survives() -> None:
    assert to_8bit(torch.arange(256.0) / 255).tolist() == list(range(256))


def test_a_png_comes_back_as_it_was(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    write_png(tmp_path / "new" / "a.png", picture)
    np.testing.assert_array_equal(iio.imread(tmp_path / "new" / "a.png"), picture)


def test_a_gif_has_every_frame_and_loops(tmp_path: Path) -> None:
    write_gif(tmp_path / "orbit.gif", frames(6), fps=10)
    back = iio.imread(tmp_path / "orbit.gif")
    assert back.shape == (6, 32, 48, 3)
    assert np.abs(back.astype(int) - np.stack(frames(6))).mean() < 4  # 256 colours
    about = iio.immeta(tmp_path / "orbit.gif")
    assert about["duration"] == 100
    assert about["loop"] == 0


@has_ffmpeg
@pytest.mark.parametrize(("height", "width", "padded"), [(32, 48, (32, 48)), (31, 47, (32, 48)), (33, 48, (34, 48))])
def test_an_mp4_has_every_frame_and_an_even_size(tmp_path: Path, height: int, width: int, padded: tuple) -> None:
    assert write_mp4(tmp_path / "orbit.mp4", frames(6, height, width), fps=10)
    back = iio.imread(tmp_path / "orbit.mp4", plugin="FFMPEG")
    assert back.shape == (6, *padded, 3)
    assert np.abs(back[:, :height, :width].astype(int) - np.stack(frames(6, height, width))).mean() < 8
    about = iio.immeta(tmp_path / "orbit.mp4", plugin="FFMPEG")
    assert about["fps"] == 10
    assert about["codec"] == "h264"


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_one_frame_is_enough(tmp_path: Path, write: Callable, name: str) -> None:
    write(tmp_path / name, frames(1), fps=10)
    assert len(list(iio.imiter(tmp_path / name))) == 1


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, write: Callable, name: str) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / name, frames(4), fps=15)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(("write", "name"), WRITERS)
def test_what_fails_leaves_the_file_before_and_nothing_else(tmp_path: Path, write: Callable, name: str) -> None:
    (tmp_path / name).write_bytes(b"before")
    with pytest.raises(Exception):  # noqa: B017, PT011, whatever the codec says
        write(tmp_path / name, [frames(1)[0], frames(1)[0].astype(str)], fps=10)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"before"


def test_without_a_codec_there_is_no_mp4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert write_mp4(tmp_path / "orbit.mp4", frames(2), fps=10) is False
    assert list(tmp_path.iterdir()) == []


def test_in_a_depth_picture_near_is_red_far_is_blue_and_nothing_is_background() -> None:
    depth, opacity = torch.tensor([[1.0, 3.0, 0.0, 0.5, 9.0]]), torch.tensor([[1.0, 1.0, 0.0, 1.0, 1.0]])
    picture = depth_image(depth, 1.0, 3.0, opacity, background=torch.tensor([1.0, 0.0, 1.0]))
    assert (picture.shape, picture.dtype) == ((1, 5, 3), np.uint8)
    near, far, nothing, nearer, farther = picture[0].astype(int)
    assert near.argmax() == 0
    assert far.argmax() == 2
    assert nothing.tolist() == [255, 0, 255]
    assert nearer.tolist() == near.tolist()
    assert farther.tolist() == far.tolist()


def test_a_depth_picture_of_no_extent_is_finite() -> None:
    picture = depth_image(torch.ones(2, 2), 1.0, 1.0, torch.ones(2, 2), torch.zeros(3))
    assert (picture == picture[0, 0]).all()


def test_an_error_picture_is_brightest_from_the_scale_on() -> None:
    truth = np.zeros((1, 4, 3), dtype=np.uint8)
    render = np.array([[[0, 0, 0], [51, 0, 0], [51, 51, 51], [255, 255, 255]]], dtype=np.uint8)
    brightness = error_image(render, truth, scale=0.2).astype(int).sum(axis=-1)[0]
    assert brightness[0] < brightness[1] < brightness[2] == brightness[3]
    np.testing.assert_array_equal(error_image(render, truth, 0.2), error_image(truth, render, 0.2))


@pytest.mark.parametrize(("write", "name"), [*WRITERS, pytest.param(lambda path, f, _: write_png(path, f[0]), "a.png")])
def test_a_full_disk_is_an_error_with_the_name_and_leaves_nothing(
    write: Callable, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=name):
        write(tmp_path / name, frames(3), 10)
    assert list(tmp_path.iterdir()) == []


@has_ffmpeg
@pytest.mark.parametrize("left", [0.0, 0.5])
def test_a_film_that_ffmpeg_left_unfinished_is_told(left: float, tmp_path: Path, monkeypatch) -> None:
    whole = iio.imwrite

    def cut_short(*arguments: object, **options: object) -> bytes:
        content = whole(*arguments, **options)
        return content[: int(left * len(content))]

    monkeypatch.setattr(iio, "imwrite", cut_short)
    with pytest.raises(NerfpipeError, match=r"orbit.mp4: ffmpeg did not write it whole; free some space in "):
        write_mp4(tmp_path / "orbit.mp4", frames(3), 10)
    assert list(tmp_path.iterdir()) == []
