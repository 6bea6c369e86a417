"""The only module that opens image files: accepted files, refused ones, and its messages."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nerfpipe.images import image_file
from nerfpipe.images.image_file import SIDEWAYS, TURNS, load_image, mask_values, orientation_of, read_header, turned
from nerfpipe.photos.images import read_picture as photograph
from nerfpipe.runtime.errors import NerfpipeError

ROOT = Path(__file__).parents[1]


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[image_file.ORIENTATION] = orientation
    return tags


def test_no_other_module_opens_a_picture() -> None:
    """Pillow decides by content, and starts Ghostscript for PostScript."""
    openers = [
        file.relative_to(ROOT).as_posix()
        for folder in ("nerfpipe", "stages")
        for file in (ROOT / folder).rglob("*.py")
        if "Image.open(" in (text := file.read_text(encoding="utf-8")) or "imread(" in text
    ]
    assert openers == ["nerfpipe/images/image_file.py"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
def test_the_usual_kinds_are_read_whatever_their_name(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (6, 4), (200, 100, 50)).save(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.xyz")
    assert read_header(tmp_path / "a.xyz") == (6, 4, False, 1)
    assert np.abs(np.asarray(load_image(tmp_path / "a.xyz")).astype(int) - (200, 100, 50)).max() < 8


def test_a_picture_that_holds_several_is_its_first(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (6, 4), (200, 200, 200)), Image.new("RGB", (6, 4))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert load_image(tmp_path / "a.jpg").getpixel((0, 0)) == (200, 200, 200)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n", "PostScript"),
        (b"%PDF-1.4\n", "PDF"),
        (b"GIF89a" + bytes(20), "GIF"),
        (b"\x00\x00\x01\x00\x01\x00" + bytes(20), "ICO"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC or AVIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"MM\x00*" + bytes(8), "a rare or damaged TIFF"),
    ],
)
def test_other_kinds_are_named_and_not_opened(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "r_0.png").write_bytes(content)
    for read in (read_header, load_image):
        with pytest.raises(
            NerfpipeError, match=rf"r_0.png: not a readable picture: it is {kind} inside; save it as PNG"
        ):
            read(tmp_path / "r_0.png")


def test_no_program_is_started_for_postscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    (tmp_path / "r_0.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\n")
    monkeypatch.setattr("subprocess.Popen", start)
    with pytest.raises(NerfpipeError):
        load_image(tmp_path / "r_0.png")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00" + bytes(8), b"no picture"])
def test_what_is_no_picture_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(NerfpipeError, match=r"a.png: (not a readable|a damaged or truncated) picture") as error:
        load_image(tmp_path / "a.png")
    assert len(str(error.value).splitlines()) == 1


def test_pipes_and_folders_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    for name, kind in (("a.png", "a named pipe"), ("b.png", "a folder")):
        with pytest.raises(NerfpipeError, match=f"{name}: is {kind}"):
            read_header(tmp_path / name)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG with a large size in its header and almost no data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_honest_large_pictures_are_opened_and_bombs_are_not(tmp_path: Path) -> None:
    (tmp_path / "panorama.png").write_bytes(png_of_size(12000, 9000))
    assert read_header(tmp_path / "panorama.png")[:2] == (12000, 9000)
    (tmp_path / "bomb.png").write_bytes(png_of_size(60000, 60000))
    with pytest.raises(NerfpipeError, match=r"bomb.png: far too large a picture: more than 250,000,000 pixels"):
        read_header(tmp_path / "bomb.png")


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_pictures_are_turned_as_exif_says(tmp_path: Path, suffix: str, orientation: int) -> None:
    """Stored so that EXIF's orientation makes it upright: a bright corner at the upper left."""
    upright = np.zeros((24, 32), np.uint8)
    upright[:8, :8] = 255
    inverse = {6: TURNS[8], 8: TURNS[6]}.get(orientation, TURNS[orientation])
    stored = Image.fromarray(upright).convert("RGB").transpose(inverse)
    stored.save(tmp_path / f"a.{suffix}", exif=exif(orientation))
    assert read_header(tmp_path / f"a.{suffix}") == (*stored.size, False, orientation)
    assert stored.size == ((24, 32) if orientation in SIDEWAYS else (32, 24))
    image = load_image(tmp_path / f"a.{suffix}")
    seen = np.asarray(turned(image, orientation_of(image)).convert("L"))
    assert np.abs(seen.astype(int) - upright).max() < 40


def test_an_orientation_that_means_nothing_is_upright(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg", exif=exif(77))
    assert read_header(tmp_path / "a.jpg").orientation == 1


def test_odd_notes_in_a_file_are_not_warned_of(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Pillow's warnings name no file, and users cannot act on them."""
    twice = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x02\0\x06\0\x06\0\0\0\0"
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg", exif=twice)
    Image.new("RGB", (6, 4)).save(tmp_path / "b.jpg", exif=twice[:20])
    with Image.open(tmp_path / "a.jpg") as image:
        image.getexif().get(image_file.ORIENTATION)
    assert len(recwarn) == 1, "Pillow warns by itself"
    recwarn.clear()
    for name in ("a.jpg", "b.jpg"):
        read_header(tmp_path / name)
        photograph(tmp_path / name)
    assert not list(recwarn)


def deep(tmp_path: Path, values: np.ndarray, suffix: str = "tif") -> Image.Image:
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    return image_file.deep_to_8bit(load_image(tmp_path / f"a.{suffix}"), tmp_path / f"a.{suffix}")


def test_deep_grey_pictures_keep_their_brightness(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 64).reshape(8, 8)
    expected = np.round(ramp * 255)
    for values in (ramp.astype(np.float32), np.round(ramp * 65535).astype(np.uint16)):
        assert np.abs(np.asarray(deep(tmp_path, values)) - expected).max() <= 1
    assert np.abs(np.asarray(deep(tmp_path, np.round(ramp * 65535).astype(np.int32))) - expected).max() <= 1


@pytest.mark.parametrize(
    "values", [[0, 255], [0, 128.0], [0, 1.2], [-0.5, 1], [0, np.nan], [0, np.inf], [-np.inf, 1], [0, 65535]]
)
def test_floats_beyond_0_to_1_are_not_guessed_at(tmp_path: Path, values: list[float]) -> None:
    with pytest.raises(
        NerfpipeError, match=r"a.tif: its pixels are floating-point numbers from .* save it with 8 or 16"
    ):
        deep(tmp_path, np.array([values], np.float32))


@pytest.mark.parametrize("values", [[0, 255], [0, 65536], [-1, 65535]])
def test_integers_of_32_bits_that_do_not_tell_white_are_refused(tmp_path: Path, values: list[int]) -> None:
    with pytest.raises(NerfpipeError, match=r"a.tif: its pixels are 32-bit numbers from"):
        deep(tmp_path, np.array([values], np.int32))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_masks_of_every_kind_count_where_they_are_light(tmp_path: Path, mode: str) -> None:
    grey = np.array([[0, 30, 127], [128, 200, 255]], np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey if mode != "1" else (grey > 127).astype(np.uint8) * 255).convert(mode)
    image.save(tmp_path / "m.png")
    counted = mask_values(load_image(tmp_path / "m.png"), tmp_path / "m.png") >= image_file.HALF
    np.testing.assert_array_equal(counted, grey >= 128)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_mask_that_is_transparent_anywhere_is_its_alpha(tmp_path: Path, mode: str) -> None:
    """As in cut-out objects, whose own colours may be dark."""
    alpha = np.array([[0, 100], [128, 255]], np.uint8)
    if mode == "P":
        image = Image.fromarray(np.array([[0, 0], [1, 1]], np.uint8)).convert("P")
        alpha = np.array([[0, 0], [255, 255]], np.uint8)
        image.save(tmp_path / "m.png", transparency=0)
    else:
        image = Image.new(mode, (2, 2))
        image.putalpha(Image.fromarray(alpha))
        image.save(tmp_path / "m.png")
    mask = load_image(tmp_path / "m.png")
    np.testing.assert_array_equal(mask_values(mask, tmp_path / "m.png"), alpha)


def test_a_coloured_mask_is_as_light_as_its_lightest_channel(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 1), (0, 0, 255))
    assert (mask_values(image, tmp_path / "m.png") == 255).all()


def test_a_mask_of_0_and_1_is_told_and_one_that_is_black_is_black(tmp_path: Path) -> None:
    with pytest.raises(NerfpipeError, match=r"m.png: the mask is black throughout \(at most 1 of 255\)"):
        mask_values(Image.fromarray(np.array([[0, 1]], np.uint8)), tmp_path / "m.png")
    assert not mask_values(Image.new("L", (2, 2)), tmp_path / "m.png").any()
