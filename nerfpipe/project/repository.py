"""The repositories that DVC needs. A project from a ZIP has no .git, and may lack .dvc, which is hidden."""

from __future__ import annotations

import os
from pathlib import Path

from nerfpipe.project.paths import PIPELINE_FILE

NO_DVC = "no .dvc folder is here, so DVC does not run; copy it from the original project (it is hidden), or run `{}`"
NO_GIT = (
    "this folder is no git repository, so DVC does not run; run `git init`, "
    "or `dvc config --local core.no_scm true` to do without git"
)


def repository_faults() -> list[str]:
    """One line for what keeps DVC from running this folder's pipeline. DVC is imported only without git."""
    folder = Path.cwd()
    if not (folder / PIPELINE_FILE).exists():
        return []  # no pipeline
    in_git = "GIT_DIR" in os.environ or any((parent / ".git").exists() for parent in (folder, *folder.parents))
    if not any((parent / ".dvc").is_dir() for parent in (folder, *folder.parents)):
        return [NO_DVC.format("dvc init" if in_git else "dvc init --no-scm")]
    return [] if in_git or _does_without_git() else [NO_GIT]


def _does_without_git() -> bool:
    """Whether DVC's configuration, of any level, sets `core.no_scm`."""
    from dvc.config import Config, ConfigError  # takes a second to import

    try:
        return bool(Config.from_cwd().get("core", {}).get("no_scm", False))
    except ConfigError:
        return True  # DVC itself reports its faulty configuration
