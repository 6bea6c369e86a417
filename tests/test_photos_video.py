"""Sharp frames of a video."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from nerfpipe.photos.video import frame_times, sharp_frames, stretches
from nerfpipe.runtime.errors import NerfpipeError

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="reading videos needs imageio-ffmpeg (the photos extra)")

WIDTH, HEIGHT = 64, 48


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """A video of noise; all frames but the `sharp` ones are blurred. Its upper left quarter is white."""

    def make(frames: int, sharp: tuple[int, ...] = ()) -> Path:
        random = np.random.default_rng(0)
        pictures = random.integers(0, 256, (frames, HEIGHT, WIDTH, 1)).repeat(3, axis=3).astype(np.uint8)
        for number in set(range(frames)) - set(sharp):
            pictures[number] = ndimage.gaussian_filter(pictures[number], (2, 2, 0))
        pictures[:, : HEIGHT // 2, : WIDTH // 2] = 255
        file = tmp_path / "video.mp4"
        iio.imwrite(file, pictures, plugin="FFMPEG", fps=10, macro_block_size=1)
        return file

    return make


def test_the_sharpest_frame_of_each_stretch_is_taken(make_video: Callable[..., Path]) -> None:
    video = make_video(24, sharp=(2, 9, 15, 18))  # stretches of six: 0-5, 6-11, 12-17, 18-23
    taken = list(sharp_frames(video, 4))
    assert [frame.name for frame in taken] == ["frame 2", "frame 9", "frame 15", "frame 18"]
    assert all(frame.image.size == (WIDTH, HEIGHT) and frame.focal is None and not frame.lossless for frame in taken)


def test_a_short_video_gives_all_its_frames(make_video: Callable[..., Path]) -> None:
    taken = list(sharp_frames(make_video(5), 100))
    assert [frame.name for frame in taken] == [f"frame {number}" for number in range(5)]


def test_frames_are_spread_evenly_where_their_number_does_not_divide(make_video: Callable[..., Path]) -> None:
    indices = [int(frame.name.split()[1]) for frame in sharp_frames(make_video(23), 7)]
    assert [index * 7 // 23 for index in indices] == list(range(7))


def test_frames_are_upright(make_video: Callable[..., Path], tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-display_rotation", "90"]
    subprocess.run([*command, "-i", str(make_video(4)), "-c", "copy", str(turned)], check=True)
    image = next(iter(sharp_frames(turned, 3))).image
    assert image.size == (HEIGHT, WIDTH)
    assert np.asarray(image)[-WIDTH // 2 + 4 :, : HEIGHT // 2 - 4].min() > 200  # 90 degrees anticlockwise


def timed(video: Path, seconds: str, name: str = "timed.mp4") -> Path:
    """The same frames at other times: `seconds` is ffmpeg's expression of a frame's number N."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-loglevel",
        "error",
        "-i",
        str(video),
        "-vf",
        f"setpts='({seconds})/TB'",
    ]
    target = video.with_name(name)
    subprocess.run([*command, "-fps_mode", "vfr", "-enc_time_base", "1/600", str(target)], check=True)
    return target


def test_frames_of_a_variable_rate_are_spread_over_the_whole_clip_each_once(make_video: Callable[..., Path]) -> None:
    video = timed(make_video(100), "if(lt(N,60),N/5,12+(N-60)/60)")  # five a second, then sixty
    assert len(frame_times(video)) == 100
    indices = [int(frame.name.split()[1]) for frame in sharp_frames(video, 20)]
    assert len(set(indices)) == 20
    assert indices == sorted(indices)
    seconds = [number / 5 if number < 60 else 12 + (number - 60) / 60 for number in indices]
    assert max(np.diff(seconds)) < 2 * (12 + 40 / 60) / 20, "one frame of every twentieth of the time"
    assert sum(number >= 60 for number in indices) <= 2, "the fast part is a twentieth of the time"


@pytest.mark.parametrize("seconds", ["if(lt(N,10),N/30,60+N/30)", "if(lt(N,29),N/30,600)", "N*N/30"])
def test_as_many_frames_as_asked_for_are_taken_however_long_one_stands_still(
    make_video: Callable[..., Path], seconds: str
) -> None:
    video = timed(make_video(30), seconds)
    total = len(frame_times(video))
    names = [frame.name for frame in sharp_frames(video, 12)]
    assert len(set(names)) == len(names) == 12
    assert len({frame.name for frame in sharp_frames(video, 100)}) == total


@given(gaps=st.lists(st.integers(0, 1000), min_size=2, max_size=60), count=st.integers(1, 60))
def test_no_stretch_is_empty_and_all_are_in_order(gaps: list[int], count: int) -> None:
    times = np.cumsum([0, *gaps]).astype(float)
    starts = stretches(times, min(count, len(times)))
    assert starts[0] == 0
    assert len(starts) == min(count, len(times))
    assert all(first < second for first, second in pairwise([*starts, len(times)]))


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    sound = tmp_path / "sound.m4a"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-f", "lavfi", "-i", "sine=d=1", str(sound)]
    subprocess.run(command, check=True)
    with pytest.raises(NerfpipeError, match=r"sound\.m4a: cannot be read as a video"):
        list(sharp_frames(sound, 10))


def test_two_frames_are_too_few(make_video: Callable[..., Path]) -> None:
    with pytest.raises(NerfpipeError, match=r"video\.mp4: has 2 frames; at least 3"):
        list(sharp_frames(make_video(2), 10))


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.mov").write_bytes(content)
    with pytest.raises(NerfpipeError, match=r"v\.mov: cannot be read as a video"):
        list(sharp_frames(tmp_path / "v.mov", 10))
