"""A small project that was published - to a bare git repository and a DVC remote - and clones of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tiny_pipeline import clone, dvc, run, shrink

NOTHING_TO_DO = "Data and pipelines are up to date."
MODEL = "data/model/field.safetensors"


@dataclass(frozen=True)
class Published:
    author: Path  # the clone in which the pipeline ran
    git: Path  # a bare repository
    remote: Path  # a DVC remote in a folder


def publish(folder: Path) -> Published:
    """Run the small pipeline, commit what it gave, and push both halves: history by git, data by DVC."""
    project = Published(folder / "author", folder / "project.git", folder / "remote")
    project.author.mkdir()
    clone(project.author)
    shrink(project.author)
    identify(project.author)
    dvc(project.author, "repro")
    run(project.author, "git", "add", "-A")
    run(project.author, "git", "commit", "-qm", "run")
    run(folder, "git", "clone", "-q", "--bare", str(project.author), str(project.git))
    run(project.author, "git", "remote", "add", "origin", str(project.git))
    use_remote(project.author, str(project.remote))
    dvc(project.author, "push")
    return project


def colleague(project: Published, folder: Path, remote: str | None = None) -> Path:
    """A fresh clone of the published project, with no data; `remote` is set for this clone alone."""
    run(folder.parent, "git", "clone", "-q", str(project.git), str(folder))
    identify(folder)
    if remote:
        use_remote(folder, remote)
    return folder


def use_remote(folder: Path, url: str) -> None:
    dvc(folder, "remote", "add", "--local", "-d", "storage", url)


def identify(folder: Path) -> None:
    """Git tags and commits need a name, and a machine for tests may have none."""
    run(folder, "git", "config", "user.name", "test")
    run(folder, "git", "config", "user.email", "test@example.org")


def last_line(printed: str) -> str:
    return printed.strip().splitlines()[-1]
