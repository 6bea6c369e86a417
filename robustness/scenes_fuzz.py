"""Scene data and pictures, changed in ways that people and machines change them, and in ways that nobody should.

What means the same must give the same scene, to the pixel. What cannot be right must be refused in one line, or be told
of. Whatever else is done to a file, it is refused in one line or read; it never hangs, raises or is silently another.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nerfpipe import bank_writer
from nerfpipe.errors import NerfpipeError
from nerfpipe.imagefile import AGAINST, ORIENTATION, SIDEWAYS, TURNS
from nerfpipe.scenes.scene import Scene
from robustness.counts import Counts
from robustness.numbers import changed, in_time
from robustness.scene_data import HEIGHT, LOADERS, VIEWS, WIDTH, edit, load, picture, pose, write

SAME, REFUSED, TOLD = "the same scene", "refused", "refused, or told of"
TOLERANCE = 1e-4  # of poses
FOREIGN = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 24\n",
    "GIF": b"GIF89a\x20\x00\x18\x00\x00\x00\x00;",
    "PDF": b"%PDF-1.4\n",
    "ICO": b"\x00\x00\x01\x00\x01\x00" + bytes(16),
    "nothing": b"",
    "text": b"<html>",
}


class Case(NamedTuple):
    """A change of a scene in one format, and what must come of it. keys: of the scene's entry."""

    name: str
    kind: str
    change: Callable[[Path], object]
    verdict: str
    keys: dict[str, Any] = {}  # noqa: RUF012, never changed


def fuzz_scenes(seed: int, work: Path, count: int = 25) -> Counts:
    """All that is written out here, and `count` damages of every file of every format."""
    counts, random_ = Counts("scene data"), random.Random(seed)
    for case in [*spellings(), *pictures(), *lenses(), *repeats(), *tables(), *irregular()]:
        with in_time(counts, case.name):
            counts.quiet(f"{case.kind}: {case.name}", tried(case, work / "scene"))
    for kind in LOADERS:
        for name, change in damages(kind, random_, count, work):
            with in_time(counts, name):
                counts.quiet(f"{kind}: {name}", survived(kind, change, work / "scene"))
    return counts


def tried(case: Case, folder: Path) -> str:
    """What is wrong with how a case was taken, empty when nothing is."""
    shutil.rmtree(folder, ignore_errors=True)
    write(case.kind, folder)
    case.change(folder)
    try:
        scene = load(case.kind, folder, **case.keys)
        fault = difference(scene)  # reads all pictures
    except NerfpipeError as error:
        lines = str(error).splitlines()
        if case.verdict == SAME:
            return f"it was refused: {lines[0]}"
        return "" if len(lines) == 1 and str(folder) in lines[0] else f"it said {lines}"
    except Exception as error:  # the fault that is looked for
        return f"{type(error).__name__}: {str(error)[:200]}"
    if case.verdict == REFUSED or (case.verdict == TOLD and not scene.notes):
        return f"it was taken, with {scene.notes or 'no word'}"
    return fault if case.verdict == SAME else ""


def difference(scene: Scene) -> str:
    """How a scene differs from the true one."""
    if scene.views != VIEWS:
        return f"it has {scene.views} views"
    poses = scene.similarity.original_poses(scene.poses.astype(np.float64))
    for view in range(VIEWS):
        if np.abs(poses[view] - pose(view)).max() > TOLERANCE:
            return f"pose {view} is another"
        image, camera = scene.read_image(view)[..., :3], scene.camera(view)
        if image.shape != (HEIGHT, WIDTH, 3) or (image != picture(view)).any():
            return f"picture {view} is another"
        if abs(camera.cx - WIDTH / 2) + abs(camera.cy - HEIGHT / 2) + abs(camera.fx - 40) > TOLERANCE:
            return f"the lens of view {view} is another"
    return ""


def survived(kind: str, change: Callable[[Path], object], folder: Path) -> str:
    """What is wrong with how damaged data was taken, down to its rays."""
    shutil.rmtree(folder, ignore_errors=True)
    write(kind, folder)
    change(folder)
    bank = folder.parent / "bank"
    shutil.rmtree(bank, ignore_errors=True)
    bank.mkdir()
    try:
        bank_writer.build(load(kind, folder), bank, 0.1, 0.05)
    except NerfpipeError as error:
        lines = str(error).splitlines()
        return "" if len(lines) == 1 and len(lines[0]) < 1000 else f"it said {lines[:3]}"
    except Exception as error:  # the fault that is looked for
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


def frames(change: Callable[[int, dict[str, Any]], object]) -> Callable[[Path], None]:
    """A change of every frame of transforms.json."""

    def apply(folder: Path) -> None:
        def each(content: dict[str, Any]) -> None:
            for view, frame in enumerate(content["frames"]):
                change(view, frame)

        edit(folder / "transforms.json", each)

    return apply


def spellings() -> Iterator[Case]:
    """The same pictures under names as others write them."""
    for name in (
        "images/{}.png", "./images/{}.png", "images/{}", "../scene/images/{}", "/home/somebody/scene/images/{}.png",
        "/home/somebody/scene/images/{}", "C:\\scene\\images\\{}.png", "images\\{}", "images/{}.PNG", "images/{}.jpg",
        "images//{}.png", "../../elsewhere/images/{}.jpeg",
    ):  # fmt: skip
        yield Case(
            name,
            "transforms",
            frames(lambda view, frame, n=name: frame.update(file_path=n.format(f"{view:03d}"))),
            SAME,
        )
    for name in ("images/{}.png", "{}.JPG", "a/b/{}.png", "/data/images/{}.png", "../images/{}.png", "a/{}.jpg"):

        def renamed(folder: Path, name: str = name) -> None:
            file = folder / "sparse/0/images.txt"
            text = file.read_text()
            for view in range(VIEWS):
                text = text.replace(f"{view:03d}.png", name.format(f"{view:03d}"))
            file.write_text(text)

        yield Case(f"named {name}", "colmap", renamed, SAME)
    for words in ("my {}.png", "my  {}.png", "a b {}.png", "ö {}.png"):

        def spaced(folder: Path, words: str = words) -> None:
            file = folder / "sparse/0/images.txt"
            text = file.read_text()
            for view in range(VIEWS):
                (folder / f"images/{view:03d}.png").rename(folder / "images" / words.format(f"{view:03d}"))
                text = text.replace(f"{view:03d}.png", words.format(f"{view:03d}"))
            file.write_text(text)

        yield Case(f"called {words!r}", "colmap", spaced, SAME)
    long = "../" * 100_000 + "a.png"
    yield Case(
        "a path of 100,000 folders", "transforms", frames(lambda _, frame: frame.update(file_path=long)), REFUSED
    )


def pictures() -> Iterator[Case]:
    """The same pictures in other files, and files that are no pictures."""

    def resaved(make: Callable[[Image.Image, Path], object]) -> Callable[[Path], None]:
        def apply(folder: Path) -> None:
            for view in range(VIEWS):
                make(Image.fromarray(picture(view)), folder / f"images/{view:03d}.png")

        return apply

    def oriented(image: Image.Image, file: Path, orientation: int) -> None:
        tags = Image.Exif()
        tags[ORIENTATION] = orientation
        image.transpose(TURNS[AGAINST.get(orientation, orientation)]).save(file, exif=tags)

    for orientation in TURNS:
        verdict = SAME if orientation in SIDEWAYS else TOLD
        for kind in ("transforms", "colmap", "colmap binary", "llff"):
            change = resaved(lambda image, file, o=orientation: oriented(image, file, o))
            yield Case(f"stored with orientation {orientation}", kind, change, verdict)
    yield Case("RGBA", "transforms", resaved(lambda image, file: image.convert("RGBA").save(file)), SAME)
    yield Case("TIFF inside", "transforms", resaved(lambda image, file: image.save(file, format="TIFF")), SAME)
    yield Case("BMP inside", "blender", resaved(lambda image, file: image.save(file, format="BMP")), SAME)
    for scale in (255.0, 65535.0):
        grey = resaved(
            lambda image, file, s=scale: Image.fromarray(np.array(image.convert("L"), np.float32) / 255 * s).save(
                file, format="TIFF"
            )
        )
        yield Case(f"floats to {scale:g}", "transforms", grey, REFUSED)
    for name, content in FOREIGN.items():
        for kind in LOADERS:
            yield Case(
                f"{name} called .png",
                kind,
                lambda folder, c=content: (folder / "images/003.png").write_bytes(c),
                REFUSED,
            )


def lenses() -> Iterator[Case]:
    """Numbers that no lens of these pictures can have."""
    for name, numbers in {
        "of a picture four times the size": {"cx": WIDTH * 2, "cy": HEIGHT * 2, "fl_x": 160.0, "fl_y": 160.0},
        "of a picture half the size": {"cx": WIDTH / 4, "cy": HEIGHT / 4, "fl_x": 20.0, "fl_y": 20.0},
        "cx = cy = 0": {"cx": 0, "cy": 0},
        "normalised": {"cx": 0.5, "cy": 0.5, "fl_x": 1.4, "fl_y": 1.4},
        "cy = -50": {"cy": -50},
        "a focal length of 10^7": {"fl_x": 1e7},
        "a focal length of 1e-7": {"fl_x": 1e-7, "fl_y": 1e-7},
    }.items():

        def apply(folder: Path, numbers: dict[str, float] = numbers) -> None:
            edit(
                folder / "transforms.json",
                lambda content: (content.update(numbers), content.pop("w"), content.pop("h")),
            )

        yield Case(f"lens {name}", "transforms", apply, TOLD)


def repeats() -> Iterator[Case]:
    """One thing twice, under two names."""
    for name in ("images/copy.png", "images/../images/copy.png", "./images/copy"):
        for of in (0, 1):

            def apply(folder: Path, name: str = name, of: int = of) -> None:
                (folder / "images/copy.png").write_bytes((folder / f"images/{of:03d}.png").read_bytes())
                twin = {"file_path": name, "transform_matrix": [*pose(of).tolist(), [0, 0, 0, 1]]}
                edit(folder / "transforms.json", lambda content: content["frames"].append(twin))

            yield Case(f"frame {of} again as {name}", "transforms", apply, TOLD)

    def leaked(folder: Path) -> None:
        shutil.copy(folder / "transforms_train.json", folder / "transforms_test.json")
        edit(folder / "transforms_test.json", lambda content: content.update(frames=content["frames"][:2]))

    yield Case("train frames in the test file", "blender", leaked, TOLD)


def tables() -> Iterator[Case]:
    """Text as editors and scripts leave it."""
    for name, change in {
        "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
        "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
        "trailing blanks": lambda text: text.replace(b"\n", b" \n"),
    }.items():
        for kind, place in (("colmap", "sparse/0"), ("transforms", ".")):

            def apply(folder: Path, change: Callable[[bytes], bytes] = change, place: str = place) -> None:
                for file in (folder / place).iterdir():
                    if file.suffix in (".txt", ".json"):
                        file.write_bytes(change(file.read_bytes()))

            yield Case(name, kind, apply, SAME)

    def numbered(folder: Path) -> None:
        for view in range(VIEWS):
            (folder / f"images/{view:03d}.png").rename(folder / f"images/{view + 5}.png")

    yield Case("0.png … 12.png in the order of numbers", "llff", numbered, TOLD)
    yield Case("the same, told", "llff", numbered, SAME, {"order": "number"})


def irregular() -> Iterator[Case]:
    """Pipes, folders and devices where files are expected."""
    files = {"transforms": "transforms.json", "blender": "transforms_test.json", "llff": "poses_bounds.npy"}
    files |= {"colmap": "sparse/0/images.txt", "colmap binary": "sparse/0/images.bin"}
    for kind, table in files.items():
        for place in (table, "images/002.png"):
            for name, make in {
                "a pipe": os.mkfifo,
                "a folder": Path.mkdir,
                "a device": lambda file: file.symlink_to("/dev/zero"),
            }.items():

                def apply(folder: Path, place: str = place, make: Callable[[Path], object] = make) -> None:
                    (folder / place).unlink()
                    make(folder / place)

                if kind != "blender" or place != table:  # a scene may have no test frames of its own
                    yield Case(f"{name} as {place}", kind, apply, REFUSED)


def damages(
    kind: str, random_: random.Random, count: int, work: Path
) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Bytes of every file flipped, cut or put in, and every number of its JSON made another."""
    sample = work / "sample"
    shutil.rmtree(sample, ignore_errors=True)
    write(kind, sample)
    files = [file.relative_to(sample) for file in sorted(sample.rglob("*")) if file.is_file()]
    for file in [each for each in files if each.suffix != ".png" or each.name == "003.png"]:
        content = (sample / file).read_bytes()
        for _ in range(count):
            at, byte = random_.randrange(len(content)), bytes([random_.randrange(256)])
            damaged = random_.choice(
                [content[:at] + byte + content[at + 1 :], content[:at], content[:at] + byte + content[at:]]
            )
            yield f"{file} damaged at {at}", lambda folder, f=file, c=damaged: (folder / f).write_bytes(c)
        if file.suffix == ".json":
            for name, other, _ in changed(json.loads(content), str(file)):
                yield name, lambda folder, f=file, c=other: (folder / f).write_text(json.dumps(c))
    if kind == "llff":
        rows = np.load(sample / "poses_bounds.npy")
        for column in range(rows.shape[1]):
            for number in (0, -1, np.nan, np.inf, 1e7, 1e300):
                other = rows.copy()
                other[2, column] = number
                yield (
                    f"row 2, column {column} = {number}",
                    lambda folder, o=other: np.save(folder / "poses_bounds.npy", o),
                )
