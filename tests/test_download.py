"""The download stage: data/raw is the whole scene with its entry.json, or what was there before."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import file_server
import pytest

from nerfpipe.archives import checksum
from nerfpipe.download import cache, fetch
from nerfpipe.runtime.stage import stage
from stages import download

ROOT = Path(__file__).parents[1]
DATA = random.Random(2).randbytes(200_000)
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
RAW = Path("data/raw")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An own project with this project's params and an empty catalogue; no proxy, no long waits."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fetch, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(cache, "LOCK_SECONDS", 0.1)
    Path("data").mkdir()
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(re.sub(r"^scene:.*$", "scene: desk", params, flags=re.MULTILINE), encoding="utf-8")


@pytest.fixture
def server():
    with file_server.running() as running:
        yield running


def catalogue(**entry: object) -> None:
    Path("data/scenes.yaml").write_text(json.dumps({"desk": entry}), encoding="utf-8")  # JSON is YAML


def run() -> None:
    with stage("download"):
        download.main()


def failed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The error lines of a run that ends with 1 and changes nothing in data/."""
    before = snapshot()
    with pytest.raises(SystemExit) as caught:
        run()
    assert caught.value.code == 1
    assert snapshot() == before
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert lines
    return lines


def snapshot() -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in Path("data").rglob("*")}


def raw() -> dict[str, bytes]:
    return {str(path.relative_to(RAW)): path.read_bytes() for path in RAW.rglob("*") if path.is_file()}


def entry_file() -> dict[str, object]:
    return json.loads((RAW / "entry.json").read_text(encoding="utf-8"))


# --- url: ---


def test_fetched_scene_describes_itself(server, capsys) -> None:
    url = server.put("/my%20desk.npz", file_server.file(DATA))
    bounds = [[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]
    catalogue(
        format="tiny_nerf",
        url=[url],
        bytes=len(DATA),
        checksum=SHA256,
        background="white",
        bounds=bounds,
        train_views=9,
    )
    run()
    assert raw().keys() == {"my_desk.npz", "entry.json"}
    assert (RAW / "my_desk.npz").read_bytes() == DATA
    told = entry_file()
    expected = {"name": "desk", "format": "tiny_nerf", "background": "white", "bounds": bounds, "train_views": 9}
    assert told.items() >= (expected | {"file": "my_desk.npz", "missing": "error"}).items()
    assert not told.keys() & {"path", "url", "bytes", "checksum", "folder", "size", "views"}
    assert re.search(r"^desk \(tiny_nerf\): fetched, 0\.2 MB in data/raw, \d+\.\d s$", capsys.readouterr().out, re.M)


def test_rerun_after_the_out_was_deleted_needs_no_network(server) -> None:
    catalogue(format="tiny_nerf", url=server.put("/a.npz", file_server.file(DATA)), checksum=SHA256)
    run()
    first = raw()
    server.stop()
    shutil.rmtree(RAW)  # as DVC does before a stage
    run()
    assert raw() == first


def test_editing_the_copy_does_not_touch_the_kept_download(server) -> None:
    catalogue(format="tiny_nerf", url=server.put("/a.npz", file_server.file(DATA)), checksum=SHA256)
    run()
    (RAW / "a.npz").write_bytes(b"edited")
    server.stop()
    run()
    assert (RAW / "a.npz").read_bytes() == DATA


def test_data_called_as_the_entry_gets_another_name(server) -> None:
    catalogue(format="tiny_nerf", url=server.put("/entry.json", file_server.file(DATA)))
    run()
    assert entry_file()["file"] == "_entry.json"
    assert (RAW / "_entry.json").read_bytes() == DATA


def test_failed_download_leaves_the_earlier_scene(server, capsys) -> None:
    catalogue(format="tiny_nerf", url=server.put("/a.npz", file_server.file(DATA)), checksum=SHA256)
    run()
    bad = server.put("/b.npz", file_server.file(b"x" * len(DATA)))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}/b.npz"
    catalogue(format="tiny_nerf", url=[dead, bad], checksum=SHA256[:-4] + "0000")
    lines = failed(capsys)
    assert len(lines) == 3
    assert dead in lines[0]
    assert bad in lines[1]
    assert (RAW / "a.npz").read_bytes() == DATA


def test_interrupted_run_goes_on_where_it_stopped(server, monkeypatch, capsys) -> None:
    catalogue(format="tiny_nerf", url=server.put("/a.npz", file_server.file(DATA)), checksum=SHA256)

    def interrupt(self: object, amount: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch.Progress, "advance", interrupt)
        [line] = failed(capsys)
    assert line == "error: interrupted; run the same command again to go on"
    assert not RAW.exists()
    run()
    assert (RAW / "a.npz").read_bytes() == DATA
    first, second = server.ranges("/a.npz")
    assert first is None
    assert int(re.fullmatch(r"bytes=(\d+)-", second)[1]) > 0


# --- path: ---


def test_local_file() -> None:
    Path("desk.npz").write_bytes(DATA)
    catalogue(format="tiny_nerf", path="desk.npz", bytes=len(DATA), checksum=SHA256)
    run()
    assert raw().keys() == {"desk.npz", "entry.json"}
    assert entry_file()["file"] == "desk.npz"
    assert entry_file()["bounds"] is None


def test_local_path_missing(capsys) -> None:
    catalogue(format="tiny_nerf", path="dsk.npz")
    [line] = failed(capsys)
    assert line.startswith("error: data/scenes.yaml: desk.path: there is no dsk.npz; ")


@pytest.mark.parametrize(("key", "value"), [("bytes", len(DATA) + 1), ("checksum", SHA256)])
def test_local_file_that_is_another(key: str, value: object, capsys) -> None:
    Path("desk.npz").write_bytes(DATA[::-1])
    catalogue(format="tiny_nerf", path="desk.npz", **{key: value})
    [line] = failed(capsys)
    assert line.startswith("error: data/scenes.yaml: desk.path: desk.npz has ")
    assert str(value) in line


def make_folder() -> Path:
    folder = Path("capture")
    (folder / "photos").mkdir(parents=True)
    (folder / "desk.npz").write_bytes(DATA)
    (folder / "photos" / "1.png").write_bytes(b"one")
    (folder / "photos" / "x.npz").write_bytes(b"x")  # not at the top, so not the scene's file
    catalogue(format="tiny_nerf", path="capture")
    return folder


def test_local_folder_with_links_inside() -> None:
    folder = make_folder()
    (folder / "first.png").symlink_to("photos/1.png")
    (folder / "again").symlink_to("photos")
    (folder / "entry.json").write_text("{}")
    (folder / "_entry.json").write_text("[]")
    run()
    copied = raw()
    entry = json.loads(copied.pop("entry.json"))
    assert copied == {
        "desk.npz": DATA,
        "first.png": b"one",
        "photos/1.png": b"one",
        "photos/x.npz": b"x",
        "again/1.png": b"one",
        "again/x.npz": b"x",
        "_entry.json": b"[]",
        "__entry.json": b"{}",
    }
    assert not any(path.is_symlink() for path in RAW.rglob("*"))
    assert entry["file"] == "desk.npz"


def test_the_folder_itself_may_be_a_link() -> None:
    make_folder().rename("elsewhere")
    Path("capture").symlink_to("elsewhere")
    run()
    assert raw().keys() == {"desk.npz", "photos/1.png", "photos/x.npz", "entry.json"}


def test_all_that_cannot_be_copied_is_named_at_once(capsys) -> None:
    folder = make_folder()
    Path("secret").write_text("secret")
    (folder / "a").symlink_to(Path("secret").resolve())
    (folder / "photos" / "b").symlink_to("../..")
    (folder / "photos" / "c").symlink_to("..")
    (folder / "d").symlink_to("nothing")
    (folder / "e").symlink_to("e")
    os.mkfifo(folder / "f")
    lines = failed(capsys)
    assert len(lines) == 6
    for place, words in {
        "a": "leads out of the folder",
        "photos/b": "leads out of the folder",
        "photos/c": "a folder that it lies in",
        "d": "not there",
        "e": "not there",
        "f": "neither a file nor a folder",
    }.items():
        assert any(line.startswith(f"error: capture/{place}: ") and words in line for line in lines), place


def kept_in_dvcs_cache(content: bytes) -> Path:
    """A file with this content, as DVC keeps it."""
    name = hashlib.md5(content, usedforsecurity=False).hexdigest()
    file = Path("dvc-cache/files/md5").resolve() / name[:2] / name[2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_links_into_dvcs_cache_are_the_data(link) -> None:
    folder = make_folder()
    link(kept_in_dvcs_cache(b"picture"), folder / "photos/linked.png")
    run()
    assert (RAW / "photos/linked.png").read_bytes() == b"picture"
    assert not (RAW / "photos/linked.png").is_symlink()


def test_a_file_that_only_bears_a_name_of_dvcs_cache_is_not_taken(capsys) -> None:
    folder = make_folder()
    file = kept_in_dvcs_cache(b"picture")
    file.write_bytes(b"secret")
    (folder / "photos/linked.png").symlink_to(file)
    [line] = failed(capsys)
    assert "leads out of the folder" in line


def test_many_links_that_lead_out_are_told_in_one_line(capsys) -> None:
    folder = make_folder()
    Path("secret").write_text("secret")
    for number in range(51):
        (folder / f"photos/{number:03d}.png").symlink_to(Path("secret").resolve())
    [line] = failed(capsys)
    assert line.startswith("error: capture/photos/000.png: a link that leads out of the folder, to ")
    assert line.endswith("put the data itself there (and so are 50 more)")


def test_special_file_as_path(capsys) -> None:
    os.mkfifo("pipe")
    catalogue(format="tiny_nerf", path="pipe")
    assert "neither a file nor a folder" in failed(capsys)[0]


@pytest.mark.parametrize("path", [".", "data", "data/../data"])
def test_folder_that_holds_the_destination(path: str, capsys) -> None:
    Path("data/desk.npz").write_bytes(DATA)
    catalogue(format="tiny_nerf", path=path)
    [line] = failed(capsys)
    assert "holds the folder to copy to" in line


def test_folder_without_the_data_file(capsys) -> None:
    folder = make_folder()
    (folder / "second.npz").write_bytes(b"2")
    assert "holds 2 .npz files; name the one to use" in failed(capsys)[0]
    shutil.rmtree(folder)
    folder.mkdir()
    assert "the folder is empty" in failed(capsys)[0]


def test_checksum_of_a_folder_is_refused(capsys) -> None:
    make_folder()
    catalogue(format="tiny_nerf", path="capture", checksum=SHA256)
    assert "desk.checksum: is for single files" in failed(capsys)[0]


def test_part_of_a_local_folder() -> None:
    make_folder()
    catalogue(path="capture", folder="photos", format="blender")
    run()
    assert raw().keys() == {"1.png", "x.npz", "entry.json"}
    assert entry_file()["file"] is None
    Path("all").mkdir()
    Path("capture").rename("all/capture")
    for inside in ("capture/photos", "photos", "photos/."):  # the second lies below another folder
        catalogue(path="all", folder=inside, format="blender")
        run()
        assert raw().keys() == {"1.png", "x.npz", "entry.json"}


def test_part_of_a_local_folder_that_is_not_there(capsys) -> None:
    make_folder()
    catalogue(path="capture", folder="fotos")
    [line] = failed(capsys)
    assert line == "error: data/scenes.yaml: desk.folder: capture has no folder fotos; it has photos"


@pytest.mark.parametrize("format", [None, "tiny_nerf", "blender"])
def test_single_files(format: str | None, capsys) -> None:
    Path("desk.npz").write_bytes(DATA)
    entry = {"path": "desk.npz"} | ({"format": format} if format else {})
    catalogue(**entry)
    if format == "blender":
        [line] = failed(capsys)
        assert line.startswith("error: data/scenes.yaml: desk.path: desk.npz is a single file; ")
        return
    run()
    assert entry_file()["file"] == "desk.npz"
    if format is None:
        catalogue(**entry, folder="lego")
        [line] = failed(capsys)
        assert line.startswith("error: data/scenes.yaml: desk.folder: desk.npz is a single file and no archive; ")


@pytest.mark.parametrize(("others", "file"), [({}, "desk.npz"), ({"1.png": b"1"}, None)])
def test_format_unknown_yet(others: dict[str, bytes], file: str | None) -> None:
    """One .npz and nothing else is the data; the format of anything else is found in the folder."""
    Path("capture").mkdir()
    for name, data in ({"desk.npz": DATA} | others).items():
        (Path("capture") / name).write_bytes(data)
    catalogue(path="capture")
    run()
    assert entry_file()["file"] == file
    assert entry_file()["format"] is None


# --- archives ---

PICTURES = {"lego/a.json": b"l", "lego/images/1.png": b"1", "ship/a.json": b"s", "__MACOSX/x": b"x"}


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_local_archive() -> None:
    data = zipped({"desk/a.json": b"a", "desk/entry.json": b"theirs", "desk/images/1.png": b"1"})
    Path("desk.zip").write_bytes(data)
    checksum = f"sha256:{hashlib.sha256(data).hexdigest()}"
    catalogue(format="blender", path="desk.zip", bytes=len(data), checksum=checksum, background="white")
    run()
    unpacked = raw()
    told = json.loads(unpacked.pop("entry.json"))
    assert unpacked == {"a.json": b"a", "_entry.json": b"theirs", "images/1.png": b"1"}
    assert told.items() >= {"name": "desk", "format": "blender", "background": "white", "file": None}.items()


def test_local_archive_that_is_another(capsys) -> None:
    Path("desk.zip").write_bytes(zipped(PICTURES))
    catalogue(path="desk.zip", checksum=SHA256)
    [line] = failed(capsys)
    assert line.startswith("error: data/scenes.yaml: desk.path: desk.zip has checksum sha256:")


def test_archive_of_one_data_file(capsys) -> None:
    Path("desk.zip").write_bytes(zipped({"a/desk.npz": DATA}))
    catalogue(path="desk.zip")
    run()
    assert entry_file()["file"] == "desk.npz"
    catalogue(path="desk.zip", format="tiny_nerf")
    run()
    assert entry_file()["file"] == "desk.npz"
    Path("desk.zip").write_bytes(zipped(PICTURES))
    assert "desk.path: desk.zip holds 0 .npz files; name the one to use" in failed(capsys)[0]


def test_scenes_of_one_archive_are_fetched_once(server, capsys) -> None:
    url = server.put("/scenes.zip", file_server.file(zipped({f"all/{name}": data for name, data in PICTURES.items()})))
    for scene, files in {"lego": {"a.json", "images/1.png"}, "ship": {"a.json"}, "all/ship": {"a.json"}}.items():
        catalogue(url=url, folder=scene)
        run()
        assert raw().keys() == files | {"entry.json"}
    assert len(server.ranges("/scenes.zip")) == 1
    printed = capsys.readouterr().out
    assert "scenes.zip: not verified; to have it verified, record `checksum: sha256:" in printed
    assert "scenes.zip: kept from an earlier run" in printed


def test_folder_that_the_archive_has_not(server, capsys) -> None:
    catalogue(url=server.put("/scenes.zip", file_server.file(zipped(PICTURES))), folder="leg")
    [line] = failed(capsys)
    assert line == "error: data/scenes.yaml: desk.folder: scenes.zip has no folder leg; it has lego, ship"


def test_faulty_archive_leaves_the_earlier_scene(server, capsys) -> None:
    data = zipped(PICTURES)
    catalogue(url=server.put("/scenes.zip", file_server.file(data)), folder="lego")
    run()
    broken = bytearray(data)
    broken[data.index(b"l", data.index(b"lego/a.json") + len("lego/a.json"))] ^= 1
    for faulty, words in {
        bytes(broken): "damaged or cut short (Bad CRC-32 for file 'lego/a.json'); delete it and get it again",
        data[:-30]: "damaged or cut short (File is not a zip file); delete it and get it again",
        zipped({"lego/../../x": b"x", "lego/1": b""}): "'lego/../../x' leads out of the folder",
    }.items():
        catalogue(url=server.put(f"/{len(faulty)}.zip", file_server.file(faulty)), folder="lego")
        [line] = failed(capsys)
        assert words in line
        kept = re.fullmatch(r"error: \d+\.zip \((\S+)\): .*", line)[1]
        assert Path(kept).read_bytes() == faulty
    assert raw().keys() == {"a.json", "images/1.png", "entry.json"}


# --- the disk ---


def test_no_room_for_the_copy(monkeypatch, capsys) -> None:
    make_folder()
    run()
    usage = shutil.disk_usage(".")._replace(free=checksum.SPARE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    [line] = failed(capsys)
    assert "free some space and run the same command again" in line


def test_disk_that_fills_up_meanwhile(monkeypatch, capsys) -> None:
    make_folder()
    run()

    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    [line] = failed(capsys)
    assert "no room left on the disk" in line
    assert "capture" not in line


# --- procedural, and the stage as DVC runs it ---


def test_procedural_scene(monkeypatch) -> None:
    def generate(folder: Path, size: int, splits: dict[str, int]) -> None:
        (folder / "images.npy").write_text(f"{size} {splits}")

    monkeypatch.setattr("nerfpipe.download.acquire.generate", generate)
    catalogue(format="procedural", size=16, views={"train": 3, "val": 1, "test": 2}, background="white")
    run()
    assert (RAW / "images.npy").read_text() == "16 {'train': 3, 'val': 1, 'test': 2}"
    assert entry_file()["file"] is None
    assert entry_file()["background"] == "white"


def test_every_fault_of_the_entry_before_anything_is_touched(capsys) -> None:
    RAW.mkdir()
    (RAW / "old").write_text("old")
    catalogue(format="tiny_nerf", pth="x", bytes=0)
    lines = failed(capsys)
    assert len(lines) == 2
    assert all(line.startswith("error: data/scenes.yaml: desk.") for line in lines)


def test_the_command_that_dvc_runs() -> None:
    """One line for a fault, no traceback, exit code 1."""
    catalogue(format="tiny_nerf", path="desk.npz")
    command = [sys.executable, "-m", "stages.download"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: data/scenes.yaml: desk.path: there is no desk.npz")
