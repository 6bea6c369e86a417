"""The download stage: data/raw is the whole scene with its entry.json, or what was there before."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import file_server
import pytest

from nerfpipe.sources import content, downloads, fetch
from nerfpipe.stage import stage
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
    monkeypatch.setattr(downloads, "LOCK_SECONDS", 0.1)
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
    assert entry_file() == {
        "name": "desk",
        "format": "tiny_nerf",
        "background": "white",
        "bounds": bounds,
        "train_views": 9,
        "file": "my_desk.npz",
    }
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


# --- the disk ---


def test_no_room_for_the_copy(monkeypatch, capsys) -> None:
    make_folder()
    run()
    usage = shutil.disk_usage(".")._replace(free=content.SPARE_BYTES)
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

    monkeypatch.setattr("nerfpipe.sources.raw.generate", generate)
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
