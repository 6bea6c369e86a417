"""A project that came without git or without .dvc: check says so, and each remedy that it names works."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from tiny_pipeline import clone, dvc, run

from nerfpipe.project.repository import repository_faults


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The project as a ZIP of it gives it: without .git."""
    folder = clone(tmp_path / "project")
    shutil.rmtree(folder / ".git")
    return folder


def checked(folder: Path) -> str:
    return run(folder, sys.executable, "-m", "nerfpipe", "check", check=False).stderr


def test_a_clone_is_sound(tmp_path: Path) -> None:
    assert checked(clone(tmp_path / "project")) == ""


@pytest.mark.parametrize("remedy", [("git", "init", "-q"), ("dvc", "config", "--local", "core.no_scm", "true")])
def test_without_git_either_remedy_lets_dvc_run(unpacked: Path, remedy: tuple[str, ...]) -> None:
    assert dvc(unpacked, "repro", "check", check=False).returncode != 0
    [line] = checked(unpacked).splitlines()
    assert line == (
        "error: this folder is no git repository, so DVC does not run; run `git init`, "
        "or `dvc config --local core.no_scm true` to do without git"
    )
    assert " ".join(each for each in remedy if each != "-q") in line
    run(unpacked, *(remedy if remedy[0] == "git" else (sys.executable, "-m", *remedy)))
    assert checked(unpacked) == ""
    dvc(unpacked, "repro", "check")
    assert (unpacked / "data/checked").is_file()


def test_without_dvc_too_the_remedy_lets_dvc_run(unpacked: Path) -> None:
    shutil.rmtree(unpacked / ".dvc")
    [line] = checked(unpacked).splitlines()
    assert "no .dvc folder is here" in line
    assert line.endswith("or run `dvc init --no-scm`")
    dvc(unpacked, "init", "--no-scm", "-q")
    assert checked(unpacked) == ""
    dvc(unpacked, "repro", "check")


def test_a_folder_within_a_git_repository_is_one(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(unpacked.parent, "git", "init", "-q")
    monkeypatch.chdir(unpacked)
    assert repository_faults() == []
    dvc(unpacked, "repro", "check")
