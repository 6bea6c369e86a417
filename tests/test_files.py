"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import (
    PARTIAL,
    atomic_file,
    atomic_folder,
    open_regular,
    refuse_irregular,
    work_folder,
    write_json,
)


class AccidentError(Exception):
    pass


def write_half(path: Path, accident: type[BaseException]) -> None:
    path.write_text("half")
    raise accident


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent  # on the same disk
        assert temporary.name.startswith(PARTIAL)  # git ignores it
        assert temporary.suffix == path.suffix
    assert path.read_text() == "half"
    assert names(path.parent) == ["a.txt"]


def test_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    with atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("after")
        assert (tmp_path / "a.txt").read_text() == "before"
    assert (tmp_path / "a.txt").read_text() == "after"


@pytest.mark.parametrize("accident", [AccidentError, KeyboardInterrupt])
def test_a_failure_leaves_the_file_before_and_nothing_else(tmp_path: Path, accident: type[BaseException]) -> None:
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(accident), atomic_file(tmp_path / "a.txt") as temporary:
        write_half(temporary, accident)
    assert (tmp_path / "a.txt").read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_a_failure_before_anything_is_written_is_itself(tmp_path: Path) -> None:
    with pytest.raises(AccidentError), atomic_file(tmp_path / "a.txt"):
        raise AccidentError
    assert names(tmp_path) == []


def test_a_folder_takes_its_name_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rays"
    with atomic_folder(path) as temporary:
        (temporary / "a.txt").write_text("a")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.name.startswith(PARTIAL)
    assert names(path) == ["a.txt"]
    assert names(path.parent) == ["rays"]
    assert path.stat().st_mode & 0o755 == 0o755  # others may read it


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "rays" / "deep").mkdir(parents=True)
    (tmp_path / "rays" / "old.txt").write_text("old")
    with atomic_folder(tmp_path / "rays") as temporary:
        (temporary / "new.txt").write_text("new")
        assert names(tmp_path / "rays") == ["deep", "old.txt"]
    assert names(tmp_path / "rays") == ["new.txt"]
    assert names(tmp_path) == ["rays"]


@pytest.mark.parametrize("accident", [AccidentError, KeyboardInterrupt])
def test_a_failure_leaves_the_folder_before_and_nothing_else(tmp_path: Path, accident: type[BaseException]) -> None:
    (tmp_path / "rays").mkdir()
    (tmp_path / "rays" / "old.txt").write_text("old")
    with pytest.raises(accident), atomic_folder(tmp_path / "rays") as temporary:
        write_half(temporary / "new.txt", accident)
    assert names(tmp_path / "rays") == ["old.txt"]
    assert names(tmp_path) == ["rays"]


def test_a_folder_that_cannot_take_its_name_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rays").mkdir()
    (tmp_path / "rays" / "old.txt").write_text("old")
    replace = os.replace

    def fails_for_the_new(source: Path, destination: Path) -> None:
        if (Path(source) / "new.txt").exists():
            raise OSError("no")
        replace(source, destination)

    monkeypatch.setattr(os, "replace", fails_for_the_new)
    with pytest.raises(OSError, match="no"), atomic_folder(tmp_path / "rays") as temporary:
        (temporary / "new.txt").write_text("new")
    assert names(tmp_path) == ["rays"]
    assert names(tmp_path / "rays") == ["old.txt"]


def test_json_is_written_to_be_read(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"train": {"psnr": 27.5}})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"train": {"psnr": 27.5}}
    assert text.endswith("}\n")
    assert len(text.splitlines()) == 5
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert (tmp_path / "a.json").read_text() == text
    assert names(tmp_path) == ["a.json"]


def test_queued_experiments_share_the_working_folder_of_their_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert work_folder() == Path(".nerfpipe")
    monkeypatch.setenv("DVC_ROOT", "/somewhere/project")
    assert work_folder() == Path("/somewhere/project/.nerfpipe")


def test_what_killed_processes_left_is_cleared_away_and_what_lives_stays(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    living = os.getppid()
    for name in (f"{gone.pid}-rays", f"{gone.pid}-old-rays", f"{gone.pid}-other", f"{living}-rays"):
        (tmp_path / f"{PARTIAL}{name}").mkdir()
    (tmp_path / f"{PARTIAL}{gone.pid}-a.txt").write_text("half")
    with atomic_folder(tmp_path / "rays"):
        pass
    with atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == sorted([f"{PARTIAL}{gone.pid}-other", f"{PARTIAL}{living}-rays", "a.txt", "rays"])


def test_an_ordinary_file_and_a_link_to_one_are_opened(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\r\n\x1a")
    (tmp_path / "link").symlink_to("a.txt")
    for name in ("a.txt", "link"):
        refuse_irregular(tmp_path / name)
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"a\r\n\x1a"


@pytest.mark.parametrize("kind", ["a folder", "a named pipe", "a socket", "a device"])
def test_what_is_no_ordinary_file_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may be no longer than 108 bytes
    place = tmp_path / "thing"
    if kind == "a folder":
        place.mkdir()
    elif kind == "a named pipe":
        os.mkfifo(place)
    elif kind == "a socket":
        socket.socket(socket.AF_UNIX).bind(place.name)
    else:
        place.symlink_to("/dev/zero")
    for opener in (open_regular, refuse_irregular):
        with pytest.raises(NerfpipeError, match=f"thing: is {kind}, where a file is expected"):
            opener(place)


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    refuse_irregular(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nothing")
