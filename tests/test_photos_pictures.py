"""Picture files from cameras: listing, orientation, conversion, focal length, masks."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from nerfpipe.photos import preparing
from nerfpipe.photos.images import exif_focal, list_pictures, listed, read_picture, reduced_size
from nerfpipe.photos.masks import find_masks, read_mask
from nerfpipe.photos.preparing import IMAGES, MASKS, SEARCHED, SEARCHED_MASKS, prepare_files
from nerfpipe.runtime.errors import NerfpipeError

WIDTH, HEIGHT = 60, 40

# What must be done to an upright picture so that a viewer which obeys the EXIF orientation undoes it.
LAID_DOWN: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def exif(**tags: object) -> Image.Exif:
    """EXIF with tags of the camera, by their names."""
    made = Image.Exif()
    made[ExifTags.Base.Orientation] = 1
    made.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[name]: value for name, value in tags.items()})
    return made


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    for name in (IMAGES, MASKS, SEARCHED, SEARCHED_MASKS):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures."""
    folder = tmp_path / "desk"
    folder.mkdir()
    for i in range(3):
        picture(i).save(folder / f"IMG_{i}.png")
    return folder


@pytest.mark.parametrize("orientation", LAID_DOWN)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = picture()
    tags = exif(FocalLengthIn35mmFilm=28)
    tags[ExifTags.Base.Orientation] = orientation
    file = tmp_path / f"a{suffix}"
    upright.transpose(LAID_DOWN[orientation]).save(file, exif=tags, quality=100, subsampling=0)
    read = read_picture(file)
    np.testing.assert_allclose(
        np.asarray(read.image, float), np.asarray(upright, float), atol=0 if suffix != ".jpg" else 5
    )
    if suffix != ".tif":  # into TIFF, Pillow writes no EXIF but the orientation
        assert read.focal == pytest.approx(28 / math.hypot(36, 24) * math.hypot(WIDTH, HEIGHT))


def test_copies_carry_no_orientation_to_turn_them_again(tmp_path: Path, scratch: Path) -> None:
    tags = exif()
    tags[ExifTags.Base.Orientation] = 6
    for i in range(3):
        picture(i).save(tmp_path / f"{i}.png", exif=tags)
    views = prepare_files(list_pictures(tmp_path), {}, scratch, 0)
    for file in (scratch / views[0].image, scratch / SEARCHED / views[0].searched):
        with Image.open(file) as copy:
            assert copy.size == (HEIGHT, WIDTH)
            assert ExifTags.Base.Orientation not in copy.getexif()


# A sensor of 6000 pixels on 36 mm, of which the picture shows all in fewer: 50 mm are 50/36 widths.
FULL_FRAME = {
    "FocalLength": 50.0,
    "FocalPlaneXResolution": Fraction(6000 * 254, 360),
    "FocalPlaneResolutionUnit": 2,
    "ExifImageWidth": 6000,
    "ExifImageHeight": 4000,
}


@pytest.mark.parametrize(
    ("tags", "focal"),
    [
        ({"FocalLengthIn35mmFilm": 35}, 35 * 500 / math.hypot(36, 24)),  # a picture of 400x300 has a diagonal of 500
        (FULL_FRAME, 50 / 36 * 400),
        (FULL_FRAME | {"FocalPlaneXResolution": Fraction(6000, 36), "FocalPlaneResolutionUnit": 4}, 50 / 36 * 400),
        (FULL_FRAME | {"FocalLengthIn35mmFilm": 0}, 50 / 36 * 400),  # 0 stands for unknown
        (FULL_FRAME | {"FocalPlaneResolutionUnit": 1}, None),  # no absolute unit
        ({"FocalLength": 50.0}, None),  # useless without the sensor's size
        ({"FocalLengthIn35mmFilm": 60000}, None),  # implausible
        ({}, None),
    ],
)
def test_focal_length_by_exif(tags: dict, focal: float | None) -> None:
    assert exif_focal(exif(**tags), (400, 300)) == (focal if focal is None else pytest.approx(focal))


def test_the_focal_length_follows_the_copy_that_is_searched(
    folder: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "FEATURE_SIDE", WIDTH // 2)
    for file in folder.iterdir():
        picture().save(file, exif=exif(FocalLengthIn35mmFilm=28))
    view = prepare_files(list_pictures(folder), {}, scratch, 15)[0]
    assert (view.searched_size, view.size) == ((30, 20), (15, 10))
    assert view.focal == pytest.approx(28 / math.hypot(36, 24) * math.hypot(30, 20))


def test_grey_and_16_bit_pictures_keep_their_brightness(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    expected = np.repeat(np.round(ramp / 257).astype(np.uint8)[..., None], 3, axis=2)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray(expected[..., 0]).save(tmp_path / "grey.tif")
    for name in ("deep.png", "grey.tif"):
        read = read_picture(tmp_path / name).image
        assert read.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(read), expected)


def test_transparent_parts_are_kept_and_an_idle_alpha_channel_is_not(tmp_path: Path) -> None:
    rgba = picture().convert("RGBA")
    rgba.save(tmp_path / "opaque.png")
    assert read_picture(tmp_path / "opaque.png").image.mode == "RGB"
    rgba.putpixel((3, 2), (9, 9, 9, 0))
    rgba.save(tmp_path / "cut.png")
    read = read_picture(tmp_path / "cut.png").image
    assert read.mode == "RGBA"
    assert read.getpixel((3, 2)) == (9, 9, 9, 0)


def test_floating_point_pictures_follow_the_rule_of_all_pictures(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "f.tif")
    assert read_picture(tmp_path / "f.tif").image.getpixel((0, 0)) == (128, 128, 128)
    Image.fromarray(np.full((4, 4), 128, np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(NerfpipeError, match=r"f\.tif: its pixels are floating-point numbers from 128 to 128"):
        read_picture(tmp_path / "f.tif")


def test_all_unreadable_pictures_are_named(folder: Path, scratch: Path) -> None:
    picture().save(folder / "cut_short.jpg")
    whole = (folder / "cut_short.jpg").read_bytes()
    (folder / "cut_short.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "letter.jpeg").write_text("no picture")
    (folder / "nothing.png").touch()
    with pytest.raises(NerfpipeError) as error:
        prepare_files(list_pictures(folder), {}, scratch, 0)
    [line] = str(error.value).splitlines()
    assert line.startswith(f"{folder / 'cut_short.jpg'}: a damaged or truncated picture; ")
    assert line.endswith("get the file again, or leave it out (and 2 more: letter.jpeg, nothing.png)")
    (folder / "cut_short.jpg").unlink()
    (folder / "nothing.png").unlink()
    with pytest.raises(
        NerfpipeError, match=r"letter.jpeg: not a readable picture; get the file again, or leave it out$"
    ):
        prepare_files(list_pictures(folder), {}, scratch, 0)


def test_pictures_are_listed_in_their_order(tmp_path: Path) -> None:
    for name in ("IMG_10.jpg", "img_9.PNG", "IMG_1.TIFF", "b.webp", "notes.txt", "._IMG_1.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "within.jpg").mkdir()
    assert [file.name for file in list_pictures(tmp_path)] == ["b.webp", "IMG_1.TIFF", "img_9.PNG", "IMG_10.jpg"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), r"holds no pictures \("),
        (("a.jpg",), r"holds 1 picture \(.*at least 3"),
        (("a.jpg", "b.jpg"), r"holds 2 pictures \(.*at least 3"),
        (("a.jpg", "b.jpg", "c.jpg", "d.HEIC"), r"d\.HEIC: HEIC pictures cannot be read; export them as JPEG"),
        (("x.heic", "y.heif", "z.heic"), r"x\.heic: HEIC pictures cannot be read \(nor 2 more\)"),
        (("a.jpg", "b.jpg", "c.jpg", "d.NEF"), r"d\.NEF: raw pictures cannot be read; export them as JPEG or TIFF"),
    ],
)
def test_folders_that_will_not_do(tmp_path: Path, names: tuple, message: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(NerfpipeError, match=message):
        list_pictures(tmp_path)


def test_heic_beside_its_jpeg_does_no_harm(folder: Path) -> None:
    (folder / "IMG_0.HEIC").touch()
    assert len(list_pictures(folder)) == 3


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [
        ((400, 300), 200, (200, 150)),
        ((300, 400), 200, (150, 200)),
        ((400, 300), 0, (400, 300)),
        ((400, 300), 800, (400, 300)),
        ((401, 3), 100, (100, 1)),
    ],
)
def test_fitted(size: tuple, longest: int, expected: tuple) -> None:
    assert reduced_size(size, longest) == expected


def test_reduced_pictures_are_means(tmp_path: Path, scratch: Path) -> None:
    halves = np.zeros((4, 4, 3), np.uint8)
    halves[:, 1::2] = 100
    for i in range(3):
        Image.fromarray(halves).save(tmp_path / f"{i}.png")
    view = prepare_files(list_pictures(tmp_path), {}, scratch, 2)[0]
    assert np.asarray(Image.open(scratch / view.image)).tolist() == [[[50] * 3] * 2] * 2


@pytest.mark.parametrize(("suffix", "kept"), [(".png", ".png"), (".tiff", ".png"), (".jpg", ".jpg")])
def test_what_was_lossless_stays_so(tmp_path: Path, scratch: Path, suffix: str, kept: str) -> None:
    for i in range(3):
        picture(i).save(tmp_path / f"{i}{suffix}")
    views = prepare_files(list_pictures(tmp_path), {}, scratch, 0)
    assert [view.image for view in views] == [f"{IMAGES}/000{i}{kept}" for i in (1, 2, 3)]
    if kept == ".png":
        np.testing.assert_array_equal(np.asarray(Image.open(scratch / views[1].image)), np.asarray(picture(1)))


def test_cut_out_pictures_are_searched_only_where_they_are_opaque(tmp_path: Path, scratch: Path) -> None:
    cut = picture().convert("RGBA")
    cut.paste((0, 0, 0, 0), (0, 0, WIDTH // 2, HEIGHT))
    for i in range(3):
        cut.save(tmp_path / f"{i}.png")
    view = prepare_files(list_pictures(tmp_path), {}, scratch, 0)[0]
    searched = np.asarray(Image.open(scratch / SEARCHED_MASKS / f"{view.searched}.png"))
    assert (searched[:, : WIDTH // 2] == 0).all()
    assert (searched[:, WIDTH // 2 :] == 255).all()
    assert view.mask is None  # the alpha channel is the mask
    assert Image.open(scratch / view.image).mode == "RGBA"


def test_all_pictures_are_cut_out_or_none(folder: Path, scratch: Path) -> None:
    Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0)).save(folder / "IMG_1.png")
    with pytest.raises(NerfpipeError, match=r"IMG_1\.png has transparent parts and IMG_0\.png has none"):
        prepare_files(list_pictures(folder), {}, scratch, 0)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Masks for the three pictures that keep their left halves."""
    folder = tmp_path / "masks"
    folder.mkdir()
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    mask.paste(255, (0, 0, WIDTH // 2, HEIGHT))
    for name in ("IMG_0.png", "IMG_1.png", "IMG_2.png.png"):
        mask.save(folder / name)
    return folder


def test_masks_reach_the_capture_and_the_search(folder: Path, masks: Path, scratch: Path) -> None:
    files = list_pictures(folder)
    views = prepare_files(files, find_masks(masks, files), scratch, WIDTH // 2)
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, : WIDTH // 2] = 255
    for view in views:
        assert view.mask is not None
        np.testing.assert_array_equal(np.asarray(Image.open(scratch / view.mask)), expected[::2, ::2])
        searched = scratch / SEARCHED_MASKS / f"{view.searched}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(searched)), expected)


def test_every_picture_needs_its_mask(folder: Path, masks: Path) -> None:
    (masks / "IMG_1.png").unlink()
    with pytest.raises(NerfpipeError, match=r"no mask for IMG_1\.png; a mask has its picture's name, as IMG_1\.png"):
        find_masks(masks, list_pictures(folder))
    with pytest.raises(NerfpipeError, match=r"--masks must name a folder"):
        find_masks(masks / "IMG_0.png", list_pictures(folder))


def black(file: Path) -> None:
    Image.new("L", (WIDTH, HEIGHT), 1).save(file)


def other_size(file: Path) -> None:
    Image.new("L", (HEIGHT, WIDTH), 255).save(file)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (black, r"black throughout \(at most 1 of 255\); white is what is kept"),
        (other_size, "the mask is 40x60 pixels but its picture, upright, 60x40"),
        (lambda file: file.write_bytes(b"x"), "not a readable picture"),
    ],
)
def test_masks_that_will_not_do(masks: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(masks / "IMG_0.png")
    with pytest.raises(NerfpipeError, match=rf"IMG_0\.png: .*{message}"):
        read_mask(masks / "IMG_0.png", (WIDTH, HEIGHT))


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(i) for i in range(13)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more"
